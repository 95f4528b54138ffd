//! A C host (tests/c/host.c) as a process of its own: commands to it, replies and events from it, what it costs.
//! Does not know what goes over the host's sockets.
#![allow(dead_code)] // Each test binary uses a part of it.

use crate::cc::{Flavour, compile};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub const OK: i32 = 0;
pub const TIMEOUT: i32 = 1;
pub const INVALID_ARGUMENT: i32 = -1;
pub const INVALID_OPTIONS: i32 = -2;
pub const UNKNOWN_REF: i32 = -3;
pub const WRONG_STATE: i32 = -4;
pub const QUEUE_FULL: i32 = -5;
pub const TOO_LARGE: i32 = -6;
pub const NETWORK: i32 = -7;
pub const IN_CALLBACK: i32 = -8;
pub const FORKED: i32 = -9;
pub const BUFFER_TOO_SMALL: i32 = -10;
pub const INTERNAL: i32 = -99;

/// No command of a test may take longer: a deadlock shows as this.
pub const WATCHDOG: Duration = Duration::from_secs(10);

/// Sends a command to a host and waits for its reply: `ask!(host, "server_stop", server, json!({"wait":false}))`.
#[macro_export]
macro_rules! ask {
    ($host:expr, $($word:expr),+ $(,)?) => { $host.call(&[$($word.to_string()),+]) };
}

/// Sends a command to a host without waiting, and returns the tag of its reply.
#[macro_export]
macro_rules! begin {
    ($host:expr, $($word:expr),+ $(,)?) => { $host.begin(&[$($word.to_string()),+]) };
}

pub struct Host {
    child: Mutex<Child>,
    stdin: Mutex<ChildStdin>,
    said: Arc<Said>,
    errors: Mutex<Option<JoinHandle<String>>>,
    tags: AtomicU32,
    pub pid: u32,
}

#[derive(Default)]
struct Said {
    log: Mutex<Log>,
    changed: Condvar,
}

#[derive(Default)]
struct Log {
    replies: HashMap<String, VecDeque<Reply>>,
    events: VecDeque<Event>,
    ended: bool,
}

#[derive(Clone, Debug)]
pub struct Reply {
    pub status: i32,
    /// What a create wrote into its out argument.
    pub reference: i32,
    /// Of "repeat": how many turns did not fail.
    pub done: i64,
    /// When the command was over, on the host's monotonic clock.
    pub t: i64,
    pub body: Value,
}

impl Reply {
    pub fn ok(self) -> Reply {
        assert_eq!(self.status, OK, "{}", self.body);
        self
    }

    /// The command failed with `status`, and its message has each of `parts` in it, in whatever case.
    pub fn fails(self, status: i32, parts: &[&str]) -> Reply {
        assert_eq!(self.status, status, "{}", self.body);
        let error = &self.body["error"];
        assert_eq!(self.body["success"], false, "{}", self.body);
        assert_eq!(error["code"], status, "{}", self.body);
        let message = error["message"].as_str().unwrap_or_default().to_lowercase();
        for part in parts {
            assert!(
                message.contains(&part.to_lowercase()),
                "no {part:?} in {message:?}"
            );
        }
        self
    }
}

#[derive(Clone, PartialEq)]
pub struct Event(pub Value);

impl Event {
    pub fn is(&self, kind: &str) -> bool {
        self.0["event"] == kind
    }
    pub fn server(&self) -> i32 {
        self.number("server")
    }
    pub fn client(&self) -> i32 {
        self.number("client")
    }
    pub fn number(&self, key: &str) -> i32 {
        self.0[key].as_i64().unwrap_or_default() as i32
    }
    /// When the host was told, in milliseconds on its monotonic clock.
    pub fn t(&self) -> i64 {
        self.0["t"].as_i64().unwrap_or_default()
    }
    pub fn context(&self, key: &str) -> &Value {
        &self.0["context"][key]
    }
    pub fn code(&self) -> i64 {
        self.context("code").as_i64().unwrap_or(-1)
    }
    pub fn reason(&self) -> &str {
        self.context("reason").as_str().unwrap_or_default()
    }
    pub fn log_line(&self) -> &str {
        self.0["message"].as_str().unwrap_or_default()
    }
    /// The bytes of a message of at most 128 bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let hex = self.0["hex"].as_str().unwrap_or_default();
        (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
            .collect()
    }
}

impl Debug for Event {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

impl Host {
    pub fn spawn() -> Host {
        Host::spawn_as(Flavour::Plain)
    }

    pub fn spawn_as(flavour: Flavour) -> Host {
        Host::spawn_with(flavour, &[])
    }

    /// With variables in its environment, and no others about proxies.
    pub fn spawn_with(flavour: Flavour, environment: &[(&str, &str)]) -> Host {
        let mut command = Command::new(compile("tests/c/host.c", flavour));
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        Host::start(command.envs(environment.iter().copied()))
    }

    /// A program that was built from tests/c/host.c.
    pub fn start(command: &mut Command) -> Host {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start the host: {error}"));
        let said = Arc::new(Said::default());
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let listener = said.clone();
        std::thread::spawn(move || listener.listen(BufReader::new(stdout)));
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Host {
            stdin: Mutex::new(child.stdin.take().unwrap()),
            pid: child.id(),
            child: Mutex::new(child),
            said,
            errors: Mutex::new(Some(errors)),
            tags: AtomicU32::new(1),
        }
    }

    pub fn call<Word: AsRef<[u8]>>(&self, words: &[Word]) -> Reply {
        let tag = self.begin(words);
        self.reply(&tag, 2 * WATCHDOG)
    }

    /// Sends a command and returns its tag.
    pub fn begin<Word: AsRef<[u8]>>(&self, words: &[Word]) -> String {
        let tag = self.tags.fetch_add(1, Ordering::Relaxed).to_string();
        let mut line = tag.clone().into_bytes();
        for word in words {
            assert!(
                !word.as_ref().iter().any(|byte| b"\t\n\0".contains(byte)),
                "a word with a tab, newline or NUL"
            );
            line.push(b'\t');
            line.extend_from_slice(word.as_ref());
        }
        line.push(b'\n');
        // A host that has ended is noticed by whoever waits for the reply.
        let _ = self.stdin.lock().unwrap().write_all(&line);
        tag
    }

    /// The next reply with this tag. A command inside "on" has the tag of the "on" followed by `!`.
    pub fn reply(&self, tag: &str, within: Duration) -> Reply {
        self.until(within, |log| {
            log.replies.get_mut(tag).and_then(VecDeque::pop_front)
        })
        .unwrap_or_else(|why| panic!("no reply to command {tag}: {why}"))
    }

    /// Takes the first event, of those not yet taken, that `matches`.
    pub fn wait_for(
        &self,
        what: &str,
        within: Duration,
        mut matches: impl FnMut(&Event) -> bool,
    ) -> Event {
        let found = self.until(within, |log| {
            let at = log.events.iter().position(&mut matches)?;
            log.events.remove(at)
        });
        found.unwrap_or_else(|why| {
            let log = self.said.log.lock().unwrap();
            let last: Vec<_> = log.events.iter().rev().take(10).collect();
            panic!("no {what}: {why}; the last events not taken: {last:#?}")
        })
    }

    /// Takes the first event of this type about this connection.
    pub fn event(&self, kind: &str, client: i32) -> Event {
        self.wait_for(&format!("{kind} of {client}"), WATCHDOG, |event| {
            event.is(kind) && event.client() == client
        })
    }

    /// Takes the first event of this type about any connection of this server.
    pub fn server_event(&self, kind: &str, server: i32) -> Event {
        self.wait_for(&format!("{kind} of {server}"), WATCHDOG, |event| {
            event.is(kind) && event.server() == server
        })
    }

    /// Takes all events that match and have come so far.
    pub fn take(&self, mut matches: impl FnMut(&Event) -> bool) -> Vec<Event> {
        let mut log = self.said.log.lock().unwrap();
        let (taken, kept) = log
            .events
            .drain(..)
            .partition::<Vec<_>, _>(|event| matches(event));
        log.events = kept.into();
        taken
    }

    fn until<T>(
        &self,
        within: Duration,
        mut look: impl FnMut(&mut Log) -> Option<T>,
    ) -> Result<T, String> {
        let deadline = Instant::now() + within;
        let mut log = self.said.log.lock().unwrap();
        loop {
            if let Some(found) = look(&mut log) {
                return Ok(found);
            }
            if log.ended {
                return Err(format!(
                    "the host has ended: {:?}, {}",
                    self.child.lock().unwrap().wait(),
                    self.errors()
                ));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("nothing within {within:?}"));
            }
            log = self.said.changed.wait_timeout(log, left).unwrap().0;
        }
    }

    /// How the process ended by itself; `None` if it is still there.
    pub fn ended(&self, within: Duration) -> Option<ExitStatus> {
        let over = soon(within, || {
            self.child.lock().unwrap().try_wait().unwrap().is_some()
        });
        over.then(|| self.child.lock().unwrap().wait().unwrap())
    }

    /// What the process has printed on stderr; waits for its end.
    pub fn errors(&self) -> String {
        let thread = self.errors.lock().unwrap().take();
        thread
            .map(|thread| thread.join().unwrap())
            .unwrap_or_default()
    }

    /// Ends the host as its `return` from main does; nothing may have been printed.
    pub fn leave(&self) {
        self.begin(&["return", "0"]);
        let status = self
            .ended(WATCHDOG)
            .expect("the host does not return from main");
        assert_eq!(
            (status.code(), status.signal()),
            (Some(0), None),
            "{}",
            self.errors()
        );
        assert_eq!(self.errors(), "", "the library has printed something");
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a plain system call; the child has not been waited for, so the pid is its own.
        assert_eq!(unsafe { libc::kill(self.pid as i32, signal) }, 0);
    }

    /// Suspends the process until SIGCONT; all of its threads stand still.
    pub fn suspend(&self) {
        self.signal(libc::SIGSTOP);
        let stands = |task: std::io::Result<std::fs::DirEntry>| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("stat"));
            // One that has ended meanwhile has no state.
            stat.map_or(true, |stat| stat.contains(") T "))
        };
        let stand = || {
            let mut tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid)).unwrap();
            tasks.all(stands)
        };
        assert!(soon(WATCHDOG, stand), "the host does not stop");
    }

    /// Resident bytes.
    pub fn rss(&self) -> u64 {
        self.status("VmRSS:") * 1024
    }

    /// The most resident bytes since `forget_peak`.
    pub fn peak_rss(&self) -> u64 {
        self.status("VmHWM:") * 1024
    }

    pub fn forget_peak(&self) {
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.pid), "5");
    }

    pub fn virtual_size(&self) -> u64 {
        self.status("VmSize:") * 1024
    }

    pub fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    pub fn fds(&self) -> u64 {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid))
            .map(|list| list.count() as u64)
            .unwrap_or_default()
    }

    /// Processor time of all threads so far.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    fn status(&self, key: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap_or("0");
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let mut child = self
            .child
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Said {
    fn listen(&self, mut output: impl BufRead) {
        let mut line = Vec::new();
        while matches!(output.read_until(b'\n', &mut line), Ok(1..)) {
            let said: Value = serde_json::from_slice(&line).unwrap_or_else(|error| {
                panic!("not JSON: {error}: {}", String::from_utf8_lossy(&line))
            });
            let mut log = self.log.lock().unwrap();
            match said["tag"].as_str() {
                Some(tag) => log
                    .replies
                    .entry(tag.to_owned())
                    .or_default()
                    .push_back(Reply {
                        status: said["status"].as_i64().unwrap() as i32,
                        reference: said["ref"].as_i64().unwrap() as i32,
                        done: said["done"].as_i64().unwrap(),
                        t: said["t"].as_i64().unwrap(),
                        body: said["reply"].clone(),
                    }),
                None => log.events.push_back(Event(said)),
            }
            self.changed.notify_all();
            line.clear();
        }
        self.log.lock().unwrap().ended = true;
        self.changed.notify_all();
    }
}

/// Whether a condition that nobody announces comes true in time.
pub fn soon(within: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}
