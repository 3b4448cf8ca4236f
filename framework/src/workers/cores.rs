//! Where threads run.
//!
//! A thread that is woken for a few milliseconds is put on the core where it last ran. On machines whose cores share no cache, as
//! virtual ones often look, it stays there even when the thread that woke it keeps that core busy and another is idle: two threads
//! were seen to take turns on one of two cores for whole trainings, at half the speed.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The cores on which the threads of a pool last worked.
#[derive(Debug)]
pub struct Cores(Vec<AtomicUsize>);

/// No core yet.
const NOWHERE: usize = usize::MAX;

impl Cores {
    /// Of so many threads.
    pub fn new(threads: usize) -> Self {
        Self((0..threads).map(|_| AtomicUsize::new(NOWHERE)).collect())
    }

    /// Note where the calling thread, `index` of the pool, works.
    pub fn note(&self, index: Option<usize>) {
        if let (Some(place), Some(core)) = (index.and_then(|index| self.0.get(index)), here()) {
            place.store(core, Ordering::Relaxed);
        }
    }

    /// Move the calling thread to a core where none of the pool's threads last worked, if it is on one of theirs and may go elsewhere.
    pub fn leave(&self) {
        let Some(here) = here() else { return };
        let taken = || self.0.iter().map(|place| place.load(Ordering::Relaxed));
        if taken().any(|core| core == here) {
            move_away(taken());
        }
    }
}

#[cfg(target_os = "linux")]
fn here() -> Option<usize> {
    Some(rustix::thread::sched_getcpu())
}

#[cfg(target_os = "linux")]
fn move_away(taken: impl Iterator<Item = usize>) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let mut free = allowed;
    taken.filter(|core| *core < CpuSet::MAX_CPU).for_each(|core| free.unset(core));
    // The system moves a thread off a core that it may not use; after that it may use all again. Where this is refused, the thread
    // stays where it is, which is slower but right.
    if free.count() > 0 && sched_setaffinity(None, &free).is_ok() {
        let _ = sched_setaffinity(None, &allowed);
    }
}

#[cfg(not(target_os = "linux"))]
fn here() -> Option<usize> {
    None
}

#[cfg(not(target_os = "linux"))]
fn move_away(_: impl Iterator<Item = usize>) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_leaves_a_core_that_is_taken_and_may_still_use_all() {
        let allowed = rustix::thread::sched_getaffinity(None).expect("readable");
        let cores = Cores::new(1);
        for _ in 0..20 {
            cores.note(Some(0));
            let before = cores.0[0].load(Ordering::Relaxed);
            cores.leave();
            if allowed.count() > 1 {
                // It may come back only by the system's own balancing, which does not happen within microseconds.
                assert_ne!(here(), Some(before));
            }
            assert_eq!(rustix::thread::sched_getaffinity(None).expect("readable"), allowed);
        }
    }
}
