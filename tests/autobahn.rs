//! The Autobahn suite in both roles: every case of tests/autobahn/expected.txt must run and end as it says there.

#[path = "support/cc.rs"]
mod cc;
#[path = "support/interop_peers.rs"]
mod interop_peers;

use std::process::Command;

use cc::Flavour;

#[test]
fn every_case_ends_as_expected_in_both_roles() {
    let suite = interop_peers::folder().join("autobahn/wstest");
    if !interop_peers::has(&suite, "autobahn") {
        return;
    }
    let server = cc::compile("tests/autobahn/echo_server.c", Flavour::Plain);
    let client = cc::compile("tests/autobahn/echo_client.c", Flavour::Plain);
    let reports = server
        .parent()
        .expect("the program is in a folder")
        .join("autobahn");
    let mut run = Command::new(cc::project().join("tests/autobahn/run.sh"));
    run.arg(server).arg(client).arg(&reports);
    let output = run.output().expect("bash is there");
    let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    println!("{printed}");
    assert!(
        output.status.success(),
        "{printed}\nthe reports are in {}",
        reports.display()
    );
}
