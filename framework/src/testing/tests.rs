//! The kit notices what it is there to notice: each component here breaks one promise.

use super::reference::AnyTask;
use super::{check, registry};
use crate::analysis::{Analysis, Findings, Scope};
use crate::cell::{BuildContext, Cell, Clock, Dynamics, Form, Setting};
use crate::curriculum::{Curriculum, History, LessonContext, Step};
use crate::format::{Format, Imported};
use crate::network::Readout;
use crate::recurrence::{Activation, LEAK, Placement, RECURRENT, RateForm};
use crate::rollout::Rollout;
use crate::rule::{Learner, LearningRule, StepReport};
use crate::subject::Subject;
use crate::task::{Scores, Task, TaskSpec, Trials};
use crate::{Component, Lesson, Network, Properties, Property, Registry, Result, Spec, Stream, Tensors};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use tch::Tensor;

/// Declares the options of a component that breaks a promise.
macro_rules! faulty {
    ($($name:ident)*) => {$(
        /// A component of the tests, which breaks a promise.
        ///
        /// Source: none.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        struct $name {}
    )*};
}

faulty! { SameTrials Unfair Unlike Fickle Forgetful Counting Credulous }

/// What the kit says about one component.
fn said(component: &'static Component) -> Vec<String> {
    let mut registry = registry().expect("no duplicates");
    registry.add(component).expect("a name of its own");
    let failures = check(&registry, |other| std::ptr::eq(other, component));
    failures.into_iter().map(|failure| failure.problem).collect()
}

fn only(component: &'static Component, part: &str) {
    let said = said(component);
    assert!(said.iter().any(|problem| problem.contains(part)), "no '{part}' in {said:?}");
}

#[typetag::serde(name = "same-trials")]
impl Task for SameTrials {
    fn spec(&self) -> TaskSpec {
        AnyTask {}.spec()
    }
    fn trials(&self, lesson: &Lesson, batch: usize, _: &mut Stream) -> Result<Trials> {
        AnyTask {}.trials(lesson, batch, &mut Stream::new(0))
    }
}

#[test]
fn trials_that_ignore_their_stream() {
    static COMPONENT: Component = Component::task::<SameTrials>("same-trials");
    only(&COMPONENT, "another seed gives the same trials");
}

#[typetag::serde(name = "unfair")]
impl Task for Unfair {
    fn spec(&self) -> TaskSpec {
        AnyTask {}.spec()
    }
    fn trials(&self, lesson: &Lesson, batch: usize, stream: &mut Stream) -> Result<Trials> {
        AnyTask {}.trials(lesson, batch, stream)
    }
    fn score(&self, trials: &Trials, outputs: &[Tensor]) -> Result<Scores> {
        // A mean over the rows at hand does not add up over blocks of rows; and its gradient is cut off.
        let scores = AnyTask {}.score(trials, outputs)?;
        let rows = trials.batch() as f64;
        Ok(Scores { loss: scores.loss / rows + outputs[0].detach().abs().sum(tch::Kind::Double), heads: scores.heads })
    }
}

#[test]
fn scores_that_do_not_add_up_and_gradients_that_are_wrong() {
    static COMPONENT: Component = Component::task::<Unfair>("unfair");
    only(&COMPONENT, "scores of rows: ");
    only(&COMPONENT, "gradient of the score: ");
}

#[typetag::serde(name = "unlike")]
impl Cell for Unlike {
    fn provides(&self, _: &Registry) -> Properties {
        Properties::from([Property::Gradient, Property::AdditiveDrive, Property::RateForm, Property::LinearReadout])
    }
    fn build(&self, context: &BuildContext, stream: &Stream) -> Result<Network> {
        let inputs = context.task.inputs.len() as i64;
        let draw = |name: &str, shape: &[i64]| stream.child(name).normal_tensor(shape, context.kind, context.device);
        let parameters = Tensors::from([("input", draw("input", &[6, inputs])), ("weight", draw("weight", &[6, 6]))]);
        Ok(Network { parameters, dynamics: Box::new(Self {}), readout: Readout::new(context.task.outputs) })
    }
}

impl Dynamics for Unlike {
    fn units(&self) -> usize {
        6
    }
    fn prepare(&self, parameters: &Tensors, _: &Setting) -> Result<Tensors> {
        let weight = parameters.get("weight")?;
        let leak = Tensor::f_full([1], 0.5, (weight.kind(), weight.device()))?;
        let input = parameters.get("input")?.shallow_clone();
        Ok(Tensors::from([(RECURRENT, weight.shallow_clone()), (LEAK, leak), ("input", input)]))
    }
    fn initial_state(&self, prepared: &Tensors, batch: usize, _: &mut Stream) -> Result<Tensors> {
        let like = prepared.get(RECURRENT)?;
        Ok(Tensors::from([("rate", Tensor::f_zeros([batch as i64, 6], (like.kind(), like.device()))?)]))
    }
    fn project(&self, prepared: &Tensors, inputs: &Tensor) -> Result<Tensor> {
        Ok(inputs.f_matmul(&prepared.get("input")?.f_transpose(0, 1)?)?)
    }
    fn step(&self, _: &Clock, prepared: &Tensors, state: &Tensors, x: &Tensor, _: Option<&Tensor>) -> Result<Tensors> {
        // Not the form that it claims, rows see each other, and a drive goes nowhere.
        let rate = state.get("rate")?;
        let input = x.f_addmm(rate, &prepared.get(RECURRENT)?.f_transpose(0, 1)?)?;
        let mean = input.mean_dim(0i64, true, input.kind());
        Ok(Tensors::from([("rate", (input + mean).f_relu()?)]))
    }
    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        Ok(state.get("rate")?.shallow_clone())
    }
    fn form(&self, _: &Setting) -> Form {
        let (placement, activation, state) = (Placement::Drive, Activation::Tanh, "rate".to_string());
        Form::Rate(RateForm { placement, activation, state, linear_input: false, mixing: None, reads_state: false })
    }
}

#[test]
fn a_step_that_is_not_what_the_form_says() {
    static COMPONENT: Component = Component::cell::<Unlike>("unlike");
    only(&COMPONENT, "the fast path differs from step by step");
    only(&COMPONENT, "a drive changes nothing");
    only(&COMPONENT, "the fast path's gradient");
}

static ASKED: AtomicU64 = AtomicU64::new(0);

#[typetag::serde(name = "fickle")]
impl Curriculum for Fickle {
    fn next(&self, _: &History, _: &TaskSpec, _: &LessonContext) -> Result<Step> {
        let level = ASKED.fetch_add(1, Ordering::Relaxed) as usize % 3;
        Ok(Step::Lesson(Lesson::with_levels([(level, 0)])))
    }
}

#[test]
fn a_curriculum_with_a_memory_of_its_own() {
    static COMPONENT: Component = Component::curriculum::<Fickle>("fickle");
    only(&COMPONENT, "it decides differently when asked twice");
    only(&COMPONENT, "below the lowest");
}

#[typetag::serde(name = "forgetful")]
impl LearningRule for Forgetful {
    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::Gradient])
    }
    fn start(&self, _: &mut Network, _: &BuildContext, _: &Stream) -> Result<Box<dyn Learner>> {
        Ok(Box::new(Fading(1.0)))
    }
}

/// Steps that shrink from update to update, which is not saved.
struct Fading(f64);

impl Learner for Fading {
    fn update(&mut self, network: &mut Network, trials: Trials, rollout: &Rollout) -> Result<StepReport> {
        let found = rollout.gradient(network, &trials, None, |_| true)?;
        self.0 *= 0.5;
        for (name, gradient) in found.gradients.iter() {
            let changed =
                tch::no_grad(|| network.parameters.get(name)?.f_sub(&(gradient * self.0)).map_err(crate::Error::from))?;
            network.parameters.insert(name, changed);
        }
        Ok(StepReport { loss: found.loss, accuracy: None, gradient_norm: None })
    }
    fn state(&self) -> Result<Tensors> {
        Ok(Tensors::from([("nothing", Tensor::from(0.0f32))]))
    }
    fn restore(&mut self, _: Tensors) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_rule_that_does_not_save_all_it_keeps() {
    static COMPONENT: Component = Component::rule::<Forgetful>("forgetful");
    only(&COMPONENT, "differs between one go and a resumed run");
}

#[typetag::serde(name = "counting")]
impl Analysis for Counting {
    fn scope(&self) -> Scope {
        Scope::Run
    }
    fn run(&self, subject: &Subject) -> Result<Findings> {
        let mut findings = Findings::new();
        findings.value("threads", subject.workers.threads());
        Ok(findings)
    }
}

#[test]
fn findings_that_depend_on_the_threads() {
    static COMPONENT: Component = Component::analysis::<Counting>("counting");
    only(&COMPONENT, "something else on other threads");
}

#[typetag::serde(name = "credulous")]
impl Format for Credulous {
    fn import(&self, _: &Path) -> Result<Imported> {
        Ok(Imported::default())
    }
    fn export(&self, _: &Network, _: &Path) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_format_that_reads_anything() {
    static COMPONENT: Component = Component::format::<Credulous>("credulous");
    only(&COMPONENT, "it reads a file that is missing");
    only(&COMPONENT, "it names a file that it did not write");
}

#[test]
fn parts_that_nothing_goes_with_are_a_failure_and_no_silence() {
    let registry = registry().expect("no duplicates");
    let error = super::training::experiment_with(&registry, crate::Kind::Rule, "nowhere").expect_err("unknown");
    assert!(error.to_string().contains("nowhere"), "{error}");
    let spec: Spec<dyn Task> = super::small(&registry, "n-parity");
    assert_eq!(spec.name, "n-parity");
}
