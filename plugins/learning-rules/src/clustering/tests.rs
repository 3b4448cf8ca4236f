//! Against scikit-learn; the fixture is made by `tests/fixtures/comparison.py`.

use super::*;
use serde_json::Value;
use synfire::Stream;
use synfire::statistics::mean;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../tests/fixtures/comparison.json")).expect("JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()
}

fn labels(value: &Value) -> Vec<usize> {
    serde_json::from_value(value.clone()).expect("whole numbers")
}

fn flat(value: &Value) -> Vec<f64> {
    value.as_array().expect("rows").iter().flat_map(numbers).collect()
}

/// Both compute sums of a few hundred numbers in double precision.
const TOLERANCE: f64 = 1e-10;

fn close(found: f64, expected: &Value) {
    let expected = expected.as_f64().expect("a number");
    assert!((found - expected).abs() < TOLERANCE, "{found}, not {expected}");
}

#[test]
fn silhouettes_and_distances_agree_with_scikit_learn() {
    for case in fixture()["groups"].as_array().expect("a list") {
        let labels = labels(&case["labels"]);
        let distances = flat(&case["distances"]);
        let each = silhouettes(&distances, &labels).expect("groups");
        close(mean(&each), &case["silhouette"]);
        each.iter().zip(case["samples"].as_array().expect("a list")).for_each(|(a, b)| close(*a, b));
        let from_rows = euclidean(&rows(&distances, labels.len()));
        close(mean(&silhouettes(&from_rows, &labels).expect("groups")), &case["silhouette_rows"]);
        from_rows.iter().zip(case["euclidean_rows"].as_array().expect("a list")).for_each(|(a, b)| close(*a, b));
        for (pair, expected) in case["pairs"].as_object().expect("a table") {
            let (a, b) = pair.split_once(',').expect("two groups");
            let spread = between(&distances, &labels, a.parse().expect("a group"), b.parse().expect("a group"));
            close(spread.mean, &expected[0]);
            close(spread.std, &expected[1]);
        }
    }
}

#[test]
fn scaling_is_as_good_as_the_best_of_forty_beginnings_elsewhere() {
    for case in fixture()["groups"].as_array().expect("a list") {
        let distances = flat(&case["distances"]);
        let count = labels(&case["labels"]).len();
        let found = metric_scaling(&distances, count, 2, 8, &Stream::new(1)).expect("distances");
        let best = case["stress"].as_f64().expect("a number");
        // Ours stops when a round gains less than 1e-8 of the stress.
        assert!(found.stress < best * (1.0 + 1e-3), "{} {best}", found.stress);
        let sums: Vec<f64> = (0..2).map(|axis| found.places.iter().map(|place| place[axis]).sum::<f64>()).collect();
        assert!(sums.iter().all(|sum| sum.abs() < 1e-9), "centred");
    }
}

#[test]
fn classical_scaling_gives_back_points_of_the_plane() {
    let points = [[0.0, 0.0], [3.0, 0.0], [3.0, 4.0], [-1.0, 2.0]].map(|point| point.to_vec());
    let distances = euclidean(&points);
    let found = classical_scaling(&distances, 4, 2).expect("distances");
    euclidean(&found.places).iter().zip(&distances).for_each(|(a, b)| assert!((a - b).abs() < 1e-9));
    assert!(found.stress < 1e-16);
    let better = metric_scaling(&distances, 4, 2, 0, &Stream::new(1)).expect("distances");
    euclidean(&better.places).iter().zip(&distances).for_each(|(a, b)| assert!((a - b).abs() < 1e-9));
}

#[test]
fn missing_numbers_are_left_out_as_scikit_learn_does() {
    let case = &fixture()["gappy"];
    let rows: Vec<Vec<f64>> = case["rows"].as_array().expect("rows").iter().map(numbers).collect();
    let expected = flat(&case["distances"]);
    euclidean(&rows).iter().zip(&expected).for_each(|(a, b)| assert!((a - b).abs() < TOLERANCE, "{a} {b}"));
    let nothing = euclidean(&[vec![f64::NAN, 1.0], vec![2.0, f64::NAN]]);
    assert_eq!(nothing[1], f64::INFINITY);
}

#[test]
fn clusters_find_groups_that_are_apart_and_purity_counts_them() {
    let case = &fixture()["purity"];
    close(purity(&labels(&case["clusters"]), &labels(&case["labels"])), &case["value"]);
    let near = |centre: f64, index: usize| vec![centre + 0.01 * index as f64, -centre + 0.02 * (index % 3) as f64];
    let data: Vec<Vec<f64>> = (0..30).map(|index| near([0.0, 3.0, -5.0][index % 3], index / 3)).collect();
    let classes: Vec<usize> = (0..30).map(|index| index % 3).collect();
    for clusters in [k_means(&data, 3, 4, &Stream::new(2)), gaussian_mixture(&data, 3, 4, &Stream::new(2))] {
        assert_eq!(purity(&clusters, &classes), 1.0, "{clusters:?}");
        assert_eq!(clusters.iter().max(), Some(&2));
    }
    // Two clouds of equal mean and unequal width: only the mixture can tell them apart.
    let mut stream = Stream::new(4);
    let wide: Vec<Vec<f64>> = (0..200)
        .map(|index| {
            let scale = if index < 100 { 0.05 } else { 4.0 };
            vec![scale * stream.normal(), scale * stream.normal()]
        })
        .collect();
    let classes: Vec<usize> = (0..200).map(|index| usize::from(index >= 100)).collect();
    let mixture = purity(&gaussian_mixture(&wide, 2, 4, &Stream::new(3)), &classes);
    let means = purity(&k_means(&wide, 2, 4, &Stream::new(3)), &classes);
    assert!(mixture > 0.95 && means < 0.85, "{mixture} {means}");
    assert_eq!(k_means(&data[..2], 5, 1, &Stream::new(1)).len(), 2);
}

#[test]
fn ratios_are_small_for_groups_apart() {
    let data = [[0.0, 0.0], [0.0, 1.0], [10.0, 0.0], [10.0, 3.0]].map(|row| row.to_vec());
    let labels = [0, 0, 1, 1];
    let distances = euclidean(&data);
    let within = within_ratios(&distances, &labels, 2);
    let across = (10.0 + 109f64.sqrt() + 101f64.sqrt() + 104f64.sqrt()) / 4.0;
    assert!((within[0] - 1.0 / across).abs() < 1e-12 && (within[1] - 3.0 / across).abs() < 1e-12, "{within:?}");
    let centroids = centroid_ratios(&data, &labels, 2);
    let far = (100.25f64.sqrt() + 106.25f64.sqrt()) / 2.0;
    assert!((centroids[0] - 0.5 / far).abs() < 1e-12, "{centroids:?}");
}

#[test]
fn what_is_no_matrix_of_distances_is_refused() {
    let refused = |matrix: &[f64], count| check_distances(matrix, count).expect_err("refused").to_string();
    assert!(refused(&[0.0; 5], 2).contains("[2, 2]"));
    assert!(refused(&[0.0, 1.0, 2.0, 0.0], 2).contains("[1, 0], 2, differs from its mirror image"));
    assert!(refused(&[0.0, f64::NAN, f64::NAN, 0.0], 2).contains("is not finite"));
    assert!(refused(&[1.0, 1.0, 1.0, 0.0], 2).contains("is not 0 on the diagonal"));
    assert!(silhouettes(&[0.0, 1.0, 1.0, 0.0], &[0, 0]).expect_err("one group").to_string().contains("two groups"));
}
