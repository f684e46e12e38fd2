//! What payswitch does: a file for each kind of operation. No flow knows another, or how it is carried out.
//!
//! - [`authorization`]: holds an amount.
//! - [`capture`]: takes all or part of it.
//! - [`reversal`]: undoes what may have happened.

pub mod authorization;
pub mod capture;
pub mod reversal;
