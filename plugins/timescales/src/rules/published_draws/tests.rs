use super::*;
use crate::tasks::NParity;
use crate::tasks::bit_stream::Symbols;
use serde_json::Value;
use synfire::cell::Setting;
use synfire::tch::{Device, Kind};
use synfire::tensors::values_f64;
use synfire::workers::Workers;
use synfire::{Cell, Lesson, Task};

const RULE: [(&str, u64); 4] = [("seed", 7), ("heads", 3), ("updates_per_test", 3), ("test_batches", 2)];
const UNITS: usize = 6;
const TRIALS: usize = 5;

fn rule() -> PublishedDraws {
    let options: serde_json::Map<String, Value> =
        RULE.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    serde_json::from_value(options.into()).expect("options")
}

/// Where a rule works.
struct Place {
    registry: Registry,
    task: Box<dyn Task>,
    workers: Workers,
}

impl Place {
    fn new(task: &str, options: &Value) -> Self {
        let registry = Registry::linked().expect("links");
        let task = registry.build(&Spec::<dyn Task>::with(task, options), "task").expect("valid");
        Self { registry, task, workers: Workers::new(1).expect("a thread") }
    }

    fn context(&self) -> BuildContext<'_> {
        BuildContext { registry: &self.registry, task: self.task.spec(), device: Device::Cpu, kind: Kind::Float }
    }

    /// The cell of the paper with six units, and options laid over it.
    fn network(&self, over: &Value) -> Network {
        let mut options = json!({
            "hidden": UNITS, "placement": "whole", "activation": "leaky-relu", "self_connections": "zeroed",
            "input_bias": true, "recurrent_bias": true, "time_constants": { "low": 1.0, "high": 2.0, "trainable": true },
        });
        over.as_object().into_iter().flatten().for_each(|(name, value)| options[name] = value.clone());
        let cell = self.registry.build(&Spec::<dyn Cell>::with("leaky-rnn", &options), "cell").expect("valid");
        cell.build(&self.context(), &Stream::new(1)).expect("builds")
    }

    fn update(&self, learner: &mut dyn Learner, network: &mut Network, lesson: &Lesson) -> Result<StepReport> {
        let (setting, stream) = (Setting::default(), Stream::new(2));
        let task = &*self.task;
        let rollout = Rollout { task, lesson, setting, stream, workers: &self.workers, fast: true, settle: 0 };
        let given = task.trials(lesson, TRIALS, &mut Stream::new(3)).expect("draws");
        learner.update(network, given, &rollout)
    }
}

fn fixture(name: &str) -> Value {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/published_draws").join(name);
    serde_json::from_slice(&std::fs::read(file).expect("a fixture")).expect("JSON")
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

/// Against NumPy and PyTorch: all that is drawn bit for bit, all that is learned up to rounding.
#[test]
fn draws_and_losses_are_those_of_the_published_loop() {
    for (file, name) in [("parity.json", "n-parity"), ("match.json", "delayed-match")] {
        let (expected, place) = (fixture(file), Place::new(name, &json!({})));
        let rule = rule();
        let mut network = place.network(&json!({}));
        let mut learner = rule.start(&mut network, &place.context(), &Stream::new(1)).expect("starts");
        assert_eq!(network.readout.heads, [0, 1, 2]);
        for (name, values) in expected["initial"].as_object().expect("a table") {
            assert_eq!(values_f64(network.parameters.get(name).expect("there")), list(values), "{name}");
        }
        let mut draws = Draws::new(7);
        draws.network(Sizes { inputs: 1, units: UNITS, outputs: 2, heads: 3, taus: true });
        let asked = Asked::of(&*place.task).expect("fits").expect("a published task");
        let sizes = |hardest| BatchSizes { hardest, trials: TRIALS, units: UNITS, rate: asked.rate() };
        for (update, loss) in list(&expected["losses"]).into_iter().enumerate() {
            let levels = if update < 3 { &[(2, 0)][..] } else { &[(2, 0), (3, 1)] };
            if update == 3 {
                (0..2).for_each(|_| draws.skip(sizes(2)));
            }
            let (bits, states) = draws.batch(sizes(levels.len() + 1));
            let batch = &expected["batches"][update];
            assert_eq!(bits.length() as u64, batch["length"], "{file}, update {update}");
            assert_eq!(values_f64(&bits.inputs(Symbols::ZeroOne, 1)), list(&batch["bits"]));
            assert_eq!(values_f64(&states), list(&batch["states"]));
            let lesson = Lesson::with_levels(levels.iter().copied());
            let report = place.update(&mut *learner, &mut network, &lesson).expect("learns");
            // sums over some steps in single precision
            assert!((report.loss - loss).abs() < 2e-6, "{file}, update {update}: {} {loss}", report.loss);
            if update == 1 {
                // What is saved is all there is.
                let saved = learner.state().expect("a state").copy();
                let mut scratch = place.network(&json!({}));
                learner = rule.start(&mut scratch, &place.context(), &Stream::new(9)).expect("starts");
                learner.restore(saved).expect("its own state");
            }
        }
        for (name, values) in expected["final"].as_object().expect("a table") {
            let found = values_f64(network.parameters.get(name).expect("there"));
            for (place, (found, value)) in found.into_iter().zip(list(values)).enumerate() {
                // Connections of units to themselves are set to zero there before each use, and ignored here.
                let acts = name != "recurrent.weight" || place % (UNITS + 1) != 0;
                // five steps of 0.05 times gradients in single precision
                assert!(!acts || (found - value).abs() < 2e-6, "{file}, {name}: {found} {value}");
            }
        }
    }
}

#[test]
fn what_the_published_loop_does_not_have_is_refused_or_left_alone() {
    let lesson = Lesson::with_levels([(2, 0)]);
    for (options, field) in [
        (json!({ "repeat": 7 }), "task.repeat is 7"),
        (json!({ "repeat": [7, 8] }), "task.repeat is a list"),
        (json!({ "length": 40 }), "task.length is 40"),
        (json!({ "answer": "every-step" }), "task.answer is every-step"),
    ] {
        let place = Place::new("n-parity", &options);
        let mut network = place.network(&json!({}));
        let mut learner = rule().start(&mut network, &place.context(), &Stream::new(1)).expect("starts");
        let error = place.update(&mut *learner, &mut network, &lesson).expect_err("refused").to_string();
        assert!(error.contains(field) && error.contains("'published-draws'"), "{error}");
    }
    let place = Place::new("n-parity", &json!({}));
    let error = rule().start(&mut place.network(&json!({ "rank": 2 })), &place.context(), &Stream::new(1));
    let error = error.err().expect("no weights").to_string();
    assert!(error.contains("'recurrent.weight'"), "{error}");
    // Fixed time constants stay as they are, and nothing is drawn for them.
    let fixed = json!({ "time_constants": { "low": 3.0, "high": 3.0, "trainable": false } });
    let mut network = place.network(&fixed);
    rule().start(&mut network, &place.context(), &Stream::new(1)).expect("starts");
    assert_eq!(values_f64(network.parameters.get("time_constants").expect("there")), [3.0; UNITS]);
    let taken = list(&fixture("parity.json")["initial"]["time_constants"]);
    let head = values_f64(network.parameters.get("head.0.weight").expect("there"));
    // The same draws, 24 bits each, scaled otherwise: a head is uniform in ±1/√6.
    for (tau, weight) in taken.iter().zip(head) {
        assert!(((tau - 1.0) - (weight * 6f64.sqrt() + 1.0) / 2.0).abs() < 1e-6);
    }
    let other = Place::new("flip-flop", &json!({}));
    assert!(Asked::of(&*other.task).expect("fine").is_none());
    assert!(Asked::of(&NParity::default()).expect("fine").is_some());
    let mut problems = Problems::under("rule");
    let wrong = PublishedDraws { heads: 0, updates_per_test: 0, rule: Spec::new("no-such-rule"), ..rule() };
    wrong.check(&place.registry, &mut problems);
    let error = problems.into_result().expect_err("three problems").to_string();
    assert!(error.contains("rule.heads is 0") && error.contains("rule.updates_per_test is 0"), "{error}");
    assert!(error.contains("no-such-rule"), "{error}");
}
