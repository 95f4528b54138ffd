//! Knows the two commands that answer a "request" event.
//! Does not know how the client is told.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::clients::find_peer;
use super::options::{AcceptOptions, Name, Options, RejectOptions, ignored, parse};
use super::reply::{self, Reply};
use super::{servers, topics};
use crate::error::{Error, Result};
use crate::library::Peer;
use crate::protocol::head::{Refusal, shown};
use crate::server::{Acceptance, Question, Verdict};

/// Lets a client in.
pub fn client_accept(client: i32, options: &str) -> Reply {
    Reply::of(accept(client, options), |result| {
        reply::object(result, &[("ref", 0.into())])
    })
}

fn accept(client: i32, options: &str) -> Result<Map<String, Value>> {
    let given = parse(options)?;
    let mut how = AcceptOptions::default();
    how.apply(&given)?;
    let question = find_question(client)?;
    if let Some(protocol) = how
        .protocol
        .as_ref()
        .filter(|protocol| !protocol.is_empty())
    {
        if !question.offers(protocol) {
            let shown = shown(protocol);
            let message = format!("protocol must be one that the client offers, not {shown}");
            return Err(Error::option("protocol", message));
        }
    }
    if let Some(topics) = &how.topics {
        let (_, config) = servers::find(question.source.server())?;
        let most = config.lock().own.max_topics.0 as usize;
        topics::check_count(topics.0.len(), most)?;
    }
    answer(
        &question,
        Verdict::Accept(Acceptance {
            protocol: how.protocol,
            headers: how.headers.0,
            topics: how.topics.map(|topics| topics.0),
            values: how.values.0,
        }),
    )?;
    Ok(done(client, &given, AcceptOptions::NAMES))
}

/// Sends a client away.
pub fn client_reject(client: i32, options: &str) -> Reply {
    Reply::of(reject(client, options), |result| {
        reply::object(result, &[("ref", 0.into())])
    })
}

fn reject(client: i32, options: &str) -> Result<Map<String, Value>> {
    let given = parse(options)?;
    let mut how = RejectOptions::default();
    how.apply(&given)?;
    let question = find_question(client)?;
    let refusal = Refusal {
        headers: how.headers.0,
        body: how.body,
        ..Refusal::new(how.status.0 as u16, "the request was rejected").because("host")
    };
    answer(&question, Verdict::Reject(refusal))?;
    Ok(done(client, &given, RejectOptions::NAMES))
}

fn find_question(client: i32) -> Result<Arc<Question>> {
    match find_peer(client)? {
        Peer::Asking(question) => Ok(question),
        Peer::Own(_) | Peer::Accepted(_) => Err(Error::wrong_state(format!(
            "connection {client} does not wait to be let in"
        ))),
    }
}

fn answer(question: &Question, verdict: Verdict) -> Result<()> {
    match question.answer(verdict) {
        true => Ok(()),
        false => Err(Error::wrong_state(format!(
            "the request of client {} has been answered already",
            question.client
        ))),
    }
}

fn done(client: i32, given: &Map<String, Value>, names: &[Name]) -> Map<String, Value> {
    let mut reply = Map::new();
    reply.insert("ref".into(), client.into());
    reply.insert("success".into(), true.into());
    let unknown = ignored(given, &[names]);
    reply.extend(unknown.map(|unknown| ("ignoredOptions".into(), unknown)));
    reply
}
