//! The trained time constants of units, from before training to the last checkpoint.

mod course;
mod figures;

use course::{Course, by_level};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synfire::analysis::Scope;
use synfire::storage::array::Array;
use synfire::table::{Table, Value};
use synfire::{Analysis, Component, Findings, Properties, Property, Registry, Result, Subject};

/// How the time constants of units change over training and with the level of the task.
///
/// Looks at the network before training, at the end of each lesson and at the last checkpoint; several networks are shown one by
/// one and, in groups, as mean and standard deviation over networks. Statistics are over the units of a network, the standard
/// deviation divides by their number. Values are raw parameters in the unit of the cell (`cell.time_constants.unit`); `clamped`
/// means not below the least value that acts: one step (the shortest, where batches show symbols for different numbers of steps), or
/// `cell.time_constants.least` where that is longer. Since the clamp passes
/// no gradient, a unit that training pushed below stays there: it is frozen.
///
/// Arrays of a network (with a number behind the name where there are several): `time_constants` and `clamped`
/// `[checkpoint, unit]`, `updates` and `levels` `[checkpoint]`, where -1 is a network before its first lesson.
///
/// Source: Khajehabdollahi, Zeraati, Giannakakis, Schäfer, Martius & Levina, "Emergent mechanisms for long timescales depend on
/// training curriculum and affect performance in memory tasks", ICLR 2024, arXiv:2309.12927, its figures of the trained time
/// constants against N.
///
/// Differs: the clamped values and the share of frozen units are new, and the lowest mean is reported at its level, not at its
/// position in the list of levels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeConstants {}

synfire::inventory::submit! { Component::analysis::<TimeConstants>("time-constants") }

#[typetag::serde(name = "time-constants")]
impl Analysis for TimeConstants {
    fn needs(&self, _: &Registry) -> Properties {
        Properties::from([Property::TimeConstants])
    }

    fn scope(&self) -> Scope {
        Scope::Groups
    }

    fn run(&self, subject: &Subject) -> Result<Findings> {
        subject.run()?;
        let courses = subject.runs.iter().map(Course::of).collect::<Result<Vec<_>>>()?;
        let mut groups = subject.groups.clone();
        if groups.is_empty() {
            groups.push((String::new(), (0..courses.len()).collect()));
        }
        let mut findings = Findings::new();
        add_values(&mut findings, &courses);
        findings.tables.push(stage_table(&courses));
        if courses.iter().any(Course::has_levels) {
            findings.tables.push(level_table(&courses, &groups));
        }
        if courses.iter().any(|course| course.by_level().len() > 1) {
            findings.figures.push(figures::by_level(&courses, &groups));
            findings.figures.extend(figures::of_units(&courses));
        } else if courses.iter().any(|course| course.stages.len() > 1) {
            findings.figures.push(figures::by_update(&courses, &groups));
        }
        findings.figures.push(figures::distribution(&courses, &groups));
        for (index, course) in courses.iter().enumerate() {
            let suffix = if courses.len() > 1 { format!(".{index}") } else { String::new() };
            add_arrays(&mut findings, course, &suffix)?;
        }
        if courses.iter().any(|course| course.stages.len() == 1) {
            findings.note("A run has a single checkpoint, so nothing can be said of how its time constants changed.");
        }
        Ok(findings)
    }
}

/// Means over networks of what each network ended with.
fn add_values(findings: &mut Findings, courses: &[Course]) {
    let mean = |pick: &dyn Fn(&Course) -> f64| courses.iter().map(pick).sum::<f64>() / courses.len() as f64;
    findings.value("networks", courses.len());
    if courses.iter().all(|course| course.stages.len() > 1) {
        findings.value("first_mean", mean(&|course| course.first().raw_summary().mean));
    }
    findings.value("last_mean", mean(&|course| course.last().raw_summary().mean));
    findings.value("last_std", mean(&|course| course.last().raw_summary().std));
    findings.value("last_mean_clamped", mean(&|course| course.last().clamped_summary().mean));
    findings.value("last_largest", courses.iter().map(|c| c.last().raw_summary().max).fold(f64::NAN, f64::max));
    findings.value("last_frozen", mean(&|course| course.last().frozen()));
    if let [course] = courses
        && let Some(level) = course.lowest_mean()
    {
        findings.value(format!("{}_of_lowest_mean", course.level_name), level);
    }
}

fn stage_table(courses: &[Course]) -> Table {
    let level = courses.first().map_or("level", |course| &course.level_name);
    let columns =
        ["run", "update", level, "units", "mean", "std", "min", "max", "mean_clamped", "std_clamped", "frozen_share"];
    let mut table = Table::new("time_constants", "Time constants of units at each checkpoint", &columns);
    for course in courses {
        for stage in &course.stages {
            let (raw, clamped) = (stage.raw_summary(), stage.clamped_summary());
            let mut row: Vec<Value> =
                vec![(&course.label).into(), stage.update.into(), stage.level.into(), stage.raw.len().into()];
            let numbers = [raw.mean, raw.std, raw.min, raw.max, clamped.mean, clamped.std, stage.frozen()];
            row.extend(numbers.map(Value::from));
            table.push(row);
        }
    }
    table
}

fn level_table(courses: &[Course], groups: &[(String, Vec<usize>)]) -> Table {
    let level = courses.first().map_or("level", |course| &course.level_name);
    let columns = ["group", level, "networks", "mean", "mean_std", "std", "std_std"];
    let title = "Mean and standard deviation of the time constants, each averaged over networks with its deviation";
    let mut table = Table::new("time_constants_by_level", title, &columns);
    for (name, members) in groups {
        for row in by_level(courses, members) {
            let (mean, std) = (row.means(), row.stds());
            table.push((name, row.level, row.summaries.len(), mean.mean, mean.std, std.mean, std.std));
        }
    }
    table
}

fn add_arrays(findings: &mut Findings, course: &Course, suffix: &str) -> Result<()> {
    let rows = |pick: &dyn Fn(&course::Constants) -> Vec<f64>| {
        Array::from_rows(&course.stages.iter().map(pick).collect::<Vec<_>>())
    };
    let level = |stage: &course::Constants| stage.level.map_or(-1, |level| level as i64);
    findings.array(format!("time_constants{suffix}"), rows(&|stage| stage.raw.clone())?);
    findings.array(format!("clamped{suffix}"), rows(&course::Constants::clamped)?);
    let updates: Vec<i64> = course.stages.iter().map(|stage| stage.update as i64).collect();
    findings.array(format!("updates{suffix}"), Array::from(updates));
    findings.array(format!("levels{suffix}"), Array::from(course.stages.iter().map(level).collect::<Vec<_>>()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::with_time_constants;
    use super::*;
    use synfire::Stream;
    use synfire::subject::RunView;
    use synfire::workers::Workers;

    const STAGES: [(u64, &[f32]); 4] = [(0, &[1.25, 1.75]), (10, &[1.0, 1.5]), (30, &[0.5, 1.0]), (70, &[0.75, 4.25])];

    fn findings(networks: usize) -> Findings {
        let registry = Registry::linked().expect("links");
        let workers = Workers::new(1).expect("threads");
        let folder = tempfile::tempdir().expect("temporary folder");
        let runs: Vec<RunView> = (0..networks)
            .flat_map(|index| {
                let dir = with_time_constants(&folder.path().join(format!("run{index}")), &STAGES);
                RunView::open(&dir, &registry, &workers).expect("opens")
            })
            .collect();
        let groups = vec![("single".to_string(), (0..networks).collect())];
        let subject = Subject { runs, groups, data: Default::default(), stream: Stream::new(1), workers: &workers };
        TimeConstants::default().run(&subject).expect("runs")
    }

    #[test]
    fn statistics_by_checkpoint_are_those_computed_by_hand() {
        let findings = findings(1);
        let rows = |table: &Table| {
            table.rows.iter().map(|r| r.iter().map(Value::exact).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        // run, update, N, units, mean, std, min, max, clamped mean, clamped std, share at or below 1
        let expected = [
            "run0 0  2 1.5 0.25 1.25 1.75 1.5 0.25 0",
            "run0 10 2 2 1.25 0.25 1 1.5 1.25 0.25 0.5",
            "run0 30 3 2 0.75 0.25 0.5 1 1 0 1",
            "run0 70 4 2 2.5 1.75 0.75 4.25 2.625 1.625 0.5",
        ];
        let found: Vec<String> = rows(&findings.tables[0]).iter().map(|row| row.join(" ")).collect();
        assert_eq!(found, expected);
        assert_eq!(findings.tables[0].columns[2], "N");
        assert_eq!(findings.values["N_of_lowest_mean"], 3.into());
        assert_eq!(findings.values["last_largest"], 4.25.into());
        assert_eq!(findings.arrays["levels"], Array::from(vec![-1i64, 2, 3, 4]));
        assert_eq!(findings.arrays["clamped"].to_f64(), [1.25, 1.75, 1.0, 1.5, 1.0, 1.0, 1.0, 4.25]);
        let names: Vec<&str> = findings.figures.iter().map(|figure| figure.name.as_str()).collect();
        assert_eq!(names, ["time-constants-by-level", "time-constants-of-units", "time-constant-distribution"]);
        let [panel] = &findings.figures[1].panels[..] else { panic!("a panel for the one network") };
        let lines = panel
            .marks
            .iter()
            .filter_map(|mark| if let synfire::figure::Mark::Line(line) = mark { Some(line) } else { None });
        let lines: Vec<&[f64]> = lines.map(|line| &line.y[..]).collect();
        assert_eq!(lines, [&[1.0, 0.5, 0.75][..], &[1.5, 1.0, 4.25], &[1.25, 0.75, 2.5]], "each unit, and their mean");
    }

    #[test]
    fn networks_of_a_group_are_averaged() {
        let findings = findings(3);
        let row: Vec<String> = findings.tables[1].rows[2].iter().map(Value::exact).collect();
        assert_eq!(row, ["single", "4", "3", "2.5", "0", "1.75", "0"]);
        assert!(findings.arrays.contains_key("time_constants.2"));
        assert_eq!(findings.values.get("N_of_lowest_mean"), None);
        assert_eq!(findings.figures[1].panels.len(), 3);
    }
}
