//! Other people's implementations, with their own compression options, as clients and as servers.
//! scripts/install.sh and `npm ci --prefix benches/servers` (bun) bring them.

use crate::ask;
use crate::cc::project;
use crate::host::{Host, WATCHDOG};
use crate::link::{deflate, serve, with};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Python,
    Node,
    Bun,
}

struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
}

fn peers() -> PathBuf {
    let cache = || match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cache"),
    };
    std::env::var_os("WSPLUG_PEERS").map_or_else(|| cache().join("wsplug"), PathBuf::from)
}

impl Program {
    fn start(kind: Kind, role: &str, argument: &str, options: &Value) -> Program {
        let mut command = match kind {
            Kind::Python => Command::new(peers().join("python/bin/python")),
            Kind::Node => Command::new("node"),
            Kind::Bun => Command::new(peers().join("node/node_modules/bun/bin/bun.exe")),
        };
        let script = if kind == Kind::Python {
            "peer.py"
        } else {
            "peer.js"
        };
        let mut child = command
            .arg(project().join("tests/deflate").join(script))
            .args([role, argument, &options.to_string()])
            .env("WS_MODULES", peers().join("node/node_modules"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{command:?}: {error}; it is installed by scripts/install.sh")
            });
        let output = BufReader::new(child.stdout.take().unwrap());
        Program { child, output }
    }

    fn says(&mut self, what: &str) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("{what}: the peer has failed: {line:?}"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn host() -> Host {
    let host = Host::spawn();
    ask!(host, "callbacks", "em").ok();
    ask!(host, "echo_method", "echo").ok();
    ask!(host, "quiet", "message").ok();
    host
}

/// The library's options, all of them with every message compressed.
fn ours(members: &Value, dispatch: &str) -> Value {
    let members = deflate(with(json!({"threshold": 0}), members));
    with(
        members,
        &json!({"method": "echo", "dispatch": dispatch, "enableAutomaticReconnection": false}),
    )
}

/// `agreed` are parameters that must be in the answer; a leading `!` says that they must not.
fn they_talk(kind: Kind, theirs: &[(Value, &[&str])], own: &[Value], as_server: bool) {
    let host = host();
    for (options, agreed) in theirs {
        for members in own {
            let what =
                format!("{kind:?} {options}, wsplug {members}, wsplug is server: {as_server}");
            let mut program;
            let extensions;
            if as_server {
                let (server, port) = serve(&host, &ours(members, "inline"));
                program =
                    Program::start(kind, "client", &format!("ws://127.0.0.1:{port}/"), options);
                extensions = program.says(&what)["agreed"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                ask!(host, "server_clear", server).ok();
            } else {
                program = Program::start(kind, "server", "-", options);
                let port = program.says(&what)["port"].as_u64().unwrap();
                let more = json!({"url": format!("ws://127.0.0.1:{port}/")});
                let client = ask!(host, "client_create", with(ours(members, "thread"), &more))
                    .ok()
                    .reference;
                let started = ask!(host, "client_start", client, "{}").ok().body;
                extensions = started["extensions"].as_str().unwrap().to_owned();
                assert_eq!(program.says(&what)["messages"], 200, "{what}");
                ask!(host, "client_clear", client).ok();
            }
            assert!(
                extensions
                    .to_lowercase()
                    .replace('_', "")
                    .contains("permessage"),
                "{what}: {extensions}"
            );
            for part in *agreed {
                match part.strip_prefix('!') {
                    Some(absent) => assert!(!extensions.contains(absent), "{what}: {extensions}"),
                    None => assert!(
                        extensions.contains(part),
                        "{what}: no {part} in {extensions}"
                    ),
                }
            }
        }
    }
    host.leave();
}

fn own_options() -> Vec<Value> {
    vec![
        json!({}),
        json!({"serverMaxWindowBits": 8, "level": 9}),
        json!({"serverNoContextTakeover": true, "clientNoContextTakeover": true, "level": 1, "memLevel": 1}),
    ]
}

fn own_client_options() -> Vec<Value> {
    vec![
        json!({}),
        json!({"clientMaxWindowBits": 8, "level": 9}),
        json!({"clientMaxWindowBits": 10, "clientNoContextTakeover": true, "level": 1, "memLevel": 1}),
        json!({"serverMaxWindowBits": 9, "serverNoContextTakeover": true}),
    ]
}

#[test]
fn a_server_talks_to_clients_of_pythons_websockets() {
    they_talk(
        Kind::Python,
        &[
            (json!({"client_max_window_bits": true}), &[]),
            (
                json!({"server_max_window_bits": 8, "client_max_window_bits": 9}),
                &["remote_max_window_bits=8", "local_max_window_bits=9"],
            ),
            (
                json!({"server_max_window_bits": 12, "client_max_window_bits": 15}),
                &[],
            ),
            (
                json!({"server_no_context_takeover": true, "client_no_context_takeover": true}),
                &[
                    "remote_no_context_takeover=True",
                    "local_no_context_takeover=True",
                ],
            ),
        ],
        &own_options(),
        true,
    );
}

#[test]
fn a_client_talks_to_a_server_of_pythons_websockets() {
    they_talk(
        Kind::Python,
        &[
            (json!({}), &[]),
            (
                json!({"server_max_window_bits": 9, "client_max_window_bits": 8}),
                &["server_max_window_bits=9", "client_max_window_bits=8"],
            ),
            (
                json!({"server_no_context_takeover": true, "client_no_context_takeover": true}),
                &["server_no_context_takeover", "client_no_context_takeover"],
            ),
        ],
        &own_client_options(),
        false,
    );
}

#[test]
fn a_server_talks_to_clients_of_nodes_ws() {
    they_talk(
        Kind::Node,
        &[
            (json!(true), &[]),
            (
                json!({"serverMaxWindowBits": 8, "clientMaxWindowBits": 9, "threshold": 0}),
                &["server_max_window_bits\":8"],
            ),
            (
                json!({"serverMaxWindowBits": 13, "clientMaxWindowBits": 12, "threshold": 0}),
                &["server_max_window_bits"],
            ),
            (
                json!({"serverNoContextTakeover": true, "clientNoContextTakeover": true, "threshold": 0}),
                &["server_no_context_takeover", "client_no_context_takeover"],
            ),
        ],
        &own_options(),
        true,
    );
}

#[test]
fn a_client_talks_to_a_server_of_nodes_ws() {
    they_talk(
        Kind::Node,
        &[
            (json!(true), &[]),
            (
                json!({"serverMaxWindowBits": 9, "clientMaxWindowBits": 8, "threshold": 0}),
                &["server_max_window_bits=9"],
            ),
            (
                json!({"serverNoContextTakeover": true, "clientNoContextTakeover": true, "threshold": 0}),
                &["server_no_context_takeover", "client_no_context_takeover"],
            ),
        ],
        &own_client_options(),
        false,
    );
}

#[test]
fn a_server_talks_to_clients_of_bun() {
    they_talk(Kind::Bun, &[(json!({}), &[])], &own_options(), true);
}

#[test]
fn a_client_talks_to_a_server_of_bun() {
    they_talk(
        Kind::Bun,
        &[
            (json!(true), &[]),
            (
                json!({"compress": "dedicated", "decompress": "dedicated"}),
                &[],
            ),
            (json!({"compress": "4KB", "decompress": "shared"}), &[]),
        ],
        // It declines an offer that asks for a window of the server's.
        &own_client_options()[..3],
        false,
    );
}

#[test]
fn chromium_agrees_to_compress_and_does() {
    chromium_talks(&json!({}), "permessage-deflate", 30_000);
    let narrow = json!({
        "serverMaxWindowBits": 8, "clientMaxWindowBits": 10, "serverNoContextTakeover": true, "clientNoContextTakeover": true,
    });
    let agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                  server_max_window_bits=8; client_max_window_bits=10";
    chromium_talks(&narrow, agreed, 40_000);
}

/// `agreed` is the answer, and what the page sends back has at most so many bytes.
fn chromium_talks(members: &Value, agreed: &str, most: u64) {
    let host = crate::link::host();
    let page = project().join("tests/deflate/page.html");
    let options = with(
        deflate(members.clone()),
        &json!({"files": {"/": page.to_str().unwrap()}}),
    );
    let (server, port) = serve(&host, &options);
    let profile = std::env::temp_dir().join(format!("wsplug-chromium-{}", std::process::id()));
    let mut browser = Command::new("chromium")
        .args(
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
                .split(' '),
        )
        .args([
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args([
            "--remote-debugging-port=0",
            &format!("http://127.0.0.1:{port}/"),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromium runs (scripts/install.sh chromium)");
    let patiently = 6 * WATCHDOG;
    let open = host.wait_for("open", patiently, |event| {
        event.is("open") && event.server() == server
    });
    let next = || host.wait_for("message", patiently, |event| event.is("message"));
    let size = |event: &crate::host::Event, name: &str| event.context(name).as_u64().unwrap();
    let first = next();
    // Longer than the window, and twice, so that the second refers to the first.
    let text = crate::link::records(60_000);
    let echoes = [(); 2].map(|()| {
        ask!(host, "client_send", open.client(), 1, format!("={text}")).ok();
        next()
    });
    let _ = browser.kill();
    let _ = browser.wait();
    let _ = std::fs::remove_dir_all(profile);
    assert_eq!(*open.context("extensions"), agreed, "{open:?}");
    assert_eq!(size(&first, "payloadSize"), 5000);
    assert!(
        size(&first, "wireSize") < 500,
        "{}",
        size(&first, "wireSize")
    );
    for echo in &echoes {
        assert_eq!(echo.context("data"), &text[..]);
        assert!(
            size(echo, "wireSize") < most,
            "{members}: {}",
            size(echo, "wireSize")
        );
    }
    host.leave();
}
