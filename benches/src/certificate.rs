//! Knows how to make a certificate for the servers of this run, and a client's settings that trust it.
//! Does not know who uses them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore};

pub struct Certificate {
    directory: PathBuf,
    pub client: Arc<ClientConfig>,
}

impl Certificate {
    pub fn new() -> io::Result<Certificate> {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).map_err(io::Error::other)?;
        let directory = std::env::temp_dir().join(format!("wsplug-bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join("cert.pem"), cert.pem())?;
        std::fs::write(directory.join("key.pem"), signing_key.serialize_pem())?;
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).map_err(io::Error::other)?;
        let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Certificate { directory, client: Arc::new(client) })
    }

    /// What a server is told, as environment variables.
    pub fn task(&self) -> [(&'static str, String); 2] {
        let path = |name: &str| Path::new(&self.directory).join(name).display().to_string();
        [("BENCH_CERT", path("cert.pem")), ("BENCH_KEY", path("key.pem"))]
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
