//! The tables: for each its columns, its rows as records, and the functions that read and write it.

pub(in crate::store) mod api_keys;
pub(in crate::store) mod audit;
pub(in crate::store) mod business_days;
mod cancellations;
pub(in crate::store) mod captures;
pub(in crate::store) mod client_connections;
pub(in crate::store) mod columns;
pub(in crate::store) mod custody_keys;
pub(in crate::store) mod events;
pub(in crate::store) mod idempotency;
pub(in crate::store) mod journals;
pub(in crate::store) mod late_responses;
pub(in crate::store) mod ledger_seals;
pub(in crate::store) mod merchants;
pub(in crate::store) mod nodes;
pub(in crate::store) mod operations;
pub(in crate::store) mod operators;
pub(in crate::store) mod payments;
pub(in crate::store) mod quarantine;
pub(in crate::store) mod refunds;
pub(in crate::store) mod sequences;
pub(in crate::store) mod settlement_batches;
pub(in crate::store) mod settlement_items;
pub(in crate::store) mod settlement_totals;
mod stores;
pub(in crate::store) mod text_buffer;
pub(in crate::store) mod used_envelopes;
