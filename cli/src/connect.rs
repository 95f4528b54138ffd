//! Knows a conversation: what is typed, piped or read from files goes out, what comes is shown.
//! Does not know the protocol.

mod coming;
mod input;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::exit::{self, DONE, Trouble};
use crate::interrupt;
use crate::library::{Client, Event, TEXT};
use crate::reach::{self, Reach};
use crate::terminal::{self, BAD, GOOD, NOTE, PEER, escaped, lines_escaped, note, size, styled};
use coming::Coming;
use input::Input;

/// Talk to a server: lines from stdin are sent, what comes is printed
///
/// Each line is a text message. What the peer sends is shown without what could drive a terminal: control characters are
/// escaped, binary messages are hexadecimal. Where stdout is no terminal, texts are printed as they are.
///
/// At the end of stdin everything is sent first; then the connection is closed once nothing has come for a while
/// (--linger). The close code can be told from the exit status.
#[derive(Args)]
#[command(after_help = "\
Examples:
  wsplug connect ws://localhost:8080/
  echo '{\"subscribe\":\"news\"}' | wsplug connect wss://example.com/feed --keep-open
  wsplug connect wss://example.com/ -H 'Cookie: session=1' -s chat --ping 30
  wsplug connect ws://localhost:8080/ --send hello --once
  wsplug connect ws://localhost:8080/upload --send-file film.mp4
  wsplug connect ws://localhost:8080/ --once --output picture.png")]
pub struct Connect {
    /// ws://…, wss://… or ws+unix:…
    url: String,

    #[command(flatten)]
    reach: Reach,

    /// Send this text first; may be given more than once. Stdin is not read then, unless --stdin is given too
    #[arg(short = 'x', long = "send", value_name = "TEXT")]
    texts: Vec<String>,

    /// Then send this file as one binary message, or with --chunk as several; stdin as with --send
    #[arg(short = 'f', long = "send-file", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    files: Vec<PathBuf>,

    /// Bytes of each message of --send-file; 0: one message for the file
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    chunk: usize,

    /// Read stdin, also with --send and --send-file
    #[arg(long)]
    stdin: bool,

    /// Send lines and files as binary messages (lines: instead of text)
    #[arg(short, long)]
    binary: bool,

    /// Send all of stdin as one message, instead of one for each line
    #[arg(long)]
    whole: bool,

    /// End after the first message that comes
    #[arg(short = '1', long)]
    once: bool,

    /// Seconds of silence after the end of stdin until the connection is closed; 0 where stdin is a terminal
    #[arg(long, value_name = "SECONDS")]
    linger: Option<f64>,

    /// After the end of stdin, stay until the peer closes
    #[arg(short = 'n', long, conflicts_with = "linger")]
    keep_open: bool,

    /// Come back when the connection is lost or closed by the peer
    #[arg(short, long)]
    reconnect: bool,

    /// Ping the peer each so many seconds, and end (1006) if it does not answer
    #[arg(long, value_name = "SECONDS")]
    ping: Option<f64>,

    /// Write the bytes of binary messages to this file, one behind the other
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,

    /// Print what comes as it is, also on a terminal, and binary messages as their bytes
    #[arg(long)]
    raw: bool,

    /// Print messages only: nothing of opening and closing
    #[arg(short, long)]
    quiet: bool,
}

/// Silence after which an answer is not waited for any longer.
const SILENCE: Duration = Duration::from_secs(1);

impl Connect {
    pub fn run(self) -> Result<u8, Trouble> {
        let own = json!({
            "enableAutomaticReconnection": self.reconnect,
            "drain": true, "fragments": false,
            "pingInterval": self.ping.unwrap_or(0.0),
            // A large file takes its time; what is typed is never as much.
            "sendStallMs": 60_000,
        });
        let client = reach::client(&self.reach.options(&self.url, own))?;
        let output = match &self.output {
            None => None,
            Some(path) => Some(
                File::create(path)
                    .map_err(|error| Trouble::failed(format!("{}: {error}", path.display())))?,
            ),
        };
        interrupt::watch();
        client.start(&json!({"wait": false}))?;
        Talk {
            client,
            connect: &self,
            coming: output.as_ref().map(|_| Coming::new(self.quiet)),
            output,
            input: None,
            is_closing: false,
            has_come: false,
            last: Instant::now(),
        }
        .run()
    }

    fn reads_stdin(&self) -> bool {
        self.stdin || (self.texts.is_empty() && self.files.is_empty())
    }

    fn say(&self, text: impl AsRef<str>) {
        if !self.quiet {
            note(text);
        }
    }
}

struct Talk<'a> {
    client: Client,
    connect: &'a Connect,
    output: Option<File>,
    /// How much has come of what goes there.
    coming: Option<Coming>,
    /// From the first open on.
    input: Option<Input>,
    is_closing: bool,
    /// Whether a message has come.
    has_come: bool,
    /// When something last went out or came in.
    last: Instant,
}

impl Talk<'_> {
    fn run(&mut self) -> Result<u8, Trouble> {
        loop {
            let event = Event::next(self.look_again());
            if interrupt::came() {
                if self.input.is_none() {
                    return Ok(exit::INTERRUPTED);
                }
                self.close();
            }
            if let Some(trouble) = self.input.as_ref().and_then(Input::trouble) {
                self.connect.say(styled(NOTE, "closing"));
                self.client.stop(&json!({}))?;
                return Err(trouble);
            }
            match event {
                Some(event) => {
                    if let Some(code) = self.happened(&event)? {
                        return Ok(code);
                    }
                }
                None => {
                    self.look();
                    if self.patience() == Some(Duration::ZERO) {
                        self.close();
                    }
                }
            }
        }
    }

    /// How long to wait for the next event before something else is to be looked at.
    fn look_again(&self) -> Option<Duration> {
        let patience = self.patience();
        match self.coming {
            Some(_) if self.input.is_some() && !self.is_closing => {
                Some(patience.map_or(coming::LOOK, |patience| patience.min(coming::LOOK)))
            }
            _ => patience,
        }
    }

    /// Whether a message is on its way that goes to a file: then it is not silent.
    fn look(&mut self) {
        let all_is_sent = self
            .input
            .as_ref()
            .is_some_and(|input| input.ended().is_some());
        let Some(coming) = self.coming.as_mut().filter(|_| all_is_sent) else {
            return;
        };
        let bytes = self.client.info().ok();
        let bytes = bytes.and_then(|info| info["wireBytesIn"].as_u64());
        if coming.look(bytes.unwrap_or_default()) {
            self.last = Instant::now();
        }
    }

    /// How long to wait for the next event: until the silence after the end of the input has been long enough.
    fn patience(&self) -> Option<Duration> {
        let ended = self.input.as_ref().and_then(Input::ended)?;
        let since = ended.max(self.last);
        let linger = self.linger().filter(|_| !self.is_closing)?;
        Some(linger.saturating_sub(since.elapsed()))
    }

    /// None: the peer closes.
    fn linger(&self) -> Option<Duration> {
        let is_typed = io::stdin().is_terminal() && self.connect.reads_stdin();
        match self.connect.linger {
            _ if self.connect.keep_open || self.connect.once => None,
            Some(seconds) => Some(Duration::try_from_secs_f64(seconds).unwrap_or(SILENCE)),
            None if is_typed => Some(Duration::ZERO),
            None => Some(SILENCE),
        }
    }

    /// What to end with, if it is the end.
    fn happened(&mut self, event: &Event) -> Result<Option<u8>, Trouble> {
        match event.what() {
            "open" => self.opened(&event.context()),
            "message" if !self.is_closing => {
                self.last = Instant::now();
                self.has_come = true;
                self.coming.iter_mut().for_each(Coming::is_whole);
                let mut shown = Ok(());
                let mut print = || shown = self.show(event);
                match &self.input {
                    Some(input) => input.aside(print),
                    None => print(),
                }
                shown?;
                if self.connect.once {
                    self.close();
                }
            }
            "drain" => self.input.iter().for_each(Input::has_room),
            "error" => {
                let context = event.context();
                if context["wait_time"].as_u64().unwrap_or_default() == 0 {
                    return Err(refused(&context));
                }
                let (reason, wait) = (shown(&context["reason"]), &context["wait_time"]);
                self.connect
                    .say(styled(NOTE, format!("{reason}; the next try in {wait} ms")));
            }
            "close" => {
                self.coming.iter_mut().for_each(Coming::is_whole);
                return Ok(self.closed(&event.context()));
            }
            _ => {}
        }
        Ok(None)
    }

    fn opened(&mut self, context: &Value) {
        let mut told = format!("connected to {}", shown(&context["url"]));
        for name in ["protocol", "extensions"] {
            match context[name].as_str() {
                None | Some("") => {}
                Some(_) => told += &format!(", {name} {}", shown(&context[name])),
            }
        }
        if let Some(version) = context["tls"]["version"].as_str() {
            let verified = context["tls"]["verified"] == true;
            let verified = if verified { "" } else { " (not verified)" };
            told += &format!(", TLS {version}{verified}");
        }
        self.connect.say(styled(GOOD, told));
        match &self.input {
            Some(input) => input.has_room(),
            None => self.input = Some(Input::start(self.client, self.connect)),
        }
    }

    fn show(&self, event: &Event) -> Result<(), Trouble> {
        let data = event.data();
        if event.kind() == TEXT {
            let text = String::from_utf8_lossy(data);
            if self.connect.raw || !io::stdout().is_terminal() {
                terminal::raw(format!("{text}\n").as_bytes());
            } else {
                terminal::line(styled(PEER, format!("< {}", lines_escaped(&text))));
            }
            return Ok(());
        }
        let length = size(data.len() as u64);
        match &self.output {
            Some(file) => {
                let written = { file }.write_all(data);
                written
                    .map_err(|error| Trouble::failed(format!("cannot write what came: {error}")))?;
                self.connect
                    .say(styled(NOTE, format!("binary message of {length} written")));
            }
            None if self.connect.raw => terminal::raw(data),
            None => terminal::line(styled(
                PEER,
                format!("< binary, {length}:{}", terminal::hex(data, 256)),
            )),
        }
        Ok(())
    }

    /// The exit status, unless it comes back.
    fn closed(&self, context: &Value) -> Option<u8> {
        let by = match context["remote"] == true {
            true => "by the peer",
            false => "here",
        };
        let told = format!("closed {by}: {}", ended(context));
        self.connect.say(styled(NOTE, told));
        let unsent = context["unsent"]["messages"].as_u64().unwrap_or_default();
        if unsent > 0 {
            note(styled(BAD, format!("{unsent} messages were not sent")));
        }
        if interrupt::came() {
            return Some(exit::INTERRUPTED);
        }
        let is_over = |info: Value| info["state"] == "closed";
        if self.connect.reconnect && !self.client.info().is_ok_and(is_over) {
            return None;
        }
        let code = exit::of_close(context["code"].as_u64().unwrap_or_default());
        let is_incomplete = unsent > 0 || (self.connect.once && !self.has_come);
        Some(match code == DONE && is_incomplete {
            true => exit::FAILED,
            false => code,
        })
    }

    fn close(&mut self) {
        if !self.is_closing {
            self.is_closing = true;
            // A connection that has ended meanwhile tells so itself.
            let _ = self.client.stop(&json!({"wait": false}));
        }
    }
}

/// How a connection that is over has ended.
pub fn how_it_ended() -> String {
    while let Some(event) = Event::next(Some(SILENCE)) {
        if event.what() == "close" {
            return ended(&event.context());
        }
    }
    "nobody knows how".into()
}

/// What a close event says.
pub fn ended(context: &Value) -> String {
    let told = format!("{} {}", context["code"], shown(&context["reason"]));
    told.trim_end().into()
}

/// Why a server could not be reached, with what it said.
pub fn refused(context: &Value) -> Trouble {
    let mut message = shown(&context["reason"]);
    if let Some(body) = context["body"]
        .as_str()
        .map(str::trim)
        .filter(|body| !body.is_empty())
    {
        message += &format!("\n  {}", lines_escaped(body));
    }
    Trouble::failed(message)
}

/// A text of the peer's or the library's.
pub fn shown(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default()).into_owned()
}
