//! Knows how an accepted socket becomes a connection, or is answered and closed.
//! Does not know how requests are parsed: that is `protocol`'s.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::{Seat, Server, Session, SocketGuard, files};
use crate::connection::{Connection, Task};
use crate::events::{Event, OpenInfo, Source};
use crate::log;
use crate::protocol::head::{HeadScanner, Refusal, Request};
use crate::protocol::upgrade::{self, Upgrade};
use crate::transport::Stream;
use tokio::sync::oneshot;

/// Lists a handshake as long as it lasts.
pub struct Pending {
    session: Arc<Session>,
    number: u64,
    ended: oneshot::Receiver<()>,
}

impl Pending {
    /// Lists one more; none if the session has been stopped. Beyond the limit, the oldest ends: a good client is done in a
    /// moment and never the oldest, silent ones make room for each other.
    pub fn begin(session: &Arc<Session>) -> Option<Pending> {
        let (end, ended) = oneshot::channel();
        let mut handshakes = session.pending.lock();
        // Under the lock that `stop` takes after setting this.
        if session.is_stopped.load(SeqCst) {
            return None;
        }
        let number = handshakes.next;
        handshakes.next += 1;
        let oldest = match handshakes.under_way.len() >= session.plan.max_pending {
            true => handshakes.under_way.pop_first(),
            false => None,
        };
        handshakes.under_way.insert(number, end);
        drop(handshakes);
        if oldest.is_some() {
            log::debug!("too many handshakes at once: the oldest is closed");
        }
        Some(Pending {
            session: session.clone(),
            number,
            ended,
        })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.session.pending.lock().under_way.remove(&self.number);
    }
}

/// Runs a handshake to its end: a connection of `server`, or an answer that says why not.
pub async fn run(
    server: Arc<Server>,
    session: Arc<Session>,
    stream: Stream,
    socket: SocketGuard,
    mut pending: Pending,
) {
    let timeout = session.plan.handshake_timeout;
    tokio::select! {
        biased;
        _ = &mut pending.ended => {}
        done = tokio::time::timeout(timeout, shake(&server, &session, stream, socket)) => {
            if done.is_err() {
                log::info!("server {}: a handshake took longer than {} ms", server.server, timeout.as_millis());
            }
        }
    }
}

async fn shake(server: &Arc<Server>, session: &Arc<Session>, stream: Stream, socket: SocketGuard) {
    let mut bytes = Vec::new();
    let answer = match read_request(&stream, session, &mut bytes).await {
        Ok(None) => return,
        Ok(Some((request, consumed))) => match decide(session, &request, stream.peer().ip()) {
            Ok(Decision::Upgrade(upgrade, seat)) => {
                bytes.drain(..consumed);
                return open(
                    server,
                    session,
                    stream,
                    (socket, seat),
                    request,
                    upgrade,
                    bytes,
                )
                .await;
            }
            Ok(Decision::File(path)) => {
                let head_only = request.method == "HEAD";
                if files::answer(&stream, path, head_only).await.is_ok() {
                    stream.shutdown_write();
                    stream.discard_until_end().await;
                }
                return;
            }
            Err(refusal) => {
                log::info!(
                    "server {}: {} {} was answered {refusal}",
                    server.server,
                    stream.peer(),
                    crate::protocol::head::shown(request.path()),
                );
                refusal.encode(request.method == "HEAD")
            }
        },
        Err(refusal) => {
            log::info!(
                "server {}: {} was answered {refusal}",
                server.server,
                stream.peer()
            );
            refusal.encode(false)
        }
    };
    // Fails if the client has left: nobody to tell.
    if stream.write_all(&answer).await.is_ok() {
        stream.shutdown_write();
        stream.discard_until_end().await;
    }
}

/// The request, and its length in `bytes`. None: the client left before it was complete.
async fn read_request(
    stream: &Stream,
    session: &Session,
    bytes: &mut Vec<u8>,
) -> Result<Option<(Request, usize)>, Refusal> {
    let mut scanner = HeadScanner::default();
    loop {
        let start = bytes.len();
        bytes.resize(start + 2048, 0);
        let length = stream.read(&mut bytes[start..]).await.unwrap_or(0);
        bytes.truncate(start + length);
        if length == 0 {
            return Ok(None);
        }
        if let Some(found) = scanner.request(bytes, &session.plan.head)? {
            return Ok(Some(found));
        }
    }
}

enum Decision<'a> {
    Upgrade(Upgrade, Seat),
    File(&'a std::path::Path),
}

fn decide<'a>(
    session: &'a Arc<Session>,
    request: &Request,
    ip: IpAddr,
) -> Result<Decision<'a>, Refusal> {
    let plan = &session.plan;
    let path = request.path();
    if !upgrade::wants_websocket(request) && matches!(request.method.as_str(), "GET" | "HEAD") {
        let file = plan.files.iter().find(|(name, _)| name == path);
        if let Some((_, file)) = file {
            return Ok(Decision::File(file));
        }
        if !plan.files.is_empty() {
            return Err(Refusal::new(404, "nothing is here"));
        }
    }
    let upgrade = upgrade::check_request(request)?;
    if !plan.paths.is_empty() && !plan.paths.iter().any(|known| known == path) {
        return Err(Refusal::new(404, "no WebSocket server is at this path"));
    }
    let origin = upgrade.origin.as_deref();
    if !upgrade::origin_is_allowed(origin, request.host(), false, &plan.origins) {
        let origin = crate::protocol::head::shown(origin.unwrap_or_default());
        return Err(Refusal::new(
            403,
            format!("the origin {origin} is not allowed"),
        ));
    }
    upgrade::check_auth(&request.headers, &plan.auth)?;
    let seat = Seat::take(session, ip)?;
    Ok(Decision::Upgrade(upgrade, seat))
}

async fn open(
    server: &Arc<Server>,
    session: &Arc<Session>,
    stream: Stream,
    (socket, seat): (SocketGuard, Seat),
    request: Request,
    upgrade: Upgrade,
    rest: Vec<u8>,
) {
    let protocol = upgrade::choose_protocol(&upgrade.protocols, &session.plan.protocols);
    let wishes = session.plan.settings.deflate.as_ref();
    let deflate = wishes.and_then(|wishes| wishes.choose(&upgrade.extensions));
    let (agreed, extensions) = deflate.unzip();
    let answer = upgrade::encode_accept(&upgrade.key, protocol, extensions.as_deref(), &[]);
    if stream.write_all(&answer).await.is_err() {
        return;
    }
    let info = OpenInfo {
        protocol: protocol.unwrap_or_default().to_owned(),
        extensions: extensions.unwrap_or_default(),
        remote_ip: stream.peer().ip().to_string(),
        remote_port: stream.peer().port(),
        uri: request.target,
        headers: request.headers.0,
    };
    let mut stream = Some(stream);
    let connection = {
        let mut clients = server.clients.lock();
        // Under the lock that `stop` needs to list the clients: it either sees this one or is seen here.
        if session.is_stopped.load(SeqCst) {
            return;
        }
        let connection = server.registrar.insert(&mut |client| {
            Connection::new(
                client,
                Source::new(server.source.channel().clone(), client),
                session.plan.settings.clone(),
                agreed,
                stream.take().expect("one ref is one connection"),
                server.clone(),
            )
        });
        clients.insert(connection.client, (connection.clone(), seat));
        connection
    };
    let source = connection.source.clone();
    let task = Task::new(connection, rest);
    source.post(Event::Open(&info));
    // A task of its own, so that what the handshake needed is given back.
    tokio::spawn(async move {
        task.await;
        drop(socket);
    });
}
