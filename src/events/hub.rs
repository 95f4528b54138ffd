//! Knows the host's callbacks, the lanes in which events wait for them, and the thread that calls back.
//! Does not know where events come from.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::ffi::{CStr, CString};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use once_cell::sync::Lazy;
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

use super::pool::{self, Pool, Worker};
use super::queue::{Batch, Pulled};
use super::source::Source;
use super::wakeup::{Alarm, Wakeup};
use super::{Dispatch, Event, Tag, context, gate};
use crate::callback;
use crate::error::{Error, Result, Status};
use crate::log;
use crate::platform;
use crate::protocol::Kind;

/// So many batches do not wait for the end of a turn.
const SOON: u64 = 16;

thread_local! {
    /// Of a thread that works in turns: has the present turn ended even where it never comes to rest.
    static END_TURN_SOON: Cell<Option<fn()>> = const { Cell::new(None) };
    static HAS_POSTED: Cell<bool> = const { Cell::new(false) };
}

/// From now on the calling thread works in turns, and calls [`Hub::end_turn`] before it rests: one wake-up for all that it has
/// posted. With the first event of a turn it is asked to do so soon, in case that it does not rest.
pub fn begin_turns(end_turn_soon: fn()) {
    END_TURN_SOON.set(Some(end_turn_soon));
}

/// It does so no more.
pub fn end_turns() {
    END_TURN_SOON.set(None);
    hub().end_turn();
}

/// The host's callbacks.
pub trait Handler: Send + Sync {
    /// Any event, with its context as JSON. The buffer is the handler's to append to.
    fn event(&self, source: &Source, kind: &CStr, context: &mut Vec<u8>, tag: &Tag);
    /// A message as it came; only called where [`Handler::takes_messages`].
    fn message(&self, source: &Source, kind: Kind, data: &[u8]);
    /// Whether messages come as they are, without JSON.
    fn takes_messages(&self) -> bool;
}

/// All that waits for the host.
pub struct Hub {
    handlers: RwLock<Handlers>,
    /// Counts the changes of `handlers`.
    changes: AtomicU64,
    pub(super) lanes: Mutex<Lanes>,
    thread_ready: Condvar,
    pump_ready: Condvar,
    pull_ready: Condvar,
    thread_ended: Condvar,
}

struct Handlers {
    default: Option<Arc<dyn Handler>>,
    methods: HashMap<CString, Arc<dyn Handler>>,
    dispatch: Dispatch,
    affinity: bool,
}

impl Handlers {
    fn find(&self, tag: &Tag) -> Option<&Arc<dyn Handler>> {
        self.methods.get(&tag.method).or(self.default.as_ref())
    }

    fn dispatch(&self, tag: &Tag) -> Dispatch {
        tag.dispatch.unwrap_or(self.dispatch)
    }
}

#[derive(Default)]
pub(super) struct Lanes {
    thread: VecDeque<Batch>,
    pool: Pool,
    pump: VecDeque<Batch>,
    pub(super) pull: VecDeque<Batch>,
    pump_waits: bool,
    is_pumping: bool,
    pullers: usize,
    /// Sources whose messages somebody waits for.
    pub(super) receiving: Vec<Arc<Source>>,
    /// Counts what may have changed for them beside new messages.
    pub(super) round: u64,
    is_woken: bool,
    alarm: Option<Alarm>,
    /// Batches so far.
    posted: u64,
    /// Sources of the batches that were taken out to call back.
    in_hand: Vec<Arc<Source>>,
    caller: Option<JoinHandle<()>>,
    caller_runs: bool,
    caller_waits: bool,
    caller_must_end: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    Thread,
    Pool { needs_home: bool },
    Pump,
    Pull,
}

/// The process's one hub: what waits for the host outlives a shutdown of the library.
pub fn hub() -> &'static Hub {
    static HUB: Lazy<Hub> = Lazy::new(|| Hub {
        changes: AtomicU64::new(0),
        handlers: RwLock::new(Handlers {
            default: None,
            methods: HashMap::new(),
            dispatch: Dispatch::Thread,
            affinity: false,
        }),
        lanes: Mutex::new(Lanes::default()),
        thread_ready: Condvar::new(),
        pump_ready: Condvar::new(),
        pull_ready: Condvar::new(),
        thread_ended: Condvar::new(),
    });
    &HUB
}

/// Tells the host one event, on this thread.
pub fn call(handler: &dyn Handler, source: &Source, tag: &Tag, event: Event<'_>) {
    thread_local! {
        static CONTEXT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    source.note(&event);
    if let Event::Message { kind, data, .. } = event {
        if handler.takes_messages() {
            return callback::run(|| handler.message(source, kind, data));
        }
    }
    // Taken, not borrowed: the callback may cause another one on this thread.
    let mut buffer = CONTEXT.take();
    buffer.clear();
    context::write(&event, &mut buffer);
    let mut told = || callback::run(|| handler.event(source, event.type_name(), &mut buffer, tag));
    match event {
        Event::Close { .. } => source.values.during(source.client, told),
        _ => told(),
    }
    if buffer.capacity() <= 64 * 1024 {
        CONTEXT.set(buffer);
    }
}

impl Hub {
    /// Sets the callbacks of `method`, or of everything else. Returns once the old ones no longer run, unless it is
    /// called from a callback.
    pub fn set_handler(&self, method: Option<CString>, handler: Option<Arc<dyn Handler>>) {
        let old = {
            let mut handlers = self.handlers.write();
            match (method, handler) {
                (None, handler) => std::mem::replace(&mut handlers.default, handler),
                (Some(method), Some(handler)) => handlers.methods.insert(method, handler),
                (Some(method), None) => handlers.methods.remove(&method),
            }
        };
        self.changes.fetch_add(1, SeqCst);
        self.sort_again();
        if let Some(old) = old {
            await_end_of(old, None);
        }
    }

    /// Forgets all callbacks, and the wake-up. What waited for them waits to be pulled.
    ///
    /// Waits until they no longer run; false at the deadline.
    pub fn forget_handlers(&self, deadline: Instant) -> bool {
        let (default, methods) = {
            let mut handlers = self.handlers.write();
            handlers.dispatch = Dispatch::Thread;
            handlers.affinity = false;
            (
                handlers.default.take(),
                std::mem::take(&mut handlers.methods),
            )
        };
        self.changes.fetch_add(1, SeqCst);
        self.sort_again();
        let mut handlers = methods.into_values().chain(default);
        handlers.all(|handler| await_end_of(handler, Some(deadline)))
            & self.set_wakeup(None, Some(deadline))
    }

    /// How events are dispatched where a server or client does not say, and on how many threads of the pool at most.
    pub fn set_dispatch(&self, dispatch: Dispatch, affinity: bool, threads: usize) {
        {
            let mut handlers = self.handlers.write();
            handlers.dispatch = dispatch;
            handlers.affinity = affinity;
        }
        self.lanes.lock().pool.limit = threads;
        self.sort_again();
    }

    /// Whether events with this tag go to a callback.
    pub fn has_callbacks(&self, tag: &Tag) -> bool {
        self.lane(tag) != Lane::Pull
    }

    pub(super) fn is_threaded(&self, tag: &Tag) -> bool {
        self.lane(tag) == Lane::Thread && self.inline_handler(tag).is_none()
    }

    /// Whether events with this tag are told without the host's doing.
    pub(super) fn runs_by_itself(&self, tag: &Tag) -> bool {
        matches!(self.lane(tag), Lane::Thread | Lane::Pool { .. })
    }

    pub(super) fn is_pooled(&self, tag: &Tag) -> bool {
        matches!(self.lane(tag), Lane::Pool { .. })
    }

    pub(super) fn is_per_connection(&self, tag: &Tag) -> bool {
        self.handlers.read().dispatch(tag) == Dispatch::PerConnection
    }

    pub(super) fn inline_handler(&self, tag: &Tag) -> Option<Arc<dyn Handler>> {
        let handlers = self.handlers.read();
        match handlers.dispatch(tag) {
            Dispatch::Inline => handlers.find(tag).cloned(),
            _ => None,
        }
    }

    fn lane_of(&self, batch: &Batch) -> Lane {
        let (channel, tag) = (batch.body.source.channel(), &batch.body.tag);
        if channel.is_over() {
            return Lane::Pull;
        }
        match self.lane(tag) {
            // Where the host looked when it happened, it may look no more.
            Lane::Pump | Lane::Pull => match channel.tag() {
                current if tag.goes_as(&current) => self.lane(tag),
                current => self.lane(&tag.dispatched_as(&current)),
            },
            by_itself => by_itself,
        }
    }

    fn lane(&self, tag: &Tag) -> Lane {
        let handlers = self.handlers.read();
        match handlers.dispatch(tag) {
            _ if handlers.find(tag).is_none() => Lane::Pull,
            Dispatch::Pull => Lane::Pull,
            Dispatch::Pump => Lane::Pump,
            Dispatch::PerConnection => Lane::Pool {
                needs_home: tag.affinity.unwrap_or(handlers.affinity),
            },
            Dispatch::Thread | Dispatch::Inline => Lane::Thread,
        }
    }

    /// Puts a batch where its consumer finds it, which is woken if it waits.
    pub fn post(&self, mut batch: Batch) {
        let mut lanes = self.lanes.lock();
        // Under the lock that a change of callbacks takes to sort what waits.
        let lane = self.lane_of(&batch);
        lanes.posted += 1;
        batch.number = lanes.posted;
        self.push(&mut lanes, lane, batch);
        let is_stuck = (lane == Lane::Thread && !lanes.caller_runs) || lanes.pool.has_failed();
        match END_TURN_SOON.get() {
            Some(end_soon) if lanes.posted % SOON != 0 => {
                drop(lanes);
                if !HAS_POSTED.replace(true) {
                    end_soon();
                }
            }
            _ => self.wake_waiting(lanes),
        }
        if is_stuck {
            log::error!("no thread for callbacks can be started; the next event tries again");
        }
    }

    /// Whether there is a thread that calls back; starts it.
    pub(super) fn has_caller(&self) -> bool {
        let mut lanes = self.lanes.lock();
        lanes.start_caller();
        lanes.caller_runs
    }

    fn push(&self, lanes: &mut MutexGuard<'_, Lanes>, lane: Lane, batch: Batch) {
        match lane {
            Lane::Thread => {
                lanes.thread.push_back(batch);
                lanes.start_caller();
            }
            Lane::Pool { needs_home } => lanes.pool.push_back(batch, needs_home),
            Lane::Pump => lanes.pump.push_back(batch),
            Lane::Pull => {
                batch.body.source.tell_receivers();
                lanes.pull.push_back(batch);
            }
        }
    }

    /// Tells whoever has to look now. The last thing done under the lock: the host's wake-up is called without it.
    fn wake_waiting(&self, mut lanes: MutexGuard<'_, Lanes>) {
        if !lanes.thread.is_empty() && std::mem::take(&mut lanes.caller_waits) {
            self.thread_ready.notify_one();
        }
        lanes.pool.wake();
        if !lanes.pump.is_empty() && std::mem::take(&mut lanes.pump_waits) {
            self.pump_ready.notify_all();
        }
        if !lanes.pull.is_empty() && lanes.pullers > 0 {
            self.pull_ready.notify_all();
        }
        let wakeup = lanes.raise();
        drop(lanes);
        let is_lost = wakeup.is_some_and(|wakeup| !wakeup.fire());
        if is_lost {
            // The next event tries again.
            self.lanes.lock().alarm.iter_mut().for_each(Alarm::rearm);
        }
    }

    /// Wakes those who wait for what this thread has posted in the present turn.
    pub fn end_turn(&self) {
        if HAS_POSTED.replace(false) {
            self.wake_waiting(self.lanes.lock());
        }
    }

    /// After a change of callbacks or of a dispatch: what waits moves to where it is looked for now, in order.
    pub(super) fn sort_again(&self) {
        let mut lanes = self.lanes.lock();
        let mut waiting: Vec<Batch> = Vec::new();
        waiting.extend(lanes.pull.drain(..));
        waiting.extend(lanes.thread.drain(..));
        waiting.extend(lanes.pump.drain(..));
        waiting.extend(lanes.pool.drain());
        waiting.sort_by_key(|batch| batch.number);
        for batch in waiting {
            let lane = self.lane_of(&batch);
            self.push(&mut lanes, lane, batch);
        }
        // A host that was told of what it could pump is told of what it can pull.
        lanes.settle(true);
        lanes.round += 1;
        for source in &lanes.receiving {
            source.tell_receivers();
        }
        self.wake_waiting(lanes);
        gate::notify();
    }

    /// Takes out what waits for callbacks of sources that `belong`, and tells which of these are being called back for.
    pub(super) fn extract(
        &self,
        belongs: impl Fn(&Arc<Source>) -> bool,
    ) -> (Vec<Batch>, Vec<Arc<Source>>) {
        // The last word of another clear stays: it is owed.
        let goes = |batch: &Batch| !batch.is_final && belongs(&batch.body.source);
        let mut lanes = self.lanes.lock();
        let Lanes { thread, pump, .. } = &mut *lanes;
        let mut extracted = Vec::new();
        for lane in [thread, pump] {
            if lane.iter().any(goes) {
                let (own, others): (VecDeque<_>, VecDeque<_>) = lane.drain(..).partition(goes);
                *lane = others;
                extracted.extend(own);
            }
        }
        extracted.extend(lanes.pool.extract(goes));
        lanes.settle(false);
        let in_hand = lanes.in_hand.iter().filter(|source| belongs(source));
        (extracted, in_hand.cloned().collect())
    }

    /// Whether callbacks of `source` wait for the callback thread, or run on it.
    pub(super) fn is_on_its_way(&self, source: &Arc<Source>) -> bool {
        let lanes = self.lanes.lock();
        let waiting = lanes.thread.iter().map(|batch| &batch.body.source);
        waiting
            .chain(&lanes.in_hand)
            .any(|other| Arc::ptr_eq(other, source))
    }

    /// Tells the host on this thread, if it has a callback.
    pub(super) fn call(&self, source: &Source, tag: &Tag, event: Event<'_>) {
        let handler = self.handlers.read().find(tag).cloned();
        if let Some(handler) = handler {
            call(&*handler, source, tag, event);
        }
    }

    /// Calls back for the events of a batch, as long as `goes_on` after so many; returns for how many.
    fn deliver(&self, batch: &mut Batch, goes_on: impl Fn(usize) -> bool) -> usize {
        let body = batch.body.clone();
        let changes = self.changes.load(SeqCst);
        let handler = self.handlers.read().find(&body.tag).cloned();
        let Some(handler) = handler else {
            return 0;
        };
        if body.source.is_silent() && !batch.is_final {
            batch.next = body.len();
            return 0;
        }
        // Others are here only if a clear has just begun: the look below stops what it does not want.
        let before = body.source.gate.enter_alone();
        let takes_messages = handler.takes_messages();
        let inside = callback::enter();
        let mut count = 0;
        // A callback may take itself away: the rest is for whoever comes after it.
        while !batch.is_done() && goes_on(count) && self.changes.load(SeqCst) == changes {
            if body.source.is_silent() && !batch.is_final {
                batch.next = body.len();
                break;
            }
            let event = body.event(batch.next);
            batch.next += 1;
            count += 1;
            match event {
                Event::Message { kind, data, .. } if takes_messages => {
                    handler.message(&body.source, kind, data);
                }
                event => call(&*handler, &body.source, &body.tag, event),
            }
        }
        drop(inside);
        drop(handler);
        body.source.gate.leave_to(before);
        count
    }

    /// Runs callbacks on the calling thread: waits up to `timeout` for the first, then takes what is there, up to `max`.
    pub fn pump(&self, timeout: Option<Duration>, max: usize) -> Result<usize> {
        if callback::is_inside() {
            return Err(Error::new(
                Status::InCallback,
                "pump cannot run inside a callback",
            ));
        }
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut count = 0;
        while count < max {
            let Some(mut batch) = self.take_pumped(if count == 0 {
                deadline
            } else {
                Some(Instant::now())
            }) else {
                return Ok(count);
            };
            let delivered = self.deliver(&mut batch, |delivered| delivered < max - count);
            count += delivered;
            let mut lanes = self.lanes.lock();
            lanes.is_pumping = false;
            lanes.put_down(&batch);
            // Dropping a batch wakes others: not under the lock.
            let is_done = batch.is_done();
            if is_done {
                drop(lanes);
                drop(batch);
            } else {
                self.put_back(&mut lanes, batch);
                self.wake_waiting(lanes);
            }
            self.pump_ready.notify_all();
            if delivered == 0 && !is_done {
                break;
            }
        }
        // What is left is told anew: a host may do one portion at each wake-up.
        let mut lanes = self.lanes.lock();
        lanes.settle(true);
        self.wake_waiting(lanes);
        Ok(count)
    }

    /// The next batch to pump. One thread pumps at a time, or a connection's events would lose their order.
    fn take_pumped(&self, deadline: Option<Instant>) -> Option<Batch> {
        let mut lanes = self.lanes.lock();
        loop {
            if !lanes.is_pumping {
                if let Some(batch) = lanes.pump.pop_front() {
                    lanes.is_pumping = true;
                    lanes.in_hand.push(batch.body.source.clone());
                    return Some(batch);
                }
            }
            lanes.settle(true);
            if std::mem::take(&mut lanes.is_woken) {
                return None;
            }
            lanes.pump_waits = true;
            let is_late = match deadline {
                None => {
                    self.pump_ready.wait(&mut lanes);
                    false
                }
                Some(deadline) => self.pump_ready.wait_until(&mut lanes, deadline).timed_out(),
            };
            if is_late && (lanes.is_pumping || lanes.pump.is_empty()) {
                return None;
            }
        }
    }

    /// The next event that no callback takes.
    pub fn pull(&self, timeout: Option<Duration>) -> Option<Pulled> {
        self.pull_where(1, timeout, |_| true).pop()
    }

    /// Up to `max` events whose source `belongs`, oldest first; waits up to `timeout` for the first.
    pub fn pull_where(
        &self,
        max: usize,
        timeout: Option<Duration>,
        belongs: impl Fn(&Source) -> bool,
    ) -> Vec<Pulled> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut done = Vec::new();
        let mut lanes = self.lanes.lock();
        let pulled = loop {
            let pulled = take(&mut lanes.pull, max, &belongs, &mut done);
            lanes.settle(pulled.len() < max);
            if !pulled.is_empty() || std::mem::take(&mut lanes.is_woken) {
                break pulled;
            }
            lanes.pullers += 1;
            let is_late = match deadline {
                None => {
                    self.pull_ready.wait(&mut lanes);
                    false
                }
                Some(deadline) => self.pull_ready.wait_until(&mut lanes, deadline).timed_out(),
            };
            lanes.pullers -= 1;
            if is_late {
                let pulled = take(&mut lanes.pull, max, &belongs, &mut done);
                lanes.settle(pulled.len() < max);
                break pulled;
            }
        };
        drop(lanes);
        pulled
    }

    /// What tells the host from now on that something waits to be pumped or pulled; at once, if something does. Returns once
    /// the old one no longer runs, unless it is called from a callback; false at the deadline.
    pub fn set_wakeup(&self, wakeup: Option<Arc<Wakeup>>, deadline: Option<Instant>) -> bool {
        let mut lanes = self.lanes.lock();
        let old = std::mem::replace(&mut lanes.alarm, wakeup.map(Alarm::new));
        self.wake_waiting(lanes);
        old.is_none_or(|old| await_end_of(old.into_wakeup(), deadline))
    }

    /// Ends the wait of one `pull` or `pump`, the present one or the next.
    pub fn wake(&self) {
        self.lanes.lock().is_woken = true;
        self.pull_ready.notify_all();
        self.pump_ready.notify_all();
    }

    /// Lets the threads that call back deliver what is left, and joins them. False if they have not ended at the deadline.
    pub fn end_callers(&self, deadline: Instant) -> bool {
        let mut lanes = self.lanes.lock();
        lanes.caller_must_end = true;
        self.thread_ready.notify_all();
        lanes.pool.begin_end();
        while (lanes.caller_runs || lanes.pool.has_threads())
            && !self
                .thread_ended
                .wait_until(&mut lanes, deadline)
                .timed_out()
        {}
        let has_ended = !lanes.caller_runs && !lanes.pool.has_threads();
        let mut threads = lanes.pool.finish_end();
        if !lanes.caller_runs {
            threads.extend(lanes.caller.take());
        }
        drop(lanes);
        // They have done their last work.
        threads.into_iter().fold(has_ended, |is_clean, thread| {
            thread.join().is_ok() && is_clean
        })
    }

    /// The callback thread, which sleeps where nothing waits.
    fn run_caller(&self) {
        let mut lanes = self.lanes.lock();
        loop {
            let Some(mut batch) = lanes.thread.pop_front() else {
                if lanes.caller_must_end {
                    break;
                }
                lanes.caller_waits = true;
                self.thread_ready.wait(&mut lanes);
                continue;
            };
            lanes.in_hand.push(batch.body.source.clone());
            drop(lanes);
            self.deliver(&mut batch, |_| true);
            lanes = self.lanes.lock();
            lanes.put_down(&batch);
            if batch.is_done() {
                // Giving credit back wakes others: not under the lock.
                drop(lanes);
                drop(batch);
                lanes = self.lanes.lock();
            } else {
                self.put_back(&mut lanes, batch);
                self.wake_waiting(lanes);
                lanes = self.lanes.lock();
            }
        }
        lanes.caller_runs = false;
        drop(lanes);
        self.thread_ended.notify_all();
    }

    /// A thread of the pool, which gives the contexts their turns.
    pub(super) fn work(&self, worker: &Worker) {
        let mut lanes = self.lanes.lock();
        let mut may_end = false;
        loop {
            let Some(batch) = lanes.pool.begin_turn(worker) else {
                if may_end || lanes.pool.must_end(worker) {
                    break;
                }
                lanes.pool.rest(worker);
                let waited = worker.ready().wait_for(&mut lanes, pool::PATIENCE);
                may_end = lanes.pool.rise(worker, waited.timed_out());
                continue;
            };
            may_end = false;
            lanes.in_hand.push(batch.body.source.clone());
            // There may be work for another thread too.
            lanes.pool.wake();
            drop(lanes);
            self.give_turn(batch);
            lanes = self.lanes.lock();
        }
        let before = lanes.pool.leave(worker);
        drop(lanes);
        self.thread_ended.notify_all();
        for thread in before {
            // Fails only if it panicked, which was said then.
            let _ = thread.join();
        }
    }

    fn give_turn(&self, mut batch: Batch) {
        let source = batch.body.source.clone();
        let began = Instant::now();
        self.deliver(&mut batch, |count| {
            count == 0 || (count < pool::TURN && began.elapsed() < pool::TURN_TIME)
        });
        let mut lanes = self.lanes.lock();
        lanes.put_down(&batch);
        let mut done = None;
        match batch.is_done() {
            true => done = Some(batch),
            false => self.put_back(&mut lanes, batch),
        }
        lanes.pool.end_turn(source);
        self.wake_waiting(lanes);
        // Wakes those who wait for it: not under the lock.
        drop(done);
        gate::notify();
    }

    /// The thread on which the last word of `source` is to be said, if that is not the calling one.
    pub(super) fn distant_home(&self, source: &Source, tag: &Tag) -> Option<Arc<Worker>> {
        let home = source.home.get().filter(|home| !home.is_here())?;
        let is_there = self.is_pooled(tag) && self.lanes.lock().pool.has(home.worker());
        is_there.then(|| home.worker().clone())
    }

    /// Waits until the last word of `source` was said on its home, and says meanwhile what others have asked of this thread:
    /// two callbacks that clear each other's connections would wait for ever.
    pub(super) fn await_last_word(&self, source: &Source, home: &Worker, tag: &Tag) {
        let is_said = || !source.owes_last_word() || !self.has_callbacks(tag);
        while !is_said() {
            let own = self.lanes.lock().pool.take_last_word();
            match own {
                Some(mut batch) => {
                    self.deliver(&mut batch, |_| true);
                    if !batch.is_done() {
                        let mut lanes = self.lanes.lock();
                        self.put_back(&mut lanes, batch);
                        self.wake_waiting(lanes);
                    }
                }
                None => gate::wait_behind(home.thread(), || {
                    is_said() || self.lanes.lock().pool.has_last_word()
                }),
            }
        }
    }

    /// Waits until no context of the pool waits or has its turn; until the deadline at most.
    pub fn await_pool(&self, deadline: Instant) {
        gate::wait_for(Some(deadline), || self.lanes.lock().pool.is_quiet());
    }

    /// A batch that was not delivered to its end goes before everything that came later, to where it is looked for now: its
    /// callback may have been taken away meanwhile.
    fn put_back(&self, lanes: &mut Lanes, batch: Batch) {
        match self.lane_of(&batch) {
            Lane::Thread => {
                lanes.thread.push_front(batch);
                self.thread_ready.notify_one();
                lanes.start_caller();
            }
            Lane::Pool { needs_home } => {
                lanes.pool.push_front(batch, needs_home);
                lanes.pool.wake();
            }
            Lane::Pump => {
                lanes.pump.push_front(batch);
                self.pump_ready.notify_all();
            }
            Lane::Pull => {
                batch.body.source.tell_receivers();
                lanes.pull.push_front(batch);
                lanes.alarm.iter_mut().for_each(Alarm::rearm);
                if lanes.pullers > 0 {
                    self.pull_ready.notify_all();
                }
            }
        }
    }
}

impl Lanes {
    /// What has to be fired, because something waits for the host that it was not told of.
    fn raise(&mut self) -> Option<Arc<Wakeup>> {
        let is_quiet = self.pump.is_empty() && self.pull.is_empty();
        self.alarm.as_mut().filter(|_| !is_quiet)?.raise()
    }

    /// Something was taken out; to the end of what was looked for, or not.
    pub(super) fn settle(&mut self, is_exhausted: bool) {
        let is_quiet = self.pump.is_empty() && self.pull.is_empty();
        match &mut self.alarm {
            Some(alarm) if is_quiet => alarm.lower(),
            Some(alarm) if is_exhausted => alarm.rearm(),
            _ => {}
        }
    }

    fn start_caller(&mut self) {
        if !self.caller_runs {
            self.caller_must_end = false;
            self.caller = start_caller();
            self.caller_runs = self.caller.is_some();
        }
    }

    fn put_down(&mut self, batch: &Batch) {
        let position = self
            .in_hand
            .iter()
            .position(|source| Arc::ptr_eq(source, &batch.body.source));
        if let Some(position) = position {
            self.in_hand.swap_remove(position);
        }
    }
}

/// The callback thread. None: the system has no thread left; the next event tries again.
fn start_caller() -> Option<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("wsplug-events".into())
        .spawn(|| {
            platform::prepare_thread();
            hub().run_caller();
        })
        .ok()
}

fn take(
    lane: &mut VecDeque<Batch>,
    max: usize,
    belongs: impl Fn(&Source) -> bool,
    done: &mut Vec<Batch>,
) -> Vec<Pulled> {
    let mut pulled = Vec::new();
    let mut at = 0;
    while at < lane.len() && pulled.len() < max {
        let batch = &mut lane[at];
        if !belongs(&batch.body.source) {
            at += 1;
            continue;
        }
        while !batch.is_done() && pulled.len() < max {
            pulled.push(batch.pull());
        }
        if batch.is_done() {
            done.extend(lane.remove(at));
        }
    }
    pulled
}

/// Waits until nobody runs a callback that is no longer set; false at the deadline, or inside a callback, which may be this.
fn await_end_of<T: ?Sized>(mut old: Arc<T>, deadline: Option<Instant>) -> bool {
    // Asked so that what the callback has done is seen by whoever waits for its end.
    while Arc::get_mut(&mut old).is_none() {
        if callback::is_inside() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return false;
        }
        let soon = Instant::now() + Duration::from_millis(2);
        gate::wait_for(Some(soon), || Arc::strong_count(&old) == 1);
    }
    true
}
