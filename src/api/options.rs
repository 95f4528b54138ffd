//! Knows every option: name, kind, range, default and meaning, once.
//! Does not know what the rooms below do with them.

use serde_json::{Map, Value, json};

use super::json;
use super::requests::{ClientAuth, Redirects};
use super::tls::{ClientTls, ServerTls};
use super::values::{
    Admission, Deflate, Files, Handle, HeaderFields, Hosts, Int, Int32, Interval, OptionValue,
    Paths, Protocols, Refs, Seconds, Texts, Topics, Values, nearest,
};
use crate::error::{Error, Receipt, Result};
use crate::events::{Dispatch, POOL_THREADS};
use crate::protocol::Role;
use crate::protocol::deflate::Wishes;
use crate::protocol::proxy::Choice;
use crate::protocol::upgrade::Origins;
use crate::server::{Auth, Networks};

/// A member of an option that is an object. Its texts stand in the documentation, and tests compare them with what the option
/// takes, shows and says.
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it accepts, in the words of the error where it is something else.
    pub expected: &'static str,
    /// Its default as JSON, or in words.
    pub default: &'static str,
    /// A value that it takes, as JSON.
    pub example: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// One row of the documentation.
pub struct Row {
    /// The option's name.
    pub name: &'static str,
    /// What it accepts.
    pub expected: String,
    /// Its default as JSON, or "" if there is none.
    pub default: String,
    /// What it does.
    pub meaning: &'static str,
    /// Of an object, its members.
    pub members: &'static [Member],
    /// What is wrong with a value for it.
    pub check: fn(&Value) -> std::result::Result<(), String>,
}

/// An option's name and, of an object, its members.
pub type Name = (&'static str, &'static [Member]);

/// A group of options.
pub trait Options: Clone + Default {
    /// Their names.
    const NAMES: &'static [Name];
    /// Takes the options of this group out of `given`; nothing is changed if one is wrong.
    fn apply(&mut self, given: &Map<String, Value>) -> Result<()>;
    /// The present values, under the same names.
    fn show(&self, out: &mut Map<String, Value>);
    /// The documentation.
    fn rows() -> Vec<Row>;
}

macro_rules! options {
    (
        $(#[$meta:meta])*
        $name:ident { $( #[doc = $doc:literal] $json:literal $field:ident: $type:ty = $default:expr; )* }
    ) => {
        $(#[$meta])*
        #[derive(Clone)]
        pub struct $name { $( #[doc = $doc] pub $field: $type, )* }

        impl Default for $name {
            fn default() -> Self {
                $name { $( $field: $default, )* }
            }
        }

        impl Options for $name {
            const NAMES: &'static [Name] = &[$( ($json, <$type as OptionValue>::MEMBERS), )*];

            fn apply(&mut self, given: &Map<String, Value>) -> Result<()> {
                let mut changed = self.clone();
                $(
                    // null is what hosts write for "not set".
                    if let Some(value) = given.get($json).filter(|value| !value.is_null()) {
                        changed.$field = <$type>::read(value)
                            .map_err(|problem| Error::option($json, format!("{} {problem}", $json)))?;
                    }
                )*
                *self = changed;
                Ok(())
            }

            fn show(&self, out: &mut Map<String, Value>) {
                $( if let Some(value) = self.$field.show() { out.insert($json.into(), value); } )*
            }

            fn rows() -> Vec<Row> {
                let defaults = Self::default();
                vec![$( Row {
                    name: $json,
                    expected: <$type>::expected(),
                    default: defaults.$field.show().map(|value| value.to_string()).unwrap_or_default(),
                    meaning: $doc.trim(),
                    members: <$type as OptionValue>::MEMBERS,
                    check: |value| <$type>::read(value).map(drop),
                }, )*]
            }
        }
    };
}

options! {
    /// What a host attaches to a server or client; may be changed at any start and stop.
    TagOptions {
        /// The name given to `wsplug_set_method` whose callbacks are called; "" or an unknown one: those of `wsplug_set_callbacks`.
        "method" method: String = String::new();
        /// A text that is handed back with each event.
        "worker" worker: String = String::new();
        /// A number that is handed back with each event.
        "window" window: Int32 = Int(0);
        /// A number that is handed back with each event.
        "process" process: Int32 = Int(0);
        /// How callbacks are run, or "pull": events wait to be pulled although there are callbacks. Not given: as `wsplug_init` says.
        "dispatch" dispatch: Option<Dispatch> = None;
        /// With "perConnection": all callbacks of one connection run on the same thread, and those of the server itself. Otherwise it changes nothing. Not given: as `wsplug_init` says.
        "affinity" affinity: Option<bool> = None;
    }
}

options! {
    /// Limits and habits of a server's connections.
    ServerOptions {
        /// A name for `wsplug_info` and `wsplug_server_info`.
        "name" name: String = String::new();
        /// The port to listen on; 0 takes a free one, which the start reply tells.
        "port" port: Int<0, 65535> = Int(8080);
        /// The name or address to listen on; "0.0.0.0" is every IPv4 address, "::" every address.
        "host" host: String = "127.0.0.1".into();
        /// Connections that the system keeps until they are accepted.
        "backlog" backlog: Int<1, 65535> = Int(1024);
        /// Lets other processes listen on the same port if they ask for it too; the system gives each a part of the new connections. So a second instance can take over before the first one is stopped. Not on Windows: an error there.
        "reusePort" reuse_port: bool = false;
        /// Open connections; more are answered with 503. Never more than the process's limit of open files less 64.
        "maxConnections" max_connections: Int<1, 10_000_000> = Int(10_000);
        /// Connections from one address; beyond: 503. 0: no limit. Each IPv6 address counts by itself, of which one client may have many.
        "maxPerIp" max_per_ip: Int<0, 10_000_000> = Int(0);
        /// Handshakes under way; beyond, the oldest of them is closed unanswered.
        "maxPendingHandshakes" max_pending: Int<1, 10_000_000> = Int(1000);
        /// Milliseconds from the accept to the answer; beyond, the connection is closed unanswered.
        "handshakeTimeoutMs" handshake_timeout: Int<1, 3_600_000> = Int(10_000);
        /// The names, without port, under which the server is asked for; requests for others get 404. [] is every name. Servers on one address and port are told apart by `hosts` and `paths`: what names one exactly counts more than what takes all.
        "hosts" hosts: Hosts = Hosts::default();
        /// The path, or paths, without the query, at which WebSocket connections are taken; others get 404. [] is every path.
        "paths" paths: Paths = Paths::default();
        /// Another name for `paths`; where both are given, this one counts.
        "path" path: Option<Paths> = None;
        /// Whose browser pages may connect: "same" (those of this host and port), "*" (all), or a list; others get 403. Clients that send no Origin, as all but browsers, always may.
        "origins" origins: Origins = Origins::SameOrigin;
        /// Sub-protocols that the server speaks; the first of the client's list that is among them is agreed, none if none is.
        "protocols" protocols: Protocols = Protocols::default();
        /// Refuses clients that offer none of `protocols`, with 400.
        "requireProtocol" require_protocol: bool = false;
        /// Who may connect at all: bearer tokens, or users with passwords; others get 401. A password that begins as a hash of argon2 or bcrypt does ("$argon2id$", "$2b$") is one. {} is everybody; a scheme without an entry is an error. Never shown in replies.
        "auth" auth: Auth = Auth::default();
        /// Addresses and networks from which clients may come, such as "10.0.0.0/8"; others get 403. [] is every one.
        "allow" allow: Networks = Networks::default();
        /// Addresses and networks from which clients may not come, also where `allow` has them; they get 403.
        "deny" deny: Networks = Networks::default();
        /// Addresses and networks of proxies that are believed when they say whom they pass on, in X-Forwarded-For or Forwarded (RFC 7239) and X-Forwarded-Proto: `remoteIp`, `tls`, `allow`, `deny` and `maxPerIp` are then about the client. What others say is not looked at.
        "trustedProxies" trusted_proxies: Networks = Networks::default();
        /// The proxies of `trustedProxies` begin each connection with the header of the PROXY protocol, version 1 or 2; without it they are closed unanswered.
        "proxyProtocol" proxy_protocol: bool = false;
        /// "rules": who fits the options is let in. "ask": the host is asked by a "request" event besides, and answers with wsplug_client_accept or wsplug_client_reject.
        "admission" admission: Admission = Admission::Rules;
        /// Milliseconds that the host may take to answer a "request"; beyond: 503.
        "admissionTimeoutMs" admission_timeout: Int<1, 3_600_000> = Int(10_000);
        /// Requests that wait for the host's answer; beyond: 503.
        "maxPendingRequests" max_requests: Int<1, 10_000_000> = Int(1000);
        /// Posts "refused" for each request that is not let in.
        "refused" refused: bool = false;
        /// To what each new client is subscribed, before its "open".
        "topics" topics: Topics = Topics::default();
        /// Topics that one client may be subscribed to.
        "maxTopics" max_topics: Int<1, 1_000_000> = Int(1000);
        /// What plain GETs and HEADs at these paths are answered with: a file, or a folder with all that is in it (docs/http.md). Whether it is a folder is looked at when the server starts; files are read anew each time. Other paths get 404.
        "files" files: Files = Files::default();
        /// Header fields of each answer with a file, instead of those of the same name that it would have: {"Cache-Control":"max-age=3600"}.
        "fileHeaders" file_headers: HeaderFields = HeaderFields::default();
        /// The path, or paths, at which plain GETs and HEADs are answered with 200 as long as the server is started.
        "health" health: Option<Paths> = None;
        /// The path, or paths, at which plain GETs are answered with the server's counters, as Prometheus reads them. Where `auth` is set, only for who may connect.
        "metrics" metrics: Option<Paths> = None;
        /// Whose browser pages may read, by fetch, what `files`, `health` and `metrics` answer: "*" (all), or a list of origins. [] and "same" are only those of this host and port.
        "cors" cors: Origins = Origins::List(Vec::new());
        /// Connections that ask for anything but a WebSocket; beyond, the one that has waited longest for its next request is closed, and where none waits the new one gets 503.
        "maxHttpConnections" max_guests: Int<1, 10_000_000> = Int(1000);
        /// Milliseconds that such a connection is kept for its next request.
        "httpIdleTimeoutMs" idle_timeout: Int<1, 3_600_000> = Int(10_000);
        /// Bytes that may wait to be sent on all connections of the server together, beside `sendQueueBytes` of each; beyond: WSPLUG_QUEUE_FULL. An empty queue always takes one message. 0: no limit.
        "sendBudgetBytes" send_budget: Int<0, 9_007_199_254_740_991> = Int(0);
        /// How often "service" comes, counted from the end of the one before: milliseconds, or a text such as "20 s", "10 ms" or "1 min". 0: never.
        "interval" interval: Interval = Interval::default();
        /// Refuses new connections with 503, and keeps those that are there.
        "blocked" blocked: bool = false;
        /// TLS: an object with the members below, of which `certFile` or `certificates` must be there. Files that change are read again without losing a connection.
        "tls" tls: ServerTls = ServerTls::default();
    }
}

options! {
    /// Limits and habits of a client.
    ClientOptions {
        /// A name for `wsplug_client_find`, which no other living client may have; "" is none.
        "name" name: String = String::new();
        /// Where to connect to: ws://[user:password@]host[:port][/path][?query], or ws+unix:/path/of/socket[:/path][?query]. A start needs it, or `address`.
        "url" url: String = String::new();
        /// Instead of `url`: the name or IP address to connect to. What is given last counts; both at once are an error.
        "address" address: String = String::new();
        /// The port of `address`; not given: 80, with TLS 443.
        "port" port: Option<Int<1, 65535>> = None;
        /// The path of `address`, with or without the leading "/", and the query; "" is "/".
        "path" path: Option<String> = None;
        /// Sub-protocols to offer, the best first; the server must choose one.
        "protocols" protocols: Protocols = Protocols::default();
        /// Header fields for the request; an array of texts is a field that comes more than once. Host, User-Agent, Origin and Cookie may be set; Upgrade, Connection, Content-Length, Transfer-Encoding and Sec-WebSocket-… are the library's. Not shown in replies if there is Authorization, Proxy-Authorization or Cookie among them.
        "headers" headers: HeaderFields = HeaderFields::default();
        /// Seconds that one try to connect may take, from the name to the server's answer.
        "timeout" timeout: Seconds<86_400> = Seconds(20.0);
        /// Connects again when the connection was lost or closed by the peer.
        "enableAutomaticReconnection" reconnect: bool = true;
        /// The longest wait before the first new try, in milliseconds; doubles with each failure. The real wait is anything between 0 and that.
        "minWaitBetweenReconnectionRetries" min_wait: Int<1, 3_600_000> = Int(100);
        /// The longest wait of all, in milliseconds.
        "maxWaitBetweenReconnectionRetries" max_wait: Int<1, 86_400_000> = Int(10_000);
        /// Failures in a row before giving up; 0: never.
        "maxRetries" max_retries: Int<0, 1_000_000> = Int(0);
        /// Tries again also where the first try fails, which otherwise ends the start.
        "retryFirst" retry_first: bool = false;
        /// Texts that are sent after each connect and reconnect, before everything else. Not shown in replies if there are any: they may hold passwords.
        "onOpen" on_open: Texts = Texts::default();
        /// Bytes of messages that may wait while the client is started and not connected, each message counting 64 more; they are sent in order once it is, after `onOpen`. 0: such sends are refused.
        "queueWhileDisconnected" queue: Int<0, 2_147_483_647> = Int(0);
        /// TLS: true, or an object with the members below. A wss: url is TLS without it; with it, a ws: url is a wss: one.
        "tls" tls: Option<ClientTls> = None;
        /// Who we are to the server: {"basic":{"user":"…","password":"…"}} or {"bearer":"token"}; {} is nobody. An Authorization among `headers` counts before it, it before a user in the url. Never shown in replies.
        "auth" auth: ClientAuth = ClientAuth::default();
        /// Follows the server's answers 301, 302, 303, 307 and 308: false, true (10 of them), or how many. Never from wss to ws. To another origin go no user, password, token or cookie, and of `headers` only User-Agent and Origin.
        "followRedirects" redirects: Redirects = Redirects::default();
        /// How to get out: "none", "system" (http_proxy for ws, https_proxy or HTTPS_PROXY for wss, else all_proxy or ALL_PROXY, but for what no_proxy or NO_PROXY names), or a proxy with its scheme. http and https mean CONNECT; with socks5 names are looked up here, with socks5h by the proxy. User and password are not shown in replies.
        "proxy" proxy: Choice = Choice::None;
    }
}

options! {
    /// What both ends have; the defaults are a server's.
    ConnectionOptions {
        /// Bytes of a received message at most, by what its frames declare and after inflating; beyond: close code 1009.
        "maxMessage" max_message: Int<1, 2_147_483_647> = Int(16 * 1024 * 1024);
        /// Frames of a received message at most; beyond: close code 1008.
        "maxFragments" max_fragments: Int<1, 2_147_483_647> = Int(16_384);
        /// Reports each non-final frame of a message in fragments as "fragment".
        "fragments" fragments: bool = true;
        /// Bytes of the peer's HTTP head at most; a server answers 431 beyond.
        "maxHeadBytes" max_head_bytes: Int<256, 1_048_576> = Int(16 * 1024);
        /// Header fields in it at most.
        "maxHeaders" max_headers: Int<1, 10_000> = Int(100);
        /// Seconds between pings; 0: none.
        "pingInterval" ping_interval: Seconds<86_400> = Seconds(20.0);
        /// Seconds after a ping within which something must come, or the connection is lost (1006). Not given: 20 where pings are sent.
        "pingTimeout" ping_timeout: Option<Seconds<86_400>> = None;
        /// Answers the peer's pings.
        "enablePong" enable_pong: bool = true;
        /// Milliseconds that the peer may take to answer a close, and then to end the connection.
        "closeTimeoutMs" close_timeout: Int<1, 3_600_000> = Int(5000);
        /// Bytes that may wait to be sent on a connection; beyond: WSPLUG_QUEUE_FULL. An empty queue always takes one message.
        "sendQueueBytes" send_queue: Int<1, 2_147_483_647> = Int(1024 * 1024);
        /// Milliseconds within which a byte must leave while some wait, or the connection is lost (1006); 0: off.
        "sendStallMs" send_stall: Int<0, 86_400_000> = Int(30_000);
        /// Bytes of events that may wait for the host, of a server with all of its connections or of a client; then reading stops until there is room. With "dispatch":"perConnection" each connection has a sixteenth of it, and in any case one event.
        "eventQueueBytes" event_bytes: Int<1, 2_147_483_647> = Int(64 * 1024 * 1024);
        /// The same, counted in events.
        "eventQueueEvents" event_count: Int<1, 2_147_483_647> = Int(65_536);
        /// Posts "drain" when there is room again after a send that was answered WSPLUG_QUEUE_FULL.
        "drain" drain: bool = false;
        /// Compression (RFC 7692), with the members below. What is left out keeps its default. A server takes it where a client offers it. docs/compression.md has what each costs.
        "perMessageDeflate" deflate: Deflate = Deflate::default();
        /// Turns compression off; excludes `perMessageDeflate`.
        "disablePerMessageDeflate" disable_deflate: Option<bool> = None;
    }
}

options! {
    /// How a server or client is stopped.
    StopOptions {
        /// The close code: 1000 to 1003, 1007 to 1014 or 3000 to 4999. Not given: 1000, of a server 1001.
        "code" code: Option<Int<0, 65535>> = None;
        /// The reason that the peer is told, at most 123 bytes.
        "reason" reason: String = String::new();
        /// Returns once the connections have ended; never waits inside a callback.
        "wait" wait: bool = true;
    }
}

options! {
    /// How a server is stopped, beside [`StopOptions`].
    DrainOptions {
        /// Takes no new clients and lets those that are there finish, until `deadlineMs`. In a stop it means this, and not the events of the same name.
        "drain" drain: bool = false;
        /// Milliseconds from the stop on. With `drain`: when those that are left are closed with `code` and `reason`; not given: 30000. Without: when those that have not answered the close are cut off; not given: after `closeTimeoutMs`.
        "deadlineMs" deadline: Option<Int<0, 86_400_000>> = None;
    }
}

options! {
    /// How a client is started.
    StartOptions {
        /// Returns once the connection is open or has failed; false: the events tell.
        "wait" wait: bool = true;
    }
}

options! {
    /// How a client that asks is let in.
    AcceptOptions {
        /// The sub-protocol, one of those that the client offers, or "" for none. Not given: as the option `protocols` has it.
        "protocol" protocol: Option<String> = None;
        /// Further header fields of the answer.
        "headers" headers: HeaderFields = HeaderFields::default();
        /// To what the client is subscribed. Not given: as the option `topics` has it.
        "topics" topics: Option<Topics> = None;
        /// Texts by key that are kept with the connection, as by `wsplug_client_set_value`; there when its "open" is told.
        "values" values: Values = Values::default();
    }
}

options! {
    /// How a client that asks is sent away.
    RejectOptions {
        /// The HTTP status.
        "status" status: Int<300, 599> = Int(403);
        /// Further header fields of the answer.
        "headers" headers: HeaderFields = HeaderFields::default();
        /// What the answer says, as text/plain unless `headers` have another Content-Type. Not given: a sentence.
        "body" body: Option<String> = None;
    }
}

options! {
    /// How a message is sent.
    SendOptions {
        /// A number or a text of at most 255 bytes: "sent" brings it back once the system has taken the whole message; one for each connection.
        "confirm" confirm: Option<Receipt> = None;
    }
}

options! {
    /// To whom a server sends.
    TargetOptions {
        /// The refs of its connections; not given: everyone, []: nobody.
        "clients" clients: Option<Refs> = None;
    }
}

options! {
    /// To whom a server publishes, and what is told of it.
    PublishOptions {
        /// Refs of subscribers that are left out, such as the one that said it. Refs of others do not matter.
        "except" except: Refs = Refs::default();
        /// The message goes to everybody who is subscribed to at least one of the topics that begin with the given text, once; "" is every topic.
        "prefix" prefix: bool = false;
        /// Replies with what became of each subscriber, too, in `clients`.
        "statuses" statuses: bool = false;
        /// As for a send: "sent" for each connection.
        "confirm" confirm: Option<Receipt> = None;
    }
}

options! {
    /// Which waiting events are taken.
    MessagesOptions {
        /// Events to take at most.
        "max" max: Int<1, 1_000_000> = Int(100);
        /// Seconds to wait for the first.
        "timeout" timeout: Seconds<86_400> = Seconds(0.0);
    }
}

options! {
    /// What holds for the library.
    InitOptions {
        /// Network threads; connections take turns in being given to one.
        "threads" threads: Int<1, 256> = Int(1);
        /// Bytes that may wait to be sent on all connections of the process together; as `sendBudgetBytes` of a server.
        "sendBudgetBytes" send_budget: Int<0, 9_007_199_254_740_991> = Int(0);
        /// How callbacks are run where a server or client does not say.
        "dispatch" dispatch: Dispatch = Dispatch::Thread;
        /// Whether "perConnection" keeps each connection to one thread where a server or client does not say.
        "affinity" affinity: bool = false;
        /// Threads at most that run the callbacks of "perConnection"; and as many others at most for those with `affinity`. They are started when they are needed and end when they are not.
        "callbackThreads" callback_threads: Int<1, 1024> = Int(POOL_THREADS as i64);
    }
}

options! {
    /// How a host learns that something waits for it.
    WakeupOptions {
        /// Makes a file descriptor to poll, which the reply tells. Not on Windows: an error there.
        "fd" fd: bool = false;
        /// The window that `message` is posted to: the handle as a number, or as a text, decimal or hexadecimal ("0x…"). On Windows only: an error elsewhere.
        "hwnd" window: Option<Handle> = None;
        /// The message that is posted, of those that Windows leaves to programs: WM_USER is 1024, WM_APP 32768.
        "message" message: Option<Int<1024, 65535>> = None;
    }
}

/// What may be changed while a server listens, beside [`TagOptions`].
pub const LIVE: &[Name] = &[("interval", &[]), ("blocked", &[])];

/// What replies hold and hosts pass back with the rest.
const ECHOED: &[&str] = &["ref", "success", "ignoredOptions", "unsent"];

/// The options of `given` that none of `groups` knows, each with the nearest known name.
pub fn ignored(given: &Map<String, Value>, groups: &[&[Name]]) -> Option<Value> {
    let options = || groups.iter().flat_map(|group| group.iter().copied());
    let names = || options().map(|(name, _)| name);
    let mut unknown: Vec<Value> = given
        .keys()
        .filter(|key| !ECHOED.contains(&key.as_str()) && !names().any(|name| name == *key))
        .map(|key| json!({ "option": key, "didYouMean": nearest(key, names()) }))
        .collect();
    for (name, known) in options().filter(|(_, known)| !known.is_empty()) {
        let members = given.get(name).and_then(Value::as_object);
        for member in members.iter().flat_map(|members| members.keys()) {
            let known = || known.iter().map(|member| member.name);
            if !known().any(|name| name == member) {
                let option = format!("{name}.{member}");
                let near = nearest(member, known());
                unknown.push(json!({ "option": option, "didYouMean": near }));
            }
        }
    }
    (!unknown.is_empty()).then_some(Value::Array(unknown))
}

impl ConnectionOptions {
    /// The defaults of a client of our own, which the plugin set where it had them.
    pub fn of_client() -> ConnectionOptions {
        ConnectionOptions {
            max_message: Int(64 * 1024 * 1024),
            max_fragments: Int(131_072),
            ping_interval: Seconds(0.0),
            send_queue: Int(4 * 1024 * 1024),
            ..ConnectionOptions::default()
        }
    }

    /// The time-out in force: 20 s where only the interval is set.
    pub fn ping_timeout(&self) -> Option<Seconds<86_400>> {
        let default = (self.ping_interval.0 > 0.0).then_some(Seconds(20.0));
        self.ping_timeout.or(default)
    }

    /// Takes options, of which compression's two exclude each other.
    pub fn apply_checked(&mut self, given: &Map<String, Value>) -> Result<()> {
        let is_given = |name| {
            given
                .get(name)
                .is_some_and(|value: &Value| !value.is_null())
        };
        if is_given("perMessageDeflate") && is_given("disablePerMessageDeflate") {
            return Err(Error::option(
                "disablePerMessageDeflate",
                "perMessageDeflate and disablePerMessageDeflate exclude each other; give one of them",
            ));
        }
        self.apply(given)?;
        if given.get("pingTimeout").and_then(Value::as_f64) == Some(-1.0) {
            self.ping_timeout = None;
        }
        if is_given("perMessageDeflate") {
            self.disable_deflate = None;
        }
        Ok(())
    }

    /// What is asked for in compression; none: not at all.
    pub fn deflate(&self, role: Role) -> Option<Wishes> {
        match self.disable_deflate {
            Some(true) => None,
            _ => self.deflate.wishes(role),
        }
    }

    /// The present values; exactly one of compression's two options, so that they can be passed back.
    pub fn show_all(&self, role: Role, out: &mut Map<String, Value>) {
        self.show(out);
        let timeout = match self.ping_timeout() {
            Some(timeout) => timeout.show(),
            // As the plugin shows what was never set; passed back, it stays so.
            None => Some((-1).into()),
        };
        out.extend(timeout.map(|timeout| ("pingTimeout".into(), timeout)));
        match self.disable_deflate {
            Some(true) => out.remove("perMessageDeflate"),
            _ => {
                out.remove("disablePerMessageDeflate");
                out.insert("perMessageDeflate".into(), self.deflate.show_for(role))
            }
        };
    }
}

/// An options text as an object.
pub fn parse(text: &str) -> Result<Map<String, Value>> {
    json::object(text)
}
