//! A report that comes piece by piece, or not to its end.

use std::io;

use super::*;
use crate::settlement::hashing::HashingReader;

#[test]
fn lines_come_one_at_a_time_and_count_at_the_end_only() {
    let format = format(FORMAT);
    let end = "<END>,2,20.00,149.87,20.00,149.50";
    let text = with(&[SALE, REFUND, end]);
    let mut hashing = HashingReader::new(text.as_bytes());
    let mut reader = CsvReader::new(&format, &mut hashing).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().number, 2);
    assert_eq!(reader.next().unwrap().unwrap().number, 3);
    assert!(reader.next().is_none());
    assert!(reader.next().is_none());
    let whole = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    assert_eq!(hashing.sha256()[..], *whole.as_ref());

    // Nothing that follows a wrong line is handed out.
    let wrong = SALE.replace("SALE", "SAIL");
    let text = with(&[SALE, &wrong, REFUND, end]);
    let mut reader = CsvReader::new(&format, text.as_bytes()).unwrap();
    assert!(reader.next().unwrap().is_ok());
    assert!(matches!(reader.next(), Some(Err(ReportError::Faults(_)))));
    assert!(reader.next().is_none());
}

#[test]
fn a_source_that_fails_is_an_error_and_its_pieces_do_not_matter() {
    /// Gives a byte at a time, and then an error, if there is one.
    struct Slow<'a>(&'a [u8], Option<io::ErrorKind>);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match (self.0.split_first(), self.1) {
                (Some((byte, rest)), _) => {
                    buffer[0] = *byte;
                    self.0 = rest;
                    Ok(1)
                }
                (None, Some(error)) => Err(error.into()),
                (None, None) => Ok(0),
            }
        }
    }
    let text = with(&[SALE, REFUND, "<END>,2,20.00,149.87,20.00,149.50"]);
    let format = format(FORMAT);
    let slow = read_report(&format, Slow(text.as_bytes(), None)).unwrap();
    assert_eq!(slow, read(&text).unwrap());
    let broken = Slow(text.as_bytes(), Some(io::ErrorKind::ConnectionReset));
    let error = read_report(&format, broken).unwrap_err();
    assert_eq!(error.to_string(), "the report can't be read after line 4");
}
