//! Knows how the PROXY protocol's header is read off a socket: to the byte, and within its own time.
//! Does not know whom to believe.

use std::time::Duration;

use crate::protocol::proxy_header::{
    MAX_LINE, Origin, SIGNATURE, length, parse_binary, parse_line,
};
use crate::transport::Stream;

/// A proxy sends it at once.
const PATIENCE: Duration = Duration::from_secs(3);

/// Reads the header, and nothing of what follows it.
pub async fn read(stream: &Stream) -> Result<Origin, String> {
    match tokio::time::timeout(PATIENCE, header(stream)).await {
        Ok(origin) => origin,
        Err(_) => Err(format!("it took longer than {} s", PATIENCE.as_secs())),
    }
}

async fn header(stream: &Stream) -> Result<Origin, String> {
    // No line of version 1 is shorter than this.
    let mut head = [0; 16];
    exactly(stream, &mut head[..12]).await?;
    if head.starts_with(SIGNATURE) {
        exactly(stream, &mut head[12..]).await?;
        let mut rest = vec![0; length(&head)?];
        exactly(stream, &mut rest).await?;
        return parse_binary(&head, &rest);
    }
    let mut line = head[..12].to_vec();
    if !line.starts_with(b"PROXY ") {
        return Err("it does not begin with PROXY".into());
    }
    while !line.ends_with(b"\r\n") {
        if line.len() >= MAX_LINE {
            return Err(format!("its line is longer than {MAX_LINE} bytes"));
        }
        let mut next = [0];
        exactly(stream, &mut next).await?;
        line.extend_from_slice(&next);
    }
    parse_line(&line)
}

async fn exactly(stream: &Stream, buffer: &mut [u8]) -> Result<(), String> {
    match stream.read_exactly(buffer).await {
        Ok(()) => Ok(()),
        Err(error) => Err(format!("it is not whole: {error}")),
    }
}
