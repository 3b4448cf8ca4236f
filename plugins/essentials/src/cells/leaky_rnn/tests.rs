mod constraints;
mod noise;
mod time_constants;

use super::*;
use crate::cells::testing::{self, Bench, Probe, assert_close};
use synfire::Lesson;
use synfire::cell::{Mode, Setting};
use synfire::recurrence::RECURRENT;
use synfire::task::Answer;
use synfire::tch::{Device, Kind, Tensor, no_grad};
use synfire::tensors::values_f64;
use synfire::workers::Workers;

fn small() -> LeakyRnn {
    let time_constants = TimeConstants { low: 1.5, high: 4.0, trainable: true, ..TimeConstants::default() };
    LeakyRnn {
        hidden: 6,
        time_constants,
        initial_state: InitialState { high: 0.5, ..Default::default() },
        ..LeakyRnn::default()
    }
}

/// The published cell of growing memory tasks.
fn published(placement: Placement) -> LeakyRnn {
    LeakyRnn {
        hidden: 4,
        placement,
        activation: Activation::LeakyRelu,
        time_constants: TimeConstants { low: 1.0, high: 2.0, trainable: true, ..TimeConstants::default() },
        self_connections: SelfConnections::Zeroed,
        recurrent_bias: true,
        initial_state: InitialState { high: 0.1, ..InitialState::default() },
        ..LeakyRnn::default()
    }
}

const PLACEMENTS: [Placement; 3] = [Placement::Drive, Placement::Whole, Placement::Current];

const ACTIVATIONS: [Activation; 9] = [
    Activation::Tanh,
    Activation::Relu,
    Activation::LeakyRelu,
    Activation::Sigmoid,
    Activation::Softplus,
    Activation::Retanh,
    Activation::PowerLaw,
    Activation::Saturating,
    Activation::Identity,
];

/// Every option away from its default at least once.
fn variants() -> Vec<LeakyRnn> {
    let tau = small().time_constants;
    let noise = Noise { sigma: 0.2, ..Noise::default() };
    let with = |change: &dyn Fn(&mut LeakyRnn)| {
        let mut cell = small();
        change(&mut cell);
        cell
    };
    vec![
        with(&|_| {}),
        with(&|c| c.time_constants = TimeConstants::default()),
        with(&|c| c.time_constants.shared = true),
        with(&|c| c.time_constants = TimeConstants { low: 1.0, high: 1.0, shared: true, ..TimeConstants::default() }),
        with(&|c| c.time_constants = TimeConstants { low: 0.5, high: 2.0, ..tau }),
        with(&|c| c.time_constants = TimeConstants { unit: Unit::Ms, low: 15.0, high: 100.0, ..tau }),
        with(&|c| c.time_constants = TimeConstants { unit: Unit::Symbols, low: 0.2, high: 0.6, least: 0.0, ..tau }),
        with(&|c| {
            c.time_constants = TimeConstants { unit: Unit::Symbols, least: 0.0, mean: Some(0.4), ..tau };
            c.integration = Integration::Exact;
            c.noise = Noise { kind: NoiseKind::Correlated, ..noise };
        }),
        with(&|c| c.integration = Integration::Exact),
        with(&|c| c.input = Input { start: InputStart::Normal, gain: 2.0, ..Input::default() }),
        with(&|c| c.input_bias = false),
        with(&|c| c.recurrent_bias = true),
        with(&|c| {
            c.recurrent = Recurrent { start: RecurrentStart::Normal, gain: 1.2, density: 0.5, ..Recurrent::default() }
        }),
        with(&|c| c.recurrent.start = RecurrentStart::Orthogonal),
        with(&|c| c.recurrent.start = RecurrentStart::Identity),
        with(&|c| c.self_connections = SelfConnections::Masked),
        with(&|c| c.self_connections = SelfConnections::Zeroed),
        with(&|c| c.dale = Some(Dale::default())),
        with(&|c| c.dale = Some(Dale { signs: Signs::Clipped, inhibition: 1.2, ..Dale::default() })),
        with(&|c| c.rank = Some(2)),
        with(&|c| c.noise = noise),
        with(&|c| c.noise = Noise { kind: NoiseKind::Continuous, ..noise }),
        with(&|c| c.noise = Noise { kind: NoiseKind::Correlated, ..noise }),
        with(&|c| c.initial_state.trainable = true),
        with(&|c| {
            c.dale = Some(Dale::default());
            c.recurrent.density = 0.7;
            c.self_connections = SelfConnections::Masked;
            c.initial_state.trainable = true;
            c.noise = noise;
        }),
    ]
}

#[test]
fn the_explicit_adjoint_is_the_gradient_whatever_the_options() {
    for placement in PLACEMENTS {
        for (i, variant) in variants().into_iter().enumerate() {
            let activation = [Activation::Tanh, Activation::LeakyRelu, Activation::Softplus][i % 3];
            let cell = LeakyRnn { placement, activation, ..variant };
            let probes = Probe::kinds();
            testing::adjoint_is_autograd(&cell, &probes[i % probes.len()], 3, None);
            testing::adjoint_is_autograd(&cell, &probes[(i + 1) % probes.len()], 3, Some(2));
        }
        for activation in ACTIVATIONS {
            testing::adjoint_is_autograd(&LeakyRnn { placement, activation, ..small() }, &Probe::default(), 2, None);
        }
    }
}

#[test]
fn the_explicit_adjoint_is_the_gradient_for_one_row_two_blocks_and_one_step() {
    for placement in PLACEMENTS {
        let cell = LeakyRnn { placement, ..small() };
        for probe in Probe::kinds() {
            for batch in [1, 67] {
                testing::adjoint_is_autograd(&cell, &probe, batch, None);
            }
            testing::adjoint_is_autograd(&cell, &Probe { time: 1, ..probe.clone() }, 2, None);
            testing::adjoint_is_autograd(&cell, &Probe { time: 13, ..probe }, 2, Some(5));
        }
    }
}

#[test]
fn states_that_are_computed_again_give_the_same_gradients() {
    for placement in PLACEMENTS {
        for cell in [small(), LeakyRnn { noise: Noise { sigma: 0.2, ..Noise::default() }, ..small() }] {
            let cell = LeakyRnn { placement, ..cell };
            for probe in Probe::kinds() {
                for (time, window) in [(13, None), (13, Some(2)), (4, Some(3)), (1, None)] {
                    let probe = Probe { time, ..probe.clone() };
                    let network = testing::network(&cell, &probe);
                    let kept = Bench::new(&probe).gradient(&network, 3, window);
                    let workers = Workers::new(1).expect("one thread").with_state_memory(0);
                    let again = Bench { workers, ..Bench::new(&probe) }.gradient(&network, 3, window);
                    // Sums over steps in another order.
                    assert!((again.loss - kept.loss).abs() < 1e-12);
                    assert_close(&again.gradients, &kept.gradients, 1e-12, "states computed again");
                }
            }
        }
    }
}

#[test]
fn heads_are_heard_without_states() {
    for placement in PLACEMENTS {
        testing::heads_are_heard_without_states(&LeakyRnn { placement, ..small() });
    }
}

#[test]
fn gradients_meet_finite_differences() {
    for placement in PLACEMENTS {
        for variant in variants() {
            // The bound of a time constant and the straight-through diagonal are not derivatives of the loss.
            let smooth = variant.self_connections != SelfConnections::Zeroed;
            let activation = Activation::Softplus;
            if smooth {
                let answer = if variant.rank.is_some() { Answer::FinalStep } else { Answer::EveryStep };
                let probe = Probe { answer, ..Probe::default() };
                testing::gradient_meets_differences(&LeakyRnn { placement, activation, ..variant }, &probe);
            }
        }
    }
}

#[test]
fn states_and_gradients_of_the_published_cells_are_those_of_pytorch() {
    testing::meets_pytorch("leaky-whole", &published(Placement::Whole));
    testing::meets_pytorch("leaky-drive", &published(Placement::Drive));
}

#[test]
fn frozen_parameters_get_no_gradient_and_change_no_other() {
    let cell = LeakyRnn { recurrent: Recurrent { density: 0.5, ..Recurrent::default() }, ..small() };
    let network = testing::network(&cell, &Probe::default());
    let all = Bench::new(&Probe::default()).gradient(&network, 3, None).gradients;
    assert!(!all.contains("recurrent.mask") && all.contains("time_constants"));
    for fast in [true, false] {
        let frozen = vec!["time_constants".to_string(), "recurrent.weight".to_string(), "head.1.*".to_string()];
        let lesson = Lesson { frozen, ..Lesson::default() };
        let some = Bench { lesson, fast, ..Bench::new(&Probe::default()) }.gradient(&network, 3, None).gradients;
        let expected = ["input.weight", "input.bias", "head.0.weight", "head.0.bias"];
        assert_eq!(some.names().collect::<Vec<_>>(), expected);
        let expected = expected.iter().map(|n| (n.to_string(), all.get(n).expect("trained").shallow_clone()));
        assert_close(&some, &expected.collect(), 1e-12, "frozen");
    }
    let fixed = LeakyRnn { time_constants: TimeConstants::default(), ..small() };
    let network = testing::network(&fixed, &Probe::default());
    assert!(!network.trained(&Lesson::default()).contains(&"time_constants".to_string()));
}

#[test]
fn drive_and_whole_are_one_when_units_remember_nothing() {
    let cell = |placement| LeakyRnn {
        placement,
        time_constants: TimeConstants { low: 1.0, high: 1.0, ..TimeConstants::default() },
        ..small()
    };
    for fast in [true, false] {
        let gradient = |placement| {
            let network = testing::network(&cell(placement), &Probe::default());
            Bench { fast, ..Bench::new(&Probe::default()) }.gradient(&network, 4, None).gradients
        };
        // rounding: (1 - 1) r + 1 z against z
        assert_close(&gradient(Placement::Drive), &gradient(Placement::Whole), 1e-12, "tau = 1");
    }
}

#[test]
fn bytes_depend_on_the_seed_and_not_on_the_threads() {
    let noise = Noise { sigma: 0.1, ..Noise::default() };
    let cell = LeakyRnn { hidden: 40, noise, ..small() };
    for placement in PLACEMENTS {
        testing::bytes_depend_on_the_seed_alone(&LeakyRnn { placement, ..cell.clone() });
    }
    let network = testing::network(&cell, &Probe::default());
    let gradient = |seed| Bench { seed, ..Bench::new(&Probe::default()) }.gradient(&network, 3, None).gradients;
    assert!(gradient(1).same_bytes(&gradient(1)));
    assert!(!gradient(1).same_bytes(&gradient(2)));
}

#[test]
fn a_drive_adds_to_the_input_of_units() {
    for placement in PLACEMENTS {
        testing::drive_is_an_input_bias(&LeakyRnn { placement, ..small() }, 0);
    }
}

#[test]
fn parameters_come_in_the_stated_order() {
    let cell = LeakyRnn {
        recurrent: Recurrent { density: 0.9, ..Recurrent::default() },
        recurrent_bias: true,
        initial_state: InitialState { trainable: true, ..InitialState::default() },
        ..small()
    };
    let names = testing::network(&cell, &Probe::default()).names();
    let expected = "time_constants input.weight input.bias recurrent.weight recurrent.bias recurrent.mask initial_state \
                    head.0.weight head.0.bias head.1.weight head.1.bias";
    assert_eq!(names.join(" "), expected);
}

#[test]
fn options_out_of_range_are_refused_all_at_once() {
    let cell = LeakyRnn {
        hidden: 3,
        time_constants: TimeConstants { low: 4.0, high: 2.0, ..TimeConstants::default() },
        recurrent: Recurrent { density: 0.0, ..Recurrent::default() },
        rank: Some(4),
        dale: Some(Dale { excitatory_fraction: 1.2, ..Dale::default() }),
        ..LeakyRnn::default()
    };
    let text = testing::problems(&cell);
    let expected = [
        "cell.time_constants.high is 2, must be at least low = 4",
        "cell.recurrent.density is 0, must be above 0 and at most 1",
        "cell.dale.excitatory_fraction is 1.2, must be between 0 and 1",
        "cell.rank cannot be combined with dale; signs by source need full rank; leave one out",
        "cell.rank is 4, must be between 1 and hidden = 3",
    ];
    assert_eq!(text, expected.join("\n"));
    let short = TimeConstants { unit: Unit::Ms, ..TimeConstants::default() };
    let text = short.fits(Integration::Euler, Some(20.0)).expect_err("5 ms in steps of 20").to_string();
    assert!(text.starts_with("cell.time_constants.high is 5 ms, shorter than a step of 20 ms"), "{text}");
}

#[test]
fn a_trace_is_the_network_step_by_step_with_its_drive() {
    let probe = Probe { segments: 1, answer: Answer::EveryStep, ..Probe::default() };
    for placement in PLACEMENTS {
        let cell = LeakyRnn { placement, ..small() };
        let (bench, network) = (Bench::new(&probe), testing::network(&cell, &probe));
        // More rows than a block has.
        let trials = bench.trials(40);
        let shape = [trials.time() as i64, 40, 6];
        let drive = Stream::new(8).normal_tensor(&shape, Kind::Double, Device::Cpu);
        let fast = bench.rollout().trace(&network, &trials, Some(&drive)).expect("plays");
        let mut slow = bench.rollout();
        slow.fast = false;
        let slow = slow.trace(&network, &trials, Some(&drive)).expect("plays");
        assert_close(&fast.states, &slow.states, 1e-12, "states");
        assert!((&fast.outputs[0] - &slow.outputs[0]).abs().max().double_value(&[]) < 1e-12);
        assert!((&fast.input - &slow.input).abs().max().double_value(&[]) < 1e-12);
        let silent = bench.rollout().trace(&network, &trials, None).expect("plays");
        let played = bench.rollout().play(&network, &trials, synfire::rollout::Record::Outputs).expect("plays");
        // Products of other shapes: the last digits.
        assert!((&silent.outputs[0] - &played.outputs[0]).abs().max().double_value(&[]) < 1e-12);
        assert!((&fast.outputs[0] - &silent.outputs[0]).abs().max().double_value(&[]) > 1e-3);
    }
    let closed = Probe { segments: 3, ..Probe::default() };
    let (bench, network) = (Bench::new(&closed), testing::network(&small(), &closed));
    let error = bench.rollout().trace(&network, &bench.trials(2), None).expect_err("closed");
    assert!(error.to_string().contains("open-loop"), "{error}");
}
