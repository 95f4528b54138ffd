//! Knows how arguments come in, how outputs go out, and how a panic stops at the border.
//! Does not know the functions.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::api::Reply;
use crate::error::{Error, Result, Status};
use crate::log;
use crate::platform;
use crate::protocol::Kind;

static IS_FORKED: AtomicBool = AtomicBool::new(false);
static PREPARED: Once = Once::new();

thread_local! {
    /// Whether a panic on this thread is ours to log.
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// What the host gave to be handed back to its callback.
pub struct UserData(pub *mut c_void);

// SAFETY: the header says that callbacks run on any thread; user_data is only handed back.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

/// Once per process: the library stays, panics go to the log instead of stderr, and a forked child is known as such.
fn prepare() {
    PREPARED.call_once(|| {
        platform::stay_loaded();
        let other = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            match IS_INSIDE.get() || name.starts_with("wsplug-") {
                true => log::error!("fault in wsplug, please report it: {panic}"),
                false => other(panic),
            }
        }));
        #[cfg(unix)]
        {
            extern "C" fn in_child() {
                IS_FORKED.store(true, Ordering::Relaxed);
            }
            // SAFETY: the handler stays valid because the library is never unloaded (-z nodelete), and storing to an
            // atomic is allowed in a child. Failing (no memory) leaves forks unnoticed, nothing else.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        }
    });
}

/// Whether this process is a forked child.
pub fn is_forked() -> bool {
    IS_FORKED.load(Ordering::Relaxed)
}

/// Runs a function's body: a panic in it becomes `failed`, a forked child gets `forked`.
pub fn guard<R>(forked: R, failed: R, body: impl FnOnce() -> R) -> R {
    prepare();
    if is_forked() {
        return forked;
    }
    let was_inside = IS_INSIDE.replace(true);
    // Whatever a panic leaves half done is behind locks that do not poison; the state of each object stays consistent
    // between statements that can panic.
    let result = catch_unwind(AssertUnwindSafe(body));
    IS_INSIDE.set(was_inside);
    result.unwrap_or(failed)
}

/// [`guard`] for functions that return a status.
pub fn guard_status(body: impl FnOnce() -> i32) -> i32 {
    guard(Status::Forked as i32, Status::Internal as i32, body)
}

/// Runs a command and writes its reply, if the caller wants one.
///
/// # Safety
/// `reply` is NULL or points to a writable pointer.
pub unsafe fn command(reply: *mut *mut c_char, body: impl FnOnce() -> Result<Reply>) -> i32 {
    let put = |text: String| {
        if !reply.is_null() {
            // SAFETY: the caller's promise.
            unsafe { *reply = give(text) };
        }
    };
    let fail = |status: Status, message: &str| {
        put(failure_text(&Error::new(status, message)));
        status as i32
    };
    prepare();
    if is_forked() {
        return fail(
            Status::Forked,
            "this process is a forked child; wsplug works in its parent only",
        );
    }
    let outcome = guard(None, None, || {
        Some(match body() {
            Ok(outcome) => {
                let status = outcome.status as i32;
                // JSON costs more than most commands: only where it is wanted.
                let text = (!reply.is_null()).then(|| outcome.into_text());
                (status, text)
            }
            Err(error) => (error.status as i32, Some(failure_text(&error))),
        })
    });
    match outcome {
        Some((status, text)) => {
            if let Some(text) = text {
                put(text);
            }
            status
        }
        None => fail(Status::Internal, "a fault in wsplug, see the log"),
    }
}

fn failure_text(error: &Error) -> String {
    Reply::failed(error.clone()).into_text()
}

/// A text that the host frees with `wsplug_free`.
pub fn give(text: String) -> *mut c_char {
    // JSON escapes NUL, so this never cuts anything off.
    CString::new(text.replace('\0', ""))
        .unwrap_or_default()
        .into_raw()
}

/// A text argument; NULL is "".
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string that lives through `'a`.
pub unsafe fn text<'a>(name: &str, text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Ok("");
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|error| {
        Error::new(
            Status::InvalidArgument,
            format!("{name} is not UTF-8: byte {} is wrong", error.valid_up_to()),
        )
    })
}

/// A text argument for which NULL has a meaning of its own.
///
/// # Safety
/// As for [`text`].
pub unsafe fn text_or_none<'a>(name: &str, value: *const c_char) -> Result<Option<&'a str>> {
    if value.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { text(name, value) }.map(Some)
}

/// A text argument that must be there.
///
/// # Safety
/// As for [`text`].
pub unsafe fn given<'a>(name: &str, value: *const c_char) -> Result<&'a str> {
    if value.is_null() {
        return Err(argument(format!("{name} is NULL")));
    }
    // SAFETY: the caller's promise.
    unsafe { text(name, value) }
}

/// Writes a text that the host frees, or NULL.
///
/// # Safety
/// `out` is NULL or writable.
pub unsafe fn put_text(out: *mut *mut c_char, text: Option<String>) -> Result<()> {
    if out.is_null() {
        return Err(argument("value is NULL; the text could not be told"));
    }
    // SAFETY: the caller's promise.
    unsafe { *out = text.map_or(std::ptr::null_mut(), give) };
    Ok(())
}

/// [`guard_status`] for what has no reply.
pub fn guard_result(body: impl FnOnce() -> Result<()>) -> i32 {
    guard_status(|| body().map_or_else(|error| error.status as i32, |()| 0))
}

/// A message's bytes; NULL is allowed with length 0.
///
/// # Safety
/// `data` points to `length` readable bytes that live through `'a`, or `length` is not positive.
pub unsafe fn bytes<'a>(data: *const c_void, length: i32) -> Result<&'a [u8]> {
    match usize::try_from(length) {
        Err(_) => Err(argument(format!(
            "length is {length}; it must not be negative"
        ))),
        Ok(0) => Ok(&[]),
        Ok(length) if data.is_null() => {
            Err(argument(format!("data is NULL and length is {length}")))
        }
        // SAFETY: the caller's promise.
        Ok(length) => Ok(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) }),
    }
}

/// A kind argument.
pub fn kind(code: i32) -> Result<Kind> {
    Kind::from_code(code).ok_or_else(|| {
        argument(format!(
            "kind is {code}; it must be WSPLUG_TEXT 1, WSPLUG_BINARY 2, WSPLUG_PING 9 or WSPLUG_PONG 10"
        ))
    })
}

/// Writes a ref, if there is where to.
///
/// # Safety
/// `out` is NULL or writable.
pub unsafe fn put_ref(out: *mut i32, reference: i32) {
    // SAFETY: the caller's promise.
    unsafe { put_number(out, reference) };
}

/// Writes a number, if there is where to.
///
/// # Safety
/// `out` is NULL or writable.
pub unsafe fn put_number(out: *mut i32, number: i32) {
    if !out.is_null() {
        // SAFETY: the caller's promise.
        unsafe { *out = number };
    }
}

/// A bad argument.
pub fn argument(message: impl Into<String>) -> Error {
    Error::new(Status::InvalidArgument, message)
}
