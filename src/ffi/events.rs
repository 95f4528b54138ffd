//! Knows how events cross to C: pushed to callbacks, or pulled one by one.
//! Does not know what the events are about.

use std::cell::OnceCell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::Arc;

use super::glue::{UserData, command, guard, guard_status, text};
use super::status::*;
use crate::api;
use crate::error::Status;
use crate::events::{Call, Handler, Pulled, Source, Tag, hub, write_context};
use crate::protocol::Kind;

/// Takes events. Type is "open", "message", "fragment", "ping", "pong", "close", "error", "drain", "sent",
/// "execute", "service", "stopped", "request" or "refused"; context is a JSON object. Server is 0 where it is about
/// a client of our own, client 0 where it is about a server itself. Everything is valid until the callback returns.
/// It must not throw, longjmp or end its thread.
pub type wsplug_event_callback = Option<
    unsafe extern "system" fn(
        server: i32,
        client: i32,
        r#type: *const c_char,
        context: *const c_char,
        worker: *const c_char,
        window: i32,
        process: i32,
        user_data: *mut c_void,
    ),
>;

/// Takes messages as they came: kind is WSPLUG_TEXT or WSPLUG_BINARY, data has length bytes and no NUL behind them.
/// Server, what is valid and what it must not do: as wsplug_event_callback.
pub type wsplug_message_callback = Option<
    unsafe extern "system" fn(
        server: i32,
        client: i32,
        kind: i32,
        data: *const c_void,
        length: i32,
        user_data: *mut c_void,
    ),
>;

/// Tells that something waits. It must not throw, longjmp or end its thread.
pub type wsplug_wakeup_callback = Option<unsafe extern "system" fn(user_data: *mut c_void)>;

/// One event in the host's hands. Freed with wsplug_event_free.
pub struct wsplug_event {
    pulled: Pulled,
    context: OnceCell<CString>,
}

struct Callbacks {
    on_event: wsplug_event_callback,
    on_message: wsplug_message_callback,
    user_data: UserData,
}

impl Handler for Callbacks {
    fn event(&self, source: &Source, kind: &CStr, context: &mut Vec<u8>, tag: &Tag) {
        let Some(on_event) = self.on_event else {
            return;
        };
        context.push(0);
        // SAFETY: the host gave the callback for such calls; every text ends with NUL and lives through it.
        unsafe {
            on_event(
                source.server(),
                source.client,
                kind.as_ptr(),
                context.as_ptr().cast(),
                tag.worker.as_ptr(),
                tag.window,
                tag.process,
                self.user_data.0,
            );
        }
    }

    fn message(&self, source: &Source, kind: Kind, data: &[u8]) {
        let Some(on_message) = self.on_message else {
            return;
        };
        let length = i32::try_from(data.len()).expect("maxMessage is at most 2^31-1");
        // SAFETY: the host gave the callback for such calls; the data lives through it.
        unsafe {
            on_message(
                source.server(),
                source.client,
                kind as i32,
                data.as_ptr().cast(),
                length,
                self.user_data.0,
            );
        }
    }

    fn takes_messages(&self) -> bool {
        self.on_message.is_some()
    }
}

fn handler(
    on_event: wsplug_event_callback,
    on_message: wsplug_message_callback,
    user_data: *mut c_void,
) -> Option<Arc<dyn Handler>> {
    if on_event.is_none() && on_message.is_none() {
        return None;
    }
    Some(Arc::new(Callbacks {
        on_event,
        on_message,
        user_data: UserData(user_data),
    }))
}

/// Sets the callbacks for all events that no method takes; both NULL: events wait to be pulled. Where on_message is
/// NULL, messages come to on_event as JSON. Where only on_event is NULL, every event but messages is thrown away,
/// "close" and "request" too. Events that wait for callbacks already go to these ones. Returns once the old
/// callbacks no longer run, unless it is called inside a callback.
///
/// The option "dispatch" of a server or client (or of wsplug_init, for all) says how they run: "thread" (the
/// default) calls back on one thread of the library, one event at a time; "inline" on the connection's network
/// thread, for short callbacks; "pump" only inside wsplug_pump; "perConnection" on several threads of the library,
/// those of one connection one after the other, with "affinity":true always on the same thread. See docs/events.md.
#[unsafe(no_mangle)]
pub extern "system" fn wsplug_set_callbacks(
    on_event: wsplug_event_callback,
    on_message: wsplug_message_callback,
    user_data: *mut c_void,
) -> i32 {
    guard_status(|| {
        hub().set_handler(None, handler(on_event, on_message, user_data));
        WSPLUG_OK
    })
}

/// Sets the callbacks of the servers and clients whose option "method" is name; both NULL: none.
/// WSPLUG_INVALID_ARGUMENT of a name that is NULL or empty. Otherwise as wsplug_set_callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_set_method(
    name: *const c_char,
    on_event: wsplug_event_callback,
    on_message: wsplug_message_callback,
    user_data: *mut c_void,
) -> i32 {
    guard_status(|| {
        // SAFETY: the header's promise about texts.
        let name = match unsafe { text("name", name) } {
            Ok("") => return WSPLUG_INVALID_ARGUMENT,
            Ok(name) => CString::new(name).unwrap_or_default(),
            Err(error) => return error.status as i32,
        };
        hub().set_handler(Some(name), handler(on_event, on_message, user_data));
        WSPLUG_OK
    })
}

/// Takes the next event that no callback takes: timeout_ms 0 polls, negative waits until there is one; in a
/// callback on a network thread only 0, else WSPLUG_IN_CALLBACK. Writes it to *event, to be freed with
/// wsplug_event_free, or NULL with WSPLUG_TIMEOUT.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_event_next(
    timeout_ms: i32,
    event: *mut *mut wsplug_event,
) -> i32 {
    if event.is_null() {
        return WSPLUG_INVALID_ARGUMENT;
    }
    // SAFETY: the header's promise about outputs.
    unsafe { *event = std::ptr::null_mut() };
    guard_status(|| match api::event_next(timeout_ms) {
        Ok(Some(pulled)) => {
            let boxed = Box::new(wsplug_event {
                pulled,
                context: OnceCell::new(),
            });
            // SAFETY: as above.
            unsafe { *event = Box::into_raw(boxed) };
            WSPLUG_OK
        }
        Ok(None) => WSPLUG_TIMEOUT,
        Err(error) => error.status as i32,
    })
}

/// Ends one wait of wsplug_event_next, ..._messages or wsplug_pump early: the one under way, or else the next. It
/// answers as when nothing has come in its time: WSPLUG_TIMEOUT, an empty array, 0.
#[unsafe(no_mangle)]
pub extern "system" fn wsplug_event_wake() {
    guard((), (), || hub().wake());
}

/// Reads something of an event; `none` of NULL.
fn read<R>(event: *const wsplug_event, none: R, get: impl FnOnce(&wsplug_event) -> R) -> R {
    // SAFETY: the host's promise that an event that is not NULL came from us and was not freed.
    match unsafe { event.as_ref() } {
        Some(event) => get(event),
        None => none,
    }
}

/// The event's server, or 0. Of a NULL event this and all of the following give 0, "" or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_event_server(event: *const wsplug_event) -> i32 {
    read(event, 0, |event| event.pulled.server())
}

/// The event's connection, or 0.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_event_client(event: *const wsplug_event) -> i32 {
    read(event, 0, |event| event.pulled.client())
}

/// The kind of a "message", "fragment", "ping" or "pong", or 0.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_event_kind(event: *const wsplug_event) -> i32 {
    read(event, 0, |event| event.pulled.event().kind())
}

/// The option "window" as it was when the event happened.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_event_window(event: *const wsplug_event) -> i32 {
    read(event, 0, |event| event.pulled.tag().window)
}

/// The option "process" as it was when the event happened.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_event_process(event: *const wsplug_event) -> i32 {
    read(event, 0, |event| event.pulled.tag().process)
}

/// The type, as a callback gets it. Static.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_event_type(event: *const wsplug_event) -> *const c_char {
    read(event, c"", |event| event.pulled.event().type_name()).as_ptr()
}

/// The context, a JSON object, as a callback gets it; valid until the event is freed. The first call builds it, so
/// no two threads may call this for the same event at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_event_context(event: *const wsplug_event) -> *const c_char {
    read(event, c"".as_ptr(), |event| {
        let context = event.context.get_or_init(|| {
            let mut text = Vec::new();
            write_context(&event.pulled.event(), &mut text);
            CString::new(text).unwrap_or_default()
        });
        context.as_ptr()
    })
}

/// The option "worker" as it was when the event happened; valid until the event is freed.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_event_worker(event: *const wsplug_event) -> *const c_char {
    read(event, c"".as_ptr(), |event| {
        event.pulled.tag().worker.as_ptr()
    })
}

/// The option "method" as it was when the event happened; valid until the event is freed.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_event_method(event: *const wsplug_event) -> *const c_char {
    read(event, c"".as_ptr(), |event| {
        event.pulled.tag().method.as_ptr()
    })
}

/// The payload of a "message", "fragment", "ping" or "pong" as it came, *length bytes without NUL; NULL and 0 of
/// others. Valid until the event is freed. Length may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_event_data(
    event: *const wsplug_event,
    length: *mut i32,
) -> *const c_void {
    let (data, size) = read(event, (std::ptr::null(), 0), |event| {
        match event.pulled.event().data() {
            Some(data) => (data.as_ptr().cast(), data.len() as i32),
            None => (std::ptr::null(), 0),
        }
    });
    if !length.is_null() {
        // SAFETY: the header's promise about outputs.
        unsafe { *length = size };
    }
    data
}

/// Frees an event. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_event_free(event: *mut wsplug_event) {
    guard((), (), || {
        if !event.is_null() {
            // SAFETY: the host's promise that the event came from us and is freed once.
            drop(unsafe { Box::from_raw(event) });
        }
    });
}

/// Runs the callbacks of "dispatch":"pump" on the calling thread: waits up to timeout_ms (0: not, negative: until
/// there is one) for the first event, then takes what is there, at most max (0 or less: all). Returns how many
/// callbacks ran, or a negative status. Another thread that pumps meanwhile waits. Inside a callback:
/// WSPLUG_IN_CALLBACK.
#[unsafe(no_mangle)]
pub extern "system" fn wsplug_pump(timeout_ms: i32, max: i32) -> i32 {
    guard(Status::Forked as i32, Status::Internal as i32, || {
        api::pump(timeout_ms, max).unwrap_or_else(|error| error.status as i32)
    })
}

/// Sets what tells a host that sleeps elsewhere that something waits for wsplug_pump, wsplug_event_next,
/// ..._messages or wsplug_client_receive; at once, if something does. Replaces what was set; without options ("fd"
/// or "hwnd") and with a NULL callback it removes it, as wsplug_shutdown does. Returns once the old callback no
/// longer runs, unless it is called inside a callback.
///
/// The callback is called on whichever thread brings the event, mostly a network thread of the library, with no
/// lock held. It should only wake the host's own thread: as long as it runs, that network thread does nothing else.
/// Inside it wsplug_pump is refused.
///
/// One wake-up stands for all that came since the host looked last. So look until there is no more:
/// wsplug_event_next until WSPLUG_TIMEOUT, ..._messages until fewer come than were asked for. A wsplug_pump that
/// stops at its max is told anew.
///
/// {"fd":true}, not on Windows: the reply's "fd" is readable as long as anything waits. Poll it, do not read from
/// it, and do not close it: it is the library's, and closed when it is replaced or removed.
///
/// {"hwnd":...,"message":...}, on Windows: the message is posted to the window, with wParam and lParam 0. It is for
/// the window's thread to pump when it gets it.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn wsplug_set_wakeup(
    options: *const c_char,
    callback: wsplug_wakeup_callback,
    user_data: *mut c_void,
    reply: *mut *mut c_char,
) -> i32 {
    let host = UserData(user_data);
    let call = callback.map(|callback| -> Call {
        Box::new(move || {
            let host = &host;
            // SAFETY: the host gave the callback for such calls; user_data is only handed back.
            unsafe { callback(host.0) }
        })
    });
    // SAFETY: the header's promises about texts and replies.
    unsafe {
        command(reply, || {
            Ok(api::set_wakeup(text("options", options)?, call))
        })
    }
}
