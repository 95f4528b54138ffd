//! What peers do wrong in TLS and below it, in both roles: the rows of the table of faults that concern it, and what TLS
//! could break of what holds without it.

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

use adversary::{BINARY, CLOSE, Frame, TEXT, listener, raise_file_limit, request};
use certs::Certs;
use host::{OK, QUEUE_FULL, UNKNOWN_REF, WATCHDOG, WRONG_STATE, soon};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::server::ProducesTickets;
use rustls::{ClientConfig, ConnectionTrafficSecrets, ExtractedSecrets};
use scene::{MIB, Scene, Server, at_once, scaled};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Secure {
    scene: Scene,
    certs: Certs,
    config: Arc<ClientConfig>,
}

impl Secure {
    fn new() -> Secure {
        let certs = Certs::new();
        let config = secure::client_config(&certs);
        let scene = Scene::new();
        // The library of cryptography has its tables, and a first handshake its buffers.
        scene.may_grow(24 * MIB);
        Secure {
            scene,
            certs,
            config,
        }
    }

    fn server(&self, mut options: Value) -> Server {
        options["tls"] = self.certs.server().tls();
        self.scene.server(options)
    }

    /// A client of ours, started, and the end that it has reached.
    fn client(&self, listener: &TcpListener) -> (i32, secure::Server) {
        let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
        let tls = json!({"caFile": self.certs.authority.cert});
        let options = json!({"url": url, "tls": tls, "enableAutomaticReconnection": false});
        let client = self.scene.client(options);
        ask!(
            self.scene.host,
            "client_start",
            client,
            json!({"wait": false})
        )
        .ok();
        let peer = secure::accept(listener, &secure::server_config(&self.certs.server()));
        self.scene.host.event("open", client);
        (client, peer)
    }

    fn peer(&self, server: Server) -> (secure::Client, i32) {
        let peer = secure::upgraded(server.port, &self.config);
        let open = self.scene.host.server_event("open", server.reference);
        (peer, open.client())
    }

    fn closes_with_1006(&self, client: i32) -> String {
        let close = self.scene.host.event("close", client);
        assert_eq!(close.code(), 1006, "{close:?}");
        assert_eq!(*close.context("remote"), true, "{close:?}");
        close.reason().to_owned()
    }
}

#[test]
fn row_05_a_thousand_silent_clients_do_not_delay_a_good_one() {
    let own = Secure::new();
    let timeout = Duration::from_millis(scaled(4000, 10_000));
    let crowd = ((raise_file_limit() as usize).saturating_sub(300) / 3).min(1000);
    own.scene.may_grow(48 * MIB);
    let server = own.server(json!({"handshakeTimeoutMs": timeout.as_millis() as u64}));
    // Warm, so that what is measured is the crowd.
    drop(own.peer(server));
    let began = Instant::now();
    let mut silent: Vec<_> = (0..crowd).map(|_| secure::tcp(server.port)).collect();
    for (number, tcp) in silent.iter_mut().enumerate() {
        // Some begin: the header of a record that never comes whole.
        if number % 3 == 0 {
            tcp.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
                .unwrap();
        }
    }
    for _ in 0..10 {
        at_once(|| drop(secure::upgraded(server.port, &own.config)));
    }
    assert!(
        began.elapsed() < timeout,
        "the crowd was there all the time"
    );
    for tcp in &mut silent {
        let mut rest = [0; 16];
        assert_eq!(tcp.read(&mut rest).unwrap_or(0), 0, "no answer to silence");
    }
    let over = began.elapsed();
    assert!(
        over < timeout + Duration::from_secs(3),
        "the last was told to go after {over:?}"
    );
    drop(silent);
    // Some may have made room for the good ones.
    let info = ask!(own.scene.host, "server_info", server.reference).ok();
    let told = |reason: &str| info.body["refused"][reason].as_u64().unwrap_or(0);
    let made_room = told("maxPendingHandshakes");
    assert_eq!(told("handshakeTimeout") + made_room, crowd as u64);
    assert!(made_room <= 40, "{made_room}");
    own.scene.finish();
}

#[test]
fn row_09_the_origin_of_a_page_that_came_over_tls_is_https() {
    let own = Secure::new();
    let server = own.server(json!({}));
    let port = server.port;
    for (origin, status) in [
        (format!("https://localhost:{port}"), "101"),
        (format!("http://localhost:{port}"), "403"),
        ("https://localhost".into(), "403"),
        (format!("https://localhost.evil:{port}"), "403"),
        ("null".into(), "403"),
    ] {
        let mut client = secure::connect(port, &own.config);
        let request = request("").replace("Host: localhost", &format!("Host: localhost:{port}"));
        let request = request.replace("\r\n\r\n", &format!("\r\nOrigin: {origin}\r\n\r\n"));
        client.write_all(request.as_bytes()).unwrap();
        let head = secure::head(&mut client);
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{origin}: {head}"
        );
    }
    own.scene.finish();
}

/// The host has all signals as they are: SIGPIPE would end it.
#[test]
fn row_27_a_peer_that_leaves_between_two_sends_does_not_end_the_host() {
    let own = Secure::new();
    let server = own.server(json!({}));
    let listener = listener();
    let status = |client: i32| {
        let reply = ask!(own.scene.host, "client_send", client, BINARY, "*4096");
        let known = [OK, QUEUE_FULL, UNKNOWN_REF, WRONG_STATE];
        assert!(known.contains(&reply.status), "{}", reply.body);
        reply.status
    };
    let into_the_void = |client: i32| {
        let gone = soon(WATCHDOG, || {
            [UNKNOWN_REF, WRONG_STATE].contains(&status(client))
        });
        assert!(gone, "sends go on for ever");
        own.closes_with_1006(client);
    };
    for round in 0..10 {
        let (peer, client) = own.peer(server);
        assert_eq!(status(client), OK);
        if round % 2 == 0 {
            secure::reset(&peer.sock);
        }
        drop(peer);
        into_the_void(client);

        let (client, peer) = own.client(&listener);
        assert_eq!(status(client), OK);
        if round % 2 == 0 {
            secure::reset(&peer.sock);
        }
        drop(peer);
        into_the_void(client);
    }
    own.scene.finish();
}

#[test]
fn an_end_without_a_close_frame_is_1006_whether_tls_was_ended_or_not() {
    let own = Secure::new();
    let server = own.server(json!({}));
    let half = Frame::text("half a message").bytes(true);
    for round in 0..3 {
        let (mut peer, client) = own.peer(server);
        peer.write_all(&half[..8]).unwrap();
        match round {
            0 => {}
            1 => {
                peer.conn.send_close_notify();
                peer.flush().unwrap();
            }
            // In the middle of a record.
            _ => peer.sock.write_all(b"\x17\x03\x03\x40\x00abc").unwrap(),
        }
        peer.sock.shutdown(Shutdown::Write).unwrap();
        let reason = own.closes_with_1006(client);
        assert!(reason.contains("without a close frame"), "{reason}");
    }
    assert_eq!(own.scene.host.take(|event| event.is("message")), []);
    own.scene.finish();
}

#[test]
fn what_is_not_tls_any_more_ends_that_connection_in_words_and_with_an_alert() {
    let own = Secure::new();
    let server = own.server(json!({}));
    let (mut other, _) = own.peer(server);
    for (bytes, part) in [
        (&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], "not TLS"),
        (
            b"\x17\x03\x03\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "damaged or forged",
        ),
        (b"\x17\x03\x03\xff\xff", "not TLS"),
    ] {
        let (mut peer, client) = own.peer(server);
        peer.sock.write_all(bytes).unwrap();
        let reason = own.closes_with_1006(client);
        assert!(reason.contains(part), "{reason}");
        let mut rest = Vec::new();
        let error = peer.read_to_end(&mut rest).unwrap_err().to_string();
        assert!(error.contains("fatal alert"), "{error}");
    }
    other
        .write_all(&Frame::close(1000, "").bytes(true))
        .unwrap();
    assert_eq!(secure::frame(&mut other).opcode, CLOSE);
    own.scene.finish();
}

/// What is encrypted already cannot be taken back from the line: it leaves there, and nowhere else.
#[test]
fn what_had_not_left_over_tls_when_the_server_closed_is_sent_once_on_the_next_connection() {
    const COUNT: usize = 400;
    const LONG: usize = 60_000;
    let own = Secure::new();
    own.scene.may_grow(96 * MIB);
    let host = &own.scene.host;
    let listener = listener();
    let options = json!({
        "url": format!("wss://localhost:{}/", listener.local_addr().unwrap().port()),
        "tls": {"caFile": own.certs.authority.cert}, "queueWhileDisconnected": 64 << 20,
        "sendQueueBytes": 64 << 20, "maxWaitBetweenReconnectionRetries": 20,
    });
    let client = own.scene.client(options);
    ask!(host, "client_start", client, json!({"wait": false})).ok();
    let config = secure::server_config(&own.certs.server());
    let mut first = secure::accept(&listener, &config);
    host.event("open", client);
    let data = format!("#{LONG}");
    let sent = begin!(host, "-repeat", 0, COUNT, "client_send", client, 1, data);
    assert_eq!(host.reply(&sent, WATCHDOG).done, COUNT as i64);
    let waits = || ask!(host, "client_info", client).ok().body["bufferedAmount"].clone();
    assert!(soon(WATCHDOG, || waits().as_u64().unwrap()
        <= ((COUNT - 1) * LONG) as u64));
    // It has not read one.
    first
        .write_all(&Frame::close(1001, "restarting").bytes(false))
        .unwrap();
    first.flush().unwrap();
    host.event("close", client);
    let number = |payload: &[u8]| {
        assert_eq!(payload.len(), LONG);
        let digits = payload.split(|byte| *byte == b'.').next().unwrap();
        String::from_utf8(digits.to_vec())
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };
    let mut numbers = Vec::new();
    loop {
        let frame = secure::frame(&mut first);
        if frame.opcode == CLOSE {
            break;
        }
        numbers.push(number(&frame.payload));
    }
    drop(first);
    assert!(numbers.len() < COUNT);
    let mut second = secure::accept(&listener, &config);
    while numbers.len() < COUNT {
        numbers.push(number(&secure::frame(&mut second).payload));
    }
    assert_eq!(numbers, (0..COUNT).collect::<Vec<_>>());
    ask!(host, "client_send", client, 1, "=the last").ok();
    assert_eq!(secure::frame(&mut second).payload, b"the last");
    drop(second);
    own.scene.finish();
}

#[test]
fn records_and_frames_may_come_a_byte_at_a_time() {
    let own = Secure::new();
    let server = own.server(json!({"method": "echo", "dispatch": "inline"}));
    let mut peer = secure::connect(server.port, &own.config);
    // The handshake too.
    let mut bytes = Vec::new();
    while peer.conn.is_handshaking() {
        bytes.clear();
        while peer.conn.wants_write() {
            peer.conn.write_tls(&mut bytes).unwrap();
        }
        for byte in &bytes {
            peer.sock.write_all(&[*byte]).unwrap();
        }
        if peer.conn.is_handshaking() {
            peer.conn.read_tls(&mut peer.sock).unwrap();
            peer.conn.process_new_packets().unwrap();
        }
    }
    let message = Frame::text("a byte at a time").bytes(true);
    let all = [request("").as_bytes(), &message, &message].concat();
    peer.conn.writer().write_all(&all).unwrap();
    bytes.clear();
    while peer.conn.wants_write() {
        peer.conn.write_tls(&mut bytes).unwrap();
    }
    for byte in &bytes {
        peer.sock.write_all(&[*byte]).unwrap();
    }
    assert!(secure::head(&mut peer).starts_with("HTTP/1.1 101 "));
    for _ in 0..2 {
        assert_eq!(secure::frame(&mut peer), Frame::text("a byte at a time"));
    }
    own.scene.finish();
}

#[test]
fn new_keys_in_the_middle_lose_nothing() {
    let own = Secure::new();
    let server = own.server(json!({"method": "echo", "dispatch": "inline"}));
    let mut peer = secure::upgraded(server.port, &own.config);
    for number in 0..20 {
        peer.conn.refresh_traffic_keys().unwrap();
        let message = Frame::text(format!("number {number}"));
        peer.write_all(&message.bytes(true)).unwrap();
        assert_eq!(secure::frame(&mut peer), message);
    }
    own.scene.finish();
}

/// Gives tickets of this length, which nobody ever shows again.
#[derive(Debug)]
struct Tickets(usize);

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        3600
    }

    fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        Some(vec![7; self.0])
    }

    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

#[test]
fn a_ticket_may_come_in_many_records() {
    let own = Secure::new();
    let listener = listener();
    let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
    let tls = json!({"caFile": own.certs.authority.cert});
    let no_wait = json!({"wait": false});
    let connect = |fragment: usize, length: usize| {
        let options =
            json!({"url": url, "tls": tls, "enableAutomaticReconnection": false, "timeout": 60});
        let client = own.scene.client(options);
        ask!(own.scene.host, "client_start", client, &no_wait).ok();
        let mut config = (*secure::server_config(&own.certs.server())).clone();
        config.max_fragment_size = Some(fragment);
        config.send_tls13_tickets = 1;
        config.ticketer = Arc::new(Tickets(length));
        (client, Arc::new(config))
    };
    // Longer than a record, and as long as there can be.
    for (fragment, length) in [(1000, 40_000), (16_000, 60_000), (100, 60_000)] {
        let (client, config) = connect(fragment, length);
        let mut peer = secure::accept(&listener, &config);
        own.scene.host.event("open", client);
        ask!(own.scene.host, "client_send", client, BINARY, "*100").ok();
        assert_eq!(secure::frame(&mut peer).payload.len(), 100);
        ask!(own.scene.host, "client_clear", client).ok();
    }
    own.scene.finish();
}

/// One record of TLS 1.3 with a piece of the handshake in it.
fn sealed(secrets: &ExtractedSecrets, ahead: u64, piece: &[u8]) -> Vec<u8> {
    let (number, ConnectionTrafficSecrets::Aes256Gcm { key, iv }) = &secrets.tx else {
        panic!("another cipher was agreed");
    };
    let mut nonce: [u8; 12] = iv.as_ref().try_into().unwrap();
    for (byte, mask) in nonce[4..].iter_mut().zip((number + ahead).to_be_bytes()) {
        *byte ^= mask;
    }
    let length = (piece.len() + 1 + 16) as u16;
    let mut record = vec![23, 3, 3];
    record.extend(length.to_be_bytes());
    let mut content = [piece, &[22]].concat();
    let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap();
    let nonce = Nonce::assume_unique_for_key(nonce);
    LessSafeKey::new(key)
        .seal_in_place_append_tag(nonce, Aad::from(record.clone()), &mut content)
        .unwrap();
    record.extend(content);
    record
}

#[test]
fn a_message_of_tls_that_stops_in_the_middle_holds_nothing_up() {
    let own = Secure::new();
    let server = own.server(json!({"sendQueueBytes": 16 * MIB}));
    let mut config = (*own.config).clone();
    config.enable_secret_extraction = true;
    let config = Arc::new(config);
    for ending in ["continues", "crumbles", "leaves", "is stopped"] {
        let peer = secure::upgraded(server.port, &config);
        let client = own
            .scene
            .host
            .server_event("open", server.reference)
            .client();
        let (session, mut tcp) = peer.into_parts();
        let secrets = session.dangerous_extract_secrets().unwrap();
        // A message of 40,000 bytes begins.
        let begin = [&[4, 0, 0x9c, 0x40], &[0; 500][..]].concat();
        tcp.write_all(&sealed(&secrets, 0, &begin)).unwrap();
        tcp.write_all(&sealed(&secrets, 1, &[0; 500])).unwrap();
        // Meanwhile the host sends. The server has read the pieces long before the end of it.
        let echo = std::thread::spawn({
            let mut tcp = tcp.try_clone().unwrap();
            move || {
                let mut bytes = vec![0; 2000 * 1000];
                tcp.read_exact(&mut bytes).unwrap();
            }
        });
        ask!(
            own.scene.host,
            "repeat",
            0,
            2000,
            "client_send",
            client,
            BINARY,
            "*1000"
        )
        .ok();
        echo.join().unwrap();
        match ending {
            "continues" => {
                for piece in 0..100 {
                    let _ = tcp.write_all(&sealed(&secrets, 2 + piece, &[0; 500]));
                }
                let reason = own.closes_with_1006(client);
                assert!(reason.contains("not TLS"), "{reason}");
            }
            "crumbles" => {
                for piece in 0..6000 {
                    let _ = tcp.write_all(&sealed(&secrets, 2 + piece, &[0]));
                }
                let reason = own.closes_with_1006(client);
                assert!(reason.contains("too many pieces"), "{reason}");
            }
            "leaves" => {
                tcp.shutdown(Shutdown::Both).unwrap();
                own.closes_with_1006(client);
            }
            _ => {
                ask!(
                    own.scene.host,
                    "client_stop",
                    client,
                    json!({"wait": false})
                )
                .ok();
                tcp.shutdown(Shutdown::Both).unwrap();
                own.scene.host.event("close", client);
            }
        }
    }
    own.scene.finish();
}

#[test]
fn nothing_that_a_leaving_peer_sent_is_lost() {
    let own = Secure::new();
    let server = own.server(json!({}));
    let text = |number: i32| format!("{number} {}", "x".repeat(100));
    for _ in 0..5 {
        let (mut peer, client) = own.peer(server);
        // It does not read what is sent to it, and is gone at once.
        ask!(
            own.scene.host,
            "repeat",
            0,
            50,
            "client_send",
            client,
            BINARY,
            "*4096"
        )
        .ok();
        let mut all = Vec::new();
        for number in 0..200 {
            all.extend(Frame::text(text(number)).bytes(true));
        }
        all.extend(Frame::close(3000, "gone").bytes(true));
        peer.write_all(&all).unwrap();
        peer.sock.shutdown(Shutdown::Write).unwrap();
        for number in 0..200 {
            let message = own.scene.host.event("message", client);
            assert_eq!(message.bytes(), text(number).as_bytes(), "{message:?}");
        }
        let close = own.scene.host.event("close", client);
        assert_eq!((close.code(), close.reason()), (3000, "gone"), "{close:?}");
        drop(peer);
    }
    own.scene.finish();
}

#[test]
fn a_stop_ends_the_web_socket_then_tls_then_tcp() {
    let own = Secure::new();
    let server = own.server(json!({}));
    let (mut peer, _) = own.peer(server);
    let tag = begin!(own.scene.host, "server_stop", server.reference, "{}");
    let close = secure::frame(&mut peer);
    assert_eq!(
        (close.opcode, &close.payload[..2]),
        (CLOSE, &1001_u16.to_be_bytes()[..])
    );
    peer.write_all(&Frame::close(1001, "").bytes(true)).unwrap();
    // An end without close_notify would be an error here.
    assert_eq!(peer.read(&mut [0; 16]).unwrap(), 0);
    own.scene.host.reply(&tag, WATCHDOG).ok();
    own.scene.finish();
}

#[test]
fn a_peer_that_does_not_read_is_lost_after_the_stall_and_a_slow_one_gets_everything() {
    let own = Secure::new();
    own.scene.may_grow(64 * MIB);
    let server = own.server(json!({"sendStallMs": 1000, "sendQueueBytes": 32 << 20}));
    let (peer, client) = own.peer(server);
    ask!(
        own.scene.host,
        "client_send",
        client,
        BINARY,
        format!("*{}", 24 << 20)
    )
    .ok();
    let close = own.scene.host.event("close", client);
    assert_eq!(close.code(), 1006, "{close:?}");
    assert!(
        close.reason().contains("1 messages were not sent"),
        "{close:?}"
    );
    drop(peer);

    let (mut peer, client) = own.peer(server);
    let count = 400;
    ask!(
        own.scene.host,
        "repeat",
        0,
        count,
        "client_send",
        client,
        TEXT,
        "#60000"
    )
    .ok();
    for number in 0..count {
        // Slow, but not standing still.
        if number % 40 == 0 {
            std::thread::sleep(Duration::from_millis(50));
        }
        let frame = secure::frame(&mut peer);
        let start = format!("{number}.");
        assert_eq!(frame.payload.len(), 60_000);
        assert!(
            frame.payload.starts_with(start.as_bytes()),
            "{number} is not in its place"
        );
    }
    own.scene.finish();
}

#[test]
fn an_idle_connection_keeps_little_more_than_its_keys() {
    let own = Secure::new();
    own.scene.may_grow(64 * MIB);
    let count = ((raise_file_limit() as usize).saturating_sub(300) / 4).min(500);
    let secured = own.server(json!({"pingInterval": 0}));
    let plain = own.scene.server(json!({"pingInterval": 0}));
    // Buffers and tables that are there once.
    let warm: Vec<_> = (0..20).map(|_| own.peer(secured)).collect();
    let cost = |open: &mut dyn FnMut()| {
        ask!(own.scene.host, "trim");
        let before = own.scene.host.rss();
        open();
        ask!(own.scene.host, "trim");
        own.scene.host.rss().saturating_sub(before) as usize / count
    };
    let mut plain_peers = Vec::new();
    let plain_cost = cost(&mut || {
        for _ in 0..count {
            plain_peers.push(own.scene.peer(plain));
        }
    });
    let mut peers = Vec::new();
    let message = Frame::text("x".repeat(20_000)).bytes(true);
    let tls_cost = cost(&mut || {
        for _ in 0..count {
            let (mut peer, client) = own.peer(secured);
            peer.write_all(&message).unwrap();
            own.scene.host.event("message", client);
            ask!(own.scene.host, "client_send", client, TEXT, "*20000").ok();
            secure::frame(&mut peer);
            peers.push(peer);
        }
    });
    println!("resident bytes of an idle connection: plain {plain_cost}, TLS {tls_cost}");
    assert!(
        tls_cost < 24 * 1024,
        "an idle TLS connection costs {tls_cost} bytes"
    );
    drop((warm, plain_peers, peers));
    own.scene.finish();
}
