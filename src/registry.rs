//! Knows which ref stands for which object.
//! Does not know what the objects are.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};

use parking_lot::RwLock;

use crate::refs::Counter;

/// Refs come from a counter, so that nobody can choose colliding ones: one multiplication spreads them.
#[derive(Default)]
pub struct RefHasher(u64);

impl Hasher for RefHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 << 8) ^ u64::from(*byte);
        }
    }

    fn write_i32(&mut self, number: i32) {
        self.0 = u64::from(number as u32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// A map from refs.
pub type RefMap<T> = HashMap<i32, T, BuildHasherDefault<RefHasher>>;

/// The live objects of one kind. `SIGN` is -1 for servers and 1 for connections.
pub struct Table<T, const SIGN: i32> {
    objects: RwLock<RefMap<T>>,
    counter: Counter,
    /// Counts the refs that were let go.
    removals: AtomicU64,
}

impl<T: Clone, const SIGN: i32> Table<T, SIGN> {
    /// An empty table.
    pub const fn new() -> Self {
        Table {
            objects: RwLock::new(HashMap::with_hasher(BuildHasherDefault::new())),
            counter: Counter::new(),
            removals: AtomicU64::new(0),
        }
    }

    /// Reserves a ref, makes the object with it, and lists it.
    pub fn insert(&self, make: impl FnOnce(i32) -> T) -> T {
        let mut objects = self.objects.write();
        let reference = SIGN
            * self
                .counter
                .next(|number| objects.contains_key(&(SIGN * number)));
        let object = make(reference);
        objects.insert(reference, object.clone());
        object
    }

    /// The object behind a ref.
    pub fn find(&self, reference: i32) -> Option<T> {
        self.objects.read().get(&reference).cloned()
    }

    /// As long as this stays the same, what was found stands for its ref.
    pub fn removals(&self) -> u64 {
        self.removals.load(Acquire)
    }

    /// Puts another object behind a ref; false if it was let go.
    pub fn replace(&self, reference: i32, object: T) -> bool {
        match self.objects.write().get_mut(&reference) {
            Some(known) => {
                *known = object;
                true
            }
            None => false,
        }
    }

    /// Lets a ref go.
    pub fn remove(&self, reference: i32) -> Option<T> {
        let mut objects = self.objects.write();
        let removed = objects.remove(&reference);
        self.removals.fetch_add(1, Release);
        if objects.capacity() > 1024 && objects.len() < objects.capacity() / 8 {
            objects.shrink_to(256);
        }
        removed
    }

    /// Lets everything go, and the memory with it.
    pub fn clear(&self) {
        let mut objects = self.objects.write();
        *objects = RefMap::default();
        self.removals.fetch_add(1, Release);
    }

    /// Everything that is live now, in ascending order of age.
    pub fn all(&self) -> Vec<T> {
        let objects = self.objects.read();
        let mut refs: Vec<i32> = objects.keys().copied().collect();
        refs.sort_unstable_by_key(|reference| reference.unsigned_abs());
        refs.iter()
            .map(|reference| objects[reference].clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_that_was_let_go_is_never_another_object() {
        let table: Table<i32, -1> = Table::new();
        assert_eq!(table.insert(|reference| reference), -1);
        let removals = table.removals();
        table.remove(-1);
        assert_ne!(table.removals(), removals);
        assert_eq!(table.insert(|reference| reference), -2);
        assert_eq!(table.find(-1), None);
        assert_eq!(table.all(), [-2]);
    }
}
