//! `synfire describe`: a component's manual.

use crate::commands::list::{origin, parse_kind};
use crate::output::{Answer, Program};
use crate::schema::fields;
use crate::wrap::wrap;
use serde_json::{Map, Value, json};
use synfire::registry::Slot;
use synfire::{Analysis, Cell, Curriculum, Format, LearningRule, Task};
use synfire::{Kind, Properties, Registry, Result, Spec};

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire describe cell leaky-rnn
  synfire describe task n-parity --json";

/// Arguments of `describe`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// task, cell, curriculum, rule, analysis or format
    #[arg(value_name = "KIND")]
    pub kind: String,
    /// Its name, as `synfire list` prints it
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Do it.
///
/// # Errors
/// [`synfire::Error::Unknown`] with near names.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    let kind = parse_kind(&args.kind)?;
    let component = program.registry.find(kind, &args.name)?;
    let schema = component.schema();
    let defaults = component.defaults()?;
    let (needs, provides) = properties(kind, component.name, &program.registry)?;
    let (origin, plugin) = origin(component, program);
    let json = json!({
        "kind": kind, "name": component.name, "summary": component.summary(), "manual": component.manual(),
        "crate": origin, "schema": schema, "defaults": defaults, "needs": needs, "provides": provides,
        "source": component.source(), "plugin": plugin,
    });
    let from =
        plugin.map_or(origin, |plugin| format!("plugin {} {}: {}", plugin.name, plugin.version, plugin.file.display()));
    let mut text = format!("{kind} {}  ({from})\n\n{}\n", component.name, component.manual());
    let mut rows = Vec::new();
    options(&schema, &schema, defaults.as_object().unwrap_or(&Map::new()), "", &mut rows);
    if !rows.is_empty() {
        text += &format!("\nOptions (set with --set {kind}.NAME=VALUE)\n{}", lines(&rows));
    }
    for (title, found) in [("Needs", &needs), ("Provides", &provides)] {
        if !found.is_empty() {
            let phrases: Vec<&str> = found.iter().map(|property| property.phrase()).collect();
            text += &format!("\n{title}\n  {}\n", phrases.join("\n  "));
        }
    }
    Ok(Answer::new(text, json))
}

/// An option, its default, the values it takes, and its meaning.
struct Row {
    name: String,
    default: String,
    accepts: String,
    meaning: String,
}

/// The options of a table and of the tables in it, by dotted paths.
fn options(root: &Value, schema: &Value, table: &Map<String, Value>, prefix: &str, rows: &mut Vec<Row>) {
    for field in fields(root, schema, table) {
        let name = format!("{prefix}{}", field.name);
        match field.value {
            Value::Object(inner) if !inner.is_empty() => {
                let meaning = field.meaning.to_string();
                rows.push(Row { name: name.clone(), default: String::new(), accepts: field.accepts, meaning });
                options(root, field.schema, inner, &format!("{name}."), rows);
            }
            value => rows.push(Row {
                name,
                default: if value.is_null() { "none".into() } else { value.to_string() },
                accepts: field.accepts,
                meaning: field.meaning.to_string(),
            }),
        }
    }
}

/// Two columns, and the meaning below them.
fn lines(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let default = if row.default.is_empty() { String::new() } else { format!("= {}", row.default) };
        let accepts = if row.accepts.is_empty() { String::new() } else { format!("  ({})", row.accepts) };
        text += format!("  {:width$}  {default}{accepts}", row.name).trim_end();
        text.push('\n');
        for line in wrap(&row.meaning, 96) {
            text += format!("      {line}").trim_end();
            text.push('\n');
        }
    }
    text
}

/// What a component needs and provides with its defaults.
fn properties(kind: Kind, name: &str, registry: &Registry) -> Result<(Properties, Properties)> {
    fn of<T: Slot + ?Sized>(name: &str, registry: &Registry) -> Result<(Properties, Properties)> {
        let part = registry.build(&Spec::<T>::new(name), T::KIND.word())?;
        Ok((part.needs(registry), part.provides(registry)))
    }
    match kind {
        Kind::Task => of::<dyn Task>(name, registry),
        Kind::Cell => of::<dyn Cell>(name, registry),
        Kind::Curriculum => of::<dyn Curriculum>(name, registry),
        Kind::Rule => of::<dyn LearningRule>(name, registry),
        Kind::Analysis => of::<dyn Analysis>(name, registry),
        Kind::Format => of::<dyn Format>(name, registry),
    }
}
