//! The threads of the framework: blocks of rows and members side by side, results in a fixed order.

mod cores;

use crate::{Error, Result};
use cores::Cores;
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that the states of a batch may take, unless told otherwise: 2 GiB.
const STATE_MEMORY: u64 = 2 << 30;

/// How long threads look for work before they go to sleep.
const LINGERS: Duration = Duration::from_micros(500);

/// A pool of threads, each with libtorch's own threading switched off.
///
/// libtorch sums in another order with another number of threads; ours work on blocks that do not depend on their number, so the
/// same seed gives the same bytes with any of them.
pub struct Workers {
    pool: Option<Box<dyn Pool>>,
    threads: usize,
    cores: Cores,
    state_memory: u64,
}

/// Threads that work side by side with the one that asks them to.
///
/// A trait object, because a plugin that is handed [`Workers`] has a copy of the thread library of its own, which does not know the
/// program's threads: the code that wakes them must be the one that started them.
trait Pool: Send + Sync {
    /// Call `work` on this thread and on so many others; it does not panic.
    fn together(&self, others: usize, cores: &Cores, work: &(dyn Fn() + Sync));
}

/// Threads of this image.
struct Threads {
    pool: rayon::ThreadPool,
    /// How many look for work awake.
    lingering: Arc<AtomicUsize>,
    /// How many may: none where there are more threads than cores, since they would keep others from working.
    may_linger: usize,
}

impl Pool for Threads {
    fn together(&self, others: usize, cores: &Cores, work: &(dyn Fn() + Sync)) {
        one_torch_thread();
        cores.leave();
        self.pool.in_place_scope(|scope| {
            for _ in 0..others {
                scope.spawn(|_| {
                    work();
                    cores.note(rayon::current_thread_index());
                });
            }
            work();
        });
        for _ in 0..others.min(self.may_linger) {
            if self.lingering.fetch_add(1, Ordering::Relaxed) >= self.may_linger {
                self.lingering.fetch_sub(1, Ordering::Relaxed);
                break;
            }
            let lingering = Arc::clone(&self.lingering);
            self.pool.spawn(move || {
                linger();
                lingering.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
}

/// Look for work for a while before the calling thread of a pool goes to sleep: it takes tens of microseconds to wake, several times
/// in updates that take two milliseconds.
fn linger() {
    let mut since = Instant::now();
    while since.elapsed() < LINGERS {
        match rayon::yield_now() {
            Some(rayon::Yield::Executed) => since = Instant::now(),
            _ => (0..32).for_each(|_| std::hint::spin_loop()),
        }
    }
}

impl Workers {
    /// A pool of `threads`; with 1, everything runs on the calling thread.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(threads: usize) -> Result<Self> {
        let threads = threads.max(1);
        let build = || {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads - 1)
                .thread_name(|i| format!("worker-{i}"))
                .start_handler(|_| one_torch_thread())
                .build()
                .map_err(|e| Error::Failed(format!("cannot start {threads} threads: {e}")))
        };
        one_torch_thread();
        let pool = if threads > 1 { Some(build()?) } else { None };
        if let Some(pool) = &pool {
            // Until each of them is ready, none may compute: see `one_torch_thread`.
            pool.broadcast(|_| ());
        }
        let may_linger = if threads <= Self::available() { threads - 1 } else { 0 };
        let pool = pool.map(|pool| Box::new(Threads { pool, lingering: Arc::default(), may_linger }) as Box<dyn Pool>);
        Ok(Self { pool, threads, cores: Cores::new(threads - 1), state_memory: STATE_MEMORY })
    }

    /// Bytes that the states of a batch may take in an update; where they would take more, most are computed a second time on the way
    /// back instead of being kept.
    pub fn with_state_memory(self, bytes: u64) -> Self {
        Self { state_memory: bytes, ..self }
    }

    /// Bytes that the states of a batch may take in an update.
    pub fn state_memory(&self) -> u64 {
        self.state_memory
    }

    /// As many threads as the machine has cores.
    pub fn available() -> usize {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Apply `work` to every item, side by side; results come in the order of the items.
    ///
    /// The calling thread works, too.
    ///
    /// # Panics
    /// When `work` does, after all items are done.
    pub fn map<T: Send, R: Send>(&self, items: Vec<T>, work: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
        let Some(pool) = self.pool.as_ref().filter(|_| items.len() > 1) else {
            return items.into_iter().map(work).collect();
        };
        let places: Vec<Mutex<Place<T, R>>> = items.into_iter().map(|item| Mutex::new(Place::Waiting(item))).collect();
        let next = AtomicUsize::new(0);
        let take_turns = || {
            while let Some(place) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                // Each place is taken once, so nobody waits for its lock.
                let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
                if let Place::Waiting(item) = std::mem::replace(&mut *place, Place::Taken) {
                    // A panic may not reach the threads: they may be those of another image.
                    *place = Place::Done(catch_unwind(AssertUnwindSafe(|| work(item))));
                }
            }
        };
        pool.together(self.threads.min(places.len()) - 1, &self.cores, &take_turns);
        let places = places.into_iter().map(|place| place.into_inner().unwrap_or_else(PoisonError::into_inner));
        places
            .map(|place| match place {
                Place::Done(Ok(result)) => result,
                Place::Done(Err(payload)) => resume_unwind(payload),
                Place::Waiting(_) | Place::Taken => panic!("a thread of the pool ended before its work"),
            })
            .collect()
    }
}

/// An item on its way through the threads.
enum Place<T, R> {
    Waiting(T),
    Taken,
    Done(std::thread::Result<R>),
}

/// Keep libtorch to one thread on the calling thread.
///
/// libtorch sets the number of threads once more at the first operation on a thread, and its linear algebra keeps that number for
/// the whole process: a product on another thread at that very moment was seen to be split in two, with other last bits. So a thread
/// makes its first operations here, and whoever starts several threads lets none of them compute before all have been here.
pub fn one_torch_thread() {
    static STARTING: Mutex<()> = Mutex::new(());
    thread_local!(static READY: Cell<bool> = const { Cell::new(false) });
    if READY.get() {
        return;
    }
    let _one_at_a_time = STARTING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    tch::set_num_threads(1);
    tch::no_grad(|| {
        let square = tch::Tensor::ones([64, 64], (tch::Kind::Float, tch::Device::Cpu));
        // Element by element, a product, and a sum: each has a first time of its own.
        drop((&square + &square).matmul(&square).sum(tch::Kind::Float));
    });
    READY.set(true);
}

/// Call into a component; a panic there becomes an error that names it.
///
/// # Errors
/// What `work` returns, or [`Error::Panicked`].
pub fn guarded<R>(component: &str, work: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        Err(Error::Panicked { component: component.to_string(), message: panic_text(&*payload) })
    })
}

/// The text of a panic of this image.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
    // libtorch appends a C++ stack trace to its messages.
    text.lines().next().unwrap_or("no message").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_items() {
        let workers = Workers::new(3).expect("threads");
        assert_eq!(workers.map((0..50).collect(), |i| i * i), (0..50).map(|i| i * i).collect::<Vec<i32>>());
    }

    #[test]
    fn a_panic_on_a_thread_reaches_who_asked() {
        let workers = Workers::new(2).expect("threads");
        let done = std::sync::atomic::AtomicUsize::new(0);
        let work = |i: usize| {
            done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            assert!(i != 3, "the third");
        };
        let error = guarded("rule 'x'", || Ok(workers.map((0..20).collect(), work))).expect_err("panics");
        assert_eq!(error.to_string(), "rule 'x' panicked: the third");
        assert_eq!(done.into_inner(), 20, "the others are done all the same");
        // and inside one another, as an analysis does that plays trials in its own blocks
        let inner =
            workers.map((0..4).collect(), |i: u64| workers.map((0..4).collect(), |j: u64| i * j).iter().sum::<u64>());
        assert_eq!(inner, [0, 6, 12, 18]);
    }

    #[test]
    fn a_panic_becomes_an_error_that_names_the_component() {
        let error = guarded::<()>("task 'x'", || panic!("shape {}", 3)).expect_err("panics");
        assert_eq!(error.to_string(), "task 'x' panicked: shape 3");
    }
}
