//! Knows how the host's wishes become rustls' configurations, and shares those that are alike.
//! Does not know JSON, or where a connection leads.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, SupportedProtocolVersion};

use super::pem::{Identity, Pem};
use super::verify::Verifier;
use crate::log;

/// What both ends choose.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Common {
    /// The oldest version that is allowed.
    pub min: Version,
    /// The newest.
    pub max: Version,
    /// Cipher suites, the best first; empty: all that rustls has.
    pub ciphers: Vec<String>,
    /// Protocols inside, the best first; empty: nothing is said of them.
    pub alpn: Vec<String>,
}

impl Default for Common {
    fn default() -> Self {
        Common {
            min: Version::V1_2,
            max: Version::V1_3,
            ciphers: Vec::new(),
            alpn: Vec::new(),
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// RFC 5246.
    V1_2,
    /// RFC 8446.
    V1_3,
}

/// Whom a client believes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The authorities of the operating system.
    #[default]
    System,
    /// Everybody: nothing is verified.
    None,
    /// These.
    Given(Pem),
}

/// What a client wishes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientSettings {
    /// Whom it believes.
    pub trust: Trust,
    /// Who it is, if a server asks.
    pub identity: Option<Identity>,
    /// Whether the server's certificate may be any name's.
    pub ignores_name: bool,
    /// The name to ask for and to verify, where it is not the url's.
    pub server_name: Option<String>,
    /// What both ends choose.
    pub common: Common,
}

/// How our clients speak TLS.
#[derive(Clone)]
pub struct ClientConfig {
    pub(super) rustls: Arc<rustls::ClientConfig>,
    pub(super) server_name: Option<String>,
    pub(super) is_verified: bool,
}

/// What makes two configurations the same: the wishes, and the content of their files.
type Key = (ClientSettings, Vec<Vec<u8>>);

/// A configuration holds the tickets with which connections are resumed, and the authorities: clients that wish the same
/// share it as long as one of them lives.
static SHARED: Mutex<Option<HashMap<Key, Weak<rustls::ClientConfig>>>> = Mutex::new(None);

/// The authorities of the system, and when they were read.
static SYSTEM: Mutex<Option<(Instant, Arc<RootCertStore>)>> = Mutex::new(None);
/// How long that is believed to be so: an hour's old authority is no danger, and reading takes milliseconds.
const SYSTEM_AGE: Duration = Duration::from_secs(3600);
/// Servers of which a configuration keeps tickets.
const TICKETS: usize = 32;

impl ClientConfig {
    /// Reads the files. Errors name the option.
    pub fn new(settings: &ClientSettings) -> Result<ClientConfig, String> {
        Ok(ClientConfig {
            rustls: shared(settings)?,
            server_name: settings.server_name.clone(),
            is_verified: settings.trust != Trust::None && !settings.ignores_name,
        })
    }

    /// Whether the server's certificate is verified, its chain and its name.
    pub fn is_verified(&self) -> bool {
        self.is_verified
    }
}

fn shared(settings: &ClientSettings) -> Result<Arc<rustls::ClientConfig>, String> {
    let given = match &settings.trust {
        Trust::Given(pem) => Some(pem),
        _ => None,
    };
    let identity = settings.identity.iter();
    let files = identity
        .flat_map(|identity| [&identity.certificate, &identity.key])
        .chain(given)
        .map(Pem::read)
        .collect::<Result<_, _>>()?;
    let key = (settings.clone(), files);
    let known = |shared: &HashMap<Key, Weak<rustls::ClientConfig>>| shared.get(&key)?.upgrade();
    if let Some(config) = SHARED.lock().as_ref().and_then(known) {
        return Ok(config);
    }
    let config = Arc::new(build(settings)?);
    let mut shared = SHARED.lock();
    let shared = shared.get_or_insert_with(HashMap::new);
    shared.retain(|_, config| config.strong_count() > 0);
    shared.insert(key, Arc::downgrade(&config));
    Ok(config)
}

fn build(settings: &ClientSettings) -> Result<rustls::ClientConfig, String> {
    let provider = provider(&settings.common)?;
    let (roots, given) = match &settings.trust {
        Trust::System => (Some(system()?), Vec::new()),
        Trust::None => (None, Vec::new()),
        Trust::Given(pem) => {
            let (roots, given) = authorities(pem)?;
            (Some(roots), given)
        }
    };
    let chain = roots
        .map(|roots| WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build());
    let verifier = Verifier {
        chain: chain
            .transpose()
            .map_err(|error| format!("caFile: {error}"))?,
        given,
        ignores_name: settings.ignores_name,
        provider: provider.clone(),
    };
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions(&settings.common))
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &settings.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let certified = identity.load(&provider)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
        }
    };
    config.alpn_protocols = alpn(&settings.common);
    config.resumption = Resumption::in_memory_sessions(TICKETS);
    Ok(config)
}

/// Authorities that the host gave.
pub(super) fn authorities(
    pem: &Pem,
) -> Result<(Arc<RootCertStore>, Vec<CertificateDer<'static>>), String> {
    let given = pem.certificates(&pem.read()?)?;
    let mut roots = RootCertStore::empty();
    for certificate in &given {
        roots
            .add(certificate.clone())
            .map_err(|_| pem.problem("a certificate in it cannot be read"))?;
    }
    Ok((Arc::new(roots), given))
}

fn system() -> Result<Arc<RootCertStore>, String> {
    let mut system = SYSTEM.lock();
    if let Some((read, roots)) = &*system {
        if read.elapsed() < SYSTEM_AGE {
            return Ok(roots.clone());
        }
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A store of a hundred has some that nobody can read.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let problems: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let problems = match problems.is_empty() {
            true => "it is empty".to_owned(),
            false => problems.join("; "),
        };
        return Err(format!(
            "caFile: the system's store of authorities cannot be used: {problems}"
        ));
    }
    let roots = Arc::new(roots);
    *system = Some((Instant::now(), roots.clone()));
    // The host's code runs without the lock.
    drop(system);
    for error in found.errors {
        log::warn!("the system's store of authorities: {error}");
    }
    Ok(roots)
}

/// Names of the cipher suites that there are.
pub fn cipher_names() -> Vec<String> {
    let suites = rustls::crypto::ring::ALL_CIPHER_SUITES.iter();
    suites.map(|suite| format!("{:?}", suite.suite())).collect()
}

/// Ring's, with the suites that are wished: never the process's default, which is the host's.
pub(super) fn provider(common: &Common) -> Result<Arc<CryptoProvider>, String> {
    let mut provider = rustls::crypto::ring::default_provider();
    if !common.ciphers.is_empty() {
        let suite = |name: &String| {
            let all = rustls::crypto::ring::ALL_CIPHER_SUITES.iter();
            let mut named = all.filter(|suite| format!("{:?}", suite.suite()) == *name);
            named
                .next()
                .copied()
                .ok_or_else(|| format!("ciphers: \"{name}\" is not known"))
        };
        provider.cipher_suites = common.ciphers.iter().map(suite).collect::<Result<_, _>>()?;
    }
    Ok(Arc::new(provider))
}

pub(super) fn versions(common: &Common) -> Vec<&'static SupportedProtocolVersion> {
    let all = [
        (Version::V1_3, &rustls::version::TLS13),
        (Version::V1_2, &rustls::version::TLS12),
    ];
    let allowed = all
        .into_iter()
        .filter(|(version, _)| (common.min..=common.max).contains(version));
    allowed.map(|(_, version)| version).collect()
}

pub(super) fn unusable(error: rustls::Error) -> String {
    format!("ciphers: none of them is of a version between minVersion and maxVersion ({error})")
}

pub(super) fn alpn(common: &Common) -> Vec<Vec<u8>> {
    let names = common.alpn.iter();
    names.map(|name| name.as_bytes().to_vec()).collect()
}
