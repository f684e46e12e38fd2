//! Amounts and currencies.

use super::text::is_printable_ascii;
use crate::grpc::violations::{Findings, length_of};
use crate::merchant_api::pb;
use crate::payment::money::{Currency, MAX_AMOUNT_MINOR, Money};

/// A number of more digits is described by how many it has.
const MOST_DIGITS_SHOWN: usize = 13;

/// The names of an amount and of its parts in a request.
const AMOUNT: [&str; 3] = ["amount", "amount.amount_minor", "amount.currency"];

/// Reads an amount that moves and may be left out: `Some(None)` where it is.
pub(crate) fn optional_amount(
    findings: &mut Findings,
    amount: Option<pb::Money>,
) -> Option<Option<Money>> {
    match amount {
        None => Some(None),
        amount => amount_to_pay(findings, AMOUNT, amount).map(Some),
    }
}

/// Reads the amount of a payment that begins.
pub(crate) fn amount_of_payment(
    findings: &mut Findings,
    amount: Option<pb::Money>,
) -> Option<Money> {
    amount_in(findings, AMOUNT, amount, currency_to_pay_in)
}

/// Reads an amount that moves: more than zero.
pub(crate) fn amount_to_pay(
    findings: &mut Findings,
    fields: [&'static str; 3],
    amount: Option<pb::Money>,
) -> Option<Money> {
    amount_in(findings, fields, amount, currency)
}

/// Reads an amount, and its currency with `read_currency`.
fn amount_in(
    findings: &mut Findings,
    [field, minor_field, currency_field]: [&'static str; 3],
    amount: Option<pb::Money>,
    read_currency: fn(&mut Findings, &'static str, &str) -> Option<Currency>,
) -> Option<Money> {
    let Some(amount) = amount else {
        findings.add(field, "an amount and its currency", "nothing");
        return None;
    };
    let minor = (1..=MAX_AMOUNT_MINOR).contains(&amount.amount_minor);
    if !minor {
        let got = amount.amount_minor.to_string();
        // Whoever mixes up two fields may have written a card number here.
        if findings.no_clear_card(minor_field, &got) {
            let digits = got.trim_start_matches('-').len();
            let got = if digits > MOST_DIGITS_SHOWN {
                format!("a number of {digits} digits")
            } else {
                got
            };
            let expected = "1 to 999999999999 minor units";
            findings.add(minor_field, expected, got);
        }
    }
    let currency = read_currency(findings, currency_field, &amount.currency)?;
    // The range is the domain's own, so that this can only fail where a violation was noted.
    Money::new(amount.amount_minor, currency)
        .ok()
        .filter(|_| minor)
}

/// Reads the currency of something that begins: one that cards pay in today. What goes on with a payment, and what is
/// looked for, may be in one of before.
pub(crate) fn currency_to_pay_in(
    findings: &mut Findings,
    field: &'static str,
    code: &str,
) -> Option<Currency> {
    let currency = currency(findings, field, code)?;
    let read = currency.is_paid_in().map(|()| currency);
    let read = read.map_err(|why| format!("\"{currency}\", {why}"));
    findings.keep(field, "a currency that cards pay in", read)
}

/// Reads a currency.
pub(crate) fn currency(
    findings: &mut Findings,
    field: &'static str,
    code: &str,
) -> Option<Currency> {
    /// A longer code is described by its length.
    const MAX_SHOWN: usize = 8;
    if !findings.no_clear_card(field, code) {
        return None;
    }
    let read = code.parse().map_err(|_| {
        if (1..=MAX_SHOWN).contains(&code.len()) && code.chars().all(is_printable_ascii) {
            format!("{code:?}")
        } else {
            length_of(code)
        }
    });
    findings.keep(field, "an ISO 4217 code such as \"EUR\"", read)
}
