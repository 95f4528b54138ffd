//! Knows a server's own context: when its service is due, what it was asked to execute, and that it is told "stopped" last.
//! Does not know how events reach the host.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Server;
use super::session::Session;
use crate::error::{Error, Result};
use crate::events::{Ended, Event};

/// Between two looks whether the host has taken the last events of a server that was stopped.
const LOOK: Duration = Duration::from_millis(2);

/// What a server does by itself, apart from its connections.
#[derive(Default)]
pub struct Service {
    /// Milliseconds from the end of one "service" to the next; 0: none.
    interval: AtomicU64,
    asked: Mutex<VecDeque<(String, String)>>,
    /// Something above is another, or another start is the newest.
    news: watch::Sender<()>,
    /// Sessions with an interval of which the host was not told "stopped".
    owes_stopped: AtomicUsize,
}

impl Service {
    /// From now on.
    pub fn set_interval(&self, interval: Duration) {
        self.interval.store(interval.as_millis() as u64, SeqCst);
        self.tell();
    }

    /// Every start of the server looks again at what it has to do.
    pub fn tell(&self) {
        self.news.send_replace(());
    }

    fn interval(&self) -> Option<Duration> {
        let interval = self.interval.load(SeqCst);
        (interval > 0).then(|| Duration::from_millis(interval))
    }
}

impl Server {
    /// Queues a procedure for the server's own context.
    pub fn execute(&self, procedure: &str, params: &str) -> Result<()> {
        self.source.check_credit()?;
        // Under the lock that a stop needs: what is queued before, the start that is stopped still serves.
        let sessions = self.sessions.lock();
        if sessions.newest().is_none() {
            return Err(Error::wrong_state(format!(
                "server {} is not started",
                self.server
            )));
        }
        let asked = (procedure.to_owned(), params.to_owned());
        self.service.asked.lock().push_back(asked);
        drop(sessions);
        self.service.tell();
        Ok(())
    }

    /// Tells every "stopped" that is owed, at the end of the library.
    pub fn tell_stopped(&self) {
        for _ in 0..self.service.owes_stopped.swap(0, SeqCst) {
            self.source.post(Event::Stopped);
        }
    }
}

/// Runs from a start to the end of the last connection after its stop.
pub async fn run(session: Arc<Session>) {
    let server = session.server.clone();
    let socket = session.sockets.count();
    let service = &server.service;
    let mut news = service.news.subscribe();
    // The end of the callback, from which the next one is counted.
    let ended = Arc::new(Notify::new());
    let (mut is_running, mut owes_stopped) = (false, false);
    let mut since = Instant::now();
    loop {
        serve(&server);
        // Once the server is started anew, its service is the new start's.
        let interval = service.interval().filter(|_| server.is_newest(&session));
        if interval.is_some() && !owes_stopped {
            owes_stopped = true;
            service.owes_stopped.fetch_add(1, SeqCst);
        }
        let due = interval
            .filter(|_| !is_running)
            .map(|interval| since + interval);
        let rest = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = session.stopped() => break,
            // Fails only if the sender is gone, which is the server's.
            _ = news.changed() => {}
            () = ended.notified() => {
                is_running = false;
                since = Instant::now();
            }
            () = rest => {
                is_running = true;
                let ended = ended.clone();
                server.source.post_service(Ended::new(move || ended.notify_one()));
            }
        }
    }
    serve(&server);
    session.is_empty().await;
    if owes_stopped {
        // Callbacks of different connections may have no order among each other: "stopped" comes after all of them.
        while server.source.needs_quiet() && server.source.channel().waiting().1 > 0 {
            tokio::time::sleep(LOOK).await;
        }
        service.owes_stopped.fetch_sub(1, SeqCst);
        server.source.post(Event::Stopped);
    }
    drop(socket);
}

fn serve(server: &Server) {
    loop {
        let next = server.service.asked.lock().pop_front();
        let Some((procedure, params)) = next else {
            return;
        };
        server.source.post(Event::Execute {
            procedure: &procedure,
            params: &params,
        });
    }
}
