//! Knows the configuration of each server and client, as options changed it.
//! Does not know JSON texts: it takes objects.

use std::sync::Arc;
use std::time::Duration;

use once_cell::sync::Lazy;
use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::options::{
    ClientOptions, ConnectionOptions, Name, Options, ServerOptions, TagOptions, ignored,
};
use super::topics;
use super::values::{Admission, Int, Paths};
use crate::client::{self, Backoff, Target};
use crate::connection::{Budget, Settings};
use crate::error::{Error, Result};
use crate::events::{CreditLimits, Tag};
use crate::protocol::head::Limits as HeadLimits;
use crate::protocol::proxy::{Choice, Environment};
use crate::protocol::receiver::Limits;
use crate::protocol::url::{Url, normal_path};
use crate::protocol::{Role, close};
use crate::registry::RefMap;
use crate::server;
use crate::transport::{CAN_REUSE_PORT, tls};

/// The options of one object.
#[derive(Clone)]
pub struct Config<T> {
    tag: TagOptions,
    pub own: T,
    connection: ConnectionOptions,
    /// What waits to be sent on a server's connections.
    budget: Option<Arc<Budget>>,
    role: Role,
    /// Whether the host set the interval itself: then it is told of the pongs.
    sets_pings: bool,
}

/// A configuration that several threads may change.
pub type Shared<T> = Arc<Mutex<Config<T>>>;

/// The configurations of all objects of one kind, by ref.
pub type Configs<T> = Lazy<Mutex<RefMap<Shared<T>>>>;

/// Every server's.
pub static SERVERS: Configs<ServerOptions> = Lazy::new(Default::default);
/// Every client's.
pub static CLIENTS: Configs<ClientOptions> = Lazy::new(Default::default);

impl Config<ServerOptions> {
    /// A server's defaults.
    pub fn of_server() -> Self {
        Config {
            tag: TagOptions::default(),
            own: ServerOptions::default(),
            connection: ConnectionOptions::default(),
            budget: Some(Arc::default()),
            role: Role::Server,
            sets_pings: false,
        }
    }

    /// What may wait to be sent, from now on.
    pub fn limit_budget(&self) {
        if let Some(budget) = &self.budget {
            budget.limit_to(self.own.send_budget.size());
        }
    }

    /// What a start needs.
    pub fn plan(&self) -> Result<server::Plan> {
        let own = &self.own;
        let tls = own.tls.0.as_deref().map(|wishes| {
            tls::ServerConfig::new(wishes.clone()).map_err(|problem| Error::option("tls", problem))
        });
        Ok(server::Plan {
            host: own.host.clone(),
            port: own.port.0 as u16,
            entrance: server::Entrance {
                backlog: own.backlog.0 as i32,
                reuse_port: own.reuse_port,
                max_pending: own.max_pending.0 as usize,
                handshake_timeout: millis(own.handshake_timeout),
                head: self.head_limits(),
                tls: tls.transpose()?,
                trusted: own.trusted_proxies.clone(),
                proxy_protocol: own.proxy_protocol,
                max_guests: own.max_guests.0 as usize,
                idle_timeout: millis(own.idle_timeout),
            },
            max_connections: own.max_connections.0 as usize,
            max_per_ip: own.max_per_ip.0 as usize,
            hosts: own.hosts.0.clone(),
            paths: normal(Some(&own.paths)),
            origins: own.origins.clone(),
            protocols: own.protocols.0.clone(),
            requires_protocol: own.require_protocol,
            auth: own.auth.clone(),
            allow: own.allow.clone(),
            deny: own.deny.clone(),
            ask: (own.admission == Admission::Ask).then(|| millis(own.admission_timeout)),
            max_requests: own.max_requests.0 as usize,
            tells_refused: own.refused,
            files: own
                .files
                .0
                .iter()
                .map(|(path, target)| server::Mount::new(path, target))
                .collect(),
            file_headers: own.file_headers.0.clone(),
            health: normal(own.health.as_ref()),
            metrics: normal(own.metrics.as_ref()),
            cors: own.cors.clone(),
            topics: own.topics.0.clone(),
            settings: self.settings(false),
        })
    }
}

impl Config<ClientOptions> {
    /// A client's defaults.
    pub fn of_client() -> Self {
        Config {
            tag: TagOptions::default(),
            own: ClientOptions::default(),
            connection: ConnectionOptions::of_client(),
            budget: None,
            role: Role::Client,
            sets_pings: false,
        }
    }

    /// What a start needs.
    pub fn plan(&self) -> Result<client::Plan> {
        let own = &self.own;
        let url = own.target()?.ok_or_else(|| {
            Error::option(
                "url",
                "url is not set; give ws://host[:port][/path], or address, port and path",
            )
        })?;
        let wishes = own.tls.clone().and_then(|tls| tls.0).unwrap_or_default();
        let tls = url.secure.then(|| {
            tls::ClientConfig::new(&wishes).map_err(|problem| Error::option("tls", problem))
        });
        Ok(client::Plan {
            target: Target {
                tls: tls.transpose()?,
                tls_wishes: *wishes,
                url,
                protocols: own.protocols.0.clone(),
                headers: own.headers.0.clone(),
                login: own.auth.0.clone(),
                max_redirects: own.redirects.0,
                proxy: own.proxy.clone(),
                environment: match own.proxy {
                    Choice::System => Environment::read(|name| std::env::var(name).ok()),
                    _ => Environment::default(),
                },
                deflate: self.connection.deflate(self.role),
                head: self.head_limits(),
            },
            settings: self.settings(own.queue.0 > 0),
            reconnect: own.reconnect.then(|| Backoff {
                min: millis(own.min_wait),
                max: millis(own.max_wait),
                max_retries: u32::try_from(own.max_retries.0).ok().filter(|max| *max > 0),
            }),
            retry_first: own.retry_first,
            on_open: own.on_open.0.clone(),
            queue_limit: own.queue.0 as usize,
            timeout: own
                .timeout
                .duration()
                .unwrap_or(Duration::from_secs(86_400)),
        })
    }
}

impl ClientOptions {
    /// `url` is one way to say where to connect to, `address` with `port` and `path` the other: what is given last counts.
    pub fn unite_targets(&mut self, given: &Map<String, Value>) -> Result<()> {
        let is_given = |name: &str| {
            let value = given.get(name).filter(|value| !value.is_null());
            value.is_some_and(|value| value != "")
        };
        let of_address = ["address", "port", "path"];
        if is_given("url") {
            if let Some(name) = of_address.into_iter().find(|name| is_given(name)) {
                return Err(Error::option(
                    name,
                    format!("url and {name} exclude each other; give one of them"),
                ));
            }
            self.address = String::new();
        } else if is_given("address") {
            self.url = String::new();
        }
        if self.address.is_empty() {
            let lonely = of_address.into_iter().find(|name| is_given(name));
            if let Some(name) = lonely {
                return Err(Error::option(
                    name,
                    format!("{name} belongs to address, which is not set"),
                ));
            }
            (self.port, self.path) = (None, None);
        }
        Ok(())
    }

    /// Where to connect to; none if that is not set. The error names the option.
    pub fn target(&self) -> Result<Option<Url>> {
        if !self.url.is_empty() {
            return parse_url(self).map(Some);
        }
        if self.address.is_empty() {
            return Ok(None);
        }
        let port = self.port.map(|port| port.0 as u16);
        let path = self.path.as_deref().unwrap_or_default();
        let url = Url::from_parts(&self.address, port, path, self.wants_tls() == Some(true));
        url.map(Some).map_err(|problem| {
            let option = match problem.starts_with("the address") {
                true => "address",
                false => "path",
            };
            Error::option(option, format!("{option}: {problem}"))
        })
    }

    fn wants_tls(&self) -> Option<bool> {
        self.tls.as_ref().map(|tls| tls.0.is_some())
    }
}

/// The url, or the error that names the option. What `tls` asks for makes a ws: url a wss: one.
fn parse_url(own: &ClientOptions) -> Result<Url> {
    let wants_tls = own.wants_tls();
    let rest = match own.url.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ws") => Some(rest),
        _ => None,
    };
    let text = match (wants_tls, rest) {
        (Some(true), Some(rest)) => &format!("wss:{rest}"),
        _ => &own.url,
    };
    let url =
        Url::parse(text).map_err(|problem| Error::option("url", format!("url: {problem}")))?;
    if url.secure && wants_tls == Some(false) {
        return Err(Error::option(
            "tls",
            "tls is false and the url is wss:; leave tls out or use ws:",
        ));
    }
    if url.socket.is_some() && wants_tls == Some(true) {
        return Err(Error::option(
            "tls",
            "tls cannot be used over a Unix socket: a ws+unix: url is never wss:",
        ));
    }
    if url.socket.is_some() && !cfg!(unix) {
        return Err(Error::option(
            "url",
            "url: ws+unix: needs a system that has Unix sockets",
        ));
    }
    Ok(url)
}

impl<T: Options> Config<T> {
    /// Takes options; if one is wrong, nothing is changed.
    pub fn apply(&mut self, given: &Map<String, Value>) -> Result<()> {
        let mut changed = self.clone();
        changed.tag.apply(given)?;
        changed.own.apply(given)?;
        changed.connection.apply_checked(given)?;
        changed.sets_pings |= changed.connection.ping_interval != self.connection.ping_interval;
        *self = changed;
        Ok(())
    }

    /// The present configuration.
    pub fn show(&self, reference: i32) -> Map<String, Value> {
        let mut out = Map::new();
        out.insert("ref".into(), reference.into());
        self.tag.show(&mut out);
        self.own.show(&mut out);
        self.connection.show_all(self.role, &mut out);
        out
    }

    /// What the host attached.
    pub fn tag(&self) -> Tag {
        let text = |text: &String| {
            std::ffi::CString::new(text.as_str()).expect("options with NUL are refused")
        };
        Tag {
            method: text(&self.tag.method),
            worker: text(&self.tag.worker),
            window: self.tag.window.0 as i32,
            process: self.tag.process.0 as i32,
            dispatch: self.tag.dispatch,
            affinity: self.tag.affinity,
        }
    }

    /// What may wait for the host.
    pub fn credit(&self) -> CreditLimits {
        CreditLimits {
            bytes: self.connection.event_bytes.0 as usize,
            events: self.connection.event_count.0 as usize,
        }
    }

    /// How long a stop may take.
    pub fn close_timeout(&self) -> Duration {
        millis(self.connection.close_timeout)
    }

    fn head_limits(&self) -> HeadLimits {
        HeadLimits {
            bytes: self.connection.max_head_bytes.0 as usize,
            headers: self.connection.max_headers.0 as usize,
        }
    }

    fn settings(&self, keeps_unsent: bool) -> Arc<Settings> {
        let own = &self.connection;
        Arc::new(Settings {
            role: self.role,
            limits: Limits {
                message: own.max_message.0 as u64,
                fragments: own.max_fragments.0 as u32,
            },
            fragments: own.fragments,
            ping_interval: own.ping_interval.duration(),
            ping_timeout: own.ping_timeout().and_then(|timeout| timeout.duration()),
            report_pongs: self.sets_pings,
            enable_pong: own.enable_pong,
            close_timeout: millis(own.close_timeout),
            send_queue: own.send_queue.0 as usize,
            budget: self.budget.clone(),
            send_stall: Some(millis(own.send_stall)).filter(|stall| !stall.is_zero()),
            drain: own.drain,
            deflate: own.deflate(self.role),
            keeps_unsent,
        })
    }

    /// The options that this object does not know.
    pub fn ignored(given: &Map<String, Value>, more: &[&[Name]]) -> Option<Value> {
        let mut groups = vec![TagOptions::NAMES, T::NAMES, ConnectionOptions::NAMES];
        groups.extend(more);
        ignored(given, &groups)
    }
}

/// Paths as they are compared.
fn normal(paths: Option<&Paths>) -> Vec<String> {
    let paths = paths.into_iter().flat_map(|paths| &paths.0);
    paths.map(|path| normal_path(path)).collect()
}

fn millis<const MIN: i64, const MAX: i64>(number: Int<MIN, MAX>) -> Duration {
    Duration::from_millis(number.0 as u64)
}

impl ServerOptions {
    /// `path` and `paths` are one option with two names; what was given last counts.
    pub fn unite_paths(&mut self) {
        if let Some(Paths(path)) = self.path.take() {
            self.paths = Paths(path);
        }
    }
}

impl ServerOptions {
    /// What cannot be without another option.
    pub fn check(&self) -> Result<()> {
        if self.proxy_protocol && self.trusted_proxies.is_empty() {
            return Err(Error::option(
                "proxyProtocol",
                "proxyProtocol needs trustedProxies: only these may say whom they pass on",
            ));
        }
        if self.reuse_port && !CAN_REUSE_PORT {
            return Err(Error::option(
                "reusePort",
                "reusePort is nothing that this system has",
            ));
        }
        if self.require_protocol && self.protocols.0.is_empty() {
            return Err(Error::option(
                "requireProtocol",
                "requireProtocol needs protocols, one of which a client must offer",
            ));
        }
        topics::check_count(self.topics.0.len(), self.max_topics.0 as usize)
    }
}

/// The code and reason of a stop, checked before anything is done.
pub fn closing(options: &super::options::StopOptions, default: u16) -> Result<(u16, String)> {
    let code = options.code.map_or(default, |code| code.0 as u16);
    crate::connection::check_close(code, &options.reason)?;
    Ok((code, options.reason.clone()))
}

/// What a server says where the host gives no code.
pub const SERVER_STOP: u16 = close::GOING_AWAY;
/// What a client says where the host gives no code.
pub const CLIENT_STOP: u16 = close::NORMAL;
