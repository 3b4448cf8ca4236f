//! The report of a run, or of several side by side, from what lies in their directories.

use super::{Manifest, Part, RunDir, Status};
use crate::experiment::to_toml;
use crate::figure::{Axis, Figure, Line, Panel};
use crate::report::{Report, Section};
use crate::storage::{atomic, float};
use crate::table::Table;
use crate::{Experiment, Findings, Registry, Result};
use std::path::PathBuf;

/// A run, read.
struct Shown {
    dir: RunDir,
    experiment: Experiment,
    /// Missing when the run was killed before it began.
    manifest: Option<Manifest>,
    parts: Vec<Part>,
}

/// The page of one or several runs.
///
/// # Errors
/// When a run, its metrics or its findings cannot be read.
pub fn report(runs: &[RunDir], registry: &Registry) -> Result<Report> {
    let shown: Vec<Shown> = runs.iter().map(|dir| Shown::read(dir, registry)).collect::<Result<_>>()?;
    let title = shown.iter().map(|run| run.dir.name()).collect::<Vec<_>>().join(", ");
    let mut report = Report::new(title);
    match &shown[..] {
        [only] => {
            report = report.subtitle(only.sentence()).section(only.facts());
        }
        several => report = report.section(side_by_side(several)),
    }
    report = report.section(results(&shown)?);
    for run in &shown {
        for section in run.analyses(shown.len() > 1)? {
            report = report.section(section);
        }
    }
    for run in &shown {
        let name = if shown.len() > 1 { format!("Experiment of {}", run.dir.name()) } else { "Experiment".into() };
        report = report.section(Section::new(name).code(to_toml(&run.experiment)?));
    }
    Ok(report.section(sources(&shown)))
}

impl RunDir {
    /// Where the report of the run is.
    pub fn report_path(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Write the report of the run; returns its path.
    ///
    /// # Errors
    /// As [`report`], and when the system refuses.
    pub fn write_report(&self, registry: &Registry) -> Result<PathBuf> {
        let path = self.report_path();
        let html = report(std::slice::from_ref(self), registry)?.to_html()?;
        atomic::write(&path, html.as_bytes())?;
        Ok(path)
    }
}

impl Shown {
    fn read(dir: &RunDir, registry: &Registry) -> Result<Self> {
        let experiment = dir.experiment()?;
        let manifest = dir.manifest().ok();
        let analysis = dir.made_analyses(&experiment);
        let parts = Experiment { analysis, ..experiment.clone() }.components(registry)?;
        Ok(Self { dir: dir.clone(), experiment, manifest, parts })
    }

    fn sentence(&self) -> String {
        let e = &self.experiment;
        format!("{} on {}, curriculum {}, rule {}", e.cell.name, e.task.name, e.curriculum.name, e.rule.name)
    }

    fn facts(&self) -> Section {
        let e = &self.experiment;
        let mut section = Section::new("Run")
            .fact("task", &e.task.name)
            .fact("cell", &e.cell.name)
            .fact("curriculum", &e.curriculum.name)
            .fact("rule", &e.rule.name)
            .fact("seed", e.seed)
            .fact("members", e.members);
        let Some(manifest) = &self.manifest else {
            return section.note("The run was stopped before it began to train.");
        };
        section = section
            .fact("status", manifest.status.word())
            .fact("updates", manifest.updates)
            .fact("stopped", manifest.stopped.clone())
            .fact("seconds", manifest.seconds)
            .fact("device", &manifest.device)
            .fact("threads", manifest.threads)
            .fact("machine", &manifest.host)
            .fact("started", &manifest.started)
            .fact("synfire", &manifest.synfire);
        manifest.notes.iter().fold(section, Section::note)
    }

    /// The directories of the members with the names they have in legends.
    fn members(&self, several: bool) -> Vec<(String, RunDir)> {
        let dirs = self.dir.members(&self.experiment);
        let run = self.dir.name();
        let count = dirs.len();
        let label = |member: usize| match (several, count > 1) {
            (true, true) => format!("{run} #{member}"),
            (true, false) => run.clone(),
            (false, true) => format!("member {member}"),
            (false, false) => String::new(),
        };
        dirs.into_iter().enumerate().map(|(member, dir)| (label(member), dir)).collect()
    }

    /// One section for each analysis, those of all members together first.
    fn analyses(&self, several: bool) -> Result<Vec<Section>> {
        let mut all = Vec::new();
        let mut dirs = self.members(several);
        if dirs.len() > 1 {
            dirs.insert(0, (if several { self.dir.name() } else { String::new() }, self.dir.clone()));
        }
        for (label, dir) in dirs {
            for name in dir.analyses() {
                let heading = if label.is_empty() { name.clone() } else { format!("{name}, {label}") };
                all.push(findings_section(heading, Findings::load(&dir.analysis_path(&name))?));
            }
        }
        Ok(all)
    }
}

impl Status {
    /// The word for it, as in `manifest.json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Imported => "imported",
        }
    }
}

fn findings_section(heading: String, findings: Findings) -> Section {
    let mut section = Section::new(heading);
    for (name, value) in findings.values {
        section = section.fact(name, value);
    }
    Section { tables: findings.tables, figures: findings.figures, notes: findings.notes, ..section }
}

fn side_by_side(runs: &[Shown]) -> Section {
    let columns = ["run", "task", "cell", "curriculum", "rule", "seed", "members", "status", "updates", "seconds"];
    let mut table = Table::new("runs", "", &columns);
    for run in runs {
        let e = &run.experiment;
        let manifest = run.manifest.as_ref();
        table.rows.push(vec![
            run.dir.name().into(),
            e.task.name.as_str().into(),
            e.cell.name.as_str().into(),
            e.curriculum.name.as_str().into(),
            e.rule.name.as_str().into(),
            e.seed.into(),
            e.members.into(),
            manifest.map(|m| m.status.word()).into(),
            manifest.map(|m| m.updates).into(),
            manifest.map(|m| m.seconds).into(),
        ]);
    }
    Section::new("Runs").table(table)
}

/// The last evaluation of each network, and how it got there.
fn results(runs: &[Shown]) -> Result<Section> {
    let mut section = Section::new("Results");
    let metrics = |run: &Shown| run.manifest.as_ref().map(|m| m.metrics.clone()).unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    for name in runs.iter().flat_map(metrics).flat_map(|metrics| metrics.into_keys().collect::<Vec<_>>()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let columns: Vec<&str> = std::iter::once("network").chain(names.iter().map(String::as_str)).collect();
    let mut table = Table::new("metrics", "Last evaluation", &columns);
    let curves = [("accuracy", "accuracy"), ("loss", "loss"), ("level", "hardest level")];
    let mut panels: Vec<Panel> = Vec::new();
    let mut lines: Vec<Vec<Line>> = vec![Vec::new(); curves.len()];
    for run in runs {
        let metrics = metrics(run);
        for (member, (label, dir)) in run.members(runs.len() > 1).into_iter().enumerate() {
            if let Some(metrics) = metrics.get(member) {
                let label = if label.is_empty() { run.dir.name() } else { label.clone() };
                let values = names.iter().map(|name| metrics.get(name).copied().into());
                table.rows.push(std::iter::once(label.into()).chain(values).collect());
            }
            let records = dir.metrics()?;
            for ((name, _), lines) in curves.iter().zip(&mut lines) {
                let (x, y) = curve(&records, name);
                if !x.is_empty() {
                    let line = Line::new(x, y);
                    lines.push(if label.is_empty() { line } else { line.label(&*label) });
                }
            }
        }
    }
    for ((name, title), lines) in curves.into_iter().zip(lines) {
        if lines.is_empty() {
            continue;
        }
        let axis = Axis::new(title);
        let axis = if name == "accuracy" { axis.limits(0.0, 1.0) } else { axis };
        panels.push(Panel::new("").x("update").y(axis).marks(lines));
    }
    if !table.rows.is_empty() {
        section = section.table(table);
    }
    if !panels.is_empty() {
        let caption = "Every evaluation on fresh trials of the lesson of that moment; the loss is the sum over heads.";
        section = section.figure(Figure::new("training", "Training").caption(caption).panels(panels));
    }
    Ok(section)
}

/// A metric over updates.
fn curve(records: &[serde_json::Value], name: &str) -> (Vec<f64>, Vec<f64>) {
    let value = |record: &serde_json::Value| match name {
        "level" => {
            record["levels"].as_array().and_then(|all| all.iter().filter_map(|level| level.as_f64()).reduce(f64::max))
        }
        name => record.get(name).and_then(float::from_value),
    };
    records.iter().filter_map(|record| Some((record["update"].as_f64()?, value(record)?))).unzip()
}

/// The publications behind the parts, each once.
fn sources(runs: &[Shown]) -> Section {
    let mut table = Table::new("parts", "", &["kind", "name", "crate", "publication"]);
    let mut seen: Vec<&Part> = Vec::new();
    for part in runs.iter().flat_map(|run| &run.parts) {
        if !seen.contains(&part) {
            seen.push(part);
            table.push((part.kind.word(), &part.name, part.origin.replace('_', "-"), &part.source));
        }
    }
    Section::new("Parts and publications").table(table)
}
