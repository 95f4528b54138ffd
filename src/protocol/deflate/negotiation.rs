//! Knows what of permessage-deflate is offered, answered and agreed (RFC 7692 § 5, § 7.1).
//! Does not know how anything is compressed.

use super::{Agreed, Wishes};
use crate::protocol::upgrade::Extension;

const NAME: &str = "permessage-deflate";
const SERVER_NO_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

/// The parameters of one offer or answer, as far as they can be read. None: unknown, twice, or out of range.
#[derive(Default)]
struct Parameters {
    server_no_takeover: bool,
    client_no_takeover: bool,
    server_bits: Option<u8>,
    /// With or without a value.
    client_bits: Option<Option<u8>>,
}

impl Parameters {
    fn read(extension: &Extension) -> Result<Parameters, String> {
        let mut found = Parameters::default();
        for (name, value) in &extension.params {
            let bits = || match value.as_deref() {
                // RFC 7692 § 7.1.2.1: a decimal integer without leading zeroes.
                Some(text @ ("8" | "9" | "10" | "11" | "12" | "13" | "14" | "15")) => {
                    text.parse::<u8>().map_err(|error| error.to_string())
                }
                Some(other) => Err(format!("{name}={other} is not from 8 to 15")),
                None => Err(format!("{name} has no value")),
            };
            let flag = |is_known: &mut bool| match value {
                Some(_) => Err(format!("{name} has a value")),
                None if *is_known => Err(format!("{name} is there twice")),
                None => {
                    *is_known = true;
                    Ok(())
                }
            };
            match name.as_str() {
                SERVER_NO_TAKEOVER => flag(&mut found.server_no_takeover)?,
                CLIENT_NO_TAKEOVER => flag(&mut found.client_no_takeover)?,
                SERVER_BITS if found.server_bits.is_none() => found.server_bits = Some(bits()?),
                CLIENT_BITS if found.client_bits.is_none() => {
                    let bits = value.as_ref().map(|_| bits()).transpose()?;
                    found.client_bits = Some(bits);
                }
                SERVER_BITS | CLIENT_BITS => return Err(format!("{name} is there twice")),
                other => return Err(format!("{other} is unknown")),
            }
        }
        Ok(found)
    }
}

impl Wishes {
    /// What a client offers.
    pub fn offer(&self) -> String {
        let mut offer = NAME.to_owned();
        match self.client_max_window_bits {
            15 => offer.push_str("; client_max_window_bits"),
            bits => offer.push_str(&format!("; {CLIENT_BITS}={bits}")),
        }
        if self.server_max_window_bits < 15 {
            offer.push_str(&format!("; {SERVER_BITS}={}", self.server_max_window_bits));
        }
        for (is_wished, name) in [
            (self.server_no_context_takeover, SERVER_NO_TAKEOVER),
            (self.client_no_context_takeover, CLIENT_NO_TAKEOVER),
        ] {
            if is_wished {
                offer.push_str("; ");
                offer.push_str(name);
            }
        }
        offer
    }

    /// A server's choice among a client's offers: the first that it can accept (RFC 7692 § 5.1), with the answer.
    pub fn choose(&self, offers: &[Extension]) -> Option<(Agreed, String)> {
        offers
            .iter()
            .filter(|offer| offer.name.eq_ignore_ascii_case(NAME))
            .filter_map(|offer| Parameters::read(offer).ok())
            .map(|offer| self.answer(&offer))
            .next()
    }

    fn answer(&self, offer: &Parameters) -> (Agreed, String) {
        let own_bits = self.server_max_window_bits;
        let agreed = Agreed {
            server_no_context_takeover: self.server_no_context_takeover || offer.server_no_takeover,
            client_no_context_takeover: self.client_no_context_takeover || offer.client_no_takeover,
            server_max_window_bits: offer.server_bits.unwrap_or(15).min(own_bits),
            // § 7.1.2.2: a client that did not offer it cannot be told.
            client_max_window_bits: offer.client_bits.map_or(15, |offered| {
                offered.unwrap_or(15).min(self.client_max_window_bits)
            }),
        };
        let mut answer = NAME.to_owned();
        for (is_agreed, name) in [
            (agreed.server_no_context_takeover, SERVER_NO_TAKEOVER),
            (agreed.client_no_context_takeover, CLIENT_NO_TAKEOVER),
        ] {
            if is_agreed {
                answer.push_str("; ");
                answer.push_str(name);
            }
        }
        if offer.server_bits.is_some() || agreed.server_max_window_bits < 15 {
            answer.push_str(&format!(
                "; {SERVER_BITS}={}",
                agreed.server_max_window_bits
            ));
        }
        if agreed.client_max_window_bits < 15 {
            answer.push_str(&format!(
                "; {CLIENT_BITS}={}",
                agreed.client_max_window_bits
            ));
        }
        (agreed, answer)
    }

    /// A client's reading of the server's answer: what was agreed, nothing, or why the connection must fail
    /// (RFC 7692 § 5.2, § 7.1).
    pub fn check_answer(&self, answers: &[Extension]) -> Result<Option<Agreed>, String> {
        let Some(answer) = answers.first() else {
            return Ok(None);
        };
        let wrong = |problem: String| format!("the server's answer to {NAME} is wrong: {problem}");
        let found = Parameters::read(answer).map_err(wrong)?;
        if self.server_no_context_takeover && !found.server_no_takeover {
            return Err(wrong(format!(
                "{SERVER_NO_TAKEOVER} was asked for and is missing"
            )));
        }
        let server_bits = match (found.server_bits, self.server_max_window_bits) {
            (None, 15) => 15,
            (Some(bits), most) if bits <= most => bits,
            (Some(bits), most) => {
                return Err(wrong(format!(
                    "{SERVER_BITS}={bits}, at most {most} was asked for"
                )));
            }
            (None, _) => return Err(wrong(format!("{SERVER_BITS} was asked for and is missing"))),
        };
        let client_bits = match found.client_bits {
            None => self.client_max_window_bits,
            Some(Some(bits)) if bits <= self.client_max_window_bits => bits,
            Some(Some(bits)) => {
                let most = self.client_max_window_bits;
                return Err(wrong(format!("{CLIENT_BITS}={bits}, {most} was offered")));
            }
            Some(None) => return Err(wrong(format!("{CLIENT_BITS} has no value"))),
        };
        Ok(Some(Agreed {
            server_no_context_takeover: found.server_no_takeover,
            client_no_context_takeover: found.client_no_takeover || self.client_no_context_takeover,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{WISHES, extensions};
    use super::*;

    #[test]
    fn a_server_answers_what_rfc_7692_allows_and_declines_the_rest() {
        let table = [
            ("permessage-deflate", Some("permessage-deflate")),
            (
                "permessage-deflate; client_max_window_bits",
                Some("permessage-deflate"),
            ),
            (
                "permessage-deflate; client_max_window_bits=10",
                Some("permessage-deflate; client_max_window_bits=10"),
            ),
            (
                "permessage-deflate; server_max_window_bits=8",
                Some("permessage-deflate; server_max_window_bits=8"),
            ),
            (
                "permessage-deflate; server_max_window_bits=\"12\"",
                Some("permessage-deflate; server_max_window_bits=12"),
            ),
            (
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
            ),
            (
                "permessage-deflate; server_max_window_bits=7, permessage-deflate",
                Some("permessage-deflate"),
            ),
            ("x-other, permessage-deflate", Some("permessage-deflate")),
            ("permessage-deflate; server_max_window_bits", None),
            ("permessage-deflate; server_max_window_bits=0", None),
            ("permessage-deflate; server_max_window_bits=16", None),
            ("permessage-deflate; server_max_window_bits=-1", None),
            ("permessage-deflate; server_max_window_bits=08", None),
            (
                "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
                None,
            ),
            ("permessage-deflate; client_max_window_bits=7", None),
            (
                "permessage-deflate; client_max_window_bits; client_max_window_bits",
                None,
            ),
            ("permessage-deflate; server_no_context_takeover=1", None),
            (
                "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
                None,
            ),
            ("permessage-deflate; unknown", None),
            ("x-webkit-deflate-frame", None),
            ("permessage-bzip2", None),
        ];
        for (offer, expected) in table {
            let answer = WISHES.choose(&extensions(offer)).map(|(_, answer)| answer);
            assert_eq!(answer.as_deref(), expected, "{offer}");
        }
        let narrow = Wishes {
            server_max_window_bits: 9,
            client_max_window_bits: 10,
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            ..WISHES
        };
        let (agreed, answer) = narrow
            .choose(&extensions("permessage-deflate; client_max_window_bits=12"))
            .unwrap();
        assert_eq!(
            answer,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=9; client_max_window_bits=10"
        );
        assert_eq!(
            (agreed.server_max_window_bits, agreed.client_max_window_bits),
            (9, 10)
        );
        // A client that did not offer it cannot be told to use a small window.
        let (agreed, _) = narrow.choose(&extensions("permessage-deflate")).unwrap();
        assert_eq!(agreed.client_max_window_bits, 15);
    }

    #[test]
    fn a_client_refuses_an_answer_that_breaks_its_offer() {
        let asking = Wishes {
            server_no_context_takeover: true,
            server_max_window_bits: 10,
            client_max_window_bits: 11,
            ..WISHES
        };
        assert_eq!(
            asking.offer(),
            "permessage-deflate; client_max_window_bits=11; server_max_window_bits=10; \
             server_no_context_takeover"
        );
        let good = "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; \
                    client_max_window_bits=8";
        let agreed = asking.check_answer(&extensions(good)).unwrap().unwrap();
        assert_eq!(
            (agreed.server_max_window_bits, agreed.client_max_window_bits),
            (9, 8)
        );
        assert_eq!(asking.check_answer(&[]), Ok(None));
        let bad = [
            (
                "permessage-deflate; server_max_window_bits=10",
                "server_no_context_takeover",
            ),
            (
                "permessage-deflate; server_no_context_takeover",
                "server_max_window_bits",
            ),
            (
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
                "at most 10",
            ),
            (
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; \
                 client_max_window_bits=12",
                "11 was offered",
            ),
            (
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; \
                 client_max_window_bits",
                "no value",
            ),
            ("permessage-deflate; foo", "unknown"),
        ];
        for (answer, expected) in bad {
            let error = asking.check_answer(&extensions(answer)).unwrap_err();
            assert!(error.contains(expected), "{answer}: {error}");
        }
    }
}
