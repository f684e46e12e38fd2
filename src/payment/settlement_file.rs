//! Files that claim what a bank learns of by file.

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
