use super::*;

fn evaluation() -> Lesson {
    Lesson { mode: Mode::Evaluation, ..Lesson::default() }
}

fn draw(task: &RuleReversal, lesson: &Lesson, batch: usize) -> Trials {
    task.trials(lesson, batch, &mut Stream::new(7)).expect("in range")
}

/// What the stub network is told at one response: trial, stimulus, whether the last response was right, the last response.
struct Heard {
    trial: usize,
    stimulus: usize,
    right: Option<bool>,
    before: usize,
}

/// Play all trials with a policy; the share of correct responses by the task's own accuracy, and all segments' lengths.
fn play(task: &RuleReversal, trials: &Trials, policy: impl Fn(&Heard, &mut usize) -> usize) -> (f64, Vec<i64>) {
    let batch = trials.batch();
    let mut rest = trials.rest.as_ref().expect("closed loop").begin(0..batch);
    let (mut memory, mut before) = (vec![0; batch], vec![0; batch]);
    let mut inputs = trials.inputs.shallow_clone();
    let mut target = trials.rows(0..batch).targets.remove(0);
    let (mut accuracies, mut times) = (Vec::new(), Vec::new());
    for trial in 0.. {
        let time = inputs.size()[0];
        times.push(time);
        let ever =
            |channel: i64, row: usize| inputs.select(2, channel).select(1, row as i64).max().double_value(&[]) > 0.0;
        for row in 0..batch {
            assert!(ever(0, row) != ever(1, row), "one stimulus");
            assert_eq!(ever(2, row) != ever(3, row), trial > 0, "feedback on the trial before");
            let heard = Heard {
                trial,
                stimulus: usize::from(ever(1, row)),
                right: (trial > 0).then(|| ever(2, row)),
                before: before[row],
            };
            before[row] = policy(&heard, &mut memory[row]);
        }
        let said: Vec<i64> = before.iter().map(|response| *response as i64).collect();
        let one_hot = Tensor::from_slice(&said).one_hot(2).to_kind(Kind::Double);
        let said = one_hot.unsqueeze(0).expand([time, -1, -1], false).contiguous();
        let step = Trials {
            inputs: inputs.shallow_clone(),
            targets: vec![target],
            answer: Answer::EveryStep,
            ..Trials::default()
        };
        let scores = task.score(&step, &[said.shallow_clone()]).expect("fits");
        accuracies.push(scores.heads[0].accuracy.as_ref().expect("classes").double_value(&[]));
        match rest.next(&[said]).expect("fits") {
            Some(mut segment) => {
                inputs = segment.inputs;
                target = segment.targets.remove(0);
            }
            None => break,
        }
    }
    (accuracies.iter().sum::<f64>() / accuracies.len() as f64, times)
}

/// Stay with rule 0 whatever is heard.
fn deaf(heard: &Heard, _: &mut usize) -> usize {
    1 - heard.stimulus
}

/// Follow the rule of the trial before, which the feedback tells; `memory` is the rule that the last response was given by.
fn observer(heard: &Heard, memory: &mut usize) -> usize {
    if heard.right == Some(false) {
        *memory = 1 - *memory;
    }
    Fate::asked(*memory, heard.stimulus)
}

#[test]
fn sequences_are_the_published_ones() {
    let task = RuleReversal::default();
    let words: Vec<String> = (0..8).map(|s| task.rules(s).iter().map(usize::to_string).collect()).collect();
    assert_eq!(words, ["00000", "01100", "00011", "01111", "10000", "11100", "10011", "11111"]);
}

#[test]
fn plateaus_are_exact() {
    let task = RuleReversal::default();
    let trials = draw(&task, &evaluation(), 40);
    let (found, times) = play(&task, &trials, deaf);
    // single precision of the weights
    assert!((found - 0.6).abs() < 1e-6, "{found}");
    // 0.5 s of stimulus and of response, later after 0.5 s of feedback and of waiting
    assert_eq!(times, [200, 400, 400, 400, 400]);
    let (found, _) = play(&task, &trials, observer);
    assert!((found - 1.0).abs() < 1e-6, "{found}");
    let nine = RuleReversal { trials: 9, ..task };
    let (found, _) = play(&nine, &draw(&nine, &evaluation(), 64), deaf);
    assert!((found - 5.0 / 9.0).abs() < 1e-6, "{found}");
}

#[test]
fn guesses_are_right_half_of_the_time() {
    let task = RuleReversal::default();
    let trials = draw(&task, &evaluation(), 4000);
    let coin = |heard: &Heard, memory: &mut usize| {
        // some function of nothing that matters
        *memory = memory.wrapping_mul(5).wrapping_add(heard.trial + heard.before + 1);
        (*memory >> 2) & 1
    };
    let (found, _) = play(&task, &trials, coin);
    // 4000 episodes whose five stimuli are fair coins: five standard errors of 20000 coins
    assert!((found - 0.5).abs() < 0.018, "{found}");
}

#[test]
fn epochs_are_jittered_in_training_alone_and_rows_can_be_played_alone() {
    let task = RuleReversal::default();
    let (_, times) = play(&task, &draw(&task, &Lesson::default(), 8), deaf);
    assert_ne!(times, [200, 400, 400, 400, 400]);
    assert!(times.iter().skip(1).all(|time| (320..480).contains(time)), "{times:?}");
    let trials = draw(&task, &Lesson::default(), 8);
    assert_eq!(trials.settle.as_ref().map(Tensor::size), Some(vec![200, 8, 4]));
    let part = trials.rows(3..5);
    let (_, again) = play(&task, &part, observer);
    assert_eq!(again, times);
    assert_eq!(part.conditions["sequence"], [3.0, 4.0]);
    let coarse = Lesson { dt_ms: Some(50.0), ..evaluation() };
    assert_eq!(play(&task, &draw(&task, &coarse, 8), deaf).1, [20, 40, 40, 40, 40]);
}

#[test]
fn wrong_options_and_outputs_are_refused() {
    let mut problems = Problems::under("task");
    let task = RuleReversal { trials: 1, response_ms: 150.0, ..RuleReversal::default() };
    task.check(&Registry::linked().expect("links"), &mut problems);
    let message = problems.into_result().expect_err("two problems").to_string();
    assert!(message.contains("task.trials is 1, must be between 2 and 41"), "{message}");
    assert!(message.contains("task.response_ms is 150, must be more than 200 ms by a step"), "{message}");
    let wide = Lesson { dt_ms: Some(600.0), ..Lesson::default() };
    let error = RuleReversal::default().trials(&wide, 2, &mut Stream::new(1)).expect_err("too coarse").to_string();
    assert!(error.contains("sets the time step to 600 ms"), "{error}");
    let mut rest = draw(&RuleReversal::default(), &evaluation(), 3).rest.expect("closed loop");
    let narrow = Tensor::zeros([3, 3, 1], (Kind::Float, Device::Cpu));
    assert!(rest.next(&[narrow]).expect_err("one output").to_string().contains("[3, 3, 1]"));
}
