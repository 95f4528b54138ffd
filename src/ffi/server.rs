//! Knows the functions of servers.
//! Does not know what they do.

use std::ffi::{c_char, c_void};

use super::glue::{
    argument, bytes, command, given, guard_result, kind, put_ref, put_text, text, text_or_none,
};
use crate::api;

/// Makes a server, which does not listen yet. Its ref, negative, is written to *server, 0 on failure; the
/// reply is its whole configuration and "ref". Let it go with wsplug_server_clear.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_server_create(
    options: *const c_char,
    server: *mut i32,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts, outputs and replies.
    unsafe {
        put_ref(server, 0);
        command(reply, || {
            if server.is_null() {
                return Err(argument("server is NULL; the ref could not be told"));
            }
            let (outcome, reference) = api::server_create(text("options", options)?);
            put_ref(server, reference);
            Ok(outcome)
        })
    }
}

/// Begins to listen, in the calling thread, so that the reply tells whether it worked and on which "port". Takes
/// the options of wsplug_server_create too. WSPLUG_WRONG_STATE if it listens already.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_server_start(
    server: i32,
    options: *const c_char,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts and replies.
    unsafe {
        command(reply, || {
            Ok(api::server_start(server, text("options", options)?))
        })
    }
}

/// Stops listening at once and closes every connection with "code" (1001) and "reason"; each gets its "close"
/// event. Takes the options of wsplug_server_create for the next start too. Waits until the connections have ended,
/// at most closeTimeoutMs (or "deadlineMs") and a second, unless "wait" is false or it is called inside a callback.
/// A server that does not listen is no failure.
///
/// With "drain":true it takes no new clients and lets those that are there go by themselves; who is left after
/// "deadlineMs" (30000) is closed with "code" and "reason". So it waits longer: at most deadlineMs, closeTimeoutMs
/// and a second, 36 seconds by default. Meanwhile everything else works, also a new start; another stop counts
/// instead of this.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_server_stop(
    server: i32,
    options: *const c_char,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts and replies.
    unsafe {
        command(reply, || {
            Ok(api::server_stop(server, text("options", options)?))
        })
    }
}

/// Sends a message to the connections in "clients", or to every open one without that option; with "confirm" as
/// wsplug_client_send_with. Queued when it returns; the reply has one status per target. WSPLUG_OK also if single
/// targets failed: see the reply.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_server_send(
    server: i32,
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
            let options = text("options", options)?;
            Ok(api::server_send(
                server,
                kind,
                data,
                options,
                !reply.is_null(),
            ))
        })
    }
}

/// Lets a server go, with its connections, and waits until their callbacks that run on other threads have returned.
/// "close" events that are owed come before it returns (on the calling thread in pump, inline and perConnection
/// mode and inside callbacks; with "affinity" on the connection's own thread); other waiting callbacks do not come
/// any more.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_server_clear(server: i32, reply: *mut *mut c_char) -> i32 {
    // SAFETY: the header's promise about replies.
    unsafe { command(reply, || Ok(api::server_clear(server))) }
}

/// Replies with the refs of the server's open connections, ascending.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_server_clients(server: i32, reply: *mut *mut c_char) -> i32 {
    // SAFETY: the header's promise about replies.
    unsafe { command(reply, || Ok(api::server_clients(server))) }
}

/// Changes what may be changed while a server listens: "blocked", "interval", and method, worker, window, process,
/// dispatch and affinity. Other options are named in "ignoredOptions". The reply is the configuration.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_server_set(
    server: i32,
    options: *const c_char,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts and replies.
    unsafe {
        command(reply, || {
            Ok(api::server_set(server, text("options", options)?))
        })
    }
}

/// Posts an "execute" event in the context of a server, with "procedure" and "params" (a JSON value, NULL is null),
/// before the next "service", never beside another event of client 0. WSPLUG_WRONG_STATE unless it is started,
/// WSPLUG_QUEUE_FULL where more events wait for the host than may.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_server_execute(
    server: i32,
    procedure: *const c_char,
    params: *const c_char,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts and replies.
    unsafe {
        command(reply, || {
            let procedure = given("procedure", procedure)?;
            Ok(api::server_execute(
                server,
                procedure,
                text("params", params)?,
            ))
        })
    }
}

/// Keeps a text under a key with a server, until the ref is gone. A NULL value removes it.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_server_set_value(
    server: i32,
    key: *const c_char,
    value: *const c_char,
) -> i32 {
    // SAFETY: the header's promise about texts.
    guard_result(|| unsafe {
        api::server_set_value(server, given("key", key)?, text_or_none("value", value)?)
    })
}

/// Writes what was kept under a key to *value, to be freed with wsplug_free; NULL if there is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_server_get_value(
    server: i32,
    key: *const c_char,
    value: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts and outputs.
    guard_result(|| unsafe {
        put_text(value, None)?;
        put_text(value, api::server_get_value(server, given("key", key)?)?)
    })
}

/// Replies with how a server stands: its url, how many "clients" it has, who was "refused" by reason, what waits,
/// and counters over all of its connections, also those that are gone. See docs/abi.md.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_server_info(server: i32, reply: *mut *mut c_char) -> i32 {
    // SAFETY: the header's promise about replies.
    unsafe { command(reply, || Ok(api::server_info(server))) }
}

/// Replies with events of the server and its connections that wait because there is no callback for them, and
/// consumes them: at most "max" (100), after waiting "timeout" seconds (0) for the first; in a callback on a
/// network thread only 0, else WSPLUG_IN_CALLBACK.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_server_messages(
    server: i32,
    options: *const c_char,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts and replies.
    unsafe {
        command(reply, || {
            Ok(api::server_messages(server, text("options", options)?))
        })
    }
}
