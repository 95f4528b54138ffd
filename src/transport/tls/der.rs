//! Knows where a certificate's subject and its time of validity stand (RFC 5280 § 4.1).
//! Does not know whether it can be trusted.

use std::fmt::Write;

/// What we tell of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// As RFC 4514 writes it, the last part first.
    pub subject: String,
    /// Seconds since 1970.
    pub not_before: i64,
    /// The same.
    pub not_after: i64,
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1e;
const LATIN_STRING: u8 = 0x14;
const EXPLICIT_0: u8 = 0xa0;

/// The facts of a certificate; none if it is not one.
pub fn facts(certificate: &[u8]) -> Option<Facts> {
    let mut certificate = Der(Der(certificate).take(SEQUENCE)?);
    let mut fields = Der(certificate.take(SEQUENCE)?);
    if fields.0.first() == Some(&EXPLICIT_0) {
        fields.next()?;
    }
    fields.take(INTEGER)?;
    let _algorithm = fields.take(SEQUENCE)?;
    let _issuer = fields.take(SEQUENCE)?;
    let mut validity = Der(fields.take(SEQUENCE)?);
    Some(Facts {
        not_before: validity.time()?,
        not_after: validity.time()?,
        subject: name(fields.take(SEQUENCE)?)?,
    })
}

/// One value after the other, of Distinguished Encoding Rules.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value's tag and content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, short], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match short {
            0..=0x7f => (usize::from(short), rest),
            0x81..=0x84 => {
                let (length, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
                let length = length
                    .iter()
                    .fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()
            .filter(|(found, _)| *found == tag)
            .map(|(_, content)| content)
    }

    /// Seconds since 1970.
    fn time(&mut self) -> Option<i64> {
        let (tag, text) = self.next()?;
        let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (year, rest) = match tag {
            UTC_TIME => {
                let year: i64 = text.get(..2)?.parse().ok()?;
                // RFC 5280 § 4.1.2.5.1.
                (year + if year < 50 { 2000 } else { 1900 }, text.get(2..)?)
            }
            GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
            _ => return None,
        };
        let two = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
        let days = days_from_civil(year, two(0)?, two(2)?);
        Some(((days * 24 + two(4)?) * 60 + two(6)?) * 60 + two(8)?)
    }
}

/// A distinguished name as text (RFC 4514).
fn name(sequence: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    let mut sets = Der(sequence);
    while !sets.0.is_empty() {
        let mut values = Vec::new();
        let mut set = Der(sets.take(SET)?);
        while !set.0.is_empty() {
            let mut pair = Der(set.take(SEQUENCE)?);
            let kind = kind(pair.take(OID)?);
            let (tag, value) = pair.next()?;
            values.push(format!("{kind}={}", escaped(&text(tag, value))));
        }
        parts.push(values.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

fn kind(oid: &[u8]) -> String {
    let short = match oid {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 5] => "serialNumber",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1] => "UID",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress",
        _ => return dotted(oid),
    };
    short.into()
}

fn dotted(oid: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number = 0_u64;
    for byte in oid {
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    let first = numbers.first().copied().unwrap_or_default();
    let top = (first / 40).min(2);
    let rest = numbers
        .iter()
        .skip(1)
        .map(|number| format!(".{number}"))
        .collect::<String>();
    format!("{top}.{}{rest}", first - top * 40)
}

fn text(tag: u8, value: &[u8]) -> String {
    match tag {
        BMP_STRING => {
            let units: Vec<u16> = value
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            String::from_utf16_lossy(&units)
        }
        LATIN_STRING => value.iter().map(|byte| char::from(*byte)).collect(),
        _ => String::from_utf8_lossy(value).into_owned(),
    }
}

/// RFC 4514 § 2.4; control characters too, so that nobody can write a second line into a log.
fn escaped(value: &str) -> String {
    let mut out = String::new();
    let last = value.chars().count().saturating_sub(1);
    for (at, letter) in value.chars().enumerate() {
        let at_edge = (at == 0 && matches!(letter, ' ' | '#')) || (at == last && letter == ' ');
        if letter.is_control() {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                let _ = write!(out, "\\{byte:02x}");
            }
            continue;
        }
        if at_edge || matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// A time as text, in UTC.
pub fn date(seconds: i64) -> String {
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Days since 1970, of the Gregorian calendar. Years begin in March, so that the day that is sometimes missing is the last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways_over_leap_days_and_centuries() {
        for (year, month, day, days) in [
            (1970, 1, 1, 0),
            (2000, 2, 29, 11_016),
            (2000, 3, 1, 11_017),
            (2100, 3, 1, 47_541),
            (1969, 12, 31, -1),
        ] {
            assert_eq!(days_from_civil(year, month, day), days);
            assert_eq!(civil_from_days(days), (year, month, day));
        }
        assert_eq!(date(951_827_696), "2000-02-29 12:34:56 UTC");
    }

    #[test]
    fn names_are_written_from_the_last_part_and_cannot_break_out_of_it() {
        // SEQUENCE { SET { O = "A, B" }, SET { CN = "x\ny" } }
        let parts = [
            &[0x31, 13, 0x30, 11, 0x06, 3, 0x55, 4, 10, 0x0c, 4][..],
            b"A, B",
            &[0x31, 12, 0x30, 10, 0x06, 3, 0x55, 4, 3, 0x0c, 3],
            b"x\ny",
        ];
        assert_eq!(name(&parts.concat()).unwrap(), "CN=x\\0ay,O=A\\, B");
        assert_eq!(kind(&[0x2a, 0x03, 0x84, 0x01]), "1.2.3.513");
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
            assert_eq!(facts(bytes), None);
        }
    }
}
