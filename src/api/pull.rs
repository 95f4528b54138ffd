//! Knows how a host asks for events itself.
//! Does not know what the events are.

use std::ffi::CStr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::options::{MessagesOptions, Options, parse};
use super::reply::Reply;
use crate::error::{Error, Result, Status};
use crate::events::{Pulled, Source, hub, write_context};
use crate::transport::is_network_thread;

/// The next event that no callback takes: 0 polls, negative waits for ever.
pub fn event_next(timeout_ms: i32) -> Result<Option<Pulled>> {
    let timeout = timeout(timeout_ms)?;
    Ok(hub().pull(timeout))
}

/// Runs callbacks on the calling thread; `max` 0 or less is no limit.
pub fn pump(timeout_ms: i32, max: i32) -> Result<i32> {
    let max = usize::try_from(max).ok().filter(|max| *max > 0);
    let max = max.unwrap_or(i32::MAX as usize);
    hub()
        .pump(timeout(timeout_ms)?, max)
        .map(|count| count as i32)
}

/// Negative waits for ever.
pub fn timeout(timeout_ms: i32) -> Result<Option<Duration>> {
    if timeout_ms != 0 && is_network_thread() {
        return Err(waits_for_itself());
    }
    Ok(u64::try_from(timeout_ms).ok().map(Duration::from_millis))
}

/// Waiting inside an inline callback would stop the thread that brings what is waited for.
pub fn waits_for_itself() -> Error {
    Error::new(
        Status::InCallback,
        "an inline callback runs on the network thread and cannot wait for the network; use \"wait\":false or a time-out of 0",
    )
}

/// The events of some sources that wait, consumed; `exists` tells whether there could be any.
pub fn messages(options: &str, exists: Result<()>, belongs: impl Fn(&Source) -> bool) -> Reply {
    let result = take(options, exists, belongs);
    Reply::of_text(result, |result| match result {
        Ok(pulled) => array(&pulled),
        Err(error) => {
            let mut object = Map::new();
            object.insert("success".into(), false.into());
            object.insert("error".into(), super::reply::failure(&error));
            Value::Object(object).to_string()
        }
    })
}

fn take(
    options: &str,
    exists: Result<()>,
    belongs: impl Fn(&Source) -> bool,
) -> Result<Vec<Pulled>> {
    let given = parse(options)?;
    let mut options = MessagesOptions::default();
    options.apply(&given)?;
    // An object that is gone may have left events.
    let timeout = match &exists {
        Ok(()) => options.timeout.duration().unwrap_or_default(),
        Err(_) => Duration::ZERO,
    };
    if !timeout.is_zero() && is_network_thread() {
        return Err(waits_for_itself());
    }
    let pulled = hub().pull_where(options.max.0 as usize, Some(timeout), belongs);
    if pulled.is_empty() {
        exists?;
    }
    Ok(pulled)
}

/// Contexts are JSON text already: parsing and writing them again would cost a multiple of all the rest.
fn array(pulled: &[Pulled]) -> String {
    let mut out = Vec::new();
    for pulled in pulled {
        out.push(if out.is_empty() { b'[' } else { b',' });
        let tag = pulled.tag();
        let text = |text: &CStr| Value::from(text.to_string_lossy()).to_string();
        let head = format!(
            r#"{{"server":{},"client":{},"type":{},"context":"#,
            pulled.server(),
            pulled.client(),
            text(pulled.event().type_name()),
        );
        out.extend_from_slice(head.as_bytes());
        write_context(&pulled.event(), &mut out);
        let tail = format!(
            r#","worker":{},"window":{},"process":{}}}"#,
            text(&tag.worker),
            tag.window,
            tag.process,
        );
        out.extend_from_slice(tail.as_bytes());
    }
    if out.is_empty() {
        out.push(b'[');
    }
    out.push(b']');
    String::from_utf8(out).expect("JSON and what is made of texts are UTF-8")
}
