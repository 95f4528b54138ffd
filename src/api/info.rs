//! Knows what the library, a server and a connection tell about themselves.
//! Does not know how it is counted.

use serde_json::{Map, Value, json};

use super::clients::find_peer;
use super::config::{CLIENTS, SERVERS};
use super::reply::{self, Reply};
use crate::client::Client;
use crate::connection::{Connection, Counters, Report};
use crate::error::{Error, Result};
use crate::events::{OpenInfo, cookies_object, headers_object, show_unsent, tls_of};
use crate::library::{self, Peer};
use crate::server::{self, Server};

/// The library, with every server and every client of our own. Which interface it is seen through, the caller knows.
pub fn info(abi_version: i32) -> Reply {
    Reply::of(Ok(()), move |_: Result<()>| {
        let mut total = Counters::default();
        let mut waiting = (0, 0);
        let mut add = |more: (usize, usize)| waiting = (waiting.0 + more.0, waiting.1 + more.1);
        let (mut connections, mut buffered) = (0, 0);
        let mut servers = Vec::new();
        for server in library::SERVERS.all() {
            let report = server.report();
            total += report.counters;
            connections += report.clients;
            buffered += report.buffered;
            add(report.waiting);
            servers.push(show_server(&server, &report).into());
        }
        let mut clients = Vec::new();
        for peer in library::PEERS.all() {
            if let Peer::Own(client) = peer {
                let (connection, gone) = client.connection();
                let report = connection.map(|connection| connection.report());
                total += gone;
                total += report.map_or_else(Counters::default, |report| report.counters);
                buffered += report.map_or(0, |report| report.buffered);
                connections += usize::from(report.is_some_and(|report| report.is_open));
                add(client.source.channel().waiting());
                clients.push(brief(&client, report.as_ref()).into());
            }
        }
        let mut reply = Map::new();
        reply.insert("success".into(), true.into());
        reply.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        reply.insert("abiVersion".into(), abi_version.into());
        reply.insert("threads".into(), library::thread_count().into());
        reply.insert("connections".into(), connections.into());
        reply.insert("bufferedAmount".into(), buffered.into());
        show_waiting(waiting, &mut reply);
        show_counters(&total, &mut reply);
        reply.insert("servers".into(), Value::Array(servers));
        reply.insert("clients".into(), Value::Array(clients));
        reply.into()
    })
}

/// One server.
pub fn server_info(server: i32) -> Reply {
    let found = library::SERVERS
        .find(server)
        .ok_or_else(|| Error::unknown_ref("server", server));
    let fields = found.map(|server| show_server(&server, &server.report()));
    Reply::of(fields, |fields| reply::object(fields, &[("ref", 0.into())]))
}

/// One connection, ours or accepted.
pub fn client_info(client: i32) -> Reply {
    let fields = find_peer(client).map(|peer| match peer {
        Peer::Accepted(connection) => {
            let report = connection.report();
            let mut fields = Map::new();
            fields.insert("success".into(), true.into());
            fields.insert("ref".into(), client.into());
            fields.insert("server".into(), connection.source.server().into());
            fields.insert("name".into(), "".into());
            fields.insert("state".into(), state(&report).into());
            show_connection(&connection, &report, report.counters, &mut fields);
            let server = library::SERVERS.find(connection.source.server());
            let topics = server.map_or_else(Vec::new, |server| server.topics_of(client));
            fields.insert("topics".into(), topics.iter().map(|name| &**name).collect());
            fields
        }
        Peer::Own(own) => {
            let (connection, mut counters) = own.connection();
            let report = connection.as_ref().map(|connection| connection.report());
            let mut fields = brief(&own, report.as_ref());
            fields.insert("success".into(), true.into());
            fields.insert("server".into(), 0.into());
            fields.insert("unsent".into(), show_unsent(&own.unsent()));
            match (connection, report) {
                (Some(connection), Some(report)) => {
                    counters += report.counters;
                    show_connection(&connection, &report, counters, &mut fields);
                }
                _ => show_nothing(&OpenInfo::default(), &counters, &mut fields),
            }
            fields
        }
        Peer::Asking(question) => {
            let mut fields = Map::new();
            fields.insert("success".into(), true.into());
            fields.insert("ref".into(), client.into());
            fields.insert("server".into(), question.source.server().into());
            fields.insert("name".into(), "".into());
            fields.insert("state".into(), "asking".into());
            let about = question.request.about();
            show_nothing(&about, &Counters::default(), &mut fields);
            fields
        }
    });
    Reply::of(fields, |fields| reply::object(fields, &[("ref", 0.into())]))
}

/// What a connection has that is not there, or not yet.
fn show_nothing(about: &OpenInfo, counters: &Counters, fields: &mut Map<String, Value>) {
    show_about(about, fields);
    fields.insert("connectedAt".into(), 0.into());
    fields.insert("roundTripMs".into(), Value::Null);
    fields.insert("bufferedAmount".into(), 0.into());
    show_counters(counters, fields);
}

fn show_server(server: &Server, report: &server::Report) -> Map<String, Value> {
    let config = SERVERS.lock().get(&server.server).cloned();
    let config = config
        .map(|config| config.lock().own.clone())
        .unwrap_or_default();
    let host = match config.host.contains(':') {
        true => format!("[{}]", config.host),
        false => config.host.clone(),
    };
    let path = config.paths.0.first().map_or("/", String::as_str);
    let scheme = if config.tls.0.is_some() { "wss" } else { "ws" };
    let url = report
        .port
        .map(|port| format!("{scheme}://{host}:{port}{path}"));
    let mut fields = Map::new();
    fields.insert("success".into(), true.into());
    fields.insert("ref".into(), server.server.into());
    fields.insert("listening".into(), report.port.is_some().into());
    fields.insert("draining".into(), report.is_draining.into());
    fields.insert("url".into(), url.unwrap_or_default().into());
    fields.insert("host".into(), config.host.into());
    fields.insert("port".into(), report.port.unwrap_or_default().into());
    fields.insert("blocked".into(), config.blocked.into());
    fields.insert("clients".into(), report.clients.into());
    fields.insert("pendingHandshakes".into(), report.pending.into());
    fields.insert("httpConnections".into(), report.guests.into());
    fields.insert("opened".into(), report.opened.into());
    fields.insert("httpRequests".into(), report.answered.into());
    fields.insert("refused".into(), json!(report.refused));
    let topics = server.topics().into_iter();
    let topics: Map<String, Value> = topics
        .map(|(name, subscribers)| (name.to_string(), subscribers.into()))
        .collect();
    fields.insert("topics".into(), topics.into());
    fields.insert("name".into(), config.name.into());
    fields.insert("unsent".into(), show_unsent(&report.unsent));
    fields.insert("bufferedAmount".into(), report.buffered.into());
    show_waiting(report.waiting, &mut fields);
    show_counters(&report.counters, &mut fields);
    fields
}

/// What every list says of a client of our own.
fn brief(client: &Client, report: Option<&Report>) -> Map<String, Value> {
    let config = CLIENTS.lock().get(&client.client).cloned();
    let shown = config.map(|config| super::clients::show(&config.lock(), client.client));
    let shown = |name: &str| {
        let value = shown.as_ref().and_then(|shown| shown.get(name));
        value.cloned().unwrap_or_else(|| "".into())
    };
    let state = match report {
        Some(report) => state(report),
        None if client.is_started() => "connecting",
        None => "closed",
    };
    let mut fields = Map::new();
    fields.insert("ref".into(), client.client.into());
    fields.insert("name".into(), shown("name"));
    fields.insert("url".into(), shown("url"));
    fields.insert("state".into(), state.into());
    fields
}

fn state(report: &Report) -> &'static str {
    match report.is_open {
        true => "open",
        false => "closing",
    }
}

fn show_connection(
    connection: &Connection,
    report: &Report,
    counters: Counters,
    fields: &mut Map<String, Value>,
) {
    show_about(&connection.about(), fields);
    let round_trip = report
        .round_trip
        .map(|time| time.as_micros() as f64 / 1000.0);
    fields.insert("connectedAt".into(), report.connected_at.into());
    fields.insert("roundTripMs".into(), json!(round_trip));
    fields.insert("bufferedAmount".into(), report.buffered.into());
    show_counters(&counters, fields);
}

fn show_about(info: &OpenInfo, fields: &mut Map<String, Value>) {
    let (path, query) = info.uri.split_once('?').unwrap_or((&info.uri, ""));
    let headers = headers_object(&info.headers);
    let header = |name: &str| {
        let found = headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found
            .and_then(|(_, value)| value.as_str())
            .unwrap_or_default()
    };
    fields.insert("uri".into(), info.uri.as_str().into());
    if !info.url.is_empty() {
        // Where redirects led.
        fields.insert("url".into(), info.url.as_str().into());
    }
    fields.insert("path".into(), path.into());
    fields.insert("query".into(), query.into());
    fields.insert("origin".into(), header("origin").into());
    fields.insert("cookies".into(), cookies_object(&info.headers).into());
    fields.insert("protocol".into(), info.protocol.as_str().into());
    fields.insert("extensions".into(), info.extensions.as_str().into());
    fields.insert("remoteIp".into(), info.remote_ip.as_str().into());
    fields.insert("remotePort".into(), info.remote_port.into());
    fields.insert("tls".into(), tls_of(info.tls.as_ref(), info.tls_at_proxy));
    fields.insert("headers".into(), headers.into());
}

fn show_waiting((bytes, events): (usize, usize), fields: &mut Map<String, Value>) {
    fields.insert("eventQueueBytes".into(), bytes.into());
    fields.insert("eventQueueEvents".into(), events.into());
}

fn show_counters(counters: &Counters, fields: &mut Map<String, Value>) {
    for (name, value) in counters.named() {
        fields.insert(name.into(), value.into());
    }
}
