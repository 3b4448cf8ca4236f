//! Checks of a component's options and manual.

use super::Findings;
use crate::registry::Slot;
use crate::{Analysis, Cell, Curriculum, Format, Kind, LearningRule, Registry, Spec, Task, experiment};
use serde_json::Value;

/// Says whether the component can be built with its defaults, so that more can be asked of it.
pub(super) fn check(registry: &Registry, findings: &mut Findings) -> bool {
    let component = findings.component;
    let kebab = component.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    findings.require(kebab && !component.name.is_empty(), "its name is not kebab-case");
    let summary = component.summary();
    findings.require(summary.len() > 10, "its manual has no first sentence");
    findings.require(
        summary.len() <= 160,
        format_args!("its first sentence is {} letters long: '{summary}'", summary.len()),
    );
    let needs_source = component.kind != Kind::Format;
    findings.require(!needs_source || !component.source().is_empty(), "its manual has no `Source:`");
    let schema = component.schema();
    for (name, option) in schema["properties"].as_object().into_iter().flatten() {
        let described = option["description"].is_string() || option["$ref"].is_string() || option["allOf"].is_array();
        findings.require(described, format_args!("its option '{name}' is not documented"));
    }
    match component.kind {
        Kind::Task => round_trip::<dyn Task>(registry, findings),
        Kind::Cell => round_trip::<dyn Cell>(registry, findings),
        Kind::Curriculum => round_trip::<dyn Curriculum>(registry, findings),
        Kind::Rule => round_trip::<dyn LearningRule>(registry, findings),
        Kind::Analysis => round_trip::<dyn Analysis>(registry, findings),
        Kind::Format => round_trip::<dyn Format>(registry, findings),
    }
}

/// Names as typetag writes them; the object must be serialised as what it is.
trait Tagged {
    fn tag(&self) -> String;
}

macro_rules! tagged {
    ($($bound:ident)*) => {$(
        impl Tagged for dyn $bound {
            fn tag(&self) -> String {
                self.typetag_name().to_string()
            }
        }
    )*};
}
tagged!(Task Cell Curriculum LearningRule Analysis Format);

fn round_trip<T: Slot + Tagged + ?Sized>(registry: &Registry, findings: &mut Findings) -> bool {
    let name = findings.component.name;
    let spec: Spec<T> = Spec::new(name);
    let Some(object) = findings.value("its defaults are refused", registry.build(&spec, name)) else { return false };
    findings.require(object.tag() == name, format_args!("typetag calls it '{}'", object.tag()));
    let Some(options) = findings.value("its options", object.options()) else { return false };
    let again = registry.build(&Spec::<T>::with(name, &options), name).and_then(|object| object.options());
    if let Some(again) = findings.value("its options do not survive JSON", again) {
        findings.require(again == options, "its options change on the way through JSON");
    }
    if let Some(text) = findings.value("its options do not survive TOML", experiment::to_toml(&options)) {
        let read: Option<Value> = toml::from_str::<toml::Value>(&text).ok().and_then(|v| serde_json::to_value(v).ok());
        let again = read.map(|v| registry.build(&Spec::<T>::with(name, &v), name).and_then(|object| object.options()));
        match again {
            Some(again) => {
                if let Some(again) = findings.value("its options do not survive TOML", again) {
                    findings.require(again == options, "its options change on the way through TOML");
                }
            }
            None => findings.fail("its options as TOML cannot be read"),
        }
    }
    let unknown = serde_json::json!({"no_such_option": 1});
    let refused = registry.build(&Spec::<T>::with(name, &unknown), name).is_err();
    findings.require(refused, "it accepts unknown options (deny_unknown_fields is missing)");
    true
}
