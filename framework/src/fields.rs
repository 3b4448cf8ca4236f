//! Reading options from JSON trees: every field that does not fit is reported, not only the first.

use crate::registry::near;
use crate::{Error, Problem, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// More problems than this help nobody.
const MOST: usize = 20;

/// Read a `T`.
///
/// # Errors
/// [`Error::Config`] with a problem for each field that does not fit.
pub(crate) fn read<T: DeserializeOwned>(tree: Value) -> Result<T> {
    match read_what_fits(tree) {
        (Some(value), problems) if problems.is_empty() => Ok(value),
        (_, problems) => Err(Error::Config(problems)),
    }
}

/// Read a `T`; a field that does not fit is reported and left out, and reading goes on with the others. Nothing is read where a
/// field that does not fit cannot be left out.
pub(crate) fn read_what_fits<T: DeserializeOwned>(mut tree: Value) -> (Option<T>, Vec<Problem>) {
    let mut problems = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&tree) {
            Ok(value) => return (Some(value), problems),
            Err(error) => error,
        };
        let text = error.inner().to_string();
        // A field that was left out may be missed now; that is no problem of the reader's.
        if problems.is_empty() || !text.starts_with("missing field") {
            problems.push(problem(error.path(), &text));
        }
        if problems.len() == MOST || text.starts_with("missing field") || !remove(&mut tree, error.path()) {
            return (None, problems);
        }
    }
}

/// Give tables without a `type` the type they have by default, and with it what they leave out.
pub(crate) fn inherit(given: &mut Value, defaults: &Value) {
    let (Value::Object(given), Value::Object(defaults)) = (given, defaults) else { return };
    for (key, value) in given {
        let Some(default @ Value::Object(table)) = defaults.get(key) else { continue };
        inherit(value, default);
        if let Value::Object(fields) = value
            && table.contains_key("type")
            && !fields.contains_key("type")
        {
            let own = std::mem::replace(fields, table.clone());
            fields.extend(own);
        }
    }
}

/// Put `over` on top of `base`: tables are joined field by field unless they are of different `type`, everything else is replaced.
pub(crate) fn overlay(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over))
            if over.get("type").is_none_or(|kind| base.get("type") == Some(kind)) =>
        {
            for (key, value) in over {
                overlay(base.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// What serde calls types, and what people call them.
const WORDS: [(&str, &str); 9] = [
    ("expected usize", "expected a whole number"),
    ("expected u64", "expected a whole number"),
    ("expected u32", "expected a whole number"),
    ("expected u16", "expected a whole number"),
    ("expected u8", "expected a whole number"),
    ("expected i64", "expected a whole number"),
    ("expected f64", "expected a number"),
    ("expected f32", "expected a number"),
    ("expected a boolean", "expected true or false"),
];

fn problem(path: &Path, text: &str) -> Problem {
    let path = path.to_string();
    let path = if path == "." { String::new() } else { path };
    let mut quoted = text.split('`').skip(1).step_by(2);
    let unknown = text.starts_with("unknown field") || text.starts_with("unknown variant");
    let Some(name) = quoted.next().filter(|_| unknown) else {
        let text = WORDS.iter().fold(text.to_string(), |text, (rust, word)| text.replace(rust, word));
        return Problem { path, problem: format!("is wrong: {text}"), remedy: String::new() };
    };
    let known: Vec<&str> = quoted.collect();
    let list = format!("there are: {}", known.join(", "));
    let remedy = match (&near(name, known.iter().copied())[..], known.is_empty()) {
        (_, true) => "nothing can be set here".to_string(),
        ([], _) => list,
        (close, _) => format!("did you mean {}? {list}", close.join(" or ")),
    };
    if text.starts_with("unknown variant") {
        return Problem { path, problem: format!("is '{name}', which is not one of its values"), remedy };
    }
    let named = path.rsplit('.').next() == Some(name);
    let path = if named { path } else { [path.as_str(), name].join(".").trim_start_matches('.').to_string() };
    Problem { path, problem: "is an unknown field".into(), remedy }
}

/// Take the value at `path` out of the tree; false where the path leads nowhere or to an item of a list, whose removal would
/// change the numbers of the others.
fn remove(tree: &mut Value, path: &Path) -> bool {
    let mut at = tree;
    let mut segments = path.iter().peekable();
    while let Some(segment) = segments.next() {
        match (segment, segments.peek().is_none()) {
            (Segment::Map { key }, true) => {
                return at.as_object_mut().is_some_and(|table| table.shift_remove(key).is_some());
            }
            (Segment::Map { key }, false) => match at.get_mut(key) {
                Some(inner) => at = inner,
                None => return false,
            },
            (Segment::Seq { index }, false) => match at.get_mut(*index) {
                Some(inner) => at = inner,
                None => return false,
            },
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[test]
    fn a_table_without_a_type_is_of_its_default_type() {
        let defaults = json!({"optimizer": {"type": "adam", "rate": 1, "inner": {"type": "a"}}, "plain": {"x": 1}});
        let read = |mut given: Value| {
            inherit(&mut given, &defaults);
            given
        };
        let inherited = json!({"optimizer": {"type": "adam", "rate": 2, "inner": {"type": "a"}}});
        assert_eq!(read(json!({"optimizer": {"rate": 2}})), inherited);
        let other = json!({"optimizer": {"type": "sgd"}, "plain": {"y": 2}});
        assert_eq!(read(other.clone()), other, "another type, or no type, inherits nothing");
        let nested = read(json!({"optimizer": {"inner": {"z": 3}}}));
        assert_eq!(nested["optimizer"]["inner"], json!({"type": "a", "z": 3}));
    }

    #[test]
    fn tables_are_joined_and_other_values_replaced() {
        let base = json!({"rate": 0.5, "times": {"cue": 1, "delay": 2}, "inner": {"type": "a", "x": 1}});
        let joined = |over: Value| {
            let mut base = base.clone();
            overlay(&mut base, &over);
            base
        };
        let expected =
            json!({"rate": [1], "times": {"cue": 1, "delay": 3}, "inner": {"type": "a", "x": 1}, "new": {"y": 1}});
        assert_eq!(joined(json!({"rate": [1], "times": {"delay": 3}, "new": {"y": 1}})), expected);
        assert_eq!(joined(json!({"inner": {"type": "b"}}))["inner"], json!({"type": "b"}));
        assert_eq!(joined(json!({"inner": {"x": 2}}))["inner"], json!({"type": "a", "x": 2}));
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Outer {
        count: u32,
        inner: Inner,
        mode: Mode,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        bits: u32,
        rate: f64,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        #[default]
        Single,
        Double,
    }

    fn problems(tree: Value) -> Vec<(String, String, String)> {
        match read::<Outer>(tree) {
            Err(Error::Config(found)) => found.into_iter().map(|p| (p.path, p.problem, p.remedy)).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_wrong_field_is_reported_with_its_path_and_near_names() {
        let found = problems(json!({"count": "many", "inner": {"bitz": 1, "rate": true}, "mode": "dubble"}));
        let paths: Vec<&str> = found.iter().map(|(path, ..)| path.as_str()).collect();
        assert_eq!(paths, ["count", "inner.bitz", "inner.rate", "mode"]);
        assert_eq!(found[0].1, "is wrong: invalid type: string \"many\", expected a whole number");
        assert_eq!(found[1].1, "is an unknown field");
        assert_eq!(found[1].2, "did you mean bits? there are: bits, rate");
        assert_eq!(found[3].1, "is 'dubble', which is not one of its values");
        assert_eq!(found[3].2, "did you mean double? there are: single, double");
    }

    #[test]
    fn what_fits_is_read() {
        let value: Outer = read(json!({"inner": {"rate": 2}})).unwrap();
        assert_eq!(value, Outer { inner: Inner { bits: 0, rate: 2.0 }, ..Outer::default() });
    }

    #[test]
    fn an_unknown_field_at_the_top_has_a_path_of_one_word() {
        assert_eq!(problems(json!({"cuont": 1}))[0].0, "cuont");
        assert_eq!(problems(json!(3))[0].0, "");
    }
}
