//! Knows how a host that does not wait in a call learns that something waits for it.
//! Does not know what waits.

use std::sync::Arc;

use crate::callback;
use crate::log;
use crate::platform::{Flag, Window};

/// The host's callback.
pub type Call = Box<dyn Fn() + Send + Sync>;

/// What tells the host that something waits: all that is given does.
#[derive(Default)]
pub struct Wakeup {
    /// Is called.
    pub call: Option<Call>,
    /// Gets a message.
    pub window: Option<Window>,
    /// Is up as long as something waits.
    pub flag: Option<Flag>,
}

impl Wakeup {
    /// Calls and posts; false if the message could not be posted.
    pub(super) fn fire(&self) -> bool {
        if let Some(call) = &self.call {
            callback::run(call);
        }
        match self.window.as_ref().map(Window::post) {
            Some(Err(error)) => {
                log::warn!("the host's window did not take the message that wakes it: {error}");
                false
            }
            _ => true,
        }
    }
}

/// The wake-up that is set, and what the host has been told by it.
pub(super) struct Alarm {
    wakeup: Arc<Wakeup>,
    /// It was fired, and the host has not looked to the end since.
    is_fired: bool,
    /// Its flag is up.
    is_up: bool,
}

impl Alarm {
    pub fn new(wakeup: Arc<Wakeup>) -> Alarm {
        Alarm {
            wakeup,
            is_fired: false,
            is_up: false,
        }
    }

    pub fn into_wakeup(self) -> Arc<Wakeup> {
        self.wakeup
    }

    /// Something waits. Gives back what has to be fired once no lock is held.
    pub fn raise(&mut self) -> Option<Arc<Wakeup>> {
        if !std::mem::replace(&mut self.is_up, true) {
            self.wakeup.flag.iter().for_each(Flag::raise);
        }
        let is_fired = std::mem::replace(&mut self.is_fired, true);
        (!is_fired).then(|| self.wakeup.clone())
    }

    /// The host has looked, and will not look again before it is told: what comes next is told.
    pub fn rearm(&mut self) {
        self.is_fired = false;
    }

    /// Nothing waits any more.
    pub fn lower(&mut self) {
        self.rearm();
        if std::mem::take(&mut self.is_up) {
            self.wakeup.flag.iter().for_each(Flag::lower);
        }
    }
}
