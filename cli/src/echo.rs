//! Knows how to send everything back, on the network's own threads.
//! Does not know who listens.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::library::{Client, Listener, QUEUE_FULL, Server, listen};

pub struct Echo;

/// Whether an echo had no room: who sends faster than it reads what comes back, for longer than the queue.
static HAS_LOST: AtomicBool = AtomicBool::new(false);

const METHOD: &str = "echo";

impl Listener for Echo {
    fn message(&self, client: Client, kind: i32, data: &[u8]) {
        if client.send(kind, data) == Err(QUEUE_FULL) {
            HAS_LOST.store(true, Ordering::Relaxed);
            // Nothing is left out silently.
            let _ = client
                .stop(&json!({"code": 1013, "reason": "more echoes wait than fit", "wait": false}));
        }
    }

    fn event(&self, _: Client, _: &str) {}
}

/// The options of whoever echoes: without callbacks in between, all sizes, compression where it is offered.
pub fn options() -> Value {
    listen(METHOD, &Echo);
    json!({
        "method": METHOD, "dispatch": "inline", "fragments": false,
        "maxMessage": 64 << 20, "maxFragments": 128 << 10, "sendQueueBytes": 128 << 20,
        "perMessageDeflate": {"enabled": true, "threshold": 0},
    })
}

/// A server that echoes, and its port.
pub fn server(port: u16) -> Result<(Server, u64), crate::exit::Trouble> {
    let mut options = options();
    options["port"] = port.into();
    let (server, _) = Server::create(&options)?;
    let reply = server.start()?;
    Ok((server, reply["port"].as_u64().unwrap_or_default()))
}

pub fn has_lost() -> bool {
    HAS_LOST.load(Ordering::Relaxed)
}
