//! Tables of the effect of silencing.

use super::{Group, Outcome, Ranking};
use crate::variants;
use synfire::table::Table;

/// One row a variant.
pub(super) fn silenced(groups: &[Group], outcomes: &[Outcome], ranked: Ranking) -> Table {
    let value = ranked.map_or("value", |(name, _)| name.as_str());
    let columns = ["group", "units", value, "accuracy", "relative accuracy"];
    let mut table = Table::new("silenced", "Accuracy with units silenced", &columns);
    for outcome in outcomes {
        let units: Vec<String> = outcome.units.iter().map(usize::to_string).collect();
        let value = mean_value(&outcome.units, ranked);
        table.push((&groups[outcome.group].label, units.join(" "), value, outcome.accuracy, outcome.relative));
    }
    table
}

/// Mean and deviation of each group.
pub(super) fn summary(groups: &[Group], outcomes: &[Outcome], ranked: Ranking) -> Table {
    let value = format!("mean {}", ranked.map_or("value", |(name, _)| name.as_str()));
    let columns = ["group", "units", &value, "accuracy", "deviation", "relative accuracy", "relative deviation"];
    let mut table = Table::new("groups", "Groups of units", &columns);
    for (index, group) in groups.iter().enumerate() {
        let own = || outcomes.iter().filter(|outcome| outcome.group == index);
        let accuracy = variants::mean_and_deviation(&own().map(|o| o.accuracy).collect::<Vec<_>>());
        let relative = variants::mean_and_deviation(&own().map(|o| o.relative).collect::<Vec<_>>());
        table.push((
            &group.label,
            group.units.len(),
            mean_value(&group.units, ranked),
            accuracy.map(|a| a.0),
            accuracy.map(|a| a.1),
            relative.map(|r| r.0),
            relative.map(|r| r.1),
        ));
    }
    table
}

/// The mean over units of what they were selected by.
pub(super) fn mean_value(units: &[usize], ranked: Ranking) -> Option<f64> {
    let values = &ranked?.1;
    variants::mean_and_deviation(&units.iter().map(|unit| values[*unit]).collect::<Vec<_>>()).map(|(mean, _)| mean)
}
