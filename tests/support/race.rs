//! Many threads that do everything to the same servers and clients at once.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::adversary::{self, Frame, Heard, PING, PONG, Peer};
use crate::cc::Flavour;
use crate::host::{self, OK, UNKNOWN_REF, WATCHDOG, WRONG_STATE};
use crate::scene::{MIB, Scene};
use crate::{ask, begin};

/// Rounds of servers and clients that are sent to, stopped and cleared from many threads, while four others pull.
pub fn race(flavour: Flavour, time: Duration, ends: &[&str]) {
    let scene = Scene::flavoured(flavour, "");
    scene.may_grow(64 * MIB);
    let host = &scene.host;
    for kind in ["message", "open", "close", "ping", "pong"] {
        ask!(host, "quiet", kind);
    }
    for _ in 0..4 {
        ask!(host, "loop", "pull", 50).ok();
    }
    let began = Instant::now();
    let mut rounds = 0;
    while began.elapsed() < time || rounds < 3 {
        rounds += 1;
        let server = scene.server(json!({"closeTimeoutMs": 500}));
        let own = scene.client(json!({"url": server.url(), "closeTimeoutMs": 500, "enableAutomaticReconnection": false}));
        ask!(host, "client_start", own, "{}").ok();
        let peers: Vec<Peer> = (0..4).map(|_| Peer::client(server.port)).collect();
        let talking: Vec<_> = peers
            .into_iter()
            .map(|peer| std::thread::spawn(move || talk(peer)))
            .collect();

        let reference = server.reference;
        let mut tags = vec![
            begin!(
                host,
                "&repeat",
                0,
                200,
                "server_send",
                reference,
                1,
                "=to all"
            ),
            begin!(host, "&repeat", 0, 200, "client_send", own, 1, "#30"),
            begin!(host, "&repeat", 0, 200, "client_send", own, 2, "*200"),
            begin!(host, "&repeat", 0, 50, "server_clients", reference),
        ];
        for end in ends {
            let client_end = end.replace("server", "client");
            tags.push(begin!(host, format!("&{end}"), reference, "{}"));
            tags.push(begin!(host, format!("&{client_end}"), own, "{}"));
            tags.push(begin!(host, format!("&{end}"), reference, "{}"));
        }
        for tag in tags {
            let status = host.reply(&tag, WATCHDOG).status;
            let fits = [OK, UNKNOWN_REF, WRONG_STATE, host::QUEUE_FULL].contains(&status);
            assert!(fits, "status {status} in round {rounds}");
        }
        for thread in talking {
            thread.join().unwrap();
        }
        scene.clear();
    }
    scene.still_beats();
    ask!(host, "halt").ok();
    while ask!(host, "event_next", 0).status == OK {}
    let tally = ask!(host, "tally").body;
    if ends == ["server_stop"] {
        assert_eq!(
            tally["types"]["open"], tally["types"]["close"],
            "{}",
            tally["types"]
        );
    }
    let senders = tally["senders"].as_object().unwrap();
    for sender in senders.values() {
        let count = sender["count"].as_i64().unwrap();
        // Each once, and none left out before the end.
        assert_eq!(sender["sum"], count * (count - 1) / 2, "{sender}");
    }
    eprintln!("{rounds} rounds, {}", tally["types"]);
    scene.finish();
}

/// Sends numbered messages, reads what comes, answers the close; until the connection ends.
fn talk(mut peer: Peer) {
    for number in 0..300 {
        peer.send(&Frame::text(format!("{number}.")));
    }
    loop {
        match peer.hear(2 * WATCHDOG) {
            Heard::Frame(frame) if frame.opcode == adversary::CLOSE => {
                peer.send(&Frame::new(frame.opcode, frame.payload))
            }
            Heard::Frame(frame) if frame.opcode == PING => {
                peer.send(&Frame::new(PONG, frame.payload))
            }
            Heard::Frame(_) => {}
            Heard::Fin | Heard::Reset => return,
            Heard::Silence => panic!("the connection was neither closed nor cut"),
        }
    }
}
