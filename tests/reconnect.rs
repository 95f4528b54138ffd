//! Clients that come back: when they do and when not, what they say first, and what becomes of the messages meanwhile.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/host.rs"]
mod host;
#[path = "support/scene.rs"]
mod scene;

use adversary::{CLOSE, Frame, Heard, PROMPTLY, Peer, TEXT, listener, url};
use host::{
    Host, INVALID_OPTIONS, NETWORK, OK, QUEUE_FULL, UNKNOWN_REF, WATCHDOG, WRONG_STATE, soon,
};
use scene::{MIB, Scene, scaled};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// A client that has been started without waiting; what it does next is up to the listener.
fn started(scene: &Scene, listener: &TcpListener, mut options: Value) -> i32 {
    options["url"] = json!(url(listener));
    let short = options
        .as_object_mut()
        .unwrap()
        .entry("maxWaitBetweenReconnectionRetries");
    short.or_insert(json!(20));
    let client = scene.client(options);
    ask!(scene.host, "client_start", client, json!({"wait": false})).ok();
    client
}

fn send(host: &Host, client: i32, text: impl std::fmt::Display) -> host::Reply {
    ask!(host, "client_send", client, 1, format!("={text}"))
}

fn said(peer: &mut Peer) -> String {
    let frame = peer.frame();
    assert_eq!(frame.opcode, TEXT, "{frame:?}");
    String::from_utf8(frame.payload).unwrap()
}

/// Closes as a server does: with a close frame, and once it was answered with the end of the connection.
fn close(mut peer: Peer, code: u16, reason: &str) {
    peer.send(&Frame::close(code, reason));
    assert_eq!(peer.close_frame(PROMPTLY).0, code);
}

/// Refuses the next connection with this status.
fn refuse(listener: &TcpListener, status: u16) {
    let mut peer = Peer::accept_tcp(listener);
    peer.send_bytes(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n").as_bytes());
    peer.fin();
    peer.ends(PROMPTLY);
}

fn unsent(messages: u64, bytes: u64) -> Value {
    json!({"messages": messages, "bytes": bytes})
}

/// Nothing more is heard of the client at the listener for some time.
fn stays_away(listener: &TcpListener) {
    listener.set_nonblocking(true).unwrap();
    assert!(!soon(Duration::from_millis(400), || listener
        .accept()
        .is_ok()));
}

mod waits {
    use super::*;

    #[test]
    fn the_options_have_the_plugins_names_and_are_shown() {
        let scene = Scene::new();
        let options = json!({
            "enableAutomaticReconnection": true, "minWaitBetweenReconnectionRetries": 7,
            "maxWaitBetweenReconnectionRetries": 70, "maxRetries": 3, "retryFirst": true,
        });
        let created = ask!(scene.host, "client_create", options).ok();
        for (name, value) in options.as_object().unwrap() {
            assert_eq!(&created.body[name], value, "{name}");
        }
        assert!(
            created.body.get("ignoredOptions").is_none(),
            "{}",
            created.body
        );
        let plain = ask!(scene.host, "client_create", "{}").ok().body;
        for (name, default) in [
            ("enableAutomaticReconnection", json!(true)),
            ("minWaitBetweenReconnectionRetries", json!(100)),
            ("maxWaitBetweenReconnectionRetries", json!(10_000)),
            ("maxRetries", json!(0)),
            ("retryFirst", json!(false)),
        ] {
            assert_eq!(plain[name], default, "{name}");
        }
        for client in [&created.body["ref"], &plain["ref"]] {
            ask!(scene.host, "client_clear", client).ok();
        }
        scene.finish();
    }

    #[test]
    fn errors_count_the_tries_and_tell_the_wait() {
        let scene = Scene::new();
        let nobody = listener();
        let address = url(&nobody);
        drop(nobody);
        let client = scene.client(json!({
            "url": address, "retryFirst": true, "maxRetries": 6,
            "minWaitBetweenReconnectionRetries": 10, "maxWaitBetweenReconnectionRetries": 80,
        }));
        ask!(scene.host, "client_start", client, json!({"wait": false})).ok();
        for (retries, longest) in [(1, 10), (2, 20), (3, 40), (4, 80), (5, 80), (6, 80), (7, 0)] {
            let error = scene.host.event("error", client);
            assert_eq!(*error.context("retries"), retries, "{error:?}");
            let wait = error.context("wait_time").as_i64().unwrap();
            assert!(
                (i64::from(longest > 0)..=longest).contains(&wait),
                "{error:?}"
            );
            assert!(error.reason().contains("refused"), "{error:?}");
            assert_eq!(*error.context("unsent"), Value::Null, "{error:?}");
        }
        // It has given up, and can be started again.
        ask!(scene.host, "client_start", client, json!({"maxRetries": 1}))
            .fails(NETWORK, &["refused"]);
        scene.finish();
    }

    #[test]
    fn the_first_failure_ends_a_start_and_with_retry_first_it_does_not() {
        let scene = Scene::new();
        let host = &scene.host;
        let listener = listener();
        let client = scene.client(json!({"url": url(&listener)}));
        let starting = begin!(host, "client_start", client, "{}");
        refuse(&listener, 500);
        host.reply(&starting, WATCHDOG).fails(NETWORK, &["500"]);
        stays_away(&listener);

        let starting = begin!(host, "client_start", client, json!({"retryFirst": true}));
        refuse(&listener, 500);
        refuse(&listener, 503);
        let peer = Peer::accept(&listener);
        assert_eq!(
            host.reply(&starting, WATCHDOG).ok().body["http_status"],
            101
        );
        for retries in 1..=2 {
            assert_eq!(*host.event("error", client).context("retries"), retries);
        }
        drop(peer);
        scene.finish();
    }

    #[test]
    fn close_codes_decide_whether_and_when_it_comes_back() {
        let scene = Scene::new();
        let host = &scene.host;
        for code in [1000, 1001, 1002, 1003, 1007, 1009, 1011, 3000, 4999] {
            let listener = listener();
            let client = started(&scene, &listener, json!({}));
            let peer = Peer::accept(&listener);
            host.event("open", client);
            close(peer, code, "");
            assert_eq!(host.event("close", client).code(), i64::from(code));
            let again = Peer::accept(&listener);
            host.event("open", client);
            ask!(host, "client_stop", client, json!({"wait": false})).ok();
            drop(again);
        }
        // RFC 6455 § 7.4.1: what the server would not have, it would not have again.
        let listener = listener();
        let client = started(&scene, &listener, json!({}));
        close(Peer::accept(&listener), 1008, "not you");
        assert_eq!(host.event("close", client).reason(), "not you");
        stays_away(&listener);
        assert_eq!(send(host, client, "x").status, WRONG_STATE);
        scene.finish();
    }

    #[test]
    fn a_server_that_restarts_or_is_busy_is_given_time() {
        let scene = Scene::new();
        for code in [1012, 1013] {
            let listener = listener();
            let options = json!({"maxWaitBetweenReconnectionRetries": 1000});
            let client = started(&scene, &listener, options);
            let peer = Peer::accept(&listener);
            scene.host.event("open", client);
            let began = Instant::now();
            close(peer, code, "");
            scene.host.event("close", client);
            let again = Peer::accept(&listener);
            let waited = began.elapsed();
            assert!(waited >= Duration::from_millis(500), "{code}: {waited:?}");
            drop(again);
        }
        scene.finish();
    }

    #[test]
    fn answers_401_and_403_end_it_and_others_do_not() {
        let scene = Scene::new();
        let host = &scene.host;
        for status in [401, 403] {
            let listener = listener();
            let options = json!({"maxWaitBetweenReconnectionRetries": 20, "retryFirst": true});
            let client = started(&scene, &listener, options);
            let peer = Peer::accept(&listener);
            host.event("open", client);
            drop(peer);
            for passing in [404, 429, 500, 503] {
                refuse(&listener, passing);
                let error = host.event("error", client);
                assert_eq!(*error.context("http_status"), passing, "{error:?}");
                assert!(error.context("wait_time").as_i64() > Some(0), "{error:?}");
            }
            refuse(&listener, status);
            let error = host.event("error", client);
            assert_eq!(*error.context("http_status"), status, "{error:?}");
            assert_eq!(*error.context("wait_time"), 0, "{error:?}");
            stays_away(&listener);
        }
        scene.finish();
    }

    #[test]
    fn max_retries_counts_connections_that_close_at_once_as_failures() {
        let scene = Scene::new();
        let host = &scene.host;
        let listener = listener();
        let options = json!({"maxRetries": 3});
        let client = started(&scene, &listener, options);
        for _ in 0..4 {
            drop(Peer::accept(&listener));
            host.event("close", client);
        }
        stays_away(&listener);
        scene.finish();
    }

    /// So long that no test would see its end.
    const HOURS: u32 = 3_600_000;

    #[test]
    fn a_long_wait_ends_at_once_with_a_stop_a_clear_and_a_shutdown() {
        for end in ["stop", "clear", "shutdown"] {
            let host = Host::spawn();
            ask!(host, "callbacks", "em").ok();
            let listener = listener();
            let options = json!({"url": url(&listener),
                "minWaitBetweenReconnectionRetries": HOURS, "maxWaitBetweenReconnectionRetries": 24 * HOURS});
            let client = ask!(host, "client_create", options).ok().reference;
            ask!(host, "client_start", client, json!({"wait": false})).ok();
            let peer = Peer::accept(&listener);
            host.event("open", client);
            // Half a day at least.
            close(peer, 1012, "");
            host.event("close", client);
            let began = Instant::now();
            let status = match end {
                "stop" => ask!(host, "client_stop", client, "{}").status,
                "clear" => ask!(host, "client_clear", client).status,
                _ => ask!(host, "shutdown", 5000).status,
            };
            assert_eq!(status, OK, "{end}");
            assert!(began.elapsed() < PROMPTLY, "{end}: {:?}", began.elapsed());
            stays_away(&listener);
            ask!(host, "shutdown", 5000).ok();
            host.leave();
        }
    }

    #[test]
    fn a_clock_that_jumps_changes_no_wait() {
        let scene = Scene::new();
        let host = &scene.host;
        let listener = listener();
        let client = started(
            &scene,
            &listener,
            json!({"maxWaitBetweenReconnectionRetries": 2000}),
        );
        for seconds in [7200, -14_400, 7200] {
            let peer = Peer::accept(&listener);
            host.event("open", client);
            let began = Instant::now();
            close(peer, 1012, "");
            host.event("close", client);
            ask!(host, "step_clock", seconds).ok();
            let again = Peer::accept(&listener);
            let waited = began.elapsed();
            assert!(waited >= Duration::from_secs(1), "{waited:?}");
            host.event("open", client);
            drop(again);
            host.event("close", client);
        }
        ask!(host, "client_stop", client, "{}").ok();
        scene.finish();
    }

    #[test]
    fn a_suspended_host_goes_on_with_its_wait() {
        let scene = Scene::new();
        let pause = Duration::from_secs(scaled(3, 60));
        scene.may_pause(pause);
        let host = &scene.host;
        let listener = listener();
        let client = started(
            &scene,
            &listener,
            json!({"maxWaitBetweenReconnectionRetries": 2000}),
        );
        let peer = Peer::accept(&listener);
        host.event("open", client);
        close(peer, 1012, "");
        host.event("close", client);
        host.suspend();
        std::thread::sleep(pause);
        host.signal(libc::SIGCONT);
        let again = Peer::accept(&listener);
        host.event("open", client);
        drop(again);
        scene.finish();
    }
}

mod on_open {
    use super::*;

    #[test]
    fn its_texts_come_first_on_every_connection() {
        let scene = Scene::new();
        let host = &scene.host;
        let listener = listener();
        let options = json!({"onOpen": ["hello", "{\"token\":\"é\"}", ""]});
        let client = started(&scene, &listener, options);
        for round in 0..3 {
            let mut peer = Peer::accept(&listener);
            host.event("open", client);
            send(host, client, format!("round {round}")).ok();
            for text in ["hello", "{\"token\":\"é\"}", "", &format!("round {round}")] {
                assert_eq!(said(&mut peer), text);
            }
        }
        scene.finish();
    }

    #[test]
    fn what_the_open_callback_sends_comes_behind_in_every_mode() {
        for mode in ["thread", "inline", "pump", "pull"] {
            let scene = Scene::new();
            let host = &scene.host;
            if mode == "pump" || mode == "pull" {
                ask!(host, "loop", mode, 100).ok();
            }
            begin!(
                host,
                "-on",
                "open",
                -1,
                "-client_send",
                "@c",
                1,
                "=of the callback"
            );
            let listener = listener();
            let texts: Vec<String> = (0..50).map(|number| format!("first {number}")).collect();
            let client = started(
                &scene,
                &listener,
                json!({"onOpen": texts, "dispatch": mode}),
            );
            for _ in 0..3 {
                let mut peer = Peer::accept(&listener);
                host.event("open", client);
                for text in &texts {
                    assert_eq!(&said(&mut peer), text, "{mode}");
                }
                assert_eq!(said(&mut peer), "of the callback", "{mode}");
            }
            if mode == "pump" || mode == "pull" {
                ask!(host, "halt").ok();
            }
            ask!(host, "client_stop", client, json!({"wait": false})).ok();
            if mode == "pull" {
                // Its events wait: they are nothing to the scene.
                ask!(host, "callbacks", "em").ok();
            }
            scene.finish();
        }
    }

    #[test]
    fn long_texts_are_compressed_as_usual_and_need_no_room_in_the_queue() {
        let scene = Scene::new();
        let host = &scene.host;
        let server = scene.server(json!({"method": "echo"}));
        let text = "all the same ".repeat(10_000);
        let client = scene.client(json!({
            "url": server.url(), "onOpen": [text, "short"], "sendQueueBytes": 1000,
            "perMessageDeflate": {"enabled": true},
        }));
        ask!(host, "client_start", client, "{}").ok();
        let back = host.event("message", client);
        assert_eq!(back.number("length"), text.len() as i32);
        assert_eq!(host.event("message", client).bytes(), b"short");
        scene.finish();

        // On the wire it is shorter than it is.
        let scene = Scene::new();
        let listener = listener();
        let options = json!({"onOpen": [text], "perMessageDeflate": {"enabled": true}});
        started(&scene, &listener, options);
        let mut peer = Peer::accept_with(
            &listener,
            "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        );
        let frame = peer.frame();
        assert_eq!(frame.rsv, 4);
        assert!(frame.payload.len() < text.len() / 10);
        drop(peer);
        scene.finish();
    }

    #[test]
    fn it_is_checked_when_it_is_given_and_not_repeated_in_replies() {
        let scene = Scene::new();
        let host = &scene.host;
        for (wrong, part) in [
            (json!("hello"), "array"),
            (json!(["a", 1]), "array"),
            (json!({"a": 1}), "array"),
            (json!(vec!["x"; 1001]), "1000"),
            (json!(["y", "x".repeat(1 << 20)]), "1048576"),
        ] {
            let reply = ask!(host, "client_create", json!({"onOpen": wrong}));
            let reply = reply.fails(INVALID_OPTIONS, &["onOpen", part]);
            assert_eq!(reply.body["error"]["option"], "onOpen");
        }
        let listener = listener();
        let client = scene.client(json!({"url": url(&listener), "onOpen": ["secret"]}));
        let shown = ask!(host, "client_stop", client, "{}").ok().body;
        assert!(!shown.to_string().contains("secret"), "{shown}");
        // Passed back, it stays.
        let mut options = shown;
        options["wait"] = json!(false);
        ask!(host, "client_start", client, options).ok();
        let mut peer = Peer::accept(&listener);
        assert_eq!(said(&mut peer), "secret");
        drop(peer);
        // And an empty list takes it away.
        ask!(host, "client_stop", client, json!({"onOpen": []})).ok();
        ask!(host, "client_start", client, json!({"wait": false})).ok();
        let mut peer = Peer::accept(&listener);
        send(host, client, "nothing before");
        assert!(soon(WATCHDOG, || send(host, client, "nothing before")
            .status
            == OK));
        assert_eq!(said(&mut peer), "nothing before");
        drop(peer);
        scene.finish();
    }
}

mod queue {
    use super::*;

    const ROOM: &str = "queueWhileDisconnected";

    #[test]
    fn without_it_sends_are_refused_as_ever() {
        let scene = Scene::new();
        let listener = listener();
        let client = started(&scene, &listener, json!({}));
        assert_eq!(send(&scene.host, client, "x").status, WRONG_STATE);
        let peer = Peer::accept(&listener);
        scene.host.event("open", client);
        drop(peer);
        scene.host.event("close", client);
        assert_eq!(send(&scene.host, client, "x").status, WRONG_STATE);
        scene.finish();
    }

    #[test]
    fn what_is_sent_before_the_connection_and_between_two_goes_in_order_behind_on_open() {
        let scene = Scene::new();
        let host = &scene.host;
        let listener = listener();
        let client = started(
            &scene,
            &listener,
            json!({ROOM: 10_000, "onOpen": ["first"]}),
        );
        let mut next = 0;
        for round in 0..4 {
            // TCP has connected; the answer is not given yet.
            let peer = Peer::accept_tcp(&listener);
            let from = next;
            for _ in 0..5 {
                let reply = send(host, client, next).ok().body;
                let size = next.to_string().len();
                assert_eq!(
                    reply,
                    json!({"success": true, "compressionError": false, "payloadSize": size, "wireSize": 0, "queued": true})
                );
                next += 1;
            }
            let mut peer = peer.answered("");
            host.event("open", client);
            let reply = send(host, client, next).ok().body;
            assert_eq!(reply.get("queued"), None, "{reply}");
            next += 1;
            assert_eq!(said(&mut peer), "first");
            for number in from..next {
                assert_eq!(said(&mut peer), number.to_string(), "round {round}");
            }
            drop(peer);
            let closed = host.event("close", client);
            assert_eq!(*closed.context("unsent"), unsent(0, 0));
            for _ in 0..3 {
                assert_eq!(send(host, client, next).ok().body["queued"], true);
                next += 1;
            }
            let mut peer = Peer::accept(&listener);
            host.event("open", client);
            assert_eq!(said(&mut peer), "first");
            for number in next - 3..next {
                assert_eq!(said(&mut peer), number.to_string(), "round {round}");
            }
            drop(peer);
            host.event("close", client);
        }
        ask!(host, "client_stop", client, "{}").ok();
        scene.finish();
    }

    #[test]
    fn what_the_open_callback_sends_comes_behind_what_waited() {
        for mode in ["thread", "inline", "pump"] {
            let scene = Scene::new();
            let host = &scene.host;
            if mode == "pump" {
                ask!(host, "loop", mode, 100).ok();
            }
            begin!(
                host,
                "-on",
                "open",
                -1,
                "-client_send",
                "@c",
                1,
                "=of the callback"
            );
            begin!(
                host,
                "-on",
                "message",
                -1,
                "-client_send",
                "@c",
                1,
                "=an answer"
            );
            let listener = listener();
            let client = started(&scene, &listener, json!({ROOM: 10_000, "dispatch": mode}));
            for _ in 0..3 {
                let peer = Peer::accept_tcp(&listener);
                send(host, client, "waited").ok();
                let mut peer = peer.answered("");
                peer.send(&Frame::text("?"));
                for text in ["waited", "of the callback", "an answer"] {
                    assert_eq!(said(&mut peer), text, "{mode}");
                }
            }
            if mode == "pump" {
                ask!(host, "halt").ok();
            }
            ask!(host, "client_stop", client, json!({"wait": false})).ok();
            scene.finish();
        }
    }

    #[test]
    fn it_has_a_limit_and_takes_no_pings() {
        let scene = Scene::new();
        let host = &scene.host;
        let listener = listener();
        let client = started(&scene, &listener, json!({ROOM: 1000}));
        let peer = Peer::accept_tcp(&listener);
        // 300 and 64 bytes each.
        send(host, client, "a".repeat(300)).ok();
        send(host, client, "b".repeat(300)).ok();
        let full = send(host, client, "c".repeat(300));
        full.fails(QUEUE_FULL, &[ROOM, "1000", "728"]);
        for kind in [9, 10] {
            assert_eq!(
                ask!(host, "client_send", client, kind, "=p").status,
                WRONG_STATE
            );
        }
        assert!(ask!(host, "client_send", client, 1, "%ff").status < 0);
        let mut peer = peer.answered("");
        assert_eq!(said(&mut peer), "a".repeat(300));
        assert_eq!(said(&mut peer), "b".repeat(300));
        drop(peer);
        host.event("close", client);
        // What was sent has made room.
        send(host, client, "d".repeat(900)).ok();
        let mut peer = Peer::accept(&listener);
        assert_eq!(said(&mut peer), "d".repeat(900));
        ask!(host, "client_send", client, 9, "=p").ok();
        drop(peer);
        scene.finish();
    }

    #[test]
    fn a_client_that_is_not_started_keeps_nothing() {
        let scene = Scene::new();
        let host = &scene.host;
        let listener = listener();
        let client = scene.client(json!({"url": url(&listener), ROOM: 1000}));
        assert_eq!(send(host, client, "x").status, WRONG_STATE);
        ask!(host, "client_start", client, json!({"wait": false})).ok();
        assert_eq!(send(host, client, "x").ok().body["queued"], true);
        let stopped = ask!(host, "client_stop", client, "{}").ok().body;
        assert_eq!(stopped["unsent"], unsent(1, 1));
        assert_eq!(send(host, client, "x").status, WRONG_STATE);
        assert_eq!(
            ask!(host, "client_stop", client, stopped)
                .ok()
                .body
                .get("unsent"),
            None
        );
        scene.finish();
    }

    #[test]
    fn what_is_left_is_told_by_stop_clear_close_error_and_the_start() {
        let scene = Scene::new();
        let host = &scene.host;
        ask!(host, "log", 2).ok();
        let logged = || {
            host.wait_for("a log line", WATCHDOG, |event| {
                event.is("log")
                    && event
                        .log_line()
                        .contains("2 messages of 7 bytes were not sent")
            });
        };
        for end in [
            "stop",
            "stop without waiting",
            "clear",
            "answer",
            "max",
            "start",
        ] {
            let listener = listener();
            let options = json!({ROOM: 1000, "maxRetries": 1, "retryFirst": end == "max", "url": url(&listener),
                "maxWaitBetweenReconnectionRetries": 20});
            let client = scene.client(options);
            let starting = begin!(
                host,
                "&client_start",
                client,
                json!({"wait": end == "start"})
            );
            let peer = Peer::accept_tcp(&listener);
            send(host, client, "one").ok();
            send(host, client, "more").ok();
            let two = unsent(2, 7);
            match end {
                "stop" => assert_eq!(
                    ask!(host, "client_stop", client, "{}").ok().body["unsent"],
                    two
                ),
                "stop without waiting" => {
                    let stopped = ask!(host, "client_stop", client, json!({"wait": false})).ok();
                    assert_eq!(stopped.body["unsent"], two);
                }
                "clear" => assert_eq!(
                    ask!(host, "client_clear", client).ok().body,
                    json!({"unsent": two})
                ),
                "start" => {
                    drop(peer);
                    let reply = host.reply(&starting, WATCHDOG).fails(NETWORK, &[]);
                    assert_eq!(reply.body["unsent"], two);
                    logged();
                    continue;
                }
                "max" => {
                    drop(peer);
                    let first = host.event("error", client);
                    assert_eq!(*first.context("unsent"), Value::Null, "{first:?}");
                    drop(Peer::accept_tcp(&listener));
                    assert_eq!(*host.event("error", client).context("unsent"), two);
                    logged();
                    continue;
                }
                _ => {
                    let mut peer = peer;
                    peer.send_bytes(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
                    drop(peer);
                    assert_eq!(*host.event("error", client).context("unsent"), two);
                    logged();
                    continue;
                }
            }
            logged();
            drop(peer);
        }
        // Without messages, there is nothing to tell.
        let listener = listener();
        let client = started(&scene, &listener, json!({ROOM: 1000}));
        assert_eq!(ask!(host, "client_clear", client).ok().body, json!({}));
        scene.finish();
    }

    #[test]
    fn a_shutdown_says_in_the_log_what_it_leaves() {
        let host = Host::spawn();
        ask!(host, "log", 2).ok();
        let listener = listener();
        let options = json!({ROOM: 1000, "url": url(&listener)});
        let client = ask!(host, "client_create", options).ok().reference;
        ask!(host, "client_start", client, json!({"wait": false})).ok();
        send(&host, client, "lost").ok();
        ask!(host, "shutdown", 5000).ok();
        host.wait_for("a log line", WATCHDOG, |event| {
            event.is("log") && event.log_line().contains("1 messages of 4 bytes")
        });
        host.leave();
    }

    const LONG: usize = 256 * 1024;
    const COUNT: usize = 64;

    /// A connected client with many long numbered messages, of which the peer has not read one.
    fn stuffed(scene: &Scene, listener: &TcpListener, more: Value) -> (i32, Peer) {
        scene.may_grow(160 * MIB);
        let mut options = json!({ROOM: 64 << 20, "sendQueueBytes": 64 << 20, "maxMessage": 1 << 20,
            "maxWaitBetweenReconnectionRetries": 20});
        options
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let client = started(scene, listener, options);
        let peer = Peer::accept(listener);
        scene.host.event("open", client);
        let sent = begin!(
            scene.host,
            "-repeat",
            0,
            COUNT,
            "client_send",
            client,
            1,
            format!("#{LONG}")
        );
        assert_eq!(scene.host.reply(&sent, WATCHDOG).done, COUNT as i64);
        // The first has left, in whole.
        let buffered =
            || ask!(scene.host, "client_info", client).ok().body["bufferedAmount"].as_u64();
        let most = Some(((COUNT - 1) * LONG) as u64);
        assert!(soon(WATCHDOG, || buffered() <= most));
        (client, peer)
    }

    fn number(payload: &[u8]) -> usize {
        assert_eq!(payload.len(), LONG);
        let digits = payload.iter().take_while(|byte| byte.is_ascii_digit());
        let digits: Vec<u8> = digits.copied().collect();
        String::from_utf8(digits).unwrap().parse().unwrap()
    }

    /// The numbers of the messages up to the close frame or the end.
    fn numbers(peer: &mut Peer) -> Vec<usize> {
        let mut numbers = Vec::new();
        loop {
            match peer.hear(PROMPTLY) {
                Heard::Frame(frame) if frame.opcode == CLOSE => return numbers,
                Heard::Frame(frame) => numbers.push(number(&frame.payload)),
                Heard::Silence => panic!("no end after {numbers:?}"),
                _ => return numbers,
            }
        }
    }

    #[test]
    fn what_had_not_left_when_the_peer_closed_goes_first_on_the_next_connection() {
        let scene = Scene::new();
        let host = &scene.host;
        let listener = listener();
        let (client, mut peer) = stuffed(&scene, &listener, json!({}));
        peer.send(&Frame::close(1001, "restarting"));
        let closed = host.event("close", client);
        assert_eq!(*closed.context("unsent"), unsent(0, 0), "{closed:?}");
        send(host, client, "the last").ok();
        // What was begun is finished; nothing more comes.
        let first = numbers(&mut peer);
        drop(peer);
        let mut second = Peer::accept(&listener);
        let rest: Vec<usize> = (first.len()..COUNT)
            .map(|_| number(&second.frame().payload))
            .collect();
        assert!(
            !first.is_empty() && !rest.is_empty(),
            "{} and {}",
            first.len(),
            rest.len()
        );
        let all: Vec<usize> = first.into_iter().chain(rest).collect();
        assert_eq!(all, (0..COUNT).collect::<Vec<usize>>());
        assert_eq!(said(&mut second), "the last");
        drop(second);
        scene.finish();
    }

    #[test]
    fn what_had_not_left_when_the_line_broke_goes_first_on_the_next_connection() {
        let scene = Scene::new();
        let host = &scene.host;
        let listener = listener();
        let (client, peer) = stuffed(&scene, &listener, json!({}));
        peer.reset();
        assert_eq!(host.event("close", client).code(), 1006);
        let mut second = Peer::accept(&listener);
        send(host, client, "the last").ok();
        let mut rest = Vec::new();
        loop {
            let payload = second.frame().payload;
            if payload == b"the last" {
                break;
            }
            rest.push(number(&payload));
        }
        let from = COUNT - rest.len();
        assert!(from > 0, "the system had taken some");
        assert_eq!(rest, (from..COUNT).collect::<Vec<usize>>());
        drop(second);
        scene.finish();
    }

    #[test]
    fn what_had_not_left_when_the_client_does_not_come_back_is_told() {
        let scene = Scene::new();
        let host = &scene.host;
        for (code, kept) in [(1008, 64 << 20), (1001, 0)] {
            let listener = listener();
            let more = json!({ROOM: kept, "enableAutomaticReconnection": code == 1008});
            let (client, mut peer) = stuffed(&scene, &listener, more);
            peer.send(&Frame::close(code, ""));
            let closed = host.event("close", client);
            let told = closed.context("unsent");
            let left = told["messages"].as_u64().unwrap();
            assert!(left > 0 && left < COUNT as u64, "{closed:?}");
            assert_eq!(told["bytes"], left * LONG as u64, "{closed:?}");
            if kept > 0 {
                // Each of the others did leave.
                assert_eq!(numbers(&mut peer).len() as u64, COUNT as u64 - left);
            }
            drop(peer);
        }
        scene.finish();
    }

    #[test]
    fn a_stop_and_a_clear_send_what_waits_and_tell_what_they_could_not() {
        let scene = Scene::new();
        let host = &scene.host;
        for end in ["client_stop", "client_clear"] {
            let listener = listener();
            let (client, mut peer) = stuffed(&scene, &listener, json!({"closeTimeoutMs": 5000}));
            let ending = begin!(host, "&".to_owned() + end, client);
            assert_eq!(numbers(&mut peer).len(), COUNT, "{end}");
            peer.send(&Frame::close(1000, ""));
            drop(peer);
            let reply = host.reply(&ending, WATCHDOG).ok().body;
            assert_eq!(reply.get("unsent"), None, "{end}: {reply}");

            let (client, peer) = stuffed(&scene, &listener, json!({"closeTimeoutMs": 300}));
            let reply = ask!(host, end, client).ok().body;
            let left = reply["unsent"]["messages"].as_u64().unwrap();
            assert!(left > 0 && left < COUNT as u64, "{end}: {reply}");
            let closed = host.wait_for("the last close", WATCHDOG, |event| {
                event.is("close") && event.client() == client
            });
            assert_eq!(*closed.context("unsent"), reply["unsent"], "{end}");
            drop(peer);
        }
        scene.finish();
    }

    #[test]
    fn each_message_is_sent_once_however_often_the_server_closes() {
        let scene = Scene::new();
        scene.may_grow(256 * MIB);
        let host = &scene.host;
        let listener = listener();
        let count = 3000;
        let options = json!({ROOM: 128 << 20, "sendQueueBytes": 128 << 20, "maxWaitBetweenReconnectionRetries": 10,
            "minWaitBetweenReconnectionRetries": 1, "onOpen": ["again"]});
        let client = started(&scene, &listener, options);
        let sending = begin!(
            host,
            "&-repeat",
            0,
            count,
            "client_send",
            client,
            1,
            "#20000"
        );
        let mut all = Vec::new();
        let mut connections = 0;
        while all.len() < count {
            let mut peer = Peer::accept(&listener);
            connections += 1;
            assert_eq!(said(&mut peer), "again");
            let some = 20 + connections;
            for heard in 0.. {
                if heard == some {
                    peer.send(&Frame::close(1001, ""));
                }
                match peer.hear(PROMPTLY) {
                    Heard::Frame(frame) if frame.opcode == CLOSE => break,
                    Heard::Frame(frame) => {
                        let text = String::from_utf8(frame.payload).unwrap();
                        let number = text.split('.').next().unwrap();
                        all.push(number.parse::<usize>().unwrap());
                    }
                    other => panic!("{other:?} after {} messages", all.len()),
                }
                if all.len() == count {
                    break;
                }
            }
        }
        assert_eq!(host.reply(&sending, WATCHDOG).done, count as i64);
        assert_eq!(all, (0..count).collect::<Vec<usize>>());
        assert!(connections > 5, "{connections}");
        ask!(host, "client_stop", client, json!({"wait": false})).ok();
        scene.finish();
    }
}

/// Commands from inside the events of a client that comes and goes: nothing hangs, and each "open" has its "close".
mod hostile {
    use super::*;

    fn check(mode: &str, event: &str, action: &[&str]) {
        let scene = Scene::new();
        let host = &scene.host;
        if mode == "pump" || mode == "pull" {
            ask!(host, "loop", mode, 50).ok();
        }
        let listener = listener();
        let client = scene.client(
            json!({"url": url(&listener), "dispatch": mode, "onOpen": ["first"],
            "queueWhileDisconnected": 100_000, "retryFirst": true, "closeTimeoutMs": 300,
            "minWaitBetweenReconnectionRetries": 1, "maxWaitBetweenReconnectionRetries": 5}),
        );
        let mut words = vec!["on", event, "20"];
        words.extend(action);
        let rule = host.begin(&words);
        host.reply(&rule, WATCHDOG).ok();
        ask!(host, "client_start", client, json!({"wait": false})).ok();
        // A server that refuses, talks and leaves, for some rounds or until nobody comes any more.
        listener.set_nonblocking(true).unwrap();
        for round in 0..12 {
            send(host, client, round);
            // One is turned away; the next, if there is one, is let in.
            if !soon(Duration::from_millis(150), || listener.accept().is_ok())
                || !soon(Duration::from_millis(150), || is_called(&listener))
            {
                break;
            }
            let Some(mut peer) = Peer::try_accept(&listener) else {
                continue;
            };
            peer.send(&Frame::text("hello"));
            if round % 2 == 0 {
                peer.send(&Frame::close(1001, ""));
            }
            peer.hear(Duration::from_millis(20));
        }
        let cleared = ask!(host, "client_clear", client).status;
        assert!(
            [OK, UNKNOWN_REF].contains(&cleared),
            "{mode} {event} {action:?}: {cleared}"
        );
        if mode == "pump" || mode == "pull" {
            while ask!(host, "event_next", 0).status == OK {}
            ask!(host, "halt").ok();
        }
        let mut told = Vec::new();
        let is_even = soon(WATCHDOG, || {
            told.extend(host.take(|event| event.client() == client));
            let counted = |kind| told.iter().filter(|event| event.is(kind)).count();
            counted("open") == counted("close")
        });
        assert!(is_even, "{mode} {event} {action:?}: {told:#?}");
        scene.finish();
    }

    fn is_called(listener: &TcpListener) -> bool {
        let mut poll = libc::pollfd {
            fd: std::os::fd::AsRawFd::as_raw_fd(listener),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one valid pollfd.
        unsafe { libc::poll(&mut poll, 1, 0) == 1 }
    }

    macro_rules! modes {
        ($($mode:ident)*) => {
            $(#[test]
            fn $mode() {
                let wait = r#"{"wait":false}"#;
                for event in ["open", "close", "error", "message"] {
                    for action in [
                        &["client_stop", "@c", "{}"][..],
                        &["client_clear", "@c"],
                        &["client_send", "@c", "1", "=inside"],
                        &["client_start", "@c", wait],
                    ] {
                        check(stringify!($mode), event, action);
                    }
                }
            })*
        };
    }

    modes! { thread inline pump pull }
}
