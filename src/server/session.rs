//! Knows what lasts from a server's start to its stop: its plan, the seats that connections take, its sockets.
//! Does not know how a client gets a seat.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Wake, Waker};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, watch};

use super::{Plan, Server};
use crate::events::Ticket;
use crate::platform;
use crate::protocol::head::Refusal;

/// From a start to a stop.
pub struct Session {
    pub server: Arc<Server>,
    pub plan: Plan,
    is_stopped: AtomicBool,
    is_draining: AtomicBool,
    /// Its port goes on for other servers, so that a new client cannot be told from one that was there.
    is_shut: AtomicBool,
    end: watch::Sender<bool>,
    seats: Mutex<Seats>,
    questions: AtomicUsize,
    /// Its sockets that are not closed.
    pub sockets: Arc<Sockets>,
    /// Told that no seat is taken any more.
    emptied: Notify,
    /// For the port that waits until the host has credit again.
    ticket: Mutex<Ticket>,
    /// For all others who wait for that: they are listed as one, however many come and go.
    credit: Arc<CreditNews>,
}

#[derive(Default)]
struct CreditNews {
    ticket: Mutex<Ticket>,
    come: Notify,
}

impl Wake for CreditNews {
    fn wake(self: Arc<Self>) {
        self.come.notify_waiters();
    }
}

impl Session {
    pub fn new(server: Arc<Server>, plan: Plan) -> Arc<Session> {
        Arc::new(Session {
            server,
            plan,
            is_stopped: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
            is_shut: AtomicBool::new(false),
            end: watch::Sender::new(false),
            seats: Mutex::new(Seats::default()),
            questions: AtomicUsize::new(0),
            sockets: Arc::default(),
            emptied: Notify::new(),
            ticket: Mutex::new(Ticket::default()),
            credit: Arc::default(),
        })
    }

    /// Nobody is admitted any more, and whoever is about to be is turned away.
    pub fn stop(&self) {
        self.is_stopped.store(true, SeqCst);
        self.end.send_replace(true);
    }

    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(SeqCst)
    }

    /// Nobody new is taken; where the port goes on for others, nobody at all.
    pub fn drain(&self, goes_on: bool) {
        self.is_draining.store(true, SeqCst);
        self.is_shut.store(goes_on, SeqCst);
    }

    pub fn is_draining(&self) -> bool {
        self.is_draining.load(SeqCst)
    }

    /// Whether no client is there.
    pub fn has_nobody(&self) -> bool {
        self.seats.lock().taken == 0
    }

    /// Comes back once the session is stopped.
    pub async fn stopped(&self) {
        // Fails only if the sender is gone, which is ours.
        let _ = self.end.subscribe().wait_for(|is_over| *is_over).await;
    }

    /// Whether the host has more events of this server than it may have; if so, `waker` is woken when that changes.
    pub fn is_used_up(&self, waker: &Waker) -> bool {
        let source = &self.server.source;
        source.is_used_up(waker, &mut self.ticket.lock())
    }

    /// Comes back once the host has been told the end of every connection.
    pub async fn is_empty(&self) {
        while self.seats.lock().taken > 0 {
            self.emptied.notified().await;
        }
    }

    /// Comes back once the host has credit for one more event of the server.
    pub async fn credit(&self) {
        let waker = Waker::from(self.credit.clone());
        let source = &self.server.source;
        loop {
            let mut come = std::pin::pin!(self.credit.come.notified());
            // Before the look, so that nothing is missed behind it.
            come.as_mut().enable();
            if !source.is_used_up(&waker, &mut self.credit.ticket.lock()) {
                return;
            }
            come.await;
        }
    }
}

/// Counts a request that waits for the host's answer.
pub struct Turn(Arc<Session>);

impl Turn {
    /// Takes one, unless too many wait.
    pub fn take(session: &Arc<Session>) -> Result<Turn, Refusal> {
        let turn = Turn(session.clone());
        if session.questions.fetch_add(1, SeqCst) >= session.plan.max_requests {
            let message = "too many requests wait for the host's answer";
            return Err(full("maxPendingRequests", message));
        }
        Ok(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.questions.fetch_sub(1, SeqCst);
    }
}

/// Connections that were admitted and not closed, by address where that is limited.
#[derive(Default)]
struct Seats {
    taken: usize,
    per_ip: HashMap<IpAddr, usize>,
}

/// One of them.
pub struct Seat {
    session: Arc<Session>,
    ip: IpAddr,
}

impl Seat {
    pub fn is_of(&self, session: &Arc<Session>) -> bool {
        Arc::ptr_eq(&self.session, session)
    }

    /// Takes a seat, or says which limit has been reached.
    pub fn take(session: &Arc<Session>, ip: IpAddr) -> Result<Seat, Refusal> {
        let plan = &session.plan;
        if session.is_shut.load(SeqCst) {
            return Err(full("stop", "the server takes no new connections any more"));
        }
        if session.server.is_blocked.load(SeqCst) {
            return Err(full("blocked", "the server takes no new connections now"));
        }
        let mut seats = session.seats.lock();
        if seats.taken >= plan.max_connections.min(platform::connection_limit()) {
            return Err(full(
                "maxConnections",
                "the server has all the connections that it takes",
            ));
        }
        if plan.max_per_ip > 0 {
            let from_there = seats.per_ip.entry(ip).or_default();
            if *from_there >= plan.max_per_ip {
                return Err(full("maxPerIp", "too many connections from this address"));
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

fn full(rule: &'static str, limit: &str) -> Refusal {
    Refusal::new(503, limit)
        .with("Retry-After", "10")
        .because(rule)
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.session.seats.lock();
        seats.taken -= 1;
        if seats.taken == 0 {
            self.session.emptied.notify_one();
        }
        if let Some(from_there) = seats.per_ip.get_mut(&self.ip) {
            *from_there -= 1;
            if *from_there == 0 {
                seats.per_ip.remove(&self.ip);
            }
        }
    }
}

/// Sockets that are not closed.
#[derive(Default)]
pub struct Sockets {
    open: Mutex<usize>,
    ended: Condvar,
}

impl Sockets {
    /// Counts one more, as long as the guard is there.
    pub fn count(self: &Arc<Self>) -> SocketGuard {
        *self.open.lock() += 1;
        SocketGuard {
            sockets: self.clone(),
        }
    }

    /// Whether every one is closed.
    pub fn are_closed(&self) -> bool {
        *self.open.lock() == 0
    }

    /// Waits until every one is closed; false at the deadline.
    pub fn await_end(&self, deadline: Instant) -> bool {
        let mut open = self.open.lock();
        while *open > 0 {
            if self.ended.wait_until(&mut open, deadline).timed_out() {
                return *open == 0;
            }
        }
        true
    }
}

/// Counts a socket as long as it is there.
pub struct SocketGuard {
    sockets: Arc<Sockets>,
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        let mut open = self.sockets.open.lock();
        *open -= 1;
        if *open == 0 {
            self.sockets.ended.notify_all();
        }
    }
}
