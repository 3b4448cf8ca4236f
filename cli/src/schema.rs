//! The schemas of components, put together and put into words.

use serde_json::{Map, Value, json};
use synfire::experiment::EXTENDS;
use synfire::{Component, Experiment, Kind, Registry, schemars};

const DEFINITIONS: &str = "$defs";

/// JSON schema of an experiment file, with every component of the registry in its place.
pub fn of_experiments(registry: &Registry) -> Value {
    let mut root = serde_json::to_value(schemars::schema_for!(Experiment)).unwrap_or_default();
    let mut definitions = Map::new();
    for kind in Kind::ALL {
        let choices: Vec<Value> = registry
            .of_kind(kind)
            .map(|component| {
                let name = format!("{kind}.{}", component.name);
                tagged(component, &name, &mut definitions);
                json!({ "$ref": format!("#/{DEFINITIONS}/{name}") })
            })
            .collect();
        let what = format!("A {kind}: a table with its type and its options.");
        definitions.insert(kind.word().into(), json!({ "description": what, "oneOf": choices }));
    }
    if let Some(own) = root[DEFINITIONS].as_object_mut() {
        own.retain(|name, _| Kind::parse(name).is_none());
        own.extend(definitions);
    }
    root["title"] = "synfire experiment".into();
    root["properties"][EXTENDS] = json!({
        "description": "Files that this one is laid over, by their paths from its own folder.",
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
    });
    root
}

/// Add the schema of a component with its tag as the definition `name`, and what it refers to beside it.
fn tagged(component: &Component, name: &str, definitions: &mut Map<String, Value>) {
    let mut schema = component.schema();
    prefix_references(&mut schema, name);
    if let Some(Value::Object(own)) = schema.as_object_mut().and_then(|map| map.shift_remove(DEFINITIONS)) {
        let own = own.into_iter().filter(|(word, _)| Kind::parse(word).is_none());
        definitions.extend(own.map(|(word, definition)| (format!("{name}.{word}"), definition)));
    }
    let mut properties = Map::new();
    properties.insert("type".into(), json!({ "const": component.name, "description": component.summary() }));
    if let Some(Value::Object(own)) = schema.get("properties").cloned() {
        properties.extend(own);
    }
    if let Some(map) = schema.as_object_mut() {
        map.shift_remove("$schema");
        map.insert("type".into(), "object".into());
        map.insert("properties".into(), properties.into());
        map.insert("required".into(), json!(["type"]));
    }
    definitions.insert(name.to_string(), schema);
}

/// Two components may have definitions of one name; those of the kinds are shared.
fn prefix_references(value: &mut Value, name: &str) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get_mut("$ref")
                && let Some(word) = target.rsplit('/').next().filter(|word| Kind::parse(word).is_none())
            {
                *target = format!("#/{DEFINITIONS}/{name}.{word}");
            }
            map.values_mut().for_each(|value| prefix_references(value, name));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| prefix_references(value, name)),
        _ => {}
    }
}

/// One option of a table: its value, and what its schema says.
pub struct Field<'a> {
    /// Its key.
    pub name: &'a str,
    /// Its value.
    pub value: &'a Value,
    /// Its manual.
    pub meaning: &'a str,
    /// The values it takes, in words.
    pub accepts: String,
    /// Its schema.
    pub schema: &'a Value,
}

/// The options of a table in its own order. `root` holds the definitions that `schema` refers to.
pub fn fields<'a>(root: &'a Value, schema: &'a Value, table: &'a Map<String, Value>) -> Vec<Field<'a>> {
    let choices = target(root, schema);
    let shape = variant(choices, table.get("type"));
    table
        .iter()
        .map(|(name, value)| {
            let schema = &shape["properties"][name];
            let own = schema["description"].as_str();
            let meaning = own.or_else(|| target(root, schema)["description"].as_str()).unwrap_or_default();
            let accepts = if name == "type" { tags(choices) } else { accepts(root, schema) };
            Field { name, value, meaning, accepts, schema }
        })
        .collect()
}

/// Follow references, and alternatives of which all but one are null.
fn target<'a>(root: &'a Value, mut node: &'a Value) -> &'a Value {
    loop {
        let reference = node["$ref"].as_str().and_then(|target| target.strip_prefix("#/$defs/"));
        let alternatives = ["allOf", "anyOf"].iter().find_map(|key| node[*key].as_array());
        let real: Vec<&Value> = alternatives.into_iter().flatten().filter(|one| one["type"] != "null").collect();
        node = match (reference, &real[..]) {
            (Some(name), _) => &root[DEFINITIONS][name],
            (None, [one]) => one,
            _ => return node,
        };
    }
}

/// Of tagged alternatives, the one that `tag` names; else the node itself.
fn variant<'a>(node: &'a Value, tag: Option<&Value>) -> &'a Value {
    let all = ["oneOf", "anyOf"].iter().find_map(|key| node[*key].as_array());
    let named = |one: &&Value| tag.is_some_and(|tag| one["properties"]["type"]["const"] == *tag);
    all.and_then(|all| all.iter().find(named)).unwrap_or(node)
}

/// The tags of tagged alternatives.
fn tags(node: &Value) -> String {
    let all = ["oneOf", "anyOf"].iter().find_map(|key| node[*key].as_array()).map(Vec::as_slice).unwrap_or_default();
    let words: Vec<&str> = all.iter().filter_map(|one| one["properties"]["type"]["const"].as_str()).collect();
    words.join(" | ")
}

/// The values that a schema takes, in words.
fn accepts(root: &Value, schema: &Value) -> String {
    let component = schema["$ref"].as_str().and_then(|target| target.strip_prefix("#/$defs/")).and_then(Kind::parse);
    if let Some(kind) = component {
        return format!("a {kind}");
    }
    let list = |key: &str| schema[key].as_array();
    let null = |one: &Value| one["type"] == "null";
    let optional = list("anyOf").is_some_and(|all| all.iter().any(null))
        || list("type").is_some_and(|all| all.contains(&"null".into()));
    let node = target(root, schema);
    let words = plain(root, node, schema);
    match (optional, words.is_empty()) {
        (true, false) => format!("{words}, or none"),
        (true, true) => "or none".into(),
        (false, _) => words,
    }
}

fn plain(root: &Value, node: &Value, outer: &Value) -> String {
    if let Some(values) = node["enum"].as_array() {
        return values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | ");
    }
    if let Some(choices) = node["oneOf"].as_array().or_else(|| node["anyOf"].as_array()) {
        let word = |one: &Value| match (one["const"].as_str(), one["properties"]["type"]["const"].as_str()) {
            (Some(word), _) => word.to_string(),
            (None, Some(tag)) => format!("{{type = \"{tag}\", ..}}"),
            (None, None) => plain(root, target(root, one), one),
        };
        return choices.iter().map(word).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" | ");
    }
    let kind = node["type"].as_str().or_else(|| {
        node["type"].as_array().and_then(|all| all.iter().filter_map(Value::as_str).find(|kind| *kind != "null"))
    });
    let of = |key: &str| [outer, node].iter().map(|schema| &schema[key]).find(|bound| !bound.is_null()).cloned();
    let word = match kind {
        Some("integer") => "whole number",
        Some("number") => "number",
        Some("boolean") => return "true | false".into(),
        Some("string") => return "text".into(),
        Some("array") => {
            let items = accepts(root, &node["items"]);
            return if items.is_empty() { "list".into() } else { format!("list of {items}") };
        }
        Some("object") => return "table".into(),
        _ => return String::new(),
    };
    let bounds =
        [(of("minimum"), "≥"), (of("exclusiveMinimum"), ">"), (of("maximum"), "≤"), (of("exclusiveMaximum"), "<")];
    let bounds = bounds.into_iter().filter_map(|(bound, sign)| bound.map(|bound| format!("{sign} {}", number(&bound))));
    let bounds: Vec<String> = bounds.collect();
    if bounds.is_empty() { word.into() } else { format!("{word} {}", bounds.join(", ")) }
}

/// A bound as people write it: `1`, not `1.0`.
fn number(value: &Value) -> String {
    let text = value.to_string();
    text.strip_suffix(".0").map_or(text.clone(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_schema_accepts_is_put_into_words() {
        let root = json!({ "$defs": {
            "Mode": { "oneOf": [{ "const": "single" }, { "const": "double" }] },
            "Optimizer": { "oneOf": [
                { "properties": { "type": { "const": "sgd" }, "learning_rate": { "type": "number", "exclusiveMinimum": 0.0 } } },
                { "properties": { "type": { "const": "adam" } } },
            ] },
        } });
        let words = |schema: Value| accepts(&root, &schema);
        assert_eq!(words(json!({ "type": "integer", "format": "uint", "minimum": 1 })), "whole number ≥ 1");
        assert_eq!(words(json!({ "type": "number", "minimum": 0.0, "maximum": 1.0 })), "number ≥ 0, ≤ 1");
        assert_eq!(words(json!({ "type": ["number", "null"] })), "number, or none");
        assert_eq!(words(json!({ "$ref": "#/$defs/Mode" })), "single | double");
        assert_eq!(
            words(json!({ "anyOf": [{ "$ref": "#/$defs/Mode" }, { "type": "null" }] })),
            "single | double, or none"
        );
        assert_eq!(words(json!({ "type": "array", "items": { "type": "boolean" } })), "list of true | false");
        assert_eq!(words(json!({ "$ref": "#/$defs/cell" })), "a cell");
        let table = json!({ "type": "sgd", "learning_rate": 0.1 });
        let schema = json!({ "$ref": "#/$defs/Optimizer" });
        let found = fields(&root, &schema, table.as_object().unwrap());
        assert_eq!(found[0].accepts, "sgd | adam");
        assert_eq!(found[1].accepts, "number > 0");
    }

    #[test]
    fn the_whole_schema_refers_to_nothing_that_is_not_there() {
        let schema = of_experiments(&Registry::linked().unwrap());
        let mut nodes = vec![&schema];
        while let Some(node) = nodes.pop() {
            if let Some(target) = node["$ref"].as_str() {
                let name = target.strip_prefix("#/$defs/").unwrap();
                assert!(schema["$defs"][name].is_object(), "{target}");
            }
            match node {
                Value::Object(map) => nodes.extend(map.values()),
                Value::Array(list) => nodes.extend(list),
                _ => {}
            }
        }
    }
}
