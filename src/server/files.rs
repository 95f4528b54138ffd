//! Knows how a file is answered to a plain GET.
//! Does not know which paths have one.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::log;
use crate::protocol::head::Refusal;
use crate::transport::Stream;

/// What is read at once, so that large files do not fill memory.
const PIECE: usize = 64 * 1024;

/// Answers with a file's content. It is read anew each time, so that an edit shows.
pub async fn answer(stream: &Stream, path: &Path, head_only: bool) -> io::Result<()> {
    let owned = path.to_owned();
    let opened = blocking(move || {
        let file = File::open(owned)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    });
    let (mut file, length) = match opened.await {
        Ok(opened) => opened,
        Err(error) => {
            log::warn!("cannot read {}: {error}", path.display());
            let refusal = Refusal::new(404, "the file of this path cannot be read");
            return stream.write_all(&refusal.encode(head_only)).await;
        }
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {length}\r\n\
         Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        content_type(path),
    );
    stream.write_all(head.as_bytes()).await?;
    let mut missing = if head_only { 0 } else { length };
    let mut piece = vec![0; PIECE];
    while missing > 0 {
        let wanted = missing.min(PIECE as u64) as usize;
        let read;
        (file, piece, read) = blocking(move || {
            let read = file.read(&mut piece[..wanted])?;
            Ok((file, piece, read))
        })
        .await?;
        if read == 0 {
            // It has become shorter: the client must not take it for whole.
            stream.reset_on_drop();
            break;
        }
        stream.write_all(&piece[..read]).await?;
        missing -= read as u64;
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn content_type(path: &Path) -> &'static str {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("ico") => "image/x-icon",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}
