//! The command `wsplug`, run as a user runs it, with real peers and bad ones.

#[path = "../../tests/support/certs.rs"]
mod certs;
#[path = "../../tests/support/interop_peers.rs"]
mod interop_peers;

#[path = "command/autobahn.rs"]
mod autobahn;
#[path = "command/bench.rs"]
mod bench;
#[path = "command/connect.rs"]
mod connect;
#[path = "command/doctor.rs"]
mod doctor;
#[path = "command/pages.rs"]
mod pages;
#[path = "command/ping.rs"]
mod ping;
#[path = "command/run.rs"]
mod run;
#[path = "command/scripted.rs"]
mod scripted;
#[path = "command/serve.rs"]
mod serve;
