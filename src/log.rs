//! Knows the host's log callback and its level.
//! Does not know what is logged: never payloads, never secrets.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use parking_lot::RwLock;

use crate::callback;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    /// A fault of the library.
    Error = 1,
    /// Somebody should look at it.
    Warn = 2,
    /// Comes and goes.
    Info = 3,
    /// For the one who debugs.
    Debug = 4,
}

/// What takes messages.
pub type Sink = Arc<dyn Fn(Level, &str) + Send + Sync>;

static LEVEL: AtomicI32 = AtomicI32::new(0);
static SINK: RwLock<Option<Sink>> = RwLock::new(None);

/// Sends messages up to `level` (0: none) to `sink`. Returns once the old one no longer runs, unless inside a callback.
pub fn set_sink(level: i32, sink: Option<Sink>) {
    let level = if sink.is_some() { level } else { 0 };
    let old = std::mem::replace(&mut *SINK.write(), sink);
    LEVEL.store(level, Ordering::Relaxed);
    while let Some(old) = &old {
        if Arc::strong_count(old) == 1 || callback::is_inside() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Whether a message of this level goes anywhere.
pub fn is_enabled(level: Level) -> bool {
    level as i32 <= LEVEL.load(Ordering::Relaxed)
}

/// Hands one message to the host. The text is built only where somebody listens.
pub fn log(level: Level, message: fmt::Arguments<'_>) {
    if !is_enabled(level) {
        return;
    }
    // Cloned, so that the callback runs without the lock and may set another one.
    let sink = SINK.read().clone();
    if let Some(sink) = sink {
        callback::run(|| sink(level, &message.to_string()));
    }
}

macro_rules! error { ($($part:tt)*) => { $crate::log::log($crate::log::Level::Error, format_args!($($part)*)) } }
macro_rules! warn_ { ($($part:tt)*) => { $crate::log::log($crate::log::Level::Warn, format_args!($($part)*)) } }
macro_rules! info { ($($part:tt)*) => { $crate::log::log($crate::log::Level::Info, format_args!($($part)*)) } }
macro_rules! debug { ($($part:tt)*) => { $crate::log::log($crate::log::Level::Debug, format_args!($($part)*)) } }
pub(crate) use {debug, error, info, warn_ as warn};
