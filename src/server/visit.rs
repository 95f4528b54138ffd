//! Knows what becomes of a request: which server it is for, and how it is answered where it does not become a connection.
//! Does not know how requests are parsed, nor how connections begin.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::time::Instant;

use super::handshake::limited;
use super::networks::Caller;
use super::port::{Pending, Port};
use super::session::{Session, SocketGuard};
use super::{admission, files};
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

/// What a request leads to.
enum Next {
    Upgrade(Arc<Session>, Upgrade),
    File { path: PathBuf, head_only: bool },
    Healthy { head_only: bool },
}

impl Visit {
    pub async fn attend(mut self, heard: Result<(Request, usize), Refusal>, mut rest: Vec<u8>) {
        let (request, length) = match heard {
            Ok(found) => found,
            Err(refusal) => return self.refuse(None, None, &refusal).await,
        };
        rest.drain(..length);
        match self.route(&request) {
            Ok(Next::Upgrade(session, upgrade)) => {
                self.admit(session, request, upgrade, rest).await;
            }
            Ok(Next::File { path, head_only }) => self.send_file(&path, head_only).await,
            Ok(Next::Healthy { head_only }) => {
                let healthy = Refusal::new(200, "ok").with("Cache-Control", "no-store");
                self.answer(&healthy, head_only, false).await;
            }
            Err(refusal) => self.refuse(None, Some(&request), &refusal).await,
        }
    }

    fn route(&mut self, request: &Request) -> Result<Next, Refusal> {
        let trusted = &self.port.entrance.trusted;
        self.caller = self.caller.told_by(&request.headers, trusted)?;
        let path = request.path();
        if !upgrade::wants_websocket(request) && matches!(request.method.as_str(), "GET" | "HEAD") {
            let servers = self.port.at_host(request);
            let mut files = servers
                .iter()
                .flat_map(|session| session.plan.files.iter().map(move |file| (session, file)));
            if let Some((session, (_, file))) = files.find(|(_, (name, _))| name == path) {
                admission::check_network(session, &self.caller)?;
                return Ok(Next::File {
                    path: file.clone(),
                    head_only: request.method == "HEAD",
                });
            }
            let is_healthy = |session: &&Arc<Session>| session.plan.health.as_deref() == Some(path);
            if let Some(session) = servers.iter().find(is_healthy) {
                admission::check_network(session, &self.caller)?;
                return Ok(Next::Healthy {
                    head_only: request.method == "HEAD",
                });
            }
            if servers.iter().any(|session| !session.plan.files.is_empty()) {
                return Err(Refusal::new(404, "nothing is here").because("path"));
            }
        }
        let upgrade = upgrade::check_request(request)?;
        match self.port.route(request) {
            Some(session) => Ok(Next::Upgrade(session, upgrade)),
            None => Err(Refusal::new(404, "no WebSocket server is at this path").because("path")),
        }
    }

    pub fn refused(&self, request: Option<&Request>, refusal: &Refusal) -> RefusedInfo {
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
            remote_ip: self.caller.ip.to_string(),
            remote_port: self.caller.port,
        }
    }

    /// Answers a request that was not let in. Where it is not known which server it was meant for, each of them hears of it.
    pub async fn refuse(
        self,
        session: Option<&Arc<Session>>,
        request: Option<&Request>,
        refusal: &Refusal,
    ) {
        log::info!(
            "port {}: {} {} was answered {refusal} ({})",
            self.port.number,
            self.stream.peer(),
            head::shown(request.map_or("", Request::path)),
            refusal.rule,
        );
        let told = match session {
            Some(session) => vec![session.clone()],
            None => self.port.members(),
        };
        for session in &told {
            session.server.tally.refused(refusal.rule);
        }
        let info = self.refused(request, refusal);
        for session in told.iter().filter(|session| session.plan.tells_refused) {
            session.server.source.post(Event::Refused(&info));
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

    async fn send_file(mut self, path: &Path, head_only: bool) {
        let answer = async {
            files::answer(&self.stream, path, head_only).await.ok()?;
            say_goodbye(&self.stream).await;
            Some(())
        };
        limited(&self.port, &mut self.pending, self.deadline, answer).await;
    }
}

/// Ends the socket so that the client gets all that was written.
async fn say_goodbye(stream: &Stream) {
    stream.shutdown_write();
    stream.discard_until_end().await;
}
