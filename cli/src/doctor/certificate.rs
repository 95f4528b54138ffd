//! Knows how to read a chain of certificates: whose they are, until when, and whether they belong together.
//! Does not know whether anybody believes them: the library tells that.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AuthorityInfoAccessSyntax, SubjectAltName};

use super::Report;

/// Certificates that end sooner are told.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// A chain: the certificate itself first.
pub struct Chain(Vec<Certificate>);

impl Chain {
    /// None if there is none, or if one cannot be read.
    pub fn of<T: AsRef<[u8]>>(certificates: impl IntoIterator<Item = T>) -> Option<Chain> {
        let read = |bytes: T| Certificate::from_der(bytes.as_ref()).ok();
        let certificates: Option<Vec<Certificate>> = certificates.into_iter().map(read).collect();
        certificates.filter(|all| !all.is_empty()).map(Chain)
    }

    /// What is in it, and what is wrong with it by itself.
    pub fn examine(&self, report: &mut Report) {
        let first = &self.0[0];
        let subject = first.tbs_certificate.subject.to_string();
        report.fact(
            "certificate",
            format!("{subject}, from {}", first.tbs_certificate.issuer),
        );
        match self.names() {
            names if names.is_empty() => report.wrong(
                "names",
                "the certificate has no subject alternative names: it is for nobody",
                "Get one that names the host; the common name does not count any more.",
            ),
            names => report.fact("names", names.join(", ")),
        }
        for (place, certificate) in self.0.iter().enumerate() {
            examine_dates(place, certificate, report);
        }
        for pair in self.0.windows(2) {
            if pair[0].tbs_certificate.issuer != pair[1].tbs_certificate.subject {
                report.odd(
                    "chain",
                    format!(
                        "{} was not signed by the next one, {}",
                        pair[0].tbs_certificate.subject, pair[1].tbs_certificate.subject
                    ),
                    "The certificate comes first, then the one that signed it, and so on.",
                );
            }
        }
    }

    /// The names and addresses it is for.
    pub fn names(&self) -> Vec<String> {
        let Some(SubjectAltName(names)) = extension(&self.0[0]) else {
            return Vec::new();
        };
        let shown = |name: &GeneralName| match name {
            GeneralName::DnsName(name) => Some(name.to_string()),
            GeneralName::IpAddress(address) => {
                let bytes = address.as_bytes();
                let four = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
                let six = <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from);
                four.or(six).ok().map(|address| address.to_string())
            }
            _ => None,
        };
        names.iter().filter_map(shown).collect()
    }

    /// What the chain's end says about an authority that nobody knows: what is missing, and what to do.
    pub fn unknown_authority(&self) -> (String, String) {
        let last = &self.0[self.0.len() - 1].tbs_certificate;
        let issuer = &last.issuer;
        if last.subject == last.issuer {
            let who = match self.0.len() {
                1 => "the certificate has signed itself".to_owned(),
                _ => format!("the chain ends at {issuer}, which this machine does not know"),
            };
            return (
                who,
                "If it is meant to be so, name it: --ca FILE (option caFile of tls).".into(),
            );
        }
        let found = match self.0.len() {
            1 => format!(
                "the server sends its own certificate only, not that of {issuer}, which signed it"
            ),
            _ => format!(
                "the chain ends at one from {issuer}, which is not in it and not known here"
            ),
        };
        let mut advice = format!(
            "If {issuer} is an intermediate authority, its certificate is missing: let the server send the whole\n\
             chain (certFile has the certificate first, then those that signed it; \"fullchain.pem\" of Let's Encrypt).\n"
        );
        if let Some(url) = self.issuer_url() {
            advice += &format!("It can be had from {url}\n");
        }
        advice += "If it is an authority of your own, name it: --ca FILE (option caFile of tls).";
        (found, advice)
    }

    /// Where the last one says that its issuer's certificate is.
    fn issuer_url(&self) -> Option<String> {
        let AuthorityInfoAccessSyntax(places) = extension(self.0.last()?)?;
        places
            .iter()
            .find_map(|place| match &place.access_location {
                // id-ad-caIssuers, RFC 5280 § 4.2.2.1
                GeneralName::UniformResourceIdentifier(url)
                    if place.access_method.to_string() == "1.3.6.1.5.5.7.48.2" =>
                {
                    Some(url.to_string())
                }
                _ => None,
            })
    }
}

fn examine_dates(place: usize, certificate: &Certificate, report: &mut Report) {
    let validity = &certificate.tbs_certificate.validity;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let (from, until) = (
        validity.not_before.to_unix_duration(),
        validity.not_after.to_unix_duration(),
    );
    let whose = match place {
        0 => "it".to_owned(),
        _ => format!("{} in the chain", certificate.tbs_certificate.subject),
    };
    let days = |time: Duration| time.as_secs() / (24 * 3600);
    if now > until {
        let found = format!(
            "{whose} expired {} days ago, {}",
            days(now - until),
            validity.not_after
        );
        report.wrong(
            "dates",
            found,
            "Renew the certificate, and have whatever renews it do so in time.",
        );
    } else if now < from {
        let found = format!("{whose} is not valid before {}", validity.not_before);
        report.wrong(
            "dates",
            found,
            "Look at the clocks of both machines; else wait, or get another certificate.",
        );
    } else if until - now < SOON {
        let found = format!(
            "{whose} ends in {} days, {}",
            days(until - now),
            validity.not_after
        );
        report.odd("dates", found, "Renew it.");
    } else if place == 0 {
        report.good(
            "dates",
            format!(
                "valid for {} more days, until {}",
                days(until - now),
                validity.not_after
            ),
        );
    }
}

fn extension<'a, T: Decode<'a> + AssociatedOid>(certificate: &'a Certificate) -> Option<T> {
    let extensions = certificate.tbs_certificate.extensions.as_ref()?;
    let found = extensions
        .iter()
        .find(|extension| extension.extn_id == T::OID)?;
    T::from_der(found.extn_value.as_bytes()).ok()
}
