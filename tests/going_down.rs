//! Servers that go down well: with a code, with a deadline, with clients that may finish, and handing their port over.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/host.rs"]
mod host;
#[path = "support/scene.rs"]
mod scene;

use adversary::{Frame, PROMPTLY, Peer, TEXT, request};
use host::{Host, OK, UNKNOWN_REF, WATCHDOG, WRONG_STATE, soon};
use scene::{Scene, Server};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

impl Scene {
    /// Stops a server in a thread of the host's own; the tag of the reply.
    fn begin_stop(&self, server: Server, options: Value) -> String {
        begin!(self.host, "&server_stop", server.reference, options)
    }

    fn drain(&self, server: Server, options: Value) {
        let mut all = json!({"drain": true, "wait": false});
        all.as_object_mut()
            .unwrap()
            .extend(options.as_object().unwrap().clone());
        ask!(self.host, "server_stop", server.reference, all).ok();
    }

    /// A message goes both ways.
    fn talks(&self, peer: &mut Peer, client: i32) {
        peer.send(&Frame::text("ping?"));
        self.host.event("message", client);
        ask!(self.host, "client_send", client, TEXT, "=pong!").ok();
        assert_eq!(peer.frame().payload, b"pong!");
    }

    fn info(&self, server: Server) -> Value {
        ask!(self.host, "server_info", server.reference).ok().body
    }
}

fn is_refused(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err()
}

/// Leaves as a client does.
fn leave(mut peer: Peer) {
    peer.send(&Frame::close(1000, "done"));
    assert_eq!(peer.close_frame(PROMPTLY).0, 1000);
}

#[test]
fn with_drain_nobody_new_is_let_in_and_those_there_finish() {
    let scene = Scene::new();
    let server = scene.server(json!({}));
    let (mut ann, ann_ref) = scene.peer(server);
    let (mut bob, bob_ref) = scene.peer(server);
    let stop = scene.begin_stop(server, json!({"drain": true}));
    assert!(soon(WATCHDOG, || scene.info(server)["draining"] == true));
    let info = scene.info(server);
    assert_eq!(
        (&info["listening"], &info["clients"]),
        (&json!(false), &json!(2))
    );
    assert!(is_refused(server.port));
    for _ in 0..3 {
        scene.talks(&mut ann, ann_ref);
        scene.talks(&mut bob, bob_ref);
    }
    leave(ann);
    scene.talks(&mut bob, bob_ref);
    assert_eq!(scene.host.event("close", ann_ref).code(), 1000);
    leave(bob);
    // As soon as the last one has gone, long before the deadline.
    let reply = scene.host.reply(&stop, WATCHDOG).ok();
    assert_eq!(reply.body["success"], true);
    assert_eq!(reply.body["drain"], false, "the option of connections");
    let close = scene.host.event("close", bob_ref);
    assert_eq!(
        (close.code(), close.context("remote")),
        (1000, &json!(true))
    );
    assert_eq!(scene.info(server)["draining"], false);
    scene.finish();
}

#[test]
fn who_is_left_at_the_deadline_is_closed_with_the_code() {
    let scene = Scene::new();
    let server = scene.server(json!({"closeTimeoutMs": 10_000}));
    let (mut peer, client) = scene.peer(server);
    let began = Instant::now();
    let options = json!({"drain": true, "deadlineMs": 300, "code": 1012, "reason": "moved"});
    let stop = scene.begin_stop(server, options);
    assert_eq!(peer.close_frame(PROMPTLY), (1012, "moved".to_owned()));
    assert!(began.elapsed() >= Duration::from_millis(300));
    peer.send(&Frame::close(1012, ""));
    peer.fin();
    scene.host.reply(&stop, WATCHDOG).ok();
    let close = scene.host.event("close", client);
    assert_eq!((close.code(), close.reason()), (1012, "moved"));
    // One who does not even answer is cut off.
    let server = scene.server(json!({}));
    let (mut deaf, client) = scene.peer(server);
    let stop = scene.begin_stop(server, json!({"drain": true, "deadlineMs": 0}));
    assert_eq!(deaf.close_frame(PROMPTLY).0, 1001);
    scene.host.reply(&stop, WATCHDOG).ok();
    assert_eq!(scene.host.event("close", client).code(), 1006);
    assert!(deaf.ends(PROMPTLY));
    scene.finish();
}

#[test]
fn a_server_without_clients_is_drained_at_once() {
    let scene = Scene::new();
    for reuse in [false, true] {
        let server = scene.server(json!({"reusePort": reuse}));
        let began = Instant::now();
        ask!(
            scene.host,
            "server_stop",
            server.reference,
            json!({"drain": true})
        )
        .ok();
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(is_refused(server.port));
        // One that is not started has nothing to drain.
        ask!(
            scene.host,
            "server_stop",
            server.reference,
            json!({"drain": true})
        )
        .ok();
    }
    scene.finish();
}

#[test]
fn those_who_shake_hands_or_wait_for_the_host_are_let_in() {
    let scene = Scene::new();
    let server = scene.server(json!({"admission": "ask"}));
    let mut half = Peer::tcp(server.port);
    half.send_bytes(b"GET / HTTP/1.1\r\n");
    assert!(soon(WATCHDOG, || scene.info(server)["pendingHandshakes"] == 1));
    let mut asking = Peer::tcp(server.port);
    asking.send_bytes(request("").as_bytes());
    let first = scene
        .host
        .server_event("request", server.reference)
        .client();
    scene.drain(server, json!({}));
    assert!(is_refused(server.port));
    let (_, rest) = request("")
        .split_once("\r\n")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    half.send_bytes(rest.as_bytes());
    let second = scene
        .host
        .server_event("request", server.reference)
        .client();
    for (peer, client) in [(&mut asking, first), (&mut half, second)] {
        ask!(scene.host, "client_accept", client, "{}").ok();
        assert_eq!(peer.response(PROMPTLY).unwrap().status, 101);
        scene.host.event("open", client);
        scene.talks(peer, client);
    }
    assert_eq!(scene.info(server)["draining"], true);
    leave(asking);
    leave(half);
    assert!(soon(WATCHDOG, || scene.info(server)["draining"] == false));
    scene.finish();
}

#[test]
fn those_who_shake_hands_at_the_deadline_get_no_connection() {
    let scene = Scene::new();
    let server = scene.server(json!({"admission": "ask"}));
    let mut half = Peer::tcp(server.port);
    let mut asking = Peer::tcp(server.port);
    asking.send_bytes(request("").as_bytes());
    let client = scene
        .host
        .server_event("request", server.reference)
        .client();
    scene.drain(server, json!({"deadlineMs": 100}));
    assert_eq!(asking.response(PROMPTLY).unwrap().status, 503);
    assert_eq!(*scene.host.event("refused", client).context("rule"), "stop");
    assert!(half.ends(PROMPTLY));
    assert!(soon(WATCHDOG, || scene.info(server)["draining"] == false));
    scene.finish();
}

#[test]
fn another_stop_counts_instead_of_the_drain_before() {
    let scene = Scene::new();
    for (second, code) in [
        (json!({"drain": true, "deadlineMs": 0, "code": 4001}), 4001),
        (json!({"code": 4002}), 4002),
        (json!({}), 1001),
    ] {
        let server = scene.server(json!({"closeTimeoutMs": 10_000}));
        let (mut peer, client) = scene.peer(server);
        let first = scene.begin_stop(server, json!({"drain": true, "deadlineMs": 3_600_000}));
        assert!(soon(WATCHDOG, || scene.info(server)["draining"] == true));
        scene.talks(&mut peer, client);
        let stop = scene.begin_stop(server, second);
        assert_eq!(peer.close_frame(PROMPTLY).0, code);
        peer.send(&Frame::close(code, ""));
        peer.fin();
        assert_eq!(scene.host.event("close", client).code(), i64::from(code));
        // Neither waits any longer.
        scene.host.reply(&stop, WATCHDOG).ok();
        scene.host.reply(&first, WATCHDOG).ok();
    }
    scene.finish();
}

#[test]
fn a_drain_from_a_callback_does_not_wait() {
    for dispatch in ["thread", "inline"] {
        let scene = Scene::new();
        let server = scene.server(json!({"dispatch": dispatch}));
        let (mut peer, client) = scene.peer(server);
        let rule = [
            "on",
            "message",
            "1",
            "server_stop",
            "@s",
            "{\"drain\":true}",
        ];
        scene.host.call(&rule).ok();
        peer.send(&Frame::text("stop!"));
        scene.host.event("message", client);
        assert!(soon(WATCHDOG, || scene.info(server)["draining"] == true));
        scene.talks(&mut peer, client);
        leave(peer);
        assert!(soon(WATCHDOG, || scene.info(server)["draining"] == false));
        scene.finish();
    }
}

#[test]
fn a_clear_or_a_shutdown_ends_a_drain() {
    for end in ["clear", "shutdown"] {
        let scene = Scene::new();
        let server = scene.server(json!({}));
        let (mut peer, client) = scene.peer(server);
        scene.drain(server, json!({"code": 4000}));
        scene.talks(&mut peer, client);
        match end {
            "clear" => ask!(scene.host, "server_clear", server.reference).ok(),
            _ => ask!(scene.host, "shutdown", 5000),
        };
        assert_eq!(peer.close_frame(PROMPTLY).0, 1001, "{end}");
        scene.host.event("close", client);
        match end {
            "clear" => scene.finish(),
            _ => scene.host.leave(),
        }
    }
}

#[test]
fn a_server_may_be_started_again_while_it_is_drained() {
    let scene = Scene::new();
    let server = scene.server(json!({"interval": 20}));
    let (mut old, old_ref) = scene.peer(server);
    scene.drain(server, json!({"deadlineMs": 700, "code": 4000}));
    assert_eq!(
        ask!(scene.host, "server_execute", server.reference, "p", "1").status,
        OK
    );
    let options = json!({"port": server.port});
    ask!(scene.host, "server_start", server.reference, options).ok();
    let (mut new, new_ref) = scene.peer(server);
    let info = scene.info(server);
    assert_eq!(
        (&info["listening"], &info["draining"], &info["clients"]),
        (&json!(true), &json!(true), &json!(2))
    );
    ask!(scene.host, "server_start", server.reference, "{}").fails(WRONG_STATE, &["started"]);
    scene.talks(&mut old, old_ref);
    scene.talks(&mut new, new_ref);
    // The deadline is about those of the start before.
    assert_eq!(old.close_frame(PROMPTLY).0, 4000);
    old.send(&Frame::close(4000, ""));
    scene.host.event("close", old_ref);
    scene.host.server_event("stopped", server.reference);
    scene.talks(&mut new, new_ref);
    assert_eq!(scene.info(server)["draining"], false);
    leave(new);
    scene.finish();
}

#[test]
fn a_stop_waits_for_its_own_start_and_not_for_the_next() {
    let scene = Scene::new();
    let server = scene.server(json!({"interval": "1 h"}));
    let (old, old_ref) = scene.peer(server);
    let stop = scene.begin_stop(server, json!({"drain": true}));
    assert!(soon(WATCHDOG, || scene.info(server)["draining"] == true));
    let options = json!({"port": server.port});
    ask!(scene.host, "server_start", server.reference, options).ok();
    let (new, _) = scene.peer(server);
    // The service is the new start's, whoever was there before.
    let often = json!({"interval": 20});
    ask!(scene.host, "server_set", server.reference, often).ok();
    scene.host.server_event("service", server.reference);
    leave(old);
    scene.host.event("close", old_ref);
    // Well before the deadline of 30 s.
    scene.host.reply(&stop, PROMPTLY).ok();
    assert_eq!(scene.info(server)["draining"], false);
    leave(new);
    scene.finish();
}

#[test]
fn a_port_closes_when_only_drained_servers_are_left_there() {
    let scene = Scene::new();
    let chat = scene.server(json!({"paths": ["/"]}));
    let news = scene.server(json!({"paths": ["/news"], "port": chat.port}));
    let (mut peer, client) = scene.peer(chat);
    scene.drain(chat, json!({}));
    assert!(!is_refused(chat.port));
    ask!(scene.host, "server_stop", news.reference, "{}").ok();
    assert!(is_refused(chat.port));
    scene.talks(&mut peer, client);
    leave(peer);
    assert!(soon(WATCHDOG, || scene.info(chat)["draining"] == false));
    scene.finish();
}

/// A server whose start has to look a name up, which takes its time; the start's tag.
fn starts_slowly(scene: &Scene, port: u16) -> (i32, String) {
    ask!(scene.host, "name", "slow.test", 2000, "127.0.0.1").ok();
    let options = json!({"host": "slow.test", "port": port});
    let server = ask!(scene.host, "server_create", options).ok().reference;
    (server, begin!(scene.host, "&server_start", server, "{}"))
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn a_start_that_meets_a_clear_leaves_no_server_behind() {
    let scene = Scene::new();
    let port = free_port();
    let (server, start) = starts_slowly(&scene, port);
    // Who only wants to look does not wait for the name.
    let began = Instant::now();
    ask!(scene.host, "info").ok();
    ask!(scene.host, "server_clear", server).ok();
    assert!(began.elapsed() < Duration::from_millis(1500));
    let reply = scene.host.reply(&start, WATCHDOG);
    assert_eq!(reply.status, UNKNOWN_REF, "{reply:?}");
    assert!(is_refused(port));
    let options = json!({"port": port});
    let next = ask!(scene.host, "server_create", options).ok().reference;
    ask!(scene.host, "server_start", next, "{}").ok();
    ask!(scene.host, "server_clear", next).ok();
    scene.finish();
}

#[test]
fn a_start_that_meets_a_shutdown_leaves_no_server_behind() {
    let host = Host::spawn();
    ask!(host, "callbacks", "em").ok();
    let port = free_port();
    ask!(host, "name", "slow.test", 2000, "127.0.0.1").ok();
    let options = json!({"host": "slow.test", "port": port});
    let server = ask!(host, "server_create", options).ok().reference;
    let start = begin!(host, "&server_start", server, "{}");
    ask!(host, "shutdown", 5000).ok();
    let reply = host.reply(&start, WATCHDOG);
    assert!(
        [UNKNOWN_REF, WRONG_STATE].contains(&reply.status),
        "{reply:?}"
    );
    assert!(is_refused(port));
    let options = json!({"port": port});
    let next = ask!(host, "server_create", options).ok().reference;
    ask!(host, "server_start", next, "{}").ok();
    ask!(host, "shutdown", 5000).ok();
    host.leave();
}

#[test]
fn on_a_port_with_others_a_drained_server_answers_503() {
    let scene = Scene::new();
    let chat = scene.server(json!({"paths": ["/chat"], "health": "/up"}));
    let news = scene.server(json!({"paths": ["/news"], "port": chat.port}));
    let at = |path: &str| {
        let asked = adversary::request_to(&format!("127.0.0.1:{}", chat.port), path, "");
        Peer::http(chat.port, asked).unwrap().status
    };
    let tcp = Peer::tcp(chat.port);
    let port = tcp.stream.local_addr().unwrap().port();
    let mut peer = tcp;
    peer.send_bytes(adversary::request_to("127.0.0.1", "/chat", "").as_bytes());
    assert_eq!(peer.response(PROMPTLY).unwrap().status, 101);
    let open = scene.host.wait_for("open", WATCHDOG, |event| {
        event.is("open") && *event.context("remotePort") == port
    });
    scene.drain(chat, json!({}));
    assert_eq!((at("/chat"), at("/news")), (503, 101));
    scene.talks(&mut peer, open.client());
    let info = scene.info(chat);
    assert_eq!(info["refused"], json!({"stop": 1}));
    leave(peer);
    assert!(soon(WATCHDOG, || scene.info(chat)["draining"] == false));
    assert_eq!((at("/chat"), at("/news")), (404, 101));
    ask!(scene.host, "server_stop", news.reference, "{}").ok();
    scene.finish();
}

#[test]
fn without_drain_a_deadline_cuts_off_who_does_not_answer() {
    for wait in [true, false] {
        let scene = Scene::new();
        let server = scene.server(json!({"closeTimeoutMs": 60_000}));
        let (mut deaf, client) = scene.peer(server);
        let began = Instant::now();
        let options = json!({"deadlineMs": 300, "wait": wait, "reason": "bye"});
        ask!(scene.host, "server_stop", server.reference, options).ok();
        assert_eq!(deaf.close_frame(PROMPTLY), (1001, "bye".to_owned()));
        assert_eq!(scene.host.event("close", client).code(), 1006);
        let took = began.elapsed();
        assert!(
            took >= Duration::from_millis(300) && took < WATCHDOG,
            "{took:?}"
        );
        assert!(deaf.ends(PROMPTLY));
        scene.finish();
    }
}

#[test]
fn peers_are_told_1001_by_a_stop_a_clear_and_a_shutdown() {
    for end in ["server_stop", "server_clear", "shutdown"] {
        let scene = Scene::new();
        let server = scene.server(json!({"closeTimeoutMs": 10_000}));
        let (mut peer, client) = scene.peer(server);
        let command = match end {
            "shutdown" => begin!(scene.host, "&shutdown", 5000),
            _ => begin!(scene.host, format!("&{end}"), server.reference),
        };
        assert_eq!(peer.close_frame(PROMPTLY).0, 1001, "{end}");
        peer.send(&Frame::close(1001, ""));
        peer.fin();
        scene.host.reply(&command, WATCHDOG);
        assert_eq!(scene.host.event("close", client).code(), 1001);
        match end {
            "shutdown" => scene.host.leave(),
            _ => scene.finish(),
        }
    }
}

/// A process with an echo server on this port, or on a free one.
fn instance(port: u16) -> (Host, Server) {
    let host = Host::spawn();
    ask!(host, "echo_method", "echo").ok();
    let options = json!({"port": port, "reusePort": true, "method": "echo", "dispatch": "inline"});
    let reference = ask!(host, "server_create", options).ok().reference;
    let started = ask!(host, "server_start", reference, "{}").ok().body;
    let port = started["port"].as_u64().unwrap() as u16;
    (
        host,
        Server {
            reference,
            port,
            headers: "",
        },
    )
}

#[test]
fn a_second_process_takes_the_port_over_and_no_connection_is_refused() {
    let (mut host, mut server) = instance(0);
    let over = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (over, count, port) = (over.clone(), count.clone(), server.port);
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let mut peer = Peer::client(port);
                    peer.send(&Frame::text("hello"));
                    assert_eq!(peer.frame().payload, b"hello");
                    leave(peer);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let more = |by: usize| {
        let before = count.load(Ordering::Relaxed);
        assert!(soon(WATCHDOG, || count.load(Ordering::Relaxed) >= before + by));
    };
    for _ in 0..8 {
        more(50);
        // One who was there before stays until it has finished.
        let mut guest = Peer::client(server.port);
        let (next, next_server) = instance(server.port);
        more(20);
        let stop = begin!(
            host,
            "server_stop",
            server.reference,
            json!({"drain": true})
        );
        more(50);
        guest.send(&Frame::text("still here"));
        assert_eq!(guest.frame().payload, b"still here");
        leave(guest);
        host.reply(&stop, 2 * WATCHDOG).ok();
        ask!(host, "shutdown", 1000).ok();
        host.leave();
        (host, server) = (next, next_server);
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    ask!(host, "shutdown", 1000).ok();
    host.leave();
}
