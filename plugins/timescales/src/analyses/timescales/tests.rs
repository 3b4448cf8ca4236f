//! Oracles: systems whose timescales are known.

use super::*;
use indexmap::IndexMap;
use synfire::storage::array::ArrayValues;
use synfire::workers::Workers;
use synfire::{Stream, table::Table};

/// An autoregressive process whose autocorrelation at lag `k` is `decay^k`, of variance 1.
fn autoregressive(decay: f64, length: usize, stream: &mut Stream) -> Vec<f64> {
    let mut x = stream.normal();
    let fresh = (1.0 - decay * decay).sqrt();
    (0..length)
        .map(|_| {
            x = decay * x + fresh * stream.normal();
            x
        })
        .collect()
}

/// What a unit does in a trial.
type Draw<'a> = &'a dyn Fn(&mut Stream) -> Vec<f64>;

/// An activity `[time, trial, unit]` from what each unit does in a trial.
fn activity(time: usize, trials: usize, units: &[Draw]) -> Array {
    let mut values = vec![0f32; time * trials * units.len()];
    for trial in 0..trials {
        for (unit, draw) in units.iter().enumerate() {
            let mut stream = Stream::new(9).at(trial as u64).at(unit as u64);
            for (t, value) in draw(&mut stream).into_iter().enumerate() {
                values[(t * trials + trial) * units.len() + unit] = value as f32;
            }
        }
    }
    Array::new([time, trials, units.len()], values).expect("fits")
}

fn analyse(options: &Timescales, array: Array) -> Findings {
    let workers = Workers::new(2).expect("threads");
    let data = IndexMap::from([("recording".to_string(), array)]);
    let subject = Subject { runs: Vec::new(), groups: Vec::new(), data, stream: Stream::new(1), workers: &workers };
    options.run(&subject).expect("runs")
}

fn column(table: &Table, name: &str) -> Vec<Option<f64>> {
    let index = table.columns.iter().position(|column| column == name).expect("there is such a column");
    let number = |value: &synfire::table::Value| match value {
        synfire::table::Value::Number(number) => Some(*number),
        synfire::table::Value::Integer(number) => Some(*number as f64),
        _ => None,
    };
    table.rows.iter().map(|row| number(&row[index])).collect()
}

fn table<'a>(findings: &'a Findings, name: &str) -> &'a Table {
    findings.tables.iter().find(|table| table.name == name).expect("there is such a table")
}

#[test]
fn autoregressive_processes_have_the_timescale_of_their_decay() {
    const TIME: usize = 50_000;
    let taus = [2.0f64, 3.0, 5.0, 8.0, 12.0];
    let draws: Vec<_> = taus
        .iter()
        .map(|tau| {
            let decay = (-1.0 / tau).exp();
            move |stream: &mut Stream| autoregressive(decay, TIME, stream)
        })
        .collect();
    let units: Vec<Draw> = draws.iter().map(|draw| draw as _).collect();
    let findings = analyse(&Timescales::default(), activity(TIME, 8, &units));
    let single = column(table(&findings, "units"), "tau_single");
    for (tau, found) in taus.iter().zip(single) {
        // The deviation of an estimate from n points is about tau sqrt(2 tau / n), at most 0.8 % here.
        let found = found.expect("was fitted");
        assert!((found / tau - 1.0).abs() < 0.03, "{tau}: {found}");
    }
    assert_eq!(findings.values["kept"], 5.0.into());
    assert_eq!(findings.values["silent"], 0.0.into());
}

#[test]
fn a_mixture_has_the_timescale_of_its_slow_part() {
    const TIME: usize = 100_000;
    let mixture = |stream: &mut Stream| -> Vec<f64> {
        let slow = autoregressive((-1.0f64 / 15.0).exp(), TIME, stream);
        let fast = autoregressive((-1.0f64 / 1.5).exp(), TIME, stream);
        // Variances 0.4 and 0.6 are the weights of the two exponentials.
        slow.iter().zip(fast).map(|(s, f)| 0.4f64.sqrt() * s + 0.6f64.sqrt() * f).collect()
    };
    let findings = analyse(&Timescales::default(), activity(TIME, 10, &[&mixture]));
    let units = table(&findings, "units");
    let one = |name: &str| column(units, name)[0].expect("was fitted");
    assert_eq!(one("exponentials"), 2.0);
    // From 10^6 points: about 1 % for each parameter alone, a few times that since the four are fitted together.
    assert!((one("tau_net") / 15.0 - 1.0).abs() < 0.05, "{}", one("tau_net"));
    assert!((one("tau_fast") / 1.5 - 1.0).abs() < 0.05, "{}", one("tau_fast"));
    assert!((one("weight") - 0.4).abs() < 0.02, "{}", one("weight"));
}

#[test]
fn constant_units_are_silent_and_fast_ones_are_dropped() {
    const TIME: usize = 3000;
    let constant = |_: &mut Stream| vec![0.3; TIME];
    let alternating = |stream: &mut Stream| autoregressive(-0.8, TIME, stream);
    let slow = |stream: &mut Stream| autoregressive(0.8, TIME, stream);
    let findings = analyse(&Timescales::default(), activity(TIME, 4, &[&constant, &alternating, &slow]));
    let counts = ["kept", "dropped", "silent"].map(|name| findings.values[name].clone());
    assert_eq!(counts, [1.0, 1.0, 1.0].map(synfire::table::Value::from));
    assert_eq!(column(table(&findings, "units"), "tau_net")[0], None);
    let ArrayValues::F64(taus) = findings.arrays["tau_net"].values() else { panic!("not f64") };
    assert!(taus[0].is_nan() && taus[1] < 1.0 && taus[2] > 1.0);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let mut problems = Problems::under("analysis");
    let options = Timescales { steps: 100, max_lag: 20, rate: Rate::Fixed(1.5), trials: 0, ..Timescales::default() };
    options.check(&Registry::linked().expect("links"), &mut problems);
    let paths: Vec<String> = problems.into_vec().into_iter().map(|problem| problem.path).collect();
    assert_eq!(paths, ["analysis.trials", "analysis.max_lag", "analysis.rate"]);
    let workers = Workers::new(1).expect("threads");
    let nothing = Subject {
        runs: Vec::new(),
        groups: Vec::new(),
        data: IndexMap::new(),
        stream: Stream::new(1),
        workers: &workers,
    };
    assert!(Timescales::default().run(&nothing).expect_err("nothing").to_string().contains("need a run"));
}
