//! A network that swallows, cuts, resets and comes back, a clock that jumps, names that hang (rows 30 and 33-35 of the
//! table of faults), for both roles.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/host.rs"]
mod host;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/scene.rs"]
mod scene;

use adversary::{Frame, Heard, PING, PONG, PROMPTLY, Peer, listener, raise_file_limit, url};
use host::{Event, Host, NETWORK, OK, WATCHDOG, WRONG_STATE, soon};
use proxy::{Proxy, Way};
use scene::{LETS_IN, MIB, Scene, Server, at_once, everything, let_all_in, merged, scaled};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A peer that answers pings until told to be silent, and reports how the connection ended.
struct Answering {
    is_silent: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<bool>,
}

impl Answering {
    fn start(mut peer: Peer) -> Answering {
        let (is_silent, stop) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let (silent, stopped) = (is_silent.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match peer.hear(Duration::from_millis(50)) {
                    Heard::Frame(frame)
                        if frame.opcode == PING && !silent.load(Ordering::Relaxed) =>
                    {
                        peer.send(&Frame::new(PONG, frame.payload));
                    }
                    Heard::Frame(_) | Heard::Silence => {}
                    Heard::Fin | Heard::Reset => return false,
                }
            }
            true
        });
        Answering {
            is_silent,
            stop,
            thread,
        }
    }

    fn be_silent(&self) {
        self.is_silent.store(true, Ordering::Relaxed);
    }

    /// Whether the connection is still there.
    fn lives(self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

#[test]
fn row_30_a_black_hole_is_told_to_both_sides_and_the_client_comes_back_when_it_ends() {
    let scene = Scene::new();
    for server in scene.servers(json!({"pingInterval": 1, "pingTimeout": 1})) {
        a_black_hole_is_told(&scene, server);
    }
    scene.finish();
}

fn a_black_hole_is_told(scene: &Scene, server: Server) {
    let host = &scene.host;
    let proxy = Proxy::to(server.port);
    let client = scene.client(server.client_options(json!({
        "url": format!("ws://127.0.0.1:{}/", proxy.port),
        "pingInterval": 1, "pingTimeout": 1, "timeout": 1, "maxWaitBetweenReconnectionRetries": 500,
    })));
    ask!(host, "client_start", client, json!({"timeout": 1})).ok();
    let accepted = host.server_event("open", server.reference).client();
    host.event("open", client);
    ask!(host, "client_send", client, 1, "=0.").ok();
    assert_eq!(host.event("message", accepted).bytes(), b"0.");

    proxy.set(Way::Blackhole);
    let began = Instant::now();
    for number in 1..6 {
        ask!(host, "client_send", client, 1, format!("={number}.")).ok();
    }
    for side in [client, accepted] {
        let event = host.event("close", side);
        assert_eq!(event.code(), 1006, "{event:?}");
        assert!(event.reason().contains("pong"), "{event:?}");
        assert_eq!(*event.context("remote"), false, "{event:?}");
    }
    assert!(began.elapsed() < WATCHDOG, "{:?}", began.elapsed());
    assert_eq!(
        ask!(host, "client_send", client, 1, "=while away").status,
        WRONG_STATE
    );

    // Tries go on, each with its own time, and are told.
    let error = host.event("error", client);
    assert!(error.context("retries").as_i64().unwrap() >= 0, "{error:?}");
    assert!(
        error.context("wait_time").as_i64().unwrap() <= 500,
        "{error:?}"
    );
    proxy.set(Way::Pass);
    host.event("open", client);
    let again = host.server_event("open", server.reference).client();
    assert_ne!(again, accepted);
    ask!(host, "client_send", client, 1, "=back").ok();
    // What was under way when the line broke arrives in order and once, or not at all.
    let mut last = 0;
    loop {
        let bytes = host.event("message", again).bytes();
        if bytes == b"back" {
            break;
        }
        let number: i32 = std::str::from_utf8(&bytes)
            .unwrap()
            .trim_end_matches('.')
            .parse()
            .unwrap();
        assert!(number > last, "{number} after {last}");
        last = number;
    }
    ask!(host, "client_stop", client, "{}").ok();
}

#[test]
fn row_30_a_line_that_is_cut_or_reset_is_noticed_at_once_and_comes_back() {
    let scene = Scene::new();
    for server in scene.servers(json!({})) {
        a_line_is_cut(&scene, server);
    }
    scene.finish();
}

fn a_line_is_cut(scene: &Scene, server: Server) {
    let host = &scene.host;
    let proxy = Proxy::to(server.port);
    let url = format!("ws://127.0.0.1:{}/", proxy.port);
    let client = scene.client(server.client_options(json!({"url": url})));
    ask!(host, "client_start", client, "{}").ok();
    for way in ["cut", "reset", "cut", "reset"] {
        let accepted = host.server_event("open", server.reference).client();
        host.event("open", client);
        ask!(host, "client_send", client, 1, "=hello").ok();
        assert_eq!(host.event("message", accepted).bytes(), b"hello");
        let began = Instant::now();
        if way == "cut" {
            proxy.cut()
        } else {
            proxy.reset()
        }
        for side in [client, accepted] {
            let event = host.event("close", side);
            assert_eq!(event.code(), 1006, "{way}: {event:?}");
            assert!(!event.reason().is_empty(), "{way}: {event:?}");
        }
        assert!(began.elapsed() < PROMPTLY, "{way}: {:?}", began.elapsed());
    }
    host.event("open", client);
    ask!(host, "client_stop", client, "{}").ok();
}

#[test]
fn row_30_a_slow_line_is_no_dead_line() {
    let scene = Scene::threaded();
    let server = scene.guarded(json!({"pingInterval": 1, "pingTimeout": 5}));
    let proxy = Proxy::to(server.port);
    let client = scene.client(server.client_options(json!({
        "url": format!("ws://127.0.0.1:{}/", proxy.port), "pingInterval": 1, "pingTimeout": 5,
    })));
    ask!(scene.host, "client_start", client, "{}").ok();
    scene.host.event("open", client);
    // There and back takes longer than it is between two pings, and less than the 5 s that a pong may take.
    proxy.set(Way::Delay(Duration::from_millis(700)));
    for side in [client; 3] {
        scene.host.event("pong", side);
    }
    assert_eq!(scene.host.take(|event| event.is("close")), []);
    proxy.set(Way::Pass);
    scene.finish();
}

#[test]
fn row_30_a_stop_in_a_black_hole_and_between_two_tries_is_quick_and_final() {
    let scene = Scene::threaded();
    let server = scene.guarded(json!({}));
    let plain = scene.server(json!({}));
    let proxy = Proxy::to(server.port);
    let options = server.client_options(
        json!({"url": format!("ws://127.0.0.1:{}/", proxy.port), "closeTimeoutMs": 500, "timeout": 1}),
    );
    for phase in ["connected", "connecting", "waiting", "waiting for long"] {
        let client = scene.client(options.clone());
        if phase.starts_with("waiting") {
            let nobody = listener();
            let url = url(&nobody);
            drop(nobody);
            let start = json!({"wait": false, "url": url, "retryFirst": true});
            // Short waits show a try after the stop, long ones a stop that waits for their end.
            let (waits, tries) = match phase {
                "waiting" => (json!({}), 3),
                _ => {
                    let (min, max) = (3_600_000, 86_400_000);
                    let waits = json!({"minWaitBetweenReconnectionRetries": min,
                        "maxWaitBetweenReconnectionRetries": max});
                    (waits, 1)
                }
            };
            ask!(scene.host, "client_start", client, merged(start, &waits)).ok();
            scene.host.wait_for("a failed try", WATCHDOG, |event| {
                event.is("error")
                    && event.client() == client
                    && event.context("retries").as_i64() >= Some(tries)
            });
        } else {
            proxy.set(if phase == "connected" {
                Way::Pass
            } else {
                Way::Blackhole
            });
            ask!(
                scene.host,
                "client_start",
                client,
                json!({"wait": phase == "connected"})
            )
            .ok();
            if phase == "connected" {
                scene.host.event("open", client);
            }
        }
        proxy.set(Way::Blackhole);
        let began = Instant::now();
        ask!(scene.host, "client_stop", client, "{}").ok();
        assert!(began.elapsed() < PROMPTLY, "{phase}: {:?}", began.elapsed());
        // Events go through one thread, in order: once this one is here, so are those that the stop brought.
        scene.peer(plain);
        let stopped = scene.host.take(|event| event.client() == client);
        let closes = stopped.iter().filter(|event| event.is("close")).count();
        assert_eq!(closes, usize::from(phase == "connected"), "{phase}");
        // Long enough for several tries, were there any.
        assert!(
            !soon(Duration::from_millis(700), || !scene
                .host
                .take(|event| event.client() == client)
                .is_empty()),
            "{phase}"
        );
        proxy.set(Way::Pass);
    }
    proxy.cut();
    scene.finish();
}

#[test]
fn row_33_many_clients_come_back_after_a_restart_spread_in_time() {
    for (options, headers) in [(json!({}), ""), (everything(), LETS_IN)] {
        many_come_back(options, headers);
    }
}

/// Restarts a server of many clients.
fn many_come_back(options: Value, headers: &'static str) {
    let count = scaled(2000, 10_000).min(raise_file_limit() as i64 - 200);
    let scene = Scene::new();
    scene.may_grow(16 * MIB + count as u64 * 16 * 1024);
    let clients = &scene.host;
    let serve = |port: u16| {
        let host = Host::spawn();
        ask!(host, "callbacks", "em").ok();
        let_all_in(&host);
        ask!(host, "log", 2).ok();
        let its_own = json!({"port": port, "maxConnections": 15_000});
        let options = merged(options.clone(), &its_own);
        let reference = ask!(host, "server_create", options).ok().reference;
        let started = ask!(host, "server_start", reference, "{}").ok();
        let server = Server {
            reference,
            port: started.body["port"].as_u64().unwrap() as u16,
            headers,
        };
        (host, server)
    };
    let (first, server) = serve(0);
    let connected = |host: &Host, server: Server| {
        ask!(host, "server_clients", server.reference)
            .body
            .as_array()
            .unwrap()
            .len() as i64
    };

    let options = server.client_options(json!({"pingInterval": 20}));
    let from = scene.client(options.clone());
    let made = ask!(clients, "repeat", 0, count - 1, "client_create", options);
    assert_eq!(
        (made.done, i64::from(made.reference)),
        (count - 1, i64::from(from) + count - 1),
        "refs count up"
    );
    let to = i64::from(from) + count;
    let begun = begin!(
        clients,
        "-repeat",
        from,
        to,
        "client_start",
        "@i",
        json!({"wait": false})
    );
    assert_eq!(clients.reply(&begun, 6 * WATCHDOG).done, count);
    assert!(
        soon(6 * WATCHDOG, || connected(&first, server) == count),
        "{} connected",
        connected(&first, server)
    );
    clients.take(|_| true);

    let (cpu, rss) = (clients.cpu(), clients.rss());
    drop(first);
    // By the fourth failure of most the pauses are long enough to show whether they are drawn by lot.
    let mut pauses: Vec<i64> = Vec::new();
    let most_are_late = || {
        let fourth = |event: &Event| event.is("error") && *event.context("retries") == 4;
        let late = clients.take(fourth).into_iter();
        pauses.extend(late.map(|event| event.context("wait_time").as_i64().unwrap()));
        pauses.len() as i64 > count / 2
    };
    assert!(soon(2 * WATCHDOG, most_are_late), "few go on trying");
    let mut bins: HashMap<i64, usize> = HashMap::new();
    for pause in &pauses {
        *bins.entry(pause / 20).or_default() += 1;
    }
    let crowded = *bins.values().max().unwrap() as f64 / pauses.len() as f64;
    assert!(crowded < 0.125, "{crowded} of all within 20 ms");
    // Four tries of most, five of some: what a try takes, and what a client that waits holds.
    let cpu = (clients.cpu() - cpu) / (5 * count as u32);
    let rss = (clients.rss() as i64 - rss as i64) / count;
    assert!(
        cpu < Duration::from_millis(1),
        "{cpu:?} of CPU for each try"
    );
    assert!(rss < 4096, "{rss} more bytes for each client that waits");
    let back = Instant::now();
    let (second, server) = serve(server.port);
    let cap = Duration::from_secs(10);
    let all = soon(cap + Duration::from_secs(10), || {
        connected(&second, server) == count
    });
    assert!(
        all,
        "{} of {count} are back after {:?}",
        connected(&second, server),
        back.elapsed()
    );

    let mut opens = Vec::new();
    let told = || {
        opens.extend(second.take(|event| event.is("open")));
        opens.len() as i64 >= count
    };
    assert!(soon(WATCHDOG, told));
    assert_eq!(opens.len() as i64, count, "none has come twice");
    assert_eq!(
        second.take(|event| event.is("error") || event.is("log")),
        [],
        "no accept has failed"
    );
    let times: Vec<i64> = opens.iter().map(|event| event.t()).collect();
    let (earliest, latest) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert!(
        latest - earliest >= 100,
        "all within {} ms",
        latest - earliest
    );
    let histogram: Vec<usize> = (0..=(latest - earliest) / 500)
        .map(|bin| {
            let is_in = |time: &&i64| (**time - earliest) / 500 == bin;
            times.iter().filter(is_in).count()
        })
        .collect();
    eprintln!(
        "{count} back within {:?}, spread over {} ms, in each 500 ms {histogram:?}; while they wait {cpu:?} of CPU for a try, {rss} more bytes for each",
        back.elapsed(),
        latest - earliest
    );

    let cleared = begin!(clients, "-repeat", from, to, "client_clear", "@i");
    assert_eq!(clients.reply(&cleared, 6 * WATCHDOG).done, count);
    ask!(second, "shutdown", 5000).ok();
    second.leave();
    scene.finish();
}

#[test]
fn row_34_after_a_suspend_those_who_answered_stay_and_those_who_are_gone_are_found() {
    let scene = Scene::new();
    // Longer than a ping and its time-out.
    let suspend = Duration::from_secs(scaled(6, 300));
    scene.may_pause(suspend);
    let servers = scene.servers(json!({"pingInterval": 1, "pingTimeout": 4}));
    let mut good = Vec::new();
    let mut gone = Vec::new();
    // Of all phases of the ping's cycle.
    for number in 0..40 {
        let (peer, client) = scene.peer(servers[number / 8 % 2]);
        let answering = Answering::start(peer);
        if number % 8 == 7 {
            gone.push((answering, client))
        } else {
            good.push(answering)
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(scene.host.take(|event| event.is("close")), []);
    // Of one the answer comes when the time-out cannot be kept any more.
    let (mut late, _) = scene.peer(servers[0]);
    let Heard::Frame(ping) = late.hear(PROMPTLY) else {
        panic!("no ping");
    };
    assert_eq!(ping.opcode, PING);
    scene.host.suspend();
    late.send(&Frame::new(PONG, ping.payload));
    good.push(Answering::start(late));
    std::thread::sleep(suspend);
    for (answering, _) in &gone {
        answering.be_silent();
    }
    let woken = Instant::now();
    scene.host.signal(libc::SIGCONT);
    for (_, client) in &gone {
        let event = scene.host.event("close", *client);
        assert!(
            event.code() == 1006 && event.reason().contains("pong"),
            "{event:?}"
        );
    }
    assert!(woken.elapsed() < WATCHDOG, "{:?}", woken.elapsed());
    assert_eq!(
        scene.host.take(|event| event.is("close")),
        [],
        "who answers is kept"
    );
    for answering in good {
        assert!(answering.lives());
    }
    scene.finish();
}

#[test]
fn row_34_a_client_survives_a_suspend_too() {
    let scene = Scene::new();
    // Longer than a ping and its time-out.
    let suspend = Duration::from_secs(6);
    scene.may_pause(suspend);
    let listener = listener();
    let options = json!({"url": url(&listener), "pingInterval": 1, "pingTimeout": 4, "enableAutomaticReconnection": false});
    let peers: Vec<Answering> = (0..10)
        .map(|_| {
            let client = scene.client(options.clone());
            ask!(scene.host, "client_start", client, json!({"wait": false})).ok();
            let peer = Peer::accept(&listener);
            scene.host.event("open", client);
            std::thread::sleep(Duration::from_millis(100));
            Answering::start(peer)
        })
        .collect();
    scene.host.suspend();
    std::thread::sleep(suspend);
    scene.host.signal(libc::SIGCONT);
    // Two clean cycles of pings behind the suspend.
    scene.host.take(|event| event.is("pong"));
    for _ in 0..20 {
        scene
            .host
            .wait_for("pong", WATCHDOG, |event| event.is("pong"));
    }
    assert_eq!(scene.host.take(|event| event.is("close")), []);
    for peer in peers {
        assert!(peer.lives());
    }
    scene.finish();
}

#[test]
fn row_34_a_clock_that_jumps_by_an_hour_changes_nothing() {
    let scene = Scene::threaded();
    let server = scene.guarded(json!({"pingInterval": 1, "pingTimeout": 5}));
    let began = Instant::now();
    let (peer, client) = scene.peer(server);
    let answering = Answering::start(peer);
    let mut pongs = 0;
    for seconds in [3600, -7200, 3600, 3600] {
        ask!(scene.host, "step_clock", seconds).ok();
        for _ in 0..2 {
            scene.host.event("pong", client);
        }
        pongs += 2;
        Peer::tcp(server.port).upgraded(server.headers);
    }
    let more = scene.host.take(|event| event.is("pong"));
    pongs += more.len() as u64;
    assert!(
        pongs <= began.elapsed().as_secs() + 1,
        "pings are not sent early"
    );
    assert_eq!(
        scene
            .host
            .take(|event| event.is("close") && event.client() == client),
        []
    );
    assert!(answering.lives());
    scene.finish();
}

#[test]
fn row_35_a_name_that_does_not_exist_is_an_error_with_the_name() {
    let scene = Scene::new();
    ask!(scene.host, "name", "nosuch.test", 0, "");
    let options = json!({"url": "ws://nosuch.test:9/", "enableAutomaticReconnection": false});
    let client = scene.client(options);
    let began = Instant::now();
    let reply = ask!(scene.host, "client_start", client, "{}").fails(NETWORK, &["nosuch.test"]);
    assert!(began.elapsed() < PROMPTLY);
    assert!(
        reply.body["errorStr"]
            .as_str()
            .unwrap()
            .contains("nosuch.test"),
        "{}",
        reply.body
    );
    assert_eq!(reply.body["http_status"], 0, "{}", reply.body);
    // The same without waiting comes as an event.
    ask!(scene.host, "client_start", client, json!({"wait": false})).ok();
    let event = scene.host.event("error", client);
    assert!(event.reason().contains("nosuch.test"), "{event:?}");
    scene.finish();
}

#[test]
fn row_35_a_name_that_hangs_keeps_neither_a_start_nor_a_stop_nor_anyone_else() {
    let scene = Scene::new();
    let host = &scene.host;
    ask!(host, "name", "slow.test", scaled(4000, 20_000), "127.0.0.1");
    let options = json!({"url": format!("ws://slow.test:{}/", scene.echo.port), "enableAutomaticReconnection": false});
    let client = scene.client(options.clone());
    let began = Instant::now();
    let reply = ask!(host, "client_start", client, json!({"timeout": 1}));
    let took = began.elapsed();
    assert!(reply.status < 0, "{}", reply.body);
    // The name itself takes longer.
    let less = Duration::from_secs(3);
    assert!(took > Duration::from_millis(900) && took < less, "{took:?}");
    let text = reply.body["errorStr"].as_str().unwrap();
    assert!(
        text.contains("slow.test") && text.contains("1000 ms"),
        "{text:?}"
    );

    // One that hangs does not hold up the lookup of another.
    let other = scene.client(json!({"url": format!("ws://localhost:{}/", scene.echo.port)}));
    let began = Instant::now();
    ask!(host, "client_start", other, "{}").ok();
    assert!(began.elapsed() < less, "{:?}", began.elapsed());

    let stopped = scene.client(options);
    ask!(host, "client_start", stopped, json!({"wait": false})).ok();
    let began = Instant::now();
    ask!(host, "client_stop", stopped, "{}").ok();
    ask!(host, "client_clear", stopped).ok();
    assert!(began.elapsed() < less, "{:?}", began.elapsed());
    scene.finish();
}

/// Two listeners on one port: one that never answers a SYN, and one that is good. The first is IPv6 where there is any.
struct DeadAndGood {
    dead: SocketAddr,
    good: TcpListener,
    /// What fills the queue of the dead one.
    _filling: Vec<Socket>,
}

impl DeadAndGood {
    fn new() -> DeadAndGood {
        loop {
            let good = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = good.local_addr().unwrap().port();
            let six = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
            let four = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), port));
            let dead = if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
                six
            } else {
                four
            };
            let socket = Socket::new(Domain::for_address(dead), Type::STREAM, None).unwrap();
            if socket.bind(&dead.into()).is_err() {
                continue;
            }
            socket.listen(0).unwrap();
            let mut filling = vec![socket];
            for _ in 0..3 {
                let client = Socket::new(Domain::for_address(dead), Type::STREAM, None).unwrap();
                client.set_nonblocking(true).unwrap();
                let _ = client.connect(&dead.into());
                filling.push(client);
            }
            return DeadAndGood {
                dead,
                good,
                _filling: filling,
            };
        }
    }
}

#[test]
fn row_35_a_dead_first_address_costs_a_quarter_of_a_second() {
    let scene = Scene::new();
    let pair = DeadAndGood::new();
    let port = pair.dead.port();
    ask!(
        scene.host,
        "name",
        "dual.test",
        0,
        format!("{},127.0.0.1", pair.dead.ip())
    );
    let good = pair.good.try_clone().unwrap();
    let serving =
        std::thread::spawn(move || (0..5).map(|_| Peer::accept(&good)).collect::<Vec<Peer>>());
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let client = scene.client(json!({"url": format!("ws://dual.test:{port}/")}));
        let began = Instant::now();
        ask!(scene.host, "client_start", client, "{}").ok();
        let took = began.elapsed();
        assert!(
            took > Duration::from_millis(100) && took < PROMPTLY,
            "{took:?}"
        );
        fastest = fastest.min(took);
    }
    assert!(fastest < Duration::from_millis(600), "{fastest:?}");
    serving.join().unwrap();
    // When both are dead, the time-out holds and says so.
    ask!(
        scene.host,
        "name",
        "dead.test",
        0,
        format!("{},{}", pair.dead.ip(), pair.dead.ip())
    );
    let client = scene.client(
        json!({"url": format!("ws://dead.test:{port}/"), "enableAutomaticReconnection": false}),
    );
    let began = Instant::now();
    let reply = ask!(scene.host, "client_start", client, json!({"timeout": 1}));
    assert!(
        reply.status < 0 && began.elapsed() < PROMPTLY,
        "{:?} {}",
        began.elapsed(),
        reply.body
    );
    assert!(
        reply.body["errorStr"]
            .as_str()
            .unwrap()
            .contains("dead.test"),
        "{}",
        reply.body
    );
    scene.finish();
}

#[test]
fn row_35_a_first_address_that_refuses_costs_nothing() {
    let scene = Scene::new();
    let listener = listener();
    let port = listener.local_addr().unwrap().port();
    ask!(
        scene.host,
        "name",
        "refuses.test",
        0,
        "::1,127.0.0.2,127.0.0.1"
    );
    for name in ["refuses.test", "localhost"] {
        at_once(|| {
            let url = format!("ws://{name}:{port}/");
            let client = scene.client(json!({"url": url, "enableAutomaticReconnection": false}));
            let starting = begin!(scene.host, "client_start", client, "{}");
            let peer = Peer::accept(&listener);
            assert!(
                peer.request.contains(&format!("Host: {name}:{port}\r\n")),
                "{}",
                peer.request
            );
            assert_eq!(scene.host.reply(&starting, WATCHDOG).status, OK);
        });
    }
    scene.finish();
}
