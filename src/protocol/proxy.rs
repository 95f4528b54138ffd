//! Which proxy leads to a URL: its own URL, the environment's variables, and NO_PROXY.
//! Knows nothing of what is said to a proxy, nor of sockets.

use std::fmt::{self, Debug, Display, Formatter};
use std::net::IpAddr;

use super::head::shown;
use super::url::{Url, check_percent, percent_decoded, split_host_port};

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// CONNECT.
    Http,
    /// CONNECT, inside TLS.
    Https,
    /// SOCKS 5; names are looked up here.
    Socks5,
    /// SOCKS 5; names are looked up by the proxy.
    Socks5h,
}

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: Vec<u8>,
    /// The password, which may be empty.
    pub password: Vec<u8>,
}

/// One proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Who we are to it.
    pub login: Option<Login>,
    /// IPv6 without brackets.
    pub host: String,
    /// Where it listens.
    pub port: u16,
}

impl Proxy {
    /// Reads `scheme://[user:password@]host[:port]`. Messages never repeat what may be a password.
    pub fn parse(text: &str) -> Result<Proxy, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("a proxy begins with http://, https://, socks5:// or socks5h://".into());
        };
        let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Scheme::Http, 80),
            "https" => (Scheme::Https, 443),
            "socks5" => (Scheme::Socks5, 1080),
            "socks5h" => (Scheme::Socks5h, 1080),
            other => {
                return Err(format!(
                    "a proxy's scheme is http, https, socks5 or socks5h, not {}",
                    shown(other)
                ));
            }
        };
        if let Some(at) = text.find(|c: char| c.is_ascii_control() || c == ' ') {
            return Err(format!(
                "there is a space or control character at byte {at}"
            ));
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (userinfo, host) = match authority.split_once('@') {
            Some((_, host)) if host.contains('@') => {
                return Err("there are two @; write the first as %40".into());
            }
            Some((userinfo, host)) => (userinfo, host),
            None => ("", authority),
        };
        if host.contains(['/', '?', '#']) || userinfo.contains(['/', '?', '#']) {
            return Err(
                "a proxy has no path; write / ? and # in a password as %2F %3F and %23".into(),
            );
        }
        check_percent(userinfo, 0).map_err(|_| {
            "a % of the user or password is not followed by two hexadecimal digits".to_owned()
        })?;
        let (host, port) = split_host_port(host)?;
        Ok(Proxy {
            scheme,
            login: Login::of(userinfo, scheme)?,
            host: host.to_ascii_lowercase(),
            port: port.unwrap_or(default_port),
        })
    }
}

impl Login {
    fn of(userinfo: &str, scheme: Scheme) -> Result<Option<Login>, String> {
        if userinfo.is_empty() {
            return Ok(None);
        }
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let decoded = |text| percent_decoded(text).unwrap_or_default();
        let (user, password) = (decoded(user), decoded(password));
        match scheme {
            // RFC 7617 § 2: the first colon ends the name.
            Scheme::Http | Scheme::Https if user.contains(&b':') => {
                Err("the user's name contains a colon".into())
            }
            // RFC 1929 § 2: one byte tells each length.
            Scheme::Socks5 | Scheme::Socks5h
                if user.is_empty() || user.len() > 255 || password.len() > 255 =>
            {
                Err("a user of a SOCKS proxy has 1 to 255 bytes, a password at most 255".into())
            }
            _ => Ok(Some(Login { user, password })),
        }
    }
}

/// As its URL, without user and password.
impl Display for Proxy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Socks5 => "socks5",
            Scheme::Socks5h => "socks5h",
        };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

/// As `Display`: secrets stay out of logs.
impl Debug for Proxy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// Which proxy a client wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// None.
    #[default]
    None,
    /// The one that the environment names.
    System,
    /// This one.
    One(Proxy),
}

impl Choice {
    /// The proxy that leads to `url`.
    pub fn proxy_for(&self, url: &Url, environment: &Environment) -> Result<Option<Proxy>, String> {
        match self {
            _ if url.socket.is_some() => Ok(None),
            Choice::None => Ok(None),
            Choice::System => environment.proxy_for(url),
            Choice::One(proxy) => Ok(Some(proxy.clone())),
        }
    }
}

/// The environment's variables about proxies. Not `Debug`: they may hold passwords.
#[derive(Clone, Default)]
pub struct Environment {
    ws: Option<(&'static str, String)>,
    wss: Option<(&'static str, String)>,
    no_proxy: String,
}

impl Environment {
    /// Takes what there is; an empty variable is as good as none.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Environment {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = variable(name)?.trim().to_owned();
                (!value.is_empty()).then_some((*name, value))
            })
        };
        Environment {
            // HTTP_PROXY in upper case may be a header of a CGI request (httpoxy).
            ws: first(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            wss: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            no_proxy: first(&["no_proxy", "NO_PROXY"])
                .map(|(_, value)| value)
                .unwrap_or_default(),
        }
    }

    fn proxy_for(&self, url: &Url) -> Result<Option<Proxy>, String> {
        let variable = if url.secure { &self.wss } else { &self.ws };
        let Some((name, value)) = variable else {
            return Ok(None);
        };
        if is_excepted(&self.no_proxy, &url.host, url.port) {
            return Ok(None);
        }
        let value = match value.contains("://") {
            true => value.clone(),
            false => format!("http://{value}"),
        };
        Proxy::parse(&value)
            .map(Some)
            .map_err(|problem| format!("the environment's {name} cannot be used: {problem}"))
    }
}

/// Whether NO_PROXY names this host: names with all that ends in them, addresses, CIDR blocks, each with or without a
/// port, and `*`; commas or blanks between. What is none of these excepts nothing.
fn is_excepted(no_proxy: &str, host: &str, port: u16) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let ip: Option<IpAddr> = host.parse().ok();
    no_proxy
        .split(|c: char| c == ',' || c.is_ascii_whitespace())
        .filter(|entry| !entry.is_empty())
        .any(|entry| {
            if entry == "*" {
                return true;
            }
            if let Some((network, bits)) = entry.split_once('/') {
                return ip.is_some_and(|ip| is_in_network(ip, network, bits));
            }
            if let Ok(address) = entry.parse::<IpAddr>() {
                return ip == Some(address);
            }
            let name = entry.strip_prefix('*').unwrap_or(entry);
            let Ok((name, entry_port)) = split_host_port(name.strip_prefix('.').unwrap_or(name))
            else {
                return false;
            };
            if entry_port.is_some_and(|entry_port| entry_port != port) {
                return false;
            }
            if let (Ok(address), Some(ip)) = (name.parse::<IpAddr>(), ip) {
                return address == ip;
            }
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            ip.is_none()
                && (host == name
                    || host
                        .strip_suffix(&name)
                        .is_some_and(|front| front.ends_with('.')))
        })
}

fn is_in_network(ip: IpAddr, network: &str, bits: &str) -> bool {
    let Ok(bits) = bits.parse::<u32>() else {
        return false;
    };
    let shared =
        |a: u128, b: u128, size: u32| bits <= size && (bits == 0 || (a ^ b) >> (size - bits) == 0);
    match (ip, network.trim_matches(['[', ']']).parse()) {
        (IpAddr::V4(ip), Ok(IpAddr::V4(network))) => {
            shared(u128::from(ip.to_bits()), u128::from(network.to_bits()), 32)
        }
        (IpAddr::V6(ip), Ok(IpAddr::V6(network))) => shared(ip.to_bits(), network.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_and_shown_without_their_password() {
        for (text, shown, login) in [
            ("http://a", "http://a:80", None),
            ("HTTP://A:3128/", "http://a:3128", None),
            ("https://a", "https://a:443", None),
            ("socks5://[::1]", "socks5://[::1]:1080", None),
            ("socks5h://u@a:9", "socks5h://a:9", Some(("u", ""))),
            ("http://u:p%40%3a:q@a", "http://a:80", Some(("u", "p@::q"))),
            ("http://:p@a", "http://a:80", Some(("", "p"))),
        ] {
            let proxy = Proxy::parse(text).expect(text);
            assert_eq!(format!("{proxy} {proxy:?}"), format!("{shown} {shown}"));
            let login = login.map(|(user, password): (&str, &str)| Login {
                user: user.into(),
                password: password.into(),
            });
            assert!(proxy.login == login, "{text}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_telling_its_password() {
        let long = format!("socks5://secret{}:p@a", "u".repeat(256));
        for (text, reason) in [
            ("", "begins with http://"),
            ("a:3128", "begins with http://"),
            ("u:secret@a:3128", "begins with http://"),
            ("socks4://a", "not \"socks4\""),
            ("http://", "host is empty"),
            ("http://u:secret@", "host is empty"),
            ("http://u:secret@a:0", "port must be"),
            ("http://u:secret@b@a", "two @"),
            ("http://u:sec/ret@a", "no path"),
            ("http://a/path", "no path"),
            ("http://a?x", "no path"),
            ("http://u:secret%zz@a", "hexadecimal"),
            ("http://u%3Av:secret@a", "colon"),
            ("http://u:secret @a", "space"),
            ("http://u:secret\r\n@a", "control"),
            ("socks5://:secret@a", "1 to 255"),
            (&long, "1 to 255"),
        ] {
            let why = Proxy::parse(text).expect_err(text);
            assert!(why.contains(reason), "{text}: {why}");
            assert!(!why.contains("secret"), "{why}");
        }
    }

    fn chosen(variables: &[(&str, &str)], url: &str) -> String {
        let environment = Environment::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        let url = Url::parse(url).expect(url);
        match Choice::System.proxy_for(&url, &environment) {
            Ok(Some(proxy)) => proxy.to_string(),
            Ok(None) => "none".into(),
            Err(why) => why,
        }
    }

    #[test]
    fn the_environment_is_understood_as_curl_does() {
        for (variables, url, expected) in [
            (&[][..], "ws://a", "none"),
            (&[("http_proxy", "http://p:1")], "ws://a", "http://p:1"),
            (&[("http_proxy", "http://p:1")], "wss://a", "none"),
            (&[("HTTP_PROXY", "http://p:1")], "ws://a", "none"),
            (&[("https_proxy", "http://p:1")], "wss://a", "http://p:1"),
            (&[("HTTPS_PROXY", "http://p:1")], "wss://a", "http://p:1"),
            (&[("https_proxy", "http://p:1")], "ws://a", "none"),
            (
                &[("https_proxy", "http://p:1"), ("HTTPS_PROXY", "http://q:1")],
                "wss://a",
                "http://p:1",
            ),
            (
                &[("https_proxy", ""), ("HTTPS_PROXY", "http://q:1")],
                "wss://a",
                "http://q:1",
            ),
            (&[("all_proxy", "socks5://p")], "ws://a", "socks5://p:1080"),
            (
                &[("ALL_PROXY", "socks5h://p")],
                "wss://a",
                "socks5h://p:1080",
            ),
            (
                &[("all_proxy", "http://p:1"), ("http_proxy", "q:2")],
                "ws://a",
                "http://q:2",
            ),
            (&[("http_proxy", "u:pw@q:2")], "ws://a", "http://q:2"),
            (&[("http_proxy", " ")], "ws://a", "none"),
            (
                &[("http_proxy", "http://p"), ("no_proxy", "a")],
                "ws://a",
                "none",
            ),
            (
                &[("http_proxy", "http://p"), ("NO_PROXY", "a")],
                "ws://a",
                "none",
            ),
            (
                &[
                    ("http_proxy", "http://p"),
                    ("no_proxy", "b"),
                    ("NO_PROXY", "a"),
                ],
                "ws://a",
                "http://p:80",
            ),
            (&[("http_proxy", "http://p")], "ws+unix:/a:/", "none"),
            (
                &[("http_proxy", "ftp://u:secret@p")],
                "ws://a",
                "the environment's http_proxy cannot be used: a proxy's scheme is http, https, socks5 or socks5h, not \"ftp\"",
            ),
        ] {
            assert_eq!(chosen(variables, url), expected, "{variables:?} {url}");
        }
    }

    #[test]
    fn no_proxy_knows_suffixes_ports_addresses_and_networks() {
        for (no_proxy, host, port, expected) in [
            ("", "a", 80, false),
            ("*", "a", 80, true),
            ("b,*", "a", 80, true),
            ("*a", "a", 80, true),
            ("a", "a", 80, true),
            ("A", "a", 80, true),
            ("a", "a.", 80, true),
            ("a.", "a", 80, true),
            ("b, a", "a", 80, true),
            ("b a\tc", "a", 80, true),
            (",,", "a", 80, false),
            ("example.com", "www.example.com", 80, true),
            (".example.com", "www.example.com", 80, true),
            ("*.example.com", "www.example.com", 80, true),
            (".example.com", "example.com", 80, true),
            ("example.com", "badexample.com", 80, false),
            ("www.example.com", "example.com", 80, false),
            ("ample.com", "example.com", 80, false),
            ("com", "example.com", 80, true),
            ("a:80", "a", 80, true),
            ("a:81", "a", 80, false),
            (".a:80", "b.a", 80, true),
            ("a:x", "a", 80, false),
            ("127.0.0.1", "127.0.0.1", 80, true),
            ("127.0.0.1:80", "127.0.0.1", 80, true),
            ("127.0.0.1:81", "127.0.0.1", 80, false),
            ("0.0.1", "127.0.0.1", 80, false),
            ("127.0.0.0/8", "127.9.9.9", 80, true),
            ("127.0.0.0/8", "128.0.0.1", 80, false),
            ("10.0.0.0/0", "127.0.0.1", 80, true),
            ("127.0.0.1/32", "127.0.0.1", 80, true),
            ("127.0.0.0/33", "127.0.0.1", 80, false),
            ("127.0.0.0/-1", "127.0.0.1", 80, false),
            ("127.0.0.0/", "127.0.0.1", 80, false),
            ("127.0.0.0/8", "a", 80, false),
            ("0.0.0.0/0", "::1", 80, false),
            ("::1", "::1", 80, true),
            ("[::1]", "::1", 80, true),
            ("[::1]:80", "::1", 80, true),
            ("[::1]:81", "::1", 80, false),
            ("0:0:0:0:0:0:0:1", "::1", 80, true),
            ("fd00::/8", "fd12::1", 80, true),
            ("fd00::/8", "fe00::1", 80, false),
            ("::/0", "fe00::1", 80, true),
            ("::/129", "fe00::1", 80, false),
            ("[fd00::]/8", "fd12::1", 80, true),
            ("/", "a", 80, false),
            ("://", "a", 80, false),
            (".", "a", 80, false),
            ("\u{e9}", "a", 80, false),
        ] {
            assert_eq!(
                is_excepted(no_proxy, host, port),
                expected,
                "{no_proxy:?} {host} {port}"
            );
        }
    }
}
