//! A server's own context and its clients': "service" at an interval, "execute", "stopped", values, and blocking.

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
    Event, INVALID_ARGUMENT, INVALID_OPTIONS, OK, UNKNOWN_REF, WATCHDOG, WRONG_STATE, soon,
};
use scene::{Scene, Server};
use serde_json::{Value, json};
use std::time::Duration;

impl Scene {
    /// Sees to it that events come, whatever the delivery: "pull" and "pump" by a loop of the host.
    fn delivered(mode: &str) -> (Scene, Value) {
        let scene = match mode {
            "pull" => Scene::pulling(),
            _ => Scene::new(),
        };
        match mode {
            "pull" | "pump" => {
                ask!(scene.host, "loop", mode, 20).ok();
                (scene, json!(if mode == "pump" { "pump" } else { "thread" }))
            }
            _ => (scene, json!(mode)),
        }
    }

    fn service(&self, server: Server) -> Event {
        self.host.wait_for("service", WATCHDOG, |event| {
            event.is("service") && event.server() == server.reference && event.client() == 0
        })
    }

    fn end(self, mode: &str) {
        self.clear();
        if ["pull", "pump"].contains(&mode) {
            ask!(self.host, "halt").ok();
        }
        self.host.leave();
    }
}

/// One test for each way in which events reach a host.
macro_rules! in_every_mode {
    ($($name:ident)*) => {
        $(mod $name {
            #[test] fn thread() { super::check::$name("thread"); }
            #[test] fn inline() { super::check::$name("inline"); }
            #[test] fn per_connection() { super::check::$name("perConnection"); }
            #[test] fn pump() { super::check::$name("pump"); }
            #[test] fn pull() { super::check::$name("pull"); }
        })*
    };
}

in_every_mode! {
    service_comes_again_and_again_and_stopped_once_at_the_end
    procedures_run_in_the_context_that_they_were_asked_for
    an_execute_does_not_starve_behind_a_short_interval
    the_next_service_is_counted_from_the_end_of_the_one_before
}

mod check {
    use super::*;

    pub fn service_comes_again_and_again_and_stopped_once_at_the_end(mode: &str) {
        let (scene, dispatch) = Scene::delivered(mode);
        let server = scene.server(json!({"interval": 30, "dispatch": dispatch}));
        let (_peer, client) = scene.peer(server);
        for _ in 0..3 {
            assert_eq!(scene.service(server).0["context"], json!({}));
        }
        ask!(scene.host, "server_stop", server.reference, "{}").ok();
        let stopped = scene.host.server_event("stopped", server.reference);
        assert_eq!((stopped.client(), &stopped.0["context"]), (0, &json!({})));
        let close = scene.host.event("close", client);
        assert!(close.t() <= stopped.t());
        // Nothing comes behind it, until the next start.
        assert!(
            scene
                .host
                .take(|event| event.is("service") && event.t() > stopped.t())
                .is_empty()
        );
        ask!(scene.host, "server_start", server.reference, "{}").ok();
        scene.service(server);
        ask!(scene.host, "server_stop", server.reference, "{}").ok();
        scene.host.server_event("stopped", server.reference);
        assert!(scene.host.take(|event| event.is("stopped")).is_empty());
        scene.end(mode);
    }

    pub fn procedures_run_in_the_context_that_they_were_asked_for(mode: &str) {
        let (scene, dispatch) = Scene::delivered(mode);
        let server = scene.server(json!({"dispatch": dispatch}));
        let (mut peer, client) = scene.peer(server);
        let params = json!({"who": "ann \"\\\u{1}", "list": [1, null]});
        ask!(scene.host, "client_execute", client, "greet", params).ok();
        let event = scene.host.event("execute", client);
        assert_eq!(event.server(), server.reference);
        assert_eq!(
            event.0["context"],
            json!({"procedure": "greet", "params": params})
        );
        ask!(
            scene.host,
            "server_execute",
            server.reference,
            "count \"all\"",
            "~"
        )
        .ok();
        let event = scene.host.server_event("execute", server.reference);
        assert_eq!(event.client(), 0);
        assert_eq!(
            event.0["context"],
            json!({"procedure": "count \"all\"", "params": null})
        );
        // Sends from inside that context go out.
        ask!(
            scene.host,
            "on",
            "execute",
            -1,
            "client_send",
            "@c",
            1,
            "=from the context"
        )
        .ok();
        ask!(scene.host, "client_execute", client, "send", "[1]").ok();
        assert_eq!(peer.frame().payload, b"from the context");
        // Many, in their order.
        ask!(scene.host, "quiet", "message").ok();
        for number in 0..50 {
            ask!(scene.host, "client_execute", client, "count", number).ok();
        }
        scene.host.event("execute", client);
        for number in 0..50 {
            assert_eq!(
                *scene.host.event("execute", client).context("params"),
                number
            );
        }
        scene.end(mode);
    }

    pub fn the_next_service_is_counted_from_the_end_of_the_one_before(mode: &str) {
        let (scene, dispatch) = Scene::delivered(mode);
        // The host is told, and then stays in the callback for longer than the interval; who pulls, frees the event then.
        ask!(scene.host, "on", "service", -1, "sleep", 150).ok();
        let server = scene.server(json!({"interval": 50, "dispatch": dispatch}));
        let times: Vec<i64> = (0..4).map(|_| scene.service(server).t()).collect();
        for pair in times.windows(2) {
            assert!(pair[1] - pair[0] >= 199, "{times:?}");
        }
        scene.end(mode);
    }

    pub fn an_execute_does_not_starve_behind_a_short_interval(mode: &str) {
        let (scene, dispatch) = Scene::delivered(mode);
        // The next service is due as soon as the one before has ended, which takes its time.
        ask!(scene.host, "on", "service", -1, "sleep", 20).ok();
        let server = scene.server(json!({"interval": "1 ms", "dispatch": dispatch}));
        scene.service(server);
        for number in 0..5 {
            let asked = ask!(
                scene.host,
                "server_execute",
                server.reference,
                "now",
                number
            )
            .ok();
            let executed = scene.host.server_event("execute", server.reference);
            assert_eq!(*executed.context("params"), number);
            let mut before = scene
                .host
                .take(|event| event.is("service") && event.t() < executed.t());
            // Those that came before it was asked for were not preferred to it.
            before.retain(|event| event.t() > asked.t);
            assert!(before.len() <= 2, "{before:?} came before {executed:?}");
        }
        scene.end(mode);
    }
}

#[test]
fn intervals_are_numbers_or_texts() {
    let scene = Scene::new();
    for (given, millis) in [
        (json!(250), 250),
        (json!("250"), -1),
        (json!("10 ms"), 10),
        (json!("10ms"), 10),
        (json!("20 s"), 20_000),
        (json!("1.5s"), 1500),
        (json!("1 min"), 60_000),
        (json!(0), 0),
        (json!(-1), -1),
        (json!("20 years"), -1),
        (json!(86_400_001), -1),
        (json!(true), -1),
    ] {
        let created = ask!(scene.host, "server_create", json!({"interval": given}));
        if millis < 0 {
            created.fails(INVALID_OPTIONS, &["interval"]);
            continue;
        }
        let created = created.ok();
        assert_eq!(created.body["interval"], millis, "{given}");
        ask!(scene.host, "server_clear", created.reference).ok();
    }
    scene.finish();
}

#[test]
fn an_interval_can_be_set_while_the_server_listens() {
    let scene = Scene::new();
    let server = scene.server(json!({"interval": "1 h"}));
    let set = ask!(
        scene.host,
        "server_set",
        server.reference,
        json!({"interval": 20})
    )
    .ok();
    assert_eq!(set.body["interval"], 20);
    scene.service(server);
    scene.service(server);
    scene.finish();
}

#[test]
fn a_blocked_server_refuses_new_clients_and_keeps_the_others() {
    let scene = Scene::new();
    let server = scene.server(json!({}));
    let (mut peer, client) = scene.peer(server);
    let block = |blocked: bool| {
        let options = json!({"blocked": blocked, "port": 1, "blokced": true});
        let reply = ask!(scene.host, "server_set", server.reference, options).ok();
        assert_eq!(reply.body["blocked"], blocked);
        let ignored = reply.body["ignoredOptions"].as_array().unwrap();
        assert_eq!(ignored.len(), 2, "{ignored:?}");
        let info = ask!(scene.host, "server_info", server.reference).ok();
        assert_eq!(info.body["blocked"], blocked);
    };
    block(true);
    let response = Peer::http(server.port, adversary::request("")).unwrap();
    assert_eq!(response.status, 503);
    peer.send(&Frame::text("still here"));
    scene.host.event("message", client);
    let info = ask!(scene.host, "server_info", server.reference).ok().body;
    assert_eq!(info["refused"], json!({"blocked": 1}));
    block(false);
    let (_other, _) = scene.peer(server);
    ask!(
        scene.host,
        "server_stop",
        server.reference,
        json!({"blocked": true})
    )
    .ok();
    ask!(
        scene.host,
        "server_start",
        server.reference,
        json!({"port": server.port})
    )
    .ok();
    let response = Peer::http(server.port, adversary::request("")).unwrap();
    assert_eq!(response.status, 503);
    ask!(scene.host, "server_set", 17, "{}").fails(UNKNOWN_REF, &["17"]);
    scene.finish();
}

#[test]
fn values_stay_with_their_ref_and_go_with_it() {
    let scene = Scene::new();
    let server = scene.server(json!({}));
    let (mut peer, client) = scene.peer(server);
    for (kind, reference) in [("server", server.reference), ("client", client)] {
        let set = format!("{kind}_set_value");
        let get = format!("{kind}_get_value");
        let kept = |key: &str| ask!(scene.host, get, reference, key).ok().body;
        assert_eq!(kept("name"), Value::Null);
        ask!(scene.host, set, reference, "name", "Änn \"x\"").ok();
        ask!(scene.host, set, reference, "", "empty key").ok();
        ask!(scene.host, set, reference, "empty", "").ok();
        assert_eq!(kept("name"), "Änn \"x\"");
        assert_eq!(kept(""), "empty key");
        assert_eq!(kept("empty"), "");
        ask!(scene.host, set, reference, "name", "other").ok();
        assert_eq!(kept("name"), "other");
        ask!(scene.host, set, reference, "name", "~").ok();
        assert_eq!(kept("name"), Value::Null);
        assert_eq!(
            ask!(scene.host, set, reference, "~", "x").status,
            INVALID_ARGUMENT
        );
        assert_eq!(
            ask!(scene.host, get, reference, "~").status,
            INVALID_ARGUMENT
        );
        assert_eq!(
            ask!(scene.host, get, reference, "name", "~").status,
            INVALID_ARGUMENT
        );
        assert_eq!(ask!(scene.host, set, 0, "name", "x").status, UNKNOWN_REF);
        assert_eq!(ask!(scene.host, get, 4711, "name").status, UNKNOWN_REF);
    }
    peer.send(&Frame::close(1000, ""));
    scene.host.event("close", client);
    let is_gone = || ask!(scene.host, "client_get_value", client, "empty").status == UNKNOWN_REF;
    assert!(soon(WATCHDOG, is_gone));
    // A client of our own keeps its values from one connection to the next.
    let own = scene.client(json!({"url": scene.echo.url()}));
    ask!(scene.host, "client_set_value", own, "k", "v").ok();
    ask!(scene.host, "client_start", own, "{}").ok();
    ask!(scene.host, "client_stop", own, "{}").ok();
    assert_eq!(
        ask!(scene.host, "client_get_value", own, "k").ok().body,
        "v"
    );
    scene.finish();
}

/// WEBDEV's Disconnection(Client) has the client's globals.
#[test]
fn values_can_still_be_read_when_close_is_told() {
    for dispatch in ["thread", "inline", "perConnection"] {
        let scene = Scene::new();
        let server = scene.server(json!({"dispatch": dispatch}));
        let (mut peer, client) = scene.peer(server);
        ask!(scene.host, "client_set_value", client, "user", "ann").ok();
        let rule = ["on", "close", "1", "client_get_value", "@c", "user"];
        let rule = scene.host.begin(&rule);
        scene.host.reply(&rule, WATCHDOG).ok();
        peer.send(&Frame::close(1000, ""));
        let in_close = scene.host.reply(&format!("{rule}!"), WATCHDOG).ok();
        assert_eq!(in_close.body, "ann", "{dispatch}");
        assert_eq!(
            ask!(scene.host, "client_get_value", client, "user").status,
            UNKNOWN_REF
        );
        scene.finish();
    }
}

#[test]
fn an_execute_that_cannot_be_is_refused() {
    let scene = Scene::new();
    let server = scene.server(json!({}));
    let (mut peer, client) = scene.peer(server);
    let fails = |words: &[&str], status: i32, part: &str| {
        scene.host.call(words).fails(status, &[part]);
    };
    let (server, client) = (server.reference.to_string(), client.to_string());
    fails(
        &["client_execute", &client, "~", "1"],
        INVALID_ARGUMENT,
        "procedure",
    );
    fails(
        &["server_execute", &server, "p", "{1"],
        INVALID_ARGUMENT,
        "params",
    );
    fails(&["client_execute", "4711", "p", "1"], UNKNOWN_REF, "4711");
    fails(&["server_execute", "-4711", "p", "1"], UNKNOWN_REF, "4711");
    ask!(scene.host, "server_stop", server, json!({"wait": false})).ok();
    fails(
        &["server_execute", &server, "p", "1"],
        WRONG_STATE,
        "not started",
    );
    fails(
        &["client_execute", &client, "p", "1"],
        WRONG_STATE,
        "closing",
    );
    assert_eq!(peer.close_frame(PROMPTLY).0, 1001);
    let own = scene
        .client(json!({"url": "ws://127.0.0.1:9/"}))
        .to_string();
    fails(
        &["client_execute", &own, "p", "1"],
        WRONG_STATE,
        "not connected",
    );
    scene.finish();
}

#[test]
fn stopped_comes_even_where_a_shutdown_cuts_the_connections() {
    let scene = Scene::new();
    let server = scene.server(json!({"interval": "1 h"}));
    let (_deaf, client) = scene.peer(server);
    assert!(soon(Duration::from_secs(1), || ask!(
        scene.host,
        "server_info",
        server.reference
    )
    .status
        == OK));
    ask!(scene.host, "shutdown", 300);
    let close = scene.host.event("close", client);
    let stopped = scene.host.server_event("stopped", server.reference);
    assert!(close.t() <= stopped.t());
    assert!(scene.host.take(|event| event.is("stopped")).is_empty());
    scene.host.leave();
}
