//! Knows the texts that a host keeps with a server or connection.
//! Does not know what they mean.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Texts by key. Gone with the source that they stand at.
#[derive(Default)]
pub struct Values(Mutex<BTreeMap<String, String>>);

impl Values {
    /// Keeps a text, or forgets it.
    pub fn set(&self, key: &str, value: Option<&str>) {
        let mut kept = self.0.lock();
        match value {
            Some(value) => kept.insert(key.to_owned(), value.to_owned()),
            None => kept.remove(key),
        };
    }

    /// What was kept.
    pub fn get(&self, key: &str) -> Option<String> {
        self.0.lock().get(key).cloned()
    }
}
