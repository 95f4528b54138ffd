//! Knows permessage-deflate (RFC 7692): the negotiation, and messages to and from their compressed form.
//! Does not know frames: what is compressed is a message's payload.

mod incoming;
mod negotiation;
mod outgoing;

use std::cell::RefCell;

pub use incoming::{Incoming, Inflating};
pub use outgoing::{CompressionError, Outgoing, Shape, compress_alone};

use super::Role;

/// What a host asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wishes {
    /// The server compresses each message on its own.
    pub server_no_context_takeover: bool,
    /// The client compresses each message on its own.
    pub client_no_context_takeover: bool,
    /// The server's window, 8 to 15 bits.
    pub server_max_window_bits: u8,
    /// The client's window, 8 to 15 bits.
    pub client_max_window_bits: u8,
    /// How we compress.
    pub effort: Effort,
    /// Shorter messages are sent as they are.
    pub threshold: usize,
}

/// What compressing may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// 0 (none) to 9 (best).
    pub level: u8,
    /// 1 to 9; memory of the compressor.
    pub mem_level: u8,
}

/// What was agreed for one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: u8,
    client_max_window_bits: u8,
}

impl Agreed {
    fn sender(&self, sender: Role) -> (u8, bool) {
        match sender {
            Role::Server => (
                self.server_max_window_bits,
                !self.server_no_context_takeover,
            ),
            Role::Client => (
                self.client_max_window_bits,
                !self.client_no_context_takeover,
            ),
        }
    }
}

/// How many contexts a thread keeps for messages that are compressed on their own.
const POOL: usize = 4;
/// The end of a sync flush, which is not sent (RFC 7692 § 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// What one call of the codec may write.
const STEP: usize = 32 * 1024;

/// The last bytes of a stream, at most as many as a small window has.
struct Window {
    bytes: Vec<u8>,
    most: usize,
}

impl Window {
    fn new(bits: u8) -> Window {
        Window {
            bytes: Vec::new(),
            most: 1 << bits,
        }
    }

    /// A message has gone by.
    fn follow(&mut self, message: &[u8]) {
        let news = &message[message.len().saturating_sub(self.most)..];
        let kept = self.bytes.len().min(self.most - news.len());
        self.bytes.drain(..self.bytes.len() - kept);
        self.bytes.extend_from_slice(news);
    }
}

type Kept<T> = RefCell<Vec<T>>;

thread_local! {
    static OUTPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
mod tests {
    use zlib_rs::{Inflate, InflateFlush};

    use super::*;
    use crate::protocol::ProtocolError;
    use crate::protocol::head::Headers;
    use crate::protocol::upgrade::{Extension, parse_extensions};

    pub const WISHES: Wishes = Wishes {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
        effort: Effort {
            level: 6,
            mem_level: 8,
        },
        threshold: 0,
    };

    pub fn extensions(text: &str) -> Vec<Extension> {
        let headers = Headers(vec![("Sec-WebSocket-Extensions".into(), text.into())]);
        parse_extensions(&headers).unwrap()
    }

    fn agree(wishes: &Wishes) -> Agreed {
        wishes.choose(&extensions(&wishes.offer())).unwrap().0
    }

    #[test]
    fn the_examples_of_rfc_7692_section_7_2_3() {
        let mut incoming = Incoming::new(&agree(&WISHES), Role::Server);
        let hello: [&[u8]; 5] = [
            b"\xf2\x48\xcd\xc9\xc9\x07\x00",
            // With the shared window.
            b"\xf2\x00\x11\x00\x00",
            // A stored block.
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
            // A final block.
            b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
            // Two blocks.
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        ];
        for compressed in hello {
            let mut out = Vec::new();
            let mut inflating = incoming.begin();
            inflating.feed(compressed, &mut out, 100).unwrap();
            inflating.finish().unwrap();
            incoming.end(inflating, &out);
            assert_eq!(out, b"Hello", "{compressed:x?}");
        }
        let mut out = Vec::new();
        compress_alone(
            Outgoing::new(&agree(&WISHES), Role::Client, &WISHES).shape,
            b"",
            &mut out,
        )
        .unwrap();
        assert_eq!(out, [0]);
    }

    #[test]
    fn every_window_level_and_takeover_comes_back_as_it_was_sent() {
        // Repetitive at every distance, at one, and not at all.
        let mut dice = Dice(1);
        let texts: Vec<Vec<u8>> = (0..20_usize)
            .map(|n| {
                let length = [0, 1, 5, 100, 1000, STEP - 1, STEP, STEP + 1, 70_000][n % 9];
                (0..length)
                    .map(|at| match n % 3 {
                        0 => (at * at / 7 + at % (n + 2)) as u8,
                        1 => (at % (250 + n) * 7 / 3) as u8,
                        _ => dice.below(256) as u8,
                    })
                    .collect()
            })
            .collect();
        for bits in 8..=15 {
            for takeover in [true, false] {
                for level in 0..=9 {
                    let wishes = Wishes {
                        server_max_window_bits: bits,
                        server_no_context_takeover: !takeover,
                        effort: Effort {
                            level,
                            mem_level: [8, 1, 2, 3, 4, 5, 6, 7, 9, 5][usize::from(level)],
                        },
                        ..WISHES
                    };
                    let agreed = agree(&wishes);
                    let mut outgoing = Outgoing::new(&agreed, Role::Server, &wishes);
                    let mut incoming = Incoming::new(&agreed, Role::Client);
                    for text in &texts {
                        let mut compressed = Vec::new();
                        outgoing.compress(text, &mut compressed).unwrap();
                        let mut out = Vec::new();
                        let mut inflating = incoming.begin();
                        let mut rest = &compressed[..];
                        while !rest.is_empty() {
                            let (piece, behind) =
                                rest.split_at(dice.below(2 * rest.len()).min(rest.len()));
                            inflating.feed(piece, &mut out, text.len() as u64).unwrap();
                            rest = behind;
                        }
                        inflating.finish().unwrap();
                        incoming.end(inflating, &out);
                        assert!(out == *text, "{bits} bits, level {level}, {takeover}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit_and_corrupt_data_is_an_error() {
        let mut bomb = Vec::new();
        let shape = Outgoing::new(&agree(&WISHES), Role::Server, &WISHES).shape;
        compress_alone(shape, &vec![0; 10_000_000], &mut bomb).unwrap();
        let mut incoming = Incoming::new(&agree(&WISHES), Role::Client);
        let mut out = Vec::new();
        let error = incoming.begin().feed(&bomb, &mut out, 1000).unwrap_err();
        assert_eq!(
            error,
            ProtocolError::MessageTooBig {
                declared: 1001,
                limit: 1000
            }
        );
        assert_eq!(out.len(), 1001);
        let corrupt = incoming
            .begin()
            .feed(b"\x07\xff\xff\xff", &mut Vec::new(), 1000);
        assert_eq!(corrupt, Err(ProtocolError::CorruptData));
    }

    /// Numbers that are the same each time.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 20) as usize % end.max(1)
        }
    }

    #[test]
    fn what_was_changed_at_random_stays_below_the_limit_however_it_comes() {
        let mut dice = Dice(3);
        let shape = |level| Shape {
            window_bits: 15,
            effort: Effort {
                level,
                mem_level: 5,
            },
        };
        let mut good: Vec<Vec<u8>> = Vec::new();
        for level in [0, 1, 6, 9] {
            for length in [10, 300, 3000, 60_000] {
                let text: Vec<u8> = (0..length)
                    .map(|at| (at % 13 * dice.below(5)) as u8)
                    .collect();
                let mut compressed = Vec::new();
                compress_alone(shape(level), &text, &mut compressed).unwrap();
                good.push(compressed);
            }
        }
        let inflate = |incoming: &mut Incoming, pieces: &[&[u8]], limit: u64| {
            let mut out = Vec::new();
            let mut inflating = incoming.begin();
            let result = pieces
                .iter()
                .try_for_each(|piece| inflating.feed(piece, &mut out, limit))
                .and_then(|()| inflating.finish());
            assert!(out.len() as u64 <= limit + 1);
            if result.is_ok() {
                assert!(out.len() as u64 <= limit);
                incoming.end(inflating, &out);
            }
            result.map(|()| out)
        };
        let alone = agree(&Wishes {
            client_no_context_takeover: true,
            ..WISHES
        });
        let (mut taken, mut refused) = (0, 0);
        for turn in 0..20_000 {
            let mut bytes = good[dice.below(good.len())].clone();
            for _ in 0..dice.below(4) {
                let at = dice.below(bytes.len());
                match dice.below(4) {
                    0 => bytes[at] ^= 1 << dice.below(8),
                    1 => bytes.insert(at, dice.below(256) as u8),
                    2 => bytes.truncate(at + 1),
                    _ => bytes.extend_from_within(at..),
                }
            }
            let limit = [0, 10, 3000, 100_000][turn % 4];
            let mut incoming = Incoming::new(&alone, Role::Server);
            let whole = inflate(&mut incoming, &[&bytes], limit);
            let (one, two) = bytes.split_at(dice.below(bytes.len()));
            // Beyond the limit and corrupt behind it: either is a good reason.
            let split = inflate(&mut incoming, &[one, two], limit);
            assert_eq!(split.as_ref().ok(), whole.as_ref().ok());
            match whole {
                Ok(_) => taken += 1,
                Err(_) => refused += 1,
            }
        }
        assert!(taken > 1000 && refused > 1000, "{taken}, {refused}");
    }

    #[test]
    fn with_eight_bits_no_match_reaches_further_back_than_256_bytes() {
        // A text that repeats itself at every distance from 200 to 300.
        let mut text = Vec::new();
        let mut seed = 1_u32;
        for distance in 200..300 {
            let start = text.len();
            for _ in 0..distance {
                seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
                text.push((seed >> 16) as u8);
            }
            text.extend_from_within(start..start + 20);
        }
        for level in 1..=9 {
            let shape = Shape {
                window_bits: 8,
                effort: Effort {
                    level,
                    mem_level: 8,
                },
            };
            let mut compressed = Vec::new();
            compress_alone(shape, &text, &mut compressed).unwrap();
            // An inflater that has 256 bytes of window and nothing else to look back at.
            let mut strict = Inflate::new(false, 8);
            let mut out = Vec::new();
            let mut step = [0; 16];
            compressed.extend_from_slice(&TAIL);
            while out.len() < text.len() {
                let (taken, given) = (strict.total_in() as usize, strict.total_out());
                strict
                    .decompress(&compressed[taken..], &mut step, InflateFlush::NoFlush)
                    .unwrap();
                out.extend_from_slice(&step[..(strict.total_out() - given) as usize]);
            }
            assert!(out == text, "level {level}");
        }
    }
}
