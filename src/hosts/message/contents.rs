//! What a message is made from: an operation, a merchant, a card.

use std::fmt;

use crate::payment::merchant::Merchant;
use crate::payment::record::Operation;

/// The card, opened: clear text that lives until the request is encoded, and nowhere else.
#[derive(Clone, Copy)]
pub struct CardFields<'a> {
    /// Primary account number, digits only: DE 2.
    pub pan: &'a str,
    /// Expiry date as YYMM: DE 14.
    pub expiry_yymm: &'a str,
    /// Card verification value, three or four digits, where the customer gave one.
    pub cvv: Option<&'a str>,
}

/// Shows that there is a card, and nothing of it.
impl fmt::Debug for CardFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardFields")
            .field("pan", &"***")
            .field("expiry_yymm", &"***")
            .field("cvv", &self.cvv.map(|_| "***"))
            .finish()
    }
}

/// Everything that a request may say.
#[derive(Debug, Clone, Copy)]
pub(in crate::hosts) struct Contents<'a> {
    pub(in crate::hosts) operation: &'a Operation,
    pub(in crate::hosts) merchant: &'a Merchant,
    pub(in crate::hosts) card: Option<CardFields<'a>>,
}
