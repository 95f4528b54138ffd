//! `wsplug ping`.

use nix::sys::signal::Signal;

use crate::interop_peers::Watched;
use crate::run::{python, run, serve, wsplug};
use crate::scripted::{closing, leaving, sending};

#[test]
fn each_pong_and_the_statistics_are_told() {
    for (_server, url) in [Some(serve(&[])), python()].into_iter().flatten() {
        let pinged = run(&["ping", &url, "-c", "3", "-i", "0.01"]).ended(0);
        for number in 1..=3 {
            pinged.says(&format!("seq={number} time="));
        }
        pinged.says("3 sent, 3 received, 0% lost");
        let line = pinged.out.lines().last().unwrap();
        let figures = line
            .strip_prefix("rtt min/avg/max/mdev = ")
            .and_then(|rest| rest.strip_suffix(" ms"));
        let figures: Vec<f64> = figures
            .unwrap()
            .split('/')
            .map(|figure| figure.parse().unwrap())
            .collect();
        assert!(
            figures[0] <= figures[1] && figures[1] <= figures[2] && figures[3] < 10_000.0,
            "{line}"
        );
        let quiet = run(&["ping", &url, "-c", "2", "-i", "0.01", "-q"]).ended(0);
        assert!(!quiet.out.contains("seq="));
    }
}

#[test]
fn silence_and_ends_are_failures() {
    let mute = format!("ws://127.0.0.1:{}/", sending(vec![]));
    let silent = run(&["ping", &mute, "-c", "2", "-i", "0.01", "-W", "0.2"]).ended(1);
    silent.says("2 sent, 0 received, 100% lost");
    let gone = format!("ws://127.0.0.1:{}/", leaving());
    run(&["ping", &gone])
        .ended(1)
        .says("the connection has ended: 1006");
    let closed = format!("ws://127.0.0.1:{}/", sending(vec![closing(1013, "later")]));
    run(&["ping", &closed]).ended(1).says("1013 later");
    run(&["ping", "ws://127.0.0.1:1/"]).ended(1).says("refused");
    run(&["ping", "ws://127.0.0.1:1/", "-c", "0"]).ended(2);
    run(&["ping", "ws://127.0.0.1:1/", "-i", "0"]).ended(2);
}

#[test]
fn ctrl_c_ends_with_the_statistics() {
    let (_server, url) = serve(&[]);
    let ping = Watched::start(&mut wsplug(&["ping", &url, "-i", "0.01"]));
    ping.line_after("pong from ");
    let (rest, status) = ping.end_by(Signal::SIGINT);
    assert_eq!(status.code(), Some(0));
    assert!(
        rest.last().unwrap().starts_with("rtt min/avg/max/mdev"),
        "{rest:?}"
    );
}
