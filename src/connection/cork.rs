//! Knows how the answers of inline callbacks are collected without a lock: on the thread that reads and writes anyway.
//! Does not know the socket.

use std::cell::RefCell;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};

use super::outbox::Stage;
use super::{Connection, check};
use crate::protocol::{Kind, Role, frame};

/// From this size on a message is written from where it is: the system call costs less than a copy.
const DIRECT: usize = 64 * 1024;

/// The connection whose messages this thread delivers inline now.
struct Cork {
    connection: Arc<Connection>,
    frames: Vec<u8>,
    /// Bytes that waited when the delivery began.
    queued: usize,
    /// Nothing has to go before what is collected, and the socket has taken everything so far.
    can_write: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Cork>> = const { RefCell::new(None) };
}

/// From now on, what callbacks on this thread send to `connection` is collected in `room`.
pub fn begin(connection: &Arc<Connection>, room: Vec<u8>) {
    let outbox = connection.outbox.lock();
    connection
        .is_touched
        .store(!outbox.is_empty() || outbox.stage != Stage::Open, Release);
    let cork = Cork {
        connection: connection.clone(),
        frames: room,
        queued: outbox.queued(),
        can_write: outbox.queued() == 0,
    };
    drop(outbox);
    CURRENT.set(Some(cork));
}

/// What was collected: it goes before all that waits in the outbox.
pub fn end() -> Vec<u8> {
    CURRENT.take().map(|cork| cork.frames).unwrap_or_default()
}

/// Collects a message for `client`. False: it has to take its turn in the outbox, because somebody else has put something
/// there, it is not this thread's connection, or it cannot be sent as it is.
pub fn send(client: i32, kind: Kind, payload: &[u8]) -> bool {
    CURRENT.with_borrow_mut(|current| {
        let Some(cork) = current.as_mut() else {
            return false;
        };
        let connection = &cork.connection;
        let settings = &connection.settings;
        let queued = cork.queued + cork.frames.len();
        let length = frame::frame_length(settings.role, payload.len());
        let goes = connection.client == client
            && !connection.is_touched.load(Acquire)
            && !kind.is_control()
            && !connection.compresses(kind, payload.len())
            && (queued == 0 || queued + length <= settings.send_queue)
            && check(kind, payload).is_ok();
        if goes {
            cork.add(kind, payload);
        }
        goes
    })
}

impl Cork {
    fn add(&mut self, kind: Kind, payload: &[u8]) {
        let role = self.connection.settings.role;
        if payload.len() < DIRECT || !self.can_write || role == Role::Client {
            frame::encode(role, kind.into(), payload, &mut self.frames);
            return;
        }
        frame::encode_header(kind.into(), payload.len(), &mut self.frames);
        // What is wrong with the socket, its task finds out.
        let buffers = [IoSlice::new(&self.frames), IoSlice::new(payload)];
        let written = self.connection.stream.write_now(&buffers).unwrap_or(0);
        let behind = written.saturating_sub(self.frames.len());
        self.frames.drain(..written - behind);
        self.frames.extend_from_slice(&payload[behind..]);
        self.can_write = behind == payload.len();
    }
}
