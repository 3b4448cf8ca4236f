//! `synfire plugin fingerprint`: what a plugin must agree on.

use crate::output::Answer;
use serde_json::{Map, Value};
use synfire::plugin::Identity;
use synfire::table::Table;

/// Do it.
pub fn execute() -> Answer {
    let own = Identity::own();
    let mut table = Table::new("fingerprint", "", &["field", "this program"]);
    let mut json = Map::new();
    for (field, value) in own.compared() {
        table.push((field, value));
        json.insert(field.into(), value.into());
    }
    Answer::new(table.to_text(), Value::Object(json))
}
