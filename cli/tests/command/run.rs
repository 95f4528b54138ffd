//! Runs the command, and the peers that it talks to.
//! Does not know what they say.

use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::interop_peers::{PATIENCE, Watched, folder, has, program};

pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// What is expected of a test that goes well.
    pub fn ended(self, code: i32) -> Run {
        assert_eq!(
            self.code, code,
            "stdout: {}\nstderr: {}",
            self.out, self.err
        );
        self
    }

    pub fn says(&self, words: &str) {
        let all = format!("{}\n{}", self.out, self.err);
        assert!(all.contains(words), "{words:?} is not in:\n{all}");
    }
}

/// The command, without what the environment of the tests may say about proxies and colours.
pub fn wsplug(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsplug"));
    command.args(arguments);
    for name in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_COLOR",
        "WSPLUG_AUTH",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end, with something on stdin.
pub fn run_with(arguments: &[&str], input: &[u8]) -> Run {
    finish(wsplug(arguments), input)
}

pub fn run(arguments: &[&str]) -> Run {
    run_with(arguments, b"")
}

/// Runs a command to its end; one that has none is a fault.
pub fn finish(mut command: Command, input: &[u8]) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let id = child.id();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It need not read all of it.
    thread::spawn(move || stdin.write_all(&input));
    let (tell, ended) = mpsc::channel();
    thread::spawn(move || tell.send(child.wait_with_output()));
    let Output {
        status,
        stdout,
        stderr,
    } = match ended.recv_timeout(PATIENCE) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            let id = nix::unistd::Pid::from_raw(id as i32);
            let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL);
            panic!("{command:?} does not end");
        }
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Run {
        code: status.code().unwrap_or(-1),
        out: text(stdout),
        err: text(stderr),
    }
}

/// A server of the command's own, and its url.
pub fn serve(arguments: &[&str]) -> (Watched, String) {
    let mut all = vec!["serve", "--port", "0"];
    all.extend(arguments);
    let server = Watched::start(&mut wsplug(&all));
    let url = server.line_after("listening on ");
    (server, url)
}

/// Python's websockets as a server: it echoes, and closes as "close CODE REASON" says.
pub fn python() -> Option<(Watched, String)> {
    let python = folder().join("python/bin/python");
    let mut command = Command::new(&python);
    // Without a cache of compiled modules in the source tree.
    command.arg("-B").arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/interop/peer.py"
    ));
    has(&python, "python").then(|| peer(command))
}

/// Node's ws as the same.
pub fn node() -> Option<(Watched, String)> {
    let modules = folder().join("node/node_modules");
    let mut command = Command::new(program("node"));
    command.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/interop/peer.js"
    ));
    command.env("NODE_PATH", &modules);
    has(&modules.join("ws"), "node").then(|| peer(command))
}

fn peer(mut command: Command) -> (Watched, String) {
    let server = Watched::start(command.arg("server"));
    let port = server.line_after("listening ");
    (server, format!("ws://127.0.0.1:{port}/"))
}

/// Runs the command on a terminal of its own and returns all that was written to it.
pub fn on_a_terminal(arguments: &[&str], environment: &[(&str, &str)]) -> (i32, Vec<u8>) {
    let quoted: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    let line = format!("'{}' {}", env!("CARGO_BIN_EXE_wsplug"), quoted.join(" "));
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]);
    command
        .env_remove("NO_COLOR")
        .env("TERM", "xterm")
        .envs(environment.iter().copied());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("script, of the package bsdutils: {error}"));
    let mut written = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut written)
        .unwrap();
    (child.wait().unwrap().code().unwrap_or(-1), written)
}
