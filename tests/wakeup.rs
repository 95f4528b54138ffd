//! How a host that sleeps elsewhere is woken: by a callback, or by a file descriptor that it polls.
//! The race of bringing and looking is in tests/c/wakeup.c, window messages in tests/windows.rs.

#[path = "support/cc.rs"]
mod cc;
#[path = "support/host.rs"]
mod host;

use host::{FORKED, Host, IN_CALLBACK, INVALID_OPTIONS, OK, WATCHDOG, soon};
use serde_json::{Value, json};

/// A host whose events wait to be pulled, or pumped, with a server and a connected client of which nothing waits.
fn host(dispatch: &str) -> (Host, i32, i32) {
    let host = Host::spawn();
    ask!(host, "init", json!({"dispatch": dispatch})).ok();
    ask!(host, "callbacks", "em").ok();
    let (server, client) = pair(&host);
    for _ in 0..2 {
        assert!(soon(WATCHDOG, || take(&host, dispatch, 1)));
    }
    (host, server, client)
}

/// A server, and a client that is connected to it.
fn pair(host: &Host) -> (i32, i32) {
    let server = ask!(host, "server_create", "{\"port\":0}").ok().reference;
    let port = ask!(host, "server_start", server, "~").ok().body["port"].clone();
    let url = json!({"url": format!("ws://127.0.0.1:{port}/")});
    let client = ask!(host, "client_create", url).ok().reference;
    ask!(host, "client_start", client, "~").ok();
    (server, client)
}

/// Whether there was an event to take.
fn take(host: &Host, dispatch: &str, max: i32) -> bool {
    match dispatch {
        "pull" => ask!(host, "event_next", 0).status == OK,
        _ => ask!(host, "pump", 0, max).status > 0,
    }
}

/// Sends messages to the server and waits until they wait for the host.
fn bring(host: &Host, client: i32, messages: u64) {
    let waiting = || {
        ask!(host, "info").ok().body["eventQueueEvents"]
            .as_u64()
            .unwrap()
    };
    let before = waiting();
    for _ in 0..messages {
        ask!(host, "client_send", client, 1, "=work").ok();
    }
    assert!(soon(WATCHDOG, || waiting() == before + messages));
}

fn is_woken(host: &Host) {
    host.wait_for("wake-up", WATCHDOG, |event| event.is("wakeup"));
}

/// There were no more wake-ups than the test has waited for: once it is removed, none is under way.
fn is_not_woken_again(host: &Host) {
    ask!(host, "set_wakeup", "~", "~").ok();
    assert_eq!(host.take(|event| event.is("wakeup")), []);
}

fn wake_by_callback(host: &Host) {
    ask!(host, "set_wakeup", "~", "call").ok();
}

fn wake_by_fd(host: &Host) -> i64 {
    let reply = ask!(host, "set_wakeup", "{\"fd\":true}", "~").ok();
    reply.body["fd"].as_i64().expect("the reply has the fd")
}

fn is_readable(host: &Host, fd: i64) -> bool {
    ask!(host, "readable", fd, 0).status == 1
}

#[test]
fn many_events_while_the_host_sleeps_are_one_wake_up() {
    for dispatch in ["pull", "pump"] {
        let (host, _, client) = host(dispatch);
        wake_by_callback(&host);
        bring(&host, client, 100);
        is_woken(&host);
        is_not_woken_again(&host);
        host.leave();
    }
}

#[test]
fn the_host_is_woken_again_once_it_has_looked_to_the_end() {
    let (host, _, client) = host("pull");
    wake_by_callback(&host);
    bring(&host, client, 2);
    is_woken(&host);
    ask!(host, "event_next", 0).ok();
    // It has not come to the end.
    bring(&host, client, 1);
    assert_eq!(host.take(|event| event.is("wakeup")), []);
    while take(&host, "pull", 1) {}
    bring(&host, client, 1);
    is_woken(&host);
    is_not_woken_again(&host);
    host.leave();
}

#[test]
fn a_pump_that_stops_at_its_max_is_told_of_the_rest() {
    let (host, _, client) = host("pump");
    bring(&host, client, 5);
    wake_by_callback(&host);
    is_woken(&host);
    for (pumped, told) in [(2, 1), (2, 1), (1, 0), (0, 0)] {
        assert_eq!(ask!(host, "pump", 0, 2).status, pumped);
        let wakeups = host.take(|event| event.is("wakeup"));
        assert_eq!(wakeups.len(), told, "after {pumped}");
    }
    host.leave();
}

#[test]
fn what_can_be_pulled_now_is_told_to_a_host_that_was_told_to_pump() {
    let (host, _, client) = host("pump");
    bring(&host, client, 5);
    wake_by_callback(&host);
    is_woken(&host);
    let rule = host.begin(&["on", "message", "1", "callbacks", "-"]);
    host.reply(&rule, WATCHDOG).ok();
    assert_eq!(ask!(host, "pump", 0, 0).status, 1);
    is_woken(&host);
    for _ in 0..4 {
        assert!(take(&host, "pull", 1));
    }
    host.leave();
}

/// Otherwise whoever takes the events of one object only would not be woken as long as others wait.
#[test]
fn looking_at_one_object_to_the_end_is_enough() {
    let (host, server, client) = host("pull");
    let (_, other) = pair(&host);
    wake_by_callback(&host);
    is_woken(&host);
    bring(&host, other, 1);
    for _ in 0..2 {
        bring(&host, client, 1);
        let taken = ask!(host, "server_messages", server, "{}").ok();
        assert_eq!(taken.body.as_array().map(Vec::len), Some(1));
        // Nothing waits for this server any more, but something for the other.
        ask!(host, "server_messages", server, "{}").ok();
    }
    bring(&host, client, 1);
    is_woken(&host);
    host.leave();
}

#[test]
fn what_waits_already_wakes_at_once() {
    let (host, _, client) = host("pull");
    bring(&host, client, 3);
    wake_by_callback(&host);
    is_woken(&host);
    assert!(is_readable(&host, wake_by_fd(&host)));
    host.leave();
}

#[test]
fn the_descriptor_is_readable_as_long_as_something_waits() {
    for dispatch in ["pull", "pump"] {
        let (host, server, client) = host(dispatch);
        let fd = wake_by_fd(&host);
        assert!(!is_readable(&host, fd));
        bring(&host, client, 3);
        for _ in 0..3 {
            assert_eq!(ask!(host, "readable", fd, 10_000).status, 1);
            assert!(is_readable(&host, fd), "polling changes nothing");
            assert!(take(&host, dispatch, 1));
        }
        assert!(!is_readable(&host, fd));
        bring(&host, client, 1);
        assert_eq!(ask!(host, "readable", fd, 10_000).status, 1);
        ask!(host, "client_clear", client).ok();
        ask!(host, "server_clear", server).ok();
        while take(&host, dispatch, 1) {}
        assert!(!is_readable(&host, fd), "what was cleared waits no more");
        host.leave();
    }
}

#[test]
fn a_thread_that_polls_is_woken_by_a_message_from_the_network() {
    let (host, _, client) = host("pull");
    let fd = wake_by_fd(&host);
    let polls = host.begin(&["&readable", &fd.to_string(), "10000"]);
    ask!(host, "client_send", client, 1, "=hello").ok();
    assert_eq!(host.reply(&polls, WATCHDOG).status, 1);
    assert!(take(&host, "pull", 1));
    assert!(!is_readable(&host, fd));
    host.leave();
}

#[test]
fn a_new_wake_up_replaces_the_old_one_and_nothing_removes_it() {
    let (host, _, client) = host("pull");
    let files = host.fds();
    let first = wake_by_fd(&host);
    assert!(host.fds() > files);
    wake_by_callback(&host);
    assert_eq!(host.fds(), files, "the descriptor is closed");
    assert_eq!(ask!(host, "readable", first, 0).status, -1);
    ask!(host, "set_wakeup", "", "~").ok();
    bring(&host, client, 1);
    is_not_woken_again(&host);
    host.leave();
}

#[test]
fn callback_and_descriptor_go_together() {
    let (host, _, client) = host("pull");
    let reply = ask!(host, "set_wakeup", "{\"fd\":true}", "call").ok();
    bring(&host, client, 2);
    is_woken(&host);
    assert!(is_readable(&host, reply.body["fd"].as_i64().unwrap()));
    is_not_woken_again(&host);
    host.leave();
}

#[test]
fn wrong_options_are_named_and_change_nothing() {
    let (host, _, client) = host("pull");
    wake_by_callback(&host);
    for (options, option, part) in [
        (json!({"fd": 1}), "fd", "true or false"),
        (json!({"hwnd": 5, "message": 1023}), "message", "1024"),
        (json!({"hwnd": 5, "message": 65536}), "message", "65535"),
        (json!({"hwnd": 0, "message": 32768}), "hwnd", "other than 0"),
        (json!({"hwnd": "0xg", "message": 32768}), "hwnd", "0x10010"),
        (json!({"hwnd": "0x10010"}), "message", "needs"),
        (json!({"message": 32768}), "hwnd", "needs"),
        // What is right on Windows.
        (
            json!({"hwnd": "0x10010", "message": 32768}),
            "hwnd",
            "Windows",
        ),
    ] {
        let reply =
            ask!(host, "set_wakeup", options, "call").fails(INVALID_OPTIONS, &[option, part]);
        assert_eq!(reply.body["error"]["option"], option, "{}", reply.body);
    }
    let unknown = ask!(host, "set_wakeup", "{\"hwn\":1}", "call").ok();
    assert_eq!(unknown.body["ignoredOptions"][0]["didYouMean"], "hwnd");
    bring(&host, client, 1);
    is_woken(&host);
    host.leave();
}

#[test]
fn inside_the_callback_events_may_be_taken_and_the_wake_up_changed_but_not_pumped() {
    let (host, _, client) = host("pull");
    let inside = |command: &[&str]| {
        ask!(host, "set_wakeup", "~", "~").ok();
        bring(&host, client, 1);
        let tag = host.begin(&[&["on", "wakeup", "1"], command].concat());
        host.reply(&tag, WATCHDOG).ok();
        wake_by_callback(&host);
        let status = host.reply(&format!("{tag}!"), WATCHDOG).status;
        while take(&host, "pull", 1) {}
        status
    };
    assert_eq!(inside(&["pump", "0", "0"]), IN_CALLBACK);
    assert_eq!(inside(&["event_next", "0"]), OK);
    assert_eq!(inside(&["set_wakeup", "~", "~"]), OK);
    host.take(|event| event.is("wakeup"));
    bring(&host, client, 1);
    is_not_woken_again(&host);
    host.leave();
}

#[test]
fn a_shutdown_closes_the_descriptor_and_forgets_the_callback() {
    let (host, _, client) = host("pull");
    let reply = ask!(host, "set_wakeup", "{\"fd\":true}", "call").ok();
    bring(&host, client, 1);
    is_woken(&host);
    ask!(host, "shutdown", 5000).ok();
    let fd = reply.body["fd"].as_i64().unwrap();
    assert_eq!(ask!(host, "readable", fd, 0).status, -1);
    while take(&host, "pull", 1) {}
    host.take(|_| true);
    let (_, client) = pair(&host);
    bring(&host, client, 1);
    is_not_woken_again(&host);
    host.leave();
}

#[test]
fn a_forked_child_is_refused_and_the_parent_is_still_woken() {
    let (host, _, client) = host("pull");
    let fd = wake_by_fd(&host);
    ask!(host, "fork", "set_wakeup", "{\"fd\":true}", "~");
    let child = host.reply("child", WATCHDOG);
    assert_eq!((child.status, &child.body["fd"]), (FORKED, &Value::Null));
    assert!(!is_readable(&host, fd));
    ask!(host, "client_send", client, 1, "=work").ok();
    assert_eq!(ask!(host, "readable", fd, 10_000).status, 1);
    host.leave();
}
