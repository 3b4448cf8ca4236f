//! Runs made from networks that another program trained.

use super::{Manifest, RunDir, Status};
use crate::cell::BuildContext;
use crate::curriculum::{Evaluation, LessonRecord};
use crate::experiment::Parts;
use crate::format::{Imported, Past, Stage};
use crate::network::{FEEDBACK, Network, Readout, head_bias, head_weight};
use crate::trainer::write_past;
use crate::{Error, Experiment, History, Registry, Result, Tensors};
use std::path::PathBuf;

impl RunDir {
    /// Make a run directory that holds an imported network as it came. One that comes alone is a checkpoint before the first update,
    /// whose lesson is the one the network was trained on; one that comes with its past is the last of several checkpoints, with the
    /// history and the metrics that are known.
    ///
    /// The experiment, resolved, says how the network is run, and how it would be trained further. Numbers are kept bit for bit when
    /// its precision is that of the file. Evaluation, analyses and export work as on any run; `synfire resume` trains on.
    ///
    /// # Errors
    /// [`Error::Config`] when the experiment has several members or does not fit; [`Error::Shape`] or [`Error::Failed`] naming the
    /// tensor that the cell lacks, has besides, or has in another shape, or earlier networks that are out of order; as
    /// [`RunDir::create`]. Nothing is left behind then.
    pub fn import(
        path: impl Into<PathBuf>,
        experiment: &Experiment,
        imported: Imported,
        registry: &Registry,
    ) -> Result<Self> {
        if experiment.members > 1 {
            let problem = format_args!("is {}, but a file holds one network", experiment.members);
            return Err(Error::config("members", problem, "leave it at 1"));
        }
        let parts = experiment.parts(registry)?;
        let context = parts.context(experiment, registry)?;
        let Imported { parameters, heads, lesson, notes, past, .. } = imported;
        let Past { stages, mut history, evaluations } = past;
        if history.lessons.is_empty() {
            history.lessons = lesson.into_iter().map(|lesson| LessonRecord { from: 0, lesson }).collect();
        }
        let network = network(&parts, &context, parameters, heads, &history)?;
        let mut networks = Vec::with_capacity(stages.len() + 1);
        for Stage { origin, history, parameters, heads } in stages {
            let stage = self::network(&parts, &context, parameters, heads, &history);
            networks.push((stage.map_err(|error| Error::file(&origin, error, ""))?, history));
        }
        networks.push((network, history));
        if let Some(pair) = networks.windows(2).find(|pair| pair[0].1.updates >= pair[1].1.updates) {
            let (earlier, later) = (pair[0].1.updates, pair[1].1.updates);
            return Err(Error::Failed(format!("a network after {later} updates follows one after {earlier}")));
        }
        let mut manifest = Manifest::new(experiment, registry, 1)?;
        manifest.end(Status::Imported, "imported", 0.0);
        manifest.notes = notes;
        let run = Self::found(path.into(), experiment, manifest, &networks)?;
        write_past(&run, &evaluations)?;
        Ok(run)
    }

    /// Make a run directory whose only checkpoint is a network before its first update.
    ///
    /// Training it ([`Session::train`](crate::trainer::Session::train)) starts the rule on this network, and draws what a lesson
    /// adds to it, such as heads, from the experiment's seed. [`train_further`](super::train_further) does so and cleans up.
    ///
    /// # Errors
    /// [`Error::Config`] when the experiment has several members; as [`RunDir::create`].
    pub fn begin_from(
        path: impl Into<PathBuf>,
        experiment: &Experiment,
        network: Network,
        registry: &Registry,
    ) -> Result<Self> {
        if experiment.members > 1 {
            let problem = format_args!("is {}, but training goes on from one network", experiment.members);
            return Err(Error::config("members", problem, "leave it at 1"));
        }
        let manifest = Manifest::new(experiment, registry, 1)?;
        Self::found(path.into(), experiment, manifest, &[(network, History::default())])
    }

    /// A directory with these networks as its checkpoints, in order, and nothing that a learner would keep.
    fn found(
        path: PathBuf,
        experiment: &Experiment,
        mut manifest: Manifest,
        networks: &[(Network, History)],
    ) -> Result<Self> {
        let run = Self::create(path, experiment)?;
        for (network, history) in networks {
            run.save_checkpoint_with(network, &Tensors::new(), history, manifest.plugins.clone())?;
            manifest.updates = history.updates;
            manifest.metrics = history.evaluations.last().map(metrics).into_iter().collect();
        }
        run.write_manifest(&manifest)?;
        Ok(run)
    }
}

/// The numbers of an evaluation that are known.
fn metrics(evaluation: &Evaluation) -> indexmap::IndexMap<String, f64> {
    let named = Evaluation::METRICS.iter().filter_map(|name| Some(((*name).to_string(), evaluation.metric(name)?)));
    named.filter(|(_, value)| value.is_finite()).collect()
}

/// A network from what a file holds, with the heads that its last lesson asks for.
fn network(
    parts: &Parts,
    context: &BuildContext,
    parameters: Tensors,
    heads: Vec<usize>,
    history: &History,
) -> Result<Network> {
    let readout = readout(&parameters, heads)?;
    if readout.outputs != parts.spec.outputs {
        return Err(Error::Shape {
            what: "each head of the file".into(),
            expected: format!("{} outputs, as many as the task asks for", parts.spec.outputs),
            found: format!("{} outputs", readout.outputs),
        });
    }
    let network = parts.network_from(context, parameters, readout)?;
    let asked = history.lesson().into_iter().flat_map(|lesson| lesson.heads(&parts.spec));
    if let Some(head) = asked.into_iter().find(|head| !network.readout.heads.contains(head)) {
        let problem = format!("the network was last trained on head {head}, which the file lacks");
        return Err(Error::Failed(problem));
    }
    check_heads(&network.parameters, &network.readout, network.dynamics.units())?;
    Ok(network)
}

/// What the names and shapes of parameters say about the heads.
fn readout(parameters: &Tensors, mut heads: Vec<usize>) -> Result<Readout> {
    heads.sort_unstable();
    heads.dedup();
    let Some(first) = heads.first() else {
        let names = parameters.names().take(12).collect::<Vec<_>>().join(", ");
        return Err(Error::Failed(format!(
            "the file has no head; give its readout the name {}, for example with the option 'rename'; its tensors: {names}",
            head_weight(0)
        )));
    };
    let outputs = parameters.get(&head_weight(*first))?.size().first().copied().unwrap_or(0);
    let feedback = parameters.contains(FEEDBACK).then_some(*first);
    let bias = parameters.contains(&head_bias(*first));
    Ok(Readout { heads, bias, feedback, ..Readout::new(outputs as usize) })
}

/// Every head must have the same width, read every unit, and have a bias if any has one.
fn check_heads(parameters: &Tensors, readout: &Readout, units: usize) -> Result<()> {
    let (outputs, units) = (readout.outputs as i64, units as i64);
    for &head in &readout.heads {
        let mut expected = vec![(head_weight(head), vec![outputs, units])];
        if readout.bias {
            expected.push((head_bias(head), vec![outputs]));
        } else if parameters.contains(&head_bias(head)) {
            return Err(Error::Failed(format!("head {head} has a bias, the first head has none")));
        }
        for (name, shape) in expected {
            let found = parameters.get(&name)?.size();
            if found != shape {
                let what = format!("parameter '{name}'");
                return Err(Error::Shape { what, expected: format!("{shape:?}"), found: format!("{found:?}") });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    fn zeros(shape: &[i64]) -> Tensor {
        Tensor::zeros(shape, (Kind::Float, Device::Cpu))
    }

    #[test]
    fn heads_are_described_by_their_shapes() {
        let mut parameters = Tensors::from([
            ("head.0.weight", zeros(&[2, 5])),
            ("head.0.bias", zeros(&[2])),
            ("head.3.weight", zeros(&[2, 5])),
            ("head.3.bias", zeros(&[2])),
        ]);
        let found = readout(&parameters, vec![3, 0]).unwrap();
        assert_eq!(found, Readout { heads: vec![0, 3], ..Readout::new(2) });
        check_heads(&parameters, &found, 5).unwrap();
        assert!(check_heads(&parameters, &found, 6).unwrap_err().to_string().contains("'head.0.weight'"));
        parameters.remove("head.3.bias");
        assert!(check_heads(&parameters, &found, 5).unwrap_err().to_string().contains("head.3.bias"));
        assert!(readout(&parameters, vec![]).unwrap_err().to_string().contains("rename"));
    }
}
