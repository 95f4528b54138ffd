//! Knows which close code answers which error: the one table.
//! Does not know how the errors come about.

use crate::protocol::{ProtocolError, close};

/// The code that is put on the wire and into the "close" event (RFC 6455 § 7.4.1).
pub fn code_of(error: &ProtocolError) -> u16 {
    match error {
        ProtocolError::InvalidUtf8 | ProtocolError::CorruptData => close::INVALID_DATA,
        ProtocolError::MessageTooBig { .. } => close::TOO_BIG,
        ProtocolError::TooManyFragments(_) => close::POLICY,
        ProtocolError::ReservedBits(_)
        | ProtocolError::ReservedOpcode(_)
        | ProtocolError::Unmasked
        | ProtocolError::Masked
        | ProtocolError::FragmentedControl
        | ProtocolError::LongControl(_)
        | ProtocolError::LengthOverflow
        | ProtocolError::LengthNotMinimal(_)
        | ProtocolError::UnexpectedContinuation
        | ProtocolError::ExpectedContinuation
        | ProtocolError::ShortClose
        | ProtocolError::InvalidCloseCode(_) => close::PROTOCOL_ERROR,
    }
}
