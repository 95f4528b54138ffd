//! Knows whether the calling thread runs the host's code.
//! Does not know which code, or why.

use std::cell::Cell;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether the calling thread is inside one of the host's callbacks: whoever waits there may wait for itself.
pub fn is_inside() -> bool {
    DEPTH.get() > 0
}

/// As long as it lives, the calling thread counts as inside.
pub struct Inside(());

/// The host's code may be run from now on.
pub fn enter() -> Inside {
    DEPTH.set(DEPTH.get() + 1);
    Inside(())
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Runs the host's code, known as such.
pub fn run<R>(code: impl FnOnce() -> R) -> R {
    let _inside = enter();
    code()
}
