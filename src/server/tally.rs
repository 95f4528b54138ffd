//! Knows what a server has counted: connections, what passed through them, and who was refused for what.
//! Does not know why anybody was refused.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::Server;
use crate::connection::{Connection, Counters};
use crate::error::Unsent;

/// What is counted once for each connection.
#[derive(Default)]
pub struct Tally(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    opened: u64,
    answered: u64,
    /// What passed through the connections that are gone.
    gone: Counters,
    unsent: (usize, u64),
    refused: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub fn opened(&self) {
        self.0.lock().opened += 1;
    }

    /// A request was answered that was for no WebSocket.
    pub fn answered(&self) {
        self.0.lock().answered += 1;
    }

    pub fn gone(&self, connection: &Connection) {
        let counters = connection.report().counters;
        self.0.lock().gone += counters;
    }

    /// A connection has ended before all was sent.
    pub fn left(&self, unsent: &Unsent) {
        let mut counted = self.0.lock();
        counted.unsent.0 += unsent.messages;
        counted.unsent.1 += unsent.bytes;
    }

    pub fn refused(&self, cause: &'static str) {
        *self.0.lock().refused.entry(cause).or_default() += 1;
    }
}

/// A server at one moment.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The port on which it listens; none if it does not.
    pub port: Option<u16>,
    /// Whether it waits for clients to go.
    pub is_draining: bool,
    /// Connections to which messages can be sent.
    pub clients: usize,
    /// Handshakes under way on its port.
    pub pending: usize,
    /// Connections on its port that ask for something else than a WebSocket.
    pub guests: usize,
    /// Connections so far.
    pub opened: u64,
    /// Requests for files, health and metrics that were answered so far.
    pub answered: u64,
    /// Who was refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// What passed through all connections so far.
    pub counters: Counters,
    /// What connections had not sent when they ended.
    pub unsent: Unsent,
    /// Bytes that wait to be sent.
    pub buffered: usize,
    /// Bytes and events that wait for the host.
    pub waiting: (usize, usize),
}

impl Server {
    /// How it stands.
    pub fn report(&self) -> Report {
        let (connections, gone) = {
            let clients = self.clients.lock();
            let mut connections = clients.all();
            connections.extend(clients.leaving.values().cloned());
            (connections, self.tally.0.lock().gone)
        };
        let sessions = self.sessions.lock();
        let current = sessions.current.as_ref().map(|(_, port)| port);
        let ports = current
            .into_iter()
            .chain(sessions.draining.iter().map(|draining| &draining.port));
        let (mut pending, mut guests) = (0, 0);
        for port in ports {
            pending += port.pending();
            guests += port.guests.lock().count();
        }
        let port = current.map(|port| port.number);
        let is_draining = !sessions.draining.is_empty();
        drop(sessions);
        let mut report = {
            let counted = self.tally.0.lock();
            Report {
                port,
                is_draining,
                pending,
                guests,
                clients: 0,
                opened: counted.opened,
                answered: counted.answered,
                refused: counted.refused.clone(),
                counters: gone,
                unsent: Unsent {
                    messages: counted.unsent.0,
                    bytes: counted.unsent.1,
                    ..Unsent::default()
                },
                buffered: 0,
                waiting: self.source.channel().waiting(),
            }
        };
        for connection in connections {
            let one = connection.report();
            report.clients += usize::from(one.is_open);
            report.counters += one.counters;
            report.buffered += one.buffered;
        }
        report
    }
}
