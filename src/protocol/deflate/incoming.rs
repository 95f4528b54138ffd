//! Knows how messages are inflated, and what of one the next may refer to.
//! Does not know frames, nor what we send.

use zlib_rs::{Inflate, InflateFlush, Status};

use super::{Agreed, Kept, OUTPUT, POOL, STEP, TAIL, Window};
use crate::protocol::{ProtocolError, Role};

thread_local! {
    static INFLATERS: Kept<Box<Inflate>> = const { Kept::new(Vec::new()) };
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
    /// The last bytes, for an inflater of the thread.
    Window(Window),
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
            (bits @ ..=SMALL_WINDOW_BITS, true) => Context::Window(Window::new(bits)),
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
        if let Context::Window(window) = &self.context {
            if !window.bytes.is_empty() {
                // Cannot fail: a raw stream takes a dictionary at its beginning. If it did, the data would be corrupt.
                let _ = inflater.set_dictionary(&window.bytes);
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
            Context::Window(window) => window.follow(out),
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

    /// Ends the message with what a sync flush would have ended with (RFC 7692 § 7.2.2). Where the message was cut off, these
    /// bytes become data, or less or more than they is needed to come to the end of a block.
    pub fn finish(&mut self) -> Result<(), ProtocolError> {
        const MORE: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0xff, 0xff];
        let (taken, given) = (self.0.total_in(), self.0.total_out());
        let status = self
            .0
            .decompress(&MORE, &mut [0; 16], InflateFlush::Block)
            .map_err(|_| ProtocolError::CorruptData)?;
        let is_whole = status != Status::StreamEnd
            && self.0.total_in() - taken == TAIL.len() as u64
            && self.0.total_out() == given;
        match is_whole {
            true => Ok(()),
            false => Err(ProtocolError::CorruptData),
        }
    }
}
