//! Knows what is asked for beside WebSockets: files, health and metrics, on connections that hyper keeps.
//! Does not know how WebSockets begin.

mod cors;
mod files;
mod guests;
mod metrics;
mod paths;
mod wire;

use std::convert::Infallible;
use std::sync::Arc;

use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use self::files::Content;
use self::guests::Guest;
use self::paths::Found;
use self::wire::{Shared, Wire};
use super::admission;
use super::networks::Caller;
use super::port::{Pending, Port};
use super::session::Session;
use super::visit::{Visit, say_goodbye, tell_refused};
use crate::log;
use crate::platform;
use crate::protocol::head::{Refusal, Request};
use crate::protocol::upgrade;
use crate::protocol::url::normal_path;

pub use guests::Guests;
pub use paths::Mount;
pub use wire::is_plain;

/// What hyper may keep of a connection, beside one head.
const BUFFER: usize = 64 * 1024;
/// What may be done at these paths.
const METHODS: &str = "GET, HEAD, OPTIONS";

/// A request that is not for hyper, or what is wrong with one, and all that has come from where it begins.
pub type Heard = (Result<(Request, usize), Refusal>, Vec<u8>);

/// Answers the request that `bytes` begin with, and those that follow, until one is not plain: that one comes back.
pub async fn serve(mut visit: Visit, request: &Request, bytes: Vec<u8>) -> Option<(Visit, Heard)> {
    let (guest, mut ended) = match Guest::enter(&visit.port) {
        Ok(entered) => entered,
        Err(refusal) => {
            visit.refuse(None, Some(request), &refusal).await;
            return None;
        }
    };
    // It does not count among the handshakes any more.
    visit.pending = None;
    let entrance = visit.port.entrance.clone();
    let shared = Arc::new(Shared {
        guest,
        request: Mutex::new(None),
        patience: Mutex::new(None),
    });
    let peer = visit.stream.peer();
    let desk = Desk {
        port: visit.port.clone(),
        direct: visit.caller,
        shared: shared.clone(),
    };
    let service = service_fn(move |asked: hyper::Request<_>| {
        let desk = desk.clone();
        Box::pin(async move { Ok::<_, Infallible>(desk.answer(asked.headers()).await) })
    });
    let Visit {
        port,
        stream,
        caller,
        socket,
        ..
    } = visit;
    let mut connection = http1::Builder::new()
        // So that nothing is read while an answer is under way.
        .half_close(true)
        .title_case_headers(true)
        .max_headers(entrance.head.headers)
        .max_buf_size(entrance.head.bytes + BUFFER)
        .serve_connection(
            Wire::new(stream, bytes, entrance.clone(), shared.clone()),
            service,
        );
    let done = tokio::select! {
        biased;
        // Dropping its sender is what tells.
        _ = &mut ended => None,
        done = &mut connection => Some(done),
    };
    let wire = connection.into_parts().io;
    let deadline = Instant::now() + entrance.handshake_timeout;
    match done {
        Some(Ok(())) => {}
        // It was answered 400.
        Some(Err(error)) if error.is_parse() => {}
        // All was handed to the system, which sends the rest of it.
        None if !shared.guest.is_served() => {
            wire.stream.shutdown_write();
            return None;
        }
        // So that nobody takes a part for the whole.
        broken => {
            if let Some(Err(error)) = broken {
                log::info!(
                    "port {}: {peer}: an answer was not sent whole: {error}",
                    port.number
                );
            }
            wire.stream.reset_on_drop();
            return None;
        }
    }
    if wire.is_late {
        return None;
    }
    let Some(ending) = wire.ending else {
        // It may make room for others while we wait for it to go.
        shared.guest.is_idle();
        tokio::select! {
            _ = ended => {}
            _ = timeout_at(deadline, say_goodbye(&wire.stream)) => {}
        }
        return None;
    };
    drop(shared);
    let pending = Pending::begin(&port)?;
    let visit = Visit {
        port,
        stream: wire.stream,
        caller,
        socket,
        pending: Some(pending),
        deadline,
    };
    Some((visit, (ending, wire.bytes)))
}

/// Where a connection's requests are answered.
#[derive(Clone)]
struct Desk {
    port: Arc<Port>,
    /// Whom we speak with; each request may name another behind a proxy.
    direct: Caller,
    shared: Arc<Shared>,
}

/// What a path stands for.
enum Resource {
    Health(Arc<Session>),
    /// The servers that tell of themselves there.
    Metrics(Vec<Arc<Session>>),
    File {
        session: Arc<Session>,
        mount: usize,
        steps: Vec<String>,
    },
}

impl Resource {
    /// The server whose it is.
    fn session(&self) -> &Arc<Session> {
        match self {
            Resource::Health(session) | Resource::File { session, .. } => session,
            Resource::Metrics(sessions) => &sessions[0],
        }
    }
}

/// What is at a path. The server that names the host comes first; a path counts more the more exact it is. Of those that are
/// leaving only their numbers are still told.
fn find(servers: &[Arc<Session>], leaving: &[Arc<Session>], path: &str) -> Option<Resource> {
    let normal = normal_path(path);
    let is_at = |known: &[String]| known.contains(&normal);
    if let Some(session) = servers.iter().find(|session| is_at(&session.plan.health)) {
        return Some(Resource::Health(session.clone()));
    }
    let counted = servers
        .iter()
        .filter(|session| is_at(&session.plan.metrics));
    let mut counted: Vec<_> = counted.cloned().collect();
    if !counted.is_empty() {
        for session in leaving {
            // Whoever was started anew meanwhile tells of both.
            let is_told = |other: &Arc<Session>| Arc::ptr_eq(&other.server, &session.server);
            if is_at(&session.plan.metrics) && !counted.iter().any(is_told) {
                counted.push(session.clone());
            }
        }
        return Some(Resource::Metrics(counted));
    }
    let steps = paths::steps(path)?;
    let is_socket = is_of_sockets(servers, path);
    let mut best: Option<((bool, usize), &Arc<Session>, usize)> = None;
    for session in servers {
        for (index, mount) in session.plan.files.iter().enumerate() {
            let is_exact = mount.is(&steps);
            // A WebSocket's own path is not looked for in a folder.
            let fits = is_exact || !is_socket && mount.rest(&steps).is_some();
            let rank = (is_exact, mount.depth());
            if fits && best.is_none_or(|(other, ..)| rank > other) {
                best = Some((rank, session, index));
            }
        }
    }
    best.map(|(_, session, mount)| Resource::File {
        session: session.clone(),
        mount,
        steps,
    })
}

/// Whether this path was given for WebSockets.
fn is_of_sockets(servers: &[Arc<Session>], path: &str) -> bool {
    let path = normal_path(path);
    let mut paths = servers.iter().flat_map(|session| &session.plan.paths);
    paths.any(|known| *known == path)
}

impl Desk {
    async fn answer(&self, asked: &HeaderMap) -> Response<Content> {
        let Some(request) = self.shared.request.lock().take() else {
            // hyper takes two requests for what our parser takes for one.
            return text(StatusCode::BAD_REQUEST, "");
        };
        *self.shared.patience.lock() = Some(self.port.entrance.handshake_timeout);
        match self
            .direct
            .told_by(&request.headers, &self.port.entrance.trusted)
        {
            Ok(caller) => self.answer_for(caller, asked, &request).await,
            Err(refusal) => {
                let told = self.port.members();
                self.refuse(&self.direct, &told, &request, &refusal).await
            }
        }
    }

    async fn answer_for(
        &self,
        caller: Caller,
        asked: &HeaderMap,
        request: &Request,
    ) -> Response<Content> {
        let (servers, leaving) = self.port.at_host(request);
        let Some(resource) = find(&servers, &leaving, request.path()) else {
            let refusal = nothing(&servers, request);
            let told = self.port.members();
            return self.refuse(&caller, &told, request, &refusal).await;
        };
        let session = resource.session().clone();
        let is_served = self.shared.guest.is_served_by(&session);
        *self.shared.patience.lock() = session.plan.settings.send_stall;
        let answer = match is_served {
            true => self.open(&resource, &caller, asked, request).await,
            false => Err(Refusal::new(503, "the server is stopping").because("stop")),
        };
        let mut answer = match answer {
            Ok(answer) => {
                session.server.tally.answered();
                answer
            }
            Err(refusal) => {
                let told = std::slice::from_ref(&session);
                self.refuse(&caller, told, request, &refusal).await
            }
        };
        cors::apply(&session.plan.cors, &caller, request, answer.headers_mut());
        answer
    }

    async fn open(
        &self,
        resource: &Resource,
        caller: &Caller,
        asked: &HeaderMap,
        request: &Request,
    ) -> Result<Response<Content>, Refusal> {
        if !matches!(resource, Resource::Metrics(_)) {
            admission::check_network(resource.session(), caller)?;
        }
        let head_only = request.method == "HEAD";
        match request.method.as_str() {
            "GET" | "HEAD" => {}
            "OPTIONS" => {
                let mut answer = text(StatusCode::NO_CONTENT, "");
                answer
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static(METHODS));
                return Ok(answer);
            }
            _ => return Err(refuse_method()),
        }
        match resource {
            Resource::Health(_) => Ok(fresh("ok\n", "text/plain; charset=utf-8")),
            Resource::Metrics(sessions) => {
                let mut told = Vec::new();
                let mut refused = None;
                for session in sessions {
                    let checked = match admission::check_network(session, caller) {
                        Ok(()) => admission::check_login(session, request, caller).await,
                        refused => refused,
                    };
                    match checked {
                        Ok(()) => told.push(session.clone()),
                        Err(refusal) => refused = refused.or(Some(refusal)),
                    }
                }
                match refused {
                    Some(refusal) if told.is_empty() => Err(refusal),
                    _ => Ok(fresh(metrics::text(&told), metrics::TYPE)),
                }
            }
            Resource::File {
                session,
                mount,
                steps,
            } => {
                let (mount, steps) = (session.plan.files[*mount].clone(), steps.clone());
                let found = spawn_blocking(move || paths::open(&mount, &steps)).await;
                match found.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
                    Ok(Found::File {
                        file,
                        length,
                        modified,
                        path,
                    }) => {
                        let mut answer =
                            files::answer(asked, head_only, file, length, modified, &path);
                        add_headers(answer.headers_mut(), &session.plan.file_headers);
                        Ok(answer)
                    }
                    Ok(Found::Folder) => Ok(moved(request)),
                    Ok(Found::Nothing) => Err(Refusal::new(404, "nothing is here").because("path")),
                    Err(error) if platform::is_out_of_files(&error) => {
                        Err(Refusal::new(503, "too many files are open")
                            .with("Retry-After", "10")
                            .because("files"))
                    }
                    Err(error) => {
                        log::warn!("cannot read the file of {}: {error}", request.path());
                        Err(Refusal::new(404, "the file of this path cannot be read")
                            .because("path"))
                    }
                }
            }
        }
    }

    async fn refuse(
        &self,
        caller: &Caller,
        told: &[Arc<Session>],
        request: &Request,
        refusal: &Refusal,
    ) -> Response<Content> {
        tell_refused(&self.port, caller, told, Some(request), refusal).await;
        let status = StatusCode::from_u16(refusal.status).expect("refusals have a status");
        let mut answer = text(status, refusal.text());
        let headers = answer.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        add_headers(headers, &refusal.headers);
        if refusal.headers.iter().any(|(name, _)| name == "Upgrade") {
            // RFC 9110 § 7.8: whoever sends Upgrade lists it in Connection.
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        }
        answer
    }
}

/// Why a request with a body is not for anybody here.
pub fn refuse_body(port: &Port, request: &Request) -> Refusal {
    let is_chunked = request
        .headers
        .contains_token("Transfer-Encoding", "chunked");
    match request.headers.get("Transfer-Encoding") {
        // RFC 9112 § 6.1: faulty there, and who passed it on may have taken another end of it for true.
        Some(_) if request.minor_version == 0 => {
            return Refusal::new(400, "HTTP/1.0 has no Transfer-Encoding");
        }
        Some(coding) if !is_chunked || coding.contains(',') => {
            return Refusal::new(501, "this Transfer-Encoding is not known here");
        }
        _ => {}
    }
    if matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS") {
        return Refusal::new(413, "requests with a body are not taken here");
    }
    let (servers, leaving) = port.at_host(request);
    match find(&servers, &leaving, request.path()) {
        Some(_) => refuse_method(),
        None => upgrade::check_request(request)
            .err()
            .unwrap_or_else(refuse_method),
    }
}

fn refuse_method() -> Refusal {
    let message = format!("only {METHODS} can be done here");
    Refusal::new(405, message).with("Allow", METHODS)
}

/// Why there is nothing.
fn nothing(servers: &[Arc<Session>], request: &Request) -> Refusal {
    let is_socket = is_of_sockets(servers, request.path());
    let has_files = servers.iter().any(|session| !session.plan.files.is_empty());
    match upgrade::check_request(request) {
        Err(refusal) if refusal.status == 426 && has_files && !is_socket => {
            Refusal::new(404, "nothing is here").because("path")
        }
        Err(refusal) => refusal,
        Ok(_) => Refusal::new(404, "nothing is here").because("path"),
    }
}

fn text(status: StatusCode, text: impl Into<hyper::body::Bytes>) -> Response<Content> {
    let mut answer = Response::new(Content::Text(text.into()));
    *answer.status_mut() = status;
    answer
}

/// What is another one in the next moment.
fn fresh(body: impl Into<hyper::body::Bytes>, kind: &'static str) -> Response<Content> {
    let mut answer = text(StatusCode::OK, body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A folder's path ends in "/", so that what its page names is found in it.
fn moved(request: &Request) -> Response<Content> {
    let query = request
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let location = format!("{}/{query}", request.path());
    let mut answer = text(StatusCode::PERMANENT_REDIRECT, "");
    add_headers(answer.headers_mut(), &[("Location".into(), location)]);
    answer
}

/// Each of these instead of what there is of its name.
fn add_headers(headers: &mut HeaderMap, more: &[(String, String)]) {
    for (name, _) in more {
        headers.remove(name);
    }
    for (name, value) in more {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
}
