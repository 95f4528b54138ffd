//! Who a client of ours says it is: a user with password, or a token.
//! Knows nothing of who a server lets in.

use data_encoding::BASE64;

use super::head::shown;

/// What an Authorization header is made of. Not `Debug`: secrets stay out of logs.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// A user and a password (RFC 7617).
    Basic(String, String),
    /// A token (RFC 6750).
    Bearer(String),
}

impl Login {
    /// Whether it can be sent at all.
    pub fn check(&self) -> Result<(), String> {
        match self {
            // RFC 7617 § 2: the first colon ends the name.
            Login::Basic(user, _) if user.contains(':') => {
                Err(format!("the user name {} contains a colon", shown(user)))
            }
            Login::Basic(user, password)
                if format!("{user}{password}").contains(char::is_control) =>
            {
                Err("the user or the password contains a control character".into())
            }
            Login::Bearer(token)
                if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                Err("a bearer token must be visible ASCII characters, at least one".into())
            }
            _ => Ok(()),
        }
    }

    /// The value of the Authorization header.
    pub fn header(&self) -> String {
        match self {
            Login::Basic(user, password) => basic(format!("{user}:{password}").as_bytes()),
            Login::Bearer(token) => format!("Bearer {token}"),
        }
    }
}

/// The Authorization header's value of `user:password`.
pub fn basic(credentials: &[u8]) -> String {
    format!("Basic {}", BASE64.encode(credentials))
}
