//! Knows what goes wrong in TLS, in words that say what to mend.
//! Does not know whom to tell.

use rustls::{AlertDescription, CertificateError, Error, InconsistentKeys, PeerIncompatible};

use super::certificate::date;

/// What went wrong.
pub fn in_words(error: Error) -> String {
    match &error {
        Error::InvalidCertificate(problem) => certificate(problem),
        Error::NoCertificatesPresented => "the client gave no certificate".into(),
        Error::AlertReceived(alert) => alert_in_words(*alert),
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the key does not belong to the certificate".into()
        }
        Error::InvalidMessage(_) => format!("what the peer sends is not TLS ({error})"),
        Error::PeerIncompatible(
            PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => format!("the peer speaks no version of TLS that is allowed here ({error})"),
        Error::DecryptError => "what the peer sent was damaged or forged on its way".into(),
        _ => error.to_string(),
    }
}

fn certificate(problem: &CertificateError) -> String {
    match problem {
        CertificateError::ExpiredContext { not_after, .. } => {
            let since = date(*not_after);
            format!("the peer's certificate expired at {since}")
        }
        CertificateError::Expired => "the peer's certificate has expired".into(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            let from = date(*not_before);
            format!("the peer's certificate is not valid before {from}")
        }
        CertificateError::NotValidYet => "the peer's certificate is not valid yet".into(),
        CertificateError::UnknownIssuer => {
            "the peer's certificate is from an unknown authority, which caFile can name".into()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let asked = expected.to_str();
            match presented.is_empty() {
                true => format!("the peer's certificate is for no name, not for \"{asked}\""),
                false => {
                    let names: Vec<&str> = presented.iter().map(|name| plain(name)).collect();
                    let names = names.join(", ");
                    format!("the peer's certificate is for {names}, not for \"{asked}\"")
                }
            }
        }
        CertificateError::NotValidForName => "the peer's certificate is for another name".into(),
        CertificateError::Revoked => "the peer's certificate was revoked".into(),
        CertificateError::BadSignature => "a signature of the peer's certificate is wrong".into(),
        CertificateError::BadEncoding => "the peer's certificate cannot be read".into(),
        CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
            "the peer uses an authority's own certificate, which has to be in caFile itself".into()
        }
        other => format!("the peer's certificate cannot be accepted: {other}"),
    }
}

/// `DnsName("a.example")` as rustls writes it, without the wrapping.
fn plain(name: &str) -> &str {
    let inside = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(name).trim_matches('"')
}

fn alert_in_words(alert: AlertDescription) -> String {
    let meaning = match alert {
        AlertDescription::CertificateRequired => "it wants a client certificate (certFile)",
        AlertDescription::UnknownCA => "it does not know the authority of our certificate",
        AlertDescription::BadCertificate => "it does not accept our certificate",
        AlertDescription::CertificateExpired => "our certificate has expired",
        AlertDescription::CertificateUnknown => "it does not accept our certificate",
        AlertDescription::CertificateRevoked => "our certificate was revoked",
        AlertDescription::UnsupportedCertificate => "it cannot use our certificate",
        AlertDescription::ProtocolVersion => "it speaks no version of TLS that is allowed here",
        AlertDescription::HandshakeFailure => {
            "no cipher suite, key or certificate suits both of us"
        }
        AlertDescription::InsufficientSecurity => "it wants a stronger cipher suite",
        AlertDescription::NoApplicationProtocol => "it speaks none of the protocols in alpn",
        AlertDescription::UnrecognisedName => "it does not know the server name that we asked for",
        _ => "it does not say more",
    };
    format!("the peer ended TLS with the alert {alert:?}: {meaning}")
}
