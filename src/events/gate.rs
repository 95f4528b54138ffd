//! Knows which thread runs a callback for which source, and how to wait until it has returned.
//! Does not know what the callback is about.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

static NEXT_THREAD: AtomicU64 = AtomicU64::new(1);
static WAITERS: AtomicUsize = AtomicUsize::new(0);
/// Which thread waits for which, so that two callbacks that clear each other's object do not wait for ever.
static WAITS_FOR: Mutex<Option<HashMap<u64, u64>>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();

thread_local! {
    static THREAD: u64 = NEXT_THREAD.fetch_add(1, SeqCst);
}

/// The calling thread's number, as gates know it.
pub fn this_thread() -> u64 {
    THREAD.with(|thread| *thread)
}

/// The thread that runs callbacks of one source now, 0 if none does.
#[derive(Default)]
pub struct Gate(AtomicU64);

impl Gate {
    /// The calling thread begins to run callbacks; false if another one does.
    pub fn try_enter(&self) -> bool {
        let me = this_thread();
        self.0.compare_exchange(0, me, SeqCst, SeqCst).is_ok()
    }

    /// The calling thread begins to run callbacks.
    pub fn enter(&self) {
        self.0.store(this_thread(), SeqCst);
    }

    /// It has ended, and those who wait for it are told.
    pub fn leave(&self) {
        self.0.store(0, SeqCst);
        notify();
    }

    /// Waits for others as [`Gate::wait_until_idle`] and enters; what [`Gate::leave_to`] restores.
    pub fn enter_alone(&self) -> u64 {
        let me = this_thread();
        loop {
            let is_idle = self.wait_until_idle();
            match self.0.compare_exchange(0, me, SeqCst, SeqCst) {
                Ok(before) => return before,
                // Our own callback, or one that waits for us.
                Err(before) if before == me || !is_idle => return before,
                Err(_) => {}
            }
        }
    }

    /// Leaves a gate that was entered alone.
    pub fn leave_to(&self, before: u64) {
        if before == 0 {
            self.leave();
        }
    }

    /// Waits until no other thread runs a callback of this source. False if that would wait for ourselves.
    pub fn wait_until_idle(&self) -> bool {
        let me = this_thread();
        let mut waits = WAITS_FOR.lock();
        WAITERS.fetch_add(1, SeqCst);
        let is_idle = loop {
            let running = self.0.load(SeqCst);
            if running == 0 || running == me {
                break true;
            }
            let waits_for = waits.get_or_insert_with(HashMap::new);
            let mut next = Some(running);
            while let Some(thread) = next.filter(|thread| *thread != me) {
                next = waits_for.get(&thread).copied();
            }
            if next == Some(me) {
                break false;
            }
            waits_for.insert(me, running);
            CHANGED.wait(&mut waits);
            forget(&mut waits, me);
        };
        WAITERS.fetch_sub(1, SeqCst);
        is_idle
    }
}

fn forget(waits: &mut Option<HashMap<u64, u64>>, thread: u64) {
    if let Some(waits_for) = waits {
        waits_for.remove(&thread);
        if waits_for.is_empty() {
            *waits = None;
        }
    }
}

/// Waits for what `thread` has to do, until `condition` holds, which is looked at after each [`notify`].
pub fn wait_behind(thread: u64, condition: impl Fn() -> bool) {
    let me = this_thread();
    let mut waits = WAITS_FOR.lock();
    WAITERS.fetch_add(1, SeqCst);
    waits.get_or_insert_with(HashMap::new).insert(me, thread);
    // It may wait for us.
    CHANGED.notify_all();
    while !condition() {
        CHANGED.wait(&mut waits);
    }
    forget(&mut waits, me);
    WAITERS.fetch_sub(1, SeqCst);
}

/// Tells those in [`wait_for`] and [`Gate::wait_until_idle`] to look again.
pub fn notify() {
    if WAITERS.load(SeqCst) > 0 {
        drop(WAITS_FOR.lock());
        CHANGED.notify_all();
    }
}

/// Waits until `condition` holds, which is looked at after each [`notify`]; false at the deadline.
pub fn wait_for(deadline: Option<Instant>, condition: impl Fn() -> bool) -> bool {
    let mut waits = WAITS_FOR.lock();
    WAITERS.fetch_add(1, SeqCst);
    let mut holds = condition();
    while !holds {
        match deadline {
            None => CHANGED.wait(&mut waits),
            Some(deadline) if CHANGED.wait_until(&mut waits, deadline).timed_out() => {
                holds = condition();
                break;
            }
            Some(_) => {}
        }
        holds = condition();
    }
    WAITERS.fetch_sub(1, SeqCst);
    holds
}
