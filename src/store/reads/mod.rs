//! Reads payments, their operations, what is owed, what merchants were told, and the ledger. The functions that read
//! other tables stand with their tables; these stand apart, because the writer uses the rows of these tables.

mod answers;
pub mod balances;
pub(in crate::store) mod by_ids;
mod by_rrns;
mod captures;
mod due_days;
pub mod events;
mod expected_on_account;
pub mod explain;
pub mod explained_items;
pub mod ledger;
pub mod operations;
pub mod owed;
pub mod payments;
mod payouts;
mod refunds;
mod reports;
mod settlement;
mod settlement_items;
pub mod statements;
