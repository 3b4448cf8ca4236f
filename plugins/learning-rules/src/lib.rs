//! Components to compare what networks learn under different learning rules.
//!
//! Paper: McMahan, Kleinman & Kao, "Learning rule influences recurrent network representations but not attractor structure in
//! decision-making tasks", NeurIPS 2021, <https://openreview.net/forum?id=Bix4uw5GcbE>. Networks trained by backpropagation, a genetic
//! algorithm, full-FORCE and a reward-modulated Hebbian rule have alike attractors and unlike representations.
//!
//! - [`analyses`]: fixed points, their topology over inputs, representations, psychometrics and what goes with them.
//! - [`rules`]: `force`, `full-force`, `reward-hebbian`, `genetic`, `rflo` and `e-prop`.
//! - [`tasks`]: decisions on noisy signals with and without a context, delayed comparison, and signals to generate.

pub mod analyses;
pub mod canonical;
pub mod channels;
pub mod clustering;
pub mod curricula;
pub mod decoding;
pub mod decomposition;
pub mod fixed_points;
pub mod formats;
pub mod ideal;
pub mod recorded;
pub mod regression_axes;
pub mod rules;
pub mod sigmoid;
pub mod tasks;

#[cfg(test)]
mod tests {
    // Cells, tasks and curricula to work with.
    use synfire_essentials as _;

    #[test]
    fn conformance() {
        synfire::testing::assert_conforms(env!("CARGO_CRATE_NAME"));
    }
}
