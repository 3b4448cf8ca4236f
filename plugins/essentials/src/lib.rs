//! Components that more than one study uses: cells, rules, curricula, tasks and analyses of general interest.
//!
//! [`cells`]: rate networks with time constants, constraints and noise (`leaky-rnn`), and the classical `elman`, `lstm` and `gru`.

pub mod analyses;
pub mod cells;
pub mod checkpoints;
pub mod correlation;
pub mod curricula;
pub mod drive;
pub mod eigen;
pub mod formats;
pub mod levels;
pub mod power;
pub mod principal_components;
pub mod protocol;
pub mod rules;
pub mod simulation;
pub mod tasks;
pub mod variants;

#[cfg(test)]
mod tests {
    #[test]
    fn conformance() {
        synfire::testing::assert_conforms(env!("CARGO_CRATE_NAME"));
    }
}
