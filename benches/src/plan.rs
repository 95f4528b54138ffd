//! Knows the command line, and the parts: which cells, with which peers, how long. Does not know how they are measured.

use std::path::PathBuf;

use crate::cell::{Cell, number};
use crate::peer::{self, PEERS, Peer};

const USAGE: &str = "\
usage: wsplug-bench [options]
  --quick            a look in under a minute
  --parts a,b        of the parts below; without --quick, --parts or --cells: all of them
  --cells a,b        instead of a part, see README.md:
                       L<connections>:<size>   echo, one message in flight on each
                       P<connections>:<size>   echo, 64 in flight on each (at 1m 8 on one and 4 on each of several)
                       N<connections>:<size>   echo, 16 at once on 64 connections, all taking turns
                       E<connections>:<size>   messages taken, one of 64 answered
                       B<connections>:<size>   one sends, all receive, up to 64 KiB in flight
                       S1:<size>               a client sends as fast as it can
                       W<connections>:<size>   echo after work of 10 us
                       C<connections>          connects and memory
                     sizes as 16, 1k, 1m; behind L, P or C: +d<level> compressed, +d<level>n without context,
                     +d by each peer's default, +tls
  --peers a,b        of those below
  --rounds n         interleaved rounds, of which the median is shown
  --seconds s        each measurement, after a warm-up of a third of it, at least 0.2 s
  --text             text messages instead of binary ones
  --cores a,b        the load generator's core and the servers' (0,1)
  --csv file         appends each single measurement";

const RUST: &str = "tokio-raw,tungstenite,tungstenite-batched,fastwebsockets,yawc,yawc-tuned,sockudo,tokio-websockets";

/// Name, what for, cells, peers, rounds, seconds.
type Row = (&'static str, &'static str, &'static str, &'static str, usize, f64);

#[rustfmt::skip]
const PARTS: &[Row] = &[
    ("echo", "one message in flight, every peer",
        "L1:16,L64:16,L64:125,L64:1k,L64:16k,L64:64k", "raw,wsplug,RUST,bun,ws,lws", 3, 0.35),
    ("pipelined", "many in flight, every peer",
        "P1:16,P1:1k,P1:16k,P16:16,P16:125,P16:1k,P16:16k,P1:1m,P4:1m", "raw,wsplug,RUST,bun,ws,lws", 3, 0.3),
    ("delivery", "wsplug's delivery modes: echo, and each event's cost",
        "L64:16,P16:16,P16:1k,P16:16k,E16:16,E16:1k",
        "raw,wsplug,wsplug-thread,wsplug-pump,wsplug-pull,wsplug-messages,wsplug-json,wsplug-thread-json,wsplug-pull-json", 3, 0.35),
    ("connections", "1 to 5,000 connections, and two network threads",
        "N1:16,N64:16,N1000:16,N5000:16,W16:16", "raw,wsplug,wsplug-2,tungstenite-batched,sockudo,bun", 3, 0.4),
    ("deflate", "permessage-deflate",
        "P1:1k+d6,P16:1k+d6,P16:1k+d1,P16:1k+d6n,P16:1k+d1n,L16:64k+d6,L16:64k+d1,L16:64k+d6n,L16:64k+d1n",
        "codec,wsplug,yawc,sockudo,bun,ws", 3, 0.4),
    ("send", "a client that sends", "S1:16,S1:1k,S1:64k", "raw,wsplug,tungstenite,tungstenite-batched,bun,ws", 3, 0.4),
    ("fan-out", "one publisher, 500 subscribers",
        "B500:16,B500:128,B500:1k,B500:16k", "raw,wsplug,wsplug-publish,wsplug-thread,tungstenite,tungstenite-batched,sockudo,bun,ws", 3, 0.4),
    ("memory", "connects, and what a connection holds",
        "C10000,C1000+d,C1000+d6,C1000+d6n,C1000+tls", "wsplug,RUST,bun,ws,lws", 1, 0.3),
    ("tls", "echo over TLS",
        "L64:16+tls,L64:1k+tls,L64:16k+tls,L64:64k+tls,P16:16+tls,P16:1k+tls,P16:16k+tls,P16:64k+tls",
        "tokio-raw,wsplug,tungstenite,tungstenite-batched,bun", 3, 0.4),
];

pub struct Part {
    pub name: String,
    pub cells: Vec<Cell>,
    pub peers: Vec<&'static Peer>,
    pub rounds: usize,
    pub seconds: f64,
}

pub struct Plan {
    pub parts: Vec<Part>,
    pub text: bool,
    pub load_core: usize,
    pub server_core: usize,
    pub csv: Option<PathBuf>,
}

pub fn usage() -> String {
    let mut text = format!("{USAGE}\nparts:\n");
    for (name, about, cells, ..) in PARTS {
        text.push_str(&format!("  {name:<18} {about}: {cells}\n"));
    }
    let names: Vec<_> = PEERS.iter().map(|peer| peer.name).collect();
    text.push_str(&format!("peers, each in the cells that it can do:\n  {}", names.join(" ")));
    text
}

impl Plan {
    pub fn read(mut arguments: impl Iterator<Item = String>) -> Result<Plan, String> {
        let mut plan = Plan { parts: Vec::new(), text: false, load_core: 0, server_core: 1, csv: None };
        let (mut chosen, mut peers, mut rounds, mut seconds) = (None, None, None, None);
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{name} takes a value"));
            match name.as_str() {
                "--quick" => {
                    let cells = "L64:16,L64:64k,P1:16k,P16:16,P16:1k,C1000";
                    chosen = Some(vec![part(("quick", "", cells, "raw,wsplug,tungstenite,bun", 2, 0.3))?]);
                }
                "--parts" => {
                    let find = |name: &str| {
                        let row = PARTS.iter().find(|row| row.0 == name);
                        part(*row.ok_or(format!("no part is called {name}"))?)
                    };
                    chosen = Some(value()?.split(',').map(find).collect::<Result<_, _>>()?);
                }
                "--cells" => {
                    let names: Vec<_> = PEERS.iter().map(|peer| peer.name).collect();
                    chosen = Some(vec![part(("cells", "", &value()?, &names.join(","), 3, 0.5))?]);
                }
                "--peers" => peers = Some(named(&value()?)?),
                "--rounds" => rounds = Some(number(&value()?)?),
                "--seconds" => seconds = Some(number(&value()?)?),
                "--text" => plan.text = true,
                "--cores" => {
                    let cores = value()?;
                    let (load, server) = cores.split_once(',').ok_or("--cores takes two numbers")?;
                    (plan.load_core, plan.server_core) = (number(load)?, number(server)?);
                }
                "--csv" => plan.csv = Some(value()?.into()),
                _ => return Err(format!("unknown option {name}")),
            }
        }
        plan.parts = match chosen {
            Some(parts) => parts,
            None => PARTS.iter().map(|row| part(*row)).collect::<Result<_, _>>()?,
        };
        for part in &mut plan.parts {
            part.peers = peers.clone().unwrap_or(std::mem::take(&mut part.peers));
            part.rounds = rounds.unwrap_or(part.rounds);
            part.seconds = seconds.unwrap_or(part.seconds);
        }
        Ok(plan)
    }
}

fn part((name, _, cells, peers, rounds, seconds): (&str, &str, &str, &str, usize, f64)) -> Result<Part, String> {
    Ok(Part {
        name: name.into(),
        cells: cells.split(',').map(str::parse).collect::<Result<_, _>>()?,
        peers: named(&peers.replace("RUST", RUST))?,
        rounds,
        seconds,
    })
}

fn named(names: &str) -> Result<Vec<&'static Peer>, String> {
    names.split(',').map(|name| peer::named(name).ok_or(format!("no peer is called {name}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_peers_for_each_of_its_cells() {
        let plan = Plan::read(std::iter::empty()).unwrap();
        assert_eq!(plan.parts.len(), PARTS.len());
        for part in &plan.parts {
            for cell in &part.cells {
                let count = part.peers.iter().filter(|peer| peer.takes_part(cell)).count();
                assert!(count > 1, "{} {}", part.name, cell.name);
            }
        }
    }

    #[test]
    fn every_peer_has_a_part() {
        let plan = Plan::read(std::iter::empty()).unwrap();
        let takes_part = |peer: &Peer| {
            let has = |part: &Part| {
                part.peers.iter().any(|of| of.name == peer.name) && part.cells.iter().any(|cell| peer.takes_part(cell))
            };
            plan.parts.iter().any(has)
        };
        PEERS.iter().for_each(|peer| assert!(takes_part(peer), "{}", peer.name));
    }

    #[test]
    fn what_is_no_cell_is_refused() {
        for name in ["", "L", "X1:16", "L1:16+x", "L0:16", "B500:16+d6", "L1:16+d0"] {
            assert!(name.parse::<Cell>().is_err(), "{name}");
        }
    }
}
