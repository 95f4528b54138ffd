//! Knows where events come from: the ref, the host's tag, the byte credit, and what the host has been told.
//! Does not know the lanes in which they wait.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use parking_lot::{Condvar, Mutex, RwLock};

use super::credit::{Credit, CreditLimits, Part, Ticket};
use super::gate::Gate;
use super::hub::{self, Handler, hub};
use super::payloads::Payloads;
use super::pool::Home;
use super::queue::{Batch, Body, Ended, Item};
use super::values::Values;
use super::{Event, Tag};
use crate::callback;
use crate::error::{Error, Result, Status};
use crate::protocol::Kind;
use crate::protocol::receiver::{Fragment, Payload};

/// What the events of one server, or of one client of our own, have in common.
pub struct Channel {
    /// The server's ref, or 0.
    pub server: i32,
    tag: RwLock<Arc<Tag>>,
    credit: Credit,
    is_silent: AtomicBool,
    /// The library was shut down: what still waits can be pulled, and is nothing to callbacks that are set later.
    is_over: AtomicBool,
}

impl Channel {
    /// A channel for the events of `server`, or of a client (0).
    pub fn new(server: i32, tag: Tag, limits: CreditLimits) -> Arc<Channel> {
        Arc::new(Channel {
            server,
            credit: Credit::new(limits, divides(server, &tag)),
            tag: RwLock::new(Arc::new(tag)),
            is_silent: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        })
    }

    /// What events carry from now on.
    pub fn set_tag(&self, tag: Tag, limits: CreditLimits) {
        let is_divided = divides(self.server, &tag);
        let tag = Arc::new(tag);
        let before = std::mem::replace(&mut *self.tag.write(), tag.clone());
        self.credit.set_limits(limits, is_divided);
        if !before.goes_as(&tag) {
            hub().sort_again();
        }
    }

    /// Bytes and events that wait for the host.
    pub fn waiting(&self) -> (usize, usize) {
        self.credit.waiting()
    }

    /// The library was shut down.
    pub fn end(&self) {
        self.is_over.store(true, SeqCst);
        // Tasks that ended with their thread: their wakers would keep its event loop for as long as an event waits here.
        self.credit.forget_paused();
    }

    /// No more callbacks for any of its sources, and nothing waits for credit.
    pub(super) fn silence(&self) {
        self.is_silent.store(true, SeqCst);
        self.credit.end_all_pauses();
    }

    pub(super) fn is_silent(&self) -> bool {
        self.is_silent.load(SeqCst)
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(SeqCst)
    }

    pub(super) fn tag(&self) -> Arc<Tag> {
        self.tag.read().clone()
    }
}

/// Whether each connection has its own share of the credit.
fn divides(server: i32, tag: &Tag) -> bool {
    server != 0 && hub().is_per_connection(tag)
}

/// No more callbacks for this source.
const SILENT: u8 = 1;
/// An "open" was posted and its "close" was not.
const POSTED_OPEN: u8 = 2;
/// The host was told "open" and not yet "close".
const HOST_KNOWS_OPEN: u8 = 4;
/// The "close" of a clear is on its way.
const OWES_LAST_WORD: u8 = 8;

/// One ref's events: their order is kept, and no two of them run at the same time.
pub struct Source {
    /// The connection's ref, or 0 for the server itself.
    pub client: i32,
    channel: Arc<Channel>,
    /// By which its last events went.
    tag: Mutex<Option<Arc<Tag>>>,
    pub(super) gate: Gate,
    /// The network thread that collects events of this source now.
    pub(super) posting: Gate,
    /// Batches on their way to the host.
    pub(super) pending: AtomicUsize,
    /// Threads that wait for a message.
    pub(super) awaited: AtomicUsize,
    /// Goes with the lock of the lanes.
    pub(super) received: Condvar,
    state: AtomicU8,
    part: Part,
    /// The thread of the pool that it belongs to.
    pub(super) home: OnceLock<Home>,
    /// What the host keeps with it.
    pub values: Arc<Values>,
}

impl Source {
    /// A source of events of `client` on `channel`.
    pub fn new(channel: Arc<Channel>, client: i32) -> Arc<Source> {
        Arc::new(Source {
            client,
            channel,
            tag: Mutex::default(),
            gate: Gate::default(),
            posting: Gate::default(),
            pending: AtomicUsize::new(0),
            awaited: AtomicUsize::new(0),
            received: Condvar::new(),
            state: AtomicU8::new(0),
            part: Part::default(),
            home: OnceLock::new(),
            values: Arc::default(),
        })
    }

    /// What this source shares with others of its server.
    pub fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// The server's ref, or 0.
    pub fn server(&self) -> i32 {
        self.channel.server
    }

    /// An error where the host has more events waiting than it may have.
    pub fn check_credit(&self) -> Result<()> {
        match self.channel.credit.is_exhausted(&self.part) {
            true => Err(Error::new(
                Status::QueueFull,
                "more events wait for the host than eventQueueBytes and eventQueueEvents allow",
            )),
            false => Ok(()),
        }
    }

    /// Whether nothing more should be read for now. If so, `waker` is woken once that may have changed.
    pub fn is_used_up(&self, waker: &Waker, ticket: &mut Ticket) -> bool {
        let credit = &self.channel.credit;
        let is_used_up = credit.is_used_up(&self.part, self.client, waker, ticket);
        if is_used_up && self.channel.is_silent() {
            // What still comes is dropped and needs no credit; nobody would wake whoever was listed just now.
            credit.end_all_pauses();
            return false;
        }
        is_used_up
    }

    /// Bytes and events that may still come.
    pub fn room(&self) -> (usize, usize) {
        self.channel.credit.room(&self.part)
    }

    pub(super) fn charge(&self, bytes: usize, events: usize) {
        self.channel.credit.charge(&self.part, bytes, events);
    }

    pub(super) fn give_back(&self, bytes: usize, events: usize) {
        let credit = &self.channel.credit;
        credit.give_back(&self.part, self.client, bytes, events);
    }

    /// What its next events carry. As long as others are on their way to callbacks on threads of ours, these follow them there:
    /// elsewhere they would pass them.
    fn tag(&self) -> Arc<Tag> {
        let current = self.channel.tag();
        let mut last = self.tag.lock();
        if let Some(last) = last.as_ref().filter(|last| !last.goes_as(&current)) {
            if self.pending.load(SeqCst) > 0 && hub().runs_by_itself(last) {
                return Arc::new(current.dispatched_as(last));
            }
        }
        *last = Some(current.clone());
        current
    }

    /// Begins to deliver what came together. Events are handed on when the delivery is dropped, or at once if inline.
    pub fn begin(self: &Arc<Self>) -> Delivery<'_> {
        let tag = self.tag();
        let mode = match hub().inline_handler(&tag) {
            _ if self.is_silent() => Mode::Silent,
            // What still waits elsewhere must come first; a clear holds the gate.
            Some(handler)
                if self.pending.load(SeqCst) == 0 && !self.is_over() && self.gate.try_enter() =>
            {
                // The callback may take its time.
                hub().end_turn();
                Mode::Inline {
                    takes_messages: handler.takes_messages(),
                    handler,
                    _inside: callback::enter(),
                }
            }
            _ => {
                // Whoever silences the source waits for those that entered before, and is seen by those that come after.
                self.posting.enter();
                match self.is_silent() {
                    true => {
                        self.posting.leave();
                        Mode::Silent
                    }
                    false => Mode::Queued {
                        payloads: Payloads::default(),
                        items: Vec::new(),
                        shared: 0,
                        room: self.room(),
                    },
                }
            }
        };
        Delivery {
            source: self,
            tag,
            mode,
        }
    }

    /// Delivers one event.
    pub fn post(self: &Arc<Self>, event: Event<'_>) {
        self.begin().push(event);
        // Only messages come so often that they can wait for the end of the turn.
        hub().end_turn();
    }

    /// Delivers events that happened together.
    pub fn post_all<'a>(self: &Arc<Self>, events: impl ExactSizeIterator<Item = Event<'a>>) {
        if events.len() == 0 {
            return;
        }
        let mut delivery = self.begin();
        for event in events {
            delivery.push(event);
        }
        drop(delivery);
        hub().end_turn();
    }

    /// Delivers a "service" whose end is told.
    pub fn post_service(self: &Arc<Self>, ended: Ended) {
        let mut delivery = self.begin();
        match &mut delivery.mode {
            Mode::Queued { items, .. } => items.push(Item::Service(ended)),
            _ => delivery.push(Event::Service),
        }
        drop(delivery);
        hub().end_turn();
    }

    /// Whether events of other sources that were posted before may still be on their way when one of this is told.
    pub fn needs_quiet(&self) -> bool {
        let tag = self.channel.tag();
        hub().is_pooled(&tag) || hub().inline_handler(&tag).is_some()
    }

    /// Delivers the "close" that an "open" waits for, if nobody has.
    pub fn post_close(self: &Arc<Self>, close: Event<'_>) {
        let mut delivery = self.begin();
        // A silent one is left to whoever silenced it.
        if !matches!(delivery.mode, Mode::Silent) && self.take_open() {
            delivery.push(close);
        }
        drop(delivery);
        hub().end_turn();
    }

    /// Whether an "open" was posted and its "close" was not.
    pub fn is_open(&self) -> bool {
        self.state.load(SeqCst) & POSTED_OPEN != 0
    }

    /// Wakes those who wait for a message. They look once they have the lock of the lanes.
    pub(super) fn tell_receivers(&self) {
        if self.awaited.load(SeqCst) > 0 {
            self.received.notify_all();
        }
    }

    /// Whether an "open" waits for its "close". Asked and answered once: the caller posts that "close".
    pub(super) fn take_open(&self) -> bool {
        self.state.fetch_and(!POSTED_OPEN, SeqCst) & POSTED_OPEN != 0
    }

    pub(super) fn is_silent(&self) -> bool {
        self.state.load(SeqCst) & SILENT != 0 || self.channel.is_silent()
    }

    /// Whether callbacks that run now are the last.
    fn is_over(&self) -> bool {
        self.is_silent() || self.channel.is_over()
    }

    pub(super) fn silence(&self) {
        self.state.fetch_or(SILENT, SeqCst);
    }

    /// Whether the host was told "open" and not "close". Asked and answered once: the caller tells it.
    pub(super) fn take_host_knows_open(&self) -> bool {
        self.state.fetch_and(!HOST_KNOWS_OPEN, SeqCst) & HOST_KNOWS_OPEN != 0
    }

    /// The same, for a "close" that is said later.
    pub(super) fn owe_last_word(&self) -> bool {
        let taken = self.state.fetch_update(SeqCst, SeqCst, |state| {
            (state & HOST_KNOWS_OPEN != 0).then_some(state & !HOST_KNOWS_OPEN | OWES_LAST_WORD)
        });
        taken.is_ok()
    }

    pub(super) fn owes_last_word(&self) -> bool {
        self.state.load(SeqCst) & OWES_LAST_WORD != 0
    }

    pub(super) fn has_said_last_word(&self) {
        self.state.fetch_and(!OWES_LAST_WORD, SeqCst);
    }

    /// Notes what the host is about to be told.
    pub(super) fn note(&self, event: &Event<'_>) {
        match event {
            Event::Open(_) => self.state.fetch_or(HOST_KNOWS_OPEN, SeqCst),
            Event::Close { .. } => self.state.fetch_and(!HOST_KNOWS_OPEN, SeqCst),
            _ => 0,
        };
    }
}

/// Events that came together from one source, on their way.
pub struct Delivery<'a> {
    source: &'a Arc<Source>,
    tag: Arc<Tag>,
    mode: Mode,
}

enum Mode {
    Inline {
        handler: Arc<dyn Handler>,
        takes_messages: bool,
        _inside: callback::Inside,
    },
    Queued {
        payloads: Payloads,
        items: Vec<Item>,
        /// Bytes that items hold themselves.
        shared: usize,
        room: (usize, usize),
    },
    Silent,
}

impl Delivery<'_> {
    /// The next event.
    pub fn push(&mut self, event: Event<'_>) {
        if let Event::Open(_) = event {
            self.source.state.fetch_or(POSTED_OPEN, SeqCst);
        }
        match &mut self.mode {
            // The host may have cleared the source in the callback before.
            Mode::Inline { .. } if self.source.is_over() => {}
            Mode::Inline { handler, .. } => hub::call(&**handler, self.source, &self.tag, event),
            Mode::Queued {
                payloads, items, ..
            } => items.push(Item::keep(event, payloads)),
            Mode::Silent => {}
        }
    }

    /// The next message. An assembled one that waits is moved, not copied.
    #[inline]
    pub fn push_message(&mut self, kind: Kind, payload: Payload<'_>, wire: u64) {
        if let Mode::Inline {
            handler,
            takes_messages: true,
            ..
        } = &self.mode
        {
            if !self.source.is_over() {
                handler.message(self.source, kind, payload.bytes());
            }
            return;
        }
        self.push_other(kind, payload, wire);
    }

    #[inline(never)]
    fn push_other(&mut self, kind: Kind, mut payload: Payload<'_>, wire: u64) {
        if let (
            Mode::Queued {
                payloads, items, ..
            },
            Payload::Assembled { buffer, length },
        ) = (&mut self.mode, &mut payload)
        {
            let span = payloads.adopt(buffer, *length);
            items.push(Item::Message { kind, wire, span });
            return;
        }
        self.push(Event::Message {
            kind,
            data: payload.bytes(),
            wire,
        });
    }

    /// A fragment.
    pub fn push_fragment(&mut self, kind: Kind, data: Fragment<'_>, index: u32, wire: u64) {
        if let (Mode::Queued { items, shared, .. }, Fragment::Shared(data)) =
            (&mut self.mode, &data)
        {
            *shared += data.len();
            items.push(Item::SharedFragment {
                kind,
                wire,
                index,
                data: data.clone(),
            });
            return;
        }
        self.push(Event::Fragment {
            kind,
            data: data.bytes(),
            index,
            wire,
        });
    }

    /// What is pushed from within `buffer` need not be copied: [`Delivery::hand_over`] follows.
    pub fn borrow(&mut self, buffer: &[u8]) {
        if let Mode::Queued { payloads, .. } = &mut self.mode {
            payloads.borrow(buffer);
        }
    }

    /// Takes the buffer that was borrowed, or copies from it what is needed.
    pub fn hand_over(&mut self, buffer: &mut Vec<u8>) {
        if let Mode::Queued {
            payloads, items, ..
        } = &mut self.mode
        {
            payloads.hand_over(buffer, items.iter_mut().filter_map(Item::span_mut));
        }
    }

    /// Whether what is pushed waits for the host.
    pub fn is_queued(&self) -> bool {
        matches!(self.mode, Mode::Queued { .. })
    }

    /// Whether callbacks run within `push`.
    pub fn is_inline(&self) -> bool {
        matches!(self.mode, Mode::Inline { .. })
    }

    /// Whether there is credit for more after what was pushed.
    pub fn has_credit(&self) -> bool {
        match &self.mode {
            Mode::Queued {
                payloads,
                items,
                shared,
                room,
            } => payloads.len() + shared < room.0 && items.len() < room.1,
            _ => true,
        }
    }
}

impl Drop for Delivery<'_> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.mode, Mode::Silent) {
            Mode::Inline { handler, .. } => {
                drop(handler);
                self.source.gate.leave();
            }
            Mode::Queued {
                payloads, items, ..
            } => {
                if !items.is_empty() {
                    let body = Body::new(self.source.clone(), self.tag.clone(), payloads, items);
                    hub().post(Batch::new(body));
                }
                self.source.posting.leave();
            }
            Mode::Silent => {}
        }
    }
}
