//! Captures, refunds and disputes that no message asks an issuer for: a clearing file tells them, or an operator.

use time::OffsetDateTime;

use super::{
    Books,
    history::Standing,
    request::{CardRequest, ExchangeKey, MessageKind, PaymentKind},
};
use crate::{outcome::Effect, random::HashMap};

/// One capture, refund or dispute.
#[derive(Debug)]
pub(crate) struct Presentment {
    /// RRN and terminal are those of the authorization, or of what is refunded or disputed; the rest only tells it
    /// from others.
    pub(crate) key: ExchangeKey,
    pub(crate) kind: PaymentKind,
    /// Whether it is posted against the hold of its authorization, and not without one.
    pub(crate) is_from_hold: bool,
    pub(crate) amount_minor: i64,
    pub(crate) currency_numeric: u16,
}

/// What an issuer knows of a presentment.
#[derive(Debug, Default)]
pub(crate) struct Presented {
    /// BIN and last four digits of the card; `None` when the issuer knows no payment under its RRN.
    pub(crate) masked_pan: Option<String>,
    /// Whether the account was debited or credited.
    pub(crate) is_posted: bool,
}

impl Books {
    /// Posts what is presented, as far as the books know the payment: a capture against the hold of its authorization,
    /// a refund or a dispute on its card.
    pub(super) fn present(
        &mut self,
        presentments: &[Presentment],
        now: OffsetDateTime,
    ) -> Vec<Presented> {
        let known: HashMap<_, _> = self
            .history()
            .in_order()
            .into_iter()
            .filter(|(_, exchange)| exchange.standing != Standing::Declined)
            .map(|(key, exchange)| ((key.rrn, key.terminal), (*key, exchange.card)))
            // The first of an RRN is what the others refer to.
            .rev()
            .collect();
        let presented = presentments.iter().map(|presentment| {
            let of_rrn = known.get(&(presentment.key.rrn, presentment.key.terminal));
            let card = of_rrn.and_then(|(key, card)| Some((*key, self.card(*card)?)));
            let Some((original, card)) = card else {
                return Presented::default();
            };
            let masked_pan = Some(card.masked_pan.clone());
            let is_hold = original.kind == MessageKind::Authorization;
            let is_posted = (is_hold || !presentment.is_from_hold) && {
                let request = CardRequest {
                    key: presentment.key,
                    pan: card.pan.clone(),
                    kind: presentment.kind,
                    amount_minor: presentment.amount_minor,
                    currency_numeric: presentment.currency_numeric,
                    expiry_yymm: None,
                    cvv2: None,
                    pin_block: None,
                    original: presentment.is_from_hold.then_some(original),
                };
                self.decide(&request, now).effect != Effect::None
            };
            Presented {
                masked_pan,
                is_posted,
            }
        });
        presented.collect()
    }
}
