//! Knows how to call the library as a C host does, with its exported functions; all `unsafe` of the command is here.
//! Does not know what for.

use std::ffi::{CStr, CString, c_char, c_void};
use std::fmt::{self, Display, Formatter};
use std::ptr::{NonNull, null_mut};
use std::time::Duration;

use serde_json::Value;
use wsplug::ffi;

pub use wsplug::ffi::{
    WSPLUG_BINARY as BINARY, WSPLUG_INVALID_OPTIONS as INVALID_OPTIONS, WSPLUG_PING as PING,
    WSPLUG_QUEUE_FULL as QUEUE_FULL, WSPLUG_TEXT as TEXT, WSPLUG_WRONG_STATE as WRONG_STATE,
};

/// A command that was not done.
#[derive(Debug)]
pub struct Failure {
    pub status: i32,
    /// The whole reply; null where none was asked for.
    pub reply: Value,
}

impl Display for Failure {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        to.write_str(match self.reply["error"]["message"].as_str() {
            Some(message) => message,
            None => status_text(self.status),
        })
    }
}

pub type Outcome<T> = Result<T, Failure>;

/// A server, by its ref.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Server(pub i32);

/// A connection, by its ref: a client of our own, or one that a server accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(pub i32);

pub fn version() -> &'static str {
    // SAFETY: the text is static and ends with NUL.
    unsafe { CStr::from_ptr(ffi::wsplug_version()) }
        .to_str()
        .unwrap_or_default()
}

pub fn init(options: &Value) -> Outcome<Value> {
    let options = text(options);
    // SAFETY: the text ends with NUL, the reply is writable.
    command(|reply| unsafe { ffi::wsplug_init(options.as_ptr(), reply) })
}

/// Ends everything; false if something had to be cut off.
pub fn shutdown(patience: Duration) -> bool {
    ffi::wsplug_shutdown(milliseconds(patience)) == ffi::WSPLUG_OK
}

/// Writes what the library has to say, up to a level, to `say`.
pub fn log(level: i32, say: &'static (dyn Fn(&str) + Sync)) {
    extern "system" fn on_log(_: i32, message: *const c_char, user_data: *mut c_void) {
        // SAFETY: it is the pointer that was given below, to a static reference that is leaked.
        let say = unsafe { &*user_data.cast::<&'static (dyn Fn(&str) + Sync)>() };
        say(&owned(message));
    }
    let say = Box::into_raw(Box::new(say));
    // SAFETY: the callback fits, and what user_data points to is never freed.
    unsafe { ffi::wsplug_set_log_callback(level, Some(on_log), say.cast()) };
}

impl Server {
    pub fn create(options: &Value) -> Outcome<(Server, Value)> {
        let options = text(options);
        let mut server = 0;
        // SAFETY: the text ends with NUL, both outputs are writable.
        let reply = command(|reply| unsafe {
            ffi::wsplug_server_create(options.as_ptr(), &mut server, reply)
        })?;
        Ok((Server(server), reply))
    }

    pub fn start(self) -> Outcome<Value> {
        // SAFETY: NULL options are the defaults, the reply is writable.
        command(|reply| unsafe { ffi::wsplug_server_start(self.0, std::ptr::null(), reply) })
    }

    pub fn stop(self) -> Outcome<Value> {
        // SAFETY: as for start.
        command(|reply| unsafe { ffi::wsplug_server_stop(self.0, std::ptr::null(), reply) })
    }

    /// To all of its connections; the reply has one object for each.
    pub fn send(self, kind: i32, data: &[u8]) -> Outcome<Value> {
        // SAFETY: the data has that length, NULL options are the defaults, the reply is writable.
        command(|reply| unsafe {
            let (data, length) = (data.as_ptr().cast(), length_of(data));
            ffi::wsplug_server_send(self.0, kind, data, length, std::ptr::null(), reply)
        })
    }
}

impl Client {
    pub fn create(options: &Value) -> Outcome<(Client, Value)> {
        let options = text(options);
        let mut client = 0;
        // SAFETY: the text ends with NUL, both outputs are writable.
        let reply = command(|reply| unsafe {
            ffi::wsplug_client_create(options.as_ptr(), &mut client, reply)
        })?;
        Ok((Client(client), reply))
    }

    pub fn start(self, options: &Value) -> Outcome<Value> {
        let options = text(options);
        // SAFETY: the text ends with NUL, the reply is writable.
        command(|reply| unsafe { ffi::wsplug_client_start(self.0, options.as_ptr(), reply) })
    }

    pub fn stop(self, options: &Value) -> Outcome<Value> {
        let options = text(options);
        // SAFETY: the text ends with NUL, the reply is writable.
        command(|reply| unsafe { ffi::wsplug_client_stop(self.0, options.as_ptr(), reply) })
    }

    /// Sends without a reply, which costs less; what is wrong is in the status.
    pub fn send(self, kind: i32, data: &[u8]) -> Result<(), i32> {
        // SAFETY: the data has that length; NULL wants no reply.
        let status = unsafe {
            let (data, length) = (data.as_ptr().cast(), length_of(data));
            ffi::wsplug_client_send(self.0, kind, data, length, null_mut())
        };
        if status == ffi::WSPLUG_OK {
            Ok(())
        } else {
            Err(status)
        }
    }

    pub fn info(self) -> Outcome<Value> {
        // SAFETY: the reply is writable.
        command(|reply| unsafe { ffi::wsplug_client_info(self.0, reply) })
    }

    pub fn clear(self) {
        // SAFETY: NULL wants no reply.
        unsafe { ffi::wsplug_client_clear(self.0, null_mut()) };
    }
}

/// An event that was pulled.
pub struct Event(NonNull<ffi::wsplug_event>);

impl Event {
    /// The next one; none after the time, or when [`wake`] was called. No time is for ever.
    pub fn next(patience: Option<Duration>) -> Option<Event> {
        let mut event = null_mut();
        let patience = patience.map_or(-1, milliseconds);
        // SAFETY: the output is writable.
        unsafe { ffi::wsplug_event_next(patience, &mut event) };
        NonNull::new(event).map(Event)
    }

    /// Ends one wait, the present one or the next.
    pub fn wake() {
        ffi::wsplug_event_wake();
    }

    pub fn client(&self) -> Client {
        // SAFETY: the event is ours and not freed; so below.
        Client(unsafe { ffi::wsplug_event_client(self.0.as_ptr()) })
    }

    pub fn kind(&self) -> i32 {
        // SAFETY: as above.
        unsafe { ffi::wsplug_event_kind(self.0.as_ptr()) }
    }

    pub fn what(&self) -> &str {
        // SAFETY: as above; the type is a text that lives as long as the event.
        unsafe { CStr::from_ptr(ffi::wsplug_event_type(self.0.as_ptr())) }
            .to_str()
            .unwrap_or_default()
    }

    pub fn context(&self) -> Value {
        // SAFETY: as above.
        json(&owned(unsafe {
            ffi::wsplug_event_context(self.0.as_ptr())
        }))
    }

    /// The payload of a message, ping or pong.
    pub fn data(&self) -> &[u8] {
        let mut length = 0;
        // SAFETY: as above; the payload has that length and lives as long as the event.
        unsafe {
            let data = ffi::wsplug_event_data(self.0.as_ptr(), &mut length);
            match usize::try_from(length) {
                Ok(length @ 1..) if !data.is_null() => {
                    std::slice::from_raw_parts(data.cast(), length)
                }
                _ => &[],
            }
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: it is ours, and freed once.
        unsafe { ffi::wsplug_event_free(self.0.as_ptr()) };
    }
}

/// Who is called back, on the library's threads.
pub trait Listener: Sync + 'static {
    fn message(&self, client: Client, kind: i32, data: &[u8]);
    fn event(&self, client: Client, what: &str);
}

/// Calls `listener` for the servers and clients whose option `method` is `name`, as long as the process lives.
pub fn listen<L: Listener>(name: &str, listener: &'static L) {
    extern "system" fn on_event<L: Listener>(
        _: i32,
        client: i32,
        what: *const c_char,
        _: *const c_char,
        _: *const c_char,
        _: i32,
        _: i32,
        user_data: *mut c_void,
    ) {
        // SAFETY: user_data is the static listener that was given below; so in on_message.
        let listener = unsafe { &*user_data.cast::<L>() };
        listener.event(Client(client), &owned(what));
    }
    extern "system" fn on_message<L: Listener>(
        _: i32,
        client: i32,
        kind: i32,
        data: *const c_void,
        length: i32,
        user_data: *mut c_void,
    ) {
        let data = match usize::try_from(length) {
            // SAFETY: the library's promise about what a callback is given.
            Ok(length @ 1..) => unsafe { std::slice::from_raw_parts(data.cast(), length) },
            _ => &[],
        };
        // SAFETY: see above.
        let listener = unsafe { &*user_data.cast::<L>() };
        listener.message(Client(client), kind, data);
    }
    let name = CString::new(name).unwrap_or_default();
    let user_data = std::ptr::from_ref(listener).cast_mut().cast();
    // SAFETY: the callbacks fit, and the listener is static and may be used from any thread.
    unsafe {
        ffi::wsplug_set_method(
            name.as_ptr(),
            Some(on_event::<L>),
            Some(on_message::<L>),
            user_data,
        );
    }
}

pub fn status_text(status: i32) -> &'static str {
    // SAFETY: the text is static and ends with NUL.
    unsafe { CStr::from_ptr(ffi::wsplug_status_text(status)) }
        .to_str()
        .unwrap_or_default()
}

/// Runs a command and takes its reply.
fn command(call: impl FnOnce(*mut *mut c_char) -> i32) -> Outcome<Value> {
    let mut reply = null_mut();
    let status = call(&mut reply);
    let text = owned(reply);
    // SAFETY: the library gave it, it is NULL or freed once.
    unsafe { ffi::wsplug_free(reply) };
    let reply = json(&text);
    if status == ffi::WSPLUG_OK {
        return Ok(reply);
    }
    Err(Failure { status, reply })
}

/// JSON escapes NUL, so a text always comes whole.
fn text(value: &Value) -> CString {
    CString::new(value.to_string()).unwrap_or_default()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn owned(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: every text of the library ends with NUL.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

fn length_of(data: &[u8]) -> i32 {
    // What is longer was read from a file whose size was checked.
    i32::try_from(data.len()).unwrap_or(-1)
}

fn milliseconds(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}
