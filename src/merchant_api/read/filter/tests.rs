use super::*;
use crate::store::merchant_money::PayoutFilter;
use crate::store::reads::balances::EntryFilter;
use crate::store::records::lists::PaymentFilter;
use crate::store::records::settlement::{BatchFilter, DiscrepancyFilter};

#[test]
fn filters_are_read() {
    let all = PaymentFilter::default;
    for (text, expected) in [
        ("", all()),
        ("   ", all()),
        (
            "state=AUTHORIZED",
            PaymentFilter {
                states: vec!["AUTHORIZED"],
                ..all()
            },
        ),
        (
            r#"state = DECLINED AND create_time>="2026-01-01T00:00:00Z" AND create_time < "2026-01-02T00:00:00.5+01:00""#,
            PaymentFilter {
                states: vec!["DECLINED"],
                created_from: Some(UnixMillis::new(1_767_225_600_000)),
                created_before: Some(UnixMillis::new(1_767_308_400_500)),
                ..all()
            },
        ),
        (
            r#"merchant_reference="order 10/42" AND customer_reference=crm-77 AND currency=KWD"#,
            PaymentFilter {
                merchant_reference: Some("order 10/42".into()),
                customer_reference: Some("crm-77".into()),
                currency: Some("KWD".parse().unwrap()),
                ..all()
            },
        ),
        (
            r#"merchant_reference="12\" vinyl \\ \"blue\"" AND customer_reference="""#,
            PaymentFilter {
                merchant_reference: Some(r#"12" vinyl \ "blue""#.into()),
                customer_reference: Some(String::new()),
                ..all()
            },
        ),
    ] {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }
}

#[test]
fn filters_of_entries_are_read() {
    let text = r#"kind=REFUND AND currency=EUR AND business_date="2026-11-18" AND subject_id=pay_06e9x3w8k1z7h4n2m5q0r8t6va"#;
    let expected = EntryFilter {
        currency: Some("EUR".parse().unwrap()),
        payment_id: Some("pay_06e9x3w8k1z7h4n2m5q0r8t6va".parse().unwrap()),
        templates: vec!["refund", "refund_refused"],
        business_date: Some("2026-11-18".parse().unwrap()),
        created_from: None,
        created_before: None,
    };
    assert_eq!(parse(text), Ok(expected));
    for (text, expected) in [
        (
            "state=AUTHORIZED",
            "one of currency, kind, subject_id, business_date, create_time at position 1, got \"state\"",
        ),
        (
            "kind=refund",
            "one of CAPTURE, REFUND, FEE, PAYOUT, CORRECTION, CHARGEBACK, RESERVE, RESERVE_RELEASE, \
             PAYOUT_RETURN at position 6, got \"refund\"",
        ),
        (
            "subject_id=order-1",
            "the id of a payment, \"pay_\" and 26 characters at position 12, got \"order-1\"",
        ),
        (
            r#"business_date="2026-13-01""#,
            "a date as YYYY-MM-DD at position 15, got \"2026-13-01\"",
        ),
        (
            "kind<REFUND",
            "= (for create_time: >= or <) at position 5, got \"<\"",
        ),
    ] {
        assert_eq!(fault_of::<EntryFilter>(text), expected, "{text}");
    }
}

/// What is said of a filter that can't be read.
fn fault_of<F: Conditions + fmt::Debug>(text: &str) -> String {
    let InvalidFilter { expected, got } = parse::<F>(text).unwrap_err();
    format!("{expected}, got {got}")
}

#[test]
fn states_that_can_be_named_are_told() {
    for (told, expected) in [
        (
            fault_of::<BatchFilter>("state=FOO"),
            "OPEN, CLOSED, SUBMITTED, SETTLED, DISPUTED",
        ),
        (
            fault_of::<PayoutFilter>("state=FOO"),
            "CREATED, SENT, PAID, RETURNED, FAILED",
        ),
        (
            fault_of::<DiscrepancyFilter>("state=FOO"),
            "OPEN, ASSIGNED, ASKED_BANK, PROPOSED, CORRECTED, ACCEPTED",
        ),
        (
            fault_of::<PaymentFilter>("state=FOO"),
            "CREATED, REQUIRES_ACTION, AUTHORIZING, AUTHORIZED, DECLINED, FAILED, PARTIALLY_CAPTURED, \
             CAPTURED, VOIDING, VOIDED, EXPIRED, REVERSING, REVERSED",
        ),
    ] {
        let expected = format!("one of {expected} at position 7, got \"FOO\"");
        assert_eq!(told, expected);
    }
    let told = fault_of::<DiscrepancyFilter>("kind=NOT_IN_REPORT");
    assert!(
        told.contains("MISSING_AT_BANK") && !told.contains("NOT_IN_REPORT,"),
        "{told}"
    );
}

#[test]
fn a_fault_names_its_place() {
    let long = format!("merchant_reference=\"{}\"", "x".repeat(500));
    const FIELDS: &str =
        "one of state, merchant_reference, customer_reference, currency, create_time at position";
    const OPERATOR: &str = "= (for create_time: >= or <) at position";
    for (text, expected) in [
        ("amount=5", &*format!("{FIELDS} 1, got \"amount\"")),
        ("state", &format!("{OPERATOR} 6, got the end")),
        ("state!=AUTHORIZED", &format!("{OPERATOR} 6, got \"!=\"")),
        ("state==AUTHORIZED", &format!("{OPERATOR} 6, got \"==\"")),
        (
            "create_time=\"2026-01-01T00:00:00Z\"",
            &format!("{OPERATOR} 12, got \"=\""),
        ),
        (
            "state=",
            "a word, or a text in double quotes at position 7, got the end",
        ),
        (
            "currency=eur",
            "an ISO 4217 code such as \"EUR\" at position 10, got \"eur\"",
        ),
        (
            "state=AUTHORIZED OR state=DECLINED",
            "AND or the end at position 18, got \"OR\"",
        ),
        ("state=AUTHORIZED AND", &format!("{FIELDS} 21, got the end")),
        (
            "state=AUTHORIZED AND state=DECLINED",
            "each condition once at position 22, got another condition state=",
        ),
        (
            "merchant_reference=\"a",
            "a closing double quote at position 22, got the end",
        ),
        (
            r#"merchant_reference="a\"b"#,
            "a closing double quote at position 25, got the end",
        ),
        (
            r#"merchant_reference="a\nb""#,
            "a double quote or a backslash at position 23, got \"nb\"",
        ),
        (
            "state=AUTHORIZED\u{e4}",
            "AND or the end at position 17, got 1 characters of another form",
        ),
        // What is long, and what has as many digits as a part of a card, is not told.
        (
            &format!("currency={}", "x".repeat(25)),
            "an ISO 4217 code such as \"EUR\" at position 10, got 25 characters of another form",
        ),
        (
            "currency=4242424242421",
            "an ISO 4217 code such as \"EUR\" at position 10, got 13 characters of another form",
        ),
        (
            "currency=\"\u{1b}[0m\"",
            "an ISO 4217 code such as \"EUR\" at position 10, got 4 characters of another form",
        ),
        (
            "currency=\"\"",
            "an ISO 4217 code such as \"EUR\" at position 10, got nothing",
        ),
        (&*long, "500 bytes at most, got 521 bytes"),
    ] {
        assert_eq!(fault_of::<PaymentFilter>(text), expected, "{text}");
    }
}
