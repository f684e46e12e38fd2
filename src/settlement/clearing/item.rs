//! What a clearing file claims.

use std::fmt;

use crate::payment::ids::SubjectId;
use crate::payment::money::Money;
use crate::payment::reference::Rrn;
use crate::payment::settlement::ItemKind;

/// A card number in clear, or a token for one. It never shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CardNumber<'a>(pub &'a str);

impl fmt::Debug for CardNumber<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardNumber(..)")
    }
}

/// A capture or a refund, and what a bank may want to know of it. What is not known stays empty in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClearingItem<'a> {
    /// To the merchant, or from the merchant.
    pub kind: ItemKind,
    /// The capture or refund: our reference.
    pub subject_id: SubjectId,
    /// How much.
    pub amount: Money,
    /// DE 42: who took the card.
    pub acceptor_id: &'a str,
    /// DE 41: where.
    pub terminal_id: &'a str,
    /// DE 37 of what the bank knows it by.
    pub rrn: Rrn,
    /// DE 38 of the approval.
    pub approval_code: Option<&'a str>,
    /// The card number as it may be shown, such as `411111******1111`.
    pub card_masked: Option<&'a str>,
    /// The card number itself, for a bank that can't do without.
    pub card_number: Option<CardNumber<'a>>,
    /// The acquirer's reference: 23 digits.
    pub acquirer_reference: Option<&'a str>,
    /// DE 18: the merchant's category code.
    pub mcc: Option<&'a str>,
    /// When the card was taken, by the merchant's clock: `YYYYMMDDhhmmss`.
    pub local_date_time: Option<&'a str>,
    /// DE 43: the merchant's name and place.
    pub name_location: Option<&'a str>,
    /// DE 15 of the approval, as it came: `MMDD`.
    pub settlement_date: Option<&'a str>,
}
