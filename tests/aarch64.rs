//! The archive for aarch64 Linux, run under qemu: `scripts/aarch64.sh setup` comes first. Nothing of this has run on such a machine.

#[path = "support/archive.rs"]
mod archive;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/certs.rs"]
mod certs;
#[path = "support/host.rs"]
mod host;

use archive::{Scratch, VERSION, said};
use certs::Certs;
use host::Host;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

fn script() -> String {
    cc::project()
        .join("scripts/aarch64.sh")
        .display()
        .to_string()
}

/// The archive's folder, inside of one that is gone with the value.
fn unpacked(test: &str) -> (Scratch, PathBuf) {
    let name = format!("wsplug-{VERSION}-linux-aarch64");
    let folder = archive::unpacked("aarch64", &name, test);
    let top = folder.join(name);
    (folder, top)
}

fn compile(folder: &Path, top: &Path, program: &str) -> PathBuf {
    archive::compile(folder, top, &format!("{} cc", script()), program)
}

/// Runs a program of aarch64 with the archive's library.
fn run(top: &Path, program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "10", "300"]).arg(script());
    command.args(["run", "-E"]);
    command.arg(format!("LD_LIBRARY_PATH={}", top.join("lib").display()));
    command.arg(program).env("WSPLUG_TEST_SLOWNESS", "10");
    command
}

#[test]
fn the_tests_own_programs_run() {
    let (folder, top) = unpacked("programs");
    for (program, arguments) in [
        ("arguments", &[][..]),
        ("contexts", &[]),
        ("lifecycle", &[]),
        ("receive", &[]),
        ("texts", &[]),
        ("delivery", &["inline"]),
        ("delivery", &["thread"]),
        ("delivery", &["pull"]),
        ("delivery", &["pump"]),
        ("exits", &["return"]),
        ("reentrant", &["perConnection"]),
        ("threads", &["deflate"]),
        ("threads", &["perConnection"]),
        ("threads", &["thread"]),
        ("wakeup", &["fd"]),
    ] {
        let built = compile(&folder, &top, program);
        let printed = said(run(&top, &built).args(arguments));
        assert_eq!(printed, "", "{program} {arguments:?}");
    }
}

/// Over TLS, compressed, in both directions; a message of many frames' size.
#[test]
fn it_and_this_machine_understand_each_other() {
    let (folder, top) = unpacked("peers");
    let there = Host::start(&mut run(&top, &compile(&folder, &top, "host")));
    let here = Host::spawn();
    let certs = Certs::new();
    for (server_host, client_host) in [(&there, &here), (&here, &there), (&there, &there)] {
        for host in [server_host, client_host] {
            ask!(host, "callbacks", "em").ok();
            ask!(host, "echo_method", "echo").ok();
        }
        let options = json!({"port": 0, "method": "echo", "tls": certs.server().tls(), "perMessageDeflate": {"threshold": 0}});
        let server = ask!(server_host, "server_create", options).ok().reference;
        let started = ask!(server_host, "server_start", server, "{}").ok();
        let options = json!({
            "url": format!("wss://127.0.0.1:{}/", started.body["port"]),
            "tls": {"caFile": certs.authority.cert},
            "perMessageDeflate": {"enabled": true, "threshold": 0},
            "enableAutomaticReconnection": false,
        });
        let client = ask!(client_host, "client_create", options).ok().reference;
        ask!(client_host, "client_start", client, "~").ok();
        let open = client_host.event("open", client);
        assert_eq!(open.context("extensions"), "permessage-deflate");
        ask!(client_host, "client_send", client, 1, "=there and back").ok();
        let back = client_host.event("message", client);
        assert_eq!(back.bytes(), b"there and back");
        ask!(client_host, "client_send", client, 2, "*1000000").ok();
        let back = client_host.event("message", client);
        assert_eq!(back.number("length"), 1_000_000);
        ask!(server_host, "server_stop", server, "{}").ok();
        assert_eq!(client_host.event("close", client).code(), 1001);
    }
    for host in [here, there] {
        ask!(host, "shutdown", 5000).ok();
        host.leave();
    }
}

#[test]
fn the_library_and_the_command_are_what_they_are_said_to_be() {
    let (_folder, top) = unpacked("content");
    for file in ["bin/wsplug", "lib/libwsplug.so"] {
        let file = top.join(file);
        let headers = said(
            Command::new("readelf")
                .args(["--wide", "--file-header", "--dynamic"])
                .arg(&file),
        );
        assert!(headers.contains("AArch64"), "{headers}");
        for line in headers.lines().filter(|line| line.contains("(NEEDED)")) {
            let of_the_system = [
                "libc.so.6",
                "libm.so.6",
                "libgcc_s.so.1",
                "ld-linux-aarch64.so.1",
            ];
            assert!(
                of_the_system.iter().any(|name| line.contains(name)),
                "{line}"
            );
        }
        archive::holds_no_path_of_this_machine(&file);
    }
    let told = said(run(&top, &top.join("bin/wsplug")).arg("--version"));
    assert_eq!(told.trim(), format!("wsplug {VERSION}"));
    assert!(top.join("share/man/man1/wsplug.1").exists());
}
