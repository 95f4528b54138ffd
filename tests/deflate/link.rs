//! A connection between a host and a raw peer that has its own word in what is negotiated, in either role.
//! Does not compress anything.

use crate::adversary::{self, CLOSE, Frame, Heard, PING, PROMPTLY, Peer, listener, url};
use crate::host::{Event, Host, WATCHDOG};
use crate::{ask, begin};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What the library is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Side {
    Server,
    Client,
}

pub const SIDES: [Side; 2] = [Side::Server, Side::Client];

/// The offer of a peer that leaves everything to the server.
pub const OPEN_OFFER: &str = "permessage-deflate; client_max_window_bits";

pub struct Link {
    pub peer: Peer,
    pub client: i32,
    /// Of a server, else 0.
    pub server: i32,
    /// The library's Sec-WebSocket-Extensions: its answer or its offer. "" if there is none.
    pub said: String,
    /// The context of "open".
    pub open: Value,
    /// The reply of client_start.
    pub started: Value,
}

/// A host that gets every event, messages too, as JSON.
pub fn host() -> Host {
    let host = Host::spawn();
    ask!(host, "callbacks", "e").ok();
    ask!(host, "echo_method", "echo").ok();
    host
}

/// Adds the members of `more` to `base`.
pub fn with(mut base: Value, more: &Value) -> Value {
    let more = more.as_object().unwrap().clone();
    base.as_object_mut().unwrap().extend(more);
    base
}

/// `{"perMessageDeflate":{"enabled":true, …}}`
pub fn deflate(members: Value) -> Value {
    json!({"perMessageDeflate": with(json!({"enabled": true}), &members)})
}

/// A server that listens: its ref and its port.
pub fn serve(host: &Host, options: &Value) -> (i32, u16) {
    let options = with(json!({"port": 0, "closeTimeoutMs": 1000}), options);
    let server = ask!(host, "server_create", options).ok().reference;
    let started = ask!(host, "server_start", server, "{}").ok().body;
    (server, started["port"].as_u64().unwrap() as u16)
}

/// The library is `side`, with `options`; the peer offers or answers `header`, which may be "" for none.
pub fn connect(host: &Host, side: Side, options: &Value, header: &str) -> Link {
    match side {
        Side::Server => {
            let (server, port) = serve(host, options);
            join(host, server, port, &line(header))
        }
        Side::Client => answer(host, options, &line(header)),
    }
}

fn line(header: &str) -> String {
    match header {
        "" => String::new(),
        _ => format!("Sec-WebSocket-Extensions: {header}\r\n"),
    }
}

/// A raw client of `server` whose request has `lines` too.
pub fn join(host: &Host, server: i32, port: u16, lines: &str) -> Link {
    let mut peer = Peer::tcp(port);
    let from = peer.stream.local_addr().unwrap().port();
    peer.send_bytes(adversary::request(lines).as_bytes());
    let response = peer.response(PROMPTLY).expect("the server answers");
    assert_eq!(response.status, 101, "{lines}: {response:?}");
    let said = response
        .header("sec-websocket-extensions")
        .unwrap_or_default()
        .to_owned();
    let open = host.wait_for("open", WATCHDOG, |event| {
        event.is("open") && event.server() == server && *event.context("remotePort") == from
    });
    Link {
        peer,
        client: open.client(),
        server,
        said,
        open: open.0["context"].clone(),
        started: Value::Null,
    }
}

fn answer(host: &Host, options: &Value, lines: &str) -> Link {
    let (peer, client, said, starting) = ask_for(host, options);
    let peer = peer.answered(lines);
    let started = host.reply(&starting, WATCHDOG).ok().body;
    let open = host.event("open", client);
    Link {
        peer,
        client,
        server: 0,
        said,
        open: open.0["context"].clone(),
        started,
    }
}

/// A client whose request has come and is not answered: the peer, the ref, the offer, and the tag of its start.
pub fn ask_for(host: &Host, options: &Value) -> (Peer, i32, String, String) {
    let listener = listener();
    let options = with(
        json!({"url": url(&listener), "enableAutomaticReconnection": false, "closeTimeoutMs": 1000}),
        options,
    );
    let client = ask!(host, "client_create", options).ok().reference;
    let starting = begin!(host, "&client_start", client, "{}");
    let peer = Peer::accept_tcp(&listener);
    let said = peer.request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-extensions")
            .then(|| value.trim().to_owned())
    });
    (peer, client, said.unwrap_or_default(), starting)
}

/// The parameters of an offer or answer, in alphabetical order.
pub fn parameters(header: &str) -> Vec<&str> {
    let mut parts = header.split(';').map(str::trim);
    assert_eq!(parts.next(), Some("permessage-deflate"), "{header:?}");
    let mut parameters: Vec<_> = parts.collect();
    parameters.sort_unstable();
    parameters
}

impl Link {
    pub fn close_event(&self, host: &Host) -> Event {
        host.event("close", self.client)
    }

    pub fn send(&mut self, frame: &Frame) {
        self.peer.send(frame);
    }

    /// Sends a text from the host: its reply, and the frame that came of it.
    pub fn text_from_host(&mut self, host: &Host, text: &str) -> (Value, Frame) {
        let reply = ask!(host, "client_send", self.client, 1, format!("={text}"))
            .ok()
            .body;
        (reply, self.peer.frame())
    }

    /// The other side closes with `code` on the wire, and its host hears the same.
    pub fn is_closed_with(&mut self, host: &Host, what: &str, code: u16) {
        let (said, reason) = self.peer.close_frame(PROMPTLY);
        assert_eq!(said, code, "{what}: {reason}");
        assert!(!reason.is_empty(), "{what}: no reason");
        self.peer.send(&Frame::close(code, ""));
        assert!(self.peer.ends(PROMPTLY), "{what}: the connection goes on");
        let event = self.close_event(host);
        assert_eq!(
            (event.code(), event.reason()),
            (i64::from(code), &reason[..]),
            "{what}"
        );
        let later = host.take(|event| {
            event.client() == self.client && (event.is("message") || event.is("close"))
        });
        assert_eq!(later, [], "{what}");
    }
}

/// Reads frames until one that is neither ping nor pong, within the time given.
pub fn next_frame(peer: &mut Peer, within: Duration) -> Frame {
    let deadline = Instant::now() + within;
    loop {
        match peer.hear(deadline.saturating_duration_since(Instant::now())) {
            Heard::Frame(frame) if frame.opcode == PING => {}
            Heard::Frame(frame) => {
                assert_ne!(
                    frame.opcode,
                    CLOSE,
                    "{:?}",
                    String::from_utf8_lossy(&frame.payload)
                );
                return frame;
            }
            other => panic!("{other:?} instead of a frame"),
        }
    }
}

/// Bytes that nothing compresses, the same each time.
pub fn noise(length: usize, mut seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while bytes.len() < length {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        bytes.extend_from_slice(&seed.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The same as a text of 64 different characters.
pub fn noisy_text(length: usize, seed: u64) -> String {
    const SET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let noise = noise(length, seed);
    noise
        .iter()
        .map(|byte| SET[usize::from(byte & 63)] as char)
        .collect()
}

/// Records such as applications send.
pub fn records(length: usize) -> String {
    let mut text = String::new();
    for n in 0.. {
        if text.len() >= length {
            break;
        }
        let id = n * 7919 % 100_003;
        text += &format!(
            "{{\"id\":{id},\"name\":\"customer {}\",\"open\":{},\"sum\":{}.{:02}}},",
            id % 997,
            n % 3 == 0,
            id * 13 % 5000,
            n % 100
        );
    }
    text.truncate(length);
    text
}
