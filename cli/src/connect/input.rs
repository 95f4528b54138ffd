//! Knows what is to be sent: texts, files and stdin, each when there is room for it.
//! Does not know what comes back.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Connect;
use crate::exit::Trouble;
use crate::library::{BINARY, Client, Event, QUEUE_FULL, TEXT, WRONG_STATE, status_text};

/// A thread that sends.
pub struct Input(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// How often there was room again.
    room: Mutex<u64>,
    changed: Condvar,
    /// When everything had left.
    ended: OnceLock<Instant>,
    trouble: Mutex<Option<Trouble>>,
    /// What is drawn while a file goes out.
    bar: Mutex<Option<ProgressBar>>,
}

/// Transfers from here on show how far they are.
pub const LARGE: u64 = 1 << 20;

/// How often it is looked at what still waits.
const LOOK: Duration = Duration::from_millis(20);

impl Input {
    pub fn start(client: Client, connect: &Connect) -> Input {
        let shared = Arc::new(Shared::default());
        let sender = Sender {
            shared: shared.clone(),
            client,
            kind: if connect.binary { BINARY } else { TEXT },
            comes_back: connect.reconnect,
            is_quiet: connect.quiet,
        };
        let texts = connect.texts.clone();
        let files = connect.files.clone();
        let (chunk, whole, stdin) = (connect.chunk, connect.whole, connect.reads_stdin());
        thread::spawn(move || {
            let sent = (|| {
                for text in &texts {
                    sender.send(sender.kind, text.as_bytes(), "the text")?;
                }
                for file in &files {
                    sender.file(file, chunk)?;
                }
                if stdin {
                    sender.stdin(whole)?;
                }
                sender.wait_until_sent(|_| {})
            })();
            match sent {
                Ok(()) => {}
                // The connection tells how it ended.
                Err(Stop::Gone) => return,
                Err(Stop::Trouble(trouble)) => *lock(&sender.shared.trouble) = Some(trouble),
            }
            let _ = sender.shared.ended.set(Instant::now());
            Event::wake();
        });
        Input(shared)
    }

    /// When the last byte had left.
    pub fn ended(&self) -> Option<Instant> {
        self.0.ended.get().copied()
    }

    pub fn trouble(&self) -> Option<Trouble> {
        lock(&self.0.trouble).take()
    }

    /// Prints without a bar in between.
    pub fn aside(&self, print: impl FnOnce()) {
        match &*lock(&self.0.bar) {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// The connection can take more, or is there again.
    pub fn has_room(&self) {
        *lock(&self.0.room) += 1;
        self.0.changed.notify_all();
    }
}

enum Stop {
    Gone,
    Trouble(Trouble),
}

struct Sender {
    shared: Arc<Shared>,
    client: Client,
    kind: i32,
    comes_back: bool,
    is_quiet: bool,
}

impl Sender {
    /// Waits for room where there is none.
    fn send(&self, kind: i32, data: &[u8], what: &str) -> Result<(), Stop> {
        loop {
            let before = *lock(&self.shared.room);
            match self.client.send(kind, data) {
                Ok(()) => return Ok(()),
                Err(QUEUE_FULL) => {}
                Err(WRONG_STATE) if self.comes_back => {}
                Err(WRONG_STATE) => return Err(Stop::Gone),
                Err(_) if kind == TEXT && std::str::from_utf8(data).is_err() => {
                    let message = format!("{what} is not UTF-8; --binary sends it as it is");
                    return Err(Stop::Trouble(Trouble::failed(message)));
                }
                Err(status) => {
                    let message = format!("{what} was not sent: {}", status_text(status));
                    return Err(Stop::Trouble(Trouble::failed(message)));
                }
            }
            let mut room = lock(&self.shared.room);
            while *room == before {
                room = self
                    .shared
                    .changed
                    .wait(room)
                    .unwrap_or_else(|e| e.into_inner());
            }
        }
    }

    fn stdin(&self, whole: bool) -> Result<(), Stop> {
        let mut stdin = io::stdin().lock();
        let cannot = |error| Stop::Trouble(Trouble::failed(format!("cannot read stdin: {error}")));
        let mut bytes = Vec::new();
        if whole {
            stdin.read_to_end(&mut bytes).map_err(cannot)?;
            return self.send(self.kind, &bytes, "stdin");
        }
        for number in 1.. {
            bytes.clear();
            if stdin.read_until(b'\n', &mut bytes).map_err(cannot)? == 0 {
                break;
            }
            let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            self.send(self.kind, line, &format!("line {number}"))?;
        }
        Ok(())
    }

    fn file(&self, path: &Path, chunk: usize) -> Result<(), Stop> {
        let name = path.display().to_string();
        let cannot = |error| Stop::Trouble(Trouble::failed(format!("cannot read {name}: {error}")));
        let mut file = File::open(path).map_err(cannot)?;
        let length = file.metadata().map_err(cannot)?.len();
        if chunk == 0 && i32::try_from(length).is_err() {
            let message = format!("{name} is larger than a message can be; --chunk cuts it");
            return Err(Stop::Trouble(Trouble::failed(message)));
        }
        let bar = self.bar(&name, length);
        *lock(&self.shared.bar) = Some(bar.clone());
        let most = if chunk == 0 { u64::MAX } else { chunk as u64 };
        let (mut sent, mut bytes) = (0, Vec::new());
        loop {
            bytes.clear();
            let read = (&mut file)
                .take(most)
                .read_to_end(&mut bytes)
                .map_err(cannot)? as u64;
            // An empty file is an empty message.
            if read == 0 && (sent > 0 || chunk > 0) {
                break;
            }
            self.send(BINARY, &bytes, &name)?;
            sent += read;
            bar.set_position(sent.saturating_sub(self.waiting().unwrap_or(0)));
            if chunk == 0 {
                break;
            }
        }
        drop(bytes);
        self.wait_until_sent(|waiting| bar.set_position(sent.saturating_sub(waiting)))?;
        bar.finish();
        *lock(&self.shared.bar) = None;
        Ok(())
    }

    /// Shown where stderr is a terminal.
    fn bar(&self, name: &str, length: u64) -> ProgressBar {
        if length < LARGE || self.is_quiet {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(
            "{msg} {bar:30} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
        );
        let bar = ProgressBar::new(length).with_message(name.to_owned());
        match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }

    fn wait_until_sent(&self, tell: impl Fn(u64)) -> Result<(), Stop> {
        loop {
            let waiting = self.waiting().ok_or(Stop::Gone)?;
            tell(waiting);
            if waiting == 0 {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
    }

    /// Bytes that have not left yet; none once the connection is gone for good.
    fn waiting(&self) -> Option<u64> {
        let info = self.client.info().ok()?;
        match info["state"] == "open" || self.comes_back {
            true => info["bufferedAmount"].as_u64(),
            false => None,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
