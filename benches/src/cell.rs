//! Knows what a cell's name asks for: the kind of load, how much of it, compressed or encrypted.
//! Does not know who is measured or how.

use std::str::FromStr;

/// What the server (or sending client) does with messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Sends each back.
    Echo,
    /// The same, while the connections take turns.
    Turns,
    /// Takes them, and answers one of [`EVENTS_PER_ANSWER`].
    Events,
    /// Computes a while, then sends each back.
    Work,
    /// Sends each to every connection.
    FanOut,
    /// Is a client, which sends as fast as it can.
    Send,
    /// Accepts connections.
    Connect,
}

/// Of so many messages in an events cell the last is answered.
pub const EVENTS_PER_ANSWER: usize = 64;
/// So many connections are active at a time where they take turns.
pub const ACTIVE: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deflate {
    /// None: what each peer does without being told.
    pub level: Option<u8>,
    pub keeps_context: bool,
}

#[derive(Clone, Debug)]
pub struct Cell {
    pub name: String,
    pub kind: Kind,
    pub connections: usize,
    /// Bytes of a message.
    pub size: usize,
    /// Messages in flight on a connection; in an events cell answers that are due.
    pub window: usize,
    pub deflate: Option<Deflate>,
    pub tls: bool,
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(name: &str) -> Result<Cell, String> {
        let wrong = || format!("{name} is not a cell");
        let mut parts = name.split('+');
        let load = parts.next().unwrap_or_default();
        let letter = load.chars().next().ok_or_else(wrong)?;
        let rest = &load[letter.len_utf8()..];
        let (connections, size) = match rest.split_once(':') {
            Some((connections, size)) => (number(connections)?, bytes(size)?),
            None => (number(rest)?, 1024),
        };
        let (kind, window) = match letter {
            'L' => (Kind::Echo, 1),
            'P' if size < 1 << 20 => (Kind::Echo, 64),
            'P' if connections == 1 => (Kind::Echo, 8),
            'P' => (Kind::Echo, 4),
            'N' => (Kind::Turns, 16),
            'E' => (Kind::Events, 4),
            'W' => (Kind::Work, 64),
            'B' => (Kind::FanOut, ((64 << 10) / size.max(1)).clamp(1, 64)),
            'S' => (Kind::Send, 0),
            'C' => (Kind::Connect, 1),
            _ => return Err(wrong()),
        };
        if connections == 0 || size == 0 {
            return Err(wrong());
        }
        let mut cell = Cell { name: name.into(), kind, connections, size, window, deflate: None, tls: false };
        for part in parts {
            match part.as_bytes() {
                b"tls" => cell.tls = true,
                b"d" => cell.deflate = Some(Deflate { level: None, keeps_context: true }),
                [b'd', level @ b'1'..=b'9', rest @ ..] if matches!(rest, b"" | b"n") => {
                    cell.deflate = Some(Deflate { level: Some(level - b'0'), keeps_context: rest.is_empty() });
                }
                _ => return Err(wrong()),
            }
        }
        match (cell.deflate, kind) {
            (Some(_), Kind::Echo | Kind::Connect) | (None, _) => Ok(cell),
            _ => Err(wrong()),
        }
    }
}

fn bytes(text: &str) -> Result<usize, String> {
    match text.strip_suffix(['k', 'm']) {
        Some(count) if text.ends_with('k') => Ok(number::<usize>(count)? << 10),
        Some(count) => Ok(number::<usize>(count)? << 20),
        None => number(text),
    }
}

pub fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}
