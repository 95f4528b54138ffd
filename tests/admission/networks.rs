//! Where clients come from: networks, and proxies that are believed.

use crate::adversary::{PROMPTLY, Peer, request};
use crate::ask;
use crate::host::INVALID_OPTIONS;
use crate::scene::{Scene, Server};
use crate::{answer, refused, status};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn allow_and_deny_name_networks_in_either_family() {
    let scene = Scene::new();
    for (options, expected) in [
        (json!({"allow": ["127.0.0.0/8"]}), 101),
        (json!({"allow": "127.0.0.1"}), 101),
        (json!({"allow": ["::ffff:127.0.0.0/104"]}), 101),
        (json!({"allow": ["10.0.0.0/8", "::1"]}), 403),
        (json!({"deny": ["127.0.0.1"]}), 403),
        (json!({"deny": ["10.0.0.0/8"]}), 101),
        (
            json!({"allow": ["127.0.0.0/8"], "deny": ["127.0.0.0/30"]}),
            403,
        ),
        (json!({"allow": []}), 101),
    ] {
        let server = scene.server(options.clone());
        assert_eq!(status(server, ""), expected, "{options}");
    }
    // A socket of both families sees IPv4 clients as IPv4 in IPv6.
    let both = scene.server(json!({"host": "::", "allow": ["127.0.0.0/8"]}));
    let mut peer = Peer::tcp(both.port);
    peer.send_bytes(request("").as_bytes());
    assert_eq!(peer.response(PROMPTLY).unwrap().status, 101);
    let open = scene.host.server_event("open", both.reference);
    assert_eq!(*open.context("remoteIp"), "127.0.0.1");
    for wrong in ["10.0.0.0/33", "localhost", "10.0.0", ""] {
        let options = json!({"allow": [wrong]});
        ask!(scene.host, "server_create", options).fails(INVALID_OPTIONS, &["allow", wrong]);
    }
    scene.finish();
}

#[test]
fn files_are_for_the_same_networks() {
    let scene = Scene::new();
    let page = std::env::temp_dir().join(format!("wsplug-deny-{}.html", std::process::id()));
    std::fs::write(&page, "secret").unwrap();
    let server = scene.server(json!({"files": {"/": page.to_str().unwrap()}, "deny": "127.0.0.1"}));
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(Peer::http(server.port, get).unwrap().status, 403);
    std::fs::remove_file(&page).unwrap();
    scene.finish();
}

#[test]
fn who_a_trusted_proxy_names_is_the_client() {
    let scene = Scene::new();
    let trusting = scene.server(json!({
        "trustedProxies": ["127.0.0.0/8", "10.0.0.0/8"], "deny": ["6.6.6.0/24"], "maxPerIp": 1
    }));
    let opened = |server: Server, headers: &str| {
        let mut peer = Peer::tcp(server.port);
        peer.send_bytes(request(headers).as_bytes());
        assert_eq!(peer.response(PROMPTLY).unwrap().status, 101, "{headers}");
        let open = scene.host.server_event("open", server.reference);
        let context = |key| open.context(key).clone();
        (
            peer,
            context("remoteIp"),
            context("remotePort"),
            context("tls"),
        )
    };
    let (_one, ip, port, tls) = opened(trusting, "X-Forwarded-For: 1.2.3.4\r\n");
    assert_eq!((ip, port, tls), (json!("1.2.3.4"), json!(0), json!(false)));
    // The limit is the client's, not the proxy's.
    assert_eq!(
        status(trusting, "X-Forwarded-For: 1.2.3.4, 10.1.1.1\r\n"),
        503
    );
    let (_two, ip, port, tls) = opened(
        trusting,
        "Forwarded: for=\"[2001:db8::1]:99\";proto=https, for=10.9.9.9\r\n",
    );
    assert_eq!(
        (ip, port, tls),
        (json!("2001:db8::1"), json!(99), json!(true))
    );
    let (_three, ip, _, tls) = opened(
        trusting,
        "X-Forwarded-For: 6.6.6.6, 1.2.3.5\r\nX-Forwarded-Proto: wss\r\nOrigin: https://localhost\r\n",
    );
    assert_eq!((ip, tls), (json!("1.2.3.5"), json!(true)));
    assert_eq!(status(trusting, "X-Forwarded-For: 6.6.6.6\r\n"), 403);
    assert_eq!(
        status(
            trusting,
            "X-Forwarded-For: 1.2.3.9\r\nForwarded: for=1.2.3.8\r\n"
        ),
        400
    );
    // A page that came by http is another origin than one that came by https.
    let headers =
        "X-Forwarded-For: 1.2.3.7\r\nX-Forwarded-Proto: https\r\nOrigin: http://localhost\r\n";
    assert_eq!(status(trusting, headers), 403);

    // Without a trusted proxy, all of that is the client's own word.
    let plain = scene.server(json!({"trustedProxies": ["10.0.0.0/8"], "deny": ["6.6.6.6"]}));
    let (_four, ip, _, tls) = opened(
        plain,
        "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-Proto: https\r\n",
    );
    assert_eq!((ip, tls), (json!("127.0.0.1"), json!(false)));
    scene.finish();
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = (rest.len() as u16).to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

#[test]
fn the_proxy_protocol_is_read_from_trusted_proxies_once_and_to_the_letter() {
    let scene = Scene::new();
    let options =
        json!({"proxyProtocol": true, "trustedProxies": "127.0.0.1", "deny": ["6.6.6.6"]});
    let server = scene.server(options);
    let four = [1, 2, 3, 4, 127, 0, 0, 1, 0x1f, 0x90, 0, 80, 0x20, 0, 1, 9];
    let through = |header: &[u8]| {
        let mut peer = Peer::tcp(server.port);
        peer.send_bytes(&[header, request("").as_bytes()].concat());
        let status = peer.response(PROMPTLY)?.status;
        let open = (status == 101).then(|| scene.host.server_event("open", server.reference));
        let from = open.map(|open| {
            (
                open.context("remoteIp").as_str().unwrap().to_owned(),
                open.context("remotePort").as_u64().unwrap(),
            )
        });
        Some((status, from))
    };
    let from = |ip: &str, port: u64| Some((101, Some((ip.to_owned(), port))));
    let line = b"PROXY TCP4 1.2.3.4 127.0.0.1 56324 80\r\n";
    assert_eq!(through(line), from("1.2.3.4", 56324));
    assert_eq!(
        through(b"PROXY TCP6 2001:db8::7 ::1 5 80\r\n"),
        from("2001:db8::7", 5)
    );
    assert_eq!(
        through(&version_2(0x21, 0x11, &four)),
        from("1.2.3.4", 8080)
    );
    // Only one: a second is no request.
    assert_eq!(through(&[&line[..], &line[..]].concat()), Some((400, None)));
    assert_eq!(
        through(b"PROXY TCP4 6.6.6.6 127.0.0.1 1 80\r\n"),
        Some((403, None))
    );
    let refused = || {
        let info = ask!(scene.host, "server_info", server.reference).ok().body;
        info["refused"].clone()
    };
    assert_eq!(refused(), json!({"deny": 1, "request": 1}));
    for (what, header) in [
        ("none", b"".to_vec()),
        (
            "a long line",
            [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200]].concat(),
        ),
        (
            "a wrong line",
            b"PROXY TCP4 1.2.3.4 127.0.0.1 x 80\r\n".to_vec(),
        ),
        ("short addresses", version_2(0x21, 0x11, &four[..8])),
        ("another version", version_2(0x11, 0x11, &four)),
        ("much too long", version_2(0x21, 0x11, &[0; 9000])),
    ] {
        assert_eq!(through(&header), None, "{what}");
    }
    let expected = json!({"deny": 1, "proxyProtocol": 6, "request": 1});
    assert_eq!(refused(), expected);
    // Byte by byte is as good.
    let mut slow = Peer::tcp(server.port);
    for byte in version_2(0x20, 0, &[]).iter().chain(request("").as_bytes()) {
        slow.send_bytes(&[*byte]);
    }
    assert_eq!(slow.response(PROMPTLY).unwrap().status, 101);

    // Whoever is not trusted cannot use it, and is served without.
    let options = json!({"proxyProtocol": true, "trustedProxies": "10.0.0.1"});
    let distrustful = scene.server(options);
    assert_eq!(status(distrustful, ""), 101);
    let forged = [&line[..], request("").as_bytes()].concat();
    assert_eq!(Peer::http(distrustful.port, forged).unwrap().status, 400);
    let alone = ask!(
        scene.host,
        "server_create",
        json!({"port": 0, "proxyProtocol": true})
    )
    .ok()
    .reference;
    ask!(scene.host, "server_start", alone, "{}").fails(INVALID_OPTIONS, &["trustedProxies"]);
    ask!(scene.host, "server_clear", alone).ok();
    scene.finish();
}

#[test]
fn advisory_10_half_a_proxy_header_has_its_own_time() {
    let scene = Scene::new();
    let options =
        json!({"proxyProtocol": true, "trustedProxies": "127.0.0.1", "handshakeTimeoutMs": 60_000});
    let server = scene.server(options);
    let began = Instant::now();
    let mut halves: Vec<Peer> = (0..100).map(|_| Peer::tcp(server.port)).collect();
    for (at, peer) in halves.iter_mut().enumerate() {
        let half: &[u8] = match at % 3 {
            0 => b"PROXY TCP4 1.2.3.4 127.",
            1 => &SIGNATURE[..7],
            _ => b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x01\x02",
        };
        peer.send_bytes(half);
    }
    let mut good = Peer::tcp(server.port);
    let line = b"PROXY UNKNOWN\r\n";
    good.send_bytes(&[line, request("").as_bytes()].concat());
    assert_eq!(good.response(PROMPTLY).unwrap().status, 101);
    for peer in &mut halves {
        assert!(peer.ends(Duration::from_secs(5)), "half a header stays");
    }
    assert!(began.elapsed() < Duration::from_secs(6));
    let info = ask!(scene.host, "server_info", server.reference).ok().body;
    assert_eq!(info["refused"], json!({"proxyProtocol": 100}));
    scene.finish();
}

#[test]
fn a_denied_client_is_told_and_the_host_hears_of_it_if_it_wants() {
    let scene = Scene::new();
    let server = scene.server(json!({"deny": ["127.0.0.0/8"], "refused": true}));
    let response = answer(server, "");
    assert_eq!(response.status, 403);
    let event = refused(&scene, server);
    assert_eq!(event.client(), 0);
    assert_eq!(*event.context("rule"), "deny");
    assert_eq!(*event.context("remoteIp"), "127.0.0.1");
    scene.finish();
}
