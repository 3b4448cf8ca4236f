//! Conditions on runs, as `synfire runs --where` takes them: `cell.hidden>=200 and status=finished`.

use serde_json::Value;
use std::cmp::Ordering;
use synfire::experiment::flag_value;
use synfire::{Error, Result};

/// Conditions that must all hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Query(Vec<Condition>);

/// One comparison of a value in a run with a given one.
#[derive(Clone, Debug, PartialEq)]
struct Condition {
    path: String,
    operator: Operator,
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// Longer ones first, so that `>=` is not read as `>`.
const OPERATORS: [(&str, Operator); 7] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("==", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("=", Operator::Equal),
];

impl Query {
    /// Read conditions joined by `and`.
    ///
    /// # Errors
    /// [`Error::Config`] quoting the condition that cannot be read.
    pub fn parse(text: &str) -> Result<Self> {
        // A trailing `and` is a condition that is missing, not a value.
        let padded = format!("{text} ");
        padded.split(" and ").map(|part| condition(part.trim())).collect::<Result<_>>().map(Self)
    }

    /// The paths it looks at.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|condition| condition.path.as_str())
    }

    /// Whether a run meets every condition. What a run does not have meets none.
    pub fn holds(&self, run: &Value) -> bool {
        self.0.iter().all(|condition| {
            let Some(ordering) = find(run, &condition.path).map(|found| compare(&found, &condition.value)) else {
                return false;
            };
            match condition.operator {
                Operator::Equal => ordering == Some(Ordering::Equal),
                Operator::NotEqual => ordering != Some(Ordering::Equal),
                Operator::Less => ordering == Some(Ordering::Less),
                Operator::AtMost => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
                Operator::Greater => ordering == Some(Ordering::Greater),
                Operator::AtLeast => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
            }
        })
    }
}

fn condition(text: &str) -> Result<Condition> {
    let at = text.find(['!', '<', '>', '=']);
    let found = at.and_then(|at| {
        let (sign, operator) = OPERATORS.iter().find(|(sign, _)| text[at..].starts_with(sign))?;
        let (path, value) = (text[..at].trim(), text[at + sign.len()..].trim());
        let whole = !path.is_empty() && !path.contains(char::is_whitespace) && !value.is_empty();
        whole.then(|| Condition { path: path.into(), operator: *operator, value: flag_value(value) })
    });
    found.ok_or_else(|| {
        let remedy = "write it as cell.hidden>=200 and status=finished";
        Error::config("--where", format_args!("has '{text}', which is not a condition"), remedy)
    })
}

/// The value at a dotted path; a component stands for its name.
pub fn find(run: &Value, path: &str) -> Option<Value> {
    let step = |at: &Value, key: &str| match at {
        Value::Array(list) => key.parse::<usize>().ok().and_then(|index| list.get(index)).cloned(),
        _ => at.get(key).cloned(),
    };
    let found = path.split('.').try_fold(run.clone(), |at, key| step(&at, key))?;
    let name = found.get("type").cloned();
    Some(name.unwrap_or(found)).filter(|value| !value.is_null())
}

/// Numbers by size, text by alphabet; other pairs only when equal.
pub fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        _ => match (a.as_str(), b.as_str()) {
            (Some(a), Some(b)) => Some(a.cmp(b)),
            _ => (a == b).then_some(Ordering::Equal),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run() -> Value {
        json!({
            "status": "finished", "accuracy": 0.95, "seed": 3,
            "cell": { "type": "leaky-rnn", "hidden": 200, "bias": true },
            "analysis": [{ "type": "pca" }],
        })
    }

    fn holds(text: &str) -> bool {
        Query::parse(text).unwrap().holds(&run())
    }

    #[test]
    fn conditions_compare_numbers_text_and_components() {
        for text in [
            "cell.hidden>=200",
            "cell.hidden >= 200 and status=finished",
            "accuracy>0.9 and accuracy <= 0.95",
            "seed != 4",
            "cell=leaky-rnn",
            "cell.bias==true",
            "analysis.0=pca",
            "status<g",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in
            ["cell.hidden>200", "cell=lstm", "accuracy>0.9 and seed=4", "cell.size=200", "status>3", "cell.bias=1"]
        {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_quoted() {
        for text in ["", "cell.hidden", "=3", "a b=3", "a=", "a=1 and", "a=1 and  and b=2"] {
            let error = Query::parse(text).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{text}");
            assert!(error.to_string().contains("which is not a condition"), "{error}");
        }
    }
}
