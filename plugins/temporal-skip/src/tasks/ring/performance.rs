//! The published performance: fixating before the response, letting go, and going to the right angle.

use super::bump::{UNITS, decode};
use super::rule::RULES;
use super::{RESPONSE_START, RULE};
use std::collections::BTreeMap;
use std::f64::consts::{PI, TAU};
use synfire::tch::{Kind, Tensor, no_grad};
use synfire::{Error, Result, Trials};

/// The parts of the performance, as shares of steps and trials.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Performance {
    /// Fixation before the response.
    pub fixation: f64,
    /// Keeping fixation where that is asked plus letting go where a response is asked; without trials that ask for fixation the
    /// second alone.
    pub release: f64,
    /// Angles within a tenth of a turn of the right one, where a response is asked.
    pub response: f64,
    /// The whole.
    pub performance: f64,
}

/// Rows of a batch that follow one rule.
pub type ByRule = BTreeMap<usize, (Vec<i64>, Performance)>;

/// The performance of each rule in a batch, from the outputs before the logistic, `[time, batch, 33]`.
///
/// # Errors
/// [`Error::Shape`] when outputs and targets do not fit.
pub fn by_rule(trials: &Trials, output: &Tensor) -> Result<ByRule> {
    let column = |name: &str| trials.conditions.get(name).filter(|column| column.len() == trials.batch());
    let (rules, starts) = column(RULE)
        .zip(column(RESPONSE_START))
        .ok_or_else(|| Error::Failed("trials of ring tasks carry their rule and the start of the response".into()))?;
    let mut groups: BTreeMap<(usize, usize), Vec<i64>> = BTreeMap::new();
    for (row, (rule, start)) in rules.iter().zip(starts).enumerate() {
        groups.entry((*rule as usize, *start as usize)).or_default().push(row as i64);
    }
    let mut found = ByRule::new();
    for ((rule, start), rows) in groups {
        let performance = no_grad(|| of_group(trials, output, rule, start, &rows))?;
        found.insert(rule, (rows, performance));
    }
    Ok(found)
}

/// The performance of some rows, which have one rule and one response epoch.
fn of_group(trials: &Trials, output: &Tensor, rule: usize, start: usize, rows: &[i64]) -> Result<Performance> {
    let target = trials.targets.first().ok_or_else(|| Error::Failed("the trials have no target".into()))?;
    if output.size() != target.values.size() {
        return Err(Error::Shape {
            what: "output of head 0".into(),
            expected: format!("{:?}", target.values.size()),
            found: format!("{:?}", output.size()),
        });
    }
    let weight = target.weight.as_ref().ok_or_else(|| Error::Failed("ring tasks weigh their targets".into()))?;
    let rows = Tensor::from_slice(rows).to_device(output.device());
    let pick = |t: &Tensor| t.f_index_select(1, &rows);
    let time = output.size()[0];
    let start = (start as i64).min(time);
    let counts = pick(weight)?.f_gt(0.0)?;
    let said = pick(&output.detach())?.f_sigmoid()?;
    let wanted = pick(&target.values)?;
    let fixation = said.f_select(-1, 0)?;
    let share = |t: &Tensor, of: &Tensor| -> Result<f64> {
        let all = of.f_sum(Kind::Double)?.double_value(&[]);
        Ok(if all > 0.0 { t.f_logical_and(of)?.f_sum(Kind::Double)?.double_value(&[]) / all } else { 0.0 })
    };
    let before = share(&fixation.f_gt(0.5)?.f_narrow(0, 0, start)?, &counts.f_narrow(0, 0, start)?)?;
    let late = |t: &Tensor| t.f_narrow(0, start, time - start);
    let (counts, fixation, said, wanted) = (late(&counts)?, late(&fixation)?, late(&said)?, late(&wanted)?);
    let keeps = wanted.f_select(-1, 0)?.f_gt(0.5)?;
    let answers = counts.f_logical_and(&keeps.f_logical_not()?)?;
    let ring = |t: &Tensor| decode(&t.f_narrow(-1, 1, UNITS as i64)?);
    let apart = ring(&said)?.f_sub(&ring(&wanted)?)?.f_remainder(TAU)?;
    let apart = apart.f_minimum(&(apart.f_neg()? + TAU))?;
    let response = share(&apart.f_lt(0.2 * PI)?, &answers)?;
    let kept = share(&fixation.f_gt(0.5)?.f_logical_and(&keeps)?, &counts)?;
    let released = share(&fixation.f_lt(0.5)?.f_logical_and(&keeps.f_logical_not()?)?, &counts)?;
    let w = RULES.get(rule).map_or(0.0, |rule| rule.structure.fixation_share());
    Ok(Performance {
        fixation: before,
        release: kept + released,
        response,
        performance: w * before + (1.0 - w) * (kept + released * response),
    })
}

/// The share of some rows in the mean over a whole batch of the performance.
///
/// # Errors
/// As [`by_rule`].
pub fn share(trials: &Trials, output: &Tensor) -> Result<f64> {
    let sum: f64 = by_rule(trials, output)?.values().map(|(rows, found)| rows.len() as f64 * found.performance).sum();
    // Every trial has a total weight of 2, one for each window, and the losses of the two are added.
    Ok(sum / trials.targets.first().map_or(1.0, |target| target.total).max(1e-12))
}
