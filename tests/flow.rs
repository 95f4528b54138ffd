//! Flow control that the host can see: "sent" for what has left, budgets, and servers that go down well.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/certs.rs"]
mod certs;
#[path = "support/host.rs"]
mod host;
#[path = "support/scene.rs"]
mod scene;
#[path = "support/secure.rs"]
mod secure;

use adversary::{BINARY, Frame, PROMPTLY, Peer, TEXT, listener, url};
use certs::Certs;
use host::{
    Host, INVALID_ARGUMENT, INVALID_OPTIONS, OK, QUEUE_FULL, Reply, UNKNOWN_REF, WATCHDOG, soon,
};
use scene::{MIB, Scene, Server};
use serde_json::{Value, json};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

impl Scene {
    fn field(&self, command: &str, reference: i32, field: &str) -> Value {
        let info = ask!(self.host, command, reference).ok().body;
        info.get(field)
            .unwrap_or_else(|| panic!("no {field} in {info}"))
            .clone()
    }

    fn buffered(&self, client: i32) -> u64 {
        let buffered = self.field("client_info", client, "bufferedAmount");
        buffered.as_u64().unwrap()
    }

    /// What "sent" has told of a connection so far.
    fn confirmed(&self, client: i32) -> Vec<Value> {
        let sent = self
            .host
            .take(|event| event.is("sent") && event.client() == client);
        sent.iter()
            .map(|event| event.context("confirm").clone())
            .collect()
    }

    /// Sends numbered messages, each to be confirmed with its number, to a peer that does not read, until neither the
    /// system nor the queue takes one more; how many.
    fn fill_confirmed(&self, client: i32) -> i64 {
        let mut count = 0;
        loop {
            let filled = ask!(
                self.host,
                "repeat",
                count,
                100_000,
                "client_send_with",
                client,
                BINARY,
                "#65536",
                "{\"confirm\":@i}"
            );
            filled.clone().fails(QUEUE_FULL, &["sendQueueBytes"]);
            count += filled.done;
            self.stuck(client);
            if filled.done == 0 {
                return count;
            }
        }
    }

    /// Waits until the system takes nothing more of what waits for a peer that does not read; how much that is.
    fn stuck(&self, client: i32) -> u64 {
        let mut last = u64::MAX;
        let mut same = 0;
        let stuck = soon(WATCHDOG, || {
            // The thread that sends may have had no processor: what it does for the heart comes behind.
            if same == 20 {
                self.still_beats();
            }
            let now = self.buffered(client);
            same = if now == last { same + 1 } else { 0 };
            last = now;
            same == 21
        });
        assert!(stuck, "{last} bytes wait");
        last
    }
}

fn numbers(range: std::ops::Range<i64>) -> Vec<Value> {
    range.map(Value::from).collect()
}

#[test]
fn sent_comes_in_order_once_the_system_has_a_message_and_not_before() {
    let scene = Scene::new();
    let server = scene.server(json!({}));
    let (mut slow, client) = scene.peer_with(server, Peer::tcp_with_little_room(server.port));
    let count = scene.fill_confirmed(client);
    // What is buffered is what is not confirmed, but for one of which a part has left.
    let mut before = Vec::new();
    let mut buffered = 0;
    let fits = soon(WATCHDOG, || {
        buffered = scene.buffered(client);
        before.extend(scene.confirmed(client));
        let waiting = count as u64 - before.len() as u64;
        waiting > 0 && ((waiting - 1) * 65_536..=waiting * 65_546).contains(&buffered)
    });
    assert!(fits, "{buffered} wait of {count} but for {before:?}");
    for number in 0..count {
        let frame = slow.frame();
        assert!(frame.payload.starts_with(format!("{number}.").as_bytes()));
    }
    let mut all = before;
    assert!(soon(WATCHDOG, || {
        all.extend(scene.confirmed(client));
        all.len() as i64 == count
    }));
    assert_eq!(all, numbers(0..count));
    assert!(soon(WATCHDOG, || scene.buffered(client) == 0));
    scene.finish();
}

#[test]
fn what_has_not_left_when_a_connection_ends_is_unconfirmed() {
    for end in ["reset", "close"] {
        let scene = Scene::new();
        let server = scene.server(json!({}));
        let (mut slow, client) = scene.peer_with(server, Peer::tcp_with_little_room(server.port));
        let count = scene.fill_confirmed(client);
        match end {
            "reset" => slow.reset(),
            _ => slow.send(&Frame::close(4000, "enough")),
        }
        let close = scene.host.event("close", client);
        let confirmed = scene.confirmed(client).len() as i64;
        let unsent = close.context("unsent");
        assert_eq!(
            unsent["unconfirmed"],
            Value::from(numbers(confirmed..count)),
            "{end}"
        );
        assert_eq!(unsent["messages"], count - confirmed, "{end}: {unsent}");
        assert!(scene.confirmed(client).is_empty());
        scene.finish();
    }
}

#[test]
fn a_server_is_told_for_each_target() {
    let scene = Scene::new();
    let server = scene.server(json!({"perMessageDeflate": {"threshold": 16}}));
    let peers: Vec<(Peer, i32)> = (0..3).map(|_| scene.peer(server)).collect();
    let (_, last) = peers[2];
    let options = json!({"confirm": "to all"});
    ask!(
        scene.host,
        "server_send",
        server.reference,
        TEXT,
        "=hello",
        options
    )
    .ok();
    for (_, client) in &peers {
        let sent = scene.host.event("sent", *client);
        assert_eq!(sent.server(), server.reference);
        assert_eq!(sent.0["context"], json!({"confirm": "to all"}));
    }
    let options = json!({"confirm": -5, "clients": [last, 4711]});
    let reply = ask!(
        scene.host,
        "server_send",
        server.reference,
        BINARY,
        "*100000",
        options
    );
    assert_eq!(reply.body[1]["error"]["code"], UNKNOWN_REF);
    assert_eq!(*scene.host.event("sent", last).context("confirm"), -5);
    assert!(scene.host.take(|event| event.is("sent")).is_empty());
    scene.finish();
}

#[test]
fn a_confirm_that_cannot_be_is_refused_and_nothing_is_sent() {
    let scene = Scene::new();
    let server = scene.server(json!({}));
    let (mut peer, client) = scene.peer(server);
    let send = |kind: u8, options: Value| {
        ask!(
            scene.host,
            "client_send_with",
            client,
            kind,
            "=x",
            options.to_string()
        )
    };
    for wrong in [
        json!(true),
        json!(1.5),
        json!(1_u64 << 53),
        json!([1]),
        json!("x".repeat(256)),
    ] {
        send(TEXT, json!({"confirm": wrong})).fails(INVALID_OPTIONS, &["confirm"]);
    }
    send(adversary::PING, json!({"confirm": 1})).fails(INVALID_OPTIONS, &["confirm", "pings"]);
    ask!(
        scene.host,
        "server_send",
        server.reference,
        10,
        "=x",
        json!({"confirm": 1})
    )
    .fails(INVALID_OPTIONS, &["confirm"]);
    assert_eq!(send(7, json!({})).status, INVALID_ARGUMENT);
    ask!(scene.host, "client_send_with", 4711, TEXT, "=x", "{}").fails(UNKNOWN_REF, &["4711"]);
    let reply = send(TEXT, json!({"comfirm": 1})).ok();
    assert_eq!(reply.body["ignoredOptions"][0]["didYouMean"], "confirm");
    assert_eq!(reply.body["payloadSize"], 1);
    assert_eq!(peer.frame().payload, b"x");
    assert!(scene.host.take(|event| event.is("sent")).is_empty());
    scene.finish();
}

#[test]
fn a_host_that_does_not_take_its_events_cannot_send_for_more_of_them() {
    let scene = Scene::pulling();
    let server = scene.server(json!({"eventQueueEvents": 10}));
    let (_peer, client) = {
        let mut peer = Peer::client(server.port);
        let clients = || {
            ask!(scene.host, "server_clients", server.reference)
                .ok()
                .body
        };
        assert!(soon(WATCHDOG, || clients()[0].is_i64()));
        peer.send(&Frame::text("x"));
        (peer, clients()[0].as_i64().unwrap() as i32)
    };
    let send = |options: Value| ask!(scene.host, "client_send_with", client, TEXT, "=x", options);
    let mut refused = None;
    assert!(soon(WATCHDOG, || {
        let reply = send(json!({"confirm": 1}));
        refused = (reply.status == QUEUE_FULL).then_some(reply);
        refused.is_some()
    }));
    refused.unwrap().fails(QUEUE_FULL, &["eventQueueEvents"]);
    send(json!({})).ok();
    ask!(scene.host, "loop", "pull", 100).ok();
    scene.host.event("sent", client);
    ask!(scene.host, "server_stop", server.reference, "{}").ok();
    scene.host.event("close", client);
    ask!(scene.host, "halt").ok();
    scene.finish();
}

#[test]
fn a_server_that_is_cleared_with_events_that_nobody_takes_leaves_nothing_open() {
    let scene = Scene::pulling();
    let server = scene.server(json!({"eventQueueEvents": 10}));
    let mut peer = Peer::client(server.port);
    for _ in 0..100 {
        peer.send(&Frame::text("x"));
    }
    let info = || ask!(scene.host, "server_info", server.reference).ok().body;
    assert!(soon(WATCHDOG, || info()["eventQueueEvents"].as_i64() >= Some(10)));
    // Until it has been found that there is no room.
    assert!(soon(WATCHDOG, || {
        peer.send(&Frame::text("x"));
        let before = info()["messagesIn"].clone();
        peer.send(&Frame::text("x"));
        info()["messagesIn"] == before
    }));
    ask!(scene.host, "server_clear", server.reference).ok();
    scene.finish();
}

#[test]
fn confirmed_messages_keep_their_place_among_the_answers_of_inline_callbacks() {
    let scene = Scene::new();
    let server = scene.server(json!({"dispatch": "inline"}));
    let (mut peer, client) = scene.peer(server);
    let on = |command: &str, rest: &[&str]| {
        let mut words = vec!["on", "message", "-1", command, "@c", "1"];
        words.extend(rest);
        scene.host.call(&words).ok();
    };
    on("-client_send", &["=a"]);
    on("client_send_with", &["=b", "{\"confirm\":1}"]);
    on("-client_send", &["=c"]);
    on("client_send_with", &["=d", "{\"confirm\":2}"]);
    for _ in 0..3 {
        peer.send(&Frame::text("go"));
        for answer in ["a", "b", "c", "d"] {
            assert_eq!(peer.frame().payload, answer.as_bytes());
        }
    }
    let mut sent = Vec::new();
    assert!(soon(WATCHDOG, || {
        sent.extend(scene.confirmed(client));
        sent.len() == 6
    }));
    assert_eq!(sent, [1, 2, 1, 2, 1, 2]);
    scene.finish();
}

/// A big message is confirmed only when all of it has left, whatever it becomes on its way.
fn a_big_message_is_confirmed_late(
    scene: Scene,
    server: Server,
    mut peer: impl Read,
    client: i32,
    data: &str,
) {
    ask!(
        scene.host,
        "client_send_with",
        client,
        BINARY,
        data,
        json!({"confirm": 1})
    )
    .ok();
    ask!(
        scene.host,
        "client_send_with",
        client,
        BINARY,
        "=end",
        json!({"confirm": 2})
    )
    .ok();
    assert!(scene.stuck(client) > MIB);
    assert!(scene.confirmed(client).is_empty());
    let mut buffer = vec![0; MIB as usize];
    let mut last = Vec::new();
    while last != b"\x82\x03end" {
        let count = peer.read(&mut buffer).unwrap();
        assert!(count > 0, "the connection has ended");
        last.extend_from_slice(&buffer[..count]);
        last.drain(..last.len().saturating_sub(5));
    }
    for number in [1, 2] {
        assert_eq!(*scene.host.event("sent", client).context("confirm"), number);
    }
    ask!(scene.host, "server_clear", server.reference).ok();
    drop(peer);
    scene.finish();
}

#[test]
fn a_big_message_is_confirmed_with_its_last_byte() {
    let scene = Scene::new();
    scene.may_grow(80 * MIB);
    let server = scene.server(json!({"sendQueueBytes": 64 * MIB}));
    let (peer, client) = scene.peer(server);
    let stream = peer.stream.try_clone().unwrap();
    a_big_message_is_confirmed_late(scene, server, stream, client, "*33554432");
}

#[test]
fn a_big_message_over_tls_is_confirmed_with_its_last_record() {
    let certs = Certs::new();
    let scene = Scene::new();
    scene.may_grow(80 * MIB);
    let server = scene.server(json!({"tls": certs.server().tls(), "sendQueueBytes": 64 * MIB}));
    let peer = secure::upgraded(server.port, &secure::client_config(&certs));
    let client = scene.host.server_event("open", server.reference).client();
    a_big_message_is_confirmed_late(scene, server, peer, client, "*33554432");
}

#[test]
fn compressed_messages_are_confirmed_too() {
    let scene = Scene::new();
    let server = scene.server(json!({"perMessageDeflate": {"threshold": 0}}));
    let client = scene.client(json!({"url": server.url(), "perMessageDeflate": {"threshold": 0}}));
    ask!(scene.host, "client_start", client, "{}").ok();
    let accepted = scene.host.server_event("open", server.reference).client();
    for (from, to) in [(client, accepted), (accepted, client)] {
        for number in 0..20 {
            let options = json!({"confirm": number});
            let data = format!("*{}", 10_000 * number);
            ask!(scene.host, "client_send_with", from, BINARY, data, options).ok();
            assert_eq!(
                scene.host.event("message", to).number("length"),
                10_000 * number
            );
            assert_eq!(*scene.host.event("sent", from).context("confirm"), number);
        }
    }
    scene.finish();
}

#[test]
fn what_a_client_keeps_is_confirmed_by_the_connection_that_takes_it() {
    let scene = Scene::new();
    let listener = listener();
    let client = scene.client(json!({
        "url": url(&listener), "queueWhileDisconnected": 64 * MIB, "sendQueueBytes": 32 * MIB,
        "maxWaitBetweenReconnectionRetries": 20,
    }));
    scene.may_grow(160 * MIB);
    ask!(scene.host, "client_start", client, json!({"wait": false})).ok();
    let send = |data: &str, confirm: i64| {
        let options = json!({"confirm": confirm});
        ask!(scene.host, "client_send_with", client, TEXT, data, options).ok()
    };
    assert_eq!(send("=early", 1).body["queued"], true);
    let mut first = Peer::accept(&listener);
    assert_eq!(first.frame().payload, b"early");
    assert_eq!(*scene.host.event("sent", client).context("confirm"), 1);
    // The first of these has begun to leave when the connection is lost.
    send("*20000000", 2);
    send("=late", 3);
    assert!(scene.stuck(client) > MIB);
    first.reset();
    let close = scene.host.event("close", client);
    assert_eq!(*close.context("unsent"), json!({"messages": 0, "bytes": 0}));
    let mut second = Peer::accept(&listener);
    assert_eq!(second.frame().payload.len(), 20_000_000);
    assert_eq!(second.frame().payload, b"late");
    for number in [2, 3] {
        assert_eq!(*scene.host.event("sent", client).context("confirm"), number);
    }
    // Each message is counted once, though one was given to two connections.
    assert_eq!(scene.field("client_info", client, "messagesOut"), 3);
    assert_eq!(
        scene.field("client_info", client, "bytesOut"),
        5 + 20_000_000 + 4
    );
    drop(listener);
    second.send(&Frame::close(1000, ""));
    scene.host.event("close", client);
    send("=never", 4);
    let reply = ask!(scene.host, "client_stop", client, "{}").ok();
    assert_eq!(
        reply.body["unsent"],
        json!({"messages": 1, "bytes": 5, "unconfirmed": [4]})
    );
    assert!(second.ends(PROMPTLY));
    scene.finish();
}

/// Sends to a peer that does not read until neither the system nor the library takes one more; the last refusal.
fn fill(scene: &Scene, client: i32) -> Reply {
    loop {
        let data = "*16384";
        let filled = ask!(
            scene.host,
            "repeat",
            0,
            100_000,
            "client_send",
            client,
            BINARY,
            data
        );
        assert_eq!(filled.status, QUEUE_FULL);
        scene.stuck(client);
        if filled.done == 0 {
            return filled;
        }
    }
}

#[test]
fn what_waits_on_all_connections_of_a_server_is_limited_and_one_message_always_goes() {
    let scene = Scene::new();
    let budget = 400_000;
    let server = scene.server(json!({"sendBudgetBytes": budget, "drain": true}));
    let whose = format!("sendBudgetBytes of server {} is {budget}", server.reference);
    let slow = || scene.peer_with(server, Peer::tcp_with_little_room(server.port));
    let ((mut ann, ann_ref), (bob, bob_ref)) = (slow(), slow());
    fill(&scene, ann_ref).fails(
        QUEUE_FULL,
        &[&whose, "16388 more", &format!("connection {ann_ref}")],
    );
    let total = || {
        let buffered = scene.field("server_info", server.reference, "bufferedAmount");
        buffered.as_u64().unwrap()
    };
    // What a connection has at the most is not counted for 4 KiB.
    let most = budget + 2 * 4096;
    assert!(total() > budget - 16_388 && total() <= most, "{}", total());
    // The other has its one message, and no more.
    fill(&scene, bob_ref).fails(QUEUE_FULL, &[&whose]);
    assert!(total() <= most + 16_388, "{}", total());
    assert!(scene.buffered(bob_ref) <= 2 * 16_388);
    // Whoever reads is not held up by those who do not.
    let (mut fast, fast_ref) = scene.peer(server);
    for _ in 0..100 {
        assert!(soon(WATCHDOG, || scene.buffered(fast_ref) == 0));
        ask!(scene.host, "client_send", fast_ref, BINARY, "*16384").ok();
        assert_eq!(fast.frame().payload.len(), 16_384);
    }
    // Once there is room, it goes on.
    scene.host.take(|event| event.is("drain"));
    while ann.swallow(1 << 20) > 0 && scene.buffered(ann_ref) > 0 {}
    scene.host.event("drain", ann_ref);
    ask!(scene.host, "client_send", ann_ref, BINARY, "*16384").ok();
    // What was counted for those who leave is free again.
    bob.reset();
    scene.host.event("close", bob_ref);
    ann.reset();
    scene.host.event("close", ann_ref);
    let (_peer, client) = slow();
    fill(&scene, client).fails(QUEUE_FULL, &[&whose]);
    assert!(total() > budget - 16_388 && total() <= most, "{}", total());
    scene.finish();
}

#[test]
fn a_broadcast_counts_in_the_budget_too() {
    let scene = Scene::new();
    let server = scene.server(json!({"sendBudgetBytes": 400_000}));
    let (_slow, client) = scene.peer_with(server, Peer::tcp_with_little_room(server.port));
    let (mut fast, _) = scene.peer(server);
    let reader = std::thread::spawn(move || while fast.swallow(1 << 20) > 0 {});
    // Nobody asks what became of these.
    let reference = server.reference.to_string();
    let send = [
        "-repeat",
        "0",
        "200",
        "server_send",
        &reference,
        "2",
        "*16384",
    ];
    assert!(soon(3 * WATCHDOG, || {
        scene.host.call(&send);
        scene.stuck(client) > 300_000
    }));
    let buffered = scene.buffered(client);
    assert!(buffered <= 404_096, "{buffered}");
    // What waited for the fast one has left: some more may fit before the budget is used up.
    let refused = || {
        let reply = ask!(
            scene.host,
            "server_send",
            server.reference,
            BINARY,
            "*16384"
        );
        let targets = reply.body.as_array().unwrap();
        let mine = targets.iter().find(|one| one["client"] == client).unwrap();
        mine.get("error").cloned()
    };
    let error = std::iter::repeat_with(refused).take(20).flatten().next();
    let error = error.expect("the budget is used up");
    assert_eq!(error["code"], QUEUE_FULL);
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("sendBudgetBytes")
    );
    ask!(scene.host, "server_clear", server.reference).ok();
    reader.join().unwrap();
    scene.finish();
}

#[test]
fn what_waits_on_all_connections_of_the_process_is_limited() {
    let host = Host::spawn();
    ask!(host, "callbacks", "em").ok();
    ask!(host, "init", json!({"sendBudgetBytes": 300_000})).ok();
    let reference = ask!(host, "server_create", json!({"port": 0}))
        .ok()
        .reference;
    let started = ask!(host, "server_start", reference, "{}").ok().body;
    let tcp = Peer::tcp_with_little_room(started["port"].as_u64().unwrap() as u16);
    let peer = tcp.upgraded("");
    let client = host.server_event("open", reference).client();
    let mut last = None;
    let info = || {
        ask!(host, "info").ok().body["bufferedAmount"]
            .as_u64()
            .unwrap()
    };
    assert!(soon(WATCHDOG, || {
        let data = "*16384";
        let reply = ask!(
            host,
            "repeat",
            0,
            100_000,
            "client_send",
            client,
            BINARY,
            data
        );
        let is_over = reply.done == 0;
        last = Some(reply);
        is_over && info() > 280_000
    }));
    last.unwrap()
        .fails(QUEUE_FULL, &["sendBudgetBytes of wsplug_init is 300000"]);
    assert!(info() <= 304_096);
    drop(peer);
    ask!(host, "shutdown", 1000).ok();
    host.leave();
}

#[test]
fn two_servers_and_a_client_share_the_budget_of_the_process() {
    let scene = Scene::with(json!({"sendBudgetBytes": 300_000}));
    let whose = "sendBudgetBytes of wsplug_init is 300000";
    let [one, other] = [(); 2].map(|()| scene.server(json!({"drain": true})));
    let slow = |server: Server| scene.peer_with(server, Peer::tcp_with_little_room(server.port));
    let ((mut ann, ann_ref), (mut bob, bob_ref)) = (slow(one), slow(other));
    // The end that our own client has reached reads nothing either, and has as little room.
    let listener = listener();
    let socket = socket2::SockRef::from(&listener);
    socket.set_recv_buffer_size(4096).unwrap();
    let own = scene.client(json!({"url": url(&listener), "drain": true}));
    ask!(scene.host, "client_start", own, json!({"wait": false})).ok();
    let mut far = Peer::accept(&listener);
    scene.host.event("open", own);
    let total = || {
        let info = ask!(scene.host, "info").ok().body;
        info["bufferedAmount"].as_u64().unwrap()
    };
    fill(&scene, ann_ref).fails(QUEUE_FULL, &[whose]);
    let most = 300_000 + 3 * 4096;
    assert!(total() > 280_000 && total() <= most, "{}", total());
    // The others have their one message, and no more.
    for client in [bob_ref, own] {
        fill(&scene, client).fails(QUEUE_FULL, &[whose]);
        let buffered = scene.buffered(client);
        assert!(buffered <= 2 * 16_400, "{buffered}");
    }
    assert!(total() <= most + 2 * 16_400, "{}", total());

    // What one of them gives back, the others may use, and each is told.
    let read = |peer: &mut Peer, client: i32| {
        scene.host.take(|event| event.is("drain"));
        while scene.buffered(client) > 0 && peer.swallow(1 << 20) > 0 {}
        scene.host.event("drain", client);
    };
    read(&mut ann, ann_ref);
    for (peer, client) in [(&mut bob, bob_ref), (&mut far, own)] {
        read(peer, client);
        // What the first one had left may leave the reckoning a moment later.
        let has_most = || {
            fill(&scene, client).fails(QUEUE_FULL, &[whose]);
            scene.buffered(client) > 200_000
        };
        assert!(soon(WATCHDOG, has_most), "{}", total());
        read(peer, client);
    }
    fill(&scene, ann_ref).fails(QUEUE_FULL, &[whose]);
    assert!(total() > 280_000 && total() <= most, "{}", total());
    drop((listener, far));
    scene.finish();
}

/// Connections that are read as fast as they bring something, by a few threads.
struct Readers {
    slowest: Arc<Vec<AtomicUsize>>,
    over: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<Vec<Peer>>>,
}

impl Readers {
    fn start(peers: Vec<Peer>) -> Readers {
        let over = Arc::new(AtomicBool::new(false));
        let count = 4;
        let slowest: Arc<Vec<AtomicUsize>> =
            Arc::new((0..count).map(|_| AtomicUsize::new(0)).collect());
        let mut groups: Vec<Vec<Peer>> = (0..count).map(|_| Vec::new()).collect();
        for (number, peer) in peers.into_iter().enumerate() {
            peer.stream.set_nonblocking(true).unwrap();
            groups[number % count].push(peer);
        }
        let threads = groups.into_iter().enumerate().map(|(number, mut group)| {
            let (over, slowest) = (over.clone(), slowest.clone());
            std::thread::spawn(move || {
                let mut buffer = vec![0; 128 * 1024];
                let mut got = vec![0; group.len()];
                while !over.load(Ordering::Relaxed) {
                    for (peer, got) in group.iter_mut().zip(&mut got) {
                        while let Ok(bytes @ 1..) = peer.stream.read(&mut buffer) {
                            *got += bytes;
                        }
                    }
                    slowest[number].store(*got.iter().min().unwrap(), Ordering::Relaxed);
                    std::thread::yield_now();
                }
                group
            })
        });
        Readers {
            threads: threads.collect(),
            slowest,
            over,
        }
    }

    /// Bytes that each of them has at least.
    fn all_have(&self) -> usize {
        let slowest = self.slowest.iter();
        slowest
            .map(|bytes| bytes.load(Ordering::Relaxed))
            .min()
            .unwrap()
    }
}

/// 499 peers of a server that has so many already, once all are its clients: the answer to a handshake comes a moment before.
fn crowd(scene: &Scene, server: Server, others: usize) -> Vec<Peer> {
    let peers: Vec<Peer> = (0..499).map(|_| Peer::client(server.port)).collect();
    let clients = || scene.field("server_info", server.reference, "clients");
    assert!(soon(WATCHDOG, || clients() == peers.len() + others));
    peers
}

/// Sends 4 MiB to 499 connections that read, and to one that does not if `with_slow`; how long it took.
fn broadcast(with_slow: bool) -> Duration {
    let scene = Scene::new();
    scene.may_grow(96 * MIB);
    let server = scene.server(json!({
        "sendQueueBytes": 256 * 1024, "sendStallMs": 3000, "pingInterval": 0, "backlog": 4096,
    }));
    let slow = with_slow.then(|| scene.peer_with(server, Peer::tcp_with_little_room(server.port)));
    let readers = Readers::start(crowd(&scene, server, usize::from(with_slow)));
    let began = Instant::now();
    let (rounds, messages) = (64, 16);
    let mut told = 0;
    for round in 0..rounds {
        let sent = ask!(
            scene.host,
            "repeat",
            1,
            messages,
            "server_send",
            server.reference,
            BINARY,
            "*4092"
        );
        assert_eq!(sent.status, OK);
        let last = ask!(scene.host, "server_send", server.reference, BINARY, "*4092").ok();
        for one in last.body.as_array().unwrap() {
            let is_slow = slow
                .as_ref()
                .is_some_and(|(_, slow)| one["client"] == *slow);
            match one["success"].as_bool() {
                Some(true) => {}
                _ if is_slow => {
                    assert_eq!(one["error"]["code"], QUEUE_FULL);
                    told += 1;
                }
                _ => panic!("round {round}: {one}"),
            }
        }
        let wanted = (round + 1) * messages * 4096;
        let deadline = Instant::now() + WATCHDOG;
        while readers.all_have() < wanted {
            assert!(
                Instant::now() < deadline,
                "round {round}: {} of {wanted}",
                readers.all_have()
            );
            std::thread::yield_now();
        }
    }
    let took = began.elapsed();
    eprintln!(
        "500 connections, 4 MiB each, {} who does not read: {took:?}, grown by {} KiB, {told} refusals told",
        if with_slow { "one" } else { "none" },
        scene.growth() >> 10
    );
    if let Some((_peer, client)) = &slow {
        assert!(told > 0, "nobody was told of the slow one");
        let close = scene.host.event("close", *client);
        assert_eq!(close.code(), 1006);
        assert!(
            close.reason().contains("no byte left within 3000 ms"),
            "{close:?}"
        );
        assert!(close.context("unsent")["messages"].as_u64() > Some(0));
        assert!(
            scene.field("server_info", server.reference, "unsent")["messages"].as_u64() > Some(0)
        );
    }
    readers.over.store(true, Ordering::Relaxed);
    for thread in readers.threads {
        thread.join().unwrap();
    }
    scene.finish();
    took
}

#[test]
fn one_who_does_not_read_does_not_slow_a_broadcast_to_499_others() {
    // What else the machine does may slow one of them, but not three times the same one.
    let is_as_fast = || broadcast(true) < broadcast(false) * 2 + Duration::from_secs(1);
    assert!((0..3).any(|_| is_as_fast()));
}

/// The way on which nothing is built for the host: it is told of the slow one by its end alone.
#[test]
fn a_broadcast_of_which_nothing_is_asked_reaches_499_all_the_same() {
    let scene = Scene::new();
    scene.may_grow(96 * MIB);
    let server = scene.server(json!({
        "sendQueueBytes": 256 * 1024, "sendStallMs": 3000, "pingInterval": 0, "backlog": 4096,
    }));
    let (_slow, slow) = scene.peer_with(server, Peer::tcp_with_little_room(server.port));
    let readers = Readers::start(crowd(&scene, server, 1));
    let reference = server.reference.to_string();
    let (rounds, messages) = (64, 16);
    for round in 1..=rounds {
        let count = messages.to_string();
        let send = [
            "-repeat",
            "0",
            &count,
            "server_send",
            &reference,
            "2",
            "*4092",
        ];
        scene.host.begin(&send);
        // Less than a queue takes: whoever reads misses none.
        let wanted = round * messages * 4096;
        assert!(
            soon(WATCHDOG, || readers.all_have() >= wanted),
            "round {round}: {} of {wanted}",
            readers.all_have()
        );
    }
    let close = scene.host.event("close", slow);
    assert_eq!(close.code(), 1006);
    assert!(
        close.reason().contains("no byte left within 3000 ms"),
        "{close:?}"
    );
    assert!(close.context("unsent")["messages"].as_u64() > Some(0));
    readers.over.store(true, Ordering::Relaxed);
    for thread in readers.threads {
        thread.join().unwrap();
    }
    scene.finish();
}

#[test]
fn a_server_has_a_name_and_tells_what_was_not_sent() {
    let scene = Scene::new();
    let server = scene.server(json!({"name": "chat"}));
    assert_eq!(scene.field("server_info", server.reference, "name"), "chat");
    let nothing = json!({"messages": 0, "bytes": 0});
    assert_eq!(
        scene.field("server_info", server.reference, "unsent"),
        nothing
    );
    let client = scene.client(json!({"url": "ws://127.0.0.1:9/"}));
    assert_eq!(scene.field("client_info", client, "unsent"), nothing);
    scene.finish();
}

#[test]
fn answers_of_inline_callbacks_count_in_the_budget_before_they_are_sent() {
    let scene = Scene::new();
    let budget = 200_000;
    let server = scene.server(
        json!({"dispatch": "inline", "sendBudgetBytes": budget, "sendQueueBytes": 64 << 20}),
    );
    let rule = begin!(
        scene.host,
        "on",
        "message",
        -1,
        "-client_send",
        "@c",
        2,
        "*16384"
    );
    scene.host.reply(&rule, WATCHDOG).ok();
    let mut crowd: Vec<_> = (0..8)
        .map(|_| scene.peer_with(server, Peer::tcp_with_little_room(server.port)))
        .collect();
    // Nobody reads what it asks for.
    for _ in 0..300 {
        for (peer, _) in &mut crowd {
            peer.send(&Frame::text("more"));
        }
    }
    for (_, client) in &crowd {
        let asked = || scene.field("client_info", *client, "messagesIn") == 300;
        assert!(soon(WATCHDOG, asked));
    }
    let field = |name| {
        scene
            .field("server_info", server.reference, name)
            .as_u64()
            .unwrap()
    };
    // A message for each, and what one delivery had collected when the budget was reached.
    let most = budget + 8 * (16_388 + 4096) + 300 * 16_388;
    assert!(
        field("bufferedAmount") <= most,
        "{}",
        field("bufferedAmount")
    );
    assert!(field("messagesOut") < 8 * 300, "{}", field("messagesOut"));
    for (peer, client) in crowd {
        peer.reset();
        scene.host.event("close", client);
    }
    scene.finish();
}
