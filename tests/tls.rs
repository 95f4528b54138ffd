//! TLS through the C ABI: what clients and servers of ours do with each option, and with certificates that are wrong.

#[path = "support/cc.rs"]
mod cc;
#[path = "support/certs.rs"]
mod certs;
#[path = "support/host.rs"]
mod host;

use certs::Certs;
use host::Host;
use serde_json::{Value, json};

/// A host with callbacks, and with a server that sends everything back.
struct Scene {
    host: Host,
    certs: Certs,
}

impl Scene {
    fn new() -> Scene {
        let host = Host::spawn();
        ask!(host, "callbacks", "em").ok();
        ask!(host, "echo_method", "echo").ok();
        ask!(host, "log", 4).ok();
        Scene {
            host,
            certs: Certs::new(),
        }
    }

    /// Starts an echo server with this `tls`; its port.
    fn echo(&self, tls: Value) -> u16 {
        let options = json!({"port": 0, "method": "echo", "dispatch": "inline", "tls": tls});
        let server = ask!(self.host, "server_create", options).ok().reference;
        let started = ask!(self.host, "server_start", server, "{}").ok();
        started.body["port"].as_u64().unwrap() as u16
    }

    /// A client that is not started.
    fn client(&self, port: u16, tls: Value) -> i32 {
        let url = format!("wss://localhost:{port}/");
        let options = json!({"url": url, "tls": tls, "enableAutomaticReconnection": false});
        ask!(self.host, "client_create", options).ok().reference
    }

    fn echoes(&self, client: i32, length: usize) {
        ask!(self.host, "client_send", client, 2, format!("*{length}")).ok();
        let message = self.host.event("message", client);
        assert_eq!(message.number("length") as usize, length, "{message:?}");
    }
}

#[test]
fn messages_of_every_size_come_back() {
    let scene = Scene::new();
    let port = scene.echo(scene.certs.server().tls());
    let client = scene.client(port, json!({"caFile": scene.certs.authority.cert}));
    ask!(scene.host, "client_start", client, "{}").ok();
    for length in [0, 1, 125, 16_383, 16_384, 16_385, 70_000, 1 << 20, 16 << 20] {
        scene.echoes(client, length);
    }
    ask!(scene.host, "client_stop", client, "{}").ok();
    let close = scene.host.event("close", client);
    assert_eq!(close.code(), 1000, "{close:?}");
}
