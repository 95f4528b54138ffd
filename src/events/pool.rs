//! Knows the contexts that are called back for in parallel, the threads that do it, and whose turn it is on which of them.
//! Does not know what happens in a turn.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Condvar;

use super::gate;
use super::hub::hub;
use super::queue::Batch;
use super::source::Source;
use crate::platform;

/// Threads of each kind where the host does not say.
pub const THREADS: usize = 16;
/// What a thread without work waits before it ends.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Events of one turn at most: then it is another context's.
pub const TURN: usize = 32;
/// After so much time no further event of the turn begins.
pub const TURN_TIME: Duration = Duration::from_millis(1);

thread_local! {
    static HERE: Cell<u64> = const { Cell::new(0) };
}

/// A thread of the pool.
pub struct Worker {
    number: u64,
    /// It is the home of contexts, which run here and nowhere else; others do not.
    is_home: bool,
    tenants: AtomicUsize,
    thread: AtomicU64,
    ready: Condvar,
}

impl Worker {
    /// Its number among those that run callbacks, as gates know it.
    pub fn thread(&self) -> u64 {
        self.thread.load(SeqCst)
    }

    /// Told that there is something to do.
    pub fn ready(&self) -> &Condvar {
        &self.ready
    }

    fn run(self: Arc<Worker>) {
        platform::prepare_thread();
        HERE.set(self.number);
        self.thread.store(gate::this_thread(), SeqCst);
        hub().work(&self);
    }
}

/// The thread on which all callbacks of a context run, which lasts as long as the context.
pub struct Home(Arc<Worker>);

impl Home {
    fn at(worker: Arc<Worker>) -> Home {
        worker.tenants.fetch_add(1, SeqCst);
        Home(worker)
    }

    pub fn worker(&self) -> &Arc<Worker> {
        &self.0
    }

    /// Whether it is the calling thread.
    pub fn is_here(&self) -> bool {
        HERE.get() == self.0.number
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.0.tenants.fetch_sub(1, SeqCst);
    }
}

/// What the pool knows of a worker.
struct Post {
    worker: Arc<Worker>,
    /// The contexts that are at home here and ready.
    ready: VecDeque<Arc<Source>>,
    is_idle: bool,
    /// It was called, and has not looked yet.
    is_coming: bool,
    /// It ends as soon as nothing is left to do.
    must_end: bool,
    handle: JoinHandle<()>,
}

/// What waits of one context.
#[derive(Default)]
struct Context {
    waiting: VecDeque<Batch>,
    needs_home: bool,
}

/// The contexts that wait or have their turn, and the threads.
pub struct Pool {
    /// Threads at most, and as many again that are homes.
    pub limit: usize,
    /// By the address of their source. Each stands in one queue of those that are ready, or has its turn.
    contexts: BTreeMap<usize, Context>,
    /// Contexts that may run on any thread that is no home.
    ready: VecDeque<Arc<Source>>,
    /// Contexts that need a home where there was no thread for it.
    homeless: Vec<Arc<Source>>,
    posts: BTreeMap<u64, Post>,
    idle: Vec<u64>,
    /// Homes with news, to be woken.
    called: Vec<u64>,
    /// Threads that were called for `ready` and have not looked yet: one at a time, which calls the next.
    coming: usize,
    is_ending: bool,
    has_failed: bool,
    last_number: u64,
    /// Threads that are about to end.
    gone: Vec<JoinHandle<()>>,
}

impl Default for Pool {
    fn default() -> Pool {
        Pool {
            limit: THREADS,
            contexts: BTreeMap::new(),
            ready: VecDeque::new(),
            homeless: Vec::new(),
            posts: BTreeMap::new(),
            idle: Vec::new(),
            called: Vec::new(),
            coming: 0,
            is_ending: false,
            has_failed: false,
            last_number: 0,
            gone: Vec::new(),
        }
    }
}

fn key(source: &Arc<Source>) -> usize {
    Arc::as_ptr(source) as usize
}

impl Pool {
    /// Puts a batch behind what waits of its context.
    pub fn push_back(&mut self, batch: Batch, needs_home: bool) {
        self.push(batch, needs_home, VecDeque::push_back);
    }

    /// Puts a batch before what waits of its context.
    pub fn push_front(&mut self, batch: Batch, needs_home: bool) {
        self.push(batch, needs_home, VecDeque::push_front);
    }

    fn push(&mut self, batch: Batch, needs_home: bool, put: fn(&mut VecDeque<Batch>, Batch)) {
        let source = batch.body.source.clone();
        let is_new = !self.contexts.contains_key(&key(&source));
        let context = self.contexts.entry(key(&source)).or_default();
        put(&mut context.waiting, batch);
        context.needs_home = needs_home;
        if is_new {
            self.list(source, needs_home);
        }
    }

    /// Puts a context where the thread looks that is to run it.
    fn list(&mut self, source: Arc<Source>, needs_home: bool) {
        if needs_home && source.home.get().is_none() {
            let Some(worker) = self.choose_home() else {
                return self.homeless.push(source);
            };
            // Only set under the lock that we hold.
            let _ = source.home.set(Home::at(worker));
        }
        let home = source.home.get().map(|home| home.worker().number);
        match home.and_then(|number| self.posts.get_mut(&number)) {
            Some(post) => {
                post.ready.push_back(source);
                if std::mem::take(&mut post.is_idle) {
                    self.called.push(post.worker.number);
                }
            }
            None => self.ready.push_back(source),
        }
    }

    /// The home with the fewest contexts; a new one as long as all have some and there may be more.
    fn choose_home(&mut self) -> Option<Arc<Worker>> {
        let homes = self.living(true).map(|post| &post.worker);
        let tenants = |worker: &&Arc<Worker>| worker.tenants.load(SeqCst);
        let best = homes.min_by_key(tenants).cloned();
        let may_start = self.living(true).count() < self.limit;
        match best {
            Some(best) if best.tenants.load(SeqCst) == 0 || !may_start => Some(best),
            best => self.start(true).or(best),
        }
    }

    /// The threads of one kind that have not been told to end before, and had callbacks that did not.
    fn living(&self, is_home: bool) -> impl Iterator<Item = &Post> {
        let posts = self.posts.values();
        posts.filter(move |post| {
            post.worker.is_home == is_home && (self.is_ending || !post.must_end)
        })
    }

    /// Calls the threads that have something to do. Starts one where none is idle and there may be more.
    pub fn wake(&mut self) {
        for source in std::mem::take(&mut self.homeless) {
            self.list(source, true);
        }
        self.wake_homes();
        if self.ready.is_empty() || self.coming > 0 {
            return;
        }
        let called = match self.idle.pop() {
            Some(number) => Some(number),
            None if self.living(false).count() < self.limit => {
                self.start(false).map(|worker| worker.number)
            }
            None => None,
        };
        if let Some(post) = called.and_then(|number| self.posts.get_mut(&number)) {
            post.is_idle = false;
            post.is_coming = true;
            post.worker.ready.notify_one();
            self.coming += 1;
        }
    }

    fn wake_homes(&mut self) {
        for number in std::mem::take(&mut self.called) {
            if let Some(post) = self.posts.get(&number) {
                post.worker.ready.notify_one();
            }
        }
    }

    /// None: the system has no thread left.
    fn start(&mut self, is_home: bool) -> Option<Arc<Worker>> {
        self.last_number += 1;
        let worker = Arc::new(Worker {
            number: self.last_number,
            is_home,
            tenants: AtomicUsize::new(0),
            thread: AtomicU64::new(0),
            ready: Condvar::new(),
        });
        let runs = worker.clone();
        let handle = std::thread::Builder::new()
            .name(format!("wsplug-pool-{}", worker.number))
            .spawn(move || runs.run());
        let Ok(handle) = handle else {
            self.has_failed = true;
            return None;
        };
        let post = Post {
            worker: worker.clone(),
            ready: VecDeque::new(),
            is_idle: false,
            is_coming: false,
            must_end: self.is_ending,
            handle,
        };
        self.posts.insert(worker.number, post);
        Some(worker)
    }

    /// Whether the system has refused a thread since the last look.
    pub fn has_failed(&mut self) -> bool {
        std::mem::take(&mut self.has_failed)
    }

    /// Begins a turn: the next batch of the context that has waited longest.
    pub fn begin_turn(&mut self, worker: &Worker) -> Option<Batch> {
        let post = self.posts.get_mut(&worker.number)?;
        if std::mem::take(&mut post.is_coming) {
            self.coming -= 1;
        }
        let ready = match worker.is_home {
            true => &mut post.ready,
            false => &mut self.ready,
        };
        while let Some(source) = ready.pop_front() {
            let waiting = self.contexts.get_mut(&key(&source));
            match waiting.and_then(|context| context.waiting.pop_front()) {
                Some(batch) => return Some(batch),
                // It was taken away meanwhile.
                None => drop(self.contexts.remove(&key(&source))),
            }
        }
        None
    }

    /// Ends a turn: the context waits behind the others for its next one.
    pub fn end_turn(&mut self, source: Arc<Source>) {
        match self.contexts.get(&key(&source)) {
            Some(context) if !context.waiting.is_empty() => {
                let needs_home = context.needs_home;
                self.list(source, needs_home);
                self.wake_homes();
            }
            _ => drop(self.contexts.remove(&key(&source))),
        }
    }

    /// The calling thread has nothing to do.
    pub fn rest(&mut self, worker: &Worker) {
        if let Some(post) = self.posts.get_mut(&worker.number) {
            post.is_idle = true;
            if !worker.is_home {
                self.idle.push(worker.number);
            }
        }
    }

    /// It has waited, perhaps `in_vain`. Whether it may end, if it finds nothing to do.
    pub fn rise(&mut self, worker: &Worker, in_vain: bool) -> bool {
        let Some(post) = self.posts.get_mut(&worker.number) else {
            return true;
        };
        post.is_idle = false;
        self.idle.retain(|number| *number != worker.number);
        post.must_end || (in_vain && worker.tenants.load(SeqCst) == 0)
    }

    /// Whether it is to end as soon as it finds nothing to do.
    pub fn must_end(&self, worker: &Worker) -> bool {
        self.posts
            .get(&worker.number)
            .is_none_or(|post| post.must_end)
    }

    /// The calling thread ends; those that did before, to be joined.
    pub fn leave(&mut self, worker: &Worker) -> Vec<JoinHandle<()>> {
        let before = std::mem::take(&mut self.gone);
        if let Some(post) = self.posts.remove(&worker.number) {
            self.gone.push(post.handle);
        }
        before
    }

    /// Every thread ends as soon as nothing is left to do.
    pub fn begin_end(&mut self) {
        self.is_ending = true;
        for post in self.posts.values_mut() {
            post.must_end = true;
            post.worker.ready.notify_one();
        }
    }

    /// Those that have ended, to be joined. The others end when their callbacks return.
    pub fn finish_end(&mut self) -> Vec<JoinHandle<()>> {
        self.is_ending = false;
        std::mem::take(&mut self.gone)
    }

    pub fn has_threads(&self) -> bool {
        !self.posts.is_empty()
    }

    /// Whether no context waits or has its turn.
    pub fn is_quiet(&self) -> bool {
        self.contexts.is_empty()
    }

    /// What waits, in no order; each context keeps its place.
    pub fn drain(&mut self) -> impl Iterator<Item = Batch> {
        let contexts = self.contexts.values_mut();
        contexts.flat_map(|context| context.waiting.drain(..))
    }

    /// Takes out what waits and `goes`.
    pub fn extract(&mut self, goes: impl Fn(&Batch) -> bool) -> Vec<Batch> {
        let mut extracted = Vec::new();
        for context in self.contexts.values_mut() {
            if context.waiting.iter().any(&goes) {
                let (own, others): (VecDeque<_>, VecDeque<_>) =
                    context.waiting.drain(..).partition(&goes);
                context.waiting = others;
                extracted.extend(own);
            }
        }
        extracted
    }

    /// Takes the last word of a context that is at home on the calling thread, if one waits.
    pub fn take_last_word(&mut self) -> Option<Batch> {
        self.contexts.values_mut().find_map(|context| {
            let at = context.waiting.iter().position(is_own_last_word)?;
            context.waiting.remove(at)
        })
    }

    /// Whether there is one.
    pub fn has_last_word(&self) -> bool {
        let mut waiting = self.contexts.values().flat_map(|context| &context.waiting);
        waiting.any(is_own_last_word)
    }

    /// Whether this thread is there.
    pub fn has(&self, worker: &Worker) -> bool {
        self.posts.contains_key(&worker.number)
    }
}

fn is_own_last_word(batch: &Batch) -> bool {
    let home = batch.body.source.home.get();
    batch.is_final && home.is_some_and(Home::is_here)
}
