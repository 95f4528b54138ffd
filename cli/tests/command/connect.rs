//! `wsplug connect`.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::certs::Certs;
use crate::run::{node, on_a_terminal, python, run, run_with, serve, wsplug};
use crate::scripted::{closing, frame, leaving, saying, sending, sending_slowly};

#[test]
fn lines_go_out_and_their_echoes_come_back() {
    let (_server, url) = serve(&[]);
    let lines = "one\nzwei, with ünïcode\n\nfour";
    let talk = run_with(&["connect", &url], lines.as_bytes()).ended(0);
    assert_eq!(talk.out, "one\nzwei, with ünïcode\n\nfour\n");
    talk.says("connected to ws://127.0.0.1:");
    talk.says("closed here: 1000");
}

#[test]
fn other_servers_are_talked_to() {
    for (_server, url) in [python(), node()].into_iter().flatten() {
        let talk = run(&[
            "connect", &url, "-s", "one", "-s", "two", "--send", "hello", "--once",
        ])
        .ended(0);
        assert_eq!(talk.out, "hello\n");
        talk.says("protocol two");
        run(&["connect", &url, "--send", "close 1000 bye", "--keep-open"]).ended(0);
        let closed = run(&["connect", &url, "--send", "close 4000 bye", "--keep-open"]).ended(124);
        closed.says("closed by the peer: 4000 bye");
    }
}

#[test]
fn the_exit_status_tells_how_it_ended() {
    let closed = |code, reason| {
        let port = sending(vec![closing(code, reason)]);
        run(&["connect", &format!("ws://127.0.0.1:{port}/"), "--keep-open"])
    };
    closed(1000, "").ended(0);
    closed(1001, "going down").ended(0).says("1001 going down");
    closed(1008, "rule").ended(108);
    closed(1011, "").ended(111);
    closed(3001, "own").ended(123);
    closed(4999, "own").ended(124);
    let lost = format!("ws://127.0.0.1:{}/", leaving());
    run(&["connect", &lost, "--keep-open"])
        .ended(106)
        .says("closed by the peer: 1006");
    // Something was waited for that did not come.
    let port = sending(vec![closing(1000, "")]);
    run(&["connect", &format!("ws://127.0.0.1:{port}/"), "--once"]).ended(1);
    let refused = saying("HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nnot \x1b[1myou");
    let refused = run(&["connect", &format!("ws://127.0.0.1:{refused}/")]).ended(1);
    refused.says("403 Forbidden");
    refused.says("not \u{fffd}[1my");
    run(&["connect", "http://127.0.0.1/"])
        .ended(2)
        .says("use ws://");
    run(&["connect", "ws://127.0.0.1/", "-o", "urll=1"])
        .ended(2)
        .says("did you mean url?");
    run(&["connect", "ws://127.0.0.1/", "-o", "maxMessage=0"])
        .ended(2)
        .says("maxMessage");
    run(&["connect"]).ended(2);
}

#[test]
fn a_hostile_server_cannot_drive_the_terminal() {
    let evil = "\x1b]0;owned\x07\x1b[2J\u{9b}31mred\r\u{202e}x\nsecond\t.";
    let port = sending(vec![
        frame(1, evil),
        frame(2, [0x1b, b'[', b'2', b'J']),
        closing(4000, "\x1b[2Jbye\u{9d}"),
    ]);
    let url = format!("ws://127.0.0.1:{port}/");
    let (code, written) = on_a_terminal(&["connect", &url, "--send", "x", "--keep-open"], &[]);
    assert_eq!(code, 124);
    let written = String::from_utf8(written).unwrap();
    assert!(
        written.contains("\x1b[36m< "),
        "colours on a terminal: {written:?}"
    );
    let plain = without_colours(&written);
    assert!(
        !plain.contains(|letter: char| letter.is_control() && !"\r\n\t".contains(letter)),
        "{written:?}"
    );
    assert!(!plain.contains('\u{202e}'), "{written:?}");
    // Its second line is indented: it cannot pass for something else.
    assert!(
        plain.contains("\\u{1b}]0;owned\\u{7}\\u{1b}[2J\\u{9b}31mred\\r\\u{202e}x\r\n  second\t."),
        "{plain:?}"
    );
    assert!(
        plain.contains("< binary, 4 bytes: 1b 5b 32 4a"),
        "{plain:?}"
    );
    assert!(plain.contains("4000 \\u{1b}[2Jbye\\u{9d}"), "{plain:?}");

    let (_, written) = on_a_terminal(
        &["connect", &url, "--send", "x", "--keep-open"],
        &[("NO_COLOR", "1")],
    );
    assert!(
        !written.contains(&0x1b),
        "{:?}",
        String::from_utf8_lossy(&written)
    );
}

#[test]
fn a_pipe_gets_texts_as_they_are() {
    let text = "{\n\t\"a\": \"\x1b\"\n}";
    let url = format!("ws://127.0.0.1:{}/", sending(vec![frame(1, text)]));
    let talk = run(&["connect", &url, "--once"]);
    assert_eq!(talk.out, format!("{text}\n"));
}

#[test]
fn binary_messages_come_as_digits_as_bytes_or_into_a_file() {
    let (_server, url) = serve(&[]);
    let talk = run_with(&["connect", &url, "--binary", "--once"], b"a\xff\n").ended(0);
    assert_eq!(talk.out, "< binary, 2 bytes: 61 ff\n");
    let talk = run_with(
        &[
            "connect", &url, "--binary", "--whole", "--once", "--raw", "--quiet",
        ],
        b"a\n\0",
    )
    .ended(0);
    assert_eq!((talk.out.as_str(), talk.err.as_str()), ("a\n\0", ""));
    let talk = run_with(&["connect", &url], b"fine\nbroken \xff\n").ended(1);
    talk.says("line 2 is not UTF-8");
}

#[test]
fn files_go_out_whole_or_in_pieces_and_come_back() {
    let (_server, url) = serve(&[]);
    let folder = Certs::new();
    let (sent, came) = (folder.path("sent"), folder.path("came"));
    let bytes: Vec<u8> = (0..3_000_000u32)
        .map(|number| (number * 7 / 3) as u8)
        .collect();
    fs::write(&sent, &bytes).unwrap();
    run(&["connect", &url, "-f", &sent, "--once", "--output", &came]).ended(0);
    assert!(fs::read(&came).unwrap() == bytes);
    let talk = run(&[
        "connect", &url, "-f", &sent, "--chunk", "100000", "--output", &came,
    ])
    .ended(0);
    assert!(fs::read(&came).unwrap() == bytes);
    assert_eq!(talk.err.matches("written").count(), 30);
    run(&["connect", &url, "-f", &folder.path("nowhere")])
        .ended(1)
        .says("nowhere");

    let (_, written) = on_a_terminal(&["connect", &url, "-f", &sent, "--linger", "0.1"], &[]);
    let written = String::from_utf8_lossy(&written).into_owned();
    assert!(
        written.contains("2.86 MiB of 2.86 MiB"),
        "progress on a terminal: {written}"
    );
}

#[test]
fn a_large_message_that_comes_slowly_shows_how_far_it_is() {
    const THIRD: usize = 1_200_000;
    let mut begin = vec![0x82, 127];
    begin.extend((3 * THIRD as u64).to_be_bytes());
    begin.resize(begin.len() + THIRD, 1);
    let rest = [vec![2; THIRD], vec![3; THIRD], closing(1000, "")];
    let port = sending_slowly([begin].into_iter().chain(rest).collect());
    let folder = Certs::new();
    let came = folder.path("came");
    let url = format!("ws://127.0.0.1:{port}/");
    // It takes longer than what is silence after the end of the input: a message on its way is none.
    let arguments = [
        "connect", &url, "--send", "x", "--linger", "0.5", "--output", &came,
    ];
    let (code, written) = on_a_terminal(&arguments, &[]);
    let written = String::from_utf8_lossy(&written).into_owned();
    assert_eq!(code, 0, "{written}");
    assert!(written.contains("2.29 MiB have come"), "{written}");
    assert!(written.contains("3.43 MiB written"), "{written}");
    let bytes = fs::read(&came).unwrap();
    let thirds: Vec<u8> = bytes.chunks(THIRD).map(|third| third[0]).collect();
    assert_eq!((bytes.len(), thirds), (3 * THIRD, vec![1, 2, 3]));
}

#[test]
fn ctrl_c_closes_properly() {
    let (server, url) = serve(&[]);
    let mut child = wsplug(&["connect", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"here\n").unwrap();
    server.line_after("text 1 here");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    server.line_after("close 1 1000");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_lost_connection_is_reported_or_comes_back() {
    let lost = format!("ws://127.0.0.1:{}/", leaving());
    let many = run(&[
        "connect",
        &lost,
        "--reconnect",
        "--keep-open",
        "-o",
        "maxRetries=1",
        "--send",
        "x",
        "-o",
        "minWaitBetweenReconnectionRetries=1",
        "-o",
        "maxWaitBetweenReconnectionRetries=1",
        "--linger",
        "0.2",
    ]);
    many.ended(2).says("cannot be used with");
    let (server, url) = serve(&["-o", "maxConnections=1"]);
    let port = url.rsplit_once(':').unwrap().1.to_owned();
    let mut child = wsplug(&[
        "connect",
        &url,
        "--reconnect",
        "-o",
        "minWaitBetweenReconnectionRetries=1",
        "-o",
        "maxWaitBetweenReconnectionRetries=20",
    ])
    .stdin(Stdio::piped())
    .stdout(Stdio::null())
    .stderr(Stdio::null())
    .spawn()
    .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"before\n").unwrap();
    server.line_after("text 1 before");
    server.end_by(Signal::SIGTERM);
    let again = crate::interop_peers::Watched::start(&mut wsplug(&["serve", "--port", &port]));
    again.line_after("open 1");
    stdin.write_all(b"after\n").unwrap();
    again.line_after("text 1 after");
    drop(stdin);
    again.line_after("close 1 1000");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Without the sequences that change colours.
fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("\x1b[") {
        let end = behind.find(|letter: char| !letter.is_ascii_digit() && letter != ';');
        plain += before;
        match end.map(|end| behind.split_at(end)) {
            Some((_, after)) if after.starts_with('m') => rest = &after[1..],
            _ => {
                plain += "\x1b[";
                rest = behind;
            }
        }
    }
    plain + rest
}
