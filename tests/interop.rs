//! Conversations with Python's `websockets` and Node's `ws`, each as server and as client, and the examples in C.
//!
//! The sides are tests/interop/peer.c, peer.py and peer.js; each can be the server or the client; `ws` also on a Unix
//! socket, by the url that it would take itself. The client offers sub-protocols, exchanges empty, short and 16 MiB messages of both kinds, pings, asks for a ping, sends 1,000 messages
//! back to back and checks that their echoes come complete and in order. Then connections are closed with 1000, 3000 and
//! 4999, by either side, with a reason; all of it over TLS too. The server prints one line for each connection, which is compared here.

#[path = "support/cc.rs"]
mod cc;
#[path = "support/certs.rs"]
mod certs;
#[path = "support/interop_examples.rs"]
mod interop_examples;
#[path = "support/interop_peers.rs"]
mod interop_peers;

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cc::Flavour;
use certs::Certs;
use interop_peers::Watched;
use nix::sys::signal::Signal;
use tokio_tungstenite::tungstenite::{self, HandshakeError, Message, WebSocket};

/// What a guest waits for a message.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn python_websockets_as_client() {
    if let Some(peer) = python() {
        converse(wsplug(), peer);
    }
}

#[test]
fn python_websockets_as_server() {
    if let Some(peer) = python() {
        converse(peer, wsplug());
    }
}

#[test]
fn node_ws_as_client() {
    if let Some(peer) = node() {
        converse(wsplug(), peer);
    }
}

#[test]
fn node_ws_as_server() {
    if let Some(peer) = node() {
        converse(peer, wsplug());
    }
}

#[test]
fn node_ws_as_server_on_a_unix_socket() {
    let Some(mut peer) = node() else { return };
    let path = std::env::temp_dir().join(format!("wsplug-{}.sock", std::process::id()));
    let path = path.to_str().expect("the folder's name is UTF-8");
    let server = Watched::start(peer.args(["server", path]));
    assert_eq!(server.line_after("listening "), path);
    converse_at(server, wsplug(), &format!("ws+unix:{path}:/"));
}

#[test]
fn wsplug_on_both_sides() {
    converse(wsplug(), wsplug());
}

#[test]
fn python_websockets_as_client_over_tls() {
    if let Some(peer) = python() {
        converse_over_tls(wsplug(), peer);
    }
}

#[test]
fn python_websockets_as_server_over_tls() {
    if let Some(peer) = python() {
        converse_over_tls(peer, wsplug());
    }
}

#[test]
fn node_ws_as_client_over_tls() {
    if let Some(peer) = node() {
        converse_over_tls(wsplug(), peer);
    }
}

#[test]
fn node_ws_as_server_over_tls() {
    if let Some(peer) = node() {
        converse_over_tls(peer, wsplug());
    }
}

#[test]
fn wsplug_on_both_sides_over_tls() {
    converse_over_tls(wsplug(), wsplug());
}

/// OpenSSL verifies the certificate, and what is typed into it goes through.
#[test]
fn openssl_s_client_upgrades() {
    let certs = Certs::new();
    let pair = certs.server();
    let mut server = wsplug();
    server.envs([("PEER_CERT", &pair.cert), ("PEER_KEY", &pair.key)]);
    let server = Watched::start(server.arg("server"));
    let address = format!("localhost:{}", server.line_after("listening "));
    for version in ["-tls1_2", "-tls1_3"] {
        let mut client = Command::new("openssl");
        client.args([
            "s_client",
            "-connect",
            &address,
            "-CAfile",
            &certs.authority.cert,
        ]);
        client.args([
            "-verify_return_error",
            "-verify_hostname",
            "localhost",
            "-quiet",
            "-ign_eof",
        ]);
        let mut client = client
            .arg(version)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        // Behind the request a close frame: 1000, masked with zeroes.
        let all = [request.as_bytes(), b"\x88\x82\0\0\0\0\x03\xe8"].concat();
        let stdin = client.stdin.as_mut().expect("it is piped");
        stdin.write_all(&all).expect("it reads");
        let output = client.wait_with_output().expect("it was started").stdout;
        let text = String::from_utf8_lossy(&output);
        assert!(text.starts_with("HTTP/1.1 101 "), "{version}: {text}");
        assert!(output.ends_with(b"\x88\x02\x03\xe8"), "{version}: {text}");
        assert!(
            text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            "{version}: {text}"
        );
        server.line_after("protocol \"\", close 1000");
    }
}

#[test]
fn the_examples_echo_and_pull() {
    let programs = interop_examples::build("examples-c-echo");
    let server = Watched::start(Command::new(programs.join("echo_server")).arg("0"));
    let port = server.line_after("listening on port ");
    let mut client = Command::new(programs.join("pull_client"));
    let printed = cc::run(
        client.args([&format!("ws://127.0.0.1:{port}/"), "Grüße"]),
        "pull_client",
    );
    let (served, status) = server.end_by(Signal::SIGINT);
    assert!(status.success(), "{status}: {served:?}");
    assert_eq!(served, ["open 1", "close 1"]);

    let types: Vec<_> = printed
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(types, ["open", "message", "close"], "{printed}");
    assert!(printed.contains(r#""data":"Grüße""#), "{printed}");
    assert!(printed.contains(r#""code":1000"#), "{printed}");
}

#[test]
fn the_project_of_the_webdev_page_does_what_the_page_says() {
    let programs = interop_examples::build("examples-c-webdev");
    let mut server = Command::new(programs.join("webdev_server"));
    let server = Watched::start(server.args(["0", "20 ms"]));
    let url = server.line_after("listening on ");
    let mut ann = Guest::connect(&url).unwrap();
    let first = server.line_after("connection of ");
    let mut ben = Guest::connect(&url).unwrap();
    let second = server.line_after("connection of ");
    // The global service comes again and again, and tells everybody.
    for _ in 0..2 {
        for guest in [&mut ann, &mut ben] {
            let time = guest.hear("it is ");
            assert_eq!(time.matches(':').count(), 2, "{time}");
        }
    }
    // Each has globals of its own.
    for number in ["1", "2"] {
        ann.say("hello");
        assert_eq!(ann.hear("message "), number);
    }
    ben.say("hello");
    assert_eq!(ben.hear("message "), "1");
    ann.say(&format!("wave {second}"));
    let wave = ben.hear(&format!("client {first} waves; "));
    assert_eq!(wave, "you have sent 1 messages");
    ben.say("visits");
    assert_eq!(ben.hear("2 "), "visits");
    ben.say("bye");
    assert_eq!(ben.hear_close(), (1000, "see you".into()));
    assert_eq!(server.line_after("disconnection of "), second);
    let leaving = std::thread::spawn(move || ann.hear_close());
    let (rest, status) = server.end_by(Signal::SIGINT);
    assert!(status.success(), "{status}: {rest:?}");
    let left = format!("disconnection of {first}");
    let stopped = "stopped after 2 visits, the service was called";
    assert_eq!(rest, [&left, stopped, "ended"]);
    assert_eq!(leaving.join().unwrap().0, 1001);
}

#[test]
fn the_server_that_asks_lets_in_who_has_a_token() {
    let programs = interop_examples::build("examples-c-ask");
    let mut server = Command::new(programs.join("ask_server"));
    let server = Watched::start(server.arg("0"));
    let url = server.line_after("listening on ");
    let mut ann = Guest::connect(&format!("{url}?token=ann-1234")).unwrap();
    assert_eq!(ann.hear("hello, "), "Ann");
    for token in ["?token=ann-123", "?token=ann-12345", "?token=", "?x=1", ""] {
        let refused = Guest::connect(&format!("{url}{token}")).err();
        assert_eq!(refused, Some((401, "no such token".into())), "{token}");
    }
    let mut ben = Guest::connect(&format!("{url}?token=ben-5678&x=1")).unwrap();
    assert_eq!(ben.hear("hello, "), "Ben");
    for guest in [&mut ann, &mut ben] {
        guest.say("Grüße");
        assert_eq!(guest.hear(""), "Grüße");
    }
    let leaving = std::thread::spawn(move || (ann.hear_close().0, ben.hear_close().0));
    let (rest, status) = server.end_by(Signal::SIGINT);
    assert!(status.success(), "{status}: {rest:?}");
    assert_eq!(leaving.join().unwrap(), (1001, 1001));
    let count = |what: &str| rest.iter().filter(|line| line.starts_with(what)).count();
    assert_eq!(
        (count("open "), count("refused "), count("close ")),
        (2, 5, 2)
    );
    assert_eq!(rest.last().map(String::as_str), Some("ended"));
}

/// A client of the examples, which is another implementation's.
struct Guest(WebSocket<TcpStream>);

impl Guest {
    /// A refusal is its status and what it says.
    fn connect(url: &str) -> Result<Guest, (u16, String)> {
        let address = url.split('/').nth(2).expect("the url has an address");
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match tungstenite::client(url, stream) {
            Ok((socket, _)) => Ok(Guest(socket)),
            Err(HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                let body = answer.body().clone().unwrap_or_default();
                let body = String::from_utf8(body).expect("it is a text");
                Err((answer.status().as_u16(), body))
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    /// The next text that begins so, without that; others are skipped.
    fn hear(&mut self, start: &str) -> String {
        loop {
            let heard = self.0.read().unwrap();
            if let Some(rest) = heard.to_text().unwrap().strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    /// Answers the close frame.
    fn hear_close(&mut self) -> (u16, String) {
        let mut told = None;
        loop {
            match self.0.read() {
                Ok(Message::Close(close)) => told = close,
                Ok(_) => {}
                Err(_) => {
                    let told = told.expect("a close frame with a code came");
                    return (told.code.into(), told.reason.to_string());
                }
            }
        }
    }
}

#[test]
fn the_secure_examples_echo_to_who_has_the_token() {
    let programs = interop_examples::build("examples-c-secure");
    let mut script = Command::new(cc::project().join("examples-c/certificate.sh"));
    cc::run(script.arg(&programs), "certificate.sh");
    let [certificate, key] = ["pem", "key"].map(|end| programs.join(format!("certificate.{end}")));
    let mut server = Command::new(programs.join("secure_echo_server"));
    server.arg("0").args([&certificate, &key]).arg("secret");
    let server = Watched::start(&mut server);
    let url = format!(
        "wss://localhost:{}/",
        server.line_after("listening on port ")
    );
    let client = |authority: &Path, token: &str| {
        let mut client = Command::new(programs.join("token_client"));
        client.arg(&url).arg(authority).args([token, "Grüße"]);
        client.output().expect("it was built")
    };
    let good = client(&certificate, "secret");
    assert_eq!(String::from_utf8_lossy(&good.stdout), "Grüße\n", "{good:?}");
    assert!(good.status.success(), "{good:?}");
    let other = client(&certificate, "guess");
    assert!(
        String::from_utf8_lossy(&other.stderr).contains("401"),
        "{other:?}"
    );
    let stranger = Certs::new();
    let unknown = client(Path::new(&stranger.authority.cert), "secret");
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("caFile"),
        "{unknown:?}"
    );
    let (served, status) = server.end_by(Signal::SIGINT);
    assert!(status.success(), "{status}: {served:?}");
    assert_eq!(served.len(), 2, "{served:?}");
    assert!(
        served[0].starts_with("open 1 \"tls\":{\"version\":\"1.3\""),
        "{served:?}"
    );
}

fn wsplug() -> Command {
    Command::new(cc::compile("tests/interop/peer.c", Flavour::Plain))
}

fn python() -> Option<Command> {
    let python = interop_peers::folder().join("python/bin/python");
    interop_peers::has(&python, "python").then(|| {
        let mut command = Command::new(python);
        // Its own cache of compiled modules would be the only thing left in the source tree.
        command
            .arg("-B")
            .arg(cc::project().join("tests/interop/peer.py"));
        command
    })
}

fn node() -> Option<Command> {
    let modules = interop_peers::folder().join("node/node_modules");
    let is_there = interop_peers::has(&modules.join("ws"), "node")
        && interop_peers::has(&interop_peers::program("node"), "node");
    is_there.then(|| {
        let mut command = Command::new("node");
        command
            .env("NODE_PATH", modules)
            .arg(cc::project().join("tests/interop/peer.js"));
        command
    })
}

fn converse_over_tls(mut server: Command, mut client: Command) {
    let certs = Certs::new();
    let pair = certs.server();
    server.envs([("PEER_CERT", &pair.cert), ("PEER_KEY", &pair.key)]);
    client.env("PEER_CA", &certs.authority.cert);
    let server = Watched::start(server.arg("server"));
    let port = server.line_after("listening ");
    converse_at(server, client, &format!("wss://localhost:{port}/"));
}

fn converse(mut server: Command, client: Command) {
    let server = Watched::start(server.arg("server"));
    let port = server.line_after("listening ");
    converse_at(server, client, &format!("ws://127.0.0.1:{port}/"));
}

fn converse_at(server: Watched, mut client: Command, url: &str) {
    let client = Watched::start(client.args(["client", url]));
    let (_, status) = client.end();
    assert!(status.success(), "the client: {status}");
    let (mut connections, status) = server.end();
    assert!(status.success(), "the server: {status}, {connections:?}");

    let mut expected = [
        "protocol \"two\", close 1000 bye after 1000 numbers",
        "protocol \"\", close 3000 three thousand after 0 numbers",
        "protocol \"\", close 4999 déjà vu ✓ after 0 numbers",
        "protocol \"\", closed 1000",
        "protocol \"\", closed 3000",
        "protocol \"\", closed 4999",
        "protocol \"\", close 1000 over after 0 numbers",
    ];
    // A client may be at its next connection before the server has told of the last one.
    connections.sort();
    expected.sort();
    assert_eq!(connections, expected);
}
