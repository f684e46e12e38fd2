//! What can't be done with the settlement books, and why.

use thiserror::Error;
use time::Date;

/// Why the settlement books refuse something.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettlementError {
    /// A business date only moves on.
    #[error("expected a date after {business_date}, got {got}")]
    NotLater {
        /// The present date.
        business_date: Date,
        /// The date asked for.
        got: Date,
    },
    /// There is no such item.
    #[error("no settlement item has the RRN {rrn:?}")]
    UnknownItem {
        /// The RRN.
        rrn: String,
    },
    /// There is no such capture to dispute.
    #[error("no capture has the RRN {rrn:?}")]
    UnknownCapture {
        /// The RRN.
        rrn: String,
    },
    /// There is no room for more items (`max_exchanges`).
    #[error("there is no room for so many items (`max_exchanges`)")]
    Full,
    /// An item cannot have such an amount.
    #[error(
        "expected an amount of 1 to 999999999999 minor units, got {amount_minor} and {delta_minor:+}"
    )]
    Amount {
        /// The amount that the item has.
        amount_minor: i64,
        /// The change asked for.
        delta_minor: i64,
    },
    /// A dispute cannot have such an amount.
    #[error("expected an amount of 1 to 999999999999 minor units, got {amount_minor}")]
    DisputeAmount {
        /// The amount asked for.
        amount_minor: i64,
    },
}
