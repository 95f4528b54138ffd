//! Knows how a host writes what it wishes of permessage-deflate.
//! Does not know how that is agreed.

use serde_json::{Value, json};

use super::{Int, Member, OptionValue, wrong};
use crate::protocol::Role;
use crate::protocol::deflate::{Effort, Wishes};

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
    const MEMBERS: &'static [Member] = members! {
        /// Whether a server takes compression and a client offers it.
        "enabled": "true or false" = "true of a server, false of a client", "true";
        /// The client's end compresses each message by itself: less memory, larger messages.
        "clientNoContextTakeover": "true or false" = "false", "true";
        /// The server's end compresses each message by itself: less memory, larger messages.
        "serverNoContextTakeover": "true or false" = "false", "true";
        /// How far back the client's messages refer: 2^n bytes.
        "clientMaxWindowBits": "a whole number from 8 to 15" = "15", "10";
        /// How far back the server's messages refer: 2^n bytes.
        "serverMaxWindowBits": "a whole number from 8 to 15" = "15", "10";
        /// Bytes; shorter messages are sent as they are.
        "threshold": "a whole number from 0 to 2147483647" = "1024", "256";
        /// How hard to try, of what is sent: 0 not at all, 9 the most; more takes longer.
        "level": "a whole number from 0 to 9" = "4", "1";
        /// How much memory the compressor takes.
        "memLevel": "a whole number from 1 to 9" = "5", "8";
    };

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
