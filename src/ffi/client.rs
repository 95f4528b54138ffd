//! Knows the functions of connections, ours and accepted.
//! Does not know what they do.

use std::ffi::{c_char, c_void};

use super::glue::{
    argument, bytes, command, given, guard_result, guard_status, is_forked, kind, put_number,
    put_ref, put_text, text, text_or_none,
};
use super::status::*;
use crate::api::{self, Reply};
use crate::events::Received;
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

/// Connects, and waits for the result for up to "timeout" seconds (20); with "wait":false it returns at once, and
/// "open" or "error" tells. Takes the options of wsplug_client_create too. With "retryFirst" it may return the
/// positive WSPLUG_TIMEOUT: not connected, and the client goes on trying. WSPLUG_WRONG_STATE if it is started
/// already; inside an inline callback only with "wait":false, else WSPLUG_IN_CALLBACK.
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

/// Closes a connection, ours or accepted, with "code" (1000) and "reason". A "close" event follows; messages that
/// still arrive before it are dropped. Ends reconnection, also while it waits. Waits until the connection has
/// ended, at most closeTimeoutMs and a second, unless "wait" is false or it is called inside a callback.
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

/// Sends a message on a connection, ours or accepted; it never waits. Queued when it returns. WSPLUG_QUEUE_FULL if
/// sendQueueBytes wait already, or sendBudgetBytes on all connections together; WSPLUG_WRONG_STATE if it is not
/// open (a client with queueWhileDisconnected keeps the message instead, up to that many bytes);
/// WSPLUG_INVALID_ARGUMENT for a text that is not UTF-8; WSPLUG_TOO_LARGE for a ping or pong of more than 125
/// bytes; WSPLUG_INTERNAL, with "compressionError" in the reply, where there is no memory to compress it.
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

/// The same with options: "confirm", a number or a text that comes back in a "sent" event once the system has taken
/// the whole message. WSPLUG_QUEUE_FULL also if more events wait for the host than eventQueueEvents and
/// eventQueueBytes allow.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_send_with(
    client: i32,
    kind: i32,
    data: *const c_void,
    length: i32,
    options: *const c_char,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts, data and replies.
    unsafe {
        command(reply, || {
            let (kind, data) = (self::kind(kind)?, bytes(data, length)?);
            Ok(api::client_send_with(
                client,
                kind,
                data,
                text("options", options)?,
            ))
        })
    }
}

/// Everything that is not sent in the shortest way.
///
/// # Safety
/// As for `wsplug_client_send`.
#[inline(never)]
unsafe fn send(
    client: i32,
    kind: i32,
    data: *const c_void,
    length: i32,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promise about data.
    let argument = || unsafe { Ok((self::kind(kind)?, bytes(data, length)?)) };
    if reply.is_null() {
        let send =
            || argument().and_then(|(kind, data)| api::client_send_queued(client, kind, data));
        return guard_status(|| match send() {
            Ok(_) => 0,
            Err(error) => error.status as i32,
        });
    }
    let send = || argument().and_then(|(kind, data)| api::client_send(client, kind, data));
    // SAFETY: the header's promise about replies.
    unsafe { command(reply, || Ok(Reply::sent(send()))) }
}

/// Lets a connection go, ours or accepted, and waits until its callbacks that run on other threads have returned;
/// of a client with queueWhileDisconnected also, outside of callbacks, until what waits has left, at most
/// closeTimeoutMs and a second. The "close" event that is owed comes before it returns (on the calling thread in
/// pump, inline and perConnection mode and inside callbacks; with "affinity" on the connection's own thread); other
/// waiting callbacks do not come any more.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_clear(client: i32, reply: *mut *mut c_char) -> i32 {
    // SAFETY: the header's promise about replies.
    unsafe { command(reply, || Ok(api::client_clear(client))) }
}

/// Posts an "execute" event in the context of a connection, ours or accepted, with "procedure" and "params" (a JSON
/// value, NULL is null), in its order, never beside another event of it. WSPLUG_WRONG_STATE unless it is open,
/// WSPLUG_QUEUE_FULL where more events wait for the host than may; one that closes meanwhile drops it.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_execute(
    client: i32,
    procedure: *const c_char,
    params: *const c_char,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts and replies.
    unsafe {
        command(reply, || {
            let procedure = given("procedure", procedure)?;
            Ok(api::client_execute(
                client,
                procedure,
                text("params", params)?,
            ))
        })
    }
}

/// Keeps a text under a key with a connection, ours or accepted, until the ref is gone; of an accepted one it can
/// still be read in the callback that gets its "close". A NULL value removes it.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_set_value(
    client: i32,
    key: *const c_char,
    value: *const c_char,
) -> i32 {
    // SAFETY: the header's promise about texts.
    guard_result(|| unsafe {
        api::client_set_value(client, given("key", key)?, text_or_none("value", value)?)
    })
}

/// Writes what was kept under a key to *value, to be freed with wsplug_free; NULL if there is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_get_value(
    client: i32,
    key: *const c_char,
    value: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts and outputs.
    guard_result(|| unsafe {
        put_text(value, None)?;
        put_text(value, api::client_get_value(client, given("key", key)?)?)
    })
}

/// Replies with how a connection stands, ours or accepted: "state" (connecting, open, closing or closed, or
/// asking), where it comes from, what its handshake brought, the round-trip time of the last ping, what waits, and
/// counters. See docs/abi.md.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_info(client: i32, reply: *mut *mut c_char) -> i32 {
    // SAFETY: the header's promise about replies.
    unsafe { command(reply, || Ok(api::client_info(client))) }
}

/// Replies with events of a connection, ours or accepted, that wait because there is no callback for them, and
/// consumes them: at most "max" (100), after waiting "timeout" seconds (0) for the first; in a callback on a
/// network thread only 0, else WSPLUG_IN_CALLBACK.
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

/// Writes to *client the ref of the living client whose option "name" this is; 0 and WSPLUG_UNKNOWN_REF if there is
/// none, WSPLUG_INVALID_ARGUMENT of an empty name. Accepted connections have no name.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_find(name: *const c_char, client: *mut i32) -> i32 {
    // SAFETY: the header's promises about texts and outputs.
    unsafe {
        put_ref(client, 0);
        guard_status(|| {
            if client.is_null() {
                return WSPLUG_INVALID_ARGUMENT;
            }
            match text("name", name).and_then(api::client_find) {
                Ok(reference) => {
                    put_ref(client, reference);
                    WSPLUG_OK
                }
                Err(error) => error.status as i32,
            }
        })
    }
}

/// Takes the next message of a connection, ours or accepted, that no callback takes: whole, *length bytes in buffer
/// without a NUL behind them, of *kind WSPLUG_TEXT or WSPLUG_BINARY. Length must not be NULL, kind may be.
/// timeout_ms 0 polls, negative waits until there is one, else WSPLUG_TIMEOUT; in a callback on a network thread
/// only 0, else WSPLUG_IN_CALLBACK. WSPLUG_BUFFER_TOO_SMALL if capacity is less than its length, which is written
/// to *length: the message stays for the next call; so a NULL buffer with capacity 0 asks for the length. Several
/// threads may receive.
///
/// A client that comes back by itself is waited for. Once nothing more can come: first what is left, then
/// WSPLUG_WRONG_STATE, or WSPLUG_UNKNOWN_REF of an accepted connection. WSPLUG_WRONG_STATE also where there is a
/// callback for its events, unless its option "dispatch" is "pull". Other events are passed over and dropped, but
/// for the last "close" and the last "error", which can be pulled until a later message was received.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_receive(
    client: i32,
    timeout_ms: i32,
    kind: *mut i32,
    buffer: *mut c_void,
    capacity: i32,
    length: *mut i32,
) -> i32 {
    let tell = |found: i32, size: usize| {
        let size = i32::try_from(size).expect("maxMessage is at most 2^31-1");
        // SAFETY: the header's promise about outputs; both are NULL or writable.
        unsafe {
            put_number(kind, found);
            put_number(length, size);
        }
    };
    guard_status(|| {
        tell(0, 0);
        let Ok(room) = usize::try_from(capacity) else {
            return WSPLUG_INVALID_ARGUMENT;
        };
        if length.is_null() || (buffer.is_null() && room > 0) {
            return WSPLUG_INVALID_ARGUMENT;
        }
        match api::client_receive(client, timeout_ms, room) {
            Ok(Received::Message(pulled)) => {
                let Some((found, data)) = pulled.message() else {
                    return WSPLUG_INTERNAL;
                };
                if !data.is_empty() {
                    // SAFETY: the host's promise that buffer has room for capacity bytes, which the data does not exceed.
                    unsafe {
                        std::ptr::copy_nonoverlapping(data.as_ptr(), buffer.cast(), data.len());
                    }
                }
                tell(found as i32, data.len());
                WSPLUG_OK
            }
            Ok(Received::TooLong { kind, length }) => {
                tell(kind as i32, length);
                WSPLUG_BUFFER_TOO_SMALL
            }
            Ok(_) => WSPLUG_TIMEOUT,
            Err(error) => error.status as i32,
        }
    })
}
