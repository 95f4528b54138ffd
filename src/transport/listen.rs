//! Knows how to listen on a host's addresses.
//! Does not know what is done with accepted sockets.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, ToSocketAddrs};
use std::task::{Context, Poll};

use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::Stream;

/// Sockets that listen on one port, not yet on a network thread.
pub struct Bound {
    listeners: Vec<StdListener>,
    /// The port, also where 0 was asked for.
    pub port: u16,
}

/// The addresses of `host`, in ascending order.
pub fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let mut addresses: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("cannot resolve host \"{host}\": {error}"))?
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    match addresses.is_empty() {
        true => Err(format!("host \"{host}\" has no address")),
        false => Ok(addresses),
    }
}

/// Listens on `addresses`, which have one port; 0 takes a free one. Errors name the address and the system's reason.
pub fn bind(addresses: &[SocketAddr], backlog: i32, reuse_port: bool) -> Result<Bound, String> {
    let mut bound = Bound {
        listeners: Vec::new(),
        port: addresses.first().map_or(0, SocketAddr::port),
    };
    let mut missing = None;
    for mut address in addresses.iter().copied() {
        // With port 0, the second address takes the port that the first was given.
        address.set_port(bound.port);
        match listen(address, backlog, reuse_port) {
            Ok((listener, real)) => {
                bound.port = real;
                bound.listeners.push(listener);
            }
            // A name such as localhost may have an address that this machine does not.
            Err(error) if is_missing_address(&error) => missing = Some((address, error)),
            Err(error) => return Err(format!("cannot listen on {address}: {error}")),
        }
    }
    match missing {
        Some((address, error)) if bound.listeners.is_empty() => {
            Err(format!("cannot listen on {address}: {error}"))
        }
        _ => Ok(bound),
    }
}

fn is_missing_address(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || error.raw_os_error() == Some(libc_eafnosupport())
}

#[cfg(unix)]
fn libc_eafnosupport() -> i32 {
    libc::EAFNOSUPPORT
}

#[cfg(windows)]
fn libc_eafnosupport() -> i32 {
    10047
}

/// Whether several processes can listen on one port here, each getting a part of the connections.
pub const CAN_REUSE_PORT: bool = cfg!(all(
    unix,
    not(any(
        target_os = "solaris",
        target_os = "illumos",
        target_os = "cygwin"
    ))
));

fn listen(address: SocketAddr, backlog: i32, reuse_port: bool) -> io::Result<(StdListener, u16)> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    // There the same option would let two processes share the port.
    #[cfg(windows)]
    crate::platform::claim_port(&socket)?;
    #[cfg(all(
        unix,
        not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))
    ))]
    socket.set_reuse_port(reuse_port)?;
    #[cfg(not(all(
        unix,
        not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))
    )))]
    let _ = reuse_port;
    if address.is_ipv6() {
        // "::" is both families, as developers expect of "any address"; other addresses are one family anyway.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    let listener = StdListener::from(socket);
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

impl Bound {
    /// Puts the sockets on the network thread that calls.
    pub fn attach(self) -> io::Result<Listener> {
        let listeners = self.listeners.into_iter().map(TcpListener::from_std);
        Ok(Listener {
            listeners: Mutex::new(listeners.collect::<io::Result<_>>()?),
        })
    }
}

/// Sockets that listen.
pub struct Listener {
    listeners: Mutex<Vec<TcpListener>>,
}

impl Listener {
    /// The next connection on any of the addresses.
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        for listener in self.listeners.lock().iter() {
            if let Poll::Ready(result) = listener.poll_accept(context) {
                return Poll::Ready(result.map(|(tcp, peer)| Stream::new(tcp, peer)));
            }
        }
        Poll::Pending
    }

    /// New clients are not heard any more, and ask again a second later: then others, who listen on the same port, hear them.
    /// Those whom the system has begun to connect can still be accepted. Where that cannot be had, nothing is done.
    pub fn turn_away(&self) {
        #[cfg(target_os = "linux")]
        for listener in self.listeners.lock().iter() {
            use socket2::{SockFilter, SockRef};
            // Of a TCP segment's flags SYN and ACK, a new client has set the first alone.
            let only_others = [
                SockFilter::new(0x30, 0, 0, 13),       // load byte 13
                SockFilter::new(0x54, 0, 0, 0x12),     // and SYN | ACK
                SockFilter::new(0x15, 0, 1, 0x02),     // SYN alone?
                SockFilter::new(0x06, 0, 0, 0),        // drop
                SockFilter::new(0x06, 0, 0, u32::MAX), // take
            ];
            if let Err(error) = SockRef::from(listener).attach_filter(&only_others) {
                crate::log::debug!("a listener cannot turn clients away: {error}");
            }
        }
    }

    /// Gives the port back, from any thread and at once.
    pub fn close(&self) {
        self.listeners.lock().clear();
    }
}
