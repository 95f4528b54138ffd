//! Knows one socket's life after its handshake: messages, timers, back pressure, the close handshake.
//! Does not know who accepted or dialled it.

mod about;
mod broadcast;
mod budget;
mod closing;
mod cork;
mod counters;
mod outbox;
mod task;

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Receipt, Result, Status, Unsent};
use crate::events::{OpenInfo, Source, TlsInfo};
use crate::protocol::deflate::{self, Agreed, CompressionError, Outgoing, Shape, Wishes};
use crate::protocol::frame::{self, MAX_CONTROL, Opcode};
use crate::protocol::receiver::Limits;
use crate::protocol::{Kind, Role, close, utf8};
use crate::transport::{Home, Stream, Wakes};

use about::About;
pub use broadcast::{Audience, Broadcasts};
use budget::UNCOUNTED;
pub use budget::{Budget, PROCESS as PROCESS_BUDGET};
pub use counters::Counters;
use counters::Passed;
use outbox::{Outbox, Stage, unlock_and, unlock_and_wake};
pub use task::{End, Task};

/// What a connection is allowed and obliged to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which end we are.
    pub role: Role,
    /// What the peer may send.
    pub limits: Limits,
    /// Whether fragments are reported.
    pub fragments: bool,
    /// How often we ask whether the peer is there.
    pub ping_interval: Option<Duration>,
    /// How long nothing may come after a ping.
    pub ping_timeout: Option<Duration>,
    /// Whether the host is told of the pongs that answer our own pings.
    pub report_pongs: bool,
    /// Whether pings are answered.
    pub enable_pong: bool,
    /// How long a close handshake may take.
    pub close_timeout: Duration,
    /// Bytes that may wait to be sent.
    pub send_queue: usize,
    /// What waits to be sent on all connections of a server.
    pub budget: Option<Arc<Budget>>,
    /// How long no byte may leave while some wait.
    pub send_stall: Option<Duration>,
    /// Whether "drain" follows a send that found no room.
    pub drain: bool,
    /// What is asked for in compression; none: not at all.
    pub deflate: Option<Wishes>,
    /// Whether the owner keeps what is not handed to the system, and sends it on the next connection.
    pub keeps_unsent: bool,
}

/// Whoever keeps the connection in a list.
pub trait Owner: Send + Sync {
    /// The connection is no longer of use to the host; its "close" event follows, and says that what this returns was not
    /// sent. `unsent` is what the connection still has.
    fn closing(&self, client: i32, end: &End, unsent: Unsent) -> Unsent;
    /// The "close" event was posted.
    fn closed(&self, client: i32);
    /// Nothing passes any more.
    fn ended(&self, client: i32);
    /// What it tells many of its connections at once; none if it does not.
    fn broadcasts(&self) -> Option<Arc<Broadcasts>>;
}

/// What a send did.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Bytes of the message.
    pub payload_size: usize,
    /// Bytes of the payload on the wire.
    pub wire_size: usize,
    /// Kept until there is a connection.
    pub is_queued: bool,
    /// Where it ends in all that goes out on the connection; 0 of what went an inline callback's way.
    pub end: u64,
}

impl Sent {
    /// A message that was not compressed.
    pub fn plain(length: usize) -> Sent {
        Sent {
            payload_size: length,
            wire_size: length,
            is_queued: false,
            end: 0,
        }
    }
}

/// A message of a server for many: it is encoded once, and compressed once for each way that does not need a context.
pub struct Encoded<'a> {
    kind: Kind,
    payload: &'a [u8],
    receipt: Option<Receipt>,
    plain: Option<Bytes>,
    compressed: Vec<(Shape, Compressed)>,
    /// How often it was compressed for one connection alone, whose context counts.
    alone: usize,
}

/// A frame that is compressed, or none where that does not make it smaller; and its payload's length.
type Compressed = Option<(Bytes, usize)>;

impl<'a> Encoded<'a> {
    /// A message that may be sent; with a receipt, the host is told of each connection that it has left on.
    pub fn new(kind: Kind, payload: &'a [u8], receipt: Option<Receipt>) -> Result<Encoded<'a>> {
        check(kind, payload)?;
        Ok(Encoded {
            kind,
            payload,
            receipt,
            plain: None,
            compressed: Vec::new(),
            alone: 0,
        })
    }

    /// How often it was encoded.
    pub fn times(&self) -> usize {
        usize::from(self.plain.is_some()) + self.compressed.len() + self.alone
    }

    /// The frame for one connection and the length of its payload.
    fn frame(&mut self, shape: Option<Shape>) -> Result<(Bytes, usize)> {
        if let Some(shape) = shape {
            let known = self.compressed.iter().find(|(known, _)| *known == shape);
            let compressed = match known {
                Some((_, compressed)) => compressed.clone(),
                None => {
                    let compressed = compress_frame(shape, self.kind, self.payload)?;
                    self.compressed.push((shape, compressed.clone()));
                    compressed
                }
            };
            if let Some(compressed) = compressed {
                return Ok(compressed);
            }
        }
        let plain = self.plain.get_or_insert_with(|| {
            let mut bytes = Vec::new();
            frame::encode(Role::Server, self.kind.into(), self.payload, &mut bytes);
            bytes.into()
        });
        Ok((plain.clone(), self.payload.len()))
    }
}

fn compress_frame(shape: Shape, kind: Kind, payload: &[u8]) -> Result<Compressed> {
    let mut bytes = Vec::new();
    let length = write_compressed(Role::Server, kind, payload, &mut bytes, |out| {
        deflate::compress_alone(shape, payload, out)
    })
    .map_err(compression_error)?;
    if length >= payload.len() {
        return Ok(None);
    }
    Ok(Some((bytes.into(), length)))
}

/// Appends the frame of a message that `compress` compresses, and returns its payload's length.
fn write_compressed(
    role: Role,
    kind: Kind,
    payload: &[u8],
    out: &mut Vec<u8>,
    compress: impl FnOnce(&mut Vec<u8>) -> Compressing<()>,
) -> Compressing<usize> {
    // A quarter is usual; another length costs a move.
    let expected = payload.len() / 4;
    frame::encode_compressed(role, kind.into(), expected, out, compress)
}

type Compressing<T> = std::result::Result<T, CompressionError>;

fn compression_error(error: CompressionError) -> Error {
    let why = match error {
        CompressionError::NoMemory => "there is not enough memory",
        CompressionError::Codec => "the compressor refused it",
    };
    Error::new(Status::Internal, format!("{COMPRESSION_FAILED}: {why}"))
}

/// What an error says whose reply has `compressionError`, before it says why.
pub const COMPRESSION_FAILED: &str = "the message could not be compressed";

/// An open connection, as everybody but its task sees it.
pub struct Connection {
    /// The ref.
    pub client: i32,
    /// Where its events come from.
    pub source: Arc<Source>,
    settings: Arc<Settings>,
    agreed: Option<Agreed>,
    /// Where permessage-deflate was agreed.
    outgoing: Mutex<Option<Box<Outgoing>>>,
    /// How messages are compressed that stand on their own; none where the context counts.
    shared_shape: Option<Shape>,
    stream: Stream,
    outbox: Mutex<Outbox>,
    /// The host asked for the close.
    is_closing: AtomicBool,
    /// Somebody has put something into the outbox since the present inline delivery began.
    is_touched: AtomicBool,
    /// Bytes that inline callbacks have sent since the outbox was told how much is under way.
    collected: AtomicUsize,
    owner: Arc<dyn Owner>,
    broadcasts: Option<Arc<Broadcasts>>,
    /// Where its task lives.
    home: Home,
    about: About,
    /// Milliseconds since 1970.
    connected_at: u64,
    passed: Passed,
    has_ended: Mutex<bool>,
    ended: Condvar,
}

impl Connection {
    /// A connection whose handshake is done, on its network thread; [`Task::new`] brings it to life.
    pub fn new(
        client: i32,
        source: Arc<Source>,
        settings: Arc<Settings>,
        agreed: Option<Agreed>,
        stream: Stream,
        owner: Arc<dyn Owner>,
        info: &OpenInfo,
    ) -> Arc<Connection> {
        let outgoing = agreed
            .as_ref()
            .zip(settings.deflate.as_ref())
            .map(|(agreed, wishes)| Box::new(Outgoing::new(agreed, settings.role, wishes)));
        Arc::new(Connection {
            client,
            source,
            settings,
            agreed,
            stream,
            shared_shape: outgoing
                .as_ref()
                .and_then(|outgoing| outgoing.shared_shape()),
            outgoing: Mutex::new(outgoing),
            outbox: Mutex::new(Outbox::default()),
            is_closing: AtomicBool::new(false),
            is_touched: AtomicBool::new(false),
            collected: AtomicUsize::new(0),
            broadcasts: owner.broadcasts(),
            owner,
            home: Home::here(),
            about: About::new(info),
            connected_at: now_ms(),
            passed: Passed::default(),
            has_ended: Mutex::new(false),
            ended: Condvar::new(),
        })
    }

    /// Queues a message. Ready to leave when this returns, with all that is queued meanwhile; with a receipt, the host is told
    /// once it has left.
    pub fn send(&self, kind: Kind, payload: &[u8], receipt: Option<&Receipt>) -> Result<Sent> {
        check(kind, payload)?;
        self.check_receipt(receipt)?;
        self.put(
            kind,
            payload,
            self.settings.send_queue,
            receipt,
            Waker::wake,
        )
    }

    /// Queues a message, however much waits already, before anybody else can send.
    pub fn send_first(
        &self,
        kind: Kind,
        payload: &[u8],
        receipt: Option<&Receipt>,
    ) -> Result<Sent> {
        self.put(kind, payload, usize::MAX, receipt, Waker::wake)
    }

    /// A host that does not take its events gets no more of them by sending.
    fn check_receipt(&self, receipt: Option<&Receipt>) -> Result<()> {
        receipt.map_or(Ok(()), |_| self.source.check_credit())
    }

    /// How far the system has taken what was sent, as [`Sent::end`] counts.
    pub fn handed_over(&self) -> u64 {
        self.outbox.lock().handed_over()
    }

    /// Puts what its owner has told many before into the outbox, so that what follows does not overtake it.
    #[inline]
    fn catch_up(&self) {
        if let Some(broadcasts) = &self.broadcasts {
            broadcasts.settle();
        }
    }

    /// Whether somebody has put something into the outbox since the present inline delivery began, or is about to.
    #[inline]
    fn has_more(&self) -> bool {
        let broadcasts = self.broadcasts.as_ref();
        // In this order: what another thread puts there meanwhile touches it first, and waits no more only then.
        broadcasts.is_some_and(|known| known.is_waiting()) || self.is_touched.load(Acquire)
    }

    fn put(
        &self,
        kind: Kind,
        payload: &[u8],
        limit: usize,
        receipt: Option<&Receipt>,
        wake: impl FnOnce(Waker),
    ) -> Result<Sent> {
        self.catch_up();
        let role = self.settings.role;
        let length = frame::frame_length(role, payload.len());
        if self.compresses(kind, payload.len()) {
            // Held until the message is queued: the order of compressing is the order on the wire. The task never takes it.
            let mut outgoing = self.outgoing.lock();
            if let Some(outgoing) = &mut *outgoing {
                return self.send_written(
                    (kind, length, limit),
                    payload.len(),
                    receipt,
                    |frames| {
                        write_compressed(role, kind, payload, frames, |out| {
                            outgoing.compress(payload, out)
                        })
                        .map_err(compression_error)
                    },
                    wake,
                );
            }
        }
        if length > LONG_UNDER_LOCK {
            return self.send_written(
                (kind, length, limit),
                payload.len(),
                receipt,
                |frames| {
                    frame::encode(role, kind.into(), payload, frames);
                    Ok(payload.len())
                },
                wake,
            );
        }
        let mut outbox = self.outbox.lock();
        self.admit(&mut outbox, kind, length, limit)?;
        outbox.append(length, |frames| {
            frame::encode(role, kind.into(), payload, frames);
        });
        outbox.taken.count(kind, payload.len());
        outbox.confirm(receipt);
        let end = outbox.end();
        unlock_and(outbox, wake);
        Ok(Sent {
            end,
            ..Sent::plain(payload.len())
        })
    }

    /// Queues a message that `write` takes long to write: without the lock that the network thread needs.
    fn send_written(
        &self,
        (kind, length, limit): (Kind, usize, usize),
        payload_size: usize,
        receipt: Option<&Receipt>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<usize>,
        wake: impl FnOnce(Waker),
    ) -> Result<Sent> {
        self.admit(&mut self.outbox.lock(), kind, length, limit)?;
        let mut frames = Vec::new();
        let written = write(&mut frames);
        let mut outbox = self.outbox.lock();
        let written = written.and_then(|size| self.check_open(&outbox).map(|()| size));
        let wire_size = written.inspect_err(|_| {
            let unused = outbox.counted.saturating_sub(self.queued(&outbox));
            self.uncount(&mut outbox, unused);
        })?;
        // Again: an inline delivery may have begun meanwhile.
        self.is_touched.store(true, Release);
        outbox.append_written(frames);
        outbox.taken.count(kind, payload_size);
        outbox.confirm(receipt);
        let end = outbox.end();
        unlock_and(outbox, wake);
        Ok(Sent {
            wire_size,
            end,
            ..Sent::plain(payload_size)
        })
    }

    /// Queues a message that goes to others too, behind what its owner has told many before.
    fn send_encoded(&self, message: &mut Encoded<'_>, wakes: &mut Wakes) -> Result<Sent> {
        let wake = |waker| wakes.add(self.home, waker);
        let (kind, payload, limit) = (message.kind, message.payload, self.settings.send_queue);
        let shape = match self.compresses(kind, payload.len()) {
            false => None,
            true if self.shared_shape.is_none() => {
                message.alone += 1;
                self.check_receipt(message.receipt.as_ref())?;
                return self.put(kind, payload, limit, message.receipt.as_ref(), wake);
            }
            true => self.shared_shape,
        };
        let (frame, wire_size) = message.frame(shape)?;
        self.check_receipt(message.receipt.as_ref())?;
        let mut outbox = self.outbox.lock();
        self.admit(&mut outbox, kind, frame.len(), limit)?;
        outbox.append_shared(&frame);
        outbox.taken.count(kind, payload.len());
        outbox.confirm(message.receipt.as_ref());
        unlock_and(outbox, wake);
        Ok(Sent {
            wire_size,
            ..Sent::plain(payload.len())
        })
    }

    fn check_open(&self, outbox: &Outbox) -> Result<()> {
        match outbox.stage {
            Stage::Open => Ok(()),
            Stage::Closing => Err(Error::wrong_state(format!(
                "connection {} is closing",
                self.client
            ))),
            Stage::Broken => Err(Error::wrong_state(format!(
                "connection {} is lost",
                self.client
            ))),
        }
    }

    fn admit(&self, outbox: &mut Outbox, kind: Kind, length: usize, limit: usize) -> Result<()> {
        self.check_open(outbox)?;
        let queued = self.queued(outbox);
        // An empty queue always takes one message, however large. Pings find some more room.
        let most = match kind.is_control() {
            true => limit.saturating_add(CONTROL_BYTES),
            false => limit,
        };
        if queued > 0 && queued.saturating_add(length) > most {
            outbox.wants_drain = self.settings.drain;
            return Err(queue_full(self, queued, length));
        }
        let must = queued == 0 || kind.is_control() || limit == usize::MAX;
        if let Err(over) = self.count(outbox, queued.saturating_add(length), must) {
            outbox.wants_drain = self.settings.drain;
            return Err(self.over_budget(over, length));
        }
        // Under the lock, before anything is appended.
        self.is_touched.store(true, Release);
        Ok(())
    }

    /// Bytes that have not been handed to the system.
    fn queued(&self, outbox: &Outbox) -> usize {
        outbox.queued() + self.collected.load(Relaxed)
    }

    /// The task tells how many bytes it has in its hands, among them what was collected.
    fn settle(&self, outbox: &mut Outbox, in_flight: usize) {
        outbox.settle(in_flight);
        self.collected.store(0, Relaxed);
        let queued = outbox.queued();
        let unused = outbox.counted.saturating_sub(queued);
        if unused > UNCOUNTED || (queued == 0 && unused > 0) {
            self.uncount(outbox, unused);
        }
        // What did not ask for room: it is there already.
        let _ = self.count(outbox, queued, true);
    }

    /// Those of which this connection's bytes are a part.
    fn budgets(&self) -> impl Iterator<Item = &Budget> {
        let own = self.settings.budget.as_deref();
        own.into_iter().chain([&PROCESS_BUDGET])
    }

    /// Sees to it that `queued` bytes are counted in the budgets. The error is the budget that is used up.
    fn count(
        &self,
        outbox: &mut Outbox,
        queued: usize,
        must: bool,
    ) -> std::result::Result<(), &Budget> {
        let more = queued.saturating_sub(outbox.counted);
        if more <= UNCOUNTED || self.budgets().all(|budget| budget.limit() == 0) {
            return Ok(());
        }
        let over = self.budgets().position(|budget| !budget.take(more, must));
        let Some(over) = over else {
            outbox.counted += more;
            return Ok(());
        };
        self.budgets()
            .take(over)
            .for_each(|budget| budget.give_back(more));
        self.budgets().nth(over).map_or(Ok(()), Err)
    }

    fn uncount(&self, outbox: &mut Outbox, bytes: usize) {
        outbox.counted -= bytes;
        self.budgets().for_each(|budget| budget.give_back(bytes));
    }

    /// Whether the budgets leave room for some more sends.
    fn has_budget(&self) -> bool {
        self.budgets().all(Budget::has_room)
    }

    fn over_budget(&self, budget: &Budget, length: usize) -> Error {
        let whose = match std::ptr::eq(budget, &PROCESS_BUDGET) {
            true => "wsplug_init".to_owned(),
            false => format!("server {}", self.source.server()),
        };
        Error::new(
            Status::QueueFull,
            format!(
                "{} bytes wait to be sent and {length} more would go to connection {}; sendBudgetBytes of {whose} is {}",
                budget.used(),
                self.client,
                budget.limit()
            ),
        )
    }

    fn compresses(&self, kind: Kind, length: usize) -> bool {
        let wishes = self.settings.deflate.as_ref();
        self.agreed.is_some()
            && !kind.is_control()
            && wishes.is_some_and(|wishes| length >= wishes.threshold)
    }

    /// Queues a procedure for this connection's context.
    pub fn execute(&self, procedure: &str, params: &str) -> Result<()> {
        self.source.check_credit()?;
        let mut outbox = self.outbox.lock();
        self.check_open(&outbox)?;
        outbox.asked.push((procedure.to_owned(), params.to_owned()));
        unlock_and_wake(outbox);
        Ok(())
    }

    /// Begins the close handshake; false if it has begun already.
    pub fn close(&self, code: u16, reason: &str) -> bool {
        self.catch_up();
        let mut outbox = self.outbox.lock();
        self.is_touched.store(true, Release);
        let begins = outbox.begin_close(self.settings.role, code, reason);
        outbox.is_closed_by_host |= begins;
        self.is_closing.store(true, Release);
        unlock_and_wake(outbox);
        begins
    }

    /// Ends the connection without a word; used once a deadline has passed.
    pub fn abort(&self) {
        let mut outbox = self.outbox.lock();
        outbox.is_aborted = true;
        unlock_and_wake(outbox);
    }

    /// Waits until the socket is closed; false at the deadline.
    pub fn await_end(&self, deadline: Instant) -> bool {
        let mut has_ended = self.has_ended.lock();
        while !*has_ended {
            if self.ended.wait_until(&mut has_ended, deadline).timed_out() {
                return *has_ended;
            }
        }
        true
    }

    /// How long its close handshake may take.
    pub fn close_timeout(&self) -> Duration {
        self.settings.close_timeout
    }

    fn tell_end(&self) {
        self.free_budget();
        self.owner.ended(self.client);
        *self.has_ended.lock() = true;
        self.ended.notify_all();
    }

    /// Nothing of it waits to be sent any more.
    fn free_budget(&self) {
        let mut outbox = self.outbox.lock();
        let counted = outbox.counted;
        self.uncount(&mut outbox, counted);
    }

    /// How far it has come, and what has passed through it.
    pub fn report(&self) -> Report {
        self.catch_up();
        let outbox = self.outbox.lock();
        let (stage, buffered, taken) = (outbox.stage, self.queued(&outbox), outbox.taken);
        drop(outbox);
        Report {
            is_open: stage == Stage::Open,
            buffered,
            counters: self.passed.with(taken),
            round_trip: self.passed.round_trip(),
            connected_at: self.connected_at,
        }
    }

    /// What its handshake brought.
    pub fn about(&self) -> OpenInfo {
        OpenInfo {
            tls: tls_info(&self.stream),
            ..self.about.info()
        }
    }

    /// Whether messages can be sent.
    pub fn is_open(&self) -> bool {
        self.outbox.lock().stage == Stage::Open
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Where it never came to life.
        self.free_budget();
    }
}

/// What a stream's peer agreed to in TLS, for the host.
pub fn tls_info(stream: &Stream) -> Option<TlsInfo> {
    stream.tls().map(|info| {
        let peer = info.peer.clone().unwrap_or_default();
        TlsInfo {
            version: info.version.clone(),
            cipher: info.cipher.clone(),
            alpn: info.alpn.clone(),
            verified: info.is_verified,
            resumed: info.is_resumed,
            peer_subject: peer.subject,
            peer_fingerprint: peer.fingerprint,
        }
    })
}

/// A connection at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Whether messages can be sent.
    pub is_open: bool,
    /// Bytes that have not been handed to the system.
    pub buffered: usize,
    /// What has passed.
    pub counters: Counters,
    /// From the last answered ping of the library's to its pong.
    pub round_trip: Option<Duration>,
    /// Milliseconds since 1970 (UTC).
    pub connected_at: u64,
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 is not set.
    since.map_or(0, |since| since.as_millis() as u64)
}

/// Sends to `client` if the calling thread delivers its messages inline and nothing stands in the way; false: it was not
/// sent, and `Connection::send` knows why.
#[inline]
pub fn send_inline(client: i32, kind: Kind, payload: &[u8]) -> bool {
    cork::send(client, kind, payload)
}

fn queue_full(connection: &Connection, queued: usize, length: usize) -> Error {
    Error::new(
        Status::QueueFull,
        format!(
            "{queued} bytes wait and {length} more would be sent to connection {}; sendQueueBytes is {}",
            connection.client, connection.settings.send_queue
        ),
    )
}

/// What may be sent, before anything is.
pub fn check(kind: Kind, payload: &[u8]) -> Result<()> {
    if kind.is_control() && payload.len() > MAX_CONTROL {
        return Err(Error::new(
            Status::TooLarge,
            format!(
                "a ping or pong carries at most {MAX_CONTROL} bytes, not {}",
                payload.len()
            ),
        ));
    }
    if kind == Kind::Text && utf8::check(payload).is_err() {
        let at = std::str::from_utf8(payload)
            .err()
            .map_or(0, |error| error.valid_up_to());
        return Err(Error::new(
            Status::InvalidArgument,
            format!("a text message must be UTF-8; byte {at} is not (send it as binary?)"),
        ));
    }
    Ok(())
}

/// Whether a host may close with this code and reason (RFC 6455 § 7.4).
pub fn check_close(code: u16, reason: &str) -> Result<()> {
    if !close::is_allowed(code) {
        return Err(Error::option(
            "code",
            format!("code {code} must not be sent; use 1000 to 1003, 1007 to 1014 or 3000 to 4999"),
        ));
    }
    if reason.len() > close::MAX_REASON {
        return Err(Error::option(
            "reason",
            format!(
                "reason is {} bytes long, the limit is {}",
                reason.len(),
                close::MAX_REASON
            ),
        ));
    }
    Ok(())
}

/// A message that takes longer than this to copy is written before the lock is taken.
const LONG_UNDER_LOCK: usize = 256 * 1024;

/// What control frames may add to a full queue; beyond, of all pings only the last is answered (RFC 6455 § 5.5.3).
const CONTROL_BYTES: usize = 64 * 1024;

/// The opcode of a close frame, for those who write it.
const CLOSE: Opcode = Opcode::Close;
