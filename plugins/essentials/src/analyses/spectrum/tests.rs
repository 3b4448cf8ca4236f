use super::*;

#[test]
fn a_step_mixes_leak_and_weights() {
    // alpha = 0.5 and 0.25: rows are scaled, 1 - alpha is added on the diagonal
    let step = one_step(&[2.0, 4.0, 0.0, 1.0], &[0.5, 0.25], 2);
    assert_eq!(step, [1.5, 2.0, 0.0, 1.0]);
    assert_eq!(one_step(&[1.0, 0.0, 0.0, 1.0], &[0.2], 2), [1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn decay_is_that_of_a_leaky_unit() {
    // a unit without recurrence and with alpha = 1 - exp(-1/10) has the time constant 10
    let keep = (-0.1f64).exp();
    assert!((decay_steps((keep, 0.0)).expect("inside") - 10.0).abs() < 1e-9);
    assert_eq!(decay_steps((0.0, 0.0)), None);
    assert_eq!(decay_steps((1.2, 0.0)), None);
    assert_eq!(decay_steps((0.0, 1.0)), Some(f64::INFINITY));
}

#[test]
fn a_rotating_mode_has_its_period() {
    let (sin, cos) = (std::f64::consts::TAU / 8.0).sin_cos();
    let spectra = Spectra {
        name: "trained",
        update: 3,
        size: 2,
        weights: vec![(cos, sin), (cos, -sin)],
        singular: vec![1.0, 1.0],
        norm: 2f64.sqrt(),
        departure: 0.0,
        step: None,
    };
    let table = modes(&spectra.weights, &spectra, 1);
    let synfire::table::Value::Number(period) = table.rows[0][5] else { panic!("a number") };
    assert!((period - 8.0).abs() < 1e-12);
    assert!(plane_figure(&[spectra], "x").to_svg().is_ok());
}
