//! Knows small servers: echo, broadcast, chat and files, with what happens printed.
//! Does not know the protocol.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::connect::{ended, shown};
use crate::exit::{DONE, Trouble};
use crate::interrupt;
use crate::library::{Client, Event, QUEUE_FULL, Server, TEXT};
use crate::reach::{self, Auth};
use crate::terminal::{GOOD, NOTE, ODD, escaped, hex, line, size, styled};

/// So many letters of a text are printed.
const SHOWN_LETTERS: usize = 1000;

/// Start a server: echo, broadcast, chat or files
///
/// It prints its address, then what happens. Ctrl-C ends it: every client is told (1001).
#[derive(Args)]
#[command(after_help = "\
Examples:
  wsplug serve                                  echo on ws://127.0.0.1:8080
  wsplug serve --chat --host 0.0.0.0            a chat for everybody who can reach this machine
  wsplug serve --broadcast --tls cert.pem key.pem --port 8443
  wsplug serve --files site --echo              the folder's files for GETs, an echo for WebSockets
  wsplug serve --auth basic:ann:secret -o maxConnections=100")]
pub struct Serve {
    /// Send each message back to its sender (what is done if nothing else is asked for)
    #[arg(long, group = "mode")]
    echo: bool,

    /// Send each message to everybody, its sender too
    #[arg(long, group = "mode")]
    broadcast: bool,

    /// A chat in plain text: "name: message" to everybody; the name is that of the url's ?name=
    #[arg(long, group = "mode")]
    chat: bool,

    /// Answer plain GETs with the files of this folder; index.html is the folder itself
    #[arg(long, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    files: Option<PathBuf>,

    /// The port; 0 takes a free one
    #[arg(short, long, default_value_t = 8080)]
    port: u16,

    /// The name or address to listen on; 0.0.0.0 or :: is every one
    #[arg(long, default_value = "127.0.0.1")]
    host: String,

    /// The only path at which WebSockets are taken; may be given more than once
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,

    /// Speak TLS, with this certificate (its chain behind it) and key
    #[arg(long, num_args = 2, value_names = ["CERTIFICATE", "KEY"], value_hint = clap::ValueHint::FilePath)]
    tls: Vec<PathBuf>,

    /// Who may connect: basic:USER:PASSWORD or bearer:TOKEN; may be given more than once
    #[arg(long, value_name = "WHO", env = "WSPLUG_AUTH", hide_env_values = true, value_parser = reach::auth)]
    auth: Vec<Auth>,

    /// Any option of a server, such as maxConnections=10 (docs/options.md); counts before all others
    #[arg(short = 'o', long = "option", value_name = "NAME=JSON", value_parser = reach::option)]
    options: Vec<(String, Value)>,

    /// Print the address only
    #[arg(short, long)]
    quiet: bool,
}

impl Serve {
    pub fn run(self) -> Result<u8, Trouble> {
        interrupt::watch();
        let (server, _) = reach::known(Server::create(&self.options()))?;
        let started = server.start()?;
        let scheme = if self.tls.is_empty() { "ws" } else { "wss" };
        let host = match &self.host {
            host if host.contains(':') => format!("[{host}]"),
            host => host.clone(),
        };
        let address = format!("{scheme}://{host}:{}", started["port"]);
        line(format!("listening on {}", styled(GOOD, &address)));
        let mut hall = Hall {
            server,
            serve: &self,
            names: HashMap::new(),
        };
        while !interrupt::came() {
            if let Some(event) = Event::next(None) {
                hall.happened(&event);
            }
        }
        // What the clients still say about it is printed; then the library ends what is left.
        let stopped = server.stop();
        while let Some(event) = Event::next(Some(std::time::Duration::ZERO)) {
            hall.say(&event);
        }
        stopped?;
        Ok(DONE)
    }

    fn options(&self) -> Value {
        let mut options = Map::new();
        options.insert("port".into(), self.port.into());
        options.insert("host".into(), self.host.clone().into());
        options.insert("paths".into(), json!(self.paths));
        options.insert("fragments".into(), false.into());
        options.insert("sendQueueBytes".into(), (32 << 20).into());
        if let Some(folder) = &self.files {
            let folder = format!("{}/", folder.to_string_lossy().trim_end_matches('/'));
            options.insert("files".into(), json!({ "/": folder }));
        }
        if let [certificate, key] = &self.tls[..] {
            let (certificate, key) = (certificate.to_string_lossy(), key.to_string_lossy());
            options.insert(
                "tls".into(),
                json!({"certFile": certificate, "keyFile": key}),
            );
        }
        if !self.auth.is_empty() {
            let (mut basic, mut bearer) = (Map::new(), Vec::new());
            for auth in &self.auth {
                match auth {
                    Auth::Basic(user, password) => {
                        basic.insert(user.clone(), password.clone().into());
                    }
                    Auth::Bearer(token) => bearer.push(token.clone()),
                }
            }
            options.insert("auth".into(), json!({"basic": basic, "bearer": bearer}));
        }
        reach::with(options, json!({}), &self.options)
    }
}

/// Who is there.
struct Hall<'a> {
    server: Server,
    serve: &'a Serve,
    names: HashMap<Client, String>,
}

impl Hall<'_> {
    fn happened(&mut self, event: &Event) {
        self.say(event);
        let client = event.client();
        match event.what() {
            "open" if self.serve.chat => {
                let name = name_of(&event.context(), client);
                self.to_all(TEXT, format!("* {name} has come").as_bytes());
                self.names.insert(client, name);
            }
            "close" if self.serve.chat => {
                if let Some(name) = self.names.remove(&client) {
                    self.to_all(TEXT, format!("* {name} has gone").as_bytes());
                }
            }
            "message" if self.serve.chat => {
                if let (Some(name), TEXT) = (self.names.get(&client), event.kind()) {
                    let text = [name.as_bytes(), b": ", event.data()].concat();
                    self.to_all(TEXT, &text);
                }
            }
            "message" if self.serve.broadcast => self.to_all(event.kind(), event.data()),
            "message" if client.send(event.kind(), event.data()) == Err(QUEUE_FULL) => {
                end_slow(client);
            }
            _ => {}
        }
    }

    fn to_all(&self, kind: i32, data: &[u8]) {
        let Ok(Value::Array(sent)) = self.server.send(kind, data) else {
            return;
        };
        for one in sent {
            if one["error"]["code"] == QUEUE_FULL {
                end_slow(Client(one["client"].as_i64().unwrap_or_default() as i32));
            }
        }
    }

    fn say(&self, event: &Event) {
        if self.serve.quiet {
            return;
        }
        let client = match event.client() {
            Client(0) => String::new(),
            Client(number) => format!(" {number}"),
        };
        let (what, detail) = match event.what() {
            "open" => {
                let context = event.context();
                let from = shown(&context["remoteIp"]);
                let (port, uri) = (&context["remotePort"], shown(&context["uri"]));
                (
                    styled(GOOD, "open"),
                    format!("from {from}:{port} for {uri}"),
                )
            }
            "message" if event.kind() == TEXT => {
                let text = String::from_utf8_lossy(event.data());
                let begin: String = text.chars().take(SHOWN_LETTERS).collect();
                let more = text.chars().skip(SHOWN_LETTERS).count();
                let more = if more > 0 {
                    format!(" … and {more} more")
                } else {
                    String::new()
                };
                (styled(NOTE, "text"), format!("{}{more}", escaped(&begin)))
            }
            "message" => {
                let bytes = event.data();
                let shown = format!("{}:{}", size(bytes.len() as u64), hex(bytes, 32));
                (styled(NOTE, "binary"), shown)
            }
            "close" => {
                let context = event.context();
                (styled(NOTE, "close"), ended(&context))
            }
            "error" => (styled(ODD, "error"), shown(&event.context()["reason"])),
            other => (other.to_owned(), String::new()),
        };
        line(format!("{what}{client} {detail}").trim_end());
    }
}

/// Better one that is told than one that misses messages without knowing.
fn end_slow(client: Client) {
    let _ = client.stop(&json!({"code": 1013, "reason": "it reads too slowly", "wait": false}));
}

/// What the url says, in the characters of a name, or a number.
fn name_of(context: &Value, client: Client) -> String {
    let uri = context["uri"].as_str().unwrap_or_default();
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let asked = query.split('&').find_map(|part| part.strip_prefix("name="));
    let name: String = asked
        .unwrap_or_default()
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(*letter))
        .take(30)
        .collect();
    match name.is_empty() {
        true => format!("guest-{}", client.0),
        false => name,
    }
}
