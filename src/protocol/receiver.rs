//! Knows how frames become messages: fragments, interleaved control frames, limits, UTF-8 (RFC 6455 § 5.4, § 5.5, § 8.1).
//! Does not know what becomes of a message: the `Sink` does.

use std::cell::Cell;

use bytes::Bytes;

use super::deflate::{Incoming, Inflating};
use super::frame::{Header, MAX_CONTROL, MAX_HEADER, Opcode};
use super::{Kind, ProtocolError, Role, close, mask, utf8};
use crate::spare::BUFFERS;

/// What a peer may send us at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a message, checked on what its frames declare.
    pub message: u64,
    /// Frames of a message.
    pub fragments: u32,
}

/// Whether the sink takes more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Stop after this one; the caller keeps the bytes behind it.
    Stop,
}

/// A message's bytes: in the caller's read buffer, or in a buffer of their own that the sink may take.
pub enum Payload<'a> {
    /// The message came whole in one read.
    Borrowed(&'a [u8]),
    /// The message was put together, at the front of a buffer of its own that may be taken.
    Assembled {
        /// Its beginning is the message.
        buffer: &'a mut Vec<u8>,
        /// The message's length.
        length: usize,
    },
}

impl Payload<'_> {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Payload::Borrowed(bytes) => bytes,
            Payload::Assembled { buffer, length } => &buffer[..*length],
        }
    }
}

/// The bytes of a frame of a message in progress.
pub enum Fragment<'a> {
    /// In the message's buffer, which goes on.
    Borrowed(&'a [u8]),
    /// Shared with the message, so that what waits for the host is there once.
    Shared(Bytes),
}

impl Fragment<'_> {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Fragment::Borrowed(bytes) => bytes,
            Fragment::Shared(bytes) => bytes,
        }
    }
}

/// Takes what a peer sent, in order. `wire` counts the payload bytes as they came.
pub trait Sink {
    /// A whole message.
    fn message(&mut self, kind: Kind, payload: Payload<'_>, wire: u64) -> Flow;
    /// A frame of a fragmented message, but for its last one.
    fn fragment(&mut self, kind: Kind, payload: Fragment<'_>, index: u32, wire: u64) -> Flow;
    /// Whether fragments wait somewhere, so that long ones are better shared than copied.
    fn keeps_fragments(&self) -> bool;
    /// A ping, which wants a pong with the same payload.
    fn ping(&mut self, payload: &[u8]) -> Flow;
    /// A pong.
    fn pong(&mut self, payload: &[u8]) -> Flow;
    /// The close frame. Nothing that follows it counts (§ 5.5.1).
    fn close(&mut self, code: u16, reason: &str);
}

/// The receiving half of a connection.
pub struct Receiver {
    role: Role,
    limits: Limits,
    /// The beginning of a header whose rest has not come.
    head: [u8; MAX_HEADER],
    head_length: u8,
    /// The frame whose payload has come only in part.
    frame: Option<Frame>,
    /// The message in progress, allocated where there is one.
    message: Option<Box<Message>>,
    /// Where permessage-deflate was agreed.
    incoming: Option<Box<Incoming>>,
    is_closed: bool,
}

thread_local! {
    /// Where a compressed message that came whole is inflated.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}
/// The header of a client's frame of at most 125 bytes: two bytes and the key.
const SHORT_HEAD: usize = 6;
/// Shorter fragments are copied for the host: that costs less memory than their being shared.
const SHARED_FRAGMENT: usize = 4096;
/// The least room for what is still to come of a large message.
const LEAST_SPACE: usize = 64 * 1024;
/// What a thread keeps of it.
const KEPT_SCRATCH: usize = 256 * 1024;

struct Frame {
    header: Header,
    received: u64,
    control: Vec<u8>,
}

struct Message {
    kind: Kind,
    /// What came before the buffer's bytes, and has been told as fragments.
    shared: Vec<Bytes>,
    shared_length: usize,
    buffer: Buffer,
    /// Where in the buffer the present frame begins.
    frame_start: usize,
    frames: u32,
    text: utf8::Stream,
    /// Payload bytes as they came.
    wire: u64,
    /// Of a compressed message.
    inflating: Option<Inflating>,
}

/// Bytes that are filled from the front. What is behind `filled` is zeroed once and read into directly.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    fn append(&mut self, piece: &[u8]) {
        let end = self.filled + piece.len();
        match self.bytes.get_mut(self.filled..end) {
            Some(room) => room.copy_from_slice(piece),
            None => {
                self.bytes.truncate(self.filled);
                self.bytes.extend_from_slice(piece);
            }
        }
        self.filled = end;
    }

    /// The bytes so far, to be appended to, and their number.
    fn vec(&mut self) -> (&mut Vec<u8>, usize) {
        self.bytes.truncate(self.filled);
        (&mut self.bytes, self.filled)
    }

    /// Room for `piece` bytes and for the [`Buffer::space`] behind them.
    fn make_room(&mut self, piece: usize, wanted: u64) {
        let whole = usize::try_from(wanted)
            .unwrap_or(usize::MAX)
            .saturating_add(piece);
        if self.bytes.capacity() == 0 && whole >= LEAST_SPACE {
            self.bytes = BUFFERS.take_of(whole).unwrap_or_default();
        }
        let needed = piece + step(self.filled + piece, wanted);
        if self.bytes.len() < self.filled + needed {
            self.bytes.truncate(self.filled);
            self.bytes.reserve_exact(needed);
        }
    }

    /// Room for the next bytes of `wanted`: at least 64 KiB of them, at most as many as are here already, so that memory
    /// grows with what arrives, not with what was declared; or what there is.
    fn space(&mut self, wanted: u64) -> &mut [u8] {
        let there = self.bytes.len().saturating_sub(self.filled);
        let there = usize::try_from(wanted).unwrap_or(usize::MAX).min(there);
        let room = step(self.filled, wanted).max(there);
        if there < room {
            self.bytes
                .reserve_exact(self.filled + room - self.bytes.len());
            self.bytes.resize(self.filled + room, 0);
        }
        &mut self.bytes[self.filled..self.filled + room]
    }
}

/// How much room `wanted` more bytes get behind `filled` ones.
fn step(filled: usize, wanted: u64) -> usize {
    usize::try_from(wanted)
        .unwrap_or(usize::MAX)
        .min(filled.clamp(LEAST_SPACE, 4 * 1024 * 1024))
}

impl Receiver {
    /// A receiver at the end of the handshake.
    pub fn new(role: Role, limits: Limits, incoming: Option<Incoming>) -> Receiver {
        Receiver {
            role,
            limits,
            head: [0; MAX_HEADER],
            head_length: 0,
            frame: None,
            message: None,
            incoming: incoming.map(Box::new),
            is_closed: false,
        }
    }

    /// Takes the next bytes of the stream, unmasking them in place, and returns how many: all of them, unless the sink
    /// stopped or the close frame has come.
    pub fn feed(&mut self, bytes: &mut [u8], sink: &mut impl Sink) -> Result<usize, ProtocolError> {
        let mut at = 0;
        while at < bytes.len() && !self.is_closed {
            if let Some(frame) = &mut self.frame {
                let missing = frame.header.length - frame.received;
                let taken = usize::try_from(missing)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len() - at);
                let piece = &mut bytes[at..at + taken];
                at += taken;
                if self.take_piece(piece, sink)? == Flow::Stop {
                    return Ok(at);
                }
                continue;
            }
            if self.take_short(bytes, &mut at, sink)? == Flow::Stop {
                return Ok(at);
            }
            let Some(header) = self.next_header(bytes, &mut at)? else {
                break;
            };
            self.check(&header)?;
            let whole = usize::try_from(header.length)
                .ok()
                .filter(|length| *length <= bytes.len() - at);
            let Some(length) = whole else {
                self.frame = Some(Frame {
                    header,
                    received: 0,
                    control: Vec::new(),
                });
                continue;
            };
            let payload = &mut bytes[at..at + length];
            at += length;
            if let Some(key) = header.mask {
                mask::apply(key, 0, payload);
            }
            if self.take_frame(&header, payload, sink)? == Flow::Stop {
                return Ok(at);
            }
        }
        Ok(if self.is_closed { bytes.len() } else { at })
    }

    /// Where the rest of a large frame can be read to directly, without another copy.
    pub fn space(&mut self) -> Option<&mut [u8]> {
        const WORTHWHILE: u64 = 16 * 1024;
        let frame = self.frame.as_ref()?;
        let missing = frame.header.length - frame.received;
        if missing < WORTHWHILE || frame.received == 0 {
            return None;
        }
        let message = self.message.as_mut()?;
        match message.inflating {
            None => Some(message.buffer.space(missing)),
            Some(_) => None,
        }
    }

    /// Takes `length` bytes that were read into [`Receiver::space`].
    pub fn filled(&mut self, length: usize, sink: &mut impl Sink) -> Result<Flow, ProtocolError> {
        let (Some(frame), Some(message)) = (&mut self.frame, &mut self.message) else {
            return Ok(Flow::Continue);
        };
        let start = message.buffer.filled;
        let piece = &mut message.buffer.bytes[start..start + length];
        if let Some(key) = frame.header.mask {
            mask::apply(key, (frame.received & 3) as usize, piece);
        }
        if message.kind == Kind::Text {
            message
                .text
                .feed(piece)
                .map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        message.buffer.filled += length;
        message.wire += length as u64;
        frame.received += length as u64;
        self.end_frame_if_complete(sink)
    }

    /// Whether the peer's close frame has come.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// What servers get most, one after the other: whole messages of a client in one frame of at most 125 bytes, all of it
    /// here. Stops at anything else.
    #[inline(always)]
    fn take_short(
        &mut self,
        bytes: &mut [u8],
        at: &mut usize,
        sink: &mut impl Sink,
    ) -> Result<Flow, ProtocolError> {
        if self.role == Role::Client || self.message.is_some() || self.head_length > 0 {
            return Ok(Flow::Continue);
        }
        let most = self.limits.message.min(MAX_CONTROL as u64) as usize;
        while let Some(([first, second, key @ ..], rest)) =
            bytes[*at..].split_first_chunk_mut::<SHORT_HEAD>()
        {
            let kind = match first {
                0x81 => Kind::Text,
                0x82 => Kind::Binary,
                _ => break,
            };
            // Without the mask bit it is too long.
            let length = usize::from(*second ^ 0x80);
            if length > most {
                break;
            }
            let Some(payload) = rest.get_mut(..length) else {
                break;
            };
            mask::apply_short(*key, payload);
            if kind == Kind::Text {
                check_text(kind, payload)?;
            }
            *at += SHORT_HEAD + length;
            if sink.message(kind, Payload::Borrowed(payload), length as u64) == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn next_header(
        &mut self,
        bytes: &[u8],
        at: &mut usize,
    ) -> Result<Option<Header>, ProtocolError> {
        let deflates = self.incoming.is_some();
        if self.head_length == 0 {
            if let Some((header, length)) = Header::parse(&bytes[*at..], self.role, deflates)? {
                *at += length;
                return Ok(Some(header));
            }
        }
        while *at < bytes.len() {
            self.head[usize::from(self.head_length)] = bytes[*at];
            self.head_length += 1;
            *at += 1;
            let head = &self.head[..usize::from(self.head_length)];
            if let Some((header, _)) = Header::parse(head, self.role, deflates)? {
                self.head_length = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// What a header must be in the message so far (§ 5.4), and the limits, before a byte of payload is kept.
    fn check(&mut self, header: &Header) -> Result<(), ProtocolError> {
        let (received, frames) = match (header.opcode, &self.message) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => return Ok(()),
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(ProtocolError::ExpectedContinuation);
            }
            (Opcode::Continuation, Some(message)) => (message.wire, message.frames),
            (Opcode::Text | Opcode::Binary, None) => (0, 0),
        };
        let declared = received.saturating_add(header.length);
        let is_compressed = match &self.message {
            Some(message) => message.inflating.is_some(),
            None => header.is_compressed,
        };
        let most = match is_compressed {
            false => self.limits.message,
            // The inflated bytes are what counts; but what cannot be compressed is a little longer on the wire.
            true => self
                .limits
                .message
                .saturating_add(self.limits.message / 8 + 1024),
        };
        if declared > most {
            return Err(ProtocolError::MessageTooBig {
                declared,
                limit: self.limits.message,
            });
        }
        if frames >= self.limits.fragments {
            return Err(ProtocolError::TooManyFragments(self.limits.fragments));
        }
        Ok(())
    }

    fn take_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        sink: &mut impl Sink,
    ) -> Result<Flow, ProtocolError> {
        if header.opcode as u8 & 0x08 != 0 {
            return self.take_control(header.opcode, payload, sink);
        }
        if header.is_final && self.message.is_none() {
            let kind = data_kind(header.opcode);
            if header.is_compressed {
                return self.take_compressed(kind, payload, sink);
            }
            check_text(kind, payload)?;
            return Ok(sink.message(kind, Payload::Borrowed(payload), header.length));
        }
        self.begin_data_frame(header);
        self.append(payload)?;
        self.end_data_frame(header, sink)
    }

    /// A compressed message that came whole: inflated into room that the thread keeps.
    fn take_compressed(
        &mut self,
        kind: Kind,
        payload: &[u8],
        sink: &mut impl Sink,
    ) -> Result<Flow, ProtocolError> {
        let incoming = self.incoming.as_mut().expect("RSV1 needs the extension");
        let limit = self.limits.message;
        let mut inflating = incoming.begin();
        let mut out = SCRATCH.take();
        out.clear();
        inflating.feed(payload, &mut out, limit)?;
        inflating.finish()?;
        incoming.end(inflating, &out);
        check_text(kind, &out)?;
        let wire = payload.len() as u64;
        let flow = match out.len() <= KEPT_SCRATCH {
            true => sink.message(kind, Payload::Borrowed(&out), wire),
            false => {
                let length = out.len();
                let buffer = &mut out;
                sink.message(kind, Payload::Assembled { buffer, length }, wire)
            }
        };
        if out.capacity() <= 2 * KEPT_SCRATCH {
            SCRATCH.set(out);
        }
        Ok(flow)
    }

    fn take_piece(
        &mut self,
        piece: &mut [u8],
        sink: &mut impl Sink,
    ) -> Result<Flow, ProtocolError> {
        let Some(frame) = &mut self.frame else {
            return Ok(Flow::Continue);
        };
        if let Some(key) = frame.header.mask {
            mask::apply(key, (frame.received & 3) as usize, piece);
        }
        let is_first = frame.received == 0;
        frame.received += piece.len() as u64;
        let header = frame.header;
        if header.opcode as u8 & 0x08 != 0 {
            debug_assert!(frame.control.len() + piece.len() <= MAX_CONTROL);
            frame.control.extend_from_slice(piece);
        } else {
            if is_first {
                self.begin_data_frame(&header);
                self.make_room(piece.len(), header.length);
            }
            self.append(piece)?;
        }
        self.end_frame_if_complete(sink)
    }

    fn begin_data_frame(&mut self, header: &Header) {
        let incoming = self.incoming.as_mut().filter(|_| header.is_compressed);
        let message = self.message.get_or_insert_with(|| {
            Box::new(Message {
                kind: data_kind(header.opcode),
                shared: Vec::new(),
                shared_length: 0,
                buffer: Buffer::default(),
                frame_start: 0,
                frames: 0,
                text: utf8::Stream::default(),
                wire: 0,
                inflating: incoming.map(|incoming| incoming.begin()),
            })
        });
        message.frame_start = message.buffer.filled;
        message.frames += 1;
    }

    /// Room for the first piece of a frame and for what is read behind it, so that it need not move.
    fn make_room(&mut self, piece: usize, length: u64) {
        if let Some(message) = self
            .message
            .as_mut()
            .filter(|message| message.inflating.is_none())
        {
            message.buffer.make_room(piece, length - piece as u64);
        }
    }

    fn append(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        let limit = self.limits.message;
        let message = self.message.as_mut().expect("a data frame has begun");
        message.wire += piece.len() as u64;
        match &mut message.inflating {
            None => message.take_plain(piece),
            Some(inflating) => {
                let (buffer, start) = message.buffer.vec();
                let before = message.shared_length as u64;
                inflating
                    .feed(piece, buffer, limit - before)
                    .map_err(|error| error.behind(before))?;
                message.buffer.filled = message.buffer.bytes.len();
                message.check_from(start)
            }
        }
    }

    fn end_frame_if_complete(&mut self, sink: &mut impl Sink) -> Result<Flow, ProtocolError> {
        let is_complete = |frame: &mut Frame| frame.received == frame.header.length;
        let Some(frame) = self.frame.take_if(is_complete) else {
            return Ok(Flow::Continue);
        };
        match frame.header.opcode as u8 & 0x08 {
            0 => self.end_data_frame(&frame.header, sink),
            _ => self.take_control(frame.header.opcode, &frame.control, sink),
        }
    }

    fn end_data_frame(
        &mut self,
        header: &Header,
        sink: &mut impl Sink,
    ) -> Result<Flow, ProtocolError> {
        if !header.is_final {
            let message = self.message.as_mut().expect("a data frame has begun");
            let length = message.buffer.filled - message.frame_start;
            let payload = match length >= SHARED_FRAGMENT && sink.keeps_fragments() {
                true => Fragment::Shared(message.share_frame()),
                false => Fragment::Borrowed(message.frame()),
            };
            return Ok(sink.fragment(message.kind, payload, message.frames - 1, header.length));
        }
        let mut message = self.message.take().expect("a data frame has begun");
        if let Some(mut inflating) = message.inflating.take() {
            inflating.finish()?;
            message.gather();
            if let Some(incoming) = &mut self.incoming {
                incoming.end(inflating, &message.buffer.bytes);
            }
        }
        message.gather();
        if message.kind == Kind::Text {
            message
                .text
                .finish()
                .map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        let (kind, wire) = (message.kind, message.wire);
        let Buffer { mut bytes, filled } = message.buffer;
        let payload = Payload::Assembled {
            buffer: &mut bytes,
            length: filled,
        };
        let flow = sink.message(kind, payload, wire);
        if bytes.capacity() > 0 {
            BUFFERS.give(bytes);
        }
        Ok(flow)
    }

    fn take_control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        sink: &mut impl Sink,
    ) -> Result<Flow, ProtocolError> {
        match opcode {
            Opcode::Ping => Ok(sink.ping(payload)),
            Opcode::Pong => Ok(sink.pong(payload)),
            _ => {
                let (code, reason) = close::decode(payload)?;
                self.is_closed = true;
                sink.close(code, reason);
                Ok(Flow::Stop)
            }
        }
    }
}

impl Message {
    /// The present frame's bytes.
    fn frame(&self) -> &[u8] {
        &self.buffer.bytes[self.frame_start..self.buffer.filled]
    }

    /// The same, to be shared; the buffer begins anew.
    fn share_frame(&mut self) -> Bytes {
        let buffer = std::mem::take(&mut self.buffer);
        let start = std::mem::take(&mut self.frame_start);
        let mut bytes = buffer.bytes;
        bytes.truncate(buffer.filled);
        let bytes = Bytes::from(bytes);
        self.shared_length += bytes.len();
        self.shared.push(bytes.clone());
        bytes.slice(start..)
    }

    /// Brings the whole message into the buffer; each part is freed as soon as it is there, if the host has seen it.
    fn gather(&mut self) {
        if self.shared.is_empty() {
            return;
        }
        let (last, filled) = (std::mem::take(&mut self.buffer.bytes), self.buffer.filled);
        let mut whole = Vec::with_capacity(self.shared_length + filled);
        for part in std::mem::take(&mut self.shared) {
            whole.extend_from_slice(&part);
        }
        whole.extend_from_slice(&last[..filled]);
        self.shared_length = 0;
        self.buffer.filled = whole.len();
        self.buffer.bytes = whole;
    }

    fn take_plain(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        let start = self.buffer.filled;
        self.buffer.append(piece);
        self.check_from(start)
    }

    /// Checks a text from `start` on.
    fn check_from(&mut self, start: usize) -> Result<(), ProtocolError> {
        if self.kind == Kind::Text {
            self.text
                .feed(&self.buffer.bytes[start..self.buffer.filled])
                .map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        Ok(())
    }
}

fn check_text(kind: Kind, payload: &[u8]) -> Result<(), ProtocolError> {
    match kind {
        Kind::Text => utf8::check(payload).map_err(|_| ProtocolError::InvalidUtf8),
        _ => Ok(()),
    }
}

fn data_kind(opcode: Opcode) -> Kind {
    match opcode {
        Opcode::Text => Kind::Text,
        _ => Kind::Binary,
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame;
    use super::*;

    #[derive(Default, Debug, PartialEq, Clone)]
    struct Record(Vec<String>);

    impl Sink for Record {
        fn message(&mut self, kind: Kind, payload: Payload<'_>, wire: u64) -> Flow {
            let text = String::from_utf8_lossy(payload.bytes()).into_owned();
            self.0.push(format!("{kind:?} {text} {wire}"));
            Flow::Continue
        }

        fn keeps_fragments(&self) -> bool {
            true
        }

        fn fragment(&mut self, kind: Kind, payload: Fragment<'_>, index: u32, wire: u64) -> Flow {
            let text = String::from_utf8_lossy(payload.bytes());
            self.0
                .push(format!("fragment {index} {kind:?} {text} {wire}"));
            Flow::Continue
        }

        fn ping(&mut self, payload: &[u8]) -> Flow {
            let text = String::from_utf8_lossy(payload);
            self.0.push(format!("ping {text}"));
            Flow::Continue
        }

        fn pong(&mut self, payload: &[u8]) -> Flow {
            let text = String::from_utf8_lossy(payload);
            self.0.push(format!("pong {text}"));
            Flow::Continue
        }

        fn close(&mut self, code: u16, reason: &str) {
            self.0.push(format!("close {code} {reason}"));
        }
    }

    const LIMITS: Limits = Limits {
        message: 1000,
        fragments: 4,
    };

    fn feed(role: Role, stream: &[u8], size: usize) -> (Record, Option<ProtocolError>) {
        let mut receiver = Receiver::new(role, LIMITS, None);
        let mut record = Record::default();
        for piece in stream.chunks(size) {
            let mut piece = piece.to_vec();
            if let Err(error) = receiver.feed(&mut piece, &mut record) {
                return (record, Some(error));
            }
        }
        (record, None)
    }

    /// A frame as a raw peer may write it.
    fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first, payload.len() as u8];
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn any_split_of_a_stream_gives_the_same_messages() {
        let mut stream = Vec::new();
        frame::encode(Role::Client, Opcode::Text, "grüß".as_bytes(), &mut stream);
        frame::encode(Role::Client, Opcode::Binary, &[b'x'; 300], &mut stream);
        frame::encode(Role::Client, Opcode::Ping, b"are you there", &mut stream);
        let before = stream.len();
        for (first, payload) in [
            (0x01, &b"ab"[..]),
            (0x89, b"in between"),
            (0x00, b""),
            (0x80, b"cd"),
        ] {
            let mut one = Vec::new();
            frame::encode(Role::Client, Opcode::Text, payload, &mut one);
            one[0] = first;
            stream.extend(one);
        }
        frame::encode(
            Role::Client,
            Opcode::Close,
            &close::encode(1000, "bye"),
            &mut stream,
        );
        assert!(before < stream.len());
        let (whole, error) = feed(Role::Server, &stream, stream.len());
        assert_eq!(error, None);
        assert_eq!(
            whole.0[2..],
            [
                "ping are you there",
                "fragment 0 Text ab 2",
                "ping in between",
                "fragment 1 Text  0",
                "Text abcd 4",
                "close 1000 bye",
            ]
        );
        for size in 1..stream.len() {
            assert_eq!(
                feed(Role::Server, &stream, size),
                (whole.clone(), None),
                "pieces of {size}"
            );
        }
    }

    #[test]
    fn a_large_frame_is_read_directly_into_its_message() {
        let payload: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let mut stream = Vec::new();
        frame::encode(Role::Client, Opcode::Binary, &payload, &mut stream);
        let limits = Limits {
            message: 1 << 20,
            fragments: 4,
        };
        let mut receiver = Receiver::new(Role::Server, limits, None);
        struct Keep(Vec<u8>);
        impl Sink for Keep {
            fn message(&mut self, _: Kind, payload: Payload<'_>, _: u64) -> Flow {
                self.0 = payload.bytes().to_vec();
                Flow::Continue
            }
            fn keeps_fragments(&self) -> bool {
                false
            }
            fn fragment(&mut self, _: Kind, _: Fragment<'_>, _: u32, _: u64) -> Flow {
                Flow::Continue
            }
            fn ping(&mut self, _: &[u8]) -> Flow {
                Flow::Continue
            }
            fn pong(&mut self, _: &[u8]) -> Flow {
                Flow::Continue
            }
            fn close(&mut self, _: u16, _: &str) {}
        }
        let mut keep = Keep(Vec::new());
        let (first, mut rest) = stream.split_at(1000);
        receiver.feed(&mut first.to_vec(), &mut keep).unwrap();
        while let Some(space) = receiver.space() {
            let length = space.len().min(rest.len());
            space[..length].copy_from_slice(&rest[..length]);
            receiver.filled(length, &mut keep).unwrap();
            rest = &rest[length..];
        }
        receiver.feed(&mut rest.to_vec(), &mut keep).unwrap();
        assert!(keep.0 == payload);
    }

    #[test]
    fn errors_come_at_the_frame_that_makes_them() {
        let table = [
            (raw(0x80, b"x"), ProtocolError::UnexpectedContinuation),
            (
                [raw(0x01, b"x"), raw(0x81, b"y")].concat(),
                ProtocolError::ExpectedContinuation,
            ),
            (raw(0x81, b"\xff"), ProtocolError::InvalidUtf8),
            (
                [raw(0x01, b"\xce"), raw(0x80, b"")].concat(),
                ProtocolError::InvalidUtf8,
            ),
            (raw(0x88, b"\x03"), ProtocolError::ShortClose),
            (
                vec![0x82, 126, 3, 233],
                ProtocolError::MessageTooBig {
                    declared: 1001,
                    limit: 1000,
                },
            ),
            (
                [raw(0x02, &[0; 100]), vec![0x80, 126, 3, 133]].concat(),
                ProtocolError::MessageTooBig {
                    declared: 1001,
                    limit: 1000,
                },
            ),
            (
                vec![0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255],
                ProtocolError::MessageTooBig {
                    declared: i64::MAX as u64,
                    limit: 1000,
                },
            ),
            (
                [
                    raw(0x02, b""),
                    raw(0, b""),
                    raw(0, b""),
                    raw(0, b""),
                    raw(0x80, b""),
                ]
                .concat(),
                ProtocolError::TooManyFragments(4),
            ),
        ];
        for (stream, error) in table {
            assert_eq!(
                feed(Role::Client, &stream, stream.len()).1,
                Some(error.clone()),
                "{stream:x?}"
            );
            assert_eq!(
                feed(Role::Client, &stream, 1).1,
                Some(error),
                "{stream:x?} byte by byte"
            );
        }
    }

    #[test]
    fn text_fails_inside_a_frame_at_the_first_bad_byte() {
        let mut stream = raw(0x81, b"abc\xff and much more that never comes");
        stream.truncate(6);
        assert_eq!(
            feed(Role::Client, &stream, 6).1,
            Some(ProtocolError::InvalidUtf8)
        );
    }

    #[test]
    fn what_follows_a_close_frame_is_ignored() {
        let stream = [raw(0x88, b"\x03\xe8"), raw(0x81, b"late")].concat();
        let (record, error) = feed(Role::Client, &stream, stream.len());
        assert_eq!((record.0, error), (vec!["close 1000 ".to_owned()], None));
    }
}
