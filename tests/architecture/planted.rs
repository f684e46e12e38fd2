//! The negative control: violations planted in sources that are nowhere, and sources without any.

use std::path::Path;

use super::violations;

/// Each planted violation must be found, or the checker checks nothing.
#[test]
fn planted_violations_are_found() {
    let planted = [
        (
            "store/writer.rs",
            "use crate::authorization::METHOD;",
            "store may not use authorization",
        ),
        (
            "hosts/link.rs",
            "fn f() { crate::store::open(); }",
            "hosts may not use store",
        ),
        (
            "hosts/link.rs",
            "fn f() { x!(crate::store::open()); }",
            "hosts may not use store",
        ),
        (
            "card/pan.rs",
            "use super::super::merchant_api;",
            "card may not use merchant_api",
        ),
        (
            "authorization.rs",
            "use crate::reversal::send;",
            "authorization may not use reversal",
        ),
        (
            "payment/record.rs",
            "use crate::clock::Clock;",
            "payment may not use clock",
        ),
        (
            "payment/record.rs",
            "use std::time::Instant;",
            "payment is pure and can't name std::time",
        ),
        (
            "payment/record.rs",
            "async fn f() {}",
            "payment is pure and can't be async",
        ),
        (
            "authorization.rs",
            "use sqlx::{Any, query};",
            "sqlx::Any is at home in store",
        ),
        (
            "authorization.rs",
            "fn f(m: iso8583::Message) {}",
            "iso8583::Message is at home in hosts",
        ),
        (
            "store/mod.rs",
            "use prost::Message;",
            "prost::Message is at home in merchant_api",
        ),
        (
            "app.rs",
            "use bank_sim::BankSim;",
            "bank_sim::BankSim is at home in commands",
        ),
        ("store/mod.rs", "pub use writer::Writer;", "no re-exports"),
        ("helpers.rs", "fn f() {}", "the module helpers has no layer"),
    ];
    for (path, source, expected) in planted {
        let found = violations(Path::new(path), source);
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{path}: {source}\n{found:?}"
        );
    }
    let fine = [
        (
            "authorization.rs",
            "use crate::{store::Store, hosts::Hosts, payment::money::Money};",
        ),
        (
            "hosts/link.rs",
            "use super::in_flight::InFlight; use iso8583::message::Message;",
        ),
        (
            "payment/state.rs",
            "#[cfg(test)] mod tests { use crate::store::S; use tokio::spawn; }",
        ),
    ];
    for (path, source) in fine {
        assert_eq!(
            violations(Path::new(path), source),
            Vec::<String>::new(),
            "{path}: {source}"
        );
    }
}
