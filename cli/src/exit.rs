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
/// Ended by Ctrl-C; of what Ctrl-C ends well, by a second one.
pub const INTERRUPTED: u8 = 130;

/// Nobody reads stdout any more: as a shell sees who was ended by SIGPIPE.
pub const NO_READER: u8 = 141;

/// What `--help` says of them.
pub const TABLE: &str = "\
Exit status:
  0            done; connect: closed with 1000, 1001 or no code; serve, ping, bench: ended by Ctrl-C
  1            not done: not reached, refused, nothing came back, something is wrong; connect: any other close code
  2            the command line or an option is wrong
  102 to 115   connect: closed with 1002 to 1015, such as 106 where the connection was lost
  123, 124     connect: closed with a code from 3000 on, or from 4000 on
  130          connect: ended by Ctrl-C; any other command: by a second one
  141          whoever read stdout has gone";

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
