//! Knows the three commands of topics.
//! Does not know how a message comes to many.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::clients::{find_peer, is_asking, receipt};
use super::options::{Options, PublishOptions, ignored, parse};
use super::reply::{self, Reply};
use super::servers;
use super::values::Topics;
use crate::connection::{Connection, Encoded, Sent};
use crate::error::{Error, Result, Status};
use crate::library::Peer;
use crate::protocol::Kind;
use crate::server::{Server, Subscription};

/// Subscribes a client that a server accepted.
pub fn client_subscribe(client: i32, topic: &str) -> Reply {
    change(client, topic, |server, connection, most| {
        server.subscribe(connection, topic, most)
    })
}

/// Ends its subscription.
pub fn client_unsubscribe(client: i32, topic: &str) -> Reply {
    change(client, topic, |server, _, _| {
        Ok(server.unsubscribe(client, topic))
    })
}

fn change(
    client: i32,
    topic: &str,
    change: impl FnOnce(&Server, &Arc<Connection>, usize) -> Result<Subscription>,
) -> Reply {
    let result = check_name(topic).and_then(|()| {
        let connection = match find_peer(client)? {
            Peer::Accepted(connection) => connection,
            Peer::Own(_) => {
                return Err(Error::wrong_state(format!(
                    "connection {client} is a client of our own; topics are for those that a server accepted"
                )));
            }
            Peer::Asking(_) => return Err(is_asking(client)),
        };
        let (server, config) = servers::find(connection.source.server())?;
        let most = config.lock().own.max_topics.0 as usize;
        let changed = change(&server, &connection, most)?;
        Ok(Map::from_iter([
            ("success".to_owned(), true.into()),
            ("ref".to_owned(), client.into()),
            ("topic".to_owned(), topic.into()),
            ("changed".to_owned(), changed.has_changed.into()),
            ("subscribers".to_owned(), changed.subscribers.into()),
        ]))
    });
    Reply::of(result, |result| reply::object(result, &[("ref", 0.into())]))
}

fn check_name(topic: &str) -> Result<()> {
    Topics::check(topic).map_err(|problem| {
        let message = format!("topic {problem}");
        Error::new(Status::InvalidArgument, message)
    })
}

/// Whether each client of a server may be subscribed to so many topics at once.
pub fn check_count(count: usize, most: usize) -> Result<()> {
    match count > most {
        true => Err(Error::option(
            "topics",
            format!("topics has {count} names; maxTopics is {most}"),
        )),
        false => Ok(()),
    }
}

/// What became of a message.
struct Published {
    subscribers: usize,
    queued: usize,
    encoded: usize,
    failed: BTreeMap<&'static str, Vec<i32>>,
    statuses: Vec<(i32, Result<Sent>)>,
    options: PublishOptions,
    ignored: Option<Value>,
}

/// Sends to the subscribers of a topic. What becomes of it is told only if somebody wants to know.
pub fn server_publish(
    server: i32,
    topic: &str,
    kind: Kind,
    data: &[u8],
    options: &str,
    wants_reply: bool,
) -> Reply {
    let result = publish(server, topic, kind, data, options, wants_reply);
    let (topic, size) = (topic.to_owned(), data.len());
    Reply::of(result, move |result| {
        let fields = result.map(|published| show(published, &topic, size));
        reply::object(fields, &[("subscribers", 0.into()), ("queued", 0.into())])
    })
}

fn publish(
    server: i32,
    topic: &str,
    kind: Kind,
    data: &[u8],
    options: &str,
    wants_reply: bool,
) -> Result<Published> {
    let given = parse(options)?;
    let mut options = PublishOptions::default();
    options.apply(&given)?;
    let (server, _) = servers::find(server)?;
    let audience = match options.prefix {
        true => server.subscribers_below(topic),
        false => {
            check_name(topic)?;
            server.subscribers(topic)
        }
    };
    let mut published = Published {
        subscribers: 0,
        queued: 0,
        encoded: 0,
        failed: BTreeMap::new(),
        statuses: Vec::new(),
        ignored: ignored(&given, &[PublishOptions::NAMES]),
        options,
    };
    let except: HashSet<i32> = published.options.except.0.iter().copied().collect();
    let receipt = receipt(kind, published.options.confirm.clone())?;
    if !wants_reply && except.is_empty() && receipt.is_none() {
        server.broadcasts.say(&audience, kind, data)?;
        return Ok(published);
    }
    let mut message = Encoded::new(kind, data, receipt)?;
    let members = audience.members().iter();
    let members = members.filter(|member| !except.contains(&member.client));
    server
        .broadcasts
        .tell(members, &mut message, |client, sent| {
            published.add(client, sent);
        });
    published.encoded = message.times();
    Ok(published)
}

impl Published {
    fn add(&mut self, client: i32, sent: Result<Sent>) {
        self.subscribers += 1;
        match &sent {
            Ok(_) => self.queued += 1,
            Err(error) => {
                let failed = self.failed.entry(error.status.name()).or_default();
                failed.push(client);
            }
        }
        if self.options.statuses {
            self.statuses.push((client, sent));
        }
    }
}

fn show(published: Published, topic: &str, size: usize) -> Map<String, Value> {
    let mut fields = Map::from_iter([
        ("success".to_owned(), true.into()),
        ("topic".to_owned(), topic.into()),
        ("payloadSize".to_owned(), size.into()),
        ("subscribers".to_owned(), published.subscribers.into()),
        ("queued".to_owned(), published.queued.into()),
        ("encoded".to_owned(), published.encoded.into()),
        ("failed".to_owned(), json!(published.failed)),
    ]);
    if published.options.statuses {
        let statuses = published.statuses.into_iter();
        let clients = statuses.map(|(client, status)| reply::sent(status, Some(client)));
        fields.insert("clients".into(), clients.collect());
    }
    let ignored = published.ignored;
    fields.extend(ignored.map(|ignored| ("ignoredOptions".into(), ignored)));
    fields
}
