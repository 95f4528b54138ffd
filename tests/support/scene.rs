//! What every fault test has around it: a host, a heartbeat that goes on through the fault, and at the end the check
//! that the fault has left nothing behind.
#![allow(dead_code)] // Each test binary uses a part of it.

use crate::adversary::{Frame, Heard, PING, PONG, PROMPTLY, Peer, TEXT, raise_file_limit};
use crate::cc::Flavour;
use crate::host::{Event, Host, OK, UNKNOWN_REF, WATCHDOG, soon};
use crate::{ask, begin};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How soon something is done that nothing holds up.
pub const AT_ONCE: Duration = Duration::from_millis(200);
/// The longest time for which a heartbeat may be silent, but for what a thread waits for a processor.
const LONGEST_GAP: Duration = Duration::from_secs(1);
/// How long a heart waits before it gives up: longer than any test suspends its host.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two beats.
const BEAT: Duration = Duration::from_millis(20);

/// With WSPLUG_FULL=1 each test takes the figure that the table of faults names.
pub fn scaled<T>(everyday: T, full: T) -> T {
    if std::env::var_os("WSPLUG_FULL").is_some_and(|value| value == "1") {
        full
    } else {
        everyday
    }
}

pub const MIB: u64 = 1 << 20;

/// Does something until it is done at once. What holds it up delays every one of ten times, a busy machine only some.
pub fn at_once(mut act: impl FnMut()) {
    let mut fastest = Duration::MAX;
    for _ in 0..10 {
        let began = Instant::now();
        act();
        let took = began.elapsed();
        assert!(took < PROMPTLY, "it took {took:?}");
        fastest = fastest.min(took);
        if fastest < AT_ONCE {
            return;
        }
    }
    panic!("each time it took {fastest:?} or longer");
}

/// Options with those of a way in which callbacks are run; "affinity" is perConnection with it.
pub fn dispatched(dispatch: &str, options: Value) -> Value {
    let way = match dispatch {
        "affinity" => json!({"dispatch": "perConnection", "affinity": true}),
        _ => json!({"dispatch": dispatch}),
    };
    merged(options, &way)
}

/// All that may refuse, answer, count and limit switched on, for clients that send [`LETS_IN`].
pub fn everything() -> Value {
    json!({
        "path": "/", "hosts": ["localhost", "127.0.0.1"], "allow": ["127.0.0.0/8"], "deny": ["10.0.0.0/8"], "maxPerIp": 20_000,
        "trustedProxies": ["127.0.0.2"], "origins": ["http://localhost"], "protocols": ["chat"],
        "auth": {"bearer": "token", "basic": {"ann": "secret", "ben": HASHED}}, "admission": "ask", "maxPendingRequests": 20_000,
        "refused": true, "files": {"/site/": env!("CARGO_TARGET_TMPDIR")}, "health": "/health", "metrics": "/metrics",
        "cors": "*", "topics": ["all", "some"], "interval": 200, "sendBudgetBytes": 1 << 30, "drain": true,
        "dispatch": "perConnection",
    })
}

/// "secret" with bcrypt, as cheap as a hash may be for a test.
const HASHED: &str = "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

/// What a server with everything asks of a client.
pub const LETS_IN: &str = "Authorization: Bearer token\r\n";

/// Has a host say yes to everybody, where it is asked.
pub fn let_all_in(host: &Host) {
    let (often, none) = (i32::MAX, "{}");
    ask!(host, "on", "request", often, "client_accept", "@c", none).ok();
}

/// The second options over the first.
pub fn merged(mut options: Value, over: &Value) -> Value {
    let all = options.as_object_mut().unwrap();
    all.extend(over.as_object().unwrap().clone());
    options
}

pub struct Scene {
    pub host: Host,
    /// A server that sends everything back at once, whatever the host does meanwhile.
    pub echo: Server,
    hearts: Mutex<Vec<Heart>>,
    things: Mutex<Vec<Thing>>,
    before: Footing,
    ready: Footing,
    growth: Mutex<u64>,
    gap: Mutex<Duration>,
    /// The host looks for events itself, so nobody answers a request.
    pulls: bool,
    lets_in: Once,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Server {
    pub reference: i32,
    pub port: u16,
    /// What a client has to send.
    pub headers: &'static str,
}

impl Server {
    /// What a client of the library needs to be let in, and `more`.
    pub fn client_options(&self, more: Value) -> Value {
        let headers: Map<String, Value> = self
            .headers
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        merged(json!({"url": self.url(), "headers": headers}), &more)
    }

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/", self.port)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Thing {
    Server(i32),
    Client(i32),
}

#[derive(Clone, Copy, Debug)]
pub struct Footing {
    pub fds: u64,
    pub threads: u64,
    pub rss: u64,
}

impl Scene {
    /// The host's callbacks run on the library's thread.
    pub fn new() -> Scene {
        Scene::flavoured(Flavour::Plain, "em")
    }

    /// The host has no callbacks: it looks for events itself.
    pub fn pulling() -> Scene {
        Scene::flavoured(Flavour::Plain, "")
    }

    /// With more than one network thread.
    pub fn threaded() -> Scene {
        Scene::with(json!({"threads": 2}))
    }

    /// With options for the whole library.
    pub fn with(options: Value) -> Scene {
        Scene::set(Flavour::Plain, "em", Some(options))
    }

    pub fn flavoured(flavour: Flavour, callbacks: &str) -> Scene {
        Scene::set(flavour, callbacks, None)
    }

    fn set(flavour: Flavour, callbacks: &str, library: Option<Value>) -> Scene {
        raise_file_limit();
        let host = Host::spawn_as(flavour);
        // ThreadSanitizer starts a thread of its own with the first one of the host.
        let own = if flavour == Flavour::Thread { 2 } else { 1 };
        let aside = begin!(host, "&sleep", 0);
        host.reply(&aside, WATCHDOG).ok();
        assert!(soon(WATCHDOG, || host.threads() == own));
        ask!(host, "abi_version");
        let before = Footing::of(&host);
        if let Some(options) = library {
            ask!(host, "init", options).ok();
        }
        if !callbacks.is_empty() {
            ask!(host, "callbacks", callbacks).ok();
        }
        ask!(host, "echo_method", "echo").ok();
        let options = json!({"port": 0, "method": "echo", "dispatch": "inline"});
        let echo = start(&host, &options);
        let mut scene = Scene {
            host,
            echo,
            hearts: Mutex::default(),
            things: Mutex::default(),
            before,
            ready: before,
            growth: Mutex::new(16 * MIB),
            gap: Mutex::new(LONGEST_GAP),
            pulls: callbacks.is_empty(),
            lets_in: Once::new(),
        };
        // What the library makes once and keeps is not to be taken for a leak.
        scene.warm_up(callbacks.is_empty());
        scene.beat(echo.port);
        scene.ready = Footing::of(&scene.host);
        scene.host.forget_peak();
        scene
    }

    fn warm_up(&self, pulls: bool) {
        let server = self.server(json!({}));
        let client = self.client(json!({"url": server.url()}));
        ask!(self.host, "client_start", client, "{}").ok();
        self.clear();
        // The sockets of what has been cleared close a moment later.
        let mut last = Footing::of(&self.host);
        let mut same = 0;
        let settled = soon(WATCHDOG, || {
            let now = Footing::of(&self.host);
            let is_same = (now.fds, now.threads) == (last.fds, last.threads);
            same = if is_same { same + 1 } else { 0 };
            last = now;
            same == 20
        });
        assert!(settled, "the host never comes to rest: {last:?}");
        while pulls && ask!(self.host, "event_next", 0).status == OK {}
        self.host.take(|_| true);
    }

    /// A server that listens, unless the options say otherwise on any free port. So that the end need not wait for
    /// peers of which the test does nothing more, it does not wait long for their close frames.
    pub fn server(&self, options: Value) -> Server {
        let all = merged(json!({"port": 0, "closeTimeoutMs": 500}), &options);
        let server = start(&self.host, &all);
        self.things
            .lock()
            .unwrap()
            .push(Thing::Server(server.reference));
        server
    }

    /// One on which everything is switched on that the options say nothing of, and on its port another one that is like it.
    pub fn guarded(&self, options: Value) -> Server {
        let mut all = dispatched("affinity", everything());
        if self.pulls {
            all.as_object_mut().unwrap().remove("admission");
        } else {
            self.lets_in.call_once(|| let_all_in(&self.host));
        }
        let all = merged(all, &options);
        let server = self.server(all.clone());
        let beside = json!({"port": server.port, "path": "/beside"});
        self.server(merged(all, &beside));
        Server {
            headers: LETS_IN,
            ..server
        }
    }

    /// One with nothing but these options, and one with everything beside them.
    pub fn servers(&self, options: Value) -> [Server; 2] {
        [self.server(options.clone()), self.guarded(options)]
    }

    /// A client that has not been started.
    pub fn client(&self, options: Value) -> i32 {
        let client = ask!(self.host, "client_create", options).ok().reference;
        self.things.lock().unwrap().push(Thing::Client(client));
        client
    }

    /// An adversary as a client of `server`, and the ref under which the host knows it.
    pub fn peer(&self, server: Server) -> (Peer, i32) {
        self.peer_with(server, Peer::tcp(server.port))
    }

    pub fn peer_with(&self, server: Server, tcp: Peer) -> (Peer, i32) {
        let address = tcp.stream.local_addr().unwrap();
        let peer = tcp.upgraded(server.headers);
        let is_it = |event: &Event| {
            event.is("open")
                && event.server() == server.reference
                && *event.context("remotePort") == address.port()
        };
        let client = self.host.wait_for("open", WATCHDOG, is_it).client();
        (peer, client)
    }

    /// A further heartbeat on a server of which the host's callbacks may be slow: the library answers pings by itself.
    pub fn beat(&self, port: u16) {
        let opcode = if port == self.echo.port { TEXT } else { PING };
        let heart = Heart::start(port, opcode, Delays::of(&self.host));
        self.hearts.lock().unwrap().push(heart);
    }

    /// Every heart has beaten again.
    pub fn still_beats(&self) {
        for heart in self.hearts.lock().unwrap().iter() {
            assert!(heart.beats_again(), "no heartbeat on port {}", heart.port);
        }
    }

    /// What the test holds in the host's memory by its own will, over the usual 16 MiB.
    pub fn may_grow(&self, bytes: u64) {
        *self.growth.lock().unwrap() = bytes;
    }

    /// How long the test itself stops the host.
    pub fn may_pause(&self, time: Duration) {
        *self.gap.lock().unwrap() = LONGEST_GAP + time;
    }

    /// How much the resident memory has grown at the most since the scene was set.
    pub fn growth(&self) -> u64 {
        self.host.peak_rss().saturating_sub(self.ready.rss)
    }

    pub fn ready(&self) -> Footing {
        self.ready
    }

    /// Clears every server and client of the test.
    pub fn clear(&self) {
        for thing in self.things.lock().unwrap().drain(..).rev() {
            let reply = match thing {
                Thing::Server(server) => ask!(self.host, "server_clear", server),
                Thing::Client(client) => ask!(self.host, "client_clear", client),
            };
            assert!(
                [OK, UNKNOWN_REF].contains(&reply.status),
                "{thing:?}: {}",
                reply.body
            );
        }
    }

    /// The fault is over: nothing of it is left, and the library ends cleanly.
    pub fn finish(self) {
        let grown = self.growth();
        let gap = *self.gap.lock().unwrap();
        let others = self.hearts.lock().unwrap().split_off(1);
        for heart in others {
            heart.finish(gap);
        }
        self.clear();
        let mut last = Footing::of(&self.host);
        let back = soon(WATCHDOG, || {
            last = Footing::of(&self.host);
            last.fds <= self.ready.fds && last.threads <= self.ready.threads
        });
        assert!(
            back,
            "not back to {:?} but {last:?}: {:?}",
            self.ready,
            self.open_files()
        );
        for heart in self.hearts.lock().unwrap().drain(..) {
            heart.finish(gap);
        }
        ask!(self.host, "server_clear", self.echo.reference).ok();
        ask!(self.host, "shutdown", 5000).ok();
        let back = soon(WATCHDOG, || {
            last = Footing::of(&self.host);
            last.fds == self.before.fds && last.threads == self.before.threads
        });
        assert!(
            back,
            "after shutdown not back to {:?} but {last:?}: {:?}",
            self.before,
            self.open_files()
        );
        let limit = *self.growth.lock().unwrap();
        assert!(
            grown <= limit,
            "the host has grown by {} KiB, not at most {} KiB",
            grown >> 10,
            limit >> 10
        );
        self.host.leave();
    }

    fn open_files(&self) -> Vec<String> {
        let list = std::fs::read_dir(format!("/proc/{}/fd", self.host.pid)).unwrap();
        list.filter_map(|entry| {
            Some(
                std::fs::read_link(entry.ok()?.path())
                    .ok()?
                    .display()
                    .to_string(),
            )
        })
        .collect()
    }
}

fn start(host: &Host, options: &Value) -> Server {
    let reference = ask!(host, "server_create", options).ok().reference;
    let started = ask!(host, "server_start", reference, "{}").ok().body;
    Server {
        reference,
        port: started["port"].as_u64().expect("the reply has the port") as u16,
        headers: "",
    }
}

impl Footing {
    fn of(host: &Host) -> Footing {
        Footing {
            fds: host.fds(),
            threads: host.threads(),
            rss: host.rss(),
        }
    }
}

/// The host's network threads, each where the system tells how long it has waited for a processor.
struct Delays(Vec<PathBuf>);

impl Delays {
    fn of(host: &Host) -> Delays {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", host.pid));
        let network = tasks.into_iter().flatten().filter_map(|task| {
            let task = task.ok()?.path();
            let name = std::fs::read_to_string(task.join("comm")).ok()?;
            name.starts_with("wsplug-net").then_some(task)
        });
        Delays(network.collect())
    }

    /// So far: of the calling thread, which is the heart's, and of each of the host's. Not every kernel tells.
    fn so_far(&self) -> (Duration, Vec<Duration>) {
        let of = |task: &Path| {
            let stat = std::fs::read_to_string(task.join("schedstat")).ok()?;
            let nanos = stat.split_whitespace().nth(1)?.parse().ok()?;
            Some(Duration::from_nanos(nanos))
        };
        let network = self.0.iter().map(|task| of(task).unwrap_or_default());
        let own = of(Path::new("/proc/thread-self")).unwrap_or_default();
        (own, network.collect())
    }

    /// By how much an answer was delayed at the most; only one of the network threads has the heart's connection.
    fn since(&self, (own, network): (Duration, Vec<Duration>)) -> Duration {
        let now = self.so_far();
        let grown = now.1.iter().zip(network);
        let most = grown.map(|(now, then)| now.saturating_sub(then)).max();
        now.0.saturating_sub(own) + most.unwrap_or_default()
    }
}

/// A connection that sends something every 20 ms and notes how long the answers take.
struct Heart {
    port: u16,
    over: Arc<AtomicBool>,
    beats: Arc<Mutex<u64>>,
    thread: JoinHandle<Result<Duration, String>>,
}

impl Heart {
    fn start(port: u16, opcode: u8, delays: Delays) -> Heart {
        let (over, beats) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(0)));
        let (stop, count) = (over.clone(), beats.clone());
        let mut peer = Peer::client(port);
        let thread = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !stop.load(Ordering::Relaxed) {
                let (before, began) = (delays.so_far(), Instant::now());
                let said = format!("beat {}", count.lock().unwrap());
                peer.send(&Frame::new(opcode, &said));
                loop {
                    match peer.hear(PATIENCE) {
                        Heard::Frame(frame) if frame.opcode == PING => {
                            peer.send(&Frame::new(PONG, frame.payload))
                        }
                        Heard::Frame(frame) if frame.payload == said.as_bytes() => break,
                        // Whoever beats by ping is among those to whom the test sends.
                        Heard::Frame(frame) if opcode == PING && frame.opcode != PONG => {}
                        other => return Err(format!("{other:?} instead of {said:?}")),
                    }
                }
                // A thread that a callback holds up is not one that waits for a processor.
                let took = began.elapsed();
                let delayed = delays.since(before);
                longest = longest.max(took.saturating_sub(delayed));
                *count.lock().unwrap() += 1;
                std::thread::sleep(BEAT);
            }
            Ok(longest)
        });
        Heart {
            port,
            over,
            beats,
            thread,
        }
    }

    fn beats_again(&self) -> bool {
        let before = *self.beats.lock().unwrap();
        // One beat may have been answered before the call.
        let again = || *self.beats.lock().unwrap() > before + 1;
        soon(WATCHDOG, || again() || self.thread.is_finished()) && again()
    }

    fn finish(self, longest_allowed: Duration) {
        let beats = self.beats_again();
        self.over.store(true, Ordering::Relaxed);
        if !beats && !self.thread.is_finished() {
            panic!("no heartbeat on port {}", self.port);
        }
        let longest = self.thread.join().unwrap();
        let longest = longest
            .unwrap_or_else(|why| panic!("the heartbeat on port {} was harmed: {why}", self.port));
        assert!(
            longest < longest_allowed,
            "a heartbeat on port {} took {longest:?}",
            self.port
        );
    }
}
