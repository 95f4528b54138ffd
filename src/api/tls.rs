//! Knows the members of the option `tls`, of clients and of servers.
//! Does not know what is in the files that they name.

use serde_json::{Map, Value, json};

use super::json::type_of;
use super::options::Member;
use super::values::{OptionValue, members, wrong};
use crate::transport::tls::{
    ClientSettings, Common, Identity, Pem, ServerSettings, Source, Trust, Version, cipher_names,
};

/// What a client has in `tls`: nothing, or TLS.
#[derive(Clone, Debug, Default)]
pub struct ClientTls(pub Option<Box<ClientSettings>>);

/// What a server has in `tls`: nothing, or TLS.
#[derive(Clone, Debug, Default)]
pub struct ServerTls(pub Option<Box<ServerSettings>>);

impl OptionValue for ClientTls {
    const MEMBERS: &'static [Member] = members! {
        /// Whom to believe: "SYSTEM" (the authorities of the operating system), a path or PEM text with certificates, or "NONE": everybody, nothing is verified.
        "caFile": "a text" = "\"SYSTEM\"", "\"company-ca.pem\"";
        /// The client's own certificate, for servers that ask: a path or PEM text; the chain behind the certificate.
        "certFile": "a text" = "none", "\"client.pem\"";
        /// Its key: a path or PEM text. Left out where `certFile` holds both.
        "keyFile": "a text" = "as `certFile`", "\"client.key\"";
        /// The certificate may be for any name; its chain is still verified.
        "disableHostnameValidation": "true or false" = "false", "true";
        /// The name to ask for and to verify.
        "serverName": "a text" = "the url's host", "\"chat.example.com\"";
        /// The oldest version of TLS.
        "minVersion": "\"1.2\" or \"1.3\"" = "\"1.2\"", "\"1.3\"";
        /// The newest.
        "maxVersion": "\"1.2\" or \"1.3\"" = "\"1.3\"", "\"1.2\"";
        /// Cipher suites by the names of rustls, the best first.
        "ciphers": "an array of texts, or a text with commas" = "all that rustls has", "[\"TLS13_AES_128_GCM_SHA256\"]";
        /// Protocols inside, the best first.
        "alpn": "an array of texts, or a text with commas" = "none", "[\"http/1.1\"]";
    };

    fn read(value: &Value) -> Result<Self, String> {
        let members = match value {
            Value::Bool(false) => return Ok(ClientTls(None)),
            Value::Bool(true) => &Map::new(),
            Value::Object(members) => members,
            other => return Err(wrong::<Self>(other)),
        };
        let trust = match text(members, "caFile")? {
            None | Some("" | "SYSTEM") => Trust::System,
            Some("NONE") => Trust::None,
            Some(given) => Trust::Given(Pem::new("tls.caFile", given)),
        };
        let settings = ClientSettings {
            trust,
            identity: identity(members, "tls")?,
            ignores_name: match member(members, "disableHostnameValidation") {
                None => false,
                Some(value) => bool::read(value).map_err(in_member("disableHostnameValidation"))?,
            },
            server_name: text(members, "serverName")?
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
            common: common(members)?,
        };
        Ok(ClientTls(Some(Box::new(settings))))
    }

    /// A key that was given as text is not repeated, nor what stands beside it, or passing the reply back would lose it.
    fn show(&self) -> Option<Value> {
        let Some(settings) = &self.0 else {
            return Some(false.into());
        };
        let mut shown = Map::new();
        let ca = match &settings.trust {
            Trust::System => "SYSTEM".into(),
            Trust::None => "NONE".into(),
            Trust::Given(pem) => given(pem),
        };
        shown.insert("caFile".into(), ca.into());
        if let Some(identity) = &settings.identity {
            shown.extend(show_identity(identity)?);
        }
        shown.insert(
            "disableHostnameValidation".into(),
            settings.ignores_name.into(),
        );
        if let Some(name) = &settings.server_name {
            shown.insert("serverName".into(), name.as_str().into());
        }
        shown.extend(show_common(&settings.common));
        Some(shown.into())
    }

    fn expected() -> String {
        "true, false or an object".into()
    }
}

impl OptionValue for ServerTls {
    const MEMBERS: &'static [Member] = members! {
        /// The server's certificate: a path or PEM text; the chain behind the certificate.
        "certFile": "a text" = "none", "\"fullchain.pem\"";
        /// Its key: a path or PEM text. Left out where `certFile` holds both.
        "keyFile": "a text" = "as `certFile`", "\"privkey.pem\"";
        /// More of them, or all: a client gets the first that is for the name that it asks for, else the first of all.
        "certificates": "an array of objects with certFile and keyFile" = "none", "[{\"certFile\":\"chat.pem\",\"keyFile\":\"chat.key\"}]";
        /// The authorities of clients, which then must show a certificate of theirs: a path or PEM text.
        "clientCaFile": "a text" = "none", "\"company-ca.pem\"";
        /// The oldest version of TLS.
        "minVersion": "\"1.2\" or \"1.3\"" = "\"1.2\"", "\"1.3\"";
        /// The newest.
        "maxVersion": "\"1.2\" or \"1.3\"" = "\"1.3\"", "\"1.2\"";
        /// Cipher suites by the names of rustls, the best first.
        "ciphers": "an array of texts, or a text with commas" = "all that rustls has", "[\"TLS13_AES_128_GCM_SHA256\"]";
        /// Protocols inside, the best first.
        "alpn": "an array of texts, or a text with commas" = "none", "[\"http/1.1\"]";
    };

    fn read(value: &Value) -> Result<Self, String> {
        let members = match value {
            Value::Bool(false) => return Ok(ServerTls(None)),
            Value::Object(members) => members,
            Value::Bool(true) => {
                return Err(
                    "needs a server's certificate: give {\"certFile\":…,\"keyFile\":…}".into(),
                );
            }
            other => return Err(wrong::<Self>(other)),
        };
        let mut identities: Vec<Identity> = identity(members, "tls")?.into_iter().collect();
        let more = match member(members, "certificates") {
            None => &Vec::new(),
            Some(Value::Array(more)) => more,
            Some(other) => {
                let found = type_of(other);
                return Err(format!(
                    "\"certificates\" must be an array of objects with certFile and keyFile, not {found}"
                ));
            }
        };
        for (index, one) in more.iter().enumerate() {
            let place = format!("tls.certificates[{index}]");
            let pair = match one.as_object() {
                Some(members) => identity(members, &place)?,
                None => None,
            };
            identities.push(pair.ok_or_else(|| {
                format!("\"certificates\"[{index}] must have certFile and keyFile")
            })?);
        }
        if identities.is_empty() {
            return Err("needs a server's certificate: give certFile and keyFile".into());
        }
        let client_authorities = text(members, "clientCaFile")?;
        if client_authorities
            .as_ref()
            .is_some_and(|given| given.is_empty())
        {
            // A setting that is missing must not let everybody in.
            return Err(
                "clientCaFile must be a path or PEM text, not \"\"; null asks clients for nothing"
                    .into(),
            );
        }
        Ok(ServerTls(Some(Box::new(ServerSettings {
            identities,
            client_authorities: client_authorities.map(|given| Pem::new("tls.clientCaFile", given)),
            common: common(members)?,
        }))))
    }

    fn show(&self) -> Option<Value> {
        let Some(settings) = &self.0 else {
            return Some(false.into());
        };
        let pairs: Option<Vec<_>> = settings.identities.iter().map(show_identity).collect();
        let mut shown = Map::new();
        match pairs?.as_mut_slice() {
            [one] => shown = std::mem::take(one),
            many => {
                shown.insert("certificates".into(), json!(many));
            }
        }
        if let Some(pem) = &settings.client_authorities {
            shown.insert("clientCaFile".into(), given(pem).into());
        }
        shown.extend(show_common(&settings.common));
        Some(shown.into())
    }

    fn expected() -> String {
        "false or an object with certFile and keyFile".into()
    }
}

fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    // null is what hosts write for "not set".
    members.get(name).filter(|value| !value.is_null())
}

fn in_member(name: &str) -> impl Fn(String) -> String {
    move |problem| format!("\"{name}\" {problem}")
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    let Some(value) = member(members, name) else {
        return Ok(None);
    };
    String::read(value).map_err(in_member(name))?;
    Ok(value.as_str())
}

fn identity(members: &Map<String, Value>, place: &str) -> Result<Option<Identity>, String> {
    let is_given = |text: &&str| !text.is_empty();
    let certificate = text(members, "certFile")?.filter(is_given);
    let key = text(members, "keyFile")?.filter(is_given);
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), key) => Ok(Some(Identity {
            certificate: Pem::new(&format!("{place}.certFile"), certificate),
            // One file may hold both.
            key: Pem::new(&format!("{place}.keyFile"), key.unwrap_or(certificate)),
        })),
        (None, Some(_)) => Err("\"keyFile\" needs \"certFile\" beside it".into()),
    }
}

fn common(members: &Map<String, Value>) -> Result<Common, String> {
    let default = Common::default();
    let common = Common {
        min: version(members, "minVersion")?.unwrap_or(default.min),
        max: version(members, "maxVersion")?.unwrap_or(default.max),
        ciphers: names(members, "ciphers")?,
        alpn: names(members, "alpn")?,
    };
    if common.min > common.max {
        return Err("\"minVersion\" must not be newer than \"maxVersion\"".into());
    }
    let known = cipher_names();
    let unknown: Vec<&str> = common
        .ciphers
        .iter()
        .filter(|name| !known.contains(name))
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        return Err(format!(
            "\"ciphers\" must be among {}; unknown: {}",
            known.join(", "),
            unknown.join(", ")
        ));
    }
    if let Some(name) = common
        .alpn
        .iter()
        .find(|name| name.is_empty() || name.len() > 255)
    {
        return Err(format!(
            "\"alpn\" has names of 1 to 255 bytes, not {}",
            name.len()
        ));
    }
    Ok(common)
}

fn version(members: &Map<String, Value>, name: &str) -> Result<Option<Version>, String> {
    let Some(value) = member(members, name) else {
        return Ok(None);
    };
    let given = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim_start_matches("TLSv").to_owned(),
        other => type_of(other).to_owned(),
    };
    match given.as_str() {
        "1.2" => Ok(Some(Version::V1_2)),
        "1.3" => Ok(Some(Version::V1_3)),
        "1.1" | "1.0" | "1" | "3" | "2" | "SSLv3" | "SSLv2" => Err(format!(
            "\"{name}\" must be \"1.2\" or \"1.3\"; {given} is broken and not spoken any more (RFC 8996)"
        )),
        _ => Err(format!(
            "\"{name}\" must be \"1.2\" or \"1.3\", not {given}"
        )),
    }
}

/// An array, or one text with commas or, as OpenSSL writes them, colons.
fn names(members: &Map<String, Value>, name: &str) -> Result<Vec<String>, String> {
    let problem = || format!("\"{name}\" must be an array of texts, or a text with commas");
    match member(members, name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text
            .split([',', ':'])
            .map(|part| part.trim().to_owned())
            .filter(|part| !part.is_empty())
            .collect()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(problem))
            .collect(),
        Some(_) => Err(problem()),
    }
}

fn given(pem: &Pem) -> String {
    match &pem.source {
        Source::File(path) => path.to_string_lossy().into_owned(),
        Source::Text(text) => text.clone(),
    }
}

fn show_identity(identity: &Identity) -> Option<Map<String, Value>> {
    let Source::File(key) = &identity.key.source else {
        return None;
    };
    let mut shown = Map::new();
    shown.insert("certFile".into(), given(&identity.certificate).into());
    shown.insert("keyFile".into(), key.to_string_lossy().into());
    Some(shown)
}

fn show_common(common: &Common) -> Map<String, Value> {
    let number = |version| match version {
        Version::V1_2 => "1.2",
        Version::V1_3 => "1.3",
    };
    let mut shown = Map::new();
    shown.insert("minVersion".into(), number(common.min).into());
    shown.insert("maxVersion".into(), number(common.max).into());
    for (name, names) in [("ciphers", &common.ciphers), ("alpn", &common.alpn)] {
        if !names.is_empty() {
            shown.insert(name.into(), json!(names));
        }
    }
    shown
}
