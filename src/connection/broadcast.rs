//! Knows what many connections are sent alike: to whom it goes, and what waits to be put into their outboxes together.
//! Does not know why they belong together.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Acquire, Release},
};

use bytes::Bytes;
use parking_lot::Mutex;

use super::counters::Taken;
use super::outbox::{Outbox, Stage, unlock_and};
use super::{Connection, Encoded, Sent, check};
use crate::error::{Result, Status};
use crate::log;
use crate::protocol::{Kind, Role, frame};
use crate::spare::ROOMS;
use crate::transport::Wakes;

/// With so many bytes a batch is put into the outboxes at once.
const FULL: usize = 128 * 1024;

/// Connections that are sent the same.
#[derive(Default)]
pub struct Audience {
    members: Vec<Arc<Connection>>,
    /// Shorter messages are compressed for none of them.
    plain_below: usize,
}

impl Audience {
    /// These, each of them once.
    pub fn new(members: Vec<Arc<Connection>>) -> Arc<Audience> {
        let thresholds = members.iter().map(|member| member.compresses_from());
        Arc::new(Audience {
            plain_below: thresholds.min().unwrap_or(usize::MAX),
            members,
        })
    }

    /// Who belongs to it.
    pub fn members(&self) -> &[Arc<Connection>] {
        &self.members
    }
}

/// What one server tells many. Messages that follow each other to one audience are put into the outboxes together, as a
/// piece that all of them share, when the network thread comes to it. Whoever sends something else to one of the
/// connections, or closes it, puts them there first: the order is that of the calls.
#[derive(Default)]
pub struct Broadcasts {
    waiting: Mutex<Option<Batch>>,
    /// Something waits, or is being put into the outboxes.
    is_waiting: AtomicBool,
    /// A network thread will come to it.
    is_scheduled: AtomicBool,
}

struct Batch {
    audience: Arc<Audience>,
    frames: Vec<u8>,
    messages: Vec<Message>,
    taken: Taken,
}

struct Message {
    kind: Kind,
    /// Of its frame.
    end: usize,
    payload_size: usize,
}

impl Broadcasts {
    /// Whether something waits that was said before.
    #[inline]
    pub fn is_waiting(&self) -> bool {
        self.is_waiting.load(Acquire)
    }

    /// Puts what waits into the outboxes.
    #[inline]
    pub fn settle(&self) {
        if self.is_waiting() {
            self.put(&mut self.waiting.lock());
        }
    }

    /// Sends a message to all of an audience, soon; nobody wants to know what becomes of it.
    pub fn say(
        self: &Arc<Self>,
        audience: &Arc<Audience>,
        kind: Kind,
        payload: &[u8],
    ) -> Result<()> {
        let Some(first) = audience.members.first() else {
            return check(kind, payload);
        };
        if kind.is_control() || payload.len() >= audience.plain_below {
            let mut message = Encoded::new(kind, payload, None)?;
            self.tell(&audience.members, &mut message, |client, sent| {
                // What there is no room for is told by "drain".
                if let Err(error) = sent {
                    if error.status == Status::Internal {
                        log::warn!("client {client}: {}", error.message);
                    }
                }
            });
            return Ok(());
        }
        check(kind, payload)?;
        let mut waiting = self.waiting.lock();
        let is_same = |batch: &Batch| Arc::ptr_eq(&batch.audience, audience);
        if !waiting.as_ref().is_some_and(is_same) {
            self.put(&mut waiting);
        }
        let batch = waiting.get_or_insert_with(|| Batch::new(audience.clone()));
        batch.add(kind, payload);
        let is_full = batch.frames.len() >= FULL;
        self.is_waiting.store(true, Release);
        if is_full {
            self.put(&mut waiting);
        } else if !self.is_scheduled.swap(true, AcqRel) {
            let broadcasts = self.clone();
            first.home.spawn(async move {
                // Not a mere store: it either sees what was said before, or whoever says something sees it.
                broadcasts.is_scheduled.swap(false, AcqRel);
                broadcasts.settle();
            });
        }
        Ok(())
    }

    /// Sends a message to connections now, and tells `each` what became of it.
    pub fn tell<'a>(
        &self,
        connections: impl IntoIterator<Item = &'a Arc<Connection>>,
        message: &mut Encoded<'_>,
        mut each: impl FnMut(i32, Result<Sent>),
    ) {
        self.settle();
        let mut wakes = Wakes::default();
        for connection in connections {
            each(
                connection.client,
                connection.send_encoded(message, &mut wakes),
            );
        }
    }

    fn put(&self, waiting: &mut Option<Batch>) {
        if let Some(batch) = waiting.take() {
            batch.put();
        }
        self.is_waiting.store(false, Release);
    }
}

impl Batch {
    fn new(audience: Arc<Audience>) -> Batch {
        let mut frames = ROOMS.take();
        frames.clear();
        Batch {
            audience,
            frames,
            messages: Vec::new(),
            taken: Taken::default(),
        }
    }

    fn add(&mut self, kind: Kind, payload: &[u8]) {
        frame::encode(Role::Server, kind.into(), payload, &mut self.frames);
        self.taken.count(kind, payload.len());
        self.messages.push(Message {
            kind,
            end: self.frames.len(),
            payload_size: payload.len(),
        });
    }

    fn put(self) {
        let frames = shared(self.frames);
        let mut wakes = Wakes::default();
        for connection in &self.audience.members {
            connection.take_batch(&frames, &self.messages, self.taken, &mut wakes);
        }
    }
}

/// Frames to be shared, in room that is used again where they fill it.
fn shared(frames: Vec<u8>) -> Bytes {
    struct Room(Vec<u8>);
    impl AsRef<[u8]> for Room {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Room {
        fn drop(&mut self) {
            ROOMS.give(std::mem::take(&mut self.0));
        }
    }
    let room = Room(frames);
    match room.0.len() < room.0.capacity() / 4 {
        // A peer that is slow must not hold much more than what waits for it.
        true => Bytes::copy_from_slice(&room.0),
        false => Bytes::from_owner(room),
    }
}

impl Connection {
    /// From which size on its messages are compressed.
    fn compresses_from(&self) -> usize {
        match (&self.agreed, &self.settings.deflate) {
            (Some(_), Some(wishes)) => wishes.threshold,
            _ => usize::MAX,
        }
    }

    /// Queues messages that go to others too, as far as there is room.
    fn take_batch(&self, frames: &Bytes, messages: &[Message], taken: Taken, wakes: &mut Wakes) {
        let mut outbox = self.outbox.lock();
        if outbox.stage != Stage::Open {
            return;
        }
        let queued = self.queued(&outbox) + frames.len();
        if queued <= self.settings.send_queue && self.count(&mut outbox, queued, false).is_ok() {
            self.is_touched.store(true, Release);
            outbox.append_shared(frames);
            outbox.taken.add(taken);
        } else {
            self.take_what_fits(&mut outbox, frames, messages);
        }
        unlock_and(outbox, |waker| wakes.add(self.home, waker));
    }

    fn take_what_fits(&self, outbox: &mut Outbox, frames: &Bytes, messages: &[Message]) {
        let mut start = 0;
        for message in messages {
            let frame = frames.slice(start..message.end);
            start = message.end;
            let limit = self.settings.send_queue;
            if self.admit(outbox, message.kind, frame.len(), limit).is_ok() {
                outbox.append_shared(&frame);
                outbox.taken.count(message.kind, message.payload_size);
            }
        }
    }
}
