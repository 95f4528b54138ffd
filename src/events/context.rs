//! Knows the JSON of an event's context.
//! Does not know who reads it.

use std::io::Write;

use data_encoding::BASE64;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{ErrorInfo, Event, OpenInfo, RefusedInfo, RequestInfo, TlsInfo};
use crate::error::{Receipt, Unsent};

#[derive(Serialize)]
struct Close<'a> {
    code: u16,
    reason: &'a str,
    remote: bool,
    unsent: Value,
}

/// What was not sent, and the receipts that do not come for it.
pub fn show_unsent(unsent: &Unsent) -> Value {
    let mut shown = json!({ "messages": unsent.messages, "bytes": unsent.bytes });
    if !unsent.unconfirmed.is_empty() {
        shown["unconfirmed"] = unsent.unconfirmed.iter().map(receipt).collect();
    }
    shown
}

fn receipt(receipt: &Receipt) -> Value {
    match receipt {
        Receipt::Number(number) => (*number).into(),
        Receipt::Text(text) => (**text).into(),
    }
}

#[derive(Serialize)]
struct Failure<'a> {
    reason: &'a str,
    http_status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    wait_time: u64,
    retries: u32,
    #[serde(rename = "decompressionError")]
    decompression_error: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    unsent: Option<Value>,
}

/// Appends the context of an event.
pub fn write(event: &Event<'_>, out: &mut Vec<u8>) {
    match *event {
        Event::Open(info) => put(&open(info), out),
        Event::Request(info) => put(&request(info), out),
        Event::Refused(info) => put(&refused(info), out),
        Event::Message { data, wire, kind } => write_data(
            data,
            kind == crate::protocol::Kind::Binary,
            wire,
            Some(data.len()),
            None,
            out,
        ),
        Event::Fragment {
            data,
            wire,
            kind,
            index,
        } => write_data(
            data,
            kind == crate::protocol::Kind::Binary,
            wire,
            Some(data.len()),
            Some(index),
            out,
        ),
        Event::Ping(data) | Event::Pong(data) => {
            let is_binary = simdutf8::basic::from_utf8(data).is_err();
            write_data(data, is_binary, data.len() as u64, None, None, out);
        }
        Event::Close {
            code,
            reason,
            remote,
            unsent,
        } => put(
            &Close {
                code,
                reason,
                remote,
                unsent: show_unsent(unsent),
            },
            out,
        ),
        Event::Error(info) => put(&failure(info), out),
        Event::Service | Event::Stopped => out.extend_from_slice(b"{}"),
        Event::Execute { procedure, params } => {
            out.extend_from_slice(b"{\"procedure\":");
            put(&procedure, out);
            // JSON already, as the API has checked.
            out.extend_from_slice(b",\"params\":");
            out.extend_from_slice(params.as_bytes());
            out.push(b'}');
        }
        Event::Sent(id) => put(&json!({ "confirm": receipt(id) }), out),
        Event::Drain { buffered } => {
            put(&json!({ "bufferedAmount": buffered }), out);
        }
    }
}

fn write_data(
    data: &[u8],
    binary: bool,
    wire_size: u64,
    payload_size: Option<usize>,
    index: Option<u32>,
    out: &mut Vec<u8>,
) {
    let _ = write!(out, "{{\"wireSize\":{wire_size}");
    if let Some(size) = payload_size {
        let _ = write!(out, ",\"payloadSize\":{size}");
    }
    let _ = write!(out, ",\"binary\":{binary},\"data\":");
    // A fragment of a text may end inside a character: then its bytes cannot be a JSON text.
    match simdutf8::basic::from_utf8(data) {
        Ok(text) if !binary => write_text(text, out),
        _ => {
            out.push(b'"');
            let start = out.len();
            out.resize(start + BASE64.encode_len(data.len()), 0);
            BASE64.encode_mut(data, &mut out[start..]);
            out.extend_from_slice(b"\",\"encoding\":\"base64\"");
        }
    }
    if let Some(index) = index {
        let _ = write!(out, ",\"index\":{index}");
    }
    out.push(b'}');
}

/// Appends a JSON text. serde_json looks at each byte by itself: six times the time where nothing is to be escaped.
fn write_text(text: &str, out: &mut Vec<u8>) {
    let is_special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    out.reserve(text.len() + 2);
    out.push(b'"');
    for block in text.as_bytes().chunks(64) {
        // Without an early end the compiler makes vector instructions of it.
        if !block
            .iter()
            .fold(false, |any, &byte| any | is_special(byte))
        {
            out.extend_from_slice(block);
            continue;
        }
        let mut rest = block;
        while let Some(at) = rest.iter().position(|&byte| is_special(byte)) {
            out.extend_from_slice(&rest[..at]);
            match rest[at] {
                byte @ (b'"' | b'\\') => out.extend([b'\\', byte]),
                b'\n' => out.extend(b"\\n"),
                b'\r' => out.extend(b"\\r"),
                b'\t' => out.extend(b"\\t"),
                8 => out.extend(b"\\b"),
                12 => out.extend(b"\\f"),
                control => {
                    let _ = write!(out, "\\u{control:04x}");
                }
            }
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
    }
    out.push(b'"');
}

fn failure(info: &ErrorInfo) -> Failure<'_> {
    Failure {
        reason: &info.reason,
        http_status: info.answer.as_ref().map_or(0, |answer| answer.status),
        headers: info
            .answer
            .as_ref()
            .map(|answer| headers_object(&answer.headers)),
        body: info.answer.as_ref().map(|answer| answer.body.as_str()),
        wait_time: info.wait_time,
        retries: info.retries,
        decompression_error: info.decompression_error,
        unsent: (!info.unsent.is_nothing()).then(|| show_unsent(&info.unsent)),
    }
}

/// Every header stands at the top, as the 4D plugin has it, and under `headers`; the library's own keys win.
fn open(info: &OpenInfo) -> Map<String, Value> {
    let headers = headers_object(&info.headers);
    let mut context = Map::new();
    context.insert("uri".into(), info.uri.as_str().into());
    for (name, value) in &headers {
        context.insert(name.clone(), value.clone());
    }
    context.insert("uri".into(), info.uri.as_str().into());
    if !info.url.is_empty() {
        context.insert("url".into(), info.url.as_str().into());
    }
    context.insert("headers".into(), headers.into());
    context.insert("protocol".into(), info.protocol.as_str().into());
    context.insert("extensions".into(), info.extensions.as_str().into());
    context.insert("remoteIp".into(), info.remote_ip.as_str().into());
    context.insert("remotePort".into(), info.remote_port.into());
    context.insert("tls".into(), tls_of(info.tls.as_ref(), info.tls_at_proxy));
    context
}

/// What was agreed in TLS, or false.
pub fn tls_value(info: Option<&TlsInfo>) -> Value {
    info.map_or(false.into(), |info| json!(info))
}

/// The same, or true where all that is known is that a trusted proxy says so.
pub fn tls_of(info: Option<&TlsInfo>, is_at_proxy: bool) -> Value {
    match is_at_proxy {
        true => true.into(),
        false => tls_value(info),
    }
}

fn request(info: &RequestInfo) -> Value {
    json!({
        "method": info.method,
        "uri": info.uri,
        "path": info.path,
        "query": info.query,
        "headers": headers_object(&info.headers),
        "cookies": cookies_object(&info.headers),
        "protocols": info.protocols,
        "remoteIp": info.remote_ip,
        "remotePort": info.remote_port,
        "tls": tls_of(info.tls.as_ref(), info.tls_at_proxy),
    })
}

fn refused(info: &RefusedInfo) -> Value {
    json!({
        "status": info.status,
        "rule": info.rule,
        "reason": info.reason,
        "method": info.method,
        "uri": info.uri,
        "origin": info.origin,
        "remoteIp": info.remote_ip,
        "remotePort": info.remote_port,
    })
}

/// Cookies as a JSON object, with their values as they came; of the same name the first one counts (RFC 6265 § 5.4 puts the most
/// specific first).
pub fn cookies_object(headers: &[(String, String)]) -> Map<String, Value> {
    let lines = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("Cookie"));
    let pairs = lines.flat_map(|(_, line)| line.split(';'));
    let mut cookies = Map::new();
    for (name, value) in pairs.filter_map(|pair| pair.split_once('=')) {
        let value = value.trim().trim_matches('"');
        cookies.entry(name.trim()).or_insert_with(|| value.into());
    }
    cookies
}

/// Headers as a JSON object; what came more than once is one list (RFC 9110 § 5.3; cookies: RFC 6265 § 5.4).
pub fn headers_object(headers: &[(String, String)]) -> Map<String, Value> {
    let mut object: Map<String, Value> = Map::new();
    for (name, value) in headers {
        let same = object
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        match same {
            Some((_, Value::String(list))) => {
                list.push_str(if name.eq_ignore_ascii_case("cookie") {
                    "; "
                } else {
                    ", "
                });
                list.push_str(value);
            }
            _ => {
                object.insert(name.clone(), value.as_str().into());
            }
        }
    }
    object
}

fn put(value: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value)
        .expect("writing to memory cannot fail, and every key is a text");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Kind;

    fn context(event: &Event<'_>) -> String {
        let mut out = Vec::new();
        write(event, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_text_and_binary_is_base64() {
        let text = Event::Message {
            kind: Kind::Text,
            data: b"a\0\"b",
            wire: 4,
        };
        assert_eq!(
            context(&text),
            r#"{"wireSize":4,"payloadSize":4,"binary":false,"data":"a\u0000\"b"}"#
        );
        let binary = Event::Message {
            kind: Kind::Binary,
            data: &[0, 255],
            wire: 2,
        };
        assert_eq!(
            context(&binary),
            r#"{"wireSize":2,"payloadSize":2,"binary":true,"data":"AP8=","encoding":"base64"}"#
        );
    }

    #[test]
    fn texts_are_those_of_serde_json() {
        let every_ascii: String = (0..128).map(char::from).collect();
        let long = "räksmörgås ".repeat(20);
        for text in ["", &every_ascii, &long, &(long.clone() + "\"\n" + &long)] {
            let mut out = Vec::new();
            write_text(text, &mut out);
            assert_eq!(out, serde_json::to_vec(text).unwrap());
        }
    }

    #[test]
    fn a_header_cannot_pose_as_one_of_our_keys() {
        let info = OpenInfo {
            uri: "/room?x=1".into(),
            headers: vec![
                ("remoteIp".into(), "1.2.3.4".into()),
                ("Cookie".into(), "a=1".into()),
                ("cookie".into(), "b=2".into()),
            ],
            remote_ip: "127.0.0.1".into(),
            ..OpenInfo::default()
        };
        let value: Value = serde_json::from_str(&context(&Event::Open(&info))).unwrap();
        assert_eq!(value["remoteIp"], "127.0.0.1");
        assert_eq!(value["headers"]["remoteIp"], "1.2.3.4");
        assert_eq!(value["Cookie"], "a=1; b=2");
    }
}
