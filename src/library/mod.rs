//! Knows what is alive: the network threads, the tables of refs, and the order in which all of it ends.
//! Does not know JSON or frames.

mod network;

use std::sync::Arc;
use std::time::{Duration, Instant};

use once_cell::sync::Lazy;
use parking_lot::Mutex;

use crate::callback;
use crate::client::Client;
use crate::connection::Connection;
use crate::error::{Error, Result, Status};
use crate::events::hub;
use crate::log;
use crate::protocol::close;
use crate::registry::Table;
use crate::server::{Question, Server};
use crate::transport::Threads;

use network::Network;

/// Our own clients and the connections that servers accepted share one sign of refs.
#[derive(Clone)]
pub enum Peer {
    /// A client that the host created.
    Own(Arc<Client>),
    /// A connection that a server accepted.
    Accepted(Arc<Connection>),
    /// A client that waits for the host to let it in.
    Asking(Arc<Question>),
}

/// Every server.
pub static SERVERS: Table<Arc<Server>, -1> = Table::new();
/// Every connection, ours and accepted.
pub static PEERS: Table<Peer, 1> = Table::new();

enum State {
    Down { threads: usize },
    Up(Network),
    GoingDown,
}

static STATE: Lazy<Mutex<State>> = Lazy::new(|| Mutex::new(State::Down { threads: 1 }));

/// What callbacks are given for the events that a shutdown at its deadline brings.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Sets how many network threads there will be. Only before anything is created.
pub fn init(threads: usize) -> Result<()> {
    let mut state = STATE.lock();
    match &*state {
        State::Down { .. } => {
            *state = State::Down { threads };
            Ok(())
        }
        _ => Err(Error::wrong_state(
            "wsplug_init comes before the first server or client, or after wsplug_shutdown",
        )),
    }
}

/// The network threads, started if they are not there.
pub fn threads() -> Result<Arc<Threads>> {
    let mut state = STATE.lock();
    match &*state {
        State::Up(network) => Ok(network.threads()),
        State::GoingDown => Err(Error::wrong_state("the library is shutting down")),
        State::Down { threads } => {
            let threads = *threads;
            let network = Network::start(threads)?;
            let handles = network.threads();
            *state = State::Up(network);
            drop(state);
            log::info!("started with {threads} network threads");
            Ok(handles)
        }
    }
}

/// How many network threads run.
pub fn thread_count() -> usize {
    match &*STATE.lock() {
        State::Up(network) => network.threads().count(),
        _ => 0,
    }
}

/// Closes everything with 1001, delivers what is left for callbacks, and joins every thread. Afterwards the library is as
/// new, but for what waits to be pulled.
pub fn shutdown(timeout: Duration) -> Result<Status> {
    if callback::is_inside() {
        return Err(Error::new(
            Status::InCallback,
            "shutdown waits for callbacks and cannot be called from one",
        ));
    }
    let deadline = Instant::now() + timeout;
    let network = {
        let mut state = STATE.lock();
        match std::mem::replace(&mut *state, State::GoingDown) {
            State::Up(network) => Some(network),
            State::GoingDown => {
                return Err(Error::wrong_state("the library is shutting down already"));
            }
            down @ State::Down { .. } => {
                *state = down;
                None
            }
        }
    };
    let Some(network) = network else {
        let is_delivered = hub().end_callers(deadline);
        let is_quiet = hub().forget_handlers(deadline);
        return Ok(status(is_delivered && is_quiet));
    };
    let servers = SERVERS.all();
    let clients: Vec<Arc<Client>> = PEERS
        .all()
        .into_iter()
        .filter_map(|peer| match peer {
            Peer::Own(client) => Some(client),
            Peer::Accepted(_) | Peer::Asking(_) => None,
        })
        .collect();
    for server in &servers {
        server.stop_for_good(close::GOING_AWAY, "the server is shutting down");
    }
    for client in &clients {
        client.stop_for_good(close::GOING_AWAY, "the client is shutting down");
    }
    let mut is_closed = true;
    for server in &servers {
        is_closed &= server.await_end(&[], deadline);
    }
    for client in &clients {
        is_closed &= client.await_end(deadline);
    }
    let own = clients.iter().map(|client| client.source.channel().clone());
    let channels: Vec<_> = servers
        .iter()
        .map(|server| server.source.channel().clone())
        .chain(own)
        .collect();
    // What has not ended by now ends with its thread, which posts the "close" that is owed.
    let is_joined = network.join(deadline);
    // "stopped" comes after everything else of its server.
    hub().await_pool(deadline);
    for server in &servers {
        server.tell_stopped();
    }
    // What ended with its thread has only now been posted.
    let deadline = deadline.max(Instant::now() + LAST_WORDS);
    // The thread that pumps may be this one: what it has not pumped is delivered now.
    while Instant::now() < deadline
        && hub()
            .pump(Some(Duration::ZERO), usize::MAX)
            .is_ok_and(|count| count > 0)
    {}
    let is_delivered = hub().end_callers(deadline);
    for channel in channels {
        channel.end();
    }
    PEERS.clear();
    SERVERS.clear();
    let is_quiet = hub().forget_handlers(deadline);
    *STATE.lock() = State::Down { threads: 1 };
    Ok(status(is_closed && is_joined && is_delivered && is_quiet))
}

fn status(is_complete: bool) -> Status {
    match is_complete {
        true => Status::Ok,
        false => Status::Timeout,
    }
}
