//! Knows the functions of topics.
//! Does not know what they do.

use std::ffi::{c_char, c_void};

use super::glue::{bytes, command, given, kind, text};
use crate::api;

/// Subscribes a connection that a server accepted to a topic, until it ends; being subscribed already is no
/// failure. The reply tells whether that has "changed" anything, and how many "subscribers" the topic has.
/// WSPLUG_WRONG_STATE for a client of our own, one that is closing, and beyond the server's "maxTopics". A topic is
/// any text of 1 to 256 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_subscribe(
    client: i32,
    topic: *const c_char,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts and replies.
    unsafe {
        command(reply, || {
            Ok(api::client_subscribe(client, given("topic", topic)?))
        })
    }
}

/// Ends a subscription. What was published before still comes. Not being subscribed is no failure: see "changed".
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_unsubscribe(
    client: i32,
    topic: *const c_char,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts and replies.
    unsafe {
        command(reply, || {
            Ok(api::client_unsubscribe(client, given("topic", topic)?))
        })
    }
}

/// Sends a message to every connection that is subscribed to a topic; encoded once for all of them, but anew for
/// each whose compression keeps its context. A topic without subscribers is no failure. The reply tells how many
/// "subscribers" there were, for how many of them it is "queued", and who "failed", by the error's name; with
/// "statuses", each one's status. See docs/topics.md.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_server_publish(
    server: i32,
    topic: *const c_char,
    kind: i32,
    data: *const c_void,
    length: i32,
    options: *const c_char,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts, data and replies.
    unsafe {
        command(reply, || {
            let topic = given("topic", topic)?;
            let (kind, data) = (self::kind(kind)?, bytes(data, length)?);
            let options = text("options", options)?;
            Ok(api::server_publish(
                server,
                topic,
                kind,
                data,
                options,
                !reply.is_null(),
            ))
        })
    }
}
