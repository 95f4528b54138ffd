//! Knows how the messages of one connection are taken one by one, by whoever waits for them.
//! Does not know where their bytes go.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::hub::{Hub, Lanes};
use super::queue::{Batch, Pulled};
use super::source::Source;
use super::{Event, Received};
use crate::protocol::Kind;

impl Hub {
    /// The oldest message of `source` that waits to be pulled, if it is no longer than `capacity`; waits up to `timeout` for
    /// it. Other events before it are passed over, see `look`. `is_over` tells whether nothing more can come: whoever
    /// changes that calls [`Hub::look_again`].
    pub fn receive(
        &self,
        source: &Arc<Source>,
        capacity: usize,
        timeout: Option<Duration>,
        is_over: impl Fn() -> bool,
    ) -> Received {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        // Before the first look: whoever changes something after it knows of us.
        source.awaited.fetch_add(1, SeqCst);
        let received = self.await_message(source, capacity, deadline, is_over);
        source.awaited.fetch_sub(1, SeqCst);
        received
    }

    fn await_message(
        &self,
        source: &Arc<Source>,
        capacity: usize,
        deadline: Option<Instant>,
        is_over: impl Fn() -> bool,
    ) -> Received {
        let mut passed = Vec::new();
        loop {
            let round = self.lanes.lock().round;
            // What is left is taken first: so the end is asked for before the look.
            let is_over = is_over();
            if self.has_callbacks(&source.channel().tag()) {
                return Received::Called;
            }
            let mut lanes = self.lanes.lock();
            let belongs = |other: &Source| std::ptr::eq(other, &**source);
            let found = match source.pending.load(SeqCst) {
                0 => None,
                _ => look(&mut lanes.pull, capacity, belongs, &mut passed),
            };
            lanes.settle(found.is_none());
            if let Some(found) = found {
                drop(lanes);
                return found;
            }
            if is_over {
                drop(lanes);
                return Received::Over;
            }
            if !passed.is_empty() {
                // What we wait for may wait for their credit. Not dropped under the lock, because that wakes others.
                drop(lanes);
                passed.clear();
                continue;
            }
            if lanes.round != round {
                continue;
            }
            lanes.receiving.push(source.clone());
            let is_late = match deadline {
                None => {
                    source.received.wait(&mut lanes);
                    false
                }
                Some(deadline) => {
                    Instant::now() >= deadline
                        || (source.received.wait_until(&mut lanes, deadline).timed_out()
                            && lanes.round == round
                            && source.pending.load(SeqCst) == 0)
                }
            };
            lanes.forget_receiver(source);
            if is_late {
                return Received::Nothing;
            }
        }
    }

    /// The oldest message that a connection has left which is gone.
    pub fn receive_left(&self, client: i32, capacity: usize) -> Option<Received> {
        let mut passed = Vec::new();
        let mut lanes = self.lanes.lock();
        let belongs = |source: &Source| source.client == client;
        let found = look(&mut lanes.pull, capacity, belongs, &mut passed);
        lanes.settle(found.is_none());
        drop(lanes);
        found
    }

    /// Something has changed for those who wait for a message of `source`.
    pub fn look_again(&self, source: &Source) {
        if source.awaited.load(SeqCst) > 0 {
            self.lanes.lock().round += 1;
            source.received.notify_all();
        }
    }
}

impl Lanes {
    fn forget_receiver(&mut self, source: &Arc<Source>) {
        let is_it = |other: &Arc<Source>| Arc::ptr_eq(other, source);
        if let Some(position) = self.receiving.iter().position(is_it) {
            self.receiving.swap_remove(position);
        }
    }
}

/// Takes the first message of those that `belongs`. What stands before it is passed over, and everything if there is none:
/// whoever only receives has no use for it, and its credit would run out. But the last "close" and the last "error" stay to
/// be pulled until a message behind them was taken. A message that is too long changes nothing.
fn look(
    lane: &mut VecDeque<Batch>,
    capacity: usize,
    belongs: impl Fn(&Source) -> bool,
    passed: &mut Vec<Batch>,
) -> Option<Received> {
    let mut first = None;
    for (at, batch) in lane.iter().enumerate() {
        if !belongs(&batch.body.source) {
            continue;
        }
        if let Some((index, kind, length)) = first_message(batch) {
            if length > capacity {
                return Some(Received::TooLong { kind, length });
            }
            first = Some((at, index));
            break;
        }
    }
    let (mut has_close, mut has_error) = (first.is_some(), first.is_some());
    let mut end = first.map_or(lane.len(), |(at, _)| at);
    for at in (0..end).rev() {
        let batch = &mut lane[at];
        if !belongs(&batch.body.source) {
            continue;
        }
        // These two stand alone in their batches.
        let is_news = match batch.body.event(batch.next) {
            Event::Close { .. } => !std::mem::replace(&mut has_close, true),
            Event::Error(_) => !std::mem::replace(&mut has_error, true),
            _ => false,
        };
        if !is_news {
            pull_all(batch, batch.body.len());
            passed.extend(lane.remove(at));
            end -= 1;
        }
    }
    let (_, index) = first?;
    let batch = &mut lane[end];
    pull_all(batch, index);
    let message = batch.pull();
    if batch.is_done() {
        passed.extend(lane.remove(end));
    }
    Some(Received::Message(message))
}

fn pull_all(batch: &mut Batch, end: usize) {
    while batch.next < end {
        batch.pull();
    }
}

fn first_message(batch: &Batch) -> Option<(usize, Kind, usize)> {
    (batch.next..batch.body.len()).find_map(|index| match batch.body.event(index) {
        Event::Message { kind, data, .. } => Some((index, kind, data.len())),
        _ => None,
    })
}

impl Pulled {
    /// The message's kind and bytes.
    pub fn message(&self) -> Option<(Kind, &[u8])> {
        match self.event() {
            Event::Message { kind, data, .. } => Some((kind, data)),
            _ => None,
        }
    }
}
