//! Knows the six commands of clients, and those of them that accepted connections understand too.
//! Does not know how connections work.

use std::cell::RefCell;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::config::{CLIENT_STOP, CLIENTS, Config, Shared, closing};
use super::names;
use super::options::{ClientOptions, Name, Options, SendOptions, StartOptions, StopOptions, parse};
use super::pull;
use super::reply::{self, Reply};
use super::servers::may_wait;
use super::values::OptionValue;
use crate::client::{Answer, Client, Started, failed};
use crate::connection::{Connection, Sent, send_inline};
use crate::error::{Error, Receipt, Result, Status};
use crate::events::{Channel, OpenInfo, Source, Values, headers_object, retire};
use crate::library::{self, Peer};
use crate::protocol::{Kind, close};
use crate::server::Verdict;
use crate::transport::is_network_thread;

/// Beyond their time-outs, what connecting and closing leave to the system.
const GRACE: Duration = Duration::from_millis(500);

/// The connection behind a ref, ours or accepted.
pub fn find_peer(client: i32) -> Result<Peer> {
    library::PEERS
        .find(client)
        .ok_or_else(|| Error::unknown_ref("connection", client))
}

fn find_own(client: i32) -> Result<(Arc<Client>, Shared<ClientOptions>)> {
    let config = CLIENTS.lock().get(&client).cloned();
    match (find_peer(client)?, config) {
        (Peer::Own(own), Some(config)) => Ok((own, config)),
        (Peer::Own(_), None) => Err(Error::unknown_ref("client", client)),
        (Peer::Accepted(_), _) => Err(Error::wrong_state(format!(
            "connection {client} was accepted by a server; it cannot be started"
        ))),
        (Peer::Asking(_), _) => Err(is_asking(client)),
    }
}

/// What cannot be done with a client that is not let in yet.
pub fn is_asking(client: i32) -> Error {
    Error::wrong_state(format!(
        "client {client} waits for wsplug_client_accept or wsplug_client_reject"
    ))
}

/// Makes a client. Its ref is the second value.
pub fn client_create(options: &str) -> (Reply, i32) {
    let result = create(options);
    let reference = result.as_ref().map_or(0, |(client, _)| *client);
    let result = result.map(|(_, reply)| reply);
    (
        Reply::of(result, |result| reply::object(result, &[("ref", 0.into())])),
        reference,
    )
}

fn create(options: &str) -> Result<(i32, Map<String, Value>)> {
    let given = parse(options)?;
    let mut config = Config::of_client();
    apply(&mut config, &given)?;
    library::threads()?;
    let peer = library::PEERS.insert(|reference| {
        let channel = Channel::new(0, config.tag(), config.credit());
        Peer::Own(Client::new(reference, Source::new(channel, reference)))
    });
    let Peer::Own(client) = peer else {
        unreachable!("what was inserted comes back");
    };
    if let Err(taken) = names::change(client.client, "", &config.own.name) {
        library::PEERS.remove(client.client);
        return Err(taken);
    }
    let mut reply = show(&config, client.client);
    reply.extend(ignored(&given, &[]));
    CLIENTS
        .lock()
        .insert(client.client, Arc::new(Mutex::new(config)));
    Ok((client.client, reply))
}

/// The client with this name. Its ref is the second value, 0 on failure.
pub fn client_find(name: &str) -> Result<i32> {
    if name.is_empty() {
        return Err(Error::new(Status::InvalidArgument, "the name is empty"));
    }
    names::find(name).ok_or_else(|| {
        let message = format!("there is no client with the name \"{name}\"");
        Error::new(Status::UnknownRef, message)
    })
}

/// A url that cannot be used is an error as soon as it is given.
fn apply(config: &mut Config<ClientOptions>, given: &Map<String, Value>) -> Result<()> {
    let mut changed = config.clone();
    changed.apply(given)?;
    if without_userinfo(&config.own.url) == changed.own.url {
        // The url as replies show it was passed back.
        changed.own.url = config.own.url.clone();
    }
    if config.own.proxy.show() == changed.own.proxy.show() && !has_userinfo(given.get("proxy")) {
        // So was the proxy.
        changed.own.proxy = config.own.proxy.clone();
    }
    changed.own.unite_targets(given)?;
    changed.own.target()?;
    *config = changed;
    Ok(())
}

/// The present configuration; a password in the url is not repeated.
pub fn show(config: &Config<ClientOptions>, client: i32) -> Map<String, Value> {
    let mut shown = config.show(client);
    shown.insert("url".into(), without_userinfo(&config.own.url).into());
    shown
}

fn has_userinfo(proxy: Option<&Value>) -> bool {
    proxy
        .and_then(Value::as_str)
        .is_some_and(|proxy| proxy.contains('@'))
}

fn without_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

fn ignored(given: &Map<String, Value>, more: &[&[Name]]) -> Option<(String, Value)> {
    Config::<ClientOptions>::ignored(given, more).map(|ignored| ("ignoredOptions".into(), ignored))
}

/// Connects.
pub fn client_start(client: i32, options: &str) -> Reply {
    Reply::of(start(client, options), |result| {
        let error = result.as_ref().err();
        let answer = error
            .and_then(|error| error.answer.as_deref().cloned())
            .unwrap_or_default();
        let always = [
            ("http_status", answer.status.into()),
            (
                "errorStr",
                error.map_or("", |error| error.message.as_str()).into(),
            ),
            ("uri", "".into()),
            ("url", "".into()),
            ("headers", headers_object(&answer.headers).into()),
            ("body", answer.body.into()),
            ("protocol", "".into()),
            ("extensions", "".into()),
        ];
        reply::object(result, &always)
    })
}

fn start(client: i32, options: &str) -> Result<Map<String, Value>> {
    let given = parse(options)?;
    let (client, config) = find_own(client)?;
    let threads = library::threads()?;
    let mut how = StartOptions::default();
    how.apply(&given)?;
    if how.wait && is_network_thread() {
        return Err(pull::waits_for_itself());
    }
    if client.is_started() {
        return Err(Error::wrong_state(format!(
            "client {} is started already",
            client.client
        )));
    }
    let mut changed = config.lock().clone();
    apply(&mut changed, &given)?;
    // Certificates are read without the lock.
    let plan = changed.plan()?;
    {
        let mut config = config.lock();
        names::change(client.client, &config.own.name, &changed.own.name)?;
        apply(&mut config, &given)?;
        client
            .source
            .channel()
            .set_tag(config.tag(), config.credit());
    }
    let uri = plan.target.url.target.clone();
    let url = plan.target.url.to_string();
    let patience = plan.timeout + GRACE;
    let ignored = ignored(&given, &[StartOptions::NAMES]);
    if !how.wait {
        client.start(plan, &threads, None)?;
        return Ok(opened(
            &OpenInfo {
                uri,
                url,
                ..OpenInfo::default()
            },
            0,
            ignored,
        ));
    }
    let answer = Arc::new(Answer::default());
    client.start(plan, &threads, Some(answer.clone()))?;
    match answer.wait(Instant::now() + patience) {
        Some(Started::Open(info)) => Ok(opened(&info, 101, ignored)),
        Some(Started::Failed(failure, unsent)) => Err(failed(failure, unsent)),
        None => Err(Error::new(
            Status::Timeout,
            format!(
                "not connected within {} ms; the client goes on trying",
                patience.as_millis()
            ),
        )),
    }
}

fn opened(
    info: &OpenInfo,
    http_status: u16,
    ignored: Option<(String, Value)>,
) -> Map<String, Value> {
    let mut reply = Map::new();
    reply.insert("success".into(), true.into());
    reply.insert("http_status".into(), http_status.into());
    reply.insert("errorStr".into(), "".into());
    reply.insert("uri".into(), info.uri.as_str().into());
    reply.insert("url".into(), info.url.as_str().into());
    reply.insert("headers".into(), headers_object(&info.headers).into());
    reply.insert("protocol".into(), info.protocol.as_str().into());
    reply.insert("extensions".into(), info.extensions.as_str().into());
    reply.extend(ignored);
    reply
}

/// Closes a connection, ours or accepted.
pub fn client_stop(client: i32, options: &str) -> Reply {
    Reply::of(stop(client, options), |result| {
        reply::object(result, &[("ref", 0.into())])
    })
}

fn stop(client: i32, options: &str) -> Result<Map<String, Value>> {
    let given = parse(options)?;
    let peer = find_peer(client)?;
    let mut options = StopOptions::default();
    options.apply(&given)?;
    match peer {
        Peer::Own(_) => stop_own(client, &given, &options),
        Peer::Accepted(connection) => stop_accepted(&connection, &given, &options),
        Peer::Asking(_) => Err(is_asking(client)),
    }
}

fn stop_own(
    client: i32,
    given: &Map<String, Value>,
    options: &StopOptions,
) -> Result<Map<String, Value>> {
    let (client, config) = find_own(client)?;
    let (code, reason) = closing(options, CLIENT_STOP)?;
    let (mut reply, patience) = {
        let mut config = config.lock();
        let mut changed = config.clone();
        apply(&mut changed, given)?;
        names::change(client.client, &config.own.name, &changed.own.name)?;
        *config = changed;
        client
            .source
            .channel()
            .set_tag(config.tag(), config.credit());
        (show(&config, client.client), config.close_timeout() + GRACE)
    };
    let was_started = client.stop(code, &reason);
    if options.wait {
        await_end(&client, patience);
    }
    reply.insert("success".into(), true.into());
    if was_started {
        reply.extend(reply::unsent(&client.unsent()));
    }
    reply.extend(ignored(given, &[StopOptions::NAMES]));
    Ok(reply)
}

/// Waits until a client that was stopped has ended, where the calling thread may.
fn await_end(client: &Client, patience: Duration) {
    if may_wait() && !client.await_end(Instant::now() + patience) {
        client.abort();
        client.await_end(Instant::now() + GRACE);
    }
}

fn stop_accepted(
    connection: &Connection,
    given: &Map<String, Value>,
    options: &StopOptions,
) -> Result<Map<String, Value>> {
    let (code, reason) = closing(options, close::NORMAL)?;
    if !connection.close(code, &reason) {
        return Err(Error::wrong_state(format!(
            "connection {} is closing already",
            connection.client
        )));
    }
    let patience = connection.close_timeout() + GRACE;
    if options.wait && may_wait() && !connection.await_end(Instant::now() + patience) {
        connection.abort();
        connection.await_end(Instant::now() + GRACE);
    }
    let mut reply = Map::new();
    reply.insert("ref".into(), connection.client.into());
    reply.insert("success".into(), true.into());
    let unknown = super::options::ignored(given, &[StopOptions::NAMES]);
    reply.extend(unknown.map(|unknown| ("ignoredOptions".into(), unknown)));
    Ok(reply)
}

/// Sends to `client` if the calling thread delivers its messages inline and nothing stands in the way; false: it was not
/// sent.
pub fn client_send_inline(client: i32, kind: Kind, data: &[u8]) -> bool {
    send_inline(client, kind, data)
}

/// Asks for a procedure in the context of a connection.
pub fn client_execute(client: i32, procedure: &str, params: &str) -> Reply {
    let execute = || {
        let params = super::json::params(params)?;
        match find_peer(client)? {
            Peer::Accepted(connection) => connection.execute(procedure, params)?,
            Peer::Own(own) => match own.connection() {
                (Some(connection), _) => connection.execute(procedure, params)?,
                _ => {
                    return Err(Error::wrong_state(format!(
                        "client {client} is not connected"
                    )));
                }
            },
            Peer::Asking(_) => return Err(is_asking(client)),
        }
        Ok(Map::from_iter([("success".to_owned(), true.into())]))
    };
    Reply::of(execute(), |result| reply::object(result, &[]))
}

/// Keeps a text with a connection, or forgets it.
pub fn client_set_value(client: i32, key: &str, value: Option<&str>) -> Result<()> {
    values_of(client)?.set(key, value);
    Ok(())
}

/// What was kept.
pub fn client_get_value(client: i32, key: &str) -> Result<Option<String>> {
    Ok(values_of(client)?.get(key))
}

fn values_of(client: i32) -> Result<Arc<Values>> {
    if let Some(values) = Values::of_leaving(client) {
        return Ok(values);
    }
    match find_peer(client)? {
        Peer::Own(own) => Ok(own.source.values.clone()),
        Peer::Accepted(connection) => Ok(connection.source.values.clone()),
        Peer::Asking(_) => Err(is_asking(client)),
    }
}

/// Sends on a connection, ours or accepted.
pub fn client_send(client: i32, kind: Kind, data: &[u8]) -> Result<Sent> {
    if client_send_inline(client, kind, data) {
        return Ok(Sent::plain(data.len()));
    }
    client_send_queued(client, kind, data)
}

thread_local! {
    /// The connection to which this thread sent last, and what stands for that being so.
    static LAST: RefCell<(i32, u64, Weak<Connection>)> = const { RefCell::new((0, 0, Weak::new())) };
}

/// The same with options.
pub fn client_send_with(client: i32, kind: Kind, data: &[u8], options: &str) -> Reply {
    let result = parse(options).and_then(|given| {
        let mut options = SendOptions::default();
        options.apply(&given)?;
        let sent = match &receipt(kind, options.confirm)? {
            None => client_send(client, kind, data)?,
            Some(receipt) => match find_peer(client)? {
                Peer::Own(own) => own.send(kind, data, Some(receipt))?,
                Peer::Accepted(connection) => connection.send(kind, data, Some(receipt))?,
                Peer::Asking(_) => return Err(is_asking(client)),
            },
        };
        let ignored = super::options::ignored(&given, &[SendOptions::NAMES]);
        Ok((sent, ignored))
    });
    Reply::of(result, |result| {
        let (result, ignored) = match result {
            Ok((sent, ignored)) => (Ok(sent), ignored),
            Err(error) => (Err(error), None),
        };
        let mut reply = reply::sent(result, None);
        if let Some(ignored) = ignored {
            reply["ignoredOptions"] = ignored;
        }
        reply
    })
}

/// What is wanted to be told of a message; pings and pongs have no receipt.
pub fn receipt(kind: Kind, confirm: Option<Receipt>) -> Result<Option<Receipt>> {
    match confirm {
        Some(_) if kind.is_control() => Err(Error::option(
            "confirm",
            "confirm is for text and binary messages, not for pings and pongs",
        )),
        confirm => Ok(confirm),
    }
}

/// The same where the calling thread is known not to deliver its messages inline.
pub fn client_send_queued(client: i32, kind: Kind, data: &[u8]) -> Result<Sent> {
    let removals = library::PEERS.removals();
    let last = LAST.with_borrow(
        |(known, at, last)| match *known == client && *at == removals {
            true => last.upgrade(),
            false => None,
        },
    );
    if let Some(connection) = last {
        return connection.send(kind, data, None);
    }
    match find_peer(client)? {
        Peer::Own(own) => own.send(kind, data, None),
        Peer::Accepted(connection) => {
            let last = (client, removals, Arc::downgrade(&connection));
            let _ = LAST.try_with(|known| known.replace(last));
            connection.send(kind, data, None)
        }
        Peer::Asking(_) => Err(is_asking(client)),
    }
}

/// Lets a connection go, ours or accepted.
pub fn client_clear(client: i32) -> Reply {
    Reply::of(clear(client), |result| reply::object(result, &[]))
}

fn clear(client: i32) -> Result<Map<String, Value>> {
    let reason = "the connection was cleared";
    let config = CLIENTS.lock().remove(&client);
    let patience = config.map(|config| {
        let config = config.lock();
        names::release(client, &config.own.name);
        config.close_timeout() + GRACE
    });
    let mut reply = Map::new();
    match library::PEERS.remove(client) {
        None => return Err(Error::unknown_ref("connection", client)),
        Some(Peer::Own(own)) => {
            let was_started = own.stop_for_good(close::NORMAL, reason);
            if own.queues() {
                // So that what is left can be told, to the last message.
                await_end(&own, patience.unwrap_or(GRACE));
            }
            retire(&own.source, close::NORMAL, reason);
            if was_started {
                reply.extend(reply::unsent(&own.unsent()));
            }
        }
        Some(Peer::Accepted(connection)) => {
            connection.close(close::NORMAL, reason);
            retire(&connection.source, close::NORMAL, reason);
        }
        Some(Peer::Asking(question)) => {
            retire(&question.source, close::NORMAL, reason);
            question.answer(Verdict::Forget);
        }
    }
    Ok(reply)
}

/// The events of a connection that wait for no callback.
pub fn client_messages(client: i32, options: &str) -> Reply {
    let exists = find_peer(client).map(|_| ());
    pull::messages(options, exists, move |source| {
        source.client == client && client != 0
    })
}
