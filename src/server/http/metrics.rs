//! Knows how what servers have counted is written for Prometheus.
//! Does not know how it is counted.

use std::fmt::Write;
use std::sync::Arc;

use crate::server::session::Session;
use crate::server::tally::Report;

/// What the text is (the exposition format 0.0.4).
pub const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text for these servers: each is one series of each family, however many connections it has.
pub fn text(sessions: &[Arc<Session>]) -> String {
    let reports: Vec<(i32, Report)> = sessions
        .iter()
        .map(|session| (session.server.server, session.server.report()))
        .collect();
    let mut out = String::new();
    let version = env!("CARGO_PKG_VERSION");
    family(&mut out, "wsplug_info", "gauge", "The library's version.");
    let _ = writeln!(out, "wsplug_info{{version=\"{version}\"}} 1");
    let mut each = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Report) -> u64| {
        family(&mut out, name, kind, help);
        for (server, report) in &reports {
            let _ = writeln!(out, "{name}{{server=\"{server}\"}} {}", value(report));
        }
    };
    each(
        "wsplug_clients",
        "gauge",
        "Connections that are open.",
        &|report| report.clients as u64,
    );
    each(
        "wsplug_pending_handshakes",
        "gauge",
        "Handshakes under way on the server's port.",
        &|report| report.pending as u64,
    );
    each(
        "wsplug_http_connections",
        "gauge",
        "Connections of the server's port that ask for something else than a WebSocket.",
        &|report| report.guests as u64,
    );
    each(
        "wsplug_buffered_bytes",
        "gauge",
        "Bytes that wait to be sent.",
        &|report| report.buffered as u64,
    );
    each(
        "wsplug_event_queue_bytes",
        "gauge",
        "Bytes of events that wait for the host.",
        &|report| report.waiting.0 as u64,
    );
    each(
        "wsplug_event_queue_events",
        "gauge",
        "Events that wait for the host.",
        &|report| report.waiting.1 as u64,
    );
    each(
        "wsplug_opened_total",
        "counter",
        "Connections that were opened.",
        &|report| report.opened,
    );
    each(
        "wsplug_http_requests_total",
        "counter",
        "Requests for files, health and metrics that were answered.",
        &|report| report.answered,
    );
    let named = crate::connection::Counters::default().named();
    for (index, (name, _)) in named.into_iter().enumerate() {
        let help = format!("{name} of wsplug_server_info, over all connections so far.");
        each(&total(name), "counter", &help, &|report| {
            report.counters.named()[index].1
        });
    }
    each(
        "wsplug_unsent_messages_total",
        "counter",
        "Messages that connections had not sent when they ended.",
        &|report| report.unsent.messages as u64,
    );
    each(
        "wsplug_unsent_bytes_total",
        "counter",
        "Bytes of these messages.",
        &|report| report.unsent.bytes,
    );
    family(
        &mut out,
        "wsplug_refused_total",
        "counter",
        "Requests that were refused, by reason.",
    );
    for (server, report) in &reports {
        for (reason, count) in &report.refused {
            let reason = escaped(reason);
            let _ = writeln!(
                out,
                "wsplug_refused_total{{server=\"{server}\",reason=\"{reason}\"}} {count}"
            );
        }
    }
    out
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// "wireBytesIn" becomes "wsplug_wire_bytes_in_total".
fn total(name: &str) -> String {
    let mut out = "wsplug_".to_owned();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out + "_total"
}

/// As the value of a label may have it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_as_prometheus_has_them() {
        assert_eq!(total("wireBytesIn"), "wsplug_wire_bytes_in_total");
        assert_eq!(escaped("a\\b\"c\nd"), "a\\\\b\\\"c\\nd");
    }
}
