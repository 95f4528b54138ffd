//! Knows masking (RFC 6455 § 5.3): fresh keys and the exclusive-or.
//! Does not know frames.

use std::cell::RefCell;

/// The key that masks a payload.
pub type Key = [u8; 4];

/// Applies `key` to `bytes`, the first of which is at `offset` of its frame's payload. Its own inverse.
pub fn apply(key: Key, offset: usize, bytes: &mut [u8]) {
    let key = [
        key[offset & 3],
        key[(offset + 1) & 3],
        key[(offset + 2) & 3],
        key[(offset + 3) & 3],
    ];
    let four = u128::from(u32::from_ne_bytes(key));
    let wide = four | four << 32 | four << 64 | four << 96;
    // Whole blocks, so that no counting comes between the vectors.
    let mut blocks = bytes.chunks_exact_mut(64);
    for block in &mut blocks {
        for word in block.chunks_exact_mut(16) {
            let masked = u128::from_ne_bytes((&*word).try_into().expect("a chunk of 16")) ^ wide;
            word.copy_from_slice(&masked.to_ne_bytes());
        }
    }
    apply_short(key, blocks.into_remainder());
}

/// The same from the beginning of a payload that is likely to be short.
#[inline]
pub fn apply_short(key: Key, bytes: &mut [u8]) {
    let key = u32::from_ne_bytes(key);
    let wide = u64::from(key) << 32 | u64::from(key);
    let wider = u128::from(wide) << 64 | u128::from(wide);
    let mut words = bytes.chunks_exact_mut(16);
    for word in &mut words {
        let masked = u128::from_ne_bytes((&*word).try_into().expect("a chunk of 16")) ^ wider;
        word.copy_from_slice(&masked.to_ne_bytes());
    }
    let rest = words.into_remainder();
    let (word, rest) = rest.split_at_mut(rest.len() & 8);
    if let Ok(word) = <&mut [u8; 8]>::try_from(word) {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    let (word, rest) = rest.split_at_mut(rest.len() & 4);
    if let Ok(word) = <&mut [u8; 4]>::try_from(word) {
        *word = (u32::from_ne_bytes(*word) ^ key).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.to_ne_bytes()) {
        *byte ^= key;
    }
}

const STOCK: usize = 1024;

thread_local! {
    // Bytes of the operating system's generator, fetched in stock so that a key costs no system call.
    static KEYS: RefCell<([u8; STOCK], usize)> = const { RefCell::new(([0; STOCK], STOCK)) };
}

/// A key that the peer cannot foresee (§ 5.3): the operating system's randomness, never used twice.
pub fn fresh_key() -> Key {
    KEYS.with_borrow_mut(|(stock, used)| {
        if *used == STOCK {
            getrandom::fill(stock).expect("the operating system has a random number generator");
            *used = 0;
        }
        let key = stock[*used..*used + 4].try_into().expect("four bytes");
        stock[*used..*used + 4].fill(0);
        *used += 4;
        key
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_and_length_is_masked_like_byte_by_byte() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for offset in 0..9 {
            for length in 0..150 {
                let mut bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
                let expected: Vec<u8> = bytes
                    .iter()
                    .enumerate()
                    .map(|(at, byte)| byte ^ key[(at + offset) % 4])
                    .collect();
                let mut short = bytes.clone();
                apply(key, offset, &mut bytes);
                assert_eq!(bytes, expected);
                if offset == 0 {
                    apply_short(key, &mut short);
                    assert_eq!(short, expected);
                }
            }
        }
    }

    #[test]
    fn ten_thousand_keys_are_distinct_enough_to_be_random() {
        let keys: std::collections::HashSet<Key> = (0..10_000).map(|_| fresh_key()).collect();
        // Among 10,000 random 32-bit numbers, more than five repetitions happen once in 10^15 tries.
        assert!(keys.len() > 9_990, "{} distinct keys", keys.len());
    }
}
