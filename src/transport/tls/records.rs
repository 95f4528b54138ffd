//! Knows how rustls' sessions turn records into bytes and back, in the caller's buffers.
//! Does not know the stream below.

use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{CommonState, Error};

/// Plaintext of one record at most (RFC 8446 § 5.1).
pub const RECORD: usize = 16 * 1024;
/// What a record may be longer than that: with its header (RFC 5246 § 6.2.3).
pub const MOST_OVERHEAD: usize = 5 + 2048;
/// What may wait for the end of a handshake message: that is at most 64 KiB long, and each of its records 22 bytes longer.
pub const MOST_KEPT: usize = 128 * 1024;
/// What ours are longer: header, explicit nonce or content type, tag.
const OVERHEAD: usize = 5 + 8 + 16;

/// One end of a TLS connection, without its buffers.
pub enum Session {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// Where a session stands after it was given bytes.
pub struct Step {
    /// Bytes that it has taken.
    pub taken: usize,
    /// Why it can go no further. The alert that tells the peer is among the bytes to send.
    pub error: Option<Error>,
    /// The peer has said that nothing more comes.
    pub is_ended: bool,
}

impl Session {
    pub fn client(
        config: Arc<rustls::ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Session, Error> {
        UnbufferedClientConnection::new(config, name).map(Session::Client)
    }

    pub fn server(config: Arc<rustls::ServerConfig>) -> Result<Session, Error> {
        UnbufferedServerConnection::new(config).map(Session::Server)
    }

    /// What was agreed.
    pub fn state(&self) -> &CommonState {
        match self {
            Session::Client(connection) => connection,
            Session::Server(connection) => connection,
        }
    }

    /// Takes whole records out of `incoming`, decrypting them in place. Their content goes to `sink`; what rustls itself
    /// has to tell the peer is appended to `outgoing`.
    pub fn advance(
        &mut self,
        incoming: &mut [u8],
        outgoing: &mut Outgoing,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Step {
        match self {
            Session::Client(connection) => advance(connection, incoming, outgoing, sink),
            Session::Server(connection) => advance(connection, incoming, outgoing, sink),
        }
    }

    /// Encrypts at most a record's worth onto `outgoing`. `incoming` is what the last `advance` did not take: rustls knows
    /// places in it.
    pub fn encrypt(
        &mut self,
        plain: &[u8],
        incoming: &mut [u8],
        outgoing: &mut Outgoing,
    ) -> Result<(), Error> {
        match self {
            Session::Client(connection) => write(connection, Some(plain), incoming, outgoing),
            Session::Server(connection) => write(connection, Some(plain), incoming, outgoing),
        }
    }

    /// Says on `outgoing` that nothing more comes. `incoming` as in `encrypt`.
    pub fn end(&mut self, incoming: &mut [u8], outgoing: &mut Outgoing) -> Result<(), Error> {
        match self {
            Session::Client(connection) => write(connection, None, incoming, outgoing),
            Session::Server(connection) => write(connection, None, incoming, outgoing),
        }
    }
}

/// What both ends can do, under one name.
trait Process {
    type Data;
    /// Whether rustls itself has something to tell the peer.
    fn has_words(&self) -> bool;
    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Process for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    fn has_words(&self) -> bool {
        self.wants_write()
    }
    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ClientConnectionData> {
        self.process_tls_records(incoming)
    }
}

impl Process for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    fn has_words(&self) -> bool {
        self.wants_write()
    }
    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ServerConnectionData> {
        self.process_tls_records(incoming)
    }
}

fn advance<C: Process>(
    connection: &mut C,
    incoming: &mut [u8],
    outgoing: &mut Outgoing,
    sink: &mut dyn FnMut(&[u8]),
) -> Step {
    let mut step = Step {
        taken: 0,
        error: None,
        is_ended: false,
    };
    loop {
        // After an error the bytes are the same again: rustls remembers how far it has come in them.
        let status = connection.process(&mut incoming[step.taken..]);
        let mut discard = status.discard;
        let mut is_waiting = false;
        match status.state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    match record {
                        Ok(record) => {
                            sink(record.payload);
                            discard += record.discard;
                        }
                        Err(error) => step.error = Some(error),
                    }
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                outgoing.append(0, |room| match data.encode(room) {
                    Ok(length) => Ok(length),
                    Err(EncodeError::InsufficientSize(size)) => Err(size.required_size),
                    Err(EncodeError::AlreadyEncoded) => Ok(0),
                });
            }
            // It stands in `outgoing`, in its order.
            Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
            Ok(ConnectionState::PeerClosed) => step.is_ended = true,
            Ok(_) => is_waiting = true,
            Err(error) => step.error = Some(error),
        }
        if step.error.is_none() {
            step.taken += discard;
        } else if !connection.has_words() {
            // The alert has been handed out.
            is_waiting = true;
        }
        if is_waiting {
            return step;
        }
    }
}

/// Encrypts `plain`, or the end.
fn write<C: Process>(
    connection: &mut C,
    plain: Option<&[u8]>,
    incoming: &mut [u8],
    outgoing: &mut Outgoing,
) -> Result<(), Error> {
    loop {
        match connection.process(incoming).state? {
            ConnectionState::WriteTraffic(mut traffic) => {
                let mut is_exhausted = false;
                outgoing.append(plain.map_or(0, <[u8]>::len) + OVERHEAD, |room| {
                    let done = match plain {
                        Some(plain) => traffic.encrypt(plain, room),
                        None => traffic.queue_close_notify(room),
                    };
                    match done {
                        Ok(length) => Ok(length),
                        Err(EncryptError::InsufficientSize(size)) => Err(size.required_size),
                        Err(EncryptError::EncryptExhausted) => {
                            is_exhausted = true;
                            Ok(0)
                        }
                    }
                });
                return match is_exhausted {
                    true => Err(Error::EncryptError),
                    false => Ok(()),
                };
            }
            ConnectionState::EncodeTlsData(mut data) => {
                outgoing.append(0, |room| match data.encode(room) {
                    Ok(length) => Ok(length),
                    Err(EncodeError::InsufficientSize(size)) => Err(size.required_size),
                    Err(EncodeError::AlreadyEncoded) => Ok(0),
                });
            }
            ConnectionState::TransmitTlsData(transmit) => transmit.done(),
            ConnectionState::PeerClosed => {}
            _ => return Err(Error::HandshakeNotComplete),
        }
    }
}

/// Bytes on their way out.
pub struct Outgoing {
    /// Its length is what was ever used of it: room costs its zeroes only once.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Default for Outgoing {
    fn default() -> Self {
        Outgoing::EMPTY
    }
}

impl Outgoing {
    /// Nothing, without room.
    pub const EMPTY: Outgoing = Outgoing {
        bytes: Vec::new(),
        start: 0,
        end: 0,
    };

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether its room is that of a record or more.
    pub fn is_worth_keeping(&self) -> bool {
        self.bytes.len() >= RECORD
    }

    /// What has not left.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// `count` bytes have left.
    pub fn advance(&mut self, count: usize) {
        self.start += count;
        if self.is_empty() {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Lets `fill` write behind what is there, into `room` bytes or more. It answers with what it wrote, or with the room
    /// that it needs.
    fn append(&mut self, mut room: usize, mut fill: impl FnMut(&mut [u8]) -> Result<usize, usize>) {
        loop {
            if self.bytes.len() < self.end + room {
                self.bytes.resize(self.end + room, 0);
            }
            match fill(&mut self.bytes[self.end..]) {
                Ok(length) => {
                    self.end += length;
                    return;
                }
                Err(needed) => room = needed,
            }
        }
    }
}
