use super::*;
use crate::analyses::fixture::integrator;
use synfire::Spec;
use synfire::run::Analyst;
use synfire::workers::Workers;

#[test]
fn an_integrator_answers_as_the_ideal_observer() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let task = json!({ "type": "random-dots", "steps": 100, "noise_std": 0.5 });
    let dir = integrator(&folder.path().join("run"), &task);
    let registry = Registry::linked().expect("links");
    let workers = Workers::new(1).expect("a thread");
    let options = json!({ "values": [-0.1, -0.05, -0.02, 0.0, 0.02, 0.05, 0.1] });
    let analyst = Analyst::new(&Spec::with("psychometric", &options), &registry, &workers).expect("builds");
    let views = analyst.open(&dir, dir.experiment().expect("an experiment")).expect("opens");
    let found =
        analyst.groups(views, vec![("all".into(), vec![0])], &folder.path().join("found")).expect("analyses").findings;
    let answers = found.arrays["answers"].to_f64();
    // Phi(c sqrt(100) / 0.5) at 2, 1, 0.4 and 0; four standard errors of 2000 trials are 0.045 at most
    for (found, expected) in answers.iter().zip([0.0228, 0.1587, 0.3446, 0.5, 0.6554, 0.8413, 0.9772]) {
        assert!((found - expected).abs() < 0.045, "{answers:?}");
    }
    let ideal = &found.tables[1].rows[6][5];
    assert!(matches!(ideal, synfire::table::Value::Number(p) if (p - 0.97725).abs() < 1e-5), "{ideal:?}");
    let right = &found.values["ideal observer, fraction right"];
    // Phi on average from 0 to 0.1857 sqrt(100) / 0.5 standard deviations
    assert!(matches!(right, synfire::table::Value::Number(p) if (p - 0.8926).abs() < 1e-3), "{right:?}");
    let fits = &found.tables[0];
    let synfire::table::Value::Number(slope) = fits.rows[0][4] else { panic!("a slope") };
    // The logistic nearest to a normal distribution of width 0.05 has slope 1.7 / 0.05.
    assert!((slope - 34.0).abs() < 6.0, "{slope}");
    assert!(found.figures[0].to_svg().is_ok());
}

#[test]
fn answers_of_zero_are_left_out() {
    assert_eq!(Measure::Choice.of(&[0.0, 1.0, -2.0, 3.0]), 2.0 / 3.0);
    assert_eq!(Measure::Choice.of(&[0.0]), 0.5);
    assert_eq!(Measure::Output.of(&[0.0, 1.0, -2.0, 3.0]), 0.5);
}
