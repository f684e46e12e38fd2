//! Plans and items that chance makes.

use proptest::prelude::*;

use super::*;

/// Whether `whole` is `exact` millionths rounded half to even: told by its distance, not by how it was made.
fn is_half_even(whole: i64, exact: i128) -> bool {
    let twice_off = (i128::from(whole) * 1_000_000 - exact).abs() * 2;
    twice_off < 1_000_000 || (twice_off == 1_000_000 && whole % 2 == 0)
}

proptest! {
    #[test]
    fn each_part_is_rounded_once(
        amount in 0..=MAX_AMOUNT_MINOR,
        price in 0..=1_000_000_u32,
        // Halves are rare among all rates.
        interchange in prop_oneof![Just(500_000_u32), 0..=1_000_000_u32],
        tax in 0..=1_000_000_u32,
        fixed in 0..=MAX_AMOUNT_MINOR,
        is_blended in any::<bool>(),
    ) {
        let pricing = if is_blended { Pricing::Blended } else { Pricing::PlusPlus };
        let terms = FeeTerms {
            tax_ppm: tax,
            price: vec![rule(price, fixed)],
            interchange: vec![rule(interchange, fixed)],
            ..terms(pricing, RefundFee::None)
        };
        let cost = fee_of(&plan(terms), &capture(amount)).unwrap();
        let exact = |ppm: u32, fixed: i64| i128::from(amount) * i128::from(ppm) + i128::from(fixed) * 1_000_000;
        let charged = if is_blended { cost.before_tax() } else { cost.markup };
        prop_assert!(is_half_even(charged, exact(price, fixed)));
        prop_assert!(is_half_even(cost.interchange, exact(interchange, fixed)));
        prop_assert!(is_half_even(cost.scheme, exact(500, 0)));
        prop_assert!(is_half_even(cost.tax, i128::from(cost.before_tax()) * i128::from(tax)));
    }

    /// A larger amount, minimum or cap never costs less, and a fee stays between its minimum and its cap.
    #[test]
    fn a_minimum_and_a_cap_bound_a_fee_that_grows_with_the_amount(
        amounts in prop::array::uniform2(0..=MAX_AMOUNT_MINOR),
        ppm in 0..=1_000_000_u32,
        bounds in prop::array::uniform4(0..=10_000_i64),
    ) {
        let mut bounds = bounds;
        bounds.sort_unstable();
        let [minimum, larger_minimum, cap, larger_cap] = bounds;
        let mut amounts = amounts;
        amounts.sort_unstable();
        let cost = |amount, minimum_minor, cap| {
            let rule = FeeRule { minimum_minor, cap_minor: Some(cap), ..rule(ppm, 0) };
            let terms = FeeTerms { price: vec![rule], ..terms(Pricing::PlusPlus, RefundFee::None) };
            fee_of(&plan(terms), &capture(amount)).unwrap().markup
        };
        let fee = cost(amounts[0], minimum, cap);
        prop_assert!((minimum..=cap).contains(&fee));
        prop_assert!(fee <= cost(amounts[1], minimum, cap));
        prop_assert!(fee <= cost(amounts[0], larger_minimum, cap));
        prop_assert!(fee <= cost(amounts[0], minimum, larger_cap));
    }

    /// However a capture is refunded, what comes back of each part sums to what the capture cost.
    #[test]
    fn refunds_of_a_whole_capture_give_back_its_whole_fee(
        parts in prop::collection::vec(1..=1_000_000_i64, 1..8),
        interchange in prop::option::of(-500..500_i64),
        is_blended in any::<bool>(),
    ) {
        let pricing = if is_blended { Pricing::Blended } else { Pricing::PlusPlus };
        let plan = plan(terms(pricing, RefundFee::GiveBack));
        let captured = parts.iter().sum();
        let item = FeeItem { bank_interchange: interchange, ..capture(captured) };
        let cost = fee_of(&plan, &item).unwrap();
        let (mut before, mut left) = (0, cost);
        for part in parts {
            let back = fee_of(&plan, &refund(part, before, captured, cost)).unwrap();
            left.interchange += back.interchange;
            left.scheme += back.scheme;
            left.markup += back.markup;
            left.tax += back.tax;
            before += part;
        }
        prop_assert_eq!(left, ItemFees::default());
    }
}
