//! Echo servers on the Rust WebSocket libraries, one thread each, as their documentation shows them.
//! The argument picks one; the first line of output is the port. Text and binary messages come back as they are.

mod fastwebsockets;
mod raw;
mod sockudo;
mod tokio_websockets;
mod tungstenite;
mod yawc;

use std::error::Error;
use std::future::Future;
use std::net::Ipv4Addr;

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::net::{TcpListener, TcpStream};

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let peer = std::env::args().nth(1).unwrap_or_default();
    runtime.block_on(async {
        match peer.as_str() {
            "tokio-raw" => serve(raw::echo).await,
            "tungstenite" => serve(tungstenite::echo).await,
            "tungstenite-batched" => serve(tungstenite::echo_batched).await,
            "fastwebsockets" => serve(fastwebsockets::serve).await,
            "yawc" => serve(yawc::serve).await,
            "yawc-tuned" => serve(yawc::serve_tuned).await,
            "sockudo" => serve(sockudo::echo).await,
            "tokio-websockets" => serve(tokio_websockets::echo).await,
            _ => Err(format!("no peer is called {peer:?}").into()),
        }
    })
}

async fn serve<F>(connection: fn(TcpStream) -> F) -> Ended
where
    F: Future<Output = Ended> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // How a connection ends is for the load generator to judge.
        tokio::spawn(async move { drop(connection(stream).await) });
    }
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
