//! What the library, a server and a connection tell about themselves: facts of the handshake, states, counters.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/host.rs"]
mod host;
#[path = "support/scene.rs"]
mod scene;

use adversary::{BINARY, Frame, Heard, PING, PONG, PROMPTLY, Peer, TEXT};
use host::{OK, UNKNOWN_REF, WATCHDOG, soon};
use scene::Scene;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

impl Scene {
    fn info(&self, command: &str, reference: i32) -> Value {
        ask!(self.host, command, reference).ok().body
    }

    /// The named numbers of an info.
    fn numbers<const N: usize>(&self, command: &str, reference: i32, names: [&str; N]) -> [u64; N] {
        let info = self.info(command, reference);
        names.map(|name| {
            let number = info[name].as_u64();
            number.unwrap_or_else(|| panic!("no number {name} in {info}"))
        })
    }
}

const MESSAGES: [&str; 6] = [
    "messagesIn",
    "bytesIn",
    "wireBytesIn",
    "messagesOut",
    "bytesOut",
    "wireBytesOut",
];

#[test]
fn an_accepted_connection_tells_what_its_handshake_brought() {
    let scene = Scene::new();
    let server = scene.server(json!({"protocols": ["chat"]}));
    let mut peer = Peer::tcp(server.port);
    let port = peer.stream.local_addr().unwrap().port();
    peer.send_bytes(
        format!(
            "GET /room/7?name=ann&x HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: chat\r\nOrigin: http://127.0.0.1:{}\r\nCookie: a=1; b=two=2\r\nX-One: 1\r\nX-One: 2\r\n\r\n",
            server.port, server.port
        )
        .as_bytes(),
    );
    assert_eq!(peer.response(PROMPTLY).unwrap().status, 101);
    let client = scene.host.server_event("open", server.reference).client();
    let info = scene.info("client_info", client);
    let expected = json!({
        "success": true, "ref": client, "server": server.reference, "name": "", "state": "open",
        "uri": "/room/7?name=ann&x", "path": "/room/7", "query": "name=ann&x",
        "origin": format!("http://127.0.0.1:{}", server.port), "cookies": {"a": "1", "b": "two=2"},
        "protocol": "chat", "extensions": "", "remoteIp": "127.0.0.1", "remotePort": port, "tls": false,
        "bufferedAmount": 0, "roundTripMs": null,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&info[name], value, "{name} of {info}");
    }
    assert_eq!(info["headers"]["X-One"], "1, 2");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let age = now.unwrap().as_millis() as u64 - info["connectedAt"].as_u64().unwrap();
    assert!(age < 20_000, "connected {age} ms ago");

    peer.send(&Frame::close(1000, ""));
    scene.host.event("close", client);
    let is_gone = || ask!(scene.host, "client_info", client).status == UNKNOWN_REF;
    assert!(soon(WATCHDOG, is_gone));
    ask!(scene.host, "client_info", client).fails(UNKNOWN_REF, &[&client.to_string()]);
    ask!(scene.host, "client_info", 0).fails(UNKNOWN_REF, &[]);
    scene.finish();
}

#[test]
fn a_connection_counts_what_passes_in_and_out() {
    let scene = Scene::new();
    let server = scene.server(json!({"pingInterval": 0}));
    let (mut peer, client) = scene.peer(server);
    peer.send(&Frame::text("hello")); // 6 + 5 bytes
    peer.send(&Frame::text("one ").not_final()); // 6 + 4
    peer.send(&Frame::new(0, "two")); // 6 + 3
    peer.send(&Frame::new(PING, "are you there")); // 6 + 13
    peer.send(&Frame::new(PONG, "")); // 6
    scene.host.event("pong", client);
    assert_eq!(peer.frame().payload, b"are you there"); // 2 + 13
    ask!(scene.host, "client_send", client, TEXT, "=four").ok(); // 2 + 4
    ask!(scene.host, "server_send", server.reference, BINARY, "*200").ok(); // 4 + 200
    ask!(scene.host, "client_send", client, PING, "=now").ok(); // 2 + 3
    for length in [4, 200] {
        assert_eq!(peer.frame().payload.len(), length);
    }
    assert!(matches!(peer.hear(PROMPTLY), Heard::Frame(frame) if frame.opcode == PING));
    let expected = [2, 12, 55, 2, 204, 15 + 6 + 204 + 5];
    // The peer may read a byte before it is counted as sent.
    assert!(soon(WATCHDOG, || scene.numbers(
        "client_info",
        client,
        MESSAGES
    ) == expected));
    let controls = ["pingsIn", "pongsIn", "pingsOut", "pongsOut"];
    assert_eq!(scene.numbers("client_info", client, controls), [1, 1, 1, 1]);
    scene.finish();
}

#[test]
fn answers_of_inline_callbacks_are_counted_too() {
    let scene = Scene::new();
    let (mut peer, client) = {
        let mut peer = Peer::client(scene.echo.port);
        peer.send(&Frame::text("first"));
        assert_eq!(peer.frame().payload, b"first");
        let refs = ask!(scene.host, "server_clients", scene.echo.reference).ok();
        let newest = refs.body.as_array().unwrap().last().unwrap().as_i64();
        (peer, newest.unwrap() as i32)
    };
    // From the size on at which a message is written without being copied.
    peer.send(&Frame::new(BINARY, vec![7; 100_000]));
    assert_eq!(peer.frame().payload.len(), 100_000);
    let expected = [2, 100_005, 11 + 100_014, 2, 100_005, 7 + 100_010];
    assert!(soon(WATCHDOG, || scene.numbers(
        "client_info",
        client,
        MESSAGES
    ) == expected));
    drop(peer);
    scene.finish();
}

#[test]
fn compressed_messages_count_with_both_of_their_sizes() {
    let scene = Scene::new();
    let server = scene.server(json!({}));
    let options =
        json!({"url": server.url(), "perMessageDeflate": {"enabled": true, "threshold": 0}});
    let client = scene.client(options);
    ask!(scene.host, "client_start", client, "{}").ok();
    ask!(scene.host, "client_send", client, TEXT, "*50000").ok();
    let accepted = scene
        .host
        .wait_for("message", WATCHDOG, |event| {
            event.is("message") && event.server() == server.reference
        })
        .client();
    let [messages, bytes, wire, ..] = scene.numbers("client_info", accepted, MESSAGES);
    assert_eq!((messages, bytes), (1, 50_000));
    assert!(wire < 1000, "{wire} bytes on the wire");
    assert!(
        scene.info("client_info", accepted)["extensions"]
            .as_str()
            .unwrap()
            .starts_with("permessage-deflate")
    );
    let [.., sent, bytes, _] = scene.numbers("client_info", client, MESSAGES);
    assert_eq!((sent, bytes), (1, 50_000));
    scene.finish();
}

#[test]
fn the_round_trip_is_that_of_the_last_ping() {
    let scene = Scene::new();
    let server = scene.server(json!({"pingInterval": 0.2}));
    let (mut peer, client) = scene.peer(server);
    let delay = std::time::Duration::from_millis(30);
    assert!(matches!(peer.hear(PROMPTLY), Heard::Frame(frame) if frame.opcode == PING));
    // What the peer takes for its answer is what is measured.
    std::thread::sleep(delay);
    peer.send(&Frame::new(PONG, ""));
    scene.host.event("pong", client);
    let time = scene.info("client_info", client)["roundTripMs"].as_f64();
    let time = time.expect("a pong has come");
    assert!((30.0..2000.0).contains(&time), "{time} ms");
    scene.finish();
}

#[test]
fn what_waits_for_a_slow_peer_and_for_a_slow_host_is_told() {
    let scene = Scene::pulling();
    scene.may_grow(64 * scene::MIB);
    let server = scene.server(json!({"sendQueueBytes": 33_554_432}));
    let mut peer = Peer::tcp_with_little_room(server.port).upgraded("");
    assert_eq!(ask!(scene.host, "event_next", 5000).status, OK);
    let client = scene.host.server_event("open", server.reference).client();
    ask!(scene.host, "client_send", client, BINARY, "*16000000").ok();
    peer.send(&Frame::text("hello"));
    let waiting = || {
        let info = scene.info("server_info", server.reference);
        info["eventQueueEvents"] == 1 && info["eventQueueBytes"] == 5
    };
    assert!(soon(WATCHDOG, waiting));
    let [buffered] = scene.numbers("client_info", client, ["bufferedAmount"]);
    assert!(buffered > 8_000_000, "{buffered} bytes wait");
    let [all] = scene.numbers("server_info", server.reference, ["bufferedAmount"]);
    assert_eq!(all, buffered);
    let library = ask!(scene.host, "info").ok().body;
    assert_eq!(library["eventQueueEvents"], 1);
    scene.finish();
}

#[test]
fn a_server_counts_those_that_are_gone_and_whom_it_refused_for_what() {
    let scene = Scene::new();
    let options = json!({
        "path": "/here", "maxConnections": 2, "maxPerIp": 2, "handshakeTimeoutMs": 2000,
        "auth": {"bearer": ["secret"]}, "pingInterval": 0,
    });
    let server = scene.server(options);
    let token = "Authorization: Bearer secret\r\n";
    let ask_for = |path: &str, headers: &str| {
        let request = adversary::request(headers).replace("GET / ", &format!("GET {path} "));
        let mut peer = Peer::tcp(server.port);
        peer.send_bytes(request.as_bytes());
        let status = peer.response(PROMPTLY).unwrap().status;
        (peer, status)
    };
    let (mut first, status) = ask_for("/here", token);
    assert_eq!(status, 101);
    let (_second, status) = ask_for("/here", token);
    assert_eq!(status, 101);
    for (path, headers, expected) in [
        ("/there", token, 404),
        ("/here", "", 401),
        (
            "/here",
            "Authorization: Bearer secret\r\nOrigin: https://evil.example\r\n",
            403,
        ),
        ("/here", token, 503),
    ] {
        assert_eq!(ask_for(path, headers).1, expected);
    }
    let mut silent = Peer::tcp(server.port);
    assert!(silent.ends(PROMPTLY));
    let mut wrong = Peer::tcp(server.port);
    wrong.send_bytes(b"HELLO\r\n\r\n");
    assert_eq!(wrong.response(PROMPTLY).unwrap().status, 400);
    drop((silent, wrong));
    let is_done = || scene.info("server_info", server.reference)["pendingHandshakes"] == 0;
    assert!(soon(WATCHDOG, is_done));

    let client = scene.host.server_event("open", server.reference).client();
    first.send(&Frame::text("hello"));
    scene.host.event("message", client);
    first.send(&Frame::close(1000, ""));
    scene.host.event("close", client);
    // Its close frame leaves a moment after the event.
    let is_sent = || scene.info("server_info", server.reference)["bufferedAmount"] == 0;
    assert!(soon(WATCHDOG, is_sent));
    let info = scene.info("server_info", server.reference);
    assert_eq!(
        info["refused"],
        json!({"auth": 1, "handshakeTimeout": 1, "maxConnections": 1, "origin": 1, "path": 1, "request": 1})
    );
    let expected = json!({
        "success": true, "ref": server.reference, "listening": true, "host": "127.0.0.1", "port": server.port,
        "url": format!("ws://127.0.0.1:{}/here", server.port), "clients": 1, "pendingHandshakes": 0, "opened": 2,
        "messagesIn": 1, "bytesIn": 5, "bufferedAmount": 0, "eventQueueEvents": 0,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&info[name], value, "{name} of {info}");
    }
    ask!(scene.host, "server_stop", server.reference, "{}").ok();
    let info = scene.info("server_info", server.reference);
    assert_eq!(
        (
            &info["listening"],
            &info["clients"],
            &info["messagesIn"],
            &info["url"]
        ),
        (&json!(false), &json!(0), &json!(1), &json!(""))
    );
    ask!(scene.host, "server_info", 17).fails(UNKNOWN_REF, &["17"]);
    scene.finish();
}

#[test]
fn a_server_counts_the_pings_and_pongs_of_all_connections() {
    let scene = Scene::new();
    let server = scene.server(json!({"pingInterval": 0}));
    let controls = || {
        scene.numbers(
            "server_info",
            server.reference,
            ["pingsIn", "pongsIn", "pingsOut", "pongsOut"],
        )
    };
    assert_eq!(controls(), [0; 4]);
    let mut peers: Vec<_> = (0..3).map(|_| scene.peer(server)).collect();
    for (number, (peer, client)) in peers.iter_mut().enumerate() {
        // One ping of the first, two of the second, three of the third.
        for _ in 0..=number {
            peer.send(&Frame::new(PING, "here?"));
            scene.host.event("ping", *client);
            assert_eq!(peer.frame(), answer_to("here?"));
        }
        for _ in 0..4 {
            ask!(scene.host, "client_send", *client, PING, "=there?").ok();
            let ping = peer.hear(PROMPTLY);
            assert!(matches!(ping, Heard::Frame(frame) if frame.opcode == PING));
            peer.send(&Frame::new(PONG, "there?"));
            scene.host.event("pong", *client);
        }
        // One that nobody has asked for.
        peer.send(&Frame::new(PONG, ""));
        scene.host.event("pong", *client);
    }
    assert_eq!(controls(), [6, 15, 12, 6]);
    // They stay when the connections go, one by one.
    for (peer, client) in peers {
        drop(peer);
        scene.host.event("close", client);
        assert_eq!(controls(), [6, 15, 12, 6]);
    }
    let gone = || scene.numbers("server_info", server.reference, ["clients"]) == [0];
    assert!(soon(WATCHDOG, gone));
    assert_eq!(controls(), [6, 15, 12, 6]);
    scene.finish();
}

fn answer_to(ping: &str) -> Frame {
    Frame::new(PONG, ping).masked(false)
}

/// Those who add up look at some connections after others have gone: nobody may be missed or counted twice.
#[test]
fn counters_never_fall_while_clients_come_and_go() {
    let scene = Scene::threaded();
    for quiet in ["open", "message", "close"] {
        ask!(scene.host, "quiet", quiet).ok();
    }
    let server = scene.server(json!({"pingInterval": 0}));
    let over = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let come_and_go = |_| {
            scope.spawn(|| {
                let mut sent = 0;
                while !over.load(Ordering::Relaxed) {
                    let mut peer = Peer::client(server.port);
                    for _ in 0..5 {
                        peer.send(&Frame::text("hello"));
                    }
                    peer.send(&Frame::new(PING, "all there?"));
                    // The answer says that everything before was counted.
                    assert_eq!(peer.frame(), answer_to("all there?"));
                    sent += 5;
                }
                sent
            })
        };
        let threads = [0, 1, 2].map(come_and_go);
        let mut last = [[0; 9]; 2];
        for _ in 0..400 {
            let library = ask!(scene.host, "info").ok().body;
            let own = scene.info("server_info", server.reference);
            for (info, last) in [library, own].iter().zip(&mut last) {
                let now = COUNTERS.map(|name| info[name].as_u64().unwrap_or_default());
                let grows = now.iter().zip(last.iter()).all(|(now, last)| now >= last);
                assert!(grows, "{COUNTERS:?}: {now:?} after {last:?}");
                *last = now;
            }
        }
        over.store(true, Ordering::Relaxed);
        threads
            .map(|thread| thread.join().unwrap())
            .iter()
            .sum::<u64>()
    });
    let all = || {
        let names = ["messagesIn", "bytesIn", "pingsIn", "opened"];
        scene.numbers("server_info", server.reference, names)
    };
    assert_eq!(all(), [sent, 5 * sent, sent / 5, sent / 5]);
    scene.finish();
}

const COUNTERS: [&str; 9] = [
    "messagesIn",
    "bytesIn",
    "wireBytesIn",
    "messagesOut",
    "bytesOut",
    "wireBytesOut",
    "pingsIn",
    "pongsOut",
    "opened",
];

#[test]
fn a_client_of_our_own_tells_its_state_and_counts_across_connections() {
    let scene = Scene::new();
    let client = scene.client(json!({"url": scene.echo.url()}));
    let state = || scene.info("client_info", client)["state"].clone();
    assert_eq!(state(), "closed");
    for round in 1..=2 {
        ask!(scene.host, "client_start", client, "{}").ok();
        let info = scene.info("client_info", client);
        assert_eq!(info["state"], "open");
        assert_eq!((&info["server"], &info["ref"]), (&json!(0), &json!(client)));
        assert_eq!(info["url"], scene.echo.url());
        assert_eq!(info["remotePort"], scene.echo.port);
        assert_eq!(info["headers"]["Upgrade"], "websocket");
        ask!(scene.host, "client_send", client, TEXT, "=hello").ok();
        scene.host.event("message", client);
        scene.host.event("open", client);
        ask!(scene.host, "client_stop", client, "{}").ok();
        assert_eq!(state(), "closed");
        let seen = scene.numbers("client_info", client, ["messagesIn", "messagesOut"]);
        assert_eq!(seen, [round, round]);
    }
    let listener = adversary::listener();
    let options = json!({"url": adversary::url(&listener), "closeTimeoutMs": 10_000});
    ask!(scene.host, "client_stop", client, options).ok();
    let start = json!({"wait": false, "url": adversary::url(&listener)});
    ask!(scene.host, "client_start", client, start).ok();
    assert_eq!(state(), "connecting");
    let peer = Peer::accept(&listener);
    scene.host.event("open", client);
    ask!(scene.host, "client_stop", client, json!({"wait": false})).ok();
    assert_eq!(state(), "closing");
    drop(peer);
    scene.finish();
}

#[test]
fn the_library_tells_of_every_server_and_client() {
    let scene = Scene::new();
    let server = scene.server(json!({}));
    let client = scene.client(json!({"url": server.url()}));
    ask!(scene.host, "client_start", client, "{}").ok();
    scene.still_beats();
    let info = ask!(scene.host, "info").ok().body;
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    let abi = ask!(scene.host, "abi_version").status;
    assert_eq!(info["abiVersion"], abi);
    assert_eq!(abi, 1);
    assert_eq!(info["threads"], 1);
    let servers = info["servers"].as_array().unwrap();
    let refs: Vec<&Value> = servers.iter().map(|server| &server["ref"]).collect();
    assert_eq!(
        refs,
        [&json!(scene.echo.reference), &json!(server.reference)]
    );
    assert_eq!(servers[1]["clients"], 1);
    assert_eq!(info["clients"][0]["ref"], client);
    assert_eq!(info["clients"][0]["state"], "open");
    // The heartbeat's, and both ends of the client's.
    assert_eq!(info["connections"], 3);
    assert!(info["messagesIn"].as_u64() > Some(0), "{info}");
    scene.finish();
}
