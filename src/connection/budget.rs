//! Knows how many bytes wait to be sent on many connections together, and how many may.
//! Does not know the connections.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What a connection may have waiting without its being counted: so that short answers cost no look at what all share.
pub const UNCOUNTED: usize = 4096;

/// Bytes for many connections. They do not order anything: a little more or less at a moment does no harm.
#[derive(Debug, Default)]
pub struct Budget {
    /// 0: none.
    limit: AtomicUsize,
    used: AtomicUsize,
}

/// What all connections of the process share.
pub static PROCESS: Budget = Budget {
    limit: AtomicUsize::new(0),
    used: AtomicUsize::new(0),
};

impl Budget {
    /// From now on; 0: no limit.
    pub fn limit_to(&self, bytes: usize) {
        self.limit.store(bytes, Relaxed);
    }

    /// How much there may be; 0: no limit.
    pub fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    /// How much is counted.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// Counts more; false if that is over the limit, unless it must be.
    pub fn take(&self, bytes: usize, must: bool) -> bool {
        let used = self.used.fetch_add(bytes, Relaxed).saturating_add(bytes);
        let limit = self.limit();
        let fits = must || limit == 0 || used <= limit;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    /// Counts less.
    pub fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }

    /// Whether there is room for some more sends.
    pub fn has_room(&self) -> bool {
        let limit = self.limit();
        limit == 0 || self.used() <= limit / 4 * 3
    }
}
