//! What is done about what banks have otherwise.

use serde::{Deserialize, Serialize};

/// The settings of reconciliation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReconciliationConfig {
    /// What one operator decides alone, in minor units of whichever currency: more takes a second one.
    pub alone_minor: u32,
    /// What payswitch does by itself about what it finds, the first rule that fits.
    pub corrections: Vec<CorrectionRule>,
}

impl Default for ReconciliationConfig {
    fn default() -> Self {
        Self {
            alone_minor: 100,
            corrections: Vec::new(),
        }
    }
}

/// What is done about discrepancies of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorrectionRule {
    /// The kind, such as "AMOUNT_DIFFERS".
    pub kind: String,
    /// Of this currency; all where it is not said.
    pub currency: Option<String>,
    /// The most minor units that it is about.
    pub up_to_minor: u32,
    /// Who bears it: "merchant" or "house".
    pub bears: String,
    /// Whether it is corrected, or proposed and left to an operator.
    #[serde(default)]
    pub applies: bool,
}
