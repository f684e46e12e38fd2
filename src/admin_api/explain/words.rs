//! Moments to come, amounts and states for people; the labels of a payment's operations.

use serde::Serialize;

use crate::payment::amounts::Amounts;
use crate::payment::decline::Decline;
use crate::payment::ids::OperationId;
use crate::payment::moment::{UnixMillis, span};
use crate::payment::money::{Currency, Money};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::Operation;
use crate::payment::state::PaymentState;
use crate::random::HashMap;

/// A moment to come: `2026-11-29 02:40:51 UTC, in 40 s`.
pub(super) fn to_come(at: UnixMillis, now: UnixMillis) -> String {
    match at.as_i64() - now.as_i64() {
        ms if ms <= 0 => format!("{}, now", at.to_second()),
        ms => format!("{}, in {}", at.to_second(), span(ms)),
    }
}

/// Minor units of a currency, below zero too: `-12.50 EUR`; the number as it is where the currency is not known.
pub(super) fn amount(amount_minor: i64, currency: &str) -> String {
    let sign = if amount_minor < 0 { "-" } else { "" };
    let money = currency
        .parse::<Currency>()
        .ok()
        .zip(amount_minor.checked_abs());
    let money = money.and_then(|(currency, minor)| Money::new(minor, currency).ok());
    money.map_or_else(
        || format!("{amount_minor} minor units of {currency}"),
        |money| format!("{sign}{money}"),
    )
}

/// The amounts of a payment that are not zero.
pub(super) fn amounts(amounts: &Amounts, currency: Currency) -> String {
    let shown = |minor: i64| amount(minor, currency.code());
    let sums = [
        (
            amounts.authorized_minor,
            amounts.authorized_pending_minor,
            "authorized",
        ),
        (
            amounts.captured_minor,
            amounts.captured_pending_minor,
            "captured",
        ),
        (
            amounts.refunded_minor,
            amounts.refunded_pending_minor,
            "refunded",
        ),
        (amounts.released_minor, 0, "given back of the hold"),
        (amounts.disputed_minor, 0, "disputed"),
    ];
    let sums = sums.into_iter().filter(|(minor, ..)| *minor != 0);
    let parts: Vec<String> = sums
        .map(|(minor, pending, what)| match pending {
            0 => format!("{} {what}", shown(minor)),
            all if all == minor => format!("{} {what} (pending)", shown(minor)),
            part => format!("{} {what} ({} of it pending)", shown(minor), shown(part)),
        })
        .collect();
    match parts.as_slice() {
        [] => "nothing authorized".to_owned(),
        parts => parts.join(", "),
    }
}

/// The name of a variant in words, as records have it: `insufficient funds`.
pub(super) fn variant(variant: impl Serialize) -> String {
    let named = serde_json::to_value(variant).ok();
    let named = named.and_then(|name| name.as_str().map(|name| name.replace('_', " ")));
    named.unwrap_or_default()
}

/// Why something was declined, and the code that says so.
pub(super) fn declined(decline: &Decline) -> String {
    let reason = variant(decline.reason);
    match decline.is_own() {
        true => format!("{reason} of payswitch, no bank was asked"),
        false => format!("{reason}, DE 39 {}", decline.response_code),
    }
}

/// Where a payment stands, and why.
pub(super) fn state(state: &PaymentState) -> String {
    let name = state.name();
    match state {
        PaymentState::Authorizing {
            pending: Some(reason),
        } => format!("{name}, pending: {reason}"),
        PaymentState::Reversing { pending } => format!("{name}: {pending}"),
        PaymentState::Declined { decline } => {
            format!("{name}: {}", declined(decline))
        }
        PaymentState::Failed { reason } => format!("{name}: {}", variant(reason)),
        _ => name.to_owned(),
    }
}

/// What the operations of a payment are called in its explanation: by their kind, with a number where there are
/// several.
pub(super) struct Labels(HashMap<OperationId, String>);

impl Labels {
    /// Of all operations of a payment, oldest first.
    pub(super) fn of(operations: &[Operation]) -> Self {
        let of_kind = |kind: OperationKind| operations.iter().filter(move |it| it.kind == kind);
        let label = |operation: &Operation| {
            let name = operation.kind.name().to_lowercase();
            if of_kind(operation.kind).count() == 1 {
                return name;
            }
            let before = of_kind(operation.kind).take_while(|it| it.id != operation.id);
            format!("{name} {}", before.count() + 1)
        };
        Self(operations.iter().map(|it| (it.id, label(it))).collect())
    }

    pub(super) fn get(&self, id: OperationId) -> &str {
        self.0.get(&id).map_or("an operation", String::as_str)
    }
}
