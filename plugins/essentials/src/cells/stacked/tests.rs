use super::*;
use crate::cells::testing::{self, Bench, Probe, assert_close};
use crate::cells::{Elman, LeakyRnn, Lstm};
use serde_json::{Value, json};
use synfire::rollout::Record;
use synfire::tch::{Device, Kind};
use synfire::tensors::values_f64;

fn layer(spec: &Value) -> Spec<dyn Cell> {
    serde_json::from_value(spec.clone()).expect("a table with a type")
}

fn stacked(layers: &[Value], read: Layers) -> Stacked {
    Stacked { layers: layers.iter().map(layer).collect(), read }
}

fn leaky(noise: f64) -> Value {
    json!({
        "type": "leaky-rnn", "hidden": 5, "activation": "tanh", "recurrent_bias": true, "noise": { "sigma": noise },
        "time_constants": { "low": 1.5, "high": 4.0, "trainable": true }, "initial_state": { "low": 0.1, "high": 0.6 },
    })
}

fn lstm() -> Value {
    json!({ "type": "lstm", "hidden": 4 })
}

/// Rates of trials `[time, batch, unit]` under a seed.
fn rates(network: &Network, seed: u64) -> Tensor {
    let bench = Bench { seed, ..Bench::new(&Probe::default()) };
    bench.rollout().play(network, &bench.trials(3), Record::Rates).expect("plays").rates.expect("recorded")
}

#[test]
fn two_layers_are_those_of_pytorch() {
    let elman = json!({ "type": "elman", "hidden": 4 });
    testing::meets_pytorch("stacked-elman", &stacked(&[elman.clone(), elman], Layers::Last));
    testing::meets_pytorch("stacked-lstm", &stacked(&[lstm(), lstm()], Layers::Last));
}

#[test]
fn gradients_meet_finite_differences() {
    for read in [Layers::Last, Layers::All] {
        let cell = stacked(&[leaky(0.2), lstm(), json!({ "type": "gru", "hidden": 3 })], read);
        for probe in Probe::kinds() {
            testing::gradient_meets_differences(&cell, &probe);
        }
        testing::bytes_depend_on_the_seed_alone(&cell);
    }
}

#[test]
fn one_layer_is_the_cell_itself() {
    let alone: [(Value, Box<dyn Cell>); 3] = [
        (leaky(0.3), Box::new(serde_json::from_value::<LeakyRnn>(without_type(leaky(0.3))).expect("options"))),
        (json!({ "type": "elman", "hidden": 6 }), Box::new(Elman { hidden: 6, ..Elman::default() })),
        (lstm(), Box::new(Lstm { hidden: 4, ..Lstm::default() })),
    ];
    for (spec, bare) in alone {
        for read in [Layers::Last, Layers::All] {
            let cell = stacked(std::slice::from_ref(&spec), read);
            for probe in Probe::kinds() {
                let (network, expected) = (testing::network(&cell, &probe), testing::network(&*bare, &probe));
                let bare_names = |tensors: &Tensors| -> Tensors {
                    let bare = |name: &str| name.strip_prefix("layer.1.").unwrap_or(name).to_string();
                    tensors.iter().map(|(name, tensor)| (bare(name), tensor.copy())).collect()
                };
                assert!(bare_names(&network.parameters).same_bytes(&expected.parameters), "{spec}");
                for fast in [true, false] {
                    let bench = Bench { fast, ..Bench::new(&probe) };
                    let (a, b) = (bench.gradient(&network, 67, None), bench.gradient(&expected, 67, None));
                    assert!(bare_names(&a.gradients).same_bytes(&b.gradients), "{spec}, fast {fast}");
                    let play = |network| {
                        let played = bench.rollout().play(network, &bench.trials(67), Record::Rates).expect("plays");
                        (played.rates.expect("recorded"), bare_names(&played.last))
                    };
                    let ((a, last_a), (b, last_b)) = (play(&network), play(&expected));
                    assert!(a.equal(&b) && last_a.same_bytes(&last_b), "{spec}, fast {fast}");
                }
            }
        }
    }
}

fn without_type(mut spec: Value) -> Value {
    spec.as_object_mut().expect("a table").remove("type");
    spec
}

#[test]
fn each_layer_has_noise_of_its_own() {
    let of = |below: f64, above: f64| {
        testing::network(&stacked(&[leaky(below), leaky(above)], Layers::All), &Probe::default())
    };
    let layers = |network: &Network, seed| {
        let rates = rates(network, seed);
        [rates.narrow(2, 0, 5), rates.narrow(2, 5, 5)]
    };
    let [quiet_below, quiet_above] = layers(&of(0.0, 0.0), 5);
    let [below, above] = layers(&of(0.0, 0.5), 5);
    assert!(below.equal(&quiet_below) && !above.equal(&quiet_above), "noise above stays above");
    let [below, above] = layers(&of(0.5, 0.0), 5);
    assert!(!below.equal(&quiet_below) && !above.equal(&quiet_above), "noise below is passed on");
    let [below, above] = layers(&of(0.5, 0.5), 5);
    // Layers with the same weights, input and noise would agree; the noise differs, as do the weights of the layers.
    assert!(!below.equal(&above));
}

#[test]
fn a_drive_goes_to_the_layers_that_heads_read() {
    let (probe, setting) = (Probe::default(), Setting::default());
    let clock = Clock { step: 0, since_border: 0, period: "", setting: &setting };
    let driven = |read: Layers| {
        let network = testing::network(&stacked(&[leaky(0.0), lstm()], read), &probe);
        let dynamics = &network.dynamics;
        let prepared = dynamics.prepare(&network.parameters, &setting).expect("prepares");
        let state = dynamics.initial_state(&prepared, 2, &mut Stream::new(4)).expect("state");
        let silence = Tensor::zeros([1, 2, 3], (Kind::Double, Device::Cpu));
        let input = dynamics.project(&prepared, &silence).expect("projects").select(0, 0);
        // The first column alone: the first unit of the first layer that takes it.
        let drive = Tensor::zeros([2, dynamics.units() as i64], (Kind::Double, Device::Cpu));
        drop(drive.narrow(1, 0, 1).f_fill_(0.7).expect("fits"));
        let step = |drive| dynamics.step(&clock, &prepared, &state, &input, drive).expect("steps");
        let (with, without) = (step(Some(&drive)), step(None));
        let change = |name: &str| (with.get(name).expect("there") - without.get(name).expect("there")).abs();
        (dynamics.units(), change("layer.1.activity"), change("layer.2.cell"))
    };
    let moved = |change: &Tensor| values_f64(&change.select(0, 0)).iter().filter(|x| **x > 0.0).count();
    let (units, below, above) = driven(Layers::Last);
    assert_eq!((units, moved(&below), moved(&above)), (4, 0, 1));
    let (units, below, above) = driven(Layers::All);
    assert_eq!((units, moved(&below), moved(&above)), (9, 1, 4), "the first unit below is heard by all above");
}

#[test]
fn gates_and_constants_are_those_of_the_layers() {
    let fixed = json!({ "type": "leaky-rnn", "hidden": 3 });
    let network = testing::network(&stacked(&[lstm(), fixed], Layers::Last), &Probe::default());
    let constant = |name: &str| network.dynamics.constant(name);
    assert!(constant("layer.2.time_constants"));
    assert!(!constant("layer.2.input.weight") && !constant("layer.1.input.weight") && !constant("head.0.weight"));
    // Two LSTMs: the gates of the second one follow from what the first one says in the same step.
    let cell = stacked(&[lstm(), lstm()], Layers::Last);
    let [state, next, gates, prepared] = testing::step_and_gates(&cell, |state| {
        *state = state.map(|tensor| tensor + 0.4);
    });
    assert_eq!(gates.len(), 6);
    let of = |tensors: &Tensors, name: &str| tensors.get(name).expect("there").shallow_clone();
    let below = of(&next, "layer.1.hidden");
    let z = below.matmul(&of(&prepared, "layer.2.input.weight").tr())
        + of(&prepared, "layer.2.bias")
        + of(&state, "layer.2.hidden").matmul(&of(&prepared, "layer.2.recurrent.weight"));
    let expected = Tensors::from([("layer.2.forget", z.narrow(1, 4, 4).sigmoid())]);
    let found = Tensors::from([("layer.2.forget", of(&gates, "layer.2.forget"))]);
    // a few operations in double precision
    assert_close(&found, &expected, 1e-14, "gates");
}

#[test]
fn properties_are_those_that_all_layers_have() {
    let registry = Registry::linked().expect("no duplicates");
    let provides = |layers: &[Value]| stacked(layers, Layers::Last).provides(&registry);
    use Property::{AdditiveDrive, Gates, Gradient, LinearReadout, TimeConstants};
    assert_eq!(provides(&[lstm(), lstm()]), Properties::from([Gradient, AdditiveDrive, Gates, LinearReadout]));
    assert_eq!(provides(&[lstm(), leaky(0.0)]), Properties::from([Gradient, AdditiveDrive, LinearReadout]));
    assert_eq!(provides(&[leaky(0.0)]), Properties::from([Gradient, AdditiveDrive, TimeConstants, LinearReadout]));
    let in_ms = json!({ "type": "leaky-rnn", "time_constants": { "unit": "ms", "low": 50.0, "high": 50.0 } });
    assert_eq!(stacked(&[lstm(), in_ms], Layers::Last).needs(&registry), Properties::from([Property::TimesInMs]));
}

#[test]
fn problems_name_the_layer() {
    assert_eq!(testing::problems(&stacked(&[], Layers::Last)), "cell.layers is empty, must be at least one cell");
    let text = testing::problems(&stacked(
        &[lstm(), json!({ "type": "gru", "hidden": 0 }), json!({ "type": "gri" })],
        Layers::Last,
    ));
    let expected = [
        "cell.layers[1].hidden is 0, must be at least 1",
        "cell.layers[2] is 'gri', an unknown cell; did you mean 'gru'?",
    ];
    assert_eq!(text, expected.join("\n"));
}
