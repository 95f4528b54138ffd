//! Knows permessage-deflate as far as the load needs it: text to compress, messages compressed beforehand, answers
//! inflated and compared, and what the codec alone costs. Does not know sockets or frames.

use std::time::{Duration, Instant};

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush};

use crate::cell::{self, Cell};

const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// JSON text of exactly this many bytes: records as an application might send them, no two messages alike.
pub fn json(random: &mut impl FnMut() -> u32, size: usize) -> Vec<u8> {
    const NAMES: [&str; 12] = [
        "Ada", "Grace", "Edsger", "Barbara", "Donald", "Frances", "Ken", "Margaret", "Dennis", "Radia", "Tony", "Lynn",
    ];
    const CITIES: [&str; 8] = ["Oslo", "Paris", "Lyon", "Berlin", "Porto", "Gent", "Basel", "Malmö"];
    const STATES: [&str; 4] = ["pending", "active", "suspended", "closed"];
    let mut text = String::from("[");
    while text.len() < size {
        let mut pick = |list: &[&'static str]| list[random() as usize % list.len()];
        let (name, city, state) = (pick(&NAMES), pick(&CITIES), pick(&STATES));
        let (id, cents, score, stamp) = (random() % 1_000_000, random() % 100_000, random() % 1000, random());
        let key = u64::from(random()) << 32 | u64::from(random());
        text.push_str(&format!(
            "{{\"id\":{id},\"name\":\"{name}\",\"city\":\"{city}\",\"state\":\"{state}\",\"amount\":{}.{:02},\
             \"score\":0.{score:03},\"updated\":\"{stamp:08x}\",\"key\":\"{key:016x}\",\"tags\":[\"{state}\",\"{city}\"]}},",
            cents / 100,
            cents % 100,
        ));
    }
    // Cut between characters, then filled up: what is measured is text, not whether it parses.
    let end = (0..=size).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.truncate(end);
    while text.len() < size {
        text.push(' ');
    }
    text.into_bytes()
}

pub struct Compressor {
    deflate: Deflate,
    keeps_context: bool,
}

impl Compressor {
    pub fn new(setting: cell::Deflate) -> Compressor {
        let config =
            DeflateConfig { level: setting.level.unwrap_or(6).into(), window_bits: -15, ..DeflateConfig::default() };
        Compressor { deflate: Deflate::new_with_config(config), keeps_context: setting.keeps_context }
    }

    /// Appends the compressed message. `out` has room for it.
    pub fn compress(&mut self, message: &[u8], out: &mut Vec<u8>) {
        // Forgetting costs less this way than by a reset.
        let flush = if self.keeps_context { DeflateFlush::SyncFlush } else { DeflateFlush::FullFlush };
        let (begin, before) = (out.len(), self.deflate.total_out());
        out.resize(begin + message.len() + message.len() / 8 + 64, 0);
        self.deflate.compress(message, &mut out[begin..], flush).expect("zlib compresses anything");
        out.truncate(begin + (self.deflate.total_out() - before) as usize);
        assert!(out.ends_with(&TAIL), "there was room for all of it");
        out.truncate(out.len() - TAIL.len());
    }
}

pub struct Inflater(Inflate);

impl Inflater {
    pub fn new() -> Inflater {
        // Follows a sender that keeps its context and one that does not.
        Inflater(Inflate::new(false, 15))
    }

    /// Whether the compressed message is this text. `room` is anything.
    pub fn is(&mut self, compressed: &[u8], text: &[u8], room: &mut Vec<u8>) -> bool {
        room.resize(text.len() + 1, 0);
        let before = self.0.total_out();
        for part in [compressed, &TAIL] {
            let given = (self.0.total_out() - before) as usize;
            if self.0.decompress(part, &mut room[given..], InflateFlush::SyncFlush).is_err() {
                return false;
            }
        }
        self.0.total_out() - before == text.len() as u64 && room[..text.len()] == *text
    }
}

/// What inflating and compressing cost without anything around them.
pub struct Alone {
    pub cpu: Duration,
    pub messages: f64,
    pub elapsed: Duration,
    pub compressed_bytes: u64,
}

/// Inflates and compresses messages on the calling thread for this long, after a warm-up of a third of it: with a context for each
/// of the cell's connections, which take turns of as many messages as it has in flight. Contexts that take turns leave the caches.
pub fn alone(texts: &[&[u8]], cell: &Cell, setting: cell::Deflate, duration: Duration) -> Alone {
    let mut sender = Compressor::new(cell::Deflate { level: Some(6), ..setting });
    let mut compress = |text: &&[u8]| {
        let mut message = Vec::new();
        sender.compress(text, &mut message);
        message
    };
    // The second lap follows itself: see `Frames`.
    let laps: [Vec<Vec<u8>>; 2] = std::array::from_fn(|_| texts.iter().map(&mut compress).collect());
    let mut contexts: Vec<_> = (0..cell.connections).map(|_| (0, Inflater::new(), Compressor::new(setting))).collect();
    let (mut room, mut out) = (Vec::new(), Vec::new());
    let mut run = |duration: Duration| {
        let (begin, cpu) = (Instant::now(), thread_cpu());
        let (mut messages, mut compressed_bytes) = (0.0, 0);
        'all: loop {
            for (done, inflater, compressor) in &mut contexts {
                for _ in 0..cell.window {
                    let lap = &laps[usize::from(*done >= texts.len())];
                    let index = *done % texts.len();
                    assert!(inflater.is(&lap[index], texts[index], &mut room));
                    out.clear();
                    compressor.compress(texts[index], &mut out);
                    compressed_bytes += out.len() as u64;
                    *done += 1;
                    messages += 1.0;
                }
                if begin.elapsed() >= duration {
                    break 'all;
                }
            }
        }
        Alone { cpu: thread_cpu() - cpu, messages, elapsed: begin.elapsed(), compressed_bytes }
    };
    run(duration / 3);
    run(duration)
}

fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
