//! Knows when a server's certificate is believed.
//! Does not know where authorities come from.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::certificate::Facts;

/// The host's choice of what to verify.
#[derive(Debug)]
pub struct Verifier {
    /// None: every certificate is believed.
    pub chain: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates that the host gave: each is believed itself, be it an authority's or a server's own.
    pub given: Vec<CertificateDer<'static>>,
    /// Whether it may be any name's.
    pub ignores_name: bool,
    pub provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn verify_name(&self, end: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
        match self.ignores_name {
            true => Ok(()),
            false => verify_server_name(&ParsedCertificate::try_from(end)?, name),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        if self.given.iter().any(|given| given == end) {
            check_time(end, now)?;
            self.verify_name(end, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        match chain.verify_server_cert(end, between, name, ocsp, now) {
            // The chain is verified before the name.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.ignores_name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn check_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let facts = Facts::of(certificate).ok_or(CertificateError::BadEncoding)?;
    let (not_before, not_after) = (facts.not_before, facts.not_after);
    if now < not_before {
        let time = now;
        return Err(CertificateError::NotValidYetContext { time, not_before }.into());
    }
    if now > not_after {
        let time = now;
        return Err(CertificateError::ExpiredContext { time, not_after }.into());
    }
    Ok(())
}
