//! Bombs, limits and corrupt data.

use crate::adversary::{BINARY, CONTINUATION, Frame, PROMPTLY, TEXT};
use crate::ask;
use crate::host::{Host, INTERNAL, OK, WATCHDOG, soon};
use crate::link::{SIDES, Side, ask_for, connect, deflate, host, noise, records, serve, with};
use crate::zlib::Zlib;
use serde_json::json;

const MIB: u64 = 1 << 20;
const PLAIN: &str = "permessage-deflate";

// Row 4 of the table of faults.
#[test]
fn a_bomb_is_closed_with_1009_before_it_takes_more_than_the_limit() {
    let mut zlib = Zlib::new();
    let bomb = zlib.bomb(512);
    assert!((500_000..540_000).contains(&bomb.len()), "{}", bomb.len());
    for side in SIDES {
        for limit in [MIB, 16 * MIB] {
            // In as many frames, with or without an event for each.
            for (pieces, fragments) in [
                (1, true),
                (2, true),
                (40, true),
                (40, false),
                (10_000, true),
            ] {
                let host = host();
                let options = with(
                    deflate(json!({})),
                    &json!({"maxMessage": limit, "fragments": fragments}),
                );
                // What is made once and kept is not the bomb's.
                let mut first = connect(&host, side, &options, PLAIN);
                first.text_from_host(&host, &records(4000));
                let hello = zlib.alone(records(4000).as_bytes());
                first.send(&Frame::text(&hello).rsv(4));
                host.event("message", first.client);
                let mut link = connect(&host, side, &options, PLAIN);
                ask!(host, "quiet", "fragment").ok();
                host.forget_peak();
                let before = host.rss();
                let chunks: Vec<_> = bomb.chunks(bomb.len().div_ceil(pieces)).collect();
                for (at, chunk) in chunks.iter().enumerate() {
                    let mut frame = match at {
                        0 => Frame::new(BINARY, chunk).rsv(4),
                        _ => Frame::new(CONTINUATION, chunk),
                    };
                    frame.is_final = at + 1 == chunks.len();
                    link.send(&frame);
                }
                let what = format!("{side:?}, limit {limit}, {pieces} frames, told: {fragments}");
                let (code, reason) = link.peer.close_frame(WATCHDOG);
                assert_eq!(code, 1009, "{what}: {reason}");
                assert!(reason.contains(&limit.to_string()), "{what}: {reason}");
                let event = link.close_event(&host);
                assert_eq!(
                    (event.code(), event.reason()),
                    (1009, &reason[..]),
                    "{what}"
                );
                let grown = host.peak_rss().saturating_sub(before);
                println!("{what}: +{} KiB", grown >> 10);
                // This host takes its events as JSON, in which a fragment's bytes stand as base64.
                let json = if fragments { limit * 4 / 3 } else { 0 };
                let most = limit + MIB + json;
                assert!(grown < most, "{what}: grown by {} KiB", grown >> 10);
                // Others are unharmed.
                first.send(&Frame::text("still here"));
                assert_eq!(
                    host.event("message", first.client).context("data"),
                    "still here"
                );
                host.leave();
            }
        }
    }
}

/// What waits for the host is there once: the message in progress and its fragments share it.
#[test]
fn fragments_that_wait_for_the_host_do_not_double_a_bomb() {
    let mut zlib = Zlib::new();
    let bomb = zlib.bomb(512);
    let limit = 16 * MIB;
    for side in SIDES {
        // Nobody takes the events: they are pulled, later.
        let host = Host::spawn();
        let options = with(deflate(json!({})), &json!({"maxMessage": limit}));
        let (mut peer, client) = match side {
            Side::Server => {
                let (server, port) = serve(&host, &options);
                let line = format!("Sec-WebSocket-Extensions: {PLAIN}\r\n");
                let peer = crate::adversary::Peer::tcp(port).upgraded(&line);
                let clients = || ask!(host, "server_clients", server).ok().body;
                assert!(soon(WATCHDOG, || clients()[0].is_i64()));
                (peer, clients()[0].as_i64().unwrap() as i32)
            }
            Side::Client => {
                let (peer, client, _, starting) = ask_for(&host, &options);
                let peer = peer.answered(&format!("Sec-WebSocket-Extensions: {PLAIN}\r\n"));
                host.reply(&starting, WATCHDOG).ok();
                (peer, client)
            }
        };
        host.forget_peak();
        let before = host.rss();
        for (at, chunk) in bomb.chunks(bomb.len() / 400).enumerate() {
            let frame = match at {
                0 => Frame::new(BINARY, chunk).rsv(4),
                _ => Frame::new(CONTINUATION, chunk),
            };
            peer.send(&frame.not_final());
        }
        assert_eq!(peer.close_frame(WATCHDOG).0, 1009, "{side:?}");
        let grown = host.peak_rss().saturating_sub(before);
        println!("{side:?}: +{} KiB", grown >> 10);
        assert!(
            grown < limit + MIB,
            "{side:?}: grown by {} KiB",
            grown >> 10
        );
        // They are there, whole, and then the end.
        let (mut index, mut bytes, mut closed) = (0, 0, 0);
        while closed == 0 {
            let options = json!({"timeout": 5, "max": 1});
            let events = ask!(host, "client_messages", client, options).ok().body;
            let event = &events[0];
            match event["type"].as_str() {
                Some("open") => {}
                Some("fragment") => {
                    assert_eq!(event["context"]["index"], index);
                    index += 1;
                    bytes += event["context"]["payloadSize"].as_u64().unwrap();
                }
                Some("close") => closed = event["context"]["code"].as_i64().unwrap(),
                _ => panic!("{events}"),
            }
        }
        assert_eq!(closed, 1009);
        assert!(
            index > 5 && bytes > limit / 2 && bytes <= limit,
            "{index}, {bytes}"
        );
        host.leave();
    }
}

/// The message, put together from what it shared with its fragments, is the one that was sent.
#[test]
fn a_message_of_long_fragments_is_whole_with_and_without_compression() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        let mut link = connect(&host, side, &deflate(json!({})), PLAIN);
        let deflater = zlib.deflater(15);
        for rsv in [0, 4] {
            let text = records(300_000);
            let payload = match rsv {
                0 => text.clone().into_bytes(),
                _ => zlib.deflate(deflater, text.as_bytes()),
            };
            // Long, short and empty ones, so that some are shared and some copied.
            let mut rest = &payload[..];
            let mut told = String::new();
            for (at, length) in [20_000, 10, 0, 5000, 3, 1, 4096, 4095, usize::MAX]
                .into_iter()
                .enumerate()
            {
                let (chunk, behind) = rest.split_at(length.min(rest.len()));
                rest = behind;
                let mut frame = Frame::new(if at == 0 { TEXT } else { CONTINUATION }, chunk);
                frame.rsv = if at == 0 { rsv } else { 0 };
                frame.is_final = rest.is_empty();
                link.send(&frame);
                if frame.is_final {
                    break;
                }
                let fragment = host.event("fragment", link.client);
                assert_eq!(*fragment.context("wireSize"), chunk.len(), "{side:?}");
                told += fragment.context("data").as_str().unwrap();
            }
            assert!(
                text.starts_with(&told) && told.len() > 20_000,
                "{side:?}, {rsv}"
            );
            let message = host.event("message", link.client);
            assert!(message.context("data") == &text[..], "{side:?}, {rsv}");
            assert_eq!(*message.context("wireSize"), payload.len(), "{side:?}");
        }
    }
    host.leave();
}

#[test]
fn a_message_that_cannot_be_compressed_is_told_in_the_reply_and_nothing_of_it_is_sent() {
    let mut zlib = Zlib::new();
    for side in SIDES {
        let host = host();
        let options = deflate(json!({"memLevel": 9}));
        let mut links: Vec<_> = (0..30)
            .map(|_| connect(&host, side, &options, PLAIN))
            .collect();
        // Everything else that a send needs is there.
        links[0].text_from_host(&host, &records(3000));
        // No room for thirty compressors.
        ask!(host, "limit_memory", 1024).ok();
        let mut failed = vec![];
        for (at, link) in links.iter().enumerate().skip(1) {
            let reply = ask!(
                host,
                "client_send",
                link.client,
                1,
                format!("={}", records(3000))
            );
            let body = &reply.body;
            assert_eq!(body["compressionError"], reply.status != OK, "{body}");
            assert_eq!(body["success"], reply.status == OK, "{body}");
            if reply.status != OK {
                assert_eq!(reply.status, INTERNAL, "{body}");
                assert_eq!(
                    (&body["payloadSize"], &body["wireSize"]),
                    (&json!(0), &json!(0))
                );
                let message = body["error"]["message"].as_str().unwrap();
                assert!(
                    message.contains("compressed") && message.contains("memory"),
                    "{body}"
                );
                failed.push(at);
            }
        }
        assert!(!failed.is_empty(), "{side:?}: there was memory for all");
        // A server's reply says it of each of its connections.
        if side == Side::Server {
            let server = links[*failed.last().unwrap()].server;
            let text = format!("={}", records(2000));
            let reply = ask!(host, "server_send", server, 1, text, "~").body;
            assert_eq!(reply[0]["compressionError"], true, "{reply}");
            assert_eq!(reply[0]["success"], false, "{reply}");
        }
        ask!(host, "limit_memory", -1).ok();
        for at in failed {
            let link = &mut links[at];
            let (reply, frame) = link.text_from_host(&host, "short");
            assert_eq!((frame.rsv, &frame.payload[..]), (0, &b"short"[..]));
            assert_eq!(reply["compressionError"], false);
            let (_, frame) = link.text_from_host(&host, &records(3000));
            let inflater = zlib.inflater();
            assert_eq!(
                (frame.rsv, zlib.inflate(inflater, &frame.payload).as_deref()),
                (4, Ok(records(3000).as_bytes()))
            );
        }
        host.leave();
    }
}

#[test]
fn the_limit_counts_what_comes_out_to_the_byte() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        let options = with(deflate(json!({})), &json!({"maxMessage": 100_000}));
        for pieces in [1, 3] {
            for (length, is_taken) in [
                (99_999, true),
                (100_000, true),
                (100_001, false),
                (200_000, false),
            ] {
                let mut link = connect(&host, side, &options, PLAIN);
                let payload = zlib.alone(records(length).as_bytes());
                let chunks: Vec<_> = payload.chunks(payload.len().div_ceil(pieces)).collect();
                for (at, chunk) in chunks.iter().enumerate() {
                    let mut frame = match at {
                        0 => Frame::text(chunk).rsv(4),
                        _ => Frame::new(CONTINUATION, chunk),
                    };
                    frame.is_final = at + 1 == chunks.len();
                    link.send(&frame);
                }
                if is_taken {
                    let message = host.event("message", link.client);
                    assert_eq!(*message.context("payloadSize"), length, "{side:?}");
                } else {
                    link.is_closed_with(
                        &host,
                        &format!("{side:?}, {length}, {pieces} frames"),
                        1009,
                    );
                }
                host.take(|event| event.is("fragment"));
            }
        }
    }
    host.leave();
}

/// What cannot be compressed takes some bytes more on the wire than it has.
#[test]
fn a_message_as_long_as_the_limit_is_taken_also_where_compression_made_it_longer() {
    let (host, mut zlib) = (host(), Zlib::new());
    let message = noise(10_000, 3);
    let payload = zlib.alone(&message);
    assert!(payload.len() > message.len());
    for side in SIDES {
        let options = with(deflate(json!({})), &json!({"maxMessage": message.len()}));
        let mut link = connect(&host, side, &options, PLAIN);
        link.send(&Frame::new(BINARY, &payload).rsv(4));
        link.send(&Frame::new(BINARY, &payload[..9000]).rsv(4).not_final());
        link.send(&Frame::new(CONTINUATION, &payload[9000..]));
        for _ in 0..2 {
            let event = host.wait_for("message or close", WATCHDOG, |event| {
                event.client() == link.client && (event.is("message") || event.is("close"))
            });
            assert_eq!(
                *event.context("payloadSize"),
                message.len(),
                "{side:?}: {event:?}"
            );
        }
    }
    host.leave();
}

#[test]
fn corrupt_data_is_an_error_of_decompression_and_closed_with_1007() {
    let (host, mut zlib) = (host(), Zlib::new());
    let good = zlib.alone(records(3000).as_bytes());
    let mut broken = good.clone();
    broken[40..60].fill(0xff);
    let table: [(&str, &[u8]); 6] = [
        ("a reserved block type", b"\x07"),
        (
            "a reserved block type behind a good block",
            b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x07",
        ),
        (
            "a stored block whose length is not confirmed",
            b"\x00\x05\x00\x00\x00Hello\x00",
        ),
        ("a reference to before the beginning", b"\x02\x02\x00"),
        (
            "text that was never compressed",
            b"this is plain text, not compressed",
        ),
        ("bytes overwritten", &broken),
    ];
    is_corrupt(&host, &table);
    host.leave();
}

/// What is missing must not be made up from what a sync flush ends with.
#[test]
fn a_message_that_was_cut_off_is_corrupt_too() {
    let (host, mut zlib) = (host(), Zlib::new());
    let good = zlib.alone(records(3000).as_bytes());
    is_corrupt(
        &host,
        &[
            ("one byte cut off", &good[..good.len() - 1]),
            ("half cut off", &good[..good.len() / 2]),
            ("all but a little cut off", &good[..20]),
            ("a stored block cut off", b"\x00\x06\x00\xf9\xffHe"),
            (
                "cut off in the table of a dynamic block",
                b"\x6d\xd2\x4d\x6a\xc3\x40\x0c\x05\xe0\xab",
            ),
            (
                "a final block without another behind it",
                b"\xf3\x48\xcd\xc9\xc9\x07\x00",
            ),
        ],
    );
    host.leave();
}

fn is_corrupt(host: &Host, table: &[(&str, &[u8])]) {
    let mut missed = vec![];
    for side in SIDES {
        for &(what, payload) in table {
            for is_split in [false, true] {
                let mut link = connect(host, side, &deflate(json!({})), PLAIN);
                match is_split {
                    false => link.send(&Frame::new(BINARY, payload).rsv(4)),
                    true => {
                        let (one, two) = payload.split_at(payload.len() / 2);
                        link.send(&Frame::new(BINARY, one).rsv(4).not_final());
                        link.send(&Frame::new(CONTINUATION, two));
                    }
                }
                let what = format!("{side:?}, {what}, split {is_split}");
                let first = host.wait_for(&what, WATCHDOG, |event| {
                    event.client() == link.client
                        && ["message", "error", "close"]
                            .iter()
                            .any(|kind| event.is(kind))
                });
                if !first.is("error") {
                    missed.push(format!(
                        "{what}: {}, {} bytes",
                        first.0["event"],
                        first.context("payloadSize")
                    ));
                    continue;
                }
                assert_eq!(
                    *first.context("decompressionError"),
                    true,
                    "{what}: {first:?}"
                );
                assert!(
                    first
                        .context("reason")
                        .as_str()
                        .is_some_and(|reason| !reason.is_empty())
                );
                link.is_closed_with(host, &what, 1007);
            }
        }
    }
    assert!(missed.is_empty(), "taken for good: {missed:#?}");
}

#[test]
fn a_compressed_text_that_is_no_utf_8_is_closed_with_1007_but_is_no_error_of_decompression() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        for split in [false, true] {
            let mut link = connect(&host, side, &deflate(json!({})), PLAIN);
            let payload = zlib.alone(b"caf\xc3\xa9 caf\xe9 caf");
            if split {
                link.send(&Frame::text(&payload[..4]).rsv(4).not_final());
                link.send(&Frame::new(CONTINUATION, &payload[4..]));
            } else {
                link.send(&Frame::text(&payload).rsv(4));
            }
            link.is_closed_with(&host, &format!("{side:?}"), 1007);
            assert_eq!(
                host.take(|event| event.is("error") && event.client() == link.client),
                []
            );
        }
        // A character may be divided between two fragments.
        let mut link = connect(&host, side, &deflate(json!({})), PLAIN);
        let payload = b"\x00\x05\x00\xfa\xffcaf\xc3\xa9\x00";
        link.send(&Frame::text(&payload[..9]).rsv(4).not_final());
        link.send(&Frame::new(CONTINUATION, &payload[9..]));
        assert_eq!(host.event("message", link.client).context("data"), "café");
    }
    host.leave();
}

#[test]
fn a_stream_that_gives_nothing_ends_at_a_limit_too() {
    let host = host();
    // Empty stored blocks: five bytes in, none out.
    let empty: Vec<u8> = b"\0\0\0\xff\xff".repeat(100_000);
    for side in SIDES {
        let options = with(
            deflate(json!({})),
            &json!({"maxMessage": 100_000, "fragments": false}),
        );
        let mut link = connect(&host, side, &options, PLAIN);
        link.send(&Frame::new(BINARY, &empty).rsv(4));
        assert_eq!(link.peer.close_frame(PROMPTLY).0, 1009, "{side:?}");
    }
    host.leave();
}
