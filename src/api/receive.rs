//! Knows how a host takes the messages of one connection, one by one.
//! Does not know buffers.

use super::clients::{find_peer, is_asking};
use super::pull;
use crate::error::{Error, Result};
use crate::events::{Received, hub};
use crate::library::Peer;
use crate::log;

/// The next message of a connection, ours or accepted, if it has at most `capacity` bytes. A failure is logged where the
/// host may wonder why.
pub fn client_receive(client: i32, timeout_ms: i32, capacity: usize) -> Result<Received> {
    let timeout = pull::timeout(timeout_ms)?;
    let received = match find_peer(client) {
        Ok(Peer::Own(own)) => hub().receive(&own.source, capacity, timeout, || !own.is_started()),
        Ok(Peer::Accepted(connection)) => {
            let source = &connection.source;
            hub().receive(source, capacity, timeout, || !source.is_open())
        }
        Ok(Peer::Asking(_)) => return Err(is_asking(client)),
        Err(gone) => hub().receive_left(client, capacity).ok_or(gone)?,
    };
    match received {
        Received::Over => Err(Error::wrong_state(format!(
            "connection {client} is closed, and all of its messages were received"
        ))),
        Received::Called => {
            let error = Error::wrong_state(format!(
                "the messages of connection {client} go to a callback; with \"dispatch\":\"pull\" they can be received"
            ));
            log::warn!("wsplug_client_receive: {error}");
            Err(error)
        }
        other => Ok(other),
    }
}
