use super::super::super::testing::{self, Probe};
use super::super::{Reads, TimeConstants};
use super::*;
use synfire::cell::Setting;
use synfire::recurrence::RECURRENT;
use synfire::tch::no_grad;
use synfire::tensors::values_f64;

/// The published network of excitatory and inhibitory units, with fewer of them.
fn published(hidden: usize) -> LeakyRnn {
    LeakyRnn {
        hidden,
        recurrent: Recurrent { start: RecurrentStart::InDegree, gain: 0.15, ..Recurrent::default() },
        dale: Some(Dale { excitatory_fraction: 0.5, balanced: false, inhibition: 1.2, signs: Signs::Clipped }),
        ..LeakyRnn::default()
    }
}

#[test]
fn every_unit_starts_with_as_many_sources_of_each_sign() {
    let network = testing::network(&published(40), &Probe::default());
    let weights = values_f64(network.parameters.get(RECURRENT_WEIGHT).expect("there"));
    let mut places = std::collections::BTreeSet::new();
    for row in weights.chunks(40) {
        let count = |half: &[f64], value: f64| half.iter().filter(|w| (**w - value).abs() < 1e-6).count();
        assert_eq!((count(&row[..20], 0.15), count(&row[..20], 0.0)), (10, 10));
        assert_eq!((count(&row[20..], -0.18), count(&row[20..], 0.0)), (10, 10));
        places.insert(row.iter().map(|w| *w != 0.0).collect::<Vec<_>>());
    }
    assert_eq!(places.len(), 40, "each unit has sources of its own");
    testing::adjoint_is_autograd(&published(8), &Probe::default(), 3, None);
}

#[test]
fn clipped_weights_keep_their_sign_and_come_back_from_zero() {
    let mut network = testing::network(&published(4), &Probe::default());
    let setting = Setting { dt_ms: Some(20.0), ..Setting::default() };
    let changed = [0.3, -0.2, -0.1, 0.4, 0.0, 0.1, 0.0, -0.1];
    let changed = Tensor::from_slice(&[changed, changed].concat()).reshape([4, 4]);
    let weight = network.parameters.get(RECURRENT_WEIGHT).expect("there").shallow_clone();
    no_grad(|| weight.shallow_clone().copy_(&changed));
    let expected = [0.3, 0.0, -0.1, 0.0, 0.0, 0.1, 0.0, -0.1];
    let expected = [expected, expected].concat();
    let effective = |network: &synfire::Network| {
        let prepared = network.dynamics.prepare(&network.parameters, &setting).expect("prepares");
        prepared.get(RECURRENT).expect("there").copy()
    };
    // What acts is clipped also before the trainer has clipped the parameter.
    let near = |found: &Tensor| {
        let gaps = values_f64(found).into_iter().zip(&expected).map(|(a, b)| (a - b).abs());
        gaps.fold(0.0, f64::max) < 1e-6
    };
    assert!(near(&effective(&network)));
    network.bound().expect("clips");
    assert!(near(network.parameters.get(RECURRENT_WEIGHT).expect("there")));
    assert!(near(&effective(&network)));
    let leaf = weight.detach().copy().set_requires_grad(true);
    let clipped = published(4).dale.expect("signs").clipped(&leaf).expect("clips");
    clipped.sum(leaf.kind()).backward();
    assert!(values_f64(&leaf.grad()).iter().all(|slope| *slope == 1.0), "a weight of 0 can grow");
}

#[test]
fn connections_from_none_need_signs_that_let_them_grow() {
    let free = LeakyRnn { dale: None, reads: Reads::Rate, ..published(8) };
    let text = testing::problems(&free);
    assert!(text.starts_with("cell.recurrent.start is in-degree, which needs signs by source"), "{text}");
    let folded = LeakyRnn { dale: Some(Dale::default()), time_constants: TimeConstants::default(), ..published(8) };
    assert!(testing::problems(&folded).contains("in-degree"));
    assert!(testing::problems(&published(8)).is_empty());
    let nothing = Recurrent { in_degree: 0.0, ..published(8).recurrent };
    let text = testing::problems(&LeakyRnn { recurrent: nothing, ..published(8) });
    assert!(text.contains("cell.recurrent.in_degree is 0, must be above 0"), "{text}");
}
