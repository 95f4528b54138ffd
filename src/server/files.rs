//! Knows how a file is answered to a plain GET.
//! Does not know which paths have one.

use std::path::Path;

use crate::protocol::head::Refusal;

/// The answer with a file's content. The file is read anew each time, so that an edit shows.
pub async fn answer(path: &Path, head_only: bool) -> Vec<u8> {
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || std::fs::read(owned)).await;
    let content = match read {
        Ok(Ok(content)) => content,
        Ok(Err(error)) => {
            crate::log::warn!("cannot read {}: {error}", path.display());
            return Refusal::new(404, "the file of this path cannot be read").encode(head_only);
        }
        Err(_) => return Refusal::new(503, "the server is stopping").encode(head_only),
    };
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-cache\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        content_type(path),
        content.len()
    )
    .into_bytes();
    if !head_only {
        answer.extend_from_slice(&content);
    }
    answer
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
