//! A tensor of activity as a sum of few products of trial, time and unit factors.

use synfire::tch::{Device, Kind, Tensor, no_grad};
use synfire::tensors::values_f64;
use synfire::{Error, Result, Stream};

/// `X[i, j, k] = sum over r of a[r][i] b[r][j] c[r][k]`, the heaviest component first.
#[derive(Clone, Debug, PartialEq)]
pub struct Components {
    /// Factors of each of the three axes, `[axis][component][place]`. The length of a component is spread evenly over the axes; of the
    /// factors of the second and third axis the entry of largest modulus is positive, the first takes up the signs.
    pub factors: [Vec<Vec<f64>>; 3],
    /// Length of each component: the product of the lengths of its three factors.
    pub weights: Vec<f64>,
    /// Length of what is left over, as a share of the tensor's.
    pub error: f64,
    /// Rounds until it stopped.
    pub rounds: usize,
}

/// When the rounds end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounds {
    /// Change of the error that ends them.
    pub tolerance: f64,
    /// Most rounds.
    pub most: usize,
    /// Random beginnings, of which the best is kept.
    pub beginnings: usize,
}

/// Alternating least squares from Gaussian factors for a tensor with three axes.
///
/// In a round each axis in turn gets the factors that fit best given the other two, by the normal equations, whose matrix is the product,
/// entry by entry, of the Gram matrices of the other two. Source: Harshman 1970; Carroll & Chang 1970, doi:10.1007/BF02310791; for
/// neural data Williams et al. 2018, doi:10.1016/j.neuron.2018.05.015.
///
/// # Errors
/// [`Error::Shape`] when the tensor has not three axes, [`Error::Failed`] when it is zero or not finite.
pub fn components(tensor: &Tensor, rank: usize, rounds: Rounds, stream: &Stream) -> Result<Components> {
    no_grad(|| {
        let Ok((i, j, k)) = tensor.size3() else {
            let found = format!("{:?}", tensor.size());
            return Err(Error::Shape { what: "the tensor".into(), expected: "three axes".into(), found });
        };
        let x = tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?;
        let length = x.square().sum(Kind::Double).double_value(&[]).sqrt();
        if !length.is_finite() || length <= 0.0 {
            return Err(Error::Failed("the activity is zero or not finite, so it has no components".into()));
        }
        // Each axis first, the other two in their order.
        let unfolded = [
            x.f_reshape([i, j * k])?,
            x.f_permute([1, 0, 2])?.f_reshape([j, i * k])?,
            x.f_permute([2, 0, 1])?.f_reshape([k, i * j])?,
        ];
        let mut best: Option<Components> = None;
        for beginning in 0..rounds.beginnings.max(1) {
            let mut draw = stream.child("factors").at(beginning as u64);
            let mut start = |size: i64| draw.normal_tensor(&[size, rank as i64], Kind::Double, Device::Cpu);
            let factors = [start(i), start(j), start(k)];
            let found = alternate(&unfolded, factors, length, rounds)?;
            if best.as_ref().is_none_or(|best| found.error < best.error) {
                best = Some(found);
            }
        }
        best.ok_or_else(|| Error::Failed("no beginning".into()))
    })
}

/// Columns of all products of an entry of `a` with one of `b`, `[a b, component]`.
fn products(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(a.f_unsqueeze(1)?.f_mul(&b.f_unsqueeze(0)?)?.f_reshape([-1, a.size()[1]])?)
}

fn gram(a: &Tensor) -> Result<Tensor> {
    Ok(a.f_transpose(0, 1)?.f_matmul(a)?)
}

fn alternate(unfolded: &[Tensor; 3], mut factors: [Tensor; 3], length: f64, rounds: Rounds) -> Result<Components> {
    let others = [(1, 2), (0, 2), (0, 1)];
    let rank = factors[0].size()[1];
    let (mut error, mut done) = (f64::INFINITY, 0);
    for round in 1..=rounds.most {
        for (axis, (first, second)) in others.into_iter().enumerate() {
            let (first, second) = (&factors[first], &factors[second]);
            let right = unfolded[axis].f_matmul(&products(first, second)?)?;
            let normal = gram(first)?.f_mul(&gram(second)?)?;
            // Two components may become alike; a ridge of rounding size keeps the equations solvable.
            let ridge = 1e-12 * normal.trace().double_value(&[]) / rank as f64;
            let normal = normal.f_add(&(Tensor::f_eye(rank, (Kind::Double, Device::Cpu))? * ridge))?;
            let (solved, _) = Tensor::f_linalg_solve_ex(&normal, &right.f_transpose(0, 1)?, true, false)?;
            factors[axis] = solved.f_transpose(0, 1)?.contiguous();
            factors = balanced(factors)?;
        }
        let whole = factors[0].f_matmul(&products(&factors[1], &factors[2])?.f_transpose(0, 1)?)?;
        let left = unfolded[0].f_sub(&whole)?.square().sum(Kind::Double).double_value(&[]).sqrt() / length;
        done = round;
        let change = error - left;
        error = left;
        if change.abs() < rounds.tolerance {
            break;
        }
    }
    tidy(factors, error, done)
}

/// Every component's length spread evenly over the three axes.
fn balanced(factors: [Tensor; 3]) -> Result<[Tensor; 3]> {
    let lengths = |t: &Tensor| t.square().sum_dim_intlist(0i64, true, Kind::Double).sqrt().clamp_min(1e-300);
    let all = [lengths(&factors[0]), lengths(&factors[1]), lengths(&factors[2])];
    let shared = all[0].f_mul(&all[1])?.f_mul(&all[2])?.f_pow_tensor_scalar(1.0 / 3.0)?;
    let [a, b, c] = factors;
    Ok([a.f_div(&all[0])?.f_mul(&shared)?, b.f_div(&all[1])?.f_mul(&shared)?, c.f_div(&all[2])?.f_mul(&shared)?])
}

fn tidy(factors: [Tensor; 3], error: f64, rounds: usize) -> Result<Components> {
    let rank = factors[0].size()[1];
    let columns = |t: &Tensor| (0..rank).map(|r| values_f64(&t.select(1, r))).collect::<Vec<_>>();
    let [mut first, mut second, mut third] = [columns(&factors[0]), columns(&factors[1]), columns(&factors[2])];
    let length = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>().sqrt();
    let turn = |values: &mut Vec<f64>| values.iter_mut().for_each(|x| *x = -*x);
    for ((a, b), c) in first.iter_mut().zip(&mut second).zip(&mut third) {
        for other in [b, c] {
            let largest = other.iter().copied().fold(0.0, |best: f64, x| if x.abs() > best.abs() { x } else { best });
            if largest < 0.0 {
                turn(other);
                turn(a);
            }
        }
    }
    let columns = [first, second, third];
    let weights: Vec<f64> = (0..rank as usize).map(|r| columns.iter().map(|axis| length(&axis[r])).product()).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]));
    let sorted = |axis: usize| order.iter().map(|r| columns[axis][*r].clone()).collect();
    Ok(Components {
        factors: [sorted(0), sorted(1), sorted(2)],
        weights: order.iter().map(|r| weights[*r]).collect(),
        error,
        rounds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUNDS: Rounds = Rounds { tolerance: 1e-10, most: 2000, beginnings: 4 };

    fn planted(noise: f64) -> (Tensor, [Tensor; 3]) {
        let mut stream = Stream::new(3);
        let mut draw = |size: i64| stream.normal_tensor(&[size, 2], Kind::Double, Device::Cpu);
        let factors = [draw(12), draw(15), draw(9)];
        let whole = factors[0].matmul(&products(&factors[1], &factors[2]).expect("fits").transpose(0, 1));
        let jitter = stream.normal_tensor(&[12, 135], Kind::Double, Device::Cpu) * noise;
        ((whole + jitter).reshape([12, 15, 9]), factors)
    }

    /// Cosine of the best match of a found factor among the planted ones.
    fn match_of(found: &[f64], planted: &Tensor) -> f64 {
        let found = Tensor::from_slice(found);
        (0..2)
            .map(|r| {
                let other = planted.select(1, r);
                (found.dot(&other) / (found.norm() * other.norm())).double_value(&[]).abs()
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn planted_components_are_found() {
        let (tensor, factors) = planted(0.0);
        let found = components(&tensor, 2, ROUNDS, &Stream::new(1)).expect("decomposes");
        assert!(found.error < 1e-6, "{}", found.error);
        for (own, planted) in found.factors.iter().zip(&factors) {
            for factor in own {
                let cosine = match_of(factor, planted);
                assert!(cosine > 1.0 - 1e-8, "{cosine}");
            }
        }
        assert!(found.weights[0] >= found.weights[1]);
        for axis in [1, 2] {
            for factor in &found.factors[axis] {
                let largest =
                    factor.iter().copied().fold(0.0, |best: f64, x| if x.abs() > best.abs() { x } else { best });
                assert!(largest > 0.0);
            }
        }
    }

    #[test]
    fn noise_leaves_what_it_adds_and_one_component_is_not_enough() {
        let (tensor, factors) = planted(0.1);
        let found = components(&tensor, 2, ROUNDS, &Stream::new(1)).expect("decomposes");
        let length = tensor.square().sum(Kind::Double).double_value(&[]).sqrt();
        let noise = 0.1 * (12.0 * 135f64).sqrt() / length;
        // the fit takes up some of the noise: 72 numbers of 1620
        assert!(found.error < noise && found.error > 0.9 * noise, "{} {noise}", found.error);
        assert!(match_of(&found.factors[2][0], &factors[2]) > 0.99);
        let one = components(&tensor, 1, ROUNDS, &Stream::new(1)).expect("decomposes");
        assert!(one.error > 3.0 * found.error, "{}", one.error);
    }

    /// Against the best approximation of a matrix: a tensor with one trial has the singular vectors as its first component.
    #[test]
    fn one_component_of_a_matrix_is_its_first_singular_pair() {
        let matrix = Stream::new(7).normal_tensor(&[8, 6], Kind::Double, Device::Cpu);
        let found = components(&matrix.unsqueeze(0), 1, ROUNDS, &Stream::new(2)).expect("decomposes");
        let (_, singular, _) = matrix.svd(true, true);
        assert!((found.weights[0] - singular.double_value(&[0])).abs() < 1e-4, "{:?}", found.weights);
    }

    #[test]
    fn what_has_no_components_is_refused() {
        let zero = Tensor::zeros([2, 3, 4], (Kind::Double, Device::Cpu));
        assert!(components(&zero, 1, ROUNDS, &Stream::new(1)).expect_err("zero").to_string().contains("zero"));
        assert!(components(&zero.get(0), 1, ROUNDS, &Stream::new(1)).is_err());
    }
}
