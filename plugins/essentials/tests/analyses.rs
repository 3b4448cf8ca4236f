//! Every analysis on a small run that was trained from its first update to its last.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use synfire::curriculum::{History, LessonContext, Step};
use synfire::observer::Silent;
use synfire::run::RunDir;
use synfire::storage::array::ArrayValues;
use synfire::subject::RunView;
use synfire::table::Value;
use synfire::task::{Answer, Difficulty, Objective, Period, Target};
use synfire::tch::{Device, Kind};
use synfire::trainer::Session;
use synfire::workers::Workers;
use synfire::{
    Analysis, Component, Curriculum, Experiment, Findings, Lesson, Problems, Registry, Result, Spec, Stream, Subject,
    Task, TaskSpec, Trials,
};
use synfire_essentials as _;

/// Recall the bit that was shown some steps before the last.
///
/// Source: none; for tests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Recall {
    /// Number of bits.
    length: usize,
    /// Probability of a 1.
    rate: f64,
}

impl Default for Recall {
    fn default() -> Self {
        Self { length: 12, rate: 0.5 }
    }
}

#[typetag::serde(name = "test-recall")]
impl Task for Recall {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        problems.require(self.length >= 10, "length", self.length, "at least 10");
    }

    fn spec(&self) -> TaskSpec {
        let difficulty =
            Difficulty { name: "N".into(), lowest: 1, highest: Some(9), default: 1, several_at_once: true };
        TaskSpec {
            inputs: vec!["bit".into()],
            outputs: 2,
            objective: Objective::classify(Answer::FinalStep),
            dt_ms: Some(10.0),
            difficulty: Some(difficulty),
            closed_loop: false,
        }
    }

    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        let (time, rows) = (self.length as i64, batch as i64);
        let bits =
            stream.uniform_tensor(&[time, rows], 0.0, 1.0, Kind::Float, Device::Cpu).lt(self.rate).to_kind(Kind::Int64);
        let targets = lesson.levels_of(&self.spec()).into_iter().map(|level| {
            let shown = bits.get(time - 1 - level.level as i64);
            Target::new(level.head, Some(level.level), Answer::FinalStep, shown, None)
        });
        Ok(Trials {
            targets: targets.collect(),
            inputs: (bits.to_kind(Kind::Float) * 2.0 - 1.0).unsqueeze(-1),
            periods: vec![Period::new("early", 0, 9), Period::new("late", 9, self.length)],
            ..Trials::default()
        })
    }
}

synfire::inventory::submit! { Component::task::<Recall>("test-recall") }

/// Level 1 for 60 updates, then levels 1 and 2 for 60, then levels 1 to 4.
///
/// Source: none; for tests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ThreeLessons {}

#[typetag::serde(name = "test-three-lessons")]
impl Curriculum for ThreeLessons {
    fn next(&self, history: &History, _: &TaskSpec, _: &LessonContext) -> Result<Step> {
        let hardest = [1, 2, 4][(history.updates as usize / 60).min(2)];
        Ok(Step::Lesson(Lesson::with_levels((1..=hardest).map(|level| (level, level - 1)))))
    }
}

synfire::inventory::submit! { Component::curriculum::<ThreeLessons>("test-three-lessons") }

/// The folder of a run that is trained once for all tests; what was found stays there to be looked at.
fn run() -> &'static Path {
    static RUN: OnceLock<PathBuf> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("analyses");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).expect("the folder of an earlier test can be removed");
        }
        let registry = Registry::linked().expect("registry");
        let cell = serde_json::json!({"hidden": 24, "time_constants": {"low": 1.0, "high": 4.0, "trainable": true}});
        let rule = serde_json::json!({"optimizer": {"type": "adam", "learning_rate": 0.005}});
        let mut experiment = Experiment {
            name: "recall".into(),
            device: "cpu".into(),
            task: Spec::new("test-recall"),
            cell: Spec::with("leaky-rnn", &cell),
            curriculum: Spec::new("test-three-lessons"),
            rule: Spec::with("bptt", &rule),
            ..Experiment::default()
        };
        experiment.training.batch = 64;
        experiment.training.updates = 240;
        experiment.training.updates_per_evaluation = 10;
        experiment.training.evaluation_trials = 128;
        let experiment = experiment.resolve(&registry).expect("resolves");
        let dir = RunDir::create(folder.join("recall"), &experiment).expect("creates");
        let stop = AtomicBool::new(false);
        let session = Session {
            experiment: &experiment,
            registry: &registry,
            dir: &dir,
            threads: 2,
            observer: &Silent,
            stop: &stop,
        };
        session.train().expect("trains");
        folder
    })
}

/// What an analysis with options finds on the run, with its figures drawn.
fn analyze(name: &str, options: serde_json::Value) -> Result<Findings> {
    let registry = Registry::linked()?;
    let workers = Workers::new(2)?;
    let dir = RunDir::open(run().join("recall"))?;
    let runs = RunView::open(&dir, &registry, &workers)?;
    let analysis: Box<dyn Analysis> = registry.build(&Spec::with(name, &options), "analysis")?;
    let subject =
        Subject { runs, groups: Vec::new(), data: Default::default(), stream: Stream::new(5), workers: &workers };
    let findings = analysis.run(&subject)?;
    // Tests run side by side, and several make the same analysis.
    static SAVED: AtomicUsize = AtomicUsize::new(0);
    let saved = findings.save(&run().join(format!("{name}-{}", SAVED.fetch_add(1, Ordering::Relaxed))))?;
    assert!(saved.iter().all(|path| path.metadata().is_ok_and(|file| file.len() > 0)));
    assert!(saved.iter().filter(|path| path.extension().is_some_and(|e| e == "png")).count() >= findings.figures.len());
    Ok(findings)
}

fn number(findings: &Findings, name: &str) -> f64 {
    match findings.values.get(name) {
        Some(Value::Number(value)) => *value,
        Some(Value::Integer(value)) => *value as f64,
        other => panic!("{name} is {other:?}; there are {:?}", findings.values.keys()),
    }
}

fn tables_are_rectangular(findings: &Findings) {
    findings.tables.iter().for_each(|table| drop(table.to_csv().expect("rectangular")));
}

#[test]
fn learning_curve_tells_how_long_each_lesson_took() {
    let findings = analyze("learning-curve", serde_json::json!({"threshold": 0.95})).expect("runs");
    assert_eq!(number(&findings, "updates"), 240.0);
    assert_eq!(number(&findings, "largest N passed"), 2.0);
    assert_eq!(number(&findings, "largest N trained"), 4.0);
    assert!(number(&findings, "accuracy") > 0.9);
    let lessons = findings.tables.iter().find(|table| table.name == "lessons").expect("there");
    assert_eq!(lessons.rows.len(), 3);
    assert_eq!(lessons.rows[2][3], Value::Integer(120));
    assert!(matches!(lessons.rows[0][4], Value::Number(seconds) if seconds > 0.0));
    assert_eq!(findings.figures.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["learning", "heads"]);
    tables_are_rectangular(&findings);
}

#[test]
fn activity_of_every_unit_is_described() {
    let findings = analyze("activity", serde_json::json!({"trials": 32})).expect("runs");
    assert_eq!(findings.arrays["mean"].shape(), [12, 24]);
    assert_eq!(findings.arrays["rates"].shape(), [12, 2, 24]);
    assert_eq!(findings.tables[0].rows.len(), 24);
    let sparseness = number(&findings, "population sparseness");
    assert!(sparseness > 0.0 && sparseness < 1.0);
    tables_are_rectangular(&findings);
    // the initial network is another one
    let before = analyze("activity", serde_json::json!({"trials": 32, "update": 0, "level": 1})).expect("runs");
    assert_ne!(before.arrays["mean"], findings.arrays["mean"]);
}

#[test]
fn components_do_not_depend_on_how_trials_are_cut() {
    let findings = analyze("pca", serde_json::json!({"trials": 100, "level": 2})).expect("runs");
    let dimension = number(&findings, "dimension");
    assert!((1.0..=24.0).contains(&dimension));
    assert_eq!(number(&findings, "samples"), 1200.0);
    assert_eq!(findings.arrays["trajectories"].shape(), [12, 24, 10]);
    let total: f64 = findings.arrays["variances"].to_f64().iter().sum();
    assert!((total - number(&findings, "variance")).abs() < 1e-9);
    let error = analyze("pca", serde_json::json!({"colour_by": "mood"})).expect_err("unknown").to_string();
    assert_eq!(error, "colour_by is 'mood', which is no condition of the trials; its trials have none");
    let error = analyze("pca", serde_json::json!({"level": 5})).expect_err("not learned").to_string();
    assert!(error.starts_with("level is 5, which no head of the network learned"), "{error}");
}

#[test]
fn spectra_of_the_initial_and_the_trained_network_stand_side_by_side() {
    let findings = analyze("spectrum", serde_json::json!({})).expect("runs");
    assert_eq!(findings.arrays["weights_initial"].shape(), [24, 2]);
    assert_eq!(findings.arrays["step_trained"].shape(), [24, 2]);
    assert!(
        number(&findings, "spectral radius, trained") <= number(&findings, "largest singular value, trained") + 1e-9
    );
    // the trace of the weights is the sum of their eigenvalues, whose imaginary parts cancel
    let registry = Registry::linked().expect("registry");
    let workers = Workers::new(1).expect("threads");
    let dir = RunDir::open(run().join("recall")).expect("opens");
    let view = RunView::open(&dir, &registry, &workers).expect("opens").remove(0);
    let network = view.network(synfire::subject::At::Last).expect("loads");
    let weight = network.parameters.get("recurrent.weight").expect("there");
    let trace = weight.to_kind(Kind::Double).trace().double_value(&[]);
    let values = findings.arrays["weights_trained"].to_f64();
    let (real, imaginary) = values.chunks(2).fold((0.0, 0.0), |(re, im), v| (re + v[0], im + v[1]));
    assert!((real - trace).abs() < 1e-9 && imaginary.abs() < 1e-9, "{real} {trace} {imaginary}");
    tables_are_rectangular(&findings);
}

#[test]
fn silencing_units_costs_accuracy() {
    let options = serde_json::json!({"trials": 200, "select": {"by": "parameter", "count": 5}});
    let findings = analyze("ablation", options).expect("runs");
    assert_eq!(findings.tables[0].rows.len(), 10);
    assert_eq!(findings.tables[1].rows.len(), 2);
    assert!(number(&findings, "least accuracy") <= number(&findings, "accuracy"));
    tables_are_rectangular(&findings);
    // all at once: nothing is left to answer with but the biases of the heads
    let most = serde_json::json!({"trials": 400, "together": true, "select": {"by": "index", "units": (0..24).collect::<Vec<_>>()}});
    let silent = analyze("ablation", most).expect("runs");
    assert!((number(&silent, "least accuracy") - 0.5).abs() < 0.1, "{:?}", silent.values);
    let each = analyze("ablation", serde_json::json!({"trials": 100})).expect("runs");
    let ArrayValues::I64(units) = each.arrays["unit"].values() else { panic!("numbers of units") };
    assert_eq!(*units, (0..24).collect::<Vec<i64>>());
    let again = analyze("ablation", serde_json::json!({"trials": 100})).expect("runs");
    assert_eq!(again.arrays, each.arrays);
}

#[test]
fn disturbance_grows_with_its_strength() {
    let options = serde_json::json!({
        "trials": 200, "draws": 3, "kinds": ["recurrent-normalized", "time-constants-absolute"],
        "strengths": {"lowest": 1e-4, "highest": 10.0, "count": 6}
    });
    let findings = analyze("perturbation", options).expect("runs");
    let base = number(&findings, "accuracy");
    let accuracies = findings.arrays["recurrent_normalized_accuracy"].to_f64();
    assert_eq!(findings.arrays["recurrent_normalized_accuracy"].shape(), [6, 3]);
    // a relative change of 1e-4 moves hardly any answer; one of 10 leaves nothing of what was learned
    assert!(accuracies[..3].iter().all(|a| (a - base).abs() < 0.02), "{accuracies:?} {base}");
    assert!(accuracies[15..].iter().all(|a| *a < base - 0.1), "{accuracies:?} {base}");
    tables_are_rectangular(&findings);
}

#[test]
fn networks_are_judged_under_other_options_of_their_task() {
    let select = serde_json::json!({"by": "parameter", "count": 3});
    let as_trained = analyze("ablation", serde_json::json!({"trials": 200, "select": select})).expect("runs");
    let task = serde_json::json!({"length": 30, "rate": 0.4});
    let options = serde_json::json!({"trials": 200, "select": select, "task": task});
    let longer = analyze("ablation", options).expect("runs");
    assert_eq!(as_trained.values["protocol"], "trials as in training".into());
    let protocol = "trials with length = 30, rate = 0.4, otherwise as in training";
    assert_eq!(longer.values["protocol"], protocol.into());
    assert!(longer.figures[0].caption.contains(protocol));
    // The base is what an evaluation of the run under these options gives.
    let registry = Registry::linked().expect("registry");
    let workers = Workers::new(1).expect("threads");
    let dir = RunDir::open(run().join("recall")).expect("opens");
    let view = RunView::open(&dir, &registry, &workers).expect("opens").remove(0);
    let other = view.with_task(task.as_object().expect("a table")).expect("fits");
    assert_eq!(other.experiment.task.options(), serde_json::json!({"length": 30, "rate": 0.4}));
    let network = other.network(synfire::subject::At::Last).expect("loads");
    assert_eq!(other.trials(&other.lesson(), 2, &Stream::new(1)).expect("draws").time(), 30);
    let stream = Stream::new(5).child("judged");
    let judged = other.evaluate(&network, &other.lesson(), 200, &stream).expect("judges").accuracy;
    assert_eq!(longer.values["accuracy"], judged.into());
    assert_eq!(longer.arrays["base"].to_f64(), judged.into_iter().collect::<Vec<_>>());
    // One accuracy and one time constant a silenced unit, for tests of significance.
    let constants = network.parameters.get("time_constants").expect("there");
    let ArrayValues::I64(units) = longer.arrays["unit"].values() else { panic!("numbers of units") };
    assert_eq!(longer.arrays["group"].to_f64(), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    for (unit, constant) in units.iter().zip(longer.arrays["time_constants"].to_f64()) {
        assert_eq!(constants.double_value(&[*unit]), constant);
    }
    let disturbed = serde_json::json!({"trials": 50, "draws": 2, "task": task, "strengths": {"lowest": 0.1, "highest": 1.0, "count": 2}});
    let disturbed = analyze("perturbation", disturbed).expect("runs");
    assert_eq!(disturbed.values["protocol"], protocol.into());
    assert_eq!(disturbed.arrays["recurrent_normalized_accuracy"].shape(), [2, 2]);
}

#[test]
fn options_that_the_task_refuses_are_named_before_any_work() {
    let error = |task: serde_json::Value| {
        analyze("perturbation", serde_json::json!({"task": task})).expect_err("refused").to_string()
    };
    assert_eq!(error(serde_json::json!({"length": 3})), "analysis.task.length is 3, must be at least 10");
    let unknown = error(serde_json::json!({"lenght": 20}));
    assert_eq!(unknown, "analysis.task.lenght is an unknown field; did you mean length? there are: length, rate");
    // The experiment that asks for it would not begin.
    let registry = Registry::linked().expect("registry");
    let mut experiment = RunDir::open(run().join("recall")).expect("opens").experiment().expect("reads");
    experiment.analysis = vec![Spec::with("level-accuracy", &serde_json::json!({"task": {"length": 3}}))];
    let problems = experiment.check(&registry);
    assert_eq!(problems[0].path, "analysis[0].task.length");
    let expected = "is 3, must be at least 10 ('level-accuracy' sets it for the task 'test-recall')";
    assert_eq!(problems[0].problem, expected);
}

/// The accuracies of a run's findings, `[network][level]`.
fn matrix(findings: &Findings) -> Vec<Vec<f64>> {
    let width = findings.arrays["accuracy"].shape()[1];
    findings.arrays["accuracy"].to_f64().chunks(width).map(<[f64]>::to_vec).collect()
}

#[test]
fn accuracy_of_every_network_at_every_level() {
    let options = serde_json::json!({"at": "level-ends", "trials": 300, "levels": {"from": 1, "to": 5}});
    let findings = analyze("level-accuracy", options).expect("runs");
    assert_eq!(findings.arrays["update"].to_f64(), [60.0, 120.0, 240.0]);
    assert_eq!(findings.arrays["trained_level"].to_f64(), [1.0, 2.0, 4.0]);
    assert_eq!(findings.arrays["level"].to_f64(), [1.0, 2.0, 3.0, 4.0, 5.0]);
    let rows = matrix(&findings);
    // Head 0 answers level 1 throughout; the head of level 4 is made when it is trained, that of level 5 never.
    assert!(rows.iter().all(|row| row[0] > 0.8), "{rows:?}");
    assert!(rows[0][3].is_nan() && rows[2][3] > 0.7, "{rows:?}");
    assert!(rows.iter().all(|row| row[4].is_nan()));
    assert!(findings.notes.iter().any(|note| note.contains("the network has none for that level")));
    let table = findings.tables.iter().find(|table| table.name == "accuracy").expect("there");
    assert_eq!(
        table.columns,
        ["update", "trained level", "level", "head", "learned", "accuracy", "majority", "trials"]
    );
    let learned: Vec<String> = table.rows.iter().map(|row| row[4].exact()).collect();
    assert_eq!(learned[..5], ["yes", "no head", "no head", "no head", "no head"].map(String::from));
    assert_eq!(learned[10..], ["yes", "yes", "yes", "yes", "no head"].map(String::from));
    // Balanced bits: four standard deviations of a half of 300 trials are 0.12.
    let majority = findings.arrays["majority"].to_f64();
    assert!(majority.iter().all(|share| (0.5..0.62).contains(share)), "{majority:?}");
    // Forgetting: what the last network has lost of levels 1 and 2 since their own ends.
    let expected = (rows[0][0] - rows[2][0] + rows[1][1] - rows[2][1]) / 2.0;
    assert!((number(&findings, "mean forgetting") - expected).abs() < 1e-12);
    let names: Vec<&str> = findings.figures.iter().map(|figure| figure.name.as_str()).collect();
    assert_eq!(names, ["matrix", "levels"]);
    tables_are_rectangular(&findings);
}

#[test]
fn levels_are_judged_as_an_evaluation_judges_them() {
    let findings = analyze("level-accuracy", serde_json::json!({"trials": 700})).expect("runs");
    let registry = Registry::linked().expect("registry");
    let workers = Workers::new(1).expect("threads");
    let dir = RunDir::open(run().join("recall")).expect("opens");
    let view = RunView::open(&dir, &registry, &workers).expect("opens").remove(0);
    let network = view.network(synfire::subject::At::Last).expect("loads");
    for (level, found) in (1..=4).zip(&matrix(&findings)[0]) {
        let stream = Stream::new(5).child("judged").child("level").at(level as u64);
        let lesson = view.lesson_at(level).expect("learned");
        let expected = view.evaluate(&network, &lesson, 700, &stream).expect("judges");
        assert_eq!(Some(*found), expected.accuracy);
        // The majority is that of the same trials: two batches, of 512 and of 188.
        let ones: i64 = [(0, 512), (1, 188)]
            .map(|(index, size)| view.trials(&lesson, size, &stream.at(index)).expect("draws"))
            .iter()
            .map(|trials| trials.targets[0].values.sum(Kind::Int64).int64_value(&[]))
            .sum();
        let share = ones.max(700 - ones) as f64 / 700.0;
        assert!((findings.arrays["majority"].to_f64()[level - 1] - share).abs() < 1e-12);
    }
    let together = analyze("level-accuracy", serde_json::json!({"trials": 700, "together": true})).expect("runs");
    for (alone, together) in matrix(&findings)[0].iter().zip(&matrix(&together)[0]) {
        // Other trials of the same kind: four standard deviations of a difference are at most 0.11.
        assert!((alone - together).abs() < 0.11, "{alone} {together}");
    }
    let rate = analyze("level-accuracy", serde_json::json!({"task": {"rate": 0.9}, "levels": [2]})).expect("runs");
    assert!((rate.arrays["majority"].to_f64()[0] - 0.9).abs() < 0.04);
    let error = analyze("level-accuracy", serde_json::json!({"levels": [3, 12]})).expect_err("too hard").to_string();
    assert_eq!(error, "analysis.levels has 12; the task has N from 1 to 9; choose among those");
}

#[test]
fn dimensions_are_measured_in_long_simulations() {
    let options = serde_json::json!({"steps": 3000, "trials": 7, "rate": 0.5, "at": "level-ends"});
    let findings = analyze("dimensionality", options).expect("runs");
    assert!((1.0..=24.0).contains(&number(&findings, "dimension")));
    assert_eq!(number(&findings, "samples per trial"), 3000.0);
    assert_eq!(number(&findings, "levels of the line"), 3.0);
    assert_eq!(findings.arrays["variances"].shape(), [7, 24]);
    assert_eq!(findings.arrays["rate_of_ones"].to_f64(), [0.5; 7]);
    // At one rate for all, the dimension of a network hardly differs between trials.
    assert!(number(&findings, "deviation over trials") < 1.0);
    let drawn = analyze("dimensionality", serde_json::json!({"steps": 2000, "trials": 4})).expect("runs");
    let rates = drawn.arrays["rate_of_ones"].to_f64();
    assert!(rates.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(drawn.figures.iter().any(|figure| figure.name == "dimension-by-rate"));
    // The task's own trials one after the other: twelve steps each, the last one cut.
    let trials =
        analyze("dimensionality", serde_json::json!({"steps": 1000, "trials": 2, "input": "task"})).expect("runs");
    assert_eq!(number(&trials, "samples per trial"), 1000.0);
    assert!(!trials.arrays.contains_key("rate_of_ones"));
    tables_are_rectangular(&findings);
}

#[test]
fn weights_of_units_are_set_against_their_time_constants() {
    let findings = analyze("connectivity", serde_json::json!({})).expect("runs");
    assert_eq!(findings.tables[0].rows.len(), 24);
    assert_eq!(findings.tables[1].rows.len(), 4);
    let mean = findings.arrays["incoming_mean"].to_f64().iter().sum::<f64>() / 24.0;
    assert!((mean - number(&findings, "mean weight")).abs() < 1e-12);
    tables_are_rectangular(&findings);
}

#[test]
fn power_of_all_units_is_measured() {
    let findings = analyze("power-spectrum", serde_json::json!({"trials": 40})).expect("runs");
    assert_eq!(findings.arrays["frequency"].to_f64().last(), Some(&50.0));
    assert_eq!(findings.arrays["density"].shape(), [24, 7]);
    assert!(number(&findings, "power") > 0.0);
    tables_are_rectangular(&findings);
}
