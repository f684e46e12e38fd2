//! Fractions of minor units: rounded half to even, or shared out so that nothing is lost.

use std::cmp::Reverse;
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

/// An amount that can't be shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AllocationError {
    /// A weight is below 0.
    #[error("expected weights of 0 or more, got {got} at place {place}")]
    NegativeWeight {
        /// The place of the weight, from 0.
        place: usize,
        /// The weight.
        got: i64,
    },
    /// There is nobody to take it.
    #[error("expected a weight above 0 for {total_minor} minor units, got none")]
    NoWeight {
        /// What was to be shared out.
        total_minor: i64,
    },
}

/// Shares out `total_minor` minor units by weight, so that the shares sum to it exactly. What whole units leave over goes,
/// one each, to the largest remainders; of equal ones to the first. A weight of 0 gets nothing, and a negative total the
/// negative shares of the positive one.
///
/// # Errors
/// When a weight is negative, or none is above 0 and the total is not 0.
pub fn allocate(total_minor: i64, weights: &[i64]) -> Result<Vec<i64>, AllocationError> {
    if let Some((place, &got)) = weights.iter().enumerate().find(|(_, weight)| **weight < 0) {
        return Err(AllocationError::NegativeWeight { place, got });
    }
    let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if sum == 0 {
        return match total_minor {
            0 => Ok(vec![0; weights.len()]),
            _ => Err(AllocationError::NoWeight { total_minor }),
        };
    }
    let total = i128::from(total_minor).abs();
    let products = weights.iter().map(|weight| total * i128::from(*weight));
    let (mut shares, rests): (Vec<i128>, Vec<i128>) = products
        .map(|product| (product / sum, product % sum))
        .unzip();
    let mut left = total - shares.iter().sum::<i128>();
    let mut by_rest: Vec<_> = shares.iter_mut().zip(rests).collect();
    // The sort is stable, so equal remainders keep their order.
    by_rest.sort_by_key(|(_, rest)| Reverse(*rest));
    for (share, _) in by_rest {
        if left == 0 {
            break;
        }
        *share += 1;
        left -= 1;
    }
    let sign = i128::from(total_minor.signum());
    // A share is never larger than the total.
    let signed = |share: i128| i64::try_from(share * sign).unwrap_or(total_minor);
    Ok(shares.into_iter().map(signed).collect())
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

    #[test]
    fn shares_are_by_the_largest_remainder() {
        for (total, weights, expected) in [
            (100, vec![1, 1, 1], vec![34, 33, 33]),
            (-100, vec![1, 1, 1], vec![-34, -33, -33]),
            (9_999, vec![3_333, 3_333, 3_333], vec![3_333, 3_333, 3_333]),
            (10_000, vec![3_333, 3_333, 3_334], vec![3_333, 3_333, 3_334]),
            (2, vec![0, 1, 0, 1, 1], vec![0, 1, 0, 1, 0]),
            (10, vec![1, 2, 4], vec![1, 3, 6]),
            (0, vec![0, 0], vec![0, 0]),
            (0, vec![], vec![]),
            (i64::MIN, vec![i64::MAX], vec![i64::MIN]),
        ] {
            assert_eq!(
                allocate(total, &weights),
                Ok(expected),
                "{total} {weights:?}"
            );
        }
        let negative = AllocationError::NegativeWeight { place: 1, got: -1 };
        assert_eq!(allocate(5, &[1, -1]), Err(negative));
        let nobody = AllocationError::NoWeight { total_minor: 5 };
        assert_eq!(allocate(5, &[0, 0]), Err(nobody));
        assert_eq!(allocate(5, &[]), Err(nobody));
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

        /// The sum is exact, and no share is a whole unit away from its fraction of the total.
        #[test]
        fn shares_sum_to_the_total(
            total in any::<i64>(),
            weights in prop::collection::vec(prop_oneof![Just(0), 0..1000_i64, 0..1_i64 << 58], 1..20),
        ) {
            let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
            prop_assume!(sum > 0);
            let shares = allocate(total, &weights).unwrap();
            prop_assert_eq!(shares.iter().map(|share| i128::from(*share)).sum::<i128>(), i128::from(total));
            for (share, weight) in shares.iter().zip(&weights) {
                let off = (i128::from(*share) * sum - i128::from(total) * i128::from(*weight)).abs();
                prop_assert!(off < sum);
                prop_assert!(*weight > 0 || *share == 0);
            }
        }
    }
}
