//! What is said to a proxy until the tunnel is open: HTTP CONNECT, and SOCKS 5 (RFC 1928, RFC 1929).
//! Knows nothing of sockets, nor of what goes through the tunnel.

use std::net::{IpAddr, SocketAddr};

use super::head::{Response, push_header, shown};
use super::login::basic;
use super::proxy::Login;
use super::upgrade::USER_AGENT;

/// The request for a tunnel to `authority`, which is host and port (RFC 9110 § 9.3.6).
pub fn connect_request(authority: &str, login: Option<&Login>) -> Vec<u8> {
    let mut text = format!("CONNECT {authority} HTTP/1.1\r\n");
    push_header(&mut text, "Host", authority);
    push_header(&mut text, "User-Agent", USER_AGENT);
    if let Some(login) = login {
        let secret = [&login.user[..], b":", &login.password].concat();
        push_header(&mut text, "Proxy-Authorization", &basic(&secret));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Whether the proxy has opened the tunnel; the error goes on from the proxy's name.
pub fn check_connect(response: &Response, authority: &str, has_login: bool) -> Result<(), String> {
    let status = response.status_line();
    match response.status {
        200..300 => Ok(()),
        407 if has_login => Err(format!("does not accept this user and password ({status})")),
        407 => Err(format!("wants a user and a password ({status})")),
        _ => Err(format!(
            "answered {status} when asked for {}",
            shown(authority)
        )),
    }
}

/// Where a SOCKS proxy shall connect to.
pub enum Destination<'a> {
    /// A name that the proxy looks up.
    Name(&'a str, u16),
    /// An address.
    Address(SocketAddr),
}

/// The client's side of SOCKS 5, up to the open tunnel. Every message has a known length: nothing is read too early.
pub struct Socks {
    state: State,
    login: Option<Login>,
    request: Vec<u8>,
}

enum State {
    Method,
    Login,
    Reply,
    Name,
    Bound,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Write this, if anything, then read so many bytes.
    Go(Vec<u8>, usize),
    /// The tunnel is open.
    Open,
}

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const NO_LOGIN: u8 = 0;
const WITH_LOGIN: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

impl Socks {
    /// Begins. A name of more than 255 bytes cannot be said.
    pub fn new(
        destination: &Destination<'_>,
        login: Option<Login>,
    ) -> Result<(Socks, Step), String> {
        let mut request = vec![VERSION, CONNECT, 0];
        let port = match destination {
            Destination::Name(name, port) => {
                let length = u8::try_from(name.len())
                    .map_err(|_| "takes names of at most 255 bytes".to_owned())?;
                request.extend([NAME, length]);
                request.extend_from_slice(name.as_bytes());
                *port
            }
            Destination::Address(address) => {
                match address.ip() {
                    IpAddr::V4(ip) => {
                        request.push(IPV4);
                        request.extend(ip.octets());
                    }
                    IpAddr::V6(ip) => {
                        request.push(IPV6);
                        request.extend(ip.octets());
                    }
                }
                address.port()
            }
        };
        request.extend(port.to_be_bytes());
        let greeting = match login {
            Some(_) => vec![VERSION, 2, NO_LOGIN, WITH_LOGIN],
            None => vec![VERSION, 1, NO_LOGIN],
        };
        let state = State::Method;
        let socks = Socks {
            state,
            login,
            request,
        };
        Ok((socks, Step::Go(greeting, 2)))
    }

    /// Takes the bytes that were asked for; an error goes on from the proxy's name.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Step, String> {
        match self.state {
            State::Method => match (bytes, &self.login) {
                ([VERSION, NO_LOGIN], _) => Ok(self.ask()),
                ([VERSION, WITH_LOGIN], Some(login)) => {
                    let mut message = vec![LOGIN_VERSION];
                    for part in [&login.user, &login.password] {
                        message.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
                        message.extend_from_slice(part);
                    }
                    self.state = State::Login;
                    Ok(Step::Go(message, 2))
                }
                ([VERSION, _], Some(_)) => {
                    Err("takes neither a user with password nor nobody in particular".into())
                }
                ([VERSION, _], None) => Err("wants a user and a password".into()),
                _ => Err("does not speak SOCKS 5".into()),
            },
            State::Login => match bytes {
                [_, 0] => Ok(self.ask()),
                _ => Err("does not accept this user and password".into()),
            },
            State::Reply => match bytes {
                [VERSION, 0, _, IPV4] => Ok(self.rest(4 + 2)),
                [VERSION, 0, _, IPV6] => Ok(self.rest(16 + 2)),
                [VERSION, 0, _, NAME] => {
                    self.state = State::Name;
                    Ok(Step::Go(Vec::new(), 1))
                }
                [VERSION, 0, ..] => Err("answered with an address of an unknown kind".into()),
                [VERSION, code, ..] => {
                    Err(format!("answered: {} (SOCKS reply {code})", meaning(*code)))
                }
                _ => Err("does not speak SOCKS 5".into()),
            },
            State::Name => Ok(self.rest(usize::from(bytes.first().copied().unwrap_or(0)) + 2)),
            State::Bound => Ok(Step::Open),
        }
    }

    fn ask(&mut self) -> Step {
        self.state = State::Reply;
        Step::Go(std::mem::take(&mut self.request), 4)
    }

    fn rest(&mut self, length: usize) -> Step {
        self.state = State::Bound;
        Step::Go(Vec::new(), length)
    }
}

/// RFC 1928 § 6.
fn meaning(code: u8) -> &'static str {
    match code {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "timed out on the way (TTL expired)",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "an unknown failure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &str) -> Option<Login> {
        Some(Login {
            user: user.into(),
            password: password.into(),
        })
    }

    #[test]
    fn connect_is_asked_for_as_the_rfc_has_it() {
        let request = connect_request("[::1]:443", login("a", "b:c").as_ref());
        assert_eq!(
            String::from_utf8(request).unwrap(),
            format!(
                "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nUser-Agent: {USER_AGENT}\r\n\
                 Proxy-Authorization: Basic YTpiOmM=\r\n\r\n"
            )
        );
    }

    #[test]
    fn socks_without_a_login_opens_a_tunnel_to_each_kind_of_address() {
        for (destination, request) in [
            (
                Destination::Name("ab", 258),
                &b"\x05\x01\0\x03\x02ab\x01\x02"[..],
            ),
            (
                Destination::Address("1.2.3.4:80".parse().unwrap()),
                b"\x05\x01\0\x01\x01\x02\x03\x04\0\x50",
            ),
            (
                Destination::Address("[::1]:80".parse().unwrap()),
                b"\x05\x01\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50",
            ),
        ] {
            let (mut socks, step) = Socks::new(&destination, None).unwrap();
            assert_eq!(step, Step::Go(vec![5, 1, 0], 2));
            assert_eq!(socks.take(&[5, 0]), Ok(Step::Go(request.to_vec(), 4)));
            assert_eq!(socks.take(&[5, 0, 0, 3]), Ok(Step::Go(vec![], 1)));
            assert_eq!(socks.take(&[9]), Ok(Step::Go(vec![], 11)));
            assert_eq!(socks.take(&[0; 11]), Ok(Step::Open));
        }
        let name = "n".repeat(256);
        assert!(Socks::new(&Destination::Name(&name, 1), None).is_err());
    }

    #[test]
    fn socks_logs_in_where_it_is_asked_to() {
        let destination = Destination::Name("a", 1);
        let (mut socks, step) = Socks::new(&destination, login("me", "")).unwrap();
        assert_eq!(step, Step::Go(vec![5, 2, 0, 2], 2));
        assert_eq!(
            socks.take(&[5, 2]),
            Ok(Step::Go(b"\x01\x02me\0".to_vec(), 2))
        );
        assert!(matches!(socks.take(&[1, 0]), Ok(Step::Go(_, 4))));
        for (kind, length) in [(1, 6), (4, 18)] {
            socks.state = State::Reply;
            assert_eq!(socks.take(&[5, 0, 0, kind]), Ok(Step::Go(vec![], length)));
        }
    }

    #[test]
    fn socks_says_in_words_why_it_fails() {
        let cases: [(&[&[u8]], &str); 9] = [
            (&[b"HT"], "does not speak SOCKS 5"),
            (&[&[4, 0]], "does not speak SOCKS 5"),
            (&[&[5, 0xff]], "takes neither"),
            (&[&[5, 2], &[1, 1]], "does not accept this user"),
            (
                &[&[5, 0], &[5, 2, 0, 1]],
                "not allowed by its rules (SOCKS reply 2)",
            ),
            (&[&[5, 0], &[5, 5, 0, 1]], "connection refused"),
            (
                &[&[5, 0], &[5, 99, 0, 1]],
                "unknown failure (SOCKS reply 99)",
            ),
            (&[&[5, 0], &[5, 0, 0, 9]], "unknown kind"),
            (&[&[5, 0], &[4, 0, 0, 1]], "does not speak SOCKS 5"),
        ];
        for (messages, expected) in cases {
            let (mut socks, _) = Socks::new(&Destination::Name("a", 1), login("u", "p")).unwrap();
            let (last, first) = messages.split_last().unwrap();
            for message in first {
                socks.take(message).unwrap();
            }
            let why = socks.take(last).unwrap_err();
            assert!(why.contains(expected), "{messages:?}: {why}");
        }
        let (mut socks, _) = Socks::new(&Destination::Name("a", 1), None).unwrap();
        assert_eq!(
            socks.take(&[5, 0xff]),
            Err("wants a user and a password".into())
        );
    }
}
