//! An experiment as TOML with every option explained.

use crate::schema::{Field, fields};
use crate::wrap::wrap;
use serde_json::{Map, Value};
use synfire::{Error, Experiment, Kind, Registry, Result, schemars};

const WIDTH: usize = 96;

/// The text of an experiment file that says the same as a resolved experiment, with the manual of every option above it.
///
/// # Errors
/// When a component is unknown or a value has no form in TOML.
pub fn commented(experiment: &Experiment, registry: &Registry) -> Result<String> {
    let root = serde_json::to_value(schemars::schema_for!(Experiment)).unwrap_or_default();
    let tree = serde_json::to_value(experiment).unwrap_or_default();
    let mut text = String::from(
        "# An experiment of synfire: `synfire check FILE` says whether it would run, `synfire run FILE` runs it.\n",
    );
    let plain = |name: &str| Kind::parse(name).is_none() && name != "training";
    let tops = tree.as_object().into_iter().flatten().filter(|(name, _)| plain(name));
    let tops: Map<String, Value> = tops.map(|(name, value)| (name.clone(), value.clone())).collect();
    for field in fields(&root, &root, &tops) {
        option(&mut text, &field)?;
    }
    let parts = [
        (Kind::Task, &experiment.task.name),
        (Kind::Cell, &experiment.cell.name),
        (Kind::Curriculum, &experiment.curriculum.name),
        (Kind::Rule, &experiment.rule.name),
    ];
    for (kind, name) in parts {
        component(&mut text, registry, kind, name, &tree[kind.word()], false)?;
    }
    let meaning = root["properties"]["training"]["description"].as_str().unwrap_or_default();
    text += &format!("\n{}[training]\n", comment(meaning));
    if let Some(training) = tree["training"].as_object() {
        table(&mut text, &root, &root["properties"]["training"], training, "training")?;
    }
    for (spec, value) in experiment.analysis.iter().zip(tree["analysis"].as_array().into_iter().flatten()) {
        component(&mut text, registry, Kind::Analysis, &spec.name, value, true)?;
    }
    if experiment.analysis.is_empty() {
        let example = registry.of_kind(Kind::Analysis).next().map_or("NAME", |component| component.name);
        text += &format!(
            "\n# What is measured when training is over; as many as wanted.\n# [[analysis]]\n# type = \"{example}\"\n"
        );
    }
    Ok(text)
}

fn component(
    text: &mut String,
    registry: &Registry,
    kind: Kind,
    name: &str,
    value: &Value,
    listed: bool,
) -> Result<()> {
    let component = registry.find(kind, name)?;
    let head = if listed { format!("[[{kind}]]") } else { format!("[{kind}]") };
    text.push_str(&format!("\n{}{head}\ntype = {}\n", comment(&component.summary()), key_text(name)));
    let schema = component.schema();
    let options = value.as_object().cloned().unwrap_or_default();
    let options: Map<String, Value> = options.into_iter().filter(|(key, _)| key != "type").collect();
    table(text, &schema, &schema, &options, kind.word())
}

/// The options of a table: plain ones first, then the tables in it, as TOML wants it.
fn table(text: &mut String, root: &Value, schema: &Value, values: &Map<String, Value>, path: &str) -> Result<()> {
    let all = fields(root, schema, values);
    let (tables, plain): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|field| field.value.as_object().is_some_and(|table| !table.is_empty()));
    for field in &plain {
        option(text, field)?;
    }
    for field in &tables {
        let path = format!("{path}.{}", key(field.name));
        text.push_str(&format!("\n{}[{path}]\n", comment(field.meaning)));
        if let Some(inner) = field.value.as_object() {
            table(text, root, field.schema, inner, &path)?;
        }
    }
    Ok(())
}

/// One option; what has no value is written as a comment, since TOML has none for it.
fn option(text: &mut String, field: &Field) -> Result<()> {
    let accepts = if field.accepts.is_empty() { String::new() } else { format!(" ({})", field.accepts) };
    text.push_str(&comment(&format!("{}{accepts}", field.meaning.trim())));
    match field.value {
        Value::Null => text.push_str(&format!("# {} =\n", key(field.name))),
        value => text.push_str(&format!("{} = {}\n", key(field.name), inline(value, field.name)?)),
    }
    Ok(())
}

/// A value on one line.
fn inline(value: &Value, name: &str) -> Result<String> {
    let mut value = value.clone();
    without_nulls(&mut value);
    let value: toml::Value =
        serde_json::from_value(value).map_err(|error| Error::Failed(format!("{name} has no form in TOML: {error}")))?;
    Ok(value.to_string())
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

fn comment(text: &str) -> String {
    let line = |line: &String| if line.is_empty() { "#\n".to_string() } else { format!("# {line}\n") };
    wrap(text.trim(), WIDTH).iter().map(line).collect()
}

/// A key, quoted where it must be.
fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_string() } else { key_text(name) }
}

fn key_text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::Spec;
    use synfire::experiment::Layers;

    /// Everything the registry has, one experiment a component, reads back as it was written.
    #[test]
    fn what_is_written_reads_back_equal() {
        let registry = Registry::linked().unwrap();
        let mut experiments = Vec::new();
        for component in registry.iter() {
            let mut experiment = Experiment { name: "a \"name\"".into(), ..Experiment::default() };
            match component.kind {
                Kind::Task => experiment.task = Spec::new(component.name),
                Kind::Cell => experiment.cell = Spec::new(component.name),
                Kind::Curriculum => experiment.curriculum = Spec::new(component.name),
                Kind::Rule => experiment.rule = Spec::new(component.name),
                Kind::Analysis => experiment.analysis = vec![Spec::new(component.name); 2],
                _ => continue,
            }
            experiments.push((component.name, experiment));
        }
        assert!(!experiments.is_empty());
        for (name, experiment) in experiments {
            let resolved = experiment.resolve(&registry).unwrap_or_else(|error| panic!("{name}: {error}"));
            let text = commented(&resolved, &registry).unwrap();
            let read = Layers::from_toml(&text).and_then(|layers| layers.experiment());
            let read = read.and_then(|read| read.resolve(&registry)).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(read, resolved, "{text}");
        }
    }
}
