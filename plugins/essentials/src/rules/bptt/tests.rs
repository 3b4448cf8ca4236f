use super::*;
use synfire::cell::{Clock, Dynamics, Setting, refuse_drive};
use synfire::network::Readout;
use synfire::optimizer::Sgd;
use synfire::task::{Objective, Target};
use synfire::tch::{Device, Kind, no_grad};
use synfire::tensors::values_f64;
use synfire::workers::Workers;
use synfire::{Lesson, Task, TaskSpec};

/// One linear unit, `h' = w h + v x`, read out by head 0: everything about it has a closed form.
#[derive(Debug)]
struct Linear;

impl Dynamics for Linear {
    fn units(&self) -> usize {
        1
    }
    fn prepare(&self, parameters: &Tensors, _: &Setting) -> Result<Tensors> {
        Ok(parameters.shallow_clone())
    }
    fn initial_state(&self, prepared: &Tensors, batch: usize, _: &mut Stream) -> Result<Tensors> {
        Ok(Tensors::from([("h", prepared.get("w")?.detach().zeros_like().expand([batch as i64, 1], false))]))
    }
    fn project(&self, prepared: &Tensors, inputs: &Tensor) -> Result<Tensor> {
        Ok(inputs * prepared.get("v")?)
    }
    fn step(
        &self,
        _: &Clock,
        prepared: &Tensors,
        state: &Tensors,
        x: &Tensor,
        drive: Option<&Tensor>,
    ) -> Result<Tensors> {
        refuse_drive(drive, "linear")?;
        Ok(Tensors::from([("h", prepared.get("w")? * state.get("h")? + x)]))
    }
    fn rates(&self, state: &Tensors) -> Result<Tensor> {
        Ok(state.get("h")?.shallow_clone())
    }
}

/// The sum of the inputs, at the last step; the trials are fixed.
#[derive(Debug, Serialize, Deserialize)]
struct Fixed;

const INPUTS: [[f64; 2]; 5] = [[1.0, -0.5], [0.5, 2.0], [-1.0, 0.25], [2.0, 1.0], [0.5, -1.5]];
const ANSWERS: [f64; 2] = [0.7, -0.4];

#[typetag::serde(name = "fixed-for-the-test-of-bptt")]
impl Task for Fixed {
    fn spec(&self) -> TaskSpec {
        TaskSpec {
            inputs: vec!["x".into()],
            outputs: 1,
            objective: Objective { answer: synfire::task::Answer::FinalStep, ..Objective::regress(None) },
            dt_ms: None,
            difficulty: None,
            closed_loop: false,
        }
    }
    fn trials(&self, _: &Lesson, _: usize, _: &mut Stream) -> Result<Trials> {
        let inputs = Tensor::from_slice2(&INPUTS).reshape([5, 2, 1]);
        let values = Tensor::from_slice(&ANSWERS).reshape([2, 1]);
        let answer = synfire::task::Answer::FinalStep;
        Ok(Trials { inputs, targets: vec![Target::new(0, None, answer, values, None)], answer, ..Trials::default() })
    }
}

const START: [(&str, f64); 3] = [("w", 0.8), ("v", 0.5), ("head.0.weight", 1.5)];

fn network() -> Network {
    let scalar = |value: f64| Tensor::from_slice(&[value]).reshape([1, 1]);
    let parameters = START.iter().map(|(name, value)| ((*name).to_string(), scalar(*value))).collect();
    let readout = Readout { heads: vec![0], bias: false, ..Readout::new(1) };
    Network { parameters, dynamics: Box::new(Linear), readout }
}

/// Loss and gradient in w, v and the readout by the recursions `dh'/dw = h + w dh/dw`, `dh'/dv = x + w dh/dv`, cut at windows.
fn by_hand(window: usize, activity: f64) -> (f64, [f64; 3]) {
    let [w, v, c] = [START[0].1, START[1].1, START[2].1];
    let (mut loss, mut gradient) = (0.0, [0.0; 3]);
    for (row, answer) in ANSWERS.iter().enumerate() {
        let (mut h, mut hw, mut hv) = (0.0, 0.0, 0.0);
        for (t, input) in INPUTS.iter().enumerate() {
            if t > 0 && t % window == 0 {
                (hw, hv) = (0.0, 0.0);
            }
            (hw, hv) = (h + w * hw, input[row] + w * hv);
            h = w * h + v * input[row];
            // activity * mean h^2 over 5 steps, 2 rows and 1 unit
            gradient[0] += activity * 2.0 * h * hw / 10.0;
            gradient[1] += activity * 2.0 * h * hv / 10.0;
        }
        let error = c * h - answer;
        loss += error * error / 2.0;
        for (sum, slope) in gradient.iter_mut().zip([c * hw, c * hv, h]) {
            *sum += error * slope;
        }
    }
    (loss, gradient)
}

fn learn(rule: &Bptt, network: &mut Network, lesson: &Lesson, factor: Option<f64>) -> Result<StepReport> {
    let workers = Workers::new(1)?;
    let registry = Registry::linked().expect("no duplicates");
    let context = BuildContext { registry: &registry, task: Fixed.spec(), device: Device::Cpu, kind: Kind::Double };
    let mut learner = rule.start(network, &context, &Stream::new(1))?;
    let schedule = factor.map(|f| ("learning_rate_factor".to_string(), f)).into_iter().collect();
    let setting = Setting { schedule, ..Setting::default() };
    let rollout =
        Rollout { task: &Fixed, lesson, setting, stream: Stream::new(2), workers: &workers, fast: true, settle: 0 };
    let trials = Fixed.trials(lesson, 2, &mut Stream::new(3))?;
    learner.update(network, trials, &rollout)
}

fn plain(learning_rate: f64) -> Bptt {
    let sgd = Sgd { learning_rate, momentum: 0.0, nesterov: false, ..Sgd::default() };
    Bptt { optimizer: Optimizer::Sgd(sgd), clip: Clip::NONE, ..Bptt::default() }
}

fn values(network: &Network) -> Vec<f64> {
    START.iter().map(|(name, _)| values_f64(network.parameters.get(name).expect("there"))[0]).collect()
}

#[test]
fn an_update_is_the_gradient_by_hand_with_and_without_truncation() {
    for (window, activity) in [(None, 0.0), (Some(2), 0.0), (Some(3), 0.4), (None, 0.4)] {
        let activity_penalty = ActivityPenalty { l2: activity, ..ActivityPenalty::default() };
        let rule = Bptt { window, activity_penalty, ..plain(0.1) };
        let mut network = network();
        let report = learn(&rule, &mut network, &Lesson::default(), Some(0.5)).expect("learns");
        let (loss, gradient) = by_hand(window.unwrap_or(usize::MAX), activity);
        assert!((report.loss - loss).abs() < 1e-13, "{} {loss}", report.loss);
        for ((value, (name, start)), g) in values(&network).iter().zip(START).zip(gradient) {
            // 0.1 times the scheduled factor 0.5
            assert!((value - (start - 0.05 * g)).abs() < 1e-13, "{name}: {value}, window {window:?}");
        }
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!((report.gradient_norm.expect("a gradient rule") - norm).abs() < 1e-13);
    }
}

#[test]
fn activity_costs_the_same_on_the_fast_path() {
    let registry = Registry::linked().expect("no duplicates");
    let context = BuildContext { registry: &registry, task: Fixed.spec(), device: Device::Cpu, kind: Kind::Double };
    let cell: synfire::Spec<dyn synfire::Cell> =
        synfire::Spec::with("leaky-rnn", &serde_json::json!({ "hidden": 7, "time_constants": { "trainable": true } }));
    let cell = registry.build(&cell, "cell").expect("valid");
    let mut network = cell.build(&context, &Stream::new(1)).expect("fits");
    network.add_heads(&[0], &context, &Stream::new(1)).expect("memory");
    let workers = Workers::new(1).expect("one");
    let penalty = ActivityPenalty { l1: 0.3, l2: 2.0, ..ActivityPenalty::default() };
    let cost = |rates: &Tensor, trials: &Trials, batch: usize| penalty.cost(rates, trials, batch);
    let lesson = Lesson::default();
    let gradient = |fast: bool, cost: Option<&RateCost>| {
        let (setting, stream) = (Setting::default(), Stream::new(2));
        let rollout = Rollout { task: &Fixed, lesson: &lesson, setting, stream, workers: &workers, fast, settle: 0 };
        let trials = Fixed.trials(&lesson, 2, &mut Stream::new(3)).expect("fixed");
        rollout.gradient_with_cost(&network, &trials, None, |_| true, cost).expect("fits").gradients
    };
    let (fast, slow, free) = (gradient(true, Some(&cost)), gradient(false, Some(&cost)), gradient(true, None));
    for (name, expected) in slow.iter() {
        let gap = (fast.get(name).expect("there") - expected).abs().max().double_value(&[]);
        assert!(gap < 1e-12, "{name}: {gap:e}");
    }
    let weight = |gradients: &Tensors| gradients.get("recurrent.weight").expect("there").copy();
    assert!((weight(&fast) - weight(&free)).abs().max().double_value(&[]) > 1e-3, "it costs something");
}

#[test]
fn clipping_scales_the_whole_step() {
    let mut network = network();
    let rule = Bptt { clip: Clip::Norm(0.1), ..plain(1.0) };
    let report = learn(&rule, &mut network, &Lesson::default(), None).expect("learns");
    assert!(report.gradient_norm.expect("a gradient rule") > 0.1, "nothing was clipped");
    let step = values(&network).iter().zip(START).map(|(v, (_, s))| (v - s).powi(2)).sum::<f64>().sqrt();
    // the clipping factor has 1e-6 in its divisor
    assert!((step - 0.1).abs() < 1e-6, "{step}");
}

#[test]
fn only_the_chosen_matrices_change() {
    let lesson = Lesson { frozen: vec!["v".into()], ..Lesson::default() };
    let mut network = network();
    let rule = Bptt { frozen: vec!["head.*".into()], ..plain(0.1) };
    learn(&rule, &mut network, &lesson, None).expect("learns");
    let found = values(&network);
    assert!(found[0] != START[0].1 && found[1] == START[1].1 && found[2] == START[2].1, "{found:?}");
    let nothing = Bptt { trainable: vec!["v".into()], ..plain(0.1) };
    let message = learn(&nothing, &mut network, &lesson, None).expect_err("nothing to train").to_string();
    assert!(message.contains("rule.trainable") && message.contains("head.0.weight"), "{message}");
    let typo = Bptt { frozen: vec!["recurent.*".into()], ..plain(0.1) };
    let message = learn(&typo, &mut network, &lesson, None).expect_err("matches nothing").to_string();
    assert!(message.contains("rule.frozen has the pattern 'recurent.*'"), "{message}");
}

#[test]
fn a_gradient_that_is_not_finite_names_the_parameter_and_changes_nothing() {
    // Four steps multiply the state with w^4: 1e360 overflows in the state, 1e280 only where the readout's gradient multiplies it
    // with the error, 1e152 only where the norm squares it.
    for (w, head, named) in [
        (1e90, 1.5, "the loss"),
        (1e70, 1e-200, "the gradient of 'head.0.weight'"),
        (1e38, 1.5, "the norm of the gradient"),
    ] {
        let mut network = network();
        for (name, value) in [("w", w), ("head.0.weight", head)] {
            drop(no_grad(|| network.parameters.get(name).expect("there").shallow_clone().fill_(value)));
        }
        let before = values(&network);
        let error = learn(&plain(0.1), &mut network, &Lesson::default(), None).expect_err("overflows");
        assert!(matches!(&error, Error::NotFinite { what, .. } if what == named), "{error}");
        assert_eq!(values(&network), before);
    }
}

#[test]
fn moments_of_vanished_heads_are_dropped_and_the_state_survives() {
    let rule = Bptt::default();
    let mut stepper = rule.optimizer.start();
    let mut network = network();
    let gradients = network.parameters.map(Tensor::ones_like);
    stepper.step(&mut network.parameters, &gradients, 1.0).expect("fits");
    let mut learner = Descent { rule: rule.clone(), stepper };
    network.drop_heads(&[0]);
    learner.refit(&network).expect("follows");
    let state = learner.state().expect("copies");
    assert!(state.names().all(|name| !name.contains("head")), "{:?}", state.names().collect::<Vec<_>>());
    let mut other = Descent { stepper: rule.optimizer.start(), rule: rule.clone() };
    other.restore(state.copy()).expect("its own");
    assert!(other.state().expect("copies").same_bytes(&state));
    let mut forgetful =
        Descent { stepper: rule.optimizer.start(), rule: Bptt { forget_moments: true, ..rule.clone() } };
    forgetful.restore(state.copy()).expect("its own");
    forgetful.refit(&network).expect("follows");
    let fresh = Descent { stepper: rule.optimizer.start(), rule };
    assert!(forgetful.state().expect("copies").same_bytes(&fresh.state().expect("copies")));
}

#[test]
fn options_are_read_written_and_checked() {
    let rule: Bptt = serde_json::from_str(r#"{"clip": "none", "window": 20}"#).expect("valid");
    assert_eq!((rule.clip, rule.window), (Clip::NONE, Some(20)));
    let text = serde_json::to_string(&rule).expect("writes");
    assert_eq!(serde_json::from_str::<Bptt>(&text).expect("reads"), rule);
    assert_eq!(serde_json::from_str::<Bptt>(r#"{"clip": 2}"#).expect("valid").clip, Clip::Norm(2.0));
    let message = serde_json::from_str::<Bptt>(r#"{"clip": "off"}"#).expect_err("not a bound").to_string();
    assert!(message.contains("\"none\""), "{message}");
    let mut problems = Problems::under("rule");
    let wrong = Bptt { clip: Clip::Norm(0.0), window: Some(0), ..Bptt::default() };
    wrong.check(&Registry::linked().expect("no duplicates"), &mut problems);
    assert_eq!(problems.into_vec().iter().map(|p| p.path.as_str()).collect::<Vec<_>>(), ["rule.clip", "rule.window"]);
}
