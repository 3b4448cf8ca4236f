//! Standard normals from a counter-based generator, many at a time.
//!
//! The arithmetic is plain and the same for every set of instructions, which only says how many lanes the compiler takes at once: the
//! bytes do not depend on it.

use super::Level;
use crate::rng::philox;

/// Blocks of the generator that are computed side by side.
const LANES: usize = 16;
/// Normals in a block.
pub(crate) const PER_BLOCK: usize = 4;

/// Two standard normals from 64 random bits (Box-Muller), in single precision; the tail is cut at 5.8 standard deviations.
#[inline(always)]
pub(crate) fn pair(first: u32, second: u32) -> [f32; 2] {
    const UNIT: f32 = 1.0 / (1u32 << 24) as f32;
    let radius = (-2.0 * ln((0x0100_0000 - (first >> 8)) as f32 * UNIT)).sqrt();
    let (sin, cos) = turn((second >> 8) as f32 * UNIT);
    [radius * cos, radius * sin]
}

/// `ln x` for normal numbers up to 1: `x = m 2^e` with `m` around 1, and the series of `2 artanh((m - 1) / (m + 1))`.
#[inline(always)]
fn ln(x: f32) -> f32 {
    // Such that m lies between sqrt(1/2) and sqrt(2).
    const HALF_ROOT: u32 = 0x3f35_04f3;
    let shifted = x.to_bits().wrapping_sub(HALF_ROOT);
    let exponent = ((shifted as i32) >> 23) as f32;
    let m = f32::from_bits((shifted & 0x007f_ffff) + HALF_ROOT);
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let series = 2.0 + z * (2.0 / 3.0 + z * (2.0 / 5.0 + z * (2.0 / 7.0 + z * (2.0 / 9.0))));
    exponent * std::f32::consts::LN_2 + s * series
}

/// Sine and cosine of `u` full turns, `u` from 0 to 1: Taylor series within an eighth of a turn of a quarter.
#[inline(always)]
fn turn(u: f32) -> (f32, f32) {
    let quarter = (u * 4.0 + 0.5) as i32;
    let x = (u - quarter as f32 * 0.25) * std::f32::consts::TAU;
    let z = x * x;
    let sin = x * (1.0 + z * (-1.0 / 6.0 + z * (1.0 / 120.0 + z * (-1.0 / 5040.0 + z * (1.0 / 362_880.0)))));
    let cos = 1.0 + z * (-0.5 + z * (1.0 / 24.0 + z * (-1.0 / 720.0 + z * (1.0 / 40_320.0))));
    let (a, b) = if quarter & 1 == 0 { (sin, cos) } else { (cos, sin) };
    (if quarter & 2 == 0 { a } else { -a }, if (quarter + 1) & 2 == 0 { b } else { -b })
}

/// Normals of the blocks from `first` on, [`PER_BLOCK`] each, one after the other; `out` holds whole blocks.
pub(crate) fn fill(out: &mut [f32], first: u64, high: [u32; 2], key: [u32; 2]) {
    match Level::best() {
        // The level is only made where the processor has its instructions.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { fill_avx512(out, first, high, key) },
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { fill_avx2(out, first, high, key) },
        Level::Portable => fill_blocks(out, first, high, key),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2")]
unsafe fn fill_avx512(out: &mut [f32], first: u64, high: [u32; 2], key: [u32; 2]) {
    fill_blocks(out, first, high, key);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn fill_avx2(out: &mut [f32], first: u64, high: [u32; 2], key: [u32; 2]) {
    fill_blocks(out, first, high, key);
}

#[inline(always)]
fn fill_blocks(out: &mut [f32], first: u64, high: [u32; 2], key: [u32; 2]) {
    for (group, out) in out.chunks_mut(PER_BLOCK * LANES).enumerate() {
        let blocks: [u64; LANES] = std::array::from_fn(|lane| first + (group * LANES + lane) as u64);
        let halves = [blocks.map(|block| block as u32), blocks.map(|block| (block >> 32) as u32)];
        let counters = [halves[0], halves[1], [high[0]; LANES], [high[1]; LANES]];
        let words = philox(counters, key);
        let mut normals = [[0f32; LANES]; PER_BLOCK];
        for lane in 0..LANES {
            [normals[0][lane], normals[1][lane]] = pair(words[0][lane], words[1][lane]);
        }
        for lane in 0..LANES {
            [normals[2][lane], normals[3][lane]] = pair(words[2][lane], words[3][lane]);
        }
        for (lane, place) in out.chunks_mut(PER_BLOCK).enumerate() {
            for (i, value) in place.iter_mut().enumerate() {
                *value = normals[i][lane];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_sine_and_cosine_are_those_of_the_standard_library() {
        for i in 0..=4096u32 {
            let x = (i.pow(2) as f64 / f64::from(1 << 24)).max(2f64.powi(-24)) as f32;
            let exact = f64::from(x).ln();
            // a few roundings in single precision, of the exponent's part or the series, whichever is greater
            assert!((f64::from(ln(x)) - exact).abs() <= 4e-7 * exact.abs().max(0.1), "{x}: {} {exact}", ln(x));
            let u = i as f32 / 4096.0;
            let (sin, cos) = turn(u);
            let angle = f64::from(u) * std::f64::consts::TAU;
            assert!((f64::from(sin) - angle.sin()).abs() < 3e-7, "{u}");
            assert!((f64::from(cos) - angle.cos()).abs() < 3e-7, "{u}");
        }
    }

    #[test]
    fn many_at_a_time_are_the_same_as_one_by_one() {
        let (high, key) = ([5, 6], [7, 8]);
        let mut many = vec![0f32; PER_BLOCK * 37];
        fill(&mut many, u64::from(u32::MAX) - 3, high, key);
        let mut plain = vec![0f32; PER_BLOCK * 37];
        fill_blocks(&mut plain, u64::from(u32::MAX) - 3, high, key);
        assert_eq!(many, plain);
        for (i, four) in many.chunks(PER_BLOCK).enumerate() {
            let block = u64::from(u32::MAX) - 3 + i as u64;
            let [a, b, c, d] =
                philox([[block as u32], [(block >> 32) as u32], [high[0]], [high[1]]], key).map(|w| w[0]);
            assert_eq!(four, [pair(a, b), pair(c, d)].concat());
        }
    }
}
