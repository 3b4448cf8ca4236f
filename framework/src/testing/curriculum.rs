//! Checks of curricula: a made-up history is fed to them.

use super::Findings;
use crate::curriculum::{Curriculum, Evaluation, HeadResult, History, LessonContext, LessonRecord, Step, UpdateRecord};
use crate::objective::{Answer, Objective};
use crate::registry::Slot;
use crate::task::{Difficulty, TaskSpec};
use crate::{Property, Registry, Spec, Stream};

/// A task that offers whatever a curriculum may ask.
fn spec() -> TaskSpec {
    let difficulty = Difficulty { name: "N".into(), lowest: 2, highest: None, default: 2, several_at_once: true };
    TaskSpec {
        inputs: vec!["input".into()],
        outputs: 2,
        objective: Objective::classify(Answer::FinalStep),
        dt_ms: Some(10.0),
        difficulty: Some(difficulty),
        closed_loop: false,
    }
}

pub(super) fn check(registry: &Registry, findings: &mut Findings) {
    let named: Spec<dyn Curriculum> = Spec::new(findings.component.name);
    let Ok(curriculum) = registry.build(&named, "curriculum") else { return };
    for need in Slot::needs(&*curriculum, registry) {
        let possible = !matches!(need, Property::OpenLoop);
        findings.require(
            possible,
            format_args!("it needs {}, which says nothing about an order of learning", need.phrase()),
        );
    }
    let spec = spec();
    // Always right, never right, and right now and then.
    for pattern in [1, 0, 3u64] {
        let mut history = History::default();
        for round in 0..60u64 {
            let ask = |history: &History| {
                let stream = Stream::new(1).child("curriculum").at(history.updates).at(history.restarts);
                curriculum.next(history, &spec, &LessonContext { registry, stream })
            };
            let (Some(step), Some(again)) =
                (findings.value("next", ask(&history)), findings.value("next", ask(&history)))
            else {
                return;
            };
            findings.require(step == again, "it decides differently when asked twice about the same history");
            match step {
                Step::Stop { reason } => {
                    findings.require(!reason.is_empty(), "it stops without a reason");
                    findings.require(history.updates > 0, "it stops before the first update");
                    break;
                }
                Step::Restart { reason } => {
                    findings.require(!reason.is_empty(), "it restarts without a reason");
                    history.restarts += 1;
                }
                Step::Lesson(lesson) => {
                    for level in &lesson.levels {
                        findings.require(
                            level.level >= 2,
                            format_args!("it asks for level {} below the lowest", level.level),
                        );
                    }
                    if history.lesson() != Some(&lesson) {
                        history.lessons.push(LessonRecord { from: history.updates, lesson });
                    }
                }
            }
            grow(&mut history, &spec, pattern != 0 && round % pattern == 0, curriculum.memory(registry));
        }
    }
}

/// Ten updates and an evaluation of every active level.
fn grow(history: &mut History, spec: &TaskSpec, right: bool, memory: usize) {
    let accuracy = if right { 1.0 } else { 0.5 };
    let loss = if right { 1e-9 } else { 1.0 };
    for _ in 0..10 {
        history.updates += 1;
        history.recent.push_back(UpdateRecord { update: history.updates, loss, accuracy: Some(accuracy) });
        while history.recent.len() > memory {
            history.recent.pop_front();
        }
    }
    let levels = history.lesson().map(|lesson| lesson.levels_of(spec)).unwrap_or_default();
    let head = |l: &crate::curriculum::Level| HeadResult {
        head: l.head,
        level: Some(l.level),
        loss,
        accuracy: Some(accuracy),
    };
    history.evaluations.push(Evaluation {
        update: history.updates,
        lesson: history.lessons.len().saturating_sub(1),
        trials: 100,
        loss: loss * levels.len() as f64,
        accuracy: Some(accuracy),
        heads: levels.iter().map(head).collect(),
    });
}
