//! tokio-tungstenite, one send per message and batched.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use crate::Ended;

pub async fn echo(stream: TcpStream) -> Ended {
    let mut socket = accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if is_data(&message) {
            socket.send(message).await?;
        }
    }
    Ok(())
}

pub async fn echo_batched(stream: TcpStream) -> Ended {
    crate::echo_batched(accept_async(stream).await?, is_data).await
}

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}
