//! What payswitch does: a file for each kind of operation. No flow knows another, or how it is carried out.
//!
//! - [`authorization`]: holds an amount.

pub mod authorization;
