//! The configuration: one struct for each concern, each checked when it is read.
//!
//! - [`store`]: where the records are kept.
//! - [`hosts`]: where the host profiles and the bank links' keys are.
//! - [`card`]: the keys that open sealed cards.
//! - [`merchant_api`]: the door for merchants.

pub mod card;
pub mod hosts;
pub mod merchant_api;
pub mod store;
