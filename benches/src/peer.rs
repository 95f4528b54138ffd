//! Knows the peers: by what command each is started, and in which cells it takes part.
//! Does not know how they are loaded.

use std::path::Path;

use crate::cell::{Cell, Kind};

pub struct Peer {
    pub name: &'static str,
    /// The program and its argument; those of ours stand beside the runner.
    command: &'static [&'static str],
    kinds: &'static [Kind],
    deflate: Can,
    tls: Can,
}

#[derive(Clone, Copy, PartialEq)]
enum Can {
    Not,
    /// In all cells of its kinds.
    Too,
    /// In no others.
    Only,
}

use Can::{Not, Only, Too};
use Kind::{Connect, Echo, Events, FanOut, Send, Turns, Work};

const fn peer(
    name: &'static str,
    command: &'static [&'static str],
    kinds: &'static [Kind],
    deflate: Can,
    tls: Can,
) -> Peer {
    Peer { name, command, kinds, deflate, tls }
}

const HOST: &str = "./wsplug_host";
const RUST: &str = "./peer";
const ECHO: &[Kind] = &[Echo, Turns, Connect];
const OURS: &[Kind] = &[Echo, Turns, Connect, Events, FanOut];
const ALL: &[Kind] = &[Echo, Turns, Connect, FanOut, Send];

#[rustfmt::skip]
pub const PEERS: &[Peer] = &[
    peer("raw", &["./raw"], &[Echo, Turns, Connect, Events, FanOut, Send], Not, Not),
    peer("codec", &[], &[Echo], Only, Not),
    peer("tokio-raw", &[RUST, "tokio-raw"], ECHO, Not, Too),
    peer("wsplug", &[HOST, "inline"], &[Echo, Turns, Connect, Events, Work, FanOut, Send], Too, Too),
    peer("wsplug-publish", &[HOST, "inline-publish"], &[FanOut], Too, Too),
    peer("wsplug-thread", &[HOST, "thread"], OURS, Too, Too),
    peer("wsplug-pump", &[HOST, "pump"], OURS, Too, Too),
    peer("wsplug-pull", &[HOST, "pull"], OURS, Too, Too),
    peer("wsplug-messages", &[HOST, "messages"], &[Events], Not, Not),
    peer("wsplug-json", &[HOST, "inline-json"], &[Events], Not, Not),
    peer("wsplug-thread-json", &[HOST, "thread-json"], &[Events], Not, Not),
    peer("wsplug-pull-json", &[HOST, "pull-json"], &[Events], Not, Not),
    peer("wsplug-2", &[HOST, "inline-2"], &[Echo, Turns, Work], Not, Not),
    peer("tungstenite", &[RUST, "tungstenite"], ALL, Not, Too),
    peer("tungstenite-batched", &[RUST, "tungstenite-batched"], ALL, Not, Too),
    peer("fastwebsockets", &[RUST, "fastwebsockets"], ECHO, Not, Not),
    peer("yawc", &[RUST, "yawc"], ECHO, Too, Not),
    peer("yawc-tuned", &[RUST, "yawc-tuned"], ECHO, Too, Not),
    peer("sockudo", &[RUST, "sockudo"], &[Echo, Turns, Connect, FanOut], Too, Not),
    peer("tokio-websockets", &[RUST, "tokio-websockets"], ECHO, Not, Not),
    peer("bun", &["servers/node_modules/.bin/bun", "servers/bun.js"], ALL, Too, Too),
    peer("ws", &["node", "servers/ws.js"], ALL, Too, Not),
    peer("lws", &["./lws_echo"], ECHO, Not, Not),
];

pub fn named(name: &str) -> Option<&'static Peer> {
    PEERS.iter().find(|peer| peer.name == name)
}

impl Peer {
    pub fn takes_part(&self, cell: &Cell) -> bool {
        let fits = |can: Can, is_asked: bool| match can {
            Not => !is_asked,
            Too => true,
            Only => is_asked,
        };
        let has_level = cell.deflate.is_none_or(|deflate| match (self.name, deflate.level) {
            ("codec", level) => level.is_some(),
            // It cannot be set.
            ("bun", Some(level)) => level == 6,
            _ => true,
        });
        self.kinds.contains(&cell.kind)
            && has_level
            && fits(self.deflate, cell.deflate.is_some())
            && fits(self.tls, cell.tls)
    }

    pub fn command(&self) -> Vec<String> {
        let exe = std::env::current_exe().expect("the system knows our path");
        let directory = exe.parent().unwrap_or(Path::new("."));
        let mut command: Vec<String> = self.command.iter().map(|&part| part.to_owned()).collect();
        if let Some(program) = command[0].strip_prefix("./") {
            command[0] = directory.join(program).display().to_string();
        }
        command
    }

    /// Whether what comes back are frames: the raw echoes return as many bytes as a server would, not a server's.
    pub fn speaks_websocket(&self) -> bool {
        !matches!(self.name, "raw" | "tokio-raw")
    }

    /// Whether it needs more than one core.
    pub fn is_parallel(&self) -> bool {
        self.name == "wsplug-2"
    }
}

/// What a server or client is told about its task, as environment variables.
pub fn task(cell: &Cell) -> Vec<(&'static str, String)> {
    let role = match cell.kind {
        Kind::Echo | Kind::Turns | Kind::Connect => "echo",
        Kind::Events => "events",
        Kind::Work => "work",
        Kind::FanOut => "fan-out",
        Kind::Send => "send",
    };
    let mut task = vec![("BENCH_ROLE", role.to_owned()), ("BENCH_SIZE", cell.size.to_string())];
    if let Some(deflate) = cell.deflate {
        task.push(("BENCH_DEFLATE", deflate.level.map_or("default".into(), |level| level.to_string())));
        task.push(("BENCH_TAKEOVER", u8::from(deflate.keeps_context).to_string()));
    }
    task
}
