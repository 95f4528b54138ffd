//! Knows the accept loop, which only accepts.
//! Does not know HTTP: each connection's handshake is a task of its own.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;

use super::handshake;
use super::port::{Pending, Port};
use crate::events::{ErrorInfo, Event};
use crate::log;
use crate::platform;
use crate::transport::{Stream, spawn_on};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts until the port is closed.
pub async fn run(port: Arc<Port>, own: Handle) {
    let mut pause = FIRST_PAUSE;
    let mut is_reported = false;
    while !port.is_closed() {
        let accepted = tokio::select! {
            accepted = next(&port) => accepted,
            () = port.changed.notified() => continue,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) if platform::is_out_of_files(&error) => {
                if !is_reported {
                    is_reported = true;
                    report(&port, &error);
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            // The client left before it was accepted.
            Err(error) => {
                log::debug!("port {}: accept: {error}", port.number);
                continue;
            }
        };
        if is_reported {
            is_reported = false;
            log::info!("port {}: accepts again", port.number);
        }
        pause = FIRST_PAUSE;
        admit(&port, &own, stream);
    }
}

/// The next connection, once a host has credit for its "open".
async fn next(port: &Port) -> std::io::Result<Stream> {
    std::future::poll_fn(|context| {
        if port.is_used_up(context.waker()) {
            return Poll::Pending;
        }
        port.listener.poll_accept(context)
    })
    .await
}

fn report(port: &Port, error: &std::io::Error) {
    log::warn!("port {}: cannot accept: {error}", port.number);
    for member in port.members() {
        member.server.source.post(Event::Error(&ErrorInfo {
            reason: format!("cannot accept connections for now: {error}"),
            wait_time: FIRST_PAUSE.as_millis() as u64,
            ..ErrorInfo::default()
        }));
    }
}

fn admit(port: &Arc<Port>, own: &Handle, stream: Stream) {
    let Some(pending) = Pending::begin(port) else {
        return;
    };
    let socket = port.sockets.count();
    let port = port.clone();
    if port.threads.is_single() {
        spawn_on(own, async move {
            handshake::run(port, stream, socket, pending).await;
        });
        return;
    }
    let Ok(detached) = stream.into_detached() else {
        return;
    };
    let thread = port.threads.next().clone();
    spawn_on(&thread, async move {
        if let Ok(stream) = detached.attach() {
            handshake::run(port, stream, socket, pending).await;
        }
    });
}
