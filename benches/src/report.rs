//! Knows the figures and prints their medians as Markdown. Does not know how they were measured.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

pub struct Echo {
    /// CPU of the server process per message.
    pub cpu_us: f64,
    pub per_second: f64,
    /// The part of one core that the server used.
    pub busy: f64,
}

pub struct Connect {
    pub per_second: f64,
    /// CPU of the server process per connection.
    pub cpu_us: f64,
    /// Resident bytes per connection, before and after one message of 1 KiB each.
    pub idle_bytes: f64,
    pub used_bytes: f64,
}

#[derive(Default)]
pub struct Report {
    echoes: BTreeMap<(String, String), Vec<Echo>>,
    connects: BTreeMap<(String, String), Vec<Connect>>,
    failures: BTreeMap<(String, String), String>,
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

    pub fn echo(&mut self, peer: &str, cell: &str, echo: Echo) {
        self.line(&format!("{peer},{cell},{:.4},{:.0},{:.3}", echo.cpu_us, echo.per_second, echo.busy));
        self.echoes.entry((peer.into(), cell.into())).or_default().push(echo);
    }

    pub fn connect(&mut self, peer: &str, cell: &str, connect: Connect) {
        self.line(&format!(
            "{peer},{cell},{:.2},{:.0},{:.0},{:.0}",
            connect.cpu_us, connect.per_second, connect.idle_bytes, connect.used_bytes
        ));
        self.connects.entry((peer.into(), cell.into())).or_default().push(connect);
    }

    pub fn failed(&mut self, peer: &str, cell: &str, error: &str) {
        self.failures.insert((peer.into(), cell.into()), error.into());
    }

    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    fn line(&mut self, line: &str) {
        if let Some(csv) = &mut self.csv {
            let _ = writeln!(csv, "{line}");
        }
    }

    pub fn markdown(&self, peers: &[String], cells: &[String]) -> String {
        let mut text = String::new();
        let echoes: Vec<_> = cells.iter().filter(|cell| !cell.starts_with('C')).collect();
        if !echoes.is_empty() {
            let cpu = |peer: &str, cell: &str| self.echo_median(peer, cell, |echo| echo.cpu_us);
            table(&mut text, "CPU microseconds of the server per message", peers, &echoes, |peer, cell| {
                cpu(peer, cell).map(short)
            });
            table(&mut text, "The same as a multiple of the raw TCP echo", peers, &echoes, |peer, cell| {
                Some(format!("{:.2}", cpu(peer, cell)? / cpu("raw", cell)?))
            });
            table(
                &mut text,
                "Thousand messages per second (and how busy the server's core was)",
                peers,
                &echoes,
                |peer, cell| {
                    let rate = self.echo_median(peer, cell, |echo| echo.per_second)?;
                    let busy = self.echo_median(peer, cell, |echo| echo.busy)?;
                    Some(format!("{} ({:.0} %)", short(rate / 1000.0), busy * 100.0))
                },
            );
        }
        for cell in cells.iter().filter(|cell| cell.starts_with('C')) {
            let columns = ["connects/s", "CPU µs each", "resident bytes each, idle", "after one 1 KiB message"]
                .map(str::to_owned);
            let columns: Vec<_> = columns.iter().collect();
            table(&mut text, &format!("{} connections", &cell[1..]), peers, &columns, |peer, column| {
                let index = columns.iter().position(|name| *name == column)?;
                let values = self.connects.get(&(peer.to_owned(), cell.clone()))?;
                Some(match index {
                    0 => format!("{:.0}", median(values, |connect| connect.per_second)),
                    1 => short(median(values, |connect| connect.cpu_us)),
                    2 => format!("{:.0}", median(values, |connect| connect.idle_bytes)),
                    _ => format!("{:.0}", median(values, |connect| connect.used_bytes)),
                })
            });
        }
        for ((peer, cell), error) in &self.failures {
            let _ = writeln!(text, "- {peer}, {cell}: failed: {error}");
        }
        text
    }

    fn echo_median(&self, peer: &str, cell: &str, value: impl Fn(&Echo) -> f64) -> Option<f64> {
        Some(median(self.echoes.get(&(peer.to_owned(), cell.to_owned()))?, value))
    }
}

fn table(
    text: &mut String,
    title: &str,
    peers: &[String],
    columns: &[&String],
    value: impl Fn(&str, &str) -> Option<String>,
) {
    let _ = writeln!(text, "{title}:\n");
    let _ = write!(text, "| server |");
    columns.iter().for_each(|column| {
        let _ = write!(text, " {} |", column.replace(':', " "));
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
