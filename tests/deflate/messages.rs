//! What compressed messages may look like, and what they may not.

use crate::adversary::{BINARY, CONTINUATION, Frame, PING, PONG, PROMPTLY, TEXT};
use crate::ask;
use crate::host::Host;
use crate::link::{
    Link, SIDES, Side, connect, deflate, host, next_frame, noise, noisy_text, records, with,
};
use crate::zlib::Zlib;
use serde_json::{Value, json};
use std::time::Duration;

const PLAIN: &str = "permessage-deflate";

fn link(host: &Host, side: Side) -> Link {
    connect(host, side, &deflate(json!({"threshold": 0})), PLAIN)
}

/// The host sends back at once, compressed, what the peer sends.
fn echoing(host: &Host, side: Side, members: Value) -> Link {
    let echo = json!({"method": "echo", "dispatch": "inline"});
    let members = with(deflate(with(json!({"threshold": 0}), &members)), &echo);
    // The echo method's host does not show "open", so that the link is made by hand.
    match side {
        Side::Server => {
            let (server, port) = crate::link::serve(host, &members);
            let peer = crate::adversary::Peer::tcp(port)
                .upgraded("Sec-WebSocket-Extensions: permessage-deflate\r\n");
            Link {
                peer,
                client: 0,
                server,
                said: String::new(),
                open: Value::Null,
                started: Value::Null,
            }
        }
        Side::Client => {
            let (peer, client, said, starting) = crate::link::ask_for(host, &members);
            let mut answer = String::from(PLAIN);
            for name in ["server_no_context_takeover", "client_no_context_takeover"] {
                if said.contains(name) {
                    answer += &format!("; {name}");
                }
            }
            let peer = peer.answered(&format!("Sec-WebSocket-Extensions: {answer}\r\n"));
            host.reply(&starting, PROMPTLY).ok();
            Link {
                peer,
                client,
                server: 0,
                said,
                open: Value::Null,
                started: Value::Null,
            }
        }
    }
}

#[test]
fn the_examples_of_rfc_7692_section_7_2_3_are_hello() {
    let host = host();
    for side in SIDES {
        let mut link = link(&host, side);
        for (what, payload) in [
            ("one block", &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..]),
            ("the shared window", b"\xf2\x00\x11\x00\x00"),
            (
                "a stored block",
                b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
            ),
            ("a final block", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
            (
                "two blocks",
                b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
            ),
        ] {
            link.send(&Frame::text(payload).rsv(4));
            let message = host.event("message", link.client);
            assert_eq!(message.context("data"), "Hello", "{side:?}: {what}");
            assert_eq!(
                *message.context("wireSize"),
                payload.len(),
                "{side:?}: {what}"
            );
        }
        // Two fragments, of which only the first has RSV1.
        link.send(&Frame::text(b"\xf2\x48\xcd").rsv(4).not_final());
        link.send(&Frame::new(CONTINUATION, b"\xc9\xc9\x07\x00"));
        assert_eq!(
            host.event("message", link.client).context("data"),
            "Hello",
            "{side:?}"
        );
    }
    host.leave();
}

#[test]
fn messages_in_final_blocks_are_understood_and_others_follow_them() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        let mut link = link(&host, side);
        for length in [0, 1, 100, 5000, 40_000] {
            let text = records(length);
            let ending = zlib.deflater(15);
            let last = zlib.deflate_finally(ending, text.as_bytes());
            // The whole, and in two fragments; then an ordinary message by a new deflater, as such peers have it.
            link.send(&Frame::text(&last).rsv(4));
            assert_eq!(
                host.event("message", link.client).context("data"),
                &text[..],
                "{side:?}"
            );
            link.send(&Frame::text(&last[..last.len() / 2]).rsv(4).not_final());
            link.send(&Frame::new(CONTINUATION, &last[last.len() / 2..]));
            assert_eq!(
                host.event("message", link.client).context("data"),
                &text[..],
                "{side:?}"
            );
            let plain = zlib.alone(text.as_bytes());
            link.send(&Frame::text(&plain).rsv(4));
            assert_eq!(
                host.event("message", link.client).context("data"),
                &text[..],
                "{side:?}"
            );
            // A final block in the middle of a message.
            let first = zlib.deflater(15);
            let mut both = zlib.deflate_finally(first, text.as_bytes());
            // Its trailing zero is the head of an empty stored block, whose length codec.py leaves out.
            both.extend_from_slice(b"\0\0\xff\xff");
            both.extend_from_slice(&plain);
            link.send(&Frame::text(&both).rsv(4));
            let twice = format!("{text}{text}");
            assert_eq!(
                host.event("message", link.client).context("data"),
                &twice[..],
                "{side:?}, {length}"
            );
        }
        host.take(|event| event.is("fragment"));
    }
    host.leave();
}

#[test]
fn empty_messages_are_compressed_and_understood() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        for members in [
            json!({}),
            json!({"serverNoContextTakeover": true, "clientNoContextTakeover": true}),
        ] {
            let mut link = echoing(&host, side, members);
            let inflater = zlib.inflater();
            for payload in [
                &b"\0"[..],
                b"\x02\0",
                b"\0\0\0\xff\xff\0",
                b"\x01\0\0\xff\xff\0",
            ] {
                for opcode in [TEXT, BINARY] {
                    link.send(&Frame::new(opcode, payload).rsv(4));
                    let echo = next_frame(&mut link.peer, PROMPTLY);
                    assert_eq!((echo.opcode, echo.rsv), (opcode, 4));
                    // RFC 7692 § 7.2.3.6.
                    assert_eq!(echo.payload, [0]);
                    assert_eq!(
                        zlib.inflate(inflater, &echo.payload).as_deref(),
                        Ok(&b""[..])
                    );
                }
            }
            link.send(&Frame::text(""));
            assert_eq!(next_frame(&mut link.peer, PROMPTLY).payload, [0]);
            // All of it in fragments without a byte, but one.
            link.send(&Frame::text("").rsv(4).not_final());
            link.send(&Frame::new(CONTINUATION, "").not_final());
            link.send(&Frame::new(CONTINUATION, b"\0"));
            assert_eq!(next_frame(&mut link.peer, PROMPTLY).payload, [0]);
        }
    }
    host.leave();
}

#[test]
fn messages_that_end_exactly_at_a_buffers_end_come_whole() {
    const STEP: usize = 32 * 1024;
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        for members in [
            json!({}),
            json!({"serverNoContextTakeover": true, "clientNoContextTakeover": true}),
            json!({"level": 1}),
            json!({"level": 0}),
        ] {
            let mut link = echoing(&host, side, members.clone());
            let is_alone = !members["serverNoContextTakeover"].is_null();
            let mut inflater = zlib.inflater();
            let mut lengths = vec![];
            // Each length once, so that what is compressed ends at, before and behind 32 and 64 KiB, tail or not.
            for end in [STEP, 2 * STEP] {
                let mut size = end;
                // Towards each length around the end; some cannot be, as the assertion below says.
                for target in (end - 3..end + 8).flat_map(|target| [target; 6]) {
                    let message = noisy_text(size, 7).into_bytes();
                    link.send(&Frame::new(BINARY, &message));
                    let echo = next_frame(&mut link.peer, PROMPTLY);
                    assert_eq!(echo.rsv, 4, "{side:?}, {members}, {size}");
                    if is_alone {
                        inflater = zlib.inflater();
                    }
                    let inflated = zlib.inflate(inflater, &echo.payload);
                    assert!(
                        inflated.as_deref() == Ok(&message[..]),
                        "{side:?}, {members}, {size}: {:?}",
                        inflated.err()
                    );
                    let length = echo.payload.len() + 4;
                    lengths.push(length);
                    let more = (target as f64 - length as f64) * size as f64 / length as f64;
                    size = (size as f64 + more.signum() * more.abs().ceil()) as usize;
                }
            }
            // zlib repeats the flush's five bytes where the first lot has just filled the room that it was given.
            let stores = members["level"] == 0;
            for end in [STEP, 2 * STEP] {
                let just = |from, to| lengths.iter().any(|length| (from..=to).contains(length));
                assert!(
                    stores || just(end - 1, end - 1) && just(end, end + 5),
                    "{side:?}, {members}: none ends at {end}"
                );
            }
            // Inflated to exactly that many bytes.
            for size in [STEP - 1, STEP, STEP + 1, 2 * STEP, 16 * STEP] {
                let message = records(size);
                let compressed = zlib.alone(message.as_bytes());
                link.send(&Frame::text(&compressed).rsv(4));
                let echo = next_frame(&mut link.peer, PROMPTLY);
                if is_alone {
                    inflater = zlib.inflater();
                }
                let inflated = zlib.inflate(inflater, &echo.payload);
                assert!(
                    inflated.as_deref() == Ok(message.as_bytes()),
                    "{side:?}, {members}, {size}"
                );
            }
        }
    }
    host.leave();
}

#[test]
fn fragments_of_a_compressed_message_may_have_control_frames_between() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        let mut link = link(&host, side);
        let deflater = zlib.deflater(15);
        for pieces in [1, 2, 3, 50, 1000] {
            let text = records(20_000 + pieces);
            let payload = zlib.deflate(deflater, text.as_bytes());
            let chunks: Vec<_> = payload.chunks(payload.len().div_ceil(pieces)).collect();
            for (at, chunk) in chunks.iter().enumerate() {
                let mut frame = match at {
                    0 => Frame::text(chunk).rsv(4),
                    _ => Frame::new(CONTINUATION, chunk),
                };
                frame.is_final = at + 1 == chunks.len();
                link.send(&frame);
                if at % 10 == 0 && !frame.is_final {
                    link.send(&Frame::new(PING, format!("{pieces} {at}")));
                    let pong = next_frame(&mut link.peer, PROMPTLY);
                    assert_eq!((pong.opcode, pong.rsv), (PONG, 0));
                    assert_eq!(pong.payload, format!("{pieces} {at}").as_bytes());
                }
            }
            let message = host.event("message", link.client);
            assert_eq!(message.context("data"), &text[..], "{side:?}, {pieces}");
            assert_eq!(
                *message.context("wireSize"),
                payload.len(),
                "{side:?}, {pieces}"
            );
        }
        // Plain ones are as good as before: RSV1 belongs to the message.
        link.send(&Frame::text("pl").not_final());
        link.send(&Frame::new(CONTINUATION, "ain"));
        assert_eq!(host.event("message", link.client).context("data"), "plain");
        // A close between the fragments ends it all.
        link.send(&Frame::text(b"\xf2\x48").rsv(4).not_final());
        link.send(&Frame::close(1000, "enough"));
        assert_eq!(link.peer.close_frame(PROMPTLY).0, 1000);
        let event = link.close_event(&host);
        assert_eq!((event.code(), event.reason()), (1000, "enough"));
    }
    host.leave();
}

#[test]
fn any_split_of_the_bytes_gives_the_same_messages() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        let mut link = link(&host, side);
        let deflater = zlib.deflater(15);
        for size in [1, 2, 3, 7, 1500] {
            let text = records(3000 + size);
            let payload = zlib.deflate(deflater, text.as_bytes());
            let bytes = link.peer.encode(&Frame::text(&payload).rsv(4));
            for piece in bytes.chunks(size) {
                link.peer.send_bytes(piece);
            }
            assert_eq!(
                host.event("message", link.client).context("data"),
                &text[..],
                "{side:?}, {size}"
            );
        }
    }
    host.leave();
}

#[test]
fn rsv1_where_it_must_not_be_is_closed_with_1002() {
    let host = host();
    for side in SIDES {
        let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
        let begun = Frame::text(&hello[..3]).rsv(4).not_final();
        let table = [
            ("a ping", true, vec![Frame::new(PING, "").rsv(4)]),
            ("a pong", true, vec![Frame::new(PONG, "x").rsv(4)]),
            ("a close", true, vec![Frame::close(1000, "").rsv(4)]),
            (
                "a continuation",
                true,
                vec![begun.clone(), Frame::new(CONTINUATION, &hello[3..]).rsv(4)],
            ),
            (
                "a continuation of a plain message",
                true,
                vec![
                    Frame::text("a").not_final(),
                    Frame::new(CONTINUATION, "b").rsv(4),
                ],
            ),
            (
                "a continuation of nothing",
                true,
                vec![Frame::new(CONTINUATION, hello).rsv(4)],
            ),
            (
                "a ping between fragments",
                true,
                vec![begun.clone(), Frame::new(PING, "").rsv(4)],
            ),
            ("RSV2 beside it", true, vec![Frame::text(hello).rsv(6)]),
            ("RSV3 beside it", true, vec![Frame::text(hello).rsv(5)]),
            ("RSV2 alone", true, vec![Frame::text("x").rsv(2)]),
            ("a reserved opcode", true, vec![Frame::new(3, hello).rsv(4)]),
            (
                "a second message before the first ends",
                true,
                vec![begun, Frame::text(hello).rsv(4)],
            ),
            (
                "a text, nothing agreed",
                false,
                vec![Frame::text(hello).rsv(4)],
            ),
            (
                "a binary, nothing agreed",
                false,
                vec![Frame::new(BINARY, hello).rsv(4)],
            ),
            (
                "an empty one, nothing agreed",
                false,
                vec![Frame::text("").rsv(4)],
            ),
            (
                "a fragment, nothing agreed",
                false,
                vec![Frame::text(hello).rsv(4).not_final()],
            ),
        ];
        for (what, is_agreed, frames) in table {
            let header = if is_agreed { PLAIN } else { "" };
            let mut link = connect(&host, side, &deflate(json!({})), header);
            for frame in &frames {
                link.send(frame);
            }
            link.is_closed_with(&host, &format!("{side:?}: {what}"), 1002);
            host.take(|event| event.is("fragment"));
        }
    }
    host.leave();
}

/// Sends a text twice, the second time with references to the first: that one is refused.
fn the_second_is_corrupt(host: &Host, zlib: &mut Zlib, link: &mut Link, text: &str, what: &str) {
    let deflater = zlib.deflater(15);
    let first = zlib.deflate(deflater, text.as_bytes());
    link.send(&Frame::text(&first).rsv(4));
    assert_eq!(host.event("message", link.client).context("data"), text);
    let second = zlib.deflate(deflater, text.as_bytes());
    link.send(&Frame::text(&second).rsv(4));
    link.is_closed_with(host, what, 1007);
    let error = host.event("error", link.client);
    assert_eq!(*error.context("decompressionError"), true);
}

/// A context that the peer has promised not to use, or that does not exist.
#[test]
fn a_message_that_refers_to_what_is_not_there_is_corrupt() {
    let (host, mut zlib) = (host(), Zlib::new());
    let text = records(3000);
    for side in SIDES {
        let members = json!({"serverNoContextTakeover": true, "clientNoContextTakeover": true});
        let header = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        let mut link = connect(&host, side, &deflate(members), header);
        the_second_is_corrupt(&host, &mut zlib, &mut link, &text, &format!("{side:?}"));
    }
    host.leave();
}

// Row 14 of the table of faults.
#[test]
fn a_message_that_refers_further_back_than_a_small_window_is_corrupt() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        for bits in [8, 9, 12] {
            let (members, header) = match side {
                Side::Server => (
                    json!({"clientMaxWindowBits": bits}),
                    "permessage-deflate; client_max_window_bits".to_owned(),
                ),
                Side::Client => (
                    json!({"serverMaxWindowBits": bits}),
                    format!("permessage-deflate; server_max_window_bits={bits}"),
                ),
            };
            let mut link = connect(&host, side, &deflate(members), &header);
            let what = format!("{side:?}, {bits} bits");
            the_second_is_corrupt(&host, &mut zlib, &mut link, &noisy_text(6000, 4), &what);
        }
    }
    host.leave();
}

#[test]
fn plain_and_compressed_messages_of_a_host_keep_their_order() {
    let (host, mut zlib) = (host(), Zlib::new());
    for side in SIDES {
        let mut link = echoing(&host, side, json!({"threshold": 200}));
        let inflater = zlib.inflater();
        let messages: Vec<Vec<u8>> = (0..300)
            .map(|n| {
                let length = [3, 500, 10, 9000, 150, 250][n % 6];
                let mut message = format!("{n} ").into_bytes();
                message.extend(noise(length, n as u64));
                message
            })
            .collect();
        let batch: Vec<u8> = messages
            .iter()
            .flat_map(|message| link.peer.encode(&Frame::new(BINARY, message)))
            .collect();
        link.peer.send_bytes(&batch);
        for (n, message) in messages.iter().enumerate() {
            let echo = next_frame(&mut link.peer, Duration::from_secs(10));
            assert_eq!(echo.rsv, if message.len() >= 200 { 4 } else { 0 }, "{n}");
            let payload = match echo.rsv {
                0 => Ok(echo.payload),
                _ => zlib.inflate(inflater, &echo.payload),
            };
            assert!(
                payload.as_deref() == Ok(&message[..]),
                "{side:?}: message {n} is another"
            );
        }
        if side == Side::Server {
            ask!(host, "server_clear", link.server).ok();
        }
    }
    host.leave();
}
