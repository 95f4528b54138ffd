//! Knows the functions that answer a "request" event.
//! Does not know what they do.

use std::ffi::c_char;

use super::glue::{command, text};
use crate::api;

/// Lets a client in that a "request" event told of, with "protocol" (one that it offers), "headers" of the answer,
/// "topics" and "values", or nothing of the kind. From any thread, in the callback or later. "open" follows, or
/// "refused" if the client has left meanwhile; until "open" nothing can be sent. WSPLUG_WRONG_STATE if it was
/// answered before, WSPLUG_UNKNOWN_REF if "refused" has come.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_accept(
    client: i32,
    options: *const c_char,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts and replies.
    unsafe {
        command(reply, || {
            Ok(api::client_accept(client, text("options", options)?))
        })
    }
}

/// Sends a client away that a "request" event told of, with an HTTP "status" (403), "headers" and a "body". From any
/// thread, in the callback or later. "refused" follows, and the ref is gone. Statuses as wsplug_client_accept.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_client_reject(
    client: i32,
    options: *const c_char,
    reply: *mut *mut c_char,
) -> i32 {
    // SAFETY: the header's promises about texts and replies.
    unsafe {
        command(reply, || {
            Ok(api::client_reject(client, text("options", options)?))
        })
    }
}
