//! Tasks with known answers, learned by every cell.

use crate::program::json;

/// Three bits, by gradient descent, with each of the four cells; the criterion is a mean squared error that a network which ignores
/// its input (error near 1) or forgets between pulses cannot reach.
#[test]
fn every_cell_learns_three_flip_flops() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for cell in ["leaky-rnn", "elman", "lstm", "gru"] {
        let arguments = [
            "run",
            "-t",
            "flip-flop",
            "-c",
            cell,
            "-u",
            "threshold",
            "-r",
            "bptt",
            "--device",
            "cpu",
            "--set",
            "cell.hidden=48",
            "--set",
            "curriculum.metric=loss",
            "--set",
            "curriculum.threshold=0.05",
            "--set",
            "training.batch=64",
            "--set",
            "training.updates_per_evaluation=50",
            "--set",
            "training.evaluation_trials=256",
            "--set",
            "rule.optimizer.learning_rate=0.005",
            "--updates",
            "3000",
            "-q",
            "-o",
            cell,
        ];
        let run = json(folder.path(), &arguments);
        let loss = run["metrics"]["loss"].as_f64().or_else(|| run["metrics"][0]["loss"].as_f64()).expect("a number");
        assert!(loss < 0.05, "{cell}: {run}");
    }
}
