//! The card of a later message, from custody.

use crate::card::custody::KeptCard;
use crate::hosts::message::contents::CardFields;
use crate::hosts::message::definition::MessageProfile;
use crate::payment::custody::CustodyEntry;
use crate::payment::record::{Operation, Payment};

use super::card_custody::CardCustodyError;
use super::machine::Operations;

/// Why there is no card.
pub(super) enum NoCard {
    /// None is kept.
    Gone,
    /// The store does not say.
    NotNow,
}

impl Operations {
    /// The card in custody, where the message of an operation needs one. `known` is what was read of it before.
    ///
    /// # Errors
    /// When it needs one, and there is none.
    pub(super) async fn kept_card(
        &self,
        payment: &Payment,
        operation: &Operation,
        known: Option<CustodyEntry>,
    ) -> Result<Option<KeptCard>, NoCard> {
        let message = self.hosts.message(operation.host_id, operation.kind);
        if !message.is_some_and(MessageProfile::needs_card) {
            return Ok(None);
        }
        let card = self
            .custody
            .card_of(&payment.merchant_id, payment.id, known);
        match card.await {
            Ok(Some(card)) => Ok(Some(card)),
            Ok(None) => Err(NoCard::Gone),
            Err(CardCustodyError::Store(error)) => {
                tracing::warn!(payment.id = %payment.id, %error, "A card in custody can't be read");
                Err(NoCard::NotNow)
            }
            Err(error) => {
                tracing::error!(payment.id = %payment.id, %error, "A card in custody does not open");
                Err(NoCard::Gone)
            }
        }
    }
}

/// The card as a message names it.
pub(super) fn fields_of(card: &KeptCard) -> CardFields<'_> {
    CardFields {
        pan: card.pan.digits(),
        expiry_yymm: card.expiry.yymm(),
        cvv: None,
    }
}
