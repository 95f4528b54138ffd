//! Peers that read slowly or not at all, and a host that does not look (rows 16-18 of the table of faults): memory stays
//! bounded, nothing is lost, and the others go at full speed.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/host.rs"]
mod host;
#[path = "support/scene.rs"]
mod scene;

use adversary::{BINARY, Frame, Heard, PING, PONG, PROMPTLY, Peer};
use host::{OK, QUEUE_FULL, Reply, WATCHDOG, soon};
use scene::{MIB, Scene, Server, scaled};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The status for each target of a broadcast.
fn per_target(reply: &Reply) -> HashMap<i32, Value> {
    let targets = reply
        .body
        .as_array()
        .expect("a reply for each target")
        .iter();
    targets
        .map(|target| (target["client"].as_i64().unwrap() as i32, target.clone()))
        .collect()
}

#[test]
fn row_16_one_who_never_reads_does_not_slow_a_broadcast_and_is_dropped_with_a_count() {
    let scene = Scene::threaded();
    let stall = Duration::from_millis(scaled(3000, 30_000));
    let server = scene.guarded(json!({"sendStallMs": stall.as_millis() as u64}));
    let (size, total) = (64 * 1024, scaled(128, 1024) * MIB as usize);
    let (idle, idle_ref) = scene.peer_with(server, Peer::tcp_with_little_room(server.port));

    // Each reader counts what it has checked, so that no more than it can take is ever on its way.
    let readers: Vec<(i32, Arc<AtomicUsize>, _)> = (0..3)
        .map(|_| {
            let (mut peer, client) = scene.peer(server);
            let count = Arc::new(AtomicUsize::new(0));
            let seen = count.clone();
            let thread = std::thread::spawn(move || {
                while seen.load(Ordering::Relaxed) < total / size {
                    let frame = peer.frame();
                    let number = format!("{}.", seen.load(Ordering::Relaxed));
                    assert!(
                        frame.payload.starts_with(number.as_bytes()) && frame.payload.len() == size
                    );
                    seen.fetch_add(1, Ordering::Relaxed);
                }
                peer
            });
            (client, count, thread)
        })
        .collect();

    let (mut full, mut refused) = (false, 0);
    let began = Instant::now();
    for number in 0..total / size {
        let near = || {
            readers
                .iter()
                .all(|(_, seen, _)| seen.load(Ordering::Relaxed) + 8 > number)
        };
        assert!(
            soon(WATCHDOG, near),
            "a reader is held up at message {number}"
        );
        let data = format!(
            "={number}.{}",
            ".".repeat(size - number.to_string().len() - 1)
        );
        let reply = ask!(scene.host, "server_send", server.reference, 2, data);
        let statuses = per_target(&reply);
        for (client, ..) in &readers {
            assert_eq!(statuses[client]["success"], true, "{}", statuses[client]);
        }
        if let Some(idle) = statuses.get(&idle_ref) {
            if idle["success"] == false {
                assert_eq!(idle["error"]["code"], QUEUE_FULL, "{idle}");
                (full, refused) = (true, refused + 1);
            } else {
                assert!(
                    !full,
                    "the queue of a peer that reads nothing has room again"
                );
            }
        }
    }
    let took = began.elapsed();
    assert!(refused > 0, "nothing was ever refused");
    for (_, _, thread) in readers {
        thread.join().unwrap();
    }
    let event = scene.host.wait_for(
        "close of the one who never reads",
        stall + WATCHDOG,
        |event| event.is("close") && event.client() == idle_ref,
    );
    assert_eq!(event.code(), 1006, "{event:?}");
    let words = event.reason().strip_suffix(" messages were not sent");
    let unsent: u32 = words
        .and_then(|words| words.rsplit(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("no count of unsent messages: {event:?}"));
    assert!(unsent > 0, "{event:?}");
    drop(idle);
    eprintln!(
        "3 × {} MiB in {took:?}, {refused} refused to the idle one, {unsent} unsent",
        total as u64 / MIB
    );
    scene.finish();
}

/// Sends numbered messages of `size` bytes until neither the library nor the system has taken one for a while; how many,
/// and when there was no room yet for the last one.
fn fill(scene: &Scene, client: i32, size: usize) -> (i64, Instant) {
    let (mut sent, mut taken) = (0, Instant::now());
    let (mut refused, mut no_room) = (taken, taken);
    while taken.elapsed() < Duration::from_millis(300) {
        let data = format!("#{size}");
        let filled = ask!(
            scene.host,
            "repeat",
            sent,
            1_000_000,
            "client_send",
            client,
            2,
            data
        );
        filled.clone().fails(QUEUE_FULL, &["sendQueueBytes"]);
        let now = Instant::now();
        if filled.done > 0 {
            (sent, taken, no_room) = (sent + filled.done, now, refused);
        }
        refused = now;
    }
    (sent, no_room)
}

#[test]
fn row_16_a_peer_that_stops_reading_is_dropped_after_the_stall_time_and_not_before() {
    let scene = Scene::new();
    let stall = Duration::from_millis(2000);
    for server in scene.servers(json!({"sendStallMs": stall.as_millis() as u64})) {
        is_dropped_after(stall, &scene, server);
    }
    scene.finish();
}

fn is_dropped_after(stall: Duration, scene: &Scene, server: Server) {
    let (mut idle, idle_ref) = scene.peer_with(server, Peer::tcp_with_little_room(server.port));
    let (sent, began) = fill(scene, idle_ref, 65536);
    assert!(
        sent >= 15,
        "a queue of 1 MiB has taken {sent} messages of 64 KiB"
    );
    // One more, small, is refused too: nothing gets past what waits.
    ask!(scene.host, "client_send", idle_ref, 1, "*70000").fails(QUEUE_FULL, &["sendQueueBytes"]);
    let event = scene.host.event("close", idle_ref);
    assert_eq!(event.code(), 1006, "{event:?}");
    // What made room for the last one has left since then, and nothing after it.
    let took = began.elapsed();
    assert!(
        took > stall - Duration::from_millis(200),
        "already after {took:?}"
    );
    assert!(took < stall + WATCHDOG, "not before {took:?}");
    assert!(idle.ends(PROMPTLY));
}

#[test]
fn row_17_a_peer_that_reads_10_kb_a_second_is_kept_and_gets_everything_in_order() {
    let scene = Scene::threaded();
    let stall = Duration::from_millis(scaled(2000, 30_000));
    let server =
        scene.guarded(json!({"sendStallMs": stall.as_millis() as u64, "sendQueueBytes": 4 * MIB}));
    let (mut slow, client) = scene.peer_with(server, Peer::tcp_with_little_room(server.port));
    let (sent, _) = fill(&scene, client, 16384);
    let until = Instant::now() + stall * 3;
    while Instant::now() < until {
        let began = Instant::now();
        assert!(slow.swallow(1000) > 0, "the slow reader was dropped");
        std::thread::sleep(Duration::from_millis(100).saturating_sub(began.elapsed()));
    }
    assert_eq!(scene.host.take(|event| event.is("close")), []);
    for number in 0..sent {
        let frame = slow.frame();
        assert!(
            frame.payload.starts_with(format!("{number}.").as_bytes()),
            "message {number}"
        );
        assert_eq!((frame.payload.len(), frame.opcode), (16384, BINARY));
    }
    // Once there is room again, sending goes on.
    ask!(scene.host, "client_send", client, 1, "=on").ok();
    assert_eq!(slow.frame().payload, b"on");
    scene.finish();
}

#[test]
fn row_16_a_drain_event_tells_when_there_is_room_again() {
    let scene = Scene::new();
    for server in scene.servers(json!({"drain": true})) {
        drains(&scene, server);
    }
    scene.finish();
}

fn drains(scene: &Scene, server: Server) {
    let (mut peer, client) = scene.peer_with(server, Peer::tcp_with_little_room(server.port));
    let (sent, _) = fill(scene, client, 65536);
    scene.host.take(|event| event.is("drain"));
    for _ in 0..sent {
        peer.frame();
    }
    scene.host.event("drain", client);
    ask!(scene.host, "client_send", client, 2, "#65536").ok();
    peer.frame();
}

/// Many connections that each send numbered messages until told to stop, and answer pings.
struct Senders {
    stop: Arc<AtomicBool>,
    /// When the last byte was taken.
    moved: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<Vec<(i32, i64, Peer)>>,
    began: Instant,
}

impl Senders {
    fn start(peers: Vec<(Peer, i32)>, size: usize) -> Senders {
        let (stop, moved) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let (stopped, moving, began) = (stop.clone(), moved.clone(), Instant::now());
        let thread = std::thread::spawn(move || {
            let mut senders: Vec<Sender> = peers
                .into_iter()
                .map(|(peer, client)| Sender::new(peer, client))
                .collect();
            loop {
                let enough = stopped.load(Ordering::Relaxed);
                let mut any = false;
                for sender in &mut senders {
                    any |= sender.turn(size, enough);
                }
                if any {
                    moving.store(began.elapsed().as_millis() as usize, Ordering::Relaxed);
                } else {
                    std::thread::sleep(Duration::from_millis(1));
                }
                if enough && senders.iter().all(|sender| sender.waiting.is_empty()) {
                    break;
                }
            }
            senders
                .into_iter()
                .map(|sender| (sender.client, sender.number, sender.peer))
                .collect()
        });
        Senders {
            stop,
            moved,
            thread,
            began,
        }
    }

    fn stuck_for(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(
            self.moved.load(Ordering::Relaxed) as u64,
        ))
    }
}

struct Sender {
    peer: Peer,
    client: i32,
    number: i64,
    waiting: Vec<u8>,
    heard: Vec<u8>,
}

impl Sender {
    fn new(peer: Peer, client: i32) -> Sender {
        peer.stream.set_nonblocking(true).unwrap();
        Sender {
            peer,
            client,
            number: 0,
            waiting: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Sends what can be sent and answers what has come; whether anything moved.
    fn turn(&mut self, size: usize, enough: bool) -> bool {
        let mut bytes = [0; 4096];
        if let Ok(count @ 1..) = self.peer.stream.read(&mut bytes) {
            self.heard.extend_from_slice(&bytes[..count]);
            // All that comes are short frames without a mask: pings.
            while self.heard.len() >= 2 && self.heard.len() >= 2 + self.heard[1] as usize {
                let frame: Vec<u8> = self.heard.drain(..2 + self.heard[1] as usize).collect();
                assert_eq!(frame[0], 0x80 | PING);
                let pong = self.peer.encode(&Frame::new(PONG, &frame[2..]));
                self.waiting.extend(pong);
            }
        }
        if self.waiting.is_empty() && !enough {
            while self.waiting.len() < 1000 {
                let mut payload = format!("{}.", self.number).into_bytes();
                payload.resize(size, b'.');
                let frame = self.peer.encode(&Frame::new(BINARY, payload));
                self.waiting.extend(frame);
                self.number += 1;
            }
        }
        match self.peer.stream.write(&self.waiting) {
            Ok(count) => {
                self.waiting.drain(..count);
                count > 0
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("the connection of {} has ended: {error}", self.client),
        }
    }
}

fn host_that_does_not_look(serve: impl Fn(&Scene, Value) -> Server, size: usize, growth: u64) {
    let scene = Scene::pulling();
    scene.may_grow(growth);
    ask!(scene.host, "quiet", "message").ok();
    let server = serve(&scene, json!({"pingInterval": 1, "pingTimeout": 3}));
    let mut peers = Vec::new();
    for _ in 0..100 {
        // So that what the system holds for them does not take long to fill.
        let peer = Peer::tcp_with_little_room(server.port);
        peers.push(peer.upgraded(server.headers));
    }
    let refs = |reply: Reply| {
        reply
            .body
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r.as_i64().unwrap() as i32)
            .collect()
    };
    let mut clients: Vec<i32> = Vec::new();
    let all = soon(WATCHDOG, || {
        clients = refs(ask!(scene.host, "server_clients", server.reference));
        clients.len() == 100
    });
    assert!(all, "{} clients", clients.len());

    let senders = Senders::start(peers.into_iter().zip(clients).collect(), size);
    // Reading pauses: nothing more is taken, for longer than the pings and their time-out.
    let pause = Duration::from_secs(scaled(6, 60));
    assert!(
        soon(pause + 6 * WATCHDOG, || senders.stuck_for() > pause),
        "never stuck"
    );
    assert!(
        scene.growth() < growth,
        "grown by {} KiB",
        scene.growth() >> 10
    );
    assert_eq!(
        scene.host.take(|event| !event.is("loop")),
        [],
        "the host has not looked"
    );
    scene.still_beats();

    ask!(scene.host, "loop", "pull", 100).ok();
    senders.stop.store(true, Ordering::Relaxed);
    let sent = senders.thread.join().unwrap();
    let total: i64 = sent.iter().map(|(_, number, _)| number).sum();
    let mut tally = Value::Null;
    let arrived = soon(3 * WATCHDOG, || {
        tally = ask!(scene.host, "tally").body;
        tally["types"]["message"] == total
    });
    assert!(
        arrived,
        "of {total} messages {} have come",
        tally["types"]["message"]
    );
    // Nobody knows which ref is whose, but each ref is one peer: the counts are the same, and each count is whole.
    let senders_heard = tally["senders"].as_object().unwrap();
    let mut heard: Vec<i64> = senders_heard
        .values()
        .map(|sender| sender["count"].as_i64().unwrap())
        .collect();
    let mut numbers: Vec<i64> = sent.iter().map(|(_, number, _)| *number).collect();
    heard.sort();
    numbers.sort();
    assert_eq!(heard, numbers);
    for sender in senders_heard.values() {
        let count = sender["count"].as_i64().unwrap();
        assert_eq!(sender["disorder"], 0, "{sender}");
        assert_eq!(sender["sum"], count * (count - 1) / 2, "{sender}");
    }
    assert!(
        scene.host.take(|event| event.is("close")).is_empty(),
        "a paused peer was taken for a dead one"
    );
    for (_, _, mut peer) in sent {
        peer.stream.set_nonblocking(false).unwrap();
        peer.send(&Frame::close(1000, "done"));
        loop {
            match peer.hear(PROMPTLY) {
                Heard::Frame(frame) if frame.opcode == PING => {}
                Heard::Frame(frame) => break assert_eq!(frame.opcode, adversary::CLOSE),
                other => panic!("{other:?}"),
            }
        }
    }
    ask!(scene.host, "server_stop", server.reference, "{}").ok();
    assert_eq!(ask!(scene.host, "halt").status, OK);
    scene.finish();
}

#[test]
fn row_18_a_host_that_does_not_look_loses_nothing_and_memory_is_bounded_by_bytes() {
    // The queue's 64 MiB, the read buffers and parts of messages of 100 connections.
    host_that_does_not_look(Scene::server, 16_000, 100 * MIB);
}

#[test]
fn row_18_with_everything_on_the_same_within_twice_the_bytes() {
    // Where different connections are called back in parallel, all stop at twice the queue's bytes.
    host_that_does_not_look(Scene::guarded, 16_000, 164 * MIB);
}

#[test]
fn row_18_a_host_that_does_not_look_loses_nothing_and_memory_is_bounded_by_count() {
    // 65,536 events of a few bytes each, with everything on twice as many.
    host_that_does_not_look(Scene::guarded, 10, 80 * MIB);
}

#[test]
fn row_18_what_a_peer_sent_before_it_left_waits_until_the_host_looks() {
    for (end, is_guarded) in [
        ("close", false),
        ("fin", true),
        ("reset", false),
        ("reset", true),
    ] {
        let scene = Scene::pulling();
        let options = json!({"eventQueueEvents": 10, "interval": 0});
        let server = scene.servers(options)[usize::from(is_guarded)];
        let mut peer = Peer::tcp(server.port).upgraded(server.headers);
        // In few packets: what the system has no room for would be lost with the reset on our own side.
        for piece in 0..10 {
            let numbers = piece * 100..(piece + 1) * 100;
            let frames = numbers.flat_map(|number| peer.encode(&Frame::text(format!("{number}."))));
            let bytes: Vec<u8> = frames.collect();
            peer.send_bytes(&bytes);
        }
        match end {
            "close" => peer.send(&Frame::close(4000, "done")),
            "fin" => peer.fin(),
            _ => peer.reset(),
        }
        scene.still_beats();
        ask!(scene.host, "loop", "pull", 100).ok();
        let client = scene.host.server_event("open", server.reference).client();
        for number in 0..1000 {
            let message = scene.host.event("message", client);
            assert_eq!(message.bytes(), format!("{number}.").as_bytes(), "{end}");
        }
        let code = scene.host.event("close", client).code();
        assert_eq!(code, if end == "close" { 4000 } else { 1006 });
        ask!(scene.host, "halt").ok();
        scene.finish();
    }
}

#[test]
fn row_18_what_is_cleared_while_the_host_does_not_look_leaves_nothing_open() {
    let scene = Scene::pulling();
    let servers = scene.servers(json!({"eventQueueEvents": 16, "closeTimeoutMs": 10_000}));
    // With everything on, each connection has a share of its own: the "open" fills it.
    for (server, full) in servers.into_iter().zip([16, 4]) {
        // Its "open" is all that may wait for the host.
        let options = server.client_options(json!({"eventQueueEvents": 1}));
        let client = scene.client(options);
        ask!(scene.host, "client_start", client, "{}").ok();
        let mut peers: Vec<Peer> = (0..3)
            .map(|_| Peer::tcp(server.port).upgraded(server.headers))
            .collect();
        for peer in &mut peers {
            let message = peer.encode(&Frame::text("nobody looks"));
            peer.send_bytes(&message.repeat(1000));
        }
        let waits = || {
            let info = ask!(scene.host, "server_info", server.reference).ok().body;
            info["eventQueueEvents"].as_i64() >= Some(full)
        };
        assert!(soon(WATCHDOG, waits));
        ask!(scene.host, "client_clear", client).ok();
        ask!(scene.host, "server_clear", server.reference).ok();
        // Their close frames are read, so that nobody waits for the time-out.
        for peer in &mut peers {
            assert_eq!(peer.close_frame(PROMPTLY).0, 1001);
            peer.send(&Frame::close(1001, ""));
            assert!(peer.ends(PROMPTLY), "waits for credit");
        }
    }
    scene.finish();
}
