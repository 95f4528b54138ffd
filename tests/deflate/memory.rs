//! What a connection costs, and that it does not cost more with time.

use crate::adversary::{Frame, PROMPTLY, Peer, raise_file_limit};
use crate::ask;
use crate::host::{Host, soon};
use crate::link::{deflate, host, next_frame, records, serve, with};
use crate::zlib::Zlib;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const TAKEOVER: &str = "permessage-deflate";
const ALONE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
const TWELVE: &str = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12";
const NARROW: &str = "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9";

pub fn full() -> bool {
    std::env::var("WSPLUG_FULL").is_ok_and(|value| value == "1")
}

/// A host whose server echoes, and where it listens; everything that is made once is there.
fn echo(options: &Value, hello: &[u8]) -> (Host, u16) {
    raise_file_limit();
    let host = host();
    let options = with(
        options.clone(),
        &json!({"method": "echo", "dispatch": "inline", "pingInterval": 0}),
    );
    let (_, port) = serve(&host, &options);
    for header in [ALONE, TAKEOVER] {
        let mut peer = guest(port, header);
        exchange(&mut peer, hello);
    }
    assert!(soon(PROMPTLY, || ask!(host, "trim").status >= 0));
    (host, port)
}

fn guest(port: u16, header: &str) -> Peer {
    match header {
        "" => Peer::client(port),
        _ => Peer::tcp(port).upgraded(&format!("Sec-WebSocket-Extensions: {header}\r\n")),
    }
}

/// One message of each side, compressed where that was agreed.
fn exchange(peer: &mut Peer, message: &[u8]) -> usize {
    peer.send(&Frame::text(message).rsv(4));
    next_frame(peer, Duration::from_secs(20)).payload.len()
}

/// KiB per connection of `count` guests.
fn cost(options: &Value, header: &str, count: usize, hello: &[u8], message: Option<&[u8]>) -> f64 {
    let (host, port) = echo(&deflate(options.clone()), hello);
    let before = host.rss();
    let mut guests: Vec<_> = (0..count).map(|_| guest(port, header)).collect();
    if let Some(message) = message {
        for peer in &mut guests {
            exchange(peer, message);
        }
    }
    // A connection's last act may still be under way when its echo is read.
    for peer in guests.iter_mut().take(1) {
        peer.send(&Frame::new(crate::adversary::PING, "over"));
        next_frame(peer, PROMPTLY);
    }
    let grown = host.rss().saturating_sub(before);
    drop(guests);
    host.leave();
    grown as f64 / 1024.0 / count as f64
}

/// What it is, the server's options, the offer, the compressed message if any, and KiB at most.
type Row<'a> = (&'a str, &'a Value, &'a str, Option<&'a [u8]>, f64);

#[test]
fn a_connection_holds_no_more_memory_than_what_was_agreed_needs() {
    let count = if full() { 1000 } else { 500 };
    let mut zlib = Zlib::new();
    let hello = zlib.alone(b"hello");
    let small = zlib.alone(records(2000).as_bytes());
    let large = zlib.alone(records(60_000).as_bytes());
    let narrow = zlib.deflater(9);
    let narrow = zlib.deflate(narrow, records(2000).as_bytes());
    let plain = json!({});
    let of_nine = json!({"serverMaxWindowBits": 9, "clientMaxWindowBits": 9});
    let silent = json!({"threshold": i32::MAX});
    let silent_nine = with(of_nine.clone(), &silent);
    let of_twelve = json!({"serverMaxWindowBits": 12, "clientMaxWindowBits": 12});
    let roomy = json!({"memLevel": 8});
    let table: [Row; 11] = [
        ("plain, idle", &plain, "", None, 4.0),
        (
            "deflate agreed, takeover, idle",
            &plain,
            TAKEOVER,
            None,
            5.0,
        ),
        (
            "deflate agreed, no takeover, idle",
            &plain,
            ALONE,
            None,
            5.0,
        ),
        (
            "no takeover, after a message each way",
            &plain,
            ALONE,
            Some(&small),
            5.0,
        ),
        // zlib-rs takes 64 KiB of window, 64 of chains and 128 of table for the one, up to 46 for the other.
        (
            "takeover, after a message each way",
            &plain,
            TAKEOVER,
            Some(&small),
            300.0,
        ),
        (
            "takeover, memLevel 8, after a message each way",
            &roomy,
            TAKEOVER,
            Some(&small),
            360.0,
        ),
        (
            "takeover, 12 bits, after a message each way",
            &of_twelve,
            TWELVE,
            Some(&narrow),
            165.0,
        ),
        (
            "takeover, after a message received",
            &silent,
            TAKEOVER,
            Some(&small),
            56.0,
        ),
        (
            "takeover, after 60,000 bytes received",
            &silent,
            TAKEOVER,
            Some(&large),
            56.0,
        ),
        (
            "takeover, 9 bits, after a message received",
            &silent_nine,
            NARROW,
            Some(&narrow),
            6.0,
        ),
        (
            "takeover, 9 bits, after a message each way",
            &of_nine,
            NARROW,
            Some(&narrow),
            7.0,
        ),
    ];
    let mut over = vec![];
    println!("KiB per connection of {count}:");
    for (what, options, header, message, most) in table {
        let kib = cost(options, header, count, &hello, message);
        println!("  {what:45} {kib:7.2}");
        if kib > most {
            over.push(format!("{what}: {kib:.2} KiB, at most {most}"));
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}

// Row 21 of the table of faults.
#[test]
fn a_thousand_connections_that_exchange_compressed_messages_do_not_grow() {
    let length = Duration::from_secs(if full() { 600 } else { 20 });
    let mut zlib = Zlib::new();
    let hello = zlib.alone(b"hello");
    let messages: Vec<_> = [300, 1500, 6000, 20_000]
        .map(|length| zlib.alone(records(length).as_bytes()))
        .into();
    for (header, share) in [(ALONE, 2), (TAKEOVER, 2)] {
        let (host, port) = echo(&deflate(json!({})), &hello);
        let mut guests: Vec<_> = (0..1000).map(|_| guest(port, header)).collect();
        let deadline = Instant::now() + length / share;
        let mut curve = vec![];
        let mut exchanged = 0_u64;
        while Instant::now() < deadline || curve.len() < 6 {
            let message = &messages[curve.len() % messages.len()];
            // All are sent before the first echo is read.
            for peer in &mut guests {
                peer.send(&Frame::text(message).rsv(4));
            }
            for peer in &mut guests {
                assert!(!next_frame(peer, Duration::from_secs(30)).payload.is_empty());
                exchanged += 1;
            }
            curve.push(host.rss() >> 10);
        }
        // The first rounds make the contexts, and the buffers of the longest message.
        let (warm, rest) = curve.split_at((curve.len() / 4).max(4));
        let (settled, most) = (warm.iter().max().unwrap(), rest.iter().max().unwrap());
        println!(
            "{header}: {exchanged} messages each way, RSS of {} rounds in KiB: {settled} after {}, then at most {most}",
            curve.len(),
            warm.len()
        );
        assert!(
            *most <= settled + settled / 50 + 1024,
            "{header}: {curve:?}"
        );
        host.leave();
    }
}
