//! Who watches a training: progress bars, logs.

use crate::curriculum::{Evaluation, Lesson, UpdateRecord};

/// Watches the training of members; called from the thread that trains the member.
pub trait Observe: Sync {
    /// A member starts or continues after `updates` of at most `budget` updates.
    fn start(&self, member: usize, updates: u64, budget: u64) {
        let _ = (member, updates, budget);
    }
    /// A lesson begins.
    fn lesson(&self, member: usize, lesson: &Lesson) {
        let _ = (member, lesson);
    }
    /// An update was made.
    fn update(&self, member: usize, record: &UpdateRecord) {
        let _ = (member, record);
    }
    /// An evaluation was made.
    fn evaluation(&self, member: usize, evaluation: &Evaluation, lesson: &Lesson) {
        let _ = (member, evaluation, lesson);
    }
    /// A member stopped.
    fn stop(&self, member: usize, updates: u64, reason: &str) {
        let _ = (member, updates, reason);
    }
}

/// Watches nothing.
pub struct Silent;
impl Observe for Silent {}
