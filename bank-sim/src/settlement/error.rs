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
}
