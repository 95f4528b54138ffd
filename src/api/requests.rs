//! Knows the kinds of option values that make a client's request and its way: who we are, proxies, redirects.
//! Does not know the options.

use serde_json::{Value, json};

use super::values::{OptionValue, refused, wrong};
use crate::protocol::login::Login;
use crate::protocol::proxy::{Choice, Proxy};

/// Who a client is to the server. Not shown in replies.
#[derive(Clone, Default)]
pub struct ClientAuth(pub Option<Login>);

impl OptionValue for ClientAuth {
    fn read(value: &Value) -> Result<Self, String> {
        let object = value.as_object().ok_or_else(|| wrong::<Self>(value))?;
        let mut members = object.iter();
        let login = match (members.next(), members.next()) {
            (None, _) => return Ok(ClientAuth(None)),
            (Some((scheme, secret)), None) => match scheme.as_str() {
                "bearer" => Login::Bearer(
                    secret
                        .as_str()
                        .ok_or("\"bearer\" must be a text, the token")?
                        .to_owned(),
                ),
                "basic" => basic(secret)?,
                other => {
                    return Err(format!(
                        "must have \"basic\" or \"bearer\", \"{other}\" is neither"
                    ));
                }
            },
            (Some(_), Some(_)) => {
                return Err("must have one of \"basic\" and \"bearer\", not both".into());
            }
        };
        login.check().map_err(refused)?;
        Ok(ClientAuth(Some(login)))
    }

    fn show(&self) -> Option<Value> {
        None
    }

    fn expected() -> String {
        "an object: {\"basic\":{\"user\":\"…\",\"password\":\"…\"}}, {\"bearer\":\"token\"}, or {} for none".into()
    }
}

fn basic(members: &Value) -> Result<Login, String> {
    let shape = "\"basic\" must be an object with the texts \"user\" and \"password\"";
    let members = members.as_object().ok_or(shape)?;
    let text = |name: &str| members.get(name).and_then(Value::as_str).ok_or(shape);
    let (user, password) = (text("user")?, text("password")?);
    match members.len() {
        2 => Ok(Login::Basic(user.to_owned(), password.to_owned())),
        _ => Err(shape.into()),
    }
}

/// A user and a password are not shown.
impl OptionValue for Choice {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Bool(false) => Ok(Choice::None),
            Value::String(text) => match text.as_str() {
                "" | "none" => Ok(Choice::None),
                "system" => Ok(Choice::System),
                url => Proxy::parse(url).map(Choice::One).map_err(refused),
            },
            // What was given may be a password.
            _ => Err(format!("must be {}", Self::expected())),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(match self {
            Choice::None => "none".into(),
            Choice::System => "system".into(),
            Choice::One(proxy) => proxy.to_string().into(),
        })
    }

    fn expected() -> String {
        "\"none\", \"system\", or http://, https://, socks5:// or socks5h:// with [user:password@]host[:port]".into()
    }
}

/// Redirects to follow at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redirects(pub usize);

impl Redirects {
    /// What `true` stands for.
    const USUAL: usize = 10;
    const MOST: u64 = 50;
}

impl OptionValue for Redirects {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Bool(false) => Ok(Redirects(0)),
            Value::Bool(true) => Ok(Redirects(Redirects::USUAL)),
            Value::Number(number) => number
                .as_f64()
                .filter(|number| {
                    number.fract() == 0.0 && (0.0..=Redirects::MOST as f64).contains(number)
                })
                .map(|number| Redirects(number as usize))
                .ok_or_else(|| wrong::<Self>(value)),
            _ => Err(wrong::<Self>(value)),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(match self.0 {
            0 => false.into(),
            max => json!(max),
        })
    }

    fn expected() -> String {
        format!(
            "false, true (at most {}), or a number from 0 to {}",
            Redirects::USUAL,
            Redirects::MOST
        )
    }
}
