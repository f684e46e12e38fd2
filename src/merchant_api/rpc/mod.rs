//! The calls: each file reads its request, runs its flow or its look-up, and shows the answer and its errors.
//!
//! - [`perform`]: the way from a call to its flow, and the errors that all flows share.
//! - `watcher`: what happens to a merchant's payments, as a stream.
//! - `views`: payments with what is known of them beside their own records.
//! - `payment_service`, `refund_service`, `sealing_service`, `balance_service`, `event_service`,
//!   `settlement_service`, `reconciliation_service`: which file answers which call.

mod authorize_payment;
pub(super) mod balance_service;
mod cancel_by_request_id;
mod capture_payment;
mod create_refund;
mod create_sealing_session;
pub(super) mod event_service;
mod get_balances;
mod get_capture;
mod get_discrepancy;
mod get_payment;
mod get_payout;
mod get_reconciliation_run;
mod get_refund;
mod get_sealing_keys;
mod get_settlement_batch;
mod increment_authorization;
mod list_balance_entries;
mod list_captures;
mod list_discrepancies;
mod list_events;
mod list_operations;
mod list_payments;
mod list_payouts;
mod list_reconciliation_runs;
mod list_refunds;
mod list_settlement_batches;
mod list_settlement_notes;
mod lookup_payment;
pub(super) mod payment_service;
pub mod perform;
pub(super) mod reconciliation_service;
pub(super) mod refund_service;
mod reverse_payment;
pub(super) mod sealing_service;
pub(super) mod settlement_service;
mod verify_card;
pub(super) mod views;
mod void_payment;
mod watch_events;
mod watch_payment;
pub(super) mod watcher;
