//! Knows how much of a large message has come before all of it is there.
//! Does not know what is in it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::input::LARGE;

/// How often it is looked at what has come.
pub const LOOK: Duration = Duration::from_millis(100);
/// What has come since the last look and is less may be pings.
const SOME: u64 = 1000;

/// Counts what comes, and shows it where stderr is a terminal.
pub struct Coming {
    is_quiet: bool,
    /// Bytes at the last look.
    seen: u64,
    /// Bytes when the last message was whole; none: since then nobody has looked.
    before: Option<u64>,
    bar: Option<ProgressBar>,
}

impl Coming {
    pub fn new(is_quiet: bool) -> Coming {
        Coming {
            is_quiet,
            seen: 0,
            before: Some(0),
            bar: None,
        }
    }

    /// So many bytes have come so far. Whether a part of a message is among those that are new.
    pub fn look(&mut self, bytes: u64) -> bool {
        let is_more = bytes.saturating_sub(self.seen) > SOME;
        self.seen = bytes;
        let come = bytes.saturating_sub(*self.before.get_or_insert(bytes));
        if come >= LARGE && !self.is_quiet {
            self.bar.get_or_insert_with(bar).set_position(come);
        }
        is_more
    }

    /// The message is there, or none comes any more.
    pub fn is_whole(&mut self) {
        self.before = None;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{binary_bytes} have come, {binary_bytes_per_sec}");
    let bar = ProgressBar::no_length();
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_on_its_way_is_told_from_pings_and_from_the_one_before() {
        let mut coming = Coming::new(true);
        assert!(!coming.look(10));
        assert!(coming.look(2_000_000));
        assert!(!coming.look(2_000_100));
        coming.is_whole();
        assert!(!coming.look(2_000_200));
        assert_eq!(coming.before, Some(2_000_200));
    }
}
