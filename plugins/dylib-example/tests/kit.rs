//! Every component keeps the promises that those of the program keep.

// Mentioned, so that it is linked and its components are registered.
use dylib_example as _;

#[test]
fn every_component_conforms() {
    synfire::testing::assert_conforms("dylib_example");
}
