//! Knows how to load one server: many connections, messages in flight, counting and checking what comes back.
//! Does not know which server it is, how it was started, or what becomes of the figures.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use crate::cell::{ACTIVE, Cell, Kind};
use crate::frames::{Frames, READ_SIZE, Reader};
use crate::wire::{STALL, Upgrade, Wire};

/// Of so many reads one is compared byte by byte; the others are counted and thrown away unread. Compressed answers are
/// compared all.
const CHECK_EVERY: u64 = 16;

/// One connection and how far its two streams are, in bytes.
struct Connection {
    wire: Wire,
    sent: u64,
    received: u64,
    /// The units that may be sent so far.
    asked: u64,
    /// The units that have been answered and made room for others' turns.
    passed: u64,
    reader: Option<Reader>,
}

impl Connection {
    fn answered(&self, frames: &Frames) -> u64 {
        match (&self.reader, frames.answer_size()) {
            (None, Some(size)) => self.received / size as u64,
            (reader, _) => reader.as_ref().map_or(0, |reader| reader.units),
        }
    }
}

/// What came back in a time.
pub struct Answered {
    pub messages: f64,
    /// Payload bytes on the wire for each of the text, of compressed ones.
    pub ratio: Option<f64>,
}

/// Connections that keep messages in flight as the cell says.
pub struct Load<'a> {
    frames: &'a Frames,
    cell: &'a Cell,
    checked: bool,
    connections: Vec<Connection>,
    /// The connection whose turn it is next.
    next: usize,
    poller: i32,
    reads: u64,
    buffer: Vec<u8>,
}

impl<'a> Load<'a> {
    /// `checked` is false for a raw echo, which returns the right number of bytes but not a server's frames.
    pub fn start(upgrade: &Upgrade, frames: &'a Frames, cell: &'a Cell, checked: bool) -> io::Result<Load<'a>> {
        // SAFETY: no pointers.
        let poller = os(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        let mut load = Load {
            frames,
            cell,
            checked,
            connections: Vec::new(),
            next: 0,
            poller,
            reads: 0,
            buffer: vec![0; READ_SIZE],
        };
        for (index, wire) in open(upgrade, cell.connections)?.into_iter().enumerate() {
            wire.set_nonblocking()?;
            let mut event = libc::epoll_event {
                events: (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET) as u32,
                u64: index as u64,
            };
            // SAFETY: `event` outlives the call.
            os(unsafe { libc::epoll_ctl(poller, libc::EPOLL_CTL_ADD, wire.fd(), &mut event) })?;
            let reader = frames.answer_size().is_none().then(Reader::new);
            load.connections.push(Connection { wire, sent: 0, received: 0, asked: 0, passed: 0, reader });
        }
        let first = match cell.kind {
            Kind::Turns => ACTIVE.min(cell.connections),
            Kind::FanOut => 1,
            _ => cell.connections,
        };
        load.next = first % cell.connections;
        // The first readiness events (EPOLLOUT) start them.
        load.connections[..first].iter_mut().for_each(|connection| connection.asked = cell.window as u64);
        Ok(load)
    }

    /// Loads the server for this long.
    pub fn run(&mut self, duration: Duration) -> io::Result<Answered> {
        let begin = Instant::now();
        let before = self.answered();
        let (units, bytes) = before;
        let mut last = (begin, units);
        // SAFETY: epoll_event is plain data.
        let mut events: [libc::epoll_event; 256] = unsafe { std::mem::zeroed() };
        loop {
            // SAFETY: the array outlives the call and its length is right.
            let count = unsafe { libc::epoll_wait(self.poller, events.as_mut_ptr(), events.len() as i32, 100) };
            for event in &events[..count.max(0) as usize] {
                self.ready(event.u64 as usize)?;
            }
            if self.cell.kind == Kind::FanOut {
                // What everyone has got makes room for more.
                self.connections[0].asked = (self.answered().0 / self.connections.len() as f64) as u64 + self.window();
                self.write(0)?;
            }
            let now = Instant::now();
            if now - begin >= duration {
                let (units, bytes) = (self.answered().0 - units, self.answered().1 - bytes);
                let ratio = (bytes > 0).then(|| bytes as f64 / (units * self.cell.size as f64));
                return Ok(Answered { messages: units * self.frames.messages_per_unit as f64, ratio });
            }
            if now - last.0 >= STALL {
                let answered = self.answered().0;
                if answered == last.1 {
                    return Err(failure("the server stopped answering"));
                }
                last = (now, answered);
            }
        }
    }

    /// Units (with what has come of the next), and payload bytes of compressed ones.
    fn answered(&self) -> (f64, u64) {
        match self.frames.answer_size() {
            Some(size) => {
                let received: u64 = self.connections.iter().map(|connection| connection.received).sum();
                (received as f64 / size as f64, 0)
            }
            None => {
                let readers = self.connections.iter().filter_map(|connection| connection.reader.as_ref());
                readers.fold((0.0, 0), |(units, bytes), reader| {
                    (units + reader.units as f64, bytes + reader.payload_bytes)
                })
            }
        }
    }

    fn window(&self) -> u64 {
        self.cell.window as u64
    }

    fn ready(&mut self, index: usize) -> io::Result<()> {
        self.read(index)?;
        let connection = &mut self.connections[index];
        let answered = connection.answered(self.frames);
        match self.cell.kind {
            Kind::FanOut => {}
            Kind::Turns => {
                while answered >= self.connections[index].passed + self.window() {
                    self.connections[index].passed += self.window();
                    self.pass_turn()?;
                }
            }
            _ => connection.asked = answered + self.cell.window as u64,
        }
        self.write(index)
    }

    /// The next connection gets its window.
    fn pass_turn(&mut self) -> io::Result<()> {
        let index = self.next;
        self.next = (self.next + 1) % self.connections.len();
        self.connections[index].asked += self.window();
        self.write(index)
    }

    fn read(&mut self, index: usize) -> io::Result<()> {
        let publisher_sent = self.connections[0].sent;
        let connection = &mut self.connections[index];
        loop {
            self.reads += 1;
            let is_wanted = connection.reader.is_some() || self.checked && self.reads.is_multiple_of(CHECK_EVERY);
            let count = match connection.wire.receive(&mut self.buffer, is_wanted) {
                Ok(0) => return Err(failure("the server closed a connection")),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let is_right = match &mut connection.reader {
                Some(reader) => reader.take(&self.buffer[..count], self.frames),
                None => !is_wanted || self.frames.is_expected(connection.received, &self.buffer[..count]),
            };
            if !is_right {
                return Err(failure("the answer differs from what was sent"));
            }
            connection.received += count as u64;
            let sent = if self.cell.kind == Kind::FanOut { publisher_sent } else { connection.sent };
            if self.frames.start_of(connection.answered(self.frames)) > sent {
                return Err(failure("more came back than was sent"));
            }
            // Edge-triggered: a read that did not fill the buffer has emptied the socket.
            if count < READ_SIZE && connection.wire.short_read_is_last() {
                return Ok(());
            }
        }
    }

    fn write(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        let due = self.frames.start_of(connection.asked);
        loop {
            match connection.wire.send(self.frames.to_send(connection.sent, due)) {
                Ok(0) => return Ok(()),
                Ok(count) => connection.sent += count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        // SAFETY: ours alone.
        unsafe { libc::close(self.poller) };
    }
}

/// Opens `count` connections, sixteen upgrades at a time, and keeps them open.
pub fn open(upgrade: &Upgrade, count: usize) -> io::Result<Vec<Wire>> {
    let mut pending = std::collections::VecDeque::new();
    let mut open = Vec::with_capacity(count);
    while open.len() < count {
        if open.len() + pending.len() < count && pending.len() < 16 {
            pending.push_back(upgrade.begin()?);
        } else if let Some(wire) = pending.pop_front() {
            open.push(upgrade.finish(wire)?);
        }
    }
    Ok(open)
}

/// One message there and back on each connection, one after the other.
pub fn echo_once(wires: &mut [Wire], frames: &Frames, checked: bool) -> io::Result<()> {
    for wire in wires {
        wire.write_all(frames.to_send(0, frames.start_of(1)))?;
        let is_right = match frames.answer_size() {
            Some(size) => {
                let mut answer = vec![0; size];
                wire.read_exact(&mut answer)?;
                !checked || frames.is_expected(0, &answer)
            }
            None => {
                let (mut reader, mut buffer) = (Reader::new(), [0; 4096]);
                let mut is_right = true;
                while is_right && reader.units == 0 {
                    let count = wire.read(&mut buffer)?;
                    is_right = count > 0 && reader.take(&buffer[..count], frames);
                }
                is_right
            }
        };
        if !is_right {
            return Err(failure("the answer differs from what was sent"));
        }
    }
    Ok(())
}

fn os(result: i32) -> io::Result<i32> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

fn failure(text: &str) -> Error {
    Error::other(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    /// Answers one connection: the upgrade, then every frame of 16 bytes unmasked, as `spoil` leaves it.
    fn serve(spoil: fn(&mut Vec<u8>)) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || -> io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let mut head = [0; 1024];
            let _ = stream.read(&mut head)?;
            stream.write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            )?;
            let mut frame = [0; 22];
            loop {
                stream.read_exact(&mut frame)?;
                // Two bytes of header, four of key.
                let mut answer = vec![frame[0], frame[1] & 0x7f];
                answer.extend((0..16).map(|i| frame[6 + i] ^ frame[2 + i % 4]));
                spoil(&mut answer);
                stream.write_all(&answer)?;
            }
        });
        port
    }

    fn run(name: &str, spoil: fn(&mut Vec<u8>)) -> io::Result<f64> {
        let cell = name.parse().unwrap();
        let frames = Frames::new(&cell, false);
        let upgrade = Upgrade::new(serve(spoil), "/", None, None);
        Ok(Load::start(&upgrade, &frames, &cell, true)?.run(Duration::from_millis(300))?.messages)
    }

    #[test]
    fn a_faithful_echo_is_counted() {
        for cell in ["L1:16", "P1:16", "N1:16", "B1:16"] {
            assert!(run(cell, |_| ()).unwrap() > 100.0, "{cell}");
        }
    }

    #[test]
    fn a_wrong_byte_is_noticed() {
        assert_eq!(
            run("P1:16", |frame| frame[9] ^= 1).unwrap_err().to_string(),
            "the answer differs from what was sent"
        );
    }

    #[test]
    fn more_than_was_sent_is_noticed() {
        let error = run("P1:16", |frame| frame.extend_from_within(..)).unwrap_err().to_string();
        assert!(
            ["more came back than was sent", "the answer differs from what was sent"].contains(&error.as_str()),
            "{error}"
        );
    }
}
