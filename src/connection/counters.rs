//! Knows in numbers what has passed through a connection.
//! Does not know the socket or the outbox.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::protocol::Kind;

/// What has passed through one connection, or through many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that came.
    pub messages_in: u64,
    /// Their bytes, inflated.
    pub bytes_in: u64,
    /// Bytes that were read from the socket behind the handshake.
    pub wire_bytes_in: u64,
    /// Messages that were taken to be sent.
    pub messages_out: u64,
    /// Their bytes, before compression.
    pub bytes_out: u64,
    /// Bytes that the system has taken behind the handshake.
    pub wire_bytes_out: u64,
    /// Pings that came.
    pub pings_in: u64,
    /// Pongs that came.
    pub pongs_in: u64,
    /// Pings that were taken to be sent, the library's own too.
    pub pings_out: u64,
    /// Pongs that were taken to be sent, the library's answers too.
    pub pongs_out: u64,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Counters) {
        self.messages_in += other.messages_in;
        self.bytes_in += other.bytes_in;
        self.wire_bytes_in += other.wire_bytes_in;
        self.messages_out += other.messages_out;
        self.bytes_out += other.bytes_out;
        self.wire_bytes_out += other.wire_bytes_out;
        self.pings_in += other.pings_in;
        self.pongs_in += other.pongs_in;
        self.pings_out += other.pings_out;
        self.pongs_out += other.pongs_out;
    }
}

impl Counters {
    /// Each with the name under which hosts know it.
    pub fn named(&self) -> [(&'static str, u64); 10] {
        [
            ("messagesIn", self.messages_in),
            ("bytesIn", self.bytes_in),
            ("wireBytesIn", self.wire_bytes_in),
            ("messagesOut", self.messages_out),
            ("bytesOut", self.bytes_out),
            ("wireBytesOut", self.wire_bytes_out),
            ("pingsIn", self.pings_in),
            ("pongsIn", self.pongs_in),
            ("pingsOut", self.pings_out),
            ("pongsOut", self.pongs_out),
        ]
    }
}

/// A number that one thread adds to and every thread may read: an addition without a lock.
#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    #[inline]
    pub fn add(&self, more: usize) {
        self.0
            .store(self.0.load(Relaxed).wrapping_add(more as u64), Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What the network thread of a connection counts. Only that thread adds.
#[derive(Default)]
pub struct Passed {
    pub messages_in: Count,
    pub bytes_in: Count,
    pub wire_bytes_in: Count,
    pub wire_bytes_out: Count,
    pub pings_in: Count,
    pub pongs_in: Count,
    /// Messages that went past the outbox, as `cork` does it.
    pub corked: Count,
    pub bytes_corked: Count,
    /// Microseconds from the last ping of ours to its pong; 0: there was none.
    round_trip: AtomicU32,
}

impl Passed {
    pub fn set_round_trip(&self, time: Duration) {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.round_trip.store(micros.max(1), Relaxed);
    }

    pub fn round_trip(&self) -> Option<Duration> {
        let micros = self.round_trip.load(Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros.into()))
    }
}

/// What the outbox has taken, counted under its lock.
#[derive(Clone, Copy, Default)]
pub struct Taken {
    pub messages: u64,
    pub bytes: u64,
    pub pings: u32,
    pub pongs: u32,
}

impl Taken {
    /// Counts a message.
    pub fn count(&mut self, kind: Kind, payload_size: usize) {
        match kind {
            Kind::Ping => self.pings += 1,
            Kind::Pong => self.pongs += 1,
            Kind::Text | Kind::Binary => {
                self.messages += 1;
                self.bytes += payload_size as u64;
            }
        }
    }

    /// Counts what was counted elsewhere.
    pub fn add(&mut self, more: Taken) {
        self.messages += more.messages;
        self.bytes += more.bytes;
        self.pings += more.pings;
        self.pongs += more.pongs;
    }
}

impl Passed {
    /// Together with what the outbox has counted.
    pub fn with(&self, taken: Taken) -> Counters {
        Counters {
            messages_in: self.messages_in.get(),
            bytes_in: self.bytes_in.get(),
            wire_bytes_in: self.wire_bytes_in.get(),
            messages_out: self.corked.get() + taken.messages,
            bytes_out: self.bytes_corked.get() + taken.bytes,
            wire_bytes_out: self.wire_bytes_out.get(),
            pings_in: self.pings_in.get(),
            pongs_in: self.pongs_in.get(),
            pings_out: taken.pings.into(),
            pongs_out: taken.pongs.into(),
        }
    }
}
