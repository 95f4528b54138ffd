//! sockudo-ws, batched.

use bytes::BytesMut;
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::protocol::Message;
use sockudo_ws::{Config, WebSocketStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Ended;

pub async fn echo(mut stream: TcpStream) -> Ended {
    let mut head = BytesMut::with_capacity(4096);
    let response = loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        if let Some((request, _)) = parse_request(&head)? {
            break build_response(&generate_accept_key(request.key), None, None);
        }
    };
    stream.write_all(&response).await?;
    drop(head);
    let socket = WebSocketStream::server(stream, Config::default());
    crate::echo_batched(socket, |message| matches!(message, Message::Text(_) | Message::Binary(_))).await
}
