//! Knows how certificates and keys are read, from files and from texts.
//! Does not know what they are for.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::CertifiedKey;

use super::certificate::{Facts, date};
use super::reason;

/// PEM, and the option that gives it, for errors.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pem {
    /// The option's name.
    pub option: String,
    /// Where it is.
    pub source: Source,
}

/// Where PEM is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// In a file.
    File(PathBuf),
    /// Here.
    Text(String),
}

/// A certificate, with its chain, and its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The certificate first, then those that signed it.
    pub certificate: Pem,
    /// PKCS#8, PKCS#1 or SEC1.
    pub key: Pem,
}

impl Pem {
    /// What the host gave: a text if it has the mark of PEM, else a path.
    pub fn new(option: &str, given: &str) -> Pem {
        Pem {
            option: option.to_owned(),
            source: match given.contains("-----BEGIN") {
                true => Source::Text(given.to_owned()),
                false => Source::File(given.into()),
            },
        }
    }

    /// When its file was changed last, and its length; none of a text, or of a file that is not there.
    pub fn stamp(&self) -> Option<(SystemTime, u64)> {
        match &self.source {
            Source::File(path) => {
                let data = fs::metadata(path).ok()?;
                Some((data.modified().ok()?, data.len()))
            }
            Source::Text(_) => None,
        }
    }

    /// The PEM's text.
    pub fn read(&self) -> Result<Vec<u8>, String> {
        match &self.source {
            Source::File(path) => fs::read(path).map_err(|error| {
                let option = &self.option;
                format!("{option}: cannot read \"{}\": {error}", path.display())
            }),
            Source::Text(text) => Ok(text.clone().into_bytes()),
        }
    }

    /// A problem with what it holds.
    pub fn problem(&self, problem: impl std::fmt::Display) -> String {
        match &self.source {
            Source::File(path) => format!("{}: \"{}\": {problem}", self.option, path.display()),
            Source::Text(_) => format!("{}: the text given: {problem}", self.option),
        }
    }

    /// The certificates; at least one.
    pub fn certificates(&self, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
        match found {
            Ok(certificates) if certificates.is_empty() => {
                Err(self.problem("there is no certificate (BEGIN CERTIFICATE) in it"))
            }
            Ok(certificates) => Ok(certificates),
            Err(error) => Err(self.problem(format!("not proper PEM: {error}"))),
        }
    }

    fn key(&self, text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
        let encrypted = [
            &b"BEGIN ENCRYPTED PRIVATE KEY"[..],
            b"Proc-Type: 4,ENCRYPTED",
        ];
        let contains = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
        if encrypted.into_iter().any(contains) {
            return Err(self.problem(
                "the key is encrypted; decrypt it first (openssl pkey -in key.pem -out plain.pem)",
            ));
        }
        match PrivateKeyDer::pem_slice_iter(text).next() {
            Some(Ok(key)) => Ok(key),
            Some(Err(error)) => Err(self.problem(format!("not proper PEM: {error}"))),
            None => Err(self.problem(
                "there is no key (BEGIN PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY) in it",
            )),
        }
    }
}

impl Identity {
    /// The certificate with its key, which belong together, now.
    pub fn load(&self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, String> {
        let chain = self.certificate.certificates(&self.certificate.read()?)?;
        let key = self.key.key(&self.key.read()?)?;
        let facts = Facts::of(&chain[0])
            .ok_or_else(|| self.certificate.problem("the certificate cannot be read"))?;
        let now = UnixTime::now();
        if now > facts.not_after {
            let since = date(facts.not_after);
            return Err(self
                .certificate
                .problem(format!("the certificate expired at {since}")));
        }
        if now < facts.not_before {
            let from = date(facts.not_before);
            return Err(self
                .certificate
                .problem(format!("the certificate is not valid before {from}")));
        }
        CertifiedKey::from_der(chain, key, provider)
            .map(Arc::new)
            .map_err(|error| self.key.problem(reason::in_words(error)))
    }
}
