//! sockudo-ws, batched.

use std::sync::LazyLock;

use bytes::BytesMut;
use sockudo_ws::deflate::{DeflateConfig, negotiate_server_deflate};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::protocol::Message;
use sockudo_ws::pubsub::PubSub;
use sockudo_ws::{CompressedWebSocketStream, Config, WebSocketStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::{Ended, task};

pub async fn echo(mut stream: TcpStream) -> Ended {
    match upgrade(&mut stream).await? {
        Some(deflate) => {
            let socket = CompressedWebSocketStream::server(stream, Config::default(), deflate);
            crate::echo_batched(socket, is_data).await
        }
        None => crate::echo_batched(WebSocketStream::server(stream, Config::default()), is_data).await,
    }
}

/// With its own publish-subscribe.
pub async fn fan_out(mut stream: TcpStream) -> Ended {
    static TOPICS: LazyLock<PubSub> = LazyLock::new(PubSub::new);
    upgrade(&mut stream).await?;
    let socket = WebSocketStream::server(stream, Config::default());
    let (sender, published) = mpsc::unbounded_channel();
    let subscriber = TOPICS.create_subscriber(sender);
    TOPICS.subscribe(subscriber, "all");
    let publish = |message| {
        TOPICS.publish("all", message);
    };
    let ended = crate::fan_out(socket, published, is_data, publish, true).await;
    TOPICS.remove_subscriber(subscriber);
    ended
}

/// Answers the upgrade; what was agreed about compression.
async fn upgrade(stream: &mut TcpStream) -> Result<Option<DeflateConfig>, Box<dyn std::error::Error + Send + Sync>> {
    let policy = task::deflate().map(|deflate| DeflateConfig {
        compression_level: deflate.level.unwrap_or(DeflateConfig::default().compression_level),
        server_no_context_takeover: !deflate.keeps_context,
        client_no_context_takeover: !deflate.keeps_context,
        ..DeflateConfig::default()
    });
    let mut head = BytesMut::with_capacity(4096);
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err("closed during the upgrade".into());
        }
        let Some((request, _)) = parse_request(&head)? else { continue };
        let agreed =
            request.extensions.zip(policy).and_then(|(offers, policy)| negotiate_server_deflate(offers, &policy));
        let extension = agreed.as_ref().map(|agreed| agreed.to_response_header());
        let response = build_response(&generate_accept_key(request.key), None, extension.as_deref());
        stream.write_all(&response).await?;
        return Ok(agreed.map(|agreed| agreed.config));
    }
}

fn is_data(message: &Message) -> bool {
    matches!(message, Message::Text(_) | Message::Binary(_))
}
