//! Knows what header values are made of: tokens, text in quotes, lists with parameters (RFC 9110 § 5.6).
//! Does not know what they say.

use super::head::is_token_byte;

/// What is left of a header's value. Each byte is looked at once; errors name where they are.
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the beginning.
    pub fn new(text: &'a str) -> Cursor<'a> {
        Cursor {
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    fn skip_spaces(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Whether nothing is left but blanks.
    pub fn is_at_end(&mut self) -> bool {
        self.skip_spaces();
        self.at == self.bytes.len()
    }

    /// Goes behind `byte` if that is next.
    pub fn takes(&mut self, byte: u8) -> bool {
        self.skip_spaces();
        let is_next = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Goes behind the element of a list, whose parameters have been read.
    pub fn ends_element(&mut self) -> Result<(), String> {
        match self.is_at_end() || self.takes(b',') {
            true => Ok(()),
            false => Err(format!(
                "a comma or semicolon is missing at byte {}",
                self.at
            )),
        }
    }

    /// The token that is next.
    pub fn token(&mut self) -> Result<String, String> {
        self.run_of(is_token_byte)
            .ok_or_else(|| format!("a token is missing at byte {}", self.at))
    }

    /// A token, with or without quotes around it.
    pub fn token_or_quoted(&mut self) -> Result<String, String> {
        let quote = self.at;
        match self.quoted(is_token_byte)? {
            Some(value) if value.is_empty() => {
                Err(format!("the text in quotes at byte {quote} is empty"))
            }
            Some(value) => Ok(value),
            None => self.token(),
        }
    }

    /// All that is next of these bytes; none if there is none of them.
    pub fn run_of(&mut self, is_one: impl Fn(u8) -> bool) -> Option<String> {
        self.skip_spaces();
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| !is_one(*byte));
        let run = &rest[..end.unwrap_or(rest.len())];
        self.at += run.len();
        (!run.is_empty()).then(|| run.iter().copied().map(char::from).collect())
    }

    /// The text in quotes that is next, of these bytes; none if there is no quote.
    pub fn quoted(&mut self, is_one: impl Fn(u8) -> bool) -> Result<Option<String>, String> {
        if !self.takes(b'"') {
            return Ok(None);
        }
        let quote = self.at - 1;
        let mut value = String::new();
        loop {
            let byte = match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    self.bytes.get(self.at)
                }
                byte => byte,
            };
            match byte {
                Some(byte) if is_one(*byte) => value.push(char::from(*byte)),
                Some(_) => {
                    return Err(format!("the text in quotes at byte {quote} is not a token"));
                }
                None => return Err(format!("the quote at byte {quote} is not closed")),
            }
            self.at += 1;
        }
        self.at += 1;
        Ok(Some(value))
    }
}
