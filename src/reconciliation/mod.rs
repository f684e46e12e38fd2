//! What others say of the money, held against what this gateway says of it.
//!
//! - [`statement`]: what a bank says that it has booked on an account of ours.

pub mod statement;
