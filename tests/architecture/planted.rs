//! The negative control: violations planted in sources that are nowhere, and sources without any.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::circles::{Tree, circles};
use super::violations;

/// Each planted violation must be found, or the checker checks nothing.
#[test]
fn planted_violations_are_found() {
    let planted = "
store/writer.rs        | use crate::flows::authorization::Refusal;              | store may not use flows
hosts/link.rs          | fn f() { crate::store::open(); }                       | hosts may not use store
hosts/link.rs          | fn f() { x!(crate::store::open()); }                   | hosts may not use store
card/pan.rs            | use super::super::merchant_api;                        | card may not use merchant_api
flows/capture.rs       | use crate::flows::refund::Refund;                      | the flow capture may not use refund
flows/capture.rs       | fn f() { super::refund::refund(); }                    | the flow capture may not use refund
payment/record.rs      | use crate::clock::Clock;                               | payment may not use clock
payment/record.rs      | use std::time::Instant;                                | payment is pure and can't name std::time
payment/record.rs      | async fn f() {}                                        | payment is pure and can't be async
flows/authorization.rs | use sqlx::{Any, query};                                | sqlx::Any is at home in store
flows/authorization.rs | fn f(m: iso8583::Message) {}                           | iso8583::Message is at home in hosts
store/mod.rs           | use prost::Message;                                    | prost::Message is at home in merchant_api
app.rs                 | use bank_sim::BankSim;                                 | bank_sim::BankSim is at home in commands
hosts/link.rs          | use crate::net::Net; fn f() { Net::SYSTEM.connect(); } | Net::SYSTEM is handed in
card/seal.rs           | use crate::clock::{Clock, SystemClock};                | SystemClock is handed in
store/mod.rs           | pub use writer::Writer;                                | no re-exports
helpers.rs             | fn f() {}                                              | the module helpers has no layer
";
    for row in planted.trim().lines() {
        let [path, source, expected] = cells(row);
        let found = violations(Path::new(path), source);
        let is_found = found.iter().any(|line| line.contains(expected));
        assert!(is_found, "{row}\n{found:?}");
    }
    let fine = "
flows/authorization.rs | use crate::{store::Store, hosts::Hosts, payment::money::Money};
hosts/link.rs          | use super::in_flight::InFlight; use iso8583::message::Message;
app.rs                 | use crate::clock::SystemClock;
store/rows.rs          | use iso8583::hex::encode_lower;
store/tests/model.rs   | use crate::clock::SystemClock;
payment/state.rs       | #[cfg(test)] mod tests { use crate::store::S; use tokio::spawn; }
";
    for row in fine.trim().lines() {
        let [path, source] = cells(row);
        assert_eq!(violations(Path::new(path), source), [""; 0], "{row}");
    }
}

fn cells<const N: usize>(row: &str) -> [&str; N] {
    let cells: Vec<_> = row.split('|').map(str::trim).collect();
    cells.try_into().expect("a row of so many cells")
}

/// What the circles are in these files of a crate called `planted`.
fn circles_of(files: &[(&str, &str)]) -> Vec<BTreeSet<PathBuf>> {
    let sources: BTreeMap<PathBuf, String> = files
        .iter()
        .map(|(path, source)| (PathBuf::from(path), (*source).to_owned()))
        .collect();
    circles(&Tree::read("planted", "lib.rs", &sources).arrows())
}

#[test]
fn planted_circles_are_found() {
    let lib = ("lib.rs", "mod a; mod b;");
    let planted: &[&[(&str, &str)]] = &[
        &[
            lib,
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use super::a::A;"),
        ],
        // A path without a `use`; the crate by its own name; a path in a macro.
        &[
            lib,
            ("a.rs", "fn f() { crate::b::g(); }"),
            ("b.rs", "use planted::a::A;"),
        ],
        &[
            lib,
            ("a.rs", "fn f() { x!(crate::b::g()); }"),
            ("b.rs", "struct S(crate::a::A);"),
        ],
        // Through an imported module, renamed or not.
        &[
            lib,
            ("a.rs", "use crate::b; fn f() { b::g(); }"),
            ("b.rs", "use crate::a as other; fn g() { other::f(); }"),
        ],
        // Through a re-export of the root, also a chain of them.
        &[
            ("lib.rs", "mod a; mod b; pub use b::B; pub use B as C;"),
            ("a.rs", "use crate::C; fn f() { C::new(); }"),
            ("b.rs", "use crate::a::f;"),
        ],
        // Through a glob, and through a glob of a re-export.
        &[
            lib,
            ("a.rs", "use crate::b::*;"),
            ("b.rs", "use crate::a::*;"),
        ],
        &[
            ("lib.rs", "mod a; mod b; pub use b::*;"),
            ("a.rs", "use crate::B;"),
            ("b.rs", "use crate::a::A;"),
        ],
        // From within an inline module.
        &[
            lib,
            ("a.rs", "mod inner { use super::super::b::B; }"),
            ("b.rs", "use crate::a::inner::I;"),
        ],
        // A file named by `#[path]`.
        &[
            ("lib.rs", "mod a; #[path = \"other.rs\"] mod b;"),
            ("a.rs", "use crate::b::B;"),
            ("other.rs", "use crate::a::A;"),
        ],
        // A face with code of its own, and its child.
        &[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod child; use self::child::C; struct A;"),
            ("a/child.rs", "use super::A;"),
        ],
        &[
            ("lib.rs", "mod a;"),
            ("a.rs", "mod child; fn f() { child::g(); }"),
            ("a/child.rs", "use crate::a;"),
        ],
        // A method that another file defines.
        &[
            lib,
            ("a.rs", "struct A; impl A { fn f(&self) { self.g() } }"),
            ("b.rs", "use crate::a::A; impl A { fn g(&self) {} }"),
        ],
        // Three files.
        &[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", "use crate::a::A;"),
        ],
    ];
    for files in planted {
        let expected: BTreeSet<PathBuf> = files
            .iter()
            .map(|(path, _)| PathBuf::from(path))
            .filter(|path| path != Path::new("lib.rs"))
            .collect();
        let found = circles_of(files);
        assert!(
            found.len() == 1 && expected.is_subset(&found[0]),
            "{files:?}: {found:?}"
        );
    }
    let fine: &[&[(&str, &str)]] = &[
        &[
            lib,
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use std::fmt; fn a() { fmt::f(); }"),
        ],
        // Tests may look back.
        &[
            lib,
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "#[cfg(test)] mod tests { use crate::a::A; }"),
        ],
        &[
            ("lib.rs", "mod a; #[cfg(test)] mod tests;"),
            ("a.rs", "struct A;"),
            ("tests.rs", "use crate::a::A;"),
        ],
        // A visibility names who may use an item, and uses nothing.
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "pub(in crate::a) struct B;"),
        ],
        // A face that only declares its children, and brothers that meet through it.
        &[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod one; mod two; pub use one::One;"),
            ("a/one.rs", "struct One;"),
            ("a/two.rs", "use super::One; use super::one::Two;"),
        ],
        // A face that is used by its children and uses none of them.
        &[
            ("lib.rs", "mod a;"),
            ("a.rs", "mod child; struct A;"),
            ("a/child.rs", "use super::A; impl A { fn f() {} }"),
        ],
    ];
    for files in fine {
        assert_eq!(circles_of(files), Vec::new(), "{files:?}");
    }
}
