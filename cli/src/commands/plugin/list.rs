//! `synfire plugin list`: the plugins that were loaded.

use crate::output::{Answer, Program};
use serde_json::{Value, json};
use synfire::Component;
use synfire::table::Table;

/// Do it.
pub fn execute(program: &Program) -> Answer {
    let registry = &program.registry;
    let mut table = Table::new("plugins", "", &["plugin", "version", "author", "brings", "file"]);
    let mut json: Vec<Value> = Vec::new();
    for origin in registry.plugins() {
        let own = |component: &&Component| {
            registry.plugin_of(component.kind, component.name).is_some_and(|other| other.name == origin.name)
        };
        let brings: Vec<String> =
            registry.iter().filter(|c| own(c)).map(|c| format!("{} '{}'", c.kind, c.name)).collect();
        let components: Vec<Value> =
            registry.iter().filter(|c| own(c)).map(|c| json!({ "kind": c.kind, "name": c.name })).collect();
        let file = origin.file.display().to_string();
        table.push([origin.name.clone(), origin.version.clone(), origin.author.clone(), brings.join(", "), file]);
        let mut entry = json!(origin);
        entry["components"] = components.into();
        json.push(entry);
    }
    match json.is_empty() {
        true => Answer::new("no plugin is loaded; name one with --plugin FILE", json.into()),
        false => Answer::new(table.to_text(), json.into()),
    }
}
