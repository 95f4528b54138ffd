//! Knows which living client has which name.
//! Does not know what names are for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use once_cell::sync::Lazy;
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::library;

static NAMES: Lazy<Mutex<HashMap<String, i32>>> = Lazy::new(Default::default);

/// Gives `client` a name instead of the one that it has; "" is none. Another client's is refused, and nothing is changed.
pub fn change(client: i32, from: &str, to: &str) -> Result<()> {
    let mut names = NAMES.lock();
    if !to.is_empty() {
        match names.entry(to.to_owned()) {
            Entry::Occupied(taken) if *taken.get() != client => {
                let owner = *taken.get();
                drop(names);
                if library::PEERS.find(owner).is_none() {
                    // It was cleared while it was given the name.
                    release(owner, to);
                    return change(client, from, to);
                }
                return Err(Error::option(
                    "name",
                    format!("name \"{to}\" is that of client {owner}; clear it or choose another"),
                ));
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(free) => {
                free.insert(client);
            }
        }
    }
    if from != to && names.get(from) == Some(&client) {
        names.remove(from);
    }
    Ok(())
}

/// Frees the name of a client that is gone.
pub fn release(client: i32, name: &str) {
    let mut names = NAMES.lock();
    if names.get(name) == Some(&client) {
        names.remove(name);
    }
}

/// Frees all.
pub fn release_all() {
    *NAMES.lock() = HashMap::new();
}

/// The client with this name.
pub fn find(name: &str) -> Option<i32> {
    let client = NAMES.lock().get(name).copied()?;
    library::PEERS.find(client).map(|_| client)
}
