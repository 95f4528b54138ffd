//! Knows how an options text becomes a JSON object, strictly.
//! Does not know which options there are.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Error, Result, Status};

/// The longest options text, in bytes.
pub const MAX_TEXT: usize = 16 * 1024 * 1024;

/// An options text as an object; none and "" are the empty one.
pub fn object(text: &str) -> Result<Map<String, Value>> {
    if text.len() > MAX_TEXT {
        return Err(Error::new(
            Status::InvalidOptions,
            format!(
                "the options are {} bytes long, the limit is {MAX_TEXT}",
                text.len()
            ),
        ));
    }
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| {
            Error::new(
                Status::InvalidOptions,
                format!("the options are not valid JSON: {error}"),
            )
        })?;
    match value {
        Value::Object(object) => Ok(object),
        other => Err(Error::new(
            Status::InvalidOptions,
            format!("the options must be a JSON object, not {}", type_of(&other)),
        )),
    }
}

/// A procedure's parameters: one JSON value, none is null.
pub fn params(text: &str) -> Result<&str> {
    if text.len() > MAX_TEXT {
        return Err(Error::new(
            Status::InvalidArgument,
            format!(
                "params are {} bytes long, the limit is {MAX_TEXT}",
                text.len()
            ),
        ));
    }
    match text.trim() {
        "" => Ok("null"),
        text => match serde_json::from_str::<de::IgnoredAny>(text) {
            Ok(_) => Ok(text),
            Err(error) => Err(Error::new(
                Status::InvalidArgument,
                format!("params are not valid JSON: {error}"),
            )),
        },
    }
}

/// What a value is, in words.
pub fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Any JSON value, but no key twice in an object: the last one would win silently.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> std::result::Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Strict)?;
            if object.contains_key(&key) {
                return Err(de::Error::custom(format!("key \"{key}\" is given twice")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_its_position() {
        let table = [
            (r#"{"port":8080"#, "column 12"),
            (r#"{"a":1,"a":2}"#, "\"a\" is given twice"),
            (r#"{"a":{"b":1,"b":2}}"#, "\"b\" is given twice"),
            (r#"{"a":NaN}"#, "column 6"),
            ("[1]", "must be a JSON object, not an array"),
            (r#"{"a":1} x"#, "trailing"),
        ];
        for (text, expected) in table {
            let message = object(text).unwrap_err().message;
            assert!(message.contains(expected), "{text}: {message}");
        }
        let deep = "{\"a\":".repeat(10_000);
        assert!(object(&deep).unwrap_err().message.contains("recursion"));
        assert!(object("").unwrap().is_empty());
    }
}
