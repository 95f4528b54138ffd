//! Knows how the answers of inline callbacks are collected without a lock: on the thread that reads and writes anyway.
//! Does not know the socket.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};

use super::outbox::Stage;
use super::{Connection, Sent, check, queue_full};
use crate::error::Result;
use crate::protocol::{Kind, frame};

/// The connection whose messages this thread delivers inline now.
struct Cork {
    connection: Arc<Connection>,
    frames: Vec<u8>,
    /// Bytes that waited when the delivery began.
    queued: usize,
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
    };
    drop(outbox);
    CURRENT.set(Some(cork));
}

/// What was collected: it goes before all that waits in the outbox.
pub fn end() -> Vec<u8> {
    CURRENT.take().map(|cork| cork.frames).unwrap_or_default()
}

/// Collects a message for `client`. None: it has to take its turn in the outbox, where somebody else has put something.
pub fn send(client: i32, kind: Kind, payload: &[u8]) -> Option<Result<Sent>> {
    CURRENT.with_borrow_mut(|current| {
        let cork = current.as_mut()?;
        let connection = &cork.connection;
        if connection.client != client || connection.is_touched.load(Acquire) {
            return None;
        }
        if connection.compresses(kind, payload.len()) {
            return None;
        }
        if let Err(error) = check(kind, payload) {
            return Some(Err(error));
        }
        let role = connection.settings.role;
        let queued = cork.queued + cork.frames.len();
        let length = frame::frame_length(role, payload.len());
        if kind.is_control() && queued > 0 {
            return None;
        }
        if queued > 0 && queued + length > connection.settings.send_queue {
            connection.outbox.lock().wants_drain = connection.settings.drain;
            return Some(Err(queue_full(connection, queued)));
        }
        frame::encode(role, kind.into(), payload, &mut cork.frames);
        Some(Ok(Sent {
            payload_size: payload.len(),
            wire_size: payload.len(),
        }))
    })
}
