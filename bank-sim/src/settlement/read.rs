//! The items that messages make, and where they were made.

use super::item::{ItemKind, NewItem, Padded, Place, UploadKey};
use crate::{
    config::HostRules,
    issuer::{FormatError, PaymentKind, digits, masked, number, pan},
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

/// What tells an upload from all others. It must say all of where the item was made.
pub(super) fn upload_key(message: &BankMessage, rrn: Padded<12>) -> Result<UploadKey, FormatError> {
    number::<u16>(message, 49, "3 digits")?;
    for de in [41, 42] {
        required(message, de)?;
    }
    let transmitted = if message.is_of_1993() && message.get(7).is_none() {
        let [_, _, date_time @ ..]: [u8; 12] = digits(message, 12)?;
        date_time
    } else {
        digits(message, 7)?
    };
    Ok(UploadKey {
        stan: digits(message, 11)?,
        transmitted,
        rrn,
        place: place(message),
    })
}

/// The item of a sale, a capture or a refund that an issuer approved, perhaps for less than it asked for. `None` when
/// it moves no money.
pub(super) fn item(
    request: &BankMessage,
    issuers: &BankMessage,
    rules: HostRules,
) -> Option<NewItem> {
    let amount = amount_minor(issuers).or(amount_minor(request)).ok()?;
    let approval_code = issuers.get(38).or(request.get(38)).unwrap_or_default();
    Some(NewItem {
        kind: kind(request, rules).ok()?,
        rrn: Padded::of(request.get(37)?),
        amount_minor: amount,
        approval_code: Padded::of(approval_code),
        card_masked: pan(request).map(masked).unwrap_or_default(),
    })
}

/// The item that a switch uploads.
pub(super) fn uploaded_item(
    message: &BankMessage,
    rules: HostRules,
) -> Result<NewItem, FormatError> {
    Ok(NewItem {
        kind: kind(message, rules)?,
        rrn: Padded::of(required(message, 37)?),
        amount_minor: amount_minor(message)?,
        approval_code: Padded::of(message.get(38).unwrap_or_default()),
        card_masked: pan(message).map(masked).unwrap_or_default(),
    })
}

fn kind(message: &BankMessage, rules: HostRules) -> Result<ItemKind, FormatError> {
    match PaymentKind::of(digits(message, 3)?, rules) {
        PaymentKind::Debit => Ok(ItemKind::Capture),
        PaymentKind::Credit => Ok(ItemKind::Refund),
        PaymentKind::Other => Err(FormatError {
            de: 3,
            expected: "a capture or a refund",
        }),
    }
}

fn amount_minor(message: &BankMessage) -> Result<i64, FormatError> {
    let expected = "12 digits, more than 0";
    let minor: i64 = number(message, 4, expected)?;
    let is_some = minor > 0;
    is_some
        .then_some(minor)
        .ok_or(FormatError { de: 4, expected })
}

fn required(message: &BankMessage, de: u8) -> Result<&[u8], FormatError> {
    message.get(de).ok_or(FormatError {
        de,
        expected: "it to be there",
    })
}
