//! A capture is disputed: its issuer charges it back, or gives back what it charged back. No message tells a switch of
//! it, so it only stands in the settlement report.

use time::Date;

use super::{
    book::{Book, MAX_AMOUNT_MINOR},
    error::SettlementError,
    item::{Item, ItemKey, ItemKind, NewItem, Padded},
};
use crate::issuer::{ExchangeKey, Issuer, MessageKind, Presentment};

/// A dispute that is to be booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// DE 37 of the capture. When several captures have it, the one that was booked first is meant.
    pub rrn: String,
    /// In minor units; `None` means the whole capture. It may be more than the capture, as real banks send that too.
    pub amount_minor: Option<i64>,
    /// Whether the issuer gives money back, whatever it has charged back before.
    pub gives_back: bool,
}

/// A dispute as it is booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookedDispute {
    /// The date that it is booked under.
    pub business_date: Date,
    /// In minor units.
    pub amount_minor: i64,
    /// DE 49 of the capture, the numeric code of ISO 4217.
    pub currency_numeric: u16,
    /// Whether an issuer of this simulator credited or debited the card.
    pub is_posted: bool,
}

/// Books a dispute, and lets the issuer post it that knows the payment.
pub(super) fn take<'a>(
    book: &mut Book,
    dispute: &Dispute,
    mut issuers: impl Iterator<Item = &'a Issuer>,
) -> Result<BookedDispute, SettlementError> {
    let (key, mut booked) = book.dispute(dispute)?;
    let presentment = presentment(&key, booked.amount_minor);
    let presented = issuers.find_map(|issuer| {
        let presented = issuer.present(std::slice::from_ref(&presentment));
        presented.into_iter().find(|it| it.masked_pan.is_some())
    });
    booked.is_posted = presented.is_some_and(|presented| presented.is_posted);
    Ok(booked)
}

impl Book {
    /// Books a dispute with the place, the approval code and the card of its capture.
    pub(super) fn dispute(
        &mut self,
        dispute: &Dispute,
    ) -> Result<(ItemKey, BookedDispute), SettlementError> {
        let rrn = Padded::of(dispute.rrn.as_bytes());
        let captures = self.items.iter();
        let captures = captures.filter(|(key, _)| key.rrn == rrn && key.kind == ItemKind::Capture);
        let first = captures.min_by_key(|(key, _)| key.number);
        let (capture, captured) = first.ok_or_else(|| SettlementError::UnknownCapture {
            rrn: dispute.rrn.clone(),
        })?;
        let amount_minor = dispute.amount_minor.unwrap_or(captured.amount_minor);
        if !(1..=MAX_AMOUNT_MINOR).contains(&amount_minor) {
            return Err(SettlementError::DisputeAmount { amount_minor });
        }
        let kind = if dispute.gives_back {
            ItemKind::ChargebackReversed
        } else {
            ItemKind::Chargeback
        };
        let item = NewItem {
            kind,
            rrn,
            amount_minor,
            approval_code: captured.approval_code,
            card_masked: captured.card_masked.clone(),
        };
        let place = capture.place();
        if !self.has_room_for(1) {
            return Err(SettlementError::Full);
        }
        let business_date = self.date_of(&place);
        let key = self.new_key(place, &item);
        self.items
            .insert(key, Item::new(item, amount_minor, business_date));
        let booked = BookedDispute {
            business_date,
            amount_minor,
            currency_numeric: place.currency_numeric,
            is_posted: false,
        };
        Ok((key, booked))
    }
}

/// A dispute as an issuer takes it. A dispute has no STAN and no time: its number in the books stands for them. The
/// number begins with zeros, which no message's time does.
fn presentment(key: &ItemKey, amount_minor: i64) -> Presentment {
    let mut stan = *b"000000";
    let mut transmitted = *b"0000000000";
    let mut rest = key.number;
    for place in stan.iter_mut().rev().chain(transmitted.iter_mut().rev()) {
        *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    Presentment {
        key: ExchangeKey {
            kind: MessageKind::FinancialAdvice,
            stan,
            transmitted,
            rrn: key.rrn.bytes(),
            terminal: key.terminal.bytes(),
        },
        kind: key.kind.payment_kind(),
        is_from_hold: false,
        amount_minor,
        currency_numeric: key.currency_numeric,
    }
}
