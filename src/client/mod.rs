//! Knows a client of our own: its starts, its end, and what is sent on it.
//! Does not know JSON or who hosts us.

mod answer;
mod backoff;
mod dial;
mod handshake;
mod queue;
mod run;
mod start;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};

pub use backoff::Backoff;
pub use handshake::{Failure, Target};
use queue::Queue;
use run::{Run, RunGuard};
pub use start::{Answer, Started, failed};

use crate::connection::{Connection, Counters, Sent, Settings};
use crate::error::{Error, Receipt, Result, Unsent};
use crate::events::{Source, hub};
use crate::log;
use crate::protocol::Kind;
use crate::transport::{Threads, spawn_on};

/// What one start needs to know.
#[derive(Clone)]
pub struct Plan {
    /// Where to, and with which request.
    pub target: Target,
    /// How the connection behaves.
    pub settings: Arc<Settings>,
    /// How to come back; None: not at all.
    pub reconnect: Option<Backoff>,
    /// Whether a first try that fails is repeated too.
    pub retry_first: bool,
    /// How long one try may take, from the name to the server's answer.
    pub timeout: Duration,
    /// What is said first on each connection.
    pub on_open: Vec<String>,
    /// Bytes of messages that may wait for a connection; 0: none.
    pub queue_limit: usize,
}

/// A client of our own.
pub struct Client {
    /// The ref.
    pub client: i32,
    /// Where its events come from.
    pub source: Arc<Source>,
    connection: RwLock<Option<Arc<Connection>>>,
    /// That of the newest start, if it has one: it knows the connection too.
    queue: RwLock<Option<Arc<Queue>>>,
    /// Whether it has one: so that sending without costs no look.
    has_queue: AtomicBool,
    /// What the newest start has left unsent.
    unsent: Mutex<Unsent>,
    state: Mutex<State>,
    ended: Condvar,
    /// What passed through the connections that are gone.
    gone: Mutex<Counters>,
}

#[derive(Default)]
struct State {
    /// The start that is in force: over once the host was told that nothing more comes of it.
    run: Option<Arc<Run>>,
    /// The newest start; the next one waits until it has ended.
    last: Option<Arc<Run>>,
    /// Starts that have not ended.
    active: usize,
    /// The ref is gone, or about to be: nothing is started any more.
    is_over: bool,
}

impl Client {
    /// A client that has not been started.
    pub fn new(client: i32, source: Arc<Source>) -> Arc<Client> {
        Arc::new(Client {
            client,
            source,
            connection: RwLock::new(None),
            queue: RwLock::new(None),
            has_queue: AtomicBool::new(false),
            unsent: Mutex::default(),
            state: Mutex::new(State::default()),
            ended: Condvar::new(),
            gone: Mutex::default(),
        })
    }

    /// Begins to connect on a network thread. The answer goes to `answer`, or to the host as an event if there is none.
    pub fn start(
        self: &Arc<Self>,
        plan: Plan,
        threads: &Threads,
        answer: Option<Arc<Answer>>,
    ) -> Result<()> {
        let tls = plan.target.tls.as_ref();
        if tls.is_some_and(|tls| !tls.is_verified()) {
            log::warn!(
                "client {}: anybody can pose as the server: its certificate or its name is not verified (tls)",
                self.client
            );
        }
        let run = Run::new(self.client, &plan);
        let mut state = self.state.lock();
        if state.is_over {
            return Err(Error::unknown_ref("client", self.client));
        }
        if state.run.as_ref().is_some_and(|run| !run.is_stopped()) {
            return Err(Error::wrong_state(format!(
                "client {} is started already",
                self.client
            )));
        }
        state.run = Some(run.clone());
        let previous = state.last.replace(run.clone());
        state.active += 1;
        *self.queue.write() = run.queue.clone();
        self.has_queue.store(run.queue.is_some(), SeqCst);
        *self.unsent.lock() = Unsent::default();
        // A runtime that has just been shut down drops the future, and with it the guard, at once.
        drop(state);
        let guard = RunGuard {
            client: self.clone(),
            run: run.clone(),
            answer,
        };
        spawn_on(threads.next(), async move {
            let mut guard = guard;
            if let Some(previous) = previous {
                // One "close" comes before the next "open". Ends soon, whatever the peer does.
                previous.ended().await;
            }
            let client = guard.client.clone();
            client.run(&plan, &run, &mut guard.answer).await;
        });
        Ok(())
    }

    /// The present connection, if there is one, and what passed through those before it.
    pub fn connection(&self) -> (Option<Arc<Connection>>, Counters) {
        let connection = self.connection.read().clone();
        (connection, *self.gone.lock())
    }

    /// Whether a start is in force.
    pub fn is_started(&self) -> bool {
        let state = self.state.lock();
        state.run.as_ref().is_some_and(|run| !run.is_stopped())
    }

    /// Ends the connection, the try or the wait for the next. False if there was nothing to end.
    pub fn stop(&self, code: u16, reason: &str) -> bool {
        let Some(run) = self.state.lock().run.clone() else {
            return false;
        };
        if !run.stop() {
            return false;
        }
        hub().look_again(&self.source);
        if let Some(queue) = &run.queue {
            self.leave(queue.stop());
        }
        let connection = self.connection.read().clone();
        if let Some(connection) = connection {
            connection.close(code, reason);
        }
        true
    }

    /// The same, and no start comes after it.
    pub fn stop_for_good(&self, code: u16, reason: &str) -> bool {
        self.state.lock().is_over = true;
        self.stop(code, reason)
    }

    /// Waits until no start is in force any more; false at the deadline.
    pub fn await_end(&self, deadline: std::time::Instant) -> bool {
        let mut state = self.state.lock();
        while state.active > 0 {
            if self.ended.wait_until(&mut state, deadline).timed_out() {
                return state.active == 0;
            }
        }
        true
    }

    /// Ends the connection without a word.
    pub fn abort(&self) {
        let connection = self.connection.read().clone();
        if let Some(connection) = connection {
            connection.abort();
        }
    }

    /// Nothing more comes of a start: the host may start again, in the event that tells it too.
    fn give_up(&self, run: &Arc<Run>) {
        let mut state = self.state.lock();
        if state.run.as_ref().is_some_and(|own| Arc::ptr_eq(own, run)) {
            state.run = None;
        }
        drop(state);
        // Nobody need wait for its messages any more.
        hub().look_again(&self.source);
    }

    /// What the newest start has left unsent, as far as that is known: for certain once it has ended.
    pub fn unsent(&self) -> Unsent {
        match &*self.queue.read() {
            Some(queue) => queue.left(),
            None => self.unsent.lock().clone(),
        }
    }

    /// Whether messages are kept until they can be sent.
    pub fn queues(&self) -> bool {
        self.has_queue.load(SeqCst)
    }

    fn leave(&self, unsent: Unsent) {
        if !unsent.is_nothing() {
            let Unsent {
                messages, bytes, ..
            } = unsent;
            log::warn!(
                "client {}: {messages} messages of {bytes} bytes were not sent",
                self.client
            );
            let mut sum = self.unsent.lock();
            *sum = std::mem::take(&mut *sum).and(unsent);
        }
    }

    /// Sends on the open connection, or keeps the message for the next one.
    pub fn send(&self, kind: Kind, payload: &[u8], receipt: Option<&Receipt>) -> Result<Sent> {
        if self.queues() {
            let queue = self.queue.read().clone();
            if let Some(queue) = queue {
                return queue.send(kind, payload, receipt);
            }
        }
        let connection = self.connection.read().clone();
        match connection {
            Some(connection) => connection.send(kind, payload, receipt),
            None => Err(Error::wrong_state(format!(
                "client {} is not connected",
                self.client
            ))),
        }
    }
}
