//! Knows the network threads, one event loop each.
//! Does not know what runs on them, or when they start and end.

use std::cell::Cell;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

thread_local! {
    static IS_NETWORK: Cell<bool> = const { Cell::new(false) };
}

/// Marks the calling thread as a network thread.
pub fn mark_network_thread() {
    IS_NETWORK.set(true);
}

/// Whether the calling thread is a network thread: whoever waits on it waits for itself.
pub fn is_network_thread() -> bool {
    IS_NETWORK.get()
}

/// The network threads' event loops.
pub struct Threads {
    handles: Vec<Handle>,
    next: AtomicUsize,
}

impl Threads {
    /// The event loops behind these handles.
    pub fn new(handles: Vec<Handle>) -> Threads {
        Threads {
            handles,
            next: AtomicUsize::new(0),
        }
    }

    /// Whose turn it is to get a connection.
    pub fn next(&self) -> &Handle {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        &self.handles[turn % self.handles.len()]
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// Whether there is only one, so that no socket ever changes its thread.
    pub fn is_single(&self) -> bool {
        self.handles.len() == 1
    }
}

/// Runs `future` on the event loop of `handle`.
pub fn spawn_on(handle: &Handle, future: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    handle.spawn(future).abort_handle()
}
