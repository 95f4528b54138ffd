//! `wsplug serve`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::certs::Certs;
use crate::interop_peers::{Watched, folder, has};
use crate::run::{finish, run, run_with, serve, wsplug};

#[test]
fn it_tells_what_happens_and_goes_down_well() {
    let (server, url) = serve(&[]);
    let client = Watched::start(&mut wsplug(&[
        "connect",
        &url,
        "--send",
        "a\x1bb",
        "--keep-open",
    ]));
    server.line_after("open 1 from 127.0.0.1:");
    server.line_after("text 1 a\\u{1b}b");
    assert_eq!(client.line_after("a"), "\x1bb");
    let (rest, status) = server.end_by(Signal::SIGINT);
    assert_eq!(rest, ["close 1 1001"]);
    assert_eq!(status.code(), Some(0));
    let (_, status) = client.end();
    assert_eq!(status.code(), Some(0), "1001 is a proper end");
}

#[test]
fn a_second_server_on_the_port_says_so() {
    let (_server, url) = serve(&[]);
    let port = url.rsplit_once(':').unwrap().1;
    run(&["serve", "--port", port])
        .ended(1)
        .says("Address already in use");
    run(&["serve", "--echo", "--chat"]).ended(2);
    run(&["serve", "-o", "prot=1"])
        .ended(2)
        .says("did you mean port?");
}

#[test]
fn a_broadcast_reaches_everybody() {
    let (server, url) = serve(&["--broadcast"]);
    let hearer = Watched::start(&mut wsplug(&[
        "connect",
        &url,
        "--send",
        "first",
        "--keep-open",
    ]));
    hearer.line_after("first");
    let speaker = run(&["connect", &url, "--send", "second", "--once"]).ended(0);
    assert_eq!(speaker.out, "second\n");
    hearer.line_after("second");
    server.line_after("text 2 second");
}

#[test]
fn a_chat_has_names() {
    let (server, url) = serve(&["--chat"]);
    let ann = Watched::start(&mut wsplug(&[
        "connect",
        &format!("{url}/?name=ann"),
        "--send",
        "hello",
        "--keep-open",
    ]));
    ann.line_after("* ann has come");
    ann.line_after("ann: hello");
    let guest = run(&["connect", &format!("{url}/?x=1"), "--send", "hi", "--once"]).ended(0);
    assert_eq!(guest.out, "* guest-2 has come\n");
    ann.line_after("* guest-2 has come");
    ann.line_after("* guest-2 has gone");
    server.end_by(Signal::SIGTERM);
    assert_eq!(ann.end().1.code(), Some(0));
}

#[test]
fn only_who_is_known_comes_in() {
    let (_server, url) = serve(&["--auth", "basic:ann:secret", "--auth", "bearer:token"]);
    for who in ["basic:ann:secret", "bearer:token"] {
        run(&["connect", &url, "--auth", who, "--send", "x", "--once"]).ended(0);
    }
    let mut command = wsplug(&["connect", &url, "--send", "x", "--once"]);
    command.env("WSPLUG_AUTH", "bearer:token");
    finish(command, b"").ended(0);
    run(&["connect", &url, "--auth", "basic:ann:wrong"])
        .ended(1)
        .says("401");
    run(&["connect", &url, "--auth", "ann:secret"])
        .ended(2)
        .says("basic:USER:PASSWORD");
}

#[test]
fn it_speaks_tls_and_takes_one_path() {
    let certs = Certs::new();
    let pair = certs.server();
    let (_server, url) = serve(&[
        "--tls",
        &pair.cert,
        &pair.key,
        "--host",
        "localhost",
        "--path",
        "/here",
    ]);
    assert!(url.starts_with("wss://localhost:"), "{url}");
    let here = format!("{url}/here");
    let ca = certs.authority.cert.as_str();
    let talk = run(&["connect", &here, "--ca", ca, "--send", "x", "--once"]).ended(0);
    talk.says("TLS 1.3");
    run(&["connect", &here]).ended(1).says("unknown authority");
    run(&["connect", &here, "--insecure", "--send", "x", "--once"])
        .ended(0)
        .says("not verified");
    run(&["connect", &url, "--ca", ca]).ended(1).says("404");
}

#[test]
fn compression_is_taken_where_it_is_offered() {
    let (_server, url) = serve(&[]);
    let text = "again ".repeat(1000);
    let talk = run_with(&["connect", &url, "-z", "--once"], text.as_bytes()).ended(0);
    talk.says("extensions permessage-deflate");
    assert_eq!(talk.out, format!("{text}\n"));
}

#[test]
fn a_folder_is_served_beside_the_echo() {
    let certs = Certs::new();
    let folder = certs.path("site");
    fs::create_dir(&folder).unwrap();
    fs::write(format!("{folder}/index.html"), "<p>hello").unwrap();
    fs::write(format!("{folder}/a b.txt"), "text").unwrap();
    let (_server, url) = serve(&["--files", &folder]);
    let get = |path: &str| {
        let mut tcp = TcpStream::connect(url.strip_prefix("ws://").unwrap()).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        tcp.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(get("/").ends_with("\r\n\r\n<p>hello"));
    assert!(get("/a%20b.txt").ends_with("\r\n\r\ntext"));
    assert!(get("/nothing").starts_with("HTTP/1.1 404 "));
    run(&["connect", &url, "--send", "x", "--once"]).ended(0);
}

#[test]
fn python_talks_to_it() {
    let python = folder().join("python/bin/python");
    if !has(&python, "python") {
        return;
    }
    let (_server, url) = serve(&["--echo", "-o", r#"protocols=["chat"]"#]);
    let script = "import sys\nfrom websockets.sync.client import connect\n\
        with connect(sys.argv[1], subprotocols=['chat']) as c:\n    \
        c.send('x' * 100000); assert c.recv() == 'x' * 100000; c.send(b'\\0'); assert c.recv() == b'\\0'\n    \
        assert c.subprotocol == 'chat'\nassert c.close_code == 1000";
    let mut command = Command::new(python);
    command.args(["-c", script, &url]);
    finish(command, b"").ended(0);
}
