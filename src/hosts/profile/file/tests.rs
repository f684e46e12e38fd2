//! docs/profiles.md names every key that a profile and a dialect can have, and no other.

use std::collections::{BTreeMap, BTreeSet};

use iso8583::Dialect;

use crate::hosts::message::source::{NamedSource, OriginalPart};
use crate::hosts::message::totals::NamedTotal;
use crate::hosts::profile::messages::kind_names;
use crate::hosts::profile::word::words_of;

use super::*;

const PAGE: &str = include_str!("../../../../docs/profiles.md");

/// The names in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The names in the first column of each table of the page, by the table's heading and the title of that
/// column.
fn tables() -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut tables: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let (mut heading, mut column) = (String::new(), String::new());
    for line in PAGE.lines() {
        if let Some(title) = line.strip_prefix('#') {
            heading = title.trim_matches(|c| "# `".contains(c)).to_owned();
            continue;
        }
        let Some(first) = line.strip_prefix('|').and_then(|row| row.split('|').next()) else {
            column.clear();
            continue;
        };
        if column.is_empty() {
            column = first.trim().to_owned();
        } else {
            let table = tables.entry((heading.clone(), column.clone())).or_default();
            table.extend(quoted(first));
        }
    }
    tables
}

/// The keys of a table of TOML: the error about an unknown one lists them.
fn keys_in(error: &str) -> BTreeSet<String> {
    assert!(error.contains("unknown field `zzz`"), "{error}");
    let (_, listed) = error.split_once("unknown field `zzz`").unwrap();
    quoted(listed).collect()
}

fn keys_of<T: serde::de::DeserializeOwned>() -> BTreeSet<String> {
    match toml::from_str::<T>("zzz = 1") {
        Ok(_) => panic!("every table refuses keys that it does not know"),
        Err(error) => keys_in(error.message()),
    }
}

fn dialect_keys(text: &str) -> BTreeSet<String> {
    keys_in(&Dialect::from_toml(text).unwrap_err().to_string())
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn the_reference_page_names_every_key_and_no_other() {
    let mut tables = tables();
    let expected = [
        ("The profile", "key", keys_of::<ProfileFile>()),
        ("framing", "key", keys_of::<Framing>()),
        ("circuit", "key", keys_of::<CircuitFile>()),
        ("settlement", "key", keys_of::<SettlementFile>()),
        ("subelements", "key", keys_of::<SubelementsFile>()),
        (
            "acceptor_name_location",
            "key",
            keys_of::<NameLocationFile>(),
        ),
        ("response_codes", "key", names(["unlisted", "standard"])),
        ("messages.NAME", "key", keys_of::<MessageFile>()),
        ("messages.totals", "key", keys_of::<TotalsFile>()),
        (
            "messages.totals",
            "source",
            words_of::<NamedTotal>()
                .into_iter()
                .chain(["business_date".to_owned()])
                .collect(),
        ),
        ("messages.upload", "key", keys_of::<UploadFile>()),
        ("messages.NAME.repeats", "key", keys_of::<RepeatsFile>()),
        (
            "messages.NAME.reasons",
            "key",
            names(Reason::ALL.map(Reason::name)),
        ),
        (
            "Sources",
            "source",
            names(NamedSource::ALL.map(|(name, _)| name)),
        ),
        (
            "Sources",
            "form",
            names([
                "literal",
                "subelements",
                "original_data",
                "as_sent",
                "kept",
                "accepts_partial",
            ]),
        ),
        (
            "Sources",
            "part",
            names(OriginalPart::ALL.map(|(name, _, _)| name)),
        ),
        ("dialect", "key", dialect_keys("zzz = 1")),
        (
            "dialect.header",
            "key",
            dialect_keys("header = { zzz = 1 }"),
        ),
        ("dialect.mti", "key", dialect_keys("mti = { zzz = 1 }")),
        (
            "dialect.bitmap",
            "key",
            dialect_keys("bitmap = { zzz = 1 }"),
        ),
        (
            "dialect.encodings",
            "key",
            dialect_keys("encodings = { zzz = 1 }"),
        ),
        (
            "dialect.fields.DE",
            "key",
            dialect_keys("fields.2 = { zzz = 1 }"),
        ),
    ];
    for (heading, column, expected) in expected {
        let key = (heading.to_owned(), column.to_owned());
        let documented = tables.remove(&key).unwrap_or_default();
        assert_eq!(documented, expected, "{heading}: {column}");
    }
    tables.remove(&("response_codes".into(), "meaning".into()));
    assert_eq!(tables.keys().next(), None);
}

#[test]
fn the_reference_page_names_every_kind_of_operation() {
    let (_, after) = PAGE.split_once("Those that this version knows:").unwrap();
    let line = after.trim_start().lines().next().unwrap();
    let documented: BTreeSet<String> = quoted(line).collect();
    assert_eq!(documented, kind_names().into_iter().collect());
}
