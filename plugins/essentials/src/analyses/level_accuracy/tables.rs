//! Tables of the accuracy by level.

use super::measure::{Forgotten, Judged};
use synfire::table::{Table, Value};

/// One row a network and level.
pub(super) fn accuracy(judged: &Judged) -> Table {
    let columns = ["update", "trained level", "level", "head", "learned", "accuracy", "majority", "trials"];
    let title = format!("Accuracy by {}", judged.level_name);
    let mut table = Table::new("accuracy", title, &columns);
    for network in &judged.networks {
        for ((level, answer), majority) in judged.levels.iter().zip(&network.answers).zip(&judged.majority) {
            table.push(vec![
                Value::from(network.update),
                network.level.into(),
                (*level).into(),
                answer.map(|answer| answer.head).into(),
                answer.map_or("no head", |answer| answer.learned.word()).into(),
                answer.map(|answer| answer.accuracy).into(),
                (*majority).into(),
                judged.trials.into(),
            ]);
        }
    }
    table
}

/// One row a level whose end has a network.
pub(super) fn forgetting(judged: &Judged, forgotten: &[Forgotten]) -> Table {
    let columns = ["level", "update", "accuracy at its end", "accuracy at the end of training", "forgetting"];
    let title =
        format!("Forgetting by {}: accuracy at the end of its own training less that at the end", judged.level_name);
    let mut table = Table::new("forgetting", title, &columns);
    for Forgotten { level, update, own, end, .. } in forgotten {
        table.push((*level, *update, *own, *end, own - end));
    }
    table
}
