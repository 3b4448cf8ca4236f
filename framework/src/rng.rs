//! Counter-based random streams: what is drawn depends on seed, purpose and index alone.
//!
//! The generator is Philox4x32-10. Source: Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3",
//! doi:10.1145/2063384.2063405. A stream is named by a path such as `seed 3 / trials / update 120`; the hash of the path gives
//! the key and the upper half of the counter, the lower half counts the blocks drawn. Nothing draws from a global generator.

use crate::recurrence::normals::{PER_BLOCK, fill as normals, pair as normal_pair};
use tch::{Device, Kind, Tensor};

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Blocks of Philox4x32-10 side by side: four random words each from a counter, and a key for all.
#[inline(always)]
pub(crate) fn philox<const LANES: usize>(mut counter: [[u32; LANES]; 4], mut key: [u32; 2]) -> [[u32; LANES]; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let product = |i: usize, lane: usize| u64::from(MULTIPLIERS[i]) * u64::from(counter[2 * i][lane]);
        let a: [u64; LANES] = std::array::from_fn(|lane| product(0, lane));
        let b: [u64; LANES] = std::array::from_fn(|lane| product(1, lane));
        counter = [
            std::array::from_fn(|lane| (b[lane] >> 32) as u32 ^ counter[1][lane] ^ key[0]),
            b.map(|b| b as u32),
            std::array::from_fn(|lane| (a[lane] >> 32) as u32 ^ counter[3][lane] ^ key[1]),
            a.map(|a| a as u32),
        ];
    }
    counter
}

/// A random stream, named by a path from the seed. Children depend on the name only, never on how much was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    name: [u8; 32],
    key: [u32; 2],
    high: [u32; 2],
    block: u64,
    words: [u32; 4],
    used: usize,
}

impl Stream {
    /// The root of all streams of a seed.
    pub fn new(seed: u64) -> Self {
        Self::named(*blake3::hash(&seed.to_le_bytes()).as_bytes())
    }

    fn named(name: [u8; 32]) -> Self {
        let word = |i: usize| u32::from_le_bytes([name[4 * i], name[4 * i + 1], name[4 * i + 2], name[4 * i + 3]]);
        Self { name, key: [word(0), word(1)], high: [word(2), word(3)], block: 0, words: [0; 4], used: 4 }
    }

    /// The stream for a purpose, for example `trials` or `noise`.
    pub fn child(&self, purpose: &str) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&self.name);
        hasher.update(b"p").update(purpose.as_bytes());
        Self::named(*hasher.finalize().as_bytes())
    }

    /// The stream at an index: an update, a member, a block of rows.
    pub fn at(&self, index: u64) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&self.name);
        hasher.update(b"i").update(&index.to_le_bytes());
        Self::named(*hasher.finalize().as_bytes())
    }

    /// 32 random bits.
    pub fn bits(&mut self) -> u32 {
        if self.used == 4 {
            let counter = [self.block as u32, (self.block >> 32) as u32, self.high[0], self.high[1]];
            self.words = philox(counter.map(|word| [word]), self.key).map(|[word]| word);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// Uniform in `[0, 1)`, 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        let bits = (u64::from(self.bits()) << 32) | u64::from(self.bits());
        (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `[0, 1)`, 24 random bits.
    pub fn uniform_f32(&mut self) -> f32 {
        (self.bits() >> 8) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// A uniform integer in `0..bound`, without bias; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound <= 1 {
            return 0;
        }
        // Lemire's multiplication method: reject the few values that would be over-represented.
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let x = (u64::from(self.bits()) << 32) | u64::from(self.bits());
            let product = u128::from(x) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// `true` with the given probability.
    pub fn bernoulli(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Standard normal (Box-Muller, cosine branch).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A random order of `0..length` (Fisher-Yates).
    pub fn permutation(&mut self, length: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..length).collect();
        for i in (1..length).rev() {
            order.swap(i, self.below(i as u64 + 1) as usize);
        }
        order
    }

    /// A tensor uniform in `[low, high)`.
    pub fn uniform_tensor(&mut self, shape: &[i64], low: f64, high: f64, kind: Kind, device: Device) -> Tensor {
        let count = shape.iter().product::<i64>() as usize;
        let values: Vec<f64> = (0..count).map(|_| low + (high - low) * self.uniform()).collect();
        Tensor::from_slice(&values).to_kind(kind).to_device(device).reshape(shape)
    }

    /// A tensor of standard normals, drawn in pairs.
    ///
    /// Single precision is enough for noise and much faster; the tail is cut at 5.8 standard deviations.
    pub fn normal_tensor(&mut self, shape: &[i64], kind: Kind, device: Device) -> Tensor {
        let count = shape.iter().product::<i64>() as usize;
        let mut values = vec![0f32; count];
        let mut rest = &mut values[..];
        if self.used == self.words.len() {
            let (blocks, odd) = rest.split_at_mut(count / PER_BLOCK * PER_BLOCK);
            normals(blocks, self.block, self.high, self.key);
            self.block += (blocks.len() / PER_BLOCK) as u64;
            rest = odd;
        }
        for place in rest.chunks_mut(2) {
            let drawn = normal_pair(self.bits(), self.bits());
            place.copy_from_slice(&drawn[..place.len()]);
        }
        Tensor::from_slice(&values).to_kind(kind).to_device(device).reshape(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known-answer vectors published with the Random123 library.
    #[test]
    fn philox_meets_the_published_vectors() {
        let philox = |counter: [u32; 4], key| super::philox(counter.map(|word| [word]), key).map(|[word]| word);
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn children_do_not_depend_on_what_was_drawn() {
        let mut root = Stream::new(7);
        let early = root.child("trials").at(3).bits();
        root.uniform();
        assert_eq!(root.child("trials").at(3).bits(), early);
        assert_ne!(root.child("trials").at(4).bits(), early);
        assert_ne!(root.child("noise").at(3).bits(), early);
    }

    #[test]
    fn moments_and_bounds() {
        let mut stream = Stream::new(1);
        let n = 100_000;
        let draws: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let mean = draws.iter().sum::<f64>() / n as f64;
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / n as f64;
        // four standard errors: 4/sqrt(n) and 4 sqrt(2/n)
        assert!(mean.abs() < 0.0127, "{mean}");
        assert!((variance - 1.0).abs() < 0.018, "{variance}");
        assert!((0..1000).all(|_| stream.below(7) < 7));
        let mut order = stream.permutation(50);
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
