//! Counters as Prometheus reads them: the format, the numbers, and who may read them.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde_json::json;

use crate::adversary::{Frame, Heard, PING, PONG, PROMPTLY, Peer};
use crate::host::{QUEUE_FULL, WATCHDOG, soon};
use crate::scene::{Scene, Server};
use crate::{ask, get};

/// Each series with its value, after a look at the format.
fn series(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'));
    let mut found = BTreeMap::new();
    let (mut family, mut kind) = ("", "");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split_once(' ').expect("a text").0;
            assert!(help.len() > family.len() + 10, "{line}");
            kind = "";
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, of) = typed.split_once(' ').unwrap();
            assert_eq!(name, family, "{line}");
            assert!(["counter", "gauge"].contains(&of), "{line}");
            assert_eq!(of == "counter", name.ends_with("_total"), "{line}");
            kind = of;
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let bare = name.split('{').next().unwrap();
            assert_eq!(bare, family, "{line}");
            assert!(!kind.is_empty(), "{line}");
            assert!(
                bare.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{line}"
            );
            let is_first = found
                .insert(name.to_owned(), value.parse().unwrap())
                .is_none();
            assert!(is_first, "{line}");
        }
    }
    found
}

fn metrics(server: Server) -> BTreeMap<String, f64> {
    let answer = get(server.port, "/metrics", "");
    assert_eq!(answer.status, 200, "{answer:?}");
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(kind));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    series(&String::from_utf8(answer.body).unwrap())
}

#[test]
fn the_counters_are_those_of_the_info_and_not_one_more_per_connection() {
    let scene = Scene::new();
    let server = scene.server(json!({"metrics": "/metrics", "pingInterval": 0}));
    let of = |name: &str| format!("wsplug_{name}{{server=\"{}\"}}", server.reference);
    let before = metrics(server);
    assert_eq!(before[&of("clients")], 0.0);
    assert_eq!(before["wsplug_info{version=\"0.1.0\"}"], 1.0);
    let mut peers: Vec<Peer> = (0..20).map(|_| Peer::client(server.port)).collect();
    for peer in &mut peers {
        peer.send(&Frame::text("hello"));
        scene.host.server_event("message", server.reference);
    }
    assert_eq!(
        get(server.port, "/", "Origin: http://evil.example\r\n").status,
        426
    );
    let origin = crate::adversary::request("Origin: http://evil.example\r\n");
    assert_eq!(Peer::http(server.port, origin).unwrap().status, 403);
    let after = metrics(server);
    for (name, expected) in [
        ("clients", 20.0),
        ("opened_total", 20.0),
        ("messages_in_total", 20.0),
        ("bytes_in_total", 100.0),
        ("wire_bytes_in_total", 20.0 * 11.0),
        ("http_requests_total", 1.0),
    ] {
        assert_eq!(after[&of(name)], expected, "{name}");
    }
    let refused = format!(
        "wsplug_refused_total{{server=\"{}\",reason=\"origin\"}}",
        server.reference
    );
    assert_eq!(after[&refused], 1.0);
    assert!(after.len() <= before.len() + 2, "{after:#?}");
    // Whatever the info counts is there.
    let info = crate::ask!(scene.host, "server_info", server.reference)
        .ok()
        .body;
    for counter in [
        "messagesOut",
        "bytesOut",
        "wireBytesOut",
        "pingsIn",
        "pongsOut",
    ] {
        let mut name = String::new();
        for letter in counter.chars() {
            match letter.is_uppercase() {
                true => name += &format!("_{}", letter.to_lowercase()),
                false => name.push(letter),
            }
        }
        let value = after[&of(&format!("{name}_total"))];
        assert_eq!(info[counter].as_f64(), Some(value), "{counter}");
    }
    drop(peers);
    let head = ask("HEAD", server.port, "/metrics", "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    scene.finish();
}

#[test]
fn counters_stay_when_connections_go_and_while_a_server_is_drained() {
    let scene = Scene::new();
    let server = scene.server(json!({"path": "/one", "metrics": "/metrics", "pingInterval": 0}));
    // Who is left on the port when the first one takes no new clients.
    let options = json!({"port": server.port, "path": "/two", "metrics": "/metrics"});
    let beside = scene.server(options);
    let connect = || {
        let mut peer = Peer::tcp(server.port);
        peer.send_bytes(crate::adversary::request_to("localhost", "/one", "").as_bytes());
        assert_eq!(peer.response(PROMPTLY).unwrap().status, 101);
        let open = scene.host.server_event("open", server.reference);
        (peer, open.client())
    };
    let of = |name: &str| format!("wsplug_{name}{{server=\"{}\"}}", server.reference);
    let told = |clients: f64| {
        let found = metrics(beside);
        for (name, expected) in [
            ("clients", clients),
            ("opened_total", 2.0),
            ("messages_in_total", 2.0),
            ("bytes_in_total", 10.0),
            ("messages_out_total", 2.0),
            ("pings_in_total", 2.0),
            ("pongs_out_total", 2.0),
            ("pings_out_total", 2.0),
            ("pongs_in_total", 2.0),
        ] {
            assert_eq!(found.get(&of(name)), Some(&expected), "{name}");
        }
    };
    let mut peers = [connect(), connect()];
    for (peer, client) in &mut peers {
        peer.send(&Frame::text("hello"));
        scene.host.event("message", *client);
        peer.send(&Frame::new(PING, "here?"));
        assert_eq!(peer.frame().opcode, PONG);
        ask!(scene.host, "client_send", *client, 1, "=hello").ok();
        assert_eq!(peer.frame().payload, b"hello");
        ask!(scene.host, "client_send", *client, PING, "=there?").ok();
        let ping = peer.hear(PROMPTLY);
        assert!(matches!(ping, Heard::Frame(frame) if frame.opcode == PING));
        peer.send(&Frame::new(PONG, "there?"));
        scene.host.event("pong", *client);
    }
    told(2.0);
    let [(first, first_ref), (mut second, second_ref)] = peers;
    drop(first);
    scene.host.event("close", first_ref);
    told(1.0);
    let how = json!({"drain": true, "wait": false, "deadlineMs": 60_000});
    ask!(scene.host, "server_stop", server.reference, how).ok();
    let info = ask!(scene.host, "server_info", server.reference).ok().body;
    assert_eq!(info["draining"], true);
    told(1.0);
    // Started anew it still is one server, not two.
    let again = json!({"port": server.port});
    ask!(scene.host, "server_start", server.reference, again).ok();
    told(1.0);
    second.send(&Frame::close(1000, ""));
    scene.host.event("close", second_ref);
    told(0.0);
    scene.finish();
}

#[test]
fn what_was_not_sent_is_counted() {
    let scene = Scene::new();
    let server = scene.server(json!({"metrics": "/metrics", "pingInterval": 0}));
    let (slow, client) = scene.peer_with(server, Peer::tcp_with_little_room(server.port));
    let unsent = || {
        let found = metrics(server);
        ["messages", "bytes"].map(|what| {
            let name = format!(
                "wsplug_unsent_{what}_total{{server=\"{}\"}}",
                server.reference
            );
            found[&name]
        })
    };
    assert_eq!(unsent(), [0.0, 0.0]);
    let send = ["client_send", &client.to_string(), "2", "*65536"].map(str::to_owned);
    let words = [&["repeat", "0", "1000"].map(str::to_owned)[..], &send].concat();
    // Until the system takes no more either.
    let mut refused = 0;
    assert!(soon(WATCHDOG, || {
        let filled = scene.host.call(&words);
        refused = if filled.done == 0 { refused + 1 } else { 0 };
        filled.fails(QUEUE_FULL, &[]);
        scene.still_beats();
        refused == 10
    }));
    slow.reset();
    let close = scene.host.event("close", client);
    let lost = close.context("unsent");
    let [messages, bytes] = ["messages", "bytes"].map(|what| lost[what].as_f64().unwrap());
    assert!(messages > 0.0 && bytes > 0.0, "{lost}");
    assert_eq!(unsent(), [messages, bytes]);
    scene.finish();
}

#[test]
fn only_who_may_connect_reads_them() {
    let scene = Scene::new();
    let auth = json!({"bearer": ["open sesame".replace(' ', "-")], "basic": {"ann": "secret"}});
    let options =
        json!({"metrics": "/metrics", "health": "/health", "auth": auth, "maxHttpConnections": 50});
    let server = scene.server(options);
    let status = |headers: &str| get(server.port, "/metrics", headers).status;
    assert_eq!(status(""), 401);
    let refused = get(server.port, "/metrics", "Authorization: Bearer wrong\r\n");
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").is_some(), "{refused:?}");
    assert_eq!(status("Authorization: Bearer open-sesame\r\n"), 200);
    let basic = BASE64.encode(b"ann:secret");
    assert_eq!(status(&format!("Authorization: Basic {basic}\r\n")), 200);
    // The health check has no password to give.
    assert_eq!(get(server.port, "/health", "").status, 200);
    let denied = scene.server(json!({"metrics": "/metrics", "deny": "127.0.0.1"}));
    assert_eq!(get(denied.port, "/metrics", "").status, 403);
    scene.finish();
}

#[test]
fn a_path_tells_of_every_server_of_the_port_that_has_it() {
    let scene = Scene::new();
    let one = scene.server(json!({"path": "/one", "metrics": "/metrics"}));
    let beside = |more: serde_json::Value| {
        let mut options = json!({"port": one.port});
        let more = more.as_object().unwrap().clone();
        options.as_object_mut().unwrap().extend(more);
        scene.server(options)
    };
    let two = beside(json!({"path": "/two", "metrics": "/metrics"}));
    let other = beside(json!({"path": "/three", "metrics": "/other"}));
    let secret = beside(json!({"path": "/four", "metrics": "/metrics", "auth": {"bearer": "x"}}));
    let mut peer = Peer::tcp(one.port);
    peer.send_bytes(crate::adversary::request_to("localhost", "/two", "").as_bytes());
    assert_eq!(peer.response(PROMPTLY).unwrap().status, 101);
    scene.host.server_event("open", two.reference);
    let found = metrics(one);
    let clients = |server: Server| {
        let name = format!("wsplug_clients{{server=\"{}\"}}", server.reference);
        found.get(&name).copied()
    };
    assert_eq!(clients(one), Some(0.0));
    assert_eq!(clients(two), Some(1.0));
    // What has a path of its own, or is for others.
    assert_eq!((clients(other), clients(secret)), (None, None));
    assert_eq!(peer.hear(std::time::Duration::ZERO), Heard::Silence);
    scene.finish();
}
