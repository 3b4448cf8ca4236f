//! The recipe of CONTRIBUTING: a component is one file and one `mod` line.

mod majority; // the one line

use synfire::{Kind, Registry, Spec, Task};

#[test]
fn the_file_is_the_one_that_contributing_shows() {
    let text = include_str!("../CONTRIBUTING.md");
    let shown = text.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a code block");
    assert_eq!(shown, include_str!("recipe/majority.rs"));
}

#[test]
fn it_is_found_described_checked_and_built_by_its_name() {
    let registry = Registry::linked().expect("no duplicates");
    let component = registry.find(Kind::Task, "majority").expect("registered");
    assert_eq!(component.summary(), "Say which sign was more frequent in a stream of ±1");
    let spec = Spec::<dyn Task>::with("majority", &serde_json::json!({"steps": 4}));
    let message = registry.build(&spec, "task").expect_err("even").to_string();
    assert_eq!(message, "task.steps is 4, must be odd");
}
