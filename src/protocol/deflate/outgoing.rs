//! Knows how messages become their compressed form.
//! Does not know frames, nor what the peer sends.

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush};

use super::{Agreed, Effort, Kept, OUTPUT, POOL, STEP, TAIL, Wishes};
use crate::protocol::Role;

thread_local! {
    static COMPRESSORS: Kept<(Shape, Deflate)> = const { Kept::new(Vec::new()) };
}

/// What makes two compressors alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub(super) window_bits: u8,
    pub(super) effort: Effort,
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
    pub(super) shape: Shape,
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
