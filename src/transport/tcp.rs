//! Knows one TCP socket: reading and writing without a signal, with as few system calls as can be.
//! Does not know what stands around it.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::platform;

/// A connected socket.
pub struct Tcp(TcpStream);

/// Telling a peer that leaves must not raise SIGPIPE in the host: `send` is told so, where the system has the flag.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const SEND_FLAGS: i32 = 0;

/// With edge-triggered readiness, a read or write that did less than it could has emptied or filled the socket: asking
/// again would only cost a system call that says so.
const IS_EDGE_TRIGGERED: bool = cfg!(any(target_os = "linux", target_os = "android"));

impl Tcp {
    pub fn new(tcp: TcpStream) -> Tcp {
        // Messages leave when they are written; batching is ours. Failing is no reason to refuse a connection.
        let _ = tcp.set_nodelay(true);
        #[cfg(any(target_os = "macos", target_os = "ios"))]
        let _ = SockRef::from(&tcp).set_nosigpipe(true);
        Tcp(tcp)
    }

    /// The socket without its network thread.
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        self.0.into_std()
    }

    /// Reads what is there into the buffers; 0 is the end.
    pub fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let capacity: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        loop {
            ready!(self.0.poll_read_ready(context))?;
            let socket = SockRef::from(&self.0);
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
            ready!(self.0.poll_write_ready(context))?;
            let socket = SockRef::from(&self.0);
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
        let socket = SockRef::from(&self.0);
        let write = || socket.send_vectored_with_flags(buffers, SEND_FLAGS);
        self.attempt(Interest::WRITABLE, length, write)
            .unwrap_or(Ok(0))
    }

    /// One system call. None: the socket is not ready after all.
    fn attempt(
        &self,
        interest: Interest,
        wanted: usize,
        mut call: impl FnMut() -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        let mut partial = None;
        let result = self.0.try_io(interest, || {
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

    /// What the peer has received, as far as the system tells.
    pub fn acknowledged_bytes(&self) -> Option<u64> {
        platform::acknowledged_bytes(&self.0)
    }

    /// Whether something waits to be read, though the event loop may not have noticed yet: bytes, the end or an error.
    pub fn has_unread(&self) -> bool {
        let peeked = SockRef::from(&self.0).peek(&mut [MaybeUninit::uninit()]);
        !peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Tells the peer that nothing more comes.
    pub fn shutdown_write(&self) {
        // Fails where the peer has left already, which is just as well.
        let _ = SockRef::from(&self.0).shutdown(std::net::Shutdown::Write);
    }

    /// Dropping the socket from now on resets the connection instead of sending what is left.
    pub fn reset_on_drop(&self) {
        let _ = SockRef::from(&self.0).set_linger(Some(Duration::ZERO));
    }
}
