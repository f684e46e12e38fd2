//! The calls: each file reads its request, does it or looks it up, and shows the answer.
//!
//! - `host_service`, `audit_service`, `operator_service`, `custody_service`, `owed_service`, `ledger_service`,
//!   `explain_service`, `settlement_admin_service`, `merchant_service`,
//!   `payout_admin_service`, `reconciliation_admin_service`, `statement_service`, `reload_service`,
//!   `key_service`, `risk_service`: which file answers which call.
//! - `audited`: what all calls that change something have in common. `counted_subject`: what calls about counts are about.

mod activate_operator;
mod activate_sealing_key;
mod add_operator;
mod add_sealing_key;
pub(super) mod audit_service;
pub(super) mod audited;
mod cancel_payout_account;
mod confirm_payout_account;
mod counted_subject;
pub(super) mod custody_service;
mod cutover;
mod deactivate_operator;
mod destroy_expired_data_keys;
mod echo_host;
mod explain_payment;
pub(super) mod explain_service;
mod get_counts;
mod get_day_report;
mod get_discrepancy;
mod get_master_key_status;
mod get_merchant_terms;
mod get_owed;
pub(super) mod host_service;
mod import_report;
mod import_statement;
mod incoming_file;
pub(super) mod key_service;
pub(super) mod ledger_service;
mod list_account_balances;
mod list_audit_entries;
mod list_business_days;
mod list_data_keys;
mod list_differences;
mod list_discrepancies;
mod list_hosts;
mod list_journals;
mod list_limits;
mod list_operators;
mod list_owed;
mod list_payout_account_changes;
mod list_report_lines;
mod list_sealing_keys;
mod list_settlement_imports;
mod list_statement_lines;
mod list_totals;
mod make_payouts;
mod match_statement_line;
pub(super) mod merchant_service;
mod notify_payouts;
pub(super) mod operator_service;
pub(super) mod owed_service;
pub(super) mod payout_admin_service;
mod propose_payout_account;
pub(super) mod reconciliation_admin_service;
mod refuse_order;
mod release_counts;
mod reload;
pub(super) mod reload_service;
mod resolve_discrepancy;
mod resolve_owed;
mod retire_sealing_key;
mod retry_owed;
pub(super) mod risk_service;
mod rotate_data_key;
mod set_fee_plan;
mod set_merchant_details;
mod set_operator_role;
mod set_payout_plan;
pub(super) mod settlement_admin_service;
mod sign_off_host;
mod sign_on_host;
pub(super) mod statement_service;
mod submit_totals;
mod take_clearing_answer;
mod verify_ledger;
mod write_statement;
