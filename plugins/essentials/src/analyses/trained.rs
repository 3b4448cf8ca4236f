//! A small network for tests of analyses.

use crate::cells::LeakyRnn;
use synfire::task::{Answer, Objective};
use synfire::tch::{Device, Kind, Tensor};
use synfire::{BuildContext, Cell, Network, Registry, Stream, TaskSpec};

/// A leaky network with two heads of two outputs; time constants are 1, 3, 5, .. modulo the number of units (2, 4, .. after that).
pub(super) fn network(units: usize) -> Network {
    let registry = Registry::linked().expect("registry");
    let task = TaskSpec {
        inputs: vec!["input".into()],
        outputs: 2,
        objective: Objective::classify(Answer::FinalStep),
        dt_ms: None,
        difficulty: None,
        closed_loop: false,
    };
    let context = BuildContext { registry: &registry, task, device: Device::Cpu, kind: Kind::Double };
    let cell = LeakyRnn { hidden: units, ..LeakyRnn::default() };
    let mut network = cell.build(&context, &Stream::new(3)).expect("builds");
    network.add_heads(&[0, 1], &context, &Stream::new(4)).expect("adds");
    let times: Vec<f64> = (0..units).map(|unit| ((2 * unit) % units + 1) as f64).collect();
    network.parameters.insert("time_constants", Tensor::from_slice(&times));
    network
}
