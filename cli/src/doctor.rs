//! Knows the steps from a url, or a certificate, to a connection that works, and what to do where one fails.
//! Does not know how a step is done: that is the library's, or the system's.

mod certificate;
mod file;
mod url;

use clap::Args;
use std::path::PathBuf;

use crate::exit::{DONE, FAILED, Trouble};
use crate::reach::Reach;
use crate::terminal::{BAD, GOOD, NOTE, ODD, escaped, line, styled};

/// Say what is wrong with a url or a certificate, and what to do
///
/// For a url each step is tried: the url itself, the name, TCP, TLS and its certificates, the proxy, the HTTP answer, the
/// upgrade, the sub-protocol, compression, a ping, the close. For a certificate file: its dates, names, key and chain.
///
/// Exit status: 0 if nothing is wrong, 1 if something is, 2 if the command line is wrong.
#[derive(Args)]
#[command(after_help = "\
Examples:
  wsplug doctor wss://example.com/chat -s chat
  wsplug doctor wss://localhost:8443/ --ca authority.pem
  wsplug doctor fullchain.pem --key privkey.pem --server-name example.com")]
pub struct Doctor {
    /// ws://…, wss://… or ws+unix:…, or a certificate file (PEM)
    #[arg(value_name = "URL|CERTIFICATE", value_hint = clap::ValueHint::AnyPath)]
    subject: String,

    #[command(flatten)]
    reach: Reach,
}

impl Doctor {
    pub fn run(self) -> Result<u8, Trouble> {
        let mut report = Report::default();
        let path = PathBuf::from(&self.subject);
        match path.is_file()
            || [".pem", ".crt", ".cer"]
                .iter()
                .any(|end| self.subject.ends_with(end))
                && !self.subject.contains("://")
        {
            true => file::examine(&path, &self.reach, &mut report),
            false => url::examine(&self.subject, &self.reach, &mut report)?,
        }
        line(match (report.wrong, report.odd) {
            (0, 0) => styled(GOOD, "nothing is wrong"),
            (0, _) => styled(ODD, "it works; see the warnings above"),
            (1, _) => styled(BAD, "something is wrong; see above"),
            (many, _) => styled(BAD, format!("{many} things are wrong; see above")),
        });
        Ok(if report.wrong > 0 { FAILED } else { DONE })
    }
}

/// What was found, printed as it is found.
#[derive(Default)]
pub struct Report {
    wrong: u32,
    odd: u32,
}

impl Report {
    pub fn good(&mut self, step: &str, found: impl AsRef<str>) {
        tell(&styled(GOOD, "ok     "), step, found.as_ref(), "");
    }

    /// It works, but somebody should look at it.
    pub fn odd(&mut self, step: &str, found: impl AsRef<str>, advice: &str) {
        self.odd += 1;
        tell(&styled(ODD, "warning"), step, found.as_ref(), advice);
    }

    pub fn wrong(&mut self, step: &str, found: impl AsRef<str>, advice: &str) {
        self.wrong += 1;
        tell(&styled(BAD, "WRONG  "), step, found.as_ref(), advice);
    }

    /// A fact that is neither.
    pub fn fact(&mut self, step: &str, found: impl AsRef<str>) {
        tell(&styled(NOTE, "       "), step, found.as_ref(), "");
    }
}

fn tell(verdict: &str, step: &str, found: &str, advice: &str) {
    line(format!("{verdict} {step:<12} {}", escaped(found)));
    for (place, advice) in advice.lines().enumerate() {
        let arrow = if place == 0 { "→" } else { " " };
        line(format!("{:21}{arrow} {}", "", escaped(advice)));
    }
}
