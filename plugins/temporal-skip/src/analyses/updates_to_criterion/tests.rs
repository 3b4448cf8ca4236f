use super::*;

fn course(values: &[f64]) -> Course {
    let point = |(index, value): (usize, &f64)| Point {
        update: 10 * (index as u64 + 1),
        value: *value,
        seconds: Some(index as f64 + 1.0),
        stage: Some(index as f64),
    };
    Course { label: "network".into(), points: values.iter().enumerate().map(point).collect() }
}

#[test]
fn first_times_medians_and_the_middle_are_counted() {
    let groups = vec![(
        "all".to_string(),
        vec![course(&[0.5, 0.995, 0.9]), course(&[0.995, 0.995, 0.995]), course(&[0.5, 0.6, 0.7])],
    )];
    let analysis = UpdatesToCriterion { trim: 0.34, ..UpdatesToCriterion::default() };
    let findings = analysis.findings(&groups).expect("counts");
    let groups_table = findings.tables[0].to_csv().expect("writes");
    // Two of three; 10, 20 and never; together when the middle one passes, at update 20.
    assert!(groups_table.contains("all,3,0.6666666666666666,20,15,,2,20,0.995"), "{groups_table}");
    let networks = findings.tables[1].to_csv().expect("writes");
    assert!(networks.contains("all,network,20,2,1,0.995,0.9"), "{networks}");
    assert!(networks.contains("all,network,,,,0.7,0.7"), "{networks}");
    assert_eq!(findings.figures.len(), 2);
    let patient = UpdatesToCriterion { patience: 2, ..analysis.clone() };
    let findings = patient.findings(&groups).expect("counts");
    assert!(findings.tables[1].to_csv().expect("writes").contains("all,network,20,2,1,0.995,0.995"));
    assert!((findings.values["learned, all"] == synfire::table::Value::Number(1.0 / 3.0)));
    // One of two: half of them would have to wait for ever, and no bar says otherwise.
    let half = UpdatesToCriterion::default().bars(&[("all".into(), vec![course(&[0.995]), course(&[0.5])])]);
    assert!(format!("{half:?}").contains("NaN"), "{half:?}");
    let loss = UpdatesToCriterion { metric: "loss".into(), threshold: 0.55, ..analysis };
    let findings = loss.findings(&groups).expect("counts");
    assert!(findings.tables[1].to_csv().expect("writes").contains("all,network,10,1,0,0.5,0.9"));
}

#[test]
fn means_over_the_last_evaluations_begin_when_there_are_enough() {
    let smoothed = course(&[1.0, 0.0, 0.5, 1.0, 1.0]).smoothed(3);
    let found: Vec<(u64, f64)> = smoothed.points.iter().map(|point| (point.update, point.value)).collect();
    assert_eq!(found, [(30, 0.5), (40, 0.5), (50, 2.5 / 3.0)]);
    assert_eq!(smoothed.reached(1, |value| value > 0.6).map(|point| point.update), Some(50));
    assert!(course(&[1.0, 1.0]).smoothed(3).points.is_empty());
}
