//! A merchant's statement: what moved its balance within a period, and the balance after each line.
//!
//! - [`csv`]: the statement for other programs. [`pdf`]: the statement for people.

use std::fmt;

use crate::ledger::template::{AnyTemplate, Template};
use crate::payment::merchant::Merchant;
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;

pub mod csv;
pub mod pdf;

/// The longest reference of a line, in characters.
pub const MAX_REFERENCE_LENGTH: usize = 64;
/// The longest description of a line, in characters.
pub const MAX_DESCRIPTION_LENGTH: usize = 200;
/// How much of a refused text an error shows, in characters.
const MAX_SHOWN: usize = 40;

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineKind {
    /// A capture, or a sale.
    Capture,
    /// A refund.
    Refund,
    /// A fee that belongs to no other line.
    Fee,
    /// Money kept back against later losses.
    Reserve,
    /// Reserved money that is free again.
    ReserveRelease,
    /// Money sent to the merchant's bank account.
    Payout,
    /// A payout that came back.
    PayoutReturn,
    /// A payment that the cardholder's bank took back.
    Chargeback,
    /// A correction of an earlier line.
    Correction,
}

impl LineKind {
    /// As what a merchant is shown a journal of this template; none where it changes nothing of what is owed.
    #[must_use]
    pub const fn of(template: AnyTemplate) -> Option<Self> {
        use Template as T;
        Some(match template {
            AnyTemplate::Moves(template) => match template {
                T::Capture | T::CaptureRefused | T::Sale | T::SaleRefused | T::SaleVoided => {
                    Self::Capture
                }
                T::Refund | T::RefundRefused => Self::Refund,
                T::Reserve => Self::Reserve,
                T::ReserveReleased => Self::ReserveRelease,
                T::Payout => Self::Payout,
                T::PayoutReturned | T::PayoutGivenBack => Self::PayoutReturn,
                T::Chargeback | T::ChargebackReversed => Self::Chargeback,
                T::PayoutCredited => return None,
            },
            AnyTemplate::Settled | AnyTemplate::Fee => Self::Fee,
            AnyTemplate::Correction | AnyTemplate::CorrectionOfMerchant => Self::Correction,
            AnyTemplate::Exchange => return None,
        })
    }

    /// The name in the CSV.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Capture => "CAPTURE",
            Self::Refund => "REFUND",
            Self::Fee => "FEE",
            Self::Reserve => "RESERVE",
            Self::ReserveRelease => "RESERVE_RELEASE",
            Self::Payout => "PAYOUT",
            Self::PayoutReturn => "PAYOUT_RETURN",
            Self::Chargeback => "CHARGEBACK",
            Self::Correction => "CORRECTION",
        }
    }
}

/// The days of a statement, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Period {
    first: BusinessDate,
    last: BusinessDate,
}

/// A period that ends before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a period that ends on {first} or later, got one that ends on {last}")]
pub struct InvalidPeriod {
    /// The first day.
    pub first: BusinessDate,
    /// The last day.
    pub last: BusinessDate,
}

impl Period {
    /// The days from `first` to `last`.
    ///
    /// # Errors
    /// When `last` is before `first`.
    pub fn new(first: BusinessDate, last: BusinessDate) -> Result<Self, InvalidPeriod> {
        if first <= last {
            Ok(Self { first, last })
        } else {
            Err(InvalidPeriod { first, last })
        }
    }

    /// The first day.
    #[must_use]
    pub fn first(self) -> BusinessDate {
        self.first
    }

    /// The last day.
    #[must_use]
    pub fn last(self) -> BusinessDate {
        self.last
    }

    /// Whether `date` is one of its days.
    #[must_use]
    pub fn contains(self, date: BusinessDate) -> bool {
        (self.first..=self.last).contains(&date)
    }
}

/// Shows `2026-11-01 to 2026-11-30`.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.first, self.last)
    }
}

/// One change of the balance. Amounts are in minor units of the statement's currency, and negative where
/// money leaves the merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementLine {
    /// Its day, within the period of the statement.
    pub date: BusinessDate,
    /// What it is about.
    pub kind: LineKind,
    /// What the merchant finds it by, for instance the id of a capture: at most
    /// [`MAX_REFERENCE_LENGTH`] characters, none of them a control character.
    pub reference: String,
    /// For people: at most [`MAX_DESCRIPTION_LENGTH`] characters, none of them a control character.
    pub description: String,
    /// The amount before fees.
    pub gross_minor: i64,
    /// What the merchant pays for it; negative where fees are given back.
    pub fees_minor: i64,
    /// What the balance changes by: gross less fees.
    pub net_minor: i64,
    /// The balance after this line.
    pub balance_minor: i64,
}

/// A text column of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextColumn {
    /// [`StatementLine::reference`].
    Reference,
    /// [`StatementLine::description`].
    Description,
}

impl TextColumn {
    const fn max_length(self) -> usize {
        match self {
            Self::Reference => MAX_REFERENCE_LENGTH,
            Self::Description => MAX_DESCRIPTION_LENGTH,
        }
    }
}

impl fmt::Display for TextColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference => "reference",
            Self::Description => "description",
        })
    }
}

/// Lines that make no statement. Lines count from 1; sums are wider than amounts, so that none overflows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStatement {
    /// A line outside the period.
    #[error("line {line}: expected a date within {period}, got {got}")]
    Date {
        /// Which line.
        line: usize,
        /// The period of the statement.
        period: Period,
        /// The date as it came.
        got: BusinessDate,
    },
    /// A text that is too long or holds a control character.
    #[error(
        "line {line}, {column}: expected at most {max_length} characters without control characters, \
         got {got:?} of {got_length} characters"
    )]
    Text {
        /// Which line.
        line: usize,
        /// Which text of it.
        column: TextColumn,
        /// The most characters that it may have.
        max_length: usize,
        /// The text as it came, cut to 40 characters.
        got: String,
        /// How many characters it had.
        got_length: usize,
    },
    /// A net amount that is not gross less fees.
    #[error("line {line}: expected a net amount of {expected_minor} minor units, got {got_minor}")]
    Net {
        /// Which line.
        line: usize,
        /// Gross less fees.
        expected_minor: i128,
        /// The net amount as it came.
        got_minor: i64,
    },
    /// A balance that does not follow from the one before.
    #[error("line {line}: expected a balance of {expected_minor} minor units, got {got_minor}")]
    Balance {
        /// Which line.
        line: usize,
        /// The balance before, and the net amount.
        expected_minor: i128,
        /// The balance as it came.
        got_minor: i64,
    },
    /// A closing balance that is not the balance after the last line.
    #[error("expected a closing balance of {expected_minor} minor units, got {got_minor}")]
    Closing {
        /// The balance after the last line; the opening balance where there is none.
        expected_minor: i64,
        /// The closing balance as it came.
        got_minor: i64,
    },
}

/// A statement whose amounts add up: opening balance and lines make the closing balance, line by line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    merchant: Merchant,
    period: Period,
    currency: Currency,
    opening_minor: i64,
    lines: Vec<StatementLine>,
    closing_minor: i64,
}

impl Statement {
    /// The statement of `merchant` for `period`, with its lines in the order in which they moved the
    /// balance. Their dates need not ascend: the days of two hosts end at different times.
    ///
    /// # Errors
    /// When a date is outside the period, a text is too long or holds control characters, or the amounts
    /// do not add up.
    pub fn new(
        merchant: Merchant,
        period: Period,
        currency: Currency,
        opening_minor: i64,
        lines: Vec<StatementLine>,
        closing_minor: i64,
    ) -> Result<Self, InvalidStatement> {
        let balance_minor =
            lines
                .iter()
                .zip(1..)
                .try_fold(opening_minor, |before, (entry, line)| {
                    check_line(entry, line, period, before)?;
                    Ok(entry.balance_minor)
                })?;
        if balance_minor != closing_minor {
            return Err(InvalidStatement::Closing {
                expected_minor: balance_minor,
                got_minor: closing_minor,
            });
        }
        Ok(Self {
            merchant,
            period,
            currency,
            opening_minor,
            lines,
            closing_minor,
        })
    }

    /// Whose statement it is.
    #[must_use]
    pub fn merchant(&self) -> &Merchant {
        &self.merchant
    }

    /// Its days.
    #[must_use]
    pub fn period(&self) -> Period {
        self.period
    }

    /// The currency of every amount.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The balance before the first line, in minor units.
    #[must_use]
    pub fn opening_minor(&self) -> i64 {
        self.opening_minor
    }

    /// What moved the balance.
    #[must_use]
    pub fn lines(&self) -> &[StatementLine] {
        &self.lines
    }

    /// The balance after the last line, in minor units.
    #[must_use]
    pub fn closing_minor(&self) -> i64 {
        self.closing_minor
    }
}

fn check_line(
    entry: &StatementLine,
    line: usize,
    period: Period,
    balance_before: i64,
) -> Result<(), InvalidStatement> {
    if !period.contains(entry.date) {
        return Err(InvalidStatement::Date {
            line,
            period,
            got: entry.date,
        });
    }
    check_text(&entry.reference, line, TextColumn::Reference)?;
    check_text(&entry.description, line, TextColumn::Description)?;
    let net = i128::from(entry.gross_minor) - i128::from(entry.fees_minor);
    if net != i128::from(entry.net_minor) {
        return Err(InvalidStatement::Net {
            line,
            expected_minor: net,
            got_minor: entry.net_minor,
        });
    }
    let balance = i128::from(balance_before) + net;
    if balance != i128::from(entry.balance_minor) {
        return Err(InvalidStatement::Balance {
            line,
            expected_minor: balance,
            got_minor: entry.balance_minor,
        });
    }
    Ok(())
}

fn check_text(text: &str, line: usize, column: TextColumn) -> Result<(), InvalidStatement> {
    let (max_length, got_length) = (column.max_length(), text.chars().count());
    if got_length <= max_length && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(InvalidStatement::Text {
        line,
        column,
        max_length,
        got: text.chars().take(MAX_SHOWN).collect(),
        got_length,
    })
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
