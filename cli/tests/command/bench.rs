//! `wsplug bench`.

use serde_json::Value;

use crate::run::{run, serve};
use crate::scripted::{frame, leaving, sending};

#[test]
fn a_server_of_its_own_is_measured() {
    let measured = run(&[
        "bench", "--self", "-d", "0.3", "-c", "3", "-p", "4", "--size", "1000",
    ])
    .ended(0);
    measured.says("messages ");
    measured.says("p99.9");
    measured.says("3 connections, 4 binary messages of 1000 bytes under way on each, 0.3 s");
}

#[test]
fn the_figures_fit_together() {
    let (_server, url) = serve(&["--quiet"]);
    let measured = run(&["bench", &url, "-d", "1", "--text", "--json"]).ended(0);
    let figures: Value = serde_json::from_str(&measured.out).unwrap();
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{figures}"));
    let (messages, seconds) = (number(&figures["messages"]), number(&figures["seconds"]));
    assert!(messages > 0.0 && seconds >= 1.0, "{figures}");
    assert!(
        (number(&figures["messagesPerSecond"]) - messages / seconds).abs() < 1.0,
        "{figures}"
    );
    let latency = &figures["latencyMicroseconds"];
    let order = ["min", "p50", "p90", "p99", "p99.9", "max"].map(|name| number(&latency[name]));
    assert!(order.is_sorted() && order[0] > 0.0, "{figures}");
}

#[test]
fn what_is_no_echo_is_not_measured() {
    let url = |port| format!("ws://127.0.0.1:{port}/");
    let greeting = url(sending(vec![frame(1, "hello")]));
    run(&["bench", &greeting, "-d", "5"])
        .ended(1)
        .says("does not send back what it gets");
    let silent = url(sending(vec![]));
    run(&["bench", &silent, "-d", "0.2"])
        .ended(1)
        .says("nothing came back");
    run(&["bench", &url(leaving()), "-d", "5"]).ended(1);
    run(&["bench", "ws://127.0.0.1:1/"])
        .ended(1)
        .says("refused");
    run(&["bench"]).ended(2);
    run(&["bench", "--self", &silent]).ended(2);
}
