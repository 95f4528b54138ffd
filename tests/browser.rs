//! A headless Chromium opens the chat page from the C server's own port, and two tabs talk to each other.
//! What the tabs do and must see stands in tests/interop/browser.py; here is what the server must have told.

#[path = "support/cc.rs"]
mod cc;
#[path = "support/interop_examples.rs"]
mod interop_examples;
#[path = "support/interop_peers.rs"]
mod interop_peers;

use std::process::Command;

use interop_peers::Watched;
use nix::sys::signal::Signal;

#[test]
fn two_tabs_and_a_c_client_exchange_messages() {
    if !interop_peers::has(&interop_peers::program("chromium"), "chromium") {
        return;
    }
    let programs = interop_examples::build("examples-c-chat");
    let server = Watched::start(
        Command::new(programs.join("chat_server"))
            .arg("0")
            .arg(cc::project().join("examples-c")),
    );
    let url = server.line_after("listening on ");
    let mut browser = Command::new("python3");
    browser
        .arg("-B")
        .arg(cc::project().join("tests/interop/browser.py"));
    browser.arg(&url).arg(programs.join("browser"));
    browser.arg(programs.join("pull_client"));
    browser.args([url.replacen("http", "ws", 1).as_str(), "Hello from C"]);
    cc::run(&mut browser, "browser.py");

    let (events, status) = server.end_by(Signal::SIGINT);
    assert!(status.success(), "{status}: {events:?}");
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let said: Vec<_> = events
        .iter()
        .filter(|event| event.starts_with("message "))
        .collect();
    let expected = [
        "message 1 Anna: Hello <b>Ben</b> 👋",
        "message 2 Ben: Grüße zurück!",
        "message 3 Hello from C",
    ];
    assert_eq!(said, expected.iter().collect::<Vec<_>>(), "{events:?}");
    for client in 1..=3 {
        let ends = |what| {
            let start = format!("{what} {client} ");
            events
                .iter()
                .filter(|event| event.starts_with(&start))
                .count()
        };
        assert_eq!((ends("open"), ends("close")), (1, 1), "{events:?}");
    }
    // A tab that is closed goes away (1001), and the C client says goodbye with 1000.
    let close_of = |client| {
        let start = format!("close {client} ");
        *events
            .iter()
            .find(|event| event.starts_with(&start))
            .unwrap()
    };
    assert!(close_of(2).contains("\"code\":1001"), "{}", close_of(2));
    assert!(close_of(3).contains("\"code\":1000"), "{}", close_of(3));
    assert_eq!(events.last(), Some(&"ended"));
}
