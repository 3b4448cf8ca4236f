//! Mean and spread against level or update, and the distribution before and after.

use super::super::summary::Summary;
use super::course::{AtLevel, Constants, Course, by_level as levels_of};
use synfire::figure::{Axis, Colour, Figure, Histogram, Line, Panel, Rule};

type Groups = [(String, Vec<usize>)];
/// A statistic over the units of a network.
type Statistic = fn(&Summary) -> f64;

fn quantity(courses: &[Course]) -> String {
    format!("time constant ({})", courses.first().map_or("steps", |course| course.unit))
}

/// Mean and standard deviation over units against the level reached.
pub(super) fn by_level(courses: &[Course], groups: &Groups) -> Figure {
    let name = courses.first().map_or("level", |course| &course.level_name);
    let mut mean = Panel::new("mean over units").x(Axis::new(name).whole()).y(quantity(courses));
    let mut std = Panel::new("standard deviation over units").x(Axis::new(name).whole()).y(quantity(courses));
    for (index, (group, members)) in groups.iter().enumerate() {
        let colour = Colour::palette(index);
        let rows = levels_of(courses, members);
        let x: Vec<usize> = rows.iter().map(|row| row.level).collect();
        if let [member] = members[..] {
            let label = if groups.len() == 1 { courses[member].label.clone() } else { group.clone() };
            let of = |pick: Statistic| rows.iter().map(|row| pick(&row.summaries[0])).collect::<Vec<_>>();
            let (means, stds) = (of(|s| s.mean), of(|s| s.std));
            mean = mean.mark(Line::new(&x, means).deviation(&stds).dots().colour(colour).label(label.clone()));
            std = std.mark(Line::new(&x, stds).dots().colour(colour).label(label));
            continue;
        }
        for course in members.iter().filter_map(|member| courses.get(*member)) {
            let (x, y): (Vec<usize>, Vec<Summary>) =
                course.by_level().into_iter().map(|(level, stage)| (level, stage.raw_summary())).unzip();
            let line = |pick: Statistic| Line::new(&x, y.iter().map(pick).collect::<Vec<_>>()).thin().colour(colour);
            mean = mean.mark(line(|s| s.mean));
            std = std.mark(line(|s| s.std));
        }
        let label = if groups.len() == 1 { "mean of networks".to_string() } else { group.clone() };
        let over = |pick: fn(&AtLevel) -> Summary| {
            let (y, deviation): (Vec<f64>, Vec<f64>) = rows.iter().map(pick).map(|s| (s.mean, s.std)).unzip();
            Line::new(&x, y).deviation(deviation).dots().colour(colour).label(label.clone())
        };
        mean = mean.mark(over(AtLevel::means));
        std = std.mark(over(AtLevel::stds));
    }
    if let Some(first) = initial(courses) {
        mean = mean.mark(Rule::horizontal(first.mean).label("before training"));
        std = std.mark(Rule::horizontal(first.std).label("before training"));
    }
    Figure::new("time-constants-by-level", "Trained time constants")
        .caption(
            "Time constants of the units (raw parameters) at the end of training on each level. Band of a single network: one \
             standard deviation over its units; thin lines and band of a group: its networks, and one standard deviation over \
             them.",
        )
        .panel(mean)
        .panel(std)
}

/// Every unit against the level reached, a panel for each of a few networks.
pub(super) fn of_units(courses: &[Course]) -> Option<Figure> {
    let shown = courses.iter().filter(|course| course.by_level().len() > 1 && course.last().raw.len() > 1);
    let panels: Vec<Panel> = shown.take(MOST_PANELS).map(units).collect();
    let caption =
        "Thin: the time constant of each unit (raw parameter) at the end of training on each level; thick: their mean.";
    let figure = Figure::new("time-constants-of-units", "Trained time constants, unit by unit").caption(caption);
    (!panels.is_empty()).then(|| figure.panels(panels))
}

/// Networks whose units are drawn one by one.
const MOST_PANELS: usize = 4;

fn units(course: &Course) -> Panel {
    let levels = course.by_level();
    let x: Vec<usize> = levels.keys().copied().collect();
    let of =
        |unit: usize| levels.values().map(|stage| stage.raw.get(unit).copied().unwrap_or(f64::NAN)).collect::<Vec<_>>();
    let each = (0..course.last().raw.len()).map(|unit| Line::new(&x, of(unit)).thin().colour(Colour::GREY));
    let means: Vec<f64> = levels.values().map(|stage| stage.raw_summary().mean).collect();
    let mean = Line::new(&x, means).colour(Colour::palette(0)).label("mean");
    let axis = Axis::new(format!("time constant ({})", course.unit));
    Panel::new(&course.label)
        .x(Axis::new(&course.level_name).whole())
        .y(axis)
        .marks(each.collect::<Vec<_>>())
        .mark(mean)
}

/// Mean over units against the update, where the task has no levels.
pub(super) fn by_update(courses: &[Course], groups: &Groups) -> Figure {
    let mut panel = Panel::new("").x("update").y(quantity(courses));
    for (index, (group, members)) in groups.iter().enumerate() {
        for course in members.iter().filter_map(|member| courses.get(*member)) {
            let x: Vec<u64> = course.stages.iter().map(|stage| stage.update).collect();
            let summaries: Vec<Summary> = course.stages.iter().map(Constants::raw_summary).collect();
            let y: Vec<f64> = summaries.iter().map(|s| s.mean).collect();
            let line = Line::new(x, y).dots().colour(Colour::palette(index));
            let line = line.label(if groups.len() == 1 { "mean over units" } else { group });
            let band = courses.len() == 1;
            panel = panel.mark(if band {
                line.deviation(summaries.iter().map(|s| s.std).collect::<Vec<_>>())
            } else {
                line
            });
        }
    }
    Figure::new("time-constants-by-update", "Trained time constants")
        .caption("Mean time constant over units (raw parameters). Band of a single network: one standard deviation over its units.")
        .panel(panel)
}

/// Histograms over all units of a group, at the first and the last checkpoint.
pub(super) fn distribution(courses: &[Course], groups: &Groups) -> Figure {
    let panels = groups.iter().map(|(group, members)| {
        let of = |pick: fn(&Course) -> &Constants| {
            let courses = members.iter().filter_map(|member| courses.get(*member));
            courses.flat_map(|course| pick(course).raw.iter().copied()).collect::<Vec<f64>>()
        };
        let of_group: Vec<&Course> = members.iter().filter_map(|member| courses.get(*member)).collect();
        let trained = of_group.iter().any(|course| course.stages.len() > 1);
        let mut panel =
            Panel::new(if groups.len() == 1 { "" } else { group }).x(quantity(courses)).y(Axis::new("units"));
        if trained {
            panel = panel.mark(Histogram::new(of(Course::first)).bins(BINS).label(name_of(&of_group, Course::first)));
        }
        panel = panel.mark(Histogram::new(of(Course::last)).bins(BINS).label(name_of(&of_group, Course::last)));
        let bounds = of_group.first().map_or(&[][..], |course| &course.last().bounds);
        let bound = bounds.iter().copied().reduce(f64::min);
        panel.marks(bound.map(|bound| Rule::vertical(bound).label("least that acts")))
    });
    Figure::new("time-constant-distribution", "Distribution of time constants over units")
        .caption("Raw parameters of all units at the first and the last checkpoint. Units at or below the least value that acts are frozen there.")
        .panels(panels)
}

const BINS: usize = 40;

/// What the checkpoint of a group's networks is called: by its level, if all have the same one.
fn name_of(courses: &[&Course], pick: fn(&Course) -> &Constants) -> String {
    let Some(course) = courses.first() else { return String::new() };
    let level = pick(course).level;
    match level {
        None if pick(course).update == 0 => "before training".into(),
        Some(level) if courses.iter().all(|c| pick(c).level == Some(level)) => {
            format!("{} = {level}", course.level_name)
        }
        _ => "last checkpoint".into(),
    }
}

/// The networks before training, all together, if any has such a checkpoint.
fn initial(courses: &[Course]) -> Option<Summary> {
    let untrained = courses.iter().map(Course::first).filter(|stage| stage.level.is_none());
    let values: Vec<f64> = untrained.flat_map(|stage| stage.raw.iter().copied()).collect();
    (!values.is_empty()).then(|| Summary::of(&values))
}
