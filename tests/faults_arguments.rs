//! Wrong arguments, options, addresses and refs (rows 1-3, 20 and 23 of the table of faults): each is answered with
//! the status and the words that tell what to mend, and nothing has happened.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/host.rs"]
mod host;
#[path = "support/scene.rs"]
mod scene;

use adversary::{Frame, PROMPTLY, Peer};
use host::{
    Host, INVALID_ARGUMENT, INVALID_OPTIONS, NETWORK, OK, Reply, TIMEOUT, TOO_LARGE, UNKNOWN_REF,
    WATCHDOG, WRONG_STATE,
};
use scene::{MIB, Scene, dispatched, scaled};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Instant;

/// A server and a client of it in one host, both connected; the refs of the server, the client and the accepted one.
fn pair(scene: &Scene) -> (i32, i32, i32) {
    let server = scene.server(json!({}));
    let client = scene.client(json!({"url": server.url()}));
    ask!(scene.host, "client_start", client, "{}").ok();
    let accepted = scene.host.server_event("open", server.reference).client();
    (server.reference, client, accepted)
}

#[test]
fn row_01_a_missing_out_argument_is_named() {
    let scene = Scene::new();
    let host = &scene.host;
    ask!(host, "server_create", "{}", "~").fails(INVALID_ARGUMENT, &["server"]);
    ask!(host, "client_create", json!({"url": scene.echo.url()}), "~")
        .fails(INVALID_ARGUMENT, &["client"]);
    assert_eq!(ask!(host, "event_next", 0, "~").status, INVALID_ARGUMENT);
    assert_eq!(ask!(host, "echo_method", "~").status, INVALID_ARGUMENT);
    scene.finish();
}

#[test]
fn row_01_a_null_event_null_text_and_unknown_status_are_harmless() {
    let scene = Scene::new();
    let host = &scene.host;
    assert_eq!(
        ask!(host, "null_event").status,
        8,
        "every accessor of a NULL event gives 0 or NULL"
    );
    assert_eq!(
        ask!(host, "text_copy", "abc", "~", 0).status,
        4,
        "the bytes needed, the NUL among them"
    );
    assert_eq!(ask!(host, "text_copy", "abc", "buffer", 2).status, 4);
    assert!(ask!(host, "text_copy", "~", "buffer", 10).status <= 1);
    for status in [0, 1, -1, -99, 12345, i32::MIN] {
        assert_ne!(
            ask!(host, "status_text", status).body.as_str(),
            Some(""),
            "{status}"
        );
    }
    scene.finish();
}

#[test]
fn row_01_a_ref_that_is_no_ref_is_refused_by_every_function() {
    let scene = Scene::new();
    let (server, client, _) = pair(&scene);
    let host = &scene.host;
    for wrong in [0, 1_000_000, -1_000_000, i32::MAX, i32::MIN] {
        let refused = |reply: Reply| {
            reply.fails(UNKNOWN_REF, &[&wrong.to_string()]);
        };
        refused(ask!(host, "server_start", wrong, "{}"));
        refused(ask!(host, "server_stop", wrong, "{}"));
        refused(ask!(host, "server_clear", wrong));
        refused(ask!(host, "client_start", wrong, "{}"));
        refused(ask!(host, "client_stop", wrong, "{}"));
        refused(ask!(host, "client_send", wrong, 1, "=x"));
        refused(ask!(host, "client_clear", wrong));
        assert_eq!(
            ask!(host, "server_send", wrong, 1, "=x").status,
            UNKNOWN_REF
        );
        assert_eq!(ask!(host, "server_clients", wrong).status, UNKNOWN_REF);
        assert_eq!(
            ask!(host, "server_messages", wrong, "{}").status,
            UNKNOWN_REF
        );
        assert_eq!(
            ask!(host, "client_messages", wrong, "{}").status,
            UNKNOWN_REF
        );
        // Without a place for the reply nothing changes.
        assert_eq!(
            ask!(host, "-client_send", wrong, 1, "=x").status,
            UNKNOWN_REF
        );
    }
    // A ref of the other sort is as wrong as none.
    ask!(host, "client_send", server, 1, "=x").fails(UNKNOWN_REF, &[]);
    assert_eq!(
        ask!(host, "server_send", client, 1, "=x").status,
        UNKNOWN_REF
    );
    scene.finish();
}

#[test]
fn row_01_data_length_and_kind_are_checked_and_named() {
    let scene = Scene::new();
    let (server, client, accepted) = pair(&scene);
    let host = &scene.host;
    for length in [-1, i32::MIN] {
        ask!(host, "client_send", client, 1, "=abc", length).fails(INVALID_ARGUMENT, &["length"]);
        assert_eq!(
            ask!(host, "server_send", server, 1, "=abc", "{}", length).status,
            INVALID_ARGUMENT
        );
    }
    for length in [1, 5, i32::MAX] {
        ask!(host, "client_send", client, 1, "~", length).fails(INVALID_ARGUMENT, &["data"]);
        assert_eq!(
            ask!(host, "server_send", server, 1, "~", "{}", length).status,
            INVALID_ARGUMENT
        );
    }
    for kind in [0, 3, 7, 8, 11, 15, 16, -1, i32::MAX] {
        ask!(host, "client_send", client, kind, "=abc").fails(INVALID_ARGUMENT, &["kind"]);
        assert_eq!(
            ask!(host, "server_send", server, kind, "=abc", "{}").status,
            INVALID_ARGUMENT
        );
    }
    // RFC 6455 § 5.5: a control frame carries at most 125 bytes.
    for kind in [9, 10] {
        ask!(host, "client_send", client, kind, "*126").fails(TOO_LARGE, &["125"]);
        ask!(host, "client_send", client, kind, "*125").ok();
    }
    for invalid in ["%ff", "%c0af", "%eda080", "%f4908080", "%e282"] {
        ask!(host, "client_send", client, 1, invalid).fails(INVALID_ARGUMENT, &["utf-8"]);
    }
    // Nothing of all that has reached the other side: the next message is the first one.
    ask!(host, "client_send", client, 1, "~", 0).ok();
    ask!(host, "client_send", client, 2, "=x", 0).ok();
    ask!(host, "client_send", client, 1, "=first").ok();
    let lengths: Vec<i32> = (0..3)
        .map(|_| host.event("message", accepted).number("length"))
        .collect();
    assert_eq!(lengths, [0, 0, 5]);
    scene.finish();
}

#[test]
fn row_01_null_options_mean_the_defaults() {
    let scene = Scene::new();
    let host = &scene.host;
    for nothing in ["~", "", "{}"] {
        let server = ask!(host, "server_create", nothing).ok();
        assert_eq!(server.body["port"], 8080);
        assert_eq!(server.body["host"], "127.0.0.1");
        assert!(server.reference < 0, "{}", server.reference);
        ask!(host, "server_clear", server.reference).ok();
    }
    let (server, client, _) = pair(&scene);
    for nothing in ["~", ""] {
        assert_eq!(ask!(host, "server_messages", server, nothing).status, OK);
        assert_eq!(
            ask!(host, "server_send", server, 1, "=x", nothing).status,
            OK
        );
    }
    ask!(host, "client_stop", client, "~").ok();
    ask!(host, "server_stop", server, "~").ok();
    scene.finish();
}

/// A create that fails, and says so in words that hold all of `parts`.
fn refused(host: &Host, options: impl AsRef<[u8]>, parts: &[&str]) -> Value {
    let given = String::from_utf8_lossy(options.as_ref());
    let reply = host.call(&[b"server_create", options.as_ref()]);
    assert_eq!(reply.status, INVALID_OPTIONS, "{given}: {}", reply.body);
    let reply = reply.fails(INVALID_OPTIONS, parts);
    assert_eq!(reply.reference, 0, "nothing has been created");
    reply.body
}

#[test]
fn row_02_json_that_is_none_is_an_error_with_its_place() {
    let scene = Scene::new();
    let host = &scene.host;
    let deep = 10_000;
    for bytes in [
        &b"{\"host\":\"\xff\xfe\"}"[..],
        b"{\"host\":\"\xed\xa0\x80\"}",
    ] {
        host.call(&[b"server_create", bytes])
            .fails(INVALID_ARGUMENT, &["options", "utf-8", "byte 9"]);
    }
    for (options, place) in [
        ("{\"port\":80".to_owned(), "column 10"),
        ("{\"port\":".to_owned(), "column 8"),
        ("{\"port\" 80}".to_owned(), "column 9"),
        ("{\"host\":\"a".to_owned(), "column"),
        ("{\"port\":NaN}".to_owned(), "column 9"),
        ("{\"port\":80} x".to_owned(), "column 13"),
        ("{'port':80}".to_owned(), "column 2"),
        ("{\"host\":\"\u{1}\"}".to_owned(), "column"),
        ("{\"host\":\"\\ud800\"}".to_owned(), "column"),
        (format!("{{\"port\":{}", "[".repeat(deep)), "column"),
        (
            format!("{{\"unheard\":{}{}}}", "[".repeat(deep), "]".repeat(deep)),
            "column",
        ),
        ("{".repeat(deep), "column"),
    ] {
        refused(host, options, &[place]);
    }
    for no_object in ["[]", "7", "\"port\"", "null", "true"] {
        refused(host, no_object, &["object"]);
    }
    scene.finish();
}

#[test]
fn row_02_an_option_of_the_wrong_type_or_out_of_range_is_named_with_what_was_given() {
    let scene = Scene::new();
    let host = &scene.host;
    for (options, option, given) in [
        (r#"{"port":"80"}"#, "port", "80"),
        (r#"{"port":80.5}"#, "port", "80.5"),
        (r#"{"port":-1}"#, "port", "-1"),
        (r#"{"port":65536}"#, "port", "65536"),
        (r#"{"port":1e400}"#, "", ""),
        (r#"{"port":null,"host":7}"#, "host", "7"),
        (r#"{"host":["a"]}"#, "host", ""),
        (r#"{"maxConnections":-5}"#, "maxConnections", "-5"),
        (r#"{"maxMessage":"16 MiB"}"#, "maxMessage", "16 MiB"),
        (r#"{"pingInterval":-2}"#, "pingInterval", "-2"),
        (r#"{"pingInterval":true}"#, "pingInterval", "true"),
        (
            r#"{"handshakeTimeoutMs":99999999999999999999}"#,
            "handshakeTimeoutMs",
            "",
        ),
        (r#"{"closeTimeoutMs":{}}"#, "closeTimeoutMs", ""),
        (r#"{"method":7}"#, "method", "7"),
        (r#"{"window":4294967296}"#, "window", "4294967296"),
        (r#"{"dispatch":"sometimes"}"#, "dispatch", "sometimes"),
        (r#"{"port":80,"port":81}"#, "", "\"port\" is given twice"),
    ] {
        let body = refused(host, options, &[option, given]);
        if !option.is_empty() {
            assert_eq!(body["error"]["option"], option, "{options}: {body}");
        }
    }
    let client = host
        .call(&["client_create", r#"{"url":7}"#])
        .fails(INVALID_OPTIONS, &["url", "7"]);
    assert_eq!(client.reference, 0);
    scene.finish();
}

#[test]
fn row_02_an_unknown_option_is_named_with_the_nearest_known_one() {
    let scene = Scene::new();
    let options = json!({"port": 0, "pingIntervall": 5, "Host": "::1", "fromage": true});
    let reply = ask!(scene.host, "server_create", options).ok();
    let ignored = reply.body["ignoredOptions"].to_string();
    for part in ["pingIntervall", "pingInterval", "Host", "host", "fromage"] {
        assert!(ignored.contains(part), "no {part} in {ignored}");
    }
    assert_eq!(
        ignored.matches("fromage").count(),
        1,
        "nothing is near to it: {ignored}"
    );
    ask!(scene.host, "server_clear", reply.reference).ok();
    // What create gives can be passed back as it is.
    let reply = ask!(scene.host, "server_create", json!({"port": 0})).ok();
    assert_eq!(reply.body.get("ignoredOptions"), None);
    let started = ask!(scene.host, "server_start", reply.reference, reply.body).ok();
    let ignored = started.body["ignoredOptions"].to_string();
    assert!(!ignored.contains("port"), "{ignored}");
    ask!(scene.host, "server_clear", reply.reference).ok();
    scene.finish();
}

#[test]
fn row_02_options_of_100_mb_are_read_or_refused_and_their_memory_comes_back() {
    let scene = Scene::new();
    let size = scaled(20_000_000, 100_000_000);
    scene.may_grow(8 * size as u64);
    let started = Instant::now();
    for options in [
        format!("{{\"port\":0,\"unheard\":\"{}\"}}", "x".repeat(size)),
        format!("{{\"port\":0,\"method\":\"{}", "x".repeat(size)),
        format!("{{\"port\":0,\"unheard\":[{}1]}}", "1,".repeat(size / 2)),
    ] {
        let reply = scene.host.call(&["server_create", &options]);
        assert!(
            [OK, INVALID_OPTIONS].contains(&reply.status),
            "{}",
            reply.status
        );
        if reply.status == OK {
            ask!(scene.host, "server_clear", reply.reference).ok();
        }
    }
    assert!(started.elapsed() < WATCHDOG, "{:?}", started.elapsed());
    ask!(scene.host, "trim");
    let grown = scene.host.rss().saturating_sub(scene.ready().rss);
    assert!(grown < 16 * MIB, "{} KiB are still held", grown >> 10);
    scene.finish();
}

/// A start that fails at once and names the address and the reason.
fn does_not_start(scene: &Scene, options: Value, parts: &[&str]) -> i32 {
    let server = ask!(scene.host, "server_create", options).ok().reference;
    let began = Instant::now();
    ask!(scene.host, "server_start", server, "{}").fails(NETWORK, parts);
    assert!(began.elapsed() < PROMPTLY, "{:?}", began.elapsed());
    server
}

#[test]
fn row_03_a_start_on_a_taken_port_fails_with_address_and_reason_and_works_when_it_is_free() {
    let scene = Scene::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let server = does_not_start(&scene, json!({"port": port}), &[&address, "in use"]);
    drop(taken);
    ask!(scene.host, "server_start", server, "{}").ok();
    Peer::client(port);
    // The library's own port is taken as well.
    let second = does_not_start(&scene, json!({"port": port}), &[&address, "in use"]);
    for server in [second, server] {
        ask!(scene.host, "server_clear", server).ok();
    }
    scene.finish();
}

#[test]
fn row_03_a_start_on_a_port_that_is_not_allowed_fails_with_address_and_reason() {
    let privileged =
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if privileged.trim() == "0" {
        eprintln!("this machine lets everyone take every port");
        return;
    }
    let scene = Scene::new();
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        assert_eq!(ask!(scene.host, "become", 65534).status, 0);
    }
    let server = does_not_start(
        &scene,
        json!({"port": 1}),
        &["127.0.0.1:1", "ermission denied"],
    );
    ask!(scene.host, "server_start", server, json!({"port": 0})).ok();
    ask!(scene.host, "server_clear", server).ok();
    // Another user's /proc entries cannot be read: the footing of this host is not checked.
    scene.still_beats();
    ask!(scene.host, "server_clear", scene.echo.reference).ok();
    ask!(scene.host, "shutdown", 5000).ok();
    scene.host.leave();
}

#[test]
fn row_03_a_start_on_an_address_that_is_not_here_fails_with_address_and_reason() {
    let scene = Scene::new();
    // RFC 5737 and RFC 3849: addresses for documentation are nobody's.
    let four = does_not_start(
        &scene,
        json!({"host": "192.0.2.1", "port": 0}),
        &["192.0.2.1", "address"],
    );
    let six = does_not_start(
        &scene,
        json!({"host": "2001:db8::1", "port": 0}),
        &["2001:db8::1", "address"],
    );
    ask!(scene.host, "name", "nosuch.test", 0, "");
    let name = does_not_start(
        &scene,
        json!({"host": "nosuch.test", "port": 0}),
        &["nosuch.test"],
    );
    for server in [four, six, name] {
        let reply = ask!(
            scene.host,
            "server_start",
            server,
            json!({"host": "localhost"})
        )
        .ok();
        let port = reply.body["port"].as_u64().unwrap() as u16;
        assert_ne!(port, 0);
        Peer::client(port);
        ask!(scene.host, "server_clear", server).ok();
    }
    scene.finish();
}

#[test]
fn row_20_a_send_to_what_is_not_connected_is_refused_and_reaches_nobody() {
    let scene = Scene::new();
    let host = &scene.host;
    let (server, other) = (scene.server(json!({})), scene.server(json!({})));
    let never = scene.client(json!({"url": server.url()}));
    ask!(host, "client_send", never, 1, "=x").fails(WRONG_STATE, &[]);
    assert_eq!(
        ask!(
            host,
            "server_send",
            scene.server(json!({})).reference,
            1,
            "=x"
        )
        .body,
        json!([])
    );

    let (mut gone, closed) = scene.peer(server);
    gone.send(&Frame::close(1000, ""));
    host.event("close", closed);
    ask!(host, "client_send", closed, 1, "=x").fails(UNKNOWN_REF, &[]);

    // Those who come next do not get what was meant for the one before.
    let (mut near, near_ref) = scene.peer(server);
    let (mut far, far_ref) = scene.peer(other);
    assert_ne!(near_ref, closed, "a ref is not used again");
    ask!(host, "client_send", closed, 1, "=x").fails(UNKNOWN_REF, &[]);
    let targets = json!({"clients": [closed, never, far_ref, near_ref, 0, -7, 999_999]});
    let reply = ask!(
        host,
        "server_send",
        server.reference,
        1,
        "=for the near one",
        targets
    );
    let statuses = reply.body.as_array().expect("one status for each target");
    assert_eq!(statuses.len(), 7, "{}", reply.body);
    for status in statuses {
        let is_near = status["client"] == near_ref;
        assert_eq!(status["success"], is_near, "{status}");
        assert_eq!(status["error"].is_object(), !is_near, "{status}");
    }
    ask!(
        host,
        "server_send",
        server.reference,
        1,
        "=for nobody",
        json!({"clients": []})
    );
    ask!(host, "client_send", far_ref, 1, "=for the far one").ok();
    ask!(host, "client_send", near_ref, 1, "=second").ok();
    assert_eq!(near.frame(), Frame::text("for the near one").masked(false));
    assert_eq!(near.frame(), Frame::text("second").masked(false));
    assert_eq!(far.frame(), Frame::text("for the far one").masked(false));

    let cleared = scene.client(json!({"url": server.url()}));
    ask!(host, "client_start", cleared, "{}").ok();
    ask!(host, "client_clear", cleared).ok();
    ask!(host, "client_send", cleared, 1, "=x").fails(UNKNOWN_REF, &[]);
    ask!(host, "client_start", cleared, "{}").fails(UNKNOWN_REF, &[]);
    scene.finish();
}

#[test]
fn row_20_the_ref_of_an_accepted_connection_is_gone_when_its_close_is_told() {
    for dispatch in ["thread", "inline", "pump", "perConnection", "affinity"] {
        let scene = Scene::new();
        let host = &scene.host;
        if dispatch == "pump" {
            ask!(host, "loop", "pump", 50).ok();
        }
        let server = scene.server(dispatched(dispatch, json!({})));
        let rule = begin!(host, "on", "close", 20, "client_send", "@c", 1, "=x");
        host.reply(&rule, WATCHDOG).ok();
        for _ in 0..20 {
            let (mut peer, client) = scene.peer(server);
            peer.send(&Frame::close(1000, ""));
            let inside = host.reply(&format!("{rule}!"), WATCHDOG);
            assert_eq!(inside.status, UNKNOWN_REF, "{dispatch}");
            ask!(host, "client_send", client, 1, "=x").fails(UNKNOWN_REF, &[]);
            let targets = json!({"clients": [client]});
            let reply = ask!(host, "server_send", server.reference, 1, "=x", targets);
            assert_eq!(reply.body[0]["error"]["code"], UNKNOWN_REF, "{dispatch}");
        }
        if dispatch == "pump" {
            ask!(host, "halt").ok();
        }
        scene.finish();
    }
}

#[test]
fn row_20_refs_are_not_handed_out_again() {
    let scene = Scene::new();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..scaled(500, 10_000) {
        for kind in ["server", "client"] {
            let options = json!({"url": "ws://127.0.0.1:9/"});
            let reference = scene
                .host
                .call(&[format!("{kind}_create"), options.to_string()])
                .ok()
                .reference;
            assert!(seen.insert(reference), "{reference} came twice");
            scene
                .host
                .call(&[format!("{kind}_clear"), reference.to_string()])
                .ok();
        }
    }
    scene.finish();
}

#[test]
fn row_23_what_has_been_cleared_is_unknown_and_clearing_it_again_is_harmless() {
    let scene = Scene::new();
    let host = &scene.host;
    let (server, client, accepted) = pair(&scene);
    ask!(host, "client_clear", accepted).ok();
    assert_eq!(ask!(host, "client_clear", accepted).status, UNKNOWN_REF);
    host.event("close", client);
    for _ in 0..2 {
        ask!(host, "client_clear", client);
        ask!(host, "server_clear", server);
    }
    assert_eq!(ask!(host, "client_clear", client).status, UNKNOWN_REF);
    assert_eq!(ask!(host, "server_clear", server).status, UNKNOWN_REF);
    assert_eq!(
        ask!(host, "null_event").status,
        8,
        "a free of NULL is harmless"
    );
    scene.finish();
}

#[test]
fn row_23_nothing_is_heard_of_what_has_been_cleared() {
    let scene = Scene::new();
    let host = &scene.host;
    let server = scene.server(json!({}));
    let mut peers: Vec<(Peer, i32)> = (0..20).map(|_| scene.peer(server)).collect();
    for (peer, _) in &mut peers {
        for _ in 0..50 {
            peer.send(&Frame::text("in flight"));
        }
    }
    let cleared = ask!(host, "server_clear", server.reference).ok();
    for (peer, _) in &mut peers {
        assert!(peer.ends(PROMPTLY));
    }
    // A round trip through the same callback thread: what was on its way before has been delivered.
    let other = scene.server(json!({}));
    scene.peer(other);
    let late = host.take(|event| event.server() == server.reference && event.t() > cleared.t + 1);
    assert!(late.is_empty(), "{late:?}");
    assert_eq!(ask!(host, "event_next", 0).status, TIMEOUT);
    scene.finish();
}
