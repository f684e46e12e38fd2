//! Fees.
