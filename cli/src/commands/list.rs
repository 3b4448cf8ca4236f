//! `synfire list`: the components.

use crate::output::{Answer, Program};
use serde_json::{Value, json};
use synfire::plugin::Origin;
use synfire::registry::near;
use synfire::table::Table;
use synfire::{Component, Error, Kind, Result};

/// Two that work as typed.
pub const EXAMPLES: &str = "Examples:
  synfire list
  synfire list cells --json";

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// task, cell, curriculum, rule, analysis or format; all of them unless given
    #[arg(value_name = "KIND")]
    pub kind: Option<String>,
}

/// The kind of a word, singular or plural.
///
/// # Errors
/// [`Error::Unknown`] with near words.
pub fn parse_kind(word: &str) -> Result<Kind> {
    Kind::parse(word).ok_or_else(|| Error::Unknown {
        kind: "kind".into(),
        name: word.into(),
        near: match near(word, Kind::ALL.iter().map(|kind| kind.word())) {
            none if none.is_empty() => Kind::ALL.iter().map(|kind| kind.word().to_string()).collect(),
            some => some,
        },
    })
}

/// The crate that brings a component, and the plugin that brings the crate, if one does.
pub fn origin<'a>(component: &Component, program: &'a Program) -> (String, Option<&'a Origin>) {
    let plugin = program.registry.plugin_of(component.kind, component.name);
    (component.crate_name().replace('_', "-"), plugin)
}

/// Do it.
///
/// # Errors
/// [`Error::Unknown`] for a word that is no kind.
pub fn execute(args: &Args, program: &Program) -> Result<Answer> {
    let kinds = match &args.kind {
        Some(word) => vec![parse_kind(word)?],
        None => Kind::ALL.to_vec(),
    };
    let components: Vec<&Component> = kinds.iter().flat_map(|kind| program.registry.of_kind(*kind)).collect();
    let row = |component: &&Component| {
        let (crate_name, plugin) = origin(component, program);
        let from = plugin.map_or(crate_name, |plugin| format!("plugin {} {}", plugin.name, plugin.version));
        (component.kind.word(), component.name, component.summary(), from)
    };
    let mut table = Table::new("components", "", &["kind", "name", "summary", "crate"]);
    components.iter().for_each(|component| table.push(row(component)));
    let json: Vec<Value> = components
        .iter()
        .map(|component| {
            let (crate_name, plugin) = origin(component, program);
            json!({
                "kind": component.kind, "name": component.name, "summary": component.summary(),
                "crate": crate_name, "source": component.source(), "plugin": plugin,
            })
        })
        .collect();
    Ok(Answer::new(table.to_text(), json.into()))
}
