//! The catalogue of components and the only place where a name becomes an object.

mod component;
mod names;
mod spec;

pub use component::{Built, Component, Kind, Options};
pub use names::near;
pub use spec::{Slot, Spec};

use crate::plugin::{Origin, Plugin, PluginError};
use crate::{Error, Problems, Result};
use std::collections::{BTreeMap, BTreeSet};

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

#[cfg(test)]
mod tests;
