//! Knows the kinds of values that options have, with their ranges.
//! Does not know the options.

/// The members of an option that is an object: what each does, what it expects, its default and an example.
macro_rules! members {
    ($( #[doc = $doc:literal] $name:literal: $expected:literal = $default:literal, $example:literal; )*) => {
        &[$( $crate::api::Member {
            name: $name,
            expected: $expected,
            default: $default,
            example: $example,
            meaning: $doc,
        }, )*]
    };
}
pub(super) use members;

mod deflate;
mod http;
mod nearest;
mod time;

use serde_json::{Map, Value, json};

pub use deflate::Deflate;
pub use http::{Admission, Files, HeaderFields, Hosts, Paths, Protocols};
pub use nearest::nearest;
pub use time::{Interval, Seconds};

use super::json::type_of;
use super::options::Member;
use crate::error::Receipt;
use crate::events::Dispatch;

/// One kind of value.
pub trait OptionValue: Sized {
    /// Of an object, its members.
    const MEMBERS: &'static [Member] = &[];
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

impl<const MIN: i64, const MAX: i64> Int<MIN, MAX> {
    /// As a size in memory; beyond what this machine has, all that it has.
    pub fn size(&self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

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

/// Text that was not given is not shown.
impl<T: OptionValue> OptionValue for Option<T> {
    const MEMBERS: &'static [Member] = T::MEMBERS;

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

#[cfg(test)]
mod tests {
    use super::*;

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
