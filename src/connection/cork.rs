//! Knows how the answers of inline callbacks are collected without a lock: on the thread that reads and writes anyway.
//! Does not know the socket.

use std::cell::RefCell;
use std::io::IoSlice;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};

use super::outbox::Stage;
use super::{Connection, write_compressed};
use crate::protocol::frame::{self, MAX_HEADER};
use crate::protocol::{Kind, Role, utf8};

/// From this size on a message is written from where it is: the system call costs less than a copy.
const DIRECT: usize = 64 * 1024;

/// The connection whose messages this thread delivers inline now.
struct Cork {
    connection: Arc<Connection>,
    frames: Vec<u8>,
    /// Bytes that waited when the delivery began.
    queued: usize,
    /// Those of them that were collected by deliveries before, and have not been counted since.
    collected: usize,
    /// Shorter messages go as they are: not compressed, and not from where they are.
    plain_below: usize,
    /// With so many bytes collected there is surely room for a short message.
    room: usize,
    /// Messages that were collected, and their bytes.
    messages: usize,
    bytes: usize,
    /// Nothing has to go before what is collected, and the socket has taken everything so far.
    can_write: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Cork>> = const { RefCell::new(None) };
}

/// From now on, what callbacks on this thread send to `connection` is collected in `room`.
pub fn begin(connection: &Arc<Connection>, room: Vec<u8>) {
    let outbox = connection.outbox.lock();
    let is_touched = !outbox.is_empty() || outbox.stage != Stage::Open;
    // What is kept for the next connection is counted in the outbox, so it goes that way; and so does all where a budget is
    // nearly used up, and may refuse it.
    let is_counted = connection.settings.keeps_unsent || !connection.has_budget();
    connection
        .is_touched
        .store(is_touched || is_counted, Release);
    let queued = connection.queued(&outbox);
    drop(outbox);
    let threshold = match (&connection.agreed, &connection.settings.deflate) {
        (Some(_), Some(wishes)) => wishes.threshold,
        _ => usize::MAX,
    };
    CURRENT.set(Some(Cork {
        connection: connection.clone(),
        frames: room,
        queued,
        messages: 0,
        bytes: 0,
        collected: connection.collected.load(Relaxed),
        plain_below: threshold.min(DIRECT),
        room: connection.settings.send_queue.saturating_sub(queued),
        can_write: queued == 0,
    }));
}

/// What was collected: it goes before all that waits in the outbox.
pub fn end() -> Vec<u8> {
    let Some(cork) = CURRENT.take() else {
        return Vec::new();
    };
    cork.connection.passed.corked.add(cork.messages);
    cork.connection.passed.bytes_corked.add(cork.bytes);
    cork.frames
}

/// Collects a message for `client`. False: it has to take its turn in the outbox, because somebody else has put something
/// there, it is not this thread's connection, or it cannot be sent as it is.
#[inline]
pub fn send(client: i32, kind: Kind, payload: &[u8]) -> bool {
    let collect =
        move |current: &RefCell<Option<Cork>>| match &mut *current.try_borrow_mut().ok()? {
            Some(cork) if cork.connection.client == client => cork.collect(kind, payload),
            _ => None,
        };
    // Nothing here may panic: the C function that leads here has no guard.
    CURRENT.try_with(collect).ok().flatten().is_some()
}

impl Cork {
    #[inline]
    fn collect(&mut self, kind: Kind, payload: &[u8]) -> Option<()> {
        let connection = &*self.connection;
        if connection.has_more() || (kind == Kind::Text && utf8::check(payload).is_err()) {
            return None;
        }
        let surely = self.frames.len() + payload.len() + MAX_HEADER;
        if payload.len() >= self.plain_below || surely > self.room || kind.is_control() {
            return self.collect_other(kind, payload);
        }
        let role = connection.settings.role;
        frame::encode(role, kind.into(), payload, &mut self.frames);
        self.count(payload.len());
        Some(())
    }

    #[inline(never)]
    fn collect_other(&mut self, kind: Kind, payload: &[u8]) -> Option<()> {
        let settings = &self.connection.settings;
        let length = frame::frame_length(settings.role, payload.len());
        let queued = self.queued + self.frames.len();
        if kind.is_control() || (queued > 0 && queued + length > settings.send_queue) {
            return None;
        }
        if self.connection.compresses(kind, payload.len()) {
            self.compress(kind, payload)?;
        } else if payload.len() < DIRECT || !self.can_write || settings.role == Role::Client {
            frame::encode(settings.role, kind.into(), payload, &mut self.frames);
        } else {
            self.write(kind, payload);
        }
        self.count(payload.len());
        Some(())
    }

    /// None where another thread compresses a message of this connection, or it cannot be done.
    fn compress(&mut self, kind: Kind, payload: &[u8]) -> Option<()> {
        let connection = &self.connection;
        let mut outgoing = connection.outgoing.try_lock()?;
        // What was compressed before has its place in the outbox, and this would pass it.
        if connection.has_more() {
            return None;
        }
        let (role, start) = (connection.settings.role, self.frames.len());
        let (frames, outgoing) = (&mut self.frames, outgoing.as_mut()?);
        let compress = || {
            write_compressed(role, kind, payload, frames, |out| {
                outgoing.compress(payload, out)
            })
        };
        // The codec is not known never to panic; whoever sends the message again has a guard.
        let done = catch_unwind(AssertUnwindSafe(compress));
        if !matches!(done, Ok(Ok(_))) {
            self.frames.truncate(start);
            return None;
        }
        Some(())
    }

    /// Counts a message, and tells those who are not on this thread how much waits here.
    fn count(&mut self, length: usize) {
        self.messages += 1;
        self.bytes += length;
        let collected = self.collected + self.frames.len();
        self.connection.collected.store(collected, Relaxed);
    }

    fn write(&mut self, kind: Kind, payload: &[u8]) {
        frame::encode_header(kind.into(), payload.len(), &mut self.frames);
        // What is wrong with the socket, its task finds out.
        let buffers = [IoSlice::new(&self.frames), IoSlice::new(payload)];
        let written = self.connection.stream.write_now(&buffers).unwrap_or(0);
        self.connection.passed.wire_bytes_out.add(written);
        let behind = written.saturating_sub(self.frames.len());
        self.frames.drain(..written - behind);
        self.frames.extend_from_slice(&payload[behind..]);
        self.can_write = behind == payload.len();
    }
}
