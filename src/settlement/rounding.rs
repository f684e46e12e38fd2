//! Fractions of minor units, rounded half to even.

use std::num::NonZero;

/// All of an amount, in parts per million.
pub const WHOLE_PPM: u32 = 1_000_000;

/// The same, to divide by.
const MILLION: NonZero<u64> = match NonZero::new(WHOLE_PPM as u64) {
    Some(million) => million,
    None => NonZero::<u64>::MIN,
};

/// `numerator / denominator` as a whole number: the nearest one, and of two that are as near the even one.
#[must_use]
pub fn half_even(numerator: i128, denominator: NonZero<u64>) -> i128 {
    let denominator = i128::from(denominator.get());
    let floor = numerator.div_euclid(denominator);
    let rest = numerator.rem_euclid(denominator);
    let is_up = match (rest * 2).cmp(&denominator) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => floor % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    floor + i128::from(is_up)
}

/// A percentage of an amount and a fixed part, rounded once: 14,000 parts per million are 1.4 %. In minor units.
#[must_use]
pub fn per_million(amount_minor: i64, ppm: u32, fixed_minor: i64) -> i128 {
    // A fixed part that is added after the rounding would turn some halves the wrong way.
    let fixed = i128::from(fixed_minor) * i128::from(MILLION.get());
    half_even(i128::from(amount_minor) * i128::from(ppm) + fixed, MILLION)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_go_to_the_even_neighbour() {
        let two = NonZero::new(2).unwrap();
        for (halves, expected) in [
            (-5, -2),
            (-3, -2),
            (-1, 0),
            (0, 0),
            (1, 0),
            (2, 1),
            (3, 2),
            (5, 2),
            (7, 4),
        ] {
            assert_eq!(half_even(halves, two), expected, "{halves}/2");
        }
        // 0.5 and a fixed 1 are 1.5: up to 2, though 0.5 alone goes down to 0.
        assert_eq!(per_million(1, 500_000, 0), 0);
        assert_eq!(per_million(1, 500_000, 1), 2);
    }

    proptest! {
        /// The whole number is at most half away, and even where it is just that.
        #[test]
        fn rounding_is_to_the_nearest(numerator in any::<i64>(), denominator in 1_u64..) {
            let denominator = NonZero::new(denominator).unwrap();
            let whole = half_even(numerator.into(), denominator);
            let exact = i128::from(denominator.get());
            let twice_off = ((i128::from(numerator) - whole * exact) * 2).abs();
            prop_assert!(twice_off < exact || (twice_off == exact && whole % 2 == 0));
        }
    }
}
