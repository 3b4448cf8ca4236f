//! Every guard forwards every method of its trait, and catches what every one throws.

use super::Guard;
use crate::analysis::{Analysis, Scope};
use crate::cell::{BuildContext, Cell, Clock, Dynamics, Form, Setting};
use crate::curriculum::{Curriculum, History, LessonContext, Step};
use crate::format::{Format, Imported};
use crate::network::Readout;
use crate::rollout::Rollout;
use crate::subject::{At, RunView, Subject};
use crate::task::{ClosedLoop, Scores, Segment, Task, TaskSpec, Trials};
use crate::workers::Workers;
use crate::{
    Error, Findings, Kind, Learner, LearningRule, Lesson, Network, Problems, Properties, Registry, Result, StepReport,
    Stream, Tensors, testing,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::cell::{Cell as Slot, RefCell};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tch::Tensor;

thread_local! {
    static CALLS: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    static THROW: Slot<Option<&'static str>> = const { Slot::new(None) };
}

/// Notes that a method was called; throws if it is the one that shall.
fn called(method: &'static str) {
    CALLS.with_borrow_mut(|calls| calls.push(method));
    if THROW.get() == Some(method) {
        // Leave the gradient mode as a panic inside `no_grad` does.
        let _ = super::set_gradient_mode(false);
        panic!("{method} throws");
    }
}

/// Implements every trait and notes each call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Double;

macro_rules! tags {
    () => {
        fn typetag_name(&self) -> &'static str {
            "double"
        }
        fn typetag_deserialize(&self) {}
    };
}

impl Task for Double {
    tags!();
    fn check(&self, _: &Registry, _: &mut Problems) {
        called("check");
    }
    fn spec(&self) -> TaskSpec {
        called("spec");
        TaskSpec { outputs: 7, ..TaskSpec::nothing() }
    }
    fn trials(&self, _: &Lesson, _: usize, _: &mut Stream) -> Result<Trials> {
        called("trials");
        Ok(Trials { rest: Some(Box::new(Self)), ..Trials::default() })
    }
    fn score(&self, _: &Trials, _: &[Tensor]) -> Result<Scores> {
        called("score");
        Ok(Scores { loss: Tensor::from(1.0), heads: Vec::new() })
    }
    fn errors(&self, _: &Trials, _: &[Tensor]) -> Result<Tensor> {
        called("errors");
        Ok(Tensor::from(1.0))
    }
    fn provides(&self, _: &Registry) -> Properties {
        called("provides");
        Properties::new()
    }
}

impl ClosedLoop for Double {
    fn begin(&self, _: Range<usize>) -> Box<dyn ClosedLoop> {
        called("begin");
        Box::new(Self)
    }
    fn next(&mut self, _: &[Tensor]) -> Result<Option<Segment>> {
        called("next");
        Ok(None)
    }
}

impl Cell for Double {
    tags!();
    fn check(&self, _: &Registry, _: &mut Problems) {
        called("check");
    }
    fn provides(&self, _: &Registry) -> Properties {
        called("provides");
        Properties::new()
    }
    fn needs(&self, _: &Registry) -> Properties {
        called("needs");
        Properties::new()
    }
    fn build(&self, _: &BuildContext, _: &Stream) -> Result<Network> {
        called("build");
        Ok(Network { parameters: Tensors::new(), dynamics: Box::new(Self), readout: Readout::new(1) })
    }
}

impl Dynamics for Double {
    fn units(&self) -> usize {
        called("units");
        5
    }
    fn prepare(&self, _: &Tensors, _: &Setting) -> Result<Tensors> {
        called("prepare");
        Ok(Tensors::new())
    }
    fn initial_state(&self, _: &Tensors, _: usize, _: &mut Stream) -> Result<Tensors> {
        called("initial_state");
        Ok(Tensors::new())
    }
    fn project(&self, _: &Tensors, _: &Tensor) -> Result<Tensor> {
        called("project");
        Ok(Tensor::from(1.0))
    }
    fn noise(&self, _: &Tensors, _: usize, _: usize, _: Option<&Tensor>, _: &mut Stream) -> Result<Option<Tensor>> {
        called("noise");
        Ok(None)
    }
    fn step(&self, _: &Clock, _: &Tensors, _: &Tensors, _: &Tensor, _: Option<&Tensor>) -> Result<Tensors> {
        called("step");
        Ok(Tensors::new())
    }
    fn gates(&self, _: &Clock, _: &Tensors, _: &Tensors, _: &Tensor, _: Option<&Tensor>) -> Result<Tensors> {
        called("gates");
        Ok(Tensors::new())
    }
    fn rates(&self, _: &Tensors) -> Result<Tensor> {
        called("rates");
        Ok(Tensor::from(1.0))
    }
    fn constant(&self, _: &str) -> bool {
        called("constant");
        true
    }
    fn bounded(&self, _: &str, _: &Tensor) -> Result<Option<Tensor>> {
        called("bounded");
        Ok(None)
    }
    fn caution(&self, _: &Setting) -> Option<String> {
        called("caution");
        None
    }
    fn form(&self, _: &Setting) -> Form {
        called("form");
        Form::Opaque
    }
}

impl Curriculum for Double {
    tags!();
    fn check(&self, _: &Registry, _: &mut Problems) {
        called("check");
    }
    fn needs(&self, _: &Registry) -> Properties {
        called("needs");
        Properties::new()
    }
    fn next(&self, _: &History, _: &TaskSpec, _: &LessonContext) -> Result<Step> {
        called("next");
        Ok(Step::Stop { reason: "enough".into() })
    }
    fn memory(&self, _: &Registry) -> usize {
        called("memory");
        3
    }
}

impl LearningRule for Double {
    tags!();
    fn check(&self, _: &Registry, _: &mut Problems) {
        called("check");
    }
    fn needs(&self, _: &Registry) -> Properties {
        called("needs");
        Properties::new()
    }
    fn batch(&self) -> Option<usize> {
        called("batch");
        Some(1)
    }
    fn start(&self, _: &mut Network, _: &BuildContext, _: &Stream) -> Result<Box<dyn Learner>> {
        called("start");
        Ok(Box::new(Self))
    }
}

impl Learner for Double {
    fn update(&mut self, _: &mut Network, _: Trials, _: &Rollout) -> Result<StepReport> {
        called("update");
        Ok(StepReport::default())
    }
    fn refit(&mut self, _: &Network) -> Result<()> {
        called("refit");
        Ok(())
    }
    fn state(&self) -> Result<Tensors> {
        called("state");
        Ok(Tensors::new())
    }
    fn restore(&mut self, _: Tensors) -> Result<()> {
        called("restore");
        Ok(())
    }
}

impl Analysis for Double {
    tags!();
    fn check(&self, _: &Registry, _: &mut Problems) {
        called("check");
    }
    fn needs(&self, _: &Registry) -> Properties {
        called("needs");
        Properties::new()
    }
    fn task_options(&self) -> Map<String, Value> {
        called("task_options");
        Map::new()
    }
    fn scope(&self) -> Scope {
        called("scope");
        Scope::Groups
    }
    fn run(&self, _: &Subject) -> Result<Findings> {
        called("run");
        Ok(Findings::new())
    }
}

impl Format for Double {
    tags!();
    fn check(&self, _: &Registry, _: &mut Problems) {
        called("check");
    }
    fn import(&self, _: &Path) -> Result<Imported> {
        called("import");
        Ok(Imported::default())
    }
    fn export(&self, _: &Network, _: &Path) -> Result<()> {
        called("export");
        Ok(())
    }
    fn export_run(&self, _: &RunView, _: At, _: &Path) -> Result<Vec<PathBuf>> {
        called("export_run");
        Ok(Vec::new())
    }
}

/// What methods need.
struct Bench {
    registry: Registry,
    workers: Workers,
    lesson: Lesson,
    setting: Setting,
}

impl Bench {
    fn new() -> Self {
        Self {
            registry: testing::registry().expect("no duplicates"),
            workers: Workers::new(1).expect("a thread"),
            lesson: Lesson::default(),
            setting: Setting::default(),
        }
    }

    fn context(&self) -> BuildContext<'_> {
        let (device, kind) = (tch::Device::Cpu, tch::Kind::Float);
        BuildContext { registry: &self.registry, task: TaskSpec::nothing(), device, kind }
    }

    fn network(&self) -> Network {
        Network { parameters: Tensors::new(), dynamics: Box::new(Double), readout: Readout::new(1) }
    }

    fn guard(&self, kind: Kind) -> Guard<Double> {
        Guard::new(kind, "double", Double)
    }

    /// Call every method of an object of the kind that can fail, and of what it makes; the first error ends it.
    fn use_all(&self, kind: Kind) -> Result<()> {
        let guard = self.guard(kind);
        let mut stream = Stream::new(1);
        let mut problems = Problems::default();
        match kind {
            Kind::Task => {
                let task: &dyn Task = &guard;
                task.check(&self.registry, &mut problems);
                problems.into_result()?;
                assert_eq!(task.spec().outputs, 7);
                let trials = task.trials(&self.lesson, 2, &mut stream)?;
                task.score(&trials, &[])?;
                drop(task.errors(&trials, &[])?);
                task.provides(&self.registry);
                let rest = trials.rest.expect("as the double says");
                rest.begin(0..1).next(&[])?;
            }
            Kind::Cell => {
                let cell: &dyn Cell = &guard;
                cell.check(&self.registry, &mut problems);
                problems.into_result()?;
                cell.provides(&self.registry);
                cell.needs(&self.registry);
                let dynamics = cell.build(&self.context(), &stream)?.dynamics;
                assert_eq!(dynamics.units(), 5);
                let (none, one) = (Tensors::new(), Tensor::from(1.0));
                let clock = Clock { step: 0, since_border: 0, period: "", setting: &self.setting };
                dynamics.constant("x");
                dynamics.caution(&self.setting);
                dynamics.form(&self.setting);
                dynamics.bounded("x", &one)?;
                dynamics.prepare(&none, &self.setting)?;
                dynamics.initial_state(&none, 1, &mut stream)?;
                drop(dynamics.project(&none, &one)?);
                dynamics.noise(&none, 1, 1, None, &mut stream)?;
                dynamics.step(&clock, &none, &none, &one, None)?;
                dynamics.gates(&clock, &none, &none, &one, None)?;
                drop(dynamics.rates(&none)?);
            }
            Kind::Curriculum => {
                let curriculum: &dyn Curriculum = &guard;
                curriculum.check(&self.registry, &mut problems);
                problems.into_result()?;
                curriculum.needs(&self.registry);
                assert_eq!(curriculum.memory(&self.registry), 3);
                let context = LessonContext { registry: &self.registry, stream };
                curriculum.next(&History::default(), &TaskSpec::nothing(), &context)?;
            }
            Kind::Rule => {
                let rule: &dyn LearningRule = &guard;
                rule.check(&self.registry, &mut problems);
                problems.into_result()?;
                rule.needs(&self.registry);
                assert_eq!(rule.batch(), Some(1));
                let mut network = self.network();
                let mut learner = rule.start(&mut network, &self.context(), &stream)?;
                let rollout = Rollout {
                    task: &Double,
                    lesson: &self.lesson,
                    setting: self.setting.clone(),
                    stream,
                    workers: &self.workers,
                    fast: true,
                    settle: 0,
                };
                learner.update(&mut network, Trials::default(), &rollout)?;
                learner.refit(&network)?;
                learner.restore(learner.state()?)?;
            }
            Kind::Analysis => {
                let analysis: &dyn Analysis = &guard;
                analysis.check(&self.registry, &mut problems);
                problems.into_result()?;
                analysis.needs(&self.registry);
                analysis.task_options();
                assert_eq!(analysis.scope(), Scope::Groups);
                let (runs, groups, data) = Default::default();
                analysis.run(&Subject { runs, groups, data, stream, workers: &self.workers })?;
            }
            Kind::Format => {
                let format: &dyn Format = &guard;
                format.check(&self.registry, &mut problems);
                problems.into_result()?;
                format.import(Path::new("x"))?;
                format.export(&self.network(), Path::new("x"))?;
                // Asks for a run, so the export below it is what can be called here; see `a_run_is_forwarded`.
            }
        }
        Ok(())
    }
}

/// The methods that a trait declares, as its source says.
fn declared(source: &str, name: &str) -> BTreeSet<String> {
    let start = source.find(&format!("pub trait {name}")).expect("declared there");
    let body = &source[start..start + source[start..].find("\n}").expect("it ends")];
    let method = |line: &str| {
        let rest = line.trim_start().strip_prefix("fn ")?;
        Some(rest[..rest.find('(')?].to_string())
    };
    body.lines().filter_map(method).collect()
}

#[test]
fn every_method_is_forwarded() {
    let bench = Bench::new();
    let task = include_str!("../../task.rs");
    let cell = include_str!("../../cell.rs");
    let rule = include_str!("../../rule.rs");
    let traits = [
        (Kind::Task, vec![(task, "Task"), (task, "ClosedLoop")]),
        (Kind::Cell, vec![(cell, "Cell"), (cell, "Dynamics")]),
        (Kind::Curriculum, vec![(include_str!("../../curriculum.rs"), "Curriculum")]),
        (Kind::Rule, vec![(rule, "LearningRule"), (rule, "Learner")]),
        (Kind::Analysis, vec![(include_str!("../../analysis.rs"), "Analysis")]),
        (Kind::Format, vec![(include_str!("../../format.rs"), "Format")]),
    ];
    for (kind, sources) in traits {
        CALLS.take();
        bench.use_all(kind).expect("nothing throws");
        let seen: BTreeSet<String> = CALLS.take().into_iter().map(str::to_string).collect();
        let mut expected: BTreeSet<String> = sources.iter().flat_map(|(text, name)| declared(text, name)).collect();
        expected.remove("export_run");
        assert_eq!(seen, expected, "{kind}");
    }
}

/// The one method that needs a run.
#[test]
fn a_run_is_forwarded() {
    let bench = Bench::new();
    let experiment = crate::Experiment { device: "cpu".into(), ..crate::Experiment::default() };
    let mut experiment = experiment.resolve(&bench.registry).expect("stand-ins");
    experiment.training.updates = 1;
    experiment.training.batch = 2;
    let folder = tempfile::tempdir().expect("temporary folder");
    let dir = crate::run::RunDir::create(folder.path().join("run"), &experiment).expect("writable");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (registry, observer) = (&bench.registry, &crate::observer::Silent);
    let session =
        crate::trainer::Session { experiment: &experiment, registry, dir: &dir, threads: 1, observer, stop: &stop };
    session.train().expect("trains");
    let views = RunView::open(&dir, &bench.registry, &bench.workers).expect("a run");
    let format: &dyn Format = &bench.guard(Kind::Format);
    CALLS.take();
    format.export_run(&views[0], At::Last, Path::new("x")).expect("forwarded");
    assert_eq!(CALLS.take(), ["export_run"]);
    THROW.set(Some("export_run"));
    let error = format.export_run(&views[0], At::Last, Path::new("x")).expect_err("thrown").to_string();
    THROW.set(None);
    assert!(error.contains("export_run throws"), "{error}");
}

#[test]
fn whatever_throws_becomes_an_error_that_names_it() {
    let bench = Bench::new();
    std::panic::set_hook(Box::new(|_| ()));
    for kind in Kind::ALL {
        CALLS.take();
        bench.use_all(kind).expect("nothing throws");
        for method in CALLS.take() {
            THROW.set(Some(method));
            super::set_gradient_mode(true);
            let error = bench.use_all(kind).expect_err(method);
            assert!(super::gradient_mode(), "{method} leaves gradients off");
            THROW.set(None);
            let text = error.to_string();
            let named = format!("{kind} 'double' of synfire panicked: {method} throws (in {method})");
            assert!(text.starts_with(&named), "{text}");
        }
    }
    let _ = std::panic::take_hook();
}

#[test]
fn what_panicked_is_not_used_again() {
    let bench = Bench::new();
    let guard = bench.guard(Kind::Task);
    let task: &dyn Task = &guard;
    THROW.set(Some("trials"));
    let first = task.trials(&bench.lesson, 1, &mut Stream::new(1)).expect_err("throws").to_string();
    THROW.set(None);
    CALLS.take();
    let second = task.trials(&bench.lesson, 1, &mut Stream::new(1)).expect_err("not asked any more");
    assert_eq!(second.to_string(), first);
    assert!(matches!(second, Error::Panicked { .. }) && CALLS.take().is_empty());
}

/// Throws when it goes, and when it is printed.
struct Rude;

impl std::fmt::Debug for Rude {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("not to be looked at")
    }
}

impl Drop for Rude {
    fn drop(&mut self) {
        panic!("not to be dropped")
    }
}

#[test]
fn what_is_dropped_or_printed_may_throw_too() {
    let guard = Guard::new(Kind::Task, "rude", Rude);
    let mut text = String::new();
    assert!(std::fmt::write(&mut text, format_args!("{guard:?}")).is_err());
    drop(guard);
}

#[test]
fn it_is_written_as_what_it_guards() {
    let guard = testing::registry().expect("no duplicates");
    let task = guard.build(&crate::Spec::<dyn Task>::new("n-parity"), "task").expect("a stand-in");
    assert_eq!(serde_json::to_string(&task).expect("writes"), r#"{"type":"conformance-task"}"#);
}
