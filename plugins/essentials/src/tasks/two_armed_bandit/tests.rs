use super::*;
use synfire::tensors::values_f64;

/// Play all decisions of some trials with a policy: from the inputs of one row at the first step of a decision to an arm. Gives
/// the fraction of choices for the better arm, and all inputs.
fn play(trials: &Trials, policy: impl Fn(usize, &[f64], usize) -> usize) -> (f64, Vec<f64>) {
    let batch = trials.batch();
    let mut rest = trials.rest.as_ref().expect("closed loop").begin(0..batch);
    let mut before = vec![0; batch];
    let (mut right, mut asked, mut heard) = (0.0, 0.0, Vec::new());
    let (mut inputs, mut better) = (trials.inputs.shallow_clone(), trials.targets[0].values.shallow_clone());
    for decision in 0.. {
        let shown = values_f64(&inputs);
        for (row, arm) in before.iter_mut().enumerate() {
            *arm = policy(decision, &shown[row * CHANNELS..][..CHANNELS], *arm);
        }
        heard.extend(shown);
        let time = inputs.size()[0];
        let classes = values_f64(&better.select(0, time - 1));
        right += before.iter().zip(&classes).filter(|(arm, class)| **arm as f64 == **class).count() as f64;
        asked += batch as f64;
        let arms = Tensor::from_slice(&before.iter().map(|arm| *arm as i64).collect::<Vec<_>>());
        let mut said = Tensor::zeros([time, batch as i64, 2], (Kind::Double, Device::Cpu));
        // Only the last step counts: all others say the opposite.
        said.copy_(&(&arms - 1).abs().one_hot(2).unsqueeze(0).expand([time, -1, -1], false));
        said.select(0, time - 1).copy_(&arms.one_hot(2));
        match rest.next(&[said]).expect("fits") {
            Some(segment) => {
                inputs = segment.inputs;
                better = segment.targets[0].values.shallow_clone();
            }
            None => break,
        }
    }
    (right / asked, heard)
}

fn draw(task: &TwoArmedBandit, batch: usize) -> Trials {
    task.trials(&Lesson::default(), batch, &mut Stream::new(5)).expect("in range")
}

fn win_stay_lose_shift(decision: usize, shown: &[f64], before: usize) -> usize {
    match decision {
        0 => 0,
        _ => {
            assert_eq!(shown[1 + before], 1.0, "the last choice is shown");
            if shown[0] == 1.0 { before } else { 1 - before }
        }
    }
}

#[test]
fn win_stay_lose_shift_does_as_well_as_its_closed_form() {
    for (better_reward, worse_reward, reversal_hazard) in [(0.8, 0.2, 0.05), (0.9, 0.4, 0.1)] {
        let task = TwoArmedBandit {
            decisions: 200,
            better_reward,
            worse_reward,
            reversal_hazard,
            ..TwoArmedBandit::default()
        };
        let (found, _) = play(&draw(&task, 400), win_stay_lose_shift);
        let (b, w, h) = (better_reward, worse_reward, reversal_hazard);
        let (stay, leave) = (b * (1.0 - h) + (1.0 - b) * h, w * h + (1.0 - w) * (1.0 - h));
        let expected = leave / (1.0 - stay + leave);
        // 80 000 choices, correlated over a few decisions: five standard errors of independent ones are 0.008; the start adds 1/200.
        assert!((found - expected).abs() < 0.013, "{found} {expected}");
    }
    let (chance, _) = play(&draw(&TwoArmedBandit::default(), 1000), |_, _, _| 0);
    assert!((chance - 0.5).abs() < 0.05, "{chance}");
}

#[test]
fn trials_can_be_played_again_in_blocks_and_whatever_was_chosen() {
    let task = TwoArmedBandit { decisions: 6, ..TwoArmedBandit::default() };
    let whole = draw(&task, 8);
    let (_, first) = play(&whole, win_stay_lose_shift);
    assert_eq!(first, play(&whole, win_stay_lose_shift).1);
    let (_, block) = play(&whole.rows(3..5), win_stay_lose_shift);
    let steps = task.decisions * task.steps_per_decision;
    assert_eq!(first.len(), steps * 8 * CHANNELS);
    for t in 0..steps {
        assert_eq!(block[t * 2 * CHANNELS..][..2 * CHANNELS], first[(t * 8 + 3) * CHANNELS..][..2 * CHANNELS]);
    }
    // Whatever is chosen, an arm pays the same at the same decision.
    let always = |arm: usize| play(&whole, move |_, _, _| arm).1;
    let paid = |heard: &[f64], decision: usize, row: usize| {
        heard[(decision * task.steps_per_decision * 8 + row) * CHANNELS] == 1.0
    };
    let (left, right) = (always(0), always(1));
    let mixed = play(&whole, |decision, _, _| decision % 2).1;
    for decision in 1..task.decisions {
        for row in 0..8 {
            let same = if (decision - 1) % 2 == 0 { &left } else { &right };
            assert_eq!(paid(&mixed, decision, row), paid(same, decision, row));
        }
    }
}

#[test]
fn a_sure_bandit_pays_only_the_better_arm_and_cues_only_the_choice() {
    let task = TwoArmedBandit {
        decisions: 5,
        better_reward: 1.0,
        worse_reward: 0.0,
        reversal_hazard: 0.0,
        outcome_steps: 2,
        ..TwoArmedBandit::default()
    };
    let trials = draw(&task, 20);
    assert_eq!((trials.targets[0].total, trials.inputs.size()), (20.0, vec![3, 20, 4]));
    assert!(trials.conditions["reversals"].iter().all(|r| *r == 0.0));
    let (_, heard) = play(&trials, |_, _, _| 1);
    for (i, channels) in heard.chunks(CHANNELS).enumerate() {
        let (step, row) = (i / 20, i % 20);
        let shown = step >= 3 && step % 3 < 2;
        let pays = shown && trials.conditions["first_better_arm"][row] == 1.0;
        let number = |is: bool| f64::from(u8::from(is));
        assert_eq!(channels, [number(pays), 0.0, number(shown), number(step % 3 == 2)]);
    }
}

#[test]
fn wrong_options_and_outputs_are_refused() {
    let mut problems = Problems::under("task");
    let task = TwoArmedBandit { outcome_steps: 4, reversal_hazard: 1.5, ..TwoArmedBandit::default() };
    task.check(&Registry::linked().expect("no duplicates"), &mut problems);
    let message = problems.into_result().expect_err("two problems").to_string();
    assert!(
        message.contains("task.outcome_steps is 4, must be at least 1 and at most steps_per_decision"),
        "{message}"
    );
    assert!(message.contains("task.reversal_hazard is 1.5"), "{message}");
    let trials = draw(&TwoArmedBandit::default(), 3);
    let mut rest = trials.rest.as_ref().expect("closed loop").begin(0..3);
    let narrow = Tensor::zeros([3, 3, 1], (Kind::Float, Device::Cpu));
    assert!(rest.next(&[narrow]).expect_err("one output").to_string().contains("[3, 3, 1]"));
}
