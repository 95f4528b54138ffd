//! Knows how long to wait before the next try.
//! Does not know what is tried.

use std::time::Duration;

/// How a client comes back.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The first wait at most; it doubles with each failure.
    pub min: Duration,
    /// No wait is longer.
    pub max: Duration,
    /// Tries in a row; None: for ever.
    pub max_retries: Option<u32>,
}

impl Backoff {
    /// Full jitter: anything between nothing and the whole wait, so that clients that lost the same server do not all come
    /// back at the same time. `dice` is uniform.
    pub fn wait(&self, failures: u32, dice: u32) -> Duration {
        let whole = self
            .min
            .saturating_mul(1_u32.checked_shl(failures.min(31)).unwrap_or(u32::MAX))
            .min(self.max);
        whole.mul_f64(f64::from(dice) / f64::from(u32::MAX))
    }

    /// After 1012 (service restart) and 1013 (try again later) the server wants us late.
    pub fn long_wait(&self, dice: u32) -> Duration {
        self.max / 2 + (self.max / 2).mul_f64(f64::from(dice) / f64::from(u32::MAX))
    }
}

/// Uniform randomness of the operating system.
pub fn dice() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread_over_all_of_it() {
        let backoff = Backoff {
            min: Duration::from_millis(100),
            max: Duration::from_secs(10),
            max_retries: None,
        };
        assert_eq!(backoff.wait(0, u32::MAX), Duration::from_millis(100));
        assert_eq!(backoff.wait(3, u32::MAX), Duration::from_millis(800));
        assert_eq!(backoff.wait(40, u32::MAX), Duration::from_secs(10));
        assert_eq!(backoff.wait(40, 0), Duration::ZERO);
        assert!(backoff.long_wait(0) >= Duration::from_secs(5));
    }
}
