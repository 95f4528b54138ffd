//! Knows the commands: what their options mean, what they do below, what they reply.
//! Does not know pointers or frames.

mod admission;
mod clients;
mod config;
mod info;
mod json;
mod library;
mod names;
mod options;
mod pull;
mod receive;
mod reply;
mod requests;
mod servers;
mod tls;
mod topics;
mod values;
mod wakeup;

pub use admission::{client_accept, client_reject};
pub use clients::{
    client_clear, client_create, client_execute, client_find, client_get_value, client_messages,
    client_send, client_send_inline, client_send_queued, client_send_with, client_set_value,
    client_start, client_stop,
};
pub use info::{client_info, info, server_info};
pub use library::{init, shutdown};
pub use options::{Member, Row};
pub use pull::{event_next, pump};
pub use receive::client_receive;
pub use reply::Reply;
pub use servers::{
    server_clear, server_clients, server_create, server_execute, server_get_value, server_messages,
    server_send, server_set, server_set_value, server_start, server_stop,
};
pub use topics::{client_subscribe, client_unsubscribe, server_publish};
pub use wakeup::set_wakeup;

use options::Options;

/// Every group of options with its rows, for the documentation.
pub fn option_groups() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        ("Library", options::InitOptions::rows()),
        ("Events of a server or client", options::TagOptions::rows()),
        ("Server", options::ServerOptions::rows()),
        ("Client", options::ClientOptions::rows()),
        ("Server and client", options::ConnectionOptions::rows()),
        ("Start of a client", options::StartOptions::rows()),
        ("Accept", options::AcceptOptions::rows()),
        ("Reject", options::RejectOptions::rows()),
        ("Stop", options::StopOptions::rows()),
        ("Stop of a server", options::DrainOptions::rows()),
        ("Send", options::SendOptions::rows()),
        ("Send of a server", options::TargetOptions::rows()),
        ("Publish", options::PublishOptions::rows()),
        ("Messages", options::MessagesOptions::rows()),
        ("Wake-up", options::WakeupOptions::rows()),
    ]
}
