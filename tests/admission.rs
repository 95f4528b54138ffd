//! Whom a server lets in: by its options, and by asking the host.

#[path = "support/adversary.rs"]
mod adversary;
#[path = "support/cc.rs"]
mod cc;
#[path = "support/certs.rs"]
mod certs;
#[path = "support/host.rs"]
mod host;
#[path = "support/scene.rs"]
mod scene;
#[path = "support/secure.rs"]
mod secure;

#[path = "admission/ask.rs"]
mod ask_the_host;
#[path = "admission/networks.rs"]
mod networks;
#[path = "admission/rules.rs"]
mod rules;

use adversary::{PROMPTLY, Peer, Response, request};
use host::{Event, WATCHDOG};
use scene::{Scene, Server};

/// The answer to a request with these further headers.
fn answer(server: Server, headers: &str) -> Response {
    Peer::http(server.port, request(headers)).expect("an answer")
}

fn status(server: Server, headers: &str) -> u16 {
    answer(server, headers).status
}

/// A peer whose request has been sent, not answered.
fn asking(server: Server, headers: &str) -> Peer {
    let mut peer = Peer::tcp(server.port);
    peer.send_bytes(request(headers).as_bytes());
    peer
}

/// The "request" event of a server.
fn asked(scene: &Scene, server: Server) -> Event {
    scene.host.server_event("request", server.reference)
}

/// What a server tells when it has refused.
fn refused(scene: &Scene, server: Server) -> Event {
    scene.host.server_event("refused", server.reference)
}

fn answered(peer: &mut Peer) -> u16 {
    peer.response(PROMPTLY).expect("an answer").status
}

/// The log line of a refusal by this rule.
fn logged(scene: &Scene, rule: &str) {
    scene.host.wait_for(rule, WATCHDOG, |event| {
        event.is("log") && event.log_line().ends_with(&format!("({rule})"))
    });
}
