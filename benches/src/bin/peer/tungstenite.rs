//! tokio-tungstenite, one send per message and batched.

use std::net::Ipv4Addr;
use std::sync::Mutex;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{accept_async, client_async};

use crate::{Ended, task};

pub async fn echo<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Ended {
    let mut socket = accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if is_data(&message) {
            socket.send(message).await?;
        }
    }
    Ok(())
}

pub async fn echo_batched<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Ended {
    crate::echo_batched(accept_async(stream).await?, is_data).await
}

pub async fn fan_out(stream: TcpStream) -> Ended {
    fan_out_with(stream, false).await
}

pub async fn fan_out_batched(stream: TcpStream) -> Ended {
    fan_out_with(stream, true).await
}

/// As in the library's chat example: a channel for each connection.
async fn fan_out_with(stream: TcpStream, batched: bool) -> Ended {
    static ALL: Mutex<Vec<UnboundedSender<Message>>> = Mutex::new(Vec::new());
    let all = || ALL.lock().expect("nobody panics with it");
    let socket = accept_async(stream).await?;
    let (sender, published) = mpsc::unbounded_channel();
    all().push(sender);
    let publish = |message: Message| all().retain(|sender| sender.send(message.clone()).is_ok());
    crate::fan_out(socket, published, is_data, publish, batched).await
}

/// A client that sends as fast as it can: a flush for each message, or when the buffer is full.
pub async fn send(batched: bool) -> Ended {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, task::number("PORT") as u16)).await?;
    stream.set_nodelay(true)?;
    let (mut socket, _) = client_async("ws://127.0.0.1/", stream).await?;
    let payload: Bytes = (0..task::number("SIZE")).map(|i| b' ' + (i % 95) as u8).collect::<Vec<_>>().into();
    loop {
        let message = Message::Binary(payload.clone());
        match batched {
            true => socket.feed(message).await?,
            false => socket.send(message).await?,
        }
    }
}

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}
