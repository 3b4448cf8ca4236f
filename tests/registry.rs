//! Everything that is registered keeps its promises.

use std::collections::BTreeSet;
use std::path::Path;
use synfire::{Kind, Registry, testing};

#[test]
fn every_component_conforms() {
    testing::assert_conforms("");
}

#[test]
fn every_plugin_crate_of_the_workspace_is_linked_and_brings_something() {
    let registry = Registry::linked().expect("no duplicates");
    let crates: BTreeSet<&str> = registry.iter().map(|c| c.crate_name()).collect();
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    for entry in std::fs::read_dir(plugins).expect("plugins folder").flatten() {
        let manifest = std::fs::read_to_string(entry.path().join("Cargo.toml")).unwrap_or_default();
        // An external plugin is loaded, not linked.
        if !manifest.is_empty() && !manifest.contains("cdylib") {
            let name = format!("synfire_{}", entry.file_name().to_string_lossy().replace('-', "_"));
            assert!(
                crates.contains(name.as_str()),
                "{name} is not in cli/src/linked.rs or registers nothing: {crates:?}"
            );
        }
    }
}

#[test]
fn the_names_promised_to_users_are_there() {
    let registry = Registry::linked().expect("no duplicates");
    let promised = [
        (
            Kind::Task,
            &[
                "n-parity",
                "delayed-match",
                "pulsed-parity",
                "flip-flop",
                "sine-wave",
                "delayed-copy",
                "ring-go",
                "ring-dlygo",
                "ring-dms",
                "ring-dnmc",
                "ring-battery",
                "rule-reversal",
            ][..],
        ),
        (Kind::Cell, &["leaky-rnn", "continuous-rnn", "elman", "lstm", "gru", "skip", "dynamics-aligned", "stacked"]),
        (
            Kind::Curriculum,
            &["fixed-budget", "threshold", "direct", "single-level", "cumulative", "sliding-window", "staged"],
        ),
        (Kind::Rule, &["bptt", "force"]),
        (
            Kind::Analysis,
            &[
                "learning-curve",
                "activity",
                "pca",
                "spectrum",
                "ablation",
                "perturbation",
                "level-accuracy",
                "dimensionality",
                "connectivity",
                "retraining",
                "timescales",
                "time-constants",
                "gate-timescales",
                "step-size",
                "curriculum-comparison",
                "updates-to-criterion",
                "unrolling-mismatch",
                "gradient-flow",
                "ring-performance",
            ],
        ),
        (
            Kind::Format,
            &["timescales-checkpoint", "timescales-folder", "timescales-results", "state-dict", "safetensors", "npz"],
        ),
    ];
    for (kind, names) in promised {
        for name in names {
            assert!(registry.find(kind, name).is_ok(), "no {kind} '{name}'");
        }
    }
}
