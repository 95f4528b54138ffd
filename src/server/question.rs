//! Knows a client that waits for the host to let it in, and the host's answer.
//! Does not know how the client is told.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::events::{RequestInfo, Source};
use crate::protocol::head::Refusal;

/// What the host decides.
pub enum Verdict {
    /// Come in.
    Accept(Acceptance),
    /// Stay out, with this answer.
    Reject(Refusal),
    /// The host has let the ref go, and hears no more of it.
    Forget,
}

/// How a client is let in.
#[derive(Clone, Debug, Default)]
pub struct Acceptance {
    /// The sub-protocol, "" for none; not given: as the server chooses where it is not asked.
    pub protocol: Option<String>,
    /// Further headers of the answer.
    pub headers: Vec<(String, String)>,
    /// To what it is subscribed; not given: as each client of the server.
    pub topics: Option<Vec<String>>,
    /// What the host keeps with the connection, there before its "open".
    pub values: Vec<(String, String)>,
}

/// A client that waits, under the ref that its connection will have.
pub struct Question {
    /// The ref.
    pub client: i32,
    /// Where its events come from, now and later.
    pub source: Arc<Source>,
    /// What it asks for.
    pub request: RequestInfo,
    answer: Mutex<Option<oneshot::Sender<Verdict>>>,
}

impl Question {
    pub(super) fn new(
        client: i32,
        source: Arc<Source>,
        request: RequestInfo,
        answer: oneshot::Sender<Verdict>,
    ) -> Arc<Question> {
        Arc::new(Question {
            client,
            source,
            request,
            answer: Mutex::new(Some(answer)),
        })
    }

    /// Whether the client offers this sub-protocol.
    pub fn offers(&self, protocol: &str) -> bool {
        let offered = &self.request.protocols;
        offered.iter().any(|offer| offer == protocol)
    }

    /// Answers; false if it was answered, or nobody waits for an answer any more.
    pub fn answer(&self, verdict: Verdict) -> bool {
        let Some(answer) = self.answer.lock().take() else {
            return false;
        };
        if let Verdict::Accept(acceptance) = &verdict {
            for (key, value) in &acceptance.values {
                self.source.values.set(key, Some(value));
            }
        }
        answer.send(verdict).is_ok()
    }
}
