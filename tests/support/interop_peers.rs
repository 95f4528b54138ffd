//! The foreign programs of the interoperability tests: where they are, and how they are run and watched.
//! Does not know what is said between them.
#![allow(dead_code)] // Each test binary uses a part of it.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long one step of a conversation may take, on a machine that is busy with other tests too.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Where scripts/install.sh puts what does not come from the system's packages.
pub fn folder() -> PathBuf {
    let variable = |name| env::var_os(name).map(PathBuf::from);
    variable("WSPLUG_PEERS").unwrap_or_else(|| {
        let cache = variable("XDG_CACHE_HOME")
            .or_else(|| variable("HOME").map(|home| home.join(".cache")))
            .expect("HOME is set");
        cache.join("wsplug")
    })
}

/// Whether a peer is there. A missing one fails the test, unless WSPLUG_SKIP_PEERS=1 says that this is intended.
pub fn has(peer: &Path, part: &str) -> bool {
    if peer.exists() {
        return true;
    }
    let advice = format!(
        "{} is missing: run scripts/install.sh {part}",
        peer.display()
    );
    assert!(
        env::var("WSPLUG_SKIP_PEERS").is_ok_and(|skip| skip == "1"),
        "{advice}, or set WSPLUG_SKIP_PEERS=1"
    );
    eprintln!("not tested: {advice}");
    false
}

/// The path of a program of the system.
pub fn program(name: &str) -> PathBuf {
    env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| name.into())
}

/// A running program whose lines are read as they come; ended with the test.
pub struct Watched {
    child: Child,
    lines: Receiver<String>,
}

impl Watched {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line that begins with `start`, without it; others before it are skipped.
    pub fn line_after(&self, start: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(left)
                .unwrap_or_else(|error| panic!("no line {start:?}: {error}"));
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    /// Waits for the program's own end; returns the lines that were not read yet.
    pub fn end(mut self) -> (Vec<String>, ExitStatus) {
        let mut rest = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => rest.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end: {rest:?}"),
            }
        }
        let status = self.child.wait().expect("it was started");
        (rest, status)
    }

    /// Ends the program with a signal, as Ctrl-C or an init system would.
    pub fn end_by(self, signal: Signal) -> (Vec<String>, ExitStatus) {
        let id = i32::try_from(self.child.id()).expect("process ids are positive and small");
        kill(Pid::from_raw(id), signal).expect("it is still there");
        self.end()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Both fail where the program has ended already, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
