//! The kernels for gated units against libtorch's own networks and their autograd.

use super::*;
use crate::Stream;
use crate::recurrence::Activation;

struct Case {
    gates: Gates,
    /// Steps, rows, units, channels, outputs.
    shape: [i64; 5],
    kind: Kind,
    /// Whether heads are read after the last step alone.
    last: bool,
}

/// Input, recurrent, input bias and recurrent bias as libtorch orders them, and the readout.
fn parameters(case: &Case, stream: &mut Stream) -> Vec<Tensor> {
    let [_, _, units, channels, outputs] = case.shape;
    let blocks = if case.gates == Gates::Memory { 4 * units } else { 3 * units };
    let shapes = [vec![blocks, channels], vec![blocks, units], vec![blocks], vec![blocks], vec![outputs, units]];
    let draw =
        |shape: &Vec<i64>| stream.uniform_tensor(shape, -0.6, 0.6, case.kind, Device::Cpu).set_requires_grad(true);
    shapes.iter().map(draw).collect()
}

fn prepared(case: &Case, parameters: &[Tensor]) -> Tensors {
    let units = case.shape[2];
    let mut prepared =
        Tensors::from([(GATED_RECURRENT, parameters[1].transpose(0, 1)), (INPUT, parameters[0].shallow_clone())]);
    if case.gates == Gates::Memory {
        prepared.insert(BIAS, &parameters[2] + &parameters[3]);
    } else {
        let of_gates = parameters[3].narrow(0, 0, 2 * units).constant_pad_nd([0, units]);
        prepared.insert(BIAS, &parameters[2] + of_gates);
        prepared.insert(CANDIDATE_BIAS, parameters[3].narrow(0, 2 * units, units));
    }
    prepared
}

fn gap(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.size(), expected.size());
    let scale = expected.abs().max().double_value(&[]).max(1e-3);
    let gap = (found - expected).abs().max().double_value(&[]) / scale;
    assert!(gap.is_finite());
    gap
}

/// The largest relative gap of states and gradients at any level.
fn worst(case: &Case) -> f64 {
    let [time, rows, units, channels, outputs] = case.shape;
    let mut stream = Stream::new(3).child("gated").at(units as u64);
    let parameters = parameters(case, &mut stream);
    let mut draw = |shape: &[i64]| stream.uniform_tensor(shape, -1.0, 1.0, case.kind, Device::Cpu);
    let (inputs, wanted) = (draw(&[time, rows, channels]), draw(&[time, rows, outputs]));
    let begin = || -> Tensor { Tensor::zeros([1, rows, units], (case.kind, Device::Cpu)) + 0.3 };
    let (hidden, cell) = (begin().set_requires_grad(true), begin().set_requires_grad(true));
    let of_torch: Vec<&Tensor> = parameters[..4].iter().collect();
    let (states, leaves) = match case.gates {
        Gates::Memory => {
            (inputs.lstm(&[&hidden, &cell], &of_torch, true, 1, 0.0, true, false, false).0, vec![&hidden, &cell])
        }
        Gates::Unit { .. } => (inputs.gru(&hidden, &of_torch, true, 1, 0.0, true, false, false).0, vec![&hidden]),
    };
    let first = if case.last { time - 1 } else { 0 };
    let part = |t: &Tensor| t.narrow(0, first, time - first);
    let loss = (part(&states).matmul(&parameters[4].transpose(0, 1)) * part(&wanted)).sum(None::<Kind>);
    let all: Vec<&Tensor> = parameters.iter().chain(leaves).collect();
    let expected = Tensor::run_backward(&[&loss], &all, false, false);

    let form = GatedForm { gates: case.gates, hidden: "h".into(), cell: None };
    let read = Read { weight: parameters[4].shallow_clone(), bias: None };
    let mut folding =
        GatedFolding::new(&form, &prepared(case, &parameters), Some(read)).expect("fits").expect("on a CPU");
    let initial_cell = (case.gates == Gates::Memory).then(|| cell.squeeze_dim(0));
    let workers = Workers::new(2).expect("threads");
    let mut worst = 0f64;
    for level in Level::available() {
        folding.packed = Some(Arc::new(match case.kind {
            Kind::Double => Packed::Double(folding.step(level, true, &workers).expect("packs")),
            _ => Packed::Single(folding.step(level, true, &workers).expect("packs")),
        }));
        let run =
            folding.forward((&inputs, None), (&hidden.squeeze_dim(0), initial_cell.as_ref()), true).expect("forward");
        worst = worst.max(gap(&run.hidden.narrow(0, 1, time), &states));
        assert!(
            gap(&folding.read(&run, first).expect("read"), &part(&states).matmul(&parameters[4].transpose(0, 1)))
                < 1e-5
        );
        let upstream = Upstream { said: Some(part(&wanted)), ..Upstream::default() };
        let mut adjoint = folding.backward(&run, &inputs, (&upstream, None), None).expect("backward");
        let sums = adjoint.folded.remove(SUMS).expect("summed");
        folding
            .unpack(&sums, &workers)
            .expect("laid out")
            .iter()
            .for_each(|(name, g)| adjoint.folded.insert(name, g.shallow_clone()));
        let folded = folding.tensors();
        let parts = adjoint.folded.iter().filter_map(|(name, g)| Some((folded.find(name)? * g).sum(None::<Kind>)));
        let surrogate = parts.reduce(|a, b| a + b).expect("gradients");
        let parameters: Vec<&Tensor> = parameters.iter().collect();
        let mut found = Tensor::run_backward(&[&surrogate], &parameters, true, false);
        found.push(adjoint.hidden.unsqueeze(0));
        found.extend(adjoint.cell.map(|cell| cell.unsqueeze(0)));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            worst = worst.max(gap(found, expected));
        }
        run.recycle();
    }
    worst
}

#[test]
fn states_and_gradients_are_those_of_libtorch_at_every_level() {
    for gates in [Gates::Memory, Gates::Unit { reset: ResetGate::AfterProduct, candidate: Activation::Tanh }] {
        for shape in [[1, 1, 1, 1, 1], [5, 3, 7, 2, 3], [9, 2, 16, 1, 2], [4, 67, 33, 5, 4], [30, 5, 50, 3, 2]] {
            for last in [false, true] {
                // Sums in another order: rounding, grown over some steps.
                let double = worst(&Case { gates, shape, kind: Kind::Double, last });
                assert!(double < 1e-11, "{gates:?} {shape:?}: {double}");
                let single = worst(&Case { gates, shape, kind: Kind::Float, last });
                assert!(single < 2e-5, "{gates:?} {shape:?}: {single}");
            }
        }
    }
}
