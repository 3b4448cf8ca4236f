use super::*;
use serde::Deserialize;
use synfire::Stream;
use synfire::table::Value;
use synfire::workers::Workers;

/// Values of scikit-learn, made by `tests/fixtures/dimensionality.py`.
#[derive(Deserialize)]
struct Oracle {
    activity: Vec<Vec<Vec<f64>>>,
    trials: Vec<OracleTrial>,
}

#[derive(Deserialize)]
struct OracleTrial {
    published_index: usize,
    participation_ratio: f64,
    variances: Vec<f64>,
}

fn analyse(options: &Dimensionality, array: Array) -> Findings {
    let workers = Workers::new(1).expect("threads");
    let data = [("recording".to_string(), array)].into_iter().collect();
    let subject = Subject { runs: Vec::new(), groups: Vec::new(), data, stream: Stream::new(1), workers: &workers };
    options.run(&subject).expect("runs")
}

fn number(findings: &Findings, name: &str) -> f64 {
    match findings.values[name] {
        Value::Number(number) => number,
        Value::Integer(number) => number as f64,
        ref other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn dimensions_are_those_of_scikit_learn() {
    let oracle: Oracle =
        serde_json::from_str(include_str!("../../../tests/fixtures/dimensionality.json")).expect("fixture");
    let shape = [oracle.activity.len(), oracle.activity[0].len(), oracle.activity[0][0].len()];
    let array = Array::new(shape, oracle.activity.concat().concat()).expect("fits");
    let findings = analyse(&Dimensionality::default(), array);
    let table = findings.tables.iter().find(|table| table.name == "trials").expect("there");
    let variances = findings.arrays["variances"].to_f64();
    for (index, (row, expected)) in table.rows.iter().zip(&oracle.trials).enumerate() {
        assert_eq!(row[4], Value::from(expected.published_index + 1));
        assert_eq!(row[5], Value::from(expected.published_index));
        // Variances of order 10 in double precision, by eigenvalues here and singular values there.
        let Value::Number(ratio) = row[6] else { panic!("{row:?}") };
        assert!((ratio - expected.participation_ratio).abs() < 1e-10);
        let own = &variances[index * shape[2]..(index + 1) * shape[2]];
        assert!(own.iter().zip(&expected.variances).all(|(a, b)| (a - b).abs() < 1e-10), "{own:?}");
    }
    assert_eq!(number(&findings, "published_index"), number(&findings, "dimension") - 1.0);
    assert!(findings.figures.iter().all(|figure| figure.to_svg().is_ok()));
}

#[test]
fn independent_units_have_the_dimension_of_their_variances() {
    // Waves of whole periods are orthogonal: the variance along each component is half the square of its amplitude.
    let amplitudes = [4.0, 3.0, 2.0, 1.0, 0.5];
    let steps = 400;
    let rows: Vec<Vec<f64>> = (0..steps)
        .map(|t| {
            let wave = |(k, a): (usize, &f64)| a * ((k + 1) as f64 * t as f64 * std::f64::consts::TAU / 400.0).sin();
            amplitudes.iter().enumerate().map(wave).collect()
        })
        .collect();
    let findings = analyse(&Dimensionality::default(), Array::from_rows(&rows).expect("rectangular"));
    let variances: Vec<f64> = amplitudes.iter().map(|a| a * a / 2.0 * 400.0 / 399.0).collect();
    let found = findings.arrays["variances"].to_f64();
    assert!(found.iter().zip(&variances).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
    // 16 + 9 + 4 of 30.25 are 96 %, 16 + 9 are 83 %.
    assert_eq!(number(&findings, "dimension"), 3.0);
    let (sum, squares) = variances.iter().fold((0.0, 0.0), |(s, q), v| (s + v, q + v * v));
    assert!((number(&findings, "participation ratio") - sum * sum / squares).abs() < 1e-9);
    assert!(!findings.values.contains_key("slope"));
}

#[test]
fn constant_activity_has_dimension_zero_and_options_are_checked() {
    let findings =
        analyse(&Dimensionality::default(), Array::from_rows(&vec![vec![1.0, 2.0]; 9]).expect("rectangular"));
    assert_eq!(number(&findings, "dimension"), 0.0);
    assert_eq!(findings.tables[1].rows[0][5], Value::Missing);
    assert!(findings.notes.iter().any(|note| note.contains("constant in 1 trials")));
    let mut problems = Problems::under("analysis");
    let wrong =
        Dimensionality { steps: 1, trials: 0, threshold: 0.0, rate: Rate::Fixed(2.0), ..Dimensionality::default() };
    wrong.check(&Registry::linked().expect("registry"), &mut problems);
    assert_eq!(problems.into_result().expect_err("four problems").to_string().lines().count(), 4);
}

#[test]
fn the_line_goes_through_levels_up_to_the_last_that_is_wanted() {
    let network = |level: Option<usize>, dimension: usize| Measured {
        update: Some(0),
        level,
        trials: vec![Trial {
            rate: None,
            dimension,
            participation_ratio: 1.0,
            variances: vec![1.0],
            cumulative: vec![1.0],
            samples: 9,
        }],
    };
    let all = [network(None, 50), network(Some(2), 3), network(Some(4), 7), network(Some(40), 0)];
    let line = Dimensionality::default().line(&all).expect("two points");
    assert_eq!((line.slope, line.intercept, line.r, line.points), (2.0, -1.0, 1.0, 2));
    let findings = Dimensionality::default().findings("x", "N", &all).expect("finds");
    assert_eq!(number(&findings, "slope"), 2.0);
    assert!(findings.figures.iter().any(|figure| figure.name == "dimension-by-level"));
}
