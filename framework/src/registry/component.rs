//! Components by kind and name, and how each is built from JSON.

use crate::plugin::guard::{self, Guard};
use crate::{Analysis, Cell, Curriculum, Error, Format, LearningRule, Result, Task};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Display;

/// The kinds of components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What the network is asked to do.
    Task,
    /// How its units work.
    Cell,
    /// In which order it learns.
    Curriculum,
    /// How it learns.
    Rule,
    /// What is measured afterwards.
    Analysis,
    /// A file format to import from and export to.
    Format,
}

impl Kind {
    /// All kinds, in the order they are listed.
    pub const ALL: [Self; 6] = [Self::Task, Self::Cell, Self::Curriculum, Self::Rule, Self::Analysis, Self::Format];

    /// The word for one component of the kind.
    pub fn word(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Cell => "cell",
            Self::Curriculum => "curriculum",
            Self::Rule => "rule",
            Self::Analysis => "analysis",
            Self::Format => "format",
        }
    }

    /// The kind called `word`, singular or plural.
    pub fn parse(word: &str) -> Option<Self> {
        let plural = |kind: Self| match kind {
            Self::Curriculum => "curricula".to_string(),
            Self::Analysis => "analyses".to_string(),
            other => format!("{}s", other.word()),
        };
        Self::ALL.into_iter().find(|kind| kind.word() == word || plural(*kind) == word)
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// A built component.
#[non_exhaustive]
pub enum Built {
    /// A task.
    Task(Box<dyn Task>),
    /// A cell.
    Cell(Box<dyn Cell>),
    /// A curriculum.
    Curriculum(Box<dyn Curriculum>),
    /// A learning rule.
    Rule(Box<dyn LearningRule>),
    /// An analysis.
    Analysis(Box<dyn Analysis>),
    /// A file format.
    Format(Box<dyn Format>),
}

/// What a component's options must be able to do; implemented by derives.
pub trait Options: Default + Serialize + DeserializeOwned + JsonSchema + 'static {}
impl<T: Default + Serialize + DeserializeOwned + JsonSchema + 'static> Options for T {}

/// One registered component: a name, and functions that document and build it.
///
/// ```ignore
/// inventory::submit! { Component::task::<FlipFlop>("flip-flop") }
/// ```
pub struct Component {
    /// Kind of the component.
    pub kind: Kind,
    /// Name that users type, kebab-case.
    pub name: &'static str,
    type_name: fn() -> &'static str,
    schema: fn() -> String,
    defaults: fn() -> Result<String>,
    build: fn(&str) -> Result<Built>,
}

inventory::collect!(Component);

macro_rules! constructors {
    ($($kind:ident $method:ident $bound:ident $text:literal;)*) => {$(
        #[doc = concat!("Register ", $text, ".")]
        pub const fn $method<T: $bound + Options>(name: &'static str) -> Self {
            Self {
                kind: Kind::$kind,
                name,
                type_name: std::any::type_name::<T>,
                schema: schema_text::<T>,
                defaults: default_text::<T>,
                build: |json| {
                    let options = guard::about::<T, _>("reading options", || parse::<T>(json))?;
                    let name = options.typetag_name();
                    Ok(Built::$kind(Box::new(Guard::new(Kind::$kind, name, options))))
                },
            }
        }
    )*};
}

impl Component {
    constructors! {
        Task task Task "a task";
        Cell cell Cell "a cell";
        Curriculum curriculum Curriculum "a curriculum";
        Rule rule LearningRule "a learning rule";
        Analysis analysis Analysis "an analysis";
        Format format Format "a file format";
    }

    /// The crate that brings it.
    pub fn crate_name(&self) -> &'static str {
        (self.type_name)().split("::").next().unwrap_or_default()
    }

    /// JSON schema of its options.
    pub fn schema(&self) -> serde_json::Value {
        serde_json::from_str(&(self.schema)()).unwrap_or_default()
    }

    /// Its options at their defaults.
    ///
    /// # Errors
    /// When the defaults cannot be written as JSON.
    pub fn defaults(&self) -> Result<serde_json::Value> {
        parse(&(self.defaults)()?)
    }

    /// Its manual: the doc comment of the struct.
    pub fn manual(&self) -> String {
        self.schema()["description"].as_str().unwrap_or_default().to_string()
    }

    /// First sentence of the manual.
    pub fn summary(&self) -> String {
        let manual = self.manual();
        let paragraph = manual.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        paragraph.trim_end_matches('.').to_string()
    }

    /// The `Source:` paragraph of the manual.
    pub fn source(&self) -> String {
        let manual = self.manual();
        let start = manual.find("Source:").map(|at| at + "Source:".len());
        let text = start.map_or("", |at| &manual[at..]);
        let end = text.find("Differs:").or_else(|| text.find("\n\n")).unwrap_or(text.len());
        text[..end].split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Build it from the JSON text of its options. Fields left out take their defaults; a table that says no `type` is of the type
    /// it has by default, so that `rule.optimizer.learning_rate` can be set alone.
    ///
    /// # Errors
    /// [`Error::Config`] with the path of the field that does not fit.
    pub fn build(&self, options: &str) -> Result<Built> {
        let parsed = serde_json::from_str(options);
        let mut given: serde_json::Value = parsed.map_err(|e| Error::Failed(format!("options are no JSON: {e}")))?;
        crate::fields::inherit(&mut given, &self.defaults()?);
        (self.build)(&given.to_string())
    }
}

fn schema_text<T: JsonSchema>() -> String {
    guard::about::<T, _>("its schema", || Ok(serde_json::to_string(&schemars::schema_for!(T)).unwrap_or_default()))
        .unwrap_or_default()
}

fn default_text<T: Options>() -> Result<String> {
    let text = || serde_json::to_string(&T::default());
    let written = guard::about::<T, _>("its defaults", || Ok(text()))?;
    written.map_err(|e| Error::Failed(format!("defaults cannot be written: {e}")))
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T> {
    crate::fields::read(serde_json::from_str(json).map_err(|e| Error::Failed(format!("options are no JSON: {e}")))?)
}
