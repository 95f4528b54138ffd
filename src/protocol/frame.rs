//! Knows how a frame is laid out (RFC 6455 § 5.2), both ways.
//! Does not know messages: fragments are the `receiver`'s.

use super::mask::{self, Key};
use super::{Kind, ProtocolError, Role};

/// The longest header: two bytes, eight of length, four of mask.
pub const MAX_HEADER: usize = 14;
/// § 5.5: control frames carry at most 125 bytes.
pub const MAX_CONTROL: usize = 125;

/// The opcodes that RFC 6455 defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// Continues a fragmented message.
    Continuation = 0,
    /// A text message, or its first fragment.
    Text = 1,
    /// A binary message, or its first fragment.
    Binary = 2,
    /// Closes the connection.
    Close = 8,
    /// Asks for a pong.
    Ping = 9,
    /// Answers a ping, or tells that we live.
    Pong = 10,
}

impl From<Kind> for Opcode {
    fn from(kind: Kind) -> Opcode {
        match kind {
            Kind::Text => Opcode::Text,
            Kind::Binary => Opcode::Binary,
            Kind::Ping => Opcode::Ping,
            Kind::Pong => Opcode::Pong,
        }
    }
}

/// A frame's header, checked as far as it can be on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last frame of its message.
    pub is_final: bool,
    /// The first frame of a compressed message: RSV1 (RFC 7692 § 6).
    pub is_compressed: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The key, on frames of a client.
    pub mask: Option<Key>,
    /// Bytes of payload that follow.
    pub length: u64,
}

impl Header {
    /// Reads a header that came from the other end of `role`. None: more bytes are needed. `deflates`: permessage-deflate
    /// was agreed.
    #[inline]
    pub fn parse(
        bytes: &[u8],
        role: Role,
        deflates: bool,
    ) -> Result<Option<(Header, usize)>, ProtocolError> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        // RFC 7692 § 6.1: RSV1 stands on the first frame of a message of data and nowhere else.
        let is_compressed = deflates && first & 0x70 == 0x40 && matches!(first & 0x0f, 1 | 2);
        if first & 0x70 != 0 && !is_compressed {
            return Err(ProtocolError::ReservedBits(first >> 4 & 7));
        }
        let is_final = first & 0x80 != 0;
        let opcode = match first & 0x0f {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            other => return Err(ProtocolError::ReservedOpcode(other)),
        };
        let is_masked = second & 0x80 != 0;
        match role {
            Role::Server if !is_masked => return Err(ProtocolError::Unmasked),
            Role::Client if is_masked => return Err(ProtocolError::Masked),
            _ => {}
        }
        let short = second & 0x7f;
        if first & 0x08 != 0 {
            if !is_final {
                return Err(ProtocolError::FragmentedControl);
            }
            if short > MAX_CONTROL as u8 {
                return Err(ProtocolError::LongControl(long_length(short, rest)));
            }
        }
        let (length, length_bytes) = match short {
            126 => match rest {
                [a, b, ..] => (u64::from(u16::from_be_bytes([*a, *b])), 2),
                _ => return Ok(None),
            },
            127 => match rest.first_chunk::<8>() {
                Some(bytes) => (u64::from_be_bytes(*bytes), 8),
                // § 5.2: the most significant bit must be 0; no need to wait for the rest.
                None if rest.first().is_some_and(|byte| byte & 0x80 != 0) => {
                    return Err(ProtocolError::LengthOverflow);
                }
                None => return Ok(None),
            },
            _ => (u64::from(short), 0),
        };
        if length >> 63 != 0 {
            return Err(ProtocolError::LengthOverflow);
        }
        if (short == 126 && length < 126) || (short == 127 && length < 0x1_0000) {
            return Err(ProtocolError::LengthNotMinimal(length));
        }
        let rest = &rest[length_bytes..];
        let (mask, mask_bytes) = match is_masked {
            true => match rest.first_chunk::<4>() {
                Some(key) => (Some(*key), 4),
                None => return Ok(None),
            },
            false => (None, 0),
        };
        let header = Header {
            is_final,
            is_compressed,
            opcode,
            mask,
            length,
        };
        Ok(Some((header, 2 + length_bytes + mask_bytes)))
    }
}

/// The declared length of a control frame that is too long, as far as its bytes are here.
fn long_length(short: u8, rest: &[u8]) -> u64 {
    match (short, rest) {
        (126, [a, b, ..]) => u64::from(u16::from_be_bytes([*a, *b])),
        (127, [a, b, c, d, e, f, g, h, ..]) => u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]),
        _ => u64::from(short),
    }
}

/// The bytes that a frame of `length` bytes of payload has on the wire.
#[inline]
pub fn frame_length(role: Role, length: usize) -> usize {
    let extended = match length {
        0..=125 => 0,
        126..=0xffff => 2,
        _ => 8,
    };
    let mask = match role {
        Role::Client => 4,
        Role::Server => 0,
    };
    2 + extended + mask + length
}

/// Appends a whole frame; a client's is masked with a fresh key (§ 5.3).
#[inline]
pub fn encode(role: Role, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    write(role, 0x80 | opcode as u8, payload, out);
}

/// The same for a payload that `compress` appends, perhaps `expected` bytes (RFC 7692 § 6). Returns its length; what fails
/// leaves nothing behind.
pub fn encode_compressed<E>(
    role: Role,
    opcode: Opcode,
    expected: usize,
    out: &mut Vec<u8>,
    compress: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<usize, E> {
    let head_of = |length: usize| frame_length(role, length) - length;
    let (start, room) = (out.len(), head_of(expected));
    out.resize(start + room, 0);
    if let Err(error) = compress(out) {
        out.truncate(start);
        return Err(error);
    }
    let end = out.len();
    let length = end - start - room;
    let payload = start + head_of(length);
    if payload != start + room {
        out.resize(end.max(payload + length), 0);
        out.copy_within(start + room..end, payload);
        out.truncate(payload + length);
    }
    // Written behind the payload, and then to its place.
    write_header(role, 0xc0 | opcode as u8, length, out);
    if role == Role::Client {
        let key = mask::fresh_key();
        out.extend_from_slice(&key);
        mask::apply(key, 0, &mut out[payload..payload + length]);
    }
    out.copy_within(payload + length.., start);
    out.truncate(payload + length);
    Ok(length)
}

/// The header of a server's whole frame whose payload is written from elsewhere.
pub fn encode_header(opcode: Opcode, length: usize, out: &mut Vec<u8>) {
    write_header(Role::Server, 0x80 | opcode as u8, length, out);
}

#[inline(always)]
fn write(role: Role, first: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(MAX_HEADER + payload.len());
    write_header(role, first, payload.len(), out);
    match role {
        Role::Server => out.extend_from_slice(payload),
        Role::Client => {
            let key = mask::fresh_key();
            out.extend_from_slice(&key);
            let start = out.len();
            out.extend_from_slice(payload);
            mask::apply(key, 0, &mut out[start..]);
        }
    }
}

#[inline(always)]
fn write_header(role: Role, first: u8, length: usize, out: &mut Vec<u8>) {
    let mask_bit = match role {
        Role::Client => 0x80,
        Role::Server => 0,
    };
    match length {
        length @ 0..=125 => out.extend_from_slice(&[first, mask_bit | length as u8]),
        length @ 126..=0xffff => {
            let [high, low] = (length as u16).to_be_bytes();
            out.extend_from_slice(&[first, mask_bit | 126, high, low]);
        }
        length => {
            out.extend_from_slice(&[first, mask_bit | 127]);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// How many text and binary messages end in `frames`, complete frames of which the first `sent` bytes have left, and the bytes
/// of their payloads on the wire.
pub fn count_unsent_messages(role: Role, frames: &[u8], sent: usize) -> (usize, u64) {
    let (mut count, mut bytes) = (0, 0);
    walk(role, frames, |header, end| {
        if end > sent && matches!(header.opcode, Opcode::Text | Opcode::Binary) {
            count += 1;
            bytes += header.length;
        }
    });
    (count, bytes)
}

/// Where the frame ends of which `sent` bytes of `frames` have left a part; `sent` if that is between two frames.
pub fn end_of_begun(role: Role, frames: &[u8], sent: usize) -> usize {
    let (mut start, mut begun) = (0, sent);
    walk(role, frames, |_, end| {
        if start < sent && sent < end {
            begun = end;
        }
        start = end;
    });
    begun
}

/// Shows each of our own frames with its end.
fn walk(role: Role, frames: &[u8], mut show: impl FnMut(&Header, usize)) {
    let peer = match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    };
    let mut at = 0;
    while let Ok(Some((header, header_length))) = Header::parse(&frames[at..], peer, true) {
        at += header_length + header.length as usize;
        show(&header, at);
        if at >= frames.len() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_6455_section_5_7() {
        let mut hello = Vec::new();
        encode(Role::Server, Opcode::Text, b"Hello", &mut hello);
        assert_eq!(hello, b"\x81\x05Hello");
        let (header, length) = Header::parse(
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
            Role::Server,
            false,
        )
        .unwrap()
        .unwrap();
        assert_eq!(length, 6);
        assert_eq!(header.mask, Some([0x37, 0xfa, 0x21, 0x3d]));
        let mut long = Vec::new();
        encode(Role::Server, Opcode::Binary, &[0; 256], &mut long);
        assert_eq!(long[..4], [0x82, 0x7e, 0x01, 0x00]);
        long.clear();
        encode(Role::Server, Opcode::Binary, &[0; 65536], &mut long);
        assert_eq!(long[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_compressed_frame_is_whole_whatever_length_was_expected() {
        for role in [Role::Server, Role::Client] {
            for length in [0, 1, 125, 126, 65_535, 65_536, 70_000] {
                for expected in [0, 125, 126, 65_535, 65_536, 1_000_000] {
                    let payload: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
                    let mut out = b"before".to_vec();
                    let failed = encode_compressed(role, Opcode::Text, expected, &mut out, |out| {
                        out.extend_from_slice(b"half");
                        Err("no")
                    });
                    assert_eq!((failed, &out[..]), (Err("no"), &b"before"[..]));
                    let written =
                        encode_compressed(role, Opcode::Text, expected, &mut out, |out| {
                            out.extend_from_slice(&payload);
                            Ok::<(), ()>(())
                        });
                    assert_eq!(written, Ok(length));
                    let peer = match role {
                        Role::Server => Role::Client,
                        Role::Client => Role::Server,
                    };
                    let (header, head) = Header::parse(&out[6..], peer, true).unwrap().unwrap();
                    assert!(header.is_compressed && header.is_final);
                    assert_eq!(header.length as usize, length);
                    let mut got = out.split_off(6 + head);
                    if let Some(key) = header.mask {
                        mask::apply(key, 0, &mut got);
                    }
                    assert!(got == payload, "{role:?}, {length}, {expected}");
                }
            }
        }
    }

    #[test]
    fn every_wrong_header_is_named() {
        let table: [(&[u8], ProtocolError); 9] = [
            (b"\xc1\x80", ProtocolError::ReservedBits(4)),
            (b"\x83\x80", ProtocolError::ReservedOpcode(3)),
            (b"\x8b\x80", ProtocolError::ReservedOpcode(11)),
            (b"\x81\x05", ProtocolError::Unmasked),
            (b"\x09\x80", ProtocolError::FragmentedControl),
            (b"\x89\xfe\x00\x7e", ProtocolError::LongControl(126)),
            (b"\x82\xff\x80", ProtocolError::LengthOverflow),
            (b"\x82\xfe\x00\x7d", ProtocolError::LengthNotMinimal(125)),
            (
                b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff",
                ProtocolError::LengthNotMinimal(65535),
            ),
        ];
        for (bytes, error) in table {
            assert_eq!(
                Header::parse(bytes, Role::Server, false),
                Err(error),
                "{bytes:x?}"
            );
        }
        assert_eq!(
            Header::parse(b"\x81\x80", Role::Client, false),
            Err(ProtocolError::Masked)
        );
    }

    #[test]
    fn rsv1_stands_on_the_first_frame_of_compressed_data_only() {
        let parse = |first: u8, deflates| Header::parse(&[first, 0], Role::Client, deflates);
        assert!(parse(0xc1, true).unwrap().unwrap().0.is_compressed);
        assert!(parse(0x42, true).unwrap().unwrap().0.is_compressed);
        for (first, deflates) in [
            (0xc1, false),
            (0xc0, true),
            (0xc9, true),
            (0xd1, true),
            (0xe1, true),
        ] {
            assert_eq!(
                parse(first, deflates),
                Err(ProtocolError::ReservedBits(first >> 4 & 7))
            );
        }
    }

    #[test]
    fn unsent_messages_are_counted_from_the_first_that_has_not_left_whole() {
        for role in [Role::Server, Role::Client] {
            let mut frames = Vec::new();
            for payload in [&b"one"[..], b"two", &[7; 300]] {
                encode(role, Opcode::Binary, payload, &mut frames);
            }
            encode(role, Opcode::Ping, b"", &mut frames);
            let first = frame_length(role, 3);
            let unsent = |sent| count_unsent_messages(role, &frames, sent);
            assert_eq!(unsent(0), (3, 306));
            assert_eq!(unsent(first - 1), (3, 306));
            assert_eq!(unsent(first), (2, 303));
            assert_eq!(unsent(frames.len()), (0, 0));
            for (sent, end) in [(0, 0), (1, first), (first - 1, first), (first, first)] {
                assert_eq!(end_of_begun(role, &frames, sent), end);
            }
        }
    }
}
