//! Knows how much waits for the host, how much may, and who is to be woken once there is room again.
//! Does not know events.

use std::collections::HashMap;
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

/// Where it is divided, what one context may have of it: one whose callback blocks must not stop the others.
const SHARE: usize = 16;

/// Bytes and events that wait for the host. While it is used up, nothing more is read.
///
/// Where it is divided, each context stops at its share. Once the whole is used up, each stops as long as something of it
/// waits; and at twice the whole all stop.
pub struct Credit {
    limits: Load,
    is_divided: AtomicBool,
    used: Load,
    pauses: Pauses,
    paused: Mutex<Vec<Waker>>,
    paused_parts: Mutex<HashMap<i32, Vec<Waker>>>,
}

/// What one context has of a credit.
#[derive(Default)]
pub struct Part {
    used: Load,
    pauses: Pauses,
}

/// Bytes and events.
#[derive(Default)]
struct Load {
    bytes: AtomicUsize,
    events: AtomicUsize,
}

#[derive(Default)]
struct Pauses {
    has_some: AtomicBool,
    /// Counts how often they were ended.
    round: AtomicU64,
}

/// Remembers that a waker is listed already.
#[derive(Default)]
pub struct Ticket {
    whole: Option<u64>,
    part: Option<u64>,
}

impl Load {
    fn get(&self) -> (usize, usize) {
        (self.bytes.load(SeqCst), self.events.load(SeqCst))
    }

    fn add(&self, bytes: usize, events: usize) {
        self.bytes.fetch_add(bytes, SeqCst);
        self.events.fetch_add(events, SeqCst);
    }

    fn sub(&self, bytes: usize, events: usize) {
        self.bytes.fetch_sub(bytes, SeqCst);
        self.events.fetch_sub(events, SeqCst);
    }

    fn reaches(&self, (bytes, events): (usize, usize)) -> bool {
        let used = self.get();
        used.0 >= bytes || used.1 >= events
    }

    /// Only at three quarters, so that a host that takes one event at a time does not wake everybody each time.
    fn is_low(&self, (bytes, events): (usize, usize)) -> bool {
        let used = self.get();
        used.0 <= bytes / 4 * 3 && used.1 <= events / 4 * 3
    }

    /// What is left.
    fn room(&self, (bytes, events): (usize, usize)) -> (usize, usize) {
        let used = self.get();
        (bytes.saturating_sub(used.0), events.saturating_sub(used.1))
    }
}

impl Pauses {
    /// Lists a waker, unless it has been since the last end.
    fn list(&self, seen: &mut Option<u64>, wakers: &mut Vec<Waker>, waker: &Waker) {
        let round = self.round.load(SeqCst);
        if *seen != Some(round) {
            wakers.push(waker.clone());
            *seen = Some(round);
            self.has_some.store(true, SeqCst);
        }
    }

    fn has_ended(&self) -> bool {
        self.has_some.swap(false, SeqCst)
    }
}

fn wake(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}

impl Credit {
    pub fn new(limits: CreditLimits, is_divided: bool) -> Credit {
        let credit = Credit {
            limits: Load::default(),
            is_divided: AtomicBool::new(is_divided),
            used: Load::default(),
            pauses: Pauses::default(),
            paused: Mutex::default(),
            paused_parts: Mutex::default(),
        };
        credit.set_limits(limits, is_divided);
        credit
    }

    pub fn set_limits(&self, limits: CreditLimits, is_divided: bool) {
        self.limits.bytes.store(limits.bytes, SeqCst);
        self.limits.events.store(limits.events, SeqCst);
        self.is_divided.store(is_divided, SeqCst);
        // They look whether they still have to wait.
        self.end_pauses();
    }

    /// Bytes and events that wait.
    pub fn waiting(&self) -> (usize, usize) {
        self.used.get()
    }

    /// Bytes and events of one context that may still come.
    pub fn room(&self, part: &Part) -> (usize, usize) {
        let whole = self.used.room(self.limits.get());
        if !self.is_divided.load(SeqCst) {
            return whole;
        }
        let own = part.used.room(self.share());
        let least = usize::from(part.used.get().1 == 0);
        (whole.0.min(own.0).max(least), whole.1.min(own.1).max(least))
    }

    /// Whether one context must wait until the host has taken something.
    pub fn is_exhausted(&self, part: &Part) -> bool {
        self.used.reaches(self.most()) || (self.is_divided.load(SeqCst) && self.has_share(part))
    }

    /// Whether nothing more of a context should be read for now. If so, `waker` is woken once that may have changed.
    pub fn is_used_up(&self, part: &Part, client: i32, waker: &Waker, ticket: &mut Ticket) -> bool {
        if !self.is_exhausted(part) {
            return false;
        }
        if self.used.reaches(self.most()) {
            let mut paused = self.paused.lock();
            self.pauses.list(&mut ticket.whole, &mut paused, waker);
        } else {
            let mut paused = self.paused_parts.lock();
            let own = paused.entry(client).or_default();
            part.pauses.list(&mut ticket.part, own, waker);
        }
        // Credit may have come back between the look and the listing.
        self.is_exhausted(part)
    }

    pub fn charge(&self, part: &Part, bytes: usize, events: usize) {
        self.used.add(bytes, events);
        part.used.add(bytes, events);
    }

    pub fn give_back(&self, part: &Part, client: i32, bytes: usize, events: usize) {
        self.used.sub(bytes, events);
        part.used.sub(bytes, events);
        if self.pauses.has_some.load(SeqCst) && self.used.is_low(self.most()) {
            self.end_pauses();
        }
        if part.pauses.has_some.load(SeqCst)
            && part.used.is_low(self.share())
            && part.pauses.has_ended()
        {
            let mut paused = self.paused_parts.lock();
            let own = paused.remove(&client).unwrap_or_default();
            part.pauses.round.fetch_add(1, SeqCst);
            drop(paused);
            wake(own);
        }
    }

    /// Nobody is woken any more.
    pub fn forget_paused(&self) {
        drop(self.take_paused());
    }

    /// All look whether they still have to wait.
    pub fn end_all_pauses(&self) {
        wake(self.take_paused());
    }

    fn take_paused(&self) -> Vec<Waker> {
        let mut paused = std::mem::take(&mut *self.paused.lock());
        let parts = std::mem::take(&mut *self.paused_parts.lock());
        paused.extend(parts.into_values().flatten());
        paused
    }

    fn end_pauses(&self) {
        if self.pauses.has_ended() {
            let mut list = self.paused.lock();
            let paused = std::mem::take(&mut *list);
            self.pauses.round.fetch_add(1, SeqCst);
            drop(list);
            wake(paused);
        }
    }

    /// Where all stop.
    fn most(&self) -> (usize, usize) {
        let (bytes, events) = self.limits.get();
        match self.is_divided.load(SeqCst) {
            true => (bytes.saturating_mul(2), events.saturating_mul(2)),
            false => (bytes, events),
        }
    }

    fn share(&self) -> (usize, usize) {
        let (bytes, events) = self.limits.get();
        ((bytes / SHARE).max(1), (events / SHARE).max(1))
    }

    /// Whether a context has what it may have.
    fn has_share(&self, part: &Part) -> bool {
        part.used.reaches(self.share())
            || (part.used.get().1 > 0 && self.used.reaches(self.limits.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credit(is_divided: bool) -> Credit {
        let limits = CreditLimits {
            bytes: 1600,
            events: 160,
        };
        Credit::new(limits, is_divided)
    }

    #[test]
    fn undivided_one_may_use_up_what_all_have() {
        let (credit, one, other) = (credit(false), Part::default(), Part::default());
        credit.charge(&one, 1599, 1);
        assert_eq!(credit.room(&other), (1, 159));
        assert!(!credit.is_exhausted(&one));
        credit.charge(&one, 1, 1);
        assert!(credit.is_exhausted(&one) && credit.is_exhausted(&other));
    }

    #[test]
    fn divided_each_has_a_share_and_one_event_in_any_case() {
        let (credit, one, other) = (credit(true), Part::default(), Part::default());
        credit.charge(&one, 100, 1);
        assert!(credit.is_exhausted(&one) && !credit.is_exhausted(&other));
        assert_eq!(credit.room(&other), (100, 10));
        // One large message.
        credit.charge(&one, 1500, 1);
        assert!(!credit.is_exhausted(&other));
        assert_eq!(credit.room(&other), (1, 10));
        credit.charge(&other, 1, 1);
        assert!(credit.is_exhausted(&other));
        credit.give_back(&other, 2, 1, 1);
        assert!(!credit.is_exhausted(&other));
        credit.charge(&one, 1600, 1);
        assert!(credit.is_exhausted(&other));
    }

    #[test]
    fn whoever_waits_for_its_share_is_woken_when_there_is_some() {
        let waker = Waker::noop();
        let (credit, part, mut ticket) = (credit(true), Part::default(), Ticket::default());
        credit.charge(&part, 100, 2);
        for _ in 0..2 {
            assert!(credit.is_used_up(&part, 1, waker, &mut ticket));
            assert_eq!(credit.paused_parts.lock()[&1].len(), 1);
        }
        credit.give_back(&part, 1, 10, 1);
        assert_eq!(credit.paused_parts.lock().len(), 1);
        credit.give_back(&part, 1, 30, 0);
        assert_eq!(credit.paused_parts.lock().len(), 0);
        credit.charge(&part, 100, 2);
        assert!(credit.is_used_up(&part, 1, waker, &mut ticket));
        assert_eq!(credit.paused_parts.lock().len(), 1);
    }
}
