//! Pictures of the accuracy by level.

use super::measure::{Judged, Network};
use synfire::figure::{Axis, Colour, Figure, HeatMap, Line, Panel, Scatter};

/// Accuracy of one network by level, with what always giving one answer reaches.
pub(super) fn levels(judged: &Judged, network: &Network, protocol: &str) -> Figure {
    let all: Vec<f64> = network.answers.iter().map(|a| a.map_or(f64::NAN, |a| a.accuracy)).collect();
    let rest = judged.majority.iter().map(|share| share.unwrap_or(f64::NAN));
    let least = all.iter().copied().chain(rest.clone()).filter(|a| a.is_finite()).fold(1.0, f64::min);
    let accuracy = Axis::new("accuracy").limits((least - 0.05).max(-0.02), 1.03);
    let mut panel = Panel::new("").x(judged.level_name.as_str()).y(accuracy);
    if judged.majority.iter().any(Option::is_some) {
        let line = Line::new(&judged.levels, rest.collect::<Vec<_>>()).dashed().colour(Colour::GREY);
        panel = panel.mark(line.label("always one answer"));
    }
    panel = panel.mark(Line::new(&judged.levels, &all).colour(Colour::palette(0)));
    for (learned, label) in [(true, "learned"), (false, "not learned")] {
        let own = judged.levels.iter().zip(&network.answers);
        let own =
            own.filter_map(|(level, answer)| answer.filter(|a| a.learned() == learned).map(|a| (level, a.accuracy)));
        let (x, y): (Vec<f64>, Vec<f64>) = own.map(|(level, accuracy)| (*level as f64, accuracy)).unzip();
        if !x.is_empty() {
            let points = Scatter::new(x, y).colour(Colour::palette(0)).label(label);
            panel = panel.mark(if learned { points } else { points.hollow() });
        }
    }
    Figure::new("levels", format!("Accuracy by {}: {}", judged.level_name, judged.run)).panel(panel).caption(format!(
        "The network after {} updates, each {} answered by the head that learned it (discs) or by one that did not (rings): \
         {protocol}.",
        network.update, judged.level_name
    ))
}

/// Accuracy of the last network of each trained level by tested level; nothing where fewer than two levels were trained.
pub(super) fn matrix(judged: &Judged, protocol: &str) -> Option<Figure> {
    let networks = judged.by_trained_level();
    if networks.len() < 2 {
        return None;
    }
    let rows: Vec<Vec<f64>> =
        networks.values().map(|n| n.answers.iter().map(|a| a.map_or(f64::NAN, |a| a.accuracy)).collect()).collect();
    let least = rows.iter().flatten().copied().filter(|a| a.is_finite()).fold(1.0, f64::min);
    let trained: Vec<usize> = networks.keys().copied().collect();
    let map = HeatMap::new(rows).at(&judged.levels, &trained).limits(least.min(0.99), 1.0);
    let panel = Panel::new("")
        .x(format!("tested {}", judged.level_name))
        .y(format!("trained {}", judged.level_name))
        .colour_label("accuracy")
        .mark(map);
    let title = format!("Accuracy at each {} at the end of each: {}", judged.level_name, judged.run);
    Some(Figure::new("matrix", title).panel(panel).caption(format!(
        "Rows: the network at the end of training on each {0}; columns: the {0} it is tested on. Below the diagonal what was \
         trained before; blank where no head answers. {1}.",
        judged.level_name,
        capital(protocol)
    )))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
