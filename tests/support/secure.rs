//! Adversaries that speak TLS, with a plain socket of theirs in reach.
//! Does not know what they are up to.
#![allow(dead_code)] // Each test binary uses a part of it.

use crate::adversary::{Frame, request};
use crate::certs::{Certs, Pair};
use crate::host::WATCHDOG;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

pub type Client = StreamOwned<ClientConnection, TcpStream>;
pub type Server = StreamOwned<ServerConnection, TcpStream>;

pub fn client_config(certs: &Certs) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(&certs.authority.cert).unwrap();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

pub fn server_config(pair: &Pair) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(&pair.cert).unwrap();
    let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = builder.with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![certificate], key).unwrap())
}

pub fn tcp(port: u16) -> TcpStream {
    let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    ready(tcp)
}

fn ready(tcp: TcpStream) -> TcpStream {
    tcp.set_nodelay(true).unwrap();
    tcp.set_read_timeout(Some(WATCHDOG)).unwrap();
    tcp
}

/// A TLS client, not upgraded.
pub fn connect(port: u16, config: &Arc<ClientConfig>) -> Client {
    let name = "localhost".try_into().unwrap();
    let connection = ClientConnection::new(config.clone(), name).unwrap();
    StreamOwned::new(connection, tcp(port))
}

/// A WebSocket client over TLS.
pub fn upgraded(port: u16, config: &Arc<ClientConfig>) -> Client {
    let mut client = connect(port, config);
    client.write_all(request("").as_bytes()).unwrap();
    let head = head(&mut client);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client
}

/// A WebSocket server over TLS, of one connection.
pub fn accept(listener: &TcpListener, config: &Arc<ServerConfig>) -> Server {
    let tcp = ready(listener.accept().unwrap().0);
    let connection = ServerConnection::new(config.clone()).unwrap();
    let mut server = StreamOwned::new(connection, tcp);
    let head = head(&mut server);
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        .unwrap();
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    server.write_all(answer.as_bytes()).unwrap();
    server
}

/// Up to the empty line, and not a byte further.
pub fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// The next frame of the other end, which is no longer than 64 KiB.
pub fn frame(stream: &mut impl Read) -> Frame {
    let mut start = [0; 2];
    stream.read_exact(&mut start).unwrap();
    let mut length = u64::from(start[1] & 0x7f);
    let more = match length {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if more > 0 {
        let mut bytes = [0; 8];
        stream.read_exact(&mut bytes[8 - more..]).unwrap();
        length = u64::from_be_bytes(bytes);
    }
    let mut key = [0; 4];
    if start[1] & 0x80 != 0 {
        stream.read_exact(&mut key).unwrap();
    }
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).unwrap();
    for (at, byte) in payload.iter_mut().enumerate() {
        *byte ^= key[at % 4];
    }
    Frame::new(start[0] & 15, payload)
}

/// Gone with a RST.
pub fn reset(tcp: &TcpStream) {
    let socket = socket2::SockRef::from(tcp);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}
