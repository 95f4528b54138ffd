//! Knows the messages of one start that were not handed to the system yet, in order: what waits for the next connection.
//! Does not know when there is one.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::connection::{Connection, Sent, check};
use crate::error::{Error, Receipt, Result, Status, Unsent};
use crate::log;
use crate::protocol::Kind;

/// What a message takes beside its payload.
const COST: usize = 64;

/// Keeps each message until the system has taken all of it, and gives those that it has not to the next connection, before
/// everything that is sent later. A message of which a part has left goes again: its end never arrived.
pub struct Queue {
    client: i32,
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: VecDeque<Kept>,
    bytes: usize,
    /// How many of the kept are in the connection's hands: they stand in front.
    given: usize,
    connection: Option<Arc<Connection>>,
    /// The host has asked for the end: what is left is not given to another connection.
    is_stopped: bool,
    /// Nothing is taken any more, and what was left has been reported.
    is_over: bool,
    /// What was left.
    left: Unsent,
}

struct Kept {
    kind: Kind,
    payload: Box<[u8]>,
    receipt: Option<Receipt>,
    /// Where it ends in what the connection sends.
    end: u64,
}

impl Queue {
    /// Room for `limit` bytes.
    pub fn new(client: i32, limit: usize) -> Queue {
        Queue {
            client,
            limit,
            state: Mutex::default(),
        }
    }

    /// Sends on the connection, or keeps the message until there is one.
    pub fn send(&self, kind: Kind, payload: &[u8], receipt: Option<&Receipt>) -> Result<Sent> {
        check(kind, payload)?;
        // Held until the message is in line: the connection takes them in the order in which they are kept.
        let mut state = self.state.lock();
        let waits = !state.is_over && !state.is_stopped && !kind.is_control();
        if let Some(connection) = state.connection.clone() {
            state.forget_sent(connection.handed_over());
            match connection.send(kind, payload, receipt) {
                Ok(sent) if kind.is_control() => return Ok(sent),
                Ok(sent) => {
                    state.keep(kind, payload, receipt, sent.end);
                    state.given += 1;
                    return Ok(sent);
                }
                // It is ending at this very moment.
                Err(error) if error.status == Status::WrongState && waits => {}
                Err(error) => return Err(error),
            }
        }
        if !waits {
            return Err(Error::wrong_state(format!(
                "client {} is not connected",
                self.client
            )));
        }
        if state.bytes + payload.len() + COST > self.limit {
            return Err(Error::new(
                Status::QueueFull,
                format!(
                    "{} bytes wait until client {} is connected; queueWhileDisconnected is {}",
                    state.bytes, self.client, self.limit
                ),
            ));
        }
        state.keep(kind, payload, receipt, u64::MAX);
        Ok(Sent {
            wire_size: 0,
            is_queued: true,
            ..Sent::plain(payload.len())
        })
    }

    /// There is a connection, on which nobody else has sent yet but what every connection begins with.
    pub fn connect(&self, connection: &Arc<Connection>) {
        let mut state = self.state.lock();
        let mut problems = Vec::new();
        for kept in &mut state.kept {
            match connection.send_first(kept.kind, &kept.payload, kept.receipt.as_ref()) {
                Ok(sent) => kept.end = sent.end,
                // It stays, and is reported in the end.
                Err(error) => problems.push(error),
            }
        }
        state.given = state.kept.len();
        state.connection = Some(connection.clone());
        // The host's code runs without the lock.
        drop(state);
        for problem in problems {
            log::error!("client {}: {problem}", self.client);
        }
    }

    /// The connection has ended, or was never used. Returns what is left if there will be no other.
    pub fn disconnect(&self, may_return: bool) -> Unsent {
        self.lose(may_return, Unsent::default()).0
    }

    /// The same, where the connection has not sent all. The second is what the next connection sends again.
    pub fn lose(&self, may_return: bool, of_connection: Unsent) -> (Unsent, Unsent) {
        let mut state = self.state.lock();
        if let Some(connection) = state.connection.take() {
            state.forget_sent(connection.handed_over());
        }
        let mut again = Unsent::default();
        for kept in state.kept.iter().take(state.given) {
            again.add(kept);
        }
        state.given = 0;
        // The connection's last receipts are those of what is kept. One more there may be of a message that counts as sent
        // because a part of it had left.
        let mut lost = of_connection;
        let begun = lost
            .unconfirmed
            .len()
            .saturating_sub(again.unconfirmed.len());
        lost.unconfirmed.truncate(begun);
        (lost.messages, lost.bytes) = (0, 0);
        match may_return && !state.is_stopped {
            true => (lost, again),
            false => (lost.and(state.end()), Unsent::default()),
        }
    }

    /// What was left, whoever it was reported to.
    pub fn left(&self) -> Unsent {
        self.state.lock().left.clone()
    }

    /// The host has asked for the end. Returns what is left, or nothing if a connection is still sending it.
    pub fn stop(&self) -> Unsent {
        let mut state = self.state.lock();
        state.is_stopped = true;
        match state.connection {
            Some(_) => Unsent::default(),
            None => state.end(),
        }
    }
}

impl Unsent {
    fn add(&mut self, kept: &Kept) {
        self.messages += 1;
        self.bytes += kept.payload.len() as u64;
        self.unconfirmed.extend(kept.receipt.clone());
    }
}

impl State {
    fn keep(&mut self, kind: Kind, payload: &[u8], receipt: Option<&Receipt>, end: u64) {
        self.bytes += payload.len() + COST;
        self.kept.push_back(Kept {
            kind,
            payload: payload.into(),
            receipt: receipt.cloned(),
            end,
        });
    }

    fn forget_sent(&mut self, handed_over: u64) {
        while self.given > 0 && self.kept[0].end <= handed_over {
            let sent = self.kept.pop_front();
            self.bytes -= sent.map_or(0, |sent| sent.payload.len() + COST);
            self.given -= 1;
        }
    }

    fn end(&mut self) -> Unsent {
        self.is_over = true;
        self.bytes = 0;
        self.given = 0;
        let mut unsent = Unsent::default();
        for kept in &std::mem::take(&mut self.kept) {
            unsent.add(kept);
        }
        self.left = std::mem::take(&mut self.left).and(unsent.clone());
        unsent
    }
}
