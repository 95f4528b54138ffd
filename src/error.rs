//! Knows the statuses of the library and the error that every command may answer with.
//! Does not know what went wrong: the rooms say that in the message.

use std::fmt;
use std::sync::Arc;

/// What a command answers: 0 is done, positive is not a failure, negative failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// Nothing came within the time that was given; nothing is wrong.
    Timeout = 1,
    /// An argument is NULL, negative, not UTF-8 or no constant of the header.
    InvalidArgument = -1,
    /// The options are not one JSON object, or one of them has the wrong type or is out of range.
    InvalidOptions = -2,
    /// No such server or connection, or no longer.
    UnknownRef = -3,
    /// The object exists, but the command does not fit its state.
    WrongState = -4,
    /// The connection's send queue has no room for this message.
    QueueFull = -5,
    /// The message exceeds a limit.
    TooLarge = -6,
    /// The network or the peer refused.
    Network = -7,
    /// This command would wait for the callback that it was called from.
    InCallback = -8,
    /// The process is a forked child; the library lives in the parent.
    Forked = -9,
    /// The buffer is too small; the length that is needed was written.
    BufferTooSmall = -10,
    /// A fault of the library itself, which was logged.
    Internal = -99,
}

impl Status {
    const ALL: [Status; 13] = [
        Status::Ok,
        Status::Timeout,
        Status::InvalidArgument,
        Status::InvalidOptions,
        Status::UnknownRef,
        Status::WrongState,
        Status::QueueFull,
        Status::TooLarge,
        Status::Network,
        Status::InCallback,
        Status::Forked,
        Status::BufferTooSmall,
        Status::Internal,
    ];

    /// The status of a number that crossed the ABI.
    pub fn from_code(code: i32) -> Option<Status> {
        Status::ALL
            .into_iter()
            .find(|status| *status as i32 == code)
    }

    /// The name in replies, such as `invalid_options`.
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Timeout => "timeout",
            Status::InvalidArgument => "invalid_argument",
            Status::InvalidOptions => "invalid_options",
            Status::UnknownRef => "unknown_ref",
            Status::WrongState => "wrong_state",
            Status::QueueFull => "queue_full",
            Status::TooLarge => "too_large",
            Status::Network => "network",
            Status::InCallback => "in_callback",
            Status::Forked => "forked",
            Status::BufferTooSmall => "buffer_too_small",
            Status::Internal => "internal",
        }
    }
}

/// Why a command failed.
#[derive(Clone, Debug)]
pub struct Error {
    /// The status that the command returns.
    pub status: Status,
    /// One sentence for the developer: what was given, and what is allowed.
    pub message: String,
    /// The option that is wrong, where it is one.
    pub option: Option<String>,
    /// What a peer that refused has answered.
    pub answer: Option<Box<HttpAnswer>>,
    /// What was taken to be sent and will not be.
    pub unsent: Unsent,
}

/// The HTTP answer of a peer that refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Three digits.
    pub status: u16,
    /// In the order in which they came.
    pub headers: Vec<(String, String)>,
    /// How the body begins, as text without control characters.
    pub body: String,
}

/// What the host gives with a message, to be told once that has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// A number.
    Number(i64),
    /// A text.
    Text(Arc<str>),
}

/// Messages that were taken to be sent and were not handed to the system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsent {
    /// How many.
    pub messages: usize,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Of those for which there was to be a receipt, the receipts, in order.
    pub unconfirmed: Vec<Receipt>,
}

impl Unsent {
    /// Both together.
    pub fn and(mut self, other: Unsent) -> Unsent {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.unconfirmed.extend(other.unconfirmed);
        self
    }

    /// Whether there is nothing to tell.
    pub fn is_nothing(&self) -> bool {
        self.messages == 0 && self.unconfirmed.is_empty()
    }
}

/// The result of a command.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without an option.
    pub fn new(status: Status, message: impl Into<String>) -> Error {
        Error {
            status,
            message: message.into(),
            option: None,
            answer: None,
            unsent: Unsent::default(),
        }
    }

    /// An option that cannot be accepted.
    pub fn option(name: &str, message: impl Into<String>) -> Error {
        Error {
            option: Some(name.to_owned()),
            ..Error::new(Status::InvalidOptions, message)
        }
    }

    /// The network or the peer refused.
    pub fn network(message: impl Into<String>) -> Error {
        Error::new(Status::Network, message)
    }

    /// No such ref.
    pub fn unknown_ref(what: &str, reference: i32) -> Error {
        Error::new(
            Status::UnknownRef,
            format!("there is no {what} with the ref {reference}"),
        )
    }

    /// The object is in the wrong state for the command.
    pub fn wrong_state(message: impl Into<String>) -> Error {
        Error::new(Status::WrongState, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
