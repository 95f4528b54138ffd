//! `wsplug doctor`: each illness is named, with what to do.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use crate::certs::{Certs, Pair};
use crate::interop_peers::Watched;
use crate::run::{Run, finish, python, run, serve, wsplug};
use crate::scripted::{closing, saying, sending, server, upgraded};

fn doctor(arguments: &[&str]) -> Run {
    run(&[&["doctor"], arguments].concat())
}

#[track_caller]
fn wrong(arguments: &[&str], step: &str, found: &str, advice: &str) {
    let said = doctor(arguments).ended(1);
    let line = said.out.lines().find(|line| line.starts_with("WRONG"));
    let line = line.unwrap_or_else(|| panic!("{}", said.out));
    assert!(
        line.contains(&format!(" {step} ")) && line.contains(found),
        "{step}, {found}:\n{}",
        said.out
    );
    assert!(said.out.contains(advice), "{advice}:\n{}", said.out);
    said.says("wrong; see above");
}

fn url(port: u16) -> String {
    format!("ws://127.0.0.1:{port}/")
}

#[test]
fn nothing_is_wrong_with_healthy_servers() {
    for (_server, url) in [Some(serve(&["-o", r#"protocols=["one"]"#])), python()]
        .into_iter()
        .flatten()
    {
        let said = doctor(&[&url]).ended(0);
        for step in ["url", "tcp", "upgrade", "compression", "ping", "close"] {
            said.says(&format!("ok      {step} "));
        }
        said.says("nothing is wrong");
    }
}

#[test]
fn urls() {
    wrong(
        &["http://user:secret@example.com/x"],
        "url",
        "http://",
        "Try ws://example.com/x",
    );
    wrong(
        &["example.com:80"],
        "url",
        "must begin with ws://",
        "Try ws://example.com:80 or wss://example.com:80",
    );
    wrong(&["ws://example.com/#top"], "url", "fragment", "");
    let said = doctor(&["https://user:secret@example.com/"]);
    assert!(!said.out.contains("secret"), "{}", said.out);
}

#[test]
fn names_and_ports() {
    wrong(
        &["ws://nowhere.invalid/"],
        "name",
        "nowhere.invalid",
        "Look at the spelling",
    );
    wrong(
        &["ws://127.0.0.1:1/"],
        "tcp",
        "refused",
        "Nothing listens there",
    );
    let (_server, url) = serve(&[]);
    let by_name = url.replace("127.0.0.1", "localhost");
    doctor(&[&by_name]).ended(0).says("localhost is ");
}

#[test]
fn http_answers() {
    let answer = |status: &str| {
        url(saying(format!(
            "HTTP/1.1 {status}\r\nServer: old\r\nContent-Length: 6\r\n\r\nno\x1b[2J"
        )))
    };
    wrong(
        &[&answer("200 OK")],
        "http",
        "200 OK",
        "does not pass on the headers Upgrade and Connection",
    );
    wrong(
        &[&answer("301 Moved\r\nLocation: wss://example.com/")],
        "http",
        "redirects to",
        "wss://example.com/",
    );
    wrong(
        &[&answer(
            "401 Unauthorized\r\nWWW-Authenticate: Basic realm=x",
        )],
        "http",
        "401",
        "Basic realm=x",
    );
    wrong(&[&answer("403 Forbidden")], "http", "403", "Origin");
    wrong(
        &[&answer("404 Not Found")],
        "http",
        "404",
        "is the path right?",
    );
    wrong(
        &[&answer("426 Upgrade Required")],
        "http",
        "426",
        "another version",
    );
    wrong(
        &[&answer("502 Bad Gateway")],
        "http",
        "502",
        "server behind it does not",
    );
    wrong(
        &[&answer("503 Service Unavailable")],
        "http",
        "503",
        "full, starting",
    );
    let said = doctor(&[&answer("404 Not Found")]);
    said.says("body         no\u{fffd}[2J");
    said.says("old");
    assert!(!said.out.contains('\x1b'), "{:?}", said.out);
    wrong(
        &[&url(saying("SSH-2.0-OpenSSH_9\r\n"))],
        "http",
        "",
        "does not speak HTTP",
    );
    wrong(
        &[&url(saying("")), "--timeout", "3"],
        "http",
        "does not answer the upgrade request",
        "hangs",
    );
}

#[test]
fn wrong_upgrades() {
    let without = |what: &'static str, instead: &'static str| {
        url(server(move |head| {
            String::from_utf8(upgraded(head, ""))
                .unwrap()
                .replace(what, instead)
                .into()
        }))
    };
    let advice = "RFC 6455 § 4.2.2";
    wrong(
        &[&without("Upgrade: websocket\r\n", "")],
        "upgrade",
        "Upgrade header is missing",
        advice,
    );
    wrong(
        &[&without("Upgrade: websocket", "Upgrade: h2c")],
        "upgrade",
        "\"h2c\", not websocket",
        advice,
    );
    wrong(
        &[&without("Connection: Upgrade\r\n", "")],
        "upgrade",
        "Connection header is missing",
        advice,
    );
    wrong(
        &[&without("Connection: Upgrade", "Connection: close")],
        "upgrade",
        "\"close\", which does not name Upgrade",
        advice,
    );
    wrong(
        &[&without(
            "Sec-WebSocket-Accept: ",
            "Sec-WebSocket-Accept: x",
        )],
        "upgrade",
        "Accept does not fit",
        advice,
    );
    wrong(
        &[&without("Sec-WebSocket-Accept: ", "X-Accept: ")],
        "upgrade",
        "Accept is missing",
        advice,
    );
    let (_server, url) = serve(&["-o", r#"protocols=["one"]"#]);
    wrong(
        &[&url, "-s", "two"],
        "protocol",
        "\"two\" but chose none",
        "Offer a sub-protocol",
    );
    doctor(&[&url, "-s", "two", "-s", "one"])
        .ended(0)
        .says("protocol     one");
}

#[test]
fn open_and_ill() {
    wrong(
        &[&url(sending(vec![closing(1013, "later")]))],
        "ping",
        "1013 later",
        "pong",
    );
    wrong(
        &[&url(sending(vec![]))],
        "ping",
        "no pong within 5 s",
        "RFC 6455 § 5.5.2",
    );
}

#[test]
fn redirects_are_followed_if_asked_for() {
    let (_server, target) = serve(&[]);
    let from = url(saying(format!(
        "HTTP/1.1 302 Found\r\nLocation: {target}/\r\nContent-Length: 0\r\n\r\n"
    )));
    doctor(&[&from, "--follow"])
        .ended(0)
        .says(&format!("redirect     to {target}/"));
}

#[test]
fn proxies() {
    let refusing = format!(
        "http://127.0.0.1:{}",
        saying("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    );
    wrong(
        &["ws://example.com/", "--proxy", &refusing],
        "proxy",
        "wants a user and a password",
        "--proxy http://user:password@host:port",
    );
    wrong(
        &["ws://example.com/", "--proxy", "http://127.0.0.1:1"],
        "proxy",
        "refused",
        "Nothing listens there",
    );
    doctor(&["ws://example.com/", "--proxy", "ftp://x"]).ended(2);
    let mut command = wsplug(&["doctor", "ws://example.com/"]);
    command.env("http_proxy", &refusing);
    finish(command, b"")
        .ended(1)
        .says(&format!("the environment's {refusing}"));
}

#[test]
fn tls_and_its_absence() {
    let certs = Certs::new();
    let (_secure, address) = secure(&certs.server());
    wrong(
        &[&address.replace("wss", "ws")],
        "http",
        "400",
        "use wss://localhost",
    );
    let (_plain, plain) = serve(&[]);
    wrong(
        &[&plain.replace("ws", "wss")],
        "tls",
        "is not TLS",
        "use ws://",
    );
    // RFC 8446 § 6: a fatal alert, protocol_version.
    let old = saying([21, 3, 1, 0, 2, 2, 70]);
    wrong(
        &[&format!("wss://127.0.0.1:{old}/")],
        "tls",
        "no version of TLS",
        "1.2 or 1.3",
    );
}

#[test]
fn certificates_of_servers() {
    let certs = Certs::new();
    let ca = certs.authority.cert.as_str();
    let (_server, address) = secure(&certs.server());
    let said = doctor(&[&address, "--ca", ca]).ended(0);
    said.says("ok      dates        valid for 36");
    said.says("ok      tls          TLS 1.3");
    wrong(
        &[&address],
        "believed",
        "the server sends its own certificate only, not that of CN=wsplug test authority",
        "intermediate authority",
    );
    wrong(
        &[&address, "--ca", ca, "--server-name", "other.example"],
        "believed",
        "not for \"other.example\"",
        "Use one of its names",
    );
    let said = doctor(&[&address, "--insecure"]).ended(0);
    said.says("not verified");
    said.says("see the warnings above");

    let (_self_made, address) = secure(&certs.self_made());
    wrong(&[&address], "believed", "has signed itself", "--ca FILE");
    let (_other, address) = secure(&certs.issue("/CN=other", "DNS:other.example"));
    wrong(
        &[&address, "--ca", ca],
        "believed",
        "is for other.example, not for \"localhost\"",
        "Use one of its names",
    );

    // With the chain in it, but from an authority that nobody knows.
    let pair = certs.server();
    let whole = certs.path("whole.pem");
    fs::write(
        &whole,
        fs::read_to_string(&pair.cert).unwrap() + &fs::read_to_string(ca).unwrap(),
    )
    .unwrap();
    let (_whole, address) = secure(&Pair {
        cert: whole,
        key: pair.key,
    });
    wrong(
        &[&address],
        "believed",
        "the chain ends at CN=wsplug test authority",
        "--ca FILE",
    );
}

/// The library's servers refuse to start with such a certificate; others do not.
#[test]
fn expired_certificates_of_servers() {
    let certs = Certs::new();
    let ca = certs.authority.cert.as_str();
    let (_expired, address) = openssl(&certs.dated("20200101000000Z", "20210101000000Z"));
    wrong(
        &[&address, "--ca", ca],
        "dates",
        "it expired ",
        "Renew the certificate",
    );
    doctor(&[&address, "--ca", ca])
        .ended(1)
        .says("the peer's certificate expired at 2021-01-01 00:00:00 UTC");
    let (_early, address) = openssl(&certs.dated("20900101000000Z", "20910101000000Z"));
    wrong(
        &[&address, "--ca", ca],
        "dates",
        "not valid before 2090",
        "clocks",
    );
}

#[test]
fn certificate_files() {
    let certs = Certs::new();
    let pair = certs.issue("/CN=example", "DNS:example.com,DNS:www.example.com");
    let ca = certs.authority.cert.as_str();
    let said = doctor(&[&pair.cert, "--key", &pair.key, "--ca", ca]).ended(0);
    said.says("names        example.com, www.example.com");
    said.says("ok      key ");
    said.says("a client that asks for example.com believes it");
    said.says("nothing is wrong");
    doctor(&[&pair.cert]).ended(0).says("there is no key");
    wrong(
        &[&pair.cert, "--key", &pair.key],
        "believed",
        "not that of CN=wsplug test authority",
        "intermediate",
    );
    wrong(
        &[&pair.cert, "--key", &certs.server().key],
        "server",
        "the key does not belong to the certificate",
        "made for it",
    );
    wrong(
        &[
            &pair.cert,
            "--key",
            &pair.key,
            "--ca",
            ca,
            "--server-name",
            "other.example",
        ],
        "believed",
        "not for \"other.example\"",
        "Use one of its names",
    );
    let old = certs.dated("20200101000000Z", "20210101000000Z");
    wrong(
        &[&old.cert, "--key", &old.key, "--ca", ca],
        "dates",
        "it expired ",
        "Renew",
    );
    let nameless = certs.issue("/CN=nameless", "email:nobody@example.com");
    wrong(
        &[&nameless.cert],
        "names",
        "no subject alternative names",
        "names the host",
    );
    wrong(
        &[&pair.key],
        "file",
        "no certificate in it",
        "BEGIN CERTIFICATE",
    );
    wrong(&["nowhere.pem"], "file", "nowhere.pem", "can be read");
}

fn secure(pair: &Pair) -> (Watched, String) {
    serve(&["--host", "localhost", "--tls", &pair.cert, &pair.key])
}

/// A server that shows any certificate.
fn openssl(pair: &Pair) -> (Watched, String) {
    // It cannot take a free port and tell which.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut command = std::process::Command::new("openssl");
    let address = format!("127.0.0.1:{port}");
    command.args([
        "s_server", "-accept", &address, "-cert", &pair.cert, "-key", &pair.key, "-www",
    ]);
    let server = Watched::start(&mut command);
    server.line_after("ACCEPT");
    (server, format!("wss://{address}/"))
}
