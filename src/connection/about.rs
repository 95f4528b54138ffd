//! Knows how to keep what a handshake brought in little room, for as long as its connection lasts.
//! Does not know who asks for it.

use crate::events::OpenInfo;

/// An [`OpenInfo`] as one piece of text: what stands in it has no line ends.
pub struct About(Box<str>);

impl About {
    /// Keeps it.
    pub fn new(info: &OpenInfo) -> About {
        let OpenInfo {
            uri,
            url,
            headers,
            protocol,
            extensions,
            remote_ip,
            remote_port,
            // The stream knows.
            tls: _,
            tls_at_proxy,
        } = info;
        let port = remote_port.to_string();
        let at_proxy = tls_at_proxy.to_string();
        let fields =
            [uri, url, protocol, extensions, remote_ip, &port, &at_proxy].map(String::as_str);
        let names = headers
            .iter()
            .flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let parts: Vec<&str> = fields.into_iter().chain(names).collect();
        About(parts.join("\n").into())
    }

    /// As it was.
    pub fn info(&self) -> OpenInfo {
        let mut parts = self.0.split('\n').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        let mut info = OpenInfo {
            uri: next(),
            url: next(),
            protocol: next(),
            extensions: next(),
            remote_ip: next(),
            remote_port: next().parse().unwrap_or_default(),
            tls_at_proxy: next() == "true",
            ..OpenInfo::default()
        };
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            info.headers.push((name, value));
        }
        info
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_back() {
        let info = OpenInfo {
            uri: "/room?name=ann".into(),
            url: "ws://a:1/room?name=ann".into(),
            headers: vec![("Host".into(), "a:1".into()), ("X".into(), String::new())],
            extensions: "permessage-deflate".into(),
            remote_ip: "::1".into(),
            remote_port: 65535,
            ..OpenInfo::default()
        };
        let kept = About::new(&info).info();
        assert_eq!(format!("{kept:?}"), format!("{info:?}"));
    }
}
