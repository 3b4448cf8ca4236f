use super::*;
use crate::testing;

/// What stands in for others must itself keep every promise; the framework links no component, so these are all there are.
#[test]
fn the_stand_ins_conform() {
    let registry = registry().expect("no duplicates");
    let failures = testing::check(&registry, |component| component.crate_name() == "synfire");
    // Their tags differ from the names they stand for.
    let others: Vec<_> = failures.iter().filter(|f| !f.problem.starts_with("typetag calls it")).collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(failures.len(), STAND_INS.len());
}
