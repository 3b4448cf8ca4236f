//! Eligibility propagation.

use super::eligibility::{Broadcast, Traces, check, needs};
use super::local_gradient::OwnPath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::optimizer::Optimizer;
use synfire::{
    BuildContext, Component, Learner, LearningRule, Network, Problems, Properties, Registry, Result, Stream,
};

/// Eligibility propagation (e-prop): each synapse keeps a trace of how it has influenced the state of its unit, and is changed by the
/// error that reaches that unit.
///
/// The gradient is a sum over time of the error that reaches a unit directly and of the eligibility `e_ij`, the exact influence of
/// the synapse on the state of its own unit along that unit's own path; influences by way of other units are left out:
///
/// `e_ij(t) = ds_i(t)/ds_i(t - 1) e_ij(t - 1) + a_i(t) r_j(t - 1)`
///
/// with `a` the slope of the state `s` in its input, `r` what the sending unit sent at the step before, and the first factor the whole
/// own derivative: what did not leak away, and what came back through the unit's connection to itself. Errors arrive through the weights
/// of the heads, or through fixed random ones with `broadcast = "random"`. Input weights and biases have traces alike; heads learn by
/// their exact gradient. It is handed to the optimiser at the end of each batch; time constants and initial states do not learn. In a
/// network whose units are connected to themselves alone it is the gradient itself.
///
/// Source: Bellec et al. 2020, "A solution to the learning dilemma for recurrent networks of spiking neurons",
/// doi:10.1038/s41467-020-17236-y, for rate units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EProp {
    /// How parameters follow from gradients.
    pub optimizer: Optimizer,
    /// Largest norm of the gradient over all parameters.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub clip: f64,
    /// By which weights errors reach the units.
    pub broadcast: Broadcast,
    /// Patterns of the parameters to train, for example `recurrent.*`; empty for all.
    pub trainable: Vec<String>,
    /// Patterns of the parameters to leave as they are.
    pub frozen: Vec<String>,
}

impl Default for EProp {
    fn default() -> Self {
        let (trainable, frozen) = (Vec::new(), Vec::new());
        Self { optimizer: Optimizer::default(), clip: 1.0, broadcast: Broadcast::Symmetric, trainable, frozen }
    }
}

#[typetag::serde(name = "e-prop")]
impl LearningRule for EProp {
    fn check(&self, _: &Registry, problems: &mut Problems) {
        check(&self.optimizer, self.clip, problems);
    }

    fn needs(&self, _: &Registry) -> Properties {
        needs()
    }

    fn start(&self, _: &mut Network, _: &BuildContext, stream: &Stream) -> Result<Box<dyn Learner>> {
        let Self { optimizer, clip, broadcast, trainable, frozen } = self.clone();
        let path = OwnPath::LeakAndSelf;
        Ok(Traces { name: "e-prop", path, broadcast, optimizer, clip, trainable, frozen }.start(stream))
    }
}

synfire::inventory::submit! { Component::rule::<EProp>("e-prop") }

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::rflo::Rflo;
    use super::*;
    use synfire::optimizer::Sgd;
    use synfire::recurrence::{Activation, Placement};
    use synfire::tch::Tensor;
    use synfire::tensors::values_f64;
    use synfire::{Lesson, Tensors};
    use synfire_essentials::cells::LeakyRnn;

    const PLACEMENTS: [Placement; 3] = [Placement::Drive, Placement::Whole, Placement::Current];

    fn plain() -> Optimizer {
        Optimizer::Sgd(Sgd { learning_rate: 1.0, ..Sgd::default() })
    }

    fn rflo(broadcast: Broadcast) -> Rflo {
        Rflo { optimizer: plain(), clip: f64::INFINITY, broadcast, ..Rflo::default() }
    }

    fn e_prop(broadcast: Broadcast) -> EProp {
        EProp { optimizer: plain(), clip: f64::INFINITY, broadcast, ..EProp::default() }
    }

    fn bench(placement: Placement, hidden: usize) -> Bench {
        let activation = Activation::Tanh;
        Bench::new(&LeakyRnn { hidden, placement, activation, ..LeakyRnn::default() })
    }

    /// The negative of the step that a rule takes at a learning rate of 1.
    fn step(bench: &Bench, rule: &dyn LearningRule, network: &mut Network) -> Tensors {
        let before = network.parameters.copy();
        let mut learner = bench.start(rule, network);
        bench.update(&mut *learner, network, 5).expect("learns");
        before.iter().map(|(n, t)| (n.to_string(), t - network.parameters.get(n).expect("there"))).collect()
    }

    fn same(a: &Tensors, b: &Tensors, names: &[&str], context: &str) {
        for name in names {
            let (x, y) = (a.get(name).expect("there"), b.get(name).expect("there"));
            let gap = (x - y).abs().max().double_value(&[]);
            // double precision, sums in another order
            assert!(gap < 1e-12 * (1.0 + y.abs().max().double_value(&[])), "{context} {name}: {gap:e}");
        }
    }

    const LEARNED: [&str; 5] = ["recurrent.weight", "input.weight", "input.bias", "head.0.weight", "head.0.bias"];

    #[test]
    fn without_recurrent_weights_both_are_the_gradient() {
        for placement in PLACEMENTS {
            let bench = bench(placement, 7);
            let network = bench.network();
            drop(network.parameters.get("recurrent.weight").expect("there").shallow_clone().fill_(0.0));
            let exact = bench.gradient(&network, 5).gradients;
            let rules: [&dyn LearningRule; 2] = [&rflo(Broadcast::Symmetric), &e_prop(Broadcast::Symmetric)];
            for rule in rules {
                let mut copy = bench.network();
                copy.parameters = network.parameters.copy();
                same(&step(&bench, rule, &mut copy), &exact, &LEARNED, &format!("{placement:?}"));
            }
        }
    }

    #[test]
    fn with_self_connections_alone_only_the_whole_own_path_is_the_gradient() {
        for placement in PLACEMENTS {
            let bench = bench(placement, 6);
            let mut network = bench.network();
            let own = Tensor::linspace(-0.9, 1.3, 6, (synfire::tch::Kind::Double, synfire::tch::Device::Cpu)).diag(0);
            network.parameters.insert("recurrent.weight", own);
            let exact = bench.gradient(&network, 5).gradients;
            let mut copy = bench.network();
            copy.parameters = network.parameters.copy();
            same(&step(&bench, &e_prop(Broadcast::Symmetric), &mut copy), &exact, &LEARNED, &format!("{placement:?}"));
            let mut copy = bench.network();
            copy.parameters = network.parameters.copy();
            let leaky = step(&bench, &rflo(Broadcast::Symmetric), &mut copy);
            let gap =
                (leaky.get("input.weight").expect("there") - exact.get("input.weight").expect("there")).abs().max();
            assert!(gap.double_value(&[]) > 1e-6, "{placement:?}: the leak alone is not the whole path");
        }
    }

    #[test]
    fn traces_carried_forwards_give_the_same_numbers() {
        // The rule as it is written: one trace for each synapse, carried from step to step, for the current form.
        let bench = bench(Placement::Current, 5);
        let mut network = bench.network();
        let parameters = network.parameters.copy();
        let found = step(&bench, &rflo(Broadcast::Symmetric), &mut network);
        let trials = bench.trials(5);
        let w = |name: &str| parameters.get(name).expect("there").shallow_clone();
        let leak = 1.0 / 5.0;
        let target = &trials.targets[0];
        let weight = target.weight.as_ref().expect("masked");
        let mut v = Tensor::zeros([5, 5], (synfire::tch::Kind::Double, synfire::tch::Device::Cpu));
        let mut trace = Tensor::zeros([5, 5, 5], (v.kind(), v.device()));
        let mut expected = Tensor::zeros([5, 5], (v.kind(), v.device()));
        for t in 0..12 {
            let r = v.tanh();
            let input = trials.inputs.get(t).matmul(&w("input.weight").tr()) + w("input.bias");
            v = &v * (1.0 - leak) + (r.matmul(&w("recurrent.weight").tr()) + input) * leak;
            trace = trace * (1.0 - leak) + r.unsqueeze(1) * leak;
            let out = v.tanh().matmul(&w("head.0.weight").tr()) + w("head.0.bias");
            let error = (out - target.values.get(t)) * 2.0 * weight.get(t).unsqueeze(1) / target.total;
            let reaching = error.matmul(&w("head.0.weight")) * (v.tanh().square().neg() + 1.0);
            expected += (reaching.unsqueeze(2) * &trace).sum_dim_intlist(0i64, false, None::<synfire::tch::Kind>);
        }
        let gap = (found.get("recurrent.weight").expect("there") - &expected).abs().max().double_value(&[]);
        assert!(gap < 1e-13, "{gap:e}");
        assert!(expected.abs().max().double_value(&[]) > 1e-3);
    }

    #[test]
    fn in_a_connected_network_they_point_the_way_of_the_gradient() {
        let cosine = |a: &Tensors, b: &Tensors| {
            let flat = |t: &Tensors| values_f64(t.get("recurrent.weight").expect("there"));
            let (a, b) = (flat(a), flat(b));
            let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
            dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
        };
        for placement in PLACEMENTS {
            let bench = bench(placement, 30);
            let exact = bench.gradient(&bench.network(), 5).gradients;
            let along = |rule: &dyn LearningRule| cosine(&step(&bench, rule, &mut bench.network()), &exact);
            for rule in [&rflo(Broadcast::Symmetric) as &dyn LearningRule, &e_prop(Broadcast::Symmetric)] {
                // twelve steps of weak recurrence: most of the gradient is local
                assert!(along(rule) > 0.8, "{placement:?}: {}", along(rule));
            }
            assert!(along(&rflo(Broadcast::Random)).abs() < 0.6, "random weights know nothing of the readout yet");
        }
    }

    #[test]
    fn both_learn_and_go_on_after_a_break_with_the_same_bytes() {
        let rules: [&dyn LearningRule; 2] = [&Rflo::default(), &EProp::default()];
        for rule in rules {
            let bench = bench(Placement::Current, 30);
            let mut first = bench.network();
            let mut learner = bench.start(rule, &mut first);
            let losses: Vec<f64> =
                (0..150).map(|_| bench.update(&mut *learner, &mut first, 20).expect("learns")).collect();
            assert!(losses[149] < 0.7 * losses[0], "{} {}", losses[0], losses[149]);
            let (saved, parameters) = (learner.state().expect("copies"), first.parameters.copy());
            bench.update(&mut *learner, &mut first, 20).expect("learns");
            let mut second = bench.network();
            let mut other = bench.start(rule, &mut second);
            second.parameters = parameters;
            other.restore(saved).expect("its own");
            bench.update(&mut *other, &mut second, 20).expect("learns");
            assert!(second.parameters.same_bytes(&first.parameters));
            let foreign = Tensors::from([("members/x", Tensor::from(1.0))]);
            assert!(other.restore(foreign).expect_err("another rule's").to_string().contains("'members/x'"));
        }
    }

    #[test]
    fn what_is_frozen_stays() {
        let mut bench = bench(Placement::Drive, 5);
        bench.lesson = Lesson { frozen: vec!["head.*".into()], ..Lesson::default() };
        let mut network = bench.network();
        let rule = EProp { trainable: vec!["recurrent.*".into(), "head.*".into()], ..e_prop(Broadcast::Symmetric) };
        let change = step(&bench, &rule, &mut network);
        for (name, change) in change.iter() {
            let moved = change.abs().max().double_value(&[]) > 0.0;
            assert_eq!(moved, name == "recurrent.weight", "{name}");
        }
    }
}
