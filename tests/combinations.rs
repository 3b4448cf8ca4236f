//! Any task × cell × curriculum × rule × analysis either runs or is refused with a reason that names both parts.

use std::sync::atomic::AtomicBool;
use synfire::analysis::Scope;
use synfire::experiment::Experiment;
use synfire::observer::Silent;
use synfire::run::RunDir;
use synfire::subject::{RunView, Subject};
use synfire::testing::small;
use synfire::trainer::Session;
use synfire::workers::Workers;
use synfire::{Analysis, Cell, Curriculum, Error, Kind, LearningRule, Registry, Spec, Stream, Task};

fn names(registry: &Registry, kind: Kind) -> Vec<&'static str> {
    // The twenty ring tasks are one generator with twenty rows of a table: one of them stands for all.
    let stands = |name: &&str| !name.starts_with("ring-") || *name == "ring-go" || kind != Kind::Task;
    registry.of_kind(kind).map(|c| c.name).filter(stands).collect()
}

/// A task with few steps.
fn short(registry: &Registry, task: &str) -> Spec<dyn Task> {
    match task {
        "ring-go" | "rule-reversal" => Spec::with(task, &serde_json::json!({ "dt_ms": 25.0 })),
        _ => small(registry, task),
    }
}

fn experiment(registry: &Registry, task: &str, cell: &str, curriculum: &str, rule: &str) -> Experiment {
    let mut experiment = Experiment {
        name: "combination".into(),
        device: "cpu".into(),
        task: short(registry, task),
        cell: small::<dyn Cell>(registry, cell),
        curriculum: Spec::<dyn Curriculum>::new(curriculum),
        rule: Spec::<dyn LearningRule>::new(rule),
        ..Experiment::default()
    };
    experiment.training.batch = 3;
    experiment.training.updates = 2;
    experiment.training.updates_per_evaluation = 1;
    experiment.training.updates_per_checkpoint = 100;
    experiment.training.evaluation_trials = 2;
    experiment
}

fn train(registry: &Registry, experiment: &Experiment, folder: &std::path::Path) -> synfire::Result<RunDir> {
    let experiment = experiment.resolve(registry)?;
    let dir = RunDir::create(folder, &experiment)?;
    let stop = AtomicBool::new(false);
    let session = Session { experiment: &experiment, registry, dir: &dir, threads: 1, observer: &Silent, stop: &stop };
    session.train().map(|_| dir)
}

#[test]
fn every_combination_trains_or_is_refused_with_a_reason() {
    let registry = Registry::linked().expect("no duplicates");
    let folder = tempfile::tempdir().expect("temporary folder");
    let (mut trained, mut refused) = (0, 0);
    for task in names(&registry, Kind::Task) {
        for cell in names(&registry, Kind::Cell) {
            for curriculum in names(&registry, Kind::Curriculum) {
                for rule in names(&registry, Kind::Rule) {
                    // Every pair of parts, the others being plain: what goes wrong between parts goes wrong between two.
                    let plain = [task == "n-parity", cell == "leaky-rnn", curriculum == "fixed-budget", rule == "bptt"];
                    if plain.iter().filter(|plain| **plain).count() < 2 {
                        continue;
                    }
                    let what = format!("{task} × {cell} × {curriculum} × {rule}");
                    let experiment = experiment(&registry, task, cell, curriculum, rule);
                    let problems = experiment.check(&registry);
                    if problems.is_empty() {
                        let place = folder.path().join(trained.to_string());
                        match train(&registry, &experiment, &place) {
                            Ok(_) => trained += 1,
                            // What only the built network shows, such as shapes that published draws do not fit.
                            Err(Error::Incompatible { needs, because }) => {
                                assert!(
                                    needs.contains(rule) && because.contains("the cell"),
                                    "{what}: {needs}: {because}"
                                );
                                refused += 1;
                            }
                            // Too few units for a head, say: what to change is said.
                            Err(Error::Config(problems)) if problems.iter().all(|p| !p.remedy.is_empty()) => {
                                refused += 1
                            }
                            // Shortcuts that extrapolate can carry an untrained network beyond all bounds: the cell says so.
                            Err(Error::NotFinite { caution: Some(said), .. }) if said.contains("lower cell.theta") => {
                                refused += 1
                            }
                            Err(e) => panic!("{what}: {e}"),
                        }
                        std::fs::remove_dir_all(place).expect("a folder of ours");
                        continue;
                    }
                    refused += 1;
                    for problem in &problems {
                        // The reason names the part that needs something and the part that does not give it.
                        let named = |name: &str| problem.problem.contains(&format!("'{name}'"));
                        let asker = named(rule) || named(curriculum) || named(cell);
                        assert!(asker && (named(task) || named(cell)), "{what}: {problem:?}");
                        assert!(problem.remedy.contains("use one of: "), "{what}: {problem:?}");
                    }
                }
            }
        }
    }
    assert!(trained > 100 && refused > 0, "{trained} trained, {refused} refused");
}

#[test]
fn every_analysis_runs_on_every_network_or_is_refused_with_a_reason() {
    let registry = Registry::linked().expect("no duplicates");
    let workers = Workers::new(1).expect("one thread");
    let folder = tempfile::tempdir().expect("temporary folder");
    let mut made = 0;
    for task in names(&registry, Kind::Task) {
        for cell in names(&registry, Kind::Cell) {
            if task != "n-parity" && cell != "leaky-rnn" {
                continue;
            }
            let mut experiment = experiment(&registry, task, cell, "fixed-budget", "bptt");
            if !experiment.check(&registry).is_empty() {
                continue;
            }
            let dir = train(&registry, &experiment, &folder.path().join(format!("{task}-{cell}"))).expect("it fits");
            for name in names(&registry, Kind::Analysis) {
                let what = format!("{name} on {task} × {cell}");
                experiment.analysis = vec![small::<dyn Analysis>(&registry, name)];
                let problems = experiment.check(&registry);
                if !problems.is_empty() {
                    assert!(
                        problems.iter().all(|p| p.problem.contains(name) && !p.remedy.is_empty()),
                        "{what}: {problems:?}"
                    );
                    continue;
                }
                let analysis = registry.build(&experiment.analysis[0], "analysis").expect("checked");
                let runs = RunView::open(&dir, &registry, &workers).expect("a run");
                let groups = vec![("all".to_string(), vec![0])];
                let subject =
                    Subject { runs, groups, data: Default::default(), stream: Stream::new(1), workers: &workers };
                assert!(matches!(analysis.scope(), Scope::Run | Scope::Groups));
                let findings = match analysis.run(&subject) {
                    Ok(findings) => findings,
                    // What only the trials show: an option that this task has not, or too few of them.
                    Err(Error::Config(problems)) if problems.iter().all(|p| !p.remedy.is_empty()) => continue,
                    Err(e) => panic!("{what}: {e}"),
                };
                let empty = findings.values.is_empty() && findings.tables.is_empty() && findings.figures.is_empty();
                assert!(!empty, "{what} found nothing");
                let saved = dir.save_findings(name, &findings).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert!(saved.iter().all(|path| path.is_file()), "{what}: {saved:?}");
                let loaded =
                    synfire::Findings::load(&dir.analysis_path(name)).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(loaded.values.len(), findings.values.len(), "{what}");
                made += 1;
            }
        }
    }
    assert!(made > 20, "{made} analyses were made");
}
