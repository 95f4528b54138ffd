//! What a host may do to the library: race it, call it from callbacks, block it, unload it, end or fork in the middle of
//! everything, run out of files (rows 19, 21, 22, 24-26 and 28 of the table of faults).

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/host.rs"]
mod host;
#[path = "support/race.rs"]
mod race;
#[path = "support/scene.rs"]
mod scene;

use adversary::{Frame, PING, PONG, PROMPTLY, Peer, TEXT, raise_file_limit, request};
use cc::Flavour;
use host::{
    FORKED, Host, IN_CALLBACK, INVALID_OPTIONS, OK, UNKNOWN_REF, WATCHDOG, WRONG_STATE, soon,
};
use race::race;
use scene::{LETS_IN, MIB, Scene, Server, dispatched, everything, let_all_in, merged, scaled};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn row_19_four_threads_that_poll_and_others_that_send_and_stop_get_each_event_once() {
    race(
        Flavour::Plain,
        Duration::from_secs(scaled(3, 60)),
        &["server_stop"],
    );
}

#[test]
fn row_19_poll_send_stop_and_clear_race_without_harm() {
    let time = Duration::from_secs(scaled(3, 60));
    race(Flavour::Plain, time, &["server_stop", "server_clear"]);
}

#[test]
fn row_21_everything_may_be_called_inside_a_callback_and_works_or_says_why_not() {
    for dispatch in ["thread", "inline", "pump", "perConnection", "affinity"] {
        let scene = Scene::new();
        let host = &scene.host;
        if dispatch == "pump" {
            ask!(host, "loop", "pump", 50).ok();
        }
        let spare = scene.server(json!({})).reference;
        let spare_client = scene.client(json!({"url": scene.echo.url()}));
        let fine: &[i32] = &[OK];
        let gone: &[i32] = &[OK, UNKNOWN_REF, WRONG_STATE];
        // A command, and its status in a callback of a connection that is there and of one that is closed.
        let table: Vec<(String, &[i32], &[i32])> = vec![
            ("client_send\t@c\t1\t=reply".into(), fine, gone),
            ("client_stop\t@c\t{\"code\":4000}".into(), fine, gone),
            ("client_clear\t@c".into(), fine, gone),
            (
                "server_send\t@s\t1\t=to all".into(),
                &[OK, UNKNOWN_REF],
                &[OK, UNKNOWN_REF],
            ),
            (
                "server_clients\t@s".into(),
                &[OK, UNKNOWN_REF],
                &[OK, UNKNOWN_REF],
            ),
            (
                "server_stop\t@s\t{}".into(),
                &[OK, UNKNOWN_REF],
                &[OK, UNKNOWN_REF],
            ),
            (
                "server_clear\t@s".into(),
                &[OK, UNKNOWN_REF],
                &[OK, UNKNOWN_REF],
            ),
            (format!("server_stop\t{spare}\t{{}}"), gone, gone),
            (format!("server_start\t{spare}\t{{}}"), gone, gone),
            (
                format!("client_start\t{spare_client}\t{{\"wait\":false}}"),
                gone,
                gone,
            ),
            (format!("client_stop\t{spare_client}\t{{}}"), gone, gone),
            ("server_create\t{\"port\":0}".into(), fine, fine),
            (
                "client_create\t{\"url\":\"ws://127.0.0.1:9/\"}".into(),
                fine,
                fine,
            ),
            (
                "callbacks\tem".into(),
                &[OK, IN_CALLBACK],
                &[OK, IN_CALLBACK],
            ),
            (
                "event_next\t0".into(),
                &[OK, host::TIMEOUT, IN_CALLBACK],
                &[OK, host::TIMEOUT, IN_CALLBACK],
            ),
            ("pump\t0\t1".into(), &[IN_CALLBACK], &[IN_CALLBACK]),
            ("shutdown\t1000".into(), &[IN_CALLBACK], &[IN_CALLBACK]),
        ];
        for (command, open_statuses, closed_statuses) in &table {
            for kind in ["open", "message", "close"] {
                for ours in [false, true] {
                    let what = format!(
                        "{command:?} in {kind}, dispatch {dispatch}, {}",
                        if ours { "our client" } else { "accepted" }
                    );
                    let method = if ours { "echo" } else { "" };
                    let server = scene.server(dispatched(dispatch, json!({"method": method})));
                    let words: Vec<&str> = ["on", kind, "1"]
                        .into_iter()
                        .chain(command.split('\t'))
                        .collect();
                    let rule = host.begin(&words);
                    host.reply(&rule, WATCHDOG).ok();
                    let options =
                        json!({"url": server.url(), "enableAutomaticReconnection": false});
                    let client = ours.then(|| scene.client(dispatched(dispatch, options)));
                    let mut peer = None;
                    if let Some(client) = client {
                        ask!(host, "client_start", client, json!({"wait": false})).ok();
                        if kind != "open" {
                            host.event("open", client);
                            if kind == "message" {
                                ask!(host, "client_send", client, 1, "=hello").ok();
                            } else {
                                ask!(
                                    host,
                                    "server_stop",
                                    server.reference,
                                    json!({"wait": false})
                                )
                                .ok();
                            }
                        }
                    } else {
                        let mut adversary = Peer::tcp(server.port);
                        adversary.send_bytes(request("").as_bytes());
                        adversary.response(PROMPTLY).unwrap();
                        if kind != "open" {
                            adversary.send(&Frame::new(
                                if kind == "message" {
                                    TEXT
                                } else {
                                    adversary::CLOSE
                                },
                                "",
                            ));
                        }
                        peer = Some(adversary);
                    }
                    let status = host.reply(&format!("{rule}!"), WATCHDOG).status;
                    let expected = if kind == "close" {
                        closed_statuses
                    } else {
                        open_statuses
                    };
                    assert!(expected.contains(&status), "{what}: status {status}");
                    drop(peer);
                    ask!(host, "server_clear", server.reference);
                    if let Some(client) = client {
                        ask!(host, "client_clear", client);
                    }
                }
            }
        }
        scene.still_beats();
        if dispatch == "pump" {
            ask!(host, "halt").ok();
        }
        scene.finish();
    }
}

#[test]
fn row_21_a_start_that_waits_inside_a_callback_works_or_is_refused_at_once() {
    let scene = Scene::new();
    for (dispatch, statuses) in [
        ("thread", &[OK][..]),
        ("perConnection", &[OK][..]),
        ("affinity", &[OK][..]),
        ("inline", &[IN_CALLBACK][..]),
    ] {
        let server = scene.server(dispatched(dispatch, json!({})));
        let client = scene.client(dispatched(dispatch, json!({"url": scene.echo.url()})));
        let rule = begin!(scene.host, "on", "message", 1, "client_start", client, "{}");
        scene.host.reply(&rule, WATCHDOG).ok();
        let (mut peer, _) = scene.peer(server);
        peer.send(&Frame::text("go"));
        let status = scene.host.reply(&format!("{rule}!"), WATCHDOG).status;
        assert!(statuses.contains(&status), "{dispatch}: {status}");
    }
    scene.finish();
}

#[test]
fn row_21_a_stop_inside_its_own_close_and_a_send_inside_every_message_do_not_deadlock() {
    let scene = Scene::new();
    for dispatch in ["thread", "inline", "perConnection", "affinity"] {
        let server = scene.server(dispatched(dispatch, json!({})));
        let answer = begin!(
            scene.host,
            "on",
            "message",
            100,
            "client_send",
            "@c",
            1,
            "=again"
        );
        scene.host.reply(&answer, WATCHDOG).ok();
        // A client of the same host answers every answer: both sides are inside callbacks all the time.
        let client = scene.client(dispatched(dispatch, json!({"url": server.url()})));
        ask!(scene.host, "client_start", client, "{}").ok();
        ask!(scene.host, "client_send", client, 1, "=first").ok();
        for _ in 0..100 {
            assert_eq!(
                scene.host.reply(&format!("{answer}!"), WATCHDOG).status,
                OK,
                "{dispatch}"
            );
        }
        let accepted = scene.host.server_event("open", server.reference).client();
        scene.host.event("message", accepted);
        ask!(scene.host, "client_stop", client, "{}").ok();
        scene.host.event("close", client);
    }
    scene.finish();
}

#[test]
fn another_dispatch_does_not_let_events_pass_those_that_wait_already() {
    let ways = ["thread", "perConnection", "affinity"];
    let changes = ways.map(|from| ways.map(|to| (from, to)));
    for (from, to) in changes
        .into_iter()
        .flatten()
        .filter(|(from, to)| from != to)
    {
        let scene = Scene::new();
        let host = &scene.host;
        let server = scene.server(dispatched(from, json!({})));
        let (mut peer, client) = scene.peer(server);
        let rule = begin!(host, "on", "message", 1, "sleep", 300);
        host.reply(&rule, WATCHDOG).ok();
        for number in 0..20 {
            if number == 10 {
                let options = dispatched(to, json!({}));
                ask!(host, "server_set", server.reference, options).ok();
            }
            // Each on its own, behind the callback that sleeps.
            peer.send(&Frame::text(format!("{number}.")));
            let came = || ask!(host, "client_info", client).ok().body["messagesIn"].clone();
            assert!(soon(PROMPTLY, || came() == json!(number + 1)));
        }
        peer.send(&Frame::close(1000, ""));
        for number in 0..20 {
            let message = host.event("message", client);
            assert_eq!(
                message.bytes(),
                format!("{number}.").as_bytes(),
                "{from} to {to}"
            );
        }
        host.event("close", client);
        scene.finish();
    }
}

#[test]
fn what_waits_to_be_pumped_or_pulled_goes_where_the_host_looks_now() {
    for (from, to) in [
        ("pump", "thread"),
        ("pull", "thread"),
        ("pump", "inline"),
        ("pull", "inline"),
        ("pump", "perConnection"),
        ("pull", "affinity"),
    ] {
        let scene = Scene::new();
        let host = &scene.host;
        let server = scene.server(dispatched(from, json!({})));
        let mut peer = Peer::client(server.port);
        let waiting =
            || ask!(host, "server_info", server.reference).ok().body["eventQueueEvents"].clone();
        for number in 0..10 {
            peer.send(&Frame::text(format!("{number}.")));
            // The "open" too.
            assert!(soon(PROMPTLY, || waiting() == json!(number + 2)), "{from}");
        }
        ask!(
            host,
            "server_set",
            server.reference,
            dispatched(to, json!({}))
        )
        .ok();
        let client = host.server_event("open", server.reference).client();
        peer.send(&Frame::text("10."));
        for number in 0..11 {
            let message = host.event("message", client);
            assert_eq!(
                message.bytes(),
                format!("{number}.").as_bytes(),
                "{from} to {to}"
            );
        }
        peer.send(&Frame::close(1000, ""));
        host.event("close", client);
        scene.finish();
    }
}

#[test]
fn row_22_a_callback_that_takes_seconds_holds_up_nobody_but_the_events_behind_it() {
    for dispatch in ["thread", "perConnection", "affinity"] {
        a_callback_takes_seconds(dispatch);
    }
}

fn a_callback_takes_seconds(dispatch: &str) {
    let scene = Scene::new();
    let host = &scene.host;
    // What waits for the host is bounded by eventQueueBytes.
    scene.may_grow(256 * MIB);
    let slow = Duration::from_secs(scaled(5, 10));
    // More than can come meanwhile: else the server would stop reading, the heartbeat too.
    let options = json!({"pingInterval": 1, "pingTimeout": 3, "eventQueueEvents": 1_000_000});
    let server = scene.server(dispatched(dispatch, options));
    scene.beat(server.port);
    let (mut peer, client) = scene.peer(server);
    let rule = begin!(host, "on", "message", 1, "sleep", slow.as_millis());
    host.reply(&rule, WATCHDOG).ok();
    let answering = std::thread::spawn({
        let mut stream = peer.stream.try_clone().unwrap();
        move || std::io::copy(&mut stream, &mut std::io::sink())
    });
    for number in 0..100 {
        peer.send(&Frame::text(format!("{number}.")));
    }
    host.event("message", client);
    let inside = Instant::now();
    // A thread of the library sleeps inside the callback; whoever comes and goes meanwhile does not.
    while inside.elapsed() < slow - Duration::from_millis(500) {
        let began = inside.elapsed();
        let mut other = match dispatch {
            "thread" => Peer::client(server.port),
            // Its own callbacks do not wait either.
            _ => scene.peer(server).0,
        };
        other.send(&Frame::new(PING, "there?"));
        assert_eq!(other.frame().payload, b"there?");
        ask!(host, "server_send", server.reference, 1, "=to all").ok();
        assert_eq!(other.frame().payload, b"to all");
        other.send(&Frame::close(1000, ""));
        assert_eq!(other.close_frame(PROMPTLY).0, 1000);
        // Those of the first half have the other half: whoever is held up is so until the callback is over.
        assert!(
            began > slow / 2 || inside.elapsed() < slow - Duration::from_millis(200),
            "from {began:?} to {:?}",
            inside.elapsed()
        );
        // The slow reader of events does not answer pings itself: nothing to do with the host.
        peer.send(&Frame::new(PONG, ""));
    }
    let over = host.reply(&format!("{rule}!"), WATCHDOG);
    for number in 1..100 {
        let message = host.event("message", client);
        assert_eq!(message.bytes(), format!("{number}.").as_bytes());
        assert!(
            message.t() >= over.t,
            "those of one connection come one at a time"
        );
    }
    ask!(host, "client_clear", client);
    answering.join().unwrap().unwrap();
    scene.finish();
}

#[test]
fn row_22_a_clear_waits_for_the_callback_that_runs() {
    let scene = Scene::new();
    let ways = ["thread", "perConnection", "affinity"];
    let commands = ["server_clear", "client_clear"];
    for (dispatch, command) in ways
        .iter()
        .flat_map(|way| commands.map(|command| (way, command)))
    {
        let server = scene.server(dispatched(dispatch, json!({})));
        let (mut peer, client) = scene.peer(server);
        let rule = begin!(scene.host, "on", "message", 1, "sleep", 800);
        scene.host.reply(&rule, WATCHDOG).ok();
        for _ in 0..10 {
            peer.send(&Frame::text("x"));
        }
        scene.host.event("message", client);
        let reference = if command == "server_clear" {
            server.reference
        } else {
            client
        };
        let cleared = ask!(scene.host, command, reference).ok();
        let callback = scene.host.reply(&format!("{rule}!"), WATCHDOG);
        assert!(
            callback.t <= cleared.t,
            "{command} has returned inside the callback"
        );
        assert!(peer.ends(PROMPTLY));
        let late = scene
            .host
            .take(|event| event.client() == client && event.t() > cleared.t + 1);
        assert_eq!(late, [], "{command}, {dispatch}");
    }
    scene.finish();
}

fn loader(cycles: usize, live: &[&str]) -> Command {
    let mut command = Command::new(cc::compile("tests/c/loader.c", Flavour::Plain));
    command
        .arg(cc::library())
        .arg(cycles.to_string())
        .args(live);
    command
}

#[test]
fn row_24_a_thousand_cycles_of_load_serve_shut_down_and_unload_leave_nothing() {
    let output = loader(scaled(200, 1000), &[])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!((output.stdout, output.stderr), (vec![], vec![]));
}

#[test]
fn row_24_unloaded_without_shutdown_the_library_stays_and_serves() {
    let mut child = loader(1, &["live"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let reply: serde_json::Value = serde_json::from_str(&line).unwrap();
    let port = reply["port"].as_u64().unwrap() as u16;
    for _ in 0..20 {
        let mut peer = Peer::client(port);
        peer.send(&Frame::new(PING, "still there?"));
        assert_eq!(peer.frame().payload, b"still there?");
    }
    drop(child.stdin.take());
    assert!(soon(WATCHDOG, || child.try_wait().unwrap().is_some()));
    assert!(child.wait().unwrap().success());
}

/// A host with everything under way: connections both ways, events, a name that is looked up for 20 s, a start that waits.
fn busy_host() -> (Scene, Vec<Peer>) {
    let scene = Scene::new();
    let server = scene.server(json!({}));
    let peers = (0..5).map(|_| scene.peer(server).0).collect();
    let client = scene.client(json!({"url": scene.echo.url()}));
    ask!(scene.host, "client_start", client, "{}").ok();
    ask!(scene.host, "name", "hangs.test", 20_000, "127.0.0.1");
    for wait in [true, false] {
        let hanging = scene.client(json!({"url": "ws://hangs.test:9/"}));
        begin!(scene.host, "&client_start", hanging, json!({"wait": wait}));
    }
    ask!(
        scene.host,
        "repeat",
        0,
        100,
        "server_send",
        server.reference,
        2,
        "*10000"
    )
    .ok();
    (scene, peers)
}

#[test]
fn row_25_a_process_that_ends_with_everything_under_way_ends_at_once_with_its_own_status() {
    for way in [&["exit", "7"][..], &["return", "7"], &["&exit", "7"]] {
        let (scene, mut peers) = busy_host();
        scene.host.begin(way);
        // Half the time for which the name hangs.
        let status = scene
            .host
            .ended(WATCHDOG)
            .unwrap_or_else(|| panic!("{way:?} takes over {WATCHDOG:?}"));
        assert_eq!(status.code(), Some(7), "{way:?}: {}", scene.host.errors());
        assert_eq!(scene.host.errors(), "", "{way:?}");
        for peer in &mut peers {
            assert!(peer.ends(PROMPTLY));
        }
    }
}

#[test]
fn row_25_exit_inside_a_callback_ends_the_process() {
    for dispatch in ["thread", "inline", "perConnection", "affinity"] {
        let (scene, _peers) = busy_host();
        let server = scene.server(dispatched(dispatch, json!({})));
        ask!(scene.host, "on", "message", 1, "exit", 7).ok();
        let mut peer = Peer::client(server.port);
        peer.send(&Frame::text("end"));
        let status = scene
            .host
            .ended(WATCHDOG)
            .unwrap_or_else(|| panic!("{dispatch}: over {WATCHDOG:?}"));
        assert_eq!(
            (status.code(), scene.host.errors()),
            (Some(7), String::new()),
            "{dispatch}"
        );
    }
}

#[test]
fn row_26_a_forked_child_is_refused_and_its_parent_is_unharmed() {
    let scene = Scene::new();
    let host = &scene.host;
    let server = scene.server(json!({}));
    let client = scene.client(json!({"url": server.url()}));
    ask!(host, "client_start", client, "{}").ok();
    let (mut peer, accepted) = scene.peer(server);
    let (server, client) = (server.reference.to_string(), client.to_string());
    let (server, client) = (&server[..], &client[..]);
    for command in [
        &["server_create", "{}"][..],
        &["server_start", server, "{}"],
        &["server_send", server, "1", "=from the child"],
        &["server_clients", server],
        &["server_messages", server, "{}"],
        &["server_stop", server, "{}"],
        &["server_clear", server],
        &["client_create", "{\"url\":\"ws://127.0.0.1:9/\"}"],
        &["client_start", client, "{}"],
        &["client_send", client, "1", "=from the child"],
        &["client_messages", client, "{}"],
        &["client_stop", client, "{}"],
        &["client_clear", client],
        &["-client_send", client, "1", "=from the child"],
        &["event_next", "100"],
        &["pump", "100", "1"],
        &["callbacks", "em"],
        &["shutdown", "1000"],
        &["init", "{}"],
    ] {
        let words: Vec<&str> = ["fork"].iter().chain(command).copied().collect();
        assert_eq!(
            host.call(&words).status,
            0,
            "{command:?}: the child was killed: it did not come back in 10 s"
        );
        let reply = host.reply("child", WATCHDOG);
        assert_eq!(reply.status, FORKED, "{command:?}: {}", reply.body);
    }
    // A child that ends by itself runs what the library has left for the end.
    assert_eq!(ask!(host, "fork", "exit", 3).status, 3 << 8);
    ask!(host, "client_send", accepted, 1, "=from the parent").ok();
    assert_eq!(peer.frame().payload, b"from the parent");
    assert_eq!(host.take(|event| event.is("close")), []);
    scene.finish();
}

#[test]
fn row_28_without_free_files_the_library_waits_quietly_says_so_once_and_recovers() {
    raise_file_limit();
    for serve in [Scene::server, Scene::guarded] {
        without_free_files(serve);
    }
}

fn without_free_files(serve: impl Fn(&Scene, Value) -> Server) {
    let scene = Scene::new();
    let server = serve(&scene, json!({}));
    let limit = scene.host.fds() + 20;
    assert_eq!(ask!(scene.host, "limit_files", limit).status, 0);
    let mut crowd: Vec<Peer> = (0..200).map(|_| Peer::tcp(server.port)).collect();
    for peer in &mut crowd {
        peer.send_bytes(request(server.headers).as_bytes());
    }
    let said = scene
        .host
        .wait_for("too many open files", WATCHDOG, |event| {
            event.is("error")
                && event.server() == server.reference
                && event
                    .reason()
                    .to_lowercase()
                    .contains("too many open files")
        });
    assert_eq!(said.client(), 0, "{said:?}");
    let (cpu, window) = (scene.host.cpu(), Duration::from_secs(scaled(2, 10)));
    scene.still_beats();
    std::thread::sleep(window);
    let cost = scene.host.cpu() - cpu;
    // A twentieth, and one tick of the clock that counts it.
    assert!(
        cost <= window / 20 + Duration::from_millis(10),
        "{cost:?} in {window:?}"
    );
    assert_eq!(
        scene
            .host
            .take(|event| event.is("error") && event.server() == server.reference),
        [],
        "it is said once"
    );
    drop(crowd);
    assert!(soon(WATCHDOG, || scene.host.fds() < limit - 10));
    Peer::tcp(server.port).upgraded(server.headers);
    assert_eq!(ask!(scene.host, "limit_files", 1024).status, 0);
    scene.finish();
}

#[test]
fn row_28_a_host_that_may_open_64_files_serves_whom_it_can() {
    for (options, headers) in [(json!({}), ""), (everything(), LETS_IN)] {
        serves_whom_it_can(merged(options, &json!({"port": 0})), headers);
    }
}

fn serves_whom_it_can(options: Value, headers: &str) {
    let host = Host::spawn();
    assert_eq!(ask!(host, "limit_files", 64).status, 0);
    ask!(host, "callbacks", "em").ok();
    let_all_in(&host);
    let server = ask!(host, "server_create", options).ok().reference;
    let started = ask!(host, "server_start", server, "{}").ok();
    let port = started.body["port"].as_u64().unwrap() as u16;
    let mut crowd: Vec<Peer> = (0..200).map(|_| Peer::tcp(port)).collect();
    for peer in &mut crowd {
        peer.send_bytes(request(headers).as_bytes());
    }
    // Once the first has been served, the others are soon.
    let patience = [PROMPTLY]
        .into_iter()
        .chain(std::iter::repeat(Duration::from_millis(20)));
    let answers: Vec<u16> = crowd
        .iter_mut()
        .zip(patience)
        .filter_map(|(peer, patience)| Some(peer.response(patience)?.status))
        .collect();
    let let_in = answers.iter().filter(|status| **status == 101).count();
    assert!((1..64).contains(&let_in), "{let_in} of 200 were let in");
    assert!(
        answers.iter().all(|status| [101, 503].contains(status)),
        "{answers:?}"
    );
    drop(crowd);
    // Of the crowd, those who were never accepted are still to be looked at.
    let is_let_in =
        || Peer::http(port, request(headers)).is_some_and(|answer| answer.status == 101);
    assert!(soon(WATCHDOG, is_let_in));
    ask!(host, "shutdown", 5000).ok();
    host.leave();
}

#[test]
fn row_28_a_client_without_free_files_fails_with_the_reason() {
    let scene = Scene::new();
    let client =
        scene.client(json!({"url": scene.echo.url(), "enableAutomaticReconnection": false}));
    assert_eq!(ask!(scene.host, "limit_files", 3).status, 0);
    let reply = ask!(scene.host, "client_start", client, "{}");
    assert_ne!(reply.status, OK);
    assert!(
        reply
            .body
            .to_string()
            .to_lowercase()
            .contains("too many open files"),
        "{}",
        reply.body
    );
    let server = ask!(scene.host, "server_create", json!({"port": 0}))
        .ok()
        .reference;
    ask!(scene.host, "server_start", server, "{}").fails(host::NETWORK, &["too many open files"]);
    assert_eq!(ask!(scene.host, "limit_files", 1024).status, 0);
    ask!(scene.host, "server_start", server, "{}").ok();
    ask!(scene.host, "client_start", client, "{}").ok();
    ask!(scene.host, "server_clear", server).ok();
    scene.finish();
}

#[test]
fn row_21_options_are_checked_inside_a_callback_as_everywhere() {
    let scene = Scene::new();
    let server = scene.server(json!({"dispatch": "inline"}));
    let rule = begin!(
        scene.host,
        "on",
        "open",
        1,
        "client_stop",
        "@c",
        "{\"code\":1005}"
    );
    scene.host.reply(&rule, WATCHDOG).ok();
    scene.peer(server);
    assert_eq!(
        scene.host.reply(&format!("{rule}!"), WATCHDOG).status,
        INVALID_OPTIONS
    );
    scene.finish();
}
