//! Knows how the load generator's bytes reach a server: TCP, or TLS above it, and the upgrade.
//! Does not know messages.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::cell::Deflate;

/// Nothing that comes back for this long fails the measurement.
pub const STALL: Duration = Duration::from_secs(5);

/// One connection's socket.
pub struct Wire {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Wire {
    pub fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    pub fn set_nonblocking(&self) -> io::Result<()> {
        self.stream.set_nonblocking(true)
    }

    /// Whether a read that does not fill the buffer has emptied the socket.
    pub fn short_read_is_last(&self) -> bool {
        self.tls.is_none()
    }

    /// Reads, or where the bytes are not wanted counts and throws them away. 0: the server has closed.
    pub fn receive(&mut self, buffer: &mut [u8], is_wanted: bool) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            // On TCP, MSG_TRUNC throws the bytes away without copying them: the generator must not be the limit.
            let flags = if is_wanted { 0 } else { libc::MSG_TRUNC };
            // SAFETY: the buffer outlives the call and its length is right.
            let count = unsafe { libc::recv(self.stream.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags) };
            return usize::try_from(count).map_err(|_| io::Error::last_os_error());
        };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
            if tls.read_tls(&mut self.stream)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }

    /// Writes what the socket takes. To be called again, if with nothing, when it takes more.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return if bytes.is_empty() { Ok(0) } else { self.stream.write(bytes) };
        };
        let mut sent = 0;
        loop {
            while tls.wants_write() {
                match tls.write_tls(&mut self.stream) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(sent),
                    result => result?,
                };
            }
            match tls.writer().write(&bytes[sent..])? {
                0 => return Ok(sent),
                count => sent += count,
            }
        }
    }
}

/// Blocking, for what is not measured.
impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, true)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send(&[]).map(drop)
    }
}

/// Connects and upgrades.
pub struct Upgrade {
    address: SocketAddr,
    request: String,
    deflate: Option<Deflate>,
    tls: Option<Arc<ClientConfig>>,
}

impl Upgrade {
    /// The path tells a raw echo the sizes; WebSocket servers ignore it.
    pub fn new(port: u16, path: &str, deflate: Option<Deflate>, tls: Option<Arc<ClientConfig>>) -> Upgrade {
        let extension = match deflate {
            None => "",
            Some(Deflate { keeps_context: true, .. }) => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            Some(Deflate { keeps_context: false, .. }) => {
                "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
            }
        };
        // The key and its answer are the RFC 6455 § 1.3 ones.
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extension}\r\n",
        );
        Upgrade { address: (Ipv4Addr::LOCALHOST, port).into(), request, deflate, tls }
    }

    pub fn begin(&self) -> io::Result<Wire> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(STALL))?;
        let mut wire = Wire { stream, tls: None };
        match &self.tls {
            None => wire.write_all(self.request.as_bytes())?,
            Some(config) => {
                let name = ServerName::try_from("localhost").expect("it is a name");
                let mut tls = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
                tls.writer().write_all(self.request.as_bytes())?;
                wire.tls = Some(Box::new(tls));
                wire.flush()?;
            }
        }
        Ok(wire)
    }

    pub fn finish(&self, mut wire: Wire) -> io::Result<Wire> {
        if let Some(tls) = &mut wire.tls {
            while tls.is_handshaking() {
                tls.complete_io(&mut wire.stream)?;
            }
            wire.flush()?;
        }
        let mut head = [0; 2048];
        let mut length = 0;
        while !head[..length].ends_with(b"\r\n\r\n") {
            let count = wire.read(&mut head[length..])?;
            if count == 0 {
                return Err(io::Error::other("the server closed during the upgrade"));
            }
            length += count;
        }
        let head = String::from_utf8_lossy(&head[..length]);
        if !head.starts_with("HTTP/1.1 101 ") || !head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
            return Err(io::Error::other(format!("not upgraded: {head}")));
        }
        // Both settings of a comparison have to be what they are called.
        let agreed = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("sec-websocket-extensions").then_some(value)
        });
        let is_agreed = match (self.deflate, agreed) {
            (None, None) => true,
            (Some(wished), Some(agreed)) => {
                agreed.contains("permessage-deflate")
                    && agreed.contains("server_no_context_takeover") != wished.keeps_context
                    && !(wished.keeps_context && agreed.contains("client_no_context_takeover"))
            }
            _ => false,
        };
        if !is_agreed {
            return Err(io::Error::other(format!("this was agreed instead: {agreed:?}")));
        }
        Ok(wire)
    }
}
