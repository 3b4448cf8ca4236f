use super::*;
use synfire::Stream;
use synfire::table::Value;
use synfire::workers::Workers;

fn subject<'a>(workers: &'a Workers, arrays: &[(&str, Array)]) -> Subject<'a> {
    Subject {
        runs: Vec::new(),
        groups: Vec::new(),
        data: arrays.iter().map(|(name, array)| (name.to_string(), array.clone())).collect(),
        stream: Stream::new(1),
        workers,
    }
}

/// A circle of radius 2 in a plane tilted in five dimensions, around a mean.
fn circle() -> Array {
    let rows: Vec<Vec<f64>> = (0..200)
        .map(|k| {
            let (sin, cos) = (f64::from(k) * std::f64::consts::TAU / 200.0).sin_cos();
            vec![2.0 * cos * 0.6 + 1.0, 2.0 * cos * 0.8, 2.0 * sin, 3.0, -1.0]
        })
        .collect();
    Array::from_rows(&rows).expect("rectangular")
}

#[test]
fn a_circle_has_two_dimensions_of_equal_variance() {
    let workers = Workers::new(1).expect("threads");
    let findings = Pca::default().run(&subject(&workers, &[("x", circle())])).expect("runs");
    assert_eq!(findings.values["dimension"], Value::Integer(2));
    let Value::Number(ratio) = findings.values["participation ratio"] else { panic!("a number") };
    assert!((ratio - 2.0).abs() < 1e-9, "{ratio}");
    // the variance of each coordinate of a circle of radius 2 is 2, over 199 instead of 200 samples
    let variances = findings.arrays["variances"].to_f64();
    assert!((variances[0] - 2.0 * 200.0 / 199.0).abs() < 1e-9, "{variances:?}");
    let path = findings.arrays["trajectories"].to_f64();
    let radius = path.chunks(5).map(|p| p[0].hypot(p[1]));
    assert!(radius.fold(0.0, |worst: f64, r| worst.max((r - 2.0).abs())) < 1e-9);
    assert_eq!(findings.figures.len(), 2);
    assert!(findings.figures.iter().all(|figure| figure.to_svg().is_ok()));
}

#[test]
fn constant_activity_has_no_dimension() {
    let workers = Workers::new(1).expect("threads");
    let flat = Array::from_rows(&vec![vec![1.0, 2.0]; 10]).expect("rectangular");
    let findings = Pca::default().run(&subject(&workers, &[("x", flat)])).expect("runs");
    assert_eq!(findings.values["dimension"], Value::Integer(0));
    assert!(findings.notes.iter().any(|note| note.contains("constant")));
    assert!(findings.figures.iter().all(|figure| figure.to_svg().is_ok()));
}

#[test]
fn the_array_must_be_named_and_fit() {
    let workers = Workers::new(1).expect("threads");
    let error =
        |pca: Pca, arrays: &[(&str, Array)]| pca.run(&subject(&workers, arrays)).expect_err("refused").to_string();
    let two = [("a", circle()), ("b", circle())];
    assert_eq!(error(Pca::default(), &two), "array is not given and the file has several; choose one of: a, b");
    let named = Pca { array: Some("c".into()), ..Pca::default() };
    assert_eq!(error(named, &two), "array is 'c', which the file has not; it has: a, b");
    let line = Array::new([3], vec![1.0, 2.0, 3.0]).expect("fits");
    assert_eq!(
        error(Pca::default(), &[("x", line)]),
        "array 'x' has shape [3], expected [time, unit] or [time, trial, unit]"
    );
    assert_eq!(error(Pca::default(), &[]), "this analysis needs a run or a data file");
}
