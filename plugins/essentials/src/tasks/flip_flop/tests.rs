use super::*;
use synfire::tensors::values_f64;

fn draw(task: &FlipFlop, lesson: &Lesson) -> Trials {
    task.trials(lesson, 50, &mut Stream::new(1)).expect("in range")
}

#[test]
fn targets_follow_from_the_inputs_alone() {
    for pulse_ms in [10.0, 30.0] {
        let trials = draw(&FlipFlop { pulse_ms, ..FlipFlop::default() }, &Lesson::default());
        assert_eq!(trials.inputs.size(), [100, 50, 3]);
        let (inputs, targets) = (values_f64(&trials.inputs), values_f64(&trials.targets[0].values));
        let weight = values_f64(trials.targets[0].weight.as_ref().expect("masked"));
        for row in 0..50 {
            let mut held = [0.0; 3];
            for t in 0..100 {
                for (bit, held) in held.iter_mut().enumerate() {
                    let i = (t * 50 + row) * 3 + bit;
                    if inputs[i] != 0.0 {
                        *held = inputs[i];
                    }
                    assert_eq!(targets[i], *held);
                }
                let begun = held.iter().any(|h| *h != 0.0);
                assert_eq!(weight[t * 50 + row], f64::from(u8::from(begun)));
            }
        }
    }
}

#[test]
fn pulses_come_at_their_rate_also_with_a_coarser_step() {
    for dt_ms in [None, Some(20.0)] {
        let trials = draw(&FlipFlop::default(), &Lesson { dt_ms, ..Lesson::default() });
        let mean = trials.conditions["pulses"].iter().sum::<f64>() / 50.0;
        // 3 channels, 5 Hz, 1 s: 15 pulses expected; four standard errors of a mean over 50 trials
        assert!((mean - 15.0).abs() < 4.0 * (15.0f64 / 50.0).sqrt(), "{mean}");
        assert_eq!(trials.time(), if dt_ms.is_some() { 50 } else { 100 });
    }
}

#[test]
fn without_pulses_nothing_is_asked_and_with_one_at_the_start_everything() {
    let silent = draw(&FlipFlop { pulse_rate_hz: 0.0, ..FlipFlop::default() }, &Lesson::default());
    assert_eq!(silent.targets[0].total, 0.0);
    let outputs = silent.targets[0].values.ones_like();
    let loss = FlipFlop::default().score(&silent, &[outputs]).expect("fits").loss.double_value(&[]);
    assert_eq!(loss, 0.0);
    let started = FlipFlop { pulse_at_start: true, ..FlipFlop::default() };
    assert_eq!(draw(&started, &Lesson::default()).targets[0].total, 5000.0);
}

/// The variant of McMahan, Kleinman & Kao.
fn noisy() -> FlipFlop {
    FlipFlop {
        dt_ms: 1.0,
        duration_ms: 200.0,
        pulses: Some(3),
        pulse_ms: 25.0,
        overlap: Overlap::Add,
        noise_std: 0.1,
        judge_silence: true,
        ..FlipFlop::default()
    }
}

#[test]
fn a_given_number_of_pulses_adds_up_under_noise() {
    let silent = draw(&FlipFlop { noise_std: 0.0, ..noisy() }, &Lesson::default());
    let loud = draw(&noisy(), &Lesson::default());
    assert!(silent.conditions["pulses"].iter().all(|count| *count == 9.0));
    assert_eq!(values_f64(&silent.targets[0].values), values_f64(&loud.targets[0].values), "noise changes no pulse");
    let noise = (&loud.inputs - &silent.inputs).to_kind(Kind::Double);
    // 30000 numbers: the standard deviation is good to 0.4 %, four of them
    let spread = noise.std(false).double_value(&[]);
    assert!((spread / 0.1 - 1.0).abs() < 0.017, "{spread}");
    let (inputs, targets) = (values_f64(&silent.inputs), values_f64(&silent.targets[0].values));
    let mut overlapping = 0;
    for channel in 0..150 {
        let at = |values: &[f64], t: usize| values[t * 150 + channel];
        // Every pulse is whole: the sum over time is 25 times the sum of three signs.
        let sum: f64 = (0..200).map(|t| at(&inputs, t)).sum();
        assert!([-75.0, -25.0, 25.0, 75.0].contains(&sum), "{sum}");
        overlapping += usize::from((0..200).any(|t| at(&inputs, t).abs() > 1.0));
        let first = (0..200).find(|t| at(&targets, *t) != 0.0).expect("a pulse");
        assert!((0..first).all(|t| at(&inputs, t) == 0.0));
    }
    assert!(overlapping > 0);
    assert_eq!(silent.targets[0].total, 10_000.0, "also silence is judged");
}

#[test]
fn the_logistic_loss_is_that_of_hand() {
    let task = FlipFlop { loss: FlipFlopLoss::Logistic, bits: 1, pulse_at_start: true, ..FlipFlop::default() };
    let trials = task.trials(&Lesson::default(), 2, &mut Stream::new(3)).expect("in range");
    let outputs = [&trials.targets[0].values * 2.0];
    let expected = (-2.0f64).exp().ln_1p();
    let loss = task.score(&trials, &outputs).expect("fits").loss.double_value(&[]);
    assert!((loss - expected).abs() < 1e-6, "{loss}");
    for error in values_f64(&task.errors(&trials, &outputs).expect("fits")) {
        assert!((error - expected).abs() < 1e-6, "{error}");
    }
    let squared = FlipFlop { loss: FlipFlopLoss::Squared, ..task };
    assert_eq!(squared.score(&trials, &outputs).expect("fits").loss.double_value(&[]), 1.0);
}

#[test]
fn a_trial_does_not_depend_on_the_size_of_the_batch() {
    let task = FlipFlop::default();
    let few = task.trials(&Lesson::default(), 3, &mut Stream::new(1)).expect("in range");
    let many = draw(&task, &Lesson::default());
    assert_eq!(values_f64(&few.inputs), values_f64(&many.inputs.narrow(1, 0, 3)));
}

#[test]
fn impossible_options_are_refused() {
    let mut problems = Problems::under("task");
    let task = FlipFlop { bits: 0, pulse_rate_hz: 101.0, ..FlipFlop::default() };
    task.check(&Registry::linked().expect("no duplicates"), &mut problems);
    let message = problems.into_result().expect_err("two problems").to_string();
    assert!(message.contains("task.bits is 0") && message.contains("task.pulse_rate_hz is 101"), "{message}");
    let mut problems = Problems::under("task");
    let task =
        FlipFlop { pulses: Some(2), pulse_at_start: true, pulse_ms: 2000.0, noise_std: -1.0, ..FlipFlop::default() };
    task.check(&Registry::linked().expect("no duplicates"), &mut problems);
    let message = problems.into_result().expect_err("three problems").to_string();
    for part in ["task.pulse_ms is 2000", "task.pulse_at_start cannot be combined", "task.noise_std is -1"] {
        assert!(message.contains(part), "{message}");
    }
    let coarse = Lesson { dt_ms: Some(500.0), ..Lesson::default() };
    let error = FlipFlop::default().trials(&coarse, 1, &mut Stream::new(1)).expect_err("too coarse");
    assert!(error.to_string().contains("more than one pulse"), "{error}");
    let levels = Lesson::with_levels([(2, 0)]);
    let error = FlipFlop::default().trials(&levels, 1, &mut Stream::new(1)).expect_err("no difficulty");
    assert!(error.to_string().contains("'flip-flop' has no difficulty"), "{error}");
}
