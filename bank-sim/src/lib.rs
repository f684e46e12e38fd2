//! Simulated banks.
