//! Canonical correlations between the activities of two networks in the same trials.

use synfire::tch::{Device, Kind, Tensor, no_grad};
use synfire::tensors::values_f64;
use synfire::{Error, Result};
use synfire_essentials::eigen;

/// The directions of activity that hold a share of its variance, as courses over all samples.
#[derive(Debug)]
pub struct Subspace {
    /// Orthonormal courses `[sample, direction]`, in double precision.
    courses: Tensor,
    /// Number of units.
    pub units: usize,
}

impl Subspace {
    /// The fewest principal components of `activity` `[.., unit]` that reach `share` of its variance (0 to 1); all axes but the last are
    /// samples.
    ///
    /// # Errors
    /// [`Error::Failed`] when the activity is constant or not finite.
    pub fn of(activity: &Tensor, share: f64) -> Result<Self> {
        no_grad(|| {
            let units = activity.size().last().copied().unwrap_or(0);
            let flat = activity.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?.f_reshape([-1, units])?;
            let centred = flat.f_sub(&flat.f_mean_dim(0i64, true, None::<Kind>)?)?;
            let scatter = values_f64(&centred.f_transpose(0, 1)?.f_matmul(&centred)?);
            let found = eigen::symmetric(&scatter, units as usize)?;
            let total: f64 = found.values.iter().map(|value| value.max(0.0)).sum();
            if total <= 0.0 {
                return Err(Error::Failed("the activity is constant, so it has no directions to compare".into()));
            }
            let mut sum = 0.0;
            let reached = found.values.iter().position(|value| {
                sum += value.max(0.0);
                // The running sum may end a rounding error below the whole.
                sum >= share * total * (1.0 - 1e-12)
            });
            let mut kept = reached.map_or(found.values.len(), |at| at + 1);
            // Directions of rounding have no course of their own.
            kept = kept.min(found.values.iter().take_while(|value| **value > 1e-12 * found.values[0]).count());
            let scaled =
                |at: usize| found.vectors[at].iter().map(|x| x / found.values[at].sqrt()).collect::<Vec<f64>>();
            let directions: Vec<f64> = (0..kept).flat_map(scaled).collect();
            let directions = Tensor::from_slice(&directions).f_reshape([kept as i64, units])?;
            Ok(Self { courses: centred.f_matmul(&directions.f_transpose(0, 1)?)?, units: units as usize })
        })
    }

    /// Number of directions kept.
    pub fn dimension(&self) -> usize {
        self.courses.size()[1] as usize
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.courses.size()[0] as usize
    }

    /// Canonical correlations with another network's subspace, the largest first, as many as the smaller of the two dimensions.
    ///
    /// # Errors
    /// [`Error::Shape`] when the two were not seen in the same samples.
    pub fn correlations(&self, other: &Self) -> Result<Vec<f64>> {
        if self.samples() != other.samples() {
            let (expected, found) = (format!("{} samples", self.samples()), format!("{}", other.samples()));
            return Err(Error::Shape { what: "the activity of the other network".into(), expected, found });
        }
        let common = no_grad(|| self.courses.f_transpose(0, 1)?.f_matmul(&other.courses))?;
        let found = eigen::singular_values(&values_f64(&common), self.dimension(), other.dimension())?;
        let smaller = self.dimension().min(other.dimension());
        Ok(found.into_iter().take(smaller).map(|rho| rho.clamp(0.0, 1.0)).collect())
    }

    /// One minus the mean canonical correlation: 0 for the same subspace, 1 for orthogonal ones.
    ///
    /// # Errors
    /// As [`Subspace::correlations`].
    pub fn distance(&self, other: &Self) -> Result<f64> {
        Ok(1.0 - synfire::statistics::mean(&self.correlations(other)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn fixture() -> Value {
        serde_json::from_str(include_str!("../tests/fixtures/comparison.json")).expect("JSON")
    }

    fn matrix(value: &Value) -> Tensor {
        let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).expect("rows");
        Tensor::from_slice(&rows.concat()).reshape([rows.len() as i64, rows[0].len() as i64])
    }

    /// The fixture follows the published procedure, with covariances, square roots and a regularisation of 1e-10; four digits are asked
    /// for, the two ways agree to more.
    #[test]
    fn distances_agree_with_the_published_procedure() {
        let fixture = fixture();
        let case = &fixture["svcca"];
        let activities: Vec<Tensor> = case["activities"].as_array().expect("a list").iter().map(matrix).collect();
        for (share, expected) in
            case["shares"].as_array().expect("a list").iter().zip(case["expected"].as_array().expect("a list"))
        {
            let share = share.as_f64().expect("a number");
            let spaces: Vec<Subspace> = activities.iter().map(|a| Subspace::of(a, share).expect("varies")).collect();
            for (index, space) in spaces.iter().enumerate() {
                assert_eq!(space.dimension() as u64, expected["dimensions"][index].as_u64().expect("a number"));
                for (other, second) in spaces.iter().enumerate() {
                    let distance = space.distance(second).expect("same samples");
                    let wanted = expected["distances"][index][other].as_f64().expect("a number");
                    assert!((distance - wanted).abs() < 1e-6, "{share}: {index}, {other}: {distance} {wanted}");
                }
            }
        }
    }

    #[test]
    fn rotating_and_scaling_the_units_changes_nothing() {
        let time = Tensor::arange(200, (Kind::Double, Device::Cpu)) * 0.1;
        let (a, b) = (time.sin(), (&time * 0.37).cos() * 2.0);
        let activity = Tensor::stack(&[&a + &b, &a - &b, &b * 3.0], 1);
        let turned = Tensor::stack(&[&a * 5.0 + &b + 7.0, &a * -1.0 + &b * 2.0, &a * 0.5], 1);
        let other = Tensor::stack(&[(&time * 1.7).sin(), (&time * 2.9).cos(), &a * 1.0], 1);
        let space = |activity: &Tensor| Subspace::of(activity, 1.0).expect("varies");
        assert!(space(&activity).distance(&space(&turned)).expect("same samples") < 1e-9);
        let apart = space(&activity).distance(&space(&other)).expect("same samples");
        assert!(apart > 0.2, "{apart}");
        assert_eq!(space(&activity).dimension(), 2, "a third unit that adds nothing has no direction");
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let still = Tensor::ones([5, 2], (Kind::Double, Device::Cpu));
        assert!(Subspace::of(&still, 0.95).expect_err("constant").to_string().contains("constant"));
        let moving = |count: i64| {
            Subspace::of(&Tensor::arange(count, (Kind::Double, Device::Cpu)).reshape([-1, 1]), 0.95).expect("moves")
        };
        let error = moving(6).distance(&moving(7)).expect_err("lengths").to_string();
        assert!(error.contains("7, expected 6 samples"), "{error}");
    }
}
