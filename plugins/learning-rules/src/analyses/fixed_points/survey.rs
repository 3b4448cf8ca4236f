//! The fixed points of one network under a set of inputs.

use crate::analyses::choice;
use crate::channels::{self, Asked, Context, InputSet, StaticInput};
use crate::fixed_points::{Found, Search, System};
use crate::recorded::{Recorded, record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::cell::Setting;
use synfire::subject::{At, RunView};
use synfire::tch::{Device, Kind, Tensor};
use synfire::{Lesson, Network, Problems, Result, Stream};

/// How the fixed points of a network are looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Survey {
    /// Which channels carry evidence and which cues go with them. Empty: by their names, channels that begin with `cue`,
    /// `context` or `attend` being cues.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<Context>,
    /// Starts of the search under each input; the points found under the last two inputs of the same context are tried as well.
    #[schemars(range(min = 1))]
    pub starts: usize,
    /// Starts are drawn uniformly from ± this in every number of the state.
    #[schemars(range(min = 0.0))]
    pub spread: f64,
    /// Share of the starts that are states of the network in its task instead, moved by a tenth of the spread.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub from_activity: f64,
    /// Largest absolute change in a step that a fixed point may have.
    #[schemars(range(min = 0.0))]
    pub tolerance: f64,
    /// Zeros nearer to each other are one (Euclidean distance of states).
    #[schemars(range(min = 0.0))]
    pub distance: f64,
    /// A minimum of the speed that is no zero is reported as a slow point up to this length of the change in a step.
    #[schemars(range(min = 0.0))]
    pub slow_speed: f64,
    /// Most steps of the search from each start.
    #[schemars(range(min = 1))]
    pub iterations: usize,
    /// Units that are held: the search then goes over the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clamped: Vec<Clamp>,
}

/// A unit that is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Clamp {
    /// Place in the state, counted from 0.
    pub unit: usize,
    /// Its value.
    pub value: f64,
}

impl Default for Survey {
    fn default() -> Self {
        let search = Search::default();
        Self {
            contexts: Vec::new(),
            starts: 100,
            spread: 5.0,
            from_activity: 0.25,
            tolerance: search.descent.tolerance,
            distance: search.distance,
            slow_speed: search.slow_speed,
            iterations: search.descent.iterations,
            clamped: Vec::new(),
        }
    }
}

/// What was found under one input.
pub struct Surveyed {
    /// The input.
    pub input: StaticInput,
    /// The points.
    pub found: Found,
}

impl Survey {
    /// Report what is out of range.
    pub fn check(&self, problems: &mut Problems) {
        problems.require(self.starts >= 1, "starts", self.starts, "at least 1");
        problems.require(self.iterations >= 1, "iterations", self.iterations, "at least 1");
        let share = (0.0..=1.0).contains(&self.from_activity);
        problems.require(share, "from_activity", self.from_activity, "between 0 and 1");
        for (name, value) in [("spread", self.spread), ("tolerance", self.tolerance), ("distance", self.distance)] {
            problems.require(value.is_finite() && value > 0.0, name, value, "greater than 0");
        }
        let slow = self.slow_speed >= 0.0;
        problems.require(slow, "slow_speed", self.slow_speed, "at least 0");
    }

    fn search(&self) -> Search {
        let mut search = Search { distance: self.distance, slow_speed: self.slow_speed, ..Search::default() };
        search.descent.tolerance = self.tolerance;
        search.descent.iterations = self.iterations;
        search
    }

    /// The contexts of the view's task.
    ///
    /// # Errors
    /// When a channel is not there.
    pub fn contexts(&self, view: &RunView) -> Result<Vec<Asked>> {
        channels::contexts(&self.contexts, &view.parts.spec)
    }

    /// The map of a network, with the clamped units held.
    ///
    /// # Errors
    /// When the cell fails or a clamped unit is not there.
    pub fn system<'a>(&self, view: &RunView, network: &'a Network, setting: &'a Setting) -> Result<System<'a>> {
        let held: Vec<(usize, f64)> = self.clamped.iter().map(|clamp| (clamp.unit, clamp.value)).collect();
        System::new(network, setting, view.parts.spec.inputs.len())?.clamped(&held)
    }

    /// Search under each of `inputs`. `states` `[.., state]` are states of the network in its task.
    ///
    /// # Errors
    /// When the cell fails.
    pub fn all(
        &self,
        view: &RunView,
        system: &System,
        inputs: &InputSet,
        states: Option<&Tensor>,
        stream: &Stream,
    ) -> Result<Vec<Surveyed>> {
        let inputs = inputs.inputs(&self.contexts(view)?, &view.parts.spec)?;
        let search = self.search();
        let mut done: Vec<Surveyed> = Vec::new();
        for (index, input) in inputs.into_iter().enumerate() {
            let here = system.under(&input.channels)?;
            let mut starts = self.starts(&here, states, &mut stream.child("starts").at(index as u64))?;
            let before = done.iter().rev().filter(|other| other.input.context == input.context).take(2);
            let known: Vec<&[f64]> = before
                .flat_map(|other| {
                    let points = other.found.points.iter().map(|point| &point.state[..]);
                    points.chain(other.found.slow.iter().map(|slow| &slow.state[..]))
                })
                .collect();
            if !known.is_empty() {
                let known = Tensor::from_slice(&known.concat()).f_reshape([known.len() as i64, -1])?;
                starts = Tensor::f_cat(&[starts, known], 0)?;
            }
            let found = search.run(&here, &starts, view.workers)?;
            done.push(Surveyed { input, found });
        }
        Ok(done)
    }

    fn starts(&self, system: &System, states: Option<&Tensor>, stream: &mut Stream) -> Result<Tensor> {
        let size = system.size() as i64;
        let visited =
            states.map(|states| system.free(&states.reshape([-1, states.size()[states.dim() - 1]]))).transpose()?;
        let lived = match &visited {
            Some(visited) if visited.size()[0] > 0 => (self.from_activity * self.starts as f64).round() as usize,
            _ => 0,
        };
        let cpu = (Kind::Double, Device::Cpu);
        let mut parts =
            vec![stream.uniform_tensor(&[(self.starts - lived) as i64, size], -self.spread, self.spread, cpu.0, cpu.1)];
        if let Some(visited) = visited.filter(|_| lived > 0) {
            let rows: Vec<i64> = (0..lived).map(|_| stream.below(visited.size()[0] as u64) as i64).collect();
            let moved = stream.normal_tensor(&[lived as i64, size], cpu.0, cpu.1) * (0.1 * self.spread);
            parts.push(visited.f_index_select(0, &Tensor::from_slice(&rows))?.f_add(&moved)?);
        }
        Ok(Tensor::f_cat(&parts, 0)?)
    }
}

/// Trials of the lesson with their states, about 200 steps of each.
///
/// # Errors
/// When task or cell fail.
pub fn activity(
    view: &RunView,
    network: &mut Network,
    lesson: &Lesson,
    trials: usize,
    stream: &Stream,
) -> Result<Recorded> {
    let drawn = view.trials(lesson, trials, stream)?;
    let every = drawn.time().div_ceil(200);
    record(view, network, lesson, drawn, every, stream)
}

/// A network with the lesson and setting under which it is looked at.
///
/// # Errors
/// When the checkpoint is missing.
pub fn network(view: &RunView, at: At, level: Option<usize>, stream: &Stream) -> Result<(Network, Lesson, Setting)> {
    let lesson = choice::lesson(view, level)?;
    let setting = view.setting(&lesson, stream)?;
    Ok((view.network(at)?, lesson, setting))
}
