use super::*;
use crate::settlement::fee_plan::{FeeTerms, Filter};

mod random;

fn money(amount_minor: i64, currency: &str) -> Money {
    Money::new(amount_minor, currency.parse().unwrap()).unwrap()
}

fn rule(ppm: u32, fixed_minor: i64) -> FeeRule {
    FeeRule {
        brand: Filter::Any,
        origin: Filter::Any,
        currency: Filter::Any,
        ppm,
        fixed_minor,
        minimum_minor: 0,
        cap_minor: None,
    }
}

/// 1.4 % and 0.25, of which 0.2 % are interchange and 0.05 % are the scheme's; 21 % tax.
fn terms(pricing: Pricing, refunds: RefundFee) -> FeeTerms {
    FeeTerms {
        pricing,
        tax_ppm: 210_000,
        refunds,
        chargeback_minor: 0,
        price: vec![rule(14_000, 25)],
        interchange: vec![rule(2_000, 0)],
        scheme_fee: vec![rule(500, 0)],
    }
}

fn plan(terms: FeeTerms) -> FeePlan {
    FeePlan::new(terms).unwrap()
}

fn capture(amount_minor: i64) -> FeeItem {
    FeeItem {
        kind: ItemKind::Capture,
        brand: CardBrand::Visa,
        origin: Origin::Domestic,
        amount: money(amount_minor, "EUR"),
        bank_interchange: None,
        bank_scheme_fee: None,
        refunded: None,
    }
}

fn refund(amount_minor: i64, before: i64, captured: i64, fees: ItemFees) -> FeeItem {
    FeeItem {
        kind: ItemKind::Refund,
        refunded: Some(RefundedCapture {
            amount: money(captured, "EUR"),
            refunded_before_minor: before,
            fees,
        }),
        ..capture(amount_minor)
    }
}

fn fees(interchange: i64, scheme: i64, markup: i64, tax: i64) -> ItemFees {
    ItemFees {
        interchange,
        scheme,
        markup,
        tax,
    }
}

#[test]
fn a_fee_has_four_parts() {
    use Pricing::{Blended, PlusPlus};
    let with_bank = |item: FeeItem, interchange, scheme| FeeItem {
        bank_interchange: interchange,
        bank_scheme_fee: scheme,
        ..item
    };
    let refund = || FeeItem {
        kind: ItemKind::Refund,
        ..capture(10_000)
    };
    for (pricing, refunds, item, expected) in [
        // 165 in all, of which 20 and 5; 34.65 of tax.
        (
            Blended,
            RefundFee::None,
            capture(10_000),
            fees(20, 5, 140, 35),
        ),
        // 190 in all; 39.9 of tax.
        (
            PlusPlus,
            RefundFee::None,
            capture(10_000),
            fees(20, 5, 165, 40),
        ),
        // 2.5 of interchange to 2, 0.625 of the scheme's to 1, 42.5 of price to 42.
        (Blended, RefundFee::None, capture(1_250), fees(2, 1, 39, 9)),
        // The bank names more than the price: the markup is negative.
        (
            Blended,
            RefundFee::None,
            with_bank(capture(10_000), Some(180), None),
            fees(180, 5, -20, 35),
        ),
        (
            PlusPlus,
            RefundFee::None,
            with_bank(capture(10_000), Some(0), Some(7)),
            fees(0, 7, 165, 36),
        ),
        (Blended, RefundFee::None, refund(), fees(0, 0, 0, 0)),
        (
            PlusPlus,
            RefundFee::FixedMinor(10),
            refund(),
            fees(0, 0, 10, 2),
        ),
        // The bank gives its interchange back, and the merchant pays for refunds what was agreed.
        (
            Blended,
            RefundFee::FixedMinor(10),
            with_bank(refund(), Some(-20), Some(3)),
            fees(-20, 3, 27, 2),
        ),
        (
            PlusPlus,
            RefundFee::None,
            with_bank(refund(), Some(-20), None),
            fees(-20, 0, 0, -4),
        ),
    ] {
        let plan = plan(terms(pricing, refunds));
        assert_eq!(fee_of(&plan, &item), Ok(expected), "{pricing:?} {item:?}");
    }
}

/// It is the same whatever is taken back, and the tax comes on top.
#[test]
fn a_chargeback_costs_its_price_and_one_that_is_given_back_nothing() {
    for pricing in [Pricing::Blended, Pricing::PlusPlus] {
        let plan = plan(FeeTerms {
            chargeback_minor: 1_500,
            ..terms(pricing, RefundFee::GiveBack)
        });
        for (kind, expected) in [
            (ItemKind::Chargeback, fees(0, 0, 1_500, 315)),
            (ItemKind::ChargebackReversal, fees(0, 0, 0, 0)),
        ] {
            let item = FeeItem {
                kind,
                ..capture(700)
            };
            assert_eq!(fee_of(&plan, &item), Ok(expected), "{pricing:?} {kind:?}");
        }
    }
}

#[test]
fn the_first_rule_that_is_for_an_item_gives_its_fee() {
    let visa = |origin, currency: Filter<Currency>, ppm| FeeRule {
        brand: Filter::Only(CardBrand::Visa),
        origin,
        currency,
        ..rule(ppm, 0)
    };
    let yen = "JPY".parse().unwrap();
    let abroad = Filter::Only(Origin::CrossBorder);
    let mut terms = terms(Pricing::PlusPlus, RefundFee::None);
    terms.price = vec![
        visa(Filter::Any, Filter::Only(yen), 1_000),
        visa(abroad, Filter::Any, 2_000),
        FeeRule {
            cap_minor: Some(50),
            minimum_minor: 40,
            ..visa(Filter::Any, Filter::Any, 3_000)
        },
        FeeRule {
            brand: Filter::Only(CardBrand::Jcb),
            ..rule(4_000, 0)
        },
    ];
    terms.interchange.clear();
    terms.scheme_fee.clear();
    let plan = plan(terms);
    for (brand, origin, amount, expected) in [
        (
            CardBrand::Visa,
            Origin::CrossBorder,
            money(10_000, "JPY"),
            Some(10),
        ),
        (
            CardBrand::Visa,
            Origin::CrossBorder,
            money(10_000, "EUR"),
            Some(20),
        ),
        (
            CardBrand::Visa,
            Origin::Domestic,
            money(10_000, "EUR"),
            Some(40),
        ),
        (
            CardBrand::Visa,
            Origin::Domestic,
            money(15_000, "EUR"),
            Some(45),
        ),
        (
            CardBrand::Visa,
            Origin::Domestic,
            money(20_000, "EUR"),
            Some(50),
        ),
        (
            CardBrand::Jcb,
            Origin::Domestic,
            money(10_000, "KWD"),
            Some(40),
        ),
        (
            CardBrand::Other,
            Origin::Domestic,
            money(10_000, "EUR"),
            None,
        ),
    ] {
        let item = FeeItem {
            brand,
            origin,
            amount,
            ..capture(0)
        };
        let expected = expected.ok_or(FeeError::NoRule {
            table: "price",
            brand,
            origin,
            currency: amount.currency(),
        });
        assert_eq!(fee_of(&plan, &item).map(|fees| fees.markup), expected);
    }
}

/// A table that lacks a rule for an item would charge nothing for it, and nobody would see that.
#[test]
fn a_table_without_a_rule_is_an_error_unless_the_bank_names_the_part() {
    let mut terms = terms(Pricing::PlusPlus, RefundFee::None);
    terms.interchange = vec![FeeRule {
        brand: Filter::Only(CardBrand::Jcb),
        ..rule(2_000, 0)
    }];
    let plan = plan(terms);
    let missing = FeeError::NoRule {
        table: "interchange",
        brand: CardBrand::Visa,
        origin: Origin::Domestic,
        currency: "EUR".parse().unwrap(),
    };
    assert_eq!(fee_of(&plan, &capture(10_000)), Err(missing));
    let named = FeeItem {
        bank_interchange: Some(9),
        ..capture(10_000)
    };
    assert_eq!(fee_of(&plan, &named), Ok(fees(9, 5, 165, 38)));
}

/// 100.00 cost 1.65 and 0.35 of tax. Three times 33.33 give back all but what the last 0.01 does.
#[test]
fn a_fee_comes_back_by_the_part_that_is_refunded() {
    let plan = plan(terms(Pricing::Blended, RefundFee::GiveBack));
    let cost = fee_of(&plan, &capture(10_000)).unwrap();
    let back = |amount, before| fee_of(&plan, &refund(amount, before, 10_000, cost)).unwrap();
    // A third of 165, 20, 5 and 35, each as what is given back until then less what was before.
    for (amount, before, expected) in [
        (3_333, 0, fees(-7, -2, -46, -12)),
        (3_333, 3_333, fees(-6, -1, -48, -11)),
        (3_333, 6_666, fees(-7, -2, -46, -12)),
        (1, 9_999, fees(0, 0, 0, 0)),
        (10_000, 0, fees(-20, -5, -140, -35)),
    ] {
        assert_eq!(back(amount, before), expected, "{amount} after {before}");
    }
}

/// The bank gives back less interchange than it took. By a blended price that is the acquirer's loss, otherwise the
/// merchant's.
#[test]
fn the_banks_own_interchange_of_a_refund_counts() {
    for (pricing, expected) in [
        (Pricing::Blended, fees(-8, -5, -152, -35)),
        (Pricing::PlusPlus, fees(-8, -5, -165, -37)),
    ] {
        let plan = plan(terms(pricing, RefundFee::GiveBack));
        let cost = fee_of(&plan, &capture(10_000)).unwrap();
        let item = FeeItem {
            bank_interchange: Some(-8),
            ..refund(10_000, 0, 10_000, cost)
        };
        assert_eq!(fee_of(&plan, &item), Ok(expected), "{pricing:?}");
    }
}

#[test]
fn a_refund_without_its_capture_or_above_it_gives_nothing_back() {
    let plan = plan(terms(Pricing::Blended, RefundFee::GiveBack));
    let cost = fees(20, 5, 140, 35);
    let above = |captured_minor, before_minor, refund_minor| FeeError::RefundAboveCapture {
        captured_minor,
        before_minor,
        refund_minor,
    };
    let out_of_range = |figure, most_minor, got_minor| FeeError::OutOfRange {
        figure,
        most_minor,
        got_minor,
    };
    let dollars = FeeItem {
        amount: money(1, "USD"),
        ..refund(1, 0, 1, cost)
    };
    let huge = FeeItem {
        bank_interchange: Some(i64::MIN),
        ..refund(1, 0, 1, cost)
    };
    let markup = fees(0, 0, i64::MAX, 0);
    for (item, expected) in [
        (
            FeeItem {
                refunded: None,
                ..refund(1, 0, 1, cost)
            },
            FeeError::NoCapture,
        ),
        (
            dollars,
            FeeError::RefundCurrency {
                expected: "EUR".parse().unwrap(),
                got: "USD".parse().unwrap(),
            },
        ),
        (refund(2, 9_999, 10_000, cost), above(10_000, 9_999, 2)),
        (refund(2, -1, 10_000, cost), above(10_000, -1, 2)),
        (
            refund(2, i64::MAX, 10_000, cost),
            above(10_000, i64::MAX, 2),
        ),
        (refund(0, 0, 0, cost), above(0, 0, 0)),
        (
            huge,
            out_of_range("bank_interchange", MAX_AMOUNT_MINOR, i64::MIN),
        ),
        (
            refund(1, 0, 1, markup),
            out_of_range("refunded.fees.markup", 6 * MAX_AMOUNT_MINOR, i64::MAX),
        ),
    ] {
        assert_eq!(fee_of(&plan, &item), Err(expected), "{item:?}");
    }
}
