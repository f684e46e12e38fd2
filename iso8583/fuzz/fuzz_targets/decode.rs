//! The first byte picks a dialect, the rest is a message: what is accepted is written again as it
//! was, and what people see of it has the right size.

#![no_main]

use std::sync::LazyLock;

use iso8583::{Dialect, masked};
use libfuzzer_sys::fuzz_target;

/// Fields counted in bytes, a third bitmap, BCD padded on the right: what no built-in dialect has.
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
[fields.129]
name = "Above"
format = "xn"
length = "ll"
max = 9
encoding = "ascii"
"#;

static DIALECTS: LazyLock<Vec<Dialect>> = LazyLock::new(|| {
    let builtin = Dialect::builtin_names().iter().filter_map(|name| Dialect::builtin(name));
    builtin.chain([Dialect::from_toml(ODD).unwrap()]).collect()
});

fuzz_target!(|input: &[u8]| {
    let Some((pick, bytes)) = input.split_first() else {
        return;
    };
    let dialect = &DIALECTS[usize::from(*pick) % DIALECTS.len()];
    assert_eq!(masked::masked_hex(dialect, bytes).len(), bytes.len() * 2);
    match dialect.decode(bytes) {
        Ok(message) => {
            masked::describe(dialect, &message);
            let mut again = Vec::new();
            dialect.encode(&message.to_builder(), &mut again).unwrap();
            // Hex digits of lower case come back in upper case.
            assert!(again.eq_ignore_ascii_case(bytes));
            for de in message.iter_des() {
                assert!(message.bytes(de).is_some());
                let number = message.number(de);
                assert!(number.is_none() || message.text(de).unwrap().parse() == Ok(number.unwrap()));
            }
        }
        Err(error) => {
            assert!(error.offset() <= bytes.len());
            if let Some(message) = error.partial() {
                masked::describe(dialect, message);
                message.to_builder();
            }
        }
    }
});
