//! A card as its issuer knows it: what is checked before any money is looked at.

use time::OffsetDateTime;

use super::{
    pin::{MAX_PIN_TRIES, ZonePinKey},
    request::CardRequest,
};
use crate::{currency::Currency, response_code::ResponseCode};

/// Whether a card may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CardStatus {
    Active,
    Blocked,
    Lost,
    Stolen,
}

/// When an issuer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    AtOnce,
    Late,
    Never,
}

/// The highest amount of one payment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    /// In whole units of its currency.
    pub(crate) whole_units: i64,
    /// Whether so much is approved of what is above it. It is declined otherwise.
    pub(crate) approves_part: bool,
}

/// A card to open in the books, with an account in each of its currencies.
pub(crate) struct CardToOpen<'a> {
    pub(crate) pan: &'a str,
    pub(crate) expiry_yymm: [u8; 4],
    /// `None` when every CVV2 is wrong.
    pub(crate) cvv2: Option<&'a str>,
    pub(crate) pin: &'a str,
    pub(crate) status: CardStatus,
    pub(crate) delivery: Delivery,
    pub(crate) limit: Option<Limit>,
    pub(crate) accounts: &'a [AccountToOpen],
}

/// An account to open, in minor units of its currency.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccountToOpen {
    pub(crate) currency: Currency,
    pub(crate) balance_minor: i64,
    /// How far the balance may go below zero.
    pub(crate) credit_line_minor: i64,
}

pub(super) struct Card {
    pub(super) masked_pan: String,
    pub(super) pan: String,
    pub(super) expiry_yymm: [u8; 4],
    pub(super) cvv2: Option<String>,
    pub(super) pin: String,
    pub(super) wrong_pins: u8,
    pub(super) status: CardStatus,
    pub(super) delivery: Delivery,
    pub(super) limit: Option<Limit>,
    /// Numeric currency code and index into the accounts.
    pub(super) accounts: Vec<(u16, u32)>,
}

impl Card {
    /// The checks of the card itself, in the order in which an issuer makes them: status, expiry,
    /// CVV2, PIN. What the message does not bring is not checked.
    pub(super) fn check(
        &mut self,
        request: &CardRequest,
        key: &ZonePinKey,
        now: OffsetDateTime,
    ) -> Result<(), ResponseCode> {
        match self.status {
            CardStatus::Active => {}
            CardStatus::Blocked => return Err(ResponseCode::RESTRICTED_CARD),
            CardStatus::Lost => return Err(ResponseCode::LOST_CARD),
            CardStatus::Stolen => return Err(ResponseCode::STOLEN_CARD),
        }
        if request
            .expiry_yymm
            .is_some_and(|expiry| expiry != self.expiry_yymm)
            || has_expired(self.expiry_yymm, now)
        {
            return Err(ResponseCode::EXPIRED_CARD);
        }
        if request.cvv2.is_some() && request.cvv2 != self.cvv2 {
            return Err(ResponseCode::CVV_MISMATCH);
        }
        if let Some(block) = request.pin_block {
            self.check_pin(key, block)?;
        }
        Ok(())
    }

    fn check_pin(&mut self, key: &ZonePinKey, block: [u8; 8]) -> Result<(), ResponseCode> {
        if self.wrong_pins >= MAX_PIN_TRIES {
            return Err(ResponseCode::PIN_TRIES_EXCEEDED);
        }
        if key.holds(block, &self.pin, &self.pan) {
            self.wrong_pins = 0;
            return Ok(());
        }
        self.wrong_pins += 1;
        Err(ResponseCode::INCORRECT_PIN)
    }
}

/// A card is good until the end of its month, in UTC. A date that is none has expired.
fn has_expired(expiry_yymm: [u8; 4], now: OffsetDateTime) -> bool {
    let [tens, units, month_tens, month_units] =
        expiry_yymm.map(|digit| i32::from(digit) - i32::from(b'0'));
    let expires = (2_000 + tens * 10 + units) * 12 + month_tens * 10 + month_units;
    expires < now.year() * 12 + i32::from(u8::from(now.month()))
}

/// BIN and last four: `411111******1111`.
pub(crate) fn masked(pan: &str) -> String {
    let shown_at_the_end = pan.len().saturating_sub(4);
    pan.char_indices()
        .map(|(place, digit)| {
            if place < 6 || place >= shown_at_the_end {
                digit
            } else {
                '*'
            }
        })
        .collect()
}
