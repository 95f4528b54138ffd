//! Peers that open a connection and then say nothing, too much, too slowly or something else (rows 5-9 of the table of
//! faults): each gets a clear answer or its time, and the others do not notice.

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

use adversary::{PROMPTLY, Peer, Response, raise_file_limit, request};
use certs::Certs;
use host::{WATCHDOG, soon};
use rustls::ClientConfig;
use scene::{LETS_IN, MIB, Scene, Server, at_once, everything, let_all_in, merged, scaled};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn handshake_timeout() -> Duration {
    Duration::from_millis(scaled(2500, 10_000))
}

/// As many bad clients as the files of this process and of the host allow.
fn crowd() -> usize {
    ((raise_file_limit() as usize).saturating_sub(300) / 3).min(1000)
}

/// A server as clients find it.
struct Gate {
    server: Server,
    /// How a client speaks TLS; none: it does not.
    tls: Option<Arc<ClientConfig>>,
    /// The host is asked about each client.
    asks: bool,
    /// What a client has to send.
    headers: &'static str,
}

/// A server with nothing but its defaults, one on which all that may refuse and answer is switched on, and that over TLS.
fn gates(scene: &Scene) -> Vec<Gate> {
    let_all_in(&scene.host);
    let certs = Certs::new();
    let pair = certs.server();
    let tls = json!({"tls": {"certFile": pair.cert, "keyFile": pair.key}});
    let secure = merged(everything(), &tls);
    let gate = |mut options: Value| {
        options["handshakeTimeoutMs"] = json!(handshake_timeout().as_millis() as u64);
        let asks = options.get("admission").is_some();
        Gate {
            tls: options.get("tls").map(|_| secure::client_config(&certs)),
            asks,
            headers: if asks { LETS_IN } else { "" },
            server: scene.server(options),
        }
    };
    [json!({}), everything(), secure].map(gate).into()
}

impl Gate {
    /// The answer to what may be more than the other side takes, if there is one.
    fn flood(&self, bytes: &[u8]) -> Option<Response> {
        let Some(config) = &self.tls else {
            let mut peer = Peer::tcp(self.server.port);
            let mut writer = peer.stream.try_clone().unwrap();
            writer.set_write_timeout(Some(PROMPTLY)).unwrap();
            return std::thread::scope(|scope| {
                scope.spawn(move || writer.write_all(bytes));
                peer.response(PROMPTLY)
            });
        };
        let mut client = secure::connect(self.server.port, config);
        client.sock.set_write_timeout(Some(PROMPTLY)).unwrap();
        let _ = client.write_all(bytes);
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        while Response::parse(&answer).is_none_or(|answer| !answer.is_whole()) {
            match client.read(&mut piece) {
                Ok(count @ 1..) => answer.extend_from_slice(&piece[..count]),
                _ => break,
            }
        }
        Response::parse(&answer)
    }

    fn serves_a_good_client_at_once(&self) {
        let head = request(self.headers);
        at_once(|| {
            let answer = self.flood(head.as_bytes()).expect("an answer");
            assert_eq!(answer.status, 101, "{answer:?}");
        });
        if self.asks {
            let health = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            let answer = self.flood(health.as_bytes()).expect("an answer");
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
}

fn a_good_client_is_served_at_once(server: Server) {
    at_once(|| drop(Peer::client(server.port)));
}

/// Sends one byte of a good request to each, in turns, until `over`; returns who has not been told to go.
fn drip(mut slow: Vec<Peer>, between: Duration, over: Instant) -> Vec<Peer> {
    let head = request("");
    for byte in head.bytes().cycle() {
        if Instant::now() > over {
            break;
        }
        for peer in &mut slow {
            peer.send_bytes(&[byte]);
        }
        std::thread::sleep(between);
    }
    slow
}

fn all_are_gone(peers: Vec<Peer>, by: Instant) {
    let count = peers.len();
    let left = peers.into_iter().filter_map(|mut peer| {
        (!peer.ends(by.saturating_duration_since(Instant::now()))).then_some(peer)
    });
    assert_eq!(left.count(), 0, "of {count} some are still connected");
}

#[test]
fn row_05_a_thousand_silent_clients_hold_nobody_up_and_are_gone_at_the_handshake_timeout() {
    let scene = Scene::new();
    for gate in gates(&scene) {
        let mut silent = Vec::new();
        while silent.len() < crowd() {
            silent.push(Peer::tcp(gate.server.port));
            if silent.len() % 250 == 0 {
                gate.serves_a_good_client_at_once();
            }
        }
        gate.serves_a_good_client_at_once();
        all_are_gone(
            silent,
            Instant::now() + handshake_timeout() + Duration::from_secs(1),
        );
        gate.serves_a_good_client_at_once();
    }
    scene.finish();
}

#[test]
fn row_05_silent_and_refused_clients_do_not_use_up_the_connections() {
    let scene = Scene::new();
    let server = scene.server(json!({"maxConnections": 3}));
    let _silent: Vec<Peer> = (0..20).map(|_| Peer::tcp(server.port)).collect();
    let mut refused: Vec<Peer> = (0..20).map(|_| Peer::tcp(server.port)).collect();
    for peer in &mut refused {
        peer.send_bytes(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(peer.response(PROMPTLY).unwrap().status, 426);
    }
    let mut good: Vec<Peer> = (0..3).map(|_| Peer::client(server.port)).collect();
    // One more is one too many, until one of them leaves.
    let response = Peer::http(server.port, request("")).unwrap();
    assert_eq!(response.status, 503, "{response:?}");
    good.pop();
    assert!(soon(PROMPTLY, || {
        Peer::http(server.port, request("")).unwrap().status == 101
    }));
    scene.finish();
}

#[test]
fn row_05_of_too_many_silent_clients_the_oldest_make_room() {
    let scene = Scene::new();
    let options = json!({"maxPendingHandshakes": 10, "handshakeTimeoutMs": 60_000});
    let server = scene.server(options);
    let mut silent: Vec<Peer> = (0..30).map(|_| Peer::tcp(server.port)).collect();
    for peer in &mut silent[..20] {
        assert!(peer.ends(PROMPTLY));
    }
    // One of the ten makes room for each of these.
    for _ in 0..3 {
        a_good_client_is_served_at_once(server);
    }
    let left = silent[20..]
        .iter_mut()
        .filter_map(|peer| (!peer.ends(Duration::from_millis(10))).then_some(()))
        .count();
    assert!((7..=10).contains(&left), "{left} are left");
    drop(silent);
    scene.finish();
}

#[test]
fn row_06_a_thousand_clients_that_dribble_their_header_are_gone_at_the_handshake_timeout() {
    let scene = Scene::new();
    for gate in gates(&scene) {
        let slow: Vec<Peer> = (0..crowd()).map(|_| Peer::tcp(gate.server.port)).collect();
        let by = Instant::now() + handshake_timeout() + Duration::from_secs(1);
        let dripping =
            std::thread::spawn(move || drip(slow, Duration::from_millis(scaled(100, 1000)), by));
        for _ in 0..10 {
            gate.serves_a_good_client_at_once();
        }
        all_are_gone(dripping.join().unwrap(), by + Duration::from_millis(500));
    }
    scene.finish();
}

#[test]
fn advisory_11_silent_and_dribbling_clients_together_hold_nobody_up() {
    let scene = Scene::new();
    scene.may_grow(32 * MIB);
    for gate in gates(&scene) {
        let crowd = || (0..crowd()).map(|_| Peer::tcp(gate.server.port)).collect();
        let (silent, slow): (Vec<Peer>, Vec<Peer>) = (crowd(), crowd());
        let by = Instant::now() + handshake_timeout() + Duration::from_secs(1);
        let dripping = std::thread::spawn(move || drip(slow, Duration::from_millis(100), by));
        for _ in 0..10 {
            gate.serves_a_good_client_at_once();
        }
        all_are_gone(silent, by);
        all_are_gone(dripping.join().unwrap(), by + Duration::from_millis(500));
        gate.serves_a_good_client_at_once();
    }
    scene.finish();
}

#[test]
fn row_06_a_request_that_comes_byte_by_byte_is_served() {
    let scene = Scene::new();
    let server = scene.server(json!({}));
    let mut peer = Peer::tcp(server.port);
    for byte in request("Cookie: a=b\r\n").bytes() {
        peer.send_bytes(&[byte]);
    }
    assert_eq!(peer.response(PROMPTLY).unwrap().status, 101);
    scene.finish();
}

#[test]
fn row_07_a_head_that_is_too_long_costs_nothing_and_gets_431() {
    let scene = Scene::new();
    let gates = gates(&scene);
    let many = (0..10_000)
        .map(|at| format!("X-{at}: y\r\n"))
        .collect::<String>();
    let long = "x".repeat(20_000_000);
    for (what, head) in [
        ("a header of 20 MB", request(&format!("X: {long}\r\n"))),
        ("10,000 headers", request(&many)),
        ("a name of 20 MB", request(&format!("{long}: x\r\n"))),
        (
            "a target of 20 MB",
            request("").replace("GET /", &format!("GET /{long}")),
        ),
        ("20 MB without an end", long.clone()),
        ("20 MB of line ends", "\r\n".repeat(10_000_000)),
        (
            "a header of 17 KiB",
            request(&format!("X: {}\r\n", "x".repeat(17 * 1024))),
        ),
        (
            "101 headers",
            request(
                &(0..101)
                    .map(|at| format!("X-{at}: y\r\n"))
                    .collect::<String>(),
            ),
        ),
    ] {
        for gate in &gates {
            let before = scene.host.cpu();
            // What is sent on after the answer may have the answer lost in a RST.
            if let Some(response) = gate.flood(head.as_bytes()) {
                assert!(
                    [400, 414, 431].contains(&response.status),
                    "{what}: {response:?}"
                );
            }
            let cost = scene.host.cpu() - before;
            assert!(cost < Duration::from_secs(1), "{what}: {cost:?}");
        }
    }
    for head in [
        request(&format!("X: {}\r\n", "x".repeat(17 * 1024))),
        request(&many[..3000]),
    ] {
        for gate in &gates {
            let response = gate.flood(head.as_bytes());
            let status = response.map(|response| response.status);
            assert_eq!(status, Some(431), "{} bytes", head.len());
        }
    }
    // As byte by byte: only a whole head is worth a look.
    let before = scene.host.cpu();
    let mut peer = Peer::tcp(gates[0].server.port);
    for byte in request(&format!("X: {}\r\n", "x".repeat(12 * 1024))).bytes() {
        peer.send_bytes(&[byte]);
    }
    assert_eq!(peer.response(PROMPTLY).unwrap().status, 101);
    let cost = scene.host.cpu() - before;
    assert!(cost < Duration::from_secs(1), "{cost:?}");
    scene.finish();
}

#[test]
fn row_07_a_head_with_anything_doubtful_is_refused_with_a_reason() {
    let scene = Scene::new();
    let gates = gates(&scene);
    let good = request("");
    let swap = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    };
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let table: Vec<(&str, String, &[u16])> = vec![
        ("no Host", swap("Host: localhost\r\n", ""), &[400]),
        ("empty Host", swap("Host: localhost", "Host:"), &[400]),
        ("two Hosts", request("Host: localhost\r\n"), &[400]),
        ("two other Hosts", request("host: evil\r\n"), &[400]),
        ("Host with a blank", swap("localhost", "local host"), &[400]),
        ("Host with a path", swap("localhost", "local/host"), &[400]),
        ("Host with a user", swap("localhost", "a@localhost"), &[400]),
        (
            "Host with a port that is none",
            swap("localhost", "localhost:99999"),
            &[400],
        ),
        (
            "no Upgrade",
            swap("Upgrade: websocket\r\n", ""),
            &[400, 426],
        ),
        (
            "Upgrade to something else",
            swap("websocket\r\n", "h2c\r\n"),
            &[400, 426],
        ),
        (
            "Upgrade to something alike",
            swap("websocket\r\n", "xwebsocket\r\n"),
            &[400, 426],
        ),
        (
            "no Connection",
            swap("Connection: Upgrade\r\n", ""),
            &[400, 426],
        ),
        (
            "Connection: keep-alive",
            swap("Connection: Upgrade", "Connection: keep-alive"),
            &[400, 426],
        ),
        (
            "Connection alike",
            swap("Connection: Upgrade", "Connection: NoUpgrade"),
            &[400, 426],
        ),
        ("no key", swap(key, ""), &[400]),
        ("empty key", swap("dGhlIHNhbXBsZSBub25jZQ==", ""), &[400]),
        ("two keys", request(key), &[400]),
        (
            "short key",
            swap("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"),
            &[400],
        ),
        (
            "long key",
            swap("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZSB4eHh4"),
            &[400],
        ),
        (
            "key that is no base64",
            swap("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j!Q=="),
            &[400],
        ),
        ("no version", swap(version, ""), &[400, 426]),
        ("version 12", swap("Version: 13", "Version: 12"), &[426]),
        ("version 130", swap("Version: 13", "Version: 130"), &[426]),
        (
            "version +13",
            swap("Version: 13", "Version: +13"),
            &[400, 426],
        ),
        ("two versions", request(version), &[400, 426]),
        (
            "a body by Content-Length",
            request("Content-Length: 5\r\n"),
            &[400, 413],
        ),
        (
            "two Content-Lengths",
            request("Content-Length: 0\r\nContent-Length: 5\r\n"),
            &[400, 413],
        ),
        (
            "a body by Transfer-Encoding",
            request("Transfer-Encoding: chunked\r\n"),
            &[400, 413, 501],
        ),
        ("a folded header", request("X: a\r\n b\r\n"), &[400]),
        (
            "a folded first header",
            swap("Host:", " X: y\r\nHost:"),
            &[400],
        ),
        ("a blank before the colon", request("X : a\r\n"), &[400]),
        ("no colon", request("Xa\r\n"), &[400]),
        ("no name", request(": a\r\n"), &[400]),
        ("a name that is no token", request("X(y): a\r\n"), &[400]),
        ("a NUL in a value", request("X: a\0b\r\n"), &[400]),
        ("a CR in a value", request("X: a\rb\r\n"), &[400]),
        (
            "line ends without CR",
            good.replace("\r\n", "\n") + "\r\n\r\n",
            &[400],
        ),
        ("a target without slash", swap("GET /", "GET foo"), &[400]),
        ("a target with a blank", swap("GET /", "GET /a b"), &[400]),
        ("a target with a fragment", swap("GET /", "GET /#x"), &[400]),
        (
            "a target with a control character",
            swap("GET /", "GET /\x01"),
            &[400],
        ),
        (
            "a sub-protocol that is no token",
            request("Sec-WebSocket-Protocol: a b\r\n"),
            &[400],
        ),
        (
            "an empty sub-protocol",
            request("Sec-WebSocket-Protocol: a,,\"\"\r\n"),
            &[400],
        ),
        ("HTTP/1.0", swap("HTTP/1.1", "HTTP/1.0"), &[400, 426, 505]),
        ("HTTP/1.2", swap("HTTP/1.1", "HTTP/1.2"), &[400, 505]),
        ("HTTP/2.0", swap("HTTP/1.1", "HTTP/2.0"), &[400, 505]),
        ("HTTP", swap("HTTP/1.1", "HTTP"), &[400, 505]),
        ("another method", swap("GET", "POST"), &[405]),
        (
            "a method in lower case",
            swap("GET", "get"),
            &[400, 405, 501],
        ),
        (
            "a method that is no token",
            swap("GET", "G(T"),
            &[400, 405, 501],
        ),
    ];
    let all = |gate| table.iter().map(move |case| (gate, case));
    for (gate, (what, head, expected)) in gates.iter().flat_map(all) {
        let response = gate.flood(head.as_bytes());
        let response = response.unwrap_or_else(|| panic!("{what}: no answer"));
        assert!(expected.contains(&response.status), "{what}: {response:?}");
        assert!(response.body.len() > 5, "{what}: no reason: {response:?}");
        if response.status == 426 {
            assert_eq!(
                response.header("sec-websocket-version"),
                Some("13"),
                "{what}: {response:?}"
            );
        }
        if response.status == 405 {
            assert_eq!(
                response.header("allow"),
                Some("get"),
                "{what}: {response:?}"
            );
        }
    }
    scene.finish();
}

#[test]
fn row_07_a_head_that_is_unusual_but_right_is_served() {
    let scene = Scene::new();
    let server = scene.server(json!({}));
    let good = request("");
    for (what, head) in [
        (
            "lists",
            good.replace("Connection: Upgrade", "Connection: keep-alive,  Upgrade ,x"),
        ),
        (
            "a list in two lines",
            good.replace(
                "Connection: Upgrade",
                "Connection: keep-alive\r\nConnection: Upgrade",
            ),
        ),
        (
            "lower-case names",
            good.to_lowercase()
                .replace("dghlihnhbxbszsbub25jzq", "dGhlIHNhbXBsZSBub25jZQ")
                .replace("get / http", "GET / HTTP"),
        ),
        (
            "upper-case tokens",
            good.replace("websocket\r\n", "WEBSOCKET\r\n")
                .replace(": Upgrade", ": UPGRADE"),
        ),
        ("no blank behind the colon", good.replace(": ", ":")),
        (
            "blanks and tabs around values",
            good.replace(": ", ": \t ")
                .replace("\r\n", " \t\r\n")
                .replace("1.1 \t", "1.1")
                .trim_end_matches([' ', '\t', '\r', '\n'])
                .to_owned()
                + "\r\n\r\n",
        ),
        ("an IPv6 Host", good.replace("localhost", "[::1]:8080")),
        (
            "a whole URL",
            good.replace("GET /", "GET http://localhost/"),
        ),
        ("a query", good.replace("GET /", "GET /?a=b&c=%20")),
        ("an empty value", request("X:\r\n")),
        ("a value beyond ASCII", request("X: \u{e9}\r\n")),
        (
            "an unknown extension",
            request("Sec-WebSocket-Extensions: x-unheard; a=\"b\"; c\r\n"),
        ),
        (
            "an unknown sub-protocol",
            request("Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\n"),
        ),
        ("Content-Length: 0", request("Content-Length: 0\r\n")),
        (
            "90 headers",
            request(
                &(0..85)
                    .map(|at| format!("X-{at}: y\r\n"))
                    .collect::<String>(),
            ),
        ),
    ] {
        let response =
            Peer::http(server.port, &head).unwrap_or_else(|| panic!("{what}: no answer"));
        assert_eq!(response.status, 101, "{what}: {response:?}");
        assert_eq!(
            response.header("sec-websocket-protocol"),
            None,
            "{what}: {response:?}"
        );
        assert_eq!(
            response.header("sec-websocket-extensions"),
            None,
            "{what}: {response:?}"
        );
    }
    scene.finish();
}

#[test]
fn advisory_02_lists_that_have_stopped_other_servers_cost_nothing() {
    let scene = Scene::new();
    let gates = gates(&scene);
    for (gate, size) in gates
        .iter()
        .flat_map(|gate| [(gate, 15 * 1024), (gate, 64 * 1024)])
    {
        for part in [
            "a, ",
            ",",
            "\"",
            "a;",
            "a=\"\\\"",
            "constructor,",
            "__proto__;",
            " \t",
            "x; y=\"",
            "a b ",
        ] {
            for name in [
                "Sec-WebSocket-Protocol",
                "Sec-WebSocket-Extensions",
                "Connection",
                "Upgrade",
                "Origin",
            ] {
                let before = scene.host.cpu();
                let value: String = part.chars().cycle().take(size).collect();
                let head = request(&format!("{}{name}: {value}\r\n", gate.headers));
                if let Some(response) = gate.flood(head.as_bytes()) {
                    assert!(
                        [101, 400, 403, 426, 431].contains(&response.status),
                        "{name}: {part}: {response:?}"
                    );
                }
                let cost = scene.host.cpu() - before;
                assert!(
                    cost < Duration::from_millis(200),
                    "{name}: {part}: {cost:?}"
                );
            }
        }
    }
    scene.finish();
}

#[test]
fn advisory_02_a_thousand_damaged_heads_are_all_answered_or_closed() {
    let scene = Scene::new();
    let server = scene.server(json!({"handshakeTimeoutMs": 1000}));
    let good = request(
        "Origin: http://localhost\r\nSec-WebSocket-Protocol: a, b\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
    );
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut waiting = Vec::new();
    for _ in 0..scaled(1000, 50_000) {
        let mut head = good.clone().into_bytes();
        for _ in 0..random.below(4) + 1 {
            let at = random.below(head.len());
            match random.below(5) {
                0 => head[at] = random.below(256) as u8,
                1 => drop(head.remove(at)),
                2 => head.insert(at, b"\r\n\0 ,;:\"\xff\x80"[random.below(10)]),
                3 => head.truncate(at.max(1)),
                _ => {
                    let piece = head[at..(at + random.below(60)).min(head.len())].to_vec();
                    head.splice(at..at, piece);
                }
            }
            if head.is_empty() {
                head.push(b'G');
            }
        }
        let mut peer = Peer::tcp(server.port);
        peer.send_bytes(&head);
        waiting.push((peer, head));
        if waiting.len() == 500 {
            for (mut peer, head) in waiting.drain(..) {
                match peer.response(PROMPTLY) {
                    Some(response) => {
                        let fits = [101, 400, 403, 404, 405, 408, 414, 426, 431, 501, 505]
                            .contains(&response.status);
                        assert!(fits, "{response:?} to {}", String::from_utf8_lossy(&head));
                    }
                    None => assert!(
                        peer.ends(PROMPTLY),
                        "no answer to {}",
                        String::from_utf8_lossy(&head)
                    ),
                }
            }
        }
    }
    a_good_client_is_served_at_once(server);
    scene.finish();
}

/// Numbers that look random and are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn row_08_what_is_not_websocket_is_answered_and_logged() {
    let scene = Scene::new();
    ask!(scene.host, "log", 4).ok();
    let server = scene.server(json!({"handshakeTimeoutMs": 1500}));
    let tls = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03abcdefghijklmnopqrstuvwxyz012345\x00\x00\x02\x13\x01\x01\x00";
    let cases: [(&str, &[u8], &[u16]); 9] = [
        ("GET", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", &[426]),
        (
            "GET elsewhere",
            b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n",
            &[404, 426],
        ),
        (
            "HEAD",
            b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            &[405, 426],
        ),
        (
            "POST",
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
            &[405],
        ),
        (
            "OPTIONS",
            b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
            &[400, 405],
        ),
        ("HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", &[400, 426, 505]),
        (
            "HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0",
            &[400, 405, 505],
        ),
        ("HTTP/0.9", b"GET /\r\n\r\n", &[400, 505]),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", &[400]),
    ];
    let gates = gates(&scene);
    let all = |gate| cases.iter().map(move |case| (gate, case));
    for (gate, (what, bytes, expected)) in gates.iter().flat_map(all) {
        let response = gate.flood(bytes);
        let response = response.unwrap_or_else(|| panic!("{what}: no answer"));
        assert!(expected.contains(&response.status), "{what}: {response:?}");
        if response.status == 426 {
            assert_eq!(
                response.header("upgrade"),
                Some("websocket"),
                "{what}: {response:?}"
            );
        }
        scene
            .host
            .wait_for(&format!("log line about {what}"), WATCHDOG, |event| {
                event.is("log") && event.log_line().contains(&response.status.to_string())
            });
    }
    for (what, bytes) in [("TLS", &tls[..]), ("nothing that HTTP knows", &[0xff; 40])] {
        let mut peer = Peer::tcp(server.port);
        peer.send_bytes(bytes);
        assert!(peer.ends(PROMPTLY), "{what} stays connected");
        scene
            .host
            .wait_for(&format!("log line about {what}"), WATCHDOG, |event| {
                event.is("log")
            });
    }
    assert!(
        soon(PROMPTLY, || scene.host.fds()
            <= scene.ready().fds + 1 + gates.len() as u64),
        "only the listeners are left"
    );
    assert_eq!(
        scene.host.take(|event| event.server() == server.reference),
        [],
        "no host hears of these"
    );
    scene.finish();
}

#[test]
fn row_09_a_page_from_elsewhere_is_refused_and_told() {
    let scene = Scene::new();
    for gate in gates(&scene) {
        for origin in [
            "https://evil",
            "http://localhost.evil",
            "http://evillocalhost",
            "http://evil/http://localhost",
            "http://localhost:81",
            "null",
            "",
        ] {
            let head = request(&format!("{}Origin: {origin}\r\n", gate.headers));
            let answer = gate.flood(head.as_bytes()).expect("an answer");
            assert_eq!(answer.status, 403, "{origin:?}: {answer:?}");
            if gate.asks {
                let event = scene.host.server_event("refused", gate.server.reference);
                let told = ["status", "rule", "origin"].map(|key| event.context(key).clone());
                assert_eq!(
                    told,
                    [json!(403), json!("origin"), json!(origin)],
                    "{event:?}"
                );
            }
        }
        let head = request(&format!("{}Origin: http://LOCALHOST\r\n", gate.headers));
        let answer = gate.flood(head.as_bytes()).expect("an answer");
        assert_eq!(answer.status, 101, "{answer:?}");
    }
    scene.finish();
}

#[test]
fn row_08_a_page_is_served_to_a_plain_get_and_nothing_else_is() {
    let scene = Scene::new();
    let page = std::env::temp_dir().join(format!("wsplug-page-{}.html", std::process::id()));
    std::fs::write(&page, "<p>hello</p>").unwrap();
    let server = scene.server(json!({"files": {"/": page.to_str().unwrap()}}));
    let get = |target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Peer::http(server.port, request).unwrap()
    };
    let response = get("/");
    assert_eq!(
        (response.status, &response.body[..]),
        (200, &b"<p>hello</p>"[..]),
        "{response:?}"
    );
    assert!(
        response
            .header("content-type")
            .unwrap()
            .starts_with("text/html"),
        "{response:?}"
    );
    for target in ["/x", "/../etc/passwd", "//", "/%2e%2e/etc/passwd", "/./"] {
        let response = get(target);
        assert!(
            [400, 404].contains(&response.status),
            "{target}: {response:?}"
        );
    }
    a_good_client_is_served_at_once(server);
    std::fs::remove_file(&page).unwrap();
    assert!([404, 500].contains(&get("/").status));
    a_good_client_is_served_at_once(server);
    scene.finish();
}
