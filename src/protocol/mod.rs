//! Knows RFC 6455 as state machines: bytes in, messages and bytes out.
//! Does not know sockets, clocks, threads, JSON or refs; time is the caller's.

pub mod close;
pub mod deflate;
pub mod fields;
pub mod frame;
pub mod head;
pub mod login;
pub mod mask;
pub mod proxy;
pub mod proxy_header;
pub mod receiver;
pub mod redirect;
pub mod tunnel;
pub mod upgrade;
pub mod url;
pub mod utf8;

use std::fmt;

/// Which end of a connection we are: RFC 6455 § 5.1 masks what a client sends and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We accepted the connection.
    Server,
    /// We opened the connection.
    Client,
}

/// What a host may send: the opcodes of RFC 6455 § 5.2 that carry its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A text message; its payload is UTF-8.
    Text = 1,
    /// A binary message.
    Binary = 2,
    /// A ping, at most 125 bytes.
    Ping = 9,
    /// An unsolicited pong, at most 125 bytes.
    Pong = 10,
}

impl Kind {
    /// The kind of a number that crossed the ABI.
    pub fn from_code(code: i32) -> Option<Kind> {
        match code {
            1 => Some(Kind::Text),
            2 => Some(Kind::Binary),
            9 => Some(Kind::Ping),
            10 => Some(Kind::Pong),
            _ => None,
        }
    }

    /// Pings and pongs, which RFC 6455 § 5.5 keeps short and whole.
    pub fn is_control(self) -> bool {
        matches!(self, Kind::Ping | Kind::Pong)
    }
}

/// What a peer did that ends the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// A reserved bit without an extension that defines it (§ 5.2).
    ReservedBits(u8),
    /// An opcode that RFC 6455 does not define (§ 5.2).
    ReservedOpcode(u8),
    /// A client's frame came without a mask (§ 5.1).
    Unmasked,
    /// A server's frame came with a mask (§ 5.1).
    Masked,
    /// A control frame in fragments (§ 5.5).
    FragmentedControl,
    /// A control frame of more than 125 bytes (§ 5.5).
    LongControl(u64),
    /// A payload length with its highest bit set (§ 5.2).
    LengthOverflow,
    /// A payload length that is not in its shortest form (§ 5.2).
    LengthNotMinimal(u64),
    /// A continuation without a message to continue (§ 5.4).
    UnexpectedContinuation,
    /// A new message inside a fragmented one (§ 5.4).
    ExpectedContinuation,
    /// A close frame with a payload of one byte (§ 5.5.1).
    ShortClose,
    /// A close code that must not be on the wire (§ 7.4).
    InvalidCloseCode(u16),
    /// Text or a close reason that is not UTF-8 (§ 8.1).
    InvalidUtf8,
    /// Compressed data that cannot be inflated (RFC 7692 § 7.2.2).
    CorruptData,
    /// A message beyond the limit, by what its frames declare.
    MessageTooBig {
        /// Bytes declared so far.
        declared: u64,
        /// The limit.
        limit: u64,
    },
    /// A message in more frames than the limit.
    TooManyFragments(u32),
}

impl ProtocolError {
    /// The same of a message of which `before` bytes were there already.
    fn behind(self, before: u64) -> ProtocolError {
        match self {
            ProtocolError::MessageTooBig { declared, limit } => ProtocolError::MessageTooBig {
                declared: declared + before,
                limit: limit + before,
            },
            other => other,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtocolError::ReservedBits(bits) => {
                write!(f, "reserved bits {bits:#05b} without an extension")
            }
            ProtocolError::ReservedOpcode(code) => write!(f, "reserved opcode {code}"),
            ProtocolError::Unmasked => f.write_str("frame of a client without a mask"),
            ProtocolError::Masked => f.write_str("frame of a server with a mask"),
            ProtocolError::FragmentedControl => f.write_str("control frame in fragments"),
            ProtocolError::LongControl(length) => {
                write!(f, "control frame of {length} bytes, the limit is 125")
            }
            ProtocolError::LengthOverflow => f.write_str("payload length beyond 2^63-1"),
            ProtocolError::LengthNotMinimal(length) => {
                write!(f, "payload length {length} not in its shortest form")
            }
            ProtocolError::UnexpectedContinuation => {
                f.write_str("continuation without a message to continue")
            }
            ProtocolError::ExpectedContinuation => {
                f.write_str("new message inside a fragmented one")
            }
            ProtocolError::ShortClose => f.write_str("close frame with one byte"),
            ProtocolError::InvalidCloseCode(code) => write!(f, "close code {code} is not allowed"),
            ProtocolError::CorruptData => f.write_str("compressed data is corrupt"),
            ProtocolError::InvalidUtf8 => f.write_str("invalid UTF-8"),
            ProtocolError::MessageTooBig { declared, limit } => {
                write!(f, "message of {declared} bytes, the limit is {limit}")
            }
            ProtocolError::TooManyFragments(limit) => {
                write!(f, "message of more than {limit} fragments")
            }
        }
    }
}
