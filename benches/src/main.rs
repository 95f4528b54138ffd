//! Measures WebSocket echo servers against each other: options, the plan, the rounds. See README.md.

mod load;
mod report;
mod server;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use load::{Frames, Load, Upgrade};
use report::{Connect, Echo, Report};
use server::Server;

const USAGE: &str = "\
usage: wsplug-bench [options]
  --quick            a look in under a minute
  --all              every workload, size and peer, under fifteen minutes
  --peers a,b        of: raw tokio-raw wsplug wsplug-thread wsplug-pump wsplug-pull tungstenite
                     tungstenite-batched fastwebsockets yawc yawc-tuned sockudo tokio-websockets bun ws lws
  --cells a,b        L<connections>:<size> one message in flight on each, P<connections>:<size> 64 in flight on each
                     (8 on one and 4 on several at 1m), C<connections> connects and memory; sizes as 16, 1k, 1m
  --rounds n         interleaved rounds, of which the median is shown
  --seconds s        each measurement, after a warm-up of a third of it, at least 0.2 s
  --text             text messages instead of binary ones
  --cores a,b        the load generator's core and the servers' (0,1)
  --csv file         appends each single measurement";

const PEERS: [&str; 16] = [
    "raw",
    "tokio-raw",
    "wsplug",
    "wsplug-thread",
    "wsplug-pump",
    "wsplug-pull",
    "tungstenite",
    "tungstenite-batched",
    "fastwebsockets",
    "yawc",
    "yawc-tuned",
    "sockudo",
    "tokio-websockets",
    "bun",
    "ws",
    "lws",
];

struct Options {
    peers: Vec<String>,
    cells: Vec<Cell>,
    rounds: usize,
    seconds: f64,
    text: bool,
    load_core: usize,
    server_core: usize,
    csv: Option<PathBuf>,
}

#[derive(Clone)]
struct Cell {
    name: String,
    workload: Workload,
}

#[derive(Clone, Copy)]
enum Workload {
    Echo { connections: usize, window: usize, size: usize },
    Connect { connections: usize },
}

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    server::raise_descriptor_limit();
    if let Err(error) = server::pin(options.load_core) {
        eprintln!("core {}: {error}; this takes two cores", options.load_core);
        return ExitCode::FAILURE;
    }
    let mut report = Report::new(options.csv.as_deref());
    let total = options.rounds * options.cells.len() * options.peers.len();
    let (begin, mut done) = (Instant::now(), 0);
    let is_watched = io::stderr().is_terminal();
    for _ in 0..options.rounds {
        for cell in &options.cells {
            for peer in &options.peers {
                done += 1;
                if is_watched {
                    eprint!("\r\x1b[K{done}/{total} {} {peer} ", cell.name);
                }
                if let Err(error) = measure(&options, peer, cell, &mut report) {
                    report.failed(peer, &cell.name, &error.to_string());
                }
            }
        }
    }
    if is_watched {
        eprint!("\r\x1b[K");
    }
    eprintln!("{total} measurements in {:.0} s", begin.elapsed().as_secs_f64());
    let names: Vec<_> = options.cells.iter().map(|cell| cell.name.clone()).collect();
    print!("{}", report.markdown(&options.peers, &names));
    if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(options: &Options, peer: &str, cell: &Cell, report: &mut Report) -> io::Result<()> {
    let server = Server::start(&command(peer), options.server_core)?;
    // The raw echoes return as many bytes as a server would, not a server's frames.
    let checked = !matches!(peer, "raw" | "tokio-raw");
    match cell.workload {
        Workload::Echo { connections, window, size } => {
            let frames = Frames::new(size, window, options.text);
            let upgrade = Upgrade::new(server.port, &frames);
            let mut load = Load::start(&upgrade, &frames, connections, window, checked)?;
            load.run(Duration::from_secs_f64((options.seconds / 3.0).max(0.2)))?;
            let (begin, cpu) = (Instant::now(), server.cpu());
            let messages = load.run(Duration::from_secs_f64(options.seconds))?;
            let (elapsed, cpu) = (begin.elapsed().as_secs_f64(), (server.cpu() - cpu).as_secs_f64());
            if messages < 1.0 {
                return Err(io::Error::other("no message came back; the machine is too busy"));
            }
            report.echo(
                peer,
                &cell.name,
                Echo { cpu_us: cpu * 1e6 / messages, per_second: messages / elapsed, busy: cpu / elapsed },
            );
        }
        Workload::Connect { connections } => {
            let frames = Frames::new(1024, 1, options.text);
            let upgrade = Upgrade::new(server.port, &frames);
            // The first connections fault the server's code in and warm its caches.
            let mut first = load::open(&upgrade, 32)?;
            load::echo_once(&mut first, &frames, checked)?;
            let base = settled_memory(&server)?;
            let (begin, cpu) = (Instant::now(), server.cpu());
            let mut streams = load::open(&upgrade, connections)?;
            let (elapsed, cpu) = (begin.elapsed().as_secs_f64(), (server.cpu() - cpu).as_secs_f64());
            let idle = settled_memory(&server)?;
            load::echo_once(&mut streams, &frames, checked)?;
            let used = settled_memory(&server)?;
            let each = |memory: u64| (memory as f64 - base as f64) / connections as f64;
            report.connect(
                peer,
                &cell.name,
                Connect {
                    per_second: connections as f64 / elapsed,
                    cpu_us: cpu * 1e6 / connections as f64,
                    idle_bytes: each(idle),
                    used_bytes: each(used),
                },
            );
        }
    }
    Ok(())
}

/// The server's resident bytes once two looks agree: collectors and timers run after the last answer.
fn settled_memory(server: &Server) -> io::Result<u64> {
    let mut last = 0;
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(100));
        let now = server.memory()?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(last)
}

fn command(peer: &str) -> Vec<String> {
    let exe = std::env::current_exe().expect("the system knows our path");
    let beside = |name: &str| exe.parent().unwrap_or(Path::new(".")).join(name).display().to_string();
    match peer {
        "raw" => vec![beside("raw_echo")],
        "lws" => vec![beside("lws_echo")],
        "ws" => vec!["node".into(), "servers/ws_echo.js".into()],
        "bun" => vec!["servers/node_modules/.bin/bun".into(), "servers/bun_echo.js".into()],
        "wsplug" => vec![beside("wsplug_echo"), "inline".into()],
        _ => match peer.strip_prefix("wsplug-") {
            Some(dispatch) => vec![beside("wsplug_echo"), dispatch.into()],
            None => vec![beside("peer"), peer.into()],
        },
    }
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let mut options = Options {
            peers: PEERS.map(str::to_owned).to_vec(),
            cells: cells(&list(
                "L1:16,L64:16,L64:1k,L64:64k,P1:16,P1:1k,P1:16k,P16:16,P16:125,P16:1k,P16:16k,P1:1m,P4:1m,C5000",
            ))?,
            rounds: 3,
            seconds: 0.5,
            text: false,
            load_core: 0,
            server_core: 1,
            csv: None,
        };
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{name} takes a value"));
            match name.as_str() {
                "--quick" => {
                    options.peers = list("raw,wsplug,tungstenite,bun");
                    options.cells = cells(&list("L64:16,L64:64k,P1:16k,P16:16,P16:1k,C1000"))?;
                    options.rounds = 2;
                    options.seconds = 0.3;
                }
                "--all" => {
                    let sizes = ["16", "125", "1k", "16k", "64k", "1m"];
                    let mut names = Vec::new();
                    for load in ["L1", "L64", "P1", "P16"] {
                        names.extend(sizes.map(|size| format!("{load}:{size}")));
                    }
                    names.extend(list("P4:1m,C5000"));
                    options.cells = cells(&names)?;
                    options.seconds = 0.35;
                }
                "--peers" => {
                    options.peers = list(&value()?);
                    if let Some(unknown) = options.peers.iter().find(|peer| !PEERS.contains(&peer.as_str())) {
                        return Err(format!("no peer is called {unknown}"));
                    }
                }
                "--cells" => options.cells = cells(&list(&value()?))?,
                "--rounds" => options.rounds = number(&value()?)?,
                "--seconds" => options.seconds = number(&value()?)?,
                "--text" => options.text = true,
                "--cores" => {
                    let cores = list(&value()?);
                    let [load, server] = cores.as_slice() else { return Err("--cores takes two numbers".into()) };
                    (options.load_core, options.server_core) = (number(load)?, number(server)?);
                }
                "--csv" => options.csv = Some(value()?.into()),
                _ => return Err(format!("unknown option {name}")),
            }
        }
        Ok(options)
    }
}

fn cells(names: &[String]) -> Result<Vec<Cell>, String> {
    let mut cells = Vec::new();
    for name in names {
        let wrong = || format!("{name} is not a cell");
        let kind = name.chars().next().ok_or_else(wrong)?;
        let (connections, size) = match name[kind.len_utf8()..].split_once(':') {
            Some((connections, size)) => (number(connections)?, bytes(size)?),
            None => (number(&name[kind.len_utf8()..])?, 0),
        };
        let window = match (kind, size, connections) {
            ('L', ..) => 1,
            (_, 0..0x10_0000, _) => 64,
            (.., 1) => 8,
            _ => 4,
        };
        let workload = match kind {
            'L' | 'P' if size > 0 => Workload::Echo { connections, window, size },
            'C' => Workload::Connect { connections },
            _ => return Err(wrong()),
        };
        cells.push(Cell { name: name.clone(), workload });
    }
    Ok(cells)
}

fn bytes(text: &str) -> Result<usize, String> {
    match text.strip_suffix(['k', 'm']) {
        Some(count) if text.ends_with('k') => Ok(number::<usize>(count)? << 10),
        Some(count) => Ok(number::<usize>(count)? << 20),
        None => number(text),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}
