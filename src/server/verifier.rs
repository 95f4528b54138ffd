//! Knows when the hashes of passwords are computed: a few at a time, off the network threads, and seldom twice.
//! Does not know who may connect.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blake2::{Blake2b512, Digest};
use once_cell::sync::Lazy;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::auth::Credentials;
use crate::log;
use crate::protocol::head::Refusal;

/// Hashes at a time: each takes a processor and, with argon2, much memory.
const AT_ONCE: usize = 2;
/// Those that wait, of all and of one address; beyond: 503 at once.
const WAITING: usize = 64;
const WAITING_OF_ONE: usize = 4;
/// How long a password that fitted is remembered, and how many are.
const MEMORY: Duration = Duration::from_secs(300);
const REMEMBERED: usize = 1024;

static TURNS: Lazy<Arc<Semaphore>> = Lazy::new(|| Arc::new(Semaphore::new(AT_ONCE)));
static WAITERS: Lazy<Mutex<HashMap<IpAddr, usize>>> = Lazy::new(Default::default);
static FITTED: Lazy<Mutex<Fitted>> = Lazy::new(Default::default);

/// Whether the credentials fit, or the answer where too many want to know.
pub async fn verify(credentials: Credentials, ip: IpAddr) -> Result<(), Refusal> {
    let refusal = credentials.refusal.clone();
    let mark = FITTED.lock().mark(&credentials);
    if FITTED.lock().has(&mark) {
        return Ok(());
    }
    let waiter = Waiter::begin(ip)?;
    let Ok(turn) = TURNS.clone().acquire_owned().await else {
        return Err(refusal);
    };
    let fits = tokio::task::spawn_blocking(move || {
        let fits = credentials.password.is(&credentials.given) && credentials.is_known;
        // Whoever has left meanwhile must not make room for another hash.
        drop((turn, waiter));
        fits
    });
    match fits.await {
        Ok(true) => {
            FITTED.lock().add(mark);
            Ok(())
        }
        Ok(false) => Err(refusal),
        Err(error) => {
            log::error!("a password could not be verified: {error}");
            Err(Refusal::new(500, "the password could not be verified").because("auth"))
        }
    }
}

/// Counts one that waits.
struct Waiter(IpAddr);

impl Waiter {
    fn begin(ip: IpAddr) -> Result<Waiter, Refusal> {
        // One client has as many IPv6 addresses as it likes, of one network.
        let ip = match ip {
            IpAddr::V6(six) => IpAddr::V6((six.to_bits() >> 64 << 64).into()),
            four => four,
        };
        let mut waiters = WAITERS.lock();
        let total: usize = waiters.values().sum();
        let own = waiters.get(&ip).copied().unwrap_or(0);
        if total >= WAITING || own >= WAITING_OF_ONE {
            let message = "too many passwords are being verified";
            return Err(Refusal::new(503, message)
                .with("Retry-After", "2")
                .because("auth"));
        }
        waiters.insert(ip, own + 1);
        Ok(Waiter(ip))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiters = WAITERS.lock();
        if let Some(own) = waiters.get_mut(&self.0) {
            *own -= 1;
            if *own == 0 {
                waiters.remove(&self.0);
            }
        }
    }
}

type Mark = [u8; 64];

/// Passwords that fitted, as marks that nobody can compute without our key.
struct Fitted {
    key: [u8; 64],
    marks: HashMap<Mark, Instant>,
}

impl Default for Fitted {
    fn default() -> Self {
        let mut key = [0; 64];
        // Without randomness nothing can be remembered safely: a key of zeros would still not leave the process.
        if let Err(error) = getrandom::fill(&mut key) {
            log::error!("no randomness for the memory of passwords: {error}");
        }
        Fitted {
            key,
            marks: HashMap::new(),
        }
    }
}

impl Fitted {
    fn mark(&self, credentials: &Credentials) -> Mark {
        let hash = credentials.password.hash().unwrap_or_default();
        let mut digest = Blake2b512::new();
        digest.update(self.key);
        for part in [&credentials.user, &credentials.given, hash] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        digest.finalize().into()
    }

    fn has(&self, mark: &Mark) -> bool {
        self.marks
            .get(mark)
            .is_some_and(|since| since.elapsed() < MEMORY)
    }

    fn add(&mut self, mark: Mark) {
        if self.marks.len() >= REMEMBERED {
            self.marks.retain(|_, since| since.elapsed() < MEMORY);
        }
        if self.marks.len() >= REMEMBERED {
            self.marks.clear();
        }
        self.marks.insert(mark, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_find_no_place_leave_nothing_behind() {
        let address = |number: u32| IpAddr::V4(number.into());
        let begin = |number| Waiter::begin(address(number));
        let waiting: Vec<Waiter> = (0..WAITING as u32)
            .map(|number| begin(number / WAITING_OF_ONE as u32).ok().unwrap())
            .collect();
        for number in 0..1000 {
            assert!(begin(1000 + number).is_err());
        }
        assert_eq!(WAITERS.lock().len(), WAITING / WAITING_OF_ONE);
        drop(waiting);
        assert!(WAITERS.lock().is_empty());
        // A network of IPv6 is one client.
        let six = |last: u128| Waiter::begin(IpAddr::V6((1 << 120 | last).into()));
        let waiting: Vec<_> = (0..WAITING_OF_ONE as u128).map(six).collect();
        assert!(waiting.iter().all(Result::is_ok) && six(99).is_err());
    }
}
