//! Files that claim what a bank learns of by file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::{HostId, SubjectId};
use super::moment::{BusinessDate, UnixMillis};
use super::money::{Currency, Money};
use super::reference::Rrn;
use super::settlement::ItemKind;

/// What the items of a file sum to in one currency, captures and refunds added together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSum {
    /// The currency.
    pub currency: Currency,
    /// How many items.
    pub count: i64,
    /// Their sum, in minor units.
    pub sum_minor: i64,
}

/// What a bank has taken of a file in one currency and of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenSum {
    /// The currency in which it is settled.
    pub currency: Currency,
    /// The bank's code of the kind, such as `05`.
    pub transaction_code: String,
    /// How many items.
    pub count: i64,
    /// Their sum, in minor units.
    pub sum_minor: i64,
}

/// One reason why a bank rejects a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The record that it is about, where the bank has copied one.
    pub record: Option<RejectedRecord>,
    /// The field, in the bank's words.
    pub field: String,
    /// What it held, cut, and without card numbers.
    pub value: String,
    /// What is wrong with it, in the bank's words.
    pub error: String,
}

/// A record of the file that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRecord {
    /// Its kind: `1240` for an item.
    pub mti: String,
    /// The RRN of an item.
    pub rrn: Option<Rrn>,
}

/// What a bank says of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FileVerdict {
    /// It was taken.
    Accepted {
        /// What was taken, by currency and kind.
        taken: Vec<TakenSum>,
    },
    /// Nothing of it was taken.
    Rejected {
        /// Why: the first reasons.
        rejections: Vec<Rejection>,
        /// How many reasons there are.
        count: i64,
    },
}

impl FileVerdict {
    /// The name that the store and the API use.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "ACCEPTED",
            Self::Rejected { .. } => "REJECTED",
        }
    }

    /// Whether the bank has taken what a file claims: as many items, and the same sum, in each currency.
    #[must_use]
    pub fn agrees_with(&self, claimed: &[FileSum]) -> bool {
        fn sums(all: impl Iterator<Item = FileSum>) -> BTreeMap<&'static str, (i64, i64)> {
            let mut sums = BTreeMap::new();
            for it in all {
                let (count, minor): &mut (i64, i64) = sums.entry(it.currency.code()).or_default();
                *count = count.saturating_add(it.count);
                *minor = minor.saturating_add(it.sum_minor);
            }
            sums.retain(|_, sum| *sum != (0, 0));
            sums
        }
        let Self::Accepted { taken } = self else {
            return false;
        };
        let taken = taken.iter().map(|it| FileSum {
            currency: it.currency,
            count: it.count,
            sum_minor: it.sum_minor,
        });
        sums(taken) == sums(claimed.iter().copied())
    }
}

/// What a bank has answered to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileAnswer {
    /// What it says.
    pub verdict: FileVerdict,
    /// Whether that is what the file claims.
    pub agrees: bool,
    /// The SHA-256 of the answer.
    pub sha256: [u8; 32],
    /// The SHA-256, as hexadecimal digits, of the last answers before it.
    pub before: Vec<String>,
    /// When it was taken in.
    pub answered_at: UnixMillis,
}

/// A clearing file that is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementFile {
    /// The host it is for.
    pub host_id: HostId,
    /// The date of its items.
    pub business_date: BusinessDate,
    /// Which file of the date, from 1.
    pub cycle: i64,
    /// Its name in the gateway's folder of files.
    pub name: String,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// How many bytes it has.
    pub bytes: i64,
    /// How many items.
    pub item_count: i64,
    /// What they sum to, by currency.
    pub sums: Vec<FileSum>,
    /// When it was recorded.
    pub written_at: UnixMillis,
    /// Whether the batches of its day are funded only once the bank has taken what it claims.
    pub awaits_answer: bool,
    /// What the bank has answered last; none before.
    pub answer: Option<FileAnswer>,
    /// When an approver let it count as it is, whatever the bank says.
    pub accepted_at: Option<UnixMillis>,
}

/// An item that a clearing file claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClearedItem {
    /// The capture or refund.
    pub subject_id: SubjectId,
    /// Which of the two.
    pub kind: ItemKind,
    /// How much.
    pub amount: Money,
    /// DE 42 of the merchant.
    pub acceptor_id: String,
    /// DE 41.
    pub terminal_id: String,
    /// DE 18 of the merchant.
    pub mcc: String,
    /// DE 37 of the authorization, by which the bank knows the payment.
    pub rrn: Rrn,
    /// DE 38 of the authorization; empty where there is none.
    pub approval_code: String,
    /// The card number as it may be shown; empty where it is not known.
    pub card_masked: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_agrees_where_items_and_sums_do_in_each_currency() {
        let claimed =
            [("EUR", 3, 9_000), ("NPR", 1, 500)].map(|(currency, count, sum_minor)| FileSum {
                currency: currency.parse().unwrap(),
                count,
                sum_minor,
            });
        type Taken<'t> = &'t [(&'t str, &'t str, i64, i64)];
        let cases: [(Taken<'_>, bool); 6] = [
            (
                &[
                    ("EUR", "05", 2, 8_000),
                    ("EUR", "08", 1, 1_000),
                    ("NPR", "05", 1, 500),
                ],
                true,
            ),
            (
                &[
                    ("EUR", "05", 3, 9_000),
                    ("NPR", "05", 1, 500),
                    ("INR", "05", 0, 0),
                ],
                true,
            ),
            (&[("EUR", "05", 3, 9_001), ("NPR", "05", 1, 500)], false),
            (&[("EUR", "05", 2, 9_000), ("NPR", "05", 1, 500)], false),
            (&[("EUR", "05", 3, 9_000)], false),
            (&[("EUR", "05", 3, 9_000), ("INR", "05", 1, 500)], false),
        ];
        for (taken, agrees) in cases {
            let taken = taken
                .iter()
                .map(|(currency, code, count, sum_minor)| TakenSum {
                    currency: currency.parse().unwrap(),
                    transaction_code: (*code).to_owned(),
                    count: *count,
                    sum_minor: *sum_minor,
                });
            let verdict = FileVerdict::Accepted {
                taken: taken.collect(),
            };
            assert_eq!(verdict.agrees_with(&claimed), agrees, "{verdict:?}");
        }
        let rejected = FileVerdict::Rejected {
            rejections: vec![],
            count: 0,
        };
        assert!(!rejected.agrees_with(&[]));
    }
}
