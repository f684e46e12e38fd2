//! What the bank says to an order, and what it makes of each transfer.

use crate::currency::Currency;

/// One transfer of an order that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Its id in the order.
    pub end_to_end_id: String,
    /// The bank's reference, always the same for an end-to-end id: 22 characters.
    pub utr: String,
    /// In minor units, more than 0.
    pub amount_minor: i64,
    /// The currency.
    pub currency: Currency,
    /// Why it came back, as ISO 20022 says it: AC04 where the creditor's account number ends in 0000. `None` when it
    /// was paid.
    pub return_reason: Option<&'static str>,
}

/// What the bank says to a payment order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderAnswer {
    /// It is paid, now or when the same bytes came first.
    Accepted {
        /// GrpHdr/MsgId.
        message_id: String,
        /// Its transfers, in order.
        transfers: Vec<Transfer>,
        /// Whether the same bytes had come before; nothing is paid again.
        is_duplicate: bool,
    },
    /// Nothing is paid.
    Refused {
        /// A status reason of ISO 20022, as in AM10.
        code: &'static str,
        /// What was expected, what came, and where.
        reason: String,
    },
}
