//! What every format of statements says, in the same words.

use crate::payment::bank_statement::{Balance, LineState, StatementKind};
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::settlement::bank_account::AccountNumber;
use crate::settlement::position::Position;

/// A part of a file, in the order of the file. Each statement begins, has its lines, and ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementPart {
    /// A statement begins.
    Begin(StatementHead),
    /// A line of it.
    Line(StatementLine),
    /// It ends.
    End(StatementEnd),
}

/// What a statement says before its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementHead {
    /// The account, as the bank writes it.
    pub account: AccountNumber,
    /// The bank's name of it. That of BAI2 is the key of its file: sender, date and number.
    pub id: String,
    /// Its number among the statements of the account.
    pub sequence: Option<u64>,
    /// The page of it that this is.
    pub page: Option<u64>,
    /// The currency of the account.
    pub currency: Currency,
    /// Whether the bank's day was over.
    pub kind: StatementKind,
    /// What it does to one that came before.
    pub purpose: StatementPurpose,
    /// The booked balance before its lines.
    pub opening: Option<Balance>,
    /// Where it begins in the file.
    pub position: Position,
}

/// What a statement does to one that came before. Only BAI2 says anything but `New`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatementPurpose {
    /// It adds its lines.
    New,
    /// It takes back what was told of the same day before.
    Deletion,
    /// It takes the place of what was told of the same day before.
    Correction,
    /// It tries out the way to here, and says nothing.
    Test,
}

/// A movement of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementLine {
    /// Its number in the file, from 1.
    pub number: u64,
    /// Whether it is booked.
    pub state: LineState,
    /// The date of the booking, as the bank has it.
    pub booking_date: Option<BusinessDate>,
    /// The date from which it bears interest.
    pub value_date: Option<BusinessDate>,
    /// Minor units: above 0 for a credit of the account, below 0 for a debit. A line that reverses another one has the
    /// direction of its own booking.
    pub amount_minor: i64,
    /// The currency of the amount, which is the account's.
    pub currency: Currency,
    /// The bank's own reference.
    pub bank_reference: Option<String>,
    /// The reference of whoever ordered the payment: the end-to-end id, or the owner's reference.
    pub own_reference: Option<String>,
    /// What else is said of it, its lines joined by `\n`.
    pub text: Option<String>,
    /// Whether it undoes an earlier line.
    pub reverses: bool,
    /// Where it begins in the file.
    pub position: Position,
}

/// What a statement says after its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementEnd {
    /// The booked balance after its lines.
    pub closing: Option<Balance>,
    /// How many lines it has.
    pub lines: u64,
}
