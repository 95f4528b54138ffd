//! Knows the ports that listen, which servers share one, and which of them a request is meant for.
//! Does not know what those servers ask of a client.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Waker;
use std::time::Duration;

use once_cell::sync::Lazy;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

use super::accept;
use super::http::Guests;
use super::networks::Networks;
use super::session::{Session, Sockets};
use crate::error::{Error, Result};
use crate::log;
use crate::protocol::head;
use crate::protocol::head::Request;
use crate::protocol::url::normal_path;
use crate::transport::{self, Listener, Threads, spawn_on, tls};

/// Every port on which a server of this process listens.
static PORTS: Lazy<Mutex<Vec<Arc<Port>>>> = Lazy::new(Default::default);

/// What must be known before a request has told which server it is meant for: servers that share a port agree in it.
#[derive(Clone, PartialEq)]
pub struct Entrance {
    /// Connections that the system keeps until we accept them.
    pub backlog: i32,
    /// Other processes may listen on the same port.
    pub reuse_port: bool,
    /// Connections whose handshake is not done; beyond, the oldest of them is closed unanswered.
    pub max_pending: usize,
    /// From the accept to our answer.
    pub handshake_timeout: Duration,
    /// What a request may be at most.
    pub head: head::Limits,
    /// How TLS is spoken; none: it is not.
    pub tls: Option<tls::ServerConfig>,
    /// Who is believed where it says whom it passes on.
    pub trusted: Networks,
    /// Trusted proxies begin with the PROXY protocol.
    pub proxy_protocol: bool,
    /// Connections that ask for something else than a WebSocket.
    pub max_guests: usize,
    /// How long such a connection is kept for its next request.
    pub idle_timeout: Duration,
}

impl Entrance {
    /// The first option in which two differ.
    fn difference(&self, other: &Entrance) -> Option<&'static str> {
        let pairs = [
            ("backlog", self.backlog == other.backlog),
            ("reusePort", self.reuse_port == other.reuse_port),
            (
                "maxPendingHandshakes",
                self.max_pending == other.max_pending,
            ),
            (
                "handshakeTimeoutMs",
                self.handshake_timeout == other.handshake_timeout,
            ),
            ("maxHeadBytes", self.head.bytes == other.head.bytes),
            ("tls", self.tls == other.tls),
            ("maxHeaders", self.head.headers == other.head.headers),
            ("trustedProxies", self.trusted == other.trusted),
            ("proxyProtocol", self.proxy_protocol == other.proxy_protocol),
            ("maxHttpConnections", self.max_guests == other.max_guests),
            ("httpIdleTimeoutMs", self.idle_timeout == other.idle_timeout),
        ];
        let differs = pairs.into_iter().find(|(_, is_same)| !is_same);
        differs.map(|(option, _)| option)
    }
}

/// Sockets that listen, for one or more servers.
pub struct Port {
    /// As asked for, with the real port.
    addresses: Vec<SocketAddr>,
    pub number: u16,
    pub entrance: Entrance,
    pub threads: Arc<Threads>,
    pub listener: Listener,
    accepting: Mutex<Option<AbortHandle>>,
    is_closed: AtomicBool,
    members: Mutex<Vec<Arc<Session>>>,
    /// The members are others.
    pub changed: Notify,
    handshakes: Mutex<Handshakes>,
    pub guests: Mutex<Guests>,
    /// Those whose request has not told which server they belong to.
    pub sockets: Arc<Sockets>,
}

/// Handshakes that are not done, oldest first. Dropping a sender ends its handshake.
#[derive(Default)]
struct Handshakes {
    next: u64,
    under_way: BTreeMap<u64, oneshot::Sender<()>>,
}

impl Port {
    /// Lets requests for `session` in at these addresses: at a port that is open already, or at a new one.
    pub fn join(
        session: &Arc<Session>,
        addresses: Vec<SocketAddr>,
        threads: &Arc<Threads>,
    ) -> Result<Arc<Port>> {
        let mut ports = PORTS.lock();
        let known = ports.iter().find(|port| port.addresses == addresses);
        if let Some(port) = known {
            port.add(session)?;
            return Ok(port.clone());
        }
        let port = Port::open(session, addresses, threads)?;
        ports.push(port.clone());
        Ok(port)
    }

    fn open(
        session: &Arc<Session>,
        mut addresses: Vec<SocketAddr>,
        threads: &Arc<Threads>,
    ) -> Result<Arc<Port>> {
        let entrance = session.plan.entrance.clone();
        let bound = transport::bind(&addresses, entrance.backlog, entrance.reuse_port)
            .map_err(Error::network)?;
        let number = bound.port;
        for address in &mut addresses {
            address.set_port(number);
        }
        let handle = threads.next().clone();
        let listener = {
            let _on_its_thread = handle.enter();
            bound.attach().map_err(|error| match error.raw_os_error() {
                Some(_) => Error::network(format!("cannot listen: {error}")),
                // Not the system's: the thread has been shut down meanwhile.
                None => Error::wrong_state("the library is shutting down"),
            })?
        };
        let port = Arc::new(Port {
            addresses,
            number,
            entrance,
            threads: threads.clone(),
            listener,
            accepting: Mutex::new(None),
            is_closed: AtomicBool::new(false),
            members: Mutex::new(vec![session.clone()]),
            changed: Notify::new(),
            handshakes: Mutex::new(Handshakes::default()),
            guests: Mutex::new(Guests::default()),
            sockets: Arc::default(),
        });
        let accepting = spawn_on(&handle, accept::run(port.clone(), handle.clone()));
        *port.accepting.lock() = Some(accepting);
        Ok(port)
    }

    /// Adds a server, unless it cannot be told apart from one that is there.
    fn add(&self, session: &Arc<Session>) -> Result<()> {
        let address = self.addresses[0];
        let mut members = self.members.lock();
        for member in members.iter().filter(|member| !member.is_draining()) {
            let other = member.server.server;
            if let Some(route) = session.plan.common_route(&member.plan) {
                return Err(Error::network(format!(
                    "cannot listen on {address}: {route} is in use there by server {other}; give paths or hosts \
                     that tell the servers apart"
                )));
            }
            if let Some(option) = session.plan.entrance.difference(&self.entrance) {
                return Err(Error::option(
                    option,
                    format!(
                        "{option} must be the same for all servers of {address}, and server {other} has another"
                    ),
                ));
            }
        }
        members.push(session.clone());
        drop(members);
        self.changed.notify_one();
        Ok(())
    }

    /// Requests for `session` are not let in any more. The last one closes the port.
    pub fn leave(self: &Arc<Self>, session: &Arc<Session>) {
        let mut ports = PORTS.lock();
        let is_last = {
            let mut members = self.members.lock();
            members.retain(|member| !Arc::ptr_eq(member, session));
            members.is_empty()
        };
        self.guests.lock().leave(session);
        if !is_last {
            if !session.is_draining() {
                self.close_to_strangers(&mut ports);
            }
            return;
        }
        ports.retain(|port| !Arc::ptr_eq(port, self));
        self.is_closed.store(true, SeqCst);
        self.stop_listening();
        self.handshakes.lock().under_way.clear();
        self.guests.lock().clear();
    }

    /// No new client is let in to `session`. The last one closes the port to those who have not connected.
    pub fn drain(self: &Arc<Self>, session: &Arc<Session>) {
        let mut ports = PORTS.lock();
        session.drain(false);
        if !self.close_to_strangers(&mut ports) {
            session.drain(true);
        }
    }

    /// Nobody new can connect where no server takes new clients; false if one does.
    fn close_to_strangers(self: &Arc<Self>, ports: &mut Vec<Arc<Port>>) -> bool {
        if !self.is_drained() {
            return false;
        }
        ports.retain(|port| !Arc::ptr_eq(port, self));
        match self.entrance.reuse_port {
            true => self.listener.turn_away(),
            false => self.stop_listening(),
        }
        true
    }

    /// Whether no server here takes new clients.
    pub fn is_drained(&self) -> bool {
        self.members
            .lock()
            .iter()
            .all(|member| member.is_draining())
    }

    /// Nobody can connect any more; handshakes go on.
    pub fn stop_listening(&self) {
        if let Some(accepting) = self.accepting.lock().take() {
            accepting.abort();
        }
        self.listener.close();
        self.guests.lock().end_idle();
    }

    /// Whether somebody shakes hands or gets an answer.
    pub fn is_busy(&self) -> bool {
        self.pending() > 0 || self.guests.lock().are_served()
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed.load(SeqCst)
    }

    /// The servers, in the order in which they were started.
    pub fn members(&self) -> Vec<Arc<Session>> {
        self.members.lock().clone()
    }

    /// Whether no server's host has credit for one more "open"; if so, `waker` is woken when that changes.
    pub fn is_used_up(&self, waker: &Waker) -> bool {
        let members = self.members.lock();
        members.iter().all(|member| member.is_used_up(waker))
    }

    /// The server that a WebSocket is for: an exact host counts more than any, an exact path more than any.
    pub fn route(&self, request: &Request) -> Option<Arc<Session>> {
        let host = request.host_name();
        let path = normal_path(request.path());
        let members = self.members.lock();
        let fitting = members
            .iter()
            .filter_map(|member| Some((member.plan.fit(&host, &path)?, member)));
        fitting
            .max_by_key(|(fit, member)| (*fit, !member.is_draining()))
            .map(|(_, member)| member.clone())
    }

    /// Handshakes under way.
    pub fn pending(&self) -> usize {
        self.handshakes.lock().under_way.len()
    }

    /// Somebody was refused before it was known for which server: it counts at each.
    pub fn refused(&self, cause: &'static str) {
        for member in self.members() {
            member.server.tally.refused(cause);
        }
    }

    /// The servers that are meant where the request's host is, the one that names it first; then those of them that take
    /// no new clients.
    pub fn at_host(&self, request: &Request) -> (Vec<Arc<Session>>, Vec<Arc<Session>>) {
        let host = request.host_name();
        let (leaving, mut there): (Vec<_>, Vec<_>) = {
            let members = self.members.lock();
            let fitting = members.iter().filter(|member| member.plan.has_host(&host));
            fitting.cloned().partition(|member| member.is_draining())
        };
        there.sort_by_key(|member| member.plan.hosts.is_empty());
        (there, leaving)
    }
}

/// Lists a handshake as long as it lasts.
pub struct Pending {
    port: Arc<Port>,
    number: u64,
    pub ended: oneshot::Receiver<()>,
}

impl Pending {
    /// Lists one more; none if the port has been closed. Beyond the limit, the oldest ends: a good client is done in a
    /// moment and never the oldest, silent ones make room for each other.
    pub fn begin(port: &Arc<Port>) -> Option<Pending> {
        let (end, ended) = oneshot::channel();
        let mut handshakes = port.handshakes.lock();
        // Under the lock that `leave` takes after setting this.
        if port.is_closed() {
            return None;
        }
        let number = handshakes.next;
        handshakes.next += 1;
        let oldest = match handshakes.under_way.len() >= port.entrance.max_pending {
            true => handshakes.under_way.pop_first(),
            false => None,
        };
        handshakes.under_way.insert(number, end);
        drop(handshakes);
        if oldest.is_some() {
            log::debug!("too many handshakes at once: the oldest is closed");
            port.refused("maxPendingHandshakes");
        }
        Some(Pending {
            port: port.clone(),
            number,
            ended,
        })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.port.handshakes.lock().under_way.remove(&self.number);
    }
}
