//! Lists of numbers as constructors of marks accept them, and how they are stored.

use std::ops::{Range, RangeInclusive};

/// Anything that is a list of numbers: vectors, slices and arrays of the number types, ranges of whole numbers.
pub trait Numbers {
    /// The numbers in double precision.
    fn numbers(self) -> Vec<f64>;
}

macro_rules! lists {
    ($($kind:ty),*) => {$(
        impl Numbers for Vec<$kind> {
            fn numbers(self) -> Vec<f64> { self.into_iter().map(|value| value as f64).collect() }
        }
        impl Numbers for &Vec<$kind> {
            fn numbers(self) -> Vec<f64> { self.iter().map(|value| *value as f64).collect() }
        }
        impl Numbers for &[$kind] {
            fn numbers(self) -> Vec<f64> { self.iter().map(|value| *value as f64).collect() }
        }
        impl<const N: usize> Numbers for [$kind; N] {
            fn numbers(self) -> Vec<f64> { self.into_iter().map(|value| value as f64).collect() }
        }
        impl<const N: usize> Numbers for &[$kind; N] {
            fn numbers(self) -> Vec<f64> { self.iter().map(|value| *value as f64).collect() }
        }
    )*};
}
lists!(f64, f32, i32, i64, u32, u64, usize);

macro_rules! ranges {
    ($($kind:ty),*) => {$(
        impl Numbers for Range<$kind> {
            fn numbers(self) -> Vec<f64> { self.map(|value| value as f64).collect() }
        }
        impl Numbers for RangeInclusive<$kind> {
            fn numbers(self) -> Vec<f64> { self.map(|value| value as f64).collect() }
        }
    )*};
}
ranges!(i32, i64, u32, u64, usize);

/// JSON has no NaN and no infinity: they are stored as the texts `NaN`, `inf` and `-inf`.
pub(super) mod stored {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Wire {
        Number(f64),
        Text(String),
    }

    impl Wire {
        fn new(value: f64) -> Self {
            if value.is_finite() { Self::Number(value) } else { Self::Text(value.to_string()) }
        }

        fn value<E: Error>(self) -> Result<f64, E> {
            match self {
                Self::Number(value) => Ok(value),
                Self::Text(text) => text.parse().map_err(|_| E::custom(format!("'{text}' is not a number"))),
            }
        }
    }

    pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        Wire::new(*value).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Wire::deserialize(from)?.value()
    }

    /// For `Option<(f64, f64)>`.
    pub mod pair {
        use super::*;

        pub fn serialize<S: Serializer>(pair: &Option<(f64, f64)>, to: S) -> Result<S::Ok, S::Error> {
            pair.map(|(low, high)| (Wire::new(low), Wire::new(high))).serialize(to)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<(f64, f64)>, D::Error> {
            let pair = Option::<(Wire, Wire)>::deserialize(from)?;
            pair.map(|(low, high)| Ok((low.value()?, high.value()?))).transpose()
        }
    }

    /// For `Vec<f64>`.
    pub mod list {
        use super::*;

        pub fn serialize<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
            to.collect_seq(values.iter().map(|value| Wire::new(*value)))
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
            Vec::<Wire>::deserialize(from)?.into_iter().map(Wire::value).collect()
        }
    }

    /// For `Vec<Vec<f64>>`.
    pub mod lists {
        use super::*;

        pub fn serialize<S: Serializer>(rows: &[Vec<f64>], to: S) -> Result<S::Ok, S::Error> {
            to.collect_seq(rows.iter().map(|row| row.iter().map(|value| Wire::new(*value)).collect::<Vec<_>>()))
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<f64>>, D::Error> {
            let rows = Vec::<Vec<Wire>>::deserialize(from)?;
            rows.into_iter().map(|row| row.into_iter().map(Wire::value).collect()).collect()
        }
    }
}
