//! Networks in the format of the published code: imported as runs, they answer as PyTorch's do, and go back bit for bit.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use synfire::experiment::Precision;
use synfire::observer::Silent;
use synfire::run::{RunDir, Status};
use synfire::subject::{At, RunView};
use synfire::task::{Answer, Target};
use synfire::tch::Tensor;
use synfire::tensors::values_f64;
use synfire::torch_file;
use synfire::trainer::Session;
use synfire::workers::Workers;
use synfire::{Experiment, Format, LearningRule, Lesson, Network, Registry, Result, Spec, Stream, Trials};
use synfire_essentials as _;
use synfire_timescales::formats::TimescalesCheckpoint;

/// The experiment that an imported file suggests, with `change` made to it.
fn import(file: &Path, run: &Path, registry: &Registry, change: impl Fn(&mut Experiment)) -> Result<RunDir> {
    let imported = TimescalesCheckpoint::default().import(file)?;
    let mut experiment = Experiment { device: "cpu".into(), ..Experiment::default() };
    let said = "the format says task and cell";
    experiment.task = imported.task.clone().expect(said);
    experiment.cell = imported.cell.clone().expect(said);
    if let Some(curriculum) = &imported.curriculum {
        experiment.curriculum = curriculum.clone();
    }
    change(&mut experiment);
    RunDir::import(run, &experiment.resolve(registry)?, imported, registry)
}

fn network(view: &RunView) -> Network {
    view.network(At::Last).unwrap()
}

/// Whether an export of the network holds the tensors of the file: names, order, shapes and bits.
fn goes_back(view: &RunView, file: &Path, folder: &Path) -> bool {
    let copy = folder.join("copy");
    TimescalesCheckpoint::default().export(&network(view), &copy).unwrap();
    let (before, after) = (torch_file::read(file).unwrap(), torch_file::read(&copy).unwrap());
    before.tensors.same_bytes(&after.tensors)
}

mod fixtures {
    use super::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints")
    }

    /// Trials that show the inputs of the fixture and ask the given heads.
    fn trials(inputs: &Tensor, heads: usize) -> Trials {
        let classes = || Tensor::from_slice(&[0i64, 0, 0]);
        let targets = (0..heads).map(|head| Target::new(head, None, Answer::FinalStep, classes(), None));
        Trials { inputs: inputs.shallow_clone(), targets: targets.collect(), ..Trials::default() }
    }

    #[test]
    fn they_answer_as_in_pytorch_and_go_back() {
        let registry = Registry::linked().unwrap();
        let workers = Workers::new(1).unwrap();
        let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
        let inputs: Vec<Vec<Vec<f64>>> = serde_json::from_value(expected["inputs"].clone()).unwrap();
        let (time, batch) = (inputs.len() as i64, inputs[0].len() as i64);
        let flat: Vec<f64> = inputs.into_iter().flatten().flatten().collect();
        let inputs = Tensor::from_slice(&flat).reshape([time, batch, 1]);
        for (name, stored) in expected["networks"].as_object().unwrap() {
            let temporary = tempfile::tempdir().unwrap();
            let file = folder().join(name);
            let run = import(&file, &temporary.path().join("run"), &registry, |experiment| {
                // From zero states, in double precision, as the stored logits.
                experiment.training.precision = Precision::Double;
                let mut options = experiment.cell.options();
                let silence = serde_json::json!({ "low": 0.0, "high": 0.0 });
                match experiment.cell.name.as_str() {
                    "leaky-rnn" => options["initial_state"] = silence,
                    "stacked" => {
                        let layers = options["layers"].as_array_mut().unwrap();
                        layers.iter_mut().for_each(|layer| layer["initial_state"] = silence.clone());
                    }
                    _ => {}
                }
                experiment.cell = synfire::Spec::with(experiment.cell.name.clone(), &options);
            })
            .unwrap();
            let view = RunView::open(&run, &registry, &workers).unwrap().remove(0);
            let network = network(&view);
            let heads = network.readout.heads.len();
            let lesson = Lesson::default();
            let rollout = view.rollout(&lesson, &Stream::new(0));
            let played = rollout.play(&network, &trials(&inputs, heads), Default::default()).unwrap();
            let logits: Vec<Vec<Vec<f64>>> = serde_json::from_value(stored["logits"].clone()).unwrap();
            assert_eq!(logits.len(), heads, "{name}");
            for (output, logits) in played.outputs.iter().zip(logits) {
                let logits: Vec<f64> = logits.into_iter().flatten().collect();
                for (ours, theirs) in values_f64(output).iter().zip(logits) {
                    // Twelve steps of sums over eight units in double precision: rounding of 1e-16 a term.
                    assert!((ours - theirs).abs() < 1e-13, "{name}: {ours} {theirs}");
                }
            }
            assert!(goes_back(&view, &file, temporary.path()), "{name}");
        }
    }

    #[test]
    fn a_run_says_where_it_comes_from_and_knows_its_heads() {
        let registry = Registry::linked().unwrap();
        let workers = Workers::new(1).unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let file = folder().join("cumulative_parity_network_1/rnn_N2_N4");
        let run = import(&file, &temporary.path().join("run"), &registry, |_| ()).unwrap();
        let manifest = run.manifest().unwrap();
        assert_eq!((manifest.status, manifest.updates), (Status::Imported, 0));
        assert!(manifest.notes.iter().any(|note| note.contains("does not say its cell")));
        let view = RunView::open(&run, &registry, &workers).unwrap().remove(0);
        assert_eq!(view.lesson_at(4).unwrap(), Lesson::with_levels([(4, 2)]));
        assert!(view.lesson_at(9).is_err(), "no head learned 9");
        let results = view.evaluate(&network(&view), &view.lesson(), 64, &Stream::new(1)).unwrap();
        assert_eq!(results.heads.len(), 3);
    }

    #[test]
    fn training_goes_on_from_an_import() {
        let registry = Registry::linked().unwrap();
        let workers = Workers::new(1).unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let file = folder().join("cumulative_parity_network_1/rnn_N2_N4");
        let dir = import(&file, &temporary.path().join("run"), &registry, |e| e.training.updates = 3).unwrap();
        let experiment = dir.experiment().unwrap();
        let stop = AtomicBool::new(false);
        let session = Session {
            experiment: &experiment,
            registry: &registry,
            dir: &dir,
            threads: 1,
            observer: &Silent,
            stop: &stop,
        };
        let outcome = session.train().unwrap();
        assert_eq!((outcome.updates, outcome.evaluations[0].heads.len()), (3, 3));
        assert!(!dir.manifest().unwrap().notes.is_empty(), "notes of the import are kept");
        let view = RunView::open(&dir, &registry, &workers).unwrap().remove(0);
        let (before, after) = (view.network(At::Initial).unwrap(), network(&view));
        let change = |name: &str| {
            let (a, b) = (before.parameters.get(name).unwrap(), after.parameters.get(name).unwrap());
            (a - b).abs().max().double_value(&[])
        };
        // Three steps of Adam move a parameter by about three times the learning rate of 0.001.
        assert!(change("head.2.weight") > 1e-4 && change("head.2.weight") < 1e-2);
        assert_eq!(change("head.3.weight"), 0.0, "a head of no active level stays as it was");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_leaves_nothing() {
        let registry = Registry::linked().unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let file = folder().join("cumulative_parity_network_1/rnn_N2_N4");
        let place = temporary.path().join("run");
        let refusal = |change: &dyn Fn(&mut Experiment)| {
            let message = import(&file, &place, &registry, change).unwrap_err().to_string();
            assert!(!place.exists(), "{message}");
            message
        };
        let units = refusal(&|e| {
            let mut options = e.cell.options();
            options["hidden"] = 9.into();
            e.cell = synfire::Spec::with("leaky-rnn", &options);
        });
        assert!(units.contains("[9") && units.contains("[8"), "{units}");
        let members = refusal(&|e| e.members = 2);
        assert!(members.contains("members is 2"), "{members}");
    }
}

/// The published networks themselves, which are not part of the project.
mod published {
    use super::*;

    /// A published network, or `None` with a message where there are none.
    fn file(name: &str) -> Option<PathBuf> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/timescales").join(name);
        if !file.is_file() {
            println!("skipped: {} is not there", file.display());
            return None;
        }
        Some(file)
    }

    /// Import, compare bit for bit with the file, export, compare again; hand the run to `more`.
    fn each(name: &str, more: impl Fn(&RunView)) {
        let Some(file) = file(name) else { return };
        let registry = Registry::linked().unwrap();
        let workers = Workers::new(2).unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let run = import(&file, &temporary.path().join("run"), &registry, |_| ()).unwrap();
        let view = RunView::open(&run, &registry, &workers).unwrap().remove(0);
        let original = torch_file::read(&file).unwrap().below("state_dict").unwrap();
        let network = network(&view);
        assert_eq!((original.len(), network.parameters.len(), network.readout.heads.len()), (205, 205, 100));
        let mut pairs = vec![
            ("parameterlist.0".to_string(), "time_constants".to_string()),
            ("modulelist.1.weight".into(), "recurrent.weight".into()),
        ];
        pairs.extend((0..100).map(|head| (format!("modulelist.{}.weight", head + 2), format!("head.{head}.weight"))));
        for (theirs, ours) in &pairs {
            let (a, b) = (original.get(theirs).unwrap(), network.parameters.get(ours).unwrap());
            assert_eq!(synfire::tensors::bytes(a), synfire::tensors::bytes(b), "{theirs}");
        }
        assert!(goes_back(&view, &file, temporary.path()));
        more(&view);
    }

    /// Accuracy at a level under the training protocol.
    fn accuracy(view: &RunView, level: usize, trials: usize) -> f64 {
        let lesson = view.lesson_at(level).unwrap();
        let stream = Stream::new(7).child("evaluation").at(level as u64);
        let results = view.evaluate(&network(view), &lesson, trials, &stream).unwrap();
        let accuracy = results.accuracy.unwrap();
        println!("N = {level}: accuracy {accuracy:.4}");
        accuracy
    }

    #[test]
    fn single_level_networks_solve_their_level() {
        // 4096 trials: the standard error at 0.98 is 0.002.
        each("single_parity_network_1/rnn_N5_N5", |view| assert!(accuracy(view, 5, 4096) > 0.97));
        each("single_parity_network_1/rnn_N10_N10", |view| assert!(accuracy(view, 10, 4096) > 0.97));
    }

    #[test]
    fn the_cumulative_network_solves_all_its_levels() {
        each("cumulative_parity_network_1/rnn_N2_N10", |view| {
            for level in 2..=10 {
                assert!(accuracy(view, level, 4096) > 0.97, "N = {level}");
            }
        });
    }

    /// The published folders were trained with seed 0.
    #[test]
    fn the_untrained_network_is_the_one_drawn_from_its_seed() {
        each("cumulative_parity_network_1/rnn_init", |view| {
            let (context, published) = (view.context().unwrap(), network(view));
            let rule = context.registry.build(&Spec::<dyn LearningRule>::new("published-draws"), "rule").unwrap();
            let mut drawn = view.parts.cell.build(&context, &Stream::new(1)).unwrap();
            rule.start(&mut drawn, &context, &Stream::new(1)).unwrap();
            assert_eq!(drawn.readout.heads, published.readout.heads);
            for (name, tensor) in published.parameters.iter() {
                let own = drawn.parameters.get(name).unwrap();
                assert_eq!(synfire::tensors::bytes(tensor), synfire::tensors::bytes(own), "{name}");
            }
        });
    }

    #[test]
    fn the_untrained_network_keeps_its_diagonal() {
        each("cumulative_parity_network_1/rnn_init", |view| {
            let network = network(view);
            let weight = network.parameters.get("recurrent.weight").unwrap();
            assert!(weight.diagonal(0, 0, 1).abs().min().double_value(&[]) > 0.0);
        });
    }
}
