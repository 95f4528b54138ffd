//! Knows how to be the server of a client that only sends: accepting it, counting and checking what comes.
//! Does not know which client it is.

use std::io::{self, Error, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::frames::{READ_SIZE, push_header};
use crate::wire::STALL;

const CHECK_EVERY: u64 = 16;

/// What each client sends, over and over: binary messages of these bytes.
fn payload(i: usize) -> u8 {
    b' ' + (i % 95) as u8
}

pub struct Sink {
    stream: TcpStream,
    /// Of one frame; the key in it is the client's choice.
    header: Vec<u8>,
    frame_size: usize,
    checked: bool,
    received: u64,
    reads: u64,
    buffer: Vec<u8>,
}

impl Sink {
    /// Waits for the client and upgrades it.
    pub fn accept(listener: &TcpListener, size: usize, checked: bool) -> io::Result<Sink> {
        listener.set_nonblocking(true)?;
        let begin = Instant::now();
        let mut stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(_) if begin.elapsed() < STALL => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => return Err(error),
            }
        };
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(STALL))?;
        // Byte by byte: frames may follow at once.
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
        });
        let key = key.ok_or_else(|| Error::other(format!("no key in {head}")))?;
        stream.write_all(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {}\r\n\r\n",
                derive_accept_key(key.as_bytes())
            )
            .as_bytes(),
        )?;
        let mut header = Vec::new();
        push_header(&mut header, 0x82, 0x80, size);
        let frame_size = header.len() + 4 + size;
        Ok(Sink { stream, header, frame_size, checked, received: 0, reads: 0, buffer: vec![0; READ_SIZE] })
    }

    pub fn listen() -> io::Result<(TcpListener, u16)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        Ok((listener, port))
    }

    /// Takes for this long; answers how many messages came.
    pub fn run(&mut self, duration: Duration) -> io::Result<f64> {
        let (begin, before) = (Instant::now(), self.received);
        while begin.elapsed() < duration {
            self.reads += 1;
            let is_wanted = self.checked && self.reads.is_multiple_of(CHECK_EVERY);
            let flags = if is_wanted { 0 } else { libc::MSG_TRUNC };
            // SAFETY: the buffer outlives the call and its length is right.
            let count =
                unsafe { libc::recv(self.stream.as_raw_fd(), self.buffer.as_mut_ptr().cast(), READ_SIZE, flags) };
            match count {
                ..0 => return Err(Error::last_os_error()),
                0 => return Err(Error::other("the client closed its connection")),
                _ => {}
            }
            if is_wanted && !self.is_expected(&self.buffer[..count as usize]) {
                return Err(Error::other("the client sent something else"));
            }
            self.received += count as u64;
        }
        Ok((self.received - before) as f64 / self.frame_size as f64)
    }

    fn is_expected(&self, mut bytes: &[u8]) -> bool {
        // From the first frame that begins here on; the rest of the one before has lost its key.
        let at = (self.received % self.frame_size as u64) as usize;
        bytes = &bytes[((self.frame_size - at) % self.frame_size).min(bytes.len())..];
        let begin = self.header.len() + 4;
        bytes.chunks(self.frame_size).all(|frame| {
            let key = |i: usize| frame[self.header.len() + i % 4];
            frame.iter().zip(&self.header).all(|(got, expected)| got == expected)
                && (begin..frame.len()).all(|at| frame[at] ^ key(at - begin) == payload(at - begin))
        })
    }
}
