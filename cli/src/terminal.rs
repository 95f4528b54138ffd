//! Knows how things are shown: colours, and what came from a peer without what could drive a terminal.
//! Does not know what is shown.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::exit;

/// What is right.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What is wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What somebody should look at.
pub const ODD: Style = AnsiColor::Yellow.on_default();
/// What is not the peer's.
pub const NOTE: Style = Style::new().dimmed();
/// What the peer said.
pub const PEER: Style = AnsiColor::Cyan.on_default();

/// Prints a line to stdout, with colours where it is a terminal and NO_COLOR does not forbid them. A reader that has
/// gone is no fault: the process ends as others in a pipe do.
pub fn line(text: impl AsRef<str>) {
    put(&mut anstream::stdout(), text.as_ref());
}

/// The same to stderr.
pub fn note(text: impl AsRef<str>) {
    let _ = writeln!(anstream::stderr(), "{}", text.as_ref());
}

/// A text in a style.
pub fn styled(style: Style, text: impl AsRef<str>) -> String {
    format!("{style}{}{style:#}", text.as_ref())
}

/// Bytes to stdout as they are.
pub fn raw(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    end_if_gone(out.write_all(bytes).and_then(|()| out.flush()));
}

fn put(out: &mut impl Write, text: &str) {
    end_if_gone(writeln!(out, "{text}").and_then(|()| out.flush()));
}

fn end_if_gone(written: io::Result<()>) {
    if written.is_err() {
        std::process::exit(exit::NO_READER.into());
    }
}

/// One line in which nothing moves a cursor, changes a colour, sets a title or turns the direction of writing.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_active) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if is_active(letter) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(letter));
            }
            _ => shown.push(letter),
        }
    }
    Cow::Owned(shown)
}

/// As [`escaped`], but its lines stay lines; all but the first are indented, so that none passes for something else.
pub fn lines_escaped(text: &str) -> String {
    let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
    let lines: Vec<String> = lines
        .map(|line| {
            let parts = line.strip_suffix('\r').unwrap_or(line).split('\t');
            parts.map(escaped).collect::<Vec<_>>().join("\t")
        })
        .collect();
    lines.join("\n  ")
}

/// Some bytes in hexadecimal digits, at most so many.
pub fn hex(bytes: &[u8], most: usize) -> String {
    let mut shown = String::with_capacity(3 * most.min(bytes.len()));
    for byte in &bytes[..bytes.len().min(most)] {
        let _ = write!(shown, " {byte:02x}");
    }
    match bytes.len().saturating_sub(most) {
        0 => {}
        more => {
            let _ = write!(shown, " … and {more} more");
        }
    }
    shown
}

/// A number of bytes as people say it.
pub fn size(bytes: u64) -> String {
    match bytes {
        1 => "1 byte".into(),
        0..10_000 => format!("{bytes} bytes"),
        _ => indicatif::BinaryBytes(bytes).to_string(),
    }
}

/// C0, DEL, C1, line separators, and what turns the direction of writing (Unicode's bidirectional controls).
fn is_active(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_and_not_sent() {
        assert_eq!(escaped("plain ü 😀"), "plain ü 😀");
        assert_eq!(escaped("\x1b[31m\x07"), "\\u{1b}[31m\\u{7}");
        assert_eq!(escaped("\u{9b}2J\x7f\r"), "\\u{9b}2J\\u{7f}\\r");
        assert_eq!(escaped("\u{202e}txt\u{2066}"), "\\u{202e}txt\\u{2066}");
    }

    #[test]
    fn lines_stay_lines_and_are_indented() {
        assert_eq!(lines_escaped("a\r\n\tb\n"), "a\n  \tb");
        assert_eq!(lines_escaped("a\rb\x1bc"), "a\\rb\\u{1b}c");
    }

    #[test]
    fn long_bytes_are_cut() {
        assert_eq!(hex(&[0, 255], 9), " 00 ff");
        assert!(hex(&[0; 300], 256).ends_with(" 00 … and 44 more"));
    }
}
