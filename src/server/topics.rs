//! Knows which clients are subscribed to which topics.
//! Does not know what is published there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Server;
use crate::connection::{Audience, Connection};
use crate::error::{Error, Result};
use crate::registry::RefMap;

/// A server's topics: each is there as long as somebody is subscribed to it.
#[derive(Default)]
pub struct Topics(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    topics: BTreeMap<Arc<str>, Topic>,
    of_client: RefMap<BTreeSet<Arc<str>>>,
}

#[derive(Default)]
struct Topic {
    subscribers: BTreeMap<i32, Arc<Connection>>,
    /// All of them, as long as none comes or goes.
    audience: Option<Arc<Audience>>,
}

/// What a subscription or its end has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// False: it was like that before.
    pub has_changed: bool,
    /// How many the topic has now.
    pub subscribers: usize,
}

impl Lists {
    fn has(&self, client: i32, topic: &str) -> bool {
        let own = self.of_client.get(&client);
        own.is_some_and(|own| own.contains(topic))
    }

    fn count(&self, topic: &str) -> usize {
        let known = self.topics.get(topic);
        known.map_or(0, |known| known.subscribers.len())
    }

    fn join(&mut self, connection: &Arc<Connection>, topic: &str) {
        let client = connection.client;
        let name = match self.topics.get_key_value(topic) {
            Some((known, _)) => known.clone(),
            None => topic.into(),
        };
        let own = self.of_client.entry(client).or_default();
        own.insert(name.clone());
        let known = self.topics.entry(name).or_default();
        known.subscribers.insert(client, connection.clone());
        known.audience = None;
    }

    fn leave(&mut self, client: i32, topic: &str) {
        let Some(known) = self.topics.get_mut(topic) else {
            return;
        };
        known.subscribers.remove(&client);
        known.audience = None;
        if known.subscribers.is_empty() {
            self.topics.remove(topic);
        }
    }
}

impl Topics {
    /// A client that is closed already leaves them all.
    pub fn leave(&self, client: i32) {
        let mut lists = self.0.lock();
        for topic in lists.of_client.remove(&client).unwrap_or_default() {
            lists.leave(client, &topic);
        }
    }
}

impl Server {
    /// Subscribes a client of this server, which may have so many topics.
    pub fn subscribe(
        &self,
        connection: &Arc<Connection>,
        topic: &str,
        most: usize,
    ) -> Result<Subscription> {
        let client = connection.client;
        let mut lists = self.topics.0.lock();
        // Under the lock that its end needs to leave the topics: it either finds this one or is found here.
        if !connection.is_open() {
            let message = format!("connection {client} is closing");
            return Err(Error::wrong_state(message));
        }
        let count = lists.of_client.get(&client).map_or(0, BTreeSet::len);
        let has_changed = !lists.has(client, topic);
        if has_changed && count >= most {
            return Err(Error::wrong_state(format!(
                "client {client} is subscribed to {count} topics; maxTopics is {most}"
            )));
        }
        if has_changed {
            lists.join(connection, topic);
        }
        Ok(Subscription {
            has_changed,
            subscribers: lists.count(topic),
        })
    }

    /// Ends a client's subscription.
    pub fn unsubscribe(&self, client: i32, topic: &str) -> Subscription {
        let mut lists = self.topics.0.lock();
        let has_changed = lists.has(client, topic);
        if has_changed {
            lists.leave(client, topic);
            let left = lists.of_client.get_mut(&client);
            let is_last = left.is_some_and(|own| own.remove(topic) && own.is_empty());
            if is_last {
                lists.of_client.remove(&client);
            }
        }
        Subscription {
            has_changed,
            subscribers: lists.count(topic),
        }
    }

    /// Who is subscribed to a topic.
    pub fn subscribers(&self, topic: &str) -> Arc<Audience> {
        let mut lists = self.topics.0.lock();
        let Some(known) = lists.topics.get_mut(topic) else {
            return Arc::default();
        };
        let subscribers = &known.subscribers;
        let audience = known
            .audience
            .get_or_insert_with(|| Audience::new(subscribers.values().cloned().collect()));
        audience.clone()
    }

    /// Who is subscribed to one or more of the topics that begin so.
    pub fn subscribers_below(&self, prefix: &str) -> Arc<Audience> {
        let lists = self.topics.0.lock();
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let below = lists.topics.range::<str, _>(from);
        let subscribers: BTreeMap<i32, &Arc<Connection>> = below
            .take_while(|(name, _)| name.starts_with(prefix))
            .flat_map(|(_, topic)| &topic.subscribers)
            .map(|(client, connection)| (*client, connection))
            .collect();
        Audience::new(subscribers.into_values().cloned().collect())
    }

    /// The topics with the number of subscribers of each.
    pub fn topics(&self) -> Vec<(Arc<str>, usize)> {
        let lists = self.topics.0.lock();
        let topics = lists.topics.iter();
        topics
            .map(|(name, topic)| (name.clone(), topic.subscribers.len()))
            .collect()
    }

    /// What a client is subscribed to.
    pub fn topics_of(&self, client: i32) -> Vec<Arc<str>> {
        let lists = self.topics.0.lock();
        let own = lists.of_client.get(&client);
        own.map_or_else(Vec::new, |own| own.iter().cloned().collect())
    }
}
