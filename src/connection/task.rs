//! Knows how one connection's reads, writes and timers become one future.
//! Does not know its ref's owner, but for telling it that the connection is closed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io::{IoSlice, IoSliceMut};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::closing::code_of;
use super::cork;
use super::outbox::{Frames, Stage};
use super::{CONTROL_BYTES, Connection, Settings};
use crate::error::Receipt;
use crate::events::{Delivery, ErrorInfo, Event, Ticket, hub};
use crate::log;
use crate::protocol::deflate::Incoming;
use crate::protocol::frame::{self, Opcode};
use crate::protocol::receiver::{Flow, Fragment, Payload, Receiver, Sink};
use crate::protocol::{Kind, ProtocolError, close};
use crate::spare::{BUFFERS, ROOMS};

/// What one system call may read: shared by the connections of a network thread, none of which holds it while it waits.
const READ_BUFFER: usize = 512 * 1024;
/// The same where events wait for the host: then the buffer is handed over with what is in it, if that is much.
const QUEUED_READ_BUFFER: usize = 128 * 1024;
/// What is read at least where there is little credit, and of how many bytes a message is one at least, for that reckoning.
const LEAST_READ: usize = 16 * 1024;
const SMALL_MESSAGE: usize = 64;
/// Reads of one connection before the others have their turn.
const READS_PER_TURN: usize = 4;
/// Until the event loop has noticed what waits to be read.
const NEXT_LOOK: Duration = Duration::from_millis(1);
/// Room for frames that a network thread keeps for the next batch.
const KEPT_ROOM: usize = 2 * 1024 * 1024;
/// Pieces written with one system call.
const SLICES: usize = 16;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static QUEUED_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// How a connection ended, as its "close" event says.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// The code of RFC 6455 § 7.4.
    pub code: u16,
    /// The host asked for it.
    pub by_host: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// Our close frame is on its way; the peer's is awaited until then.
    Closing(Instant),
    /// The host knows of the end; the rest is sent and the peer's end awaited until then.
    Leaving(Instant),
    Done,
}

/// The future of a connection. It ends with the socket.
pub struct Task {
    connection: Arc<Connection>,
    receiver: Receiver,
    phase: Phase,
    end: Option<End>,
    /// Bytes that were read and not taken, for want of credit, from `rest_at` on.
    rest: Vec<u8>,
    rest_at: usize,
    writing: Frames,
    /// What is to be told the host once so many bytes have left.
    receipts: VecDeque<(u64, Receipt)>,
    /// The system's word, once the socket takes nothing more.
    write_error: Option<String>,
    is_shut: bool,
    /// The pong that found no room.
    held_pong: Option<Vec<u8>>,
    /// Events went to a queue the last time.
    is_queued: bool,
    has_paused: bool,
    ticket: Ticket,
    timer: Option<Pin<Box<Sleep>>>,
    /// When the timer fires.
    armed: Option<Instant>,
    last_read: Instant,
    last_write: Instant,
    last_look: Instant,
    acknowledged: Option<u64>,
    next_ping: Option<Instant>,
    ping_sent: Option<Instant>,
    /// Pings of ours that were not answered.
    pongs_due: u32,
    /// When the first of them left.
    pinged: Option<Instant>,
}

enum Read {
    Some,
    Blocked,
}

impl Task {
    /// The future of `connection`, which got `rest` behind its handshake.
    pub fn new(connection: Arc<Connection>, rest: Vec<u8>) -> Task {
        let now = Instant::now();
        let settings = &connection.settings;
        connection.passed.wire_bytes_in.add(rest.len());
        let incoming = connection
            .agreed
            .as_ref()
            .map(|agreed| Incoming::new(agreed, settings.role));
        Task {
            receiver: Receiver::new(settings.role, settings.limits, incoming),
            phase: Phase::Open,
            end: None,
            rest,
            rest_at: 0,
            writing: Frames::default(),
            receipts: VecDeque::new(),
            write_error: None,
            is_shut: false,
            held_pong: None,
            is_queued: false,
            has_paused: false,
            ticket: Ticket::default(),
            timer: None,
            armed: None,
            last_read: now,
            last_write: now,
            last_look: now,
            acknowledged: None,
            next_ping: settings.ping_interval.map(|interval| now + interval),
            ping_sent: None,
            pongs_due: 0,
            pinged: None,
            connection,
        }
    }

    fn settings(&self) -> &Settings {
        &self.connection.settings
    }

    /// What other threads asked for since the last time.
    fn take_requests(&mut self, now: Instant) {
        let mut outbox = self.connection.outbox.lock();
        outbox.waker = None;
        let is_aborted = outbox.is_aborted;
        let is_closing = outbox.stage == Stage::Closing;
        let asked = std::mem::take(&mut outbox.asked);
        drop(outbox);
        if !asked.is_empty() && self.end.is_none() {
            self.execute(&asked);
        }
        if is_aborted {
            self.finish(close::ABNORMAL, "ended without a close handshake", false);
            self.phase = Phase::Done;
        } else if is_closing && self.phase == Phase::Open {
            self.phase = Phase::Closing(now + self.settings().close_timeout);
        }
    }

    fn execute(&self, asked: &[(String, String)]) {
        for (procedure, params) in asked {
            self.connection
                .source
                .post(Event::Execute { procedure, params });
        }
    }

    /// Tells the owner and the host that the connection has ended; the first word counts.
    fn finish(&mut self, code: u16, reason: &str, remote: bool) {
        if self.end.is_some() {
            return;
        }
        self.confirm();
        let role = self.settings().role;
        self.connection.catch_up();
        let (by_host, unsent) = {
            let mut outbox = self.connection.outbox.lock();
            self.connection.settle(&mut outbox, self.writing.len());
            outbox.stage = Stage::Closing;
            let mut unsent = self.writing.unsent(role).and(outbox.unsent(role));
            let begun = self.receipts.drain(..).map(|(_, receipt)| receipt);
            let waiting = outbox.take_receipts().into_iter();
            unsent.unconfirmed = begun.chain(waiting.map(|(_, receipt)| receipt)).collect();
            (outbox.is_closed_by_host, unsent)
        };
        let end = End { code, by_host };
        self.end = Some(end);
        let connection = &self.connection;
        let unsent = connection.owner.closing(connection.client, &end, unsent);
        self.connection.source.post_close(Event::Close {
            code,
            reason,
            remote,
            unsent: &unsent,
        });
        // Only now, so that whoever clears the owner still finds the source that may be calling back.
        self.connection.owner.closed(self.connection.client);
    }

    /// After the last word of both sides: sends what is left and waits for the peer to leave.
    fn leave(&mut self, now: Instant) {
        self.rest = Vec::new();
        self.phase = Phase::Leaving(now + self.settings().close_timeout);
    }

    fn fail(&mut self, error: &ProtocolError, now: Instant) {
        let (code, reason) = (code_of(error), &*error.to_string());
        let is_corrupt = *error == ProtocolError::CorruptData;
        log::info!("connection {}: {code} {reason}", self.connection.client);
        if is_corrupt {
            self.connection.source.post(Event::Error(&ErrorInfo {
                reason: reason.to_owned(),
                decompression_error: true,
                ..ErrorInfo::default()
            }));
        }
        self.send_last_words(code, reason, now);
        self.finish(code, reason, false);
        self.leave(now);
    }

    /// Writes what waits, as far as the socket takes it.
    fn flush(&mut self, context: &mut Context<'_>, now: Instant) {
        if self.write_error.is_some() || self.phase == Phase::Done {
            return;
        }
        loop {
            if self.writing.is_empty() && !self.refill(now) {
                return;
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.writing.slices(&mut slices);
            match self.connection.stream.poll_write(context, &slices[..count]) {
                Poll::Ready(Ok(written)) => {
                    self.connection.passed.wire_bytes_out.add(written);
                    self.writing.advance(written);
                    self.last_write = now;
                    if !self.receipts.is_empty() {
                        self.confirm();
                    }
                }
                Poll::Ready(Err(error)) => {
                    // What the peer sent before it left is still to be read.
                    self.write_error = Some(error.to_string());
                    self.last_write = now;
                    let mut outbox = self.connection.outbox.lock();
                    if outbox.stage == Stage::Open {
                        outbox.stage = Stage::Broken;
                    }
                    return;
                }
                Poll::Pending => {
                    self.settle();
                    return;
                }
            }
        }
    }

    /// Tells the host which messages have left.
    fn confirm(&mut self) {
        let left = self.connection.passed.wire_bytes_out.get();
        let count = self.receipts.partition_point(|(end, _)| *end <= left);
        let receipts: Vec<_> = self.receipts.drain(..count).collect();
        let sent = receipts.iter().map(|(_, receipt)| Event::Sent(receipt));
        self.connection.source.post_all(sent);
    }

    /// Takes from the outbox what came since; false if nothing did.
    fn refill(&mut self, now: Instant) -> bool {
        keep_room(self.writing.take_room());
        let mut outbox = self.connection.outbox.lock();
        self.connection.settle(&mut outbox, self.writing.len());
        if let Some(pong) = self.held_pong.take_if(|_| outbox.stage == Stage::Open) {
            let role = self.connection.settings.role;
            let length = frame::frame_length(role, pong.len());
            outbox.append(length, |frames| {
                frame::encode(role, Opcode::Pong, &pong, frames);
            });
            outbox.taken.count(Kind::Pong, 0);
        }
        if outbox.is_empty() {
            let is_drained = std::mem::take(&mut outbox.wants_drain);
            drop(outbox);
            if is_drained && self.phase == Phase::Open {
                self.connection.source.post(Event::Drain { buffered: 0 });
            }
            return false;
        }
        outbox.take(&mut self.writing);
        let receipts = outbox.take_receipts();
        drop(outbox);
        if !receipts.is_empty() {
            let left = self.connection.passed.wire_bytes_out.get();
            let ends = receipts
                .into_iter()
                .map(|(end, receipt)| (left + end as u64, receipt));
            self.receipts.extend(ends);
        }
        // The stall is counted from here: nothing waited before.
        self.last_write = now;
        true
    }

    /// Tells the outbox what has left, and the host if it waits for room.
    fn settle(&mut self) {
        let mut outbox = self.connection.outbox.lock();
        self.connection.settle(&mut outbox, self.writing.len());
        let buffered = outbox.queued();
        // At half, so that "drain" is worth a batch of sends.
        let has_room = buffered <= self.connection.settings.send_queue / 2;
        if outbox.wants_drain && has_room && self.connection.has_budget() {
            outbox.wants_drain = false;
            drop(outbox);
            if self.phase == Phase::Open {
                self.connection.source.post(Event::Drain { buffered });
            }
        }
    }

    /// One read and what it brings.
    fn read(&mut self, context: &mut Context<'_>, now: Instant) -> Read {
        if self.phase == Phase::Open {
            // Not while the host owes us credit: then the peer has to wait, as TCP tells it.
            let source = &self.connection.source;
            if source.is_used_up(context.waker(), &mut self.ticket) {
                self.has_paused = true;
                return Read::Blocked;
            }
            if std::mem::take(&mut self.has_paused) {
                // Pongs may have waited behind what we did not read.
                self.last_read = now;
                self.ping_sent = None;
            }
        }
        if !self.rest.is_empty() {
            self.take_rest(now);
            return Read::Some;
        }
        let (buffer, size) = match self.is_queued {
            true => (&QUEUED_BUFFER, QUEUED_READ_BUFFER),
            false => (&BUFFER, READ_BUFFER),
        };
        let wanted = match self.is_queued {
            true => self.connection.source.room(),
            false => (size, size),
        };
        // What the host has no credit for would only be kept here.
        let wanted = wanted.0.min(wanted.1.saturating_mul(SMALL_MESSAGE));
        let wanted = wanted.clamp(LEAST_READ, size);
        buffer.with_borrow_mut(|buffer| {
            if buffer.is_empty() {
                *buffer = BUFFERS.take_of(size).unwrap_or_else(|| vec![0; size]);
            }
            let space = self.receiver.space();
            let direct = space.as_ref().map_or(0, |space| space.len());
            let stream = &self.connection.stream;
            let polled = match space {
                Some(space) => stream.poll_read(
                    context,
                    &mut [
                        IoSliceMut::new(space),
                        IoSliceMut::new(&mut buffer[..wanted]),
                    ],
                ),
                None => stream.poll_read(context, &mut [IoSliceMut::new(&mut buffer[..wanted])]),
            };
            match polled {
                Poll::Pending => return Read::Blocked,
                Poll::Ready(Ok(0)) => self.end_of_stream(),
                Poll::Ready(Err(error)) => self.broken(&error.to_string()),
                Poll::Ready(Ok(length)) => {
                    self.last_read = now;
                    self.connection.passed.wire_bytes_in.add(length);
                    let direct = length.min(direct);
                    if direct > 0 {
                        self.take_direct(direct, now);
                    }
                    if length > direct {
                        self.take_bytes(buffer, length - direct, now);
                    }
                }
            }
            Read::Some
        })
    }

    /// What was left, as far as there is credit for it now.
    fn take_rest(&mut self, now: Instant) {
        let mut rest = std::mem::take(&mut self.rest);
        let at = self.rest_at;
        let mut taken = rest.len() - at;
        self.process(now, |receiver, inbox| {
            taken = receiver.feed(&mut rest[at..], inbox)?;
            Ok(())
        });
        // Not copied: with little credit at a time, that would be work without end.
        let is_used = at + taken == rest.len() || self.phase == Phase::Done;
        (self.rest, self.rest_at) = match is_used {
            true => (Vec::new(), 0),
            false => (rest, at + taken),
        };
    }

    fn take_direct(&mut self, length: usize, now: Instant) {
        self.process(now, |receiver, inbox| {
            receiver.filled(length, inbox).map(|_| ())
        });
    }

    /// Takes the first `length` bytes of a buffer, which may go with them.
    fn take_bytes(&mut self, buffer: &mut Vec<u8>, length: usize, now: Instant) {
        if !self.rest.is_empty() {
            // The direct part stopped for want of credit.
            self.rest.extend_from_slice(&buffer[..length]);
            return;
        }
        let mut rest = Vec::new();
        self.process(now, |receiver, inbox| {
            let bytes = &mut buffer[..length];
            inbox.delivery.borrow(bytes);
            let taken = receiver.feed(bytes, inbox);
            if let Ok(taken) = taken {
                rest.extend_from_slice(&bytes[taken..]);
            }
            inbox.delivery.hand_over(buffer);
            taken.map(|_| ())
        });
        if self.phase != Phase::Done {
            self.rest = rest;
        }
    }

    /// Lets the receiver take bytes, and does what they ask for.
    fn process(
        &mut self,
        now: Instant,
        feed: impl FnOnce(&mut Receiver, &mut Inbox<'_>) -> Result<(), ProtocolError>,
    ) {
        if matches!(self.phase, Phase::Leaving(_) | Phase::Done) {
            return;
        }
        let connection = &self.connection;
        let is_inline;
        let (result, close) = {
            let delivery = connection.source.begin();
            is_inline = delivery.is_inline();
            self.is_queued = delivery.is_queued();
            if is_inline {
                cork::begin(connection, ROOM.take());
            }
            let mut inbox = Inbox {
                delivery,
                connection,
                is_open: self.phase == Phase::Open,
                pongs_due: &mut self.pongs_due,
                pinged: &mut self.pinged,
                held_pong: &mut self.held_pong,
                messages: 0,
                bytes: 0,
                close: None,
            };
            let result = feed(&mut self.receiver, &mut inbox);
            connection.passed.messages_in.add(inbox.messages);
            connection.passed.bytes_in.add(inbox.bytes);
            (result, inbox.close)
        };
        if is_inline {
            let mut frames = cork::end();
            self.writing.append(&mut frames);
            keep_room(frames);
        }
        match (result, close) {
            (Err(error), _) => self.fail(&error, now),
            (Ok(()), Some((code, reason))) => self.closed_by_peer(code, &reason, now),
            (Ok(()), None) => {}
        }
    }

    fn closed_by_peer(&mut self, code: u16, reason: &str, now: Instant) {
        let own = self.connection.outbox.lock().own_close();
        // RFC 6455 § 5.5.1: the answer echoes the code.
        self.send_last_words(code, "", now);
        match own {
            Some((code, reason)) => self.finish(code, &reason, false),
            None => self.finish(code, reason, true),
        }
        self.leave(now);
    }

    /// Sends what the socket takes at once, and the close frame if that was not sent: the host is told next how much was
    /// left.
    fn send_last_words(&mut self, code: u16, reason: &str, now: Instant) {
        while !self.writing.is_empty() || self.refill(now) {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.writing.slices(&mut slices);
            match self.connection.stream.write_now(&slices[..count]) {
                Ok(written @ 1..) => {
                    self.connection.passed.wire_bytes_out.add(written);
                    self.writing.advance(written);
                }
                // The next flush finds out what is wrong, if anything is.
                _ => break,
            }
        }
        let settings = self.connection.settings.clone();
        let mut outbox = self.connection.outbox.lock();
        if settings.keeps_unsent {
            let committed = self.connection.stream.committed_bytes();
            outbox.withdraw(settings.role, &mut self.writing, committed);
        }
        outbox.begin_close(settings.role, code, reason);
    }

    fn end_of_stream(&mut self) {
        match self.phase {
            Phase::Leaving(_) | Phase::Done => {}
            _ => self.finish(
                close::ABNORMAL,
                "the peer ended the connection without a close frame",
                true,
            ),
        }
        self.phase = Phase::Done;
    }

    fn broken(&mut self, error: &str) {
        self.finish(close::ABNORMAL, error, true);
        self.phase = Phase::Done;
    }

    /// Does what is due, and returns when to look again.
    fn check_timers(&mut self, now: Instant) -> Option<Instant> {
        let only_pings = self.phase == Phase::Open
            && self.writing.is_empty()
            && self.write_error.is_none()
            && self.ping_sent.is_none()
            && !self.has_paused;
        if only_pings && self.next_ping.is_none_or(|next| now < next) {
            return self.next_ping;
        }
        let settings = self.connection.settings.clone();
        match self.phase {
            Phase::Done => return None,
            Phase::Leaving(deadline) if now >= deadline => {
                self.phase = Phase::Done;
                return None;
            }
            Phase::Leaving(deadline) => return Some(deadline),
            Phase::Closing(deadline) if now >= deadline => {
                let is_broken = self.write_error.is_some();
                let reason = match self.write_error.clone() {
                    Some(error) => error,
                    None => format!(
                        "no close frame came within {} ms",
                        settings.close_timeout.as_millis()
                    ),
                };
                self.finish(close::ABNORMAL, &reason, is_broken);
                self.phase = Phase::Done;
                return None;
            }
            Phase::Closing(deadline) => return Some(deadline),
            Phase::Open => {}
        }
        if let Some(error) = self.write_error.clone().filter(|_| !self.has_paused) {
            // The end of the stream comes at once as a rule, behind what is still to be read.
            let deadline = self.last_write.max(self.last_read) + settings.close_timeout;
            if now >= deadline {
                self.finish(close::ABNORMAL, &error, true);
                self.phase = Phase::Done;
                return None;
            }
            return Some(deadline);
        }
        let mut due = None;
        let mut at = |time: Instant| {
            due = Some(due.map_or(time, |known: Instant| known.min(time)));
        };
        let waits = self.write_error.is_none() && !self.writing.is_empty();
        if let (Some(stall), true) = (settings.send_stall, waits) {
            // Looked at several times, so that what was taken just before the stall is soon out of the reckoning.
            if now >= self.next_look(stall) {
                self.last_look = now;
                if self.has_progressed() {
                    self.last_write = now;
                }
            }
            let deadline = self.last_write + stall;
            if now >= deadline {
                let waiting = self.connection.outbox.lock().unsent(settings.role);
                let unsent = self.writing.unsent(settings.role).and(waiting).messages;
                let reason = format!(
                    "no byte left within {} ms; {unsent} messages were not sent",
                    stall.as_millis()
                );
                self.finish(close::ABNORMAL, &reason, false);
                self.reset();
                self.phase = Phase::Done;
                return None;
            }
            at(deadline.min(self.next_look(stall)));
        }
        if self.has_paused {
            // Its pongs may wait unread: it is not the peer's silence.
            self.next_ping = settings.ping_interval.map(|interval| now + interval);
        }
        if let (Some(sent), Some(timeout), false) =
            (self.ping_sent, settings.ping_timeout, self.has_paused)
        {
            if self.last_read > sent {
                self.ping_sent = None;
            } else if now < sent + timeout {
                at(sent + timeout);
            } else if self.connection.stream.has_unread() {
                // In a process that was stopped time-outs come before what has arrived meanwhile: that is read first.
                at(now + NEXT_LOOK);
            } else {
                let reason = format!("no pong within {} ms", timeout.as_millis());
                self.finish(close::ABNORMAL, &reason, false);
                self.reset();
                self.phase = Phase::Done;
                return None;
            }
        }
        if let (Some(next), Some(interval)) = (self.next_ping, settings.ping_interval) {
            if now >= next {
                self.send_ping(now);
                self.next_ping = Some(now + interval);
                if let (Some(sent), Some(timeout)) = (self.ping_sent, settings.ping_timeout) {
                    at(sent + timeout);
                }
            }
            at(self.next_ping.unwrap_or(next));
        }
        due
    }

    fn next_look(&self, stall: Duration) -> Instant {
        self.last_write.max(self.last_look) + stall / 4
    }

    /// Ends the socket without sending what is left.
    fn reset(&mut self) {
        self.is_shut = true;
        self.connection.stream.reset_on_drop();
    }

    /// Whether the peer has taken something since the last look. The system tells that there is room only once a third of
    /// its buffer is free: with a slow peer that takes minutes in which bytes do leave.
    fn has_progressed(&mut self) -> bool {
        let acknowledged = self.connection.stream.acknowledged_bytes();
        let before = std::mem::replace(&mut self.acknowledged, acknowledged);
        acknowledged > before
    }

    fn send_ping(&mut self, now: Instant) {
        let role = self.settings().role;
        let mut outbox = self.connection.outbox.lock();
        // Behind bytes that do not leave, a ping would say nothing: the stall is watched instead.
        if outbox.stage != Stage::Open || outbox.queued() > 0 {
            return;
        }
        outbox.append(frame::frame_length(role, 0), |frames| {
            frame::encode(role, Opcode::Ping, b"", frames);
        });
        outbox.taken.count(Kind::Ping, 0);
        drop(outbox);
        self.ping_sent.get_or_insert(now);
        if self.pongs_due == 0 {
            self.pinged = Some(now);
        }
        self.pongs_due = self.pongs_due.saturating_add(1);
    }

    /// Arms the timer for `due`. True if that has come already.
    fn arm(&mut self, due: Option<Instant>, now: Instant, context: &mut Context<'_>) -> bool {
        let Some(due) = due else {
            self.timer = None;
            self.armed = None;
            return false;
        };
        // It knows our waker, which stays the same, and fires in time.
        if self.armed.is_some_and(|armed| now < armed && armed <= due) {
            return false;
        }
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        // A timer that is too early costs one look; setting it anew with every message would cost more.
        if timer.deadline() > due || timer.is_elapsed() {
            timer.as_mut().reset(due);
        }
        let is_due = timer.as_mut().poll(context).is_ready();
        self.armed = (!is_due).then(|| timer.deadline());
        is_due
    }

    /// Stores the waker; false if something came meanwhile.
    fn sleep(&self, context: &Context<'_>) -> bool {
        let mut outbox = self.connection.outbox.lock();
        let can_write = self.write_error.is_none() && self.writing.is_empty();
        let has_news = (can_write && !outbox.is_empty())
            || outbox.is_aborted
            || !outbox.asked.is_empty()
            || (outbox.stage == Stage::Closing && self.phase == Phase::Open);
        if has_news {
            return false;
        }
        outbox.waker = Some(context.waker().clone());
        true
    }
}

impl Future for Task {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<End> {
        let task = &mut *self;
        let mut reads = 0;
        loop {
            let now = Instant::now();
            task.take_requests(now);
            task.flush(context, now);
            while let Read::Some = task.read(context, now) {
                task.flush(context, now);
                reads += 1;
                if task.phase == Phase::Done || reads == READS_PER_TURN {
                    break;
                }
            }
            let due = task.check_timers(now);
            if task.phase == Phase::Done {
                let end = task.end.unwrap_or(End {
                    code: close::ABNORMAL,
                    by_host: false,
                });
                return Poll::Ready(end);
            }
            if matches!(task.phase, Phase::Leaving(_)) && task.has_sent_all() && !task.is_shut {
                task.is_shut = true;
                task.connection.stream.shutdown_write();
            }
            let is_due = task.arm(due, now, context);
            if reads >= READS_PER_TURN {
                // With so much to read, the event loop may not rest for long.
                hub().end_turn();
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !is_due && task.sleep(context) {
                return Poll::Pending;
            }
        }
    }
}

impl Task {
    fn has_sent_all(&self) -> bool {
        self.write_error.is_some()
            || (self.writing.is_empty() && self.connection.outbox.lock().is_empty())
    }
}

impl Drop for Task {
    /// The library was shut down, or the task panicked: the host is owed its "close".
    fn drop(&mut self) {
        if std::thread::panicking() {
            cork::end();
            self.finish(close::INTERNAL_ERROR, "fault in wsplug, see the log", false);
        } else {
            self.finish(close::ABNORMAL, "the library was shut down", false);
        }
        if !self.is_shut {
            // The socket lives as long as somebody holds the connection; the peer need not wait for that.
            self.connection.stream.shutdown_write();
        }
        self.connection.tell_end();
    }
}

/// Keeps room for this thread's next batch, or for others.
fn keep_room(mut room: Vec<u8>) {
    if room.capacity() == 0 {
        return;
    }
    room.clear();
    let known = ROOM.take();
    if known.capacity() >= room.capacity() {
        ROOM.set(known);
        return ROOMS.give(room);
    }
    ROOMS.give(known);
    if room.capacity() <= KEPT_ROOM {
        ROOM.set(room);
    }
}

/// What the receiver found, on its way to the host.
struct Inbox<'a> {
    delivery: Delivery<'a>,
    connection: &'a Connection,
    /// False once a close was asked for: what still comes is not the host's any more.
    is_open: bool,
    pongs_due: &'a mut u32,
    pinged: &'a mut Option<Instant>,
    held_pong: &'a mut Option<Vec<u8>>,
    /// Messages that came, and their bytes.
    messages: usize,
    bytes: usize,
    close: Option<(u16, String)>,
}

impl Inbox<'_> {
    /// Queues the pong now, so that it leaves before the answers to the messages behind the ping.
    fn answer_ping(&mut self, payload: &[u8]) {
        let role = self.connection.settings.role;
        let length = frame::frame_length(role, payload.len());
        let mut outbox = self.connection.outbox.lock();
        if outbox.stage != Stage::Open {
            return;
        }
        self.connection.is_touched.store(true, Release);
        if outbox.queued() + length > CONTROL_BYTES {
            *self.held_pong = Some(payload.to_vec());
            return;
        }
        *self.held_pong = None;
        outbox.append(length, |frames| {
            frame::encode(role, Opcode::Pong, payload, frames);
        });
        outbox.taken.count(Kind::Pong, 0);
    }

    /// The host asked for a close, perhaps in the callback of the message before.
    fn is_closing(&self) -> bool {
        !self.is_open || self.connection.is_closing.load(Acquire)
    }

    fn flow(&self) -> Flow {
        match self.delivery.has_credit() {
            true => Flow::Continue,
            false => Flow::Stop,
        }
    }
}

impl Sink for Inbox<'_> {
    #[inline(always)]
    fn message(&mut self, kind: Kind, payload: Payload<'_>, wire: u64) -> Flow {
        self.messages += 1;
        self.bytes += payload.bytes().len();
        if self.is_closing() {
            return Flow::Continue;
        }
        self.delivery.push_message(kind, payload, wire);
        self.flow()
    }

    fn fragment(&mut self, kind: Kind, data: Fragment<'_>, index: u32, wire: u64) -> Flow {
        if self.is_closing() || !self.connection.settings.fragments {
            return Flow::Continue;
        }
        self.delivery.push_fragment(kind, data, index, wire);
        self.flow()
    }

    fn keeps_fragments(&self) -> bool {
        self.connection.settings.fragments && self.delivery.is_queued()
    }

    fn ping(&mut self, payload: &[u8]) -> Flow {
        self.connection.passed.pings_in.add(1);
        if self.connection.settings.enable_pong {
            self.answer_ping(payload);
        }
        if self.is_closing() {
            return Flow::Continue;
        }
        self.delivery.push(Event::Ping(payload));
        self.flow()
    }

    fn pong(&mut self, payload: &[u8]) -> Flow {
        let answers_us = payload.is_empty() && *self.pongs_due > 0;
        *self.pongs_due -= u32::from(answers_us);
        self.connection.passed.pongs_in.add(1);
        if let Some(pinged) = self.pinged.take_if(|_| answers_us) {
            self.connection.passed.set_round_trip(pinged.elapsed());
        }
        if self.is_closing() || (answers_us && !self.connection.settings.report_pongs) {
            return Flow::Continue;
        }
        self.delivery.push(Event::Pong(payload));
        self.flow()
    }

    fn close(&mut self, code: u16, reason: &str) {
        self.close = Some((code, reason.to_owned()));
    }
}
