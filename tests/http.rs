//! What a server answers beside WebSockets: files, health and metrics, to good clients and to bad ones.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/certs.rs"]
mod certs;
#[path = "support/host.rs"]
mod host;
#[path = "support/interop_peers.rs"]
mod interop_peers;
#[path = "support/scene.rs"]
mod scene;
#[path = "support/secure.rs"]
mod secure;

#[path = "http/connections.rs"]
mod connections;
#[path = "http/cors.rs"]
mod cors;
#[path = "http/files.rs"]
mod files;
#[path = "http/hostile.rs"]
mod hostile;
#[path = "http/metrics.rs"]
mod metrics;
#[path = "http/peers.rs"]
mod peers;
#[path = "http/ports.rs"]
mod ports;
#[path = "http/transfers.rs"]
mod transfers;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use adversary::{PROMPTLY, Peer, Response};
use serde_json::{Value, json};

/// A folder with files, and beside it what must not be seen; gone with this value.
struct Site(PathBuf);

const PAGE: &str = "<!doctype html><p>hello</p>";

impl Site {
    fn new() -> Site {
        static SITES: AtomicU32 = AtomicU32::new(0);
        let number = SITES.fetch_add(1, Ordering::Relaxed);
        let name = format!("site-{}-{number}", std::process::id());
        let site = Site(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        for folder in [
            "www/sub",
            "www/.git",
            "www/.well-known",
            "www/bare",
            "outside",
            "www2",
        ] {
            fs::create_dir_all(site.0.join(folder)).unwrap();
        }
        for (name, content) in [
            ("www/index.html", PAGE),
            ("www/app.js", "let a = 1;"),
            ("www/a b+c.txt", "Grüße"),
            ("www/digits", "0123456789"),
            ("www/empty.css", ""),
            ("www/sub/index.html", "<p>sub</p>"),
            ("www/sub/x.json", "{}"),
            ("www/.secret", "secret"),
            ("www/.git/config", "secret"),
            ("www/.well-known/acme", "token"),
            ("outside/passwd", "secret"),
            ("www2/passwd", "secret"),
        ] {
            site.write(name, content.as_bytes());
        }
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, site.0.join(name)).unwrap();
        };
        link("index.html", "www/inside");
        link("sub", "www/inside-folder");
        link("../outside/passwd", "www/out");
        link("../outside", "www/out-folder");
        // Its path begins as the folder's own does.
        link("../www2/passwd", "www/beside");
        link("/etc/passwd", "www/far");
        link("nowhere", "www/dangling");
        link("round", "www/round");
        link("../../outside/passwd", "www/bare/index.html");
        site
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Written long enough ago for its tag to be a strong one.
    fn write(&self, name: &str, content: &[u8]) {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        self.age(name, 3600);
    }

    fn age(&self, name: &str, seconds: u64) {
        let file = fs::File::options().write(true).open(self.0.join(name));
        let then = SystemTime::now() - Duration::from_secs(seconds);
        file.unwrap().set_modified(then).unwrap();
    }

    /// Options with the folder at "/".
    fn at_root(&self, more: Value) -> Value {
        let mut options = json!({"files": {"/": self.path("www")}});
        let more = more.as_object().unwrap().clone();
        options.as_object_mut().unwrap().extend(more);
        options
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A request of this method without a body; `headers` is empty or lines that end in CRLF.
fn head(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

/// The answer to it, on a connection of its own.
fn ask(method: &str, port: u16, path: &str, headers: &str) -> Response {
    let answer = Peer::http(port, head(method, path, headers));
    answer.unwrap_or_else(|| panic!("no answer to {method} {path}"))
}

fn get(port: u16, path: &str, headers: &str) -> Response {
    ask("GET", port, path, headers)
}

/// The next answer on a connection that is kept.
fn next(peer: &mut Peer, path: &str) -> Response {
    peer.send_bytes(head("GET", path, "").as_bytes());
    let answer = peer.response(PROMPTLY);
    answer.unwrap_or_else(|| panic!("no answer to {path}"))
}
