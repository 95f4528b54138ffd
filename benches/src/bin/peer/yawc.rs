//! yawc above hyper, batched.

use futures_util::StreamExt;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, server::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use yawc::{OpCode, Options, WebSocket, WebSocketError};

use crate::Ended;

pub async fn serve(stream: TcpStream) -> Ended {
    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(upgrade)).with_upgrades().await?;
    Ok(())
}

async fn upgrade(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let options = Options::default().with_limits(16 << 20, 16 << 20);
    let (response, upgraded) = WebSocket::upgrade_with_options(request, options)?;
    tokio::spawn(async move {
        let socket = upgraded.await?.map(Ok::<_, WebSocketError>);
        crate::echo_batched(socket, |frame| matches!(frame.opcode(), OpCode::Text | OpCode::Binary)).await
    });
    Ok(response)
}
