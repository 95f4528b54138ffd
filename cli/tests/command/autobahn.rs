//! `wsplug autobahn`, with some cases of the real suite; all of them run against the C programs of tests/autobahn.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::certs::Certs;
use crate::interop_peers::{folder, has};
use crate::run::{finish, run};

#[test]
fn both_roles_pass_cases_of_the_suite() {
    if !has(&folder().join("autobahn/wstest"), "autobahn") {
        return;
    }
    let certs = Certs::new();
    // What the suite's script runs is one program, and one with a url and a name.
    let program = |role: &str| {
        let path = certs.path(role);
        let text = format!(
            "#!/bin/sh\nexec '{}' autobahn {role} \"$@\"\n",
            env!("CARGO_BIN_EXE_wsplug")
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let mut suite = Command::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/autobahn/run.sh"
    ));
    suite.args([program("server"), program("client"), certs.path("reports")]);
    suite.env("AUTOBAHN_CASES", "1.1.* 2.* 5.* 7.1.* 12.1.1");
    finish(suite, b"").ended(0);
}

#[test]
fn a_suite_that_is_not_there_is_told() {
    run(&["autobahn", "client", "ws://127.0.0.1:1"])
        .ended(1)
        .says("refused");
    run(&["autobahn"]).ended(2);
}
