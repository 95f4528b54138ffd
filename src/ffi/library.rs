//! Knows the functions that concern the library as a whole.
//! Does not know servers or clients.

use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;

use super::glue::{UserData, command, guard, guard_status, text};
use super::status::*;
use crate::api;
use crate::error::Status;
use crate::log::{self, Level};

/// Takes log messages, up to the level that was asked for. It may be called on any thread, on several at the same
/// time, and counts as a callback: inside it wsplug_shutdown and wsplug_pump are refused, and stops do not wait. It
/// must not throw, longjmp or end its thread.
pub type wsplug_log_callback =
    Option<unsafe extern "system" fn(level: i32, message: *const c_char, user_data: *mut c_void)>;

/// Sets what holds for the whole library: "threads" (network threads: 1), "sendBudgetBytes" (what may wait to be
/// sent in the whole process: no limit), "dispatch" and "affinity" (see wsplug_set_callbacks), "callbackThreads"
/// (those of "perConnection": 16; 1 to 1024). Optional, and only before anything was created or after
/// wsplug_shutdown; WSPLUG_WRONG_STATE otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_init(options: *const c_char, reply: *mut *mut c_char) -> i32 {
    // SAFETY: the header's promises about texts and replies.
    unsafe { command(reply, || Ok(api::init(text("options", options)?))) }
}

/// Closes every connection with 1001, delivers what is left for callbacks, joins every thread of the library and
/// forgets all refs and callbacks but the log's. Waits for up to timeout_ms (negative: 10,000), then ends what is
/// left without a word and returns WSPLUG_TIMEOUT. Meanwhile nothing can be created or started, and a second
/// wsplug_shutdown is refused: WSPLUG_WRONG_STATE. Afterwards all of that can be done again, and events that no
/// callback takes can still be pulled. Inside a callback: WSPLUG_IN_CALLBACK.
#[unsafe(no_mangle)]
pub extern "system" fn wsplug_shutdown(timeout_ms: i32) -> i32 {
    guard_status(|| match api::shutdown(timeout_ms) {
        Ok(status) => status as i32,
        Err(error) => error.status as i32,
    })
}

/// Replies with what the library holds and has counted: "version", network "threads", open "connections", counters,
/// what waits for the host, and each of "servers" and "clients" (of our own). See docs/abi.md.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_info(reply: *mut *mut c_char) -> i32 {
    // SAFETY: the header's promise about replies.
    unsafe { command(reply, || Ok(api::info(WSPLUG_ABI_VERSION))) }
}

/// Sends log messages up to level (WSPLUG_LOG_OFF to WSPLUG_LOG_DEBUG, else WSPLUG_INVALID_ARGUMENT) to callback,
/// which may be NULL. Returns once the old one no longer runs, unless it is called inside a callback.
/// wsplug_shutdown leaves it set. Messages hold no payloads and no secrets.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_set_log_callback(
    level: i32,
    callback: wsplug_log_callback,
    user_data: *mut c_void,
) -> i32 {
    guard_status(|| {
        if !(WSPLUG_LOG_OFF..=WSPLUG_LOG_DEBUG).contains(&level) {
            return WSPLUG_INVALID_ARGUMENT;
        }
        let host = UserData(user_data);
        let sink = callback.map(|callback| -> log::Sink {
            Arc::new(move |level: Level, message: &str| {
                let host = &host;
                let message = std::ffi::CString::new(message.replace('\0', "")).unwrap_or_default();
                // SAFETY: the host gave the callback for such calls; the message lives through it.
                unsafe { callback(level as i32, message.as_ptr(), host.0) }
            })
        });
        log::set_sink(level, sink);
        WSPLUG_OK
    })
}

/// A status in words, also for a number that is no status. Static; do not free it.
#[unsafe(no_mangle)]
pub extern "system" fn wsplug_status_text(status: i32) -> *const c_char {
    let text = match Status::from_code(status) {
        Some(Status::Ok) => c"done",
        Some(Status::Timeout) => c"nothing came in the time that was given",
        Some(Status::InvalidArgument) => {
            c"an argument is NULL, negative, not UTF-8 or none of the constants"
        }
        Some(Status::InvalidOptions) => c"the options are no JSON object, or one of them is wrong",
        Some(Status::UnknownRef) => c"there is no such server or connection, or no longer",
        Some(Status::WrongState) => c"the command does not fit the state of the object",
        Some(Status::QueueFull) => c"the send queue of the connection has no room now",
        Some(Status::TooLarge) => c"the message exceeds a limit",
        Some(Status::Network) => c"the network or the peer refused",
        Some(Status::InCallback) => {
            c"the command would wait for the callback that it is called from"
        }
        Some(Status::Forked) => {
            c"the process is a forked child; the library works in the parent only"
        }
        Some(Status::BufferTooSmall) => c"the buffer is too small",
        Some(Status::Internal) => c"a fault of the library, see the log",
        None => c"no status of wsplug",
    };
    text.as_ptr()
}

/// Frees what a function gave in a `char **`. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_free(text: *mut c_char) {
    guard((), (), || {
        if !text.is_null() {
            // SAFETY: the host's promise that the text came from us and is freed once.
            drop(unsafe { std::ffi::CString::from_raw(text) });
        }
    });
}

/// Copies a text into a buffer, for hosts that cannot follow a pointer. Returns the bytes that are needed,
/// the NUL included; if capacity is less, the text is cut at a character's end and still ends with NUL. A
/// NULL text counts as "". With buffer NULL or capacity 0, only the length is returned.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_text_copy(
    text: *const c_char,
    buffer: *mut c_char,
    capacity: i32,
) -> i32 {
    let text = match text.is_null() {
        true => &[],
        // SAFETY: the host's promise that the text ends with NUL.
        false => unsafe { CStr::from_ptr(text) }.to_bytes(),
    };
    if let (Ok(capacity @ 1..), false) = (usize::try_from(capacity), buffer.is_null()) {
        let mut length = text.len().min(capacity - 1);
        while length < text.len() && length > 0 && text[length] & 0xc0 == 0x80 {
            length -= 1;
        }
        // SAFETY: the host's promise that the buffer has `capacity` bytes; length + 1 is not more.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast::<u8>(), length);
            *buffer.add(length) = 0;
        }
    }
    i32::try_from(text.len() + 1).unwrap_or(i32::MAX)
}

/// The library's version, such as "0.1.0". Static; do not free it.
#[unsafe(no_mangle)]
pub extern "system" fn wsplug_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a version has no NUL"),
        };
    VERSION.as_ptr()
}

/// The version of the interface that the loaded library has: compare it with WSPLUG_ABI_VERSION.
#[unsafe(no_mangle)]
pub extern "system" fn wsplug_abi_version() -> i32 {
    WSPLUG_ABI_VERSION
}
