//! "admission":"ask": the host answers "request" events, from anywhere and when it likes.

use crate::adversary::{Frame, PROMPTLY, Peer, request, request_to};
use crate::certs::Certs;
use crate::host::{Event, INVALID_OPTIONS, OK, UNKNOWN_REF, WATCHDOG, WRONG_STATE, soon};
use crate::scene::{MIB, Scene, Server, at_once};
use crate::{answered, asked, asking, refused, secure};
use crate::{ask, begin};
use serde_json::{Value, json};
use std::io::Write;
use std::time::{Duration, Instant};

fn server(scene: &Scene, options: Value) -> Server {
    let mut all = json!({"admission": "ask"});
    let options = options.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(options);
    scene.server(all)
}

#[test]
fn a_request_tells_everything_and_its_ref_is_the_later_clients() {
    let scene = Scene::new();
    let server = server(&scene, json!({"protocols": ["soap"]}));
    let head = request_to(
        "chat.example:81",
        "/room/%C3%A9?token=a%20b&x=1",
        "Cookie: a=1; b=\"2\"\r\nCookie: a=3; c=x=y\r\nSec-WebSocket-Protocol: mqtt, soap\r\nX-One: 1\r\n",
    );
    let mut peer = Peer::tcp(server.port);
    let port = peer.stream.local_addr().unwrap().port();
    peer.send_bytes(head.as_bytes());
    let request = asked(&scene, server);
    let client = request.client();
    assert!(client > 0);
    for (key, expected) in [
        ("method", json!("GET")),
        ("uri", json!("/room/%C3%A9?token=a%20b&x=1")),
        ("path", json!("/room/%C3%A9")),
        ("query", json!("token=a%20b&x=1")),
        ("cookies", json!({"a": "1", "b": "2", "c": "x=y"})),
        ("protocols", json!(["mqtt", "soap"])),
        ("remoteIp", json!("127.0.0.1")),
        ("remotePort", json!(port)),
        ("tls", json!(false)),
    ] {
        assert_eq!(*request.context(key), expected, "{key}");
    }
    assert_eq!(request.context("headers")["Host"], "chat.example:81");
    assert_eq!(request.context("headers")["X-One"], "1");
    // It is no connection yet, but asked about it tells the same.
    let info = ask!(scene.host, "client_info", client).ok().body;
    assert_eq!(
        (&info["state"], &info["ref"]),
        (&json!("asking"), &json!(client))
    );
    let told = [
        "uri",
        "path",
        "query",
        "headers",
        "cookies",
        "remoteIp",
        "remotePort",
        "tls",
    ];
    for key in told {
        assert_eq!(info[key], *request.context(key), "{key}");
    }
    assert_eq!(
        ask!(scene.host, "server_clients", server.reference).body,
        json!([])
    );
    ask!(scene.host, "client_send", client, 1, "=early").fails(WRONG_STATE, &["accept"]);
    ask!(scene.host, "client_stop", client, "{}").fails(WRONG_STATE, &["accept"]);
    ask!(scene.host, "client_start", client, "{}").fails(WRONG_STATE, &["accept"]);

    let how = json!({"protocol": "mqtt", "headers": {"Set-Cookie": ["s=1; HttpOnly", "t=2"], "X-Two": "2"}});
    let reply = ask!(scene.host, "client_accept", client, how).ok();
    assert_eq!(reply.body, json!({"ref": client, "success": true}));
    let response = peer.response(PROMPTLY).unwrap();
    assert_eq!(response.status, 101);
    assert_eq!(response.header("sec-websocket-protocol"), Some("mqtt"));
    assert_eq!(response.header("x-two"), Some("2"));
    assert!(response.head.contains("\r\nset-cookie: s=1; httponly\r\n"));
    assert!(response.head.contains("\r\nset-cookie: t=2\r\n"));
    let open = scene.host.event("open", client);
    assert_eq!(open.server(), server.reference);
    assert_eq!(*open.context("protocol"), "mqtt");
    ask!(scene.host, "client_send", client, 1, "=welcome").ok();
    assert_eq!(peer.frame().payload, b"welcome");
    ask!(scene.host, "client_accept", client, "{}").fails(WRONG_STATE, &["does not wait"]);
    scene.finish();
}

#[test]
fn a_request_tells_what_tls_it_came_over() {
    let (scene, certs) = (Scene::new(), Certs::new());
    // The library of cryptography has its tables, and a first handshake its buffers.
    scene.may_grow(24 * MIB);
    let server = server(&scene, json!({"tls": certs.server().tls()}));
    let mut peer = secure::connect(server.port, &secure::client_config(&certs));
    peer.write_all(request("").as_bytes()).unwrap();
    let request = asked(&scene, server);
    let told = request.context("tls");
    assert_eq!(told["version"], "1.3", "{told}");
    // No certificate was asked of the client.
    assert_eq!(
        (&told["verified"], &told["peerSubject"]),
        (&json!(false), &json!(""))
    );
    let client = request.client();
    let info = ask!(scene.host, "client_info", client).ok().body;
    assert_eq!(info["tls"], *told);
    ask!(scene.host, "client_accept", client, "{}").ok();
    let head = secure::head(&mut peer);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(scene.host.event("open", client).context("tls"), told);
    scene.finish();
}

#[test]
fn a_request_tells_of_tls_that_a_trusted_proxy_has_ended() {
    let scene = Scene::new();
    for (trusted, headers, expected) in [
        ("127.0.0.1", "X-Forwarded-Proto: https\r\n", true),
        ("127.0.0.1", "X-Forwarded-Proto: http\r\n", false),
        ("127.0.0.1", "Forwarded: for=1.2.3.4;proto=https\r\n", true),
        ("127.0.0.1", "", false),
        // Anybody can say so.
        ("10.0.0.1", "X-Forwarded-Proto: https\r\n", false),
        ("10.0.0.1", "Forwarded: for=1.2.3.4;proto=https\r\n", false),
    ] {
        let server = server(&scene, json!({"trustedProxies": trusted}));
        let mut peer = match headers.starts_with("X-") {
            true => asking(server, &format!("X-Forwarded-For: 1.2.3.4\r\n{headers}")),
            false => asking(server, headers),
        };
        let request = asked(&scene, server);
        assert_eq!(*request.context("tls"), expected, "{trusted}: {headers}");
        let client = request.client();
        let info = ask!(scene.host, "client_info", client).ok().body;
        assert_eq!(info["tls"], expected, "{trusted}: {headers}");
        ask!(scene.host, "client_accept", client, "{}").ok();
        assert_eq!(answered(&mut peer), 101);
        let open = scene.host.event("open", client);
        assert_eq!(*open.context("tls"), expected, "{trusted}: {headers}");
    }
    scene.finish();
}

#[test]
fn the_host_may_answer_inside_the_callback_in_every_way_of_dispatch() {
    for dispatch in ["thread", "inline", "pump"] {
        let scene = Scene::new();
        if dispatch == "pump" {
            ask!(scene.host, "loop", "pump", 100).ok();
        }
        let server = server(&scene, json!({"dispatch": dispatch, "protocols": "soap"}));
        let rule = ask!(scene.host, "on", "request", 3, "client_accept", "@c", "{}");
        rule.ok();
        for offer in ["soap", "other", "soap"] {
            let headers = format!("Sec-WebSocket-Protocol: {offer}\r\n");
            let mut peer = asking(server, &headers);
            let response = peer.response(PROMPTLY).unwrap();
            assert_eq!(response.status, 101, "{dispatch}");
            let agreed = response.header("sec-websocket-protocol");
            assert_eq!(agreed, Some("soap").filter(|_| offer == "soap"));
            let request = asked(&scene, server);
            scene.host.event("open", request.client());
        }
        // The rule has served its turns; the next one answers no.
        let no = json!({"status": 451});
        ask!(scene.host, "on", "request", -1, "client_reject", "@c", no).ok();
        assert_eq!(answered(&mut asking(server, "")), 451, "{dispatch}");
        assert_eq!(*refused(&scene, server).context("status"), 451);
        if dispatch == "pump" {
            scene.clear();
            ask!(scene.host, "halt").ok();
        }
        scene.finish();
    }
}

#[test]
fn values_of_the_answer_are_there_when_open_is_told() {
    for dispatch in ["thread", "inline", "perConnection"] {
        let scene = Scene::new();
        let server = server(&scene, json!({"dispatch": dispatch}));
        let rule = ["on", "open", "1", "client_get_value", "@c", "user"];
        let rule = scene.host.begin(&rule);
        scene.host.reply(&rule, WATCHDOG).ok();
        let _peer = asking(server, "");
        let client = asked(&scene, server).client();
        let how = json!({"values": {"user": "ann \u{e9}\"", "empty": ""}});
        ask!(scene.host, "client_accept", client, how).ok();
        let in_open = scene.host.reply(&format!("{rule}!"), WATCHDOG).ok();
        assert_eq!(in_open.body, "ann é\"", "{dispatch}");
        let empty = ask!(scene.host, "client_get_value", client, "empty").ok();
        assert_eq!(empty.body, "");
        scene.finish();
    }
}

#[test]
fn a_host_that_pulls_answers_when_it_has_looked() {
    let scene = Scene::pulling();
    let server = server(&scene, json!({}));
    let mut peer = asking(server, "");
    assert_eq!(ask!(scene.host, "event_next", 5000).status, OK);
    let client = asked(&scene, server).client();
    // From another thread than the one that was told.
    let aside = begin!(scene.host, "&client_accept", client, "{}");
    scene.host.reply(&aside, WATCHDOG).ok();
    assert_eq!(answered(&mut peer), 101);
    while ask!(scene.host, "event_next", 2000).status == OK {
        if !scene.host.take(|event| event.is("open")).is_empty() {
            break;
        }
    }
    drop(peer);
    scene.clear();
    while ask!(scene.host, "event_next", 0).status == OK {}
    scene.finish();
}

#[test]
fn a_rejected_client_gets_the_hosts_answer_and_the_ref_is_gone() {
    let scene = Scene::new();
    let server = server(&scene, json!({}));
    let mut peer = asking(server, "Origin: http://localhost\r\n");
    let client = asked(&scene, server).client();
    let how = json!({"status": 401, "headers": {"WWW-Authenticate": "Bearer", "Content-Type": "application/json"},
                     "body": "{\"why\":\"Grüße\"}"});
    ask!(scene.host, "client_reject", client, how).ok();
    let response = peer.response(PROMPTLY).unwrap();
    assert_eq!(response.status, 401);
    assert_eq!(response.header("www-authenticate"), Some("bearer"));
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.body, "{\"why\":\"Grüße\"}".as_bytes());
    let event = refused(&scene, server);
    assert_eq!(event.client(), client);
    assert_eq!(
        (event.context("status"), event.context("rule")),
        (&json!(401), &json!("host"))
    );
    assert_eq!(*event.context("origin"), "http://localhost");
    for command in ["client_accept", "client_reject", "client_stop"] {
        ask!(scene.host, command, client, "{}").fails(UNKNOWN_REF, &[]);
    }
    // Without anything said it is a 403 with a sentence.
    peer = asking(server, "");
    let client = asked(&scene, server).client();
    ask!(scene.host, "client_reject", client, "{}").ok();
    let response = peer.response(PROMPTLY).unwrap();
    assert_eq!(response.status, 403);
    assert!(response.body.len() > 5, "{response:?}");
    // No redirect is beyond it.
    peer = asking(server, "");
    let client = asked(&scene, server).client();
    let how = json!({"status": 302, "headers": {"Location": "https://other.example/"}});
    ask!(scene.host, "client_reject", client, how).ok();
    let response = peer.response(PROMPTLY).unwrap();
    assert_eq!(response.header("location"), Some("https://other.example/"));
    drop(peer);
    scene.finish();
}

#[test]
fn answers_that_cannot_be_sent_are_refused_and_the_client_waits_on() {
    let scene = Scene::new();
    let server = server(&scene, json!({}));
    let mut peer = asking(server, "Sec-WebSocket-Protocol: a, b\r\n");
    let client = asked(&scene, server).client();
    for (command, options, parts) in [
        (
            "client_accept",
            json!({"protocol": "c"}),
            ["protocol", "offers"],
        ),
        ("client_accept", json!({"protocol": 7}), ["protocol", "7"]),
        (
            "client_accept",
            json!({"values": ["a"]}),
            ["values", "array"],
        ),
        (
            "client_accept",
            json!({"values": {"user": 7}}),
            ["values", "\"user\""],
        ),
        (
            "client_accept",
            json!({"headers": {"X": "a\r\nSet-Cookie: b"}}),
            ["headers", "\"x\""],
        ),
        (
            "client_accept",
            json!({"headers": {"X": "a\u{0}b"}}),
            ["headers", "\"x\""],
        ),
        (
            "client_accept",
            json!({"headers": {"X y": "a"}}),
            ["headers", "x y"],
        ),
        (
            "client_accept",
            json!({"headers": {"Sec-WebSocket-Accept": "a"}}),
            ["headers", "sec-websocket-accept"],
        ),
        (
            "client_reject",
            json!({"headers": {"X": "a\nb"}}),
            ["headers", "\"x\""],
        ),
        (
            "client_reject",
            json!({"headers": {"Content-Length": "5"}}),
            ["headers", "content-length"],
        ),
        ("client_reject", json!({"status": 299}), ["status", "300"]),
        ("client_reject", json!({"status": 600}), ["status", "599"]),
        ("client_reject", json!({"status": 101}), ["status", "101"]),
        ("client_reject", json!({"body": ["a"]}), ["body", "text"]),
    ] {
        ask!(scene.host, command, client, options).fails(INVALID_OPTIONS, &parts);
    }
    let own = scene.client(json!({"url": server.url()}));
    ask!(scene.host, "client_accept", own, "{}").fails(WRONG_STATE, &[]);
    ask!(scene.host, "client_accept", 0, "{}").fails(UNKNOWN_REF, &[]);
    ask!(scene.host, "client_accept", server.reference, "{}").fails(UNKNOWN_REF, &[]);
    let reply = ask!(
        scene.host,
        "client_accept",
        client,
        json!({"protocol": "", "protokol": 1})
    );
    assert!(
        reply.ok().body["ignoredOptions"]
            .to_string()
            .contains("protokol")
    );
    let response = peer.response(PROMPTLY).unwrap();
    assert_eq!(
        (response.status, response.header("sec-websocket-protocol")),
        (101, None)
    );
    scene.finish();
}

#[test]
fn only_the_first_of_many_answers_counts() {
    let scene = Scene::new();
    let server = server(&scene, json!({}));
    for _ in 0..20 {
        let mut peer = asking(server, "");
        let client = asked(&scene, server).client();
        let commands = [
            "&client_accept",
            "&client_reject",
            "&client_accept",
            "&client_reject",
        ];
        let tags = commands.map(|command| begin!(scene.host, command, client, "{}"));
        let statuses = tags.map(|tag| scene.host.reply(&tag, WATCHDOG).status);
        let done = statuses.iter().filter(|status| **status == OK).count();
        assert_eq!(done, 1, "{statuses:?}");
        let late = |status: &i32| [OK, WRONG_STATE, UNKNOWN_REF].contains(status);
        assert!(statuses.iter().all(late), "{statuses:?}");
        let is_accepted = statuses[0] == OK || statuses[2] == OK;
        assert_eq!(answered(&mut peer), if is_accepted { 101 } else { 403 });
        scene
            .host
            .event(if is_accepted { "open" } else { "refused" }, client);
    }
    scene.finish();
}

#[test]
fn without_an_answer_in_time_it_is_503() {
    let scene = Scene::new();
    let server = server(&scene, json!({"admissionTimeoutMs": 300}));
    let began = Instant::now();
    let mut peer = asking(server, "");
    let client = asked(&scene, server).client();
    let response = peer.response(PROMPTLY).unwrap();
    assert_eq!(response.status, 503);
    assert!(response.header("retry-after").is_some());
    assert!(began.elapsed() >= Duration::from_millis(290));
    let event = refused(&scene, server);
    assert_eq!(
        (event.client(), event.context("rule")),
        (client, &json!("admissionTimeout"))
    );
    ask!(scene.host, "client_accept", client, "{}").fails(UNKNOWN_REF, &[]);
    drop(peer);
    scene.finish();
}

#[test]
fn the_host_may_answer_later_than_a_handshake_may_take() {
    let scene = Scene::new();
    let options = json!({"handshakeTimeoutMs": 300, "admissionTimeoutMs": 60_000, "interval": 100});
    let server = server(&scene, options);
    let mut peer = asking(server, "");
    let request = asked(&scene, server);
    // The server's own service tells how time passes, on the clock that the request was told by.
    scene.host.wait_for("late service", WATCHDOG, |event| {
        event.is("service") && event.t() >= request.t() + 600
    });
    let client = request.client();
    ask!(scene.host, "client_accept", client, "{}").ok();
    assert_eq!(answered(&mut peer), 101);
    scene.host.event("open", client);
    ask!(scene.host, "client_send", client, 1, "=welcome").ok();
    assert_eq!(peer.frame().payload, b"welcome");
    let info = ask!(scene.host, "server_info", server.reference).ok().body;
    assert_eq!(info["refused"], json!({}));
    scene.finish();
}

#[test]
fn a_host_that_never_answers_holds_nothing_else_up() {
    let scene = Scene::new();
    // The questions outlast the handshakes, and are more than may shake hands.
    let options = json!({"path": "/ask", "handshakeTimeoutMs": 700, "maxPendingHandshakes": 10,
                         "maxPendingRequests": 50});
    let server = server(&scene, options);
    let options =
        json!({"port": server.port, "handshakeTimeoutMs": 700, "maxPendingHandshakes": 10});
    let other = scene.server(options);
    let ask = |headers: &str| {
        let mut peer = Peer::tcp(server.port);
        peer.send_bytes(request_to("localhost", "/ask", headers).as_bytes());
        peer
    };
    let mut waiting = Vec::new();
    for _ in 0..50 {
        waiting.push(ask(""));
        asked(&scene, server);
    }
    // One more is one too many, and is told so at once.
    assert_eq!(answered(&mut ask("")), 503);
    for _ in 0..20 {
        at_once(|| drop(Peer::client(other.port)));
    }
    let over = Instant::now() + Duration::from_millis(900);
    assert!(waiting.iter_mut().all(|peer| {
        !peer.ends(
            over.saturating_duration_since(Instant::now())
                .max(Duration::from_millis(1)),
        )
    }));
    drop(waiting);
    for _ in 0..50 {
        assert_eq!(*refused(&scene, server).context("rule"), "left");
    }
    scene.finish();
}

#[test]
fn a_client_that_leaves_before_the_answer_ends_its_request() {
    let scene = Scene::new();
    let server = server(&scene, json!({"maxConnections": 1}));
    for reset in [false, true] {
        let peer = asking(server, "");
        let client = asked(&scene, server).client();
        match reset {
            true => peer.reset(),
            false => drop(peer),
        }
        let event = refused(&scene, server);
        assert_eq!(event.client(), client);
        assert_eq!(
            (event.context("status"), event.context("rule")),
            (&json!(0), &json!("left"))
        );
        ask!(scene.host, "client_accept", client, "{}").fails(UNKNOWN_REF, &[]);
    }
    // Its seat is free again.
    let mut peer = asking(server, "");
    let client = asked(&scene, server).client();
    ask!(scene.host, "client_accept", client, "{}").ok();
    assert_eq!(answered(&mut peer), 101);
    scene.finish();
}

#[test]
fn what_a_client_sends_before_the_answer_is_not_lost() {
    let scene = Scene::new();
    let server = server(&scene, json!({}));
    let mut peer = asking(server, "");
    peer.send(&Frame::text("early"));
    let client = asked(&scene, server).client();
    peer.send(&Frame::text("bird"));
    ask!(scene.host, "client_accept", client, "{}").ok();
    assert_eq!(scene.host.event("message", client).bytes(), b"early");
    assert_eq!(scene.host.event("message", client).bytes(), b"bird");
    // More than is kept waits in the sockets.
    let mut flood = asking(server, "");
    let client = asked(&scene, server).client();
    let whole = Frame::text("x".repeat(4 << 20));
    let sending = std::thread::spawn(move || {
        flood.send(&whole);
        flood
    });
    ask!(scene.host, "client_accept", client, "{}").ok();
    let message = scene.host.event("message", client);
    assert_eq!(message.number("length"), 4 << 20);
    drop(sending.join().unwrap());
    scene.finish();
}

#[test]
fn stop_clear_and_shutdown_end_what_waits() {
    let scene = Scene::new();
    let server = server(&scene, json!({}));
    let mut peer = asking(server, "");
    let client = asked(&scene, server).client();
    ask!(scene.host, "server_stop", server.reference, "{}").ok();
    assert_eq!(answered(&mut peer), 503);
    let event = refused(&scene, server);
    assert_eq!(
        (event.client(), event.context("rule")),
        (client, &json!("stop"))
    );
    ask!(scene.host, "client_accept", client, "{}").fails(UNKNOWN_REF, &[]);

    let again = ask!(scene.host, "server_start", server.reference, "{}").ok();
    let server = Server {
        port: again.body["port"].as_u64().unwrap() as u16,
        ..server
    };
    // The connection alone is cleared: no more of it is heard, and the client is not left waiting.
    let mut peer = asking(server, "");
    let client = asked(&scene, server).client();
    ask!(scene.host, "client_clear", client).ok();
    assert_eq!(answered(&mut peer), 503);
    ask!(scene.host, "client_accept", client, "{}").fails(UNKNOWN_REF, &[]);

    drop(peer);

    let mut peer = asking(server, "");
    let second = asked(&scene, server).client();
    let cleared = ask!(scene.host, "server_clear", server.reference).ok();
    assert_eq!(answered(&mut peer), 503);
    assert!(soon(WATCHDOG, || {
        ask!(scene.host, "client_accept", second, "{}").status == UNKNOWN_REF
    }));
    // It may have been told while the clear went on.
    let late = |event: &Event| event.is("refused") && event.t() > cleared.t;
    assert_eq!(scene.host.take(late), []);
    scene.finish();
}

#[test]
fn shutdown_does_not_wait_for_a_host_that_never_answers() {
    let host = crate::host::Host::spawn();
    ask!(host, "callbacks", "em").ok();
    let options = json!({"port": 0, "admission": "ask"});
    let server = ask!(host, "server_create", options).ok().reference;
    let started = ask!(host, "server_start", server, "{}").ok();
    let server = Server {
        reference: server,
        port: started.body["port"].as_u64().unwrap() as u16,
        headers: "",
    };
    let mut peer = asking(server, "");
    let client = host.server_event("request", server.reference).client();
    let began = Instant::now();
    ask!(host, "shutdown", 20_000).ok();
    assert!(began.elapsed() < WATCHDOG, "{:?}", began.elapsed());
    assert_eq!(answered(&mut peer), 503);
    host.event("refused", client);
    host.leave();
}

#[test]
fn a_clear_of_the_server_waits_for_the_callback_that_asks() {
    for dispatch in ["inline", "thread", "perConnection"] {
        let scene = Scene::new();
        let server = server(&scene, json!({"dispatch": dispatch}));
        let rule = begin!(scene.host, "on", "request", 1, "sleep", 800);
        scene.host.reply(&rule, WATCHDOG).ok();
        let _peer = asking(server, "");
        asked(&scene, server);
        let cleared = ask!(scene.host, "server_clear", server.reference).ok();
        let callback = scene.host.reply(&format!("{rule}!"), WATCHDOG);
        assert!(callback.t <= cleared.t, "{dispatch}");
        scene.finish();
    }
}
