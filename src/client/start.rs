//! Knows how a start is answered, once and in time.
//! Does not know how it goes.

use parking_lot::{Condvar, Mutex};

use super::Failure;
use crate::error::{Error, Unsent};
use crate::events::OpenInfo;

/// Where a start's answer is awaited, until the deadline and not a moment longer: then events tell.
#[derive(Default)]
pub struct Answer {
    slot: Mutex<Slot>,
    given: Condvar,
}

#[derive(Default)]
enum Slot {
    #[default]
    Awaited,
    Given(Started),
    Abandoned,
}

impl Answer {
    /// Gives the answer; false if nobody waits for it any more.
    pub fn give(&self, started: Started) -> bool {
        let mut slot = self.slot.lock();
        let is_awaited = matches!(*slot, Slot::Awaited);
        if is_awaited {
            *slot = Slot::Given(started);
            self.given.notify_all();
        }
        is_awaited
    }

    /// The answer; none at the deadline.
    pub fn wait(&self, deadline: std::time::Instant) -> Option<Started> {
        let mut slot = self.slot.lock();
        while matches!(*slot, Slot::Awaited) {
            if self.given.wait_until(&mut slot, deadline).timed_out() {
                break;
            }
        }
        match std::mem::replace(&mut *slot, Slot::Abandoned) {
            Slot::Given(started) => Some(started),
            _ => None,
        }
    }
}

/// How a start went: exactly one of these answers each start.
pub enum Started {
    /// The connection is open.
    Open(Box<OpenInfo>),
    /// It is not, and this was not sent.
    Failed(Failure, Unsent),
}

/// What a start that was answered with a failure is as an error.
pub fn failed(failure: Failure, unsent: Unsent) -> Error {
    Error {
        answer: failure.answer,
        unsent,
        ..Error::network(failure.reason)
    }
}
