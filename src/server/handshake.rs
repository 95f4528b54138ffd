//! Knows how an accepted socket becomes a connection, or is answered and closed.
//! Does not know how requests are parsed: that is `protocol`'s.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::port::{Pending, Port};
use super::session::{Seat, Session, SocketGuard};
use super::{files, tally};
use crate::connection::{Connection, Task, tls_info};
use crate::events::{Event, OpenInfo, Source};
use crate::log;
use crate::protocol::deflate::Agreed;
use crate::protocol::head::{self, HeadScanner, Refusal, Request};
use crate::protocol::upgrade::{self, Upgrade};
use crate::transport::{Stream, tls};

/// Runs a handshake to its end: a connection of one of the port's servers, or an answer that says why not.
pub async fn run(port: Arc<Port>, mut stream: Stream, socket: SocketGuard, mut pending: Pending) {
    let deadline = Instant::now() + port.entrance.handshake_timeout;
    if let Some(config) = &port.entrance.tls {
        let secured = Box::pin(secure(&port, stream, config));
        match limited(&port, &mut pending, deadline, secured).await {
            Some(secured) => stream = secured,
            None => return,
        }
    }
    let mut bytes = Vec::new();
    let request = read_request(&stream, &port, &mut bytes);
    let Some(heard) = limited(&port, &mut pending, deadline, request).await else {
        // Whoever leaves by itself was not refused.
        if Instant::now() >= deadline {
            port.refused("handshakeTimeout");
        }
        return;
    };
    let visit = Visit {
        port,
        stream,
        socket,
        pending,
        deadline,
        session: None,
    };
    // Boxed, so that those that only wait for a request are small.
    Box::pin(visit.attend(heard, bytes)).await;
}

/// The handshake of TLS. None: it failed.
async fn secure(port: &Port, stream: Stream, config: &tls::ServerConfig) -> Option<Stream> {
    let peer = stream.peer();
    let secured = tls::accept(stream, config).await;
    secured
        .inspect_err(|problem| log::info!("port {}: {peer}: {problem}", port.number))
        .ok()
}

/// Does `work` as long as the handshake may last.
async fn limited<T>(
    port: &Port,
    pending: &mut Pending,
    deadline: Instant,
    work: impl Future<Output = Option<T>>,
) -> Option<T> {
    tokio::select! {
        biased;
        _ = &mut pending.ended => None,
        done = timeout_at(deadline, work) => done.unwrap_or_else(|_| {
            let limit = port.entrance.handshake_timeout.as_millis();
            log::info!("port {}: a handshake took longer than {limit} ms", port.number);
            None
        }),
    }
}

/// The request and its length in `bytes`, or what is wrong with it. None: the client left before it was complete.
async fn read_request(
    stream: &Stream,
    port: &Port,
    bytes: &mut Vec<u8>,
) -> Option<Result<(Request, usize), Refusal>> {
    let mut scanner = HeadScanner::default();
    loop {
        if stream.read_onto(bytes).await.unwrap_or(0) == 0 {
            return None;
        }
        if let Some(found) = scanner.request(bytes, &port.entrance.head).transpose() {
            return Some(found);
        }
    }
}

/// A socket whose request has come.
struct Visit {
    port: Arc<Port>,
    stream: Stream,
    socket: SocketGuard,
    pending: Pending,
    deadline: Instant,
    /// The server that is meant, once that is known.
    session: Option<Arc<Session>>,
}

/// What a request leads to.
enum Next {
    Upgrade(Arc<Session>, Upgrade, Seat),
    File { path: PathBuf, head_only: bool },
}

impl Visit {
    async fn attend(mut self, heard: Result<(Request, usize), Refusal>, mut rest: Vec<u8>) {
        let (request, length) = match heard {
            Ok(found) => found,
            Err(refusal) => return self.refuse("", &refusal, false).await,
        };
        rest.drain(..length);
        match self.decide(&request) {
            Ok(Next::Upgrade(session, upgrade, seat)) => {
                self.open(session, request, upgrade, seat, rest).await;
            }
            Ok(Next::File { path, head_only }) => self.send_file(&path, head_only).await,
            Err(refusal) => {
                let head_only = request.method == "HEAD";
                self.refuse(request.path(), &refusal, head_only).await;
            }
        }
    }

    fn decide(&mut self, request: &Request) -> Result<Next, Refusal> {
        let path = request.path();
        if !upgrade::wants_websocket(request) && matches!(request.method.as_str(), "GET" | "HEAD") {
            let servers = self.port.at_host(request);
            let mut files = servers.iter().flat_map(|session| &session.plan.files);
            if let Some((_, file)) = files.find(|(name, _)| name == path) {
                return Ok(Next::File {
                    path: file.clone(),
                    head_only: request.method == "HEAD",
                });
            }
            if servers.iter().any(|session| !session.plan.files.is_empty()) {
                return Err(Refusal::new(404, "nothing is here"));
            }
        }
        let upgrade = upgrade::check_request(request)?;
        let Some(session) = self.port.route(request) else {
            return Err(Refusal::new(404, "no WebSocket server is at this path"));
        };
        self.session = Some(session.clone());
        let plan = &session.plan;
        let origin = upgrade.origin.as_deref();
        let is_secure = self.stream.tls().is_some();
        if !upgrade::origin_is_allowed(origin, request.host(), is_secure, &plan.origins) {
            let origin = head::shown(origin.unwrap_or_default());
            return Err(Refusal::new(
                403,
                format!("the origin {origin} is not allowed"),
            ));
        }
        upgrade::check_auth(&request.headers, &plan.auth)?;
        let seat = Seat::take(&session, self.stream.peer().ip())?;
        Ok(Next::Upgrade(session, upgrade, seat))
    }

    async fn refuse(mut self, path: &str, refusal: &Refusal, head_only: bool) {
        log::info!(
            "port {}: {} {} was answered {refusal}",
            self.port.number,
            self.stream.peer(),
            head::shown(path),
        );
        let cause = tally::cause(refusal);
        match &self.session {
            Some(session) => session.server.tally.refused(cause),
            None => self.port.refused(cause),
        }
        let answer = refusal.encode(head_only);
        let goodbye = say_goodbye(&self.stream, self.stream.write_all(&answer));
        limited(&self.port, &mut self.pending, self.deadline, goodbye).await;
    }

    async fn send_file(mut self, path: &std::path::Path, head_only: bool) {
        let answer = files::answer(&self.stream, path, head_only);
        let goodbye = say_goodbye(&self.stream, answer);
        limited(&self.port, &mut self.pending, self.deadline, goodbye).await;
    }

    /// Answers with 101 and lets the connection begin.
    async fn open(
        mut self,
        session: Arc<Session>,
        request: Request,
        upgrade: Upgrade,
        seat: Seat,
        rest: Vec<u8>,
    ) {
        // From now on the server waits for this socket where it waits for its end, not the port.
        let socket = session.server.sockets.count();
        drop(self.socket);
        let plan = &session.plan;
        let protocol = upgrade::choose_protocol(&upgrade.protocols, &plan.protocols);
        let wishes = plan.settings.deflate.as_ref();
        let deflate = wishes.and_then(|wishes| wishes.choose(&upgrade.extensions));
        let (agreed, extensions) = deflate.unzip();
        let answer = upgrade::encode_accept(&upgrade.key, protocol, extensions.as_deref(), &[]);
        let info = OpenInfo {
            protocol: protocol.unwrap_or_default().to_owned(),
            extensions: extensions.unwrap_or_default(),
            remote_ip: self.stream.peer().ip().to_string(),
            remote_port: self.stream.peer().port(),
            tls: tls_info(&self.stream),
            uri: request.target,
            url: String::new(),
            headers: request.headers.0,
        };
        let answered = async {
            session.credit().await;
            // Fails if the client has left: then there is nobody to connect.
            self.stream.write_all(&answer).await.ok()
        };
        let answered = tokio::select! {
            biased;
            () = session.stopped() => None,
            answered = limited(&self.port, &mut self.pending, self.deadline, answered) => answered,
        };
        if answered.is_some() {
            let admitted = Admitted {
                info,
                agreed,
                seat,
                rest,
            };
            open(&session, self.stream, socket, admitted);
        }
    }
}

/// Ends the socket so that the client gets all of the answer.
async fn say_goodbye(
    stream: &Stream,
    answer: impl Future<Output = std::io::Result<()>>,
) -> Option<()> {
    answer.await.ok()?;
    stream.shutdown_write();
    stream.discard_until_end().await;
    Some(())
}

/// Who gets a connection.
struct Admitted {
    info: OpenInfo,
    agreed: Option<Agreed>,
    seat: Seat,
    /// What came behind the request.
    rest: Vec<u8>,
}

/// Lists the connection, tells the host, and brings it to life.
fn open(session: &Session, stream: Stream, socket: SocketGuard, admitted: Admitted) {
    let Admitted {
        info,
        agreed,
        seat,
        rest,
    } = admitted;
    let server = &session.server;
    let mut stream = Some(stream);
    let connection = {
        let mut clients = server.clients.lock();
        // Under the lock that `stop` needs to list the clients: it either sees this one or is seen here.
        if session.is_stopped() {
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
                &info,
            )
        });
        clients.insert(connection.client, (connection.clone(), seat));
        server.tally.opened();
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
