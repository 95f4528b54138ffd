//! Knows a server: listening, admitting, the connections it has, and how it stops.
//! Does not know JSON or who hosts us.

mod accept;
mod files;
mod handshake;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::connection::{Connection, End, Owner, Settings};
use crate::error::{Error, Result};
use crate::events::Source;
use crate::platform;
use crate::protocol::head::{self, Refusal};
use crate::protocol::upgrade::{Auth, Origins};
use crate::transport::{self, Listener, Threads, spawn_on};

/// What one start needs to know.
#[derive(Clone)]
pub struct Plan {
    /// A name or an address.
    pub host: String,
    /// 0 takes a free one.
    pub port: u16,
    /// Connections that the system keeps until we accept them.
    pub backlog: i32,
    /// Connections beyond are answered with 503.
    pub max_connections: usize,
    /// Connections whose handshake is not done; beyond, the oldest of them is closed unanswered.
    pub max_pending: usize,
    /// Connections from one address; beyond: 503. 0: no limit.
    pub max_per_ip: usize,
    /// From the accept to our answer.
    pub handshake_timeout: Duration,
    /// What a request may be at most.
    pub head: head::Limits,
    /// Paths that take WebSocket connections; empty: all.
    pub paths: Vec<String>,
    /// Who may connect from a browser.
    pub origins: Origins,
    /// Sub-protocols that we know; empty: none is ever chosen.
    pub protocols: Vec<String>,
    /// Who may connect at all.
    pub auth: Auth,
    /// Paths that answer plain GETs with a file.
    pub files: Vec<(String, PathBuf)>,
    /// How connections behave.
    pub settings: Arc<Settings>,
}

/// Where accepted connections get their refs.
pub trait Registrar: Send + Sync {
    /// Lists the connection that `make` builds around a new ref.
    fn insert(&self, make: &mut dyn FnMut(i32) -> Arc<Connection>) -> Arc<Connection>;
    /// The ref is free again.
    fn remove(&self, client: i32);
}

/// A server.
pub struct Server {
    /// The ref.
    pub server: i32,
    /// Where its own events come from.
    pub source: Arc<Source>,
    registrar: &'static dyn Registrar,
    session: Mutex<Option<Arc<Session>>>,
    clients: Mutex<BTreeMap<i32, (Arc<Connection>, Seat)>>,
    /// Sockets of all sessions that have not ended.
    sockets: Mutex<usize>,
    ended: Condvar,
}

/// From a start to a stop.
struct Session {
    plan: Plan,
    threads: Arc<Threads>,
    listener: Listener,
    accepting: Mutex<Option<AbortHandle>>,
    is_stopped: AtomicBool,
    seats: Mutex<Seats>,
    pending: Mutex<Handshakes>,
}

/// Connections that were admitted and not closed, by address where that is limited.
#[derive(Default)]
struct Seats {
    taken: usize,
    per_ip: HashMap<IpAddr, usize>,
}

/// One of them.
struct Seat {
    session: Arc<Session>,
    ip: IpAddr,
}

impl Seat {
    /// Takes a seat, or says which limit has been reached.
    fn take(session: &Arc<Session>, ip: IpAddr) -> std::result::Result<Seat, Refusal> {
        let plan = &session.plan;
        let mut seats = session.seats.lock();
        if seats.taken >= plan.max_connections.min(platform::connection_limit()) {
            return Err(full("the server has all the connections that it takes"));
        }
        if plan.max_per_ip > 0 {
            let from_there = seats.per_ip.entry(ip).or_default();
            if *from_there >= plan.max_per_ip {
                return Err(full("too many connections from this address"));
            }
            *from_there += 1;
        }
        seats.taken += 1;
        drop(seats);
        Ok(Seat {
            session: session.clone(),
            ip,
        })
    }
}

fn full(limit: &str) -> Refusal {
    Refusal::new(503, limit).with("Retry-After", "10")
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.session.seats.lock();
        seats.taken -= 1;
        if let Some(from_there) = seats.per_ip.get_mut(&self.ip) {
            *from_there -= 1;
            if *from_there == 0 {
                seats.per_ip.remove(&self.ip);
            }
        }
    }
}

/// Handshakes that are not done, oldest first. Dropping a sender ends its handshake.
#[derive(Default)]
struct Handshakes {
    next: u64,
    under_way: BTreeMap<u64, oneshot::Sender<()>>,
}

impl Server {
    /// A server that has not been started.
    pub fn new(server: i32, source: Arc<Source>, registrar: &'static dyn Registrar) -> Arc<Server> {
        Arc::new(Server {
            server,
            source,
            registrar,
            session: Mutex::new(None),
            clients: Mutex::new(BTreeMap::new()),
            sockets: Mutex::new(0),
            ended: Condvar::new(),
        })
    }

    /// Listens, in the caller's thread, and returns the port.
    pub fn start(self: &Arc<Self>, plan: Plan, threads: Arc<Threads>) -> Result<u16> {
        let mut current = self.session.lock();
        if current.is_some() {
            return Err(Error::wrong_state(format!(
                "server {} is started already",
                self.server
            )));
        }
        let bound = transport::bind(&plan.host, plan.port, plan.backlog).map_err(Error::network)?;
        let port = bound.port;
        let handle = threads.next().clone();
        let listener = {
            let _on_its_thread = handle.enter();
            bound
                .attach()
                .map_err(|error| Error::network(format!("cannot listen: {error}")))?
        };
        let session = Arc::new(Session {
            plan,
            threads,
            listener,
            accepting: Mutex::new(None),
            is_stopped: AtomicBool::new(false),
            seats: Mutex::new(Seats::default()),
            pending: Mutex::new(Handshakes::default()),
        });
        let accepting = spawn_on(
            &handle,
            accept::run(self.clone(), session.clone(), handle.clone()),
        );
        *session.accepting.lock() = Some(accepting);
        *current = Some(session);
        Ok(port)
    }

    /// Whether it listens.
    pub fn is_started(&self) -> bool {
        self.session.lock().is_some()
    }

    /// Stops listening at once and begins to close every connection; those that are there.
    pub fn stop(&self, code: u16, reason: &str) -> Vec<Arc<Connection>> {
        let Some(session) = self.session.lock().take() else {
            return self.connections();
        };
        session.is_stopped.store(true, SeqCst);
        if let Some(accepting) = session.accepting.lock().take() {
            accepting.abort();
        }
        // Handshakes under way end now; what is admitted is in the list of clients.
        session.pending.lock().under_way.clear();
        session.listener.close();
        let connections = self.connections();
        for connection in &connections {
            connection.close(code, reason);
        }
        connections
    }

    /// Waits until every socket is closed; false at the deadline.
    pub fn await_end(&self, deadline: std::time::Instant) -> bool {
        let mut sockets = self.sockets.lock();
        while *sockets > 0 {
            if self.ended.wait_until(&mut sockets, deadline).timed_out() {
                return *sockets == 0;
            }
        }
        true
    }

    /// The connections that the host has not been told the end of, in the order of their refs.
    pub fn connections(&self) -> Vec<Arc<Connection>> {
        let clients = self.clients.lock();
        clients
            .values()
            .map(|(connection, _)| connection.clone())
            .collect()
    }

    /// One of its connections.
    pub fn connection(&self, client: i32) -> Option<Arc<Connection>> {
        let clients = self.clients.lock();
        clients
            .get(&client)
            .map(|(connection, _)| connection.clone())
    }

    fn count_socket(self: &Arc<Self>) -> SocketGuard {
        *self.sockets.lock() += 1;
        SocketGuard {
            server: self.clone(),
        }
    }
}

impl Owner for Server {
    fn closing(&self, _: i32, _: &End) {}

    fn closed(&self, client: i32) {
        let removed = self.clients.lock().remove(&client);
        drop(removed);
        self.registrar.remove(client);
    }
}

/// Counts a socket as long as it is there.
struct SocketGuard {
    server: Arc<Server>,
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        let mut sockets = self.server.sockets.lock();
        *sockets -= 1;
        if *sockets == 0 {
            self.server.ended.notify_all();
        }
    }
}
