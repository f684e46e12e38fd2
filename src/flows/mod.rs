//! What payswitch does: a file for each kind of operation. No flow knows another, or how it is carried out.
//!
//! - [`authorization`]: holds an amount.
//! - [`capture`]: takes all or part of it.
//! - [`increment`]: holds more.
//! - [`void`]: gives it up. [`refund`]: gives back what was captured. [`release`]: gives back what is left of a hold.
//! - [`reverse`]: undoes a payment, whatever became of it. [`cancellation`]: gives up a hold by the name of its
//!   request.
//! - [`reversal`]: undoes what may have happened.
//! - [`verification`]: asks whether a card is good.

pub mod authorization;
pub mod cancellation;
pub mod capture;
pub mod increment;
pub mod refund;
pub mod release;
pub mod reversal;
pub mod reverse;
pub mod verification;
pub mod void;
