//! Knows how refs are handed out: one counter per sign, fresh ones first.
//! Does not know what a ref stands for.

use std::sync::atomic::{AtomicU32, Ordering};

/// Hands out the numbers 1 to 2^31-1, and only then goes round.
pub struct Counter(AtomicU32);

impl Counter {
    /// A counter whose first ref is 1.
    pub const fn new() -> Counter {
        Counter(AtomicU32::new(1))
    }

    /// The next ref for which `in_use` is false.
    pub fn next(&self, in_use: impl Fn(i32) -> bool) -> i32 {
        loop {
            let number = self.0.fetch_add(1, Ordering::Relaxed) & i32::MAX as u32;
            let candidate = number as i32;
            if candidate != 0 && !in_use(candidate) {
                return candidate;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_are_fresh_until_the_counter_goes_round_and_then_skip_what_is_in_use() {
        let counter = Counter::new();
        assert_eq!(counter.next(|_| false), 1);
        assert_eq!(counter.next(|_| false), 2);
        counter.0.store(i32::MAX as u32, Ordering::Relaxed);
        assert_eq!(counter.next(|_| false), i32::MAX);
        assert_eq!(counter.next(|used| used == 1 || used == 2), 3);
    }
}
