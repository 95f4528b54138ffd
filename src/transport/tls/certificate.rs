//! Knows what we tell of a certificate: whose it is and when it is valid.
//! Does not know whether it can be trusted.

use std::time::Duration;

use rustls::pki_types::UnixTime;
use x509_cert::Certificate;
use x509_cert::der::{DateTime, Decode};
use x509_cert::time::Time;

/// The facts of a certificate.
pub struct Facts {
    /// As RFC 4514 writes it, the last part first.
    pub subject: String,
    /// From when on it is valid.
    pub not_before: UnixTime,
    /// How long.
    pub not_after: UnixTime,
}

impl Facts {
    /// None if it is not a certificate.
    pub fn of(certificate: &[u8]) -> Option<Facts> {
        let certificate = Certificate::from_der(certificate).ok()?.tbs_certificate;
        let time = |time: Time| UnixTime::since_unix_epoch(time.to_unix_duration());
        Some(Facts {
            subject: certificate.subject.to_string(),
            not_before: time(certificate.validity.not_before),
            not_after: time(certificate.validity.not_after),
        })
    }
}

/// A time as everybody reads it.
pub fn date(time: UnixTime) -> String {
    let since = Duration::from_secs(time.as_secs());
    match DateTime::from_unix_duration(since) {
        Ok(date) => date.to_string().replace('T', " ").replace('Z', " UTC"),
        Err(_) => format!("{} s after 1970", time.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_readable_over_leap_days_and_centuries() {
        let at = |seconds| date(UnixTime::since_unix_epoch(Duration::from_secs(seconds)));
        assert_eq!(at(951_827_696), "2000-02-29 12:34:56 UTC");
        assert_eq!(at(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(at(u64::MAX), "18446744073709551615 s after 1970");
    }

    #[test]
    fn what_is_cut_off_or_not_a_certificate_has_no_facts() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 0x80],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 2, 0x30, 0],
        ] {
            assert!(Facts::of(bytes).is_none());
        }
    }
}
