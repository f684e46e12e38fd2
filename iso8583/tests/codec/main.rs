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
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    assert_eq!(
        digits.len(),
        text.chars().filter(|digit| !digit.is_whitespace()).count()
    );
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap())
        .collect()
}

/// A built-in dialect, compiled once for all tests.
fn builtin(name: &str) -> &'static Dialect {
    static COMPILED: LazyLock<Vec<Dialect>> = LazyLock::new(|| {
        let names = Dialect::builtin_names().iter();
        names.map(|name| Dialect::builtin(name).unwrap()).collect()
    });
    let found = COMPILED.iter().find(|dialect| dialect.name() == name);
    found.unwrap_or_else(|| panic!("no dialect {name}"))
}
