//! A headless Chromium opens the chat page from the C server's own port, and two tabs talk to each other, also over TLS.
//! What the tabs do and must see stands in tests/interop/*browser.py; here is what the server must have told.

#[path = "support/cc.rs"]
mod cc;
#[path = "support/certs.rs"]
mod certs;
#[path = "support/interop_examples.rs"]
mod interop_examples;
#[path = "support/interop_peers.rs"]
mod interop_peers;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use certs::{Certs, Pair};
use interop_peers::Watched;
use nix::sys::signal::Signal;
use serde_json::json;

#[test]
fn two_tabs_and_a_c_client_exchange_messages() {
    if !are_there(&["chromium"]) {
        return;
    }
    let chat = Chat::start("examples-c-chat", None);
    chat.talk(&[]);
    let events = chat.end();
    check_talk(&events);
}

#[test]
fn a_browser_talks_over_tls_to_whom_its_authorities_vouch_for() {
    if !are_there(&["chromium", "certutil"]) {
        return;
    }
    let certs = Certs::new();
    let chat = Chat::start("examples-c-secure-chat", Some(certs.server()));
    // SSL_CERT_FILE is where the C client looks for authorities; the browser does not, as its refusal shows.
    let authority = ("SSL_CERT_FILE", certs.authority.cert.as_str());
    let stranger = home(certs.path("stranger"), &Certs::new().authority);
    chat.run(
        "secure_browser.py",
        &["refused"],
        &[("HOME", &stranger), authority],
    );

    let home = home(certs.path("home"), &certs.authority);
    chat.talk(&[("HOME", &home), authority]);
    chat.run(
        "secure_browser.py",
        &["believed"],
        &[("HOME", &home), authority],
    );

    let events = chat.end();
    let first = |start: &str| events.iter().position(|event| event.starts_with(start));
    // The page and the WebSocket, which never opened; whom the browser believes hears no such thing.
    let refusals: Vec<usize> = (0..events.len())
        .filter(|&at| events[at].contains("it does not accept our certificate"))
        .collect();
    assert!(refusals.len() >= 2, "{events:?}");
    assert!(refusals.last() < first("open ").as_ref(), "{events:?}");
    // Whom the browser refused was no guest: the same three as without TLS are the first ones.
    check_talk(&events);
    for guest in 1..=5 {
        let open = &events[first(&format!("open {guest} ")).expect("it came")];
        assert!(open.contains("\"tls\":{\"version\":\"1.3\""), "{open}");
        let compressed = open.contains("permessage-deflate");
        assert_eq!(compressed, guest != 3, "{open}");
    }
    let close = &events[first("close 5 ").expect("it left")];
    assert!(close.contains("\"code\":4001"), "{close}");
    assert!(close.contains("\"reason\":\"done\""), "{close}");
}

#[test]
fn rooms_keep_to_themselves_strangers_stay_out_and_pages_come_back() {
    if !are_there(&["chromium"]) {
        return;
    }
    let programs = interop_examples::build("examples-c-rooms");
    let mut browser = Command::new("python3");
    browser
        .arg("-B")
        .arg(cc::project().join("tests/interop/rooms_browser.py"))
        .arg(programs.join("browser"))
        .arg(programs.join("chat_server"))
        .arg(cc::project().join("examples-c"));
    cc::run(&mut browser, "rooms_browser.py");
}

fn are_there(programs: &[&str]) -> bool {
    programs
        .iter()
        .all(|name| interop_peers::has(&interop_peers::program(name), "chromium"))
}

/// A home folder in which browsers find this authority, and no other one of their user's.
fn home(folder: String, authority: &Pair) -> String {
    let database = format!("{folder}/.pki/nssdb");
    fs::create_dir_all(&database).unwrap();
    let mut certutil = Command::new("certutil");
    certutil.args(["-d", &format!("sql:{database}"), "-A", "-n", "test"]);
    certutil.args(["-t", "C,,", "-i", &authority.cert]);
    cc::run(&mut certutil, "certutil");
    folder
}

/// The chat server of examples-c.
struct Chat {
    programs: PathBuf,
    server: Watched,
    url: String,
}

impl Chat {
    /// `name` is that of the folder for its programs and the browser's files.
    fn start(name: &str, pair: Option<Pair>) -> Chat {
        let programs = interop_examples::build(name);
        let mut server = Command::new(programs.join("chat_server"));
        server.arg("0").arg(cc::project().join("examples-c"));
        if let Some(pair) = pair {
            let tls = json!({"tls": {"certFile": pair.cert, "keyFile": pair.key}});
            server.arg(tls.to_string());
        }
        let server = Watched::start(&mut server);
        let url = server.line_after("listening on ");
        Chat {
            programs,
            server,
            url,
        }
    }

    /// Two tabs and the C client are there, with these variables.
    fn talk(&self, variables: &[(&str, &str)]) {
        let client = self.programs.join("pull_client");
        let url = self.url.replacen("http", "ws", 1);
        let guest = [client.to_str().unwrap(), &url, "Hello from C"];
        self.run("browser.py", &guest, variables);
    }

    fn run(&self, script: &str, arguments: &[&str], variables: &[(&str, &str)]) {
        let mut browser = Command::new("python3");
        browser
            .arg("-B")
            .arg(cc::project().join("tests/interop").join(script))
            .arg(&self.url)
            .arg(self.programs.join("browser"))
            .args(arguments)
            .envs(variables.iter().copied());
        cc::run(&mut browser, script);
    }

    /// What it has told, once it has ended as Ctrl-C ends it.
    fn end(self) -> Vec<String> {
        let (events, status) = self.server.end_by(Signal::SIGINT);
        assert!(status.success(), "{status}: {events:?}");
        assert_eq!(events.last().map(String::as_str), Some("ended"));
        events
    }
}

/// The first three guests were two tabs and the C client, and said what they had to say.
fn check_talk(events: &[String]) {
    let starting = |start: String| events.iter().filter(move |event| event.starts_with(&start));
    let said: Vec<_> = (1..=3)
        .flat_map(|guest| starting(format!("message {guest} ")))
        .collect();
    let expected = [
        "message 1 Anna: Hello <b>Ben</b> 👋",
        "message 2 Ben: Grüße zurück!",
        "message 3 Hello from C",
    ];
    assert_eq!(said, expected, "{events:?}");
    for guest in 1..=3 {
        let ends = |what| starting(format!("{what} {guest} ")).count();
        assert_eq!((ends("open"), ends("close")), (1, 1), "{events:?}");
    }
    // A tab that is closed goes away (1001), and the C client says goodbye with 1000.
    for (guest, code) in [(2, 1001), (3, 1000)] {
        let close = starting(format!("close {guest} ")).next().unwrap();
        assert!(close.contains(&format!("\"code\":{code}")), "{close}");
    }
}
