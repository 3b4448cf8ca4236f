//! What tells trials apart in figures and decoders: one of their conditions, or the class they should be answered with.

use synfire::tch::Kind;
use synfire::tensors::values_f64;
use synfire::{Error, Result, Trials};

/// A number for each trial and what it is: the condition `name`, the class or final value of the first target for `target`, or the
/// first of `preferred` that the trials have.
pub(super) fn of_trials(trials: &Trials, name: Option<&str>, preferred: &[&str]) -> Result<(String, Vec<f64>)> {
    if let Some(name) = name.filter(|name| *name != "target") {
        return match trials.conditions.get(name) {
            Some(values) => Ok((name.to_string(), values.clone())),
            None => {
                let mut known: Vec<&str> = trials.conditions.keys().map(String::as_str).collect();
                known.push("target");
                let problem = format!("is '{name}', which is no condition of the trials");
                Err(Error::config("condition", problem, format!("use one of: {}", known.join(", "))))
            }
        };
    }
    if name.is_none()
        && let Some(found) =
            preferred.iter().find_map(|name| Some(((*name).to_string(), trials.conditions.get(*name)?.clone())))
    {
        return Ok(found);
    }
    let Some(target) = trials.targets.first() else {
        return Err(Error::config("condition", "is left out and the trials have no target", "name a condition"));
    };
    let values = &target.values;
    // The last step where there is one at every step, the first output where there are several.
    let classes = values.kind() == Kind::Int64;
    let axes = values.dim();
    let by_step = axes == if classes { 2 } else { 3 };
    let last = if by_step { values.get(-1) } else { values.shallow_clone() };
    let last = if classes { last } else { last.select(-1, 0) };
    Ok(("target".into(), values_f64(&last)))
}

/// The different values, ascending, and the place among them of each trial.
pub(super) fn classes(values: &[f64]) -> (Vec<f64>, Vec<usize>) {
    let mut kinds = values.to_vec();
    kinds.sort_by(f64::total_cmp);
    kinds.dedup();
    let place = |value: &f64| kinds.iter().position(|kind| kind == value).unwrap_or(0);
    let places = values.iter().map(place).collect();
    (kinds, places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use synfire::task::{Answer, Target};
    use synfire::tch::Tensor;

    #[test]
    fn conditions_come_before_targets() {
        let target = Target::new(0, None, Answer::FinalStep, Tensor::from_slice(&[2i64, 0, 2]), None);
        let conditions = BTreeMap::from([("choice".to_string(), vec![1.0, -1.0, 1.0])]);
        let trials = Trials { targets: vec![target], conditions, ..Trials::default() };
        assert_eq!(of_trials(&trials, None, &["choice"]).expect("there").0, "choice");
        assert_eq!(of_trials(&trials, None, &["side"]).expect("there"), ("target".into(), vec![2.0, 0.0, 2.0]));
        assert_eq!(of_trials(&trials, Some("target"), &["choice"]).expect("there").1, [2.0, 0.0, 2.0]);
        let error = of_trials(&trials, Some("side"), &[]).expect_err("unknown").to_string();
        assert!(error.contains("'side'") && error.contains("choice, target"), "{error}");
        assert_eq!(classes(&[3.0, 1.0, 3.0]), (vec![1.0, 3.0], vec![1, 0, 1]));
    }
}
