//! The benchmarks there are.

use super::baseline::{Baseline, Form};
use super::network::Ours;
use super::{Bench, Measured, Work, alone, in_turn};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use synfire::tch::{Device, Kind, Tensor, no_grad};
use synfire::workers::one_torch_thread;
use synfire::{Error, Kind as Component, Result, tch};

/// Rows, units, steps.
type Shape = (usize, usize, usize);

const SHAPES: [Shape; 6] =
    [(64, 50, 200), (128, 128, 100), (64, 500, 100), (256, 256, 200), (500, 50, 750), (256, 500, 27)];
const GATED_SHAPES: [Shape; 3] = [(64, 50, 200), (128, 128, 100), (64, 500, 100)];

/// A benchmark: its name, what it measures, and how.
pub struct Case {
    /// What users type.
    pub name: &'static str,
    /// What is compared with what.
    pub summary: &'static str,
    /// Do it; several comparisons.
    pub run: fn(&Bench) -> Result<Vec<Measured>>,
}

/// All benchmarks.
pub fn all() -> Vec<Case> {
    vec![
        Case {
            name: "rate-network",
            summary: "one training step of the leaky tanh network, against op-by-op autograd",
            run: |bench| SHAPES.iter().map(|shape| training(bench, "rate-network", *shape, Form::Drive)).collect(),
        },
        Case {
            name: "parity-cell",
            summary: "one training step with learned time constants around everything, against op-by-op autograd",
            run: |bench| SHAPES.iter().map(|shape| training(bench, "parity-cell", *shape, Form::Whole)).collect(),
        },
        Case {
            name: "lstm",
            summary: "one training step of an LSTM, against libtorch's own",
            run: |bench| GATED_SHAPES.iter().map(|shape| training(bench, "lstm", *shape, Form::Lstm)).collect(),
        },
        Case {
            name: "gru",
            summary: "one training step of a GRU, against libtorch's own",
            run: |bench| GATED_SHAPES.iter().map(|shape| training(bench, "gru", *shape, Form::Gru)).collect(),
        },
        Case {
            name: "leaky-gru",
            summary: "one training step of a leaky GRU with its reset before the product, against op-by-op autograd",
            run: |bench| {
                GATED_SHAPES.iter().map(|shape| training(bench, "leaky-gru", *shape, Form::LeakyGru)).collect()
            },
        },
        Case {
            name: "simulation",
            summary: "the leaky tanh network without gradients, against the same loop in libtorch",
            run: |bench| [(10, 500, 2000), (1, 128, 10_000)].iter().map(|shape| simulation(bench, *shape)).collect(),
        },
        Case {
            name: "trials",
            summary: "256 trials of each task, against one training step on them with 100 units",
            run: trials,
        },
        Case {
            name: "fixed-points",
            summary: "fixed points of a random network of 16 units from 1024 starts",
            run: super::fixed_points::searches,
        },
    ]
}

fn cell(form: Form, units: usize) -> Value {
    match form {
        Form::Drive => json!({ "type": "leaky-rnn", "hidden": units }),
        Form::Whole => json!({
            "type": "leaky-rnn", "hidden": units, "placement": "whole", "activation": "leaky-relu", "recurrent_bias": true,
            "time_constants": { "low": 1.0, "high": 2.0, "trainable": true }, "self_connections": "zeroed",
        }),
        Form::Lstm => json!({ "type": "lstm", "hidden": units }),
        Form::Gru => json!({ "type": "gru", "hidden": units }),
        Form::LeakyGru => json!({ "type": "leaky-gru", "hidden": units, "reset": "before-product" }),
    }
}

fn words((rows, units, steps): Shape) -> String {
    format!("{rows} rows, {units} units, {steps} steps")
}

fn training(bench: &Bench, name: &'static str, shape: Shape, form: Form) -> Result<Measured> {
    let ours = Ours::parity(bench.registry, bench.workers, cell(form, shape.1), shape)?;
    let theirs = Baseline::new(&ours, form)?;
    same(ours.gradient()?.loss, theirs.gradient()?)?;
    let mut update: Work = Box::new(|| ours.gradient().map(drop));
    let mut alternative: Work = Box::new(|| theirs.gradient().map(drop));
    let threads = fastest_threads(bench, &mut alternative)?;
    let mut alternative = on_threads(threads, alternative);
    let (ours_ms, theirs_ms, pairs) = in_turn(bench.budget, &mut update, &mut alternative)?;
    let gates = match form {
        Form::Drive | Form::Whole => 1.0,
        Form::Lstm => 4.0,
        Form::Gru | Form::LeakyGru => 3.0,
    };
    let (rows, units, steps) = shape;
    // Forward, back through the step, and into the weights: three products of the same size.
    let products = 3.0 * 2.0 * gates * rows as f64 * (units * units) as f64 * steps as f64;
    let gflops = products / ours_ms / 1e6;
    let own = matches!(form, Form::Lstm | Form::Gru);
    let what = if own { "libtorch's own" } else { "op by op" };
    Ok(Measured {
        name,
        shape: words(shape),
        ours_ms,
        alternative: Some((format!("{what}, {threads} threads"), theirs_ms)),
        gflops: Some(gflops),
        share: Some(gflops / products_alone(bench, rows, units)?),
        rate: None,
        pairs,
    })
}

fn simulation(bench: &Bench, shape: Shape) -> Result<Measured> {
    let ours = Ours::parity(bench.registry, bench.workers, cell(Form::Drive, shape.1), shape)?;
    let theirs = Baseline::new(&ours, Form::Drive)?;
    let mut play: Work = Box::new(|| ours.play().map(drop));
    let mut alternative: Work = Box::new(|| theirs.play().map(drop));
    let threads = fastest_threads(bench, &mut alternative)?;
    let mut alternative = on_threads(threads, alternative);
    let (ours_ms, theirs_ms, pairs) = in_turn(bench.budget, &mut play, &mut alternative)?;
    Ok(Measured {
        name: "simulation",
        shape: words(shape),
        ours_ms,
        alternative: Some((format!("op by op, {threads} threads"), theirs_ms)),
        gflops: None,
        share: None,
        rate: Some((shape.2 as f64 / ours_ms * 1e3, "steps/s")),
        pairs,
    })
}

fn trials(bench: &Bench) -> Result<Vec<Measured>> {
    let names: Vec<&str> = bench.registry.of_kind(Component::Task).map(|task| task.name).collect();
    let one = |name: &str| -> Result<Measured> {
        let (task, cell) = (json!({ "type": name }), json!({ "type": "leaky-rnn", "hidden": 100 }));
        let ours = Ours::new(bench.registry, bench.workers, task, cell, 256)?;
        let mut number = 0;
        let mut draw: Work = Box::new(|| {
            number += 1;
            ours.draw(number).map(drop)
        });
        let mut update: Work = Box::new(|| ours.gradient().map(drop));
        let (ours_ms, update_ms, pairs) = in_turn(bench.budget, &mut draw, &mut update)?;
        Ok(Measured {
            name: "trials",
            shape: format!("{name}, 256 trials of {} steps", ours.trials.time()),
            ours_ms,
            alternative: Some(("one training step on them, 100 units".into(), update_ms)),
            gflops: None,
            share: None,
            rate: Some((256.0 / ours_ms * 1e3, "trials/s")),
            pairs,
        })
    };
    names.into_iter().map(one).collect()
}

/// Refuse to compare two different networks.
fn same(ours: f64, theirs: f64) -> Result<()> {
    if (ours - theirs).abs() <= 1e-4 * theirs.abs().max(1.0) {
        return Ok(());
    }
    Err(Error::Failed(format!("the two networks differ: losses {ours} and {theirs}; this is a fault of the benchmark")))
}

/// Work with a number of libtorch's threads; afterwards there is one again, as ours wants it.
fn on_threads(threads: i32, mut work: Work) -> Work {
    Box::new(move || {
        tch::set_num_threads(threads);
        let done = work();
        tch::set_num_threads(1);
        done
    })
}

/// The number of libtorch's threads with which the alternative is fastest.
fn fastest_threads(bench: &Bench, alternative: &mut Work) -> Result<i32> {
    let most = bench.workers.threads() as i32;
    let mut best = (f64::INFINITY, 1);
    for threads in [1, most] {
        tch::set_num_threads(threads);
        let (ms, _) = alone(bench.budget / 4, alternative)?;
        if ms < best.0 {
            best = (ms, threads);
        }
    }
    tch::set_num_threads(1);
    Ok(best.1)
}

/// GFLOP/s of all threads when each repeats the product of its share of the rows, and nothing else.
fn products_alone(bench: &Bench, rows: usize, units: usize) -> Result<f64> {
    let threads = bench.workers.threads();
    let rows = rows.div_ceil(threads) as i64;
    let units = units as i64;
    let rates = bench.workers.map((0..threads).collect(), |_| -> Result<f64> {
        one_torch_thread();
        no_grad(|| {
            let options = (Kind::Float, Device::Cpu);
            let (a, w) = (Tensor::ones([rows, units], options), Tensor::ones([units, units], options));
            let out = Tensor::zeros([rows, units], options);
            let (mut best, began) = (0f64, Instant::now());
            while began.elapsed() < Duration::from_millis(300) {
                let start = Instant::now();
                for _ in 0..10 {
                    let _ = a.f_mm_out(&out, &w)?;
                }
                best = best.max(10.0 * 2.0 * (rows * units * units) as f64 / start.elapsed().as_secs_f64() / 1e9);
            }
            Ok(best)
        })
    });
    rates.into_iter().sum()
}
