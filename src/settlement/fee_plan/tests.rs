use super::*;

const PLAN: &str = r#"
pricing = "plus_plus"
tax_ppm = 210_000
refunds = { fixed_minor = 10 }

[[price]]
brand = "visa"
origin = "cross_border"
currency = "JPY"
ppm = 14_000
fixed_minor = 25
minimum_minor = 30
cap_minor = 500

[[price]]
brand = "any"
ppm = 29_000

[[interchange]]
ppm = 2_000
"#;

fn rule() -> FeeRule {
    FeeRule {
        brand: Filter::Any,
        origin: Filter::Any,
        currency: Filter::Any,
        ppm: 14_000,
        fixed_minor: 0,
        minimum_minor: 0,
        cap_minor: None,
    }
}

fn terms(price: Vec<FeeRule>) -> FeeTerms {
    FeeTerms {
        pricing: Pricing::Blended,
        tax_ppm: 0,
        refunds: RefundFee::None,
        chargeback_minor: 0,
        price,
        interchange: Vec::new(),
        scheme_fee: Vec::new(),
    }
}

#[test]
fn a_plan_reads_from_toml_and_reads_back_from_json() {
    let plan: FeePlan = toml::from_str(PLAN).unwrap();
    let yen = FeeRule {
        brand: Filter::Only(CardBrand::Visa),
        origin: Filter::Only(Origin::CrossBorder),
        currency: Filter::Only("JPY".parse().unwrap()),
        fixed_minor: 25,
        minimum_minor: 30,
        cap_minor: Some(500),
        ..rule()
    };
    let other = FeeRule {
        ppm: 29_000,
        ..rule()
    };
    let interchange = FeeRule {
        ppm: 2_000,
        ..rule()
    };
    let expected = FeeTerms {
        pricing: Pricing::PlusPlus,
        tax_ppm: 210_000,
        refunds: RefundFee::FixedMinor(10),
        interchange: vec![interchange],
        ..terms(vec![yen, other])
    };
    assert_eq!(plan.terms(), &expected);
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<FeePlan>(&json).unwrap(), plan);
}

#[test]
fn a_wrong_word_or_key_is_refused_where_it_stands() {
    for (from, to, expected) in [
        ("tax_ppm", "taxes", "unknown field `taxes`"),
        ("cap_minor", "cap", "unknown field `cap`"),
        (
            "\"visa\"",
            "\"viza\"",
            "expected \"any\", or: unknown variant `viza`",
        ),
        (
            "\"JPY\"",
            "\"jpy\"",
            "expected \"any\", or: expected an ISO 4217",
        ),
        ("\"plus_plus\"", "\"plus\"", "unknown variant `plus`"),
        ("2_000", "-1", "invalid value: integer `-1`"),
        ("2_000", "1.5", "invalid type: floating point `1.5`"),
        (
            "2_000",
            "1_000_001",
            "interchange[0].ppm: expected 0 to 1000000, got 1000001",
        ),
    ] {
        let text = PLAN.replacen(from, to, 1);
        assert_ne!(text, PLAN, "{from}");
        let error = toml::from_str::<FeePlan>(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{from}: {error}");
    }
}

#[test]
fn terms_out_of_range_are_no_plan() {
    let too_much = MAX_AMOUNT_MINOR + 1;
    let value = |key: &str, least, most, got| FeePlanError::Value {
        key: key.to_owned(),
        least,
        most,
        got,
    };
    let changed = |change: fn(&mut FeeRule)| {
        let mut rule = rule();
        change(&mut rule);
        terms(vec![rule])
    };
    for (terms, expected) in [
        (
            changed(|rule| rule.ppm = 1_000_001),
            value("price[0].ppm", 0, 1_000_000, 1_000_001),
        ),
        (
            changed(|rule| rule.fixed_minor = -1),
            value("price[0].fixed_minor", 0, MAX_AMOUNT_MINOR, -1),
        ),
        (
            changed(|rule| rule.minimum_minor = MAX_AMOUNT_MINOR + 1),
            value("price[0].minimum_minor", 0, MAX_AMOUNT_MINOR, too_much),
        ),
        (
            changed(|rule| {
                rule.minimum_minor = 30;
                rule.cap_minor = Some(29);
            }),
            value("price[0].cap_minor", 30, MAX_AMOUNT_MINOR, 29),
        ),
        (
            FeeTerms {
                tax_ppm: 1_000_001,
                ..terms(vec![rule()])
            },
            value("tax_ppm", 0, 1_000_000, 1_000_001),
        ),
        (
            FeeTerms {
                refunds: RefundFee::FixedMinor(-1),
                ..terms(vec![rule()])
            },
            value("refunds.fixed_minor", 0, MAX_AMOUNT_MINOR, -1),
        ),
        (
            terms(Vec::new()),
            FeePlanError::RuleCount {
                table: "price",
                least: 1,
                got: 0,
            },
        ),
        (
            terms(vec![rule(); MOST_RULES + 1]),
            FeePlanError::RuleCount {
                table: "price",
                least: 1,
                got: MOST_RULES + 1,
            },
        ),
    ] {
        assert_eq!(FeePlan::new(terms), Err(expected));
    }
}

#[test]
fn a_rule_that_nothing_is_left_for_is_refused() {
    let visa = FeeRule {
        brand: Filter::Only(CardBrand::Visa),
        ..rule()
    };
    let visa_abroad = FeeRule {
        origin: Filter::Only(Origin::CrossBorder),
        ..visa
    };
    let unreachable = |place, earlier| {
        Err(FeePlanError::Unreachable {
            table: "price",
            place,
            earlier,
        })
    };
    for (rules, expected) in [
        (vec![visa_abroad, visa, rule()], Ok(())),
        (vec![visa, visa_abroad, rule()], unreachable(1, 0)),
        (vec![visa_abroad, rule(), visa], unreachable(2, 1)),
        (vec![rule(), rule()], unreachable(1, 0)),
    ] {
        assert_eq!(FeePlan::new(terms(rules)).map(|_| ()), expected);
    }
}
