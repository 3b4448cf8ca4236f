//! Checks of tasks.

use super::Findings;
use crate::curriculum::Lesson;
use crate::objective::{Answer, Loss};
use crate::task::{Task, TaskSpec, Trials};
use crate::tensors::{bytes, values_f64};
use crate::{Registry, Result, Spec, Stream};
use tch::{Kind, Tensor};

const BATCH: usize = 6;

pub(super) fn check(registry: &Registry, findings: &mut Findings) {
    let spec: Spec<dyn Task> = Spec::new(findings.component.name);
    let Ok(task) = registry.build(&spec, "task") else { return };
    let about = task.spec();
    for lesson in lessons(&about) {
        let levels: Vec<usize> = lesson.levels.iter().map(|l| l.level).collect();
        let draw = |seed: u64| task.trials(&lesson, BATCH, &mut Stream::new(seed));
        let what = format!("trials at levels {levels:?}");
        let Some(trials) = findings.value(&what, draw(1)) else { continue };
        shapes(&about, &lesson, &trials, findings);
        same_bytes(&trials, draw(1), draw(2), findings);
        if about.closed_loop {
            findings.require(trials.rest.is_some(), "it says that it is closed-loop but its trials have no rest");
        }
        if let Some(problem) = rows_add_up(&*task, &about, &trials).unwrap_or_else(|e| Some(e.to_string())) {
            findings.fail(format_args!("scores of rows: {problem}"));
        }
        if let Some(problem) = gradient(&*task, &about, &trials).unwrap_or_else(|e| Some(e.to_string())) {
            findings.fail(format_args!("gradient of the score: {problem}"));
        }
        replay(&about, &trials, findings);
    }
}

/// The default lesson, the easiest level, and several levels at once where there are several.
fn lessons(spec: &TaskSpec) -> Vec<Lesson> {
    let mut lessons = vec![Lesson::default()];
    if let Some(difficulty) = &spec.difficulty {
        lessons.push(Lesson::with_levels([(difficulty.lowest, 0)]));
        if difficulty.several_at_once {
            lessons.push(Lesson::with_levels((0..3).map(|i| (difficulty.lowest + i, i))));
        }
    }
    lessons
}

fn shapes(spec: &TaskSpec, lesson: &Lesson, trials: &Trials, findings: &mut Findings) {
    let time = trials.time() as i64;
    let expected = [time, BATCH as i64, spec.inputs.len() as i64];
    let found = trials.inputs.size();
    findings.require(found == expected, format_args!("inputs have shape {found:?}, expected {expected:?}"));
    findings.require(time > 0, "trials have no steps");
    let finite = |t: &Tensor| t.numel() == 0 || t.isfinite().all().int64_value(&[]) == 1;
    findings.require(finite(&trials.inputs), "inputs are not finite");
    if let Some(settle) = &trials.settle {
        let (found, rest) = (settle.size(), &expected[1..]);
        findings.require(found.len() == 3 && found[1..] == *rest, format_args!("settling has shape {found:?}"));
        findings.require(finite(settle), "settling is not finite");
    }
    findings.require(trials.answer == spec.objective.answer, "trials answer at other times than the objective says");
    let heads: Vec<usize> = trials.targets.iter().map(|t| t.head).collect();
    let levels = lesson.levels_of(spec).len().max(1);
    findings.require(heads.len() == levels, format_args!("{} targets for {levels} levels", heads.len()));
    for target in &trials.targets {
        let mut expected = match trials.answer {
            Answer::FinalStep => vec![BATCH as i64],
            Answer::EveryStep => vec![time, BATCH as i64],
        };
        if let Some(weight) = &target.weight {
            findings.require(weight.size() == expected, format_args!("weight has shape {:?}", weight.size()));
            findings.require(
                finite(weight) && weight.lt(0.0).any().int64_value(&[]) == 0,
                "a weight is negative or not finite",
            );
        }
        if spec.objective.loss == Loss::CrossEntropy {
            let range = target.values.ge(0).logical_and(&target.values.lt(spec.outputs as i64));
            findings.require(target.values.kind() == Kind::Int64, "classes are not whole numbers");
            findings.require(range.all().int64_value(&[]) == 1, "a class is out of range");
        } else {
            expected.push(spec.outputs as i64);
        }
        let found = target.values.size();
        findings.require(found == expected, format_args!("target has shape {found:?}, expected {expected:?}"));
        findings.require(finite(&target.values.to_kind(Kind::Double)), "a target is not finite");
    }
    for period in &trials.periods {
        let inside = period.steps.start <= period.steps.end && period.steps.end as i64 <= time;
        findings.require(inside, format_args!("period '{}' lies outside the trial", period.name));
    }
    for (name, column) in &trials.conditions {
        findings.require(column.len() == BATCH, format_args!("condition '{name}' has {} rows", column.len()));
    }
}

/// All bytes of the trials, one after another.
fn all_bytes(trials: &Trials) -> Vec<u8> {
    let mut all = bytes(&trials.inputs);
    for target in &trials.targets {
        all.extend(bytes(&target.values));
        all.extend(target.weight.as_ref().map(bytes).unwrap_or_default());
    }
    all.extend(trials.settle.as_ref().map(bytes).unwrap_or_default());
    all.extend(trials.hints.as_ref().map(bytes).unwrap_or_default());
    all.extend(format!("{:?}{:?}", trials.conditions, trials.rest).into_bytes());
    all
}

fn same_bytes(trials: &Trials, again: Result<Trials>, other: Result<Trials>, findings: &mut Findings) {
    if let Some(again) = findings.value("trials once more", again) {
        findings.require(all_bytes(trials) == all_bytes(&again), "the same stream gives other trials");
    }
    // A task whose trials are all the same has nothing to draw.
    let one = |row: usize| all_bytes(&trials.rows(row..row + 1));
    let fixed = trials.rest.is_none() && (1..BATCH).all(|row| one(row) == one(0));
    if let Some(other) = findings.value("trials of another seed", other).filter(|_| !fixed) {
        findings.require(all_bytes(trials) != all_bytes(&other), "another seed gives the same trials");
    }
}

/// Outputs that stand for a network's: any numbers will do.
fn outputs(spec: &TaskSpec, trials: &Trials) -> Vec<Tensor> {
    let mut stream = Stream::new(5);
    let rows = trials.batch() as i64;
    let shape = match trials.answer {
        Answer::FinalStep => vec![rows, spec.outputs as i64],
        Answer::EveryStep => vec![trials.time() as i64, rows, spec.outputs as i64],
    };
    let draw = |_: &_| stream.normal_tensor(&shape, Kind::Double, tch::Device::Cpu);
    trials.targets.iter().map(draw).collect()
}

fn rows_add_up(task: &dyn Task, spec: &TaskSpec, trials: &Trials) -> Result<Option<String>> {
    let plain = Trials { rest: None, ..trials.rows(0..BATCH) }.to(tch::Device::Cpu, Kind::Double);
    let outputs = outputs(spec, &plain);
    let whole = task.score(&plain, &outputs)?.loss.double_value(&[]);
    let axis = i64::from(plain.answer == Answer::EveryStep);
    let mut sum = 0.0;
    for rows in [0..2usize, 2..BATCH] {
        let part: Vec<Tensor> = outputs.iter().map(|o| o.narrow(axis, rows.start as i64, rows.len() as i64)).collect();
        sum += task.score(&plain.rows(rows), &part)?.loss.double_value(&[]);
    }
    let errors = task.errors(&plain, &outputs)?;
    if errors.size() != [BATCH as i64] {
        return Ok(Some(format!("errors per trial have shape {:?}", errors.size())));
    }
    // sums in another order differ in the last digits
    let close = (sum - whole).abs() <= 1e-9 * whole.abs().max(1.0);
    Ok((!close).then(|| format!("{sum} in parts, {whole} as a whole")))
}

/// The gradient of the loss with respect to the outputs, by autograd and by central differences at a few entries.
fn gradient(task: &dyn Task, spec: &TaskSpec, trials: &Trials) -> Result<Option<String>> {
    let plain = Trials { rest: None, ..trials.rows(0..BATCH) }.to(tch::Device::Cpu, Kind::Double);
    let outputs = outputs(spec, &plain);
    let loss = |outputs: &[Tensor]| -> Result<Tensor> { Ok(task.score(&plain, outputs)?.loss) };
    let leaves: Vec<Tensor> = outputs.iter().map(|o| o.copy().set_requires_grad(true)).collect();
    let whole = tch::with_grad(|| loss(&leaves))?;
    if !whole.requires_grad() {
        return Ok(Some("the loss does not depend on the outputs".into()));
    }
    let gradients = Tensor::f_run_backward(&[&whole], &leaves, false, false)?;
    for (head, gradient) in gradients.iter().enumerate() {
        if !gradient.defined() {
            return Ok(Some(format!("the loss does not depend on the outputs of head {head}")));
        }
        let exact = values_f64(gradient);
        for index in [0, exact.len() / 3, exact.len() - 1] {
            let h = 1e-5;
            let shifted = |by: f64| -> Result<f64> {
                let all: Vec<Tensor> = outputs.iter().map(Tensor::copy).collect();
                drop(all[head].view([-1]).get(index as i64).f_add_scalar_(by)?);
                Ok(loss(&all)?.double_value(&[]))
            };
            let numeric = (shifted(h)? - shifted(-h)?) / (2.0 * h);
            // central differences at h = 1e-5: truncation about h^2, rounding about 1e-16 / h
            if (numeric - exact[index]).abs() > 1e-6 * exact[index].abs().max(1.0) {
                let found = exact[index];
                return Ok(Some(format!("entry {index} of head {head}: {found}, central differences give {numeric}")));
            }
        }
    }
    Ok(None)
}

/// A closed loop that is begun twice and told the same must say the same.
fn replay(spec: &TaskSpec, trials: &Trials, findings: &mut Findings) {
    let Some(rest) = &trials.rest else { return };
    let play = || -> Result<Vec<f64>> {
        let mut rest = rest.begin(0..BATCH);
        let mut said = outputs(spec, &Trials { answer: Answer::EveryStep, ..trials.rows(0..BATCH) });
        let mut heard = Vec::new();
        while let Some(segment) = rest.next(&said)? {
            heard.extend(values_f64(&segment.inputs));
            let time = segment.inputs.size()[0];
            said = said.iter().map(|o| o.narrow(0, 0, 1).expand([time, -1, -1], false).contiguous()).collect();
            if heard.len() > 10_000_000 {
                break;
            }
        }
        Ok(heard)
    };
    let (first, second) = (play(), play());
    if let (Some(first), Some(second)) = (findings.value("closed loop", first), findings.value("closed loop", second)) {
        findings.require(first == second, "the closed loop begun twice says different things");
        findings.require(!first.is_empty(), "the closed loop has no second segment");
    }
}
