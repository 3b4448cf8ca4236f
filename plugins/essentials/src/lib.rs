//! Components that more than one study uses: cells, rules, curricula, tasks and analyses of general interest.

pub mod analyses;
pub mod curricula;
pub mod eigen;
pub mod formats;
pub mod principal_components;
pub mod rules;

#[cfg(test)]
mod tests {
    #[test]
    fn conformance() {
        synfire::testing::assert_conforms(env!("CARGO_CRATE_NAME"));
    }
}
