//! Knows one TLS connection: its handshake, what is read and written through it, how it ends.
//! Does not know how its configuration was made.

use std::cell::Cell;
use std::io::{self, IoSlice, IoSliceMut};
use std::task::{Context, Poll};

use parking_lot::Mutex;

use rustls::Error;

use super::reason;
use super::records::{MOST_KEPT, MOST_OVERHEAD, Outgoing, RECORD, Session};
use super::{Info, Stream};

/// Encrypted bytes that one read may bring.
const WIRE: usize = 256 * 1024 + RECORD + MOST_OVERHEAD;
/// Why a peer that sends a message of the handshake in ever smaller pieces is left.
const ENDLESS: &str = "the peer sends a TLS handshake message in too many pieces";
const _: () = assert!(WIRE >= MOST_KEPT + RECORD + MOST_OVERHEAD);
/// Records that are encrypted for one write.
const BATCH: usize = 16;

thread_local! {
    /// Encrypted bytes just read: no connection keeps them while it waits, but for the beginning of a record.
    static READ: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// Records about to be written: a connection keeps them only while its stream takes nothing.
    static WRITE: Cell<Outgoing> = const { Cell::new(Outgoing::EMPTY) };
    /// The content of a record that lies in several pieces.
    static PIECES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// TLS over a stream.
pub struct Layer {
    pub(in crate::transport) inner: Stream,
    pub(in crate::transport) info: Info,
    state: Mutex<State>,
}

struct State {
    session: Session,
    /// The beginning of a record, or of a message of the handshake that goes on in the next.
    incoming: Vec<u8>,
    /// Content for which the reader had no room.
    surplus: Vec<u8>,
    /// Nothing more comes.
    is_ended: bool,
    /// The session is of no use any more: nothing is read or written, and rustls is not asked for anything.
    is_broken: bool,
    /// Why: told once what came before has been.
    failure: Option<String>,
    outgoing: Outgoing,
    /// What of it is the writer's.
    batch: Batch,
    /// `outgoing` is the last that we say.
    is_closing: bool,
}

impl Layer {
    /// Runs the handshake, of which the peer has said `incoming` already. Has no deadline of its own: the caller drops it.
    pub async fn open(
        inner: Stream,
        session: Session,
        incoming: Vec<u8>,
        is_verified: bool,
    ) -> Result<Layer, String> {
        let mut state = State {
            session,
            incoming,
            surplus: Vec::new(),
            is_ended: false,
            is_broken: false,
            failure: None,
            outgoing: Outgoing::default(),
            batch: Batch::default(),
            is_closing: false,
        };
        loop {
            let error = state.decrypt_incoming();
            let told = inner.write_all(state.outgoing.bytes()).await;
            state.outgoing = Outgoing::default();
            match (error, told) {
                (Some(error), _) => {
                    // So that the alert is not lost behind what the peer still says.
                    inner.shutdown_write();
                    return Err(reason::in_words(error));
                }
                (None, Err(error)) => return Err(error.to_string()),
                (None, Ok(())) => {}
            }
            if !state.session.state().is_handshaking() {
                break;
            }
            if state.is_ended {
                return Err("the peer ended the TLS handshake".into());
            }
            if state.incoming.len() > MOST_KEPT {
                return Err(ENDLESS.into());
            }
            match inner.read_onto(&mut state.incoming).await {
                Ok(0) => return Err("the peer ended the connection in the TLS handshake".into()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        state.incoming.shrink_to_fit();
        let info = Info::of(state.session.state(), is_verified);
        Ok(Layer {
            inner,
            info,
            state: Mutex::new(state),
        })
    }

    /// Reads what is there; 0 is the end, whether the peer said so in TLS or not.
    pub fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let state = &mut *self.state.lock();
        if !state.surplus.is_empty() {
            let mut room = Room::new(buffers);
            let taken = room.put(&state.surplus);
            state.surplus.drain(..taken);
            if state.surplus.is_empty() {
                state.surplus = Vec::new();
            }
            return Poll::Ready(Ok(taken));
        }
        // What rustls has to say, or the end: nobody may be writing. A peer that has left is still to be read.
        let _ = self.poll_flush(state, context);
        let mut wire = READ.take();
        let polled = self.poll_records(state, context, &mut wire, buffers);
        READ.set(wire);
        polled
    }

    fn poll_records(
        &self,
        state: &mut State,
        context: &mut Context<'_>,
        wire: &mut Vec<u8>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let capacity: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let mut room = Room::new(buffers);
        loop {
            if let Some(failure) = state.failure.take() {
                return Poll::Ready(Err(io::Error::other(failure)));
            }
            if state.is_ended || state.is_broken {
                return Poll::Ready(Ok(0));
            }
            let kept = state.incoming.len();
            // Room for one record at least.
            let wanted = capacity.clamp(kept + RECORD + MOST_OVERHEAD, WIRE);
            if wire.len() < wanted {
                wire.resize(wanted, 0);
            }
            let mut into = [IoSliceMut::new(&mut wire[kept..wanted])];
            let read = match self.inner.poll_read(context, &mut into) {
                Poll::Ready(Ok(0)) => {
                    state.is_ended = true;
                    continue;
                }
                Poll::Ready(Ok(read)) => read,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            wire[..kept].copy_from_slice(&state.incoming);
            let surplus = &mut state.surplus;
            let step = state.session.advance(
                &mut wire[..kept + read],
                &mut state.outgoing,
                &mut |content| {
                    let taken = room.put(content);
                    surplus.extend_from_slice(&content[taken..]);
                },
            );
            state.is_ended |= step.is_ended;
            state.keep(&wire[step.taken..kept + read]);
            match step.error {
                Some(error) => state.fail(reason::in_words(error)),
                None if !state.is_ended && state.incoming.len() > MOST_KEPT => {
                    state.fail(ENDLESS.into());
                }
                None => {}
            }
            // Answers of rustls's own leave now if they can, otherwise with the next read or write.
            let _ = self.poll_flush(state, context);
            if room.filled > 0 {
                return Poll::Ready(Ok(room.filled));
            }
        }
    }

    /// Encrypts and writes. Content counts as written once its record has left: until then, the caller gives it again.
    pub fn poll_write(
        &self,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(buffers, |layer, state| layer.poll_flush(state, context))
    }

    /// The same, as far as it goes at once.
    pub fn write_now(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.write(buffers, |layer, state| layer.flush_now(state)) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(0),
        }
    }

    /// Content that is encrypted and does not count as written yet.
    pub fn committed_bytes(&self) -> usize {
        let batch = &self.state.lock().batch;
        batch.content - batch.reported
    }

    fn write(
        &self,
        buffers: &[IoSlice<'_>],
        mut flush: impl FnMut(&Layer, &mut State) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<usize>> {
        let state = &mut *self.state.lock();
        loop {
            let flushed = flush(self, state)?;
            match state.batch.news(flushed.is_ready()) {
                0 if flushed.is_pending() => return Poll::Pending,
                0 => {}
                written => return Poll::Ready(Ok(written)),
            }
            if buffers.iter().all(|buffer| buffer.is_empty()) {
                return Poll::Ready(Ok(0));
            }
            if state.is_broken {
                // The reader is told why, if it was not.
                let failure = state.failure.clone().unwrap_or_default();
                return Poll::Ready(Err(io::Error::other(failure)));
            }
            if let Err(error) = state.encrypt(buffers) {
                return Poll::Ready(Err(io::Error::other(reason::in_words(error))));
            }
        }
    }

    /// Writes what is in `outgoing`.
    fn poll_flush(&self, state: &mut State, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !state.outgoing.is_empty() {
            let bytes = [IoSlice::new(state.outgoing.bytes())];
            match self.inner.poll_write(context, &bytes) {
                Poll::Ready(Ok(written)) => state.left(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if std::mem::take(&mut state.is_closing) {
            self.inner.shutdown_write();
        }
        Poll::Ready(Ok(()))
    }

    /// Tells the peer that nothing more comes, in TLS and below.
    pub fn shutdown_write(&self) {
        let state = &mut *self.state.lock();
        if !state.is_broken {
            // Fails where everything was said.
            let _ = state.session.end(&mut state.incoming, &mut state.outgoing);
        }
        state.is_closing = true;
        // What the stream does not take now, it takes with the next read.
        if self.flush_now(state).is_ready() {
            self.inner.shutdown_write();
        }
    }

    fn flush_now(&self, state: &mut State) -> Poll<io::Result<()>> {
        while !state.outgoing.is_empty() {
            match self
                .inner
                .write_now(&[IoSlice::new(state.outgoing.bytes())])
            {
                Ok(0) => return Poll::Pending,
                Ok(written) => state.left(written),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl State {
    /// In the handshake: what came is taken as far as it goes.
    fn decrypt_incoming(&mut self) -> Option<Error> {
        let surplus = &mut self.surplus;
        let step = self
            .session
            .advance(&mut self.incoming, &mut self.outgoing, &mut |content| {
                surplus.extend_from_slice(content);
            });
        self.incoming.drain(..step.taken);
        self.is_ended = step.is_ended;
        step.error
    }

    fn fail(&mut self, why: String) {
        self.is_broken = true;
        self.failure = Some(why);
    }

    /// Keeps the beginning of a record.
    fn keep(&mut self, rest: &[u8]) {
        self.incoming.clear();
        match rest.is_empty() {
            true => self.incoming = Vec::new(),
            false => self.incoming.extend_from_slice(rest),
        }
    }

    /// Encrypts a batch of what is in `buffers`: full records, but for the last.
    fn encrypt(&mut self, buffers: &[IoSlice<'_>]) -> Result<(), Error> {
        self.outgoing = WRITE.take();
        self.batch = Batch::default();
        let mut pieces = PIECES.take();
        let mut buffers = Pieces::new(buffers);
        for _ in 0..BATCH {
            let content = buffers.next(&mut pieces);
            if content.is_empty() {
                break;
            }
            self.session
                .encrypt(content, &mut self.incoming, &mut self.outgoing)?;
            if self.batch.content == 0 {
                self.batch.record_length = self.outgoing.bytes().len();
            }
            self.batch.content += content.len();
        }
        PIECES.set(pieces);
        Ok(())
    }

    /// `count` bytes have left.
    fn left(&mut self, count: usize) {
        self.outgoing.advance(count);
        self.batch.left += count;
        if self.outgoing.is_empty() {
            let room = std::mem::take(&mut self.outgoing);
            if room.is_worth_keeping() {
                WRITE.set(room);
            }
        }
    }
}

/// The records that were encrypted together, as far as their writer has to know.
#[derive(Default)]
struct Batch {
    /// Bytes of content in all of them.
    content: usize,
    /// What the first takes on the wire: all but the last are like it.
    record_length: usize,
    /// Bytes on the wire that have left.
    left: usize,
    /// Content of which the writer knows that it has left.
    reported: usize,
}

impl Batch {
    /// Content that has left since the last time.
    fn news(&mut self, is_all: bool) -> usize {
        let gone = match is_all {
            true => self.content,
            false => (self.left / self.record_length.max(1) * RECORD).min(self.content),
        };
        let news = gone.saturating_sub(self.reported);
        self.reported = self.reported.max(gone);
        news
    }
}

/// Buffers to be written, in the order of their bytes.
struct Pieces<'a> {
    current: &'a [u8],
    rest: &'a [IoSlice<'a>],
}

impl<'a> Pieces<'a> {
    fn new(buffers: &'a [IoSlice<'a>]) -> Pieces<'a> {
        Pieces {
            current: &[],
            rest: buffers,
        }
    }

    /// The next record's content, put together in `room` where it lies in several buffers; empty at the end.
    fn next<'b>(&mut self, room: &'b mut Vec<u8>) -> &'b [u8]
    where
        'a: 'b,
    {
        self.skip_empty();
        if self.current.len() >= RECORD || self.rest.is_empty() {
            return self.take(RECORD);
        }
        room.clear();
        while room.len() < RECORD && !self.current.is_empty() {
            room.extend_from_slice(self.take(RECORD - room.len()));
            self.skip_empty();
        }
        room
    }

    fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, current) = self.current.split_at(most.min(self.current.len()));
        self.current = current;
        taken
    }

    fn skip_empty(&mut self) {
        while let (true, [first, rest @ ..]) = (self.current.is_empty(), self.rest) {
            self.current = first;
            self.rest = rest;
        }
    }
}

/// Buffers that are being read into.
struct Room<'a, 'b> {
    buffers: &'a mut [IoSliceMut<'b>],
    /// Bytes in the first of them.
    at: usize,
    /// Bytes in all of them.
    filled: usize,
}

impl<'a, 'b> Room<'a, 'b> {
    fn new(buffers: &'a mut [IoSliceMut<'b>]) -> Room<'a, 'b> {
        Room {
            buffers,
            at: 0,
            filled: 0,
        }
    }

    /// Copies what there is room for, and returns how much that is.
    fn put(&mut self, mut content: &[u8]) -> usize {
        let before = self.filled;
        while let (false, [first, ..]) = (content.is_empty(), &mut *self.buffers) {
            let length = content.len().min(first.len() - self.at);
            first[self.at..self.at + length].copy_from_slice(&content[..length]);
            content = &content[length..];
            self.at += length;
            self.filled += length;
            if self.at == first.len() {
                self.buffers = &mut std::mem::take(&mut self.buffers)[1..];
                self.at = 0;
            }
        }
        self.filled - before
    }
}
