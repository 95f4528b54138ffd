//! Knows the network threads, one event loop each.
//! Does not know what runs on them, or when they start and end.

use std::cell::Cell;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

thread_local! {
    /// Of a network thread, and of no other that ever was; else 0.
    static NUMBER: Cell<usize> = const { Cell::new(0) };
}

/// The event loops of the network threads that run, by number. Whoever keeps a number does not keep its event loop.
static RUNNING: Mutex<Vec<(usize, Handle)>> = Mutex::new(Vec::new());

/// Marks the calling thread as the network thread of this event loop, until the guard is dropped.
pub fn mark_network_thread(handle: Handle) -> NetworkThread {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    NUMBER.set(number);
    RUNNING.lock().push((number, handle));
    NetworkThread { number }
}

/// A network thread that takes tasks.
pub struct NetworkThread {
    number: usize,
}

impl Drop for NetworkThread {
    fn drop(&mut self) {
        RUNNING.lock().retain(|(number, _)| *number != self.number);
    }
}

/// Whether the calling thread is a network thread: whoever waits on it waits for itself.
pub fn is_network_thread() -> bool {
    NUMBER.get() > 0
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

/// The network thread on which a task lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home(usize);

impl Home {
    /// The calling network thread.
    pub fn here() -> Home {
        Home(NUMBER.get())
    }

    /// Runs `future` there, behind what waits there already; not if that thread has ended.
    pub fn spawn(self, future: impl Future<Output = ()> + Send + 'static) {
        let running = RUNNING.lock();
        let found = running.iter().find(|(number, _)| *number == self.0);
        let handle = found.map(|(_, handle)| handle.clone());
        drop(running);
        if let Some(handle) = handle {
            handle.spawn(future);
        }
    }
}

/// Tasks that are woken together: waking one of another thread costs a system call, and so does waking many.
#[derive(Default)]
pub struct Wakes(Vec<(Home, Vec<Waker>)>);

impl Wakes {
    /// Wakes a task that lives at `home`: now if that is here, else with the others there.
    pub fn add(&mut self, home: Home, waker: Waker) {
        if home == Home::here() {
            return waker.wake();
        }
        match self.0.iter_mut().find(|(known, _)| *known == home) {
            Some((_, wakers)) => wakers.push(waker),
            None => self.0.push((home, vec![waker])),
        }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        for (home, wakers) in self.0.drain(..) {
            home.spawn(async move { wakers.into_iter().for_each(Waker::wake) });
        }
    }
}
