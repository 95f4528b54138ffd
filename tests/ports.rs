//! Several servers on one address and port, told apart by path or by host: each starts, stops and clears on its own.

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

use adversary::{Frame, PROMPTLY, Peer, request_to};
use certs::Certs;
use host::{INVALID_OPTIONS, NETWORK, WATCHDOG, soon};
use scene::{Scene, Server};
use serde_json::{Value, json};

/// Another server on the port of `first`.
fn beside(scene: &Scene, first: Server, options: Value) -> Server {
    let mut all = json!({"port": first.port});
    let options = options.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(options);
    scene.server(all)
}

fn status(port: u16, host: &str, path: &str) -> u16 {
    Peer::http(port, request_to(host, path, ""))
        .expect("an answer")
        .status
}

/// A client at `path`, and the server whose host was told of it.
fn connect(scene: &Scene, port: u16, host: &str, path: &str) -> (Peer, i32) {
    let mut peer = Peer::tcp(port);
    let local = peer.stream.local_addr().unwrap().port();
    peer.send_bytes(request_to(host, path, "").as_bytes());
    let response = peer.response(PROMPTLY).expect("an answer");
    assert_eq!(response.status, 101, "{host}{path}: {response:?}");
    let open = scene.host.wait_for("open", WATCHDOG, |event| {
        event.is("open") && *event.context("remotePort") == local
    });
    assert_eq!(*open.context("uri"), path);
    (peer, open.server())
}

#[test]
fn servers_share_a_port_by_path_and_start_stop_and_clear_on_their_own() {
    let scene = Scene::new();
    let one = scene.server(json!({"path": "/one"}));
    let two = beside(&scene, one, json!({"paths": ["/two", "/deux"]}));
    let rest = beside(&scene, one, json!({}));
    let port = one.port;
    let (mut first, server) = connect(&scene, port, "localhost", "/one");
    assert_eq!(server, one.reference);
    let (mut second, server) = connect(&scene, port, "localhost", "/deux?a=b");
    assert_eq!(server, two.reference);
    // What names the path counts more than what takes all, whichever was first.
    let (mut third, server) = connect(&scene, port, "localhost", "/three");
    assert_eq!(server, rest.reference);

    ask!(scene.host, "server_stop", rest.reference, "{}").ok();
    assert_eq!(third.close_frame(PROMPTLY).0, 1001);
    assert_eq!(status(port, "localhost", "/three"), 404);
    ask!(scene.host, "server_clear", two.reference).ok();
    assert_eq!(second.close_frame(PROMPTLY).0, 1001);
    assert_eq!(status(port, "localhost", "/two"), 404);
    let ping = Frame::new(adversary::PING, "still there?");
    first.send(&ping);
    assert_eq!(first.frame().payload, ping.payload);
    let started = ask!(scene.host, "server_start", rest.reference, "{}").ok();
    assert_eq!(started.body["port"], port);
    let (_, server) = connect(&scene, port, "localhost", "/two");
    assert_eq!(server, rest.reference);

    // The port is free again once the last one has gone.
    ask!(scene.host, "server_stop", one.reference, "{}").ok();
    assert_eq!(status(port, "localhost", "/x"), 101);
    ask!(scene.host, "server_stop", rest.reference, "{}").ok();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    scene.finish();
}

#[test]
fn servers_share_a_port_by_host() {
    let scene = Scene::new();
    let a = scene.server(json!({"hosts": ["A.example", "10.1.2.3"]}));
    let b = beside(&scene, a, json!({"hosts": "b.example", "path": "/chat"}));
    for (host, path, expected) in [
        ("a.example", "/", Some(a)),
        ("a.example:8080", "/x", Some(a)),
        ("A.EXAMPLE.", "/x", Some(a)),
        ("10.1.2.3", "/", Some(a)),
        ("b.example", "/chat", Some(b)),
        ("b.example", "/", None),
        ("c.example", "/chat", None),
        ("evila.example", "/", None),
        ("a.example.evil", "/", None),
        ("localhost", "/", None),
    ] {
        match expected {
            Some(server) => {
                let (_, reached) = connect(&scene, a.port, host, path);
                assert_eq!(reached, server.reference, "{host}{path}");
            }
            None => assert_eq!(status(a.port, host, path), 404, "{host}{path}"),
        }
    }
    // An exact host counts more than any host with an exact path.
    let any = beside(&scene, a, json!({"path": "/chat"}));
    let reached = |host| connect(&scene, a.port, host, "/chat").1;
    assert_eq!(reached("a.example"), a.reference);
    assert_eq!(reached("c.example"), any.reference);
    scene.finish();
}

#[test]
fn what_cannot_be_told_apart_is_refused_with_the_ref_of_the_other() {
    let scene = Scene::new();
    let first = scene.server(json!({"paths": ["/a", "/b"], "handshakeTimeoutMs": 5000}));
    let refused = |options: Value, status: i32, parts: &[&str]| {
        let mut all = json!({"port": first.port, "handshakeTimeoutMs": 5000});
        let options = options.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(options);
        let server = ask!(scene.host, "server_create", all).ok().reference;
        let reply = ask!(scene.host, "server_start", server, "{}").fails(status, parts);
        ask!(scene.host, "server_clear", server).ok();
        reply
    };
    let other = format!("server {}", first.reference);
    let address = format!("127.0.0.1:{}", first.port);
    refused(
        json!({"paths": ["/c", "/b"]}),
        NETWORK,
        &[&other, &address, "/b"],
    );
    beside(&scene, first, json!({"handshakeTimeoutMs": 5000}));
    refused(json!({}), NETWORK, &["every path", "in use"]);
    for (option, value) in [
        ("handshakeTimeoutMs", 4000),
        ("backlog", 7),
        ("maxPendingHandshakes", 7),
        ("maxHeadBytes", 777),
        ("maxHeaders", 7),
    ] {
        let options = json!({"path": "/c", option: value});
        let reply = refused(options, INVALID_OPTIONS, &[option, &other]);
        assert_eq!(reply.body["error"]["option"], option);
    }
    // 0 is always a port of one's own.
    let own = scene.server(json!({"paths": ["/a", "/b"]}));
    assert_ne!(own.port, first.port);
    scene.finish();
}

#[test]
fn what_is_settled_before_a_server_is_known_is_the_same_for_all_of_a_port() {
    let (scene, certs) = (Scene::new(), Certs::new());
    // The library of cryptography has its tables.
    scene.may_grow(24 * scene::MIB);
    let tls = |pair: &certs::Pair| json!({"tls": pair.tls()});
    let (one, other) = (tls(&certs.server()), tls(&certs.server()));
    let trusting = json!({"trustedProxies": ["127.0.0.1"]});
    let proxied = json!({"trustedProxies": ["127.0.0.1"], "proxyProtocol": true});
    let elsewhere = json!({"trustedProxies": ["127.0.0.1", "10.0.0.0/8"]});
    for (option, first, second) in [
        ("tls", json!({}), one.clone()),
        ("tls", one.clone(), json!({})),
        ("tls", one, other),
        ("trustedProxies", json!({}), trusting.clone()),
        ("trustedProxies", trusting.clone(), json!({})),
        ("trustedProxies", trusting.clone(), elsewhere),
        ("proxyProtocol", trusting.clone(), proxied.clone()),
        ("proxyProtocol", proxied, trusting),
        ("reusePort", json!({}), json!({"reusePort": true})),
        ("reusePort", json!({"reusePort": true}), json!({})),
    ] {
        let with = |options: &Value, more: Value| scene::merged(options.clone(), &more);
        let there = scene.server(with(&first, json!({"path": "/there"})));
        let options = with(&second, json!({"port": there.port, "path": "/beside"}));
        let server = ask!(scene.host, "server_create", options).ok().reference;
        let names = [option, "same", &format!("server {}", there.reference)];
        let reply = ask!(scene.host, "server_start", server, "{}");
        let reply = reply.fails(INVALID_OPTIONS, &names);
        assert_eq!(reply.body["error"]["option"], option);
        ask!(scene.host, "server_clear", server).ok();
        // With the same it starts.
        beside(&scene, there, with(&first, json!({"path": "/beside"})));
        scene.clear();
    }
    scene.finish();
}

#[test]
fn a_server_whose_host_takes_no_events_does_not_hold_up_the_other_on_its_port() {
    let scene = Scene::pulling();
    let full = scene.server(json!({"path": "/full", "eventQueueEvents": 2}));
    let other = beside(
        &scene,
        full,
        json!({"path": "/other", "method": "echo", "dispatch": "inline"}),
    );
    let mut waiting: Vec<Peer> = (0..6).map(|_| Peer::tcp(full.port)).collect();
    for peer in &mut waiting {
        peer.send_bytes(request_to("localhost", "/full", "").as_bytes());
    }
    for _ in 0..10 {
        assert_eq!(status(other.port, "localhost", "/other"), 101);
    }
    // Once the host takes them, all are let in.
    let loops = begin!(scene.host, "loop", "next", 100);
    scene.host.reply(&loops, WATCHDOG).ok();
    for peer in &mut waiting {
        assert_eq!(peer.response(PROMPTLY).map(|it| it.status), Some(101));
    }
    ask!(scene.host, "halt").ok();
    scene.finish();
}

#[test]
fn a_server_that_leaves_a_shared_port_ends_only_its_own_handshakes() {
    let scene = Scene::new();
    let stays = scene.server(json!({"path": "/stays"}));
    let leaves = beside(&scene, stays, json!({"path": "/leaves"}));
    let mut silent = Peer::tcp(stays.port);
    silent.send_bytes(b"GET /stays HTTP/1.1\r\n");
    ask!(scene.host, "server_stop", leaves.reference, "{}").ok();
    let rest = request_to("localhost", "/stays", "");
    silent.send_bytes(rest.split_once("\r\n").unwrap().1.as_bytes());
    assert_eq!(silent.response(PROMPTLY).map(|it| it.status), Some(101));
    let mut last = Peer::tcp(stays.port);
    ask!(scene.host, "server_stop", stays.reference, "{}").ok();
    assert!(last.ends(PROMPTLY));
    assert!(soon(PROMPTLY, || scene.host.fds() <= scene.ready().fds));
    scene.finish();
}

#[test]
fn a_second_process_takes_a_port_over_with_reuse_port() {
    let (old, new) = (Scene::new(), Scene::new());
    let first = old.server(json!({"reusePort": true}));
    let refuses = json!({"port": first.port});
    let alone = ask!(new.host, "server_create", refuses).ok().reference;
    ask!(new.host, "server_start", alone, "{}").fails(NETWORK, &["in use"]);
    ask!(new.host, "server_clear", alone).ok();
    let (mut stays, server) = connect(&old, first.port, "localhost", "/");
    assert_eq!(server, first.reference);
    let second = new.server(json!({"port": first.port, "reusePort": true}));
    assert_eq!(second.port, first.port);
    ask!(old.host, "server_stop", first.reference, "{}").ok();
    assert_eq!(stays.close_frame(PROMPTLY).0, 1001);
    for _ in 0..20 {
        let (_, server) = connect(&new, second.port, "localhost", "/");
        assert_eq!(server, second.reference);
    }
    old.finish();
    new.finish();
}

#[test]
fn a_path_is_found_however_it_is_written() {
    let scene = Scene::new();
    let one = scene.server(json!({"path": "/météo", "files": {"/": env!("CARGO_TARGET_TMPDIR")}}));
    let two = beside(&scene, one, json!({"paths": ["/two words", "/%7Ethree"]}));
    for (path, server) in [
        ("/m%C3%A9t%C3%A9o", one),
        ("/m%c3%a9t%c3%a9o?x", one),
        ("/two%20words", two),
        ("/~three", two),
        ("/%7ethree", two),
    ] {
        assert_eq!(
            connect(&scene, one.port, "localhost", path).1,
            server.reference
        );
    }
    assert_eq!(status(one.port, "localhost", "/two%2Fwords"), 404);
    // So does a client of our own.
    let url = format!("ws://127.0.0.1:{}/météo", one.port);
    let client = scene.client(json!({"url": url}));
    ask!(scene.host, "client_start", client, "{}").ok();
    for wrong in ["/a?b", "a#b"] {
        let options = json!({"port": 0, "path": wrong});
        ask!(scene.host, "server_create", options).fails(INVALID_OPTIONS, &["path", wrong]);
    }
    let again = json!({"port": one.port, "path": "/m%C3%A9t%C3%A9o"});
    let again = ask!(scene.host, "server_create", again).ok().reference;
    ask!(scene.host, "server_start", again, "{}").fails(NETWORK, &["in use there by server"]);
    ask!(scene.host, "server_clear", again).ok();
    scene.finish();
}
