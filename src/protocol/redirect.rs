//! Where a redirect leads: a Location header, seen from the URL that was asked for.
//! Knows nothing of what was asked there, nor of credentials that may go along.

use super::head::{Response, shown};
use super::url::{Url, encode_target};

/// The Location of an answer that sends a GET elsewhere (RFC 9110 § 15.4).
pub fn location(response: &Response) -> Option<&str> {
    match response.status {
        301 | 302 | 303 | 307 | 308 => response.headers.get("Location"),
        _ => None,
    }
}

/// The URL that `location` means. http and https stand for ws and wss; a name and password in it are not taken over.
pub fn follow(base: &Url, location: &str) -> Result<Url, String> {
    let mut next = resolve(base, location)
        .map_err(|problem| format!("the server redirects to {}: {problem}", shown(location)))?;
    next.userinfo = match next.has_origin_of(base) {
        true => base.userinfo.clone(),
        false => None,
    };
    if base.secure && !next.secure {
        return Err(format!(
            "the server redirects from wss to {}, which is not encrypted; that is not followed",
            shown(&next.to_string())
        ));
    }
    Ok(next)
}

/// RFC 3986 § 5.2.2.
fn resolve(base: &Url, location: &str) -> Result<Url, String> {
    let reference = location.split('#').next().unwrap_or_default();
    if reference.is_empty() {
        return Err("that is no address".into());
    }
    // Servers write spaces; browsers understand them.
    let reference = reference.replace(' ', "%20");
    if let Some((scheme, rest)) = split_scheme(&reference) {
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => false,
            "https" | "wss" => true,
            _ => return Err("only http, https, ws and wss are followed".into()),
        };
        return match rest.strip_prefix("//") {
            Some(rest) => absolute(secure, rest),
            None => Err("there is no // behind the scheme".into()),
        };
    }
    if let Some(rest) = reference.strip_prefix("//") {
        return absolute(base.secure, rest);
    }
    let path = base.target.split('?').next().unwrap_or_default();
    let joined = if reference.starts_with('/') {
        reference
    } else if reference.starts_with('?') {
        format!("{path}{reference}")
    } else {
        let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
        format!("{folder}{reference}")
    };
    let target = encode_target(&without_dots(&joined), 0)?;
    Ok(Url {
        target,
        ..base.clone()
    })
}

fn split_scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

fn absolute(secure: bool, rest: &str) -> Result<Url, String> {
    let scheme = if secure { "wss" } else { "ws" };
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let path = without_dots(path);
    Url::parse(&format!("{scheme}://{host}{path}{query}"))
}

/// RFC 3986 § 5.2.4; the query stays as it is.
fn without_dots(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    match kept.is_empty() {
        true => query.to_owned(),
        false => format!("/{}{query}", kept.join("/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved() {
        for (base, location, expected) in [
            ("ws://a/b/c?d", "/x", "ws://a/x"),
            ("ws://a/b/c?d", "x", "ws://a/b/x"),
            ("ws://a/b/c?d", "?x=/..", "ws://a/b/c?x=/.."),
            ("ws://a/b/c?d", "../x?y", "ws://a/x?y"),
            ("ws://a/b/c?d", "../../../x", "ws://a/x"),
            ("ws://a/b/c?d", "./", "ws://a/b/"),
            ("ws://a/b/c?d", "..", "ws://a/"),
            ("ws://a/b/c?d", "/x/./y/../z", "ws://a/x/z"),
            ("ws://a/b/c?d", "/x//y", "ws://a/x//y"),
            ("ws://a/b/c?d", "x:y", ""),
            ("ws://a/b/c?d", "./x:y", "ws://a/b/x:y"),
            ("ws://a/b/c?d", "//h/x", "ws://h/x"),
            ("wss://a/b/c?d", "//h:444/x", "wss://h:444/x"),
            ("ws://a/b/c?d", "http://h/x", "ws://h/x"),
            ("ws://a/b/c?d", "HTTPS://H/x", "wss://h/x"),
            ("ws://a/b/c?d", "wss://h?x", "wss://h/?x"),
            ("ws://a/b/c?d", "http://h/a/../b", "ws://h/b"),
            ("ws://a/b/c?d", "http://u:p@h/x", "ws://h/x"),
            ("ws://a/b/c?d", "http://u@v@h/x", "ws://h/x"),
            ("ws://a/b/c?d", "/x y#z", "ws://a/x%20y"),
            ("ws://a/b/c?d", "http://h/x y", "ws://h/x%20y"),
            ("ws://a/b/c?d", "/\u{e9}", "ws://a/%C3%A9"),
            ("ws://a/", "x", "ws://a/x"),
            ("ws+unix:/s:/b/c", "x", "ws+unix:/s:/b/x"),
            ("ws+unix:/s:/b/c", "ws://h/x", "ws://h/x"),
        ] {
            let base = Url::parse(base).expect(base);
            match follow(&base, location) {
                Ok(url) => assert_eq!(url.to_string(), expected, "{location}"),
                Err(why) => assert_eq!(expected, "", "{location}: {why}"),
            }
        }
    }

    #[test]
    fn locations_that_lead_nowhere_are_refused_with_a_reason() {
        for (location, reason) in [
            ("", "no address"),
            ("#x", "no address"),
            ("ftp://a/", "only http"),
            ("javascript:alert(1)", "only http"),
            ("ws+unix:/run/x:/", "only http"),
            ("http:/x", "no //"),
            ("http://", "host is empty"),
            ("http://a:0/", "port must be"),
            ("http://a/%", "hexadecimal"),
            ("/%zz", "hexadecimal"),
            ("//", "host is empty"),
            ("http://\u{e9}/", "punycode"),
        ] {
            let base = Url::parse("ws://a/b").unwrap();
            let why = follow(&base, location).expect_err(location);
            assert!(why.contains(reason), "{location}: {why}");
            assert!(why.contains("redirects to"), "{why}");
        }
        let secure = Url::parse("wss://a/b").unwrap();
        for location in ["ws://a/b", "http://a/b", "http://h/"] {
            let why = follow(&secure, location).expect_err(location);
            assert!(why.contains("not encrypted"), "{why}");
        }
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        let base = Url::parse("ws://u:p@a:80/b").unwrap();
        let userinfo = |location| follow(&base, location).unwrap().userinfo;
        for same in [
            "/x",
            "x",
            "?y",
            "ws://a/",
            "http://A:80/",
            "http://v:q@a/",
            "//a/z",
        ] {
            assert_eq!(userinfo(same).as_deref(), Some("u:p"), "{same}");
        }
        for other in ["ws://a:81/", "wss://a/", "ws://b/", "ws://u:p@b/", "//a.b/"] {
            assert_eq!(userinfo(other), None, "{other}");
        }
    }
}
