//! Knows what the command's exit status means.
//! Does not know why it ended so.

use crate::library::{Failure, INVALID_OPTIONS};
use crate::terminal::escaped;

/// Done.
pub const DONE: u8 = 0;
/// It could not be done: refused, not reached, lost, or something is wrong.
pub const FAILED: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// Ended by Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// What `--help` says of them.
pub const TABLE: &str = "\
Exit status:
  0    done; the connection was closed with 1000, 1001 or no code
  1    it could not be done: not reached, refused, nothing came back, or something is wrong
  2    the command line or an option is wrong
  102 to 115   the connection ended with the close code 1002 to 1015, such as 106 for one that was lost
  123, 124     it ended with a close code from 3000 on, or from 4000 on
  130  ended by Ctrl-C";

/// Why the command ends without having done its work.
#[derive(Debug)]
pub struct Trouble {
    pub code: u8,
    pub message: String,
}

impl Trouble {
    pub fn failed(message: impl Into<String>) -> Trouble {
        Trouble {
            code: FAILED,
            message: message.into(),
        }
    }

    pub fn usage(message: impl Into<String>) -> Trouble {
        Trouble {
            code: USAGE,
            message: message.into(),
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        Trouble {
            code: match failure.status {
                INVALID_OPTIONS => USAGE,
                _ => FAILED,
            },
            message: escaped(&failure.to_string()).into_owned(),
        }
    }
}

/// The exit status that says how a connection was closed.
pub fn of_close(code: u64) -> u8 {
    match code {
        1000 | 1001 | 1005 => DONE,
        1002..=1015 => 100 + (code - 1000) as u8,
        4000.. => 124,
        3000.. => 123,
        _ => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_can_be_told_from_the_exit_status() {
        let codes = [
            1000, 1001, 1005, 1002, 1006, 1015, 3000, 3999, 4000, 4999, 0,
        ];
        let exits = [0, 0, 0, 102, 106, 115, 123, 123, 124, 124, 1];
        assert_eq!(codes.map(of_close), exits);
    }
}
