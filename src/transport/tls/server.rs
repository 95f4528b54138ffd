//! Knows how servers speak TLS: which certificate is whose, and when its file has changed.
//! Does not know which server.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;

use super::config::{Common, alpn, authorities, provider, unusable, versions};
use super::pem::{Identity, Pem};
use crate::log;

/// How often at most the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What a server wishes.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSettings {
    /// Who it is: the first that suits the name that a client asks for, else the first.
    pub identities: Vec<Identity>,
    /// The authorities of clients, which then have to give a certificate.
    pub client_authorities: Option<Pem>,
    /// What both ends choose.
    pub common: Common,
}

/// How a server speaks TLS. What its files say anew holds for the handshakes that come after.
#[derive(Clone)]
pub struct ServerConfig(Arc<Shared>);

/// Whether the wishes are the same.
impl PartialEq for ServerConfig {
    fn eq(&self, other: &ServerConfig) -> bool {
        self.0.settings == other.0.settings
    }
}

struct Shared {
    settings: ServerSettings,
    current: Mutex<Current>,
    is_looking: AtomicBool,
}

struct Current {
    rustls: Arc<rustls::ServerConfig>,
    /// What the files were when they were last read, well or not.
    stamps: Vec<Stamp>,
    looked: Instant,
}

type Stamp = Option<(SystemTime, u64)>;

impl ServerConfig {
    /// Reads the files. Errors name the option.
    pub fn new(settings: ServerSettings) -> Result<ServerConfig, String> {
        let stamps = settings.stamps();
        let rustls = Arc::new(settings.build()?);
        Ok(ServerConfig(Arc::new(Shared {
            settings,
            current: Mutex::new(Current {
                rustls,
                stamps,
                looked: Instant::now(),
            }),
            is_looking: AtomicBool::new(false),
        })))
    }

    /// Whether clients have to give a certificate.
    pub fn verifies_clients(&self) -> bool {
        self.0.settings.client_authorities.is_some()
    }

    /// What holds now. Looks at the files from time to time, on another thread: this handshake does not wait for it.
    pub(super) fn current(&self) -> Arc<rustls::ServerConfig> {
        let current = self.0.current.lock();
        if current.looked.elapsed() >= LOOK && !self.0.is_looking.swap(true, SeqCst) {
            let shared = self.0.clone();
            tokio::task::spawn_blocking(move || {
                shared.look();
                shared.is_looking.store(false, SeqCst);
            });
        }
        current.rustls.clone()
    }
}

impl Shared {
    fn look(&self) {
        let stamps = self.settings.stamps();
        if self.current.lock().stamps != stamps {
            match self.settings.build() {
                Ok(rustls) => {
                    self.current.lock().rustls = Arc::new(rustls);
                    log::info!("tls: the changed certificates are in use");
                }
                // Tried again when they change again.
                Err(problem) => {
                    log::error!("tls: the certificates before the change stay in use: {problem}");
                }
            }
        }
        let mut current = self.current.lock();
        current.stamps = stamps;
        current.looked = Instant::now();
    }
}

impl ServerSettings {
    fn stamps(&self) -> Vec<Stamp> {
        let identities = self.identities.iter();
        identities
            .flat_map(|identity| [&identity.certificate, &identity.key])
            .chain(&self.client_authorities)
            .map(Pem::stamp)
            .collect()
    }

    fn build(&self) -> Result<rustls::ServerConfig, String> {
        let provider = provider(&self.common)?;
        let identities = self
            .identities
            .iter()
            .map(|identity| identity.load(&provider))
            .collect::<Result<_, _>>()?;
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions(&self.common))
            .map_err(unusable)?;
        let builder = match &self.client_authorities {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let (roots, _) = authorities(pem)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| pem.problem(error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(Identities(identities)));
        config.alpn_protocols = alpn(&self.common);
        Ok(config)
    }
}

/// The certificates of a server.
struct Identities(Vec<Arc<CertifiedKey>>);

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificates", self.0.len())
    }
}

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let suits = |own: &&Arc<CertifiedKey>| own.key.choose_scheme(schemes).is_some();
        let name = hello.server_name().map(str::to_owned);
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let named = name.and_then(|name| {
            let mut named = self.0.iter().filter(|own| is_for(own, &name));
            named.find(suits)
        });
        named.or_else(|| self.0.iter().find(suits)).cloned()
    }
}

fn is_for(own: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = own.cert.first().map(ParsedCertificate::try_from);
    matches!(certificate, Some(Ok(certificate)) if verify_server_name(&certificate, name).is_ok())
}
