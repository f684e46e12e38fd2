//! One payment in words: its records, put into the order in which things happened, and what follows from them. Pure:
//! what is recorded, the time and the state of the lines are handed in.
//!
//! - [`timeline`]: what happened, an entry for each thing.
//! - [`standing`]: where the payment stands, and what comes next.
//! - [`settlement`]: how its captures and refunds are settled.
//! - [`words`]: moments to come, amounts and states; the labels of a payment's operations.

mod settlement;
pub(super) mod standing;
#[cfg(test)]
mod tests;
pub(super) mod timeline;
mod words;
