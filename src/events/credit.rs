//! Knows how much waits for the host, how much may, and who is to be woken once there is room again.
//! Does not know events.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::Waker;

use parking_lot::Mutex;

/// How much may wait for the host before we stop reading.
#[derive(Clone, Copy, Debug)]
pub struct CreditLimits {
    /// Bytes of payload.
    pub bytes: usize,
    /// Events.
    pub events: usize,
}

/// Bytes and events that wait for the host. While it is used up, nothing more is read.
pub struct Credit {
    byte_limit: AtomicUsize,
    event_limit: AtomicUsize,
    bytes: AtomicUsize,
    events: AtomicUsize,
    has_paused: AtomicBool,
    paused: Mutex<Vec<Waker>>,
    /// Counts how often the paused were woken.
    round: AtomicU64,
}

/// Remembers that a waker is listed already.
#[derive(Default)]
pub struct Ticket(u64);

impl Credit {
    pub fn new(limits: CreditLimits) -> Credit {
        Credit {
            byte_limit: AtomicUsize::new(limits.bytes),
            event_limit: AtomicUsize::new(limits.events),
            bytes: AtomicUsize::new(0),
            events: AtomicUsize::new(0),
            has_paused: AtomicBool::new(false),
            paused: Mutex::new(Vec::new()),
            round: AtomicU64::new(1),
        }
    }

    pub fn set_limits(&self, limits: CreditLimits) {
        self.byte_limit.store(limits.bytes, SeqCst);
        self.event_limit.store(limits.events, SeqCst);
    }

    /// Bytes and events that wait.
    pub fn waiting(&self) -> (usize, usize) {
        (self.bytes.load(SeqCst), self.events.load(SeqCst))
    }

    /// Bytes and events that may still come.
    pub fn room(&self) -> (usize, usize) {
        let room = |limit: &AtomicUsize, used: &AtomicUsize| {
            limit.load(SeqCst).saturating_sub(used.load(SeqCst))
        };
        (
            room(&self.byte_limit, &self.bytes),
            room(&self.event_limit, &self.events),
        )
    }

    pub fn is_exhausted(&self) -> bool {
        let (bytes, events) = self.room();
        bytes == 0 || events == 0
    }

    /// Whether nothing more should be read for now. If so, `waker` is woken once there is credit again.
    pub fn is_used_up(&self, waker: &Waker, ticket: &mut Ticket) -> bool {
        if !self.is_exhausted() {
            return false;
        }
        if ticket.0 != self.round.load(SeqCst) {
            let mut paused = self.paused.lock();
            paused.push(waker.clone());
            ticket.0 = self.round.load(SeqCst);
            self.has_paused.store(true, SeqCst);
        }
        // Credit may have come back between the look and the listing.
        self.is_exhausted()
    }

    pub fn charge(&self, bytes: usize, events: usize) {
        self.bytes.fetch_add(bytes, SeqCst);
        self.events.fetch_add(events, SeqCst);
    }

    pub fn give_back(&self, bytes: usize, events: usize) {
        self.bytes.fetch_sub(bytes, SeqCst);
        self.events.fetch_sub(events, SeqCst);
        if !self.has_paused.load(SeqCst) {
            return;
        }
        // Only at three quarters, so that a host that takes one event at a time does not wake everybody each time.
        let is_low = |limit: &AtomicUsize, used: &AtomicUsize| {
            used.load(SeqCst) <= limit.load(SeqCst) / 4 * 3
        };
        if is_low(&self.byte_limit, &self.bytes) && is_low(&self.event_limit, &self.events) {
            self.wake();
        }
    }

    fn wake(&self) {
        if !self.has_paused.swap(false, SeqCst) {
            return;
        }
        let mut list = self.paused.lock();
        let paused = std::mem::take(&mut *list);
        self.round.fetch_add(1, SeqCst);
        drop(list);
        for waker in paused {
            waker.wake();
        }
    }

    /// Nobody is woken any more.
    pub fn forget_paused(&self) {
        let wakers = std::mem::take(&mut *self.paused.lock());
        drop(wakers);
    }
}
