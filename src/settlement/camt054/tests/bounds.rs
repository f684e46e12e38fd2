//! What is refused for its size.

use std::io::{self, BufRead, Cursor, Read};

use super::*;
use crate::settlement::iso20022::limits::{MAX_DEPTH, MOST_TRANSACTIONS};

/// Bytes that are repeated without an end.
struct Endless {
    body: Vec<u8>,
    offset: usize,
}

impl Read for Endless {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("only read by its buffer"))
    }
}

impl BufRead for Endless {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(&self.body[self.offset..])
    }

    fn consume(&mut self, count: usize) {
        self.offset = (self.offset + count) % self.body.len();
    }
}

#[test]
fn everything_has_a_bound() {
    let head = file("08", "");
    let head = head.split("</Ntfctn>").next().unwrap();
    let long = format!("<!--{}-->", "x".repeat(30_000));
    let event = "expected a tag or text of at most 65536 bytes, got more";
    let within = |bytes| head.len() as u64 + bytes;
    for (begin, body, expected, bound) in [
        (
            "",
            "<a>",
            "expected elements at most 64 deep, got one more",
            within(3 * MAX_DEPTH as u64),
        ),
        ("<Id>", "x", event, within(4)),
        ("<!--", "x", event, within(0)),
        ("<a b='", "x", event, within(0)),
        (
            "",
            &long,
            "expected a file of at most 67108864 bytes, got more",
            MOST_BYTES,
        ),
        (
            "<Ntry><NtryDtls>",
            "<TxDtls/>",
            "expected at most 100000 NtryDtls/TxDtls, got one more",
            within(16 + 9 * MOST_TRANSACTIONS as u64),
        ),
    ] {
        let body = Endless {
            body: body.as_bytes().to_vec(),
            offset: 0,
        };
        let input = Cursor::new(format!("{head}{begin}")).chain(body);
        let error = read_camt054(input).next().unwrap().unwrap_err();
        assert_eq!(error.fault.to_string(), expected);
        assert!(error.position.offset <= bound, "{error}");
    }
}

/// A file of just as many bytes as may be is read.
#[test]
fn the_largest_file_is_read() {
    let file = file("08", &entry(""));
    let tail = format!("<!--{}-->", "x".repeat(30_000));
    let left = usize::try_from(MOST_BYTES).unwrap() - file.len();
    let rest = " ".repeat(left % tail.len());
    let body = Endless {
        body: tail.as_bytes().to_vec(),
        offset: 0,
    };
    let comments = body.take((left - rest.len()) as u64);
    let whole = Cursor::new(file).chain(comments).chain(Cursor::new(rest));
    assert!(read_camt054(whole).all(|booking| booking.is_ok()));
}

#[test]
fn an_element_has_few_attributes() {
    let many: String = (0..33).map(|number| format!(" a{number}=\"\"")).collect();
    let many = entry("").replacen("<Ntry", &format!("<Ntry{many}"), 1);
    let error = read(&file("08", &many)).unwrap_err();
    let expected = "expected at most 32 attributes, got one more";
    assert_eq!(error.fault.to_string(), expected);
}
