//! Knows how a command's outcome becomes its JSON reply.
//! Does not know what the commands do.

use serde_json::{Map, Value, json};

use crate::connection::{COMPRESSION_FAILED, Sent};
use crate::error::{Error, Result, Status, Unsent};
use crate::events::show_unsent;

/// What a command answers: its status, and a reply that is built only if somebody wants it.
pub struct Reply {
    /// The status.
    pub status: Status,
    build: Box<dyn FnOnce() -> String>,
}

impl Reply {
    /// The reply of a command that failed before it began.
    pub fn failed(error: Error) -> Reply {
        Reply::of(Err::<(), Error>(error), |result| {
            object(result.map(|()| Map::new()), &[])
        })
    }

    /// The reply of a send.
    pub fn sent(result: Result<Sent>) -> Reply {
        Reply::of(result, |result| sent(result, None))
    }

    /// The reply of a command that is done or failed.
    pub(super) fn of<T: 'static>(
        result: Result<T>,
        show: impl FnOnce(Result<T>) -> Value + 'static,
    ) -> Reply {
        Reply::of_text(result, |result| show(result).to_string())
    }

    /// The same with a reply that is JSON text already.
    pub(super) fn of_text<T: 'static>(
        result: Result<T>,
        show: impl FnOnce(Result<T>) -> String + 'static,
    ) -> Reply {
        let status = match &result {
            Ok(_) => Status::Ok,
            Err(error) => error.status,
        };
        Reply {
            status,
            build: Box::new(move || show(result)),
        }
    }

    /// The reply's text.
    pub fn into_text(self) -> String {
        (self.build)()
    }
}

/// An object that holds `fields` on success, and on failure what went wrong beside `always`.
pub fn object(result: Result<Map<String, Value>>, always: &[(&str, Value)]) -> Value {
    match result {
        Ok(fields) => Value::Object(fields),
        Err(error) => {
            let mut reply = Map::new();
            reply.insert("success".into(), false.into());
            for (name, value) in always {
                reply.insert((*name).into(), value.clone());
            }
            reply.insert("error".into(), failure(&error));
            reply.extend(unsent(&error.unsent));
            Value::Object(reply)
        }
    }
}

/// The member `unsent` of a reply, where there is something to tell.
pub fn unsent(unsent: &Unsent) -> Option<(String, Value)> {
    (!unsent.is_nothing()).then(|| ("unsent".into(), show_unsent(unsent)))
}

/// The member `error` of a reply.
pub fn failure(error: &Error) -> Value {
    let mut object = Map::new();
    object.insert("code".into(), (error.status as i32).into());
    object.insert("name".into(), error.status.name().into());
    object.insert("message".into(), error.message.as_str().into());
    if let Some(option) = &error.option {
        object.insert("option".into(), option.as_str().into());
    }
    Value::Object(object)
}

/// What a send replies, for one target.
pub fn sent(result: Result<Sent>, target: Option<i32>) -> Value {
    let sizes = |sent: Option<&Sent>| {
        (
            sent.map_or(0, |sent| sent.payload_size),
            sent.map_or(0, |sent| sent.wire_size),
        )
    };
    let is_compression_error = result
        .as_ref()
        .is_err_and(|error| error.message.starts_with(COMPRESSION_FAILED));
    let (payload_size, wire_size) = sizes(result.as_ref().ok());
    let mut reply = json!({
        "success": result.is_ok(),
        "compressionError": is_compression_error,
        "payloadSize": payload_size,
        "wireSize": wire_size,
    });
    if result.as_ref().is_ok_and(|sent| sent.is_queued) {
        reply["queued"] = true.into();
    }
    if let Some(target) = target {
        reply["client"] = target.into();
    }
    if let Err(error) = result {
        reply["error"] = failure(&error);
    }
    reply
}
