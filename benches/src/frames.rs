//! Knows what goes over the wire: messages encoded beforehand, and what has to come back for them.
//! Does not know sockets.

use crate::cell::{Cell, EVENTS_PER_ANSWER, Kind};
use crate::deflate::{Compressor, Inflater, json};

/// The most that is read at once.
pub const READ_SIZE: usize = 256 * 1024;

/// The messages that every connection sends round and round, in units: that is a message and its answer, or where only one of
/// many is answered these many and their answer.
pub struct Frames {
    pub messages_per_unit: usize,
    distinct: usize,
    /// The unit at which the lap begins that can follow itself. Before it there is one lap more where the compressor keeps its
    /// context: a message refers to those before it, so the first lap begins with nothing and no other does.
    loop_unit: usize,
    /// Where each unit begins in `sent`, up to the end of the lap.
    starts: Vec<u64>,
    /// All laps and a window more, so that what is due is in one piece.
    sent: Vec<u8>,
    answers: Answers,
}

enum Answers {
    /// Each of `size` bytes; `lap` and one read more.
    Plain { size: usize, lap: Vec<u8> },
    /// Compressed as the server likes, but these texts.
    Compressed { texts: Vec<Vec<u8>> },
}

impl Frames {
    pub fn new(cell: &Cell, text: bool) -> Frames {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        // As JSON contexts only text is what it was.
        let is_text = text || cell.deflate.is_some() || cell.kind == Kind::Events;
        let opcode = if is_text { 0x81 } else { 0x82 };
        match cell.deflate {
            Some(_) => Frames::compressed(cell, opcode, &mut random),
            None => Frames::plain(cell, opcode, &mut random),
        }
    }

    fn plain(cell: &Cell, opcode: u8, random: &mut Random) -> Frames {
        let distinct = cell.window.max(4);
        let messages_per_unit = if cell.kind == Kind::Events { EVENTS_PER_ANSWER } else { 1 };
        let (mut starts, mut sent, mut lap) = (vec![0], Vec::new(), Vec::new());
        for _ in 0..distinct {
            for i in 1..=messages_per_unit {
                let mut payload: Vec<u8> = (0..cell.size).map(|_| b' ' + (random.next() % 95) as u8).collect();
                if cell.kind == Kind::Events {
                    // By this the server knows which one to answer.
                    payload[0] = if i == messages_per_unit { b'!' } else { b'.' };
                }
                push_masked(&mut sent, opcode, &payload, random);
                if cell.kind != Kind::Events {
                    push_header(&mut lap, opcode, 0, payload.len());
                    lap.extend(payload);
                } else if i == messages_per_unit {
                    lap.extend(b"\x81\x02ok");
                }
            }
            starts.push(sent.len() as u64);
        }
        let size = lap.len() / distinct;
        repeat_until(&mut sent, 0, (distinct + cell.window) * (starts[1] as usize));
        let length = lap.len() + READ_SIZE;
        repeat_until(&mut lap, 0, length);
        Frames { messages_per_unit, distinct, loop_unit: 0, starts, sent, answers: Answers::Plain { size, lap } }
    }

    fn compressed(cell: &Cell, opcode: u8, random: &mut Random) -> Frames {
        // A lap is more than what a compressor looks back upon, so that it does not meet itself.
        let distinct = cell.window.max((64 << 10) / cell.size).max(4);
        let texts: Vec<_> = (0..distinct).map(|_| json(&mut || random.next() as u32, cell.size)).collect();
        let setting = crate::cell::Deflate { level: Some(6), ..cell.deflate.expect("asked by the caller") };
        let mut compressor = Compressor::new(setting);
        let (mut starts, mut sent, mut payload) = (vec![0], Vec::new(), Vec::new());
        for text in texts.iter().chain(&texts) {
            payload.clear();
            compressor.compress(text, &mut payload);
            push_masked(&mut sent, opcode | 0x40, &payload, random);
            starts.push(sent.len() as u64);
        }
        let begin = starts[distinct] as usize;
        let length = sent.len() + starts[cell.window.min(distinct)] as usize + READ_SIZE;
        repeat_until(&mut sent, begin, length);
        let answers = Answers::Compressed { texts };
        Frames { messages_per_unit: 1, distinct, loop_unit: distinct, starts, sent, answers }
    }

    /// How many bytes are sent before this unit, of the endless stream of units.
    pub fn start_of(&self, unit: u64) -> u64 {
        let laps = unit.saturating_sub(self.loop_unit as u64) / self.distinct as u64;
        self.starts[(unit - laps * self.distinct as u64) as usize] + laps * self.lap_bytes()
    }

    /// The bytes of the endless stream from `from` to `to`.
    pub fn to_send(&self, from: u64, to: u64) -> &[u8] {
        let begin = self.starts[self.loop_unit];
        let start = if from < begin { from } else { begin + (from - begin) % self.lap_bytes() } as usize;
        &self.sent[start..start + (to - from) as usize]
    }

    /// What comes back for a message that is not compressed, in bytes.
    pub fn answer_size(&self) -> Option<usize> {
        match self.answers {
            Answers::Plain { size, .. } => Some(size),
            Answers::Compressed { .. } => None,
        }
    }

    /// Whether the bytes at this place of the endless stream of answers are these.
    pub fn is_expected(&self, at: u64, received: &[u8]) -> bool {
        let Answers::Plain { size, lap } = &self.answers else { return false };
        let start = (at % (self.distinct * size) as u64) as usize;
        lap[start..start + received.len()] == *received
    }

    /// The texts of a compressed lap.
    pub fn texts(&self) -> &[Vec<u8>] {
        match &self.answers {
            Answers::Compressed { texts } => texts,
            Answers::Plain { .. } => &[],
        }
    }

    /// The path that tells a raw echo what to count.
    pub fn path(&self) -> String {
        format!("/{}/{}", self.starts[1], self.answer_size().unwrap_or(0))
    }

    fn lap_bytes(&self) -> u64 {
        self.starts[self.loop_unit + self.distinct] - self.starts[self.loop_unit]
    }
}

/// Reads the compressed answers of one connection and compares every one.
pub struct Reader {
    inflater: Inflater,
    /// Bytes of frames that are not complete.
    pending: Vec<u8>,
    /// Payloads of the frames of a message that is not complete, and whether it is compressed.
    message: Vec<u8>,
    is_compressed: bool,
    room: Vec<u8>,
    pub units: u64,
    /// Payload bytes as they came.
    pub payload_bytes: u64,
}

impl Reader {
    pub fn new() -> Reader {
        Reader {
            inflater: Inflater::new(),
            pending: Vec::new(),
            message: Vec::new(),
            is_compressed: false,
            room: Vec::new(),
            units: 0,
            payload_bytes: 0,
        }
    }

    /// Whether these bytes are what may come next.
    pub fn take(&mut self, bytes: &[u8], frames: &Frames) -> bool {
        self.pending.extend_from_slice(bytes);
        let mut at = 0;
        let is_right = loop {
            let rest = &self.pending[at..];
            let Some((header, length)) = frame(rest) else { break true };
            if rest.len() < header + length {
                break true;
            }
            if rest[0] & 0x0f != 0 {
                self.is_compressed = rest[0] & 0x40 != 0;
            }
            self.message.extend_from_slice(&rest[header..header + length]);
            self.payload_bytes += length as u64;
            at += header + length;
            if rest[0] & 0x80 != 0 {
                let text = &frames.texts()[self.units as usize % frames.texts().len()];
                let is_right = match self.is_compressed {
                    true => self.inflater.is(&self.message, text, &mut self.room),
                    false => self.message == *text,
                };
                if !is_right {
                    break false;
                }
                self.message.clear();
                self.units += 1;
            }
        };
        self.pending.drain(..at);
        is_right
    }
}

/// The lengths of an unmasked frame's header and payload, once the header is there.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes {
        [_, length @ 0..126, ..] => Some((2, length.into())),
        [_, 126, a, b, ..] => Some((4, u16::from_be_bytes([a, b]).into())),
        [_, 127, a, b, c, d, e, f, g, h, ..] => Some((10, u64::from_be_bytes([a, b, c, d, e, f, g, h]) as usize)),
        _ => None,
    }
}

fn push_masked(frames: &mut Vec<u8>, opcode: u8, payload: &[u8], random: &mut Random) {
    let key = (random.next() as u32).to_le_bytes();
    push_header(frames, opcode, 0x80, payload.len());
    frames.extend(key);
    frames.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

pub fn push_header(frames: &mut Vec<u8>, opcode: u8, mask: u8, size: usize) {
    frames.push(opcode);
    match size {
        0..126 => frames.push(mask | size as u8),
        126..65536 => {
            frames.push(mask | 126);
            frames.extend((size as u16).to_be_bytes());
        }
        _ => {
            frames.push(mask | 127);
            frames.extend((size as u64).to_be_bytes());
        }
    }
}

/// Repeats what stands from `begin` on until there are `length` bytes.
fn repeat_until(bytes: &mut Vec<u8>, begin: usize, length: usize) {
    let period = bytes.len() - begin;
    bytes.reserve_exact(length.saturating_sub(bytes.len()));
    while bytes.len() < length {
        let at = begin + (bytes.len() - begin) % period;
        let count = (length - bytes.len()).min(begin + period - at);
        bytes.extend_from_within(at..at + count);
    }
}

/// xorshift64*; contents only need to differ.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(name: &str) -> Frames {
        Frames::new(&name.parse().unwrap(), false)
    }

    #[test]
    fn each_length_has_its_header() {
        for (size, overhead) in [(125, 2), (126, 4), (65535, 4), (65536, 10)] {
            let frames = frames(&format!("L1:{size}"));
            assert_eq!(frames.answer_size(), Some(size + overhead));
            assert_eq!(frames.start_of(1), (size + overhead + 4) as u64);
        }
    }

    #[test]
    fn a_unit_of_an_events_cell_has_one_answer() {
        let frames = frames("E1:16");
        assert_eq!(frames.start_of(1), 64 * (2 + 4 + 16));
        assert_eq!(frames.answer_size(), Some(4));
        assert!(frames.is_expected(8, b"\x81\x02ok\x81"));
    }

    /// Unmasks what is sent as a server would, and answers with the same compressed bytes.
    fn echo(frames: &Frames, units: std::ops::Range<u64>) -> Vec<u8> {
        let mut answers = Vec::new();
        for unit in units {
            let sent = frames.to_send(frames.start_of(unit), frames.start_of(unit + 1));
            let (header, length) = frame(&[sent[0], sent[1] & 0x7f, sent[2], sent[3]]).unwrap();
            let key = &sent[header..header + 4];
            let payload = sent[header + 4..].iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
            push_header(&mut answers, sent[0], 0, length);
            answers.extend(payload);
        }
        answers
    }

    #[test]
    fn compressed_laps_follow_each_other() {
        for name in ["P1:1k+d6", "L1:64k+d6", "L1:1k+d6n"] {
            let frames = frames(name);
            let units = frames.texts().len() as u64 * 4;
            let mut reader = Reader::new();
            for part in echo(&frames, 0..units).chunks(1000) {
                assert!(reader.take(part, &frames), "{name}");
            }
            assert_eq!(reader.units, units);
        }
    }

    #[test]
    fn a_wrong_text_is_noticed() {
        let frames = frames("P1:1k+d6");
        assert!(!Reader::new().take(&echo(&frames, 1..2), &frames));
    }
}
