//! wireSize and payloadSize against what a peer counts.

use crate::adversary::{BINARY, CONTINUATION, Frame, Heard, PING, PONG, PROMPTLY, Peer, TEXT};
use crate::ask;
use crate::host::{Event, Host, WATCHDOG};
use crate::link::{
    Link, SIDES, connect, deflate, host, join, next_frame, noisy_text, records, serve,
};
use crate::zlib::Zlib;
use data_encoding::BASE64;
use serde_json::{Value, json};

fn sizes(of: &Value) -> (u64, u64) {
    (
        of["wireSize"].as_u64().expect("a wireSize"),
        of["payloadSize"].as_u64().expect("a payloadSize"),
    )
}

fn event_sizes(event: &Event) -> (u64, u64) {
    sizes(&event.0["context"])
}

/// Compressed or not, empty, just below and above what a header says in 1, 3 and 9 bytes.
fn texts() -> Vec<String> {
    let mut texts: Vec<_> = [
        0, 1, 50, 125, 126, 127, 1023, 1024, 3000, 65_535, 65_536, 200_000,
    ]
    .map(records)
    .into();
    texts.push(noisy_text(2000, 1));
    texts
}

#[test]
fn every_message_event_says_how_many_bytes_came_and_what_they_are() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        let mut link = connect(&host, side, &deflate(json!({})), "permessage-deflate");
        let deflater = zlib.deflater(15);
        for text in texts() {
            for (opcode, rsv) in [(TEXT, 0), (TEXT, 4), (BINARY, 0), (BINARY, 4)] {
                let payload = match rsv {
                    0 => text.clone().into_bytes(),
                    _ => zlib.deflate(deflater, text.as_bytes()),
                };
                link.send(&Frame::new(opcode, &payload).rsv(rsv));
                let event = host.event("message", link.client);
                assert_eq!(
                    event_sizes(&event),
                    (payload.len() as u64, text.len() as u64),
                    "{side:?}"
                );
                let data = event.context("data").as_str().unwrap();
                match opcode {
                    TEXT => assert!(data == text, "{side:?}, {} bytes", text.len()),
                    _ => assert!(
                        BASE64.decode(data.as_bytes()).unwrap() == text.as_bytes(),
                        "{side:?}"
                    ),
                }
            }
        }
    }
    host.leave();
}

#[test]
fn every_fragment_event_has_its_inflated_bytes_and_its_own_sizes() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        let mut link = connect(&host, side, &deflate(json!({})), "permessage-deflate");
        let deflater = zlib.deflater(15);
        for rsv in [0, 4] {
            for text in [records(3000), records(70_000), noisy_text(500, 2)] {
                let payload = match rsv {
                    0 => text.clone().into_bytes(),
                    _ => zlib.deflate(deflater, text.as_bytes()),
                };
                let chunks: Vec<_> = payload.chunks(payload.len().div_ceil(5)).collect();
                for (at, chunk) in chunks.iter().enumerate() {
                    let mut frame = Frame::new(if at == 0 { TEXT } else { CONTINUATION }, chunk);
                    frame.rsv = if at == 0 { rsv } else { 0 };
                    frame.is_final = at + 1 == chunks.len();
                    link.send(&frame);
                }
                let message = host.event("message", link.client);
                assert_eq!(
                    event_sizes(&message),
                    (payload.len() as u64, text.len() as u64),
                    "{side:?}"
                );
                let fragments =
                    host.take(|event| event.is("fragment") && event.client() == link.client);
                assert_eq!(fragments.len(), chunks.len() - 1, "{side:?}");
                let mut together = String::new();
                for (at, fragment) in fragments.iter().enumerate() {
                    let data = fragment.context("data").as_str().unwrap();
                    assert_eq!(
                        event_sizes(fragment),
                        (chunks[at].len() as u64, data.len() as u64),
                        "{side:?}"
                    );
                    assert_eq!(*fragment.context("index"), at);
                    together += data;
                }
                assert!(text.starts_with(&together), "{side:?}");
                assert!(
                    together.len() > text.len() / 2,
                    "{side:?}: {} of {} bytes",
                    together.len(),
                    text.len()
                );
            }
        }
    }
    host.leave();
}

#[test]
fn every_reply_of_client_send_says_what_goes_out() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        for header in [
            "",
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ] {
            let mut link = connect(&host, side, &deflate(json!({})), header);
            let kept = zlib.inflater();
            for text in texts() {
                let (reply, frame) = link.text_from_host(&host, &text);
                assert_eq!(
                    sizes(&reply),
                    (frame.payload.len() as u64, text.len() as u64),
                    "{side:?}, {header:?}"
                );
                assert_eq!(
                    (&reply["success"], &reply["compressionError"]),
                    (&json!(true), &json!(false))
                );
                assert_eq!(
                    frame.rsv == 4,
                    !header.is_empty() && text.len() >= 1024,
                    "{side:?}, {header:?}"
                );
                if frame.rsv == 4 {
                    let inflater = if header.contains(';') {
                        zlib.inflater()
                    } else {
                        kept
                    };
                    assert_eq!(
                        zlib.inflate(inflater, &frame.payload).as_deref(),
                        Ok(text.as_bytes())
                    );
                }
            }
        }
    }
    host.leave();
}

fn guests(host: &Host, server: i32, port: u16) -> Vec<(Link, &'static str)> {
    let headers = [
        "",
        "permessage-deflate",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
        "permessage-deflate; server_max_window_bits=8",
    ];
    let line = |header: &str| match header {
        "" => String::new(),
        _ => format!("Sec-WebSocket-Extensions: {header}\r\n"),
    };
    headers
        .map(|header| (join(host, server, port, &line(header)), header))
        .into()
}

#[test]
fn every_reply_of_server_send_says_what_goes_out_to_each() {
    let (host, mut zlib) = (host(), Zlib::new());
    let (server, port) = serve(&host, &deflate(json!({})));
    let mut guests = guests(&host, server, port);
    let kept: Vec<_> = guests
        .iter()
        .map(|(_, header)| zlib.strict_inflater(if header.ends_with("=8") { 8 } else { 15 }))
        .collect();
    for text in texts() {
        let reply = ask!(host, "server_send", server, 1, format!("={text}"), "~")
            .ok()
            .body;
        let replies = reply.as_array().unwrap();
        assert_eq!(replies.len(), guests.len());
        for (at, (link, header)) in guests.iter_mut().enumerate() {
            let frame = next_frame(&mut link.peer, PROMPTLY);
            let own = replies
                .iter()
                .find(|reply| reply["client"] == link.client)
                .expect("a reply for each");
            let what = format!("{header:?}, {} bytes: {own}", text.len());
            assert_eq!(
                sizes(own),
                (frame.payload.len() as u64, text.len() as u64),
                "{what}"
            );
            assert_eq!(own["success"], true, "{what}");
            let inflater = match header.contains("no_context") {
                true => zlib.inflater(),
                false => kept[at],
            };
            let payload = match frame.rsv {
                0 => Ok(frame.payload),
                _ => zlib.inflate(inflater, &frame.payload),
            };
            assert!(
                payload.as_deref() == Ok(text.as_bytes()),
                "{what}: {:?}",
                payload.err()
            );
        }
    }
    host.leave();
}

#[test]
fn pings_and_pongs_are_never_compressed_and_count_what_they_carry() {
    let host = host();
    for side in SIDES {
        let options = deflate(json!({"threshold": 0}));
        let mut link = connect(&host, side, &options, "permessage-deflate");
        for (kind, opcode, name) in [(9, PING, "ping"), (10, PONG, "pong")] {
            for length in [0_usize, 1, 125] {
                let payload = "a".repeat(length);
                link.send(&Frame::new(opcode, &payload));
                let event = host.event(name, link.client);
                assert_eq!(*event.context("wireSize"), length, "{side:?}, {name}");
                assert_eq!(event.context("data"), &payload[..], "{side:?}, {name}");
                if opcode == PING {
                    let pong = link.peer.frame();
                    assert_eq!(
                        (pong.opcode, pong.rsv, pong.payload.len()),
                        (PONG, 0, length)
                    );
                }
                let data = format!("={payload}");
                let reply = ask!(host, "client_send", link.client, kind, data).ok().body;
                assert_eq!(sizes(&reply), (length as u64, length as u64), "{side:?}");
                let Heard::Frame(frame) = link.peer.hear(PROMPTLY) else {
                    panic!("no {name}");
                };
                assert_eq!(
                    (frame.opcode, frame.rsv, frame.payload.len()),
                    (opcode, 0, length)
                );
            }
        }
    }
    host.leave();
}

/// Its JSON and its sizes do not depend on how events are fetched.
#[test]
fn messages_that_are_pulled_have_the_same_sizes() {
    let host = Host::spawn();
    let mut zlib = Zlib::new();
    let (server, port) = serve(&host, &deflate(json!({})));
    let mut peer = Peer::tcp(port).upgraded("Sec-WebSocket-Extensions: permessage-deflate\r\n");
    let text = records(5000);
    let payload = zlib.alone(text.as_bytes());
    peer.send(&Frame::text(&payload).rsv(4));
    let mut found = None;
    let deadline = std::time::Instant::now() + WATCHDOG;
    while found.is_none() && std::time::Instant::now() < deadline {
        let events = ask!(host, "server_messages", server, json!({"timeout": 1})).body;
        found = events
            .as_array()
            .unwrap()
            .iter()
            .find(|event| event["type"] == "message")
            .cloned();
    }
    let message = found.expect("the message");
    assert_eq!(sizes(&message["context"]), (payload.len() as u64, 5000));
    assert_eq!(message["context"]["data"], text);
    host.leave();
}
