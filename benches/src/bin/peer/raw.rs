//! A TCP echo on tokio: what the runtime costs without WebSocket. Counts like servers/raw.c.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::Ended;

const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

pub async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> Ended {
    let mut head = [0; 1024];
    let length = stream.read(&mut head).await?;
    let head = std::str::from_utf8(&head[..length])?;
    let mut sizes = head.split(['/', ' ']).skip(2).map(str::parse::<usize>);
    let (Some(Ok(sent)), Some(Ok(returned))) = (sizes.next(), sizes.next()) else {
        return Err("the path is not /sent/returned".into());
    };
    stream.write_all(UPGRADED).await?;
    stream.flush().await?;

    let mut buffer = vec![0; (sent * 2).clamp(512 * 1024, 4 * 1024 * 1024)];
    let mut partial = 0;
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        let total = partial + length;
        let before = partial.min(returned);
        partial = total % sent;
        stream.write_all(&buffer[..total / sent * returned + partial.min(returned) - before]).await?;
        stream.flush().await?;
    }
}
