use super::super::fixture;
use super::*;
use serde_json::{Value as Json, json};
use std::path::Path;
use synfire::curriculum::{Evaluation, HeadResult, LessonRecord};
use synfire::figure::{Mark, Panel};
use synfire::run::RunDir;
use synfire::storage::array::Array;
use synfire::subject::RunView;
use synfire::tch::Tensor;
use synfire::workers::Workers;
use synfire::{History, Lesson, Registry, Spec, Stream, Tensors};

/// The paper's default cell with two units.
fn default_cell() -> Json {
    json!({
        "hidden": 2, "placement": "whole", "activation": "leaky-relu",
        "time_constants": { "low": 1.0, "high": 2.0, "trainable": true },
    })
}

/// The same with fixed time constants.
fn fixed_cell() -> Json {
    json!({
        "hidden": 2, "placement": "whole", "activation": "leaky-relu",
        "time_constants": { "low": 2.0, "high": 2.0, "trainable": false, "shared": true },
    })
}

/// A run that had these time constants at the end of levels 2, 3, ...; it solved all but the last.
fn trained(folder: &Path, curriculum: &str, cell: &Json, taus: &[[f32; 2]]) -> RunDir {
    let registry = Registry::linked().expect("links");
    let mut experiment = fixture::experiment(cell);
    experiment.curriculum = Spec::new(curriculum);
    let experiment = experiment.resolve(&registry).expect("resolves");
    let dir = RunDir::create(folder, &experiment).expect("creates");
    let parts = experiment.parts(&registry).expect("fits");
    let context = parts.context(&experiment, &registry).expect("has a device");
    let mut network = parts.network(&context, 1, 0, &Lesson::with_levels([(2, 0)])).expect("builds");
    let mut history = History::default();
    dir.save_checkpoint(&network, &Tensors::new(), &history).expect("saves");
    for (index, pair) in taus.iter().enumerate() {
        let level = index + 2;
        let accuracy = Some(if index + 1 < taus.len() { 0.99 } else { 0.6 });
        history.lessons.push(LessonRecord { from: history.updates, lesson: Lesson::with_levels([(level, 0)]) });
        history.updates += 10;
        let heads = vec![HeadResult { head: 0, level: Some(level), loss: 0.1, accuracy }];
        let evaluation = Evaluation { update: history.updates, lesson: index, trials: 10, loss: 0.1, accuracy, heads };
        history.evaluations.push(evaluation);
        if cell["time_constants"]["trainable"] == true {
            network.parameters.insert("time_constants", Tensor::from_slice(pair));
        }
        dir.save_checkpoint(&network, &Tensors::new(), &history).expect("saves");
    }
    dir
}

/// Findings of the other analyses, as they save them.
fn findings_of_others(dir: &RunDir, short: f64, long: f64) {
    let save = |name: &str, table: Table, values: &[(&str, f64)], arrays: Vec<(&str, Array)>| {
        let mut findings = Findings::new();
        findings.tables.push(table);
        values.iter().for_each(|(name, value)| findings.value(*name, *value));
        arrays.into_iter().for_each(|(name, array)| findings.array(name, array));
        dir.save_findings(name, &findings).expect("saves");
        let settings = dir.analysis_path(name).join("analysis.toml");
        std::fs::write(settings, format!("type = \"{name}\"\nlevel = 3\n")).expect("writes");
    };
    let columns = ["run", "update", "N", "units", "kept", "mean", "std"];
    let slow = Table::new("timescales", "", &columns);
    let slow = slow
        .row(("r", 0, None::<u64>, 2, 2, 1.5, 0.1))
        .row(("r", 10, 2, 2, 1, 2.0, 0.5))
        .row(("r", 20, 3, 2, 2, 3.0, 1.0));
    save("timescales", slow, &[], vec![]);
    let columns = ["group", "units", "time_constants", "accuracy", "relative accuracy"];
    let relative = |accuracy: f64| (accuracy - 0.5) / 0.4;
    let mut silenced = Table::new("silenced", "", &columns);
    for (group, tau, accuracy) in [
        ("smallest time constants", 1.0, short - 0.05),
        ("smallest time constants", 1.0, short + 0.05),
        ("largest time constants", 2.0, long - 0.05),
        ("largest time constants", 4.0, long + 0.05),
    ] {
        silenced.push((group, "0", tau, accuracy, relative(accuracy)));
    }
    save("ablation", silenced, &[("accuracy", 0.9), ("chance", 0.5)], vec![]);
    let strengths = Array::from(vec![0.1, 1.0]);
    let rows = Array::from_rows(&[vec![0.9, short], vec![0.5, 0.5 + (long - 0.5) / 2.0]]).expect("a matrix");
    let arrays = vec![("recurrent_normalized_strength", strengths), ("recurrent_normalized_accuracy", rows)];
    save("perturbation", Table::new("strengths", "", &["kind"]), &[("accuracy", 0.9), ("chance", 0.5)], arrays);
    let retrained =
        Table::new("retrained", "", &["from N", "N", "evaluation", "update", "accuracy", "relative accuracy"]);
    let retrained =
        retrained.row((3, 4, 1, 10, 0.6, 0.2)).row((3, 4, 2, 20, 0.8, 0.75)).row((3, 5, 1, 10, 0.55, short - 0.5));
    save("retraining", retrained, &[], vec![]);
    let steps = Table::new("step_size", "", &["level", "substeps", "accuracy", "trials"]);
    save("step-size", steps.row((2, 1, 0.9, 8)).row((2, 10, 0.8, 8)).row((3, 10, 0.7, 8)), &[], vec![]);
    let dimension = Table::new("networks", "", &["update", "level", "components", "participation ratio"]);
    let dimension = dimension.row((10, 2, 4, 2.0)).row((20, 3, 6, 3.0)).row((30, 4, 8, 5.0)).row((40, 40, 9, 5.0));
    save("dimensionality", dimension, &[], vec![]);
}

fn compare(dirs: &[RunDir], groups: &[(&str, Vec<usize>)]) -> Findings {
    let registry = Registry::linked().expect("links");
    let workers = Workers::new(1).expect("threads");
    let runs = dirs.iter().flat_map(|dir| RunView::open(dir, &registry, &workers).expect("opens")).collect();
    let groups = groups.iter().map(|(name, members)| ((*name).to_string(), members.clone())).collect();
    let subject = Subject { runs, groups, data: Default::default(), stream: Stream::new(1), workers: &workers };
    CurriculumComparison::default().run(&subject).expect("runs")
}

const FALLS_AND_RISES: [[f32; 2]; 4] = [[1.0, 2.0], [1.0, 1.5], [1.0, 3.0], [9.0, 9.0]];
const FALLS: [[f32; 2]; 5] = [[1.0, 2.0], [1.0, 1.75], [1.0, 1.5], [1.0, 1.25], [9.0, 9.0]];

fn two_curricula(at: &Path) -> Vec<RunDir> {
    let mut dirs = vec![
        trained(&at.join("a"), "single-level", &default_cell(), &FALLS_AND_RISES),
        trained(&at.join("b"), "single-level", &default_cell(), &FALLS_AND_RISES[1..]),
        trained(&at.join("c"), "cumulative", &default_cell(), &FALLS),
        trained(&at.join("d"), "cumulative", &default_cell(), &FALLS),
        trained(&at.join("e"), "single-level", &fixed_cell(), &FALLS[2..]),
    ];
    for (index, dir) in dirs.iter_mut().enumerate().take(4) {
        let slight = 0.01 * index as f64;
        let (short, long) = if index < 2 { (0.85, 0.6) } else { (0.7, 0.85) };
        findings_of_others(dir, short + slight, long + slight);
    }
    dirs
}

fn panels<'a>(findings: &'a Findings, name: &str) -> &'a [Panel] {
    let figure = findings.figures.iter().find(|figure| figure.name == name);
    &figure.unwrap_or_else(|| panic!("no figure {name}")).panels
}

/// The first line with a label.
fn line<'a>(panel: &'a Panel, label: &str) -> &'a synfire::figure::Line {
    let lines = panel.marks.iter().filter_map(|mark| if let Mark::Line(line) = mark { Some(line) } else { None });
    lines
        .into_iter()
        .find(|line| line.label == label)
        .unwrap_or_else(|| panic!("no line '{label}' in '{}'", panel.title))
}

fn cell<'a>(table: &'a Table, row: usize, column: &str) -> &'a Value {
    let at = table.columns.iter().position(|name| name == column).unwrap_or_else(|| panic!("no column {column}"));
    &table.rows[row][at]
}

fn table<'a>(findings: &'a Findings, name: &str) -> &'a Table {
    findings.tables.iter().find(|table| table.name == name).unwrap_or_else(|| panic!("no table {name}"))
}

#[test]
fn runs_are_sorted_into_groups_and_every_figure_is_drawn() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let found = compare(&two_curricula(folder.path()), &[("all", (0..5).collect())]);
    let names: Vec<&str> = found.figures.iter().map(|figure| figure.name.as_str()).collect();
    let expected = [
        "largest-level",
        "time-constants-by-level",
        "network-timescales-by-level",
        "time-constants-and-network-timescales",
        "ablation",
        "robustness",
        "ablation-and-robustness",
        "continuous",
        "training-progress",
        "dimension-by-level",
        "connectivity-by-time-constant",
    ];
    assert_eq!(names, expected);
    found
        .figures
        .iter()
        .for_each(|figure| assert!(figure.to_svg().expect("draws").contains("</svg>"), "{}", figure.name));

    let networks = table(&found, "networks");
    let column = |name: &str| (0..5).map(|row| cell(networks, row, name).exact()).collect::<Vec<_>>();
    let groups =
        ["single, default", "single, default", "single, default, τ = 2", "cumulative, default", "cumulative, default"];
    assert_eq!(column("group"), groups);
    assert_eq!(column("largest N solved"), ["4", "3", "3", "5", "5"]);
    assert_eq!(column("N of tau"), ["4", "3", "3", "5", "5"]);
    assert_eq!(column("mean tau"), ["2", "2", "2", "1.125", "1.125"]);
    assert_eq!(column("mean tau_net"), ["3", "3", "", "3", "3"]);

    // Means over the two single-level networks: at 2 of 1.5 and 1.25, at 3 of 1.25 and 2, at 4 of 2 alone.
    let single = line(&panels(&found, "time-constants-by-level")[0], "single");
    assert_eq!((&single.x[..], &single.y[..]), (&[2.0, 3.0, 4.0][..], &[1.375, 1.625, 2.0][..]));
    assert_eq!(single.upper[0] - single.y[0], 0.125);
    assert_eq!(found.values["single, default: N of lowest mean tau"], 2.0.into());
    assert_eq!(found.values.get("cumulative, default: N of lowest mean tau"), None);
    assert_eq!(found.values["single, default: mean largest N"], 3.5.into());
    let slow = line(&panels(&found, "network-timescales-by-level")[0], "cumulative");
    assert_eq!((&slow.x[..], &slow.y[..]), (&[2.0, 3.0][..], &[2.0, 3.0][..]));
    let climb = line(&panels(&found, "training-progress")[0], "cumulative");
    assert_eq!((&climb.x[..], &climb.y[..]), (&[1.0, 2.0, 3.0, 4.0, 5.0][..], &[2.0, 3.0, 4.0, 5.0, 5.0][..]));
    // Symbols of one step in training: a line there; the harder a level, the darker its line.
    let steps = panels(&found, "continuous").last().expect("panels");
    let [Mark::Rule(trained), Mark::Trajectory2(lines)] = &steps.marks[..] else { panic!("{:?}", steps.marks) };
    assert_eq!((trained.at, lines.map), (1.0, synfire::figure::ColourMap::SequentialReversed));
    assert_eq!(
        lines.paths.iter().map(|path| (path.values[0], path.x[0])).collect::<Vec<_>>(),
        [(2.0, 0.1), (3.0, 0.1)]
    );
    // All points up to N = 30 lie on 2 N; the one at 40 is not on it.
    let labels: Vec<&str> = panels(&found, "dimension-by-level")[0].marks.iter().map(Mark::label).collect();
    assert!(labels.iter().any(|label| label.starts_with("single: r = 1.00")), "{labels:?}");
}

#[test]
fn accuracies_are_relative_to_the_whole_network() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let found = compare(&two_curricula(folder.path()), &[("all", (0..5).collect())]);
    let [relative, raw] = panels(&found, "ablation") else { panic!("two panels") };
    let bars = |panel: &Panel, label: &str| {
        let all = panel.marks.iter().filter_map(|mark| if let Mark::Bars(bars) = mark { Some(bars) } else { None });
        all.into_iter().find(|bars| bars.label == label).expect("bars").clone()
    };
    let close = |found: &[f64], expected: &[f64]| {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} {expected:?}");
    };
    let short = bars(raw, "shortest τ silenced");
    let names: Vec<&str> = short.categories.iter().map(|name| name.split(" τ").next().unwrap_or_default()).collect();
    assert_eq!(names, ["single N=3", "cumulative N=3"]);
    close(&short.y, &[0.855, 0.725]);
    close(&bars(relative, "shortest τ silenced").y, &[0.8875, 0.5625]);
    close(&bars(raw, "whole network").y, &[0.9, 0.9]);
    assert!(short.categories[1].ends_with("τ=1.00/3.00"), "{}", short.categories[1]);

    let noise = &panels(&found, "robustness")[0];
    let course = line(noise, "cumulative, N = 3");
    // Draws 0.9 and 0.72, 0.9 and 0.73 of 0.9 over guessing: 1, 0.55, 1, 0.575.
    close(&course.y[..1], &[0.78125]);
    let deviation = [1.0f64, 0.55, 1.0, 0.575].map(|share| (share - 0.78125).powi(2)).iter().sum::<f64>() / 4.0;
    close(&[course.upper[0] - course.y[0]], &[deviation.sqrt()]);
    let retrained = panels(&found, "robustness").last().expect("panels");
    assert_eq!(line(retrained, "cumulative").y[0], 0.75, "the last evaluation counts");
}

#[test]
fn tests_over_draws_and_over_networks_stand_side_by_side() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let found = compare(&two_curricula(folder.path()), &[("all", (0..5).collect())]);
    let tests = table(&found, "significance");
    let rows: Vec<Vec<String>> = tests.rows.iter().map(|row| row.iter().map(Value::exact).collect()).collect();
    let find = |quantity: &str, samples: &str| {
        let row = rows.iter().find(|row| {
            row[0] == "single, default against cumulative, default" && row[1] == quantity && row[2] == samples
        });
        row.unwrap_or_else(|| panic!("no test of {quantity} over {samples}: {rows:#?}")).clone()
    };
    let number = |text: &String| text.parse::<f64>().expect("a number");
    // SciPy 1.17.1: ttest_ind([4, 3], [5, 5]), of the four draws [.75, 1, .775, 1.025] and [.425, .675, .45, .7], and of the means of each
    // two of them.
    let close = |row: &[String], t: f64, p: f64| {
        // Accuracies such as 0.86 are rounded before they are made relative.
        let gap = |found: &String, expected: f64| (number(found) / expected - 1.0).abs();
        assert!(gap(&row[4], t) < 1e-8 && gap(&row[6], p) < 1e-8, "{row:?}");
    };
    let reached = find("largest N solved", "networks");
    assert_eq!((reached[3].as_str(), reached[7].as_str()), ("2 and 2", "0"));
    close(&reached, -3.0, 0.095465966266709);
    let draws = find("relative accuracy, shortest τ silenced, N = 3", "draws");
    assert_eq!((draws[3].as_str(), draws[7].as_str()), ("4 and 4", "1"));
    close(&draws, 3.168533408439311, 0.019354665450943);
    let means = find("relative accuracy, shortest τ silenced, N = 3", "networks");
    assert_eq!((means[3].as_str(), means[7].as_str()), ("2 and 2", "2"));
    close(&means, 18.38477631085026, 0.002945514498418);
    assert!((number(&means[9]) / 0.002945514498418 - 1.0).abs() < 1e-8);
    assert!(rows.iter().all(|row| !row[0].contains("τ = 2")), "one network cannot be tested: {rows:#?}");
}

#[test]
fn what_is_missing_is_asked_for_and_published_numbers_stand_beside_ours() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    let dirs = [
        trained(&at.join("a"), "single-level", &default_cell(), &FALLS_AND_RISES),
        trained(&at.join("b"), "single-level", &fixed_cell(), &FALLS),
    ];
    let found = compare(&dirs, &[("all", vec![0, 1])]);
    let notes = found.notes.join("\n");
    assert!(notes.contains("`synfire analyze timescales RUNS --set at=milestones` makes it"), "{notes}");
    assert!(notes.contains("There is no 'timescales' of a and 1 more"), "{notes}");
    let names: Vec<&str> = found.figures.iter().map(|figure| figure.name.as_str()).collect();
    assert_eq!(
        names,
        ["largest-level", "time-constants-by-level", "training-progress", "connectivity-by-time-constant"]
    );

    let [single] = panels(&found, "largest-level") else { panic!("a panel for the one curriculum") };
    let Mark::Bars(bars) = &single.marks[0] else { panic!("bars first") };
    assert_eq!(bars.categories, ["trained τ", "τ = 1", "τ = 2", "τ = 3", "τ = 4"]);
    assert_eq!((bars.y[0], bars.y[2], &bars.members[1][..]), (4.0, 5.0, &[][..]));
    assert!(bars.y[1].is_nan());
    let Mark::Scatter(rings) = &single.marks[1] else { panic!("published networks second") };
    assert_eq!((rings.x.len(), rings.y[0]), (20, 37.0));
    assert!(
        rings.x.iter().all(|x| x.fract() > 0.0 && x.fract() < 0.4),
        "in the right half of the column: {:?}",
        rings.x
    );
    let published = table(&found, "published");
    assert!(published.rows.iter().any(|row| row[0] == "MeanTau".into() && row[5] == "yes".into()), "{published:?}");
    let labels: Vec<&str> = panels(&found, "time-constants-by-level")[0].marks.iter().map(Mark::label).collect();
    assert!(labels.contains(&"published, single") && labels.contains(&"τ rises from N = 3"), "{labels:?}");
}

#[test]
fn time_constants_of_slow_symbols_are_counted_in_symbols() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let place = folder.path().join("a");
    let dir = trained(&place, "cumulative", &default_cell(), &FALLS);
    let found = compare(std::slice::from_ref(&dir), &[("all", vec![0])]);
    assert!(found.figures.iter().all(|figure| figure.name != "time-constants-by-repeat"), "one step a symbol");
    let mut experiment = dir.experiment().expect("reads");
    experiment.task = Spec::with("n-parity", &json!({ "repeat": 5 }));
    dir.write_experiment(&experiment).expect("writes");
    let found = compare(&[dir], &[("all", vec![0])]);
    let slow = line(&panels(&found, "time-constants-by-repeat")[0], "cumulative");
    assert_eq!((&slow.x[..], &slow.y[..2]), (&[2.0, 3.0, 4.0, 5.0][..], &[0.3, 0.275][..]));
}

#[test]
fn networks_of_different_size_are_not_averaged() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = folder.path();
    let large = json!({
        "hidden": 3, "placement": "whole", "activation": "leaky-relu",
        "time_constants": { "low": 1.0, "high": 2.0, "trainable": true },
    });
    let dirs = [
        trained(&at.join("a"), "single-level", &default_cell(), &FALLS_AND_RISES),
        trained(&at.join("b"), "single-level", &large, &FALLS),
        trained(&at.join("c"), "cumulative", &large, &FALLS),
    ];
    let found = compare(&dirs, &[("all", vec![0, 1, 2])]);
    let networks = table(&found, "networks");
    let groups: Vec<String> = (0..3).map(|row| cell(networks, row, "group").exact()).collect();
    assert_eq!(groups, ["single, 2 units", "single, 3 units", "cumulative, 3 units"]);
    let titles: Vec<&str> = panels(&found, "largest-level").iter().map(|panel| panel.title.as_str()).collect();
    assert_eq!(titles, ["single, 2 units", "single, 3 units", "cumulative, 3 units"]);
    let [first, .., last] = panels(&found, "time-constants-by-level") else { panic!("a panel for each size") };
    assert!(first.title.ends_with("default, 2 units") && last.title.ends_with("default, 3 units"));
    assert_eq!(line(first, "single").y[0], 1.5);
    // Of one size it is not said.
    let found = compare(&dirs[1..], &[("all", vec![0, 1])]);
    assert_eq!(cell(table(&found, "networks"), 0, "group").exact(), "single");
}

#[test]
fn groups_of_the_user_stay_as_they_are_named() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let dirs = two_curricula(folder.path());
    let found = compare(&dirs, &[("mine", vec![0, 2]), ("yours", vec![1, 3, 4])]);
    let networks = table(&found, "networks");
    let groups: Vec<String> = (0..5).map(|row| cell(networks, row, "group").exact()).collect();
    assert_eq!(groups, ["mine", "mine", "yours", "yours", "yours"]);
    let [both] = panels(&found, "largest-level") else { panic!("one panel") };
    let Mark::Bars(bars) = &both.marks[0] else { panic!("bars first") };
    assert_eq!((&bars.categories[..], &bars.y[..1]), (&["mine".to_string(), "yours".to_string()][..], &[4.5][..]));
    let tests = table(&found, "significance");
    assert!(
        tests.rows.iter().any(|row| row[0] == "mine against yours".into() && row[3] == "2 and 3".into()),
        "{tests:?}"
    );
}

#[test]
fn imported_networks_of_one_folder_are_one_network_at_several_levels() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let place = folder.path().join("single_parity_network_1");
    std::fs::create_dir(&place).expect("makes a folder");
    let made = trained(&folder.path().join("made"), "single-level", &default_cell(), &FALLS_AND_RISES);
    let registry = Registry::linked().expect("links");
    let imported = |name: &str, level: usize| {
        let checkpoint = made.load_checkpoint(10 * (level as u64 - 1), synfire::tch::Device::Cpu).expect("there");
        let network = synfire::format::Imported {
            parameters: checkpoint.parameters,
            heads: vec![0],
            task: None,
            cell: None,
            curriculum: None,
            lesson: Some(Lesson::with_levels([(level, 0)])),
            notes: Vec::new(),
            ..synfire::format::Imported::default()
        };
        let experiment = made.experiment().expect("reads");
        RunDir::import(place.join(name), &experiment, network, &registry).expect("imports")
    };
    let dirs = [imported("N2", 2), imported("N3", 3), imported("N4", 4)];
    let found = compare(&dirs, &[("all", vec![0, 1, 2])]);
    let networks = table(&found, "networks");
    assert_eq!(networks.rows.len(), 1);
    assert_eq!(cell(networks, 0, "network").exact(), "single_parity_network_1");
    assert_eq!(cell(networks, 0, "largest N solved").exact(), "4");
    let course = line(&panels(&found, "time-constants-by-level")[0], "single");
    assert_eq!((&course.x[..], &course.y[..]), (&[2.0, 3.0, 4.0][..], &[1.5, 1.25, 2.0][..]));
    assert!(
        found.notes.iter().any(|note| note.starts_with("N2, N3, N4 were taken as one network")),
        "{:?}",
        found.notes
    );

    // Two of one level cannot be one network.
    let found = compare(&[dirs[0].clone(), dirs[1].clone(), imported("again", 3)], &[("all", vec![0, 1, 2])]);
    assert_eq!(table(&found, "networks").rows.len(), 3);
}
