//! A trajectory of the user's.

use super::trial::{Sheet, in_steps, require_size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use synfire::storage::read_npy;
use synfire::task::{Answer, Objective, Target};
use synfire::{Component, Error, Lesson, Problems, Registry, Result, Stream, Task, TaskSpec, Trials};

/// Reproduce a given trajectory, step by step.
///
/// inputs  `[time, batch, 1]`        normal with mean `input_mean` and standard deviation `noise_std`, drawn afresh at every step
/// targets `[time, batch, outputs]`  the trajectory, the same in every trial
///
/// The trajectory is `values`, a list of points with `outputs` coordinates each, or read from `file`: a NumPy array (`.npy`) of shape
/// `[time, outputs]`, or `[time]` for one output. Where neither is given it is one turn of a circle in 852 steps, of which the first
/// `outputs` coordinates are taken (sine, cosine, then harmonics).
///
/// Source: after the handwriting of Goudar & Buonomano 2018, "Encoding sensory and motor patterns as time-invariant trajectories in
/// recurrent neural networks", doi:10.7554/eLife.31134, as a task of McMahan, Kleinman & Kao 2021, NeurIPS,
/// <https://openreview.net/forum?id=Bix4uw5GcbE>, with input 0.5 + 0.1 xi and 852 steps. The recorded figure was never published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Trajectory {
    /// Coordinates of a point.
    #[schemars(range(min = 1))]
    pub outputs: usize,
    /// The points, one after another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Vec<f64>>,
    /// A NumPy file with the points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Mean of the input.
    pub input_mean: f64,
    /// Standard deviation of the input of each step.
    #[schemars(range(min = 0.0))]
    pub noise_std: f64,
    /// What was read from the file.
    #[serde(skip)]
    read: OnceLock<Vec<Vec<f64>>>,
}

impl Default for Trajectory {
    fn default() -> Self {
        let (values, file, read) = (Vec::new(), None, OnceLock::new());
        Self { outputs: 1, values, file, input_mean: 0.5, noise_std: 0.1, read }
    }
}

/// Steps of the trajectory that stands in for a given one.
const STEPS: usize = 852;

impl Trajectory {
    fn points(&self) -> Result<Vec<Vec<f64>>> {
        let Some(file) = &self.file else {
            return Ok(if self.values.is_empty() { self.circle() } else { self.values.clone() });
        };
        if let Some(points) = self.read.get() {
            return Ok(points.clone());
        }
        let points = self.read_file(file)?;
        Ok(self.read.get_or_init(|| points).clone())
    }

    fn circle(&self) -> Vec<Vec<f64>> {
        let coordinate = |step: usize, i: usize| {
            let phase = TAU * (i / 2 + 1) as f64 * step as f64 / STEPS as f64;
            if i.is_multiple_of(2) { phase.sin() } else { phase.cos() }
        };
        (0..STEPS).map(|step| (0..self.outputs).map(|i| coordinate(step, i)).collect()).collect()
    }

    fn read_file(&self, file: &Path) -> Result<Vec<Vec<f64>>> {
        let array = read_npy(file)?;
        let fits = match array.shape()[..] {
            [_] => self.outputs == 1,
            [_, columns] => columns == self.outputs,
            _ => false,
        };
        let numbers = array.to_f64();
        if !fits || numbers.is_empty() || numbers.iter().any(|x| !x.is_finite()) {
            return Err(Error::file(
                file,
                format_args!("has an array of shape {:?} for {} outputs", array.shape(), self.outputs),
                "give finite numbers of shape [time, task.outputs]",
            ));
        }
        Ok(numbers.chunks_exact(self.outputs).map(<[f64]>::to_vec).collect())
    }
}

#[typetag::serde(name = "trajectory")]
impl Task for Trajectory {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.outputs >= 1, "outputs", self.outputs, "at least 1");
        if let Some((i, point)) = self.values.iter().enumerate().find(|(_, point)| point.len() != self.outputs) {
            let field = format!("values[{i}]");
            problems.add(
                &field,
                format_args!("has {} coordinates", point.len()),
                "give each point task.outputs of them",
            );
        }
        let finite = self.values.iter().flatten().all(|x| x.is_finite());
        problems.require(finite, "values", "not finite", "finite numbers");
        if self.file.is_some() && !self.values.is_empty() {
            problems.add("file", "is given beside values", "leave one of them out");
        }
        problems.require(self.input_mean.is_finite(), "input_mean", self.input_mean, "a finite number");
        require_size(problems, "noise_std", self.noise_std);
    }

    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: vec!["noise".into()],
            outputs: self.outputs,
            objective: Objective::regress(None),
            dt_ms: None,
            difficulty: None,
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        in_steps(lesson, "trajectory")?;
        let points = self.points()?;
        let time = points.len();
        let (mut inputs, mut values) = (Sheet::new(time, batch, 1), Sheet::new(time, batch, self.outputs));
        for row in 0..batch {
            let mut stream = stream.at(row as u64);
            for (step, point) in points.iter().enumerate() {
                inputs.set(step, row, 0, self.input_mean + self.noise_std * stream.normal());
                for (i, value) in point.iter().enumerate().take(self.outputs) {
                    values.set(step, row, i, *value);
                }
            }
        }
        Ok(Trials {
            inputs: inputs.tensor(),
            targets: vec![Target::new(0, None, Answer::EveryStep, values.tensor(), None)],
            answer: Answer::EveryStep,
            ..Trials::default()
        })
    }
}

synfire::inventory::submit! { Component::task::<Trajectory>("trajectory") }

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::storage::{Array, write_npy};
    use synfire::tensors::values_f64;

    #[test]
    fn points_come_from_the_experiment_from_a_file_or_from_a_circle() {
        let draw = |task: &Trajectory| task.trials(&Lesson::default(), 3, &mut Stream::new(1));
        let circle = draw(&Trajectory { outputs: 2, ..Trajectory::default() }).expect("in range");
        let values = values_f64(&circle.targets[0].values);
        assert_eq!(circle.time(), 852);
        assert!(values.chunks(2).all(|p| (p[0].hypot(p[1]) - 1.0).abs() < 1e-6));
        let given = vec![vec![1.0, 2.0], vec![3.0, 4.0]];
        let listed =
            draw(&Trajectory { outputs: 2, values: given.clone(), ..Trajectory::default() }).expect("in range");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("points.npy");
        write_npy(&file, &Array::from_rows(&given).expect("a matrix")).expect("writes");
        let task = Trajectory { outputs: 2, file: Some(file.clone()), ..Trajectory::default() };
        let read = draw(&task).expect("in range");
        assert_eq!(values_f64(&read.targets[0].values), values_f64(&listed.targets[0].values));
        assert_eq!(values_f64(&listed.targets[0].values)[..4], [1.0, 2.0, 1.0, 2.0]);
        let error =
            draw(&Trajectory { outputs: 3, file: Some(file), ..Trajectory::default() }).expect_err("two columns");
        assert!(error.to_string().contains("[2, 2] for 3 outputs"), "{error}");
        let missing = Trajectory { file: Some("nowhere.npy".into()), ..Trajectory::default() };
        assert!(draw(&missing).expect_err("no such file").to_string().contains("nowhere.npy"));
        let mut problems = Problems::under("task");
        Trajectory { values: given, ..Trajectory::default() }
            .check(&Registry::linked().expect("no duplicates"), &mut problems);
        assert!(
            problems.into_result().expect_err("one output").to_string().contains("task.values[0] has 2 coordinates")
        );
    }
}
