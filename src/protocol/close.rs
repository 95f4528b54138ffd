//! Knows close codes and close frames (RFC 6455 § 5.5.1, § 7.4).
//! Does not know which error deserves which code: that table is `connection`'s.

use super::ProtocolError;

/// Normal closure.
pub const NORMAL: u16 = 1000;
/// The endpoint goes away: a server that shuts down.
pub const GOING_AWAY: u16 = 1001;
/// A protocol error.
pub const PROTOCOL_ERROR: u16 = 1002;
/// Never on the wire: the close frame carried no code.
pub const NO_CODE: u16 = 1005;
/// Never on the wire: the connection ended without a close frame.
pub const ABNORMAL: u16 = 1006;
/// Data that is not what it says, such as text that is not UTF-8.
pub const INVALID_DATA: u16 = 1007;
/// A policy was violated.
pub const POLICY: u16 = 1008;
/// A message too big to process.
pub const TOO_BIG: u16 = 1009;
/// An unexpected condition on the server.
pub const INTERNAL_ERROR: u16 = 1011;

/// § 5.5: a control frame holds 125 bytes, two of which are the code.
pub const MAX_REASON: usize = 123;

/// Whether a code may stand in a close frame (§ 7.4.1, § 7.4.2 and the IANA registry: 1012–1014).
pub fn is_allowed(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The payload of a close frame. A reason that is too long is cut at a character's boundary.
pub fn encode(code: u16, reason: &str) -> Vec<u8> {
    if code == NO_CODE {
        return Vec::new();
    }
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut payload = Vec::with_capacity(2 + end);
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    payload
}

/// The code (1005 if there is none) and the reason of a close frame's payload.
pub fn decode(payload: &[u8]) -> Result<(u16, &str), ProtocolError> {
    match payload {
        [] => Ok((NO_CODE, "")),
        [_] => Err(ProtocolError::ShortClose),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !is_allowed(code) {
                return Err(ProtocolError::InvalidCloseCode(code));
            }
            let reason = std::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
            Ok((code, reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_at_a_characters_boundary() {
        let reason = "é".repeat(80);
        let payload = encode(1000, &reason);
        assert_eq!(payload.len(), 2 + 122);
        assert_eq!(decode(&payload), Ok((1000, &reason[..122])));
    }

    #[test]
    fn codes_that_must_not_be_on_the_wire_are_refused() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            assert_eq!(
                decode(&u16::to_be_bytes(code)),
                Err(ProtocolError::InvalidCloseCode(code))
            );
        }
        assert_eq!(decode(b"\x03"), Err(ProtocolError::ShortClose));
        assert_eq!(decode(b""), Ok((NO_CODE, "")));
        assert_eq!(decode(b"\x03\xe8\xff"), Err(ProtocolError::InvalidUtf8));
    }
}
