//! Connections that are kept: one request after another, pipelined, idle, too many, and WebSockets that begin on them.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::adversary::{Frame, PROMPTLY, Peer, TEXT, request};
use crate::host::soon;
use crate::scene::{MIB, Scene, Server, at_once};
use crate::{PAGE, Site, get, head, next};

fn numbers(scene: &Scene, server: Server) -> (u64, u64) {
    let info = crate::ask!(scene.host, "server_info", server.reference)
        .ok()
        .body;
    let number = |name: &str| info[name].as_u64().unwrap();
    (number("httpConnections"), number("httpRequests"))
}

#[test]
fn a_connection_serves_many_requests_and_then_a_websocket() {
    let (scene, site) = (Scene::new(), Site::new());
    let server = scene.server(site.at_root(json!({"health": "/health"})));
    let mut peer = Peer::tcp(server.port);
    for _ in 0..20 {
        assert_eq!(next(&mut peer, "/").body, PAGE.as_bytes());
        assert_eq!(next(&mut peer, "/nothing").status, 404);
        assert_eq!(next(&mut peer, "/health").body, b"ok\n");
        peer.send_bytes(head("HEAD", "/app.js", "").as_bytes());
        assert_eq!(peer.response_head(PROMPTLY).unwrap().status, 200);
    }
    assert_eq!(numbers(&scene, server), (1, 60));
    peer.send_bytes(request("").as_bytes());
    assert_eq!(peer.response(PROMPTLY).unwrap().status, 101);
    let client = scene.host.server_event("open", server.reference).client();
    assert_eq!(numbers(&scene, server).0, 0);
    crate::ask!(scene.host, "client_send", client, TEXT, "=hello").ok();
    assert_eq!(peer.frame(), Frame::text("hello").masked(false));
    scene.finish();
}

#[test]
fn requests_that_come_at_once_are_answered_in_their_order() {
    let (scene, site) = (Scene::new(), Site::new());
    let server = scene.server(site.at_root(json!({})));
    let mut peer = Peer::tcp(server.port);
    let mut all = String::new();
    for at in 0..100 {
        all += &head("GET", "/digits", &format!("Range: bytes={}-\r\n", at % 10));
    }
    // A WebSocket among them has what follows it as its first frame.
    all += &request("");
    let mut bytes = all.into_bytes();
    bytes.extend(peer.encode(&Frame::text("early")));
    peer.send_bytes(&bytes);
    for at in 0..100 {
        let answer = peer.response(PROMPTLY).unwrap();
        assert_eq!(answer.body, &b"0123456789"[at % 10..], "{at}");
    }
    assert_eq!(peer.response(PROMPTLY).unwrap().status, 101);
    let message = scene.host.server_event("message", server.reference);
    assert_eq!(message.bytes(), b"early");
    scene.finish();
}

#[test]
fn a_connection_ends_where_the_client_says_so() {
    let (scene, site) = (Scene::new(), Site::new());
    let server = scene.server(site.at_root(json!({"httpIdleTimeoutMs": 60_000})));
    for request in [
        head("GET", "/", "Connection: close\r\n"),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\nHost: x\r\n\r\n".to_owned(),
    ] {
        let mut peer = Peer::tcp(server.port);
        peer.send_bytes(request.as_bytes());
        assert_eq!(peer.response(PROMPTLY).unwrap().body, PAGE.as_bytes());
        assert!(peer.ends(PROMPTLY), "{request}");
    }
    let mut kept = Peer::tcp(server.port);
    kept.send_bytes(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    for _ in 0..2 {
        assert_eq!(kept.response(PROMPTLY).unwrap().body, PAGE.as_bytes());
        kept.send_bytes(b"GET / HTTP/1.0\r\n\r\n");
    }
    // Whoever has said all that it will is answered nevertheless.
    let mut half = Peer::tcp(server.port);
    half.send_bytes(head("GET", "/", "").as_bytes());
    half.fin();
    assert_eq!(half.response(PROMPTLY).unwrap().body, PAGE.as_bytes());
    assert!(half.ends(PROMPTLY));
    scene.finish();
}

#[test]
fn a_thousand_idle_connections_hold_nobody_up_and_are_gone_in_time() {
    let (scene, site) = (Scene::new(), Site::new());
    scene.may_grow(48 * MIB);
    // The first one waits until the last one has asked.
    let idle = Duration::from_secs(10);
    let options = json!({"httpIdleTimeoutMs": idle.as_millis() as u64, "maxHttpConnections": 2000});
    let server = scene.server(site.at_root(options));
    let mut peers: Vec<Peer> = (0..1000).map(|_| Peer::tcp(server.port)).collect();
    for peer in &mut peers {
        assert_eq!(next(peer, "/digits").body, b"0123456789");
    }
    assert_eq!(numbers(&scene, server), (1000, 1000));
    at_once(|| {
        assert_eq!(get(server.port, "/", "").status, 200);
        Peer::client(server.port);
    });
    for peer in &mut peers {
        assert!(peer.ends(idle + PROMPTLY));
    }
    assert!(soon(PROMPTLY, || numbers(&scene, server).0 == 0));
    scene.finish();
}

#[test]
fn beyond_the_limit_the_one_that_waits_longest_makes_room() {
    let (scene, site) = (Scene::new(), Site::new());
    site.write("www/large", &vec![7; 32 << 20]);
    let options = json!({"maxHttpConnections": 3, "httpIdleTimeoutMs": 60_000});
    let server = scene.server(site.at_root(options));
    let mut peers: Vec<Peer> = (0..3).map(|_| Peer::tcp(server.port)).collect();
    for at in [0, 1, 2, 0] {
        assert_eq!(next(&mut peers[at], "/digits").status, 200);
    }
    assert_eq!(get(server.port, "/digits", "").status, 200);
    assert!(peers[1].ends(PROMPTLY));
    // The others were not harmed, and a WebSocket does not count.
    assert_eq!(next(&mut peers[0], "/digits").status, 200);
    assert_eq!(next(&mut peers[2], "/digits").status, 200);
    let mut client = Peer::client(server.port);
    // Those that are busy do not make room.
    let mut busy: Vec<Peer> = (0..3)
        .map(|_| Peer::tcp_with_little_room(server.port))
        .collect();
    for peer in &mut busy {
        peer.send_bytes(head("GET", "/large", "").as_bytes());
        assert_eq!(peer.response_head(PROMPTLY).unwrap().status, 200);
    }
    let refused = get(server.port, "/digits", "");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.header("retry-after"), Some("10"));
    client.send(&Frame::text("there"));
    assert_eq!(
        scene.host.server_event("message", server.reference).bytes(),
        b"there"
    );
    drop(busy);
    assert!(soon(PROMPTLY, || get(server.port, "/digits", "").status == 200));
    scene.finish();
}

#[test]
fn a_head_that_dribbles_on_a_kept_connection_has_its_time_and_no_more() {
    let (scene, site) = (Scene::new(), Site::new());
    let options = json!({"handshakeTimeoutMs": 700, "httpIdleTimeoutMs": 60_000});
    let server = scene.server(site.at_root(options));
    let mut peer = Peer::tcp(server.port);
    assert_eq!(next(&mut peer, "/digits").status, 200);
    for byte in head("GET", "/digits", "").bytes() {
        peer.send_bytes(&[byte]);
    }
    assert_eq!(peer.response(PROMPTLY).unwrap().status, 200);
    let began = Instant::now();
    peer.send_bytes(b"GET / HT");
    assert!(peer.ends(PROMPTLY));
    let took = began.elapsed();
    assert!(
        (Duration::from_millis(600)..PROMPTLY).contains(&took),
        "{took:?}"
    );
    scene.finish();
}
