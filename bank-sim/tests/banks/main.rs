//! The simulated banks as their neighbours meet them: real TLS, real sockets, both codecs.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(
    clippy::inconsistent_digit_grouping,
    reason = "amounts are grouped as a price is written: 123_45 is 123.45"
)]

mod harness;
mod pki;
mod switch;

mod cards;
mod control;
mod lines;
mod outages;
mod postings;
mod program;
mod settlement;
mod tls;
