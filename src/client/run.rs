//! Knows one start from its first try to its end: connecting, losing the connection, waiting, coming back.
//! Does not know who asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::backoff::dice;
use super::dial::Progress;
use super::handshake::{Opened, open};
use super::queue::Queue;
use super::{Answer, Client, Failure, Plan, Started};
use crate::connection::{Broadcasts, Connection, End, Owner, Task};
use crate::error::Unsent;
use crate::events::{ErrorInfo, Event, Ticket};
use crate::log;
use crate::protocol::{Kind, close};

/// A connection that lasted this long was a success: the waits begin anew.
const PROVEN: Duration = Duration::from_secs(10);

/// A server that asks us to stay away for longer is not obeyed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// One start, until it has ended for good.
pub struct Run {
    is_stopped: Mutex<bool>,
    stopped: Notify,
    ended: Notify,
    /// Whether a lost connection is opened again.
    returns: AtomicBool,
    /// What waits for the next connection, if anything may.
    pub queue: Option<Arc<Queue>>,
}

impl Run {
    /// A start that has not begun.
    pub fn new(client: i32, plan: &Plan) -> Arc<Run> {
        let queue = (plan.queue_limit > 0).then(|| Queue::new(client, plan.queue_limit));
        Arc::new(Run {
            is_stopped: Mutex::new(false),
            stopped: Notify::new(),
            ended: Notify::new(),
            returns: AtomicBool::new(plan.reconnect.is_some()),
            queue: queue.map(Arc::new),
        })
    }

    /// Ends it; false if that was done before.
    pub fn stop(&self) -> bool {
        if std::mem::replace(&mut *self.is_stopped.lock(), true) {
            return false;
        }
        // One permit is kept for a run that does not wait at this moment.
        self.stopped.notify_one();
        true
    }

    /// Waits until it has ended for good.
    pub async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Whether the host has ended it.
    pub fn is_stopped(&self) -> bool {
        *self.is_stopped.lock()
    }

    /// Whether the client comes back by itself after a connection that ended so.
    fn may_return(&self, end: &End) -> bool {
        self.returns.load(SeqCst) && !end.by_host && !self.is_stopped() && end.code != close::POLICY
    }
}

impl Client {
    /// A start, to its end.
    pub(super) async fn run(
        self: &Arc<Self>,
        plan: &Plan,
        run: &Arc<Run>,
        answer: &mut Option<Arc<Answer>>,
    ) {
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
            let source = &self.source;
            tokio::select! {
                biased;
                () = run.stopped.notified() => return,
                () = std::future::poll_fn(|context| {
                    match source.is_used_up(context.waker(), &mut ticket) {
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
            if let Err(error) = connection.send_first(Kind::Text, text.as_bytes(), None) {
                log::error!("client {}: onOpen: {error}", self.client);
            }
        }
        if let Some(queue) = &run.queue {
            queue.connect(&connection);
        }
        {
            // Under the lock of `stop`, so that it either sees the connection or is seen here.
            let is_stopped = run.is_stopped.lock();
            if *is_stopped {
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
                self.leave(unsent.clone());
            }
            if let Some(answer) = answer.take() {
                if answer.give(Started::Failed(failure.clone(), unsent.clone())) {
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
        let may_return = self.run.may_return(end);
        let (unsent, again) = match &self.run.queue {
            Some(queue) => queue.lose(may_return, unsent),
            None => (unsent, Unsent::default()),
        };
        if let Some(ended) = ended {
            let mut gone = self.client.gone.lock();
            *gone += ended.report().counters;
            gone.messages_out -= again.messages as u64;
            gone.bytes_out -= again.bytes;
        }
        self.client.leave(unsent.clone());
        if !may_return {
            self.client.give_up(&self.run);
        }
        unsent
    }

    fn closed(&self, _: i32) {}

    fn ended(&self, _: i32) {}

    fn broadcasts(&self) -> Option<Arc<Broadcasts>> {
        None
    }
}

/// Whatever way a run ends, its end is known and its start answered.
pub struct RunGuard {
    pub client: Arc<Client>,
    pub run: Arc<Run>,
    pub answer: Option<Arc<Answer>>,
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
