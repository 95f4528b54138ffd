//! Knows how messages become their compressed form.
//! Does not know frames, nor what the peer sends.

use std::hint::black_box;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

use super::{Agreed, Effort, Kept, OUTPUT, POOL, STEP, TAIL, Window, Wishes};
use crate::protocol::Role;

thread_local! {
    static COMPRESSORS: Kept<(Shape, Box<Deflate>)> = const { Kept::new(Vec::new()) };
}

/// Windows up to this are kept as bytes: hashing them again costs less than the memory of a compressor for each connection.
const SMALL_WINDOW_BITS: u8 = 10;

/// What makes two compressors alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub(super) window_bits: u8,
    pub(super) effort: Effort,
}

impl Shape {
    fn compressor(self) -> Result<Box<Deflate>, CompressionError> {
        // A raw stream has negative bits. zlib cannot make a window of 256 bytes, but its matches reach back
        // 2^bits - 262 bytes at most: with 9 bits, 250 bytes, which an inflater with 8 bits can follow.
        let window_bits = self.window_bits.max(9);
        let Effort { level, mem_level } = self.effort;
        // Window, chains, hash table, symbols and output. The codec panics where there is no memory for them; the host is told.
        let room = (4 << window_bits) + (128 << 10) + (512 << mem_level) + (16 << 10);
        reserve(&mut black_box(Vec::new()), room)?;
        Ok(Box::new(Deflate::new_with_config(DeflateConfig {
            level: level.into(),
            window_bits: -i32::from(window_bits),
            mem_level: mem_level.into(),
            ..DeflateConfig::default()
        })))
    }
}

/// Compresses the messages that we send on one connection.
pub struct Outgoing {
    pub(super) shape: Shape,
    context: Context,
}

/// What one message leaves for the next.
enum Context {
    /// Nothing: each stands on its own.
    None,
    /// The whole compressor.
    Compressor(Option<Box<Deflate>>),
    /// The last bytes, for a compressor of the thread.
    Window(Window),
}

/// Why a message could not be compressed: nothing of it was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionError {
    /// There is no room for a compressor or for what it writes.
    NoMemory,
    /// The compressor refused.
    Codec,
}

impl Outgoing {
    /// What `role` sends under `agreed`.
    pub fn new(agreed: &Agreed, role: Role, wishes: &Wishes) -> Outgoing {
        let (window_bits, keeps_context) = agreed.sender(role);
        let context = match keeps_context {
            false => Context::None,
            true if window_bits <= SMALL_WINDOW_BITS => Context::Window(Window::new(window_bits)),
            true => Context::Compressor(None),
        };
        Outgoing {
            shape: Shape {
                window_bits,
                effort: wishes.effort,
            },
            context,
        }
    }

    /// The shape under which this message can be compressed for others too; none where the context counts.
    pub fn shared_shape(&self) -> Option<Shape> {
        matches!(self.context, Context::None).then_some(self.shape)
    }

    /// Appends the compressed form of a message that continues the context.
    pub fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
        match &mut self.context {
            Context::None => compress_alone(self.shape, payload, out),
            Context::Window(window) => {
                compress_behind(self.shape, &window.bytes, payload, out)?;
                window.follow(payload);
                Ok(())
            }
            Context::Compressor(kept) => {
                let mut compressor = match kept.take() {
                    Some(compressor) => compressor,
                    None => self.shape.compressor()?,
                };
                // One that failed is not kept: the next refers to nothing, which any inflater can follow.
                run(&mut compressor, payload, DeflateFlush::SyncFlush, out)?;
                *kept = Some(compressor);
                Ok(())
            }
        }
    }
}

/// Appends the compressed form of a message that stands on its own.
pub fn compress_alone(
    shape: Shape,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    compress_behind(shape, &[], payload, out)
}

/// The same for a message that may refer to `window`.
fn compress_behind(
    shape: Shape,
    window: &[u8],
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let kept = COMPRESSORS.with_borrow_mut(|pool| {
        let position = pool.iter().position(|(known, _)| *known == shape);
        position.map(|position| pool.swap_remove(position).1)
    });
    let mut compressor = match kept {
        Some(compressor) => compressor,
        None => shape.compressor()?,
    };
    if !window.is_empty() {
        compressor
            .set_dictionary(window)
            .map_err(|_| CompressionError::Codec)?;
    }
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
                .map_err(|_| CompressionError::Codec)?;
            let taken = (compressor.total_in() - taken) as usize;
            let given = (compressor.total_out() - given) as usize;
            payload = &payload[taken..];
            reserve(out, given)?;
            out.extend_from_slice(&step[..given]);
            // A flush is complete only when room remains.
            if payload.is_empty() && given < STEP {
                break;
            }
            if taken == 0 && given == 0 {
                return Err(CompressionError::Codec);
            }
        }
        match out.ends_with(&TAIL) {
            true => {
                out.truncate(out.len() - TAIL.len());
                Ok(())
            }
            false => Err(CompressionError::Codec),
        }
    })
}

fn reserve(out: &mut Vec<u8>, room: usize) -> Result<(), CompressionError> {
    out.try_reserve(room)
        .map_err(|_| CompressionError::NoMemory)
}
