//! Knows permessage-deflate (RFC 7692): the negotiation, and messages to and from their compressed form.
//! Does not know frames: what is compressed is a message's payload.

use std::cell::RefCell;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush, Status};

use super::ProtocolError;
use super::Role;
use super::upgrade::Extension;

const NAME: &str = "permessage-deflate";
const SERVER_NO_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

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

/// The parameters of one offer or answer, as far as they can be read. None: unknown, twice, or out of range.
#[derive(Default)]
struct Parameters {
    server_no_takeover: bool,
    client_no_takeover: bool,
    server_bits: Option<u8>,
    /// With or without a value.
    client_bits: Option<Option<u8>>,
}

impl Parameters {
    fn read(extension: &Extension) -> Result<Parameters, String> {
        let mut found = Parameters::default();
        for (name, value) in &extension.params {
            let bits = || match value.as_deref() {
                // RFC 7692 § 7.1.2.1: a decimal integer without leading zeroes.
                Some(text @ ("8" | "9" | "10" | "11" | "12" | "13" | "14" | "15")) => {
                    text.parse::<u8>().map_err(|error| error.to_string())
                }
                Some(other) => Err(format!("{name}={other} is not from 8 to 15")),
                None => Err(format!("{name} has no value")),
            };
            let flag = |is_known: &mut bool| match value {
                Some(_) => Err(format!("{name} has a value")),
                None if *is_known => Err(format!("{name} is there twice")),
                None => {
                    *is_known = true;
                    Ok(())
                }
            };
            match name.as_str() {
                SERVER_NO_TAKEOVER => flag(&mut found.server_no_takeover)?,
                CLIENT_NO_TAKEOVER => flag(&mut found.client_no_takeover)?,
                SERVER_BITS if found.server_bits.is_none() => found.server_bits = Some(bits()?),
                CLIENT_BITS if found.client_bits.is_none() => {
                    let bits = value.as_ref().map(|_| bits()).transpose()?;
                    found.client_bits = Some(bits);
                }
                SERVER_BITS | CLIENT_BITS => return Err(format!("{name} is there twice")),
                other => return Err(format!("{other} is unknown")),
            }
        }
        Ok(found)
    }
}

impl Wishes {
    /// What a client offers.
    pub fn offer(&self) -> String {
        let mut offer = NAME.to_owned();
        match self.client_max_window_bits {
            15 => offer.push_str("; client_max_window_bits"),
            bits => offer.push_str(&format!("; {CLIENT_BITS}={bits}")),
        }
        if self.server_max_window_bits < 15 {
            offer.push_str(&format!("; {SERVER_BITS}={}", self.server_max_window_bits));
        }
        for (is_wished, name) in [
            (self.server_no_context_takeover, SERVER_NO_TAKEOVER),
            (self.client_no_context_takeover, CLIENT_NO_TAKEOVER),
        ] {
            if is_wished {
                offer.push_str("; ");
                offer.push_str(name);
            }
        }
        offer
    }

    /// A server's choice among a client's offers: the first that it can accept (RFC 7692 § 5.1), with the answer.
    pub fn choose(&self, offers: &[Extension]) -> Option<(Agreed, String)> {
        offers
            .iter()
            .filter(|offer| offer.name.eq_ignore_ascii_case(NAME))
            .filter_map(|offer| Parameters::read(offer).ok())
            .map(|offer| self.answer(&offer))
            .next()
    }

    fn answer(&self, offer: &Parameters) -> (Agreed, String) {
        let own_bits = self.server_max_window_bits;
        let agreed = Agreed {
            server_no_context_takeover: self.server_no_context_takeover || offer.server_no_takeover,
            client_no_context_takeover: self.client_no_context_takeover || offer.client_no_takeover,
            server_max_window_bits: offer.server_bits.unwrap_or(15).min(own_bits),
            // § 7.1.2.2: a client that did not offer it cannot be told.
            client_max_window_bits: offer.client_bits.map_or(15, |offered| {
                offered.unwrap_or(15).min(self.client_max_window_bits)
            }),
        };
        let mut answer = NAME.to_owned();
        for (is_agreed, name) in [
            (agreed.server_no_context_takeover, SERVER_NO_TAKEOVER),
            (agreed.client_no_context_takeover, CLIENT_NO_TAKEOVER),
        ] {
            if is_agreed {
                answer.push_str("; ");
                answer.push_str(name);
            }
        }
        if offer.server_bits.is_some() || agreed.server_max_window_bits < 15 {
            answer.push_str(&format!(
                "; {SERVER_BITS}={}",
                agreed.server_max_window_bits
            ));
        }
        if agreed.client_max_window_bits < 15 {
            answer.push_str(&format!(
                "; {CLIENT_BITS}={}",
                agreed.client_max_window_bits
            ));
        }
        (agreed, answer)
    }

    /// A client's reading of the server's answer: what was agreed, nothing, or why the connection must fail
    /// (RFC 7692 § 5.2, § 7.1).
    pub fn check_answer(&self, answers: &[Extension]) -> Result<Option<Agreed>, String> {
        let Some(answer) = answers.first() else {
            return Ok(None);
        };
        let wrong = |problem: String| format!("the server's answer to {NAME} is wrong: {problem}");
        let found = Parameters::read(answer).map_err(wrong)?;
        if self.server_no_context_takeover && !found.server_no_takeover {
            return Err(wrong(format!(
                "{SERVER_NO_TAKEOVER} was asked for and is missing"
            )));
        }
        let server_bits = match (found.server_bits, self.server_max_window_bits) {
            (None, 15) => 15,
            (Some(bits), most) if bits <= most => bits,
            (Some(bits), most) => {
                return Err(wrong(format!(
                    "{SERVER_BITS}={bits}, at most {most} was asked for"
                )));
            }
            (None, _) => return Err(wrong(format!("{SERVER_BITS} was asked for and is missing"))),
        };
        let client_bits = match found.client_bits {
            None => self.client_max_window_bits,
            Some(Some(bits)) if bits <= self.client_max_window_bits => bits,
            Some(Some(bits)) => {
                let most = self.client_max_window_bits;
                return Err(wrong(format!("{CLIENT_BITS}={bits}, {most} was offered")));
            }
            Some(None) => return Err(wrong(format!("{CLIENT_BITS} has no value"))),
        };
        Ok(Some(Agreed {
            server_no_context_takeover: found.server_no_takeover,
            client_no_context_takeover: found.client_no_takeover || self.client_no_context_takeover,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits,
        }))
    }
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
/// What one call of the compressor may write.
const STEP: usize = 32 * 1024;

type Kept<T> = RefCell<Vec<T>>;

thread_local! {
    static COMPRESSORS: Kept<(Shape, Deflate)> = const { RefCell::new(Vec::new()) };
    static INFLATERS: Kept<Box<Inflate>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What makes two compressors alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    window_bits: u8,
    effort: Effort,
}

impl Shape {
    fn compressor(self) -> Deflate {
        Deflate::new_with_config(DeflateConfig {
            level: self.effort.level.into(),
            // A raw stream has negative bits. zlib cannot make a window of 256 bytes, but its matches reach back
            // 2^bits - 262 bytes at most: with 9 bits, 250 bytes, which an inflater with 8 bits can follow.
            window_bits: -i32::from(self.window_bits.max(9)),
            mem_level: self.effort.mem_level.into(),
            ..DeflateConfig::default()
        })
    }
}

/// Compresses the messages that we send on one connection.
pub struct Outgoing {
    shape: Shape,
    keeps_context: bool,
    context: Option<Box<Deflate>>,
}

/// The compressor failed: nothing of this message was queued.
#[derive(Debug)]
pub struct CompressionError;

impl Outgoing {
    /// What `role` sends under `agreed`.
    pub fn new(agreed: &Agreed, role: Role, wishes: &Wishes) -> Outgoing {
        let (window_bits, keeps_context) = agreed.sender(role);
        Outgoing {
            shape: Shape {
                window_bits,
                effort: wishes.effort,
            },
            keeps_context,
            context: None,
        }
    }

    /// The shape under which this message can be compressed for others too; none where the context counts.
    pub fn shared_shape(&self) -> Option<Shape> {
        (!self.keeps_context).then_some(self.shape)
    }

    /// Appends the compressed form of a message that continues the context.
    pub fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        if !self.keeps_context {
            return compress_alone(self.shape, payload, out);
        }
        let context = self
            .context
            .get_or_insert_with(|| Box::new(self.shape.compressor()));
        let result = run(context, payload, DeflateFlush::SyncFlush, out);
        if result.is_err() {
            self.context = None;
        }
        result
    }
}

/// Appends the compressed form of a message that stands on its own.
pub fn compress_alone(
    shape: Shape,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let kept = COMPRESSORS.with_borrow_mut(|pool| {
        let position = pool.iter().position(|(known, _)| *known == shape);
        position.map(|position| pool.swap_remove(position).1)
    });
    let mut compressor = kept.unwrap_or_else(|| shape.compressor());
    // A full flush forgets what came before, for a fraction of a reset's cost.
    run(&mut compressor, payload, DeflateFlush::FullFlush, out)?;
    COMPRESSORS.with_borrow_mut(|pool| {
        if pool.len() < POOL {
            pool.push((shape, compressor));
        }
    });
    Ok(())
}

fn run(
    compressor: &mut Deflate,
    mut payload: &[u8],
    flush: DeflateFlush,
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    if payload.is_empty() {
        // RFC 7692 § 7.2.3.6: an empty message is one empty block; flushing twice in a row would give nothing.
        out.push(0x00);
        return Ok(());
    }
    OUTPUT.with_borrow_mut(|step| {
        step.resize(STEP, 0);
        loop {
            let (taken, given) = (compressor.total_in(), compressor.total_out());
            compressor
                .compress(payload, step, flush)
                .map_err(|_| CompressionError)?;
            let taken = (compressor.total_in() - taken) as usize;
            let given = (compressor.total_out() - given) as usize;
            payload = &payload[taken..];
            out.extend_from_slice(&step[..given]);
            // A flush is complete only when room remains.
            if payload.is_empty() && given < STEP {
                break;
            }
            if taken == 0 && given == 0 {
                return Err(CompressionError);
            }
        }
        match out.ends_with(&TAIL) {
            true => {
                out.truncate(out.len() - TAIL.len());
                Ok(())
            }
            false => Err(CompressionError),
        }
    })
}

/// Inflates the messages that the peer sends on one connection.
pub struct Incoming {
    context: Context,
}

/// What one message leaves for the next.
enum Context {
    /// Nothing: each stands on its own.
    None,
    /// The whole inflater, which holds 32 KiB of window whatever it is told.
    Inflater(Option<Box<Inflate>>),
    /// The last bytes, at most as many as a small window has, for an inflater of the thread.
    Window { bytes: Vec<u8>, most: usize },
}

/// Windows up to this are kept as bytes: copying them costs less than the memory of an inflater for each connection.
const SMALL_WINDOW_BITS: u8 = 12;

/// The inflater of a message in progress.
pub struct Inflating(Box<Inflate>);

impl Incoming {
    /// What the peer of `role` sends under `agreed`.
    pub fn new(agreed: &Agreed, role: Role) -> Incoming {
        let peer = match role {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        };
        let context = match agreed.sender(peer) {
            (_, false) => Context::None,
            (bits @ ..=SMALL_WINDOW_BITS, true) => Context::Window {
                bytes: Vec::new(),
                most: 1 << bits,
            },
            (_, true) => Context::Inflater(None),
        };
        Incoming { context }
    }

    /// Begins a message.
    pub fn begin(&mut self) -> Inflating {
        let kept = match &mut self.context {
            Context::Inflater(inflater) => inflater.take(),
            _ => INFLATERS
                .with_borrow_mut(|pool| pool.pop())
                .map(|mut kept| {
                    kept.reset(false);
                    kept
                }),
        };
        // 15 bits follow every smaller window too.
        let mut inflater = kept.unwrap_or_else(|| Box::new(Inflate::new(false, 15)));
        if let Context::Window { bytes, .. } = &self.context {
            if !bytes.is_empty() {
                // Cannot fail: a raw stream takes a dictionary at its beginning. If it did, the data would be corrupt.
                let _ = inflater.set_dictionary(bytes);
            }
        }
        Inflating(inflater)
    }

    /// Ends a message whose bytes have all been inflated to `out`.
    pub fn end(&mut self, inflating: Inflating, out: &[u8]) {
        match &mut self.context {
            Context::Inflater(inflater) => {
                *inflater = Some(inflating.0);
                return;
            }
            Context::Window { bytes, most } => {
                let news = &out[out.len().saturating_sub(*most)..];
                let kept = bytes.len().min(*most - news.len());
                bytes.drain(..bytes.len() - kept);
                bytes.extend_from_slice(news);
            }
            Context::None => {}
        }
        INFLATERS.with_borrow_mut(|pool| {
            if pool.len() < POOL {
                pool.push(inflating.0);
            }
        });
    }
}

impl Inflating {
    /// Appends what the next bytes inflate to. `out` never gets longer than `limit` + 1.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        out: &mut Vec<u8>,
        limit: u64,
    ) -> Result<(), ProtocolError> {
        let most = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        OUTPUT.with_borrow_mut(|step| {
            step.resize(STEP, 0);
            loop {
                let (taken, given) = (self.0.total_in(), self.0.total_out());
                let room = STEP.min(most - out.len());
                let status = self
                    .0
                    .decompress(bytes, &mut step[..room], InflateFlush::SyncFlush)
                    .map_err(|_| ProtocolError::CorruptData)?;
                let taken = (self.0.total_in() - taken) as usize;
                let given = (self.0.total_out() - given) as usize;
                bytes = &bytes[taken..];
                out.extend_from_slice(&step[..given]);
                if out.len() as u64 > limit {
                    return Err(ProtocolError::MessageTooBig {
                        declared: out.len() as u64,
                        limit,
                    });
                }
                if status == Status::StreamEnd {
                    // RFC 7692 § 7.2.3.4: a final block ends a stream, not the message.
                    self.0.reset(false);
                } else if given < room && (bytes.is_empty() || taken == 0) {
                    break;
                }
                if bytes.is_empty() && given < room {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Ends the message with what a sync flush would have ended with (RFC 7692 § 7.2.2). In a message that was cut off, these
    /// bytes would become data, or leave a block open: then an empty block behind them is not one.
    pub fn finish(&mut self, out: &mut Vec<u8>, limit: u64) -> Result<(), ProtocolError> {
        const EMPTY_BLOCK: [u8; 5] = [0x00, 0x00, 0x00, 0xff, 0xff];
        let length = out.len();
        let taken = self.0.total_in();
        self.feed(&TAIL, out, limit.max(length as u64))?;
        self.feed(&EMPTY_BLOCK, out, limit.max(length as u64))?;
        let expected = taken + (TAIL.len() + EMPTY_BLOCK.len()) as u64;
        match out.len() == length && self.0.total_in() == expected {
            true => Ok(()),
            false => Err(ProtocolError::CorruptData),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::head::Headers;
    use crate::protocol::upgrade::parse_extensions;

    const WISHES: Wishes = Wishes {
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

    fn extensions(text: &str) -> Vec<Extension> {
        let headers = Headers(vec![("Sec-WebSocket-Extensions".into(), text.into())]);
        parse_extensions(&headers).unwrap()
    }

    fn agree(wishes: &Wishes) -> Agreed {
        wishes.choose(&extensions(&wishes.offer())).unwrap().0
    }

    #[test]
    fn a_server_answers_what_rfc_7692_allows_and_declines_the_rest() {
        let table = [
            ("permessage-deflate", Some("permessage-deflate")),
            (
                "permessage-deflate; client_max_window_bits",
                Some("permessage-deflate"),
            ),
            (
                "permessage-deflate; client_max_window_bits=10",
                Some("permessage-deflate; client_max_window_bits=10"),
            ),
            (
                "permessage-deflate; server_max_window_bits=8",
                Some("permessage-deflate; server_max_window_bits=8"),
            ),
            (
                "permessage-deflate; server_max_window_bits=\"12\"",
                Some("permessage-deflate; server_max_window_bits=12"),
            ),
            (
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
            ),
            (
                "permessage-deflate; server_max_window_bits=7, permessage-deflate",
                Some("permessage-deflate"),
            ),
            ("x-other, permessage-deflate", Some("permessage-deflate")),
            ("permessage-deflate; server_max_window_bits", None),
            ("permessage-deflate; server_max_window_bits=0", None),
            ("permessage-deflate; server_max_window_bits=16", None),
            ("permessage-deflate; server_max_window_bits=-1", None),
            ("permessage-deflate; server_max_window_bits=08", None),
            (
                "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
                None,
            ),
            ("permessage-deflate; client_max_window_bits=7", None),
            (
                "permessage-deflate; client_max_window_bits; client_max_window_bits",
                None,
            ),
            ("permessage-deflate; server_no_context_takeover=1", None),
            (
                "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
                None,
            ),
            ("permessage-deflate; unknown", None),
            ("x-webkit-deflate-frame", None),
            ("permessage-bzip2", None),
        ];
        for (offer, expected) in table {
            let answer = WISHES.choose(&extensions(offer)).map(|(_, answer)| answer);
            assert_eq!(answer.as_deref(), expected, "{offer}");
        }
        let narrow = Wishes {
            server_max_window_bits: 9,
            client_max_window_bits: 10,
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            ..WISHES
        };
        let (agreed, answer) = narrow
            .choose(&extensions("permessage-deflate; client_max_window_bits=12"))
            .unwrap();
        assert_eq!(
            answer,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=9; client_max_window_bits=10"
        );
        assert_eq!(
            (agreed.server_max_window_bits, agreed.client_max_window_bits),
            (9, 10)
        );
        // A client that did not offer it cannot be told to use a small window.
        let (agreed, _) = narrow.choose(&extensions("permessage-deflate")).unwrap();
        assert_eq!(agreed.client_max_window_bits, 15);
    }

    #[test]
    fn a_client_refuses_an_answer_that_breaks_its_offer() {
        let asking = Wishes {
            server_no_context_takeover: true,
            server_max_window_bits: 10,
            client_max_window_bits: 11,
            ..WISHES
        };
        assert_eq!(
            asking.offer(),
            "permessage-deflate; client_max_window_bits=11; server_max_window_bits=10; \
             server_no_context_takeover"
        );
        let good = "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; \
                    client_max_window_bits=8";
        let agreed = asking.check_answer(&extensions(good)).unwrap().unwrap();
        assert_eq!(
            (agreed.server_max_window_bits, agreed.client_max_window_bits),
            (9, 8)
        );
        assert_eq!(asking.check_answer(&[]), Ok(None));
        let bad = [
            (
                "permessage-deflate; server_max_window_bits=10",
                "server_no_context_takeover",
            ),
            (
                "permessage-deflate; server_no_context_takeover",
                "server_max_window_bits",
            ),
            (
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
                "at most 10",
            ),
            (
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; \
                 client_max_window_bits=12",
                "11 was offered",
            ),
            (
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; \
                 client_max_window_bits",
                "no value",
            ),
            ("permessage-deflate; foo", "unknown"),
        ];
        for (answer, expected) in bad {
            let error = asking.check_answer(&extensions(answer)).unwrap_err();
            assert!(error.contains(expected), "{answer}: {error}");
        }
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
            inflating.finish(&mut out, 100).unwrap();
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
        let texts: Vec<Vec<u8>> = (0..40_usize)
            .map(|n| {
                let length = [0, 1, 5, 100, 1000, STEP - 1, STEP, STEP + 1, 100_000][n % 9];
                (0..length)
                    .map(|at| (at * at / 7 + at % (n + 2)) as u8)
                    .collect()
            })
            .collect();
        for bits in 8..=15 {
            for takeover in [true, false] {
                for level in [0, 1, 2, 6, 9] {
                    let wishes = Wishes {
                        server_max_window_bits: bits,
                        server_no_context_takeover: !takeover,
                        effort: Effort {
                            level,
                            mem_level: 4,
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
                        for piece in compressed.chunks(700) {
                            inflating.feed(piece, &mut out, 1 << 20).unwrap();
                        }
                        inflating.finish(&mut out, 1 << 20).unwrap();
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
