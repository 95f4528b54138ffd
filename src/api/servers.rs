//! Knows the seven commands of servers.
//! Does not know how servers work.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::clients::{find_peer, receipt};
use super::config::{Config, SERVER_STOP, SERVERS, Shared, closing};
use super::options::{
    DrainOptions, LIVE, Name, Options, SendOptions, ServerOptions, StopOptions, TagOptions,
    TargetOptions, parse,
};
use super::pull;
use super::reply::{self, Reply};
use crate::callback;
use crate::connection::{Connection, Encoded, Sent};
use crate::error::{Error, Result};
use crate::events::{Channel, Source, retire_all};
use crate::library::{self, Peer};
use crate::protocol::{Kind, close};
use crate::server::{LastCall, Question, Registrar, Server};
use crate::transport::is_network_thread;

/// Beyond its close time-out, what a stop leaves to the system.
const GRACE: Duration = Duration::from_millis(500);
/// How long clients may stay where a stop that drains does not say.
const DRAIN_TIME: Duration = Duration::from_secs(30);

/// Accepted connections get their refs from the table that own clients share.
struct Peers;

impl Registrar for Peers {
    fn insert(&self, make: &mut dyn FnMut(i32) -> Arc<Connection>) -> Arc<Connection> {
        let peer = library::PEERS.insert(|client| Peer::Accepted(make(client)));
        match peer {
            Peer::Accepted(connection) => connection,
            Peer::Own(_) | Peer::Asking(_) => unreachable!("what was inserted comes back"),
        }
    }

    fn ask(&self, make: &mut dyn FnMut(i32) -> Arc<Question>) -> Arc<Question> {
        let peer = library::PEERS.insert(|client| Peer::Asking(make(client)));
        match peer {
            Peer::Asking(question) => question,
            Peer::Own(_) | Peer::Accepted(_) => unreachable!("what was inserted comes back"),
        }
    }

    fn admit(&self, connection: &Arc<Connection>) -> bool {
        library::PEERS.replace(connection.client, Peer::Accepted(connection.clone()))
    }

    fn remove(&self, client: i32) {
        library::PEERS.remove(client);
    }
}

/// The server behind a ref, and its configuration.
pub fn find(server: i32) -> Result<(Arc<Server>, Shared<ServerOptions>)> {
    let config = SERVERS.lock().get(&server).cloned();
    library::SERVERS
        .find(server)
        .zip(config)
        .ok_or_else(|| Error::unknown_ref("server", server))
}

/// Makes a server. Its ref is the second value.
pub fn server_create(options: &str) -> (Reply, i32) {
    let result = create(options);
    let reference = result.as_ref().map_or(0, |(server, _)| *server);
    let result = result.map(|(_, reply)| reply);
    (
        Reply::of(result, |result| reply::object(result, &[("ref", 0.into())])),
        reference,
    )
}

fn create(options: &str) -> Result<(i32, Map<String, Value>)> {
    let given = parse(options)?;
    let mut config = Config::of_server();
    config.apply(&given)?;
    config.own.unite_paths();
    library::threads()?;
    let server = library::SERVERS.insert(|reference| {
        let channel = Channel::new(reference, config.tag(), config.credit());
        Server::new(reference, Source::new(channel, 0), &Peers)
    });
    let mut reply = config.show(server.server);
    reply.extend(ignored(&given, &[]));
    SERVERS
        .lock()
        .insert(server.server, Arc::new(Mutex::new(config)));
    Ok((server.server, reply))
}

fn ignored(given: &Map<String, Value>, more: &[&[Name]]) -> Option<(String, Value)> {
    Config::<ServerOptions>::ignored(given, more).map(|ignored| ("ignoredOptions".into(), ignored))
}

/// Listens.
pub fn server_start(server: i32, options: &str) -> Reply {
    Reply::of(start(server, options), |result| {
        let message = result
            .as_ref()
            .err()
            .map_or("", |error| error.message.as_str());
        let always = [
            ("message", message.into()),
            ("host", "".into()),
            ("port", 0.into()),
        ];
        reply::object(result, &always)
    })
}

fn start(server: i32, options: &str) -> Result<Map<String, Value>> {
    let given = parse(options)?;
    let (server, config) = find(server)?;
    let threads = library::threads()?;
    if server.is_started() {
        return Err(Error::wrong_state(format!(
            "server {} is started already",
            server.server
        )));
    }
    let mut changed = config.lock().clone();
    changed.apply(&given)?;
    changed.own.unite_paths();
    changed.own.check()?;
    // Certificates are read without the lock.
    let plan = changed.plan()?;
    let host = changed.own.host;
    {
        let mut config = config.lock();
        config.apply(&given)?;
        config.own.unite_paths();
        put_in_force(&server, &config);
    }
    let port = server.start(plan, threads)?;
    let mut reply = Map::new();
    reply.insert("success".into(), true.into());
    reply.insert(
        "message".into(),
        format!("listening on {host}, port {port}").into(),
    );
    reply.insert("host".into(), host.into());
    reply.insert("port".into(), port.into());
    reply.extend(ignored(&given, &[]));
    Ok(reply)
}

/// Changes what may be changed at any time.
pub fn server_set(server: i32, options: &str) -> Reply {
    Reply::of(set(server, options), |result| {
        reply::object(result, &[("ref", 0.into())])
    })
}

fn set(server: i32, options: &str) -> Result<Map<String, Value>> {
    let given = parse(options)?;
    let (server, config) = find(server)?;
    let groups = [TagOptions::NAMES, LIVE];
    let is_live = |name: &String| {
        groups
            .iter()
            .any(|group| group.iter().any(|(known, _)| known == name))
    };
    let live = given.iter().filter(|(name, _)| is_live(name));
    let live = live
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut config = config.lock();
    config.apply(&live)?;
    put_in_force(&server, &config);
    let mut reply = config.show(server.server);
    reply.insert("success".into(), true.into());
    let unknown = super::options::ignored(&given, &groups);
    reply.extend(unknown.map(|unknown| ("ignoredOptions".into(), unknown)));
    Ok(reply)
}

/// What holds from this moment on, whether the server listens or not.
fn put_in_force(server: &Server, config: &Config<ServerOptions>) {
    let channel = server.source.channel();
    channel.set_tag(config.tag(), config.credit());
    config.limit_budget();
    server.is_blocked.store(config.own.blocked, SeqCst);
    server.set_interval(config.own.interval.0);
}

/// Asks for a procedure in the context of a server.
pub fn server_execute(server: i32, procedure: &str, params: &str) -> Reply {
    let result = find(server).and_then(|(server, _)| {
        server.execute(procedure, super::json::params(params)?)?;
        Ok(Map::from_iter([("success".to_owned(), true.into())]))
    });
    Reply::of(result, |result| reply::object(result, &[]))
}

/// Keeps a text with a server, or forgets it.
pub fn server_set_value(server: i32, key: &str, value: Option<&str>) -> Result<()> {
    let (server, _) = find(server)?;
    server.source.values.set(key, value);
    Ok(())
}

/// What was kept.
pub fn server_get_value(server: i32, key: &str) -> Result<Option<String>> {
    let (server, _) = find(server)?;
    Ok(server.source.values.get(key))
}

/// Stops listening and closes every connection.
pub fn server_stop(server: i32, options: &str) -> Reply {
    Reply::of(stop(server, options), |result| {
        reply::object(result, &[("ref", 0.into())])
    })
}

fn stop(server: i32, options: &str) -> Result<Map<String, Value>> {
    let mut given = parse(options)?;
    let (server, config) = find(server)?;
    let (mut options, mut how) = (StopOptions::default(), DrainOptions::default());
    options.apply(&given)?;
    how.apply(&given)?;
    // What connections have under this name is something else.
    given.remove("drain");
    let (code, reason) = closing(&options, SERVER_STOP)?;
    let (mut reply, patience) = {
        let mut config = config.lock();
        config.apply(&given)?;
        config.own.unite_paths();
        put_in_force(&server, &config);
        (config.show(server.server), config.close_timeout() + GRACE)
    };
    let waits = options.wait && may_wait();
    let given_time = how
        .deadline
        .map(|time| Duration::from_millis(time.0 as u64));
    match how.drain {
        true => drain(
            &server,
            code,
            reason,
            given_time.unwrap_or(DRAIN_TIME),
            waits.then_some(patience),
        ),
        false => close(
            &server,
            code,
            &reason,
            given_time,
            waits.then_some(patience),
        ),
    }
    reply.insert("success".into(), true.into());
    reply.extend(ignored(&given, &[StopOptions::NAMES, DrainOptions::NAMES]));
    Ok(reply)
}

/// Lets those who are there go by themselves until `time` has passed, and closes the rest. What is waited beyond that, if
/// anything is, is for their close handshakes.
fn drain(server: &Server, code: u16, reason: String, time: Duration, patience: Option<Duration>) {
    let at = Instant::now() + time;
    let sessions = server.drain(&LastCall {
        at: at.into(),
        code,
        reason,
    });
    let Some(patience) = patience else { return };
    if !server.await_end(&sessions, at + patience) {
        for connection in sessions
            .iter()
            .flat_map(|session| server.connections_of(session))
        {
            connection.abort();
        }
        server.await_end(&sessions, Instant::now() + GRACE);
    }
}

/// Closes everybody, and cuts off who is left when `time`, or the time that is waited, has passed.
fn close(
    server: &Server,
    code: u16,
    reason: &str,
    time: Option<Duration>,
    patience: Option<Duration>,
) {
    let connections = server.stop(code, reason);
    let now = Instant::now();
    match (patience, time) {
        (Some(patience), time) => {
            if !server.await_end(&[], now + time.unwrap_or(patience)) {
                for connection in &connections {
                    connection.abort();
                }
                server.await_end(&[], Instant::now() + GRACE);
            }
        }
        // Fails where the library is shutting down, which has a deadline of its own.
        (None, Some(time)) => {
            if let Ok(threads) = library::threads() {
                server.cut(&connections, now + time, &threads);
            }
        }
        (None, None) => {}
    }
}

/// Whether waiting for connections cannot be waiting for ourselves.
pub fn may_wait() -> bool {
    !callback::is_inside() && !is_network_thread()
}

/// Sends to some or all of a server's connections. What becomes of it is told only if somebody wants to know.
pub fn server_send(
    server: i32,
    kind: Kind,
    data: &[u8],
    options: &str,
    wants_reply: bool,
) -> Reply {
    let statuses = send(server, kind, data, options, wants_reply);
    Reply::of(statuses, |result| match result {
        Ok(statuses) => Value::Array(
            statuses
                .into_iter()
                .map(|(client, status)| reply::sent(status, Some(client)))
                .collect(),
        ),
        Err(error) => reply::object(Err(error), &[]),
    })
}

fn send(
    server: i32,
    kind: Kind,
    data: &[u8],
    options: &str,
    wants_reply: bool,
) -> Result<Vec<(i32, Result<Sent>)>> {
    let given = parse(options)?;
    let (mut how, mut whom) = (SendOptions::default(), TargetOptions::default());
    how.apply(&given)?;
    whom.apply(&given)?;
    let (server, _) = find(server)?;
    let receipt = receipt(kind, how.confirm)?;
    let mut statuses = Vec::new();
    let Some(refs) = whom.clients else {
        let everybody = server.everybody();
        if !wants_reply && receipt.is_none() {
            server.broadcasts.say(&everybody, kind, data)?;
            return Ok(statuses);
        }
        let mut message = Encoded::new(kind, data, receipt)?;
        let open = everybody.members().iter().filter(|member| member.is_open());
        server.broadcasts.tell(open, &mut message, |client, sent| {
            statuses.push((client, sent));
        });
        return Ok(statuses);
    };
    let mut message = Encoded::new(kind, data, receipt)?;
    let found: Vec<(i32, Option<Arc<Connection>>)> = refs
        .0
        .into_iter()
        .map(|client| (client, client_of(&server, client)))
        .collect();
    let known = found
        .iter()
        .filter_map(|(_, connection)| connection.as_ref());
    let mut sent = Vec::new();
    server
        .broadcasts
        .tell(known, &mut message, |_, status| sent.push(status));
    let mut sent = sent.into_iter();
    for (client, connection) in found {
        let status = connection.and_then(|_| sent.next());
        let status = status.unwrap_or_else(|| Err(not_ours(server.server, client)));
        statuses.push((client, status));
    }
    Ok(statuses)
}

fn client_of(server: &Server, client: i32) -> Option<Arc<Connection>> {
    match library::PEERS.find(client)? {
        Peer::Accepted(connection) => {
            let is_ours = connection.source.server() == server.server;
            is_ours.then_some(connection)
        }
        Peer::Own(_) | Peer::Asking(_) => None,
    }
}

fn not_ours(server: i32, client: i32) -> Error {
    match find_peer(client) {
        Ok(_) => Error::unknown_ref(&format!("connection of server {server}"), client),
        Err(error) => error,
    }
}

/// Lets a server go, with everything that belongs to it.
pub fn server_clear(server: i32) -> Reply {
    Reply::of(clear(server), |result| reply::object(result, &[]))
}

fn clear(server: i32) -> Result<Map<String, Value>> {
    SERVERS.lock().remove(&server);
    let server = library::SERVERS
        .remove(server)
        .ok_or_else(|| Error::unknown_ref("server", server))?;
    let reason = "the server was cleared";
    // A callback may be asking the host about them at this moment.
    let asking = library::PEERS
        .all()
        .into_iter()
        .filter_map(|peer| match peer {
            Peer::Asking(question) => Some(question.source.clone()),
            _ => None,
        });
    let asking: Vec<_> = asking
        .filter(|source| Arc::ptr_eq(source.channel(), server.source.channel()))
        .collect();
    let connections = server.stop_for_good(close::GOING_AWAY, reason);
    for connection in &connections {
        library::PEERS.remove(connection.client);
    }
    let mut sources: Vec<Arc<Source>> = connections
        .iter()
        .map(|connection| connection.source.clone())
        .collect();
    sources.extend(asking);
    sources.push(server.source.clone());
    retire_all(server.source.channel(), sources, close::GOING_AWAY, reason);
    Ok(Map::new())
}

/// The refs of a server's open connections.
pub fn server_clients(server: i32) -> Reply {
    let result = find(server).map(|(server, _)| {
        let open = server
            .connections()
            .into_iter()
            .filter(|connection| connection.is_open());
        open.map(|connection| connection.client)
            .collect::<Vec<i32>>()
    });
    Reply::of(result, |result| match result {
        Ok(refs) => refs.into(),
        Err(error) => reply::object(Err(error), &[]),
    })
}

/// The events of a server and its connections that wait for no callback.
pub fn server_messages(server: i32, options: &str) -> Reply {
    let exists = find(server).map(|_| ());
    pull::messages(options, exists, move |source| {
        source.server() == server && server != 0
    })
}
