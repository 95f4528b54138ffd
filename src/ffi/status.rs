//! Knows the constants of the header.
//! Does not know anything else.

use crate::error::Status;
use crate::log::Level;
use crate::protocol::Kind;

/// The version of this interface; wsplug_abi_version returns the library's.
pub const WSPLUG_ABI_VERSION: i32 = 1;

/// Done.
pub const WSPLUG_OK: i32 = 0;
/// Not done (yet), and nothing is wrong: nothing came in the time that was given, or a start goes on trying.
pub const WSPLUG_TIMEOUT: i32 = 1;
/// An argument is NULL, negative, not UTF-8 or none of the constants.
pub const WSPLUG_INVALID_ARGUMENT: i32 = -1;
/// The options are no JSON object, or one has the wrong type or is out of range.
pub const WSPLUG_INVALID_OPTIONS: i32 = -2;
/// There is no such server or connection, or no longer.
pub const WSPLUG_UNKNOWN_REF: i32 = -3;
/// The command does not fit the state that the object is in.
pub const WSPLUG_WRONG_STATE: i32 = -4;
/// What may wait has no room for it now; where that is a connection's send queue, the "drain" option tells when it
/// has.
pub const WSPLUG_QUEUE_FULL: i32 = -5;
/// A ping or pong of more than 125 bytes.
pub const WSPLUG_TOO_LARGE: i32 = -6;
/// The network or the peer refused.
pub const WSPLUG_NETWORK: i32 = -7;
/// The command would wait for the very callback that it is called from.
pub const WSPLUG_IN_CALLBACK: i32 = -8;
/// The process is a forked child; the library works in the parent only.
pub const WSPLUG_FORKED: i32 = -9;
/// The buffer is too small; the length that is needed was written.
pub const WSPLUG_BUFFER_TOO_SMALL: i32 = -10;
/// A fault of the library, or no memory to compress a message; it was logged.
pub const WSPLUG_INTERNAL: i32 = -99;

/// A text message (RFC 6455 opcode).
pub const WSPLUG_TEXT: i32 = 1;
/// A binary message.
pub const WSPLUG_BINARY: i32 = 2;
/// A ping, at most 125 bytes.
pub const WSPLUG_PING: i32 = 9;
/// A pong, at most 125 bytes.
pub const WSPLUG_PONG: i32 = 10;

/// Logs nothing.
pub const WSPLUG_LOG_OFF: i32 = 0;
/// Faults of the library.
pub const WSPLUG_LOG_ERROR: i32 = 1;
/// What somebody should look at.
pub const WSPLUG_LOG_WARN: i32 = 2;
/// What comes and goes.
pub const WSPLUG_LOG_INFO: i32 = 3;
/// For debugging.
pub const WSPLUG_LOG_DEBUG: i32 = 4;

const _: () = {
    assert!(WSPLUG_OK == Status::Ok as i32);
    assert!(WSPLUG_TIMEOUT == Status::Timeout as i32);
    assert!(WSPLUG_INVALID_ARGUMENT == Status::InvalidArgument as i32);
    assert!(WSPLUG_INVALID_OPTIONS == Status::InvalidOptions as i32);
    assert!(WSPLUG_UNKNOWN_REF == Status::UnknownRef as i32);
    assert!(WSPLUG_WRONG_STATE == Status::WrongState as i32);
    assert!(WSPLUG_QUEUE_FULL == Status::QueueFull as i32);
    assert!(WSPLUG_TOO_LARGE == Status::TooLarge as i32);
    assert!(WSPLUG_NETWORK == Status::Network as i32);
    assert!(WSPLUG_IN_CALLBACK == Status::InCallback as i32);
    assert!(WSPLUG_FORKED == Status::Forked as i32);
    assert!(WSPLUG_BUFFER_TOO_SMALL == Status::BufferTooSmall as i32);
    assert!(WSPLUG_INTERNAL == Status::Internal as i32);
    assert!(WSPLUG_TEXT == Kind::Text as i32);
    assert!(WSPLUG_BINARY == Kind::Binary as i32);
    assert!(WSPLUG_PING == Kind::Ping as i32);
    assert!(WSPLUG_PONG == Kind::Pong as i32);
    assert!(WSPLUG_LOG_ERROR == Level::Error as i32);
    assert!(WSPLUG_LOG_WARN == Level::Warn as i32);
    assert!(WSPLUG_LOG_INFO == Level::Info as i32);
    assert!(WSPLUG_LOG_DEBUG == Level::Debug as i32);
};
