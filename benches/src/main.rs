//! Measures WebSocket servers and clients against each other: options, the plan, the rounds. See README.md.

mod cell;
mod certificate;
mod deflate;
mod frames;
mod load;
mod peer;
mod plan;
mod report;
mod server;
mod sink;
mod wire;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cell::{Cell, Kind};
use certificate::Certificate;
use frames::Frames;
use load::Load;
use peer::Peer;
use plan::{Part, Plan};
use report::{Connect, Flow, Report};
use server::Server;
use sink::Sink;
use wire::Upgrade;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--help") {
        println!("{}", plan::usage());
        return ExitCode::SUCCESS;
    }
    let plan = match Plan::read(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(message) => {
            eprintln!("{message}\n{}", plan::usage());
            return ExitCode::FAILURE;
        }
    };
    server::raise_descriptor_limit();
    if let Err(error) = server::pin(&[plan.load_core]) {
        eprintln!("core {}: {error}; this takes two cores", plan.load_core);
        return ExitCode::FAILURE;
    }
    let incomplete = plan.parts.iter().filter(|part| !run(&plan, part)).count();
    if incomplete == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one part and prints its tables. Whether every measurement succeeded.
fn run(plan: &Plan, part: &Part) -> bool {
    let mut report = Report::new(plan.csv.as_deref());
    let certificate = part.cells.iter().any(|cell| cell.tls).then(Certificate::new).transpose();
    let certificate = match certificate {
        Ok(certificate) => certificate,
        Err(error) => {
            eprintln!("no certificate: {error}");
            return false;
        }
    };
    let bench = Bench { plan, part, certificate };
    let pairs: Vec<_> = part
        .cells
        .iter()
        .flat_map(|cell| part.peers.iter().map(move |peer| (*peer, cell)))
        .filter(|(peer, cell)| peer.takes_part(cell))
        .collect();
    let total = part.rounds * pairs.len();
    let begin = Instant::now();
    let is_watched = io::stderr().is_terminal();
    for round in 0..part.rounds {
        for (index, (peer, cell)) in pairs.iter().enumerate() {
            if is_watched {
                eprint!("\r\x1b[K{}/{total} {} {} ", round * pairs.len() + index + 1, cell.name, peer.name);
            }
            if let Err(error) = bench.measure(peer, cell, &mut report) {
                report.failed(peer.name, cell, &error.to_string());
            }
        }
    }
    if is_watched {
        eprint!("\r\x1b[K");
    }
    eprintln!("{}: {total} measurements in {:.0} s", part.name, begin.elapsed().as_secs_f64());
    let names: Vec<_> = part.peers.iter().map(|peer| peer.name).collect();
    println!("## {}\n\n{}", part.name, report.markdown(&names, &part.cells));
    report.is_complete()
}

struct Bench<'a> {
    plan: &'a Plan,
    part: &'a Part,
    certificate: Option<Certificate>,
}

impl Bench<'_> {
    fn measure(&self, peer: &Peer, cell: &Cell, report: &mut Report) -> io::Result<()> {
        match cell.kind {
            Kind::Connect => report.connect(peer.name, cell, self.connect(peer, cell)?),
            Kind::Send => report.flow(peer.name, cell, self.send(peer, cell)?),
            _ if peer.name == "codec" => report.flow(peer.name, cell, self.codec(cell)?),
            _ => report.flow(peer.name, cell, self.flow(peer, cell)?),
        }
        Ok(())
    }

    fn flow(&self, peer: &Peer, cell: &Cell) -> io::Result<Flow> {
        let frames = Frames::new(cell, self.plan.text);
        let (server, upgrade) = self.start(peer, cell, &frames)?;
        let mut load = Load::start(&upgrade, &frames, cell, peer.speaks_websocket())?;
        self.timed(&server, |duration| {
            let answered = load.run(duration)?;
            Ok((answered.messages, answered.ratio))
        })
    }

    fn send(&self, peer: &Peer, cell: &Cell) -> io::Result<Flow> {
        let (listener, port) = Sink::listen()?;
        let mut task = peer::task(cell);
        task.push(("BENCH_PORT", port.to_string()));
        let client = Server::start(&peer.command(), task, &[self.plan.server_core])?;
        let mut sink = Sink::accept(&listener, cell.size, peer.speaks_websocket())?;
        self.timed(&client, |duration| Ok((sink.run(duration)?, None)))
    }

    /// Runs twice, to warm up and to measure.
    fn timed(
        &self,
        server: &Server,
        mut run: impl FnMut(Duration) -> io::Result<(f64, Option<f64>)>,
    ) -> io::Result<Flow> {
        run(Duration::from_secs_f64((self.part.seconds / 3.0).max(0.2)))?;
        let (begin, cpu) = (Instant::now(), server.cpu());
        let (messages, ratio) = run(Duration::from_secs_f64(self.part.seconds))?;
        let (elapsed, cpu) = (begin.elapsed().as_secs_f64(), (server.cpu() - cpu).as_secs_f64());
        if messages < 1.0 {
            return Err(io::Error::other("no message came back; the machine is too busy"));
        }
        Ok(Flow { cpu_us: cpu * 1e6 / messages, per_second: messages / elapsed, busy: cpu / elapsed, ratio })
    }

    /// On the server's core, as a server would.
    fn codec(&self, cell: &Cell) -> io::Result<Flow> {
        let (frames, setting) = (Frames::new(cell, true), cell.deflate.expect("it takes part in no other cell"));
        let texts: Vec<_> = frames.texts().iter().map(Vec::as_slice).collect();
        let duration = Duration::from_secs_f64(self.part.seconds);
        server::pin(&[self.plan.server_core])?;
        let alone = deflate::alone(&texts, cell, setting, duration);
        server::pin(&[self.plan.load_core])?;
        let (cpu, elapsed) = (alone.cpu.as_secs_f64(), alone.elapsed.as_secs_f64());
        Ok(Flow {
            cpu_us: cpu * 1e6 / alone.messages,
            per_second: alone.messages / elapsed,
            busy: cpu / elapsed,
            ratio: Some(alone.compressed_bytes as f64 / (alone.messages * cell.size as f64)),
        })
    }

    fn connect(&self, peer: &Peer, cell: &Cell) -> io::Result<Connect> {
        let (frames, checked) = (Frames::new(cell, self.plan.text), peer.speaks_websocket());
        let (server, upgrade) = self.start(peer, cell, &frames)?;
        // The first connections fault the server's code in and warm its caches.
        let mut first = load::open(&upgrade, 32)?;
        load::echo_once(&mut first, &frames, checked)?;
        let base = settled_memory(&server)?;
        let (begin, cpu) = (Instant::now(), server.cpu());
        let mut wires = load::open(&upgrade, cell.connections)?;
        let (elapsed, cpu) = (begin.elapsed().as_secs_f64(), (server.cpu() - cpu).as_secs_f64());
        let idle = settled_memory(&server)?;
        load::echo_once(&mut wires, &frames, checked)?;
        let used = settled_memory(&server)?;
        let count = cell.connections as f64;
        let each = |memory: u64| (memory as f64 - base as f64) / count;
        Ok(Connect {
            per_second: count / elapsed,
            cpu_us: cpu * 1e6 / count,
            idle_bytes: each(idle),
            used_bytes: each(used),
        })
    }

    fn start(&self, peer: &Peer, cell: &Cell, frames: &Frames) -> io::Result<(Server, Upgrade)> {
        let mut task = peer::task(cell);
        let certificate = self.certificate.as_ref().filter(|_| cell.tls);
        task.extend(certificate.iter().flat_map(|certificate| certificate.task()));
        let both = [self.plan.server_core, self.plan.load_core];
        let mut server = Server::start(&peer.command(), task, if peer.is_parallel() { &both } else { &both[..1] })?;
        let port = server.port()?;
        let tls = certificate.map(|certificate| certificate.client.clone());
        Ok((server, Upgrade::new(port, &frames.path(), cell.deflate, tls)))
    }
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
