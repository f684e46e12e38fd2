//! The codec from outside, one module for each of its promises.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets something unexpected has failed"
)]

mod builder;
mod dialects;
mod framing;
mod masked;
mod mutations;
mod properties;
mod strictness;
mod tlv;
mod vectors;

use std::sync::LazyLock;

use iso8583::Dialect;

/// Bytes from hex; spaces are for the reader.
fn hex(text: &str) -> Vec<u8> {
    iso8583::hex::decode(text.replace(char::is_whitespace, "")).unwrap()
}

/// The rows of a table in a text, columns apart by `|`. Lines that begin with `#` are comments.
fn rows<const COLUMNS: usize>(table: &str) -> impl Iterator<Item = [&str; COLUMNS]> {
    let lines = table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        columns.try_into().unwrap()
    })
}

/// What no built-in dialect has: lengths in bytes, BCD padded behind, a third bitmap, EBCDIC text
/// behind binary lengths.
const ODD: &str = r#"
name = "odd"
base = "iso1987-bcd"
[bitmap]
encoding = "hex"
tertiary = true
[encodings]
numeric = "bcd-right"
binary = "hex"
length = "binary"
length_counts = "wire"
text = "ebcdic"
code_page = "500"
"#;

/// The built-in dialects and [`ODD`], compiled once for all tests.
fn dialects() -> &'static [Dialect] {
    static COMPILED: LazyLock<Vec<Dialect>> = LazyLock::new(|| {
        let builtin = Dialect::builtin_names()
            .iter()
            .map(|name| Dialect::builtin(name).unwrap());
        builtin.chain([Dialect::from_toml(ODD).unwrap()]).collect()
    });
    &COMPILED
}

fn builtin(name: &str) -> &'static Dialect {
    let found = dialects().iter().find(|dialect| dialect.name() == name);
    found.unwrap_or_else(|| panic!("no dialect {name}"))
}
