//! Knows how hyper reads and writes a connection: whole heads that have passed our own parser, and each within its time.
//! Does not know what is asked for.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::guests::Guest;
use crate::protocol::head::{HeadScanner, Refusal, Request};
use crate::server::port::Entrance;
use crate::transport::Stream;

/// What a connection and its answers have in common.
pub struct Shared {
    pub guest: Guest,
    /// What the head says that hyper was given last.
    pub request: Mutex<Option<Request>>,
    /// How long no byte may leave while some wait; none: for ever.
    pub patience: Mutex<Option<Duration>>,
}

/// A connection as hyper sees it.
pub struct Wire {
    pub stream: Stream,
    /// What has come and was not given to hyper.
    pub bytes: Vec<u8>,
    /// Why hyper was told that nothing more comes: a request with its length in `bytes`, or what is wrong with it. None:
    /// the client has left, or has said nothing for too long.
    pub ending: Option<Result<(Request, usize), Refusal>>,
    is_over: bool,
    /// The client has said nothing for too long.
    pub is_late: bool,
    /// How much of `bytes` is a head that hyper may have.
    passed: usize,
    scanner: HeadScanner,
    entrance: Entrance,
    shared: Arc<Shared>,
    /// Until when what the client says next must have come, and whether it has begun to say it.
    reading: Option<(Pin<Box<Sleep>>, bool)>,
    /// Until when it must take something, and what it had taken before.
    writing: Option<(Pin<Box<Sleep>>, Option<u64>)>,
}

/// Whether this is a request that hyper may see: not for a WebSocket, and without a body, which is not read here.
pub fn is_plain(request: &Request) -> bool {
    !crate::protocol::upgrade::wants_websocket(request) && !request.has_body()
}

impl Wire {
    /// Begins with `bytes`, which have been read already.
    pub fn new(stream: Stream, bytes: Vec<u8>, entrance: Entrance, shared: Arc<Shared>) -> Wire {
        Wire {
            stream,
            bytes,
            ending: None,
            is_over: false,
            is_late: false,
            passed: 0,
            scanner: HeadScanner::default(),
            entrance,
            shared,
            reading: None,
            writing: None,
        }
    }

    /// Waits for the next head that hyper may have; false if there is none.
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        while !self.is_over {
            match self.scanner.request(&self.bytes, &self.entrance.head) {
                Ok(Some((request, length))) if is_plain(&request) => {
                    self.scanner = HeadScanner::default();
                    self.reading = None;
                    self.passed = length;
                    *self.shared.request.lock() = Some(request);
                    return Poll::Ready(true);
                }
                Ok(Some(found)) => self.end(Some(Ok(found))),
                Err(refusal) => self.end(Some(Err(refusal))),
                Ok(None) => ready!(self.poll_more(context)),
            }
        }
        Poll::Ready(false)
    }

    fn end(&mut self, ending: Option<Result<(Request, usize), Refusal>>) {
        self.ending = ending;
        self.is_over = true;
    }

    /// Waits for more bytes, or for the end of its patience.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let has_begun = !self.bytes.is_empty();
        if self.reading.is_none() {
            self.shared.guest.is_idle();
        }
        if self
            .reading
            .as_ref()
            .is_none_or(|(_, had)| *had != has_begun)
        {
            let limit = match has_begun {
                true => self.entrance.handshake_timeout,
                false => self.entrance.idle_timeout,
            };
            self.reading = Some((Box::pin(sleep_until(Instant::now() + limit)), has_begun));
        }
        match self.stream.poll_read_onto(context, &mut self.bytes) {
            Poll::Ready(Ok(1..)) => return Poll::Ready(()),
            Poll::Ready(_) => self.end(None),
            Poll::Pending => {
                let (limit, _) = self.reading.as_mut().expect("set above");
                ready!(limit.as_mut().poll(context));
                self.is_late = true;
                self.end(None);
            }
        }
        Poll::Ready(())
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.passed == 0 && !ready!(self.poll_head(context)) {
            return Poll::Ready(Ok(()));
        }
        let count = self.passed.min(buffer.remaining());
        buffer.put_slice(&self.bytes[..count]);
        self.bytes.drain(..count);
        self.passed -= count;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = self.stream.poll_write(context, buffers) {
            self.writing = None;
            return Poll::Ready(written);
        }
        let Some(patience) = *self.shared.patience.lock() else {
            return Poll::Pending;
        };
        let this = &mut *self;
        let taken = || this.stream.acknowledged_bytes();
        let (limit, before) = this
            .writing
            .get_or_insert_with(|| (Box::pin(sleep(patience)), taken()));
        while limit.as_mut().poll(context).is_ready() {
            // The system has room for more only once much has been taken.
            let now = taken();
            if now <= *before {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            *before = now;
            limit.as_mut().reset(Instant::now() + patience);
        }
        Poll::Pending
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// What follows hyper ends the connection, or goes on with it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
