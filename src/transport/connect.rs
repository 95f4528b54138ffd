//! Knows how to reach a host name: all of its addresses, IPv6 and IPv4 racing (RFC 8305).
//! Does not know deadlines: the caller drops the attempt.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Stream;

/// RFC 8305 § 5: how long one address may be silent before the next is tried beside it.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to the first of the addresses of `host` that answers. Errors name every address that was tried.
pub async fn connect(host: &str, mut addresses: VecDeque<SocketAddr>) -> Result<Stream, String> {
    let mut attempts = JoinSet::new();
    let mut failures = Vec::new();
    loop {
        if let Some(address) = addresses.pop_front() {
            attempts.spawn(async move { (address, TcpStream::connect(address).await) });
        }
        let delay = tokio::time::sleep(ATTEMPT_DELAY);
        tokio::select! {
            biased;
            Some(done) = attempts.join_next() => match done {
                Ok((address, Ok(tcp))) => return Ok(Stream::new(tcp, address)),
                Ok((address, Err(error))) => failures.push(format!("{address}: {error}")),
                Err(error) => failures.push(error.to_string()),
            },
            () = delay, if !addresses.is_empty() => {}
        }
        if attempts.is_empty() && addresses.is_empty() {
            let failures = failures.join("; ");
            return Err(format!("cannot connect to \"{host}\": {failures}"));
        }
    }
}

/// Connects to a Unix socket.
#[cfg(unix)]
pub async fn connect_unix(path: &str) -> Result<Stream, String> {
    let connected = async {
        let socket = tokio::net::UnixStream::connect(path).await?.into_std()?;
        // Readiness, reads and writes are the same system calls for every kind of stream socket.
        TcpStream::from_std(std::os::fd::OwnedFd::from(socket).into())
    };
    match connected.await {
        Ok(socket) => Ok(Stream::new(socket, SocketAddr::from(([0, 0, 0, 0], 0)))),
        Err(error) => Err(format!("cannot connect to the socket \"{path}\": {error}")),
    }
}

/// Connects to a Unix socket.
#[cfg(not(unix))]
pub async fn connect_unix(path: &str) -> Result<Stream, String> {
    Err(format!(
        "cannot connect to the socket \"{path}\": this system has none"
    ))
}

/// The addresses of a name, the families taking turns (RFC 8305 § 4).
pub async fn resolve(host: &str, port: u16) -> Result<VecDeque<SocketAddr>, String> {
    let name = host.to_owned();
    // getaddrinfo blocks; its thread is the runtime's, and the caller's deadline does not wait for it.
    let found: io::Result<Vec<SocketAddr>> = match host.parse() {
        Ok(ip) => Ok(vec![SocketAddr::new(ip, port)]),
        Err(_) => tokio::task::spawn_blocking(move || {
            (name.as_str(), port)
                .to_socket_addrs()
                .map(Iterator::collect)
        })
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error))),
    };
    let found = found.map_err(|error| format!("cannot resolve \"{host}\": {error}"))?;
    let Some(first) = found.first().copied() else {
        return Err(format!("\"{host}\" has no address"));
    };
    let (mut own, mut other): (VecDeque<_>, VecDeque<_>) = found
        .into_iter()
        .partition(|address| address.is_ipv6() == first.is_ipv6());
    let mut addresses = VecDeque::new();
    while !own.is_empty() || !other.is_empty() {
        addresses.extend(own.pop_front());
        addresses.extend(other.pop_front());
    }
    Ok(addresses)
}
