//! A peer that does what it wants: raw TCP with a frame writer and reader of its own, in both roles.
//! Does not use the library, so that the two cannot be wrong in the same way.
#![allow(dead_code)] // Each test binary uses a part of it.

use socket2::{Domain, SockRef, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// How long the other side may take for what it has to do at once.
pub const PROMPTLY: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub is_final: bool,
    /// The three reserved bits: RSV1 is 4, RSV2 is 2, RSV3 is 1.
    pub rsv: u8,
    pub opcode: u8,
    pub payload: Vec<u8>,
    /// What the header says instead of the payload's length.
    pub declared: Option<u64>,
    /// The bytes that the length takes (1, 3 or 9) instead of as few as can be.
    pub length_bytes: Option<u8>,
    /// Masked or not, instead of as the role demands.
    pub masked: Option<bool>,
}

impl Frame {
    pub fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
        Frame {
            is_final: true,
            rsv: 0,
            opcode,
            payload: payload.as_ref().to_vec(),
            declared: None,
            length_bytes: None,
            masked: None,
        }
    }
    pub fn text(payload: impl AsRef<[u8]>) -> Frame {
        Frame::new(TEXT, payload)
    }
    pub fn close(code: u16, reason: impl AsRef<[u8]>) -> Frame {
        Frame::new(CLOSE, [&code.to_be_bytes(), reason.as_ref()].concat())
    }
    pub fn not_final(mut self) -> Frame {
        self.is_final = false;
        self
    }
    pub fn rsv(mut self, bits: u8) -> Frame {
        self.rsv = bits;
        self
    }
    pub fn declared(mut self, length: u64) -> Frame {
        self.declared = Some(length);
        self
    }
    pub fn length_bytes(mut self, bytes: u8) -> Frame {
        self.length_bytes = Some(bytes);
        self
    }
    pub fn masked(mut self, masked: bool) -> Frame {
        self.masked = Some(masked);
        self
    }

    pub fn bytes(&self, masks: bool) -> Vec<u8> {
        let length = self.declared.unwrap_or(self.payload.len() as u64);
        let shortest = if length < 126 {
            1
        } else if length < 65536 {
            3
        } else {
            9
        };
        let masked = self.masked.unwrap_or(masks);
        let bit = if masked { 0x80 } else { 0 };
        let mut bytes = vec![(u8::from(self.is_final) << 7) | (self.rsv << 4) | self.opcode];
        match self.length_bytes.unwrap_or(shortest) {
            1 => bytes.push(bit | length as u8),
            3 => {
                bytes.push(bit | 126);
                bytes.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(bit | 127);
                bytes.extend_from_slice(&length.to_be_bytes());
            }
        }
        let key: [u8; 4] = if masked {
            [0x37, 0xfa, 0x21, 0x3d]
        } else {
            [0; 4]
        };
        if masked {
            bytes.extend_from_slice(&key);
        }
        bytes.extend(
            self.payload
                .iter()
                .enumerate()
                .map(|(at, byte)| byte ^ key[at % 4]),
        );
        bytes
    }
}

/// What there is to read next.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Frame(Frame),
    Fin,
    Reset,
    /// Nothing came in the time given.
    Silence,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Everything up to the empty line, lower case.
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    /// One whose body is what follows the head in `bytes`.
    pub fn parse(bytes: &[u8]) -> Option<Response> {
        let end = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        Some(Response {
            status: head.split(' ').nth(1)?.parse().ok()?,
            head,
            body: bytes[end..].to_vec(),
        })
    }

    /// Whether all of the body is there.
    pub fn is_whole(&self) -> bool {
        let length = self.header("content-length");
        let length = length.and_then(|length| length.parse().ok());
        self.body.len() >= length.unwrap_or(0)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    }
}

#[derive(Debug)]
pub struct Peer {
    pub stream: TcpStream,
    buffer: Vec<u8>,
    /// Whether our frames are masked: we are the client.
    masks: bool,
    /// The mask of every masked frame that we have read.
    pub masks_seen: Vec<[u8; 4]>,
    /// The request head, if we are the server.
    pub request: String,
}

impl Peer {
    /// A TCP connection on which nothing has been said.
    pub fn tcp(port: u16) -> Peer {
        let stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server's port accepts");
        Peer::of(stream, true)
    }

    /// As `tcp`, from this address of our own.
    pub fn tcp_from(address: Ipv4Addr, port: u16) -> Peer {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        socket.connect(&server.into()).unwrap();
        Peer::of(socket.into(), true)
    }

    /// As `tcp`, with little room for what we have not read and for what has not left.
    pub fn tcp_with_little_room(port: u16) -> Peer {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.set_send_buffer_size(16384).unwrap();
        socket
            .connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())
            .unwrap();
        Peer::of(socket.into(), true)
    }

    fn of(stream: TcpStream, masks: bool) -> Peer {
        // A Unix socket has no such thing.
        let _ = stream.set_nodelay(true);
        Peer {
            stream,
            buffer: Vec::new(),
            masks,
            masks_seen: Vec::new(),
            request: String::new(),
        }
    }

    /// A client that the server has let in.
    pub fn client(port: u16) -> Peer {
        Peer::tcp(port).upgraded("")
    }

    /// Becomes a client of the path `/`; `headers` is empty or lines that end in CRLF.
    pub fn upgraded(mut self, headers: &str) -> Peer {
        self.send_bytes(request(headers).as_bytes());
        let response = self
            .response(PROMPTLY)
            .expect("the server answers the upgrade request");
        assert_eq!(response.status, 101, "{response:?}");
        assert_eq!(
            response.header("sec-websocket-accept"),
            Some("s3pplmbitxaq9kygzzhzrbk+xoo=")
        );
        self
    }

    /// The server's side of the next connection to `listener`, upgraded.
    pub fn accept(listener: &TcpListener) -> Peer {
        Peer::accept_with(listener, "")
    }

    pub fn accept_with(listener: &TcpListener, headers: &str) -> Peer {
        Peer::accept_tcp(listener).answered(headers)
    }

    /// The server's side of the connection that waits at `listener`, upgraded; none if it is gone before it has asked.
    pub fn try_accept(listener: &TcpListener) -> Option<Peer> {
        let (stream, _) = listener.accept().ok()?;
        stream.set_nonblocking(false).unwrap();
        let mut peer = Peer::of(stream, false);
        peer.request = String::from_utf8(peer.head(PROMPTLY)?).unwrap();
        Some(peer.answered(""))
    }

    /// The server's side of the next connection to `listener`, of which the request has been read.
    pub fn accept_tcp(listener: &TcpListener) -> Peer {
        Peer::asked(Peer::accept_silently(listener).stream)
    }

    /// The next connection to `listener`, from which nothing has been read.
    pub fn accept_silently(listener: &TcpListener) -> Peer {
        listener.set_nonblocking(true).unwrap();
        let deadline = Instant::now() + PROMPTLY;
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error)
                    if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => panic!("no connection came: {error}"),
            }
        };
        stream.set_nonblocking(false).unwrap();
        Peer::of(stream, false)
    }

    /// The server's side of a stream, of which the request has been read.
    pub fn asked(stream: TcpStream) -> Peer {
        let mut peer = Peer::of(stream, false);
        let head = peer.head(PROMPTLY).expect("the client sends a request");
        peer.request = String::from_utf8(head).unwrap();
        peer
    }

    /// Exactly so many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let deadline = Instant::now() + PROMPTLY;
        while self.buffer.len() < count {
            let end = self.fill(deadline);
            assert_eq!(end, None, "{:?} instead of {count} bytes", self.buffer);
        }
        self.buffer.drain(..count).collect()
    }

    /// Answers the request that has been read with 101.
    pub fn answered(mut self, headers: &str) -> Peer {
        let key = self
            .request
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
            .expect("a key")
            .trim();
        let accept = derive_accept_key(key.as_bytes());
        self.send_bytes(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
            )
            .as_bytes(),
        );
        self
    }

    pub fn send(&mut self, frame: &Frame) {
        self.send_bytes(&frame.bytes(self.masks));
    }

    /// The other side may have left meanwhile: reading tells.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The bytes of a frame as this side has to write it.
    pub fn encode(&self, frame: &Frame) -> Vec<u8> {
        frame.bytes(self.masks)
    }

    pub fn hear(&mut self, within: Duration) -> Heard {
        let deadline = Instant::now() + within;
        loop {
            if let Some(frame) = self.parse() {
                return Heard::Frame(frame);
            }
            if let Some(end) = self.fill(deadline) {
                return end;
            }
        }
    }

    /// The next frame that is not a ping of the library's own.
    pub fn frame(&mut self) -> Frame {
        loop {
            match self.hear(PROMPTLY) {
                Heard::Frame(frame) if frame.opcode == PING => {}
                Heard::Frame(frame) => return frame,
                other => panic!("{other:?} instead of a frame"),
            }
        }
    }

    /// Reads up to the close frame and returns its code and reason.
    pub fn close_frame(&mut self, within: Duration) -> (u16, String) {
        let deadline = Instant::now() + within;
        loop {
            match self.hear(deadline.saturating_duration_since(Instant::now())) {
                Heard::Frame(frame) if frame.opcode == CLOSE => {
                    let (code, reason) = frame
                        .payload
                        .split_at_checked(2)
                        .expect("a close frame with a code");
                    let reason = String::from_utf8(reason.to_vec()).expect("the reason is UTF-8");
                    return (u16::from_be_bytes([code[0], code[1]]), reason);
                }
                Heard::Frame(_) => {}
                other => panic!("{other:?} instead of a close frame"),
            }
        }
    }

    /// Reads on until the other side has ended the connection, by FIN or RST.
    pub fn ends(&mut self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        loop {
            match self.fill(deadline) {
                Some(Heard::Silence) => return false,
                Some(_) => return true,
                None => self.buffer.clear(),
            }
        }
    }

    /// An HTTP response as far as one to HEAD goes.
    pub fn response_head(&mut self, within: Duration) -> Option<Response> {
        Response::parse(&self.head(within)?)
    }

    /// An HTTP response with all of its body.
    pub fn response(&mut self, within: Duration) -> Option<Response> {
        let deadline = Instant::now() + within;
        let mut response = self.response_head(within)?;
        let length = response
            .header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        while self.buffer.len() < length && self.fill(deadline).is_none() {}
        response.body = self.buffer.drain(..length.min(self.buffer.len())).collect();
        Some(response)
    }

    /// The answer to a whole request, on a connection of its own; `None` if it is just closed.
    pub fn http(port: u16, request: impl AsRef<[u8]>) -> Option<Response> {
        let mut peer = Peer::tcp(port);
        peer.send_bytes(request.as_ref());
        match request.as_ref().starts_with(b"HEAD ") {
            true => peer.response_head(PROMPTLY),
            false => peer.response(PROMPTLY),
        }
    }

    /// The bytes up to and with the empty line.
    fn head(&mut self, within: Duration) -> Option<Vec<u8>> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(at) = self
                .buffer
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n")
            {
                return Some(self.buffer.drain(..at + 4).collect());
            }
            if self.fill(deadline).is_some() {
                return None;
            }
        }
    }

    /// Reads at most `limit` bytes as they come, without looking at frames, and returns how many.
    pub fn swallow(&mut self, limit: usize) -> usize {
        self.stream.set_read_timeout(Some(PROMPTLY)).unwrap();
        let mut bytes = vec![0; limit];
        let count = self.stream.read(&mut bytes).unwrap_or(0);
        self.buffer.extend_from_slice(&bytes[..count]);
        count
    }

    /// Reads what comes next; `Some` if nothing does.
    fn fill(&mut self, deadline: Instant) -> Option<Heard> {
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_micros(1));
        self.stream.set_read_timeout(Some(left)).unwrap();
        let mut bytes = [0; 65536];
        match self.stream.read(&mut bytes) {
            Ok(0) => Some(Heard::Fin),
            Ok(count) => {
                self.buffer.extend_from_slice(&bytes[..count]);
                None
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                (Instant::now() >= deadline).then_some(Heard::Silence)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => None,
            Err(_) => Some(Heard::Reset),
        }
    }

    fn parse(&mut self) -> Option<Frame> {
        let bytes = &self.buffer;
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (length, mut at) = match second & 0x7f {
            126 => (
                u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()) as usize,
                4,
            ),
            127 => (
                u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize,
                10,
            ),
            short => (short as usize, 2),
        };
        let mut key = [0; 4];
        let masked = second & 0x80 != 0;
        if masked {
            key = bytes.get(at..at + 4)?.try_into().unwrap();
            at += 4;
        }
        let payload = bytes.get(at..at + length)?;
        let payload = payload
            .iter()
            .enumerate()
            .map(|(at, byte)| byte ^ key[at % 4])
            .collect();
        self.buffer.drain(..at + length);
        if masked {
            self.masks_seen.push(key);
        }
        Some(Frame {
            is_final: first & 0x80 != 0,
            rsv: (first >> 4) & 7,
            opcode: first & 0x0f,
            payload,
            declared: None,
            length_bytes: None,
            masked: Some(masked),
        })
    }

    /// No more from us, as a FIN says.
    pub fn fin(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Gone with a RST.
    pub fn reset(self) {
        SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
}

/// A correct upgrade request for `/`, with further header lines that end in CRLF.
pub fn request(headers: &str) -> String {
    request_to("localhost", "/", headers)
}

/// The same for another host and path.
pub fn request_to(host: &str, path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
}

/// A listener on a port of its own, for an adversary that is the server.
pub fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

pub fn url(listener: &TcpListener) -> String {
    format!("ws://127.0.0.1:{}/", listener.local_addr().unwrap().port())
}

/// Lets this process have as many files open as it may; returns how many.
pub fn raise_file_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls get a struct of their own, that outlives them.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
    limit.rlim_cur
}
