//! Knows how to load an echo server from many connections, and what to measure meanwhile.
//! Does not know the server.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use serde_json::json;

use crate::exit::{DONE, Trouble};
use crate::library::{self, BINARY, Client, Event, Listener, TEXT, listen};
use crate::ping::{failed, seconds};
use crate::reach::{self, Reach};
use crate::terminal::{line, note, size};
use crate::{echo, interrupt};

/// Measure an echo server: messages a second and how long each takes
///
/// Each connection keeps --pipeline messages under way and sends the next when one has come back. The server has to
/// send back what it gets. What this machine's other programs do, and this one itself, is part of what is measured.
#[derive(Args)]
#[command(after_help = "\
Examples:
  wsplug bench --self
  wsplug bench ws://localhost:8080/ -c 64 --size 16 --pipeline 1 --duration 10
  wsplug bench wss://example.com/echo --json")]
pub struct Bench {
    /// The echo server; ws://…, wss://… or ws+unix:…
    #[arg(required_unless_present = "itself", conflicts_with = "itself")]
    url: Option<String>,

    /// Measure an echo server in this very process, on 127.0.0.1
    #[arg(long = "self")]
    itself: bool,

    #[command(flatten)]
    reach: Reach,

    /// Connections
    #[arg(short, long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,

    /// Bytes of each message
    #[arg(long, value_name = "BYTES", default_value_t = 125, value_parser = clap::value_parser!(u32).range(..=64 << 20))]
    size: u32,

    /// Messages under way on each connection
    #[arg(short, long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pipeline: u32,

    /// Seconds to measure
    #[arg(short, long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    duration: Duration,

    /// Text messages instead of binary ones
    #[arg(long)]
    text: bool,

    /// Network threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub fn run(self) -> Result<u8, Trouble> {
        interrupt::watch();
        library::init(&json!({"threads": self.threads}))?;
        let url = match &self.url {
            Some(url) => url.clone(),
            None => format!("ws://127.0.0.1:{}/", echo::server(0)?.1),
        };
        // The library's threads look at it as long as the process lives.
        let load: &'static Load = Box::leak(Box::new(Load::new(&self)?));
        let connections = self.open(&url, load)?;
        let (kind, each) = (
            if self.text { "text" } else { "binary" },
            size(self.size.into()),
        );
        note(format!(
            "{} connections, {} {kind} messages of {each} under way on each, {} s",
            self.connections,
            self.pipeline,
            self.duration.as_secs_f64()
        ));

        let began = Instant::now();
        for (client, connection) in connections {
            for _ in 0..self.pipeline {
                connection.send(client);
            }
        }
        while began.elapsed() < self.duration && !interrupt::came() && !load.is_over() {
            // Nothing is pulled here: Ctrl-C and a failure wake this, else the time is over.
            let left = self.duration.saturating_sub(began.elapsed());
            Event::next(Some(left.max(Duration::from_millis(1))));
        }
        load.is_over.store(true, Ordering::Relaxed);
        let took = began.elapsed();
        if let Some(problem) = lock(&load.problem).take() {
            return Err(Trouble::failed(problem));
        }
        self.tell(&url, took, &lock(&load.times))
    }

    /// Each has a method of its own, so that its callback need not look for what belongs to it.
    fn open(
        &self,
        url: &str,
        load: &'static Load,
    ) -> Result<Vec<(Client, &'static Connection)>, Trouble> {
        let mut opened = Vec::new();
        for number in 0..self.connections {
            let method = format!("bench-{number}");
            let connection: &'static Connection = Box::leak(Box::new(Connection {
                load,
                sent: Mutex::default(),
            }));
            listen(&method, connection);
            let own = json!({
                "method": method, "dispatch": "inline", "fragments": false, "pingInterval": 0,
                "maxMessage": 64 << 20, "sendQueueBytes": 1 << 30,
            });
            let client = reach::client(&self.reach.options(url, own))?;
            client.start(&json!({})).map_err(failed)?;
            opened.push((client, connection));
            if interrupt::came() {
                break;
            }
        }
        Ok(opened)
    }

    fn tell(&self, url: &str, took: Duration, times: &Histogram<u64>) -> Result<u8, Trouble> {
        if times.is_empty() {
            return Err(Trouble::failed(
                "nothing came back: bench needs a server that echoes",
            ));
        }
        let rate = times.len() as f64 / took.as_secs_f64();
        let bytes = rate * f64::from(self.size);
        let at = |percent: f64| times.value_at_quantile(percent / 100.0) as f64 / 1000.0;
        let (least, mean, most) = (
            times.min() as f64 / 1000.0,
            times.mean() / 1000.0,
            times.max() as f64 / 1000.0,
        );
        if self.json {
            line(json!({
                "url": url, "connections": self.connections, "size": self.size, "pipeline": self.pipeline,
                "seconds": took.as_secs_f64(), "messages": times.len(), "messagesPerSecond": rate.round(),
                "bytesPerSecond": bytes.round(),
                "latencyMicroseconds": {"min": least, "mean": mean, "p50": at(50.0), "p90": at(90.0), "p99": at(99.0),
                                        "p99.9": at(99.9), "max": most},
            }).to_string());
            return Ok(DONE);
        }
        line(format!(
            "messages  {} in {:.2} s, {rate:.0}/s each way",
            times.len(),
            took.as_secs_f64()
        ));
        line(format!("payload   {}/s each way", size(bytes as u64)));
        line(format!(
            "latency   min {least:.1}  mean {mean:.1}  p50 {:.1}  p90 {:.1}  p99 {:.1}  p99.9 {:.1}  max {most:.1} µs",
            at(50.0),
            at(90.0),
            at(99.0),
            at(99.9)
        ));
        Ok(DONE)
    }
}

/// What all connections share.
struct Load {
    kind: i32,
    payload: Vec<u8>,
    times: Mutex<Histogram<u64>>,
    problem: Mutex<Option<String>>,
    is_over: AtomicBool,
}

/// One of them, which is called back for itself.
struct Connection {
    load: &'static Load,
    /// When the messages that are under way were sent.
    sent: Mutex<VecDeque<Instant>>,
}

/// Nanoseconds; what takes longer counts as this.
const LONGEST: u64 = 60_000_000_000;

impl Load {
    fn new(bench: &Bench) -> Result<Load, Trouble> {
        let times = Histogram::new_with_bounds(1, LONGEST, 3);
        Ok(Load {
            kind: if bench.text { TEXT } else { BINARY },
            payload: (b'a'..=b'z').cycle().take(bench.size as usize).collect(),
            times: Mutex::new(times.map_err(|error| Trouble::failed(error.to_string()))?),
            problem: Mutex::default(),
            is_over: AtomicBool::new(false),
        })
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// The first problem counts; the rest follows from it, or from the end.
    fn fail(&self, problem: String) {
        if !self.is_over.swap(true, Ordering::Relaxed) {
            *lock(&self.problem) = Some(problem);
            Event::wake();
        }
    }
}

impl Connection {
    fn send(&self, client: Client) {
        lock(&self.sent).push_back(Instant::now());
        if let Err(status) = client.send(self.load.kind, &self.load.payload) {
            self.load.fail(format!(
                "a message could not be sent: {}",
                library::status_text(status)
            ));
        }
    }
}

impl Listener for Connection {
    fn message(&self, client: Client, kind: i32, data: &[u8]) {
        let load = self.load;
        if load.is_over() {
            return;
        }
        if kind != load.kind || data != load.payload {
            return load.fail(
                "the server does not send back what it gets: bench needs one that echoes".into(),
            );
        }
        if let Some(sent) = lock(&self.sent).pop_front() {
            let took = u64::try_from(sent.elapsed().as_nanos()).unwrap_or(LONGEST);
            lock(&load.times).saturating_record(took);
        }
        self.send(client);
    }

    fn event(&self, _: Client, what: &str) {
        if what == "close" {
            self.load.fail("the server has closed a connection".into());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
