use super::super::bench::Bench;
use super::*;
use synfire::tensors::values_f64;
use synfire_essentials::cells::{Gru, LeakyRnn};

fn rule() -> Genetic {
    Genetic { population: 12, parents: 3, mutation: 0.1, ..Genetic::default() }
}

#[test]
fn the_first_generation_is_the_network_and_rearrangements_of_it() {
    let bench = Bench::new(&LeakyRnn { hidden: 6, ..LeakyRnn::default() });
    let mut network = bench.network();
    let drawn = network.parameters.copy();
    let mut learner = bench.start(&Genetic { frozen: vec!["head.*".into()], ..rule() }, &mut network);
    bench.update(&mut *learner, &mut network, 8).expect("plays");
    // the state is the second generation, whose member 0 is the best of the first and the network
    let state = learner.state().expect("copies");
    assert_eq!(state.get("members/recurrent.weight").expect("there").size(), [12, 6, 6]);
    assert!(state.find("members/head.0.weight").is_none() && state.find("members/time_constants").is_none());
    let sorted = |t: &Tensor| {
        let mut values = values_f64(t);
        values.sort_by(f64::total_cmp);
        values
    };
    for name in ["recurrent.weight", "input.weight"] {
        let best = network.parameters.get(name).expect("there");
        assert_eq!(sorted(best), sorted(drawn.get(name).expect("there")), "the same numbers in another order");
        let elite = state.get(&format!("members/{name}")).expect("there").get(0);
        assert_eq!(values_f64(&elite), values_f64(best));
    }
    assert_eq!(network.parameters.get("head.0.weight").expect("there"), drawn.get("head.0.weight").expect("there"));
}

#[test]
fn children_are_parents_plus_noise_of_the_asked_size() {
    let bench = Bench::new(&LeakyRnn { hidden: 20, ..LeakyRnn::default() });
    let mut network = bench.network();
    let one_parent = Genetic { population: 9, parents: 1, mutation: 0.05, ..Genetic::default() };
    let mut learner = bench.start(&one_parent, &mut network);
    bench.update(&mut *learner, &mut network, 4).expect("plays");
    let state = learner.state().expect("copies");
    let all = state.get("members/recurrent.weight").expect("there");
    let best = network.parameters.get("recurrent.weight").expect("there");
    let noise = values_f64(&(all.narrow(0, 1, 8) - best));
    let deviation = (noise.iter().map(|x| x * x).sum::<f64>() / noise.len() as f64).sqrt();
    // 3200 normal numbers: five standard errors of their standard deviation
    assert!((deviation - 0.05).abs() < 0.05 * 5.0 / (2.0 * 3200f64).sqrt(), "{deviation}");
}

#[test]
fn it_learns_with_any_cell_and_the_elite_never_gets_worse_on_the_same_trials() {
    // The trials of this bench are the same in each update, so the best loss cannot rise.
    let leaky = Bench::new(&LeakyRnn { hidden: 10, ..LeakyRnn::default() });
    let gated = Bench::new(&Gru { hidden: 6 });
    for bench in [leaky, gated] {
        let mut network = bench.network();
        let mut learner = bench.start(&rule(), &mut network);
        let losses: Vec<f64> = (0..40).map(|_| bench.update(&mut *learner, &mut network, 16).expect("plays")).collect();
        assert!(losses.windows(2).all(|pair| pair[1] <= pair[0]), "{losses:?}");
        assert!(losses[39] < 0.9 * losses[0], "{losses:?}");
    }
}

#[test]
fn a_restored_population_goes_on_with_the_same_bytes() {
    let bench = Bench::new(&LeakyRnn { hidden: 5, ..LeakyRnn::default() });
    let mut first = bench.network();
    let mut learner = bench.start(&rule(), &mut first);
    bench.update(&mut *learner, &mut first, 6).expect("plays");
    let (saved, parameters) = (learner.state().expect("copies"), first.parameters.copy());
    bench.update(&mut *learner, &mut first, 6).expect("plays");
    let mut second = bench.network();
    let mut other = bench.start(&rule(), &mut second);
    second.parameters = parameters;
    other.restore(saved).expect("its own");
    bench.update(&mut *other, &mut second, 6).expect("plays");
    assert!(second.parameters.same_bytes(&first.parameters));
    assert!(other.state().expect("copies").same_bytes(&learner.state().expect("copies")));
    let foreign = Tensors::from([("moments", Tensor::from(1.0))]);
    assert!(other.restore(foreign).expect_err("another rule's").to_string().contains("'moments'"));
}

#[test]
fn nonsense_is_refused() {
    let bench = Bench::new(&LeakyRnn { hidden: 5, ..LeakyRnn::default() });
    let mut problems = Problems::under("rule");
    Genetic { population: 4, mutation: 0.0, ..Genetic::default() }.check(&bench.registry, &mut problems);
    let message = problems.into_result().expect_err("two").to_string();
    assert!(message.contains("rule.parents is 5") && message.contains("rule.mutation is 0"), "{message}");
    let mut network = bench.network();
    let mut learner = bench.start(&Genetic { trainable: vec!["gate".into()], ..rule() }, &mut network);
    let error = bench.update(&mut *learner, &mut network, 2).expect_err("nothing to change");
    assert!(error.to_string().contains("recurrent.weight"), "{error}");
}
