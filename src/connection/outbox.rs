//! Knows what waits to be sent, and whom to wake for it.
//! Does not know the socket.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::task::Waker;

use bytes::Bytes;
use parking_lot::MutexGuard;

use super::counters::Taken;
use crate::error::{Receipt, Unsent};
use crate::protocol::{Role, close, frame};
use crate::spare::ROOMS;

/// How far the connection's sending side has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Messages are taken.
    #[default]
    Open,
    /// The close frame is queued or sent: nothing may follow it (RFC 6455 § 5.5.1).
    Closing,
    /// The socket takes nothing more; what the peer sent before is still read.
    Broken,
}

/// Frames in order: pieces that are complete, then the one that still grows.
#[derive(Default)]
pub struct Frames {
    pieces: VecDeque<Bytes>,
    tail: Vec<u8>,
    /// Bytes of the first piece that have left already.
    sent: usize,
}

impl Frames {
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.tail.is_empty()
    }

    /// What to write next, and into how many slices it went.
    pub fn slices<'a>(&'a self, out: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        let mut skip = self.sent;
        let tail = Some(&self.tail[..]).filter(|tail| !tail.is_empty());
        for piece in self.pieces.iter().map(|piece| &piece[..]).chain(tail) {
            if count == out.len() {
                break;
            }
            out[count] = IoSlice::new(&piece[skip..]);
            skip = 0;
            count += 1;
        }
        count
    }

    /// `written` bytes have left.
    pub fn advance(&mut self, written: usize) {
        self.sent += written;
        while let Some(first) = self.pieces.front() {
            if self.sent < first.len() {
                return;
            }
            self.sent -= first.len();
            self.pieces.pop_front();
        }
        if self.sent == self.tail.len() {
            self.tail.clear();
            self.sent = 0;
        }
    }

    /// Bytes that have not left.
    pub fn len(&self) -> usize {
        let pieces: usize = self.pieces.iter().map(|piece| piece.len()).sum();
        pieces + self.tail.len() - self.sent
    }

    /// Adds complete frames behind the others; their room is kept for the caller where it is not needed.
    pub fn append(&mut self, frames: &mut Vec<u8>) {
        match self.tail.is_empty() {
            true => std::mem::swap(&mut self.tail, frames),
            false => self.tail.append(frames),
        }
    }

    /// What has not left whole.
    pub fn unsent(&self, role: Role) -> Unsent {
        let mut sent = self.sent;
        let mut unsent = Unsent::default();
        for piece in self
            .pieces
            .iter()
            .map(|piece| &piece[..])
            .chain([&self.tail[..]])
        {
            let (messages, bytes) = frame::count_unsent_messages(role, piece, sent);
            unsent.messages += messages;
            unsent.bytes += bytes;
            sent = 0;
        }
        unsent
    }

    /// Forgets every frame of which nothing has left; `committed` bytes more than what has left cannot be held back.
    fn keep_begun(&mut self, role: Role, committed: usize) {
        let mut begun = self.sent + committed;
        for (index, piece) in self.pieces.iter_mut().enumerate() {
            let kept = frame::end_of_begun(role, piece, begun);
            begun = begun.saturating_sub(piece.len());
            if begun == 0 {
                piece.truncate(kept);
                self.pieces.truncate(index + usize::from(kept > 0));
                self.tail.clear();
                break;
            }
        }
        let kept = frame::end_of_begun(role, &self.tail, begun);
        self.tail.truncate(kept);
        let left = self.len();
        if left == 0 {
            *self = Frames::default();
        }
    }
}

/// What is copied rather than written as a piece of its own.
const COPIED: usize = 4096;

/// The sending state of a connection, behind its lock.
#[derive(Default)]
pub struct Outbox {
    waiting: Frames,
    /// Bytes that wait here.
    waiting_bytes: usize,
    /// Bytes in the task's hands, as far as it has told.
    in_flight: usize,
    /// How many of these bytes the budgets know of.
    pub counted: usize,
    /// Bytes that were added so far.
    added: u64,
    /// The end of what is still sent, once the rest was withdrawn.
    withdrawn: Option<u64>,
    pub stage: Stage,
    /// The code and reason of our own close frame.
    own_close: Option<(u16, String)>,
    /// Where it ends.
    close_end: u64,
    pub is_closed_by_host: bool,
    pub is_aborted: bool,
    /// A send was refused, and the host wants to know when there is room again.
    pub wants_drain: bool,
    /// What was taken to be sent.
    pub taken: Taken,
    /// Where messages end among what waits here, of whose leaving the host wants to be told.
    receipts: Vec<(usize, Receipt)>,
    /// Procedures that the host asked for, with what they are given.
    pub asked: Vec<(String, String)>,
    /// Set while the task sleeps.
    pub waker: Option<Waker>,
}

impl Outbox {
    /// Bytes that have not been handed to the system.
    pub fn queued(&self) -> usize {
        self.waiting_bytes + self.in_flight
    }

    /// The host wants to be told once what was added last has left.
    pub fn confirm(&mut self, receipt: Option<&Receipt>) {
        if let Some(receipt) = receipt {
            self.receipts.push((self.waiting_bytes, receipt.clone()));
        }
    }

    /// The receipts for what waits, or waited when it was withdrawn.
    pub fn take_receipts(&mut self) -> Vec<(usize, Receipt)> {
        std::mem::take(&mut self.receipts)
    }

    /// Adds frames of `length` bytes.
    pub fn append(&mut self, length: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.make_room();
        write(&mut self.waiting.tail);
        self.grow(length);
    }

    fn grow(&mut self, length: usize) {
        self.waiting_bytes += length;
        self.added += length as u64;
    }

    /// Where what was added last ends, counted in bytes from the connection's beginning.
    pub fn end(&self) -> u64 {
        self.added
    }

    /// How far the system has taken what was added.
    pub fn handed_over(&self) -> u64 {
        let is_sent = self.added - self.queued() as u64;
        self.withdrawn.unwrap_or(is_sent)
    }

    /// Takes back every frame of which nothing has left, or is about to as the first `committed` bytes, but for our close frame.
    pub fn withdraw(&mut self, role: Role, writing: &mut Frames, committed: usize) {
        let is_sent = self.added - (self.waiting_bytes + writing.len()) as u64;
        writing.keep_begun(role, committed);
        self.waiting = Frames::default();
        self.waiting_bytes = 0;
        self.in_flight = writing.len();
        let still_sent = is_sent + writing.len() as u64;
        self.withdrawn = Some(still_sent);
        if let Some((code, reason)) = self.own_close.clone() {
            if self.close_end > still_sent {
                self.append_close(role, code, &reason);
            }
        }
    }

    /// Room that others have used already, as long as something waits.
    fn make_room(&mut self) {
        if self.waiting.tail.capacity() == 0 {
            self.waiting.tail = ROOMS.take();
            self.waiting.tail.clear();
        }
    }

    /// Adds a frame that others send too. Small ones are copied: that costs less than another slice.
    pub fn append_shared(&mut self, frame: &Bytes) {
        match frame.len() <= COPIED {
            true => self.append_copy(frame),
            false => self.append_piece(frame.clone()),
        }
    }

    /// Adds frames that were written elsewhere.
    pub fn append_written(&mut self, frames: Vec<u8>) {
        match frames.len() <= COPIED {
            true => self.append_copy(&frames),
            false => self.append_piece(frames.into()),
        }
    }

    fn append_copy(&mut self, frames: &[u8]) {
        self.grow(frames.len());
        self.waiting.tail.extend_from_slice(frames);
    }

    fn append_piece(&mut self, frames: Bytes) {
        self.grow(frames.len());
        if !self.waiting.tail.is_empty() {
            let tail = std::mem::take(&mut self.waiting.tail);
            self.waiting.pieces.push_back(tail.into());
        }
        self.waiting.pieces.push_back(frames);
    }

    /// Queues the close frame behind everything; false if one is there already.
    pub fn begin_close(&mut self, role: Role, code: u16, reason: &str) -> bool {
        if self.stage != Stage::Open {
            return false;
        }
        self.stage = Stage::Closing;
        self.own_close = Some((code, reason.to_owned()));
        self.append_close(role, code, reason);
        true
    }

    fn append_close(&mut self, role: Role, code: u16, reason: &str) {
        let payload = close::encode(code, reason);
        let length = frame::frame_length(role, payload.len());
        self.append(length, |frames| {
            frame::encode(role, super::CLOSE, &payload, frames);
        });
        self.close_end = self.added;
    }

    /// The code and reason with which we closed, if we did first.
    pub fn own_close(&self) -> Option<(u16, String)> {
        self.own_close.clone()
    }

    /// Hands all that waits to the task, which has sent what it had.
    pub fn take(&mut self, spare: &mut Frames) {
        debug_assert!(spare.is_empty());
        std::mem::swap(&mut self.waiting, spare);
        self.in_flight = std::mem::take(&mut self.waiting_bytes);
    }

    /// The task tells how many bytes it still has.
    pub fn settle(&mut self, in_flight: usize) {
        self.in_flight = in_flight;
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What waits here.
    pub fn unsent(&self, role: Role) -> Unsent {
        self.waiting.unsent(role)
    }
}

impl Frames {
    /// The emptied tail's room, to be lent again.
    pub fn take_room(&mut self) -> Vec<u8> {
        debug_assert!(self.tail.is_empty());
        std::mem::take(&mut self.tail)
    }
}

/// Ends the lock and wakes the task, in this order: it would run into the lock.
pub fn unlock_and_wake(outbox: MutexGuard<'_, Outbox>) {
    unlock_and(outbox, Waker::wake);
}

/// Ends the lock, and has the task woken if it sleeps.
pub fn unlock_and(mut outbox: MutexGuard<'_, Outbox>, wake: impl FnOnce(Waker)) {
    let waker = outbox.waker.take();
    drop(outbox);
    if let Some(waker) = waker {
        wake(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Kind;

    /// Text frames of one byte each, so of three bytes, or seven with a mask, in pieces of two frames; the last is the tail.
    fn frames(role: Role, count: usize) -> Frames {
        let mut frames = Frames::default();
        for number in 0..count {
            frame::encode(role, Kind::Text.into(), &[number as u8], &mut frames.tail);
            if number % 2 == 1 && number + 1 < count {
                frames
                    .pieces
                    .push_back(std::mem::take(&mut frames.tail).into());
            }
        }
        frames
    }

    #[test]
    fn what_is_withdrawn_leaves_whole_every_frame_that_has_begun_or_is_bound_to() {
        for role in [Role::Server, Role::Client] {
            let one = frame::frame_length(role, 1);
            for count in 1..7 {
                let whole = frames(role, count).len();
                for sent in 0..whole {
                    for committed in 0..=whole - sent {
                        let mut own = frames(role, count);
                        own.advance(sent);
                        own.keep_begun(role, committed);
                        let end = (sent + committed).div_ceil(one) * one;
                        let kept = end.saturating_sub(sent);
                        assert_eq!(own.len(), kept, "{count}: {sent} + {committed}");
                        // All of it can be written.
                        own.advance(kept);
                        assert!(own.is_empty(), "{count}: {sent} + {committed}");
                    }
                }
            }
        }
    }
}
