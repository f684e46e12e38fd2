//! payswitch as its neighbours meet it: the real gateway before simulated banks, real TLS on every
//! leg, real databases of both kinds. What a test says about a bank it reads in the bank's own books.
//!
//! - [`harness`]: a gateway with its banks; [`gateway`], [`demo`]: the program itself, running;
//!   [`database`]: SQLite and PostgreSQL; [`pooler`]: PgBouncer before it; [`sealing`]: sealed cards, good and bad; [`refused`]: what an error says;
//!   [`faults`]: what banks do wrong; [`tools`]: clients, codecs and readers that others wrote.
//! - Then one file for each flow.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod correcting;
mod custody;
mod database;
mod demo;
mod faults;
mod gateway;
mod harness;
mod pooler;
#[path = "../../src/store/testing/postgres.rs"]
mod postgres;
mod refused;
mod sealing;
mod settling;
mod tools;

mod agreeing;
mod answered_files;
mod answers;
mod authorizing;
mod canaries;
mod cancelling;
mod capturing;
mod charging_back;
mod claiming;
mod clearing_records;
mod clients;
mod closing;
mod codecs;
mod connections;
mod dead_banks;
mod doctor;
mod events;
mod expiring;
mod explaining;
mod finding;
mod flooding;
mod following;
mod handling_keys;
mod idempotency;
mod incrementing;
mod kept_fees;
mod killing;
mod killing_days;
mod killing_increments;
mod large_days;
mod large_reports;
mod leaving_callers;
mod ledger;
mod loading;
mod logging;
mod memory;
mod metrics;
mod nps;
mod operator_commands;
mod operators;
mod ordering;
mod other_hosts;
mod partial_approvals;
mod paying_out;
mod program;
mod readers;
mod reconciling;
mod refunding;
mod refusing_callers;
mod refusing_captures;
mod refusing_cards;
mod refusing_requests;
mod releasing;
mod releasing_counts;
mod reloading;
mod replayed_cards;
mod report_cycles;
mod reported_ends;
mod reporting;
mod restoring;
mod reversals;
mod reversing;
mod risk;
mod rotating_keys;
mod rotating_master;
mod sales;
mod service_manager;
mod settled_notes;
mod slow_reads;
mod statement_readers;
mod statements;
mod stopping;
mod styles;
mod traces;
mod two_nodes;
mod unidentified;
mod unknown_outcomes;
mod verifying;
mod voiding;
mod voiding_sales;
mod watching_two_nodes;
mod whole_units;
