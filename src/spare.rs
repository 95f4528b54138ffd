//! Knows buffers that were used and may be used again, by any thread: fresh ones cost page faults.
//! Does not know for what.

use parking_lot::Mutex;

/// Smaller ones are cheap to make.
const LEAST: usize = 16 * 1024;
/// Larger ones are rare.
const MOST: usize = 2 * 1024 * 1024;
/// What a pool keeps altogether.
const KEPT: usize = 3 * 1024 * 1024;

/// Room to append to.
pub static ROOMS: Pool = Pool::new();
/// Bytes to be overwritten: their length is what counts.
pub static BUFFERS: Pool = Pool::new();

/// Spare buffers.
pub struct Pool(Mutex<Spare>);

struct Spare {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Pool {
    const fn new() -> Pool {
        Pool(Mutex::new(Spare {
            buffers: Vec::new(),
            bytes: 0,
        }))
    }

    /// The one that was given last; one without room if there is none.
    pub fn take(&self) -> Vec<u8> {
        let mut spare = self.0.lock();
        let buffer = spare.buffers.pop().unwrap_or_default();
        spare.bytes -= buffer.capacity();
        buffer
    }

    /// One of `length` bytes or a little more, if there is one.
    pub fn take_of(&self, length: usize) -> Option<Vec<u8>> {
        let mut spare = self.0.lock();
        let fits = |buffer: &Vec<u8>| buffer.len() >= length && buffer.len() / 4 <= length;
        let at = spare.buffers.iter().rposition(fits)?;
        let buffer = spare.buffers.remove(at);
        spare.bytes -= buffer.capacity();
        Some(buffer)
    }

    /// Keeps a buffer for others, if that is worthwhile.
    pub fn give(&self, buffer: Vec<u8>) {
        let size = buffer.capacity();
        if !(LEAST..=MOST).contains(&size) {
            return;
        }
        let mut spare = self.0.lock();
        if spare.bytes + size <= KEPT {
            spare.bytes += size;
            spare.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_fits_and_is_bounded() {
        let pool = Pool::new();
        assert_eq!(pool.take().capacity(), 0);
        pool.give(vec![0; LEAST - 1]);
        pool.give(vec![0; MOST + 1]);
        assert_eq!(pool.take().capacity(), 0);
        for _ in 0..100 {
            pool.give(vec![7; 128 * 1024]);
        }
        assert_eq!(pool.0.lock().bytes, KEPT);
        assert_eq!(pool.take_of(16 * 1024), None);
        assert_eq!(pool.take_of(256 * 1024), None);
        let taken = pool.take_of(100 * 1024).unwrap();
        assert_eq!(taken, vec![7; 128 * 1024]);
    }
}
