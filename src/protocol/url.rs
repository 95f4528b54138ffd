//! WebSocket URLs: what a host writes, split into what a connection needs.
//! Knows nothing of name resolution, sockets or TLS.

use std::fmt::{self, Debug, Display, Formatter, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::head::shown;

/// Where a client connects to and what it asks for there.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// `wss`.
    pub secure: bool,
    /// As written before the `@`, percent-encoding included.
    pub userinfo: Option<String>,
    /// In lower case, IPv6 without brackets.
    pub host: String,
    /// The network interface of a link-local IPv6 address (RFC 6874). Never sent.
    pub zone: Option<String>,
    /// The Unix socket of a `ws+unix:` URL; host and port are then `localhost` and 80.
    pub socket: Option<String>,
    /// Never 0.
    pub port: u16,
    /// Path and query as they go on the wire; begins with `/`.
    pub target: String,
}

impl Url {
    /// Reads a `ws:`, `wss:` or `ws+unix:` URL. Positions in messages count bytes from 0.
    pub fn parse(text: &str) -> Result<Url, String> {
        if let Some(at) = text.find(|c: char| c.is_ascii_control() || c == ' ') {
            return Err(format!(
                "the URL has a space or control character at byte {at}"
            ));
        }
        // RFC 6455 § 3: fragment identifiers must not be used.
        let no_fragment = || match text.find('#') {
            Some(at) => Err(format!(
                "the URL has a fragment (# at byte {at}); write # as %23"
            )),
            None => Ok(()),
        };
        if let Some((scheme, rest)) = text.split_at_checked(UNIX.len()) {
            if scheme.eq_ignore_ascii_case(UNIX) {
                no_fragment()?;
                return Url::parse_unix(rest);
            }
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            // Without the text: it may hold a password.
            return Err("the URL must begin with ws://, wss:// or ws+unix:".into());
        };
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "ws" => false,
            "wss" => true,
            "http" => return Err("the URL begins with http://; use ws://".into()),
            "https" => return Err("the URL begins with https://; use wss://".into()),
            _ => {
                return Err(format!(
                    "the URL's scheme must be ws or wss, not {}",
                    shown(scheme)
                ));
            }
        };
        no_fragment()?;
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let authority_at = scheme.len() + "://".len();
        let (userinfo, host_and_port) = match authority.split_once('@') {
            Some((_, host)) if host.contains('@') => {
                return Err("the URL has two @ before its host; write the first as %40".into());
            }
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        if let Some(userinfo) = userinfo {
            check_percent(userinfo, authority_at)?;
        }
        let (host_and_port, zone) = split_zone(host_and_port)?;
        let (host, port) =
            split_host_port(&host_and_port).map_err(|problem| format!("the URL's {problem}"))?;
        check_name(host).map_err(|problem| format!("the URL's {problem}"))?;
        Ok(Url {
            secure,
            userinfo: userinfo
                .filter(|userinfo| !userinfo.is_empty())
                .map(str::to_owned),
            host: host.to_ascii_lowercase(),
            zone,
            socket: None,
            port: port.unwrap_or(default_port(secure)),
            target: encode_target(target, authority_at + authority.len())?,
        })
    }

    /// What follows `ws+unix:`, as npm's `ws` spells it: `/path/of/the/socket:/path?query`, the latter `/` if left out.
    fn parse_unix(rest: &str) -> Result<Url, String> {
        let (socket, target) = rest.split_once(':').unwrap_or((rest, ""));
        let socket = socket.strip_prefix("//").unwrap_or(socket);
        if !socket.starts_with('/') || socket.contains('?') {
            return Err(
                "a ws+unix: URL needs the absolute path of a socket, then a colon and what is asked for: \
                 ws+unix:/path/of/socket:/path?query"
                    .into(),
            );
        }
        check_percent(socket, UNIX.len())?;
        let socket = percent_decoded(socket).unwrap_or_default();
        let socket = match String::from_utf8(socket) {
            Ok(socket) if !socket.contains('\0') => socket,
            Ok(_) => return Err("the path of the URL's socket contains NUL".into()),
            Err(_) => return Err("the path of the URL's socket is not UTF-8".into()),
        };
        Ok(Url {
            secure: false,
            userinfo: None,
            host: "localhost".into(),
            zone: None,
            socket: Some(socket),
            port: default_port(false),
            target: encode_target(target, UNIX.len() + rest.len() - target.len())?,
        })
    }

    /// A URL from its parts: `path` with or without the leading `/`, a query included; "" is `/`.
    pub fn from_parts(
        address: &str,
        port: Option<u16>,
        path: &str,
        secure: bool,
    ) -> Result<Url, String> {
        if address.contains("://") {
            return Err("the address is a URL; give the host by itself".into());
        }
        let host = address
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(address);
        let (host, zone) = match host.split_once('%') {
            Some((ip, zone)) if ip.parse::<Ipv6Addr>().is_ok() => {
                check_zone(zone)?;
                (ip, Some(zone.to_owned()))
            }
            _ => (host, None),
        };
        if host.parse::<Ipv6Addr>().is_err() {
            match split_host_port(address).map_err(|problem| format!("the address's {problem}"))? {
                (_, None) => {}
                (_, Some(_)) => {
                    return Err(format!(
                        "the address {} contains a port; give the port by itself",
                        shown(address)
                    ));
                }
            }
            check_name(host).map_err(|problem| format!("the address's {problem}"))?;
        }
        if port == Some(0) {
            return Err("the port must be between 1 and 65535, not 0".into());
        }
        if let Some(at) = path.find(|c: char| c.is_ascii_control() || c == ' ') {
            return Err(format!(
                "the path has a space or control character at byte {at}"
            ));
        }
        if let Some(at) = path.find('#') {
            return Err(format!(
                "the path has a fragment (# at byte {at}); write # as %23"
            ));
        }
        Ok(Url {
            secure,
            userinfo: None,
            host: host.to_ascii_lowercase(),
            zone,
            socket: None,
            port: port.unwrap_or(default_port(secure)),
            target: encode_target(path, 0)?,
        })
    }

    /// The value of the `Host` header; the port is left out when it is the default one.
    pub fn host_header(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if self.port == default_port(self.secure) {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// `user:password` of the URL with its percent-encoding undone.
    pub fn credentials(&self) -> Option<Vec<u8>> {
        let userinfo = self.userinfo.as_ref()?;
        let mut decoded = percent_decoded(userinfo)?;
        if !userinfo.contains(':') {
            decoded.push(b':');
        }
        Some(decoded)
    }

    /// What a resolver is asked for: the host, with its zone if it has one.
    pub fn host_to_resolve(&self) -> String {
        match &self.zone {
            Some(zone) => format!("{}%{zone}", self.host),
            None => self.host.clone(),
        }
    }

    /// Host and port as CONNECT names them, the default port too.
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Whether what is told to one may be told to the other.
    pub fn has_origin_of(&self, other: &Url) -> bool {
        let origin = |url: &Url| {
            let (zone, socket) = (url.zone.clone(), url.socket.clone());
            (url.secure, url.host.clone(), url.port, zone, socket)
        };
        origin(self) == origin(other)
    }
}

/// The scheme of URLs of Unix sockets.
const UNIX: &str = "ws+unix:";

/// The canonical URL, without the user's name and password.
impl Display for Url {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(socket) = &self.socket {
            let path = encoded(socket, br#""<>\^`{|}%:?#"#);
            return write!(f, "{UNIX}{path}:{}", self.target);
        }
        let scheme = if self.secure { "wss" } else { "ws" };
        let mut host = self.host_header();
        if let (Some(zone), Some(end)) = (&self.zone, host.find(']')) {
            host.insert_str(end, &format!("%25{zone}"));
        }
        write!(f, "{scheme}://{host}{}", self.target)
    }
}

/// As `Display`: secrets stay out of logs.
impl Debug for Url {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// The port of `ws:` and `http:`, or of `wss:` and `https:`.
pub fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// Splits `host`, `host:port`, `[IPv6]` or `[IPv6]:port`; the host comes back without brackets.
/// The message of an error begins with "host" or "port".
pub fn split_host_port(text: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((host, port)) = rest.split_once(']') else {
            return Err(format!("host {} lacks the closing ]", shown(text)));
        };
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(format!("host {} is not an IPv6 address", shown(host)));
        }
        match (port.is_empty(), port.strip_prefix(':')) {
            (true, _) => (host, None),
            (false, Some(port)) => (host, Some(port)),
            (false, None) => {
                return Err(format!("host is followed by {} after its ]", shown(port)));
            }
        }
    } else {
        match text.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err(format!(
                    "host {} has several colons; write IPv6 addresses in [ ]",
                    shown(text)
                ));
            }
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() {
        return Err("host is empty".into());
    }
    if !host.is_ascii() {
        return Err(format!(
            "host {} is not ASCII; write it in its punycode form (xn--...)",
            shown(host)
        ));
    }
    if let Some(bad) = host
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !"-._~:".contains(*c))
    {
        return Err(format!("host {} contains {bad:?}", shown(host)));
    }
    let Some(port) = port else {
        return Ok((host, None));
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(number) if digits && number != 0 => Ok((host, Some(number))),
        _ => Err(format!(
            "port must be a number between 1 and 65535, not {}",
            shown(port)
        )),
    }
}

/// What a resolver would take for a name but read in its own way (`127.1`), or never find.
fn check_name(host: &str) -> Result<(), String> {
    if host.contains(':') {
        return Ok(());
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.len() > 253 {
        return Err(format!(
            "host is {} bytes long; names have at most 253",
            name.len()
        ));
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err(format!(
                "host {} has a part of {} bytes; parts have 1 to 63",
                shown(host),
                label.len()
            ));
        }
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.bytes().all(|byte| byte.is_ascii_digit()) && name.parse::<Ipv4Addr>().is_err() {
        return Err(format!("host {} is not an IPv4 address", shown(host)));
    }
    Ok(())
}

/// Takes the zone out of `[fe80::1%25eth0]:port`.
fn split_zone(host_and_port: &str) -> Result<(String, Option<String>), String> {
    let parts = host_and_port
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .and_then(|(inner, port)| Some((inner.split_once('%')?, port)));
    let Some(((ip, zone), port)) = parts else {
        return Ok((host_and_port.to_owned(), None));
    };
    let Some(zone) = zone.strip_prefix("25") else {
        return Err("the URL's zone must follow %25, as in [fe80::1%25eth0]".into());
    };
    check_zone(zone)?;
    Ok((format!("[{ip}]{port}"), Some(zone.to_owned())))
}

fn check_zone(zone: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    match !zone.is_empty() && zone.bytes().all(fits) {
        true => Ok(()),
        false => Err(format!(
            "the zone {} is not the name or number of a network interface",
            shown(zone)
        )),
    }
}

/// A path and query as they may stand in a request line.
pub(super) fn encode_target(text: &str, position: usize) -> Result<String, String> {
    check_percent(text, position)?;
    let slash = if text.starts_with('/') { "" } else { "/" };
    Ok(format!("{slash}{}", encoded(text, NO_PLACE)))
}

/// What RFC 3986 has no place for in a path or query, and browsers encode.
const NO_PLACE: &[u8] = br#""<>\^`{|}"#;

/// A path in the one form that all have which mean the same (RFC 3986 § 6.2.2): what must be encoded is, in capital digits, and
/// what need not be is not.
pub fn normal_path(path: &str) -> String {
    let path = encoded(path, NO_PLACE);
    let mut normal = String::with_capacity(path.len());
    let mut rest = path.as_str();
    while let Some((before, behind)) = rest.split_once('%') {
        normal.push_str(before);
        let mut digits = behind.bytes();
        let code = hex(digits.next()).zip(hex(digits.next()));
        rest = match code.map(|(high, low)| high << 4 | low) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                normal.push(char::from(byte));
                &behind[2..]
            }
            Some(byte) => {
                write!(normal, "%{byte:02X}").expect("a String takes everything");
                &behind[2..]
            }
            None => {
                normal.push('%');
                behind
            }
        };
    }
    normal + rest
}

fn encoded(text: &str, special: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !special.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes everything");
        }
    }
    encoded
}

/// Undoes percent-encoding that `check_percent` has seen.
pub(super) fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len() + 1);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next())? << 4 | hex(bytes.next())?,
            _ => byte,
        });
    }
    Some(decoded)
}

pub(super) fn check_percent(text: &str, position: usize) -> Result<(), String> {
    for (at, _) in text.match_indices('%') {
        let digits = text.as_bytes().get(at + 1..at + 3).unwrap_or_default();
        if digits.len() != 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(format!(
                "the % at byte {} is not followed by two hexadecimal digits",
                position + at
            ));
        }
    }
    Ok(())
}

fn hex(digit: Option<u8>) -> Option<u8> {
    char::from(digit?)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_and_written_canonically() {
        let cases = [
            ("ws://a", "a", 80, "/", "a", "ws://a/"),
            (
                "WSS://A.Example",
                "a.example",
                443,
                "/",
                "a.example",
                "wss://a.example/",
            ),
            ("ws://a:80/x", "a", 80, "/x", "a", "ws://a/x"),
            ("wss://a:443", "a", 443, "/", "a", "wss://a/"),
            ("ws://a:443/", "a", 443, "/", "a:443", "ws://a:443/"),
            ("ws://a?q=1", "a", 80, "/?q=1", "a", "ws://a/?q=1"),
            (
                "ws://a/x?y=/?:@",
                "a",
                80,
                "/x?y=/?:@",
                "a",
                "ws://a/x?y=/?:@",
            ),
            ("ws://[::1]:9/", "::1", 9, "/", "[::1]:9", "ws://[::1]:9/"),
            (
                "ws://[2001:DB8::1]",
                "2001:db8::1",
                80,
                "/",
                "[2001:db8::1]",
                "ws://[2001:db8::1]/",
            ),
            (
                "ws://127.0.0.1:8080",
                "127.0.0.1",
                8080,
                "/",
                "127.0.0.1:8080",
                "ws://127.0.0.1:8080/",
            ),
            (
                "ws://my_host./",
                "my_host.",
                80,
                "/",
                "my_host.",
                "ws://my_host./",
            ),
            (
                "ws://a/é?ü=%20",
                "a",
                80,
                "/%C3%A9?%C3%BC=%20",
                "a",
                "ws://a/%C3%A9?%C3%BC=%20",
            ),
            (
                "ws://a/?f={\"a\"}",
                "a",
                80,
                "/?f=%7B%22a%22%7D",
                "a",
                "ws://a/?f=%7B%22a%22%7D",
            ),
            ("ws://u:p@a/", "a", 80, "/", "a", "ws://a/"),
            (
                "ws://[fe80::1%25eth0]:9/x",
                "fe80::1",
                9,
                "/x",
                "[fe80::1]:9",
                "ws://[fe80::1%25eth0]:9/x",
            ),
            (
                "ws+unix:/run/a.sock:/x?y=:",
                "localhost",
                80,
                "/x?y=:",
                "localhost",
                "ws+unix:/run/a.sock:/x?y=:",
            ),
            (
                "WS+UNIX:///run/a%3ab%20c",
                "localhost",
                80,
                "/",
                "localhost",
                "ws+unix:/run/a%3Ab%20c:/",
            ),
            ("ws://a/x@y", "a", 80, "/x@y", "a", "ws://a/x@y"),
        ];
        for (text, host, port, target, header, canonical) in cases {
            let url = Url::parse(text).expect(text);
            assert_eq!(url.host, host, "{text}");
            assert_eq!(url.port, port, "{text}");
            assert_eq!(url.target, target, "{text}");
            assert_eq!(url.host_header(), header, "{text}");
            assert_eq!(url.to_string(), canonical, "{text}");
            let again = Url::parse(canonical).expect(canonical);
            assert_eq!(again.to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn bad_urls_are_refused_with_a_reason() {
        let long = format!("ws://{}/", "a.".repeat(130));
        let cases = [
            ("", "must begin with ws://"),
            ("a:8080", "must begin with ws://"),
            ("ws:a", "must begin with ws://"),
            ("ws+unix:", "absolute path of a socket"),
            ("ws+unix:a.sock:/", "absolute path of a socket"),
            ("ws+unix://host/a.sock:/", "absolute path of a socket"),
            ("ws+unix:/a.sock?x", "absolute path of a socket"),
            ("ws+unix:/a%4:/", "% at byte 10"),
            ("ws+unix:/a%ff:/", "not UTF-8"),
            ("ws+unix:/a%00:/", "contains NUL"),
            ("ws+unix:/a:/%", "% at byte 12"),
            ("ws+unix:/a:/#x", "fragment"),
            ("wss+unix:/a:/", "must begin with ws://"),
            ("ws://[fe80::1%eth0]/", "must follow %25"),
            ("ws://[fe80::1%25]/", "zone \"\" is not"),
            ("ws://[fe80::1%25a/b]/", "closing ]"),
            ("ws://[fe80::1%25a%20b]/", "is not the name"),
            ("ws://[a%25b]/", "not an IPv6 address"),
            ("ws://a%25b/", "contains '%'"),
            ("http://a", "use ws://"),
            ("HTTPS://a", "use wss://"),
            ("ftp://a", "must be ws or wss"),
            (" ws://a", "byte 0"),
            ("ws://a/b c", "byte 8"),
            ("ws://a/\r\nX: y", "byte 7"),
            ("ws://a/\0", "byte 7"),
            ("ws://a\u{2028}", "punycode"),
            ("ws://a/\x7f", "byte 7"),
            ("ws://a/#x", "fragment (# at byte 7)"),
            ("ws://", "host is empty"),
            ("ws:///x", "host is empty"),
            ("ws://:80/", "host is empty"),
            ("ws://u@/", "host is empty"),
            ("ws://a:", "port must be"),
            ("ws://a:0", "not \"0\""),
            ("ws://a:65536", "not \"65536\""),
            ("ws://a:+80", "not \"+80\""),
            ("ws://a:8x", "not \"8x\""),
            ("ws://::1", "write IPv6 addresses in [ ]"),
            ("ws://[::1", "closing ]"),
            ("ws://[::g]", "not an IPv6 address"),
            ("ws://[::1]x", "after its ]"),
            ("ws://[::1]:", "port must be"),
            ("ws://a/%", "% at byte 7"),
            ("ws://a/%4", "% at byte 7"),
            ("ws://a/x%é", "% at byte 8"),
            ("ws://a/%+1", "% at byte 7"),
            ("ws://%zz@a/", "% at byte 5"),
            ("ws://é/", "punycode"),
            ("ws://a%41/", "contains '%'"),
            ("ws://a\\b/", "contains '\\\\'"),
            ("ws://a,b/", "contains ','"),
            ("ws://x@y@z/", "two @"),
            ("ws://a..b/", "part of 0 bytes"),
            ("ws://127.1/", "not an IPv4 address"),
            ("ws://1.2.3.256/", "not an IPv4 address"),
            (&long, "at most 253"),
        ];
        for (text, reason) in cases {
            let message = Url::parse(text).expect_err(text);
            assert!(message.contains(reason), "{text:?}: {message}");
        }
    }

    #[test]
    fn parts_make_the_same_url() {
        let target = |path| Url::from_parts("a", None, path, false).expect(path).target;
        assert_eq!(target(""), "/");
        assert_eq!(target("/"), "/");
        assert_eq!(target("chat"), "/chat");
        assert_eq!(target("/chat?x=é"), "/chat?x=%C3%A9");
        assert_eq!(target("?x"), "/?x");
        assert_eq!(target("a\u{3000}b"), "/a%E3%80%80b");
        for (address, port, secure, written) in [
            ("LOCALHOST", None, false, "ws://localhost/"),
            ("a", None, true, "wss://a/"),
            ("a", Some(8080), true, "wss://a:8080/"),
            ("::1", Some(9), false, "ws://[::1]:9/"),
            ("[::1]", None, false, "ws://[::1]/"),
            ("fe80::1%2", None, false, "ws://[fe80::1%252]/"),
        ] {
            let url = Url::from_parts(address, port, "", secure).expect(address);
            assert_eq!(url.to_string(), written);
        }
    }

    #[test]
    fn bad_parts_are_refused_with_a_reason() {
        for (address, port, path, reason) in [
            ("", None, "", "host is empty"),
            ("ws://a", None, "", "is a URL"),
            ("a:80", None, "", "give the port by itself"),
            ("[::1]:80", None, "", "give the port by itself"),
            ("a/b", None, "", "contains '/'"),
            ("a", Some(0), "", "not 0"),
            ("a", None, "x y", "byte 1"),
            ("a", None, "/x\r\n", "byte 2"),
            ("a", None, "/#", "byte 1"),
            ("a", None, "/%1", "byte 1"),
            ("127.1", None, "", "not an IPv4 address"),
        ] {
            let message = Url::from_parts(address, port, path, false).expect_err(address);
            assert!(message.contains(reason), "{address:?} {path:?}: {message}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let url = Url::parse("ws://u:secret@a/").expect("valid");
        assert_eq!(format!("{url} {url:?}"), "ws://a/ ws://a/");
        for text in ["u:secret@a", "ws://u:secret@x@a", "ws://u:secret@a:b"] {
            let message = Url::parse(text).expect_err(text);
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn credentials_are_decoded() {
        let credentials = |text| Url::parse(text).expect(text).credentials();
        assert_eq!(credentials("ws://a/"), None);
        assert_eq!(credentials("ws://@a/"), None);
        assert_eq!(credentials("ws://u@a/"), Some(b"u:".to_vec()));
        assert_eq!(credentials("ws://u:p%40%3aq@a/"), Some(b"u:p@:q".to_vec()));
    }

    #[test]
    fn paths_that_mean_the_same_have_one_form() {
        for (path, normal) in [
            ("/chat", "/chat"),
            ("/m\u{e9}t\u{e9}o", "/m%C3%A9t%C3%A9o"),
            ("/m%c3%a9t%c3%A9o", "/m%C3%A9t%C3%A9o"),
            ("/a b", "/a%20b"),
            ("/%7Euser/%41", "/~user/A"),
            // These are other paths.
            ("/a%2Fb", "/a%2Fb"),
            ("/a%2fb", "/a%2Fb"),
            ("/100%", "/100%"),
            ("/%zz", "/%zz"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%%41", "/%A"),
        ] {
            assert_eq!(normal_path(path), normal, "{path}");
            assert_eq!(normal_path(normal), normal, "{path}");
        }
    }
}
