//! Knows how long pings take, and the statistics of ping(8).
//! Does not know the protocol.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::connect::{ended, how_it_ended, refused, shown};
use crate::exit::{DONE, FAILED, Trouble};
use crate::interrupt;
use crate::library::{Client, Event, PING};
use crate::reach::{self, Reach};
use crate::terminal::{escaped, line};

/// Measure the round trip of WebSocket pings, as ping(8) does with packets
///
/// Exit status: 0 if an answer came, 1 if none did or the connection failed, 2 if the command line is wrong.
#[derive(Args)]
#[command(after_help = "\
Examples:
  wsplug ping wss://example.com/
  wsplug ping ws://localhost:8080/ -c 100 -i 0.01 -q")]
pub struct Ping {
    /// ws://…, wss://… or ws+unix:…
    url: String,

    #[command(flatten)]
    reach: Reach,

    /// Pings to send; without it: until Ctrl-C
    #[arg(short, long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Seconds between them
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,

    /// Seconds to wait for the last answer
    #[arg(short = 'W', long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    wait: Duration,

    /// Bytes of each ping
    #[arg(long, value_name = "BYTES", default_value_t = 16, value_parser = clap::value_parser!(u8).range(8..=125))]
    size: u8,

    /// Print the statistics only
    #[arg(short, long)]
    quiet: bool,
}

impl Ping {
    pub fn run(self) -> Result<u8, Trouble> {
        let own = json!({"fragments": false, "pingInterval": 0});
        let client = reach::client(&self.reach.options(&self.url, own))?;
        interrupt::watch();
        let opened = client.start(&json!({})).map_err(failed)?;
        let url = opened["url"].as_str().unwrap_or(&self.url).to_owned();
        // The first event of a connection, also of one that has ended since.
        let open = Event::next(Some(self.wait))
            .map(|event| event.context())
            .unwrap_or_default();
        let from = format!("{}:{}", shown(&open["remoteIp"]), open["remotePort"]);
        line(format!(
            "PING {} ({from}), {} bytes",
            escaped(&url),
            self.size
        ));

        let began = Instant::now();
        let mut counted = Counted::default();
        let mut due = began;
        let closed = loop {
            let is_last = self.count.is_some_and(|count| counted.sent == count);
            if interrupt::came()
                || (is_last && (counted.waiting.is_empty() || Instant::now() >= due))
            {
                break None;
            }
            if !is_last && Instant::now() >= due {
                if self.ping(client, &mut counted).is_err() {
                    break Some(how_it_ended());
                }
                due += self.interval;
                if self.count == Some(counted.sent) {
                    due = Instant::now() + self.wait;
                }
                continue;
            }
            let Some(event) = Event::next(Some(
                due.saturating_duration_since(Instant::now()).max(TICK),
            )) else {
                continue;
            };
            let now = Instant::now();
            match event.what() {
                "pong" => {
                    if let Some((number, time)) = counted.answered(event.data(), now) {
                        if !self.quiet {
                            line(format!(
                                "pong from {from}: seq={number} time={} ms",
                                milliseconds(time)
                            ));
                        }
                    }
                }
                "close" => break Some(ended(&event.context())),
                _ => {}
            }
        };
        if closed.is_none() {
            let _ = client.stop(&json!({}));
        }
        counted.print(&url, began.elapsed());
        match closed {
            Some(how) => Err(Trouble::failed(format!("the connection has ended: {how}"))),
            None if counted.times.is_empty() => Ok(FAILED),
            None => Ok(DONE),
        }
    }

    fn ping(&self, client: Client, counted: &mut Counted) -> Result<(), i32> {
        counted.sent += 1;
        let mut payload = vec![b'.'; self.size.into()];
        payload[..8].copy_from_slice(&counted.sent.to_be_bytes());
        counted.waiting.insert(counted.sent, Instant::now());
        client.send(PING, &payload)
    }
}

/// Waits are in whole milliseconds; without this the last of them would be spent spinning.
const TICK: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Counted {
    sent: u64,
    waiting: HashMap<u64, Instant>,
    times: Vec<Duration>,
}

impl Counted {
    fn answered(&mut self, payload: &[u8], now: Instant) -> Option<(u64, Duration)> {
        let number = u64::from_be_bytes(payload.get(..8)?.try_into().ok()?);
        let time = now - self.waiting.remove(&number)?;
        self.times.push(time);
        Some((number, time))
    }

    fn print(&self, url: &str, took: Duration) {
        let (sent, came) = (self.sent, self.times.len() as u64);
        let lost = (sent - came) as f64 * 100.0 / sent.max(1) as f64;
        let took = took.as_millis();
        line(format!("--- {} ping statistics ---", escaped(url)));
        line(format!(
            "{sent} sent, {came} received, {lost:.0}% lost, time {took} ms"
        ));
        if let Some([least, mean, most, deviation]) = statistics(&self.times) {
            line(format!(
                "rtt min/avg/max/mdev = {least:.3}/{mean:.3}/{most:.3}/{deviation:.3} ms"
            ));
        }
    }
}

/// Least, mean, most and the standard deviation, in milliseconds.
fn statistics(times: &[Duration]) -> Option<[f64; 4]> {
    let times: Vec<f64> = times
        .iter()
        .map(|time| time.as_secs_f64() * 1000.0)
        .collect();
    let count = times.len() as f64;
    let least = times.iter().copied().reduce(f64::min)?;
    let most = times.iter().copied().reduce(f64::max)?;
    let mean = times.iter().sum::<f64>() / count;
    let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / count;
    Some([least, mean, most, variance.sqrt()])
}

/// What a start that failed says.
pub fn failed(failure: crate::library::Failure) -> Trouble {
    let mut context = json!({"reason": failure.to_string()});
    context["body"] = failure.reply["body"].clone();
    refused(&context)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1000.0)
}

pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "it has to be a number of seconds".to_owned())?;
    match seconds > 0.0 && seconds <= 86_400.0 {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err("it has to be more than 0 and at most 86400 seconds".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statistics_are_those_of_ping() {
        let times: Vec<Duration> = [2, 4, 4, 4, 5, 5, 7, 9].map(Duration::from_millis).to_vec();
        assert_eq!(statistics(&times), Some([2.0, 5.0, 9.0, 2.0]));
        assert_eq!(statistics(&[]), None);
    }
}
