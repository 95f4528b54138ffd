//! Knows what becomes of a request: which server it is for, and how it is answered where it does not become a connection.
//! Does not know how requests are parsed, nor how connections begin.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::handshake::limited;
use super::http;
use super::networks::Caller;
use super::port::{Pending, Port};
use super::session::{Session, SocketGuard};
use crate::events::{Event, RefusedInfo};
use crate::log;
use crate::protocol::head::{self, Refusal, Request};
use crate::protocol::upgrade::{self, Upgrade};
use crate::transport::Stream;

/// A socket of which nobody knows yet what becomes of it.
pub struct Visit {
    pub port: Arc<Port>,
    pub stream: Stream,
    pub caller: Caller,
    pub socket: SocketGuard,
    /// None: it is listed elsewhere, and does not count among the handshakes any more.
    pub pending: Option<Pending>,
    pub deadline: Instant,
}

impl Visit {
    pub async fn attend(
        mut self,
        mut heard: Result<(Request, usize), Refusal>,
        mut bytes: Vec<u8>,
    ) {
        loop {
            let (request, length) = match heard {
                Ok(found) => found,
                Err(refusal) => return self.refuse(None, None, &refusal).await,
            };
            if http::is_plain(&request) {
                let served = Box::pin(http::serve(self, &request, bytes)).await;
                let Some((visit, (next, rest))) = served else {
                    return;
                };
                (self, heard, bytes) = (visit, next, rest);
                continue;
            }
            bytes.drain(..length);
            return match self.route(&request) {
                Ok((session, upgrade)) => self.admit(session, request, upgrade, bytes).await,
                Err(refusal) => self.refuse(None, Some(&request), &refusal).await,
            };
        }
    }

    fn route(&mut self, request: &Request) -> Result<(Arc<Session>, Upgrade), Refusal> {
        let trusted = &self.port.entrance.trusted;
        self.caller = self.caller.told_by(&request.headers, trusted)?;
        if !upgrade::wants_websocket(request) {
            return Err(http::refuse_body(&self.port, request));
        }
        let upgrade = upgrade::check_request(request)?;
        match self.port.route(request) {
            Some(session) => Ok((session, upgrade)),
            None => Err(Refusal::new(404, "no WebSocket server is at this path").because("path")),
        }
    }

    /// Answers a request that was not let in. Where it is not known which server it was meant for, each of them hears of it.
    pub async fn refuse(
        mut self,
        session: Option<&Arc<Session>>,
        request: Option<&Request>,
        refusal: &Refusal,
    ) {
        let told = match session {
            Some(session) => vec![session.clone()],
            None => self.port.members(),
        };
        let telling = async {
            tell_refused(&self.port, &self.caller, &told, request, refusal).await;
            Some(())
        };
        let is_told = limited(&self.port, &mut self.pending, self.deadline, telling).await;
        if is_told.is_none() {
            return;
        }
        let head_only = request.is_some_and(|request| request.method == "HEAD");
        self.answer(refusal, head_only, false).await;
    }

    /// Sends an answer after which there is nothing; `at_once` does not wait for the client to take it.
    pub async fn answer(mut self, refusal: &Refusal, head_only: bool, at_once: bool) {
        let answer = refusal.encode(head_only);
        let goodbye = async {
            self.stream.write_all(&answer).await.ok()?;
            if at_once {
                return Some(());
            }
            say_goodbye(&self.stream).await;
            Some(())
        };
        limited(&self.port, &mut self.pending, self.deadline, goodbye).await;
    }
}

/// Counts, logs and posts that a request was refused, for the servers that are told: once their hosts have credit for it.
pub async fn tell_refused(
    port: &Port,
    caller: &Caller,
    told: &[Arc<Session>],
    request: Option<&Request>,
    refusal: &Refusal,
) {
    log::info!(
        "port {}: {} {} was answered {refusal} ({})",
        port.number,
        SocketAddr::new(caller.ip, caller.port),
        head::shown(request.map_or("", Request::path)),
        refusal.rule,
    );
    for session in told {
        session.server.tally.refused(refusal.rule);
    }
    let info = refused(caller, request, refusal);
    for session in told.iter().filter(|session| session.plan.tells_refused) {
        tokio::select! {
            biased;
            // A stop does not wait for the host.
            () = session.stopped() => {}
            () = session.credit() => {}
        }
        session.server.source.post(Event::Refused(&info));
    }
}

/// What the host is told of it.
pub fn refused(caller: &Caller, request: Option<&Request>, refusal: &Refusal) -> RefusedInfo {
    let text = |text: &str| text.to_owned();
    RefusedInfo {
        status: refusal.status,
        reason: refusal.message.clone(),
        rule: refusal.rule,
        method: request.map_or_else(String::new, |request| text(&request.method)),
        uri: request.map_or_else(String::new, |request| text(&request.target)),
        origin: request
            .and_then(|request| request.headers.get("Origin"))
            .map_or_else(String::new, text),
        remote_ip: caller.ip.to_string(),
        remote_port: caller.port,
    }
}

/// Ends the socket so that the client gets all that was written.
pub async fn say_goodbye(stream: &Stream) {
    stream.shutdown_write();
    stream.discard_until_end().await;
}
