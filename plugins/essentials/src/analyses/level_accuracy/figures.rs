//! Pictures of the accuracy by level.

use super::measure::{Judged, Network};
use synfire::figure::{Axis, Colour, Figure, HeatMap, Line, Panel, Scatter};

/// Accuracy of one network by level, with what always giving one answer reaches.
pub(super) fn levels(judged: &Judged, network: &Network, protocol: &str) -> Figure {
    let all: Vec<f64> = network.answers.iter().map(|a| a.map_or(f64::NAN, |a| a.accuracy)).collect();
    let rest = judged.majority.iter().map(|share| share.unwrap_or(f64::NAN));
    let least = all.iter().copied().chain(rest.clone()).filter(|a| a.is_finite()).fold(1.0, f64::min);
    let accuracy = Axis::new("accuracy").limits((least - 0.05).max(-0.02), 1.03);
    let mut panel = Panel::new("").x(Axis::new(judged.level_name.as_str()).whole()).y(accuracy);
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
    let (columns, x) = places(&judged.levels, format!("tested {}", judged.level_name));
    let (lines, y) = places(&trained, format!("trained {}", judged.level_name));
    let map = HeatMap::new(rows).at(columns, lines).limits(least.min(0.99), 1.0);
    let panel = Panel::new("").x(x).y(y).colour_label("accuracy").mark(map);
    let title = format!("Accuracy at each {} at the end of each: {}", judged.level_name, judged.run);
    Some(Figure::new("matrix", title).panel(panel).caption(format!(
        "Rows: the network at the end of training on each {0}; columns: the {0} it is tested on. Below the diagonal what was \
         trained before; blank where no head answers. {1}.",
        judged.level_name,
        capital(protocol)
    )))
}

/// Where the cells of ascending levels stand, and their axis: on a scale of numbers where none is left out, else side by side under
/// their names.
fn places(levels: &[usize], label: String) -> (Vec<f64>, Axis) {
    let axis = Axis::new(label);
    match levels.windows(2).all(|pair| pair[1] == pair[0] + 1) {
        true => (levels.iter().map(|level| *level as f64).collect(), axis.whole()),
        false => (
            (0..levels.len()).map(|place| place as f64).collect(),
            axis.categories(levels.iter().map(usize::to_string)),
        ),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::super::measure::{Answered, Network};
    use super::*;
    use crate::levels::Learned;
    use synfire::figure::Mark;

    #[test]
    fn rows_and_columns_stand_under_their_levels() {
        let answer = |accuracy| Some(Answered { head: 0, learned: Learned::Yes, accuracy });
        let network = |level: usize| Network {
            update: level as u64,
            level: Some(level),
            answers: vec![answer(0.5), answer(0.75), answer(1.0)],
        };
        let judged = |levels: [usize; 3], trained: [usize; 3]| Judged {
            run: "run".into(),
            level_name: "N".into(),
            levels: levels.to_vec(),
            majority: vec![None; 3],
            networks: trained.map(network).to_vec(),
            trials: 1,
        };
        let drawn = |judged: &Judged| {
            let figure = matrix(judged, "protocol").expect("three levels");
            let panel = figure.panels[0].clone();
            let Mark::HeatMap(map) = &panel.marks[0] else { panic!("a map") };
            assert_eq!(map.values, [[0.5, 0.75, 1.0]; 3]);
            assert!(figure.to_svg().expect("draws").contains("trained N"));
            (panel.x.categories, map.x.clone(), panel.y.categories, map.y.clone())
        };
        // Sliding windows end lessons at 11, 16, 21, ..
        let (x, columns, y, rows) = drawn(&judged([2, 3, 4], [11, 16, 21]));
        assert_eq!((x.len(), columns), (0, vec![2.0, 3.0, 4.0]));
        assert_eq!((y, rows), (vec!["11".to_string(), "16".into(), "21".into()], vec![0.0, 1.0, 2.0]));
        let (x, columns, y, _) = drawn(&judged([2, 5, 9], [2, 3, 4]));
        assert_eq!((x, columns, y.len()), (vec!["2".to_string(), "5".into(), "9".into()], vec![0.0, 1.0, 2.0], 0));
    }
}
