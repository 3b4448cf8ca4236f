//! What is common to the kinds of components, and components by name and options.

use super::{Built, Kind, Registry};
use crate::property::Properties;
use crate::{Analysis, Cell, Curriculum, Error, Format, LearningRule, Problems, Result, Task};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::Debug;
use std::marker::PhantomData;

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
    pub(super) options: String,
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
