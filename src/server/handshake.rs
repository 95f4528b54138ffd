//! Knows how an accepted socket comes to its first request.
//! Does not know how requests are parsed: that is `protocol`'s.

use std::future::Future;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::networks::Caller;
use super::port::{Pending, Port};
use super::proxied;
use super::session::SocketGuard;
use super::visit::Visit;
use crate::log;
use crate::protocol::head::{HeadScanner, Refusal, Request};
use crate::protocol::proxy_header::Origin;
use crate::transport::{Stream, tls};

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
            None => return too_late(&port, deadline),
        }
    }
    if let Some(config) = &port.entrance.tls {
        let secured = Box::pin(secure(&port, stream, config));
        match limited(&port, &mut pending, deadline, secured).await {
            Some(secured) => stream = secured,
            None => return too_late(&port, deadline),
        }
    }
    let mut bytes = Vec::new();
    let request = read_request(&stream, &port, &mut bytes);
    let Some(heard) = limited(&port, &mut pending, deadline, request).await else {
        return too_late(&port, deadline);
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

/// Counts one who has come no further in time; whoever leaves by itself was not refused.
fn too_late(port: &Port, deadline: Instant) {
    if Instant::now() >= deadline {
        port.refused("handshakeTimeout");
    }
}

/// What a trusted proxy says of whom it connects. None: nothing that can be used.
async fn introduce(port: &Port, stream: &Stream) -> Option<Origin> {
    let told = proxied::read(stream).await;
    told.inspect_err(|problem| {
        port.refused("proxyProtocol");
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
pub async fn limited<T>(
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
