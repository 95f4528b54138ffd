//! Knows TCP: connecting, listening, reading and writing without a signal.
//! Does not know WebSocket or HTTP.

mod connect;
mod listen;
mod threads;

pub use connect::{connect, resolve};
pub use listen::{Listener, addresses, bind};
pub use threads::{Threads, is_network_thread, mark_network_thread, spawn_on};

use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::Interest;

use tokio::net::TcpStream;

use crate::platform;

/// A connected socket, which may be written from any thread.
pub struct Stream {
    tcp: TcpStream,
    peer: SocketAddr,
}

/// Telling a peer that leaves must not raise SIGPIPE in the host: `send` is told so, where the system has the flag.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const SEND_FLAGS: i32 = 0;

/// With edge-triggered readiness, a read or write that did less than it could has emptied or filled the socket: asking
/// again would only cost a system call that says so.
const IS_EDGE_TRIGGERED: bool = cfg!(any(target_os = "linux", target_os = "android"));

impl Stream {
    fn new(tcp: TcpStream, peer: SocketAddr) -> Stream {
        // Messages leave when they are written; batching is ours. Failing is no reason to refuse a connection.
        let _ = tcp.set_nodelay(true);
        #[cfg(any(target_os = "macos", target_os = "ios"))]
        let _ = SockRef::from(&tcp).set_nosigpipe(true);
        Stream { tcp, peer }
    }

    /// The other end's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The socket, to be registered with another network thread.
    pub fn into_detached(self) -> io::Result<Detached> {
        Ok(Detached {
            tcp: self.tcp.into_std()?,
            peer: self.peer,
        })
    }

    /// Reads what is there into the buffers; 0 is the end.
    pub fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let capacity: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        loop {
            ready!(self.tcp.poll_read_ready(context))?;
            let socket = SockRef::from(&self.tcp);
            let read = || match buffers {
                [one] => (&*socket).read(one),
                _ => (&*socket).read_vectored(buffers),
            };
            if let Some(result) = self.attempt(Interest::READABLE, capacity, read) {
                return Poll::Ready(result);
            }
        }
    }

    /// Writes as much as the socket takes.
    pub fn poll_write(
        &self,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        loop {
            ready!(self.tcp.poll_write_ready(context))?;
            let socket = SockRef::from(&self.tcp);
            let write = || match buffers {
                [one] => socket.send_with_flags(one, SEND_FLAGS),
                _ => socket.send_vectored_with_flags(buffers, SEND_FLAGS),
            };
            if let Some(result) = self.attempt(Interest::WRITABLE, length, write) {
                return Poll::Ready(result);
            }
        }
    }

    /// Writes what the socket takes at once; 0 if that is nothing.
    pub fn write_now(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let length: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let socket = SockRef::from(&self.tcp);
        let write = || socket.send_vectored_with_flags(buffers, SEND_FLAGS);
        self.attempt(Interest::WRITABLE, length, write)
            .unwrap_or(Ok(0))
    }

    /// What the peer has received, as far as the system tells.
    pub fn acknowledged_bytes(&self) -> Option<u64> {
        platform::acknowledged_bytes(&self.tcp)
    }

    /// One system call. None: the socket is not ready after all.
    fn attempt(
        &self,
        interest: Interest,
        wanted: usize,
        mut call: impl FnMut() -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        let mut partial = None;
        let result = self.tcp.try_io(interest, || {
            let done = loop {
                match call() {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other?,
                }
            };
            if IS_EDGE_TRIGGERED && done > 0 && done < wanted {
                partial = Some(done);
                // So that tokio knows that the socket is not ready any more.
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(done)
        });
        match (result, partial) {
            (_, Some(done)) => Some(Ok(done)),
            (Err(error), None) if error.kind() == io::ErrorKind::WouldBlock => None,
            (result, None) => Some(result),
        }
    }

    /// Appends what is there; 0 is the end. Read through room that the thread keeps, so that `bytes` grows only by what came.
    pub async fn read_onto(&self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        thread_local! {
            static CHUNK: RefCell<[u8; 4096]> = const { RefCell::new([0; 4096]) };
        }
        std::future::poll_fn(|context| {
            CHUNK.with_borrow_mut(|chunk| {
                let length = ready!(self.poll_read(context, &mut [IoSliceMut::new(chunk)]))?;
                bytes.extend_from_slice(&chunk[..length]);
                Poll::Ready(Ok(length))
            })
        })
        .await
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

    /// Tells the peer that nothing more comes.
    pub fn shutdown_write(&self) {
        // Fails where the peer has left already, which is just as well.
        let _ = SockRef::from(&self.tcp).shutdown(std::net::Shutdown::Write);
    }

    /// Dropping the socket from now on resets the connection instead of sending what is left.
    pub fn reset_on_drop(&self) {
        let _ = SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
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
