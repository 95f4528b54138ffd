//! Knows how a host asks to be told that something waits for it.
//! Does not know how it is told.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::options::{Options, WakeupOptions, ignored, parse};
use super::reply::{self, Reply};
use crate::error::{Error, Result};
use crate::events::{Call, Flag, Wakeup, Window, hub};

/// Sets what tells the host, or, where nothing is given, that nothing does.
pub fn set_wakeup(options: &str, call: Option<Call>) -> Reply {
    Reply::of(try_set(options, call), |result| reply::object(result, &[]))
}

fn try_set(options: &str, call: Option<Call>) -> Result<Map<String, Value>> {
    let given = parse(options)?;
    let mut options = WakeupOptions::default();
    options.apply(&given)?;
    let wakeup = Wakeup {
        call,
        window: window(&options)?,
        flag: flag(&options)?,
    };
    let fd = wakeup.flag.as_ref().map(Flag::fd);
    let is_some = wakeup.call.is_some() || wakeup.window.is_some() || wakeup.flag.is_some();
    hub().set_wakeup(is_some.then(|| Arc::new(wakeup)), None);
    let mut out = Map::new();
    out.insert("success".into(), true.into());
    out.extend(fd.map(|fd| ("fd".into(), fd.into())));
    out.extend(
        ignored(&given, &[WakeupOptions::NAMES]).map(|ignored| ("ignoredOptions".into(), ignored)),
    );
    Ok(out)
}

fn window(options: &WakeupOptions) -> Result<Option<Window>> {
    match (options.window, options.message) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(Error::option("message", "hwnd needs message")),
        (None, Some(_)) => Err(Error::option("hwnd", "message needs hwnd")),
        (Some(window), Some(message)) => Window::new(window.0, message.0 as u32)
            .map(Some)
            .map_err(|problem| Error::option("hwnd", format!("hwnd {problem}"))),
    }
}

fn flag(options: &WakeupOptions) -> Result<Option<Flag>> {
    let flag = options.fd.then(Flag::new).transpose();
    flag.map_err(|error| Error::option("fd", format!("fd cannot be made: {error}")))
}
