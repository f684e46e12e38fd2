//! What payswitch does: a file for each kind of operation. No flow knows another, or how it is carried out.
//!
//! - [`authorization`]: holds an amount.
//! - [`reversal`]: undoes what may have happened.

pub mod authorization;
pub mod reversal;
