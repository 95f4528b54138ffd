//! Peers that break the protocol, promise more than they send, flood, vanish or do not let go (rows 10-13, 15, 31 and 32
//! of the table of faults), against both roles of the library.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/host.rs"]
mod host;
#[path = "support/scene.rs"]
mod scene;

use adversary::{
    BINARY, CLOSE, CONTINUATION, Frame, Heard, PING, PONG, PROMPTLY, Peer, TEXT, listener, url,
};
use host::{Event, INVALID_OPTIONS, OK, UNKNOWN_REF, WATCHDOG, WRONG_STATE, soon};
use scene::{MIB, Scene, Server, scaled};
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// The library's side of a connection to an adversary, in either role.
struct Role {
    name: &'static str,
    server: Server,
    listener: TcpListener,
    options: Value,
}

impl Role {
    /// First the library as the server, then as one with everything switched on, then as the client, all with `options`.
    fn all(scene: &Scene, options: Value) -> [Role; 3] {
        let [plain, guarded] = scene.servers(options.clone());
        let role = |name, server| Role {
            name,
            server,
            listener: listener(),
            options: options.clone(),
        };
        [
            role("server", plain),
            role("guarded server", guarded),
            role("client", plain),
        ]
    }

    fn is_server(&self) -> bool {
        self.name != "client"
    }

    /// A connected adversary and the ref under which the host knows it.
    fn connect(&self, scene: &Scene) -> (Peer, i32) {
        if self.is_server() {
            return scene.peer(self.server);
        }
        let mut options = json!({"url": url(&self.listener), "enableAutomaticReconnection": false});
        options
            .as_object_mut()
            .unwrap()
            .extend(self.options.as_object().unwrap().clone());
        let client = scene.client(options);
        let starting = begin!(scene.host, "client_start", client, "{}");
        let peer = Peer::accept(&self.listener);
        scene.host.reply(&starting, WATCHDOG).ok();
        scene.host.event("open", client);
        (peer, client)
    }
}

/// The other side closes with `code`, says why, ends the connection, and its host hears the same.
fn is_closed_with(scene: &Scene, what: &str, peer: &mut Peer, client: i32, codes: &[u16]) {
    let (code, reason) = peer.close_frame(PROMPTLY);
    assert!(
        codes.contains(&code),
        "{what}: closed with {code} {reason:?}"
    );
    assert!(!reason.is_empty(), "{what}: no reason");
    peer.send(&Frame::close(code, ""));
    assert!(peer.ends(PROMPTLY), "{what}: the connection goes on");
    let event = scene.host.event("close", client);
    assert_eq!(
        (event.code(), event.reason()),
        (i64::from(code), &reason[..]),
        "{what}: {event:?}"
    );
    assert_eq!(*event.context("remote"), false, "{what}: {event:?}");
    let later = scene
        .host
        .take(|event| event.client() == client && (event.is("message") || event.is("close")));
    assert_eq!(later, [], "{what}");
}

/// What no peer may send, by its right close code.
fn offences(masks: bool) -> Vec<(String, Vec<Frame>, u16)> {
    fn frame(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
        Frame::new(opcode, payload)
    }
    let mut offences = vec![];
    let mut add =
        |code, what: &str, frames: Vec<Frame>| offences.push((what.to_owned(), frames, code));
    for rsv in [1, 2, 4, 7] {
        add(
            1002,
            &format!("reserved bits {rsv:03b}"),
            vec![frame(TEXT, "x").rsv(rsv)],
        );
        add(
            1002,
            &format!("reserved bits {rsv:03b} of a ping"),
            vec![frame(PING, "").rsv(rsv)],
        );
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        add(1002, &format!("opcode {opcode}"), vec![frame(opcode, "")]);
        add(
            1002,
            &format!("opcode {opcode}, large"),
            vec![frame(opcode, [0; 40]).declared(1 << 40)],
        );
    }
    add(
        1002,
        "the other side's masking",
        vec![frame(TEXT, "hello").masked(!masks)],
    );
    add(
        1002,
        "the other side's masking of an empty frame",
        vec![frame(BINARY, "").masked(!masks)],
    );
    for opcode in [PING, PONG, CLOSE] {
        add(
            1002,
            &format!("a fragment of control frame {opcode}"),
            vec![frame(opcode, "").not_final()],
        );
        add(
            1002,
            &format!("126 bytes in control frame {opcode}"),
            vec![frame(opcode, [3; 126])],
        );
        add(
            1002,
            &format!("long length of control frame {opcode}"),
            vec![frame(opcode, [3; 5]).length_bytes(3)],
        );
    }
    add(
        1002,
        "a continuation of nothing",
        vec![frame(CONTINUATION, "x")],
    );
    add(
        1002,
        "a continuation of nothing, not final",
        vec![frame(CONTINUATION, "x").not_final()],
    );
    add(
        1002,
        "a message behind two fragments of another",
        vec![
            frame(TEXT, "x").not_final(),
            frame(CONTINUATION, "y").not_final(),
            frame(BINARY, "z"),
        ],
    );
    add(
        1002,
        "a message inside a fragmented one",
        vec![frame(TEXT, "x").not_final(), frame(TEXT, "y")],
    );
    add(
        1002,
        "a message inside a fragmented one, after a ping",
        vec![
            frame(BINARY, "x").not_final(),
            frame(PING, ""),
            frame(TEXT, "y").not_final(),
        ],
    );
    add(
        1002,
        "a length in 3 bytes that fits into 1",
        vec![frame(BINARY, [0; 125]).length_bytes(3)],
    );
    add(
        1002,
        "a length in 9 bytes that fits into 3",
        vec![frame(BINARY, [0; 126]).length_bytes(9)],
    );
    add(
        1002,
        "a length in 9 bytes that fits into 1",
        vec![frame(TEXT, "").length_bytes(9)],
    );
    add(
        1002,
        "a length with its top bit set",
        vec![frame(BINARY, "").declared(1 << 63)],
    );
    add(
        1002,
        "a length of all ones",
        vec![frame(BINARY, "").declared(u64::MAX)],
    );
    add(1002, "a close of one byte", vec![frame(CLOSE, [3])]);
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        add(
            1002,
            &format!("close code {code}"),
            vec![Frame::close(code, "x")],
        );
    }
    add(
        1007,
        "a close reason that is no UTF-8",
        vec![Frame::close(1000, [0xff])],
    );
    add(
        1007,
        "a close reason that is cut off",
        vec![Frame::close(1000, [b'a', 0xe2, 0x82])],
    );
    for bytes in [
        &b"\xff"[..],
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"a\x80",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
    ] {
        add(
            1007,
            &format!("text {bytes:02x?}"),
            vec![frame(TEXT, bytes)],
        );
        add(
            1007,
            &format!("text {bytes:02x?} in the second fragment"),
            vec![frame(TEXT, "ok").not_final(), frame(CONTINUATION, bytes)],
        );
    }
    add(
        1007,
        "text cut off at a fragment and not gone on",
        vec![
            frame(TEXT, [0xe2, 0x82]).not_final(),
            frame(CONTINUATION, "x").not_final(),
        ],
    );
    add(
        1007,
        "text that fails long before its end",
        vec![frame(TEXT, b"ok \xc0").declared(1000)],
    );
    add(
        1007,
        "text that fails in a fragment that is not the last",
        vec![frame(TEXT, b"\xf5").not_final()],
    );
    add(
        1009,
        "a message over the limit",
        vec![frame(BINARY, "").declared(1_000_001)],
    );
    add(
        1009,
        "a message far over the limit",
        vec![frame(BINARY, "").declared((1 << 63) - 1)],
    );
    offences
}

fn each_protocol_error_gets_its_close_code(scene: &Scene, role: &Role) {
    for (what, frames, code) in offences(role.is_server()) {
        let what = format!("{what}, to the {}", role.name);
        let (mut peer, client) = role.connect(scene);
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| peer.encode(frame)).collect();
        peer.send_bytes(&bytes);
        is_closed_with(scene, &what, &mut peer, client, &[code]);
    }
}

#[test]
fn row_10_each_protocol_error_gets_its_close_code() {
    let scene = Scene::new();
    for role in Role::all(&scene, json!({"maxMessage": 1_000_000})) {
        each_protocol_error_gets_its_close_code(&scene, &role);
    }
    scene.finish();
}

#[test]
fn row_10_each_protocol_error_gets_its_close_code_byte_by_byte_and_behind_a_good_message() {
    let scene = Scene::new();
    for role in Role::all(&scene, json!({"maxMessage": 1_000_000})) {
        for (what, frames, code) in offences(role.is_server()).into_iter().step_by(scaled(4, 1)) {
            let (mut peer, client) = role.connect(&scene);
            peer.send(&Frame::text("good"));
            assert_eq!(scene.host.event("message", client).bytes(), b"good");
            for byte in frames
                .iter()
                .flat_map(|frame| peer.encode(frame))
                .collect::<Vec<u8>>()
            {
                peer.send_bytes(&[byte]);
            }
            is_closed_with(&scene, &what, &mut peer, client, &[code]);
        }
    }
    scene.finish();
}

#[test]
fn row_10_every_split_of_a_good_stream_gives_the_same_messages() {
    let scene = Scene::new();
    for role in Role::all(&scene, json!({})) {
        let (mut peer, client) = role.connect(&scene);
        let frames = [
            Frame::text("h\u{e9}llo"),
            Frame::new(PING, "are you there"),
            Frame::new(TEXT, [0xe2]).not_final(),
            Frame::new(PING, ""),
            Frame::new(CONTINUATION, "").not_final(),
            Frame::new(CONTINUATION, [0x82, 0xac]),
            Frame::new(BINARY, [7; 300]),
        ];
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| peer.encode(frame)).collect();
        for split in 0..bytes.len() {
            peer.send_bytes(&bytes[..split]);
            peer.send_bytes(&bytes[split..]);
            let messages: Vec<Event> = (0..3)
                .map(|_| scene.host.event("message", client))
                .collect();
            assert_eq!(
                messages[0].bytes(),
                "h\u{e9}llo".as_bytes(),
                "split at {split}"
            );
            assert_eq!(
                messages[1].bytes(),
                "\u{20ac}".as_bytes(),
                "split at {split}"
            );
            assert_eq!(
                (messages[2].number("length"), messages[2].number("kind")),
                (300, 2),
                "split at {split}"
            );
        }
        assert_eq!(peer.frame().opcode, PONG);
    }
    scene.finish();
}

#[test]
fn row_11_a_length_over_the_limit_is_refused_on_its_header_and_costs_no_memory() {
    let scene = Scene::new();
    let limit = 4 * MIB;
    for role in Role::all(&scene, json!({"maxMessage": limit})) {
        let rss = scene.host.rss();
        scene.host.forget_peak();
        for (what, length, code) in [
            ("2^63 - 1", (1 << 63) - 1, 1009),
            ("2^63", 1 << 63, 1002),
            ("2^64 - 1", u64::MAX, 1002),
            ("2^32", 1 << 32, 1009),
            ("2^32 + 5", (1 << 32) + 5, 1009),
            ("2^31", 1 << 31, 1009),
            ("limit + 1", limit + 1, 1009),
        ] {
            for opcode in [TEXT, BINARY] {
                let (mut peer, client) = role.connect(&scene);
                peer.send(&Frame::new(opcode, "").declared(length));
                is_closed_with(&scene, what, &mut peer, client, &[code]);
            }
            // The same as the second frame of a message.
            let (mut peer, client) = role.connect(&scene);
            peer.send(&Frame::new(BINARY, "x").not_final());
            peer.send(&Frame::new(CONTINUATION, "").declared(length));
            is_closed_with(&scene, what, &mut peer, client, &[code]);
        }
        let grown = scene.host.peak_rss().saturating_sub(rss);
        assert!(grown < MIB, "{}: grown by {} KiB", role.name, grown >> 10);
    }
    scene.finish();
}

#[test]
fn row_11_a_message_may_be_exactly_as_long_as_the_limit_in_one_piece_and_in_many() {
    let scene = Scene::new();
    let limit = 100_000;
    for role in Role::all(&scene, json!({"maxMessage": limit})) {
        let (mut peer, client) = role.connect(&scene);
        peer.send(&Frame::new(BINARY, vec![1; limit]));
        peer.send(&Frame::new(BINARY, vec![1; limit - 1]).not_final());
        peer.send(&Frame::new(CONTINUATION, "").not_final());
        peer.send(&Frame::new(CONTINUATION, "x"));
        for _ in 0..2 {
            assert_eq!(
                scene.host.event("message", client).number("length") as usize,
                limit
            );
        }
        // The sum of the fragments is one too many: told by the header of the last.
        peer.send(&Frame::new(BINARY, vec![1; limit / 2]).not_final());
        peer.send(&Frame::new(CONTINUATION, vec![1; limit / 2]).not_final());
        peer.send(&Frame::new(CONTINUATION, "").declared(1));
        is_closed_with(&scene, "one over the limit", &mut peer, client, &[1009]);
    }
    scene.finish();
}

#[test]
fn row_12_two_hundred_promises_of_16_mib_cost_nothing_and_end_with_the_ping_timeout() {
    let scene = Scene::new();
    for server in scene.servers(json!({"pingInterval": 1, "pingTimeout": 1})) {
        two_hundred_promises(&scene, server);
    }
    scene.finish();
}

fn two_hundred_promises(scene: &Scene, server: Server) {
    let before = scene.host.virtual_size();
    let mut peers: Vec<(Peer, i32)> = (0..200).map(|_| scene.peer(server)).collect();
    for (peer, _) in &mut peers {
        peer.send(&Frame::new(BINARY, "a little").declared(16 * MIB));
    }
    let promised = Instant::now();
    for (_, client) in &peers {
        let event = scene.host.event("close", *client);
        assert_eq!(event.code(), 1006, "{event:?}");
        assert!(event.reason().contains("pong"), "{event:?}");
    }
    assert!(
        promised.elapsed() < Duration::from_secs(5),
        "{:?}",
        promised.elapsed()
    );
    let grown = scene.host.virtual_size().saturating_sub(before);
    // Half of what is promised: a thread for callbacks takes address space too.
    assert!(grown < 1600 * MIB, "grown by {} KiB", grown >> 10);
    for (mut peer, _) in peers {
        assert!(peer.ends(PROMPTLY));
    }
}

#[test]
fn row_13_a_flood_of_tiny_fragments_is_ended_before_it_costs_anything() {
    let scene = Scene::new();
    for (role, count) in Role::all(&scene, json!({"fragments": false}))
        .iter()
        .zip([20_000, 20_000, 140_000])
    {
        for payload in ["", "x"] {
            let (mut peer, client) = role.connect(&scene);
            let mut bytes = peer.encode(&Frame::text(payload).not_final());
            let next = peer.encode(&Frame::new(CONTINUATION, payload).not_final());
            for _ in 0..count {
                bytes.extend_from_slice(&next);
            }
            let before = scene.host.cpu();
            let mut writer = peer.stream.try_clone().unwrap();
            std::thread::spawn(move || writer.write_all(&bytes));
            let (code, _) = peer.close_frame(PROMPTLY);
            assert!(
                [1008, 1009].contains(&code),
                "{}: {payload:?}: {code}",
                role.name
            );
            let event = scene.host.event("close", client);
            assert_eq!(event.code(), i64::from(code), "{event:?}");
            let cost = scene.host.cpu() - before;
            assert!(
                cost < Duration::from_millis(200),
                "{}: {payload:?}: {cost:?}",
                role.name
            );
            assert!(peer.ends(PROMPTLY));
        }
    }
    assert_eq!(
        scene
            .host
            .take(|event| event.is("message") || event.is("fragment")),
        []
    );
    scene.finish();
}

#[test]
fn row_13_as_many_fragments_as_are_allowed_make_a_message() {
    let scene = Scene::new();
    for role in Role::all(&scene, json!({"fragments": false, "maxFragments": 1000})) {
        let (mut peer, client) = role.connect(&scene);
        for (count, fits) in [(1000, true), (1001, false)] {
            peer.send(&Frame::text("x").not_final());
            for _ in 0..count - 2 {
                peer.send(&Frame::new(CONTINUATION, "x").not_final());
                // Control frames in between do not count.
                peer.send(&Frame::new(PONG, ""));
            }
            peer.send(&Frame::new(CONTINUATION, "x"));
            if fits {
                assert_eq!(
                    scene.host.event("message", client).number("length"),
                    1000,
                    "{}",
                    role.name
                );
            } else {
                is_closed_with(&scene, "1001 fragments", &mut peer, client, &[1008, 1009]);
            }
        }
    }
    scene.finish();
}

/// Sends `count` control frames in large pieces as fast as they are taken, and never reads.
fn flood(peer: &mut Peer, opcode: u8, count: u64) {
    let at_once = 1000;
    peer.stream.set_write_timeout(Some(2 * WATCHDOG)).unwrap();
    let piece = peer
        .encode(&Frame::new(opcode, [b'x'; 125]))
        .repeat(at_once as usize);
    for _ in 0..count / at_once {
        if peer.stream.write_all(&piece).is_err() {
            return;
        }
    }
}

#[test]
fn row_15_a_flood_of_pings_that_reads_no_pong_costs_no_memory() {
    let scene = Scene::new();
    for quiet in ["ping", "pong"] {
        ask!(scene.host, "quiet", quiet).ok();
    }
    scene.may_grow(10 * MIB);
    let count = scaled(60, 600) * 1_000_000 / 131;
    // What waits for the host has a limit of its own (row 18): here it is not to hide what the pongs cost.
    let options = json!({"sendStallMs": 2000, "eventQueueEvents": 10_000});
    let [server, _, client] = Role::all(&scene, options);
    for role in [server, client] {
        for opcode in [PING, PONG] {
            let (mut peer, client) = role.connect(&scene);
            flood(&mut peer, opcode, count);
            assert!(
                scene.growth() < 10 * MIB,
                "{}: grown by {} KiB",
                role.name,
                scene.growth() >> 10
            );
            // Whoever floods may be thrown out. If not, all is as before, and the last ping has its pong.
            peer.send(&Frame::new(PING, "the last"));
            peer.send(&Frame::text("and a message"));
            loop {
                match peer.hear(2 * WATCHDOG) {
                    Heard::Frame(frame) if frame.opcode == PONG && frame.payload == b"the last" => {
                        let message = scene.host.event("message", client);
                        assert_eq!(message.bytes(), b"and a message");
                        break;
                    }
                    Heard::Frame(_) => {}
                    Heard::Fin | Heard::Reset => {
                        let event = scene.host.event("close", client);
                        assert!([1006, 1008].contains(&event.code()), "{event:?}");
                        break;
                    }
                    Heard::Silence => panic!("{}: neither pongs nor an end", role.name),
                }
            }
        }
    }
    scene.finish();
}

#[test]
fn row_31_a_reset_in_the_middle_of_a_message_delivers_no_part_of_it() {
    let scene = Scene::new();
    for role in Role::all(&scene, json!({"fragments": false})) {
        for frame in [
            Frame::new(BINARY, [1; 1000]).declared(100_000),
            Frame::text("half a").not_final(),
            Frame::new(TEXT, "").declared(5),
        ] {
            for ends_with_reset in [true, false] {
                let (mut peer, client) = role.connect(&scene);
                peer.send(&Frame::text("whole"));
                assert_eq!(scene.host.event("message", client).bytes(), b"whole");
                peer.send(&frame);
                // The pong shows that what was sent before it has been read.
                if frame.declared.is_none() {
                    peer.send(&Frame::new(PING, ""));
                    assert_eq!(peer.frame().opcode, PONG);
                }
                if ends_with_reset {
                    peer.reset()
                } else {
                    peer.fin()
                }
                let event = scene.host.event("close", client);
                assert_eq!(event.code(), 1006, "{}: {event:?}", role.name);
                assert!(!event.reason().is_empty(), "{}: {event:?}", role.name);
                assert_eq!(
                    scene
                        .host
                        .take(|event| event.is("message") && event.client() == client),
                    []
                );
            }
        }
    }
    scene.finish();
}

#[test]
fn row_31_what_comes_in_one_packet_with_the_end_is_not_lost() {
    let scene = Scene::new();
    for role in Role::all(&scene, json!({})) {
        let (mut peer, client) = role.connect(&scene);
        let mut bytes = peer.encode(&Frame::text("last words"));
        bytes.extend(peer.encode(&Frame::close(1001, "going")));
        peer.send_bytes(&bytes);
        peer.fin();
        assert_eq!(scene.host.event("message", client).bytes(), b"last words");
        let event = scene.host.event("close", client);
        assert_eq!(
            (event.code(), event.reason()),
            (1001, "going"),
            "{}",
            role.name
        );
        assert_eq!(*event.context("remote"), true, "{event:?}");
        assert_eq!(
            peer.close_frame(PROMPTLY).0,
            1001,
            "a close is answered, even to half a connection"
        );
        assert!(peer.ends(PROMPTLY));
    }
    scene.finish();
}

#[test]
fn row_31_an_end_without_a_close_frame_is_1006_and_one_without_a_code_is_1005() {
    let scene = Scene::new();
    for role in Role::all(&scene, json!({})) {
        let (mut peer, client) = role.connect(&scene);
        peer.send(&Frame::text("whole"));
        peer.fin();
        assert_eq!(scene.host.event("message", client).bytes(), b"whole");
        assert_eq!(scene.host.event("close", client).code(), 1006);
        assert!(peer.ends(PROMPTLY));

        let (mut peer, client) = role.connect(&scene);
        peer.send(&Frame::new(CLOSE, ""));
        assert_eq!(
            peer.frame().payload,
            b"",
            "{}: an empty close is answered by one",
            role.name
        );
        let event = scene.host.event("close", client);
        assert_eq!((event.code(), event.reason()), (1005, ""), "{event:?}");
        assert!(peer.ends(PROMPTLY));
    }
    scene.finish();
}

#[test]
fn row_31_the_host_survives_sends_to_peers_that_have_left() {
    let scene = Scene::new();
    let big = "*100000";
    for server in scene.servers(json!({})).repeat(scaled(50, 1000)) {
        let (peer, client) = scene.peer(server);
        peer.reset();
        // SIGPIPE has its default action in this host: to kill it.
        for _ in 0..3 {
            ask!(scene.host, "client_send", client, 2, big);
            ask!(scene.host, "server_send", server.reference, 1, "=to all");
        }
        assert_eq!(scene.host.event("close", client).code(), 1006);
    }
    scene.finish();
}

#[test]
fn row_31_a_host_that_does_not_look_survives_sends_to_a_peer_that_has_left_and_loses_nothing() {
    let scene = Scene::pulling();
    for server in scene.servers(json!({"eventQueueEvents": 10, "interval": 0})) {
        a_peer_leaves_a_host_that_does_not_look(&scene, server);
    }
    scene.finish();
}

fn a_peer_leaves_a_host_that_does_not_look(scene: &Scene, server: Server) {
    let mut peer = Peer::tcp(server.port).upgraded(server.headers);
    // In few packets: what the system has no room for would be lost with the reset on our own side.
    for piece in 0..10 {
        let numbers = piece * 100..(piece + 1) * 100;
        let frames = numbers.flat_map(|number| peer.encode(&Frame::text(format!("{number}."))));
        let bytes: Vec<u8> = frames.collect();
        peer.send_bytes(&bytes);
    }
    let mut client = None;
    // A peer has its answer a moment before it is in the list.
    soon(PROMPTLY, || {
        let clients = ask!(scene.host, "server_clients", server.reference).ok();
        client = clients.body[0].as_i64();
        client.is_some()
    });
    let client = client.expect("a client");
    peer.fin();
    drop(peer);
    // The library has stopped reading, so it learns of the end by writing: the first write is answered with a RST, and the
    // next one raises SIGPIPE, whose default action is to kill this host.
    for _ in 0..100 {
        ask!(scene.host, "client_send", client, 1, "=is anybody there?");
    }
    scene.still_beats();
    ask!(scene.host, "loop", "pull", 100).ok();
    for number in 0..1000 {
        let message = scene.host.event("message", client as i32);
        assert_eq!(message.bytes(), format!("{number}.").as_bytes());
    }
    assert_eq!(scene.host.event("close", client as i32).code(), 1006);
    ask!(scene.host, "halt").ok();
}

#[test]
fn row_32_a_peer_that_ignores_the_close_is_let_go_after_the_timeout() {
    let scene = Scene::new();
    for role in Role::all(&scene, json!({"closeTimeoutMs": 700})) {
        let (mut peer, client) = role.connect(&scene);
        let began = Instant::now();
        let options = json!({"code": 4001, "reason": "enough"});
        ask!(scene.host, "client_stop", client, options).ok();
        let waited = began.elapsed();
        assert!(
            waited > Duration::from_millis(500) && waited < PROMPTLY,
            "{}: {waited:?}",
            role.name
        );
        assert_eq!(peer.close_frame(PROMPTLY), (4001, "enough".to_owned()));
        assert!(peer.ends(PROMPTLY), "{}", role.name);
        let event = scene.host.event("close", client);
        assert!(
            [1006, 4001].contains(&event.code()),
            "{}: {event:?}",
            role.name
        );
        assert_eq!(*event.context("remote"), false, "{event:?}");
    }
    scene.finish();
}

#[test]
fn row_32_a_thousand_peers_that_ignore_the_close_do_not_hold_up_a_stop() {
    let scene = Scene::new();
    scene.may_grow(64 * MIB);
    let count = ((adversary::raise_file_limit() as usize).saturating_sub(300) / 2).min(1000);
    for (command, server) in ["server_stop", "server_clear"]
        .into_iter()
        .flat_map(|command| {
            let servers = scene.servers(json!({"closeTimeoutMs": 1000}));
            servers.map(|server| (command, server))
        })
    {
        let peers: Vec<(Peer, i32)> = (0..count).map(|_| scene.peer(server)).collect();
        let began = Instant::now();
        if command == "server_stop" {
            ask!(scene.host, "server_stop", server.reference, "{}").ok();
        } else {
            ask!(scene.host, "server_clear", server.reference).ok();
        }
        assert!(
            began.elapsed() < WATCHDOG,
            "{command}: {:?}",
            began.elapsed()
        );
        for (mut peer, client) in peers {
            let (code, _) = peer.close_frame(PROMPTLY);
            assert!([1000, 1001].contains(&code), "{command}: {code}");
            assert!(peer.ends(PROMPTLY), "{command}");
            if command == "server_stop" {
                scene.host.event("close", client);
            }
        }
    }
    scene.finish();
}

#[test]
fn row_32_when_both_close_at_once_each_is_told_once_and_at_once() {
    let scene = Scene::new();
    for role in Role::all(&scene, json!({"closeTimeoutMs": 5000})) {
        for _ in 0..scaled(20, 500) {
            let (mut peer, client) = role.connect(&scene);
            let stopping = begin!(
                scene.host,
                "client_stop",
                client,
                json!({"code": 4001, "reason": "ours"})
            );
            peer.send(&Frame::close(4002, "theirs"));
            let (code, reason) = peer.close_frame(PROMPTLY);
            let event = scene.host.event("close", client);
            let pairs = [(4001, "ours"), (4002, "theirs")];
            assert!(
                pairs.contains(&(code, &reason)) || (code, &reason[..]) == (4002, ""),
                "{code} {reason}"
            );
            assert!(
                pairs.contains(&(event.code() as u16, event.reason())),
                "{event:?}"
            );
            assert!(peer.ends(Duration::from_secs(4)), "{}", role.name);
            drop(peer);
            // What the peer has closed first is no longer there to be stopped.
            let status = scene.host.reply(&stopping, WATCHDOG).status;
            assert!(
                [OK, UNKNOWN_REF, WRONG_STATE].contains(&status),
                "{}: {status}",
                role.name
            );
        }
    }
    assert_eq!(
        scene.host.take(|event| event.is("close")),
        [],
        "a second close of one connection"
    );
    scene.finish();
}

#[test]
fn row_32_codes_that_nobody_may_send_are_refused_and_the_connection_stays() {
    let scene = Scene::new();
    for role in Role::all(&scene, json!({"closeTimeoutMs": 10_000})) {
        let (mut peer, client) = role.connect(&scene);
        let given = [
            json!(0),
            json!(-1),
            json!(999),
            json!(1004),
            json!(1005),
            json!(1006),
            json!(1015),
            json!(1016),
            json!(2999),
            json!(5000),
            json!(65536 + 1000),
            json!("1000"),
            json!(1000.5),
        ];
        for code in given {
            let reply = ask!(scene.host, "client_stop", client, json!({"code": code}));
            let digits = code.to_string().replace('"', "");
            assert_eq!(
                reply.fails(INVALID_OPTIONS, &["code", &digits]).body["error"]["option"],
                "code"
            );
        }
        ask!(scene.host, "client_stop", client, json!({"reason": 7}))
            .fails(INVALID_OPTIONS, &["reason"]);
        peer.send(&Frame::text("still here"));
        assert_eq!(scene.host.event("message", client).bytes(), b"still here");
        for code in [1000, 1001, 1003, 1007, 1008, 1011, 3000, 4999] {
            let (mut peer, client) = role.connect(&scene);
            let stopping = begin!(
                scene.host,
                "client_stop",
                client,
                json!({"code": code, "reason": "so"})
            );
            assert_eq!(peer.close_frame(PROMPTLY), (code, "so".to_owned()));
            peer.send(&Frame::close(code, "so"));
            peer.fin();
            scene.host.reply(&stopping, WATCHDOG).ok();
            let event = scene.host.event("close", client);
            assert_eq!(
                (event.code(), event.reason()),
                (i64::from(code), "so"),
                "{event:?}"
            );
        }
    }
    scene.finish();
}

#[test]
fn advisory_07_a_close_reason_is_never_more_than_fits_nor_other_than_was_given() {
    let scene = Scene::new();
    for role in Role::all(&scene, json!({"closeTimeoutMs": 10_000})) {
        for reason in [
            Some("x".repeat(123)),
            Some("x".repeat(124)),
            Some("x".repeat(100_000)),
            Some("\u{20ac}".repeat(41)),
            Some("\u{20ac}".repeat(42)),
            Some(format!("x{}", "\u{1f600}".repeat(31))),
            Some(String::new()),
            Some("with a \0 inside".to_owned()),
            None,
        ] {
            let (mut peer, client) = role.connect(&scene);
            let options = match &reason {
                Some(reason) => json!({"code": 4000, "reason": reason}),
                None => json!({"code": 4000}),
            };
            let stopping = begin!(scene.host, "client_stop", client, options);
            let given = reason.unwrap_or_default();
            let fits = given.len() <= 123 && !given.contains('\0');
            let patience = if fits {
                PROMPTLY
            } else {
                Duration::from_millis(500)
            };
            if let Heard::Frame(frame) = peer.hear(patience) {
                assert_eq!(
                    (frame.opcode, &frame.payload[..2]),
                    (CLOSE, &4000u16.to_be_bytes()[..])
                );
                let sent =
                    String::from_utf8(frame.payload[2..].to_vec()).expect("a reason is UTF-8");
                assert!(given.starts_with(&sent), "{sent:?} instead of {given:?}");
                assert!(
                    sent.len() <= 123 && sent.len() + 4 > given.len().min(123),
                    "{} bytes",
                    sent.len()
                );
                peer.send(&frame.masked(role.is_server()));
                peer.fin();
                scene.host.reply(&stopping, WATCHDOG).ok();
                assert_eq!(scene.host.event("close", client).reason(), sent);
            } else {
                assert!(!fits, "{given:?} fits");
                let why = if given.contains('\0') { "NUL" } else { "123" };
                let refused = scene.host.reply(&stopping, WATCHDOG);
                refused.fails(INVALID_OPTIONS, &["reason", why]);
            }
        }
    }
    scene.finish();
}

#[test]
fn row_10_a_client_masks_every_frame_with_a_key_of_its_own_and_a_server_none() {
    let scene = Scene::new();
    let count = scaled(2000, 10_000);
    for role in Role::all(&scene, json!({})) {
        let (mut peer, client) = role.connect(&scene);
        let sending = begin!(
            scene.host,
            "repeat",
            0,
            count,
            "client_send",
            client,
            1,
            "=same words"
        );
        for _ in 0..count {
            let frame = peer.frame();
            assert_eq!(
                (&frame.payload[..], frame.masked),
                (&b"same words"[..], Some(!role.is_server()))
            );
        }
        assert_eq!(scene.host.reply(&sending, WATCHDOG).done, count);
        let mut masks = std::mem::take(&mut peer.masks_seen);
        masks.sort();
        masks.dedup();
        // Of 10,000 random keys one in a hundred times two are equal.
        assert!(
            role.is_server() || masks.len() as i64 > count - 3,
            "{} different masks",
            masks.len()
        );
    }
    assert!(soon(WATCHDOG, || scene
        .host
        .take(|event| event.is("close"))
        .is_empty()));
    scene.finish();
}
