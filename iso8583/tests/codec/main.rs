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
