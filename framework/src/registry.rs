//! The catalogue of components and the only place where a name becomes an object.

use crate::plugin::guard::{self, Guard};
use crate::plugin::{Origin, Plugin, PluginError};
use crate::property::Properties;
use crate::{Analysis, Cell, Curriculum, Error, Format, LearningRule, Problems, Result, Task};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display};
use std::marker::PhantomData;

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

/// A trait whose objects live in the registry.
pub trait Slot: Debug + Send + Sync {
    /// The kind of component behind the trait.
    const KIND: Kind;
    /// Take the object out of a built component.
    fn take(built: Built) -> Option<Box<Self>>;
    /// Check the options.
    fn check(&self, registry: &Registry, problems: &mut Problems);
    /// What it needs of the others.
    fn needs(&self, registry: &Registry) -> Properties;
    /// What it provides to the others.
    fn provides(&self, registry: &Registry) -> Properties;
    /// The options as JSON, without the name.
    fn options(&self) -> Result<serde_json::Value>;
}

macro_rules! slots {
    ($($kind:ident $bound:ident needs: $needs:expr, provides: $provides:expr;)*) => {$(
        impl Slot for dyn $bound {
            const KIND: Kind = Kind::$kind;
            fn take(built: Built) -> Option<Box<Self>> {
                if let Built::$kind(object) = built { Some(object) } else { None }
            }
            fn check(&self, registry: &Registry, problems: &mut Problems) {
                $bound::check(self, registry, problems);
            }
            fn needs(&self, registry: &Registry) -> Properties {
                let needs: fn(&Self, &Registry) -> Properties = $needs;
                needs(self, registry)
            }
            fn provides(&self, registry: &Registry) -> Properties {
                let provides: fn(&Self, &Registry) -> Properties = $provides;
                provides(self, registry)
            }
            fn options(&self) -> Result<serde_json::Value> {
                let mut value = serde_json::to_value(self)
                    .map_err(|e| Error::Failed(format!("options cannot be written: {e}")))?;
                if let Some(map) = value.as_object_mut() {
                    map.shift_remove("type");
                }
                Ok(value)
            }
        }
    )*};
}

slots! {
    Task Task needs: |_, _| Properties::new(), provides: |x, r| Task::provides(x, r);
    Cell Cell needs: |x, r| Cell::needs(x, r), provides: |x, r| Cell::provides(x, r);
    Curriculum Curriculum needs: |x, r| Curriculum::needs(x, r), provides: |_, _| Properties::new();
    Rule LearningRule needs: |x, r| LearningRule::needs(x, r), provides: |_, _| Properties::new();
    Analysis Analysis needs: |x, r| Analysis::needs(x, r), provides: |_, _| Properties::new();
    Format Format needs: |_, _| Properties::new(), provides: |_, _| Properties::new();
}

/// A component that is named but not yet built: its name and its options as JSON text.
///
/// In TOML a table with a `type`: `{ type = "lstm", hidden = 64 }`. Components that contain another hold a `Spec`
/// and build it through the registry, so that components of external plugins are found the same way.
pub struct Spec<T: ?Sized> {
    /// Name of the component.
    pub name: String,
    options: String,
    slot: PhantomData<fn() -> Box<T>>,
}

impl<T: ?Sized> Spec<T> {
    /// The component `name` with all options at their defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), options: "{}".to_string(), slot: PhantomData }
    }

    /// The component `name` with the given options (a JSON object).
    pub fn with(name: impl Into<String>, options: &serde_json::Value) -> Self {
        Self { name: name.into(), options: options.to_string(), slot: PhantomData }
    }

    /// The options that were given; the others keep their defaults.
    pub fn options(&self) -> serde_json::Value {
        serde_json::from_str(&self.options).unwrap_or_default()
    }
}

impl<T: ?Sized> Clone for Spec<T> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), options: self.options.clone(), slot: PhantomData }
    }
}

impl<T: ?Sized> Debug for Spec<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.options)
    }
}

impl<T: ?Sized> PartialEq for Spec<T> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.options() == other.options()
    }
}

impl<T: ?Sized> Serialize for Spec<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serde_json::Map::new();
        map.insert("type".into(), self.name.clone().into());
        if let serde_json::Value::Object(options) = self.options() {
            map.extend(options);
        }
        map.serialize(serializer)
    }
}

impl<'de, T: ?Sized> Deserialize<'de> for Spec<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = serde_json::Map::deserialize(deserializer)?;
        match map.shift_remove("type") {
            Some(serde_json::Value::String(name)) => Ok(Self::with(name, &map.into())),
            Some(other) => Err(serde::de::Error::custom(format!("type must be a name, found {other}"))),
            None => Err(serde::de::Error::custom("missing type = \"NAME\"")),
        }
    }
}

impl<T: Slot + ?Sized> JsonSchema for Spec<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::KIND.word().into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "object",
            "properties": { "type": { "type": "string", "description": "Name of the component." } },
            "required": ["type"]
        })
    }
}

/// All components that can be reached: the linked ones, and those that external plugins hand over.
pub struct Registry {
    components: BTreeMap<(Kind, &'static str), Entry>,
    plugins: Vec<Origin>,
}

/// A component, and which of the plugins brought it; `None` for a linked one.
struct Entry {
    component: &'static Component,
    plugin: Option<usize>,
}

impl Registry {
    /// The components linked into the program.
    ///
    /// # Errors
    /// [`Error::Failed`] when two components of one kind share a name, naming both crates.
    pub fn linked() -> Result<Self> {
        let mut registry = Self { components: BTreeMap::new(), plugins: Vec::new() };
        for component in inventory::iter::<Component> {
            registry.add(component)?;
        }
        Ok(registry)
    }

    /// Add one component.
    ///
    /// # Errors
    /// [`Error::Failed`] when the name is taken.
    pub fn add(&mut self, component: &'static Component) -> Result<()> {
        match self.components.insert((component.kind, component.name), Entry { component, plugin: None }) {
            None => Ok(()),
            Some(other) => Err(Error::Failed(format!(
                "two components are called {} '{}': one in {}, one in {}",
                component.kind,
                component.name,
                other.component.crate_name(),
                component.crate_name()
            ))),
        }
    }

    /// Add the components of a plugin: all of them, or none. Those of a crate that is linked or loaded already are left out; a plugin
    /// whose name is loaded already adds nothing.
    ///
    /// # Errors
    /// [`PluginError::Clash`] when a name is taken, naming both owners; [`PluginError::Entry`] when it brings nothing, or a name that is
    /// not in kebab-case.
    pub fn add_plugin(&mut self, plugin: Plugin) -> Result<()> {
        let Plugin { origin, components } = plugin;
        if self.plugins.iter().any(|loaded| loaded.name == origin.name) {
            tracing::info!("the plugin '{}' is loaded already; {} is left out", origin.name, origin.file.display());
            return Ok(());
        }
        let crates: BTreeSet<&str> = self.iter().map(Component::crate_name).collect();
        let (mut own, known): (Vec<_>, Vec<_>) =
            components.into_iter().partition(|component| !crates.contains(component.crate_name()));
        own.sort_by_key(|component| (component.kind, component.name));
        for component in known {
            tracing::debug!("{} '{}' is here already", component.kind, component.name);
        }
        let failed = |reason: String| PluginError::Entry { file: origin.file.clone(), reason };
        if own.is_empty() {
            return Err(failed("it registers no component of its own".into()).into());
        }
        let mut names: BTreeMap<(Kind, &str), String> = BTreeMap::new();
        for component in &own {
            let kebab = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            if component.name.is_empty() || !kebab(component.name) {
                return Err(failed(format!(
                    "the name '{}' of a {} is not in kebab-case",
                    component.name, component.kind
                ))
                .into());
            }
            let key = (component.kind, component.name);
            let second = format!("{} in the plugin '{}'", component.crate_name(), origin.name);
            if let Some(first) =
                names.insert(key, second.clone()).or_else(|| self.owner(component.kind, component.name))
            {
                let component = format!("{} '{}'", component.kind, component.name);
                return Err(PluginError::Clash { file: origin.file, component, first, second }.into());
            }
        }
        let index = self.plugins.len();
        let words: Vec<String> =
            own.iter().map(|component| format!("{} '{}'", component.kind, component.name)).collect();
        tracing::info!("plugin '{}' {} brings {}", origin.name, origin.version, words.join(", "));
        for component in own {
            self.components.insert((component.kind, component.name), Entry { component, plugin: Some(index) });
        }
        self.plugins.push(origin);
        Ok(())
    }

    /// Who brings a component, for messages.
    fn owner(&self, kind: Kind, name: &str) -> Option<String> {
        let component = self.find(kind, name).ok()?;
        Some(match self.plugin_of(kind, name) {
            Some(origin) => format!("{} in the plugin '{}'", component.crate_name(), origin.name),
            None => format!("{} in the program", component.crate_name()),
        })
    }

    /// The plugins that were loaded, in order.
    pub fn plugins(&self) -> impl Iterator<Item = &Origin> {
        self.plugins.iter()
    }

    /// The plugin that brings a component; `None` for a linked one.
    pub fn plugin_of(&self, kind: Kind, name: &str) -> Option<&Origin> {
        let entry = self.components.iter().find(|((k, n), _)| *k == kind && *n == name);
        entry.and_then(|(_, entry)| entry.plugin).and_then(|index| self.plugins.get(index))
    }

    /// All components by kind and name.
    pub fn iter(&self) -> impl Iterator<Item = &'static Component> + '_ {
        self.components.values().map(|entry| entry.component)
    }

    /// The components of one kind by name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &'static Component> + '_ {
        self.iter().filter(move |component| component.kind == kind)
    }

    /// The component of a kind and name.
    ///
    /// # Errors
    /// [`Error::Unknown`] with near names.
    pub fn find(&self, kind: Kind, name: &str) -> Result<&'static Component> {
        self.components.iter().find(|((k, n), _)| *k == kind && *n == name).map(|(_, e)| e.component).ok_or_else(|| {
            Error::Unknown {
                kind: kind.to_string(),
                name: name.to_string(),
                near: near(name, self.of_kind(kind).map(|c| c.name)),
            }
        })
    }

    /// Build what `spec` names and check its options; `path` is where it stands in the experiment.
    ///
    /// # Errors
    /// [`Error::Unknown`], or [`Error::Config`] with every problem below `path`.
    pub fn build<T: Slot + ?Sized>(&self, spec: &Spec<T>, path: &str) -> Result<Box<T>> {
        let component = self.find(T::KIND, &spec.name)?;
        let object = component.build(&spec.options).map_err(|error| below(error, path))?;
        let object = T::take(object)
            .ok_or_else(|| Error::Failed(format!("{} '{}' built something else", T::KIND, spec.name)))?;
        let mut problems = Problems::under(path);
        object.check(self, &mut problems);
        problems.into_result()?;
        Ok(object)
    }

    /// The same spec with every option written out.
    ///
    /// # Errors
    /// As [`Registry::build`].
    pub fn resolve<T: Slot + ?Sized>(&self, spec: &Spec<T>, path: &str) -> Result<Spec<T>> {
        Ok(Spec::with(spec.name.clone(), &self.build(spec, path)?.options()?))
    }
}

fn below(error: Error, path: &str) -> Error {
    match error {
        Error::Config(problems) => Error::Config(
            problems
                .into_iter()
                .map(|mut problem| {
                    problem.path = match problem.path.as_str() {
                        "" => path.to_string(),
                        field => format!("{path}.{field}"),
                    };
                    problem
                })
                .collect(),
        ),
        other => other,
    }
}

/// Names that look like `name`: by edit distance, or because one contains the other; the nearest first.
pub fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(usize, &str)> = known
        .map(|candidate| (edit_distance(name, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= 1 + name.len().max(candidate.len()) / 3
                || (name.len() > 2 && (candidate.contains(name) || name.contains(candidate)))
        })
        .collect();
    scored.sort_unstable();
    scored.into_iter().take(3).map(|(_, candidate)| candidate.to_string()).collect()
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
