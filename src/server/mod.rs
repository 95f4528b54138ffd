//! Knows a server: listening, admitting, the connections it has, and how it stops.
//! Does not know JSON or who hosts us.

mod accept;
mod admission;
mod auth;
mod drain;
mod entry;
mod handshake;
mod http;
mod networks;
mod port;
mod proxied;
mod question;
mod service;
mod session;
mod tally;
mod topics;
mod verifier;
mod visit;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::connection::{Audience, Broadcasts, Connection, End, Owner, Settings};
use crate::error::{Error, Result, Unsent};
use crate::events::Source;
use crate::protocol::upgrade::Origins;
use crate::transport::{self, Threads, spawn_on};

pub use auth::{Auth, Password};
use drain::Draining;
pub use drain::LastCall;
pub use http::Mount;
pub use networks::Networks;
pub use port::Entrance;
use port::Port;
pub use question::{Acceptance, Question, Verdict};
use service::Service;
pub use session::Session;
use session::{Seat, Sockets};
pub use tally::Report;
use tally::Tally;
pub use topics::Subscription;
use topics::Topics;

/// What one start needs to know.
#[derive(Clone)]
pub struct Plan {
    /// A name or an address.
    pub host: String,
    /// 0 takes a free one.
    pub port: u16,
    /// What all servers on one port have in common.
    pub entrance: Entrance,
    /// Connections beyond are answered with 503.
    pub max_connections: usize,
    /// Connections from one address; beyond: 503. 0: no limit.
    pub max_per_ip: usize,
    /// Names under which the server is asked for; empty: all.
    pub hosts: Vec<String>,
    /// Paths that take WebSocket connections; empty: all.
    pub paths: Vec<String>,
    /// Who may connect from a browser.
    pub origins: Origins,
    /// Sub-protocols that we know; empty: none is ever chosen.
    pub protocols: Vec<String>,
    /// A client must offer one of them.
    pub requires_protocol: bool,
    /// Networks from which clients come; none: all.
    pub allow: Networks,
    /// Networks from which none comes.
    pub deny: Networks,
    /// The host is asked before a client is let in; how long it may take.
    pub ask: Option<Duration>,
    /// Clients that wait for the host's answer.
    pub max_requests: usize,
    /// Whether the host is told of requests that were refused.
    pub tells_refused: bool,
    /// Who may connect at all.
    pub auth: Auth,
    /// Paths that answer plain GETs with files.
    pub files: Vec<Mount>,
    /// Further header fields of these answers.
    pub file_headers: Vec<(String, String)>,
    /// The paths that tell whether the server is there.
    pub health: Vec<String>,
    /// The paths that tell what the server has counted.
    pub metrics: Vec<String>,
    /// Which pages of elsewhere may read what plain GETs are answered with.
    pub cors: Origins,
    /// To what each new client is subscribed.
    pub topics: Vec<String>,
    /// How connections behave.
    pub settings: Arc<Settings>,
}

impl Plan {
    fn has_host(&self, host: &str) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|known| known == host)
    }

    fn has_path(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|known| known == path)
    }

    /// Whether a WebSocket for this host and path is ours, and how exactly.
    fn fit(&self, host: &str, path: &str) -> Option<(bool, bool)> {
        let fits = self.has_host(host) && self.has_path(path);
        fits.then_some((!self.hosts.is_empty(), !self.paths.is_empty()))
    }

    /// What two plans cannot both have on one port.
    fn common_route(&self, other: &Plan) -> Option<String> {
        let host = common(&self.hosts, &other.hosts)?;
        let path = common(&self.paths, &other.paths)?;
        let path = path.map_or("every path".to_owned(), |path| format!("the path {path}"));
        Some(match host {
            Some(host) => format!("{path} of the host {host}"),
            None => path,
        })
    }
}

/// What two lists have in common, where an empty one stands for the rest of the world: with `Some(None)` both do.
fn common<'a>(ours: &'a [String], theirs: &[String]) -> Option<Option<&'a str>> {
    if ours.is_empty() && theirs.is_empty() {
        return Some(None);
    }
    let both = ours.iter().find(|own| theirs.contains(own))?;
    Some(Some(both))
}

/// Where accepted connections get their refs.
pub trait Registrar: Send + Sync {
    /// Lists the connection that `make` builds around a new ref.
    fn insert(&self, make: &mut dyn FnMut(i32) -> Arc<Connection>) -> Arc<Connection>;
    /// Lists the request that `make` builds around a new ref.
    fn ask(&self, make: &mut dyn FnMut(i32) -> Arc<Question>) -> Arc<Question>;
    /// The ref of a request becomes its connection's; false if the host has let it go.
    fn admit(&self, connection: &Arc<Connection>) -> bool;
    /// The ref is free again.
    fn remove(&self, client: i32);
}

/// The connections that the host has not been told the end of.
#[derive(Default)]
struct Clients {
    by_ref: BTreeMap<i32, (Arc<Connection>, Seat)>,
    /// Those that the host has been told the end of, and that may still send or read something.
    leaving: BTreeMap<i32, Arc<Connection>>,
    /// All of them, as long as none comes or goes.
    everybody: Option<Arc<Audience>>,
}

impl Clients {
    fn insert(&mut self, connection: Arc<Connection>, seat: Seat) {
        self.everybody = None;
        self.by_ref.insert(connection.client, (connection, seat));
    }

    /// The seat is free.
    fn leave(&mut self, client: i32) {
        self.everybody = None;
        if let Some((connection, _)) = self.by_ref.remove(&client) {
            self.leaving.insert(client, connection);
        }
    }

    fn all(&self) -> Vec<Arc<Connection>> {
        let all = self.by_ref.values();
        all.map(|(connection, _)| connection.clone()).collect()
    }
}

/// A server.
pub struct Server {
    /// The ref.
    pub server: i32,
    /// Where its own events come from.
    pub source: Arc<Source>,
    registrar: &'static dyn Registrar,
    sessions: Mutex<Sessions>,
    clients: Mutex<Clients>,
    topics: Topics,
    /// What is said to many of the clients.
    pub broadcasts: Arc<Broadcasts>,
    tally: Tally,
    service: Service,
    /// Whether new clients are refused for now.
    pub is_blocked: AtomicBool,
}

/// A server's starts that are not over.
#[derive(Default)]
struct Sessions {
    /// That which takes new clients.
    current: Option<(Arc<Session>, Arc<Port>)>,
    /// Those that do not any more.
    draining: Vec<Draining>,
    /// The sockets of those that were stopped, and of the ports that were closed with them, as long as some may be open.
    stopped: Vec<Arc<Sockets>>,
    /// The ref is gone: there is no further start.
    is_over: bool,
}

impl Sessions {
    /// The youngest of those that are not stopped.
    fn newest(&self) -> Option<&Arc<Session>> {
        let current = self.current.as_ref().map(|(session, _)| session);
        current.or_else(|| self.draining.last().map(|draining| &draining.session))
    }
}

impl Sessions {
    /// Handshakes under way end now; what is admitted is in the list of clients.
    fn end(&mut self, session: Arc<Session>, port: Arc<Port>) {
        session.stop();
        port.leave(&session);
        self.stopped.retain(|sockets| !sockets.are_closed());
        self.stopped.push(session.sockets.clone());
        if port.is_closed() {
            self.stopped.push(port.sockets.clone());
        }
    }
}

impl Server {
    /// A server that has not been started.
    pub fn new(server: i32, source: Arc<Source>, registrar: &'static dyn Registrar) -> Arc<Server> {
        Arc::new(Server {
            server,
            source,
            registrar,
            sessions: Mutex::default(),
            clients: Mutex::default(),
            topics: Topics::default(),
            broadcasts: Arc::default(),
            tally: Tally::default(),
            service: Service::default(),
            is_blocked: AtomicBool::new(false),
        })
    }

    /// Listens, in the caller's thread, and returns the port.
    pub fn start(self: &Arc<Self>, plan: Plan, threads: Arc<Threads>) -> Result<u16> {
        // Without the lock: a name may take its time.
        let addresses = transport::addresses(&plan.host, plan.port).map_err(Error::network)?;
        let mut sessions = self.sessions.lock();
        if sessions.is_over {
            return Err(Error::unknown_ref("server", self.server));
        }
        if sessions.current.is_some() {
            return Err(Error::wrong_state(format!(
                "server {} is started already",
                self.server
            )));
        }
        let session = Session::new(self.clone(), plan);
        let port = Port::join(&session, addresses, &threads)?;
        let number = port.number;
        spawn_on(threads.next(), service::run(session.clone()));
        sessions.current = Some((session, port));
        // The service is this start's from now on.
        self.service.tell();
        Ok(number)
    }

    /// How often "service" comes, counted from the end of the one before; zero: never. From now on.
    pub fn set_interval(&self, interval: Duration) {
        self.service.set_interval(interval);
    }

    /// Whether it listens.
    pub fn is_started(&self) -> bool {
        self.sessions.lock().current.is_some()
    }

    /// Whether this is the youngest of its starts that are not stopped.
    fn is_newest(&self, session: &Arc<Session>) -> bool {
        let sessions = self.sessions.lock();
        sessions
            .newest()
            .is_some_and(|newest| Arc::ptr_eq(newest, session))
    }

    /// Stops listening at once and begins to close every connection; those that are there.
    pub fn stop(&self, code: u16, reason: &str) -> Vec<Arc<Connection>> {
        self.end_all(false, code, reason)
    }

    /// The same, and it is never started again.
    pub fn stop_for_good(&self, code: u16, reason: &str) -> Vec<Arc<Connection>> {
        self.end_all(true, code, reason)
    }

    fn end_all(&self, for_good: bool, code: u16, reason: &str) -> Vec<Arc<Connection>> {
        let mut sessions = self.sessions.lock();
        sessions.is_over |= for_good;
        let draining = std::mem::take(&mut sessions.draining).into_iter();
        let draining = draining.map(|draining| (draining.session, draining.port));
        let ended: Vec<_> = draining.chain(sessions.current.take()).collect();
        for (session, port) in ended {
            sessions.end(session, port);
        }
        drop(sessions);
        let connections = self.connections();
        for connection in &connections {
            connection.close(code, reason);
        }
        connections
    }

    /// Waits until every socket of the starts that were stopped, and of `draining` ones, is closed; false at the deadline.
    pub fn await_end(&self, draining: &[Arc<Session>], deadline: Instant) -> bool {
        let are_drained = draining
            .iter()
            .all(|session| session.sockets.await_end(deadline));
        let stopped = self.sessions.lock().stopped.clone();
        let are_closed = stopped.iter().all(|sockets| sockets.await_end(deadline));
        are_drained && are_closed
    }

    /// Cuts what is left of these connections at the deadline.
    pub fn cut(&self, connections: &[Arc<Connection>], deadline: Instant, threads: &Threads) {
        let connections: Vec<_> = connections.iter().map(Arc::downgrade).collect();
        spawn_on(threads.next(), async move {
            tokio::time::sleep_until(deadline.into()).await;
            for connection in connections.iter().filter_map(Weak::upgrade) {
                connection.abort();
            }
        });
    }

    /// The connections that the host has not been told the end of, in the order of their refs.
    pub fn connections(&self) -> Vec<Arc<Connection>> {
        self.clients.lock().all()
    }

    /// The same, to tell them something.
    pub fn everybody(&self) -> Arc<Audience> {
        let mut clients = self.clients.lock();
        if clients.everybody.is_none() {
            clients.everybody = Some(Audience::new(clients.all()));
        }
        clients.everybody.clone().unwrap_or_default()
    }

    /// Those of one start.
    pub fn connections_of(&self, session: &Arc<Session>) -> Vec<Arc<Connection>> {
        let clients = self.clients.lock();
        clients
            .by_ref
            .values()
            .filter(|(_, seat)| seat.is_of(session))
            .map(|(connection, _)| connection.clone())
            .collect()
    }
}

impl Owner for Server {
    fn closing(&self, client: i32, _: &End, unsent: Unsent) -> Unsent {
        self.topics.leave(client);
        self.tally.left(&unsent);
        // Whoever is told "close" finds nothing behind the ref any more.
        self.registrar.remove(client);
        unsent
    }

    fn closed(&self, client: i32) {
        self.clients.lock().leave(client);
    }

    fn ended(&self, client: i32) {
        // Under the lock of those who count: it is either with the others or among those that are gone.
        let mut clients = self.clients.lock();
        if let Some(connection) = clients.leaving.remove(&client) {
            self.tally.gone(&connection);
        }
    }

    fn broadcasts(&self) -> Option<Arc<Broadcasts>> {
        Some(self.broadcasts.clone())
    }
}
