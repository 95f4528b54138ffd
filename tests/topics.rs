//! Topics: who is subscribed gets what is published, once, in order, whoever publishes from wherever.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/host.rs"]
mod host;
#[path = "support/scene.rs"]
mod scene;

use adversary::{
    BINARY, CLOSE, Frame, Heard, PING, PROMPTLY, Peer, TEXT, raise_file_limit, request_to,
};
use host::{
    INVALID_ARGUMENT, INVALID_OPTIONS, OK, TOO_LARGE, UNKNOWN_REF, WATCHDOG, WRONG_STATE, soon,
};
use scene::{MIB, Scene, Server};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

impl Scene {
    /// A peer that is subscribed to these topics, and its ref.
    fn subscriber(&self, server: Server, topics: &[&str]) -> (Peer, i32) {
        let (peer, client) = self.peer(server);
        for topic in topics {
            ask!(self.host, "client_subscribe", client, topic).ok();
        }
        (peer, client)
    }

    fn publish(&self, server: Server, topic: &str, text: &str, options: Value) -> Value {
        let text = format!("={text}");
        let reply = ask!(
            self.host,
            "server_publish",
            server.reference,
            topic,
            1,
            text,
            options
        );
        reply.ok().body
    }

    fn topics(&self, server: Server) -> Value {
        let info = ask!(self.host, "server_info", server.reference).ok();
        info.body["topics"].clone()
    }
}

fn heard(peer: &mut Peer) -> String {
    let frame = peer.frame();
    assert_eq!(frame.opcode, TEXT, "{frame:?}");
    String::from_utf8(frame.payload).unwrap()
}

/// What is published later is the next that it hears: nothing else came.
fn hears_nothing_before(scene: &Scene, client: i32, peer: &mut Peer) {
    ask!(scene.host, "client_send", client, 1, "=end").ok();
    assert_eq!(heard(peer), "end");
}

#[test]
fn subscribers_get_what_is_published_and_nobody_else_does() {
    let scene = Scene::new();
    let server = scene.server(json!({}));
    let (mut ann, ann_ref) = scene.subscriber(server, &["tea"]);
    let (mut bob, bob_ref) = scene.subscriber(server, &["tea", "coffee"]);
    let (mut eve, eve_ref) = scene.peer(server);
    assert_eq!(scene.topics(server), json!({"tea": 2, "coffee": 1}));
    let info = ask!(scene.host, "client_info", bob_ref).ok().body;
    assert_eq!(info["topics"], json!(["coffee", "tea"]));

    let told = scene.publish(server, "tea", "milk?", json!({}));
    let expected = json!({"success": true, "topic": "tea", "payloadSize": 5, "subscribers": 2, "queued": 2,
        "encoded": 1, "failed": {}});
    assert_eq!(told, expected);
    assert_eq!(
        scene.publish(server, "coffee", "sugar?", json!({}))["subscribers"],
        1
    );
    // Nobody is no failure.
    assert_eq!(
        scene.publish(server, "cocoa", "anyone?", json!({}))["subscribers"],
        0
    );
    assert_eq!(
        (heard(&mut ann), heard(&mut bob)),
        ("milk?".into(), "milk?".into())
    );
    assert_eq!(heard(&mut bob), "sugar?");
    let binary = ask!(
        scene.host,
        "server_publish",
        server.reference,
        "tea",
        2,
        "%00ff",
        "{}"
    )
    .ok();
    assert_eq!(binary.body["queued"], 2);
    for peer in [&mut ann, &mut bob] {
        let frame = peer.frame();
        assert_eq!((frame.opcode, &frame.payload[..]), (BINARY, &[0, 255][..]));
    }
    ask!(
        scene.host,
        "server_publish",
        server.reference,
        "coffee",
        9,
        "=x",
        "{}"
    )
    .ok();
    let Heard::Frame(ping) = bob.hear(PROMPTLY) else {
        panic!("no ping");
    };
    assert_eq!((ping.opcode, &ping.payload[..]), (PING, &b"x"[..]));

    // Once more, and once less: neither is a failure.
    let again = ask!(scene.host, "client_subscribe", ann_ref, "tea")
        .ok()
        .body;
    let expected = json!({"success": true, "ref": ann_ref, "topic": "tea", "changed": false, "subscribers": 2});
    assert_eq!(again, expected);
    let left = ask!(scene.host, "client_unsubscribe", ann_ref, "tea")
        .ok()
        .body;
    assert_eq!(
        (&left["changed"], &left["subscribers"]),
        (&json!(true), &json!(1))
    );
    let left = ask!(scene.host, "client_unsubscribe", ann_ref, "tea")
        .ok()
        .body;
    assert_eq!(
        (&left["changed"], &left["subscribers"]),
        (&json!(false), &json!(1))
    );
    assert_eq!(
        scene.publish(server, "tea", "lemon?", json!({}))["subscribers"],
        1
    );
    assert_eq!(heard(&mut bob), "lemon?");
    hears_nothing_before(&scene, ann_ref, &mut ann);
    hears_nothing_before(&scene, eve_ref, &mut eve);

    // A topic goes with its last subscriber, a subscription with the connection.
    ask!(scene.host, "client_unsubscribe", bob_ref, "coffee").ok();
    assert_eq!(scene.topics(server), json!({"tea": 1}));
    drop(bob);
    scene.host.event("close", bob_ref);
    assert_eq!(scene.topics(server), json!({}));
    scene.finish();
}

#[test]
fn some_can_be_left_out_and_topics_taken_together() {
    let scene = Scene::new();
    let server = scene.server(json!({}));
    let (mut one, one_ref) = scene.subscriber(server, &["room/1", "room/2"]);
    let (mut two, two_ref) = scene.subscriber(server, &["room/2"]);
    let (mut other, other_ref) = scene.subscriber(server, &["roof"]);

    // The refs of others, known or not, do not matter.
    let told = scene.publish(
        server,
        "room/2",
        "a",
        json!({"except": [one_ref, other_ref, 99]}),
    );
    assert_eq!(
        (&told["subscribers"], &told["queued"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(heard(&mut two), "a");

    let told = scene.publish(
        server,
        "room/",
        "b",
        json!({"prefix": true, "statuses": true}),
    );
    let status = |client: i32| json!({"success": true, "compressionError": false, "payloadSize": 1, "wireSize": 1, "client": client});
    assert_eq!(told["clients"], json!([status(one_ref), status(two_ref)]));
    assert_eq!((heard(&mut one), heard(&mut two)), ("b".into(), "b".into()));
    let told = scene.publish(server, "", "c", json!({"prefix": true}));
    assert_eq!(told["subscribers"], 3);
    for peer in [&mut one, &mut two, &mut other] {
        assert_eq!(heard(peer), "c");
    }
    // A confirmation comes of each.
    let options = json!({"confirm": "d", "prefix": true});
    ask!(
        scene.host,
        "-server_publish",
        server.reference,
        "room/",
        1,
        "=d",
        options
    )
    .ok();
    for (client, peer) in [(one_ref, &mut one), (two_ref, &mut two)] {
        assert_eq!(*scene.host.event("sent", client).context("confirm"), "d");
        assert_eq!(heard(peer), "d");
    }
    // Without the option a topic is just its name.
    assert_eq!(
        scene.publish(server, "room/", "d", json!({}))["subscribers"],
        0
    );

    // The same where nobody wants to know.
    let quiet = json!({"except": [two_ref], "prefix": true});
    ask!(
        scene.host,
        "-server_publish",
        server.reference,
        "roo",
        1,
        "=e",
        quiet
    )
    .ok();
    ask!(
        scene.host,
        "-server_publish",
        server.reference,
        "roo",
        1,
        "=f",
        json!({"prefix": true})
    )
    .ok();
    assert_eq!(
        (heard(&mut one), heard(&mut other)),
        ("e".into(), "e".into())
    );
    for peer in [&mut one, &mut two, &mut other] {
        assert_eq!(heard(peer), "f");
    }
    for (client, peer) in [(one_ref, &mut one), (two_ref, &mut two)] {
        hears_nothing_before(&scene, client, peer);
    }
    scene.finish();
}

#[test]
fn a_client_is_subscribed_before_its_open_by_the_server_or_by_whoever_lets_it_in() {
    let scene = Scene::new();
    let server = scene.server(json!({"topics": ["all", "news", "all"]}));
    let (mut peer, client) = scene.peer(server);
    let info = ask!(scene.host, "client_info", client).ok().body;
    assert_eq!(info["topics"], json!(["all", "news"]));
    assert_eq!(
        scene.publish(server, "all", "hello", json!({}))["queued"],
        1
    );
    assert_eq!(heard(&mut peer), "hello");

    let asking = scene.server(json!({"admission": "ask", "topics": ["all"], "maxTopics": 2}));
    let ask = || {
        let mut peer = Peer::tcp(asking.port);
        peer.send_bytes(request_to("localhost", "/", "").as_bytes());
        let client = scene
            .host
            .server_event("request", asking.reference)
            .client();
        (peer, client)
    };
    for (options, topics) in [
        (json!({}), json!(["all"])),
        (json!({"topics": []}), json!([])),
        (
            json!({"topics": ["staff", "night"]}),
            json!(["night", "staff"]),
        ),
    ] {
        let (mut peer, client) = ask();
        ask!(scene.host, "client_subscribe", client, "early")
            .fails(WRONG_STATE, &["wsplug_client_accept"]);
        if topics != json!([]) {
            let many = json!({"topics": ["1", "2", "3"]});
            let refused = ask!(scene.host, "client_accept", client, many);
            let refused = refused.fails(INVALID_OPTIONS, &["3 names", "maxTopics is 2"]);
            assert_eq!(refused.body["error"]["option"], "topics");
        }
        ask!(scene.host, "client_accept", client, options).ok();
        assert_eq!(peer.response(PROMPTLY).unwrap().status, 101);
        scene.host.event("open", client);
        let info = ask!(scene.host, "client_info", client).ok().body;
        assert_eq!(info["topics"], topics);
        drop(peer);
        scene.host.event("close", client);
    }
    scene.finish();
}

#[test]
fn what_cannot_be_is_said_with_its_limit() {
    let scene = Scene::new();
    let server = scene.server(json!({"maxTopics": 2}));
    let (mut peer, client) = scene.subscriber(server, &["1", "2"]);
    let host = &scene.host;
    let long = "x".repeat(257);
    ask!(host, "client_subscribe", client, "3").fails(WRONG_STATE, &["2 topics", "maxTopics is 2"]);
    ask!(host, "client_subscribe", client, "2").ok();
    ask!(host, "client_unsubscribe", client, "1").ok();
    ask!(host, "client_subscribe", client, &long[1..]).ok();
    ask!(host, "client_unsubscribe", client, &long[1..]).ok();
    for command in ["client_subscribe", "client_unsubscribe"] {
        ask!(host, command, client, "~").fails(INVALID_ARGUMENT, &["topic is NULL"]);
        ask!(host, command, client, "").fails(INVALID_ARGUMENT, &["topic is empty"]);
        ask!(host, command, client, long).fails(INVALID_ARGUMENT, &["257 bytes", "limit is 256"]);
        ask!(host, command, 99_999, "t").fails(UNKNOWN_REF, &["99999"]);
        ask!(host, command, server.reference, "t").fails(UNKNOWN_REF, &["connection"]);
        let own = scene.client(json!({"url": server.url()}));
        ask!(host, command, own, "t").fails(WRONG_STATE, &["client of our own"]);
    }
    let publish = |topic: &str, kind: i32, data: &str, options: &str| {
        ask!(
            host,
            "server_publish",
            server.reference,
            topic,
            kind,
            data,
            options
        )
    };
    publish("~", 1, "=x", "{}").fails(INVALID_ARGUMENT, &["topic is NULL"]);
    publish("", 1, "=x", "{}").fails(INVALID_ARGUMENT, &["topic is empty"]);
    publish(&long, 1, "=x", "{}").fails(INVALID_ARGUMENT, &["257 bytes", "limit is 256"]);
    publish("2", 3, "=x", "{}").fails(INVALID_ARGUMENT, &["kind is 3"]);
    publish("2", 1, "%ff", "{}").fails(INVALID_ARGUMENT, &["UTF-8"]);
    publish("2", 9, "*126", "{}").fails(TOO_LARGE, &["125"]);
    publish("2", 1, "=x", "{").fails(INVALID_OPTIONS, &["JSON"]);
    publish("2", 1, "=x", r#"{"except":"all"}"#).fails(INVALID_OPTIONS, &["except"]);
    let told = publish("2", 1, "=seen", r#"{"exept":[]}"#).ok().body;
    assert_eq!(
        told["ignoredOptions"],
        json!([{"option": "exept", "didYouMean": "except"}])
    );
    assert_eq!(heard(&mut peer), "seen");
    // Nothing of it has been sent where nobody wanted to know, either.
    for (topic, kind, data, status) in [
        ("2", 1, "%ff", INVALID_ARGUMENT),
        ("nobody", 1, "%ff", INVALID_ARGUMENT),
        ("~", 1, "=x", INVALID_ARGUMENT),
        ("2", 9, "*126", TOO_LARGE),
    ] {
        let reply = ask!(
            host,
            "-server_publish",
            server.reference,
            topic,
            kind,
            data,
            "{}"
        );
        assert_eq!(reply.status, status, "{topic} {kind} {data}");
    }
    let length = ask!(
        host,
        "server_publish",
        server.reference,
        "2",
        1,
        "~",
        "{}",
        1
    );
    length.fails(INVALID_ARGUMENT, &["data is NULL"]);
    ask!(host, "server_publish", 0, "2", 1, "=x", "{}").fails(UNKNOWN_REF, &["server"]);
    ask!(host, "server_publish", client, "2", 1, "=x", "{}").fails(UNKNOWN_REF, &["server"]);
    hears_nothing_before(&scene, client, &mut peer);

    // One that is closing cannot join any more.
    ask!(host, "client_stop", client, json!({"wait": false})).ok();
    ask!(host, "client_subscribe", client, "3").fails(WRONG_STATE, &["closing"]);
    let told = publish("2", 1, "=late", "{}").ok().body;
    assert_eq!(
        (&told["queued"], &told["failed"]),
        (&json!(0), &json!({"wrong_state": [client]}))
    );
    drop(peer);
    host.event("close", client);
    let is_unknown = || ask!(host, "client_subscribe", client, "3").status == UNKNOWN_REF;
    assert!(soon(WATCHDOG, is_unknown));

    let names = json!({"topics": ["a", "b", "c"], "maxTopics": 2});
    let created = ask!(host, "server_create", names).ok();
    let refused = ask!(host, "server_start", created.reference, "{}");
    refused.fails(INVALID_OPTIONS, &["topics has 3 names", "maxTopics is 2"]);
    ask!(host, "server_clear", created.reference).ok();
    for wrong in [json!([""]), json!([long]), json!([7]), json!("one")] {
        let refused = ask!(host, "server_create", json!({"topics": wrong}));
        assert_eq!(
            refused.fails(INVALID_OPTIONS, &[]).body["error"]["option"],
            "topics"
        );
    }
    scene.finish();
}

const ALONE: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n";
const TOGETHER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

#[test]
fn ten_thousand_subscribers_cost_one_encoding() {
    let scene = Scene::new();
    let files = raise_file_limit() as usize;
    let count = files.saturating_sub(500).min(10_000);
    if count < 10_000 {
        eprintln!("{count} subscribers instead of 10,000: only {files} files may be open");
    }
    assert!(
        count >= 4000,
        "{files} open files are too few for this test"
    );
    scene.may_grow(100 * MIB);
    ask!(scene.host, "quiet", "open").ok();
    ask!(scene.host, "quiet", "close").ok();
    let options = json!({"topics": ["all"], "maxConnections": 20_000, "pingInterval": 0});
    let server = scene.server(options);
    let mut peers: Vec<Peer> = (0..count).map(|_| Peer::client(server.port)).collect();
    let is_complete = || scene.topics(server) == json!({"all": count});
    assert!(soon(WATCHDOG, is_complete), "{}", scene.topics(server));
    let told = scene.publish(server, "all", "to all of you", json!({}));
    assert_eq!(
        (&told["queued"], &told["encoded"]),
        (&json!(count), &json!(1))
    );
    let publish = ["server_publish", "@s", "all", "1", "#20"]
        .map(|word| word.replace("@s", &server.reference.to_string()));
    let mut words = vec!["-repeat".to_owned(), "0".into(), "5".into()];
    words.extend(publish);
    assert_eq!(scene.host.call(&words).ok().done, 5);
    for peer in &mut peers {
        assert_eq!(heard(peer), "to all of you");
        for number in 0..5 {
            assert!(heard(peer).starts_with(&format!("{number}.")));
        }
    }
    drop(peers);
    assert!(soon(2 * WATCHDOG, || scene.topics(server) == json!({})));
    scene.finish();
}

#[test]
fn a_thousand_subscribers_without_contexts_cost_one_compression() {
    let scene = Scene::new();
    raise_file_limit();
    scene.may_grow(64 * MIB);
    ask!(scene.host, "quiet", "open").ok();
    ask!(scene.host, "quiet", "close").ok();
    let server = scene.server(json!({"topics": ["all"], "pingInterval": 0}));
    let mut peers: Vec<Peer> = (0..1000)
        .map(|_| Peer::tcp(server.port).upgraded(ALONE))
        .collect();
    assert!(soon(WATCHDOG, || scene.topics(server) == json!({"all": 1000})));
    let text = "milk and sugar, ".repeat(256);
    for _ in 0..3 {
        let told = scene.publish(server, "all", &text, json!({}));
        assert_eq!(
            (&told["queued"], &told["encoded"], &told["payloadSize"]),
            (&json!(1000), &json!(1), &json!(4096))
        );
    }
    // As nothing is kept from one message to the next, all of them are the same.
    let first = peers[0].frame();
    assert!(first.rsv == 4 && first.payload.len() < 100, "{first:?}");
    assert_eq!(
        [peers[0].frame(), peers[0].frame()],
        [&first; 2].map(Frame::clone)
    );
    for peer in &mut peers[1..] {
        for _ in 0..3 {
            assert_eq!(peer.frame(), first);
        }
    }
    drop(peers);
    assert!(soon(WATCHDOG, || scene.topics(server) == json!({})));
    scene.finish();
}

#[test]
fn it_is_compressed_once_for_all_without_a_context_of_their_own() {
    let scene = Scene::new();
    let server = scene.server(json!({"topics": ["all"]}));
    let join = |headers: &str| {
        let peer = Peer::tcp(server.port).upgraded(headers);
        scene.host.server_event("open", server.reference);
        peer
    };
    let mut alone: Vec<Peer> = (0..20).map(|_| join(ALONE)).collect();
    let publish = |size: usize| {
        let data = format!("*{size}");
        ask!(
            scene.host,
            "server_publish",
            server.reference,
            "all",
            1,
            data,
            "{}"
        )
        .ok()
        .body
    };
    assert_eq!(publish(4096)["encoded"], 1);
    let mut plain: Vec<Peer> = (0..20).map(|_| join("")).collect();
    assert_eq!(publish(4096)["encoded"], 2);
    let mut together: Vec<Peer> = (0..3).map(|_| join(TOGETHER)).collect();
    assert_eq!(publish(4096)["encoded"], 2 + 3);
    // Below the threshold nobody's is compressed.
    assert_eq!(publish(100)["encoded"], 1);
    let quietly = |size: usize| {
        let data = format!("*{size}");
        ask!(
            scene.host,
            "-server_publish",
            server.reference,
            "all",
            1,
            data,
            "{}"
        )
        .ok();
    };
    quietly(4096);
    quietly(100);

    // Each gets the same, in the form that was agreed with it.
    let lengths = |peer: &mut Peer, count: usize| -> Vec<(u8, usize)> {
        let frames = (0..count).map(|_| peer.frame());
        frames
            .map(|frame| (frame.rsv, frame.payload.len()))
            .collect()
    };
    let first = lengths(&mut alone[0], 6);
    assert!(
        first[..3].iter().all(|frame| *frame == first[0]),
        "{first:?}"
    );
    assert!(first[0].0 == 4 && first[0].1 < 100, "{first:?}");
    assert_eq!(first[3..], [(0, 100), first[0], (0, 100)]);
    for peer in &mut alone[1..] {
        assert_eq!(lengths(peer, 6), first);
    }
    for peer in &mut plain {
        assert_eq!(
            lengths(peer, 5),
            [(0, 4096), (0, 4096), (0, 100), (0, 4096), (0, 100)]
        );
    }
    for peer in &mut together {
        let frames = lengths(peer, 4);
        assert_eq!(frames[0], first[0]);
        assert_eq!((frames[1], frames[3]), ((0, 100), (0, 100)));
        // The second continues the first one's context.
        assert!(frames[2].0 == 4 && frames[2].1 < frames[0].1, "{frames:?}");
    }
    scene.finish();
}

#[test]
fn a_slow_subscriber_is_told_of_and_the_fast_ones_get_everything() {
    let scene = Scene::new();
    scene.may_grow(64 * MIB);
    let server =
        scene.server(json!({"topics": ["all"], "sendQueueBytes": 64 * 1024, "drain": true}));
    let (slow, slow_ref) = scene.peer_with(server, Peer::tcp_with_little_room(server.port));
    let fast: Vec<Peer> = (0..3).map(|_| scene.peer(server).0).collect();
    let (count, size) = (2000, 4096);
    let readers: Vec<_> = fast
        .into_iter()
        .map(|mut peer| {
            std::thread::spawn(move || {
                for number in 0..count {
                    let text = heard(&mut peer);
                    assert!(
                        text.starts_with(&format!("{number}.")),
                        "{number}: {text:.20}"
                    );
                }
                peer
            })
        })
        .collect();
    // As fast as the slowest of the fast ones: each half is told of in its own way.
    let mut refused = 0;
    for number in 0..count {
        let data = format!("={number}.{}", " ".repeat(size));
        let room = || {
            let info = ask!(scene.host, "server_info", server.reference).ok().body;
            let waiting = info["bufferedAmount"].as_u64().unwrap();
            let slow = ask!(scene.host, "client_info", slow_ref).ok().body["bufferedAmount"]
                .as_u64()
                .unwrap();
            assert!(slow <= 64 * 1024, "{slow}");
            // It may all wait for one of them, which has to have room for eight more.
            waiting - slow < 28 * 1024
        };
        if number % 8 == 0 {
            assert!(soon(WATCHDOG, room));
        }
        if number % 2 == 0 {
            ask!(
                scene.host,
                "-server_publish",
                server.reference,
                "all",
                1,
                data,
                "{}"
            )
            .ok();
            continue;
        }
        let told = ask!(
            scene.host,
            "server_publish",
            server.reference,
            "all",
            1,
            data,
            "{}"
        )
        .ok()
        .body;
        let failed = &told["failed"];
        if *failed != json!({}) {
            refused += 1;
            assert_eq!(*failed, json!({"queue_full": [slow_ref]}));
            assert_eq!(
                (&told["subscribers"], &told["queued"]),
                (&json!(4), &json!(3))
            );
        }
    }
    assert!(refused > count / 4, "{refused} were refused");
    let fast: Vec<Peer> = readers
        .into_iter()
        .map(|reader| reader.join().unwrap())
        .collect();
    // What it got is in order, and goes on once there is room.
    let mut slow = slow;
    let mut last = None;
    let patience = Instant::now() + WATCHDOG;
    let drained = loop {
        let info = ask!(scene.host, "client_info", slow_ref).ok().body;
        match slow.hear(Duration::from_millis(300)) {
            Heard::Silence if info["bufferedAmount"] != 0 && Instant::now() < patience => {}
            Heard::Frame(frame) => {
                let text = String::from_utf8(frame.payload).unwrap();
                let number: usize = text.split('.').next().unwrap().parse().unwrap();
                assert!(last < Some(number), "{number} behind {last:?}");
                last = Some(number);
            }
            other => break other,
        }
    };
    assert_eq!(drained, Heard::Silence);
    scene.host.event("drain", slow_ref);
    assert_eq!(
        scene.publish(server, "all", "all again", json!({}))["queued"],
        4
    );
    assert_eq!(heard(&mut slow), "all again");
    drop(fast);
    scene.finish();
}

#[test]
fn the_order_is_that_of_the_calls_whatever_is_told_to_whom() {
    for dispatch in ["thread", "inline"] {
        let scene = Scene::new();
        let server = scene.server(json!({"dispatch": dispatch}));
        let (mut one, client) = scene.subscriber(server, &["a", "b"]);
        let (mut two, other) = scene.subscriber(server, &["b"]);
        let host = &scene.host;
        let id = server.reference;
        let rules = [
            "-server_publish\t@s\ta\t1\t=1",
            "-server_publish\t@s\tb\t1\t=2",
            "-server_publish\t@s\ta\t1\t=3",
            "-client_send\t@c\t1\t=4",
            "-server_send\t@s\t1\t=5",
            "server_publish\t@s\tb\t1\t=6",
            "-server_publish\t@s\ta\t1\t=7",
            "-client_stop\t@c\t{\"code\":4000}",
        ];
        for rule in rules {
            let words: Vec<&str> = ["on", "message", "1"]
                .into_iter()
                .chain(rule.split('\t'))
                .collect();
            host.call(&words).ok();
        }
        // From outside of callbacks first.
        for command in rules.iter().take(7) {
            let line = command
                .replace("@s", &id.to_string())
                .replace("@c", &client.to_string());
            let words: Vec<&str> = line.split('\t').collect();
            host.call(&words).ok();
        }
        let texts =
            |peer: &mut Peer, count: usize| (0..count).map(|_| heard(peer)).collect::<String>();
        assert_eq!(texts(&mut one, 7), "1234567", "{dispatch}");
        assert_eq!(texts(&mut two, 3), "256", "{dispatch}");
        one.send(&Frame::text("go"));
        assert_eq!(texts(&mut one, 7), "1234567", "{dispatch}");
        assert_eq!(one.close_frame(PROMPTLY).0, 4000);
        assert_eq!(texts(&mut two, 3), "256", "{dispatch}");
        drop(one);
        host.event("close", client);
        // What was said before a stop comes before the close frame.
        ask!(host, "-server_publish", id, "b", 1, "=last", "{}").ok();
        ask!(host, "-server_stop", id, json!({"wait": false})).ok();
        assert_eq!(heard(&mut two), "last");
        assert_eq!(two.close_frame(PROMPTLY).0, 1001);
        two.send(&Frame::close(1001, ""));
        host.event("close", other);
        scene.finish();
    }
}

#[test]
fn callbacks_of_every_kind_of_delivery_publish_to_all_in_order() {
    for (dispatch, wants_reply) in [
        ("inline", false),
        ("inline", true),
        ("thread", false),
        ("pump", false),
    ] {
        let scene = Scene::new();
        if dispatch == "pump" {
            ask!(scene.host, "loop", "pump", 20).ok();
        }
        let server = scene
            .server(json!({"dispatch": dispatch, "topics": ["all"], "sendQueueBytes": 8 * MIB}));
        let rule = match wants_reply {
            true => "server_publish",
            false => "-server_publish",
        };
        ask!(scene.host, "quiet", "message").ok();
        ask!(scene.host, "on", "message", -1, rule, "@s", "all", 1, "=@c").ok();
        let mut peers: Vec<(Peer, i32)> = (0..8).map(|_| scene.peer(server)).collect();
        let each = 100;
        let batch: Vec<u8> = (0..each)
            .flat_map(|_| Frame::text("x").bytes(true))
            .collect();
        for (peer, _) in &mut peers {
            peer.send_bytes(&batch);
        }
        let refs: Vec<String> = peers.iter().map(|(_, client)| client.to_string()).collect();
        let mut first: Option<Vec<String>> = None;
        for (peer, _) in &mut peers {
            let all: Vec<String> = (0..8 * each).map(|_| heard(peer)).collect();
            for client in &refs {
                assert_eq!(all.iter().filter(|from| *from == client).count(), each);
            }
            // One network thread says everything to everybody in one order.
            assert_eq!(first.get_or_insert_with(|| all.clone()), &all, "{dispatch}");
        }
        scene.clear();
        if dispatch == "pump" {
            ask!(scene.host, "halt").ok();
        }
        scene.finish();
    }
}

#[test]
fn several_network_threads_publish_to_each_other() {
    let host = host::Host::spawn();
    ask!(host, "init", json!({"threads": 3})).ok();
    ask!(host, "callbacks", "em").ok();
    ask!(host, "quiet", "message").ok();
    let options =
        json!({"port": 0, "dispatch": "inline", "topics": ["all"], "sendQueueBytes": 16 * MIB});
    let id = ask!(host, "server_create", options).ok().reference;
    let port = ask!(host, "server_start", id, "{}").ok().body["port"]
        .as_u64()
        .unwrap() as u16;
    ask!(
        host,
        "on",
        "message",
        -1,
        "-server_publish",
        "@s",
        "all",
        1,
        "=@c"
    )
    .ok();
    let each = 200;
    let peers: Vec<Peer> = (0..9).map(|_| Peer::client(port)).collect();
    let is_complete = || ask!(host, "server_info", id).ok().body["topics"] == json!({"all": 9});
    assert!(soon(WATCHDOG, is_complete));
    let readers: Vec<_> = peers
        .into_iter()
        .map(|mut peer| {
            std::thread::spawn(move || {
                let batch: Vec<u8> = (0..each)
                    .flat_map(|_| Frame::text("x").bytes(true))
                    .collect();
                peer.send_bytes(&batch);
                let mut counts = std::collections::BTreeMap::new();
                for _ in 0..9 * each {
                    *counts.entry(heard(&mut peer)).or_insert(0) += 1;
                }
                assert!(
                    counts.len() == 9 && counts.values().all(|count| *count == each),
                    "{counts:?}"
                );
                peer
            })
        })
        .collect();
    // Meanwhile the host publishes too, to another topic, and asks how it stands.
    for _ in 0..200 {
        ask!(host, "-server_publish", id, "nobody", 1, "=x", "{}").ok();
        ask!(host, "server_info", id).ok();
    }
    let peers: Vec<Peer> = readers
        .into_iter()
        .map(|reader| reader.join().unwrap())
        .collect();
    drop(peers);
    ask!(host, "server_clear", id).ok();
    assert_eq!(ask!(host, "shutdown", 5000).status, OK);
    host.leave();
}

#[test]
fn joining_leaving_publishing_and_closing_race_without_harm() {
    let scene = Scene::new();
    scene.may_grow(64 * MIB);
    let server = scene.server(json!({"topics": ["all"], "maxConnections": 1000}));
    let (mut constant, constant_ref) = scene.peer(server);
    ask!(scene.host, "quiet", "open").ok();
    ask!(scene.host, "quiet", "close").ok();
    let host = &scene.host;
    let id = server.reference;
    let turns = 2000;
    let aside: Vec<String> = [
        ("&-repeat", "server_publish\t@\tall\t1\t#16"),
        ("&repeat", "server_publish\t@\tall\t1\t=r"),
        ("&-repeat", "server_publish\t@\t\t1\t=p\t{\"prefix\":true}"),
        ("&-repeat", "server_send\t@\t1\t=s"),
    ]
    .map(|(repeat, command)| {
        let line = format!("{repeat}\t0\t{turns}\t{command}").replace('@', &id.to_string());
        let words: Vec<&str> = line.split('\t').collect();
        host.begin(&words)
    })
    .into();
    let reader = std::thread::spawn(move || {
        // Everything, and each thread's in its order.
        let mut numbered = 0;
        for _ in 0..4 * turns {
            let text = heard(&mut constant);
            if text.ends_with('.') {
                assert!(
                    text.starts_with(&format!("{numbered}.")),
                    "{numbered}: {text}"
                );
                numbered += 1;
            }
        }
        assert_eq!(numbered, turns);
        constant
    });
    let first = constant_ref + 1;
    for round in 0..30 {
        let peers: Vec<Peer> = (0..10).map(|_| Peer::client(server.port)).collect();
        for client in first + round * 10..first + round * 10 + 10 {
            for topic in ["all", "a", "b"] {
                // Whether it is there already, or no longer, is the race.
                begin!(host, "&client_unsubscribe", client, topic);
                begin!(host, "&client_subscribe", client, topic);
            }
            if client % 3 == 0 {
                begin!(host, "&client_stop", client, "{}");
            } else if client % 3 == 1 {
                begin!(host, "&client_clear", client);
            }
        }
        drop(peers);
    }
    for tag in aside {
        assert_eq!(host.reply(&tag, 6 * WATCHDOG).ok().done, turns);
    }
    let constant = reader.join().unwrap();
    assert!(
        soon(WATCHDOG, || scene.topics(server) == json!({"all": 1})),
        "{}",
        scene.topics(server)
    );
    drop(constant);
    assert!(
        soon(WATCHDOG, || scene.topics(server) == json!({})),
        "{}",
        scene.topics(server)
    );
    scene.finish();
}

#[test]
fn a_server_that_is_cleared_in_a_callback_says_what_was_published_before() {
    for dispatch in ["thread", "inline"] {
        let scene = Scene::new();
        let server = scene.server(json!({"dispatch": dispatch, "topics": ["all"]}));
        let mut peers: Vec<(Peer, i32)> = (0..3).map(|_| scene.peer(server)).collect();
        for rule in [
            "-server_publish\t@s\tall\t1\t=last words",
            "server_clear\t@s",
            "server_publish\t@s\tall\t1\t=too late",
            "client_subscribe\t@c\tother",
        ] {
            let words: Vec<&str> = ["on", "message", "1"]
                .into_iter()
                .chain(rule.split('\t'))
                .collect();
            scene.host.call(&words).ok();
        }
        peers[0].0.send(&Frame::text("go"));
        for (peer, _) in &mut peers {
            assert_eq!(heard(peer), "last words", "{dispatch}");
            let end = peer.frame();
            assert_eq!(
                (end.opcode, &end.payload[..2]),
                (CLOSE, &1001_u16.to_be_bytes()[..])
            );
        }
        ask!(
            scene.host,
            "server_publish",
            server.reference,
            "all",
            1,
            "=x",
            "{}"
        )
        .fails(UNKNOWN_REF, &[]);
        ask!(scene.host, "client_subscribe", peers[0].1, "other").fails(UNKNOWN_REF, &[]);
        scene.finish();
    }
}
