//! Knows events that wait: batches of one source each, which hold their credit until they are dropped.
//! Does not know who takes them.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;

use super::payloads::{Payloads, Span};
use super::source::Source;
use super::{ErrorInfo, Event, OpenInfo, RefusedInfo, RequestInfo, Tag, gate};
use crate::error::{Receipt, Unsent};
use crate::protocol::Kind;

/// An event without its payload, which stands in its batch's bytes.
pub enum Item {
    Open(Box<OpenInfo>),
    Request(Box<RequestInfo>),
    Refused(Box<RefusedInfo>),
    Message {
        kind: Kind,
        wire: u64,
        span: Span,
    },
    Fragment {
        kind: Kind,
        wire: u64,
        index: u32,
        span: Span,
    },
    /// A fragment whose bytes are the message's too.
    SharedFragment {
        kind: Kind,
        wire: u64,
        index: u32,
        data: Bytes,
    },
    Ping(Span),
    Pong(Span),
    Close {
        code: u16,
        reason: Box<str>,
        remote: bool,
        unsent: Box<Unsent>,
    },
    Error(Box<ErrorInfo>),
    Service(Ended),
    Stopped,
    Execute(Box<(String, String)>),
    Sent(Receipt),
    Drain {
        buffered: usize,
    },
}

/// Calls back when it is dropped: the host has done with an event.
pub struct Ended(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Ended {
    /// Calls `then`, once.
    pub fn new(then: impl FnOnce() + Send + Sync + 'static) -> Ended {
        Ended(Some(Box::new(then)))
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then();
        }
    }
}

impl Item {
    /// Bytes that it holds beside its payload.
    fn size(&self) -> usize {
        match self {
            Item::Open(info) => info.uri.len() + size_of_headers(&info.headers),
            Item::Request(info) => 2 * info.uri.len() + size_of_headers(&info.headers),
            Item::Refused(info) => info.uri.len() + info.origin.len() + info.reason.len(),
            Item::SharedFragment { data, .. } => data.len(),
            Item::Close { reason, .. } => reason.len(),
            Item::Error(info) => info.reason.len(),
            Item::Execute(asked) => asked.0.len() + asked.1.len(),
            Item::Sent(Receipt::Text(text)) => text.len(),
            _ => 0,
        }
    }

    /// Where its payload stands.
    pub fn span_mut(&mut self) -> Option<&mut Span> {
        match self {
            Item::Message { span, .. } | Item::Fragment { span, .. } => Some(span),
            Item::Ping(span) | Item::Pong(span) => Some(span),
            _ => None,
        }
    }

    /// Keeps an event, its payload among the others.
    pub fn keep(event: Event<'_>, payloads: &mut Payloads) -> Item {
        let mut store = |data: &[u8]| payloads.keep(data);
        match event {
            Event::Open(info) => Item::Open(Box::new(info.clone())),
            Event::Request(info) => Item::Request(Box::new(info.clone())),
            Event::Refused(info) => Item::Refused(Box::new(info.clone())),
            Event::Message { kind, data, wire } => Item::Message {
                kind,
                wire,
                span: store(data),
            },
            Event::Fragment {
                kind,
                data,
                index,
                wire,
            } => Item::Fragment {
                kind,
                wire,
                index,
                span: store(data),
            },
            Event::Ping(data) => Item::Ping(store(data)),
            Event::Pong(data) => Item::Pong(store(data)),
            Event::Close {
                code,
                reason,
                remote,
                unsent,
            } => Item::Close {
                code,
                reason: reason.into(),
                remote,
                unsent: Box::new(unsent.clone()),
            },
            Event::Error(info) => Item::Error(Box::new(info.clone())),
            Event::Service => Item::Service(Ended(None)),
            Event::Stopped => Item::Stopped,
            Event::Execute { procedure, params } => {
                Item::Execute(Box::new((procedure.to_owned(), params.to_owned())))
            }
            Event::Sent(receipt) => Item::Sent(receipt.clone()),
            Event::Drain { buffered } => Item::Drain { buffered },
        }
    }
}

fn size_of_headers(headers: &[(String, String)]) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum()
}

/// Events of one source that came together. Dropping it gives their credit back.
pub struct Body {
    pub source: Arc<Source>,
    pub tag: Arc<Tag>,
    payloads: Payloads,
    items: Vec<Item>,
    charge: usize,
}

impl Body {
    pub fn new(
        source: Arc<Source>,
        tag: Arc<Tag>,
        payloads: Payloads,
        items: Vec<Item>,
    ) -> Arc<Body> {
        let charge = payloads.len() + items.iter().map(Item::size).sum::<usize>();
        source.charge(charge, items.len());
        Arc::new(Body {
            source,
            tag,
            payloads,
            items,
            charge,
        })
    }

    pub fn single(source: Arc<Source>, tag: Arc<Tag>, event: Event<'_>) -> Arc<Body> {
        let mut payloads = Payloads::default();
        let item = Item::keep(event, &mut payloads);
        Body::new(source, tag, payloads, vec![item])
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn event(&self, index: usize) -> Event<'_> {
        match &self.items[index] {
            Item::Open(info) => Event::Open(info),
            Item::Request(info) => Event::Request(info),
            Item::Refused(info) => Event::Refused(info),
            Item::Message { kind, wire, span } => Event::Message {
                kind: *kind,
                data: self.payloads.get(*span),
                wire: *wire,
            },
            Item::Fragment {
                kind,
                wire,
                index,
                span,
            } => Event::Fragment {
                kind: *kind,
                data: self.payloads.get(*span),
                index: *index,
                wire: *wire,
            },
            Item::SharedFragment {
                kind,
                wire,
                index,
                data,
            } => Event::Fragment {
                kind: *kind,
                data,
                index: *index,
                wire: *wire,
            },
            Item::Ping(span) => Event::Ping(self.payloads.get(*span)),
            Item::Pong(span) => Event::Pong(self.payloads.get(*span)),
            Item::Close {
                code,
                reason,
                remote,
                unsent,
            } => Event::Close {
                code: *code,
                reason,
                remote: *remote,
                unsent,
            },
            Item::Error(info) => Event::Error(info),
            Item::Service(_) => Event::Service,
            Item::Stopped => Event::Stopped,
            Item::Execute(asked) => Event::Execute {
                procedure: &asked.0,
                params: &asked.1,
            },
            Item::Sent(receipt) => Event::Sent(receipt),
            Item::Drain { buffered } => Event::Drain {
                buffered: *buffered,
            },
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.source.give_back(self.charge, self.items.len());
    }
}

/// A body in a lane, and how far the host has taken it.
pub struct Batch {
    pub body: Arc<Body>,
    pub next: usize,
    /// The last word of a source that is silent otherwise.
    pub is_final: bool,
    /// When it was posted, among all.
    pub number: u64,
}

impl Batch {
    pub fn new(body: Arc<Body>) -> Batch {
        body.source.pending.fetch_add(1, SeqCst);
        Batch {
            body,
            next: 0,
            is_final: false,
            number: 0,
        }
    }

    /// The last word of a source.
    pub fn last(source: &Arc<Source>, tag: &Arc<Tag>, event: Event<'_>) -> Batch {
        let mut last = Batch::new(Body::single(source.clone(), tag.clone(), event));
        last.is_final = true;
        last
    }

    pub fn is_done(&self) -> bool {
        self.next >= self.body.len()
    }

    /// The "close" among the events that have not been taken.
    pub fn close(&self) -> Option<Event<'_>> {
        (self.next..self.body.len())
            .map(|index| self.body.event(index))
            .find(|event| matches!(event, Event::Close { .. }))
    }

    /// Takes the next event out.
    pub fn pull(&mut self) -> Pulled {
        let pulled = Pulled {
            body: self.body.clone(),
            index: self.next,
        };
        self.next += 1;
        pulled.body.source.note(&pulled.event());
        pulled
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if self.is_final {
            self.body.source.has_said_last_word();
        }
        self.body.source.pending.fetch_sub(1, SeqCst);
        gate::notify();
    }
}

/// One event in the host's hands.
pub struct Pulled {
    body: Arc<Body>,
    index: usize,
}

impl Pulled {
    /// What happened.
    pub fn event(&self) -> Event<'_> {
        self.body.event(self.index)
    }

    /// The host's tag at that time.
    pub fn tag(&self) -> &Tag {
        &self.body.tag
    }

    /// The server's ref, or 0.
    pub fn server(&self) -> i32 {
        self.body.source.server()
    }

    /// The connection's ref, or 0.
    pub fn client(&self) -> i32 {
        self.body.source.client
    }
}
