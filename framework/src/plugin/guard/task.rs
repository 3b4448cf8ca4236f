//! Guards of tasks and closed loops.

use super::{Fence, Guard, Kept, tagged};
use crate::task::{ClosedLoop, Scores, Segment, TaskSpec, Trials};
use crate::{Lesson, Problems, Properties, Registry, Result, Stream, Task};
use serde::Serialize;
use std::fmt::{Debug, Formatter};
use std::ops::Range;
use tch::Tensor;

impl<T: Task + Serialize> Task for Guard<T> {
    tagged!();

    fn check(&self, registry: &Registry, problems: &mut Problems) {
        let facts = || {
            self.spec();
            self.provides(registry);
        };
        self.fence.check(problems, |problems| self.inner.check(registry, problems), facts);
    }

    fn spec(&self) -> TaskSpec {
        self.fence.fact("spec", TaskSpec::nothing(), || self.inner.spec())
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        let mut trials = self.fence.call("trials", || self.inner.trials(lesson, batch, stream))?;
        trials.rest = trials.rest.map(|rest| Loop::guard(rest, self.fence()));
        Ok(trials)
    }

    fn score(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Scores> {
        self.fence.call("score", || self.inner.score(trials, outputs))
    }

    fn errors(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Tensor> {
        self.fence.call("errors", || self.inner.errors(trials, outputs))
    }

    fn provides(&self, registry: &Registry) -> Properties {
        self.fence.fact("provides", Properties::new(), || self.inner.provides(registry))
    }
}

/// The guard of a closed loop.
struct Loop {
    inner: Kept<Box<dyn ClosedLoop>>,
    fence: Fence,
}

impl Loop {
    fn guard(inner: Box<dyn ClosedLoop>, fence: Fence) -> Box<dyn ClosedLoop> {
        Box::new(Self { inner: Kept::new(inner), fence })
    }
}

impl Debug for Loop {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        super::contained(|| self.inner.fmt(f)).unwrap_or(Err(std::fmt::Error))
    }
}

impl ClosedLoop for Loop {
    fn begin(&self, rows: Range<usize>) -> Box<dyn ClosedLoop> {
        let fence = Fence::new(self.fence.component.clone());
        match super::contained(|| self.inner.begin(rows)) {
            Ok(inner) => Self::guard(inner, fence),
            Err(text) => {
                fence.remember("begin", &text);
                Self::guard(Box::new(Ended), fence)
            }
        }
    }

    fn next(&mut self, outputs: &[Tensor]) -> Result<Option<Segment>> {
        let Self { inner, fence } = self;
        fence.call("next", || inner.next(outputs))
    }
}

/// Stands in for a loop that could not begin; its fence says why.
#[derive(Debug)]
struct Ended;

impl ClosedLoop for Ended {
    fn begin(&self, _: Range<usize>) -> Box<dyn ClosedLoop> {
        Box::new(Self)
    }

    fn next(&mut self, _: &[Tensor]) -> Result<Option<Segment>> {
        Ok(None)
    }
}
