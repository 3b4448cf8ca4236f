//! Guards of learning rules and learners.
//!
//! A hook that a learner gives to a rollout stays within the learner's own image, since the rollout's code is part of it: what it throws
//! comes out of the learner's update.

use super::{Fence, Guard, Kept, tagged};
use crate::cell::BuildContext;
use crate::rollout::Rollout;
use crate::{
    Learner, LearningRule, Network, Problems, Properties, Registry, Result, StepReport, Stream, Tensors, Trials,
};
use serde::Serialize;

impl<T: LearningRule + Serialize> LearningRule for Guard<T> {
    tagged!();

    fn check(&self, registry: &Registry, problems: &mut Problems) {
        let facts = || {
            self.needs(registry);
            self.batch();
        };
        self.fence.check(problems, |problems| self.inner.check(registry, problems), facts);
    }

    fn needs(&self, registry: &Registry) -> Properties {
        self.fence.fact("needs", Properties::new(), || self.inner.needs(registry))
    }

    fn batch(&self) -> Option<usize> {
        self.fence.fact("batch", None, || self.inner.batch())
    }

    fn start(&self, network: &mut Network, context: &BuildContext, stream: &Stream) -> Result<Box<dyn Learner>> {
        let learner = self.fence.call("start", || self.inner.start(network, context, stream))?;
        Ok(Box::new(AtWork { inner: Kept::new(learner), fence: self.fence() }))
    }
}

/// The guard of a learner.
struct AtWork {
    inner: Kept<Box<dyn Learner>>,
    fence: Fence,
}

impl Learner for AtWork {
    fn update(&mut self, network: &mut Network, trials: Trials, rollout: &Rollout) -> Result<StepReport> {
        let Self { inner, fence } = self;
        fence.call("update", || inner.update(network, trials, rollout))
    }

    fn refit(&mut self, network: &Network) -> Result<()> {
        let Self { inner, fence } = self;
        fence.call("refit", || inner.refit(network))
    }

    fn state(&self) -> Result<Tensors> {
        self.fence.call("state", || self.inner.state())
    }

    fn restore(&mut self, state: Tensors) -> Result<()> {
        let Self { inner, fence } = self;
        fence.call("restore", || inner.restore(state))
    }
}
