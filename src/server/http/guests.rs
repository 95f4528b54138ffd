//! Knows the connections of a port that ask for something else than a WebSocket, and which of them makes room.
//! Does not know what they ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::protocol::head::Refusal;
use crate::server::port::Port;
use crate::server::session::{Session, SocketGuard};

/// Those that are there; who has waited longest for its next request has the lowest number.
#[derive(Default)]
pub struct Guests {
    next: u64,
    there: BTreeMap<u64, Entry>,
}

struct Entry {
    /// Whose answer it gets; none: it is idle.
    session: Option<Arc<Session>>,
    /// Dropping it ends the connection.
    _end: oneshot::Sender<()>,
}

impl Guests {
    fn add(&mut self, entry: Entry) -> u64 {
        self.next += 1;
        self.there.insert(self.next, entry);
        self.next
    }

    /// Whoever gets something of this session gets no more of it.
    pub fn leave(&mut self, session: &Arc<Session>) {
        let is_its =
            |entry: &Entry| matches!(&entry.session, Some(own) if Arc::ptr_eq(own, session));
        self.there.retain(|_, entry| !is_its(entry));
    }

    /// Those go who have asked for nothing.
    pub fn end_idle(&mut self) {
        self.there.retain(|_, entry| entry.session.is_some());
    }

    /// Whether somebody gets something.
    pub fn are_served(&self) -> bool {
        self.there.values().any(|entry| entry.session.is_some())
    }

    /// All go.
    pub fn clear(&mut self) {
        self.there.clear();
    }

    pub fn count(&self) -> usize {
        self.there.len()
    }
}

/// One of them, as long as it is there.
pub struct Guest {
    port: Arc<Port>,
    place: Mutex<Place>,
}

struct Place {
    number: u64,
    /// The server that is answering waits for this socket where it waits for its end.
    socket: Option<SocketGuard>,
}

impl Guest {
    /// Lets one more in, and tells where it learns that it has to go. Beyond the limit who has waited longest makes room.
    pub fn enter(port: &Arc<Port>) -> Result<(Guest, oneshot::Receiver<()>), Refusal> {
        let (end, ended) = oneshot::channel();
        let mut guests = port.guests.lock();
        if guests.there.len() >= port.entrance.max_guests {
            let mut idle = guests.there.iter();
            let Some((&oldest, _)) = idle.find(|(_, entry)| entry.session.is_none()) else {
                return Err(Refusal::new(503, "too many HTTP connections are busy")
                    .with("Retry-After", "10")
                    .because("maxHttpConnections"));
            };
            guests.there.remove(&oldest);
        }
        let number = guests.add(Entry {
            session: None,
            _end: end,
        });
        // Under the lock that `Port::leave` takes after setting this.
        if port.is_closed() {
            guests.clear();
        }
        drop(guests);
        let guest = Guest {
            port: port.clone(),
            place: Mutex::new(Place {
                number,
                socket: None,
            }),
        };
        Ok((guest, ended))
    }

    /// The guest gets an answer of this server, and goes when that stops; false if it has.
    pub fn is_served_by(&self, session: &Arc<Session>) -> bool {
        let mut place = self.place.lock();
        place.socket = Some(session.sockets.count());
        let mut guests = self.port.guests.lock();
        if let Some(entry) = guests.there.get_mut(&place.number) {
            entry.session = Some(session.clone());
        }
        // Under the lock that `Port::leave` takes after the stop.
        !session.is_stopped()
    }

    /// Whether it gets an answer.
    pub fn is_served(&self) -> bool {
        self.place.lock().socket.is_some()
    }

    /// The guest waits for what it will ask next.
    pub fn is_idle(&self) {
        let mut place = self.place.lock();
        let mut guests = self.port.guests.lock();
        if let Some(mut entry) = guests.there.remove(&place.number) {
            entry.session = None;
            place.number = guests.add(entry);
        }
        drop(guests);
        place.socket = None;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let number = self.place.get_mut().number;
        self.port.guests.lock().there.remove(&number);
    }
}
