//! The PROXY protocol, versions 1 and 2: what a proxy sends first of all, to tell whom it connects.
//! Knows nothing of whom to believe.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What version 2 begins with.
pub const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1, with its CRLF.
pub const MAX_LINE: usize = 107;
/// Bytes behind the first 16 of version 2 that we read: addresses, and what proxies add to them.
pub const MAX_LENGTH: usize = 2048;

/// Whom a connection comes from. None: the proxy's own, or it does not tell.
pub type Origin = Option<SocketAddr>;

/// Reads a whole line of version 1.
pub fn parse_line(line: &[u8]) -> Result<Origin, String> {
    let text = line
        .strip_suffix(b"\r\n")
        .and_then(|line| std::str::from_utf8(line).ok())
        .ok_or("it is no line of text")?;
    let mut words = text.split(' ');
    if words.next() != Some("PROXY") {
        return Err("it does not begin with PROXY".into());
    }
    let family = words.next();
    if family == Some("UNKNOWN") {
        return Ok(None);
    }
    let words: Vec<&str> = words.collect();
    let [source, destination, port, own_port] = words[..] else {
        return Err("it does not have two addresses and two ports".into());
    };
    let ip = |text: &str| -> Result<IpAddr, String> {
        let ip = match family {
            Some("TCP4") => text.parse::<Ipv4Addr>().map(IpAddr::V4),
            Some("TCP6") => text.parse::<Ipv6Addr>().map(IpAddr::V6),
            _ => return Err("its family is not TCP4, TCP6 or UNKNOWN".into()),
        };
        ip.map_err(|_| "an address is not of its family".into())
    };
    let number = |text: &str| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>()
            .ok()
            .filter(|_| is_plain)
            .ok_or("a port is no number")
    };
    ip(destination)?;
    number(own_port)?;
    Ok(Some(SocketAddr::new(ip(source)?, number(port)?)))
}

/// How many bytes follow the first 16 of version 2.
pub fn length(head: &[u8; 16]) -> Result<usize, String> {
    if !head.starts_with(SIGNATURE) || head[12] >> 4 != 2 {
        return Err("it is not of version 2".into());
    }
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    match length > MAX_LENGTH {
        true => Err(format!("it has more than {MAX_LENGTH} bytes")),
        false => Ok(length),
    }
}

/// Reads version 2: the first 16 bytes and what follows.
pub fn parse_binary(head: &[u8; 16], rest: &[u8]) -> Result<Origin, String> {
    match head[12] & 15 {
        // LOCAL: the proxy looks whether we are there.
        0 => return Ok(None),
        1 => {}
        _ => return Err("its command is not LOCAL or PROXY".into()),
    }
    let port = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    match head[13] {
        0x11 if rest.len() >= 12 => {
            let ip = [rest[0], rest[1], rest[2], rest[3]];
            Ok(Some(SocketAddr::new(IpAddr::from(ip), port(8))))
        }
        0x21 if rest.len() >= 36 => {
            let ip = <[u8; 16]>::try_from(&rest[..16]).expect("16 bytes are 16 bytes");
            Ok(Some(SocketAddr::new(IpAddr::from(ip), port(32))))
        }
        0x11 | 0x21 => Err("it is too short for its addresses".into()),
        // Families that say nothing to us, such as UNIX sockets.
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_version_1_are_read_to_the_letter() {
        let read = |text: &str| parse_line(text.as_bytes());
        assert_eq!(
            read("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"),
            Ok(Some("192.168.0.1:56324".parse().unwrap()))
        );
        assert_eq!(
            read("PROXY TCP6 2001:db8::1 ::1 65535 1\r\n"),
            Ok(Some("[2001:db8::1]:65535".parse().unwrap()))
        );
        assert_eq!(read("PROXY UNKNOWN\r\n"), Ok(None));
        assert_eq!(
            read("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"),
            Ok(None)
        );
        for wrong in [
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324\r\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 1\r\n",
            "PROXY TCP4 ::1 ::1 56324 443\r\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 65536 443\r\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 +5 443\r\n",
            "PROXY TCP4  192.168.0.1 192.168.0.11 5 443\r\n",
            "PROXY UDP4 192.168.0.1 192.168.0.11 5 443\r\n",
            "proxy TCP4 192.168.0.1 192.168.0.11 5 443\r\n",
            "\r\n",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    fn head(command: u8, family: u8, length: u16) -> [u8; 16] {
        let mut head = [0; 16];
        head[..12].copy_from_slice(SIGNATURE);
        head[12] = command;
        head[13] = family;
        head[14..].copy_from_slice(&length.to_be_bytes());
        head
    }

    #[test]
    fn version_2_is_read_with_whatever_follows_the_addresses() {
        let four = [1, 2, 3, 4, 10, 0, 0, 1, 0x1f, 0x90, 0, 80, 4, 0, 0];
        let origin = parse_binary(&head(0x21, 0x11, 15), &four);
        assert_eq!(origin, Ok(Some("1.2.3.4:8080".parse().unwrap())));
        let mut six = [0; 36];
        six[15] = 1;
        six[33] = 7;
        let origin = parse_binary(&head(0x21, 0x21, 36), &six);
        assert_eq!(origin, Ok(Some("[::1]:7".parse().unwrap())));
        assert_eq!(parse_binary(&head(0x20, 0, 0), &[]), Ok(None));
        assert_eq!(parse_binary(&head(0x21, 0x31, 0), &[]), Ok(None));
        assert!(parse_binary(&head(0x21, 0x11, 11), &four[..11]).is_err());
        assert!(parse_binary(&head(0x21, 0x21, 35), &six[..35]).is_err());
        assert!(parse_binary(&head(0x22, 0x11, 12), &four).is_err());
        assert_eq!(length(&head(0x21, 0x11, 12)), Ok(12));
        assert!(length(&head(0x21, 0x11, 2049)).is_err());
        assert!(length(&head(0x11, 0x11, 12)).is_err());
    }
}
