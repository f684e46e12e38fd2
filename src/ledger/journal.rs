//! A journal: lines that belong together, and sum to zero for each currency.

use std::fmt::{self, Write as _};

use ring::digest::{SHA256, digest};

use super::account::Account;
use crate::payment::moment::UnixMillis;
use crate::payment::money::Currency;

/// The most lines of one journal.
pub const MAX_LINES: usize = 64;

/// What a journal says, as the text that is hashed: its id, its time and its lines, each on a line of its own that
/// ends with a line feed. No part of it holds a space or a line feed itself.
#[must_use]
pub fn canonical_text<L: fmt::Display>(id: &str, at: UnixMillis, lines: &[L]) -> String {
    let mut text = format!("payswitch journal 1\n{id}\n{}\n", at.as_i64());
    for line in lines {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{line}");
    }
    text
}

/// One line of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The account.
    pub account: Account,
    /// Of the amount.
    pub currency: Currency,
    /// Minor units, not 0: a debit is positive, a credit negative.
    pub amount_minor: i64,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account {
            kind,
            merchant_id,
            host_id,
        } = self.account;
        let (currency, amount_minor) = (self.currency, self.amount_minor);
        write!(
            f,
            "{kind} {merchant_id} {host_id} {currency} {amount_minor}"
        )
    }
}

/// Lines that are written together, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    id: String,
    at: UnixMillis,
    lines: Vec<Line>,
}

/// Lines that make no journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// There are none, or too many.
    #[error("expected 1 to {MAX_LINES} lines, got {got}")]
    Lines {
        /// How many there are.
        got: usize,
    },
    /// An amount that is moved from one account to another is not above 0.
    #[error("expected an amount above 0, got {got_minor} minor units")]
    Amount {
        /// The amount, in minor units.
        got_minor: i64,
    },
    /// A line says nothing.
    #[error("expected lines with an amount, got 0 {currency}")]
    Zero {
        /// The line's currency.
        currency: Currency,
    },
    /// The sum of a currency is not zero.
    #[error("expected lines that sum to zero, got {sum_minor} minor units of {currency}")]
    Unbalanced {
        /// The currency.
        currency: Currency,
        /// Its sum, in minor units.
        sum_minor: i64,
    },
    /// A sum does not fit into 64 bits.
    #[error("expected lines whose sum fits into 64 bits, of {currency}")]
    Overflow {
        /// The currency.
        currency: Currency,
    },
    /// A payment's captures, refunds and disputes change together.
    #[error("expected a change of one of captures, refunds and disputes, got several")]
    SeveralMovements,
}

impl Journal {
    /// A journal. `id` is unique: what caused it, ':', and the name of its template.
    ///
    /// # Errors
    /// When there are no lines or more than [`MAX_LINES`], a line has no amount, or a currency does not sum to
    /// zero.
    pub fn new(id: String, at: UnixMillis, lines: Vec<Line>) -> Result<Self, JournalError> {
        if !(1..=MAX_LINES).contains(&lines.len()) {
            return Err(JournalError::Lines { got: lines.len() });
        }
        for line in &lines {
            let currency = line.currency;
            if line.amount_minor == 0 {
                return Err(JournalError::Zero { currency });
            }
            let mut amounts = lines
                .iter()
                .filter(|other| other.currency == currency)
                .map(|other| other.amount_minor);
            let sum = amounts.try_fold(0_i64, i64::checked_add);
            match sum {
                Some(0) => {}
                Some(sum_minor) => {
                    return Err(JournalError::Unbalanced {
                        currency,
                        sum_minor,
                    });
                }
                None => return Err(JournalError::Overflow { currency }),
            }
        }
        Ok(Self { id, at, lines })
    }

    /// What caused it, ':', and the name of its template.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When what it records happened.
    #[must_use]
    pub fn at(&self) -> UnixMillis {
        self.at
    }

    /// Its lines, in order.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// SHA-256 of its [`canonical_text`].
    #[must_use]
    pub fn content_hash(&self) -> [u8; 32] {
        let text = canonical_text(&self.id, self.at, &self.lines);
        let hash = digest(&SHA256, text.as_bytes());
        hash.as_ref().try_into().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::AccountKind;
    use super::*;

    fn line(kind: AccountKind, currency: &str, amount_minor: i64) -> Line {
        Line {
            account: Account {
                kind,
                merchant_id: "demo-shop".parse().unwrap(),
                host_id: "acquirer".parse().unwrap(),
            },
            currency: currency.parse().unwrap(),
            amount_minor,
        }
    }

    fn journal(lines: &[(&str, i64)]) -> Result<Journal, JournalError> {
        let lines = lines
            .iter()
            .map(|(currency, amount_minor)| line(AccountKind::Suspense, currency, *amount_minor))
            .collect();
        Journal::new("op_1:correction".into(), UnixMillis::new(7), lines)
    }

    #[test]
    fn only_lines_that_sum_to_zero_for_each_currency_are_a_journal() {
        let eur: Currency = "EUR".parse().unwrap();
        let unbalanced = |sum_minor| JournalError::Unbalanced {
            currency: eur,
            sum_minor,
        };
        let many: Vec<_> = (0..=MAX_LINES).map(|_| ("EUR", 1)).collect();
        for (lines, error) in [
            (vec![], JournalError::Lines { got: 0 }),
            (many, JournalError::Lines { got: 65 }),
            (vec![("EUR", 0)], JournalError::Zero { currency: eur }),
            (vec![("EUR", 5)], unbalanced(5)),
            (vec![("EUR", 5), ("USD", -5)], unbalanced(5)),
            (vec![("EUR", 5), ("EUR", -4), ("EUR", -2)], unbalanced(-1)),
            (
                vec![("EUR", i64::MAX), ("EUR", 1), ("EUR", i64::MIN)],
                JournalError::Overflow { currency: eur },
            ),
        ] {
            assert_eq!(journal(&lines), Err(error), "{lines:?}");
        }
        let pair = [("EUR", 5), ("USD", -7), ("EUR", -5), ("USD", 7)];
        assert!(journal(&pair).is_ok());
    }

    #[test]
    fn what_a_journal_says_is_a_text_that_anybody_can_hash() {
        let lines = vec![
            line(AccountKind::Receivable, "EUR", 1250),
            line(AccountKind::PayablePending, "EUR", -1250),
        ];
        let journal = Journal::new("op_1:capture".into(), UnixMillis::new(7), lines).unwrap();
        assert_eq!(
            canonical_text(journal.id(), journal.at(), journal.lines()),
            "payswitch journal 1\nop_1:capture\n7\n\
             RECEIVABLE demo-shop acquirer EUR 1250\n\
             PAYABLE_PENDING demo-shop acquirer EUR -1250\n"
        );
        // By sha256sum of coreutils 9.1.
        assert_eq!(
            iso8583::hex::encode_lower(&journal.content_hash()),
            "3078d373922cad46dfeadbffb23bb4b8e5021b73fca6c27163a52c27e37cf9aa"
        );
    }
}
