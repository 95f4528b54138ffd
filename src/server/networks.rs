//! Knows networks of addresses, and whom a request comes from where trusted proxies say so.
//! Does not know who may connect.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};

use crate::protocol::fields::Cursor;
use crate::protocol::head::{Headers, Refusal, shown};

/// Addresses, as a list of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Reads `10.0.0.0/8`, `::1` and the like; IPv4 in IPv6 is IPv4.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Networks, String> {
        let nets = texts.into_iter().map(|text| {
            let net = text
                .parse::<IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            net.map(plain).map_err(|_| {
                let shown = shown(text);
                format!("{shown} is not an address or a network such as \"10.0.0.0/8\"")
            })
        });
        nets.collect::<Result<_, _>>().map(Networks)
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is in one of them.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|net| net.contains(&ip))
    }

    /// As replies show them.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .map(|net| match net.prefix_len() == net.max_prefix_len() {
                true => net.addr().to_string(),
                false => net.to_string(),
            })
    }
}

/// IPv4 networks that are written as IPv6 ones are IPv4 networks.
fn plain(net: IpNet) -> IpNet {
    match (net, net.addr().to_canonical()) {
        (IpNet::V6(six), IpAddr::V4(four)) if six.prefix_len() >= 96 => {
            let four = Ipv4Net::new(four, six.prefix_len() - 96);
            four.map_or(net, IpNet::V4)
        }
        _ => net,
    }
}

/// Who sent a request, as far as we can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Never IPv4 in IPv6.
    pub ip: IpAddr,
    /// 0: a proxy did not tell.
    pub port: u16,
    /// The caller speaks TLS, to us or to a trusted proxy.
    pub is_secure: bool,
}

impl Caller {
    /// Where the sender of a request is a trusted proxy, whom it names.
    pub fn told_by(self, headers: &Headers, trusted: &Networks) -> Result<Caller, Refusal> {
        if !trusted.contains(self.ip) {
            return Ok(self);
        }
        let by_list = x_forwarded_for(headers).map(|hops| self.behind(&hops, trusted));
        let by_standard = forwarded(headers)
            .map_err(|problem| {
                let message = format!("the Forwarded header cannot be read: {problem}");
                Refusal::new(400, message).because("proxy")
            })?
            .map(|hops| self.behind(&hops, trusted));
        // A proxy sets one of them and passes on what the client wrote into the other.
        if let (Some(one), Some(other)) = (by_list, by_standard) {
            if one.ip != other.ip {
                let message = "X-Forwarded-For and Forwarded name different clients";
                return Err(Refusal::new(400, message).because("proxy"));
            }
        }
        // Of Forwarded beside it, not even the proxy's own words may be more than an echo of the client's.
        let mut caller = by_list.or(by_standard).unwrap_or(self);
        // The last one was added by the proxy that we trust.
        if let Some(scheme) = headers.token_list("X-Forwarded-Proto").last() {
            caller.is_secure = is_secure_scheme(scheme);
        }
        Ok(caller)
    }

    /// Goes back from hop to hop as long as the one that names the next is trusted.
    fn behind(self, hops: &[Hop], trusted: &Networks) -> Caller {
        let mut caller = self;
        for hop in hops.iter().rev() {
            if !trusted.contains(caller.ip) {
                break;
            }
            // What a proxy does not tell ends the way: the proxy itself is the last that is known.
            let Some((ip, port)) = hop.node else {
                break;
            };
            caller = Caller {
                ip,
                port: port.unwrap_or(0),
                is_secure: hop.is_secure.unwrap_or(caller.is_secure),
            };
        }
        caller
    }
}

/// What one proxy says of the one before it.
struct Hop {
    node: Option<(IpAddr, Option<u16>)>,
    is_secure: Option<bool>,
}

fn is_secure_scheme(scheme: &str) -> bool {
    ["https", "wss"]
        .iter()
        .any(|secure| scheme.eq_ignore_ascii_case(secure))
}

fn x_forwarded_for(headers: &Headers) -> Option<Vec<Hop>> {
    headers.get("X-Forwarded-For")?;
    let hops = headers.token_list("X-Forwarded-For").map(|text| Hop {
        node: node(text),
        is_secure: None,
    });
    Some(hops.collect())
}

/// RFC 7239 § 4. Of what cannot be read nobody knows where the client's words end and the proxy's begin.
fn forwarded(headers: &Headers) -> Result<Option<Vec<Hop>>, String> {
    if headers.get("Forwarded").is_none() {
        return Ok(None);
    }
    let mut hops = Vec::new();
    for line in headers.all("Forwarded") {
        let mut rest = Cursor::new(line);
        while !rest.is_at_end() {
            // RFC 9110 § 5.6.1: empty elements do not count.
            if !rest.takes(b',') {
                hops.push(hop(&mut rest)?);
            }
        }
    }
    Ok(Some(hops))
}

fn hop(rest: &mut Cursor<'_>) -> Result<Hop, String> {
    let mut hop = Hop {
        node: None,
        is_secure: None,
    };
    let mut known = Vec::new();
    loop {
        let name = rest.token()?.to_ascii_lowercase();
        if !rest.takes(b'=') {
            return Err(format!("{name} has no value"));
        }
        let value = match rest.quoted(|byte| byte == b'\t' || byte >= b' ')? {
            Some(value) => value,
            // Some proxies leave out the quotes that a port needs.
            None => rest
                .run_of(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte))
                .ok_or_else(|| format!("{name} has no value"))?,
        };
        match name.as_str() {
            _ if known.contains(&name) => return Err(format!("there is more than one {name}")),
            "for" => hop.node = node(&value),
            "proto" => hop.is_secure = Some(is_secure_scheme(&value)),
            _ => {}
        }
        known.push(name);
        if !rest.takes(b';') {
            return rest.ends_element().map(|()| hop);
        }
    }
}

/// An address with or without its port. None: `unknown`, a name of the proxy's own, or nonsense.
fn node(text: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some((ip.to_canonical(), None));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some((address.ip().to_canonical(), Some(address.port())));
    }
    let bare = text.strip_prefix('[')?.strip_suffix(']')?;
    let six = bare.parse::<Ipv6Addr>().ok()?;
    Some((IpAddr::V6(six).to_canonical(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(peer: &str, lines: &[(&str, &str)]) -> Result<(String, u16, bool), u16> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = Headers(lines.iter().map(own).collect());
        let trusted = Networks::parse(["10.0.0.0/8", "::1"]).unwrap();
        let peer: SocketAddr = peer.parse().unwrap();
        let direct = Caller {
            ip: peer.ip().to_canonical(),
            port: peer.port(),
            is_secure: false,
        };
        direct
            .told_by(&headers, &trusted)
            .map(|caller| (caller.ip.to_string(), caller.port, caller.is_secure))
            .map_err(|refusal| refusal.status)
    }

    fn ip(peer: &str, name: &str, value: &str) -> String {
        caller(peer, &[(name, value)]).unwrap().0
    }

    #[test]
    fn networks_hold_their_addresses_in_either_family() {
        let nets = Networks::parse([
            "10.0.0.0/8",
            "192.168.1.7",
            "fd00::/8",
            "::ffff:172.16.0.0/108",
        ])
        .unwrap();
        for (text, is_in) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("::ffff:10.0.0.1", true),
            ("192.168.1.7", true),
            ("192.168.1.8", false),
            ("fd12::1", true),
            ("fe80::1", false),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
        ] {
            assert_eq!(nets.contains(text.parse().unwrap()), is_in, "{text}");
        }
        for wrong in [
            "",
            "10.0.0.0/33",
            "10.0.0",
            "localhost",
            "10.0.0.0/-1",
            "::/129",
        ] {
            assert!(Networks::parse([wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_the_last_stranger_is_the_caller() {
        let list = "X-Forwarded-For";
        assert_eq!(ip("9.9.9.9:1", list, "1.2.3.4"), "9.9.9.9");
        assert_eq!(ip("10.0.0.1:1", list, "1.2.3.4"), "1.2.3.4");
        assert_eq!(ip("[::ffff:10.0.0.1]:1", list, "1.2.3.4"), "1.2.3.4");
        // What stands further left was written by the client.
        assert_eq!(
            ip("10.0.0.1:1", list, "6.6.6.6, 1.2.3.4, 10.0.0.2"),
            "1.2.3.4"
        );
        assert_eq!(ip("10.0.0.1:1", list, "10.0.0.9, 10.0.0.2"), "10.0.0.9");
        for unknown in ["unknown", "", "1.2.3.4.5", "<script>", "1.2.3.4, _hidden"] {
            assert_eq!(ip("10.0.0.1:1", list, unknown), "10.0.0.1", "{unknown}");
        }
        let spread = caller("[::1]:5", &[(list, "6.6.6.6"), (list, "[2001:db8::1]:77")]);
        assert_eq!(spread, Ok(("2001:db8::1".into(), 77, false)));
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_has_it() {
        let name = "Forwarded";
        assert_eq!(ip("10.0.0.1:1", name, "for=1.2.3.4"), "1.2.3.4");
        let quoted =
            "For=\"[2001:db8:cafe::17]:4711\";by=10.0.0.1;proto=https, for=10.0.0.2;host=\"a,b\"";
        assert_eq!(
            caller("10.0.0.1:1", &[(name, quoted)]),
            Ok(("2001:db8:cafe::17".into(), 4711, true))
        );
        assert_eq!(ip("10.0.0.1:1", name, "for=_gazonk"), "10.0.0.1");
        // Behind what the client wrote, whatever that is, comes what the proxy has added to the line.
        for own in [
            "for=6.6.6.6;x=\"\\\"\"",
            "for=\"\\\"\"",
            "for=6.6.6.6,",
            ",",
            "a=b",
        ] {
            let line = format!("{own}, for=1.2.3.4");
            assert_eq!(ip("10.0.0.1:1", name, &line), "1.2.3.4", "{own}");
        }
        for own in [
            "for=6.6.6.6;x=\"",
            "for=\"",
            "for=6.6.6.6;x=\"\\\"",
            "for=6.6.6.6;x",
            "for=6.6.6.6;=",
            "for",
            "for=",
            "for=6.6.6.6;",
            "for=6.6.6.6 x",
            "for=6.6.6.6;for=7.7.7.7",
            "for=a\"b\"",
            ";",
        ] {
            let line = format!("{own}, for=1.2.3.4");
            let asked = caller("10.0.0.1:1", &[(name, &line)]);
            assert_eq!(asked, Err(400), "{own}");
            // Whoever is not trusted may write what he likes: it is not read.
            assert!(caller("9.9.9.9:1", &[(name, &line)]).is_ok(), "{own}");
        }
        assert_eq!(caller("10.0.0.1:1", &[(name, "for=\"1.2.3.4")]), Err(400));
        let both = [("Forwarded", "for=6.6.6.6"), ("X-Forwarded-For", "1.2.3.4")];
        assert_eq!(caller("10.0.0.1:1", &both), Err(400));
    }

    #[test]
    fn the_nearest_proxy_says_whether_the_caller_spoke_tls() {
        let lines = [
            ("X-Forwarded-For", "1.2.3.4"),
            ("X-Forwarded-Proto", "http, https"),
        ];
        assert_eq!(
            caller("10.0.0.1:1", &lines),
            Ok(("1.2.3.4".into(), 0, true))
        );
        assert_eq!(
            caller("9.9.9.9:1", &lines),
            Ok(("9.9.9.9".into(), 1, false))
        );
    }
}
