use super::clip::clip_global_norm;
use super::*;
use crate::tensors::values_f64;
use crate::{Result, Stream, Tensors};
use serde::Deserialize;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

type Flat = BTreeMap<String, Vec<f64>>;

/// Made by `framework/tests/fixtures/optimizer.py` with PyTorch 2.13.
#[derive(Deserialize)]
struct Fixture {
    start: Flat,
    gradients: Vec<Flat>,
    skipped: Vec<usize>,
    variants: Vec<Variant>,
    clipped: Vec<Clipped>,
}

#[derive(Deserialize)]
struct Variant {
    options: Optimizer,
    path: Vec<Flat>,
}

#[derive(Deserialize)]
struct Clipped {
    bound: f64,
    single: bool,
    norm: f64,
    after: Flat,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../tests/fixtures/optimizer.json")).expect("a valid fixture")
}

fn tensors(flat: &Flat, kind: Kind) -> Tensors {
    let shape = |name: &str| if name == "weight" { vec![2, 3] } else { vec![2] };
    ["weight", "bias"]
        .iter()
        .map(|&name| (name.to_string(), Tensor::from_slice(&flat[name]).reshape(shape(name)).to_kind(kind)))
        .collect()
}

impl Fixture {
    fn gradients(&self, step: usize, kind: Kind) -> Tensors {
        let mut gradients = tensors(&self.gradients[step], kind);
        if self.skipped.contains(&step) {
            gradients.remove("bias");
        }
        gradients
    }
}

fn close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{what}: {a} is not {b}");
    }
}

fn options(text: &str) -> Optimizer {
    toml::from_str(text).expect("valid options")
}

fn problems(text: &str) -> String {
    let mut problems = Problems::under("optimizer");
    options(text).check(&mut problems);
    problems.into_result().expect_err("out of range").to_string()
}

#[test]
fn trajectories_are_those_of_pytorch() -> Result<()> {
    let fixture = fixture();
    for variant in &fixture.variants {
        let mut parameters = tensors(&fixture.start, Kind::Double);
        let mut stepper = variant.options.start();
        for (step, expected) in variant.path.iter().enumerate() {
            stepper.step(&mut parameters, &fixture.gradients(step, Kind::Double), 1.0)?;
            for (name, values) in expected {
                // The order of operations differs, so each of 10 steps may differ by a few rounding errors of 1e-16.
                let what = format!("{:?} step {step} {name}", variant.options);
                close(&values_f64(parameters.get(name)?), values, 1e-12, &what);
            }
        }
    }
    Ok(())
}

#[test]
fn single_precision_follows_double_precision() -> Result<()> {
    let fixture = fixture();
    for variant in &fixture.variants {
        let mut parameters = tensors(&fixture.start, Kind::Float);
        let mut stepper = variant.options.start();
        for step in 0..variant.path.len() {
            stepper.step(&mut parameters, &fixture.gradients(step, Kind::Float), 1.0)?;
        }
        for (name, values) in &variant.path[variant.path.len() - 1] {
            assert_eq!(parameters.get(name)?.kind(), Kind::Float);
            // Ten steps, each a few roundings of 6e-8; a centred divisor loses a digit by cancellation.
            close(&values_f64(parameters.get(name)?), values, 1e-5, &format!("{:?} {name}", variant.options));
        }
    }
    Ok(())
}

/// Keras: step = lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps), with m and v written as explicit sums.
#[test]
fn epsilon_at_the_raw_root_is_the_closed_form_of_keras() -> Result<()> {
    let (rate, b1, b2, epsilon) = (0.002, 0.9, 0.999, 1e-2);
    let optimizer = options("type = 'adam'\nlearning_rate = 0.002\nepsilon = 1e-2\nepsilon_added_to = 'raw'");
    let mut stepper = optimizer.start();
    let mut parameters = Tensors::from([("p", Tensor::from_slice(&[0.3f64]))]);
    let gradients = [0.5, -0.2, 1.5, 0.01, -0.7f64];
    let mut expected = 0.3;
    for t in 1..=gradients.len() {
        let sum = |decay: f64, f: &dyn Fn(f64) -> f64| {
            (0..t).map(|i| (1.0 - decay) * decay.powi((t - 1 - i) as i32) * f(gradients[i])).sum::<f64>()
        };
        let (m, v) = (sum(b1, &|g| g), sum(b2, &|g| g * g));
        expected -= rate * (1.0 - b2.powi(t as i32)).sqrt() / (1.0 - b1.powi(t as i32)) * m / (v.sqrt() + epsilon);
        stepper.step(&mut parameters, &Tensors::from([("p", Tensor::from_slice(&[gradients[t - 1]]))]), 1.0)?;
        // 1 - b2^t keeps 13 digits at t = 1, and so do both sides.
        close(&values_f64(parameters.get("p")?), &[expected], 1e-12, &format!("step {t}"));
    }
    Ok(())
}

/// Both conventions make the same step where epsilon_raw = epsilon_corrected sqrt(1 - beta2^t).
#[test]
fn the_two_places_of_epsilon_agree_at_the_scaled_epsilon() -> Result<()> {
    let step = |text: &str| -> Result<Vec<f64>> {
        let mut parameters = Tensors::from([("p", Tensor::from_slice(&[1.0f64, -2.0]))]);
        options(text).start().step(
            &mut parameters,
            &Tensors::from([("p", Tensor::from_slice(&[1e-3f64, 0.4]))]),
            1.0,
        )?;
        Ok(values_f64(parameters.get("p")?))
    };
    let raw = step("type = 'adam'\nepsilon_added_to = 'raw'\nepsilon = 1e-4")?;
    let scaled = 1e-4 / (1.0 - 0.999f64).sqrt();
    close(&raw, &step(&format!("type = 'adam'\nepsilon = {scaled}"))?, 1e-14, "one step, rounding only");
    Ok(())
}

#[test]
fn save_restore_continue_is_running_through() -> Result<()> {
    let fixture = fixture();
    for variant in &fixture.variants {
        let run = |interrupt: Option<usize>| -> Result<(Tensors, Tensors)> {
            let mut parameters = tensors(&fixture.start, Kind::Float);
            let mut stepper = variant.options.start();
            for step in 0..10 {
                if interrupt == Some(step) {
                    let saved = stepper.state();
                    stepper = variant.options.start();
                    stepper.restore(saved)?;
                }
                stepper.step(&mut parameters, &fixture.gradients(step, Kind::Float), 0.5)?;
            }
            Ok((parameters, stepper.state()))
        };
        let (parameters, state) = run(None)?;
        for interrupt in [0, 1, 4, 9] {
            let (again, state_again) = run(Some(interrupt))?;
            assert!(parameters.same_bytes(&again), "{:?} at {interrupt}", variant.options);
            assert!(state.same_bytes(&state_again), "{:?} at {interrupt}", variant.options);
        }
    }
    Ok(())
}

#[test]
fn steps_are_counted_by_parameter_and_late_comers_start_afresh() -> Result<()> {
    let mut stepper = options("type = 'adam'\nlearning_rate = 0.1").start();
    let one = |x: f64| Tensor::from_slice(&[x]);
    let mut parameters = Tensors::from([("old", one(0.0))]);
    for _ in 0..3 {
        stepper.step(&mut parameters, &Tensors::from([("old", one(1.0))]), 1.0)?;
    }
    parameters.insert("head.2", one(0.0));
    stepper.step(&mut parameters, &Tensors::from([("head.2", one(5.0))]), 1.0)?;
    // Adam's first step is the learning rate itself, whatever the size of the gradient, up to epsilon / |g|.
    close(&values_f64(parameters.get("head.2")?), &[-0.1], 1e-8, "first step");
    let state = stepper.state();
    let count = |name: &str| state.get(name).map(|count| count.int64_value(&[]));
    assert_eq!((count("count/old")?, count("count/head.2")?), (3, 1));
    stepper.retain(["head.2"]);
    assert_eq!(stepper.state().names().collect::<Vec<_>>(), ["first/head.2", "second/head.2", "count/head.2"]);
    Ok(())
}

#[test]
fn groups_have_their_own_rate_and_decay() -> Result<()> {
    let optimizer = options(
        "type = 'sgd'\nlearning_rate = 1.0\nweight_decay = 0.5\n\
         groups = [{ parameters = ['head.*'], learning_rate = 0.25, weight_decay = 0.0 }, { parameters = ['*'], weight_decay = 1.0 }]",
    );
    let one = |x: f64| Tensor::from_slice(&[x]);
    let mut parameters = Tensors::from([("head.1", one(2.0)), ("bias", one(2.0))]);
    let gradients = Tensors::from([("head.1", one(4.0)), ("bias", one(4.0))]);
    optimizer.start().step(&mut parameters, &gradients, 0.5)?;
    // head: 2 - 0.5 * 0.25 * 4; bias: 2 - 0.5 * (4 + 1.0 * 2)
    assert_eq!(values_f64(parameters.get("head.1")?), [1.5]);
    assert_eq!(values_f64(parameters.get("bias")?), [-1.0]);
    Ok(())
}

#[test]
fn a_pattern_without_parameter_is_named_at_the_first_step() {
    let optimizer = options("type = 'adam'\ngroups = [{ parameters = ['taus'], learning_rate = 0.1 }]");
    let mut parameters = Tensors::from([("weight", Tensor::from_slice(&[1.0])), ("bias", Tensor::from_slice(&[1.0]))]);
    let error = optimizer.start().step(&mut parameters, &Tensors::new(), 1.0).expect_err("no such parameter");
    assert_eq!(
        error.to_string(),
        "optimizer.groups[0].parameters has the pattern 'taus', which matches no parameter; the parameters are: weight, bias"
    );
}

#[test]
fn trained_leaves_are_updated_in_place() -> Result<()> {
    let weight = Tensor::from_slice(&[1.0f64, 2.0]).set_requires_grad(true);
    let mut parameters = Tensors::from([("weight", weight.shallow_clone())]);
    (&weight * &weight).sum(Kind::Double).backward();
    let gradients = Tensors::from([("weight", weight.grad())]);
    options("type = 'sgd'\nlearning_rate = 0.25").start().step(&mut parameters, &gradients, 1.0)?;
    assert_eq!(values_f64(&weight), [0.5, 1.0]);
    assert!(weight.requires_grad());
    Ok(())
}

#[test]
fn misfits_are_refused_before_anything_changes() {
    let mut stepper = Optimizer::default().start();
    let mut parameters = Tensors::from([("a", Tensor::from_slice(&[1.0f64])), ("b", Tensor::from_slice(&[1.0f64]))]);
    let mut refused = |gradient: Tensor, factor: f64| {
        let gradients = Tensors::from([("a", Tensor::from_slice(&[1.0f64])), ("b", gradient)]);
        let error = stepper.step(&mut parameters, &gradients, factor).expect_err("a misfit");
        assert_eq!(values_f64(parameters.get("a").expect("there")), [1.0]);
        error.to_string()
    };
    assert_eq!(refused(Tensor::from_slice(&[1.0f64, 2.0]), 1.0), "the gradient of 'b' has shape [2], expected [1]");
    assert_eq!(
        refused(Tensor::from_slice(&[1.0f32]), 1.0),
        "the gradient of 'b' is of kind Float, the parameter is Double"
    );
    assert_eq!(
        refused(Tensor::from_slice(&[1.0f64]), f64::NAN),
        "the learning rate factor is NaN, must be 0 or greater"
    );
}

#[test]
fn foreign_and_damaged_states_are_refused() -> Result<()> {
    let mut adam = Optimizer::default().start();
    let foreign = Tensors::from([("momentum/weight", Tensor::from_slice(&[1.0]))]);
    assert_eq!(
        adam.restore(foreign).expect_err("foreign").to_string(),
        "the saved optimiser state has 'momentum/weight', but adam with these options keeps first/<parameter>, \
         second/<parameter>, count/<parameter>; resume with the saved options"
    );
    let partial = Tensors::from([("first/w", Tensor::from_slice(&[1.0])), ("count/w", Tensor::from(3i64))]);
    assert!(adam.restore(partial).expect_err("partial").to_string().contains("lacks 'second/w'"));
    let counted = Tensors::from([("count/w", Tensor::from_slice(&[1.5f64]))]);
    assert!(adam.restore(counted).expect_err("count").to_string().contains("must be one i64"));
    Ok(())
}

#[test]
fn options_out_of_range_are_named() {
    assert_eq!(
        problems("type = 'sgd'\nlearning_rate = -1.0\nnesterov = true\ndampening = 0.5"),
        "optimizer.learning_rate is -1, must be greater than 0\n\
         optimizer.nesterov is true, but momentum is 0; set momentum, for example to 0.9\n\
         optimizer.dampening is 0.5, must be 0 when nesterov is true"
    );
    assert_eq!(
        problems("type = 'adamw'\nbeta1 = 1.0\nepsilon = 0.0\nweight_decay = nan\ngroups = [{ learning_rate = -0.1 }]"),
        "optimizer.weight_decay is NaN, must be 0 or greater\n\
         optimizer.groups[0].parameters is empty; name at least one pattern such as \"head.*\"\n\
         optimizer.groups[0].learning_rate is -0.1, must be 0 or greater\n\
         optimizer.beta1 is 1, must be at least 0 and less than 1\n\
         optimizer.epsilon is 0, must be greater than 0"
    );
    for name in ["sgd", "adam", "adamw", "rmsprop"] {
        let optimizer = options(&format!("type = '{name}'"));
        let mut problems = Problems::under("optimizer");
        optimizer.check(&mut problems);
        assert!(problems.into_result().is_ok());
        assert_eq!(optimizer.name(), name);
        let text = toml::to_string(&optimizer).expect("plain data");
        assert_eq!(options(&text), optimizer, "{text}");
    }
    assert_eq!(Optimizer::default(), options("type = 'adam'"));
}

#[test]
fn unknown_options_are_refused_and_the_schema_says_so() {
    let error = toml::from_str::<Optimizer>("type = 'adam'\nmomentum = 0.1").expect_err("no such option");
    assert!(error.to_string().contains("unknown field `momentum`"), "{error}");
    let error = toml::from_str::<Optimizer>("type = 'adma'").expect_err("no such optimiser");
    assert!(error.to_string().contains("unknown variant `adma`"), "{error}");
    let schema = serde_json::to_string(&schemars::schema_for!(Optimizer)).expect("a schema");
    for name in ["sgd", "adam", "adamw", "rmsprop"] {
        assert!(schema.contains(&format!("\"const\":\"{name}\"")), "{schema}");
    }
    assert!(schema.contains("\"default\":0.999"), "{schema}");
}

#[test]
fn clipping_is_that_of_pytorch() -> Result<()> {
    let fixture = fixture();
    for case in &fixture.clipped {
        let kind = if case.single { Kind::Float } else { Kind::Double };
        let mut gradients = tensors(&fixture.gradients[0], kind);
        let norm = clip_global_norm(&mut gradients, case.bound)?;
        // The same operations in the same kind; only the order of the sum inside a norm may differ between machines.
        let tolerance = if case.single { 2e-7 } else { 4e-16 };
        close(&[norm], &[case.norm], tolerance, "norm");
        for (name, values) in &case.after {
            close(&values_f64(gradients.get(name)?), values, tolerance, name);
        }
    }
    Ok(())
}

#[test]
fn clipping_reports_what_it_cannot_scale() -> Result<()> {
    let mut gradients = Tensors::from([("a", Tensor::from_slice(&[1.0f64, f64::NAN]))]);
    assert!(clip_global_norm(&mut gradients, 1.0)?.is_nan());
    assert_eq!(values_f64(gradients.get("a")?)[0], 1.0);
    assert_eq!(clip_global_norm(&mut Tensors::new(), 1.0)?, 0.0);
    let error = clip_global_norm(&mut gradients, -2.0).expect_err("a negative bound");
    assert_eq!(error.to_string(), "the bound of the gradient norm is -2, must be greater than 0");
    Ok(())
}

/// Automatic differentiation may give two parameters one gradient tensor, or an expanded one.
#[test]
fn clipping_scales_shared_gradients_once() -> Result<()> {
    let shared = Tensor::from_slice(&[3.0f64]);
    let mut gradients = Tensors::from([("a", shared.shallow_clone()), ("b", shared.expand([4], false))]);
    let norm = clip_global_norm(&mut gradients, 1.0)?;
    close(&[norm], &[45f64.sqrt()], 1e-15, "norm");
    let expected = 3.0 / (45f64.sqrt() + 1e-6);
    close(&values_f64(gradients.get("a")?), &[expected], 1e-15, "a");
    close(&values_f64(gradients.get("b")?), &[expected; 4], 1e-15, "b");
    assert_eq!(values_f64(&shared), [3.0]);
    Ok(())
}

/// On a quadratic with known minimum every optimiser gets there with its gradients taken along the way.
#[test]
fn a_quadratic_is_minimised() -> Result<()> {
    let target = Stream::new(5).normal_tensor(&[4, 3], Kind::Double, Device::Cpu);
    for text in [
        "type = 'sgd'\nlearning_rate = 0.1\nmomentum = 0.5",
        "type = 'adam'\nlearning_rate = 0.05",
        "type = 'adamw'\nlearning_rate = 0.05\nweight_decay = 0.0\nepsilon_added_to = 'raw'",
        "type = 'rmsprop'\nlearning_rate = 0.01",
    ] {
        let optimizer = options(text);
        let mut stepper = optimizer.start();
        let mut parameters = Tensors::from([("p", target.zeros_like())]);
        for step in 0..1500 {
            let gradients = Tensors::from([("p", parameters.get("p")? - &target)]);
            stepper.step(&mut parameters, &gradients, if step < 1000 { 1.0 } else { 0.01 })?;
        }
        let distance = (parameters.get("p")? - &target).abs().max().double_value(&[]);
        // RMSprop does not come closer than its last step size, 1e-4.
        assert!(distance < 2e-4, "{text}: {distance}");
    }
    Ok(())
}
