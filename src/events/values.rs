//! Knows the texts that a host keeps with a server or connection.
//! Does not know what they mean.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

thread_local! {
    /// Whose "close" the host is told on this thread.
    static LEAVING: RefCell<Option<(i32, Arc<Values>)>> = const { RefCell::new(None) };
}

/// Texts by key. Gone with the source that they stand at.
#[derive(Default)]
pub struct Values(Mutex<BTreeMap<String, String>>);

impl Values {
    /// Lets the host, as it is told of the end of `client`, still have what it kept with it: the ref is gone by then.
    pub(super) fn during<R>(self: &Arc<Self>, client: i32, told: impl FnOnce() -> R) -> R {
        let before = LEAVING.replace(Some((client, self.clone())));
        let result = told();
        LEAVING.set(before);
        result
    }

    /// Those of a client whose "close" the host is told on this thread.
    pub fn of_leaving(client: i32) -> Option<Arc<Values>> {
        LEAVING.with_borrow(|leaving| {
            let (_, values) = leaving.as_ref().filter(|(other, _)| *other == client)?;
            Some(values.clone())
        })
    }

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
