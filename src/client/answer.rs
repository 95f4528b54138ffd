//! Knows how to read what a server or proxy says when it refuses.
//! Does not know why it refuses.

use std::time::Duration;

use crate::error::HttpAnswer;
use crate::protocol::head::Response;
use crate::transport::Stream;

/// What is read of a body at most.
const LONGEST: usize = 4096;

/// How long a body may take: an answer is not kept back for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// An answer with the beginning of its body, of which `bytes` have come already.
pub async fn read(stream: &Stream, response: Response, mut bytes: Vec<u8>) -> HttpAnswer {
    if response.has_body() {
        let body = read_on(stream, &response, &mut bytes);
        // What has come by then is shown.
        let _ = tokio::time::timeout(PATIENCE, body).await;
    }
    HttpAnswer {
        status: response.status,
        body: shown(&response.body(&bytes, LONGEST)),
        headers: response.headers.0,
    }
}

/// Reads until the body is whole, long enough, or at its end.
async fn read_on(stream: &Stream, response: &Response, bytes: &mut Vec<u8>) {
    // Chunks take more than what is in them, but not without a limit.
    while bytes.len() < 4 * LONGEST
        && !response.body_is_complete(bytes, LONGEST)
        && matches!(stream.read_onto(bytes).await, Ok(1..))
    {}
}

/// As text that can be logged and shown: a character that is cut at the end is left out.
fn shown(body: &[u8]) -> String {
    let mut text = String::new();
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        // Whoever cuts after 4 KiB may cut a character.
        if !chunk.invalid().is_empty() && !is_cut(body, chunk.invalid()) {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text.chars()
        .map(|c| match c {
            '\t' | '\n' | '\r' => c,
            _ if c.is_control() => char::REPLACEMENT_CHARACTER,
            _ => c,
        })
        .collect()
}

fn is_cut(body: &[u8], invalid: &[u8]) -> bool {
    body.len() == LONGEST && invalid.as_ptr_range().end == body.as_ptr_range().end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_shown_without_control_characters_and_half_characters() {
        assert_eq!(shown("näh\r\n\t.".as_bytes()), "näh\r\n\t.");
        assert_eq!(
            shown(b"a\0b\x1b[31mc\xff"),
            "a\u{fffd}b\u{fffd}[31mc\u{fffd}"
        );
        let mut long = vec![b'x'; LONGEST - 1];
        long.push("é".as_bytes()[0]);
        assert_eq!(shown(&long), "x".repeat(LONGEST - 1));
    }
}
