//! Objectives by hand, and in one pass against autograd.

use super::*;

fn classified(time: i64) -> Trials {
    let inputs = Tensor::zeros([time, 4, 1], (Kind::Double, tch::Device::Cpu));
    let classes = Tensor::from_slice(&[0i64, 1, 1, 0]);
    let targets = vec![Target::new(0, Some(2), Answer::FinalStep, classes, None)];
    Trials { inputs, targets, ..Trials::default() }
}

#[test]
fn scores_of_rows_add_up_to_the_score_of_the_batch() {
    let objective = Objective::classify(Answer::FinalStep);
    let trials = classified(3);
    let output = Tensor::from_slice(&[2.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.5, 0.2]).reshape([4, 2]);
    let whole = objective.score(&trials, &[output.shallow_clone()]).expect("fits");
    let parts = [0..1, 1..4].map(|rows: std::ops::Range<usize>| {
        let output = output.narrow(0, rows.start as i64, rows.len() as i64);
        objective.score(&trials.rows(rows), &[output]).expect("fits")
    });
    let sum: f64 = parts.iter().map(|p| p.loss.double_value(&[])).sum();
    assert!((sum - whole.loss.double_value(&[])).abs() < 1e-15);
    // by hand: -ln softmax of (2,0)->0, (0,1)->1, (1,0)->1, (0.5,0.2)->0
    let by_hand = [2.0f64, 1.0, -1.0, 0.3].map(|gap| (1.0 + (-gap).exp()).ln()).iter().sum::<f64>() / 4.0;
    assert!((sum - by_hand).abs() < 1e-12, "{sum} {by_hand}");
    let accuracy = whole.heads[0].accuracy.as_ref().expect("classes").double_value(&[]);
    assert!((accuracy - 0.75).abs() < 1e-15);
}

#[test]
fn masked_regression_counts_weighted_steps_only() {
    let objective = Objective::regress(Some(0.1));
    let inputs = Tensor::zeros([2, 1, 1], (Kind::Double, tch::Device::Cpu));
    let values = Tensor::from_slice(&[1.0, 1.0]).reshape([2, 1, 1]);
    let weight = Tensor::from_slice(&[0.0, 1.0]).reshape([2, 1]);
    let targets = vec![Target::new(0, None, Answer::EveryStep, values, Some(weight))];
    let trials = Trials { inputs, targets, answer: Answer::EveryStep, ..Trials::default() };
    let output = Tensor::from_slice(&[9.0, 0.5]).reshape([2, 1, 1]);
    let scores = objective.score(&trials, &[output.shallow_clone()]).expect("fits");
    assert!((scores.loss.double_value(&[]) - 0.25).abs() < 1e-15);
    assert!((objective.errors(&trials, &[output]).expect("fits").double_value(&[0]) - 0.25).abs() < 1e-12);
    let wrong = objective.score(&trials, &[Tensor::zeros([2, 1, 3], (Kind::Double, tch::Device::Cpu))]);
    assert!(wrong.expect_err("three outputs for one").to_string().contains("output of head 0"));
}

#[test]
fn the_logistic_of_an_output_is_compared_and_its_signal_is_the_inverse() {
    let objective = Objective { loss: Loss::LogisticSquaredError, answer: Answer::EveryStep, tolerance: None };
    let inputs = Tensor::zeros([1, 1, 1], (Kind::Double, tch::Device::Cpu));
    let values = Tensor::from_slice(&[0.85, 0.05]).reshape([1, 1, 2]);
    let targets = vec![Target::new(0, None, Answer::EveryStep, values, None)];
    let trials = Trials { inputs, targets, answer: Answer::EveryStep, ..Trials::default() };
    let (signal, _) = objective.signal(&trials, &trials.targets[0], 2);
    assert!((signal.double_value(&[0, 0, 0]) - (0.85f64 / 0.15).ln()).abs() < 1e-12);
    let perfect = objective.score(&trials, &[signal]).expect("fits");
    assert!(perfect.loss.double_value(&[]) < 1e-30 && perfect.heads[0].accuracy.is_none());
    let zero = objective.score(&trials, &[Tensor::zeros([1, 1, 2], (Kind::Double, tch::Device::Cpu))]);
    // (0.35^2 + 0.45^2) / 2
    assert!((zero.expect("fits").loss.double_value(&[]) - 0.1625).abs() < 1e-12);
}

#[test]
fn classes_at_the_final_step_become_a_signal_there() {
    let objective = Objective::classify(Answer::FinalStep);
    let trials = classified(3);
    let (signal, weight) = objective.signal(&trials, &trials.targets[0], 2);
    assert_eq!(signal.size(), [3, 4, 2]);
    assert_eq!(signal.double_value(&[2, 1, 1]), 1.0);
    assert_eq!(signal.double_value(&[2, 1, 0]), -1.0);
    assert_eq!(weight.sum(Kind::Double).double_value(&[]), 4.0);
    assert_eq!(weight.double_value(&[1, 0]), 0.0);
}

/// Every loss in one pass against the same loss op by op under autograd, with and without weights, on numbers that lie apart.
#[test]
fn one_pass_gives_what_autograd_gives() {
    let (time, batch, outputs) = (5i64, 7i64, 3i64);
    let mut stream = crate::Stream::new(3).child("outputs");
    for kind in [Kind::Double, Kind::Float] {
        let mut normals = |shape: &[i64]| stream.normal_tensor(shape, kind, tch::Device::Cpu) * 2.0;
        // the rows of a block lie apart, as those of a batch do
        let leaf = normals(&[time, batch + 2, outputs]).set_requires_grad(true);
        let output = leaf.narrow(1, 1, batch);
        let weight = normals(&[time, batch + 2]).abs().narrow(1, 2, batch);
        let values = normals(&[time, batch, outputs]);
        let classes = values.argmax(-1, false);
        for loss in [Loss::CrossEntropy, Loss::SquaredError, Loss::LogisticSquaredError, Loss::BinaryCrossEntropy] {
            let values = match loss {
                Loss::CrossEntropy => classes.shallow_clone(),
                Loss::SquaredError => values.shallow_clone(),
                Loss::LogisticSquaredError => values.sigmoid(),
                Loss::BinaryCrossEntropy => values.gt(0.0).to_kind(kind),
            };
            for weight in [None, Some(weight.shallow_clone())] {
                // so wide that some are right and some are not
                let tolerance = Some(if loss == Loss::SquaredError { 3.0 } else { 0.5 });
                let objective = Objective { loss, answer: Answer::EveryStep, tolerance };
                let target = Target::new(0, None, Answer::EveryStep, values.shallow_clone(), weight);
                let (found, right) = objective.judge(&target, &output).expect("fits");
                let slope = |loss: Tensor| Tensor::run_backward(&[loss], &[&leaf], false, false).remove(0);
                let expected = weighted(&objective.entries(&target, &output), &target);
                let accuracy = objective.correct(&target, &output).map(|correct| weighted(&correct, &target));
                let number = |t: &Tensor| t.detach().double_value(&[]);
                // Sums of some hundred numbers, added in another order.
                let tolerance = if kind == Kind::Double { 1e-13 } else { 1e-5 };
                let (a, b) = (number(&found), number(&expected));
                assert!((a - b).abs() < tolerance * b.abs(), "{loss:?} {kind:?}: {a} {b}");
                let (a, b) = (number(&right.expect("judged")), number(&accuracy.expect("judged")));
                assert!((a - b).abs() < tolerance && (0.05..0.95).contains(&b), "{loss:?} {kind:?}: {a} {b}");
                // A loss that is scaled on its way is differentiated as such.
                let (a, b) = (slope(&found * 3.0), slope(expected * 3.0));
                let off = (&a - &b).abs().max().double_value(&[]);
                assert!(off < tolerance * b.abs().max().double_value(&[]), "{loss:?} {kind:?}: {off}");
            }
        }
    }
}

#[test]
fn a_class_that_is_no_output_is_an_error_and_what_is_not_a_number_shows() {
    let objective = Objective::classify(Answer::FinalStep);
    let mut trials = classified(3);
    let output = Tensor::from_slice(&[f64::NAN, 0.0, 0.0, 1.0, 1.0, 0.0, 0.5, 0.2]).reshape([4, 2]);
    let scores = objective.score(&trials, &[output.shallow_clone()]).expect("fits");
    assert!(scores.loss.double_value(&[]).is_nan());
    trials.targets[0].values = Tensor::from_slice(&[0i64, 1, 2, 0]);
    let wrong = objective.score(&trials, &[output]).expect_err("of two outputs");
    assert!(wrong.to_string().contains("class 2 of a head with 2 outputs"), "{wrong}");
}
