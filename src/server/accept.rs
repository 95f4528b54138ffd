//! Knows the accept loop, which only accepts.
//! Does not know HTTP: each connection's handshake is a task of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;

use super::{Server, Session, handshake};
use crate::events::{ErrorInfo, Event, Ticket};
use crate::log;
use crate::platform;
use crate::transport::{Listener, Stream, spawn_on};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts until the session is stopped.
pub async fn run(server: Arc<Server>, session: Arc<Session>, own: Handle) {
    let mut pause = FIRST_PAUSE;
    let mut is_reported = false;
    let mut ticket = Ticket::default();
    while !session.is_stopped.load(SeqCst) {
        let accepted = next(&server, &session.listener, &mut ticket).await;
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) if platform::is_out_of_files(&error) => {
                if !is_reported {
                    is_reported = true;
                    report(&server, &error);
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            // The client left before it was accepted.
            Err(error) => {
                log::debug!("server {}: accept: {error}", server.server);
                continue;
            }
        };
        if is_reported {
            is_reported = false;
            log::info!("server {}: accepts again", server.server);
        }
        pause = FIRST_PAUSE;
        admit(&server, &session, &own, stream);
    }
}

/// The next connection, once the host has credit for its "open".
async fn next(
    server: &Server,
    listener: &Listener,
    ticket: &mut Ticket,
) -> std::io::Result<Stream> {
    std::future::poll_fn(|context| {
        if server.source.channel().is_used_up(context.waker(), ticket) {
            return Poll::Pending;
        }
        listener.poll_accept(context)
    })
    .await
}

fn report(server: &Server, error: &std::io::Error) {
    log::warn!("server {}: cannot accept: {error}", server.server);
    server.source.post(Event::Error(&ErrorInfo {
        reason: format!("cannot accept connections for now: {error}"),
        wait_time: FIRST_PAUSE.as_millis() as u64,
        ..ErrorInfo::default()
    }));
}

fn admit(server: &Arc<Server>, session: &Arc<Session>, own: &Handle, stream: Stream) {
    let Some(pending) = handshake::Pending::begin(session) else {
        return;
    };
    let socket = server.count_socket();
    let (server, session) = (server.clone(), session.clone());
    if session.threads.is_single() {
        spawn_on(own, async move {
            handshake::run(server, session, stream, socket, pending).await;
        });
        return;
    }
    let Ok(detached) = stream.into_detached() else {
        return;
    };
    let thread = session.threads.next().clone();
    spawn_on(&thread, async move {
        if let Ok(stream) = detached.attach() {
            handshake::run(server, session, stream, socket, pending).await;
        }
    });
}
