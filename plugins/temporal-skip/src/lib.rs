//! Components to train plain recurrent networks on long memories with temporary shortcuts through time.
//!
//! Paper: Soo, Goudar & Wang, "Training biologically plausible recurrent neural networks on cognitive tasks with long-term
//! dependencies", NeurIPS 2023, <https://openreview.net/forum?id=O453PHSthc>, doi:10.1101/2023.10.10.561588. Connections that jump over
//! many steps carry gradients back to early events; they fade away during training, and what remains is an ordinary network.
//!
//! - [`tasks`]: twenty tasks about angles on a ring, all of them as one, and a rule that reverses;
//! - [`cells`]: `skip` and `dynamics-aligned`, wrappers around any cell that mix its state with that of some steps before;
//! - [`curricula`]: `staged`, numbers that change stage by stage around another curriculum;
//! - [`analyses`]: updates to criterion, unrollings compared on one network, gradients over time, performance in ring tasks.

pub mod analyses;
pub mod cells;
pub mod curricula;
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
