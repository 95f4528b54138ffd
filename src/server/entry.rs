//! Knows how a request to upgrade becomes a connection: checked, asked about, answered with 101.
//! Does not know which server it is for.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::admission;
use super::handshake::limited;
use super::question::{Acceptance, Question, Verdict};
use super::session::{Seat, Session, SocketGuard, Turn};
use super::visit::{Visit, refused};
use crate::connection::{Connection, Task, tls_info};
use crate::events::{Event, OpenInfo, RequestInfo, Source, TlsInfo};
use crate::protocol::close;
use crate::protocol::deflate::Agreed;
use crate::protocol::head::{Refusal, Request};
use crate::protocol::upgrade::{self, Upgrade};
use crate::transport::Stream;

/// What a client may send while it waits for the host's answer, before we stop reading.
const EARLY: usize = 64 * 1024;

impl Visit {
    pub async fn admit(
        mut self,
        session: Arc<Session>,
        request: Request,
        upgrade: Upgrade,
        mut rest: Vec<u8>,
    ) {
        // From now on the server waits for this socket where it waits for its end, not the port.
        self.socket = session.sockets.count();
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
        let info = RequestInfo {
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
        };
        let mut asked = Some((info, answer));
        let question = server.registrar.ask(&mut |client| {
            let (info, answer) = asked.take().expect("one ref is one request");
            let source = Source::new(server.source.channel().clone(), client);
            Question::new(client, source, info, answer)
        });
        let request = Event::Request(&question.request);
        question.source.post(request);
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
        let info = refused(&self.caller, Some(request), refusal);
        question.source.post(Event::Refused(&info));
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
            topics: acceptance.topics.unwrap_or_else(|| plan.topics.clone()),
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

/// Who gets a connection.
struct Admitted {
    info: OpenInfo,
    agreed: Option<Agreed>,
    /// To what it is subscribed.
    topics: Vec<String>,
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
        topics,
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
        clients.insert(connection.clone(), seat);
        server.tally.opened();
        connection
    };
    if session.is_stopped() {
        // The host was asked and is owed an end; `stop` has not seen it.
        connection.close(close::GOING_AWAY, "the server is stopping");
    }
    for topic in &topics {
        // Fails only where the server was stopped meanwhile.
        let _ = server.subscribe(&connection, topic, usize::MAX);
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
