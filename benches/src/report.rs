//! Knows the figures and prints their medians as Markdown. Does not know how they were measured.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use crate::cell::{Cell, Kind};

pub struct Flow {
    /// CPU of the server (or of the client that sends) per message.
    pub cpu_us: f64,
    pub per_second: f64,
    /// The part of one core that it used.
    pub busy: f64,
    /// Payload bytes on the wire for each of the text.
    pub ratio: Option<f64>,
}

pub struct Connect {
    pub per_second: f64,
    /// CPU of the server process per connection.
    pub cpu_us: f64,
    /// Resident bytes per connection, before and after one message of 1 KiB each.
    pub idle_bytes: f64,
    pub used_bytes: f64,
}

type Key = (String, String);

#[derive(Default)]
pub struct Report {
    flows: BTreeMap<Key, Vec<Flow>>,
    connects: BTreeMap<Key, Vec<Connect>>,
    failures: BTreeMap<Key, String>,
    csv: Option<std::fs::File>,
}

impl Report {
    pub fn new(csv: Option<&Path>) -> Report {
        let csv = csv.and_then(|path| match std::fs::OpenOptions::new().create(true).append(true).open(path) {
            Ok(file) => Some(file),
            Err(error) => {
                eprintln!("{}: {error}; going on without", path.display());
                None
            }
        });
        Report { csv, ..Report::default() }
    }

    pub fn flow(&mut self, peer: &str, cell: &Cell, flow: Flow) {
        let Flow { cpu_us, per_second, busy, ratio } = flow;
        let ratio = ratio.map_or(String::new(), |ratio| format!("{ratio:.4}"));
        self.line(&format!("{peer},{},{cpu_us:.4},{per_second:.0},{busy:.3},{ratio}", cell.name));
        self.flows.entry((peer.into(), cell.name.clone())).or_default().push(flow);
    }

    pub fn connect(&mut self, peer: &str, cell: &Cell, connect: Connect) {
        let Connect { cpu_us, per_second, idle_bytes, used_bytes } = connect;
        self.line(&format!("{peer},{},{cpu_us:.2},{per_second:.0},{idle_bytes:.0},{used_bytes:.0}", cell.name));
        self.connects.entry((peer.into(), cell.name.clone())).or_default().push(connect);
    }

    pub fn failed(&mut self, peer: &str, cell: &Cell, error: &str) {
        self.failures.insert((peer.into(), cell.name.clone()), error.into());
    }

    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    fn line(&mut self, line: &str) {
        if let Some(csv) = &mut self.csv {
            let _ = writeln!(csv, "{line}");
        }
    }

    pub fn markdown(&self, peers: &[&str], cells: &[Cell]) -> String {
        let mut text = String::new();
        // Cells that can be compared stand in one table.
        let group = |cell: &Cell| (cell.kind, cell.deflate.is_some(), cell.tls);
        let mut groups: Vec<_> = cells.iter().map(group).collect();
        groups.sort();
        groups.dedup();
        for of in groups {
            let cells: Vec<_> = cells.iter().filter(|cell| group(cell) == of).collect();
            match of.0 {
                Kind::Connect => cells.iter().for_each(|cell| self.connect_table(&mut text, peers, cell)),
                _ => self.flow_tables(&mut text, peers, &cells),
            }
        }
        for ((peer, cell), error) in &self.failures {
            let _ = writeln!(text, "- {peer}, {cell}: failed: {error}");
        }
        text
    }

    fn flow_tables(&self, text: &mut String, peers: &[&str], cells: &[&Cell]) {
        let first = cells[0];
        let who = if first.kind == Kind::Send { "client" } else { "server" };
        let what = match first.kind {
            Kind::Echo if first.deflate.is_some() => "Compressed echo",
            Kind::Echo if first.tls => "Echo over TLS",
            Kind::Echo => "Echo",
            Kind::Turns => "Connections that take turns",
            Kind::Events => "Messages taken",
            Kind::Work => "Echo after work of 10 µs",
            Kind::FanOut => "Fan-out, by delivered message",
            Kind::Send => "Sending as a client",
            Kind::Connect => "",
        };
        let (base, base_name) = match first.kind {
            Kind::Work => ("wsplug", "one network thread"),
            _ if first.deflate.is_some() => ("codec", "the codec alone"),
            _ if first.tls => ("tokio-raw", "TLS on tokio without WebSocket"),
            _ => ("raw", "raw TCP in C"),
        };
        let columns: Vec<_> = cells.iter().map(|cell| cell.name.as_str()).collect();
        let get = |peer: &str, cell: &str, value: fn(&Flow) -> f64| {
            Some(median(self.flows.get(&(peer.to_owned(), cell.to_owned()))?, value))
        };
        let peers: Vec<_> = peers
            .iter()
            .copied()
            .filter(|peer| columns.iter().any(|cell| get(peer, cell, |_| 0.0).is_some()))
            .collect();
        table(text, &format!("{what}: CPU microseconds of the {who} per message"), &peers, &columns, |peer, cell| {
            get(peer, cell, |flow| flow.cpu_us).map(short)
        });
        if peers.contains(&base) {
            let title = format!("{what}: CPU as a multiple of {base_name}");
            table(text, &title, &peers, &columns, |peer, cell| {
                Some(format!("{:.2}", get(peer, cell, |flow| flow.cpu_us)? / get(base, cell, |flow| flow.cpu_us)?))
            });
        }
        let title = format!("{what}: thousand messages per second (and how busy the {who} kept a core)");
        table(text, &title, &peers, &columns, |peer, cell| {
            let (rate, busy) = (get(peer, cell, |flow| flow.per_second)?, get(peer, cell, |flow| flow.busy)?);
            Some(format!("{} ({:.0} %)", short(rate / 1000.0), busy * 100.0))
        });
        if first.deflate.is_some() {
            table(text, &format!("{what}: bytes on the wire for each of the text"), &peers, &columns, |peer, cell| {
                get(peer, cell, |flow| flow.ratio.unwrap_or(f64::NAN)).map(|ratio| format!("{ratio:.3}"))
            });
        }
    }

    fn connect_table(&self, text: &mut String, peers: &[&str], cell: &Cell) {
        const COLUMNS: [&str; 4] =
            ["connects/s", "CPU µs each", "resident bytes each, idle", "after one 1 KiB message"];
        let get = |peer: &str| self.connects.get(&(peer.to_owned(), cell.name.clone()));
        let peers: Vec<_> = peers.iter().copied().filter(|peer| get(peer).is_some()).collect();
        let kind = match (cell.deflate, cell.tls) {
            (Some(deflate), _) => {
                let level = deflate.level.map_or("by default".into(), |level| format!("at level {level}"));
                format!(", compressing {level}, contexts {}kept", if deflate.keeps_context { "" } else { "not " })
            }
            (None, true) => ", TLS".into(),
            (None, false) => String::new(),
        };
        table(text, &format!("{} connections{kind}", cell.connections), &peers, &COLUMNS, |peer, column| {
            let values = get(peer)?;
            Some(match COLUMNS.iter().position(|name| *name == column)? {
                0 => format!("{:.0}", median(values, |connect| connect.per_second)),
                1 => short(median(values, |connect| connect.cpu_us)),
                2 => format!("{:.0}", median(values, |connect| connect.idle_bytes)),
                _ => format!("{:.0}", median(values, |connect| connect.used_bytes)),
            })
        });
    }
}

fn table(
    text: &mut String,
    title: &str,
    peers: &[&str],
    columns: &[&str],
    value: impl Fn(&str, &str) -> Option<String>,
) {
    let _ = writeln!(text, "{title}:\n");
    let _ = write!(text, "| |");
    columns.iter().for_each(|column| {
        let _ = write!(text, " {} |", column.replace([':', '+'], " "));
    });
    let _ = writeln!(text, "\n|---|{}", "---|".repeat(columns.len()));
    for peer in peers {
        let _ = write!(text, "| {peer} |");
        for column in columns {
            let _ = write!(text, " {} |", value(peer, column).unwrap_or_default());
        }
        text.push('\n');
    }
    text.push('\n');
}

fn median<T>(values: &[T], value: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = values.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// Three digits that mean something.
fn short(value: f64) -> String {
    match value {
        0.0..1.0 => format!("{value:.3}"),
        1.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
