//! Whether this is a test environment.

use serde::{Deserialize, Serialize};

/// What the gateway is for. It decides which API keys and payment methods work, and how much is told of a sealed
/// card that is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Simulated banks and test cards: test payment methods (`pm_test_visa`, ...) work, API keys begin with
    /// `sk_test_`, and a refused sealed card is told its fault.
    Test,
    /// Real banks: API keys begin with `sk_live_`.
    #[default]
    Live,
}
