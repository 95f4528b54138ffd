//! Knows where the payloads of events that wait stand: copied, or in the buffer that they were read into.
//! Does not know the events.

use std::ops::Range;

use crate::spare::{BUFFERS, ROOMS};

/// A buffer is handed over instead of copied if that part of it is payload.
const WORTHWHILE: usize = 4;

/// Where one payload stands.
#[derive(Clone, Copy)]
pub struct Span {
    start: usize,
    end: usize,
    is_lent: bool,
}

/// The payloads of a batch.
#[derive(Default)]
pub struct Payloads {
    copied: Vec<u8>,
    /// A buffer that was handed over.
    lent: Vec<u8>,
    /// The address of a buffer that may be handed over in the end.
    borrowed: Range<usize>,
    lent_bytes: usize,
    bytes: usize,
}

impl Payloads {
    /// Bytes of all payloads.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Payloads within `buffer` need not be copied for now: [`Payloads::hand_over`] comes before its bytes change.
    pub fn borrow(&mut self, buffer: &[u8]) {
        if self.lent.is_empty() {
            let start = buffer.as_ptr() as usize;
            self.borrowed = start..start + buffer.len();
        }
    }

    /// Keeps a payload.
    pub fn keep(&mut self, data: &[u8]) -> Span {
        self.bytes += data.len();
        let at = data.as_ptr() as usize;
        if at >= self.borrowed.start && at + data.len() <= self.borrowed.end {
            self.lent_bytes += data.len();
            let start = at - self.borrowed.start;
            return Span {
                start,
                end: start + data.len(),
                is_lent: true,
            };
        }
        self.copy(data)
    }

    /// Keeps the first `length` bytes of a buffer of their own, if it can be taken whole.
    pub fn adopt(&mut self, buffer: &mut Vec<u8>, length: usize) -> Span {
        let is_possible = self.lent.is_empty() && self.borrowed.is_empty();
        if !is_possible || length == 0 || buffer.capacity() / WORTHWHILE > length {
            return self.keep(&buffer[..length]);
        }
        self.lent = std::mem::take(buffer);
        self.bytes += length;
        Span {
            start: 0,
            end: length,
            is_lent: true,
        }
    }

    fn copy(&mut self, data: &[u8]) -> Span {
        if self.copied.capacity() == 0 && data.len() >= 4096 {
            self.copied = ROOMS.take();
            self.copied.clear();
        }
        let start = self.copied.len();
        self.copied.extend_from_slice(data);
        Span {
            start,
            end: self.copied.len(),
            is_lent: false,
        }
    }

    /// Takes the buffer that was borrowed, or copies from it what is needed.
    pub fn hand_over<'a>(
        &mut self,
        buffer: &mut Vec<u8>,
        spans: impl Iterator<Item = &'a mut Span>,
    ) {
        self.borrowed = 0..0;
        let bytes = std::mem::take(&mut self.lent_bytes);
        if bytes == 0 {
            return;
        }
        if bytes >= buffer.capacity() / WORTHWHILE {
            self.lent = std::mem::take(buffer);
            return;
        }
        if self.copied.capacity() == 0 && bytes >= 4096 {
            self.copied = ROOMS.take();
            self.copied.clear();
        }
        self.copied.reserve(bytes);
        for span in spans.filter(|span| span.is_lent) {
            *span = self.copy(&buffer[span.start..span.end]);
        }
    }

    /// A payload.
    pub fn get(&self, span: Span) -> &[u8] {
        let bytes = match span.is_lent {
            true => &self.lent,
            false => &self.copied,
        };
        // Nothing is there only if the thread that was to hand the buffer over has panicked.
        bytes.get(span.start..span.end).unwrap_or_default()
    }
}

impl Drop for Payloads {
    fn drop(&mut self) {
        if self.copied.capacity() > 0 {
            ROOMS.give(std::mem::take(&mut self.copied));
        }
        if self.lent.capacity() > 0 {
            BUFFERS.give(std::mem::take(&mut self.lent));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(size: usize, parts: &[Range<usize>]) -> (Payloads, Vec<Span>, Vec<u8>) {
        let mut buffer: Vec<u8> = (0..size).map(|n| n as u8).collect();
        let mut payloads = Payloads::default();
        payloads.borrow(&buffer);
        let mut spans: Vec<Span> = parts
            .iter()
            .map(|part| payloads.keep(&buffer[part.clone()]))
            .collect();
        spans.push(payloads.keep(b"from elsewhere"));
        payloads.hand_over(&mut buffer, spans.iter_mut());
        (payloads, spans, buffer)
    }

    #[test]
    fn a_buffer_full_of_payloads_is_handed_over_and_others_are_copied_from() {
        for (size, is_taken) in [(1000, true), (100_000, false)] {
            let parts = [2..300, 300..300, 310..600];
            let (payloads, spans, mut buffer) = kept(size, &parts);
            assert_eq!(buffer.is_empty(), is_taken);
            buffer.fill(0);
            for (part, span) in parts.into_iter().zip(&spans) {
                let expected: Vec<u8> = part.map(|n| n as u8).collect();
                assert_eq!(payloads.get(*span), expected);
            }
            assert_eq!(payloads.get(spans[3]), b"from elsewhere");
            assert_eq!(payloads.len(), 298 + 290 + 14);
        }
    }

    #[test]
    fn a_message_with_a_buffer_of_its_own_is_moved_unless_the_buffer_is_much_too_large() {
        for (size, is_moved) in [(100, true), (1000, false)] {
            let mut payloads = Payloads::default();
            let mut whole = vec![7; size];
            let span = payloads.adopt(&mut whole, 50);
            assert_eq!(whole.is_empty(), is_moved);
            assert_eq!(payloads.get(span), [7; 50]);
        }
    }
}
