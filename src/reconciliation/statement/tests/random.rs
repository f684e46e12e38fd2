//! Files that chance makes.

use std::io::{BufRead, Read};

use proptest::prelude::*;

use super::samples::{bai2, camt_balance, camt_entry, camt053, mt940};
use super::*;

const FORMATS: [StatementFormat; 3] = [
    StatementFormat::Camt,
    StatementFormat::Mt940,
    StatementFormat::Bai2,
];

fn right(format: StatementFormat) -> String {
    match format {
        StatementFormat::Camt => {
            let balances = camt_balance("OPBD", "1", "CRDT", "2026-11-30")
                + &camt_balance("CLBD", "31", "CRDT", "2026-11-30");
            let entries = camt_entry("50", "CRDT", "") + &camt_entry("20", "DBIT", "");
            camt053(&(balances + &entries))
        }
        StatementFormat::Mt940 => {
            let lines =
                ":61:2611301130C50,00NTRFNONREF//B1\r\n:86:a\r\nb\r\n:61:261130DR20,00NTRFx\r\n";
            mt940(lines, "1030,00")
        }
        StatementFormat::Bai2 => {
            let details = "16,175,5000,,B1,C1,a/b\n88,c\n16,475,2000,V,261201,,B2,C2,/16,475,1/\n";
            bai2(details, 7_001, 4)
        }
    }
}

/// A source that gives few bytes at a time.
struct Dripping<'a>(&'a [u8], usize);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        for format in FORMATS {
            read_statements(format, bytes.as_slice(), today()).for_each(drop);
        }
    }

    /// A file with any byte changed, left out or put in never panics.
    #[test]
    fn no_mistake_panics(place in any::<prop::sample::Index>(), byte in any::<u8>(), what in 0..3_u8) {
        for format in FORMATS {
            let mut bytes = right(format).into_bytes();
            let place = place.index(bytes.len());
            match what {
                0 => bytes[place] = byte,
                1 => drop(bytes.remove(place)),
                _ => bytes.insert(place, byte),
            }
            for part in read_statements(format, bytes.as_slice(), today()) {
                if let Err(error) = part {
                    prop_assert!(usize::try_from(error.position.offset).unwrap() <= bytes.len(), "{}", error);
                }
            }
        }
    }

    /// A file of lines that stand anywhere never panics.
    #[test]
    fn no_order_of_lines_panics(places in prop::collection::vec(any::<prop::sample::Index>(), 0..30)) {
        for format in FORMATS {
            let text = right(format);
            let lines: Vec<_> = text.lines().collect();
            let mixed: Vec<_> = places.iter().map(|place| lines[place.index(lines.len())]).collect();
            read_statements(format, mixed.join("\n").as_bytes(), today()).for_each(drop);
        }
    }

    /// A file that ends too early is never taken for a whole one.
    #[test]
    fn a_cut_file_is_refused(place in any::<prop::sample::Index>()) {
        for format in FORMATS {
            let text = right(format);
            // Behind the closing balance of an MT940 nothing is needed.
            let whole = match format {
                StatementFormat::Mt940 => text.split("1030,00").next().unwrap(),
                _ => text.trim_end(),
            };
            let cut = whole.get(..place.index(whole.len())).unwrap();
            prop_assert!(read(format, cut).is_err(), "{}", cut);
        }
    }

    /// Where the pieces of a file end changes nothing.
    #[test]
    fn a_file_is_read_in_any_pieces(size in 1..50_usize) {
        for format in FORMATS {
            let text = right(format);
            let pieces = Dripping(text.as_bytes(), size);
            let got: Result<Vec<_>, _> = read_statements(format, pieces, today()).collect();
            prop_assert_eq!(got.unwrap(), read(format, &text).unwrap());
        }
    }

    /// Amounts and their sum come through as they were written, or the file is refused.
    #[test]
    fn no_unit_is_lost(amounts in prop::collection::vec(-1_000_000..1_000_000_i64, 0..10), off in -1..=1_i64) {
        let sum: i64 = amounts.iter().sum();
        let unsigned = |minor: i64| (minor.abs() / 100, minor.abs() % 100);
        let mark = |minor: i64, marks: [&str; 2]| marks[usize::from(minor < 0)].to_owned();
        let (mut entries, mut movements_of, mut details) = (String::new(), String::new(), String::new());
        for minor in &amounts {
            let (whole, cents) = unsigned(*minor);
            entries += &camt_entry(&format!("{whole}.{cents:02}"), &mark(*minor, ["CRDT", "DBIT"]), "");
            let of = mark(*minor, ["C", "D"]);
            movements_of += &format!(":61:261130{of}{whole},{cents:02}NTRFNONREF\r\n");
            details += &format!("16,{},{},,,,/\n", mark(*minor, ["175", "475"]), minor.abs());
        }
        let written: i64 = amounts.iter().map(|minor| minor.abs()).sum();
        let closing = 100_000 + sum + off;
        let (whole, cents) = unsigned(closing);
        let closing_text = format!("{whole}.{cents:02}");
        let of = mark(closing, ["CRDT", "DBIT"]);
        let balances = camt_balance("OPBD", "1000", "CRDT", "2026-11-30") + &camt_balance("CLBD", &closing_text, &of, "2026-11-30");
        let closed = mt940(&movements_of, &closing_text.replace('.', ","));
        let closed = match closing < 0 {
            true => closed.replace(":62F:C", ":62F:D"),
            false => closed,
        };
        let records = u64::try_from(amounts.len()).unwrap();
        for (format, text) in [
            (StatementFormat::Camt, camt053(&(balances + &entries))),
            (StatementFormat::Mt940, closed),
            (StatementFormat::Bai2, bai2(&details, written + off, records)),
        ] {
            match read(format, &text) {
                Ok(_) => {
                    let got: Vec<_> = movements(format, &text).iter().map(|(minor, _)| *minor).collect();
                    prop_assert_eq!(off, 0);
                    prop_assert_eq!(&got, &amounts);
                }
                Err(error) => prop_assert!(off != 0, "{:?} {}", format, error),
            }
        }
    }
}

/// A line that is far too long, and a file without an end, are refused.
#[test]
fn what_never_ends_is_refused() {
    struct Endless;
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            buffer.fill(b' ');
            Ok(buffer.len())
        }
    }
    for (format, begin) in [
        (StatementFormat::Camt, "<Document "),
        (StatementFormat::Mt940, ":20:"),
        (StatementFormat::Bai2, "01,"),
    ] {
        let most = 4 * 1024 * 1024;
        let mut input = std::io::BufReader::new(begin.as_bytes().chain(Endless.take(most)));
        let error = read_statements(format, &mut input, today())
            .next()
            .unwrap()
            .unwrap_err();
        assert!(
            error.to_string().contains("65536 bytes"),
            "{format:?} {error}"
        );
        assert!(input.fill_buf().is_ok());
    }
}

/// Lines come while the file is still being read: here it has no end.
#[test]
fn lines_are_handed_out_one_at_a_time() {
    struct Repeating(&'static [u8], usize);
    impl Read for Repeating {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            for byte in &mut *buffer {
                *byte = self.0[self.1];
                self.1 = (self.1 + 1) % self.0.len();
            }
            Ok(buffer.len())
        }
    }
    let entry = b"<Ntry><Amt Ccy='EUR'>1</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts></Ntry>\n";
    for (format, end, line) in [
        (StatementFormat::Camt, "\n</Stmt>", entry.as_slice()),
        (
            StatementFormat::Mt940,
            ":61:",
            b":61:261130C1,00NTRFNONREF\n".as_slice(),
        ),
        (
            StatementFormat::Bai2,
            "16,",
            b"16,175,1,,,,text\n".as_slice(),
        ),
    ] {
        let text = right(format);
        let begin = text.split(end).next().unwrap();
        let input = begin.as_bytes().chain(Repeating(line, 0));
        let parts = read_statements(format, input, today());
        let lines = parts.filter(|part| matches!(part.as_ref().unwrap(), StatementPart::Line(_)));
        assert_eq!(lines.take(10_000).count(), 10_000);
    }
}
