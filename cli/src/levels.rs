//! Levels on the command line: `5`, `2..10` with both ends, `2,4,7`.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// Levels of difficulty, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels(Vec<usize>);

impl Levels {
    /// One by one, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().copied()
    }
}

impl FromStr for Levels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut levels = Vec::new();
        for part in text.split(',') {
            levels.extend(range(part.trim()).ok_or_else(|| format!("'{part}' is neither a level nor a range A..B"))?);
        }
        Ok(Self(levels))
    }
}

/// More levels than this are a slip of the fingers.
const MOST: usize = 100_000;

fn range(text: &str) -> Option<RangeInclusive<usize>> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let last = last.strip_prefix('=').unwrap_or(last);
    let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last && last - first < MOST).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_both_ends() {
        let levels = |text: &str| text.parse::<Levels>().map(|levels| levels.0);
        assert_eq!(levels("5"), Ok(vec![5]));
        assert_eq!(levels("2..5"), Ok(vec![2, 3, 4, 5]));
        assert_eq!(levels("2..=3, 7"), Ok(vec![2, 3, 7]));
        for wrong in ["", "a", "5..2", "2..", "-1", "0..99999999999"] {
            assert!(levels(wrong).is_err(), "{wrong}");
        }
    }
}
