//! Knows how an accepted socket becomes a connection, or is answered and closed.
//! Does not know how requests are parsed: that is `protocol`'s.

use std::future::Future;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::{Seat, Server, Session, SocketGuard, files};
use crate::connection::{Connection, Task};
use crate::events::{Event, OpenInfo, Source};
use crate::log;
use crate::protocol::deflate::Agreed;
use crate::protocol::head::{self, HeadScanner, Refusal, Request};
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
    let admitted = tokio::select! {
        biased;
        _ = &mut pending.ended => None,
        done = tokio::time::timeout(timeout, shake(&server, &session, &stream)) => {
            done.unwrap_or_else(|_| {
                log::info!("server {}: a handshake took longer than {} ms", server.server, timeout.as_millis());
                None
            })
        }
    };
    if let Some(admitted) = admitted {
        open(server, &session, stream, socket, *admitted);
    }
}

/// Who gets a connection.
struct Admitted {
    info: OpenInfo,
    agreed: Option<Agreed>,
    seat: Seat,
    /// What came behind the request.
    rest: Vec<u8>,
}

/// What a request leads to. Small, as all that pending handshakes hold.
enum Next {
    Admit(Vec<u8>, Box<Admitted>),
    Refuse(Vec<u8>),
    File { path: PathBuf, head_only: bool },
}

/// From the accept to the last byte of the answer.
async fn shake(
    server: &Arc<Server>,
    session: &Arc<Session>,
    stream: &Stream,
) -> Option<Box<Admitted>> {
    let mut bytes = Vec::new();
    let next = match read_request(stream, session, &mut bytes).await {
        Ok(None) => return None,
        Ok(Some((request, length))) => {
            bytes.drain(..length);
            consider(server, session, stream, request, bytes)
        }
        Err(refusal) => refuse(server, stream, "", &refusal, false),
    };
    match next {
        Next::Admit(answer, admitted) => {
            // Fails if the client has left: then there is nobody to connect.
            stream.write_all(&answer).await.ok()?;
            Some(admitted)
        }
        Next::Refuse(answer) => {
            Box::pin(say_goodbye(stream, stream.write_all(&answer))).await;
            None
        }
        Next::File { path, head_only } => {
            let answer = files::answer(stream, &path, head_only);
            Box::pin(say_goodbye(stream, answer)).await;
            None
        }
    }
}

/// Ends the socket so that the client gets all of the answer.
async fn say_goodbye(stream: &Stream, answer: impl Future<Output = std::io::Result<()>>) {
    if answer.await.is_ok() {
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
        if stream.read_onto(bytes).await.unwrap_or(0) == 0 {
            return Ok(None);
        }
        if let Some(found) = scanner.request(bytes, &session.plan.head)? {
            return Ok(Some(found));
        }
    }
}

fn consider(
    server: &Arc<Server>,
    session: &Arc<Session>,
    stream: &Stream,
    request: Request,
    rest: Vec<u8>,
) -> Next {
    let head_only = request.method == "HEAD";
    match decide(session, &request, stream.peer().ip()) {
        Ok(Decision::Upgrade(upgrade, seat)) => {
            admit(session, stream, request, &upgrade, seat, rest)
        }
        Ok(Decision::File(path)) => Next::File {
            path: path.to_owned(),
            head_only,
        },
        Err(refusal) => refuse(server, stream, request.path(), &refusal, head_only),
    }
}

fn refuse(
    server: &Server,
    stream: &Stream,
    path: &str,
    refusal: &Refusal,
    head_only: bool,
) -> Next {
    log::info!(
        "server {}: {} {} was answered {refusal}",
        server.server,
        stream.peer(),
        head::shown(path),
    );
    Next::Refuse(refusal.encode(head_only))
}

fn admit(
    session: &Session,
    stream: &Stream,
    request: Request,
    upgrade: &Upgrade,
    seat: Seat,
    rest: Vec<u8>,
) -> Next {
    let protocol = upgrade::choose_protocol(&upgrade.protocols, &session.plan.protocols);
    let wishes = session.plan.settings.deflate.as_ref();
    let deflate = wishes.and_then(|wishes| wishes.choose(&upgrade.extensions));
    let (agreed, extensions) = deflate.unzip();
    let answer = upgrade::encode_accept(&upgrade.key, protocol, extensions.as_deref(), &[]);
    let info = OpenInfo {
        protocol: protocol.unwrap_or_default().to_owned(),
        extensions: extensions.unwrap_or_default(),
        remote_ip: stream.peer().ip().to_string(),
        remote_port: stream.peer().port(),
        uri: request.target,
        headers: request.headers.0,
    };
    let admitted = Box::new(Admitted {
        info,
        agreed,
        seat,
        rest,
    });
    Next::Admit(answer, admitted)
}

enum Decision<'a> {
    Upgrade(Upgrade, Seat),
    File(&'a Path),
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
        let origin = head::shown(origin.unwrap_or_default());
        return Err(Refusal::new(
            403,
            format!("the origin {origin} is not allowed"),
        ));
    }
    upgrade::check_auth(&request.headers, &plan.auth)?;
    let seat = Seat::take(session, ip)?;
    Ok(Decision::Upgrade(upgrade, seat))
}

/// Lists the connection, tells the host, and brings it to life.
fn open(
    server: Arc<Server>,
    session: &Session,
    stream: Stream,
    socket: SocketGuard,
    admitted: Admitted,
) {
    let Admitted {
        info,
        agreed,
        seat,
        rest,
    } = admitted;
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
