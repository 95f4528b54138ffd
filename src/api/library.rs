//! Knows the commands that concern the library as a whole.
//! Does not know servers or clients.

use std::time::Duration;

use serde_json::Map;

use super::config;
use super::names;
use super::options::{InitOptions, Options, ignored, parse};
use super::reply::{self, Reply};
use crate::connection::PROCESS_BUDGET;
use crate::error::Result;
use crate::events::hub;
use crate::library;
use crate::registry::RefMap;

/// What `shutdown` waits for where the host does not say.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);

/// Sets what holds for the library, before anything is created.
pub fn init(options: &str) -> Reply {
    Reply::of(try_init(options), |result| reply::object(result, &[]))
}

fn try_init(options: &str) -> Result<Map<String, serde_json::Value>> {
    let given = parse(options)?;
    let mut options = InitOptions::default();
    options.apply(&given)?;
    library::init(options.threads.0 as usize)?;
    PROCESS_BUDGET.limit_to(options.send_budget.size());
    hub().set_dispatch(
        options.dispatch,
        options.affinity,
        options.callback_threads.0 as usize,
    );
    let mut out = Map::new();
    out.insert("success".into(), true.into());
    options.show(&mut out);
    out.extend(
        ignored(&given, &[InitOptions::NAMES]).map(|ignored| ("ignoredOptions".into(), ignored)),
    );
    Ok(out)
}

/// Ends everything; see `library::shutdown`. A negative time-out is the default, 10 s.
pub fn shutdown(timeout_ms: i32) -> Result<crate::error::Status> {
    let timeout = u64::try_from(timeout_ms).map_or(DEFAULT_PATIENCE, Duration::from_millis);
    let status = library::shutdown(timeout)?;
    *config::SERVERS.lock() = RefMap::default();
    *config::CLIENTS.lock() = RefMap::default();
    PROCESS_BUDGET.limit_to(0);
    names::release_all();
    Ok(status)
}
