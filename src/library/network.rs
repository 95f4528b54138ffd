//! Knows how network threads start and end: one tokio event loop each.
//! Does not know what runs on them.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::error::{Error, Result, Status};
use crate::events::{begin_turns, end_turns, hub};
use crate::log;
use crate::platform;
use crate::transport::{Threads, mark_network_thread};

/// What a thread is given at its end to finish a name look-up that the system does not let us break off.
const LAST_MOMENT: Duration = Duration::from_millis(20);

/// The running network threads.
pub struct Network {
    threads: Arc<Threads>,
    running: Vec<Running>,
}

struct Running {
    stop: oneshot::Sender<Instant>,
    ended: mpsc::Receiver<bool>,
    thread: JoinHandle<()>,
}

impl Network {
    /// Starts `count` threads.
    pub fn start(count: usize) -> Result<Network> {
        let mut running = Vec::new();
        let mut handles = Vec::new();
        for number in 0..count {
            let (thread, handle) = start_thread(number).map_err(|error| {
                Error::new(
                    Status::Internal,
                    format!("cannot start a network thread: {error}"),
                )
            })?;
            running.push(thread);
            handles.push(handle);
        }
        Ok(Network {
            threads: Arc::new(Threads::new(handles)),
            running,
        })
    }

    /// The event loops.
    pub fn threads(&self) -> Arc<Threads> {
        self.threads.clone()
    }

    /// Ends and joins the threads; false if a callback or a name look-up did not return in time: its thread then ends by
    /// itself, later.
    pub fn join(self, deadline: Instant) -> bool {
        let mut is_complete = true;
        let mut waiting = Vec::new();
        for Running {
            stop,
            ended,
            thread,
        } in self.running
        {
            // Fails only if the thread has ended.
            let _ = stop.send(deadline);
            waiting.push((ended, thread));
        }
        for (ended, thread) in waiting {
            let patience = deadline.saturating_duration_since(Instant::now()) + 5 * LAST_MOMENT;
            match ended.recv_timeout(patience) {
                Ok(is_clean) => is_complete &= is_clean & thread.join().is_ok(),
                // It runs an inline callback that does not return; it ends when that does.
                Err(_) => is_complete = false,
            }
        }
        is_complete
    }
}

/// Behind all that has its turn already.
fn end_turn_soon() {
    if let Ok(handle) = Handle::try_current() {
        handle.spawn(async { hub().end_turn() });
    }
}

fn start_thread(number: usize) -> std::io::Result<(Running, Handle)> {
    let (stop, stopped) = oneshot::channel();
    let (ends, ended) = mpsc::channel();
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        // For name look-ups and files.
        .max_blocking_threads(16)
        .thread_keep_alive(Duration::from_millis(500))
        .on_thread_start(platform::prepare_thread)
        .on_thread_park(|| hub().end_turn())
        .build()?;
    let handle = runtime.handle().clone();
    let thread = std::thread::Builder::new()
        .name(format!("wsplug-net-{number}"))
        .spawn(move || {
            platform::prepare_thread();
            let mark = mark_network_thread(runtime.handle().clone());
            begin_turns(end_turn_soon);
            let deadline = runtime.block_on(stopped).unwrap_or_else(|_| Instant::now());
            drop(mark);
            // What ends with the event loop is posted outside of any turn.
            end_turns();
            let patience = deadline
                .saturating_duration_since(Instant::now())
                .max(LAST_MOMENT);
            let began = Instant::now();
            runtime.shutdown_timeout(patience);
            let is_complete = began.elapsed() < patience;
            if !is_complete {
                log::warn!("a name look-up did not return in time; its thread ends by itself");
            }
            // Fails only if nobody waits.
            let _ = ends.send(is_complete);
        })?;
    Ok((
        Running {
            stop,
            ended,
            thread,
        },
        handle,
    ))
}
