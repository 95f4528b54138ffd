//! Knows how a server is reached: the arguments that every command with a url takes, as options of a client.
//! Does not know what is said there.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::exit::Trouble;
use crate::library::{Client, Outcome};

#[derive(Args, Clone)]
pub struct Reach {
    /// A header field of the request; may be given more than once
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// A sub-protocol to offer; may be given more than once, the best first
    #[arg(short = 's', long = "protocol", value_name = "NAME")]
    protocols: Vec<String>,

    /// Who we are to the server: basic:USER:PASSWORD or bearer:TOKEN
    #[arg(long, value_name = "WHO", env = "WSPLUG_AUTH", hide_env_values = true, value_parser = auth)]
    auth: Option<Auth>,

    /// How to get out: "none", "system" (the environment's http_proxy, https_proxy, all_proxy, no_proxy), or
    /// http://, https://, socks5:// or socks5h:// with [user:password@]host[:port]
    #[arg(long, value_name = "PROXY", default_value = "system")]
    pub proxy: String,

    /// Believe the authorities, or the certificate, of this PEM file instead of the system's
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    ca: Option<PathBuf>,

    /// Believe any certificate: nothing is verified
    #[arg(short = 'k', long, conflicts_with = "ca")]
    insecure: bool,

    /// Our own certificate, for servers that ask for one
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    cert: Option<PathBuf>,

    /// Its key, if it is not in the same file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    key: Option<PathBuf>,

    /// The name to ask for and to verify, where it is not the url's
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,

    /// Seconds that connecting may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub timeout: f64,

    /// Follow redirects
    #[arg(short = 'L', long)]
    follow: bool,

    /// Offer compression
    #[arg(short = 'z', long)]
    compress: bool,

    /// Any option of a client, such as maxMessage=1000 (docs/options.md); counts before all others
    #[arg(short = 'o', long = "option", value_name = "NAME=JSON", value_parser = option)]
    options: Vec<(String, Value)>,
}

impl Reach {
    /// The options of a client for `url`; `own` are the command's.
    pub fn options(&self, url: &str, own: Value) -> Value {
        let mut options = Map::new();
        options.insert("url".into(), url.into());
        options.insert("enableAutomaticReconnection".into(), false.into());
        options.insert("protocols".into(), json!(self.protocols));
        options.insert("proxy".into(), self.proxy.clone().into());
        options.insert("timeout".into(), self.timeout.into());
        options.insert("followRedirects".into(), self.follow.into());
        if !self.headers.is_empty() {
            options.insert("headers".into(), gathered(&self.headers));
        }
        if let Some(auth) = &self.auth {
            let auth = match auth {
                Auth::Basic(user, password) => {
                    json!({"basic": {"user": user, "password": password}})
                }
                Auth::Bearer(token) => json!({ "bearer": token }),
            };
            options.insert("auth".into(), auth);
        }
        // Settings for TLS do not make a ws: url a wss: one here.
        let is_plain = url.to_ascii_lowercase().starts_with("ws:");
        if let Some(tls) = self.tls().filter(|_| !is_plain) {
            options.insert("tls".into(), tls);
        }
        if self.compress {
            options.insert("perMessageDeflate".into(), json!({"enabled": true}));
        }
        with(options, own, &self.options)
    }

    /// None where everything is as the library has it, so that the url says whether there is TLS.
    fn tls(&self) -> Option<Value> {
        let mut tls = Map::new();
        let mut put = |name: &str, path: &Option<PathBuf>| {
            if let Some(path) = path {
                tls.insert(name.into(), path.to_string_lossy().into());
            }
        };
        put("caFile", &self.ca);
        put("certFile", &self.cert);
        put("keyFile", &self.key);
        if self.insecure {
            tls.insert("caFile".into(), "NONE".into());
            tls.insert("disableHostnameValidation".into(), true.into());
        }
        if let Some(name) = &self.server_name {
            tls.insert("serverName".into(), name.clone().into());
        }
        (!tls.is_empty()).then_some(tls.into())
    }

    pub fn key(&self) -> Option<PathBuf> {
        self.key.clone()
    }

    /// The file of those whom to believe.
    pub fn authority(&self) -> Option<String> {
        self.ca
            .as_ref()
            .map(|path| path.to_string_lossy().into_owned())
    }

    pub fn protocols(&self) -> &[String] {
        &self.protocols
    }
}

/// Creates, and takes an option that the library does not know as the mistake that it is here.
pub fn known<T: Copy>(made: Outcome<(T, Value)>) -> Result<(T, Value), Trouble> {
    let (made, reply) = made?;
    match reply["ignoredOptions"]
        .as_array()
        .and_then(|all| all.first())
    {
        None => Ok((made, reply)),
        Some(ignored) => {
            let name = ignored["option"].as_str().unwrap_or_default();
            Err(Trouble::usage(match ignored["didYouMean"].as_str() {
                Some(meant) => format!("there is no option {name}; did you mean {meant}?"),
                None => format!("there is no option {name}"),
            }))
        }
    }
}

/// A client that is not connected yet.
pub fn client(options: &Value) -> Result<Client, Trouble> {
    known(Client::create(options)).map(|(client, _)| client)
}

/// Options, those of the command, then those that were given by name.
pub fn with(mut options: Map<String, Value>, own: Value, given: &[(String, Value)]) -> Value {
    if let Value::Object(own) = own {
        options.extend(own);
    }
    for (name, value) in given {
        // Another name of the same option excludes it.
        if name == "disablePerMessageDeflate" {
            options.remove("perMessageDeflate");
        }
        options.insert(name.clone(), value.clone());
    }
    options.into()
}

/// A field that is given twice is one that comes more than once.
fn gathered(headers: &[(String, String)]) -> Value {
    let mut gathered: Map<String, Value> = Map::new();
    for (name, value) in headers {
        let values = gathered.entry(name.clone()).or_insert_with(|| json!([]));
        if let Value::Array(values) = values {
            values.push(value.clone().into());
        }
    }
    gathered.into()
}

#[derive(Clone)]
pub enum Auth {
    Basic(String, String),
    Bearer(String),
}

pub fn auth(text: &str) -> Result<Auth, String> {
    let wrong = || "it has to be basic:USER:PASSWORD or bearer:TOKEN".to_owned();
    match text.split_once(':').ok_or_else(wrong)? {
        ("bearer", token) => Ok(Auth::Bearer(token.into())),
        ("basic", rest) => {
            let (user, password) = rest.split_once(':').ok_or_else(wrong)?;
            Ok(Auth::Basic(user.into(), password.into()))
        }
        _ => Err(wrong()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) => Ok((name.trim().into(), value.trim().into())),
        None => Err("a header field is written NAME: VALUE".into()),
    }
}

/// What is no JSON is a text: name=ann needs no quotes.
pub fn option(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("an option is written NAME=JSON")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.into(), value))
}
