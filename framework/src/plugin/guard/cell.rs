//! Guards of cells and dynamics.

use super::{Fence, Guard, Kept, tagged};
use crate::cell::{BuildContext, Clock, Dynamics, Form, Setting};
use crate::{Cell, Network, Problems, Properties, Registry, Result, Stream, Tensors};
use serde::Serialize;
use std::fmt::{Debug, Formatter};
use tch::Tensor;

impl<T: Cell + Serialize> Cell for Guard<T> {
    tagged!();

    fn check(&self, registry: &Registry, problems: &mut Problems) {
        let facts = || {
            self.provides(registry);
            self.needs(registry);
        };
        self.fence.check(problems, |problems| self.inner.check(registry, problems), facts);
    }

    fn provides(&self, registry: &Registry) -> Properties {
        self.fence.fact("provides", Properties::new(), || self.inner.provides(registry))
    }

    fn needs(&self, registry: &Registry) -> Properties {
        self.fence.fact("needs", Properties::new(), || self.inner.needs(registry))
    }

    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        let Network { parameters, dynamics, readout } =
            self.fence.call("build", || self.inner.build(context, stream))?;
        let fence = self.fence();
        let units = fence.fact("units", 0, || dynamics.units());
        fence.intact()?;
        Ok(Network { parameters, dynamics: Box::new(Equations { inner: Kept::new(dynamics), units, fence }), readout })
    }
}

/// The guard of dynamics.
struct Equations {
    inner: Kept<Box<dyn Dynamics>>,
    units: usize,
    fence: Fence,
}

impl Debug for Equations {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        super::contained(|| self.inner.fmt(f)).unwrap_or(Err(std::fmt::Error))
    }
}

impl Dynamics for Equations {
    fn units(&self) -> usize {
        self.units
    }

    fn prepare(&self, parameters: &Tensors, setting: &Setting) -> Result<Tensors> {
        self.fence.call("prepare", || self.inner.prepare(parameters, setting))
    }

    fn initial_state(&self, prepared: &Tensors, batch: usize, stream: &mut Stream) -> Result<Tensors> {
        self.fence.call("initial_state", || self.inner.initial_state(prepared, batch, stream))
    }

    fn project(&self, prepared: &Tensors, inputs: &Tensor) -> Result<Tensor> {
        self.fence.call("project", || self.inner.project(prepared, inputs))
    }

    fn noise(
        &self,
        prepared: &Tensors,
        time: usize,
        batch: usize,
        before: Option<&Tensor>,
        stream: &mut Stream,
    ) -> Result<Option<Tensor>> {
        self.fence.call("noise", || self.inner.noise(prepared, time, batch, before, stream))
    }

    fn step(
        &self,
        clock: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        self.fence.call("step", || self.inner.step(clock, prepared, state, projected, drive))
    }

    fn gates(
        &self,
        clock: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        projected: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        self.fence.call("gates", || self.inner.gates(clock, prepared, state, projected, drive))
    }

    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        self.fence.call("rates", || self.inner.rates(state))
    }

    fn constant(&self, parameter: &str) -> bool {
        self.fence.fact("constant", false, || self.inner.constant(parameter))
    }

    fn bounded(&self, name: &str, parameter: &Tensor) -> Result<Option<Tensor>> {
        self.fence.call("bounded", || self.inner.bounded(name, parameter))
    }

    fn caution(&self, setting: &Setting) -> Option<String> {
        self.fence.fact("caution", None, || self.inner.caution(setting))
    }

    fn form(&self, setting: &Setting) -> Form {
        self.fence.fact("form", Form::Opaque, || self.inner.form(setting))
    }
}
