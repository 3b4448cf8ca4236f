use super::*;
use crate::analyses::fixture::with_time_constants;
use serde_json::json;
use synfire::run::{Analyst, RunDir};
use synfire::storage::{Array, read_npz};
use synfire::workers::Workers;
use synfire::{Experiment, Registry, Spec};

const STAGES: [(u64, &[f32]); 3] =
    [(0, &[1.25, 1.75, 1.5, 1.0]), (10, &[1.0, 1.5, 2.0, 1.25]), (30, &[1.0, 2.5, 1.5, 3.0])];

struct Bench {
    registry: Registry,
    workers: Workers,
    folder: tempfile::TempDir,
    dir: RunDir,
}

impl Bench {
    /// A run of one level at a time that solved N = 2 and N = 3 by its history.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = with_time_constants(&folder.path().join("run"), &STAGES);
        Self { registry: Registry::linked().unwrap(), workers: Workers::new(1).unwrap(), folder, dir }
    }

    fn analyse(&self, name: &str, folder: &str, options: &serde_json::Value) {
        let analyst = Analyst::new(&Spec::with(name, options), &self.registry, &self.workers).unwrap();
        let mut experiment: Experiment = self.dir.experiment().unwrap();
        experiment.training.batch = 4;
        analyst.run(&self.dir, experiment, folder).unwrap();
    }

    fn export(&self, network: Option<usize>) -> Result<Vec<String>> {
        let view = RunView::open(&self.dir, &self.registry, &self.workers).unwrap().remove(0);
        let files = TimescalesResults { network }.export_run(&view, At::Last, &self.place())?;
        Ok(files.iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join("results")
    }

    fn rows(&self, file: &str) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(self.place().join(file)).unwrap();
        reader.records().map(|row| row.unwrap().iter().map(str::to_string).collect()).collect()
    }
}

fn list(cell: &str) -> Vec<f64> {
    serde_json::from_str(cell).unwrap()
}

#[test]
fn findings_become_rows_under_the_published_names() {
    let bench = Bench::new();
    let none = bench.export(None).unwrap_err().to_string();
    assert!(none.contains("has no ablation, perturbation, retraining or timescales"), "{none}");
    bench.analyse("ablation", "ablation", &json!({ "trials": 8, "select": { "by": "parameter", "count": 1 } }));
    let kinds = json!(["recurrent-normalized", "time-constants-absolute"]);
    let strengths = json!({ "lowest": 0.1, "highest": 1.0, "count": 2 });
    bench.analyse(
        "perturbation",
        "perturbation",
        &json!({ "trials": 8, "draws": 3, "kinds": kinds, "strengths": strengths }),
    );
    let retraining = json!({ "levels": [3, 4], "evaluations": 2, "updates_per_evaluation": 1, "trials": 8 });
    bench.analyse("retraining", "retraining", &retraining);
    bench.analyse("timescales", "timescales", &json!({ "steps": 400, "burn_in": 10, "trials": 2, "max_lag": 40 }));
    let files = bench.export(Some(3)).unwrap();
    let expected = [
        "df_ablate_tau.csv",
        "df_perturb_rnn_normalized.csv",
        "df_perturb_tau_normalized_abs.csv",
        "df_retrained.csv",
        "single_network_3_N3_acs_taus.npz",
    ];
    assert_eq!(files, expected);

    let ablation = bench.rows("df_ablate_tau.csv");
    let header = ["network_type", "network", "N", "baseline_accuracy", "ids_ablated", "tau_ablated", "accuracies"];
    assert_eq!(ablation[0], header);
    assert_eq!(ablation[1][..3], ["single", "3", "3"]);
    assert_eq!((list(&ablation[1][4]), list(&ablation[1][5])), (vec![0.0, 3.0], vec![1.0, 3.0]));
    assert_eq!((list(&ablation[1][3]).len(), list(&ablation[1][6]).len()), (1, 2));
    let perturbation = bench.rows("df_perturb_rnn_normalized.csv");
    assert_eq!(perturbation[0][3..], ["perturbation", "accuracy"]);
    assert_eq!(perturbation.iter().skip(1).map(|row| &row[3][..]).collect::<Vec<_>>(), ["0.0", "0.1", "1.0"]);
    assert_eq!(list(&perturbation[2][4]).len(), 3);
    let retrained = bench.rows("df_retrained.csv");
    assert_eq!((&retrained[1][2][..], &retrained[1][3][..], &retrained[2][3][..]), ("3", "3", "4"));
    let arrays = &synfire::Findings::load(&bench.dir.analysis_path("retraining")).unwrap().arrays;
    let percent: Vec<f64> = arrays["accuracy"].to_f64()[2..].iter().map(|accuracy| 100.0 * accuracy).collect();
    assert_eq!(list(&retrained[2][4]), percent);
    let archive = read_npz(bench.place().join("single_network_3_N3_acs_taus.npz")).unwrap();
    let shapes: Vec<(&str, &[usize])> = archive.iter().map(|(name, array)| (&name[..], array.shape())).collect();
    assert_eq!(shapes[..3], [("ac_pop", &[40][..]), ("ac_all", &[4, 40]), ("taus_net", &[4])]);
    assert_eq!(archive["taus_trained"].to_f64(), [1.0, 2.5, 1.5, 3.0]);
    assert_eq!(archive["trials"], Array::from(2i64));
}

#[test]
fn tables_keep_the_rows_of_other_networks() {
    let bench = Bench::new();
    let options = json!({ "trials": 8, "select": { "by": "parameter", "count": 1 } });
    bench.analyse("ablation", "ablation", &options);
    bench.export(Some(1)).unwrap();
    bench.export(Some(2)).unwrap();
    bench.export(Some(1)).unwrap();
    let networks: Vec<String> = bench.rows("df_ablate_tau.csv").into_iter().skip(1).map(|row| row[1].clone()).collect();
    assert_eq!(networks, ["2", "1"]);
    std::fs::write(bench.place().join("df_ablate_tau.csv"), "a,b\n1,2\n").unwrap();
    let other = bench.export(None).unwrap_err().to_string();
    assert!(
        other.contains("df_ablate_tau.csv is there with other columns") || other.contains("other columns"),
        "{other}"
    );
}

#[test]
fn what_the_tables_have_no_place_for_is_said() {
    let bench = Bench::new();
    let groups = json!({ "trials": 8, "together": true, "select": { "by": "parameter", "count": 2 } });
    bench.analyse("ablation", "ablation", &groups);
    let nothing = bench.export(None).unwrap_err().to_string();
    assert!(nothing.contains("ablation: units were silenced together"), "{nothing}");
    bench.analyse("ablation", "ablation-2", &json!({ "trials": 8, "select": { "by": "parameter", "count": 1 } }));
    assert_eq!(bench.export(None).unwrap(), ["df_ablate_tau.csv", "left-out.txt"]);
    let text = std::fs::read_to_string(bench.place().join("left-out.txt")).unwrap();
    assert_eq!(text, "single network 1: ablation: units were silenced together, the table has them one by one\n");
}
