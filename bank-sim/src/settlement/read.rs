//! The item that a message makes, from the request and the issuer's answer.

use super::item::{ItemKind, NewItem, Padded, Place};
use crate::{
    config::HostRules,
    issuer::{PaymentKind, digits, masked, number, pan},
    message::BankMessage,
};

/// Where a message was sent from. What it does not say is blank, or 0.
pub(super) fn place(message: &BankMessage) -> Place {
    Place {
        acceptor: Padded::of(message.get(42).unwrap_or_default()),
        terminal: Padded::of(message.get(41).unwrap_or_default()),
        currency_numeric: number(message, 49, "3 digits").unwrap_or_default(),
    }
}

/// The item of a sale, a capture or a refund that an issuer approved, perhaps for less than it asked for. `None` when
/// it moves no money.
pub(super) fn item(
    request: &BankMessage,
    issuers: &BankMessage,
    rules: HostRules,
) -> Option<NewItem> {
    let kind = match PaymentKind::of(digits(request, 3).ok()?, rules) {
        PaymentKind::Debit => ItemKind::Capture,
        PaymentKind::Credit => ItemKind::Refund,
        PaymentKind::Other => return None,
    };
    let amount = |message| number::<i64>(message, 4, "12 digits").ok();
    let approval_code = issuers.get(38).or(request.get(38)).unwrap_or_default();
    Some(NewItem {
        kind,
        rrn: Padded::of(request.get(37)?),
        amount_minor: amount(issuers)
            .or(amount(request))
            .filter(|minor| *minor > 0)?,
        approval_code: Padded::of(approval_code),
        card_masked: pan(request).map(masked).unwrap_or_default(),
    })
}
