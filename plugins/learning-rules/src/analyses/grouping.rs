//! Runs in groups: as named on the command line, or by what their experiments have in common.

use serde_json::Value;
use synfire::subject::RunView;
use synfire::{Error, Experiment, Result, Subject};

/// Runs with their group.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Grouping {
    /// Names of the groups, in the order in which they first occur.
    pub names: Vec<String>,
    /// Group of each run.
    pub labels: Vec<usize>,
}

impl Grouping {
    /// The groups that were named; if there is but one, by the values of these options of the experiments, such as `rule` or
    /// `task.noise_std`.
    pub fn of(subject: &Subject, by: &[String]) -> Result<Self> {
        if subject.groups.len() > 1 {
            let names = subject.groups.iter().map(|(name, _)| name.clone()).collect();
            let label = |run: usize| {
                let own = subject.groups.iter().position(|(_, members)| members.contains(&run));
                own.ok_or_else(|| Error::Failed(format!("the run {} is in no group", subject.runs[run].label)))
            };
            return Ok(Self { names, labels: (0..subject.runs.len()).map(label).collect::<Result<_>>()? });
        }
        let kinds = subject.runs.iter().map(|run| kind(run, by)).collect::<Result<Vec<_>>>()?;
        Ok(Self::by_name(&kinds))
    }

    /// One group for each name.
    pub fn by_name(kinds: &[String]) -> Self {
        let mut names: Vec<String> = Vec::new();
        let labels = kinds
            .iter()
            .map(|kind| {
                names.iter().position(|name| name == kind).unwrap_or_else(|| {
                    names.push(kind.clone());
                    names.len() - 1
                })
            })
            .collect();
        Self { names, labels }
    }

    /// The items of a group.
    pub fn members(&self, group: usize) -> impl Iterator<Item = usize> + '_ {
        self.labels.iter().enumerate().filter(move |(_, label)| **label == group).map(|(item, _)| item)
    }
}

/// What stands at these paths of a run's experiment.
fn kind(run: &RunView, by: &[String]) -> Result<String> {
    let parts = by.iter().map(|path| value_at(&run.experiment, path)).collect::<Result<Vec<_>>>()?;
    Ok(if parts.is_empty() { "all".into() } else { parts.join(", ") })
}

/// An option as text: its value, the name of a component, or `-` where a component has no such option.
fn value_at(experiment: &Experiment, path: &str) -> Result<String> {
    let whole = serde_json::to_value(experiment).unwrap_or_default();
    let mut names = path.split('.');
    let first = names.next().unwrap_or_default();
    let Some(part) = whole.get(first) else {
        let known = whole.as_object().map(|table| table.keys().cloned().collect::<Vec<_>>().join(", "));
        let remedy = format!("begin with one of: {}", known.unwrap_or_default());
        return Err(Error::config("by", format_args!("names '{path}', which no experiment has"), remedy));
    };
    let found = names.try_fold(part, |value, name| value.get(name));
    Ok(match found {
        None | Some(Value::Null) => "-".into(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(table)) => table.get("type").and_then(Value::as_str).unwrap_or("-").into(),
        Some(other) if first != path => format!("{} {other}", path.rsplit('.').next().unwrap_or(path)),
        Some(other) => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use synfire::Spec;

    #[test]
    fn options_of_experiments_name_groups() {
        let mut experiment = Experiment { rule: Spec::new("bptt"), ..Experiment::default() };
        experiment.task = Spec::with("n-parity", &json!({ "rate": 0.5 }));
        assert_eq!(value_at(&experiment, "rule").expect("there"), "bptt");
        assert_eq!(value_at(&experiment, "task.rate").expect("there"), "rate 0.5");
        assert_eq!(value_at(&experiment, "task.noise_std").expect("a part"), "-");
        let error = value_at(&experiment, "nonsense.x").expect_err("no part").to_string();
        assert!(error.contains("'nonsense.x'") && error.contains("rule"), "{error}");
        let grouping = Grouping::by_name(&["b".into(), "a".into(), "b".into()]);
        assert_eq!((grouping.names.len(), &grouping.labels[..]), (2, &[0, 1, 0][..]));
        assert_eq!(grouping.members(0).collect::<Vec<_>>(), [0, 2]);
    }
}
