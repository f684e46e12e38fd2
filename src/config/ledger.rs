//! The ledger's seals.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The ledger's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerConfig {
    /// Where the seals are written outside the database; nowhere when it is not set. Each gateway has a file of its
    /// own.
    pub seal_file: Option<PathBuf>,
}
