//! Bombs, limits and corrupt data.

use crate::adversary::{BINARY, CONTINUATION, Frame, PROMPTLY};
use crate::host::{Host, WATCHDOG};
use crate::link::{SIDES, connect, deflate, host, noise, records, with};
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
            for pieces in [1, 2, 40] {
                let host = host();
                // What "fragment" tells of what has come so far is the host's.
                let options = with(
                    deflate(json!({})),
                    &json!({"maxMessage": limit, "fragments": false}),
                );
                // What is made once and kept is not the bomb's.
                let mut first = connect(&host, side, &options, PLAIN);
                first.text_from_host(&host, &records(4000));
                let hello = zlib.alone(records(4000).as_bytes());
                first.send(&Frame::text(&hello).rsv(4));
                host.event("message", first.client);
                let mut link = connect(&host, side, &options, PLAIN);
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
                let what = format!("{side:?}, limit {limit}, {pieces} frames");
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
                assert!(grown < limit + MIB, "{what}: grown by {} KiB", grown >> 10);
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
