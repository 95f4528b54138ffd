//! Knows the two roles that the Autobahn suite tests.
//! Does not know the suite's cases.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::exit::{DONE, Trouble};
use crate::library::{Client, Event, Listener, listen};
use crate::terminal::line;
use crate::{echo, interrupt};

/// Take part in the Autobahn test suite, as the server or the client that it tests
#[derive(Args)]
pub struct Autobahn {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// An echo server for the suite's fuzzingclient; prints "listening PORT"
    Server {
        /// The port; 0 takes a free one
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
    /// An echo client for the suite's fuzzingserver: runs all of its cases
    Client {
        /// The fuzzingserver's url
        url: String,
        /// The name of the report
        #[arg(default_value = "wsplug")]
        agent: String,
    },
}

impl Autobahn {
    pub fn run(self) -> Result<u8, Trouble> {
        match self.role {
            Role::Server { port } => serve(port),
            Role::Client { url, agent } => run_all(&url, &agent),
        }
    }
}

fn serve(port: u16) -> Result<u8, Trouble> {
    interrupt::watch();
    let (_, port) = echo::server(port)?;
    line(format!("listening {port}"));
    while !interrupt::came() {
        Event::next(None);
    }
    match echo::has_lost() {
        false => Ok(DONE),
        true => Err(Trouble::failed("an echo found no room in its queue")),
    }
}

fn run_all(url: &str, agent: &str) -> Result<u8, Trouble> {
    let count = run_one(&format!("{url}/getCaseCount"))?;
    for case in 1..=count {
        run_one(&format!("{url}/runCase?case={case}&agent={agent}"))?;
    }
    run_one(&format!("{url}/updateReports?agent={agent}"))?;
    Ok(DONE)
}

/// Sends everything back until the peer closes; the last message as a number, which the case count is.
fn run_one(url: &str) -> Result<u32, Trouble> {
    const METHOD: &str = "autobahn";
    static RUN: OnceLock<Run> = OnceLock::new();
    let run = RUN.get_or_init(|| {
        let (closed, is_closed) = channel();
        Run {
            last: Mutex::default(),
            closed,
            is_closed: Mutex::new(is_closed),
        }
    });
    listen(METHOD, run);
    let mut options = echo::options();
    options["method"] = METHOD.into();
    options["url"] = url.into();
    options["enableAutomaticReconnection"] = false.into();
    let (client, _) = Client::create(&options)?;
    client.start(&json!({}))?;
    let is_closed = run.is_closed.lock().unwrap_or_else(|e| e.into_inner());
    is_closed
        .recv()
        .map_err(|_| Trouble::failed("the library has ended"))?;
    client.clear();
    let last = run.last.lock().unwrap_or_else(|e| e.into_inner());
    Ok(last.parse().unwrap_or_default())
}

struct Run {
    last: Mutex<String>,
    closed: Sender<()>,
    is_closed: Mutex<Receiver<()>>,
}

impl Listener for Run {
    fn message(&self, client: Client, kind: i32, data: &[u8]) {
        echo::Echo.message(client, kind, data);
        let mut last = self.last.lock().unwrap_or_else(|e| e.into_inner());
        *last = String::from_utf8_lossy(&data[..data.len().min(16)]).into_owned();
    }

    fn event(&self, _: Client, what: &str) {
        if what == "close" {
            let _ = self.closed.send(());
        }
    }
}
