//! Knows who may connect at all: tokens, and users with passwords or their hashes.
//! Does not know when hashes are computed.

use data_encoding::BASE64;
use subtle::ConstantTimeEq;

use crate::protocol::head::{Headers, Refusal, shown};

/// Who may connect. Not `Debug`: secrets stay out of logs.
#[derive(Clone, Default)]
pub struct Auth {
    /// Tokens, any of which will do.
    pub bearer: Vec<String>,
    /// Names and passwords.
    pub basic: Vec<(String, Password)>,
}

/// What a user's password is compared with.
#[derive(Clone)]
pub enum Password {
    /// The password.
    Plain(String),
    /// Its hash, in the PHC format.
    Argon2(String),
    /// Its hash, as `$2b$…`.
    Bcrypt(String),
}

impl Password {
    /// A hash is known by its beginning.
    pub fn read(text: &str) -> Result<Password, String> {
        if text.starts_with("$argon2") {
            let hash = argon2::PasswordHash::new(text).map_err(|error| error.to_string())?;
            let known = argon2::Algorithm::try_from(hash.algorithm).is_ok();
            let params = argon2::Params::try_from(&hash).is_ok();
            return match known && params && hash.salt.is_some() && hash.hash.is_some() {
                true => Ok(Password::Argon2(text.to_owned())),
                false => Err("it is not a whole hash of argon2".into()),
            };
        }
        if ["$2a$", "$2b$", "$2x$", "$2y$"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            return match text.parse::<bcrypt::HashParts>() {
                Ok(_) => Ok(Password::Bcrypt(text.to_owned())),
                Err(error) => Err(error.to_string()),
            };
        }
        Ok(Password::Plain(text.to_owned()))
    }

    /// The hash, if it is one.
    pub fn hash(&self) -> Option<&str> {
        match self {
            Password::Plain(_) => None,
            Password::Argon2(hash) | Password::Bcrypt(hash) => Some(hash),
        }
    }

    /// Compares. With a hash this takes as long as whoever made it wished: not on a network thread.
    pub fn is(&self, given: &str) -> bool {
        match self {
            Password::Plain(password) => is_same_secret(given, password),
            Password::Argon2(hash) => argon2::PasswordHash::new(hash).is_ok_and(|hash| {
                use argon2::PasswordVerifier;
                argon2::Argon2::default()
                    .verify_password(given.as_bytes(), &hash)
                    .is_ok()
            }),
            Password::Bcrypt(hash) => bcrypt::verify(given, hash).unwrap_or(false),
        }
    }
}

/// What is known at once.
pub enum Known {
    /// May connect.
    Fits,
    /// May not.
    Refused(Refusal),
    /// The hash will tell.
    Unsure(Credentials),
}

/// What a hash is computed from.
pub struct Credentials {
    pub user: String,
    pub given: String,
    pub password: Password,
    /// The user exists. Otherwise the hash is another's, so that the time does not tell.
    pub is_known: bool,
    /// The answer where it does not fit.
    pub refusal: Refusal,
}

impl Auth {
    /// Whether each entry can be sent by a client at all.
    pub fn check(&self) -> Result<(), String> {
        let is_sendable =
            |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !self.bearer.iter().all(is_sendable) {
            return Err("a bearer token must be visible ASCII characters, at least one".into());
        }
        // RFC 7617 § 2: the first colon ends the name.
        match self.basic.iter().find(|(user, _)| user.contains(':')) {
            Some((user, _)) => Err(format!("the user name {} contains a colon", shown(user))),
            None => Ok(()),
        }
    }

    /// Checks the Authorization header; without entries everyone may connect.
    pub fn examine(&self, headers: &Headers) -> Known {
        if self.bearer.is_empty() && self.basic.is_empty() {
            return Known::Fits;
        }
        let mut given = headers.all("Authorization");
        let (first, second) = (given.next(), given.next());
        if second.is_some() {
            let message = "there is more than one Authorization header";
            return Known::Refused(Refusal::new(400, message).because("auth"));
        }
        let (scheme, secret) = first
            .and_then(|text| text.split_once(' '))
            .unwrap_or_default();
        let secret = secret.trim_start_matches(' ');
        let refusal = self.refusal(match first {
            None => "the Authorization header is missing",
            Some(_) => "the Authorization header does not fit",
        });
        if scheme.eq_ignore_ascii_case("Bearer") {
            // Every entry is compared, whichever fits: the time tells nothing.
            let fits = self
                .bearer
                .iter()
                .fold(false, |fits, token| fits | is_same_secret(secret, token));
            return match fits {
                true => Known::Fits,
                false => Known::Refused(refusal),
            };
        }
        let credentials = match scheme.eq_ignore_ascii_case("Basic") {
            true => decode(secret),
            false => None,
        };
        let Some((user, given)) = credentials else {
            return Known::Refused(refusal);
        };
        let mut fits = false;
        let mut hashed = None;
        for (name, password) in &self.basic {
            let is_user = is_same_secret(&user, name);
            match password {
                Password::Plain(plain) => fits |= is_user & is_same_secret(&given, plain),
                hash if is_user || hashed.is_none() => hashed = Some((hash, is_user)),
                _ => {}
            }
        }
        match hashed {
            _ if fits => Known::Fits,
            None => Known::Refused(refusal),
            Some((password, is_known)) => Known::Unsure(Credentials {
                user,
                given,
                password: password.clone(),
                is_known,
                refusal,
            }),
        }
    }

    fn refusal(&self, message: &str) -> Refusal {
        let mut refusal = Refusal::new(401, message).because("auth");
        if !self.bearer.is_empty() {
            refusal = refusal.with("WWW-Authenticate", "Bearer");
        }
        if !self.basic.is_empty() {
            refusal = refusal.with(
                "WWW-Authenticate",
                "Basic realm=\"wsplug\", charset=\"UTF-8\"",
            );
        }
        refusal
    }
}

/// RFC 7617 § 2: name and password, with the first colon between them.
fn decode(secret: &str) -> Option<(String, String)> {
    let decoded = BASE64.decode(secret.trim_end().as_bytes()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Takes as long for a near miss as for a wild guess; only the lengths can be told apart.
fn is_same_secret(given: &str, expected: &str) -> bool {
    given.as_bytes().ct_eq(expected.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARGON2: &str = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$";

    fn auth() -> Auth {
        let bcrypt = bcrypt::hash("bcrypt's", 4).unwrap();
        Auth {
            bearer: vec!["tok.en".into(), "other".into()],
            basic: vec![
                ("ann".into(), Password::read("se:cret").unwrap()),
                ("empty".into(), Password::read("").unwrap()),
                ("bea".into(), Password::read(&bcrypt).unwrap()),
            ],
        }
    }

    fn known(value: &str) -> Known {
        let headers = Headers(vec![("authorization".into(), value.into())]);
        auth().examine(&headers)
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", BASE64.encode(pair.as_bytes()))
    }

    #[test]
    fn tokens_and_plain_passwords_are_known_at_once() {
        for fits in [
            "Bearer tok.en",
            "bearer  other",
            &basic("ann:se:cret"),
            &basic("empty:"),
        ] {
            assert!(matches!(known(fits), Known::Fits), "{fits}");
        }
        for not in [
            "Bearer tok.e",
            "Bearer tok.enn",
            "Bearer",
            "Bearer ",
            "Basic",
            "Basic !",
            "tok.en",
            "Digest tok.en",
        ] {
            assert!(
                matches!(known(not), Known::Refused(refusal) if refusal.status == 401),
                "{not}"
            );
        }
        assert!(matches!(
            Auth::default().examine(&Headers::default()),
            Known::Fits
        ));
    }

    #[test]
    fn a_hash_is_left_for_later_and_tells_no_one_which_users_there_are() {
        let Known::Unsure(bea) = known(&basic("bea:bcrypt's")) else {
            panic!("bea has a hash");
        };
        assert!(bea.is_known && bea.password.is(&bea.given) && !bea.password.is("another"));
        let Known::Unsure(nobody) = known(&basic("nobody:bcrypt's")) else {
            panic!("strangers take as long");
        };
        assert!(!nobody.is_known);
    }

    #[test]
    fn hashes_that_cannot_be_used_are_refused_when_they_are_given() {
        for wrong in [
            "$argon2id$",
            ARGON2,
            "$argon2x$v=19$m=64,t=1,p=1$c2FsdA$aGFzaA",
            "$2b$",
            "$2b$10$short",
        ] {
            assert!(Password::read(wrong).is_err(), "{wrong}");
        }
        assert!(matches!(Password::read("$2 a day"), Ok(Password::Plain(_))));
    }
}
