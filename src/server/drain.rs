//! Knows how a server that takes no new clients waits for those that are there, and what it does at the deadline.
//! Does not know why it goes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Server;
use super::port::Port;
use super::session::Session;
use crate::transport::spawn_on;

/// Where other processes listen on the same port, those who were about to connect to us are still taken for so long: they
/// cannot be handed over. Shorter than the second after which a client asks again, which then finds the others.
const LATE: Duration = Duration::from_millis(250);
/// Between two looks whether handshakes and answers are done.
const LOOK: Duration = Duration::from_millis(5);

/// What those who are left at the end are told, and when.
#[derive(Clone)]
pub struct LastCall {
    /// Until then they may go by themselves.
    pub at: Instant,
    /// The close code.
    pub code: u16,
    /// The reason.
    pub reason: String,
}

/// A session that takes no new clients.
pub struct Draining {
    pub session: Arc<Session>,
    pub port: Arc<Port>,
    last_call: watch::Sender<LastCall>,
}

impl Server {
    /// Takes no new clients, and closes those that are left at the last call; what is drained now. The newest word counts for
    /// what was drained already.
    pub fn drain(&self, last_call: &LastCall) -> Vec<Arc<Session>> {
        let mut sessions = self.sessions.lock();
        for draining in &sessions.draining {
            draining.last_call.send_replace(last_call.clone());
        }
        if let Some((session, port)) = sessions.current.take() {
            port.drain(&session);
            let (sender, receiver) = watch::channel(last_call.clone());
            spawn_on(
                port.threads.next(),
                run(session.clone(), port.clone(), receiver),
            );
            sessions.draining.push(Draining {
                session,
                port,
                last_call: sender,
            });
        }
        let draining = sessions.draining.iter();
        draining.map(|draining| draining.session.clone()).collect()
    }

    /// A drained session is over.
    fn end_drained(&self, session: &Arc<Session>, port: Arc<Port>, code: u16, reason: &str) {
        let mut sessions = self.sessions.lock();
        sessions
            .draining
            .retain(|draining| !Arc::ptr_eq(&draining.session, session));
        sessions.end(session.clone(), port);
        drop(sessions);
        for connection in self.connections_of(session) {
            connection.close(code, reason);
        }
    }
}

async fn run(session: Arc<Session>, port: Arc<Port>, mut last_call: watch::Receiver<LastCall>) {
    let late = async {
        if port.entrance.reuse_port {
            tokio::time::sleep(LATE).await;
        }
    };
    tokio::select! {
        biased;
        () = session.stopped() => return,
        () = late => {}
    }
    if port.is_drained() {
        port.stop_listening();
    }
    loop {
        let at = last_call.borrow_and_update().at;
        tokio::select! {
            biased;
            () = session.stopped() => return,
            () = is_done(&session, &port) => break,
            () = tokio::time::sleep_until(at) => break,
            // Fails where the session is stopped.
            _ = last_call.changed() => {}
        }
    }
    let LastCall { code, reason, .. } = last_call.borrow().clone();
    session.server.end_drained(&session, port, code, &reason);
}

/// Comes back once nobody is there any more, and nobody is about to be.
async fn is_done(session: &Session, port: &Port) {
    loop {
        // On a port that still listens for others, nobody is let in here.
        while port.is_drained() && port.is_busy() {
            tokio::time::sleep(LOOK).await;
        }
        if session.has_nobody() {
            return;
        }
        session.is_empty().await;
    }
}
