//! yawc above hyper, batched.

use futures_util::StreamExt;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, server::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use yawc::{CompressionLevel, OpCode, Options, WebSocket, WebSocketError};

use crate::{Ended, task};

pub async fn serve(stream: TcpStream) -> Ended {
    serve_with(stream, Options::default()).await
}

/// With the buffers of its own benchmark.
pub async fn serve_tuned(stream: TcpStream) -> Ended {
    let options = Options::default().with_read_buffer_capacity(128 << 10).with_backpressure_boundary(64 << 10);
    serve_with(stream, options).await
}

async fn serve_with(stream: TcpStream, mut options: Options) -> Ended {
    if let Some(deflate) = task::deflate() {
        let level = deflate.level.map_or(CompressionLevel::default(), CompressionLevel::new);
        options = options.with_compression_level(level);
        if !deflate.keeps_context {
            options = options.server_no_context_takeover().client_no_context_takeover();
        }
    }
    let upgrade = service_fn(|request| upgrade(request, options.clone().with_limits(16 << 20, 16 << 20)));
    http1::Builder::new().serve_connection(TokioIo::new(stream), upgrade).with_upgrades().await?;
    Ok(())
}

async fn upgrade(request: Request<Incoming>, options: Options) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, upgraded) = WebSocket::upgrade_with_options(request, options)?;
    tokio::spawn(async move {
        let socket = upgraded.await?.map(Ok::<_, WebSocketError>);
        crate::echo_batched(socket, |frame| matches!(frame.opcode(), OpCode::Text | OpCode::Binary)).await
    });
    Ok(response)
}
