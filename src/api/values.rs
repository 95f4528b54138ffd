//! Knows the kinds of values that options have, with their ranges.
//! Does not know the options.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::json::type_of;
use crate::error::Receipt;
use crate::events::Dispatch;
use crate::protocol::Role;
use crate::protocol::deflate::{Effort, Wishes};
use crate::protocol::upgrade::{self, Origins};
use crate::protocol::url::split_host_port;
use crate::server::{Auth, Networks, Password};

/// One kind of value.
pub trait OptionValue: Sized {
    /// Of an object, the names of its members.
    const MEMBERS: &'static [&'static str] = &[];
    /// Reads a value; the error says what is expected and what was given.
    fn read(value: &Value) -> Result<Self, String>;
    /// The value as replies show it; none for secrets.
    fn show(&self) -> Option<Value>;
    /// What is expected, for errors and documentation.
    fn expected() -> String;
}

/// The error where a value is none of `T`'s.
pub fn wrong<T: OptionValue>(value: &Value) -> String {
    let given = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.len() <= 100 => format!("\"{text}\""),
        Value::Bool(truth) => truth.to_string(),
        other => type_of(other).to_owned(),
    };
    format!("must be {}, not {given}", T::expected())
}

/// What the protocol says of a value, behind the option's name.
pub(super) fn refused(problem: String) -> String {
    format!("cannot be used: {problem}")
}

impl OptionValue for bool {
    fn read(value: &Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| wrong::<Self>(value))
    }

    fn show(&self) -> Option<Value> {
        Some((*self).into())
    }

    fn expected() -> String {
        "true or false".into()
    }
}

/// A text without NUL, which C could not give back.
impl OptionValue for String {
    fn read(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some(text) if text.contains('\0') => Err("must not contain NUL".into()),
            Some(text) => Ok(text.to_owned()),
            None => Err(wrong::<Self>(value)),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(self.as_str().into())
    }

    fn expected() -> String {
        "a text".into()
    }
}

/// What numbers in JSON hold in every language.
const SAFE: i64 = (1 << 53) - 1;
/// Bytes of a receipt that is a text.
const LONGEST_RECEIPT: usize = 255;

impl OptionValue for Receipt {
    fn read(value: &Value) -> Result<Self, String> {
        let number = value
            .as_i64()
            .filter(|number| (-SAFE..=SAFE).contains(number));
        let text = value
            .as_str()
            .filter(|text| text.len() <= LONGEST_RECEIPT && !text.contains('\0'));
        match (number, text) {
            (Some(number), _) => Ok(Receipt::Number(number)),
            (None, Some(text)) => Ok(Receipt::Text(text.into())),
            (None, None) => Err(wrong::<Self>(value)),
        }
    }

    fn show(&self) -> Option<Value> {
        None
    }

    fn expected() -> String {
        format!(
            "a whole number from -{SAFE} to {SAFE} or a text of at most {LONGEST_RECEIPT} bytes"
        )
    }
}

/// A whole number in a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Int<const MIN: i64, const MAX: i64>(pub i64);

/// What an `int32_t` holds.
pub type Int32 = Int<{ i32::MIN as i64 }, { i32::MAX as i64 }>;

impl<const MIN: i64, const MAX: i64> OptionValue for Int<MIN, MAX> {
    fn read(value: &Value) -> Result<Self, String> {
        // Hosts without integers write 8080.0.
        let whole = value.as_i64().or_else(|| {
            let number = value.as_f64()?;
            (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
        });
        whole
            .filter(|number| (MIN..=MAX).contains(number))
            .map(Self)
            .ok_or_else(|| wrong::<Self>(value))
    }

    fn show(&self) -> Option<Value> {
        Some(self.0.into())
    }

    fn expected() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }
}

/// A handle of Windows, which may have more bits than the numbers of a host's JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Handle(pub i64);

impl OptionValue for Handle {
    fn read(value: &Value) -> Result<Self, String> {
        let handle = match value.as_str().map(str::trim) {
            Some(text) => match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
                Some(digits) => u64::from_str_radix(digits, 16).ok().map(|bits| bits as i64),
                None => text.parse().ok(),
            },
            None => Int::<{ i64::MIN }, { i64::MAX }>::read(value)
                .ok()
                .map(|number| number.0),
        };
        handle
            .filter(|handle| *handle != 0)
            .map(Self)
            .ok_or_else(|| wrong::<Self>(value))
    }

    fn show(&self) -> Option<Value> {
        Some(self.0.to_string().into())
    }

    fn expected() -> String {
        "a whole number other than 0, or a text such as \"65552\" or \"0x10010\"".into()
    }
}

/// A duration: milliseconds, or a text with a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval(pub std::time::Duration);

impl Interval {
    const LONGEST: u64 = 86_400_000;

    fn millis(text: &str) -> Option<f64> {
        let unit = text.find(|letter: char| letter.is_ascii_alphabetic())?;
        let (number, unit) = text.split_at(unit);
        let factor = match unit.trim() {
            "ms" => 1.0,
            "s" => 1000.0,
            "min" => 60_000.0,
            "h" => 3_600_000.0,
            _ => return None,
        };
        Some(number.trim().parse::<f64>().ok()? * factor)
    }
}

impl OptionValue for Interval {
    fn read(value: &Value) -> Result<Self, String> {
        let millis = match value.as_str() {
            Some(text) => Self::millis(text.trim()),
            None => value.as_f64(),
        };
        millis
            .filter(|millis| (0.0..=Self::LONGEST as f64).contains(millis))
            // Anything above 0 is more than never.
            .map(|millis| Self(std::time::Duration::from_millis(millis.ceil() as u64)))
            .ok_or_else(|| wrong::<Self>(value))
    }

    fn show(&self) -> Option<Value> {
        Some((self.0.as_millis() as u64).into())
    }

    fn expected() -> String {
        format!(
            "milliseconds from 0 (never) to {}, or a text such as \"20 s\" with ms, s, min or h",
            Self::LONGEST
        )
    }
}

/// Seconds, fractions too, in a range. The plugin's -1 stands for off where 0 does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seconds<const MAX: i64>(pub f64);

impl<const MAX: i64> Seconds<MAX> {
    /// None: off.
    pub fn duration(self) -> Option<std::time::Duration> {
        (self.0 > 0.0).then(|| std::time::Duration::from_secs_f64(self.0))
    }
}

impl<const MAX: i64> OptionValue for Seconds<MAX> {
    fn read(value: &Value) -> Result<Self, String> {
        match value.as_f64() {
            Some(-1.0) => Ok(Self(0.0)),
            Some(seconds) if (0.0..=MAX as f64).contains(&seconds) => Ok(Self(seconds)),
            _ => Err(wrong::<Self>(value)),
        }
    }

    fn show(&self) -> Option<Value> {
        match self.0.fract() == 0.0 {
            true => Some((self.0 as i64).into()),
            false => Some(self.0.into()),
        }
    }

    fn expected() -> String {
        format!("a number of seconds from 0 (off) to {MAX}")
    }
}

/// Text that was not given is not shown.
impl<T: OptionValue> OptionValue for Option<T> {
    const MEMBERS: &'static [&'static str] = T::MEMBERS;

    fn read(value: &Value) -> Result<Self, String> {
        T::read(value).map(Some)
    }

    fn show(&self) -> Option<Value> {
        self.as_ref().and_then(T::show)
    }

    fn expected() -> String {
        T::expected()
    }
}

impl OptionValue for Dispatch {
    fn read(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("thread") => Ok(Dispatch::Thread),
            Some("inline") => Ok(Dispatch::Inline),
            Some("perConnection") => Ok(Dispatch::PerConnection),
            Some("pump") => Ok(Dispatch::Pump),
            Some("pull") => Ok(Dispatch::Pull),
            _ => Err(wrong::<Self>(value)),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(
            match self {
                Dispatch::Thread => "thread",
                Dispatch::Inline => "inline",
                Dispatch::PerConnection => "perConnection",
                Dispatch::Pump => "pump",
                Dispatch::Pull => "pull",
            }
            .into(),
        )
    }

    fn expected() -> String {
        "\"thread\", \"inline\", \"perConnection\", \"pump\" or \"pull\"".into()
    }
}

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

/// Texts to be sent, which are not repeated in replies.
#[derive(Clone, Debug, Default)]
pub struct Texts(pub Vec<String>);

impl Texts {
    const MOST: usize = 1000;
    const MOST_BYTES: usize = 1024 * 1024;
}

impl OptionValue for Texts {
    fn read(value: &Value) -> Result<Self, String> {
        let list = value.as_array().and_then(|_| texts(value, None));
        let list = list.ok_or_else(|| wrong::<Self>(value))?;
        let bytes: usize = list.iter().map(String::len).sum();
        match list.len() > Self::MOST || bytes > Self::MOST_BYTES {
            true => Err(format!(
                "must be {}, not {} texts of {bytes} bytes",
                Self::expected(),
                list.len()
            )),
            false => Ok(Texts(list)),
        }
    }

    fn show(&self) -> Option<Value> {
        self.0.is_empty().then(|| json!([]))
    }

    fn expected() -> String {
        format!(
            "an array of at most {} texts, {} bytes together",
            Self::MOST,
            Self::MOST_BYTES
        )
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

fn texts(value: &Value, separator: Option<char>) -> Option<Vec<String>> {
    match value {
        Value::String(text) if text.is_empty() => Some(Vec::new()),
        Value::String(text) => Some(match separator {
            Some(separator) => text
                .split(separator)
                .map(|part| part.trim().to_owned())
                .collect(),
            None => vec![text.clone()],
        }),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => None,
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

/// Texts by key.
#[derive(Clone, Debug, Default)]
pub struct Values(pub Vec<(String, String)>);

impl OptionValue for Values {
    fn read(value: &Value) -> Result<Self, String> {
        let object = value.as_object().ok_or_else(|| wrong::<Self>(value))?;
        let values = object.iter().map(|(key, value)| {
            let problem = |problem| format!("\"{key}\" {problem}");
            Ok((
                String::read(&key.as_str().into()).map_err(problem)?,
                String::read(value).map_err(problem)?,
            ))
        });
        values.collect::<Result<_, String>>().map(Values)
    }

    fn show(&self) -> Option<Value> {
        let object: Map<String, Value> = self
            .0
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().into()))
            .collect();
        Some(object.into())
    }

    fn expected() -> String {
        "an object of texts".into()
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
        "an array of addresses and networks such as \"10.0.0.0/8\"".into()
    }
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

/// The plugin's compression options, and how hard to try. Every member that is left out keeps its default.
#[derive(Clone, Debug, PartialEq)]
pub struct Deflate {
    /// None: a server compresses where a client offers it, a client of ours does not offer it.
    enabled: Option<bool>,
    client_no_context_takeover: bool,
    server_no_context_takeover: bool,
    server_max_window_bits: i64,
    client_max_window_bits: i64,
    threshold: i64,
    level: i64,
    mem_level: i64,
}

impl Default for Deflate {
    fn default() -> Self {
        Deflate {
            enabled: None,
            client_no_context_takeover: false,
            server_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            threshold: 1024,
            level: 4,
            mem_level: 5,
        }
    }
}

impl Deflate {
    fn is_enabled(&self, role: Role) -> bool {
        self.enabled.unwrap_or(role == Role::Server)
    }

    /// What the protocol is asked for; none: no compression.
    pub fn wishes(&self, role: Role) -> Option<Wishes> {
        self.is_enabled(role).then_some(Wishes {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits as u8,
            client_max_window_bits: self.client_max_window_bits as u8,
            effort: Effort {
                level: self.level as u8,
                mem_level: self.mem_level as u8,
            },
            threshold: self.threshold as usize,
        })
    }

    /// The values as one end has them.
    pub fn show_for(&self, role: Role) -> Value {
        json!({
            "enabled": self.is_enabled(role),
            "clientNoContextTakeover": self.client_no_context_takeover,
            "serverNoContextTakeover": self.server_no_context_takeover,
            "serverMaxWindowBits": self.server_max_window_bits,
            "clientMaxWindowBits": self.client_max_window_bits,
            "threshold": self.threshold,
            "level": self.level,
            "memLevel": self.mem_level,
        })
    }
}

impl OptionValue for Deflate {
    const MEMBERS: &'static [&'static str] = &[
        "enabled",
        "clientNoContextTakeover",
        "serverNoContextTakeover",
        "serverMaxWindowBits",
        "clientMaxWindowBits",
        "threshold",
        "level",
        "memLevel",
    ];

    fn read(value: &Value) -> Result<Self, String> {
        let object = value.as_object().ok_or_else(|| wrong::<Self>(value))?;
        let mut deflate = Deflate::default();
        for (name, value) in object {
            let flag = || bool::read(value).map_err(|problem| format!("\"{name}\" {problem}"));
            match name.as_str() {
                "enabled" => deflate.enabled = Some(flag()?),
                "clientNoContextTakeover" => deflate.client_no_context_takeover = flag()?,
                "serverNoContextTakeover" => deflate.server_no_context_takeover = flag()?,
                "serverMaxWindowBits" => {
                    deflate.server_max_window_bits = int::<8, 15>(name, value)?
                }
                "clientMaxWindowBits" => {
                    deflate.client_max_window_bits = int::<8, 15>(name, value)?
                }
                "threshold" => deflate.threshold = int::<0, { i32::MAX as i64 }>(name, value)?,
                "level" => deflate.level = int::<0, 9>(name, value)?,
                "memLevel" => deflate.mem_level = int::<1, 9>(name, value)?,
                // Named in the reply's ignoredOptions.
                _ => {}
            }
        }
        Ok(deflate)
    }

    fn show(&self) -> Option<Value> {
        Some(self.show_for(Role::Server))
    }

    fn expected() -> String {
        "an object".into()
    }
}

fn int<const MIN: i64, const MAX: i64>(name: &str, value: &Value) -> Result<i64, String> {
    Int::<MIN, MAX>::read(value)
        .map(|number| number.0)
        .map_err(|problem| format!("\"{name}\" {problem}"))
}

/// Refs of connections.
#[derive(Clone, Debug, Default)]
pub struct Refs(pub Vec<i32>);

impl OptionValue for Refs {
    fn read(value: &Value) -> Result<Self, String> {
        let items = value.as_array().ok_or_else(|| wrong::<Self>(value))?;
        let refs: Result<Vec<i32>, String> = items
            .iter()
            .map(|item| Int32::read(item).map(|number| number.0 as i32))
            .collect();
        Ok(Refs(refs.map_err(|problem| format!("each ref {problem}"))?))
    }

    fn show(&self) -> Option<Value> {
        Some(json!(self.0))
    }

    fn expected() -> String {
        "an array of refs".into()
    }
}

/// Names of topics.
#[derive(Clone, Debug, Default)]
pub struct Topics(pub Vec<String>);

impl Topics {
    /// Bytes of a name.
    const MOST_BYTES: usize = 256;

    /// What is wrong with a name.
    pub fn check(name: &str) -> Result<(), String> {
        match name.len() {
            0 => Err("is empty".into()),
            length if length > Self::MOST_BYTES => Err(format!(
                "is {length} bytes long, the limit is {}",
                Self::MOST_BYTES
            )),
            _ => Ok(()),
        }
    }
}

impl OptionValue for Topics {
    fn read(value: &Value) -> Result<Self, String> {
        let names = value.as_array().and_then(|_| texts(value, None));
        let names = names.ok_or_else(|| wrong::<Self>(value))?;
        for name in &names {
            Self::check(name).map_err(|problem| format!("has a name that {problem}"))?;
        }
        Ok(Topics(names))
    }

    fn show(&self) -> Option<Value> {
        Some(json!(self.0))
    }

    fn expected() -> String {
        format!("an array of texts of 1 to {} bytes", Self::MOST_BYTES)
    }
}

/// The nearest of `names` to an unknown one, if one is near enough to be meant.
pub fn nearest<'a>(unknown: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let unknown = unknown.to_ascii_lowercase();
    names
        .map(|name| (distance(&unknown, &name.to_ascii_lowercase()), name))
        .filter(|(distance, name)| {
            *distance <= (name.len() / 3).max(2) && *distance < name.len() - 1
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance, in bytes.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not_guessed() {
        let names = ["port", "host", "pingInterval", "maxConnections"];
        let nearest_of = |unknown| nearest(unknown, names.into_iter());
        assert_eq!(nearest_of("prot"), Some("port"));
        assert_eq!(nearest_of("ports"), Some("port"));
        assert_eq!(nearest_of("pingintervall"), Some("pingInterval"));
        assert_eq!(nearest_of("maxconections"), Some("maxConnections"));
        assert_eq!(nearest_of("ref"), None);
    }

    #[test]
    fn numbers_have_their_range_in_the_error() {
        let error = Int::<0, 65535>::read(&json!(70000)).unwrap_err();
        assert_eq!(error, "must be a whole number from 0 to 65535, not 70000");
        assert_eq!(Int::<0, 65535>::read(&json!(8080.0)), Ok(Int(8080)));
        assert!(Int::<0, 65535>::read(&json!("8080")).is_err());
        assert!(Int::<0, 65535>::read(&json!(1.5)).is_err());
        assert_eq!(Seconds::<60>::read(&json!(-1)), Ok(Seconds(0.0)));
        assert!(Seconds::<60>::read(&json!(61)).is_err());
    }
}
