//! Knows TLS over any stream: handshakes, records, what was agreed.
//! Does not know certificates' files, or what is said inside.

mod certificate;
mod config;
mod layer;
mod pem;
mod reason;
mod records;
mod server;
mod verify;

pub use config::{ClientConfig, ClientSettings, Common, Trust, Version, cipher_names};
pub use layer::Layer;
pub use pem::{Identity, Pem, Source};
pub use server::{ServerConfig, ServerSettings};

use data_encoding::HEXLOWER;
use rustls::pki_types::ServerName;
use rustls::{CommonState, HandshakeKind};

use super::{Link, Stream};
use certificate::Facts;
use records::Session;

/// What was agreed with the peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// "1.2" or "1.3".
    pub version: String,
    /// The cipher suite, as rustls names it.
    pub cipher: String,
    /// The protocol inside, where one was agreed (RFC 7301).
    pub alpn: String,
    /// Whether the peer's certificate was verified: its chain and, of servers, its name.
    pub is_verified: bool,
    /// An earlier connection was resumed: nothing was signed and no certificate was sent.
    pub is_resumed: bool,
    /// The peer's certificate; none of a client that gave none.
    pub peer: Option<Peer>,
}

/// Who the peer's certificate says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its subject, such as "CN=till 7,O=Example".
    pub subject: String,
    /// SHA-256 of the certificate, in hexadecimal.
    pub fingerprint: String,
}

/// Puts TLS over `stream`, which leads to the server `name`.
pub async fn connect(stream: Stream, config: &ClientConfig, name: &str) -> Result<Stream, String> {
    let name = config.server_name.as_deref().unwrap_or(name);
    let server = ServerName::try_from(name.to_owned())
        .map_err(|_| format!("\"{name}\" cannot be a server's name in TLS"))?;
    let session = Session::client(config.rustls.clone(), server).map_err(reason::in_words)?;
    open(stream, session, Vec::new(), config.is_verified).await
}

/// Puts TLS over `stream`, which a client opened. One that speaks HTTP instead is told so.
pub async fn accept(stream: Stream, config: &ServerConfig) -> Result<Stream, String> {
    let mut first = Vec::new();
    let length = stream.read_onto(&mut first).await;
    if length.map_err(|error| error.to_string())? == 0 {
        return Err("the client left before it said anything".into());
    }
    // RFC 8446 § 5.1: TLS begins with a handshake record, 22; every method of HTTP with a capital letter.
    if first[0].is_ascii_uppercase() {
        // Fails where the client has left.
        let _ = stream.write_all(SPEAK_TLS).await;
        stream.shutdown_write();
        stream.discard_until_end().await;
        return Err(
            "plain HTTP was spoken to a port that speaks TLS; use wss:// or https://".into(),
        );
    }
    let session = Session::server(config.current()).map_err(reason::in_words)?;
    open(stream, session, first, config.verifies_clients()).await
}

/// The answer to plain HTTP.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
Content-Length: 57\r\nConnection: close\r\n\r\nthis port speaks TLS; use wss:// (or https:// for files)\n";

async fn open(
    stream: Stream,
    session: Session,
    first: Vec<u8>,
    is_verified: bool,
) -> Result<Stream, String> {
    let peer = stream.peer;
    let layer = Layer::open(stream, session, first, is_verified).await?;
    Ok(Stream {
        link: Link::Tls(Box::new(layer)),
        peer,
    })
}

impl Info {
    fn of(state: &CommonState, is_verified: bool) -> Info {
        let version = match state.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "1.2",
            _ => "1.3",
        };
        let cipher = state.negotiated_cipher_suite();
        let alpn = state.alpn_protocol().unwrap_or_default();
        Info {
            version: version.into(),
            cipher: cipher.map_or(String::new(), |suite| format!("{:?}", suite.suite())),
            alpn: String::from_utf8_lossy(alpn).into_owned(),
            is_verified,
            is_resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
            peer: state.peer_certificates().and_then(<[_]>::first).map(|own| {
                let subject = Facts::of(own).map(|facts| facts.subject);
                Peer {
                    subject: subject.unwrap_or_default(),
                    fingerprint: fingerprint(own),
                }
            }),
        }
    }
}

fn fingerprint(certificate: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    HEXLOWER.encode(digest.as_ref())
}
