//! Knows how to load one echo server: sockets, pre-encoded frames, counting and checking what comes back.
//! Does not know which server it is, how it was started, or what becomes of the figures.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Nothing that comes back for this long fails the measurement.
const STALL: Duration = Duration::from_secs(5);
/// Of so many reads one is compared byte by byte; the others are counted and thrown away unread.
const CHECK_EVERY: u64 = 16;
const READ_SIZE: usize = 256 * 1024;

/// The messages that every connection sends round and round, encoded once.
pub struct Frames {
    /// Bytes of one frame to the server, masked.
    pub sent_size: usize,
    /// Bytes of one frame from the server, unmasked.
    pub received_size: usize,
    distinct: usize,
    /// `distinct` frames and `window` more, so that what is due is always in one piece.
    sent: Vec<u8>,
    /// The same for what comes back: `distinct` frames and one read more.
    expected: Vec<u8>,
}

impl Frames {
    pub fn new(payload_size: usize, window: usize, text: bool) -> Frames {
        let distinct = window.max(4);
        let opcode = if text { 0x81 } else { 0x82 };
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..distinct {
            let key = (random.next() as u32).to_le_bytes();
            push_header(&mut sent, opcode, 0x80, payload_size);
            push_header(&mut expected, opcode, 0, payload_size);
            sent.extend(key);
            for i in 0..payload_size {
                let byte = b' ' + (random.next() % 95) as u8;
                sent.push(byte ^ key[i % 4]);
                expected.push(byte);
            }
        }
        let (sent_size, received_size) = (sent.len() / distinct, expected.len() / distinct);
        repeat_until(&mut sent, (distinct + window) * sent_size);
        let length = distinct * received_size + READ_SIZE;
        repeat_until(&mut expected, length);
        Frames { sent_size, received_size, distinct, sent, expected }
    }

    /// The bytes of the endless sent stream from `from` to `to`.
    fn to_send(&self, from: u64, to: u64) -> &[u8] {
        let start = (from % (self.distinct * self.sent_size) as u64) as usize;
        &self.sent[start..start + (to - from) as usize]
    }

    fn is_expected(&self, at: u64, received: &[u8]) -> bool {
        let start = (at % (self.distinct * self.received_size) as u64) as usize;
        &self.expected[start..start + received.len()] == received
    }
}

fn push_header(frames: &mut Vec<u8>, opcode: u8, mask: u8, size: usize) {
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

fn repeat_until(bytes: &mut Vec<u8>, length: usize) {
    let period = bytes.len();
    bytes.reserve_exact(length.saturating_sub(period));
    while bytes.len() < length {
        let at = bytes.len() % period;
        let count = (length - bytes.len()).min(period - at);
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

/// Connects and upgrades. The path tells a raw echo the sizes; WebSocket servers ignore it.
pub struct Upgrade {
    address: SocketAddr,
    request: Vec<u8>,
}

impl Upgrade {
    pub fn new(port: u16, frames: &Frames) -> Upgrade {
        // The key and its answer are the RFC 6455 § 1.3 ones.
        let request = format!(
            "GET /{}/{} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            frames.sent_size, frames.received_size
        );
        Upgrade { address: (Ipv4Addr::LOCALHOST, port).into(), request: request.into_bytes() }
    }

    pub fn begin(&self) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STALL))?;
        stream.write_all(&self.request)?;
        Ok(stream)
    }

    pub fn finish(&self, mut stream: TcpStream) -> io::Result<TcpStream> {
        let mut head = [0; 2048];
        let mut length = 0;
        while !head[..length].ends_with(b"\r\n\r\n") {
            let count = stream.read(&mut head[length..])?;
            if count == 0 {
                return Err(failure("the server closed during the upgrade"));
            }
            length += count;
        }
        let head = String::from_utf8_lossy(&head[..length]);
        if !head.starts_with("HTTP/1.1 101 ") || !head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
            return Err(failure(&format!("not upgraded: {head}")));
        }
        Ok(stream)
    }
}

/// One connection and how far its two streams are, in bytes.
struct Connection {
    stream: TcpStream,
    sent: u64,
    received: u64,
}

/// Connections that keep `window` messages in flight each.
pub struct Load<'a> {
    frames: &'a Frames,
    window: u64,
    checked: bool,
    connections: Vec<Connection>,
    poller: i32,
    reads: u64,
    buffer: Vec<u8>,
}

impl<'a> Load<'a> {
    /// `checked` is false for a raw echo, which returns the right number of bytes but not a server's frames.
    pub fn start(
        upgrade: &Upgrade,
        frames: &'a Frames,
        connections: usize,
        window: usize,
        checked: bool,
    ) -> io::Result<Load<'a>> {
        // SAFETY: no pointers.
        let poller = os(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        let mut load = Load {
            frames,
            window: window as u64,
            checked,
            connections: Vec::with_capacity(connections),
            poller,
            reads: 0,
            buffer: vec![0; READ_SIZE],
        };
        for index in 0..connections {
            let stream = upgrade.finish(upgrade.begin()?)?;
            stream.set_nonblocking(true)?;
            let mut event = libc::epoll_event {
                events: (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET) as u32,
                u64: index as u64,
            };
            // SAFETY: `event` outlives the call.
            os(unsafe { libc::epoll_ctl(poller, libc::EPOLL_CTL_ADD, stream.as_raw_fd(), &mut event) })?;
            load.connections.push(Connection { stream, sent: 0, received: 0 });
        }
        // The first readiness events (EPOLLOUT) start every connection.
        Ok(load)
    }

    /// Echoes for this long; answers how many messages came back.
    pub fn run(&mut self, duration: Duration) -> io::Result<f64> {
        let begin = Instant::now();
        let before = self.received();
        let mut last = (begin, before);
        // SAFETY: epoll_event is plain data.
        let mut events: [libc::epoll_event; 256] = unsafe { std::mem::zeroed() };
        loop {
            // SAFETY: the array outlives the call and its length is right.
            let count = unsafe { libc::epoll_wait(self.poller, events.as_mut_ptr(), events.len() as i32, 100) };
            for event in &events[..count.max(0) as usize] {
                self.ready(event.u64 as usize)?;
            }
            let now = Instant::now();
            if now - begin >= duration {
                return Ok((self.received() - before) as f64 / self.frames.received_size as f64);
            }
            if now - last.0 >= STALL {
                let received = self.received();
                if received == last.1 {
                    return Err(failure("the server stopped answering"));
                }
                last = (now, received);
            }
        }
    }

    fn received(&self) -> u64 {
        self.connections.iter().map(|connection| connection.received).sum()
    }

    fn ready(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        loop {
            self.reads += 1;
            let check = self.checked && self.reads.is_multiple_of(CHECK_EVERY);
            // On TCP, MSG_TRUNC throws the bytes away without copying them: the generator must not be the limit.
            let flags = if check { 0 } else { libc::MSG_TRUNC };
            // SAFETY: the buffer outlives the call and its length is right.
            let count =
                unsafe { libc::recv(connection.stream.as_raw_fd(), self.buffer.as_mut_ptr().cast(), READ_SIZE, flags) };
            if count < 0 {
                match Error::last_os_error() {
                    error if error.kind() == ErrorKind::WouldBlock => break,
                    error => return Err(error),
                }
            }
            if count == 0 {
                return Err(failure("the server closed a connection"));
            }
            let count = count as usize;
            if check && !self.frames.is_expected(connection.received, &self.buffer[..count]) {
                return Err(failure("the echo differs from what was sent"));
            }
            connection.received += count as u64;
            if connection.received / self.frames.received_size as u64 * self.frames.sent_size as u64 > connection.sent {
                return Err(failure("more came back than was sent"));
            }
            // Edge-triggered: a read that did not fill the buffer has emptied the socket.
            if count < READ_SIZE {
                break;
            }
        }
        let answered = connection.received / self.frames.received_size as u64;
        let due = (answered + self.window) * self.frames.sent_size as u64;
        while connection.sent < due {
            let bytes = self.frames.to_send(connection.sent, due);
            match connection.stream.write(bytes) {
                Ok(count) => connection.sent += count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        // SAFETY: ours alone.
        unsafe { libc::close(self.poller) };
    }
}

/// Opens `count` connections, sixteen upgrades at a time, and keeps them open.
pub fn open(upgrade: &Upgrade, count: usize) -> io::Result<Vec<TcpStream>> {
    let mut pending = std::collections::VecDeque::new();
    let mut open = Vec::with_capacity(count);
    while open.len() < count {
        if open.len() + pending.len() < count && pending.len() < 16 {
            pending.push_back(upgrade.begin()?);
        } else if let Some(stream) = pending.pop_front() {
            open.push(upgrade.finish(stream)?);
        }
    }
    Ok(open)
}

/// One message there and back on each connection, one after the other.
pub fn echo_once(streams: &mut [TcpStream], frames: &Frames, checked: bool) -> io::Result<()> {
    let mut answer = vec![0; frames.received_size];
    for stream in streams {
        stream.write_all(frames.to_send(0, frames.sent_size as u64))?;
        stream.read_exact(&mut answer)?;
        if checked && !frames.is_expected(0, &answer) {
            return Err(failure("the echo differs from what was sent"));
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
    use std::net::TcpListener;

    /// Answers one connection: the upgrade, then every frame unmasked, as `spoil` leaves it.
    fn serve(frames: &Frames, spoil: fn(&mut Vec<u8>)) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sent_size, header) = (frames.sent_size, frames.sent_size - frames.received_size);
        assert_eq!(header, 4, "only the key makes the difference");
        std::thread::spawn(move || -> io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let mut head = [0; 1024];
            let _ = stream.read(&mut head)?;
            stream.write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            )?;
            let mut frame = vec![0; sent_size];
            loop {
                stream.read_exact(&mut frame)?;
                // 16 bytes of payload: two of header, four of key.
                let mut answer = vec![frame[0], frame[1] & 0x7f];
                answer.extend((0..sent_size - 6).map(|i| frame[6 + i] ^ frame[2 + i % 4]));
                spoil(&mut answer);
                stream.write_all(&answer)?;
            }
        });
        port
    }

    fn run(spoil: fn(&mut Vec<u8>)) -> io::Result<f64> {
        let frames = Frames::new(16, 8, false);
        let upgrade = Upgrade::new(serve(&frames, spoil), &frames);
        Load::start(&upgrade, &frames, 1, 8, true)?.run(Duration::from_millis(300))
    }

    #[test]
    fn a_faithful_echo_is_counted() {
        assert!(run(|_| ()).unwrap() > 0.0);
    }

    #[test]
    fn a_wrong_byte_is_noticed() {
        assert_eq!(run(|frame| frame[9] ^= 1).unwrap_err().to_string(), "the echo differs from what was sent");
    }

    #[test]
    fn more_than_was_sent_is_noticed() {
        let error = run(|frame| frame.extend_from_within(..)).unwrap_err().to_string();
        assert!(
            ["more came back than was sent", "the echo differs from what was sent"].contains(&error.as_str()),
            "{error}"
        );
    }

    #[test]
    fn each_length_has_its_header() {
        for (size, overhead) in [(125, 2), (126, 4), (65535, 4), (65536, 10)] {
            let frames = Frames::new(size, 1, true);
            assert_eq!((frames.received_size, frames.sent_size), (size + overhead, size + overhead + 4));
            assert_eq!(frames.expected[0], 0x81);
        }
    }
}
