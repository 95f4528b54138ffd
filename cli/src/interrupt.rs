//! Knows whether the user wants to end: Ctrl-C, or a polite signal.
//! Does not know what has to be done first.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::exit;
use crate::library::Event;

static TIMES: AtomicUsize = AtomicUsize::new(0);

/// From now on the first Ctrl-C asks to end, and wakes who waits for events; the second ends at once.
pub fn watch() {
    let caught = ctrlc::set_handler(|| {
        if TIMES.fetch_add(1, Ordering::SeqCst) > 0 {
            std::process::exit(exit::INTERRUPTED.into());
        }
        Event::wake();
    });
    // Without it Ctrl-C ends at once, which is all that is lost.
    let _ = caught;
}

pub fn came() -> bool {
    TIMES.load(Ordering::SeqCst) > 0
}
