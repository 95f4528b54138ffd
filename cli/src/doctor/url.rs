//! Knows how a url is examined: step by step, until one fails.
//! Does not know certificates.

use std::env;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use serde_json::{Value, json};
use wsplug::protocol::proxy::{Choice, Environment, Proxy};
use wsplug::protocol::url::Url;

use super::certificate::Chain;
use super::{Report, file};
use crate::connect::{ended, how_it_ended};
use crate::exit::Trouble;
use crate::library::{Client, Event, Failure, PING};
use crate::reach::{self, Reach};

/// For each address, and for whatever else should come at once.
const PATIENCE: Duration = Duration::from_secs(5);

pub fn examine(text: &str, reach: &Reach, report: &mut Report) -> Result<(), Trouble> {
    let Some(url) = read(text, report) else {
        return Ok(());
    };
    // Compression is offered to see whether it is agreed.
    let own =
        json!({"perMessageDeflate": {"enabled": true}, "fragments": false, "pingInterval": 0});
    let options = reach.options(text, own);
    let client = reach::client(&options)?;
    let secure = url.secure || !options["tls"].is_null();

    let mut chain = None;
    if url.socket.is_none() {
        let proxy = match proxy(&url, reach, report) {
            Ok(proxy) => proxy,
            Err(()) => return Ok(()),
        };
        let (host, port) = match &proxy {
            Some(proxy) => (proxy.host.clone(), proxy.port),
            None => (url.host_to_resolve(), url.port),
        };
        let Some(address) = reached(&host, port, proxy.is_some(), report) else {
            return Ok(());
        };
        if secure && proxy.is_none() {
            let name = reach.server_name.clone().unwrap_or(url.host.clone());
            chain = certificates(address, &name);
        }
    }
    if let Some(chain) = &chain {
        chain.examine(report);
    }
    match client.start(&json!({})) {
        Ok(reply) => opened(client, &url, &reply, reach, report),
        Err(failure) => refused(&url, secure, &failure, chain.as_ref(), report),
    }
    Ok(())
}

fn read(text: &str, report: &mut Report) -> Option<Url> {
    match Url::parse(text) {
        Ok(url) => {
            let told = match &url.socket {
                Some(socket) => format!("Unix socket {socket}, {}", url.target),
                None => format!("host {}, port {}, {}", url.host, url.port, url.target),
            };
            report.good("url", told);
            Some(url)
        }
        Err(problem) => {
            let advice = match text.split_once("://") {
                Some(("http", rest)) => format!("Try ws://{}", without_user(rest)),
                Some(("https", rest)) => format!("Try wss://{}", without_user(rest)),
                None => format!("Try ws://{0} or wss://{0}", without_user(text)),
                _ => "A url looks like wss://example.com:8443/path?query".into(),
            };
            report.wrong("url", problem, &advice);
            None
        }
    }
}

/// What may be shown: there may be a password before the @.
fn without_user(rest: &str) -> &str {
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

/// The proxy that leads to it.
fn proxy(url: &Url, reach: &Reach, report: &mut Report) -> Result<Option<Proxy>, ()> {
    let environment = Environment::read(|name| env::var(name).ok());
    let choice = match reach.proxy.as_str() {
        "none" => Choice::None,
        "system" => Choice::System,
        text => match Proxy::parse(text) {
            Ok(proxy) => Choice::One(proxy),
            // The library has refused it already.
            Err(_) => return Err(()),
        },
    };
    match choice.proxy_for(url, &environment) {
        Ok(None) => Ok(None),
        Ok(Some(proxy)) => {
            let whose = if reach.proxy == "system" {
                "the environment's "
            } else {
                ""
            };
            report.fact("proxy", format!("{whose}{proxy}; the steps to it first"));
            Ok(Some(proxy))
        }
        Err(problem) => {
            report.wrong(
                "proxy",
                problem,
                "Mend that variable, or go without: --proxy none.",
            );
            Err(())
        }
    }
}

/// Looks the name up and connects to each of its addresses; one that works.
fn reached(host: &str, port: u16, is_proxy: bool, report: &mut Report) -> Option<SocketAddr> {
    let step = |name: &'static str| if is_proxy { "proxy" } else { name };
    let began = Instant::now();
    let addresses: Vec<SocketAddr> = match (host, port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            let found = format!("there is no address for {host}: {error}");
            report.wrong(
                step("name"),
                found,
                "Look at the spelling, and at the name server of this machine (getent hosts NAME).",
            );
            return None;
        }
    };
    if host.parse::<std::net::IpAddr>().is_err() {
        let shown: Vec<String> = addresses
            .iter()
            .map(|address| address.ip().to_string())
            .collect();
        let took = began.elapsed().as_millis();
        report.good(
            step("name"),
            format!("{host} is {} ({took} ms)", shown.join(", ")),
        );
    }
    let mut working = None;
    let mut failed = Vec::new();
    for address in addresses {
        let began = Instant::now();
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => {
                report.good(
                    step("tcp"),
                    format!("{address} accepts ({} ms)", began.elapsed().as_millis()),
                );
                working = working.or(Some(address));
            }
            Err(error) => failed.push((address, error)),
        }
    }
    for (address, error) in failed {
        let advice = match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                "Nothing listens there: is the server started, on this port, and on this address rather than on 127.0.0.1 only?"
            }
            io::ErrorKind::TimedOut => "A firewall drops it, or the machine is not there.",
            _ => "This machine has no way to that address.",
        };
        let found = format!("{address}: {error}");
        match working {
            // Others may prefer the address that does not work, and wait for it.
            Some(_) => report.odd(step("tcp"), found, advice),
            None => report.wrong(step("tcp"), found, advice),
        }
    }
    working
}

/// What the server shows in TLS, whether it is to be believed or not; none where it does not speak it.
fn certificates(address: SocketAddr, name: &str) -> Option<Chain> {
    let seen = Arc::new(Seen::default());
    let mut tls = curious(name, seen.clone())?;
    let mut tcp = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    tcp.set_read_timeout(Some(PATIENCE)).ok()?;
    // Whether it succeeds is the library's to say.
    let _ = tls.complete_io(&mut tcp);
    let certificates = seen.0.lock().unwrap_or_else(|e| e.into_inner());
    Chain::of(certificates.iter())
}

/// A TLS client that wants to see certificates.
fn curious(name: &str, seen: Arc<Seen>) -> Option<ClientConnection> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(seen)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).ok()?;
    ClientConnection::new(Arc::new(config), name).ok()
}

/// Looks at the certificates and lets everybody through: nothing is ever sent to them.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<Vec<u8>>>);

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(certificate).chain(chain);
        *self.0.lock().unwrap_or_else(|e| e.into_inner()) = all.map(|one| one.to_vec()).collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = rustls::crypto::ring::default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// It is open: what was agreed, and whether the peer answers.
fn opened(client: Client, url: &Url, reply: &Value, reach: &Reach, report: &mut Report) {
    let info = client.info().unwrap_or_default();
    let tls = &info["tls"];
    if let Some(version) = tls["version"].as_str() {
        let told = format!("TLS {version}, {}", text(&tls["cipher"]));
        match tls["verified"] == true {
            true => report.good("tls", told),
            false => report.odd(
                "tls",
                format!("{told}, not verified"),
                "Leave --insecure out.",
            ),
        }
    }
    if reply["url"] != url.to_string() {
        report.good("redirect", format!("to {}", text(&reply["url"])));
    }
    report.good("upgrade", "the server answered 101");
    if !reach.protocols().is_empty() {
        report.good("protocol", text(&reply["protocol"]));
    }
    match text(&reply["extensions"]) {
        "" => report.fact("compression", "not agreed: messages go as they are"),
        agreed => report.good("compression", agreed),
    }
    let sent = Instant::now();
    let mut answer = client.send(PING, b"doctor").err().map(|_| how_it_ended());
    let mut rtt = None;
    while answer.is_none() && rtt.is_none() {
        let left = PATIENCE.saturating_sub(sent.elapsed());
        match Event::next(Some(left)) {
            Some(event) => match event.what() {
                "pong" if event.data() == b"doctor" => rtt = Some(sent.elapsed()),
                "close" => {
                    answer = Some(format!(
                        "the connection has ended: {}",
                        ended(&event.context())
                    ));
                }
                _ => {}
            },
            None if sent.elapsed() >= PATIENCE => answer = Some("no pong within 5 s".into()),
            None => {}
        }
    }
    if let Some(rtt) = rtt {
        report.good(
            "ping",
            format!("answered in {:.1} ms", rtt.as_secs_f64() * 1000.0),
        );
    }
    if let Some(problem) = answer {
        report.wrong(
            "ping",
            problem,
            "RFC 6455 § 5.5.2 demands a pong. Does something between end connections, or does the server want something first?",
        );
        return;
    }
    let _ = client.stop(&json!({}));
    while let Some(event) = Event::next(Some(Duration::ZERO)) {
        if event.what() == "close" {
            let context = event.context();
            match context["code"] == 1000 {
                true => report.good("close", "the peer answered it"),
                false => {
                    report.odd(
                        "close",
                        ended(&context),
                        "The server does not answer close frames (RFC 6455 § 5.5.1).",
                    );
                }
            }
        }
    }
}

/// It is not: which step it was, in the library's words, and what to do.
fn refused(url: &Url, secure: bool, failure: &Failure, chain: Option<&Chain>, report: &mut Report) {
    let problem = failure.to_string();
    let reply = &failure.reply;
    let header = |name: &str| {
        let headers = reply["headers"].as_object()?;
        let (_, value) = headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        value.as_str()
    };
    match reply["http_status"].as_u64().unwrap_or_default() {
        0 => {}
        101 => {
            let step = if problem.contains("protocol") {
                "protocol"
            } else {
                "upgrade"
            };
            let advice = match step {
                "protocol" => {
                    "Offer a sub-protocol that the server speaks (-s NAME), or none; ask who runs it which."
                }
                _ => {
                    "The server, or a proxy before it, answers the upgrade wrongly (RFC 6455 § 4.2.2): it has to send\n\
                      Upgrade: websocket, Connection: Upgrade and a Sec-WebSocket-Accept made from our key."
                }
            };
            return report.wrong(step, problem, advice);
        }
        status => {
            let challenge = header("WWW-Authenticate");
            let advice = match status == 400 && !secure && speaks_tls(url) {
                true => with_tls(url),
                false => advice_for(status, url, header("Location"), challenge),
            };
            let step = if problem.starts_with("the proxy") {
                "proxy"
            } else {
                "http"
            };
            report.wrong(step, &problem, &advice);
            if let Some(server) = header("Server") {
                report.fact("server", server);
            }
            let body = text(&reply["body"]).trim();
            if !body.is_empty() {
                report.fact("body", body.chars().take(300).collect::<String>());
            }
            return;
        }
    }
    if problem.contains("TLS with") {
        return match chain {
            Some(chain) if is_about_certificates(&problem) => {
                file::believe(&problem, chain, report)
            }
            _ => report.wrong("tls", &problem, advice_for_tls(&problem, url)),
        };
    }
    // Who speaks plainly to a port with TLS gets an alert, or nothing at all.
    if !secure && speaks_tls(url) {
        return report.wrong(
            "http",
            format!("{problem}; but the port speaks TLS"),
            &with_tls(url),
        );
    }
    let advice = match () {
        () if problem.contains("proxy") => {
            "Look at --proxy: its address, scheme, user and password, and whether it may lead to that port."
        }
        () if problem.contains("does not answer the upgrade request") => {
            "Something listens there but says nothing: it is no HTTP server, or it hangs."
        }
        () => {
            "What listens there does not speak HTTP, or not as RFC 9112 has it: is it the right port?"
        }
    };
    report.wrong("http", problem, advice);
}

fn is_about_certificates(problem: &str) -> bool {
    problem.contains("the peer's certificate") || problem.contains("in caFile itself")
}

fn with_tls(url: &Url) -> String {
    format!(
        "The port speaks TLS: use wss://{}{}",
        url.authority(),
        url.target
    )
}

/// Whether a port answers the beginning of a TLS handshake with one.
fn speaks_tls(url: &Url) -> bool {
    let first = || {
        if url.socket.is_some() {
            return None;
        }
        let mut addresses = (url.host_to_resolve(), url.port).to_socket_addrs().ok()?;
        let mut tcp = addresses.find_map(|one| TcpStream::connect_timeout(&one, PATIENCE).ok())?;
        let mut hello = Vec::new();
        curious(&url.host, Arc::default())?
            .write_tls(&mut hello)
            .ok()?;
        let mut first = [0];
        tcp.set_read_timeout(Some(PATIENCE)).ok()?;
        tcp.write_all(&hello).ok()?;
        tcp.read_exact(&mut first).ok()?;
        Some(first[0])
    };
    // RFC 8446 § 5.1: a handshake record begins with 22, an alert with 21.
    matches!(first(), Some(21 | 22))
}

fn advice_for(status: u64, url: &Url, location: Option<&str>, challenge: Option<&str>) -> String {
    match status {
        200..=299 => format!(
            "A web server answers at {} as if it were a page: the path is not that of a WebSocket, or a proxy before it\n\
             does not pass on the headers Upgrade and Connection (nginx: proxy_http_version 1.1; proxy_set_header Upgrade\n\
             $http_upgrade; proxy_set_header Connection \"upgrade\").",
            url.target
        ),
        300..=399 => format!(
            "The server is elsewhere: {}. Use that url, or follow redirects (--follow; option followRedirects).",
            location.unwrap_or("it does not say where")
        ),
        400 => "The server does not like the request. A proxy may have dropped Upgrade, Connection or the Sec-WebSocket-\n\
                headers; or the server wants a sub-protocol (-s NAME).".into(),
        401 => format!(
            "Say who you are: --auth basic:USER:PASSWORD or --auth bearer:TOKEN{}.",
            challenge.map_or(String::new(), |asked| format!(" (the server asks for {asked})"))
        ),
        403 => "The server does not let us in: an address, an origin (-H 'Origin: https://…'), a token or a cookie (-H) may be missing."
            .into(),
        404 | 410 => format!("There is nothing at {}: is the path right?", url.target),
        405 => "What is at this path takes no GET: it is no WebSocket.".into(),
        407 => "The proxy wants a user and a password: --proxy http://user:password@host:port.".into(),
        426 => "The server did not see an upgrade (a proxy dropped the headers Upgrade and Connection), or wants another version\n\
                of the protocol than 13.".into(),
        429 => "Too many requests: try again later, and less often.".into(),
        502 | 504 => "A proxy or balancer answers, and the server behind it does not: start that, or mend the proxy's target.".into(),
        503 => "The server is there but takes nobody now: it is full, starting, or being stopped.".into(),
        500..=599 => "The server fails: its log says why.".into(),
        _ => String::new(),
    }
}

fn advice_for_tls(problem: &str, url: &Url) -> &'static str {
    match () {
        () if problem.contains("is not TLS") => {
            "The port speaks no TLS: use ws:// instead of wss://, or another port."
        }
        () if problem.contains("no version of TLS") => {
            "The server speaks TLS 1.1 or older only, which is broken: let it speak 1.2 or 1.3."
        }
        () if problem.contains("wants a client certificate") => {
            "Give ours: --cert FILE --key FILE (options certFile and keyFile of tls)."
        }
        () if problem.contains("our certificate") => {
            "The server does not take our certificate; see --cert and --key."
        }
        () if problem.contains("server name") => {
            "The server knows no such name: see --server-name."
        }
        () if url.port == 80 => "Port 80 usually speaks no TLS: use ws://, or the port 443.",
        () => "",
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
