//! Servers on the Rust WebSocket libraries, one thread each, as their documentation shows them; and clients that send.
//! The argument picks the library, BENCH_ROLE what is done. A server's first line of output is the port. Text and binary
//! messages come back as they are.

mod fastwebsockets;
mod raw;
mod sockudo;
mod task;
mod tokio_websockets;
mod tungstenite;
mod yawc;

use std::error::Error;
use std::future::Future;
use std::net::Ipv4Addr;

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let peer = std::env::args().nth(1).unwrap_or_default();
    runtime.block_on(async {
        match (peer.as_str(), task::role().as_str(), task::tls()?) {
            ("tokio-raw", "echo", None) => serve(raw::echo).await,
            ("tokio-raw", "echo", Some(tls)) => serve_tls(tls, raw::echo).await,
            ("tungstenite", "echo", None) => serve(tungstenite::echo).await,
            ("tungstenite", "echo", Some(tls)) => serve_tls(tls, tungstenite::echo).await,
            ("tungstenite-batched", "echo", None) => serve(tungstenite::echo_batched).await,
            ("tungstenite-batched", "echo", Some(tls)) => serve_tls(tls, tungstenite::echo_batched).await,
            ("tungstenite", "fan-out", None) => serve(tungstenite::fan_out).await,
            ("tungstenite-batched", "fan-out", None) => serve(tungstenite::fan_out_batched).await,
            ("tungstenite", "send", None) => tungstenite::send(false).await,
            ("tungstenite-batched", "send", None) => tungstenite::send(true).await,
            ("fastwebsockets", "echo", None) => serve(fastwebsockets::serve).await,
            ("yawc", "echo", None) => serve(yawc::serve).await,
            ("yawc-tuned", "echo", None) => serve(yawc::serve_tuned).await,
            ("sockudo", "echo", None) => serve(sockudo::echo).await,
            ("sockudo", "fan-out", None) => serve(sockudo::fan_out).await,
            ("tokio-websockets", "echo", None) => serve(tokio_websockets::echo).await,
            (_, role, _) => Err(format!("{peer:?} cannot do {role}").into()),
        }
    })
}

async fn serve<F>(connection: fn(TcpStream) -> F) -> Ended
where
    F: Future<Output = Ended> + Send + 'static,
{
    let listener = listen().await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // How a connection ends is for the load generator to judge.
        tokio::spawn(async move { drop(connection(stream).await) });
    }
}

async fn serve_tls<F>(tls: TlsAcceptor, connection: fn(TlsStream<TcpStream>) -> F) -> Ended
where
    F: Future<Output = Ended> + Send + 'static,
{
    let listener = listen().await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let tls = tls.clone();
        tokio::spawn(async move {
            if let Ok(stream) = tls.accept(stream).await {
                drop(connection(stream).await);
            }
        });
    }
}

async fn listen() -> Result<TcpListener, Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?.port());
    Ok(listener)
}

/// Everything that is there is answered before one flush.
async fn echo_batched<S, M, E>(mut socket: S, is_data: fn(&M) -> bool) -> Ended
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    E: Error + Send + Sync + 'static,
{
    while let Some(first) = socket.next().await {
        let mut next = Some(first);
        while let Some(message) = next {
            let message = message?;
            if is_data(&message) {
                socket.feed(message).await?;
            }
            next = socket.next().now_or_never().flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}

/// What comes is published; what was published is sent, with one flush for all that is there if `batched`.
async fn fan_out<S, M, E>(
    mut socket: S,
    mut published: UnboundedReceiver<M>,
    is_data: fn(&M) -> bool,
    publish: impl Fn(M),
    batched: bool,
) -> Ended
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    E: Error + Send + Sync + 'static,
{
    loop {
        tokio::select! {
            message = socket.next() => match message.transpose()? {
                Some(message) if is_data(&message) => publish(message),
                Some(_) => {}
                None => return Ok(()),
            },
            Some(message) = published.recv() => {
                socket.feed(message).await?;
                if batched {
                    while let Ok(message) = published.try_recv() {
                        socket.feed(message).await?;
                    }
                }
                socket.flush().await?;
            }
        }
    }
}
