//! Knows how an open file is answered: the conditions and ranges of RFC 9110, and its bytes as they are taken.
//! Does not know which file is meant.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use headers::{
    AcceptRanges, ContentRange, ETag, HeaderMapExt, IfMatch, IfModifiedSince, IfNoneMatch, IfRange,
    IfUnmodifiedSince, LastModified,
};
use hyper::body::{Bytes, Frame, SizeHint};
use hyper::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, IF_RANGE, RANGE,
};
use hyper::{Response, StatusCode};
use tokio::task::{JoinHandle, spawn_blocking};

/// What is read at once, so that large files do not fill memory.
const PIECE: u64 = 64 * 1024;
/// A file that has been written so lately may be written again within the same tick of its clock.
const FRESH: Duration = Duration::from_secs(2);
/// From 1970 to the first year that has five digits.
const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);

/// The content of an answer.
pub enum Content {
    Text(Bytes),
    File(Part),
}

/// What is left to be sent of a file.
pub struct Part {
    file: Arc<File>,
    at: u64,
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

/// The answer to a GET or, with `head_only`, a HEAD for this file.
pub fn answer(
    asked: &HeaderMap,
    head_only: bool,
    file: File,
    length: u64,
    modified: Option<SystemTime>,
    path: &Path,
) -> Response<Content> {
    // Others cannot be written as HTTP has dates (RFC 9110 § 5.6.7): before 1970, and with five digits for the year.
    let modified = modified.filter(|modified| {
        let since = modified.duration_since(SystemTime::UNIX_EPOCH);
        since.is_ok_and(|since| since < YEAR_10000)
    });
    let etag = modified.and_then(|modified| tag(modified, length));
    let mut answer = Response::new(Content::Text(Bytes::new()));
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.extend_typed(etag.clone());
    headers.extend_typed(modified.map(LastModified::from));
    if let Some(status) = precondition(asked, etag.as_ref(), modified) {
        *answer.status_mut() = status;
        return answer;
    }
    headers.typed_insert(AcceptRanges::bytes());
    headers.insert(
        "X-Content-Type-Options",
        HeaderValue::from_static("nosniff"),
    );
    let wants_range = !head_only && is_same(asked, etag.as_ref(), modified);
    let range = asked.get(RANGE).filter(|_| wants_range);
    let (at, left) = match range.map_or(Wanted::Whole, |range| wanted(range, length)) {
        Wanted::Whole => (0, length),
        Wanted::Range { first, last } => {
            headers.extend_typed(ContentRange::bytes(first..=last, length).ok());
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            (first, last - first + 1)
        }
        Wanted::Nothing => {
            headers.typed_insert(ContentRange::unsatisfied_bytes(length));
            *answer.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return answer;
        }
    };
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, content_type(path));
    // Also for HEAD, where there is no content to count.
    headers.insert(CONTENT_LENGTH, left.into());
    if !head_only {
        *answer.body_mut() = Content::File(Part {
            file: Arc::new(file),
            at,
            left,
            reading: None,
        });
    }
    answer
}

trait Extend {
    fn extend_typed<H: headers::Header>(&mut self, header: Option<H>);
}

impl Extend for HeaderMap {
    fn extend_typed<H: headers::Header>(&mut self, header: Option<H>) {
        if let Some(header) = header {
            self.typed_insert(header);
        }
    }
}

/// Other bytes have another one; only a weak one where that is not sure.
fn tag(modified: SystemTime, length: u64) -> Option<ETag> {
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let weak = if is_fresh(modified) { "W/" } else { "" };
    format!("{weak}\"{:x}-{length:x}\"", since.as_nanos())
        .parse()
        .ok()
}

fn is_fresh(modified: SystemTime) -> bool {
    modified.elapsed().is_ok_and(|age| age < FRESH)
}

/// Whether what the client has a part of is what is here. RFC 9110 § 13.1.5: a date must be the very one, and sure.
fn is_same(asked: &HeaderMap, etag: Option<&ETag>, modified: Option<SystemTime>) -> bool {
    if !asked.contains_key(IF_RANGE) {
        return true;
    }
    let sure = modified.filter(|modified| !is_fresh(*modified));
    asked.typed_get::<IfRange>().is_some_and(|condition| {
        sure.map(IfRange::date).as_ref() == Some(&condition) || !condition.is_modified(etag, None)
    })
}

/// The answer where a condition does not hold (RFC 9110 § 13.2.2).
fn precondition(
    asked: &HeaderMap,
    etag: Option<&ETag>,
    modified: Option<SystemTime>,
) -> Option<StatusCode> {
    let holds = match asked.typed_get::<IfMatch>() {
        Some(condition) => etag.is_some_and(|etag| condition.precondition_passes(etag)),
        None => match (asked.typed_get::<IfUnmodifiedSince>(), modified) {
            (Some(condition), Some(modified)) => condition.precondition_passes(modified),
            _ => true,
        },
    };
    if !holds {
        return Some(StatusCode::PRECONDITION_FAILED);
    }
    let is_new = match asked.typed_get::<IfNoneMatch>() {
        Some(condition) => etag.is_none_or(|etag| condition.precondition_passes(etag)),
        None => match (asked.typed_get::<IfModifiedSince>(), modified) {
            (Some(condition), Some(modified)) => condition.is_modified(modified),
            _ => true,
        },
    };
    (!is_new).then_some(StatusCode::NOT_MODIFIED)
}

#[derive(Debug, PartialEq)]
enum Wanted {
    Whole,
    Range { first: u64, last: u64 },
    Nothing,
}

/// What a Range asks for. RFC 9110 § 14.2: what is malformed, of another unit or too much effort may be ignored; more than
/// one range is.
fn wanted(range: &HeaderValue, length: u64) -> Wanted {
    let spec = range.to_str().ok().and_then(|text| {
        let (unit, spec) = text.split_once('=')?;
        unit.eq_ignore_ascii_case("bytes").then(|| spec.trim())
    });
    let Some((first, last)) = spec.and_then(|spec| spec.split_once('-')) else {
        return Wanted::Whole;
    };
    let number = |text: &str| -> Option<Option<u64>> {
        match text {
            "" => Some(None),
            _ if text.len() > 20 || !text.bytes().all(|byte| byte.is_ascii_digit()) => None,
            // What is too large for us is beyond every file.
            _ => Some(Some(text.parse().unwrap_or(u64::MAX))),
        }
    };
    match (number(first), number(last)) {
        (Some(Some(first)), Some(last)) if last.is_none_or(|last| first <= last) => {
            match first < length {
                true => Wanted::Range {
                    first,
                    last: last.map_or(length - 1, |last| last.min(length - 1)),
                },
                false => Wanted::Nothing,
            }
        }
        (Some(None), Some(Some(count))) => match count.min(length) {
            0 => Wanted::Nothing,
            count => Wanted::Range {
                first: length - count,
                last: length - 1,
            },
        },
        _ => Wanted::Whole,
    }
}

fn content_type(path: &Path) -> HeaderValue {
    let name = mime_guess::from_path(path)
        .first_raw()
        .unwrap_or("application/octet-stream");
    // RFC 9239 § 6: the other names for it are obsolete.
    let name = name.replace("application/javascript", "text/javascript");
    match name.starts_with("text/") {
        true => HeaderValue::try_from(format!("{name}; charset=utf-8")),
        false => HeaderValue::try_from(name),
    }
    .expect("the name of a type is ASCII")
}

impl hyper::body::Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = match self.get_mut() {
            Content::Text(text) if text.is_empty() => None,
            Content::Text(text) => Some(Ok(std::mem::take(text))),
            Content::File(part) if part.left == 0 => None,
            Content::File(part) => Some(ready!(part.poll_piece(context))),
        };
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

impl Content {
    fn left(&self) -> u64 {
        match self {
            Content::Text(text) => text.len() as u64,
            Content::File(part) => part.left,
        }
    }
}

impl Part {
    /// Reads on another thread: a disk may take its time. Fails where the file has become shorter meanwhile.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let reading = self.reading.get_or_insert_with(|| {
            let (mut file, at, count) = (self.file.clone(), self.at, self.left.min(PIECE));
            spawn_blocking(move || {
                let mut piece = vec![0; count as usize];
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(&mut piece)?;
                Ok(piece.into())
            })
        });
        let piece = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let piece: Bytes = piece.map_err(io::Error::other)??;
        self.at += piece.len() as u64;
        self.left -= piece.len() as u64;
        Poll::Ready(Ok(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_range_is_cut_out_and_what_is_not_one_is_ignored() {
        let range = |first, last| Wanted::Range { first, last };
        for (text, length, expected) in [
            ("bytes=0-4", 10, range(0, 4)),
            ("bytes=5-", 10, range(5, 9)),
            ("bytes=-3", 10, range(7, 9)),
            ("bytes=-30", 10, range(0, 9)),
            ("bytes=9-99", 10, range(9, 9)),
            ("BYTES= 0-0 ", 10, range(0, 0)),
            ("bytes=0-18446744073709551615", 10, range(0, 9)),
            ("bytes=0-99999999999999999999", 10, range(0, 9)),
            ("bytes=10-", 10, Wanted::Nothing),
            ("bytes=18446744073709551615-", 10, Wanted::Nothing),
            ("bytes=-0", 10, Wanted::Nothing),
            ("bytes=0-", 0, Wanted::Nothing),
            ("bytes=-1", 0, Wanted::Nothing),
            ("bytes=4-3", 10, Wanted::Whole),
            ("bytes=0-1,3-4", 10, Wanted::Whole),
            ("bytes=-", 10, Wanted::Whole),
            ("bytes=", 10, Wanted::Whole),
            ("bytes=--1", 10, Wanted::Whole),
            ("bytes=+1-2", 10, Wanted::Whole),
            ("bytes=a-b", 10, Wanted::Whole),
            ("lines=0-4", 10, Wanted::Whole),
            ("0-4", 10, Wanted::Whole),
        ] {
            let value = HeaderValue::from_static(text);
            assert_eq!(wanted(&value, length), expected, "{text} of {length}");
        }
    }

    #[test]
    fn types_follow_the_names() {
        for (name, expected) in [
            ("a.html", "text/html; charset=utf-8"),
            ("a.HTM", "text/html; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.wasm", "application/wasm"),
            ("a.woff2", "font/woff2"),
            ("a.webp", "image/webp"),
            ("a.ico", "image/x-icon"),
            ("a.md", "text/markdown; charset=utf-8"),
            ("a", "application/octet-stream"),
            ("a.unheard", "application/octet-stream"),
        ] {
            assert_eq!(content_type(Path::new(name)), expected, "{name}");
        }
    }
}
