//! Runs made from networks that another program trained.

use super::{Manifest, RunDir, Status};
use crate::curriculum::LessonRecord;
use crate::format::Imported;
use crate::network::{FEEDBACK, Readout, head_bias, head_weight};
use crate::{Error, Experiment, History, Registry, Result, Tensors};
use std::path::PathBuf;

impl RunDir {
    /// Make a run directory that holds an imported network as it came: a checkpoint before the first update, whose lesson is the one
    /// the network was trained on.
    ///
    /// The experiment, resolved, says how the network is run, and how it would be trained further. Numbers are kept bit for bit when
    /// its precision is that of the file. Evaluation, analyses and export work as on any run; `synfire resume` trains on.
    ///
    /// # Errors
    /// [`Error::Config`] when the experiment has several members or does not fit; [`Error::Shape`] or [`Error::Failed`] naming the
    /// tensor that the cell lacks, has besides, or has in another shape; as [`RunDir::create`]. Nothing is left behind then.
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
        let Imported { parameters, heads, lesson, notes, .. } = imported;
        let readout = readout(&parameters, heads)?;
        if readout.outputs != parts.spec.outputs {
            return Err(Error::Shape {
                what: "each head of the file".into(),
                expected: format!("{} outputs, as many as the task asks for", parts.spec.outputs),
                found: format!("{} outputs", readout.outputs),
            });
        }
        let network = parts.network_from(&context, parameters, readout)?;
        let missing = lesson.iter().flat_map(|lesson| lesson.heads(&parts.spec));
        if let Some(head) = missing.into_iter().find(|head| !network.readout.heads.contains(head)) {
            let problem = format!("the network was last trained on head {head}, which the file lacks");
            return Err(Error::Failed(problem));
        }
        check_heads(&network.parameters, &network.readout, network.dynamics.units())?;

        let mut manifest = Manifest::new(experiment, registry, 1)?;
        manifest.end(Status::Imported, "imported", 0.0);
        manifest.notes = notes;
        let lessons = lesson.into_iter().map(|lesson| LessonRecord { from: 0, lesson }).collect();
        let history = History { lessons, ..History::default() };
        let run = Self::create(path, experiment)?;
        run.save_checkpoint(&network, &Tensors::new(), &history)?;
        run.write_manifest(&manifest)?;
        Ok(run)
    }
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
    Ok(Readout { heads, outputs: outputs as usize, bias, feedback })
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
        assert_eq!(found, Readout { heads: vec![0, 3], outputs: 2, bias: true, feedback: None });
        check_heads(&parameters, &found, 5).unwrap();
        assert!(check_heads(&parameters, &found, 6).unwrap_err().to_string().contains("'head.0.weight'"));
        parameters.remove("head.3.bias");
        assert!(check_heads(&parameters, &found, 5).unwrap_err().to_string().contains("head.3.bias"));
        assert!(readout(&parameters, vec![]).unwrap_err().to_string().contains("rename"));
    }
}
