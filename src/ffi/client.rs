//! Knows the functions of connections, ours and accepted.
//! Does not know what they do.

use std::ffi::{c_char, c_void};

use super::glue::{argument, bytes, command, guard_status, is_forked, kind, put_ref, text};
use super::status::{WSPLUG_BINARY, WSPLUG_TEXT};
use crate::api::{self, Reply};
use crate::protocol::Kind;

/// Makes a client, which is not connected yet. Its ref, positive, is written to *client, 0 on failure; the
/// reply is its whole configuration and "ref". Let it go with wsplug_client_clear.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_create(
    options: *const c_char,
    client: *mut i32,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts, outputs and replies.
    unsafe {
        put_ref(client, 0);
        command(reply, || {
            if client.is_null() {
                return Err(argument("client is NULL; the ref could not be told"));
            }
            let (outcome, reference) = api::client_create(text("options", options)?);
            put_ref(client, reference);
            Ok(outcome)
        })
    }
}

/// Connects, and waits for the result for up to "timeout" seconds (20); with "wait":false it returns at
/// once, and "open" or "error" tells. Takes the options of wsplug_client_create too. WSPLUG_WRONG_STATE if it is
/// started already; inside an inline callback only with "wait":false, else WSPLUG_IN_CALLBACK.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_start(
    client: i32,
    options: *const c_char,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts and replies.
    unsafe {
        command(reply, || {
            Ok(api::client_start(client, text("options", options)?))
        })
    }
}

/// Closes a connection, ours or accepted, with "code" (1000) and "reason". A "close" event follows; messages
/// that still arrive before it are dropped. Ends reconnection, also while it waits. Waits until the
/// connection has ended, at most closeTimeoutMs and a second, unless "wait" is false or it is called inside
/// a callback.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_stop(
    client: i32,
    options: *const c_char,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts and replies.
    unsafe {
        command(reply, || {
            Ok(api::client_stop(client, text("options", options)?))
        })
    }
}

/// Sends a message on a connection, ours or accepted. Queued when it returns. WSPLUG_QUEUE_FULL if
/// sendQueueBytes wait already, WSPLUG_WRONG_STATE if it is not open, WSPLUG_INVALID_ARGUMENT for a text that is not
/// UTF-8, WSPLUG_TOO_LARGE for a ping or pong of more than 125 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_send(
    client: i32,
    kind: i32,
    data: *const c_void,
    length: i32,
    reply: *mut *mut c_char,
) -> i32 {
    // What an inline callback answers, the shortest way; nothing in it can panic.
    let short = match kind {
        WSPLUG_TEXT => Some(Kind::Text),
        WSPLUG_BINARY => Some(Kind::Binary),
        _ => None,
    };
    if let (Some(short), true) = (short, length > 0 && reply.is_null() && !data.is_null()) {
        // SAFETY: the header's promise about data.
        let payload = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length as usize) };
        if !is_forked() && api::client_send_inline(client, short, payload) {
            return 0;
        }
    }
    // SAFETY: the header's promises about data and replies.
    unsafe { send(client, kind, data, length, reply) }
}

#[inline(never)]
unsafe fn send(
    client: i32,
    kind: i32,
    data: *const c_void,
    length: i32,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promise about data.
    let send = || unsafe { api::client_send(client, self::kind(kind)?, bytes(data, length)?) };
    if reply.is_null() {
        return guard_status(|| match send() {
            Ok(_) => 0,
            Err(error) => error.status as i32,
        });
    }
    // SAFETY: the header's promise about replies.
    unsafe { command(reply, || Ok(Reply::sent(send()))) }
}

/// Lets a connection go, ours or accepted. The "close" event that is owed comes before it returns (on the
/// calling thread in pump and inline mode, and inside callbacks), other waiting callbacks do not come any more.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_clear(client: i32, reply: *mut *mut c_char) -> i32 {
    // SAFETY: the header's promise about replies.
    unsafe { command(reply, || Ok(api::client_clear(client))) }
}

/// Replies with events of a connection, ours or accepted, that wait because there is no callback for them,
/// and consumes them: at most "max" (100), after waiting "timeout" seconds (0) for the first.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_messages(
    client: i32,
    options: *const c_char,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts and replies.
    unsafe {
        command(reply, || {
            Ok(api::client_messages(client, text("options", options)?))
        })
    }
}
