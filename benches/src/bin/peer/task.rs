//! What the runner asks for, in environment variables.

use std::error::Error;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub struct Deflate {
    /// None: the library's.
    pub level: Option<u32>,
    pub keeps_context: bool,
}

pub fn role() -> String {
    get("ROLE").unwrap_or("echo".into())
}

pub fn number(name: &str) -> usize {
    get(name).and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("BENCH_{name} is a number"))
}

pub fn deflate() -> Option<Deflate> {
    let level = get("DEFLATE")?;
    Some(Deflate { level: level.parse().ok(), keeps_context: number("TAKEOVER") != 0 })
}

pub fn tls() -> Result<Option<TlsAcceptor>, Box<dyn Error + Send + Sync>> {
    let (Some(certificate), Some(key)) = (get("CERT"), get("KEY")) else { return Ok(None) };
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

fn get(name: &str) -> Option<String> {
    std::env::var(format!("BENCH_{name}")).ok()
}
