//! Knows a client of our own: opening, losing and reopening its connection.
//! Does not know JSON or who hosts us.

mod answer;
mod backoff;
mod dial;
mod handshake;
mod queue;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::Instant;

pub use backoff::Backoff;
use backoff::dice;
use dial::Progress;
pub use handshake::Failure;
pub use handshake::Target;
use handshake::{Opened, open};
use queue::Queue;

use crate::connection::{Connection, Counters, End, Owner, Sent, Settings, Task};
use crate::error::{Error, Result, Unsent};
use crate::events::{ErrorInfo, Event, OpenInfo, Source, Ticket, hub};
use crate::log;
use crate::protocol::{Kind, close};
use crate::transport::{Threads, spawn_on};

/// A connection that lasted this long was a success: the waits begin anew.
const PROVEN: Duration = Duration::from_secs(10);

/// A server that asks us to stay away for longer is not obeyed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

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

/// Where a start's answer is awaited, until the deadline and not a moment longer: then events tell.
#[derive(Default)]
pub struct Answer {
    slot: Mutex<Slot>,
    given: Condvar,
}

#[derive(Default)]
enum Slot {
    #[default]
    Awaited,
    Given(Started),
    Abandoned,
}

impl Answer {
    /// Gives the answer; false if nobody waits for it any more.
    fn give(&self, started: Started) -> bool {
        let mut slot = self.slot.lock();
        let is_awaited = matches!(*slot, Slot::Awaited);
        if is_awaited {
            *slot = Slot::Given(started);
            self.given.notify_all();
        }
        is_awaited
    }

    /// The answer; none at the deadline.
    pub fn wait(&self, deadline: std::time::Instant) -> Option<Started> {
        let mut slot = self.slot.lock();
        while matches!(*slot, Slot::Awaited) {
            if self.given.wait_until(&mut slot, deadline).timed_out() {
                break;
            }
        }
        match std::mem::replace(&mut *slot, Slot::Abandoned) {
            Slot::Given(started) => Some(started),
            _ => None,
        }
    }
}

/// How a start went: exactly one of these answers each start.
pub enum Started {
    /// The connection is open.
    Open(Box<OpenInfo>),
    /// It is not, and this was not sent.
    Failed(Failure, Unsent),
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

/// One start, until it has ended for good.
struct Run {
    stop: Mutex<Option<(u16, String)>>,
    stopped: Notify,
    ended: Notify,
    /// Whether a lost connection is opened again.
    returns: AtomicBool,
    queue: Option<Arc<Queue>>,
}

impl Run {
    fn is_stopped(&self) -> bool {
        self.stop.lock().is_some()
    }

    /// Whether the client comes back by itself after a connection that ended so.
    fn may_return(&self, end: &End) -> bool {
        self.returns.load(SeqCst) && !end.by_host && !self.is_stopped() && end.code != close::POLICY
    }
}

impl Client {
    /// A client that has not been started.
    pub fn new(client: i32, source: Arc<Source>) -> Arc<Client> {
        Arc::new(Client {
            client,
            source,
            connection: RwLock::new(None),
            queue: RwLock::new(None),
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
        let queue = (plan.queue_limit > 0).then(|| Queue::new(self.client, plan.queue_limit));
        let run = Arc::new(Run {
            queue: queue.map(Arc::new),
            stop: Mutex::new(None),
            stopped: Notify::new(),
            ended: Notify::new(),
            returns: AtomicBool::new(plan.reconnect.is_some()),
        });
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
                previous.ended.notified().await;
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
        {
            let mut stop = run.stop.lock();
            if stop.is_some() {
                return false;
            }
            *stop = Some((code, reason.to_owned()));
        }
        // One permit is kept for a run that does not wait at this moment.
        run.stopped.notify_one();
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
            None => *self.unsent.lock(),
        }
    }

    /// Whether messages are kept until they can be sent.
    pub fn queues(&self) -> bool {
        self.queue.read().is_some()
    }

    fn leave(&self, unsent: Unsent) {
        if unsent.messages > 0 {
            let Unsent { messages, bytes } = unsent;
            log::warn!(
                "client {}: {messages} messages of {bytes} bytes were not sent",
                self.client
            );
            let mut sum = self.unsent.lock();
            *sum = sum.and(unsent);
        }
    }

    /// Sends on the open connection, or keeps the message for the next one.
    pub fn send(&self, kind: Kind, payload: &[u8]) -> Result<Sent> {
        let queue = self.queue.read().clone();
        if let Some(queue) = queue {
            return queue.send(kind, payload);
        }
        let connection = self.connection.read().clone();
        match connection {
            Some(connection) => connection.send(kind, payload),
            None => Err(Error::wrong_state(format!(
                "client {} is not connected",
                self.client
            ))),
        }
    }

    async fn run(self: &Arc<Self>, plan: &Plan, run: &Arc<Run>, answer: &mut Option<Arc<Answer>>) {
        let mut failures = 0_u32;
        let mut is_first = true;
        let mut ticket = Ticket::default();
        loop {
            let progress = Progress::default();
            let attempt = tokio::time::timeout(plan.timeout, open(&plan.target, &progress));
            let attempt = tokio::select! {
                biased;
                () = run.stopped.notified() => return,
                attempt = attempt => attempt.unwrap_or_else(|_| Err(format!(
                    "no connection to \"{}\" within {} ms: {}",
                    plan.target.url.socket.as_ref().unwrap_or(&plan.target.url.host),
                    plan.timeout.as_millis(),
                    progress.phase(),
                ).into())),
            };
            let wait = match attempt {
                Ok(opened) => {
                    is_first = false;
                    let max = plan.reconnect.and_then(|backoff| backoff.max_retries);
                    run.returns
                        .fetch_and(max.is_none_or(|max| failures < max), SeqCst);
                    let began = Instant::now();
                    let Some(end) = self.live(plan, run, opened, answer).await else {
                        return;
                    };
                    failures = match began.elapsed() >= PROVEN {
                        true => 0,
                        // A server that closes at once is no better than one that refuses.
                        false => failures.saturating_add(1),
                    };
                    let Some(backoff) = plan.reconnect.filter(|_| run.may_return(&end)) else {
                        return;
                    };
                    match end.code {
                        1012 | 1013 => backoff.long_wait(dice()),
                        _ => backoff.wait(failures.saturating_sub(1), dice()),
                    }
                }
                Err(failure) => {
                    failures = failures.saturating_add(1);
                    let may_retry = !is_first || plan.retry_first;
                    let backoff = plan
                        .reconnect
                        .filter(|_| may_retry && !matches!(failure.http_status(), 401 | 403 | 407))
                        .filter(|backoff| backoff.max_retries.is_none_or(|max| failures <= max));
                    let at_least = failure.retry_after().unwrap_or_default();
                    let wait = backoff.map(|backoff| {
                        at_least.min(LONGEST_RETRY_AFTER) + backoff.wait(failures - 1, dice())
                    });
                    log::info!("client {}: {}", self.client, failure.reason);
                    if wait.is_none() {
                        self.give_up(run);
                    }
                    self.report(run, failure, wait, failures, answer);
                    match wait {
                        Some(wait) => wait,
                        None => return,
                    }
                }
            };
            tokio::select! {
                biased;
                () = run.stopped.notified() => return,
                () = tokio::time::sleep(wait) => {}
            }
            // A host that does not look is not told of ever more failures.
            let channel = self.source.channel();
            tokio::select! {
                biased;
                () = run.stopped.notified() => return,
                () = std::future::poll_fn(|context| {
                    match channel.is_used_up(context.waker(), &mut ticket) {
                        true => std::task::Poll::Pending,
                        false => std::task::Poll::Ready(()),
                    }
                }) => {}
            }
        }
    }

    /// From "open" to "close". None: stopped before it was open.
    async fn live(
        self: &Arc<Self>,
        plan: &Plan,
        run: &Arc<Run>,
        opened: Opened,
        answer: &mut Option<Arc<Answer>>,
    ) -> Option<End> {
        let connection = Connection::new(
            self.client,
            self.source.clone(),
            plan.settings.clone(),
            opened.agreed,
            opened.stream,
            Arc::new(Link {
                client: self.clone(),
                run: run.clone(),
            }),
            &opened.info,
        );
        for text in &plan.on_open {
            if let Err(error) = connection.send_first(Kind::Text, text.as_bytes()) {
                log::error!("client {}: onOpen: {error}", self.client);
            }
        }
        if let Some(queue) = &run.queue {
            queue.connect(&connection);
        }
        {
            // Under the lock of `stop`, so that it either sees the connection or is seen here.
            let stop = run.stop.lock();
            if stop.is_some() {
                return None;
            }
            *self.connection.write() = Some(connection.clone());
        }
        let task = Task::new(connection, opened.rest);
        self.source.post(Event::Open(&opened.info));
        if let Some(answer) = answer.take() {
            // If nobody waits any more, "open" has told.
            answer.give(Started::Open(Box::new(opened.info)));
        }
        Some(task.await)
    }

    fn report(
        &self,
        run: &Run,
        failure: Failure,
        wait: Option<Duration>,
        failures: u32,
        answer: &mut Option<Arc<Answer>>,
    ) {
        let mut unsent = Unsent::default();
        if wait.is_none() {
            if let Some(queue) = &run.queue {
                unsent = queue.disconnect(false);
                self.leave(unsent);
            }
            if let Some(answer) = answer.take() {
                if answer.give(Started::Failed(failure.clone(), unsent)) {
                    return;
                }
            }
        }
        self.source.post(Event::Error(&ErrorInfo {
            reason: failure.reason,
            answer: failure.answer,
            wait_time: wait.map_or(0, |wait| (wait.as_millis() as u64).max(1)),
            retries: failures,
            decompression_error: false,
            unsent,
        }));
    }
}

/// What a connection belongs to: its client, and the start that opened it.
struct Link {
    client: Arc<Client>,
    run: Arc<Run>,
}

impl Owner for Link {
    fn closing(&self, _: i32, end: &End, unsent: Unsent) -> Unsent {
        let ended = self.client.connection.write().take();
        if let Some(ended) = ended {
            *self.client.gone.lock() += ended.report().counters;
        }
        let may_return = self.run.may_return(end);
        let unsent = match &self.run.queue {
            Some(queue) => queue.disconnect(may_return),
            None => unsent,
        };
        self.client.leave(unsent);
        if !may_return {
            self.client.give_up(&self.run);
        }
        unsent
    }

    fn closed(&self, _: i32) {}
}

/// Whatever way a run ends, its end is known and its start answered.
struct RunGuard {
    client: Arc<Client>,
    run: Arc<Run>,
    answer: Option<Arc<Answer>>,
}

impl Drop for RunGuard {
    fn drop(&mut self) {
        self.client.give_up(&self.run);
        if let Some(queue) = &self.run.queue {
            self.client.leave(queue.disconnect(false));
        }
        if let Some(answer) = self.answer.take() {
            let reason = "the client was stopped before it was connected".to_owned();
            // The stop was told what is left.
            answer.give(Started::Failed(reason.into(), Unsent::default()));
        }
        let mut state = self.client.state.lock();
        state.active -= 1;
        if state
            .last
            .as_ref()
            .is_some_and(|last| Arc::ptr_eq(last, &self.run))
        {
            state.last = None;
        }
        drop(state);
        self.run.ended.notify_one();
        self.client.ended.notify_all();
    }
}

/// What a start that was answered with a failure is as an error.
pub fn failed(failure: Failure, unsent: Unsent) -> Error {
    Error {
        answer: failure.answer,
        unsent,
        ..Error::network(failure.reason)
    }
}
