//! Knows byte streams: TCP, Unix sockets, and TLS over any of them; connecting, listening, reading and writing without a signal.
//! Does not know WebSocket or HTTP.

mod connect;
mod listen;
mod tcp;
mod threads;
pub mod tls;

pub use connect::{connect, connect_unix, resolve};
pub use listen::{CAN_REUSE_PORT, Listener, addresses, bind};
pub use threads::{Home, Threads, Wakes, is_network_thread, mark_network_thread, spawn_on};

use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use tokio::net::TcpStream;

use tcp::Tcp;

/// A connected byte stream, which may be written from any thread.
pub struct Stream {
    link: Link,
    peer: SocketAddr,
}

/// What carries the bytes.
enum Link {
    Tcp(Tcp),
    Tls(Box<tls::Layer>),
}

impl Stream {
    fn new(tcp: TcpStream, peer: SocketAddr) -> Stream {
        Stream {
            link: Link::Tcp(Tcp::new(tcp)),
            peer,
        }
    }

    /// The other end's address; of a Unix socket 0.0.0.0:0.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// What was agreed with the peer in TLS; none without.
    pub fn tls(&self) -> Option<&tls::Info> {
        match &self.link {
            Link::Tcp(_) => None,
            Link::Tls(layer) => Some(&layer.info),
        }
    }

    /// The socket, to be registered with another network thread: as it was accepted, before anything is put over it.
    pub fn into_detached(self) -> io::Result<Detached> {
        match self.link {
            Link::Tcp(tcp) => Ok(Detached {
                tcp: tcp.into_std()?,
                peer: self.peer,
            }),
            Link::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Reads what is there into the buffers; 0 is the end.
    pub fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        match &self.link {
            Link::Tcp(tcp) => tcp.poll_read(context, buffers),
            Link::Tls(layer) => layer.poll_read(context, buffers),
        }
    }

    /// Writes as much as the stream takes. Where less was written than given, the next write begins with the rest.
    pub fn poll_write(
        &self,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &self.link {
            Link::Tcp(tcp) => tcp.poll_write(context, buffers),
            Link::Tls(layer) => layer.poll_write(context, buffers),
        }
    }

    /// Writes what the stream takes at once, like `poll_write`; 0 if that is nothing.
    pub fn write_now(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.link {
            Link::Tcp(tcp) => tcp.write_now(buffers),
            Link::Tls(layer) => layer.write_now(buffers),
        }
    }

    /// Bytes at the beginning of what the last write has not taken, which the next one has to begin with: they are encrypted.
    pub fn committed_bytes(&self) -> usize {
        match &self.link {
            Link::Tcp(_) => 0,
            Link::Tls(layer) => layer.committed_bytes(),
        }
    }

    /// What the peer has received, as far as the system tells.
    pub fn acknowledged_bytes(&self) -> Option<u64> {
        match &self.link {
            Link::Tcp(tcp) => tcp.acknowledged_bytes(),
            Link::Tls(layer) => layer.inner.acknowledged_bytes(),
        }
    }

    /// Whether something waits to be read, though the event loop may not have noticed yet: bytes, the end or an error.
    pub fn has_unread(&self) -> bool {
        match &self.link {
            Link::Tcp(tcp) => tcp.has_unread(),
            Link::Tls(layer) => layer.inner.has_unread(),
        }
    }

    /// Tells the peer that nothing more comes.
    pub fn shutdown_write(&self) {
        match &self.link {
            Link::Tcp(tcp) => tcp.shutdown_write(),
            Link::Tls(layer) => layer.shutdown_write(),
        }
    }

    /// Dropping the stream from now on resets the connection instead of sending what is left.
    pub fn reset_on_drop(&self) {
        match &self.link {
            Link::Tcp(tcp) => tcp.reset_on_drop(),
            Link::Tls(layer) => layer.inner.reset_on_drop(),
        }
    }

    /// Appends what is there; 0 is the end. Read through room that the thread keeps, so that `bytes` grows only by what came.
    pub fn poll_read_onto(
        &self,
        context: &mut Context<'_>,
        bytes: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        thread_local! {
            static CHUNK: RefCell<[u8; 4096]> = const { RefCell::new([0; 4096]) };
        }
        CHUNK.with_borrow_mut(|chunk| {
            let length = ready!(self.poll_read(context, &mut [IoSliceMut::new(chunk)]))?;
            bytes.extend_from_slice(&chunk[..length]);
            Poll::Ready(Ok(length))
        })
    }

    /// The same, waiting for it.
    pub async fn read_onto(&self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        std::future::poll_fn(|context| self.poll_read_onto(context, bytes)).await
    }

    /// Fills the buffer, and reads no byte more.
    pub async fn read_exactly(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            let read = std::future::poll_fn(|context| {
                self.poll_read(context, &mut [IoSliceMut::new(rest)])
            });
            match read.await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(())
    }

    /// Writes everything.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written =
                std::future::poll_fn(|context| self.poll_write(context, &[IoSlice::new(bytes)]))
                    .await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Reads to the end and forgets it: closing a socket with unread bytes would reset the connection, and the peer
    /// might never see what we wrote last.
    pub async fn discard_until_end(&self) {
        let mut forgotten = Vec::new();
        while matches!(self.read_onto(&mut forgotten).await, Ok(1..)) {
            forgotten.clear();
        }
    }
}

/// A connected socket between two network threads.
pub struct Detached {
    tcp: std::net::TcpStream,
    peer: SocketAddr,
}

impl Detached {
    /// Registers the socket with the network thread that calls.
    pub fn attach(self) -> io::Result<Stream> {
        Ok(Stream::new(TcpStream::from_std(self.tcp)?, self.peer))
    }
}
