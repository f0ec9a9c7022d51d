//! Logarithms and powers to base 2 in fixed point.

/// One bit, that is a factor of 2, in the fixed point of logarithms.
pub const ONE_BIT: i64 = 1 << FRACTION_BITS;

/// Bits behind the point of a logarithm.
const FRACTION_BITS: u32 = 24;
/// Bits behind the point of a number between 1 and 2, so that a square fits 64 bits.
const MANTISSA_BITS: u32 = 31;
/// Greatest score, which is the greatest integer of the encoding.
const SCORE_MAX: u64 = (1 << 53) - 1;

/// `ROOTS[i]` is 2^(2^-(i+1)): each the square root of the one before, the first that of 2.
const ROOTS: [u64; FRACTION_BITS as usize] = {
    let mut roots = [0; FRACTION_BITS as usize];
    let mut power: u64 = 2 << MANTISSA_BITS;
    let mut index = 0;
    while index < roots.len() {
        power = (power << MANTISSA_BITS).isqrt();
        roots[index] = power;
        index += 1;
    }
    roots
};

/// Returns the logarithm of `value` to base 2, rounded down, with an error below 2^-23 bits.
///
/// Squaring a number doubles its logarithm, so each square gives one more bit behind the point.
///
/// # Panics
/// If `value` is 0.
#[must_use]
pub fn log2(value: u64) -> i64 {
    let whole = value.ilog2();
    let mut mantissa = match whole.checked_sub(MANTISSA_BITS) {
        Some(excess) => value >> excess,
        None => value << (MANTISSA_BITS - whole),
    };
    let mut log = i64::from(whole) << FRACTION_BITS;
    for bit in (0..FRACTION_BITS).rev() {
        // Below 2^32, so the square fits; a checked product takes 128 bits in wasm.
        mantissa = mantissa.wrapping_mul(mantissa) >> MANTISSA_BITS;
        if mantissa >= 2 << MANTISSA_BITS {
            mantissa >>= 1;
            log += 1 << bit;
        }
    }
    log
}

/// Returns the logarithm of `share` millionths; negative below 1.
///
/// # Panics
/// If `share` is 0.
pub(crate) fn log2_millionths(share: u64) -> i64 {
    log2(share) - log2(1_000_000)
}

/// Returns 2 to the power of `log` in millionths, rounded down, at most 2^53 - 1; the relative
/// error is below 10^-7.
#[must_use]
pub fn exp2_millionths(log: i64) -> u64 {
    let fraction = log & (ONE_BIT - 1);
    let mut mantissa = 1 << MANTISSA_BITS;
    for (index, root) in ROOTS.iter().enumerate() {
        if fraction >> (FRACTION_BITS as usize - 1 - index) & 1 == 1 {
            // Both are below 2^32, so the product fits.
            mantissa = u64::wrapping_mul(mantissa, *root) >> MANTISSA_BITS;
        }
    }
    // Below 2^32 * 10^6, which is below 2^52.
    let millionths = mantissa * 1_000_000;
    let whole = log >> FRACTION_BITS;
    let left = whole - i64::from(MANTISSA_BITS);
    if left > 0 {
        // A number of at least 2^50 that moves left by more than 2 is too great in any case.
        return if left > 2 { SCORE_MAX } else { (millionths << left).min(SCORE_MAX) };
    }
    let right = u32::try_from(-left).unwrap_or(u32::MAX);
    millionths.checked_shr(right).unwrap_or(0)
}

/// Returns a logarithm of at least 0 in millionths of a bit, rounded down.
pub(crate) fn millionths(log: i64) -> u64 {
    let log = u128::try_from(log).expect("only logarithms of at least 0 are printed");
    ((log * 1_000_000) >> FRACTION_BITS) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_square_to_the_one_before() {
        // 2^31 * sqrt(2) is 3037000499.97..
        assert_eq!(ROOTS[0], 3_037_000_499);
        for pair in ROOTS.windows(2) {
            let square = (pair[1] * pair[1]) >> MANTISSA_BITS;
            assert!(square.abs_diff(pair[0]) <= 3, "{pair:?}");
        }
    }

    #[test]
    fn powers_of_two_are_exact_both_ways() {
        for power in 0..64 {
            assert_eq!(log2(1 << power), i64::from(power) * ONE_BIT);
        }
        for (bits, expect) in [(0, 1_000_000), (3, 8_000_000), (-3, 125_000), (-20, 0), (-90, 0)] {
            assert_eq!(exp2_millionths(bits * ONE_BIT), expect, "{bits}");
        }
    }

    #[test]
    fn known_logarithms() {
        // From tables: log2(3) = 1.584962500, log2(10) = 3.321928094, log2(10^6) = 19.931568569.
        for (value, expect) in [(3, 1_584_962), (10, 3_321_928), (1_000_000, 19_931_568)] {
            assert_eq!(millionths(log2(value)), expect, "{value}");
        }
        assert_eq!(log2(u64::MAX), 64 * ONE_BIT - 1);
    }

    #[test]
    fn powers_undo_logarithms() {
        for value in (1..1_000_000).step_by(997) {
            let back = exp2_millionths(log2(value));
            let exact = value * 1_000_000;
            assert!(back <= exact && exact - back <= exact / 5_000_000 + 1, "{value} {back}");
        }
    }

    #[test]
    fn scores_end_at_the_greatest_integer() {
        for bits in [33, 34, 35, 36, 60, 1 << 30] {
            let expect = if bits < 34 { 1_000_000 << bits } else { SCORE_MAX };
            assert_eq!(exp2_millionths(bits * ONE_BIT), expect, "{bits}");
        }
        assert_eq!(exp2_millionths(i64::MIN), 0);
    }
}
