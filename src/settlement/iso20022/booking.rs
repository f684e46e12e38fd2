//! What a message of the bank says of one movement of money.

use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::settlement::bank_account::AccountNumber;
use crate::settlement::position::Position;

/// Where an entry stands at the bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryStatus {
    /// BOOK: it is on the account.
    Booked,
    /// PDNG: it may still change, or never be booked.
    Pending,
    /// INFO: it is told, and never booked.
    Information,
    /// Another code, or a bank's own word.
    Other(String),
}

/// One booking: an entry, or one of its transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// The account: its IBAN, or its other number.
    pub account: AccountNumber,
    /// The amount in minor units, never negative.
    pub amount_minor: i64,
    /// Its currency: the account's, where the file names that.
    pub currency: Currency,
    /// Whether the account is credited; otherwise it is debited.
    pub is_credit: bool,
    /// Whether it undoes an earlier booking. Its direction is `is_credit` all the same.
    pub is_reversal: bool,
    /// Where it stands. Only what is booked counts.
    pub status: EntryStatus,
    /// The date of the booking, as the bank has it; none while it is not booked, and where the bank does not say.
    pub booking_date: Option<BusinessDate>,
    /// The date from which it bears interest.
    pub value_date: Option<BusinessDate>,
    /// The bank's own reference (UTR): the transaction's, otherwise the entry's.
    pub servicer_reference: Option<String>,
    /// The payer's reference; none where there is none, and for `NOTPROVIDED`.
    pub end_to_end_id: Option<String>,
    /// Why a payment came back: a code, such as `AC04`, or the bank's own word.
    pub return_reason: Option<String>,
    /// What the payer or the bank says of it, its lines joined by `\n`: the transaction's, otherwise the entry's.
    pub text: Option<String>,
    /// The entry's number in the file, from 1.
    pub entry_number: u64,
    /// The transaction's number in its entry, from 1; 0 for an entry without transactions.
    pub transaction_number: u64,
    /// Where its transaction, or entry, begins in the file.
    pub position: Position,
}

impl Booking {
    /// Whether it counts: whether its money has moved.
    #[must_use]
    pub fn is_booked(&self) -> bool {
        self.status == EntryStatus::Booked
    }
}
