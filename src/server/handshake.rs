//! Knows how an accepted socket becomes a connection, or is answered and closed.
//! Does not know how requests are parsed: that is `protocol`'s.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::networks::Caller;
use super::port::{Pending, Port};
use super::question::{Acceptance, Question, Verdict};
use super::session::{Seat, Session, SocketGuard, Turn};
use super::{admission, files, proxied};
use crate::connection::{Connection, Task, tls_info};
use crate::events::{Event, OpenInfo, RefusedInfo, RequestInfo, Source, TlsInfo};
use crate::log;
use crate::protocol::close;
use crate::protocol::deflate::Agreed;
use crate::protocol::head::{self, HeadScanner, Refusal, Request};
use crate::protocol::proxy_header::Origin;
use crate::protocol::upgrade::{self, Upgrade};
use crate::transport::{Stream, tls};

/// What a client may send while it waits for the host's answer, before we stop reading.
const EARLY: usize = 64 * 1024;

/// Runs a handshake to its end: a connection of one of the port's servers, or an answer that says why not.
pub async fn run(port: Arc<Port>, mut stream: Stream, socket: SocketGuard, pending: Pending) {
    let deadline = Instant::now() + port.entrance.handshake_timeout;
    let mut pending = Some(pending);
    let mut caller = Caller {
        ip: stream.peer().ip().to_canonical(),
        port: stream.peer().port(),
        is_secure: port.entrance.tls.is_some(),
    };
    if port.entrance.proxy_protocol && port.entrance.trusted.contains(caller.ip) {
        let told = Box::pin(introduce(&port, &stream));
        match limited(&port, &mut pending, deadline, told).await {
            Some(Some(origin)) => {
                caller.ip = origin.ip().to_canonical();
                caller.port = origin.port();
            }
            Some(None) => {}
            None => return,
        }
    }
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
        caller,
        socket,
        pending,
        deadline,
    };
    // Boxed, so that those that only wait for a request are small.
    Box::pin(visit.attend(heard, bytes)).await;
}

/// What a trusted proxy says of whom it connects. None: nothing that can be used.
async fn introduce(port: &Port, stream: &Stream) -> Option<Origin> {
    let told = proxied::read(stream).await;
    told.inspect_err(|problem| {
        let (number, peer) = (port.number, stream.peer());
        log::info!("port {number}: {peer}: the PROXY protocol's header cannot be used: {problem}");
    })
    .ok()
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
    pending: &mut Option<Pending>,
    deadline: Instant,
    work: impl Future<Output = Option<T>>,
) -> Option<T> {
    let ended = async {
        match pending {
            // Fails only where it means the same.
            Some(pending) => drop((&mut pending.ended).await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = ended => None,
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

/// A socket of which nobody knows yet what becomes of it.
struct Visit {
    port: Arc<Port>,
    stream: Stream,
    caller: Caller,
    socket: SocketGuard,
    /// None: it is listed elsewhere, and does not count among the handshakes any more.
    pending: Option<Pending>,
    deadline: Instant,
}

/// What a request leads to.
enum Next {
    Upgrade(Arc<Session>, Upgrade),
    File { path: PathBuf, head_only: bool },
    Healthy { head_only: bool },
}

impl Visit {
    async fn attend(mut self, heard: Result<(Request, usize), Refusal>, mut rest: Vec<u8>) {
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

    async fn admit(
        mut self,
        session: Arc<Session>,
        request: Request,
        upgrade: Upgrade,
        mut rest: Vec<u8>,
    ) {
        // From now on the server waits for this socket where it waits for its end, not the port.
        self.socket = session.server.sockets.count();
        let check = async {
            let admitted = admission::admit(&session, &request, &upgrade, &self.caller).await;
            // Not before the host has credit for one more event.
            session.credit().await;
            Some(admitted)
        };
        let checked = tokio::select! {
            biased;
            () = session.stopped() => None,
            checked = limited(&self.port, &mut self.pending, self.deadline, check) => checked,
        };
        let seat = match checked {
            None => return,
            Some(Err(refusal)) => {
                return self.refuse(Some(&session), Some(&request), &refusal).await;
            }
            Some(Ok(seat)) => seat,
        };
        let Some(patience) = session.plan.ask else {
            let acceptance = Acceptance::default();
            self.open(&session, request, &upgrade, acceptance, None, seat, rest)
                .await;
            return;
        };
        let turn = match Turn::take(&session) {
            Ok(turn) => turn,
            Err(refusal) => return self.refuse(Some(&session), Some(&request), &refusal).await,
        };
        // The host may take its time: that must not count against those that shake hands.
        self.pending = None;
        let (answer, answered) = oneshot::channel();
        let question = self.ask(&session, &request, &upgrade, answer);
        let verdict = tokio::select! {
            biased;
            verdict = answered => verdict.unwrap_or(Verdict::Forget),
            () = session.stopped() => Verdict::Reject(
                Refusal::new(503, "the server is stopping").because("stop"),
            ),
            () = tokio::time::sleep(patience) => Verdict::Reject(
                Refusal::new(503, "nobody answered the request in time")
                    .with("Retry-After", "10")
                    .because("admissionTimeout"),
            ),
            () = departure(&self.stream, &mut rest) => Verdict::Reject(gone()),
        };
        drop(turn);
        self.deadline = Instant::now() + self.port.entrance.handshake_timeout;
        match verdict {
            Verdict::Accept(acceptance) => {
                self.open(
                    &session,
                    request,
                    &upgrade,
                    acceptance,
                    Some(question),
                    seat,
                    rest,
                )
                .await;
            }
            Verdict::Reject(refusal) => {
                self.end_question(&session, &question, &request, &refusal);
                drop(seat);
                if refusal.status != 0 {
                    self.answer(&refusal, false, session.is_stopped()).await;
                }
            }
            Verdict::Forget => {
                let refusal = Refusal::new(503, "the request was cleared");
                self.answer(&refusal, false, session.is_stopped()).await;
            }
        }
    }

    /// What was agreed with the client itself.
    fn tls(&self) -> Option<TlsInfo> {
        tls_info(&self.stream).filter(|_| self.caller.is_secure)
    }

    /// Tells the host, under the ref that the connection will have.
    fn ask(
        &self,
        session: &Session,
        request: &Request,
        upgrade: &Upgrade,
        answer: oneshot::Sender<Verdict>,
    ) -> Arc<Question> {
        let server = &session.server;
        let mut answer = Some(answer);
        let question = server.registrar.ask(&mut |client| {
            Question::new(
                client,
                Source::new(server.source.channel().clone(), client),
                upgrade.protocols.clone(),
                answer.take().expect("one ref is one request"),
            )
        });
        question.source.post(Event::Request(&RequestInfo {
            method: request.method.clone(),
            uri: request.target.clone(),
            path: request.path().to_owned(),
            query: request.query().unwrap_or_default().to_owned(),
            headers: request.headers.0.clone(),
            protocols: upgrade.protocols.clone(),
            remote_ip: self.caller.ip.to_string(),
            remote_port: self.caller.port,
            tls: self.tls(),
            tls_at_proxy: self.caller.is_secure && self.stream.tls().is_none(),
        }));
        question
    }

    /// The ref is free again, and the host is told why.
    fn end_question(
        &self,
        session: &Session,
        question: &Question,
        request: &Request,
        refusal: &Refusal,
    ) {
        session.server.registrar.remove(question.client);
        session.server.tally.refused(refusal.rule);
        let info = self.refused(Some(request), refusal);
        question.source.post(Event::Refused(&info));
    }

    fn refused(&self, request: Option<&Request>, refusal: &Refusal) -> RefusedInfo {
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
    async fn refuse(
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
    async fn answer(mut self, refusal: &Refusal, head_only: bool, at_once: bool) {
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

    async fn send_file(mut self, path: &std::path::Path, head_only: bool) {
        let answer = async {
            files::answer(&self.stream, path, head_only).await.ok()?;
            say_goodbye(&self.stream).await;
            Some(())
        };
        limited(&self.port, &mut self.pending, self.deadline, answer).await;
    }

    /// Answers with 101 and lets the connection begin.
    #[allow(clippy::too_many_arguments)]
    async fn open(
        mut self,
        session: &Arc<Session>,
        request: Request,
        upgrade: &Upgrade,
        acceptance: Acceptance,
        question: Option<Arc<Question>>,
        seat: Seat,
        rest: Vec<u8>,
    ) {
        let plan = &session.plan;
        let protocol = match &acceptance.protocol {
            Some(protocol) => Some(protocol.as_str()).filter(|protocol| !protocol.is_empty()),
            None => upgrade::choose_protocol(&upgrade.protocols, &plan.protocols),
        };
        let wishes = plan.settings.deflate.as_ref();
        let deflate = wishes.and_then(|wishes| wishes.choose(&upgrade.extensions));
        let (agreed, extensions) = deflate.unzip();
        let answer = upgrade::encode_accept(
            &upgrade.key,
            protocol,
            extensions.as_deref(),
            &acceptance.headers,
        );
        // Fails if the client has left: then there is nobody to connect.
        let answering = async { self.stream.write_all(&answer).await.ok() };
        let answered = tokio::select! {
            biased;
            () = session.stopped() => None,
            answered = limited(&self.port, &mut self.pending, self.deadline, answering) => answered,
        };
        if answered.is_none() {
            if let Some(question) = question {
                let refusal = match session.is_stopped() {
                    true => Refusal::new(0, "the server is stopping").because("stop"),
                    false => gone(),
                };
                self.end_question(session, &question, &request, &refusal);
            }
            return;
        }
        let info = OpenInfo {
            protocol: protocol.unwrap_or_default().to_owned(),
            extensions: extensions.unwrap_or_default(),
            remote_ip: self.caller.ip.to_string(),
            remote_port: self.caller.port,
            tls: self.tls(),
            tls_at_proxy: self.caller.is_secure && self.stream.tls().is_none(),
            uri: request.target,
            url: String::new(),
            headers: request.headers.0,
        };
        let admitted = Admitted {
            info,
            agreed,
            seat,
            rest,
            question,
        };
        open(session, self.stream, self.socket, admitted);
    }
}

/// A client that did not wait for the answer.
fn gone() -> Refusal {
    Refusal::new(0, "the client has left").because("left")
}

/// Comes back once the client has left; keeps what it sends before it was asked to.
async fn departure(stream: &Stream, rest: &mut Vec<u8>) {
    while rest.len() < EARLY {
        if stream.read_onto(rest).await.unwrap_or(0) == 0 {
            return;
        }
    }
    std::future::pending().await
}

/// Ends the socket so that the client gets all that was written.
async fn say_goodbye(stream: &Stream) {
    stream.shutdown_write();
    stream.discard_until_end().await;
}

/// Who gets a connection.
struct Admitted {
    info: OpenInfo,
    agreed: Option<Agreed>,
    seat: Seat,
    /// What came behind the request.
    rest: Vec<u8>,
    /// What the host has answered.
    question: Option<Arc<Question>>,
}

/// Lists the connection, tells the host, and brings it to life.
fn open(session: &Session, stream: Stream, socket: SocketGuard, admitted: Admitted) {
    let Admitted {
        info,
        agreed,
        seat,
        rest,
        question,
    } = admitted;
    let server = &session.server;
    let mut made = Some((stream, agreed));
    let mut make = |client, source| {
        let (stream, agreed) = made.take().expect("one ref is one connection");
        let settings = session.plan.settings.clone();
        Connection::new(
            client,
            source,
            settings,
            agreed,
            stream,
            server.clone(),
            &info,
        )
    };
    let connection = {
        let mut clients = server.clients.lock();
        // Under the lock that `stop` needs to list the clients: it either sees this one or is seen here.
        if session.is_stopped() && question.is_none() {
            return;
        }
        let connection = match &question {
            None => server.registrar.insert(&mut |client| {
                make(client, Source::new(server.source.channel().clone(), client))
            }),
            Some(question) => {
                let connection = make(question.client, question.source.clone());
                if !server.registrar.admit(&connection) {
                    return;
                }
                connection
            }
        };
        clients.insert(connection.client, (connection.clone(), seat));
        server.tally.opened();
        connection
    };
    if session.is_stopped() {
        // The host was asked and is owed an end; `stop` has not seen it.
        connection.close(close::GOING_AWAY, "the server is stopping");
    }
    let source = connection.source.clone();
    let task = Task::new(connection, rest);
    source.post(Event::Open(&info));
    // A task of its own, so that what the handshake needed is given back.
    tokio::spawn(async move {
        task.await;
        drop(socket);
    });
}
