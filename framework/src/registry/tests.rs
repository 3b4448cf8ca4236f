use super::*;
use crate::Cell;

#[test]
fn near_names_come_first() {
    let known = ["n-parity", "delayed-match", "flip-flop"];
    assert_eq!(near("n-partiy", known.into_iter()), ["n-parity"]);
    assert_eq!(near("parity", known.into_iter()), ["n-parity"]);
    assert!(near("zebra", known.into_iter()).is_empty());
}

#[test]
fn a_spec_reads_and_writes_as_a_tagged_table() {
    let spec: Spec<dyn Cell> = serde_json::from_str(r#"{"type": "lstm", "hidden": 4}"#).expect("valid");
    assert_eq!(spec.name, "lstm");
    assert_eq!(serde_json::to_string(&spec).expect("writes"), r#"{"type":"lstm","hidden":4}"#);
    let missing = serde_json::from_str::<Spec<dyn Cell>>("{}").expect_err("no type");
    assert!(missing.to_string().contains("type = "));
}
