//! Tasks of general interest.

pub mod asked;
mod delayed_copy;
mod flip_flop;
mod sine_wave;
mod two_armed_bandit;

pub use delayed_copy::{DelayedCopy, Items};
pub use flip_flop::FlipFlop;
pub use sine_wave::SineWave;
pub use two_armed_bandit::TwoArmedBandit;

#[cfg(test)]
mod tests {
    use synfire::testing::{small, train_in_two_ways};
    use synfire::{Experiment, Registry, Spec};

    #[test]
    fn every_task_trains_and_goes_on_after_a_break_with_the_same_bytes() {
        let registry = Registry::linked().expect("no duplicates");
        let tasks = [
            ("flip-flop", serde_json::json!({ "duration_ms": 100.0 })),
            ("sine-wave", serde_json::json!({ "duration_ms": 40.0 })),
            ("delayed-copy", serde_json::json!({ "items": "real" })),
            ("delayed-copy", serde_json::json!({ "channels": 2 })),
            ("two-armed-bandit", serde_json::json!({ "decisions": 4 })),
        ];
        for (name, options) in tasks {
            let mut experiment = Experiment {
                name: "break".into(),
                device: "cpu".into(),
                task: Spec::with(name, &options),
                cell: small(&registry, "leaky-rnn"),
                curriculum: Spec::new("fixed-budget"),
                rule: Spec::new("bptt"),
                ..Experiment::default()
            };
            experiment.training.batch = 70;
            experiment.training.updates = 3;
            experiment.training.updates_per_evaluation = 1;
            experiment.training.evaluation_trials = 4;
            let difference = train_in_two_ways(&registry, &experiment, 1).expect("trains");
            assert_eq!(difference, None, "{name}");
        }
    }
}
