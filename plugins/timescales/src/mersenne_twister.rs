//! The generator behind NumPy's legacy random numbers and PyTorch's on a CPU.
//!
//! Our own random numbers come from [`synfire::Stream`]. This generator is for those of other programs, bit for bit: Matsumoto &
//! Nishimura 1998, doi:10.1145/272991.272995, MT19937 started from a 32-bit seed.

const LENGTH: usize = 624;
const APART: usize = 397;
const UPPER: u32 = 0x8000_0000;

/// The generator and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MersenneTwister {
    state: [u32; LENGTH],
    /// Numbers of the state that have been given out.
    used: usize,
}

impl MersenneTwister {
    /// As `numpy.random.seed(seed)` and `torch.manual_seed(seed)` start it.
    pub fn new(seed: u32) -> Self {
        let mut state = [seed; LENGTH];
        for index in 1..LENGTH {
            let last = state[index - 1];
            state[index] = 1_812_433_253u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(index as u32);
        }
        Self { state, used: LENGTH }
    }

    /// The next 32 random bits.
    pub fn bits(&mut self) -> u32 {
        if self.used == LENGTH {
            self.refill();
        }
        let mut bits = self.state[self.used];
        self.used += 1;
        bits ^= bits >> 11;
        bits ^= (bits << 7) & 0x9d2c_5680;
        bits ^= (bits << 15) & 0xefc6_0000;
        bits ^ (bits >> 18)
    }

    fn refill(&mut self) {
        for index in 0..LENGTH {
            let both = (self.state[index] & UPPER) | (self.state[(index + 1) % LENGTH] & !UPPER);
            let twist = if both & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[index] = self.state[(index + APART) % LENGTH] ^ (both >> 1) ^ twist;
        }
        self.used = 0;
    }

    /// A number in `[low, high)` as PyTorch fills tensors in single precision on a CPU: 24 bits, scaled in double precision.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        let share = f64::from(self.bits() & 0x00ff_ffff) / f64::from(1u32 << 24);
        (share * f64::from(high - low) + f64::from(low)) as f32
    }

    /// A whole number from `low` to `high - 1` as `numpy.random.randint(low, high)` draws it; `low` where there is no other.
    pub fn integer(&mut self, low: u32, high: u32) -> u32 {
        let range = high.saturating_sub(low).saturating_sub(1);
        if range == 0 {
            return low;
        }
        let mask = u32::MAX >> range.leading_zeros();
        loop {
            let value = self.bits() & mask;
            if value <= range {
                return low + value;
            }
        }
    }

    /// Pass over as many draws of [`MersenneTwister::uniform`].
    pub fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.bits();
        }
    }

    /// Everything there is to know of it, as numbers to be saved.
    pub fn to_numbers(&self) -> Vec<i64> {
        self.state.iter().map(|word| i64::from(*word)).chain([self.used as i64]).collect()
    }

    /// From what [`MersenneTwister::to_numbers`] gave; nothing where it cannot have.
    pub fn from_numbers(numbers: &[i64]) -> Option<Self> {
        let (used, words) = numbers.split_last()?;
        let words = words.iter().map(|word| u32::try_from(*word).ok()).collect::<Option<Vec<u32>>>()?;
        let used = usize::try_from(*used).ok().filter(|used| *used <= LENGTH)?;
        Some(Self { state: words.try_into().ok()?, used })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ten_thousandth_number_is_the_one_that_the_standard_of_another_language_asks_for() {
        // C++11, [rand.predef]: of mt19937 with its default seed 5489.
        let mut generator = MersenneTwister::new(5489);
        generator.skip(9_999);
        assert_eq!(generator.bits(), 4_123_659_995);
    }

    #[test]
    fn a_saved_generator_goes_on_where_it_stood() {
        let mut generator = MersenneTwister::new(3);
        for count in [0, 1, 623, 624, 1000] {
            generator.skip(count);
            let mut copy = MersenneTwister::from_numbers(&generator.to_numbers()).expect("its own numbers");
            assert_eq!(copy, generator);
            assert_eq!(copy.clone().bits(), generator.clone().bits());
            copy.skip(700);
            assert_ne!(copy, generator);
        }
        let mut numbers = generator.to_numbers();
        assert_eq!(MersenneTwister::from_numbers(&numbers[1..]), None);
        numbers[7] = -1;
        assert_eq!(MersenneTwister::from_numbers(&numbers), None);
        assert_eq!(MersenneTwister::from_numbers(&[]), None);
    }

    #[test]
    fn numbers_keep_to_their_range() {
        let mut generator = MersenneTwister::new(1);
        assert_eq!(generator.integer(5, 6), 5);
        assert_eq!(generator.clone(), MersenneTwister::new(1), "nothing is drawn where there is no choice");
        assert!((0..1000).all(|_| (4..10).contains(&generator.integer(4, 10))));
        assert!((0..1000).all(|_| (-0.5..0.25).contains(&generator.uniform(-0.5, 0.25))));
    }
}
