//! A digest that can be computed while compiling (FNV-1a, 64 bits).
//!
//! One changed byte always changes it. It is no protection against an adversary, and need not be: whoever can change a plugin can
//! change its code. Source: Fowler, Noll & Vo, <http://www.isthe.com/chongo/tech/comp/fnv/>.

/// The digest of nothing.
pub(super) const START: u64 = 0xcbf2_9ce4_8422_2325;

/// One byte more.
pub(super) const fn byte(digest: u64, byte: u8) -> u64 {
    (digest ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3)
}

/// One number more.
pub(super) const fn number(mut digest: u64, number: usize) -> u64 {
    let bytes = (number as u64).to_le_bytes();
    let mut at = 0;
    while at < 8 {
        digest = byte(digest, bytes[at]);
        at += 1;
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the authors' own list of test vectors.
    #[test]
    fn the_published_values() {
        let digest = |text: &str| text.bytes().fold(START, byte);
        assert_eq!(digest(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(digest("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(digest("foobar"), 0x8594_4171_f739_67e8);
    }
}
