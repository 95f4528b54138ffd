//! The client as WINDEV knows it: by name, by address, and with messages that are received one by one.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/host.rs"]
mod host;
#[path = "support/interop_examples.rs"]
mod interop_examples;
#[path = "support/scene.rs"]
mod scene;

use adversary::{CLOSE, Frame, PING, PROMPTLY, Peer, listener, url};
use host::{
    BUFFER_TOO_SMALL, Host, IN_CALLBACK, INVALID_ARGUMENT, INVALID_OPTIONS, NETWORK, OK, Reply,
    TIMEOUT, UNKNOWN_REF, WATCHDOG, WRONG_STATE, soon,
};
use scene::{Scene, at_once};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

/// A client of the host that is connected, and the raw server's side of it.
fn connected(scene: &Scene, mut options: Value) -> (i32, Peer) {
    let listener = listener();
    options["url"] = json!(url(&listener));
    let client = scene.client(options);
    let starting = begin!(scene.host, "client_start", client, "{}");
    let peer = Peer::accept(&listener);
    scene.host.reply(&starting, WATCHDOG).ok();
    (client, peer)
}

fn receive(host: &Host, client: i32, timeout_ms: i32) -> Reply {
    ask!(host, "client_receive", client, timeout_ms, 1000)
}

fn received(host: &Host, client: i32) -> String {
    let reply = receive(host, client, 5000).ok();
    reply.body["text"].as_str().unwrap().to_owned()
}

mod name {
    use super::*;

    #[test]
    fn a_client_is_found_by_its_name_as_long_as_it_lives() {
        let scene = Scene::pulling();
        let host = &scene.host;
        assert_eq!(ask!(host, "client_find", "wbsocket").status, UNKNOWN_REF);
        let client = scene.client(json!({"name": "wbsocket"}));
        let other = scene.client(json!({"name": "WBSocket"}));
        for (name, reference) in [("wbsocket", client), ("WBSocket", other)] {
            let found = ask!(host, "client_find", name);
            assert_eq!((found.status, found.reference), (OK, reference));
        }
        ask!(host, "client_clear", client).ok();
        let gone = ask!(host, "client_find", "wbsocket");
        assert_eq!((gone.status, gone.reference), (UNKNOWN_REF, 0));
        // And its name is free again.
        let heir = scene.client(json!({"name": "wbsocket"}));
        assert_eq!(ask!(host, "client_find", "wbsocket").reference, heir);
        scene.finish();
    }

    #[test]
    fn a_name_that_is_taken_is_refused_with_the_ref_that_has_it() {
        let scene = Scene::pulling();
        let host = &scene.host;
        let client = scene.client(json!({"name": "one"}));
        let refused = ask!(host, "client_create", json!({"name": "one"}));
        assert_eq!(refused.reference, 0);
        refused.fails(
            INVALID_OPTIONS,
            &["name", "one", &format!("client {client}")],
        );
        // Nothing has happened: neither to the ref nor to another's name, at a start and at a stop.
        let other = scene.client(json!({"name": "two"}));
        let options = json!({"name": "one", "url": "ws://127.0.0.1:9/", "worker": "changed"});
        ask!(host, "client_start", other, options).fails(INVALID_OPTIONS, &["client"]);
        ask!(host, "client_stop", other, options).fails(INVALID_OPTIONS, &["client"]);
        assert_eq!(ask!(host, "client_find", "two").reference, other);
        let shown = ask!(host, "client_stop", other, "{}").ok().body;
        assert_eq!(
            (&shown["name"], &shown["worker"]),
            (&json!("two"), &json!(""))
        );
        scene.finish();
    }

    #[test]
    fn a_name_can_be_changed_given_back_and_passed_back() {
        let scene = Scene::pulling();
        let host = &scene.host;
        let client = scene.client(json!({"name": "old"}));
        let shown = ask!(host, "client_stop", client, json!({"name": "new"})).ok();
        assert_eq!(shown.body["name"], "new");
        assert_eq!(ask!(host, "client_find", "old").status, UNKNOWN_REF);
        // The whole reply goes back as options: its own name is not taken.
        ask!(host, "client_stop", client, shown.body).ok();
        assert_eq!(ask!(host, "client_find", "new").reference, client);
        ask!(host, "client_stop", client, json!({"name": ""})).ok();
        assert_eq!(ask!(host, "client_find", "new").status, UNKNOWN_REF);
        let other = scene.client(json!({"name": "new"}));
        assert_eq!(ask!(host, "client_find", "new").reference, other);
        scene.finish();
    }

    #[test]
    fn of_many_threads_that_want_one_name_one_gets_it() {
        let scene = Scene::pulling();
        let host = &scene.host;
        let tags: Vec<String> = (0..16)
            .map(|_| begin!(host, "&client_create", json!({"name": "wanted"})))
            .collect();
        let replies: Vec<Reply> = tags.iter().map(|tag| host.reply(tag, WATCHDOG)).collect();
        let got: Vec<i32> = replies
            .iter()
            .filter(|reply| reply.status == OK)
            .map(|reply| reply.reference)
            .collect();
        assert_eq!(got.len(), 1);
        assert_eq!(ask!(host, "client_find", "wanted").reference, got[0]);
        ask!(host, "client_clear", got[0]).ok();
        scene.finish();
    }

    #[test]
    fn find_checks_its_arguments() {
        let scene = Scene::pulling();
        let host = &scene.host;
        scene.client(json!({}));
        for name in ["~", ""] {
            let found = ask!(host, "client_find", name);
            assert_eq!((found.status, found.reference), (INVALID_ARGUMENT, 0));
        }
        assert_eq!(ask!(host, "client_find", "x", "~").status, INVALID_ARGUMENT);
        scene.finish();
    }

    #[test]
    fn names_end_with_a_shutdown() {
        let host = Host::spawn();
        ask!(host, "client_create", json!({"name": "once"})).ok();
        ask!(host, "shutdown", 1000).ok();
        assert_eq!(ask!(host, "client_find", "once").status, UNKNOWN_REF);
        ask!(host, "client_create", json!({"name": "once"})).ok();
        ask!(host, "shutdown", 1000).ok();
        host.leave();
    }
}

mod target {
    use super::*;

    /// What a client with these options asks a listener for: the request's first line and its Host.
    fn asked(listener: &TcpListener, options: Value) -> (String, String) {
        let scene = Scene::pulling();
        let mut options = options;
        if options.get("url").is_none() && options.get("port").is_none() {
            options["port"] = json!(listener.local_addr().unwrap().port());
        }
        let client = scene.client(options);
        let starting = begin!(scene.host, "client_start", client, "{}");
        let peer = Peer::accept(listener);
        scene.host.reply(&starting, WATCHDOG).ok();
        let mut lines = peer.request.lines();
        let first = lines.next().unwrap().to_owned();
        let host = lines.find_map(|line| line.strip_prefix("Host: ")).unwrap();
        let host = host.to_owned();
        drop(peer);
        scene.finish();
        (first, host)
    }

    #[test]
    fn a_path_has_its_slash_or_gets_it() {
        for (path, wanted) in [
            (json!("/WW_WebsocketServeur"), "/WW_WebsocketServeur"),
            (json!("MonProjet"), "/MonProjet"),
            (json!(""), "/"),
            (json!(null), "/"),
            (json!("a/b?c=d"), "/a/b?c=d"),
            (json!("é"), "/%C3%A9"),
        ] {
            let listener = listener();
            let port = listener.local_addr().unwrap().port();
            let (first, host) = asked(&listener, json!({"address": "127.0.0.1", "path": path}));
            assert_eq!(first, format!("GET {wanted} HTTP/1.1"));
            assert_eq!(host, format!("127.0.0.1:{port}"));
        }
    }

    #[test]
    fn an_address_is_a_name_or_an_address_of_either_family() {
        let listener = listener();
        let port = listener.local_addr().unwrap().port();
        let (_, host) = asked(&listener, json!({"address": "LocalHost"}));
        assert_eq!(host, format!("localhost:{port}"));
        let Ok(six) = TcpListener::bind("[::1]:0") else {
            return;
        };
        let port = six.local_addr().unwrap().port();
        for address in ["::1", "[::1]"] {
            let (_, host) = asked(&six, json!({"address": address}));
            assert_eq!(host, format!("[::1]:{port}"));
        }
    }

    #[test]
    fn the_port_is_80_where_none_is_given() {
        let scene = Scene::pulling();
        let client = scene.client(json!({"address": "127.0.0.1"}));
        // Either nobody listens there, and the error has the port, or somebody does, and is not one of ours.
        let reply = ask!(scene.host, "client_start", client, json!({"timeout": 2}));
        if reply.status == NETWORK && reply.body["http_status"] == 0 {
            reply.fails(NETWORK, &["127.0.0.1:80"]);
        }
        scene.finish();
    }

    #[test]
    fn with_tls_the_port_is_443() {
        let scene = Scene::pulling();
        let options = json!({"address": "127.0.0.1", "tls": {"caFile": "NONE"}});
        let client = scene.client(options);
        let reply = ask!(scene.host, "client_start", client, json!({"timeout": 2}));
        if reply.status == NETWORK && reply.body["http_status"] == 0 {
            reply.fails(NETWORK, &["127.0.0.1:443"]);
        }
        scene.finish();
    }

    #[test]
    fn what_is_given_last_counts_and_both_at_once_are_refused() {
        let scene = Scene::pulling();
        let host = &scene.host;
        for other in ["address", "port", "path"] {
            let both = json!({"url": "ws://127.0.0.1/", other: if other == "port" { json!(1) } else { json!("x") }});
            let reply = ask!(host, "client_create", both).fails(INVALID_OPTIONS, &["url", other]);
            assert_eq!(reply.body["error"]["option"], other);
        }
        let first = listener();
        let client = scene.client(json!({"url": "ws://127.0.0.1:9/old"}));
        let port = first.local_addr().unwrap().port();
        let options = json!({"address": "127.0.0.1", "port": port, "path": "new"});
        let starting = begin!(host, "client_start", client, options);
        let peer = Peer::accept(&first);
        assert!(peer.request.starts_with("GET /new "), "{}", peer.request);
        host.reply(&starting, WATCHDOG).ok();
        let shown = ask!(host, "client_stop", client, "{}").ok().body;
        assert_eq!((&shown["url"], &shown["port"]), (&json!(""), &json!(port)));
        // Passed back, it is the same; and a url takes its place again.
        let shown = ask!(host, "client_stop", client, shown).ok().body;
        assert_eq!(shown["path"], "new");
        let second = listener();
        let starting = begin!(host, "client_start", client, json!({"url": url(&second)}));
        let peer = Peer::accept(&second);
        host.reply(&starting, WATCHDOG).ok();
        drop(peer);
        let shown = ask!(host, "client_stop", client, "{}").ok().body;
        assert_eq!(shown["address"], "");
        assert!(
            shown.get("port").is_none() && shown.get("path").is_none(),
            "{shown}"
        );
        scene.finish();
    }

    #[test]
    fn a_target_that_cannot_be_one_is_refused_at_once() {
        let scene = Scene::pulling();
        scene.client(json!({}));
        for (options, option, part) in [
            (json!({"address": "ws://a/"}), "address", "URL"),
            (json!({"address": "a:80"}), "address", "port"),
            (json!({"address": "a b"}), "address", "host"),
            (json!({"address": "a/b"}), "address", "host"),
            (json!({"address": "a", "path": "x y"}), "path", "space"),
            (json!({"address": "a", "path": "x#y"}), "path", "fragment"),
            (json!({"address": "a", "port": 0}), "port", "65535"),
            (json!({"address": "a", "port": 65536}), "port", "65535"),
            (json!({"port": 80}), "port", "address"),
            (json!({"path": "/x"}), "path", "address"),
        ] {
            let reply = ask!(scene.host, "client_create", options);
            let reply = reply.fails(INVALID_OPTIONS, &[option, part]);
            assert_eq!(reply.body["error"]["option"], option);
        }
        let client = scene.client(json!({}));
        ask!(scene.host, "client_start", client, "{}").fails(INVALID_OPTIONS, &["url", "address"]);
        scene.finish();
    }

    #[test]
    fn the_server_must_speak_one_of_the_protocols() {
        let scene = Scene::new();
        let server = scene.server(json!({"protocols": ["soap"]}));
        let address =
            json!({"address": "127.0.0.1", "port": server.port, "protocols": "mqtt,soap"});
        let client = scene.client(address);
        let reply = ask!(scene.host, "client_start", client, "{}").ok();
        assert_eq!(reply.body["protocol"], "soap");
        let other = scene
            .client(json!({"address": "127.0.0.1", "port": server.port, "protocols": ["mqtt"]}));
        ask!(scene.host, "client_start", other, "{}").fails(NETWORK, &["protocol", "mqtt"]);
        scene.finish();
    }
}

mod receive {
    use super::*;

    #[test]
    fn messages_come_whole_and_in_order_with_their_kind() {
        let scene = Scene::pulling();
        let host = &scene.host;
        let (client, mut peer) = connected(&scene, json!({}));
        peer.send(&Frame::text("first"));
        peer.send(&Frame::new(PING, "between"));
        peer.send(&Frame::text("sec").not_final());
        peer.send(&Frame::new(0, "ond"));
        peer.send(&Frame::new(2, "third"));
        peer.send(&Frame::text(""));
        for (text, kind) in [("first", 1), ("second", 1), ("third", 2), ("", 1)] {
            let reply = receive(host, client, 5000).ok().body;
            assert_eq!(
                reply,
                json!({"kind": kind, "length": text.len(), "text": text})
            );
        }
        drop(peer);
        scene.finish();
    }

    #[test]
    fn zero_polls_a_time_out_is_kept_and_a_negative_one_waits() {
        let scene = Scene::pulling();
        let host = &scene.host;
        let (client, mut peer) = connected(&scene, json!({}));
        at_once(|| {
            let reply = receive(host, client, 0);
            assert_eq!(reply.status, TIMEOUT);
            assert_eq!(reply.body, json!({"kind": 0, "length": 0, "text": ""}));
        });
        let began = Instant::now();
        assert_eq!(receive(host, client, 300).status, TIMEOUT);
        let took = began.elapsed();
        assert!(
            took >= Duration::from_millis(300) && took < PROMPTLY,
            "{took:?}"
        );
        let waiting = begin!(host, "&client_receive", client, -1, 100);
        assert_eq!(receive(host, client, 100).status, TIMEOUT);
        peer.send(&Frame::text("at last"));
        assert_eq!(host.reply(&waiting, WATCHDOG).ok().body["text"], "at last");
        drop(peer);
        scene.finish();
    }

    #[test]
    fn too_small_a_buffer_says_how_much_is_needed_and_loses_nothing() {
        let scene = Scene::pulling();
        let host = &scene.host;
        let (client, mut peer) = connected(&scene, json!({}));
        peer.send(&Frame::text("0123456789"));
        peer.send(&Frame::new(2, "next"));
        assert!(soon(WATCHDOG, || {
            let asked = ask!(host, "client_receive", client, 0, 0, "~");
            asked.status == BUFFER_TOO_SMALL && asked.body["length"] == 10
        }));
        for room in [0, 1, 9] {
            let reply = ask!(host, "client_receive", client, 0, room);
            assert_eq!(reply.status, BUFFER_TOO_SMALL);
            assert_eq!(reply.body, json!({"kind": 1, "length": 10, "text": ""}));
        }
        let reply = ask!(host, "client_receive", client, 0, 10).ok();
        assert_eq!(
            reply.body,
            json!({"kind": 1, "length": 10, "text": "0123456789"})
        );
        assert_eq!(received(host, client), "next");
        drop(peer);
        scene.finish();
    }

    #[test]
    fn arguments_are_checked() {
        let scene = Scene::pulling();
        let host = &scene.host;
        let (client, peer) = connected(&scene, json!({}));
        let receive = |room: i32, buffer: &str| match buffer {
            "" => ask!(host, "client_receive", client, 0, room).status,
            null => ask!(host, "client_receive", client, 0, room, null).status,
        };
        assert_eq!(receive(-1, ""), INVALID_ARGUMENT);
        assert_eq!(receive(1, "~"), INVALID_ARGUMENT);
        for unknown in [0, -1, client + 1000] {
            let reply = ask!(host, "client_receive", unknown, 0, 10);
            assert_eq!(reply.status, UNKNOWN_REF);
        }
        drop(peer);
        scene.finish();
    }

    #[test]
    fn of_a_closed_connection_first_what_is_left() {
        let scene = Scene::pulling();
        let host = &scene.host;
        let (client, mut peer) = connected(&scene, json!({"enableAutomaticReconnection": false}));
        for number in 0..3 {
            peer.send(&Frame::text(format!("{number}")));
        }
        peer.send(&Frame::close(4000, "bye"));
        assert_eq!(peer.frame().opcode, CLOSE);
        for number in 0..3 {
            assert_eq!(received(host, client), number.to_string());
        }
        assert_eq!(receive(host, client, -1).status, WRONG_STATE);
        // What the connection ended with waits to be pulled.
        let left = ask!(host, "client_messages", client, "{}").ok().body;
        let left = left.as_array().unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(
            (&left[0]["type"], &left[0]["context"]["code"]),
            (&json!("close"), &json!(4000))
        );
        scene.finish();
    }

    #[test]
    fn whoever_waits_is_told_when_the_connection_closes_stops_or_is_cleared() {
        let scene = Scene::pulling();
        let host = &scene.host;
        for end in ["close", "stop", "clear", "cut", "gives up"] {
            // The close time-out is longer than anybody here waits.
            let options = json!({"enableAutomaticReconnection": end == "gives up", "maxRetries": 1,
                "maxWaitBetweenReconnectionRetries": 20, "closeTimeoutMs": 60_000});
            let (client, mut peer) = connected(&scene, options);
            let waiting: Vec<String> = (0..3)
                .map(|_| begin!(host, "&client_receive", client, -1, 100))
                .collect();
            assert_eq!(receive(host, client, 50).status, TIMEOUT);
            match end {
                "close" => peer.send(&Frame::close(1000, "")),
                "stop" => drop(begin!(host, "client_stop", client, json!({"wait": false}))),
                "clear" => drop(begin!(host, "client_clear", client)),
                _ => drop(peer),
            }
            // One that had not begun to wait finds nothing where the client has been cleared.
            let told: &[i32] = match end {
                "clear" => &[WRONG_STATE, UNKNOWN_REF],
                _ => &[WRONG_STATE],
            };
            for tag in waiting {
                let status = host.reply(&tag, WATCHDOG).status;
                assert!(told.contains(&status), "{end}: {status}");
            }
        }
        // One that was never started, and one that cannot connect.
        let client = scene.client(json!({}));
        assert_eq!(receive(host, client, -1).status, WRONG_STATE);
        let nobody = url(&listener());
        ask!(
            host,
            "client_start",
            client,
            json!({"url": nobody, "wait": false})
        )
        .ok();
        assert_eq!(receive(host, client, -1).status, WRONG_STATE);
        scene.finish();
    }

    #[test]
    fn a_shutdown_ends_every_wait() {
        let host = Host::spawn();
        let listener = listener();
        let client = ask!(host, "client_create", json!({"url": url(&listener)}))
            .ok()
            .reference;
        let starting = begin!(host, "client_start", client, "{}");
        let mut peer = Peer::accept(&listener);
        host.reply(&starting, WATCHDOG).ok();
        let waiting = begin!(host, "&client_receive", client, -1, 100);
        assert_eq!(receive(&host, client, 50).status, TIMEOUT);
        let ending = begin!(host, "&shutdown", 5000);
        peer.close_frame(WATCHDOG);
        drop(peer);
        // If it had not begun to wait, its client may be gone.
        let told = host.reply(&waiting, WATCHDOG).status;
        assert!([WRONG_STATE, UNKNOWN_REF].contains(&told), "{told}");
        host.reply(&ending, WATCHDOG).ok();
        host.leave();
    }

    #[test]
    fn a_client_that_comes_back_is_waited_for() {
        let scene = Scene::pulling();
        let host = &scene.host;
        let listener = listener();
        let client = scene.client(json!({"url": url(&listener)}));
        let starting = begin!(host, "client_start", client, "{}");
        let mut first = Peer::accept(&listener);
        host.reply(&starting, WATCHDOG).ok();
        first.send(&Frame::text("before"));
        drop(first);
        assert_eq!(received(host, client), "before");
        let waiting = begin!(host, "&client_receive", client, -1, 100);
        let mut second = Peer::accept(&listener);
        second.send(&Frame::text("after"));
        assert_eq!(host.reply(&waiting, WATCHDOG).ok().body["text"], "after");
        drop(second);
        scene.finish();
    }

    #[test]
    fn a_callback_and_receive_exclude_each_other() {
        let scene = Scene::new();
        let host = &scene.host;
        ask!(host, "log", 2).ok();
        let (client, mut peer) = connected(&scene, json!({}));
        host.event("open", client);
        assert_eq!(receive(host, client, -1).status, WRONG_STATE);
        let line = host.wait_for("a log line", WATCHDOG, |event| {
            event.is("log") && event.log_line().contains("receive")
        });
        assert!(
            line.log_line().contains("\"dispatch\":\"pull\""),
            "{line:?}"
        );
        peer.send(&Frame::text("for the callback"));
        assert_eq!(host.event("message", client).bytes(), b"for the callback");

        // The option lets one client be received from beside the callbacks of others.
        let (pulled, mut other) = connected(&scene, json!({"dispatch": "pull"}));
        other.send(&Frame::text("to be received"));
        assert_eq!(received(host, pulled), "to be received");
        other.send(&Frame::close(4001, ""));
        let closed = ask!(
            host,
            "client_messages",
            pulled,
            json!({"timeout": 5, "max": 1})
        )
        .ok();
        assert_eq!(closed.body[0]["type"], "close", "{}", closed.body);
        assert_eq!(host.take(|event| event.client() == pulled), []);
        drop((peer, other));
        scene.finish();
    }

    #[test]
    fn a_callback_that_is_set_ends_the_waits_and_gets_what_comes() {
        let scene = Scene::new();
        let host = &scene.host;
        ask!(host, "callbacks", "-").ok();
        let (client, mut peer) = connected(&scene, json!({}));
        let waiting = begin!(host, "&client_receive", client, -1, 100);
        assert_eq!(receive(host, client, 50).status, TIMEOUT);
        ask!(host, "callbacks", "em").ok();
        assert_eq!(host.reply(&waiting, WATCHDOG).status, WRONG_STATE);
        peer.send(&Frame::text("hello"));
        assert_eq!(host.event("message", client).bytes(), b"hello");
        // And the other way round.
        ask!(host, "callbacks", "-").ok();
        peer.send(&Frame::text("again"));
        assert_eq!(received(host, client), "again");
        drop(peer);
        scene.finish();
    }

    #[test]
    fn every_event_of_the_client_can_be_pulled_too() {
        let scene = Scene::new();
        let host = &scene.host;
        let (client, mut peer) = connected(&scene, json!({"dispatch": "pull"}));
        peer.send(&Frame::text("one"));
        peer.send(&Frame::text("two"));
        ask!(host, "event_next", 5000).ok();
        let open = host.event("open", client);
        assert_eq!(open.0["how"], "pull");
        ask!(host, "event_next", 5000).ok();
        assert_eq!(host.event("message", client).bytes(), b"one");
        assert_eq!(received(host, client), "two");
        drop(peer);
        scene.finish();
    }

    #[test]
    fn whoever_only_receives_is_not_drowned_in_other_events() {
        let scene = Scene::pulling();
        let host = &scene.host;
        let (client, mut peer) = connected(&scene, json!({"eventQueueEvents": 100}));
        for round in 0..20 {
            for _ in 0..50 {
                peer.send(&Frame::new(PING, "p"));
            }
            peer.send(&Frame::text(format!("{round}")));
            // Without a message, too, they are passed over.
            assert_eq!(received(host, client), round.to_string());
            receive(host, client, 0);
        }
        for _ in 0..500 {
            peer.send(&Frame::new(PING, "p"));
        }
        peer.send(&Frame::text("done"));
        assert_eq!(received(host, client), "done");
        drop(peer);
        scene.finish();
    }

    #[test]
    fn an_accepted_connection_is_received_from_too() {
        let scene = Scene::pulling();
        let host = &scene.host;
        let server = scene.server(json!({}));
        let mut peer = Peer::client(server.port);
        let mut clients = json!([]);
        assert!(soon(WATCHDOG, || {
            clients = ask!(host, "server_clients", server.reference).ok().body;
            clients.as_array().unwrap().len() == 1
        }));
        let client = clients[0].as_i64().unwrap() as i32;
        peer.send(&Frame::text("hello"));
        assert_eq!(received(host, client), "hello");
        let waiting = begin!(host, "&client_receive", client, -1, 100);
        assert_eq!(receive(host, client, 50).status, TIMEOUT);
        peer.send(&Frame::text("more"));
        assert_eq!(host.reply(&waiting, WATCHDOG).ok().body["text"], "more");
        let waiting = begin!(host, "&client_receive", client, -1, 100);
        peer.send(&Frame::close(1000, ""));
        let status = host.reply(&waiting, WATCHDOG).status;
        assert!([WRONG_STATE, UNKNOWN_REF].contains(&status), "{status}");
        assert!(soon(WATCHDOG, || receive(host, client, 0).status == UNKNOWN_REF));

        // What one that is gone has left can still be received.
        let mut late = Peer::client(server.port);
        let is_there = || ask!(host, "server_clients", server.reference).ok().body;
        assert!(soon(WATCHDOG, || is_there().as_array().unwrap().len() == 1));
        let client = is_there()[0].as_i64().unwrap() as i32;
        late.send(&Frame::text("last words"));
        late.send(&Frame::close(1000, ""));
        assert!(soon(WATCHDOG, || is_there().as_array().unwrap().is_empty()));
        assert_eq!(received(host, client), "last words");
        assert_eq!(receive(host, client, 0).status, UNKNOWN_REF);
        scene.finish();
    }

    #[test]
    fn waiting_inside_an_inline_callback_is_refused() {
        let scene = Scene::new();
        let host = &scene.host;
        let server = scene.server(json!({"dispatch": "inline"}));
        let (pulled, peer) = connected(&scene, json!({"dispatch": "pull"}));
        let waits = begin!(host, "on", "open", 1, "client_receive", pulled, 1000, 10);
        host.reply(&waits, WATCHDOG).ok();
        let polls = begin!(host, "on", "open", 1, "client_receive", pulled, 0, 10);
        host.reply(&polls, WATCHDOG).ok();
        let (other, _) = scene.peer(server);
        assert_eq!(
            host.reply(&format!("{waits}!"), WATCHDOG).status,
            IN_CALLBACK
        );
        assert_eq!(host.reply(&format!("{polls}!"), WATCHDOG).status, TIMEOUT);
        drop((peer, other));
        scene.finish();
    }
}

/// The two programs of the WebSocketClientConnect page, against a server that is no part of them.
mod examples {
    use super::*;

    #[test]
    fn the_synchronous_and_the_asynchronous_program_do_what_the_page_says() {
        let programs = interop_examples::build("examples-client");
        for (name, sent, printed, closed_with) in [
            (
                "windev_synchronous",
                "Bonjour le monde!",
                "server's answer: Bonjour le monde!",
                1001,
            ),
            (
                "windev_asynchronous",
                "Message sent from the client.",
                "message of the server: Message sent from the client.",
                1000,
            ),
        ] {
            let listener = listener();
            let port = listener.local_addr().unwrap().port();
            let serving = std::thread::spawn(move || {
                let mut peer = Peer::accept(&listener);
                let message = peer.frame();
                peer.send(&Frame::text(&message.payload));
                if name == "windev_asynchronous" {
                    peer.send(&Frame::close(1000, "that is all"));
                }
                let (code, _) = peer.close_frame(WATCHDOG);
                (peer.request.clone(), message.payload, code)
            });
            let mut program = Command::new(programs.join(name));
            program.args(["127.0.0.1", &port.to_string(), "MyServer"]);
            let said = cc::run(&mut program, name);
            let (request, payload, code) = serving.join().unwrap();
            assert!(
                request.starts_with("GET /MyServer HTTP/1.1\r\n"),
                "{request}"
            );
            assert_eq!(
                (String::from_utf8(payload).unwrap().as_str(), code),
                (sent, closed_with)
            );
            assert!(said.lines().any(|line| line == printed), "{name}: {said}");
        }
    }

    #[test]
    fn both_say_so_when_there_is_no_server() {
        let programs = interop_examples::build("examples-client-refused");
        for name in ["windev_synchronous", "windev_asynchronous"] {
            let port = listener().local_addr().unwrap().port().to_string();
            let output = Command::new(programs.join(name))
                .args(["127.0.0.1", &port])
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(1), "{name}: {output:?}");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("refused"), "{name}: {said}");
        }
    }
}
