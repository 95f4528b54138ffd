//! Knows how to check UTF-8 that comes in pieces, failing at the first bad byte (RFC 6455 § 8.1).
//! Does not know messages or frames.

/// The bytes do not continue to valid UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub struct Invalid;

/// Checks a text that is whole.
#[inline]
pub fn check(bytes: &[u8]) -> Result<(), Invalid> {
    // A short one is ASCII as a rule, which is known sooner.
    if bytes.len() < 64 && bytes.is_ascii() {
        return Ok(());
    }
    simdutf8::basic::from_utf8(bytes)
        .map(|_| ())
        .map_err(|_| Invalid)
}

/// Checks a text piece by piece. It keeps at most the three bytes of a character that is not complete yet.
#[derive(Default)]
pub struct Stream {
    tail: [u8; 4],
    length: usize,
}

impl Stream {
    /// Checks the next piece, as far as it goes.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Invalid> {
        while self.length > 0 {
            let Some((first, rest)) = bytes.split_first() else {
                return Ok(());
            };
            self.tail[self.length] = *first;
            self.length += 1;
            bytes = rest;
            match std::str::from_utf8(&self.tail[..self.length]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return Err(Invalid),
                Err(_) => {}
            }
        }
        match simdutf8::compat::from_utf8(bytes) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(Invalid),
            Err(error) => {
                let tail = &bytes[error.valid_up_to()..];
                self.tail[..tail.len()].copy_from_slice(tail);
                self.length = tail.len();
                Ok(())
            }
        }
    }

    /// Ends the text; the stream is then ready for the next one.
    pub fn finish(&mut self) -> Result<(), Invalid> {
        match std::mem::take(&mut self.length) {
            0 => Ok(()),
            _ => Err(Invalid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed_in_pieces(bytes: &[u8], size: usize) -> Result<(), Invalid> {
        let mut stream = Stream::default();
        for piece in bytes.chunks(size) {
            stream.feed(piece)?;
        }
        stream.finish()
    }

    #[test]
    fn any_split_of_any_text_gives_the_same_verdict() {
        let texts: [&[u8]; 9] = [
            "κόσμε \u{10FFFF} plain, and 𝄞 more of it that is longer than a SIMD block of bytes"
                .as_bytes(),
            b"",
            b"\xc0\xaf",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xce",
            b"ok \xf0\x9f\x98",
            b"\x80",
            b"0123456789012345678901234567890123456789012345678901234567890123\xff",
        ];
        for text in texts {
            for size in 1..=text.len().max(1) {
                assert_eq!(
                    feed_in_pieces(text, size).is_ok(),
                    std::str::from_utf8(text).is_ok(),
                    "{text:x?} in pieces of {size}"
                );
            }
        }
    }

    #[test]
    fn the_first_bad_byte_fails_at_once() {
        let mut stream = Stream::default();
        assert_eq!(stream.feed(b"\xf4"), Ok(()));
        assert_eq!(stream.feed(b"\x90"), Err(Invalid));
    }
}
