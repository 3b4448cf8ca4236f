//! Floating-point numbers in JSON, with a rule for those that JSON cannot write.
//!
//! JSON has no NaN and no infinity, and `serde_json` writes `null` for both. Here they are the strings `"NaN"`, `"Infinity"`
//! and `"-Infinity"`, which Python's `float()` and JavaScript's `Number()` understand. Use the modules on fields:
//!
//! ```
//! use std::collections::BTreeMap;
//! # use synfire::serde::{self, Serialize, Deserialize};
//! #[derive(Serialize, Deserialize)]
//! struct Row {
//!     #[serde(with = "synfire::storage::float::single")]
//!     loss: f64,
//!     #[serde(with = "synfire::storage::float::map")]
//!     metrics: BTreeMap<String, f64>,
//! }
//! let row = Row { loss: f64::NAN, metrics: [("accuracy".to_string(), 0.5)].into() };
//! let text = synfire::serde_json::to_string(&row).unwrap();
//! assert_eq!(text, r#"{"loss":"NaN","metrics":{"accuracy":0.5}}"#);
//! assert!(synfire::serde_json::from_str::<Row>(&text).unwrap().loss.is_nan());
//! ```

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use std::fmt;

/// A number that survives JSON whatever its value; for lists, options and values built by hand.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Float(pub f64);

/// The JSON form of `number`.
pub fn to_value(number: f64) -> Value {
    match special(number) {
        Some(text) => Value::from(text),
        None => Value::from(number),
    }
}

/// The number in `value`: a JSON number or one of the three strings.
pub fn from_value(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => named(text),
        _ => None,
    }
}

fn special(number: f64) -> Option<&'static str> {
    match number {
        _ if number.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => None,
    }
}

fn named(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match special(self.0) {
            Some(text) => serializer.serialize_str(text),
            None => serializer.serialize_f64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Float;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Float, E> {
                Ok(Float(number))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Float, E> {
                Ok(Float(number as f64))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Float, E> {
                Ok(Float(number as f64))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Float, E> {
                named(text).map(Float).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// For a field of type `f64`: `#[serde(with = "synfire::storage::float::single")]`.
pub mod single {
    use super::{Deserialize, Deserializer, Float, Serialize, Serializer};

    /// Write the number, or its name.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Float(*number).serialize(serializer)
    }

    /// Read a number, or its name.
    ///
    /// # Errors
    /// Anything else than a number or one of the three names.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Float::deserialize(deserializer).map(|float| float.0)
    }
}

/// For a list of `f64`: `#[serde(with = "synfire::storage::float::list")]`.
pub mod list {
    use super::{Deserialize, Deserializer, Float, Serializer};

    /// Write the numbers, or their names.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(numbers: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(numbers.iter().map(|number| Float(*number)))
    }

    /// Read numbers, or their names.
    ///
    /// # Errors
    /// Anything else than a list of numbers and the three names.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        Ok(Vec::<Float>::deserialize(deserializer)?.into_iter().map(|float| float.0).collect())
    }
}

/// For any ordered map from names to `f64`: `#[serde(with = "synfire::storage::float::map")]`.
pub mod map {
    use super::{Deserialize, Deserializer, Float, Serializer};
    use indexmap::IndexMap;

    /// Write the numbers, or their names, in the order of the map.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<'a, M, S>(map: &'a M, serializer: S) -> Result<S::Ok, S::Error>
    where
        &'a M: IntoIterator<Item = (&'a String, &'a f64)>,
        S: Serializer,
    {
        serializer.collect_map(map.into_iter().map(|(name, number)| (name, Float(*number))))
    }

    /// Read numbers, or their names, in the order of the file.
    ///
    /// # Errors
    /// Anything else than a map to numbers and the three names.
    pub fn deserialize<'de, M, D>(deserializer: D) -> Result<M, D::Error>
    where
        M: FromIterator<(String, f64)>,
        D: Deserializer<'de>,
    {
        let map = IndexMap::<String, Float>::deserialize(deserializer)?;
        Ok(map.into_iter().map(|(name, float)| (name, float.0)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indexmap::IndexMap;

    #[derive(Debug, Serialize, Deserialize)]
    struct Row {
        #[serde(with = "map")]
        metrics: IndexMap<String, f64>,
        #[serde(with = "list")]
        lags: Vec<f64>,
    }

    #[test]
    fn every_number_survives_bit_for_bit() {
        let numbers = [0.1, -0.0, 1e-310, f64::MAX, 3.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        let metrics = numbers.iter().rev().enumerate().map(|(i, x)| (format!("m{}", 9 - i), *x)).collect();
        let row = Row { metrics, lags: numbers.to_vec() };
        let text = serde_json::to_string(&row).unwrap();
        assert!(!text.contains("null"), "{text}");
        let back: Row = serde_json::from_str(&text).unwrap();
        assert_eq!(back.metrics.keys().collect::<Vec<_>>(), row.metrics.keys().collect::<Vec<_>>());
        let bits = |numbers: &[f64]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back.lags), bits(&numbers));
        assert_eq!(
            bits(&back.metrics.values().copied().collect::<Vec<_>>()),
            bits(&row.metrics.values().copied().collect::<Vec<_>>())
        );
        for number in numbers {
            assert_eq!(from_value(&to_value(number)).unwrap().to_bits(), number.to_bits());
        }
    }

    #[test]
    fn other_strings_and_null_are_refused() {
        for text in ["\"nan\"", "null", "\"1\"", "true"] {
            let error = serde_json::from_str::<Float>(text).unwrap_err().to_string();
            assert!(error.contains("a number, \"NaN\""), "{error}");
            assert_eq!(from_value(&serde_json::from_str(text).unwrap()), None);
        }
        assert_eq!(serde_json::from_str::<Float>("3").unwrap(), Float(3.0));
    }
}
