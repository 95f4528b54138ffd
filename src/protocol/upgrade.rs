//! The WebSocket upgrade of RFC 6455 § 4: what either side may say and what it must refuse.
//! Knows nothing of bytes on their way, of frames, nor of what an extension does.

use std::collections::HashSet;

use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::fields::Cursor;
use super::head::{Headers, Refusal, Request, Response, is_token, push_header, shown};
use super::login::{Login, basic};
use super::redirect;
use super::url::{Url, default_port, split_host_port};

/// What a client asks for with a valid upgrade request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// `Sec-WebSocket-Key` as it came.
    pub key: String,
    /// Sub-protocols, the client's favourite first.
    pub protocols: Vec<String>,
    /// In the client's order; the same name may be offered with different parameters.
    pub extensions: Vec<Extension>,
    /// Browsers always send it, other clients seldom.
    pub origin: Option<String>,
}

/// One element of `Sec-WebSocket-Extensions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// As it came.
    pub name: String,
    /// In order and with duplicates; values without their quotes.
    pub params: Vec<(String, Option<String>)>,
}

/// Whether the Upgrade header names websocket; the request may still be a bad one.
pub fn wants_websocket(request: &Request) -> bool {
    request.headers.contains_token("Upgrade", "websocket")
}

/// Checks an upgrade request as RFC 6455 § 4.2.1 has it.
pub fn check_request(request: &Request) -> Result<Upgrade, Refusal> {
    let headers = &request.headers;
    if !wants_websocket(request) && matches!(request.method.as_str(), "GET" | "HEAD") {
        return Err(upgrade_required(
            "only WebSocket is spoken here; a proxy in between must pass on Upgrade and Connection",
        ));
    }
    if request.method != "GET" {
        return Err(Refusal::new(
            405,
            format!(
                "a WebSocket begins with GET, not with {}",
                shown(&request.method)
            ),
        )
        .with("Allow", "GET"));
    }
    // Not 505: that is for other major versions (RFC 9110 § 15.6.6).
    if request.minor_version == 0 {
        return Err(bad(
            "a WebSocket needs HTTP/1.1, not HTTP/1.0; is there a proxy in between?",
        ));
    }
    if !headers.contains_token("Connection", "Upgrade") {
        return Err(bad("the Connection header does not name Upgrade"));
    }
    if request.has_body() {
        return Err(bad("an upgrade request must not have a body"));
    }
    match once(headers, "Sec-WebSocket-Version") {
        Ok(Some("13")) => {}
        Ok(Some(other)) => {
            return Err(upgrade_required(format!(
                "Sec-WebSocket-Version must be 13, not {}",
                shown(other)
            )));
        }
        Ok(None) => return Err(upgrade_required("Sec-WebSocket-Version is missing")),
        Err(problem) => return Err(upgrade_required(problem)),
    }
    let Some(key) = once(headers, "Sec-WebSocket-Key").map_err(bad)? else {
        return Err(bad("Sec-WebSocket-Key is missing"));
    };
    if !is_key(key) {
        return Err(bad(format!(
            "Sec-WebSocket-Key must be 16 bytes in base64, not {}",
            shown(key)
        )));
    }
    let protocols: Vec<String> = headers
        .token_list("Sec-WebSocket-Protocol")
        .map(str::to_owned)
        .collect();
    if protocols.is_empty() && headers.get("Sec-WebSocket-Protocol").is_some() {
        return Err(bad("Sec-WebSocket-Protocol is empty"));
    }
    check_protocols(&protocols)
        .map_err(|problem| bad(format!("Sec-WebSocket-Protocol: {problem}")))?;
    Ok(Upgrade {
        key: key.to_owned(),
        protocols,
        extensions: parse_extensions(headers).map_err(bad)?,
        origin: once(headers, "Origin").map_err(bad)?.map(str::to_owned),
    })
}

/// Reads `Sec-WebSocket-Extensions` by the grammar of RFC 6455 § 9.1.
pub fn parse_extensions(headers: &Headers) -> Result<Vec<Extension>, String> {
    let mut extensions = Vec::new();
    let mut is_present = false;
    for value in headers.all("Sec-WebSocket-Extensions") {
        is_present = true;
        parse_extension_list(value, &mut extensions)
            .map_err(|problem| format!("Sec-WebSocket-Extensions: {problem}"))?;
    }
    if is_present && extensions.is_empty() {
        return Err("Sec-WebSocket-Extensions is empty".into());
    }
    Ok(extensions)
}

/// Which pages may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// The page comes from this server; clients that are no browsers send no origin and may connect.
    #[default]
    SameOrigin,
    /// Every page of the world.
    Any,
    /// Pages of exactly these origins, and clients without one. `null` counts only if it is listed.
    List(Vec<String>),
}

/// Whether a request with this Origin header may be accepted, where `host` is `Request::host()`.
pub fn origin_is_allowed(
    origin: Option<&str>,
    host: &str,
    secure: bool,
    allowed: &Origins,
) -> bool {
    let Some(text) = origin else {
        return true;
    };
    let list = match allowed {
        Origins::Any => return true,
        Origins::List(list) if text == "null" => return list.iter().any(|entry| entry == "null"),
        Origins::List(list) => Some(list),
        Origins::SameOrigin => None,
    };
    let Ok(origin) = Origin::parse(text) else {
        return false;
    };
    match list {
        Some(list) => list
            .iter()
            .any(|entry| Origin::parse(entry).is_ok_and(|entry| entry == origin)),
        None => {
            // On a plain port the page may still be https: a proxy in front of us ends TLS and passes Host on.
            let schemes: &[&str] = if secure {
                &["https"]
            } else {
                &["http", "https"]
            };
            schemes
                .iter()
                .any(|scheme| Origin::of(scheme, host).is_ok_and(|own| own == origin))
        }
    }
}

/// Whether this may stand in `Origins::List`: `null` or scheme, host and port without a path.
pub fn check_origin(text: &str) -> Result<(), String> {
    if text == "null" {
        return Ok(());
    }
    Origin::parse(text).map(|_| ())
}

/// The first of the client's sub-protocols that we know: clients list theirs by preference
/// (RFC 6455 § 4.1), so the order of `ours` has no meaning.
pub fn choose_protocol<'a>(offered: &[String], ours: &'a [String]) -> Option<&'a str> {
    offered
        .iter()
        .find_map(|offer| ours.iter().find(|own| *own == offer))
        .map(String::as_str)
}

/// The answer that opens a WebSocket. `extra` has passed `check_header`.
pub fn encode_accept(
    key: &str,
    protocol: Option<&str>,
    extensions: Option<&str>,
    extra: &[(String, String)],
) -> Vec<u8> {
    let mut text = "HTTP/1.1 101 Switching Protocols\r\n".to_owned();
    push_header(&mut text, "Upgrade", "websocket");
    push_header(&mut text, "Connection", "Upgrade");
    push_header(
        &mut text,
        "Sec-WebSocket-Accept",
        &derive_accept_key(key.as_bytes()),
    );
    if let Some(protocol) = protocol {
        push_header(&mut text, "Sec-WebSocket-Protocol", protocol);
    }
    if let Some(extensions) = extensions {
        push_header(&mut text, "Sec-WebSocket-Extensions", extensions);
    }
    for (name, value) in extra {
        push_header(&mut text, name, value);
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// What we are called where the host has not said otherwise.
pub const USER_AGENT: &str = concat!("wsplug/", env!("CARGO_PKG_VERSION"));

/// The request of a client; what `new` made is safe to send.
#[derive(Clone)]
pub struct ClientRequest {
    /// The value of the Host header.
    pub host: String,
    /// Path and query.
    pub target: String,
    /// New for each connection.
    pub key: String,
    /// Sub-protocols, the favourite first.
    pub protocols: Vec<String>,
    /// The offer, as the header has it.
    pub extensions: Option<String>,
    /// The host application's own headers, without Host.
    pub headers: Vec<(String, String)>,
}

impl ClientRequest {
    /// A request with a fresh key. A Host header among `headers` replaces the one of the URL;
    /// `login`, or else a name and password in the URL, become an Authorization header unless there is one.
    pub fn new(
        url: &Url,
        protocols: Vec<String>,
        extensions: Option<String>,
        mut headers: Vec<(String, String)>,
        login: Option<&Login>,
    ) -> Result<ClientRequest, String> {
        check_protocols(&protocols)?;
        if let Some(offer) = &extensions {
            parse_extension_list(offer, &mut Vec::new())?;
        }
        let mut own_host = None;
        for (name, value) in &headers {
            check_header(name, value)?;
            if name.eq_ignore_ascii_case("Host") {
                split_host_port(value).map_err(|problem| format!("header \"Host\": {problem}"))?;
                if own_host.replace(value.clone()).is_some() {
                    return Err("header \"Host\" is given twice".into());
                }
            }
        }
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Host"));
        if !has(&headers, "Authorization") {
            let value = login
                .map(Login::header)
                .or_else(|| url.credentials().map(|credentials| basic(&credentials)));
            headers.extend(value.map(|value| ("Authorization".into(), value)));
        }
        Ok(ClientRequest {
            host: own_host.unwrap_or_else(|| url.host_header()),
            target: url.target.clone(),
            key: generate_key(),
            protocols,
            extensions,
            headers,
        })
    }

    /// The bytes for the wire.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("GET {} HTTP/1.1\r\n", self.target);
        push_header(&mut text, "Host", &self.host);
        push_header(&mut text, "Upgrade", "websocket");
        push_header(&mut text, "Connection", "Upgrade");
        push_header(&mut text, "Sec-WebSocket-Key", &self.key);
        push_header(&mut text, "Sec-WebSocket-Version", "13");
        if !self.protocols.is_empty() {
            push_header(
                &mut text,
                "Sec-WebSocket-Protocol",
                &self.protocols.join(", "),
            );
        }
        if let Some(extensions) = &self.extensions {
            push_header(&mut text, "Sec-WebSocket-Extensions", extensions);
        }
        if !has(&self.headers, "User-Agent") {
            push_header(&mut text, "User-Agent", USER_AGENT);
        }
        for (name, value) in &self.headers {
            push_header(&mut text, name, value);
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

/// Whether a host application may send this header with a request or an answer.
pub fn check_header(name: &str, value: &str) -> Result<(), String> {
    if !is_token(name) {
        return Err(format!("header name {} is not a token", shown(name)));
    }
    let lower = name.to_ascii_lowercase();
    let is_ours = matches!(
        lower.as_str(),
        "upgrade" | "connection" | "content-length" | "transfer-encoding"
    );
    if is_ours || lower.starts_with("sec-websocket-") {
        return Err(format!(
            "header {} is set by the library and cannot be given",
            shown(name)
        ));
    }
    // Anything else would let the value become headers or a request of its own.
    match value.chars().find(|c| c.is_ascii_control() && *c != '\t') {
        None => Ok(()),
        Some(c) => Err(format!("header {}: the value contains {c:?}", shown(name))),
    }
}

/// Whether these may be offered or accepted as sub-protocols: tokens, each once.
pub fn check_protocols(protocols: &[String]) -> Result<(), String> {
    let mut known = HashSet::with_capacity(protocols.len());
    for protocol in protocols {
        if !is_token(protocol) {
            return Err(format!("the protocol {} is not a token", shown(protocol)));
        }
        if !known.insert(protocol) {
            return Err(format!("the protocol {} is listed twice", shown(protocol)));
        }
    }
    Ok(())
}

/// What the server agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// One of those that were offered; `None` only if there were none.
    pub protocol: Option<String>,
    /// Each was offered; whether the parameters fit is for the extension to say.
    pub extensions: Vec<Extension>,
}

/// Checks the server's answer as RFC 6455 § 4.1 has it.
pub fn check_response(response: &Response, request: &ClientRequest) -> Result<Accepted, String> {
    let headers = &response.headers;
    if response.status != 101 {
        return Err(refused(response));
    }
    if !headers
        .token_list("Upgrade")
        .map(str::to_ascii_lowercase)
        .eq(["websocket"])
    {
        return Err(match headers.get("Upgrade") {
            Some(other) => format!(
                "the server's Upgrade header is {}, not websocket",
                shown(other)
            ),
            None => "the server's Upgrade header is missing".into(),
        });
    }
    if !headers.contains_token("Connection", "Upgrade") {
        return Err(match headers.get("Connection") {
            Some(other) => format!(
                "the server's Connection header is {}, which does not name Upgrade",
                shown(other)
            ),
            None => "the server's Connection header is missing".into(),
        });
    }
    match once(headers, "Sec-WebSocket-Accept").map_err(from_server)? {
        Some(accept) if accept == derive_accept_key(request.key.as_bytes()) => {}
        Some(_) => return Err("the server's Sec-WebSocket-Accept does not fit our key".into()),
        None => return Err("the server's Sec-WebSocket-Accept is missing".into()),
    }
    let protocol = once(headers, "Sec-WebSocket-Protocol").map_err(from_server)?;
    match protocol {
        Some(chosen) if !request.protocols.iter().any(|offer| offer == chosen) => {
            return Err(format!(
                "the server chose the protocol {}, which was not offered",
                shown(chosen)
            ));
        }
        None if !request.protocols.is_empty() => {
            return Err(format!(
                "the server must support one of the protocols {} but chose none",
                shown(&request.protocols.join(", "))
            ));
        }
        _ => {}
    }
    let extensions = parse_extensions(headers).map_err(from_server)?;
    let mut offered = Vec::new();
    if let Some(offer) = &request.extensions {
        parse_extension_list(offer, &mut offered)?;
    }
    let mut known = HashSet::new();
    for extension in &extensions {
        let name = extension.name.as_str();
        if !offered.iter().any(|offer| offer.name == name) {
            return Err(format!(
                "the server chose the extension {}, which was not offered",
                shown(name)
            ));
        }
        if !known.insert(name) {
            return Err(format!(
                "the server chose the extension {} twice",
                shown(name)
            ));
        }
    }
    Ok(Accepted {
        protocol: protocol.map(str::to_owned),
        extensions,
    })
}

/// Scheme, host and port of a page, in lower case and with the default port filled in.
#[derive(PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    fn parse(text: &str) -> Result<Origin, String> {
        match text.split_once("://") {
            Some((scheme, host)) if is_token(scheme) => Origin::of(scheme, host),
            _ => Err(format!(
                "the origin {} is not of the form https://host or https://host:port",
                shown(text)
            )),
        }
    }

    fn of(scheme: &str, host: &str) -> Result<Origin, String> {
        let (host, port) =
            split_host_port(host).map_err(|problem| format!("the origin's {problem}"))?;
        let scheme = scheme.to_ascii_lowercase();
        let usual_port = match scheme.as_str() {
            "http" | "ws" => Some(default_port(false)),
            "https" | "wss" => Some(default_port(true)),
            _ => None,
        };
        Ok(Origin {
            scheme,
            host: host.to_ascii_lowercase(),
            port: port.or(usual_port),
        })
    }
}

/// `1#( token *( ";" token [ "=" ( token / quoted-string ) ] ) )`, one look at each byte.
fn parse_extension_list(text: &str, extensions: &mut Vec<Extension>) -> Result<(), String> {
    let mut rest = Cursor::new(text);
    loop {
        // RFC 9110 § 5.6.1: empty elements do not count.
        while rest.takes(b',') {}
        if rest.is_at_end() {
            return Ok(());
        }
        let mut extension = Extension {
            name: rest.token()?,
            params: Vec::new(),
        };
        while rest.takes(b';') {
            let name = rest.token()?;
            let value = if rest.takes(b'=') {
                Some(rest.token_or_quoted()?)
            } else {
                None
            };
            extension.params.push((name, value));
        }
        extensions.push(extension);
        rest.ends_element()?;
    }
}

/// The value of a header that may come once at most.
fn once<'a>(headers: &'a Headers, name: &str) -> Result<Option<&'a str>, String> {
    let mut values = headers.all(name);
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(format!("there is more than one {name} header")),
    }
}

fn has(headers: &[(String, String)], name: &str) -> bool {
    headers
        .iter()
        .any(|(known, _)| known.eq_ignore_ascii_case(name))
}

/// 16 bytes in base64. The four spare bits are not looked at: nobody decodes the key.
fn is_key(key: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.strip_suffix("==")
        .is_some_and(|digits| digits.len() == 22 && digits.bytes().all(is_digit))
}

fn refused(response: &Response) -> String {
    let mut message = format!(
        "the server answered {} instead of 101",
        response.status_line()
    );
    if let Some(location) = redirect::location(response) {
        message.push_str(&format!(
            "; followRedirects is off (it redirects to {})",
            shown(location)
        ));
    }
    message
}

fn from_server(problem: String) -> String {
    format!("the server's answer is malformed: {problem}")
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(400, message)
}

/// RFC 9110 § 15.5.22 asks for Upgrade, RFC 6455 § 4.4 for the version.
fn upgrade_required(message: impl Into<String>) -> Refusal {
    Refusal::new(426, message)
        .with("Upgrade", "websocket")
        .with("Sec-WebSocket-Version", "13")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::head::{Limits, parse_request, parse_response};
    use super::*;

    /// RFC 6455 § 1.2.
    const REQUEST: &str = "GET /chat HTTP/1.1\r\n\
        Host: server.example.com\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Origin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Protocol: chat\r\n\r\n";

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn upgrade(head: &str) -> Result<Upgrade, Refusal> {
        let (request, _) = parse_request(head.as_bytes(), &Limits::default())?.expect("complete");
        check_request(&request)
    }

    fn client_request() -> ClientRequest {
        let url = Url::parse("ws://server.example.com/chat").expect("valid");
        let mut request = ClientRequest::new(
            &url,
            strings(&["chat", "superchat"]),
            None,
            pairs(&[("Origin", "http://example.com")]),
            None,
        )
        .expect("valid");
        request.key = "dGhlIHNhbXBsZSBub25jZQ==".into();
        request
    }

    fn accepted(head: &str, request: &ClientRequest) -> Result<Accepted, String> {
        let (response, _) = parse_response(head.as_bytes(), &Limits::default())?.expect("complete");
        check_response(&response, request)
    }

    #[test]
    fn the_example_of_the_rfc_works_both_ways() {
        let upgrade = upgrade(REQUEST).expect("valid");
        assert_eq!(upgrade.key, "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(upgrade.protocols, ["chat", "superchat"]);
        assert_eq!(upgrade.origin.as_deref(), Some("http://example.com"));
        assert!(upgrade.extensions.is_empty());
        let chosen = choose_protocol(&upgrade.protocols, &strings(&["superchat", "chat"]))
            .map(str::to_owned);
        let answer = encode_accept(&upgrade.key, chosen.as_deref(), None, &[]);
        assert_eq!(String::from_utf8(answer).expect("text"), RESPONSE);
        let accepted = accepted(RESPONSE, &client_request()).expect("valid");
        assert_eq!(accepted.protocol.as_deref(), Some("chat"));
        assert!(accepted.extensions.is_empty());
    }

    #[test]
    fn our_request_is_accepted_by_our_server() {
        let url = Url::parse("ws://u:p@[::1]:8080/x?y").expect("valid");
        let headers = pairs(&[("cookie", "a=b"), ("USER-AGENT", "me")]);
        let offer = Some("permessage-deflate; client_max_window_bits".to_owned());
        let request =
            ClientRequest::new(&url, strings(&["p"]), offer, headers, None).expect("valid");
        let other = ClientRequest::new(&url, vec![], None, vec![], None).expect("valid");
        assert_ne!(request.key, other.key);
        let text = String::from_utf8(request.encode()).expect("text");
        assert!(
            text.starts_with("GET /x?y HTTP/1.1\r\nHost: [::1]:8080\r\n"),
            "{text}"
        );
        assert!(text.contains("\r\nAuthorization: Basic dTpw\r\n"), "{text}");
        assert_eq!(
            text.to_lowercase().matches("user-agent").count(),
            1,
            "{text}"
        );
        let upgrade = upgrade(&text).expect("valid");
        assert_eq!(upgrade.key, request.key);
        assert_eq!(upgrade.protocols, ["p"]);
        assert_eq!(
            upgrade.extensions,
            [Extension {
                name: "permessage-deflate".into(),
                params: vec![("client_max_window_bits".into(), None)],
            }]
        );
        let answer = encode_accept(
            &upgrade.key,
            Some("p"),
            Some("permessage-deflate"),
            &pairs(&[("X-Extra", "1")]),
        );
        let answer = String::from_utf8(answer).expect("text");
        assert!(answer.ends_with("\r\nX-Extra: 1\r\n\r\n"), "{answer}");
        let accepted = accepted(&answer, &request).expect("valid");
        assert_eq!(accepted.extensions[0].name, "permessage-deflate");
    }

    #[test]
    fn bad_upgrades_are_refused_with_a_reason() {
        let cases = [
            ("GET /chat", "POST /chat", 405, "GET, not with \"POST\""),
            ("GET /chat", "HEAD /chat", 405, "GET, not with \"HEAD\""),
            ("GET /chat", "get /chat", 405, "GET, not with \"get\""),
            ("HTTP/1.1", "HTTP/1.0", 400, "needs HTTP/1.1"),
            ("Upgrade: websocket\r\n", "", 426, "only WebSocket"),
            ("Upgrade: websocket", "Upgrade: h2c", 426, "only WebSocket"),
            (
                "Upgrade: websocket",
                "Upgrade: websocketx",
                426,
                "only WebSocket",
            ),
            ("Connection: Upgrade\r\n", "", 400, "Connection"),
            (
                "Connection: Upgrade",
                "Connection: keep-alive",
                400,
                "Connection",
            ),
            ("Version: 13", "Version: 8", 426, "must be 13, not \"8\""),
            ("Version: 13", "Version: 13, 8", 426, "must be 13"),
            ("Version: 13", "Version:", 426, "must be 13, not \"\""),
            ("Version: 13", "Version: 013", 426, "must be 13"),
            (
                "Sec-WebSocket-Version: 13\r\n",
                "",
                426,
                "Version is missing",
            ),
            (
                "Version: 13",
                "Version: 13\r\nSec-WebSocket-Version: 13",
                426,
                "more than one",
            ),
            (
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                "",
                400,
                "Key is missing",
            ),
            ("Key: dGhlIHNhbXBsZSBub25jZQ==", "Key:", 400, "16 bytes"),
            (
                "Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Key: dGhlIHNhbXBsZSBub25jZQ",
                400,
                "16 bytes",
            ),
            (
                "Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Key: dGhlIHNhbXBsZSBub25jZQ=",
                400,
                "16 bytes",
            ),
            (
                "Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Key: dGhlIHNhbXBsZSBub25jZSE=",
                400,
                "16 bytes",
            ),
            (
                "Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Key: dGhlIHNhbXBsZSBub25j-Q==",
                400,
                "16 bytes",
            ),
            (
                "Origin: http://example.com",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                400,
                "more than one Sec-WebSocket-Key",
            ),
            (
                "chat, superchat",
                "chat, chat",
                400,
                "\"chat\" is listed twice",
            ),
            (
                "chat, superchat",
                "chat\r\nSec-WebSocket-Protocol: chat",
                400,
                "listed twice",
            ),
            ("chat, superchat", "", 400, "Protocol is empty"),
            ("chat, superchat", " , ,", 400, "Protocol is empty"),
            ("chat, superchat", "a b", 400, "\"a b\" is not a token"),
            ("chat, superchat", "\"a\"", 400, "is not a token"),
            (
                "Origin: http://example.com",
                "Content-Length: 1",
                400,
                "body",
            ),
            (
                "Origin: http://example.com",
                "Transfer-Encoding: chunked",
                400,
                "body",
            ),
            (
                "Origin: http://example.com",
                "Content-Length: 1\r\nContent-Length: 2",
                400,
                "both",
            ),
            (
                "Origin: http://example.com",
                "Origin: a\r\nOrigin: b",
                400,
                "more than one Origin",
            ),
            (
                "Origin: http://example.com",
                "Host: b",
                400,
                "more than one Host",
            ),
            (
                "Origin: http://example.com",
                "Sec-WebSocket-Extensions: a;",
                400,
                "token is missing at byte 2",
            ),
            (
                "Origin: http://example.com",
                "Sec-WebSocket-Extensions:",
                400,
                "Extensions is empty",
            ),
        ];
        for (old, new, status, reason) in cases {
            let head = REQUEST.replace(old, new);
            assert_ne!(head, REQUEST, "{old:?}");
            let refusal = upgrade(&head).expect_err(new);
            assert_eq!(refusal.status, status, "{new:?}: {refusal}");
            assert!(refusal.message.contains(reason), "{new:?}: {refusal}");
            let answer = String::from_utf8(refusal.encode(false)).expect("text");
            if status == 426 {
                assert!(answer.contains("\r\nUpgrade: websocket\r\n"), "{answer}");
                assert!(
                    answer.contains("\r\nConnection: Upgrade, close\r\n"),
                    "{answer}"
                );
                assert!(
                    answer.contains("\r\nSec-WebSocket-Version: 13\r\n"),
                    "{answer}"
                );
            }
            assert_eq!(
                answer.contains("\r\nAllow: GET\r\n"),
                status == 405,
                "{answer}"
            );
        }
    }

    #[test]
    fn unusual_but_valid_upgrades_are_accepted() {
        for (old, new) in [
            ("Upgrade: websocket", "uPGRADE:WebSocket"),
            ("Upgrade: websocket", "Upgrade: h2c, WEBSOCKET"),
            ("Connection: Upgrade", "Connection: keep-alive, uPgrade"),
            (
                "Connection: Upgrade",
                "Connection: keep-alive\r\nConnection: Upgrade",
            ),
            ("Origin: http://example.com\r\n", ""),
            ("Origin: http://example.com", "Content-Length: 0"),
            ("Sec-WebSocket-Protocol: chat, superchat\r\n", ""),
            ("chat, superchat", "chat,,\t superchat,"),
            ("GET /chat", "GET http://other/chat"),
            ("ZQ==", "ZR=="),
        ] {
            let head = REQUEST.replace(old, new);
            assert_ne!(head, REQUEST, "{old:?}");
            assert!(upgrade(&head).is_ok(), "{new:?}: {:?}", upgrade(&head));
        }
    }

    #[test]
    fn extensions_are_read_by_the_grammar() {
        let parse = |values: &[&str]| {
            let headers = values
                .iter()
                .map(|value| ("sec-websocket-extensions".to_owned(), (*value).to_owned()))
                .collect();
            parse_extensions(&Headers(headers))
        };
        let written = |values: &[&str]| -> Vec<String> {
            let extensions = parse(values).expect("valid");
            let text = |extension: &Extension| {
                let mut text = extension.name.clone();
                for (name, value) in &extension.params {
                    text += &format!(";{name}");
                    text += &value
                        .as_ref()
                        .map(|value| format!("={value}"))
                        .unwrap_or_default();
                }
                text
            };
            extensions.iter().map(text).collect()
        };
        assert!(written(&[]).is_empty());
        assert_eq!(written(&["foo"]), ["foo"]);
        assert_eq!(written(&["bar; baz=2"]), ["bar;baz=2"]);
        assert_eq!(written(&["foo", "bar; baz=2"]), ["foo", "bar;baz=2"]);
        assert_eq!(
            written(&["a;b=\"10\" ; c = \"\\d\\e\",, x\t;\ty ,"]),
            ["a;b=10;c=de", "x;y"]
        );
        assert_eq!(written(&["a;b;b=1;b", "a"]), ["a;b;b=1;b", "a"]);
        assert_eq!(
            written(&["constructor; __proto__=__proto__"]),
            ["constructor;__proto__=__proto__"]
        );
        for (value, reason) in [
            ("", "is empty"),
            (" , ,", "is empty"),
            ("a b", "missing at byte 2"),
            ("a;", "missing at byte 2"),
            ("a;;b", "missing at byte 2"),
            (";a", "missing at byte 0"),
            ("a=b", "missing at byte 1"),
            ("a;b=", "missing at byte 4"),
            ("a;=b", "missing at byte 2"),
            ("a;b=c=d", "missing at byte 5"),
            ("a;b=\"", "byte 4 is not closed"),
            ("a;b=\"c", "byte 4 is not closed"),
            ("a;b=\"c\\", "byte 4 is not closed"),
            ("a;b=\"c\\\"", "byte 4 is not a token"),
            ("a;b=\"\"", "byte 4 is empty"),
            ("a;b=\"c d\"", "byte 4 is not a token"),
            ("a;b=\"c\"d", "missing at byte 7"),
            ("é", "missing at byte 0"),
            ("a;b=\"é\"", "byte 4 is not a token"),
        ] {
            let problem = parse(&[value]).expect_err(value);
            assert!(problem.contains(reason), "{value:?}: {problem}");
        }
    }

    #[test]
    fn long_lists_cost_linear_time() {
        let began = Instant::now();
        let limits = Limits {
            bytes: 1 << 20,
            headers: 100,
        };
        let distinct: String = (0..10_000).map(|number| format!("p{number}, ")).collect();
        for (filler, protocols_are_valid, extensions_are_valid) in [
            ("a, ", false, true),
            ("a;b, ", false, true),
            ("\"", false, false),
            ("\\\"", false, false),
            ("a;b=\"", false, false),
            ("a;b=\"c\";", false, false),
            (" ", true, true),
            (",", true, true),
            (";", false, false),
            ("constructor, ", false, true),
            ("__proto__, ", false, true),
            (&distinct, true, true),
        ] {
            let value = filler.repeat((64 * 1024_usize).div_ceil(filler.len()));
            for (name, is_valid) in [
                ("Connection", true),
                ("Sec-WebSocket-Protocol", protocols_are_valid),
                ("Sec-WebSocket-Extensions", extensions_are_valid),
            ] {
                let list = format!("Host: a\r\n{name}: x, {value}\r\n");
                let head = REQUEST.replace("Host: server.example.com\r\n", &list);
                let (request, _) = parse_request(head.as_bytes(), &limits)
                    .expect("valid")
                    .expect("complete");
                let status = check_request(&request).map_or_else(|refusal| refusal.status, |_| 101);
                let expected = if is_valid { 101 } else { 400 };
                assert_eq!(
                    status,
                    expected,
                    "{name} of {:?}",
                    &filler[..filler.len().min(9)]
                );
            }
        }
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "{:?}",
            began.elapsed()
        );
    }

    #[test]
    fn foreign_origins_are_refused() {
        let list = Origins::List(strings(&["https://good.com", "http://good.com:8080"]));
        let cases = [
            // origin, same origin on plain good.com, on TLS good.com, in the list
            ("https://good.com", true, true, true),
            ("HTTPS://GOOD.com:443", true, true, true),
            ("http://good.com", true, false, false),
            ("http://Good.Com:80", true, false, false),
            ("http://good.com:8080", false, false, true),
            ("https://good.com:8080", false, false, false),
            ("https://good.com:444", false, false, false),
            ("https://evil", false, false, false),
            ("https://good.com.evil", false, false, false),
            ("https://evilgood.com", false, false, false),
            ("https://www.good.com", false, false, false),
            ("https://good.com.", false, false, false),
            ("https://good.com/", false, false, false),
            ("https://good.com@evil", false, false, false),
            ("https://evil#good.com", false, false, false),
            ("https://good.com evil", false, false, false),
            ("ws://good.com", false, false, false),
            ("file://", false, false, false),
            ("good.com", false, false, false),
            ("null", false, false, false),
            ("NULL", false, false, false),
            ("", false, false, false),
        ];
        for (origin, plain, tls, listed) in cases {
            let allowed =
                |secure, origins| origin_is_allowed(Some(origin), "good.com", secure, origins);
            assert_eq!(allowed(false, &Origins::SameOrigin), plain, "{origin}");
            assert_eq!(allowed(true, &Origins::SameOrigin), tls, "{origin}");
            assert_eq!(allowed(false, &list), listed, "{origin}");
            assert!(allowed(false, &Origins::Any), "{origin}");
        }
        let same = |origin, host| origin_is_allowed(Some(origin), host, false, &Origins::default());
        assert!(same("http://localhost:8080", "LOCALHOST:8080"));
        assert!(same("http://[::1]:8080", "[::1]:8080"));
        assert!(!same("http://localhost:8080", "localhost"));
        assert!(!same("http://localhost", ""));
        let null = Origins::List(strings(&["null"]));
        assert!(origin_is_allowed(Some("null"), "a", false, &null));
        assert!(!origin_is_allowed(Some("http://a"), "a", false, &null));
        for origins in [Origins::SameOrigin, Origins::Any, list] {
            assert!(origin_is_allowed(None, "good.com", false, &origins));
        }
    }

    #[test]
    fn listed_origins_are_checked() {
        for origin in [
            "null",
            "https://a",
            "HTTP://A:81",
            "https://[::1]",
            "app://x",
        ] {
            assert_eq!(check_origin(origin), Ok(()));
        }
        for origin in [
            "",
            "*",
            "a.com",
            "https://a/",
            "https://a:x",
            "https://*.a",
            "https://",
        ] {
            assert!(check_origin(origin).is_err(), "{origin}");
        }
    }

    #[test]
    fn the_clients_order_of_protocols_counts() {
        let choose = |offered: &[&str], ours: &[&str]| {
            choose_protocol(&strings(offered), &strings(ours)).map(str::to_owned)
        };
        assert_eq!(choose(&["x", "b", "a"], &["a", "b"]).as_deref(), Some("b"));
        assert_eq!(choose(&["A"], &["a"]), None);
        assert_eq!(choose(&[], &["a"]), None);
        assert_eq!(choose(&["a"], &[]), None);
    }

    #[test]
    fn bad_answers_are_refused_with_a_reason() {
        let protocol = "Sec-WebSocket-Protocol: chat";
        let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        let twice = format!("{accept}\r\n{accept}");
        let two_protocols = format!("{protocol}\r\n{protocol}");
        for (old, new, reason) in [
            (
                "101 Switching Protocols",
                "403 Forbidden",
                "answered 403 Forbidden instead of 101",
            ),
            (
                "101 Switching Protocols",
                "200",
                "answered 200 instead of 101",
            ),
            (
                "101 Switching Protocols",
                "302 Found\r\nLocation: ws://b/",
                "followRedirects is off (it redirects to \"ws://b/\")",
            ),
            ("Upgrade: websocket\r\n", "", "Upgrade header is missing"),
            (
                "Upgrade: websocket",
                "Upgrade: h2c",
                "Upgrade header is \"h2c\", not websocket",
            ),
            (
                "Connection: Upgrade\r\n",
                "",
                "Connection header is missing",
            ),
            (
                "Connection: Upgrade",
                "Connection: close",
                "\"close\", which does not name Upgrade",
            ),
            ("s3pPLM", "S3pPLM", "does not fit our key"),
            (accept, "X: y", "Accept is missing"),
            (accept, &twice, "more than one Sec-WebSocket-Accept"),
            (
                protocol,
                "X: y",
                "must support one of the protocols \"chat, superchat\"",
            ),
            (
                protocol,
                "Sec-WebSocket-Protocol:",
                "\"\", which was not offered",
            ),
            (
                protocol,
                "Sec-WebSocket-Protocol: Chat",
                "\"Chat\", which was not offered",
            ),
            (
                protocol,
                "Sec-WebSocket-Protocol: chat, superchat",
                "which was not offered",
            ),
            (
                protocol,
                &two_protocols,
                "more than one Sec-WebSocket-Protocol",
            ),
            (
                "\r\n\r\n",
                "\r\nSec-WebSocket-Extensions: foo\r\n\r\n",
                "\"foo\", which was not offered",
            ),
            (
                "\r\n\r\n",
                "\r\nSec-WebSocket-Extensions: a;\r\n\r\n",
                "token is missing",
            ),
        ] {
            let head = RESPONSE.replace(old, new);
            assert_ne!(head, RESPONSE, "{old:?}");
            let message = accepted(&head, &client_request()).expect_err(new);
            assert!(message.contains(reason), "{new:?}: {message}");
        }
        let mut request = client_request();
        request.extensions = Some("foo".into());
        let head = RESPONSE.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: foo, foo\r\n\r\n");
        assert!(
            accepted(&head, &request)
                .expect_err("twice")
                .contains("\"foo\" twice")
        );
        request.protocols.clear();
        assert!(
            accepted(RESPONSE, &request)
                .expect_err("none offered")
                .contains("not offered")
        );
    }

    #[test]
    fn unusual_but_valid_answers_are_accepted() {
        for (old, new) in [
            ("Upgrade: websocket", "UPGRADE: WebSocket"),
            ("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
            (
                "Connection: Upgrade",
                "Connection: keep-alive\r\nconnection: upgrade",
            ),
            ("Switching Protocols", "Web Socket Protocol Handshake"),
            (" Switching Protocols", ""),
        ] {
            let head = RESPONSE.replace(old, new);
            assert_ne!(head, RESPONSE, "{old:?}");
            assert!(accepted(&head, &client_request()).is_ok(), "{new:?}");
        }
    }

    #[test]
    fn headers_that_would_break_the_request_are_refused_by_name() {
        for (name, value) in [
            ("X", "a\tb"),
            ("Cookie", "é"),
            ("Host", "a"),
            ("Origin", ""),
        ] {
            assert_eq!(check_header(name, value), Ok(()));
        }
        for (name, value, reason) in [
            ("X", "a\r\nY: b", "header \"X\": the value contains '\\r'"),
            ("X", "a\n", "header \"X\": the value contains '\\n'"),
            ("X", "a\0", "header \"X\": the value contains '\\0'"),
            ("X", "a\x7f", "header \"X\": the value contains"),
            ("", "a", "name \"\" is not a token"),
            ("X Y", "a", "name \"X Y\" is not a token"),
            ("X:", "a", "is not a token"),
            ("X\r\nY", "a", "is not a token"),
            ("É", "a", "is not a token"),
            ("upgrade", "a", "\"upgrade\" is set by the library"),
            ("Connection", "a", "is set by the library"),
            ("SEC-WebSocket-Anything", "a", "is set by the library"),
            ("Content-Length", "0", "is set by the library"),
            ("Transfer-Encoding", "chunked", "is set by the library"),
        ] {
            let problem = check_header(name, value).expect_err(name);
            assert!(problem.contains(reason), "{name:?}: {problem}");
        }
    }

    #[test]
    fn requests_are_checked_before_they_are_sent() {
        let url = Url::parse("ws://u:p@a/").expect("valid");
        let new = |protocols: &[&str], extensions: Option<&str>, headers: &[(&str, &str)]| {
            let extensions = extensions.map(str::to_owned);
            ClientRequest::new(&url, strings(protocols), extensions, pairs(headers), None)
        };
        let problem = |result: Result<ClientRequest, String>| result.err().expect("a problem");
        assert!(problem(new(&["a\r\nb"], None, &[])).contains("not a token"));
        assert!(problem(new(&["a", "a"], None, &[])).contains("listed twice"));
        assert!(problem(new(&[], Some("a;"), &[])).contains("token is missing"));
        assert!(problem(new(&[], None, &[("X", "\n")])).contains("\"X\""));
        assert!(problem(new(&[], None, &[("Host", "")])).contains("host is empty"));
        assert!(problem(new(&[], None, &[("Host", "a"), ("host", "a")])).contains("twice"));
        let own = new(
            &[],
            None,
            &[("host", "b:81"), ("authorization", "Bearer t")],
        )
        .expect("valid");
        assert_eq!(own.host, "b:81");
        assert_eq!(own.headers, pairs(&[("authorization", "Bearer t")]));
    }
}
