//! Knows what can happen to a server or connection, how it waits for the host, and how it reaches the host.
//! Does not know sockets or C.

mod context;
mod credit;
mod gate;
mod hub;
mod payloads;
mod pool;
mod queue;
mod receive;
mod retire;
mod source;
mod values;
mod wakeup;

use std::ffi::CStr;
use std::ffi::CString;

pub use context::{
    cookies_object, headers_object, show_unsent, tls_of, tls_value, write as write_context,
};
pub use credit::{CreditLimits, Ticket};
pub use hub::{Handler, Hub, begin_turns, end_turns, hub};
pub use pool::THREADS as POOL_THREADS;
pub use queue::{Ended, Pulled};
pub use retire::{retire, retire_all};
pub use source::{Channel, Delivery, Source};
pub use values::Values;
pub use wakeup::{Call, Wakeup};

pub use crate::platform::{Flag, Window};

use crate::error::HttpAnswer;
use crate::error::{Receipt, Unsent};
use crate::protocol::Kind;

/// How a server's or client's events reach the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// One thread of the library calls back.
    Thread,
    /// The connection's network thread calls back.
    Inline,
    /// Threads of a pool call back: in parallel, but one context's events one after the other.
    PerConnection,
    /// Callbacks run inside `pump`.
    Pump,
    /// No callback runs, even where there is one: events wait to be pulled.
    Pull,
}

/// What a look for a message found.
pub enum Received {
    /// This one, which is taken out.
    Message(Pulled),
    /// One that is too long, which stays.
    TooLong {
        /// Text or binary.
        kind: Kind,
        /// Its bytes.
        length: usize,
    },
    /// None within the time.
    Nothing,
    /// None, and none can come.
    Over,
    /// They go to a callback.
    Called,
}

/// What the host attached to a server or client: every event carries the one that was in force when it happened.
#[derive(Clone, Debug, Default)]
pub struct Tag {
    /// Picks the callbacks of `set_method`; empty: those of `set_callbacks`.
    pub method: CString,
    /// Handed back with each event.
    pub worker: CString,
    /// Handed back with each event.
    pub window: i32,
    /// Handed back with each event.
    pub process: i32,
    /// None: as the library's default says.
    pub dispatch: Option<Dispatch>,
    /// Of those in a pool: always on the same thread. None: as the library's default says.
    pub affinity: Option<bool>,
}

impl Tag {
    /// Whether events of both are called back for alike.
    fn goes_as(&self, other: &Tag) -> bool {
        (self.dispatch, self.affinity) == (other.dispatch, other.affinity)
    }

    /// The same, called back for as the other is.
    fn dispatched_as(&self, other: &Tag) -> Tag {
        Tag {
            dispatch: other.dispatch,
            affinity: other.affinity,
            ..self.clone()
        }
    }
}

/// What a handshake brought.
#[derive(Clone, Debug, Default)]
pub struct OpenInfo {
    /// The request's target: path and query.
    pub uri: String,
    /// Of our own clients: the url, where redirects led, without user and password.
    pub url: String,
    /// The peer's headers, in order.
    pub headers: Vec<(String, String)>,
    /// The sub-protocol that was agreed, or "".
    pub protocol: String,
    /// The extensions that were agreed, or "".
    pub extensions: String,
    /// The peer's address.
    pub remote_ip: String,
    /// The peer's port.
    pub remote_port: u16,
    /// What was agreed in TLS; none without.
    pub tls: Option<TlsInfo>,
    /// The peer speaks TLS, as a trusted proxy says.
    pub tls_at_proxy: bool,
}

/// What was agreed with the peer in TLS.
#[derive(Clone, Debug, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsInfo {
    /// "1.2" or "1.3".
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// The protocol inside, or "".
    pub alpn: String,
    /// Whether the peer's certificate was verified.
    pub verified: bool,
    /// Whether an earlier connection was resumed, without a new proof of who the peer is.
    pub resumed: bool,
    /// The subject of the peer's certificate, or "".
    pub peer_subject: String,
    /// SHA-256 of the peer's certificate in hexadecimal, or "".
    pub peer_fingerprint: String,
}

/// A client that asks to be let in.
#[derive(Clone, Debug, Default)]
pub struct RequestInfo {
    /// The request's method.
    pub method: String,
    /// The request's target: path and query.
    pub uri: String,
    /// The path, as it came.
    pub path: String,
    /// What follows the `?`, or "".
    pub query: String,
    /// The client's headers, in order.
    pub headers: Vec<(String, String)>,
    /// The sub-protocols that it offers, its favourite first.
    pub protocols: Vec<String>,
    /// The client's address.
    pub remote_ip: String,
    /// The client's port.
    pub remote_port: u16,
    /// What was agreed in TLS; none without.
    pub tls: Option<TlsInfo>,
    /// The peer speaks TLS, as a trusted proxy says.
    pub tls_at_proxy: bool,
}

impl RequestInfo {
    /// What it has in common with a connection.
    pub fn about(&self) -> OpenInfo {
        OpenInfo {
            uri: self.uri.clone(),
            headers: self.headers.clone(),
            remote_ip: self.remote_ip.clone(),
            remote_port: self.remote_port,
            tls: self.tls.clone(),
            tls_at_proxy: self.tls_at_proxy,
            ..OpenInfo::default()
        }
    }
}

/// A request that was not let in.
#[derive(Clone, Debug, Default)]
pub struct RefusedInfo {
    /// The HTTP status that the client was told, 0 if it left before.
    pub status: u16,
    /// In words.
    pub reason: String,
    /// Which check refused, in a word.
    pub rule: &'static str,
    /// The request's method, "" if it was none.
    pub method: String,
    /// The request's target, "" if it was none.
    pub uri: String,
    /// The page's origin, or "".
    pub origin: String,
    /// The client's address.
    pub remote_ip: String,
    /// The client's port.
    pub remote_port: u16,
}

/// Why something failed that was not asked for in this very moment.
#[derive(Debug, Default, Clone)]
pub struct ErrorInfo {
    /// In words.
    pub reason: String,
    /// What the peer has answered, if it did.
    pub answer: Option<Box<HttpAnswer>>,
    /// Milliseconds until the next try, 0 if there is none.
    pub wait_time: u64,
    /// Tries that have failed so far.
    pub retries: u32,
    /// Compressed data was corrupt.
    pub decompression_error: bool,
    /// What was not sent and will not be.
    pub unsent: Unsent,
}

/// One event, with its payload where it is.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The connection is open.
    Open(&'a OpenInfo),
    /// A client asks to be let in, and waits for the host's answer.
    Request(&'a RequestInfo),
    /// A client was not let in.
    Refused(&'a RefusedInfo),
    /// A whole message.
    Message {
        /// Text or binary.
        kind: Kind,
        /// The payload.
        data: &'a [u8],
        /// Payload bytes on the wire.
        wire: u64,
    },
    /// A frame of a message in fragments, but for the last.
    Fragment {
        /// Text or binary.
        kind: Kind,
        /// The frame's payload.
        data: &'a [u8],
        /// 0 for the first frame.
        index: u32,
        /// Payload bytes on the wire.
        wire: u64,
    },
    /// A ping came; it was answered unless `enablePong` is off.
    Ping(&'a [u8]),
    /// A pong came.
    Pong(&'a [u8]),
    /// The connection has ended.
    Close {
        /// The code of RFC 6455 § 7.4.
        code: u16,
        /// The reason.
        reason: &'a str,
        /// The peer closed.
        remote: bool,
        /// What was not sent any more.
        unsent: &'a Unsent,
    },
    /// Something failed.
    Error(&'a ErrorInfo),
    /// The time of the server's service has come.
    Service,
    /// The last event of a server that was stopped.
    Stopped,
    /// The host asked for a procedure in this context.
    Execute {
        /// Its name.
        procedure: &'a str,
        /// What it is given, as JSON.
        params: &'a str,
    },
    /// The system has taken the whole of a message for which there was to be a receipt.
    Sent(&'a Receipt),
    /// After a send that found the queue full, there is room again.
    Drain {
        /// Bytes that still wait.
        buffered: usize,
    },
}

impl Event<'_> {
    /// The type's name for the host.
    pub fn type_name(&self) -> &'static CStr {
        match self {
            Event::Open(_) => c"open",
            Event::Request(_) => c"request",
            Event::Refused(_) => c"refused",
            Event::Message { .. } => c"message",
            Event::Fragment { .. } => c"fragment",
            Event::Ping(_) => c"ping",
            Event::Pong(_) => c"pong",
            Event::Close { .. } => c"close",
            Event::Error(_) => c"error",
            Event::Service => c"service",
            Event::Stopped => c"stopped",
            Event::Execute { .. } => c"execute",
            Event::Sent(_) => c"sent",
            Event::Drain { .. } => c"drain",
        }
    }

    /// The opcode that brought it, or 0.
    pub fn kind(&self) -> i32 {
        match self {
            Event::Message { kind, .. } | Event::Fragment { kind, .. } => *kind as i32,
            Event::Ping(_) => Kind::Ping as i32,
            Event::Pong(_) => Kind::Pong as i32,
            _ => 0,
        }
    }

    /// The payload, of those that carry one.
    pub fn data(&self) -> Option<&[u8]> {
        match self {
            Event::Message { data, .. } | Event::Fragment { data, .. } => Some(data),
            Event::Ping(data) | Event::Pong(data) => Some(data),
            _ => None,
        }
    }
}
