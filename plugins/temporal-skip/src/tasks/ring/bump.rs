//! Angles as bumps of activity on a ring of units, and back.

use std::f64::consts::{FRAC_PI_8, TAU};
use synfire::Result;
use synfire::tch::{Kind, Tensor};

/// Units of a ring.
pub const UNITS: usize = 32;
/// What every unit of a target has.
pub const FLOOR: f64 = 0.05;
/// Height of a bump.
const PEAK: f64 = 0.8;
/// Keeps the division and the angle of a silent ring defined.
const OFFSET: f64 = 1e-5;

/// Preferred angle of a unit, in radians.
fn preferred(unit: usize) -> f64 {
    TAU * unit as f64 / UNITS as f64
}

/// The shorter way between two angles, in radians.
pub fn distance(a: f64, b: f64) -> f64 {
    let apart = (a - b).rem_euclid(TAU);
    apart.min(TAU - apart)
}

/// The bump at an angle: height 0.8, standard deviation pi/8.
pub fn bump(angle: f64) -> [f64; UNITS] {
    std::array::from_fn(|unit| PEAK * (-0.5 * (distance(preferred(unit), angle) / FRAC_PI_8).powi(2)).exp())
}

/// The angle of the population vector of `rings` `[.., 32]`, in radians from 0 to 2 pi; that of a flat ring is pi/4.
///
/// # Errors
/// When libtorch refuses.
pub fn decode(rings: &Tensor) -> Result<Tensor> {
    let angles: Vec<f64> = (0..UNITS).map(preferred).collect();
    let angles = Tensor::from_slice(&angles).to_kind(rings.kind()).to_device(rings.device());
    let over_units = |t: Tensor| t.f_sum_dim_intlist(-1i64, false, None::<Kind>);
    let total = over_units(rings.shallow_clone())? + OFFSET;
    let sine = over_units(rings.f_mul(&angles.sin())?)?.f_div(&total)? + OFFSET;
    let cosine = over_units(rings.f_mul(&angles.cos())?)?.f_div(&total)? + OFFSET;
    Ok(sine.f_atan2(&cosine)?.f_remainder(TAU)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::FRAC_PI_4;

    #[test]
    fn the_bump_has_the_published_values() {
        let published = [0.85, 0.755998, 0.535225, 0.309722, 0.158268, 0.085150];
        for (found, published) in bump(0.0).iter().zip(published) {
            // six digits are given
            assert!((found + FLOOR - published).abs() < 6e-7, "{found} {published}");
        }
        for angle in [0.0, 1.234, 3.0, 6.2] {
            let sum: f64 = bump(angle).iter().map(|g| g + FLOOR).sum();
            assert!((sum - 5.6106).abs() < 5e-5, "{sum}");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for angle in [0.0, 0.5, 1.0, 3.1, 4.7, 6.2] {
            let target: Vec<f64> = bump(angle).iter().map(|g| g + FLOOR).collect();
            let found = decode(&Tensor::from_slice(&target)).expect("32 units").double_value(&[]);
            // the offsets turn an ideal ring by at most this much
            assert!(distance(found, angle) < 2.2e-5, "{found} {angle}");
        }
        for flat in [0.0, 0.3] {
            let found = decode(&Tensor::from_slice(&[flat; UNITS])).expect("32 units").double_value(&[]);
            assert!((found - FRAC_PI_4).abs() < 1e-6, "{found}");
        }
    }

    #[test]
    fn distances_go_the_shorter_way() {
        assert!((distance(0.1, TAU - 0.1) - 0.2).abs() < 1e-12);
        assert!((distance(7.0 * TAU, 0.0)).abs() < 1e-12);
    }
}
