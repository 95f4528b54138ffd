//! Knows how to reach the server of a URL: directly, over a Unix socket, or through a proxy, and then in TLS.
//! Does not know what is then said to the server.

use std::io::{self, IoSliceMut};
use std::net::IpAddr;

use parking_lot::Mutex;

use super::answer;
use super::handshake::{Failure, Target};
use crate::protocol::head::{HeadScanner, Limits, Response};
use crate::protocol::proxy::{Proxy, Scheme};
use crate::protocol::tunnel::{self, Destination, Socks, Step};
use crate::protocol::url::Url;
use crate::transport::{self, Stream, tls};

/// How far an opening has come, for whoever gives up on it.
#[derive(Default)]
pub struct Progress(Mutex<String>);

impl Progress {
    /// What is being waited for from now on.
    pub fn is(&self, phase: impl Into<String>) {
        *self.0.lock() = phase.into();
    }

    /// What was being waited for.
    pub fn phase(&self) -> String {
        self.0.lock().clone()
    }
}

/// A connection to the server.
pub struct Dialled {
    pub stream: Stream,
    /// Who is at the other end, for messages.
    pub peer: String,
}

/// Connects to the server of `url`; away from the origin that the host meant, as nobody in particular.
pub async fn dial(
    target: &Target,
    url: &Url,
    is_at_home: bool,
    progress: &Progress,
) -> Result<Dialled, Failure> {
    let dialled = link(target, url, progress).await?;
    if !url.secure {
        return Ok(dialled);
    }
    progress.is("it does not answer in TLS");
    let config = match &target.tls {
        Some(config) if is_at_home => config.clone(),
        _ => config_of(elsewhere(&target.tls_wishes)).await?,
    };
    let host = &url.host;
    let secured = tls::connect(dialled.stream, &config, host).await;
    Ok(Dialled {
        stream: secured.map_err(|problem| format!("TLS with \"{host}\": {problem}"))?,
        ..dialled
    })
}

/// Neither the client's certificate nor the name to ask for is meant for anybody but the server of the url.
fn elsewhere(wishes: &tls::ClientSettings) -> tls::ClientSettings {
    tls::ClientSettings {
        identity: None,
        server_name: None,
        ..wishes.clone()
    }
}

/// A proxy is always verified; by the authorities that the host named, if it did.
fn for_proxies(wishes: &tls::ClientSettings) -> tls::ClientSettings {
    tls::ClientSettings {
        trust: match &wishes.trust {
            tls::Trust::None => tls::Trust::System,
            trust => trust.clone(),
        },
        ..tls::ClientSettings::default()
    }
}

/// Reading authorities takes a while.
async fn config_of(settings: tls::ClientSettings) -> Result<tls::ClientConfig, String> {
    tokio::task::spawn_blocking(move || tls::ClientConfig::new(&settings))
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
}

/// The way to the server, without TLS.
async fn link(target: &Target, url: &Url, progress: &Progress) -> Result<Dialled, Failure> {
    if let Some(path) = &url.socket {
        progress.is("its socket does not accept");
        let stream = transport::connect_unix(path).await?;
        let peer = path.clone();
        return Ok(Dialled { stream, peer });
    }
    let Some(proxy) = target.proxy.proxy_for(url, &target.environment)? else {
        progress.is("its name is still being looked up");
        let addresses = transport::resolve(&url.host_to_resolve(), url.port).await?;
        progress.is("no address of it answers");
        let stream = transport::connect(&url.host, addresses).await?;
        let peer = stream.peer().to_string();
        return Ok(Dialled { stream, peer });
    };
    let stream = match proxy.scheme {
        Scheme::Http | Scheme::Https => {
            let stream = reach(target, &proxy, progress).await?;
            connect(&stream, &proxy, url, &target.head).await?;
            stream
        }
        Scheme::Socks5h => {
            let destination = match url.host.parse::<IpAddr>() {
                Ok(ip) => Destination::Address((ip, url.port).into()),
                Err(_) => Destination::Name(&url.host, url.port),
            };
            socks(target, &proxy, &destination, progress).await?
        }
        Scheme::Socks5 => {
            progress.is("its name is still being looked up");
            let addresses = transport::resolve(&url.host_to_resolve(), url.port).await?;
            let mut failure = Failure::from(String::new());
            let mut found = None;
            // The proxy may reach one family only.
            for address in addresses {
                match socks(target, &proxy, &Destination::Address(address), progress).await {
                    Ok(stream) => {
                        found = Some(stream);
                        break;
                    }
                    Err(why) => failure = why,
                }
            }
            found.ok_or(failure)?
        }
    };
    Ok(Dialled {
        stream,
        peer: format!("{} behind the proxy {proxy}", url.authority()),
    })
}

/// Connects to the proxy itself.
async fn reach(target: &Target, proxy: &Proxy, progress: &Progress) -> Result<Stream, Failure> {
    progress.is(format!(
        "the name of the proxy {proxy} is still being looked up"
    ));
    let named = |problem: String| format!("proxy {proxy}: {problem}");
    let addresses = transport::resolve(&proxy.host, proxy.port)
        .await
        .map_err(named)?;
    progress.is(format!("no address of the proxy {proxy} answers"));
    let mut stream = transport::connect(&proxy.host, addresses)
        .await
        .map_err(named)?;
    if proxy.scheme == Scheme::Https {
        progress.is(format!("the proxy {proxy} does not answer in TLS"));
        let config = config_of(for_proxies(&target.tls_wishes)).await?;
        let secured = tls::connect(stream, &config, &proxy.host).await;
        stream = secured.map_err(|problem| format!("TLS with the proxy {proxy}: {problem}"))?;
    }
    progress.is(format!("the proxy {proxy} does not answer"));
    Ok(stream)
}

/// HTTP CONNECT.
async fn connect(
    stream: &Stream,
    proxy: &Proxy,
    url: &Url,
    limits: &Limits,
) -> Result<(), Failure> {
    let authority = url.authority();
    let request = tunnel::connect_request(&authority, proxy.login.as_ref());
    stream
        .write_all(&request)
        .await
        .map_err(|error| lost(proxy, &error))?;
    let response = read_head(stream, proxy, limits).await?;
    let checked = tunnel::check_connect(&response, &authority, proxy.login.is_some());
    match checked {
        Ok(()) => Ok(()),
        Err(problem) => Err(Failure {
            reason: format!("the proxy {proxy} {problem}"),
            answer: Some(Box::new(answer::read(stream, response, Vec::new()).await)),
        }),
    }
}

/// The proxy's answer, and not a byte more: what follows comes out of the tunnel.
async fn read_head(stream: &Stream, proxy: &Proxy, limits: &Limits) -> Result<Response, Failure> {
    let whose = format!("the proxy {proxy}");
    let mut bytes = Vec::new();
    let mut scanner = HeadScanner::default();
    loop {
        let mut byte = [0];
        read_exactly(stream, &mut byte)
            .await
            .map_err(|error| lost(proxy, &error))?;
        bytes.extend(byte);
        if let Some((response, _)) = scanner.proxy_response(&whose, &bytes, limits)? {
            // RFC 9110 § 15.2: an interim answer says nothing yet.
            if !response.is_interim() {
                return Ok(response);
            }
            bytes.clear();
            scanner = HeadScanner::default();
        }
    }
}

/// SOCKS 5.
async fn socks(
    target: &Target,
    proxy: &Proxy,
    destination: &Destination<'_>,
    progress: &Progress,
) -> Result<Stream, Failure> {
    let stream = reach(target, proxy, progress).await?;
    let named = |problem: String| format!("the proxy {proxy} {problem}");
    let (mut socks, mut step) = Socks::new(destination, proxy.login.clone()).map_err(named)?;
    while let Step::Go(message, length) = step {
        let mut bytes = vec![0; length];
        stream
            .write_all(&message)
            .await
            .map_err(|error| lost(proxy, &error))?;
        read_exactly(&stream, &mut bytes)
            .await
            .map_err(|error| lost(proxy, &error))?;
        step = socks.take(&bytes).map_err(named)?;
    }
    Ok(stream)
}

fn lost(proxy: &Proxy, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            format!("the proxy {proxy} ended the connection before its answer was complete")
        }
        _ => format!("the proxy {proxy}: {error}"),
    }
}

async fn read_exactly(stream: &Stream, mut room: &mut [u8]) -> io::Result<()> {
    while !room.is_empty() {
        let length =
            std::future::poll_fn(|context| stream.poll_read(context, &mut [IoSliceMut::new(room)]))
                .await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        room = &mut room[length..];
    }
    Ok(())
}
