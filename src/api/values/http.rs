//! Knows how a host writes who may connect, where and with which headers.
//! Does not know who does.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::super::json::type_of;
use super::{OptionValue, refused, texts, wrong};
use crate::protocol::upgrade::{self, Origins};
use crate::protocol::url::split_host_port;
use crate::server::{Auth, Networks, Password};

/// Names of sub-protocols: an array, or one text with commas.
#[derive(Clone, Debug, Default)]
pub struct Protocols(pub Vec<String>);

impl OptionValue for Protocols {
    fn read(value: &Value) -> Result<Self, String> {
        let names = texts(value, Some(',')).ok_or_else(|| wrong::<Self>(value))?;
        upgrade::check_protocols(&names).map_err(refused)?;
        Ok(Protocols(names))
    }

    fn show(&self) -> Option<Value> {
        Some(json!(self.0))
    }

    fn expected() -> String {
        "an array of sub-protocol names, or a text with commas between them".into()
    }
}

/// Paths: an array or one text.
#[derive(Clone, Debug, Default)]
pub struct Paths(pub Vec<String>);

impl OptionValue for Paths {
    fn read(value: &Value) -> Result<Self, String> {
        let mut paths = texts(value, None).ok_or_else(|| wrong::<Self>(value))?;
        for path in &mut paths {
            if !path.starts_with('/') {
                path.insert(0, '/');
            }
            if path.contains(['?', '#']) {
                return Err(format!(
                    "has \"?\" or \"#\" in \"{path}\"; paths are compared without the query"
                ));
            }
        }
        Ok(Paths(paths))
    }

    fn show(&self) -> Option<Value> {
        Some(json!(self.0))
    }

    fn expected() -> String {
        "a path, or an array of paths".into()
    }
}

/// Names of hosts, without ports.
#[derive(Clone, Debug, Default)]
pub struct Hosts(pub Vec<String>);

impl OptionValue for Hosts {
    fn read(value: &Value) -> Result<Self, String> {
        let mut hosts = texts(value, None).ok_or_else(|| wrong::<Self>(value))?;
        for host in &mut hosts {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let is_address = bare.parse::<std::net::IpAddr>().is_ok();
            match split_host_port(host) {
                _ if is_address => *host = bare.to_ascii_lowercase(),
                Ok((name, None)) => *host = name.trim_end_matches('.').to_ascii_lowercase(),
                Ok((_, Some(_))) => {
                    return Err(format!("must be names without ports, not \"{host}\""));
                }
                Err(problem) => return Err(refused(problem)),
            }
        }
        Ok(Hosts(hosts))
    }

    fn show(&self) -> Option<Value> {
        Some(json!(self.0))
    }

    fn expected() -> String {
        "a host name, or an array of them".into()
    }
}

impl OptionValue for Origins {
    fn read(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("same") => return Ok(Origins::SameOrigin),
            Some("*") => return Ok(Origins::Any),
            _ => {}
        }
        let list = texts(value, None).ok_or_else(|| wrong::<Self>(value))?;
        for origin in &list {
            upgrade::check_origin(origin).map_err(refused)?;
        }
        Ok(Origins::List(list))
    }

    fn show(&self) -> Option<Value> {
        Some(match self {
            Origins::SameOrigin => "same".into(),
            Origins::Any => "*".into(),
            Origins::List(list) => json!(list),
        })
    }

    fn expected() -> String {
        "\"same\", \"*\", or an array of origins such as \"https://example.com\"".into()
    }
}

/// Header fields: each value a text, or an array of texts for a field that comes more than once.
#[derive(Clone, Debug, Default)]
pub struct HeaderFields(pub Vec<(String, String)>);

impl OptionValue for HeaderFields {
    fn read(value: &Value) -> Result<Self, String> {
        let object = value.as_object().ok_or_else(|| wrong::<Self>(value))?;
        let mut fields = Vec::new();
        for (name, value) in object {
            let values = match value {
                // A field may be empty.
                Value::String(text) => Some(vec![text.clone()]),
                _ => texts(value, None),
            };
            let values = values.ok_or_else(|| {
                format!(
                    "\"{name}\" must be a text or an array of texts, not {}",
                    type_of(value)
                )
            })?;
            for value in values {
                upgrade::check_header(name, &value).map_err(refused)?;
                fields.push((name.clone(), value));
            }
        }
        Ok(HeaderFields(fields))
    }

    fn show(&self) -> Option<Value> {
        let mut object: Map<String, Value> = Map::new();
        for (name, value) in &self.0 {
            let shown = match is_secret(name) {
                true => return None,
                false => Value::from(value.as_str()),
            };
            match object.get_mut(name) {
                Some(Value::Array(values)) => values.push(shown),
                Some(one) => *one = Value::Array(vec![one.take(), shown]),
                None => {
                    object.insert(name.clone(), shown);
                }
            }
        }
        Some(object.into())
    }

    fn expected() -> String {
        "an object of header fields".into()
    }
}

/// Replies get logged: what opens doors is not repeated in them, nor what stands beside it, or passing the reply back
/// would lose it.
fn is_secret(name: &str) -> bool {
    ["authorization", "proxy-authorization", "cookie"]
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Files that plain GETs are answered with.
#[derive(Clone, Debug, Default)]
pub struct Files(pub Vec<(String, PathBuf)>);

impl OptionValue for Files {
    fn read(value: &Value) -> Result<Self, String> {
        let object = value.as_object().ok_or_else(|| wrong::<Self>(value))?;
        let mut files = Vec::new();
        for (path, file) in object {
            let Some(file) = file.as_str().filter(|file| !file.is_empty()) else {
                return Err(format!(
                    "\"{path}\" must name a file or a folder, not {}",
                    type_of(file)
                ));
            };
            if !path.starts_with('/') {
                return Err(format!("\"{path}\" must begin with \"/\""));
            }
            files.push((path.clone(), PathBuf::from(file)));
        }
        Ok(Files(files))
    }

    fn show(&self) -> Option<Value> {
        let object: Map<String, Value> = self
            .0
            .iter()
            .map(|(path, file)| (path.clone(), file.to_string_lossy().into()))
            .collect();
        Some(object.into())
    }

    fn expected() -> String {
        "an object such as {\"/\":\"chat.html\",\"/app/\":\"app\"}".into()
    }
}

impl OptionValue for Networks {
    fn read(value: &Value) -> Result<Self, String> {
        let list = texts(value, Some(',')).ok_or_else(|| wrong::<Self>(value))?;
        Networks::parse(list.iter().map(String::as_str)).map_err(refused)
    }

    fn show(&self) -> Option<Value> {
        Some(self.texts().collect::<Vec<_>>().into())
    }

    fn expected() -> String {
        "an array of addresses and networks such as \"10.0.0.0/8\", or a text with commas between them".into()
    }
}

/// What an empty list means: a table that was not filled must not let everybody in.
fn nobody(scheme: &str, what: &str) -> String {
    format!(
        "has \"{scheme}\" without a {what}; leave it out, or auth as {{}}, if everybody may connect"
    )
}

/// Who decides which clients are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The options.
    Rules,
    /// The host too.
    Ask,
}

impl OptionValue for Admission {
    fn read(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("rules") => Ok(Admission::Rules),
            Some("ask") => Ok(Admission::Ask),
            _ => Err(wrong::<Self>(value)),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(
            match self {
                Admission::Rules => "rules",
                Admission::Ask => "ask",
            }
            .into(),
        )
    }

    fn expected() -> String {
        "\"rules\" or \"ask\"".into()
    }
}

impl OptionValue for Auth {
    fn read(value: &Value) -> Result<Self, String> {
        let object = value.as_object().ok_or_else(|| wrong::<Self>(value))?;
        let mut auth = Auth::default();
        for (scheme, secrets) in object {
            match scheme.as_str() {
                "bearer" => {
                    auth.bearer = texts(secrets, None)
                        .ok_or("\"bearer\" must be a token or an array of tokens")?;
                    if auth.bearer.is_empty() {
                        return Err(nobody("bearer", "token"));
                    }
                }
                "basic" => {
                    let users = secrets
                        .as_object()
                        .ok_or("\"basic\" must be an object of users and passwords")?;
                    for (user, password) in users {
                        let password = password
                            .as_str()
                            .ok_or_else(|| format!("the password of \"{user}\" must be a text"))?;
                        let password = Password::read(password).map_err(|problem| {
                            format!("has a hash of \"{user}\" that cannot be used: {problem}")
                        })?;
                        auth.basic.push((user.clone(), password));
                    }
                    if auth.basic.is_empty() {
                        return Err(nobody("basic", "user"));
                    }
                }
                other => {
                    return Err(format!(
                        "must have \"bearer\" or \"basic\", \"{other}\" is neither"
                    ));
                }
            }
        }
        auth.check().map_err(refused)?;
        Ok(auth)
    }

    fn show(&self) -> Option<Value> {
        None
    }

    fn expected() -> String {
        "an object such as {\"bearer\":[\"token\"],\"basic\":{\"user\":\"password\"}}".into()
    }
}
