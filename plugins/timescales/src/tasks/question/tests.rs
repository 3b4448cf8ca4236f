use super::super::{DelayedMatch, NParity};
use super::*;
use std::collections::BTreeSet;
use synfire::tch::Kind;
use synfire::tensors::values_f64;
use synfire::{Registry, Spec, Task};

fn build(name: &str, options: serde_json::Value) -> Result<Box<dyn Task>> {
    Registry::linked()?.build(&Spec::<dyn Task>::with(name, &options), "task")
}

/// Where and what is asked, as bytes of the batch.
fn content(trials: &Trials) -> (Vec<f64>, Vec<Vec<f64>>) {
    (values_f64(&trials.inputs), trials.targets.iter().map(|target| values_f64(&target.values)).collect())
}

#[test]
fn each_batch_draws_its_steps_and_says_them() {
    let task = build("n-parity", serde_json::json!({ "repeat": [2, 3, 5] })).unwrap();
    let mut counts = BTreeMap::new();
    let mut stream = Stream::new(9);
    for _ in 0..3000 {
        let trials = task.trials(&Lesson::default(), 2, &mut stream).unwrap();
        let steps = trials.substeps.unwrap();
        // N = 2: 4 ..= 9 symbols.
        assert!(trials.time() % steps == 0 && (4..=9).contains(&(trials.time() / steps)));
        let symbols = values_f64(&trials.inputs);
        assert!(symbols.chunks(2 * steps).all(|shown| shown.chunks(2).all(|step| step == &shown[..2])));
        *counts.entry(steps).or_insert(0usize) += 1;
    }
    assert_eq!(counts.keys().copied().collect::<BTreeSet<_>>(), [2, 3, 5].into());
    // 1000 each; five standard deviations are 129.
    assert!(counts.values().all(|count| count.abs_diff(1000) < 129), "{counts:?}");
}

#[test]
fn the_same_stream_shows_the_same_symbols_however_long() {
    let lesson = Lesson::with_levels([(3, 0), (4, 1)]);
    let bits = |trials: &Trials| {
        let (inputs, targets) = content(trials);
        let kept = inputs.chunks(6).step_by(trials.substeps.unwrap()).flatten().copied();
        (kept.collect::<Vec<_>>(), targets)
    };
    for name in ["n-parity", "delayed-match"] {
        let draw =
            |options, lesson: &Lesson| build(name, options).unwrap().trials(lesson, 6, &mut Stream::new(21)).unwrap();
        let once = draw(serde_json::json!({}), &lesson);
        assert_eq!(once.substeps, Some(1));
        for repeat in [serde_json::json!(7), serde_json::json!([7]), serde_json::json!([4, 7, 11])] {
            assert_eq!(bits(&draw(serde_json::json!({ "repeat": repeat }), &lesson)), bits(&once));
        }
        let mut scheduled = lesson.clone();
        scheduled.schedule.insert("repeat".into(), 20.0);
        let longer = draw(serde_json::json!({ "repeat": [7, 8] }), &scheduled);
        assert_eq!(longer.substeps, Some(20));
        assert_eq!(bits(&longer), bits(&once));
        for nonsense in [0.0, 2.5, f64::NAN, 1e9] {
            scheduled.schedule.insert("repeat".into(), nonsense);
            let error = build(name, serde_json::json!({})).unwrap().trials(&scheduled, 1, &mut Stream::new(1));
            assert!(error.unwrap_err().to_string().contains("must be a whole number from 1 to 65536"));
        }
    }
}

#[test]
fn running_answers_count_after_the_warm_up() {
    let options = serde_json::json!({ "rate": 0.5, "answer": "every-step", "length": 1100, "warm_up": 100 });
    let lesson = Lesson::with_levels([(2, 0), (30, 1), (101, 2), (150, 3)]);
    for name in ["n-parity", "delayed-match"] {
        let trials = build(name, options.clone()).unwrap().trials(&lesson, 3, &mut Stream::new(2)).unwrap();
        assert_eq!(trials.time(), 1100);
        for (target, from) in trials.targets.iter().zip([100, 100, 100, 149]) {
            let weight = target.weight.as_ref().unwrap().sum_dim_intlist(1i64, false, Kind::Double);
            let expected: Vec<f64> = (0..1100).map(|step| if step < from { 0.0 } else { 3.0 }).collect();
            assert_eq!(values_f64(&weight), expected, "level {:?}", target.level);
            assert_eq!(target.total, f64::from(3 * (1100 - from)));
        }
    }
    // Where lengths are drawn, the warm-up comes before what is drawn.
    let task = NParity { answer: Answer::EveryStep, warm_up: 50, ..NParity::default() };
    let plain = NParity { answer: Answer::EveryStep, ..NParity::default() };
    let time = |task: &NParity| task.trials(&Lesson::default(), 1, &mut Stream::new(4)).unwrap().time();
    assert_eq!(time(&task), time(&plain) + 50);
}

#[test]
fn nonsense_is_refused_with_its_place() {
    for (options, expected) in [
        (serde_json::json!({ "repeat": [7, 0, 65537] }), "task.repeat.1 is 0, must be from 1 to 65536"),
        (serde_json::json!({ "repeat": [7, 0, 65537] }), "task.repeat.2 is 65537"),
        (serde_json::json!({ "repeat": [] }), "task.repeat is an empty list"),
        (serde_json::json!({ "repeat": "often" }), "expected a number of steps or a list of them"),
        (serde_json::json!({ "warm_up": 5 }), "task.warm_up is 5, must be 0 unless answer = \"every-step\""),
        (
            serde_json::json!({ "warm_up": 40, "length": 40, "answer": "every-step" }),
            "task.warm_up is 40, must be below length = 40",
        ),
        (serde_json::json!({ "length": 1 }), "task.length is 1, must be from 2"),
    ] {
        for name in ["n-parity", "delayed-match"] {
            let message = build(name, options.clone()).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
    let short = DelayedMatch { length: Some(10), ..DelayedMatch::default() };
    let error = short.trials(&Lesson::with_levels([(12, 0)]), 1, &mut Stream::new(1)).unwrap_err().to_string();
    assert!(error.starts_with("task.length is 10 symbols, fewer than the N = 12"), "{error}");
}
