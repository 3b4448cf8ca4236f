//! The threads of the framework: blocks of rows and members side by side, results in a fixed order.

use crate::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A pool of threads, each with libtorch's own threading switched off.
///
/// libtorch sums in another order with another number of threads; ours work on blocks that do not depend on their number, so the
/// same seed gives the same bytes with any of them.
pub struct Workers {
    pool: Option<rayon::ThreadPool>,
    threads: usize,
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
                .num_threads(threads)
                .thread_name(|i| format!("worker-{i}"))
                .start_handler(|_| one_torch_thread())
                .build()
                .map_err(|e| Error::Failed(format!("cannot start {threads} threads: {e}")))
        };
        one_torch_thread();
        Ok(Self { pool: if threads > 1 { Some(build()?) } else { None }, threads })
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
    pub fn map<T: Send, R: Send>(&self, items: Vec<T>, work: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
        use rayon::prelude::*;
        match &self.pool {
            Some(pool) if items.len() > 1 => pool.install(|| items.into_par_iter().map(work).collect()),
            _ => items.into_iter().map(work).collect(),
        }
    }
}

/// Keep libtorch to one thread on the calling thread.
pub fn one_torch_thread() {
    tch::set_num_threads(1);
}

/// Call into a component; a panic there becomes an error that names it.
///
/// # Errors
/// What `work` returns, or [`Error::Panicked`].
pub fn guarded<R>(component: &str, work: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).to_string())).unwrap_or_default();
        // libtorch appends a C++ stack trace to its messages.
        let message = text.lines().next().unwrap_or("no message").to_string();
        Err(Error::Panicked { component: component.to_string(), message })
    })
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
    fn a_panic_becomes_an_error_that_names_the_component() {
        let error = guarded::<()>("task 'x'", || panic!("shape {}", 3)).expect_err("panics");
        assert_eq!(error.to_string(), "task 'x' panicked: shape 3");
    }
}
