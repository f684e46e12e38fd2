//! Reports as the bank writes them, and what becomes of them when they are damaged.

use super::*;
use crate::payment::money::Currency;
use crate::payment::money::Decimal;

/// A line as the bank has it.
#[derive(Debug, Clone)]
struct Line {
    is_refund: bool,
    currency: Currency,
    minor: i64,
    acceptor: String,
}

fn any_line() -> impl Strategy<Value = Line> {
    let currency = prop_oneof![Just("EUR"), Just("JPY"), Just("KWD")];
    (
        any::<bool>(),
        currency,
        100..10_000_000_i64,
        "[A-Z,\"]{1,15}",
    )
        .prop_map(|(is_refund, currency, minor, acceptor)| Line {
            is_refund,
            currency: currency.parse().unwrap(),
            minor,
            acceptor,
        })
}

impl Line {
    fn fees(&self) -> (i64, i64) {
        if self.is_refund {
            (0, 0)
        } else {
            (self.minor / 500, self.minor / 2_000)
        }
    }

    fn net(&self) -> i64 {
        self.minor - self.fees().0 - self.fees().1
    }

    fn shown(&self, minor: i64) -> String {
        let places = self.currency.minor_digits();
        let units = i128::from(minor);
        Decimal { units, places }.to_string()
    }

    fn fields(&self, number: usize) -> Vec<String> {
        let sides = |minor| {
            let shown = self.shown(minor);
            if self.is_refund {
                [shown, String::new()]
            } else {
                [String::new(), shown]
            }
        };
        let ([gross_debit, gross_credit], [net_debit, net_credit]) =
            (sides(self.minor), sides(self.net()));
        let word = if self.is_refund { "REFUND" } else { "SALE" };
        let acceptor = format!("\"{}\"", self.acceptor.replace('"', "\"\""));
        let code = self.currency.code();
        let rrn = format!("63330{number:07}");
        let (interchange, scheme_fee) = self.fees();
        [
            "2026-11-29",
            &acceptor,
            "WEB00001",
            word,
            &rrn,
            "",
            "A1B2C3",
            "411111******1111",
            code,
            &gross_debit,
            &gross_credit,
            &self.shown(interchange),
            &self.shown(scheme_fee),
            &self.shown(0),
            code,
            &net_debit,
            &net_credit,
            "",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

/// The lines of a report, without line ends.
fn report(lines: &[Line]) -> Vec<String> {
    let mut report = vec![HEADER.trim_end().to_owned()];
    for (number, line) in lines.iter().enumerate() {
        report.push(line.fields(number).join(","));
    }
    let mut codes: Vec<_> = lines.iter().map(|line| line.currency.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    for code in &codes {
        let own: Vec<_> = lines
            .iter()
            .filter(|it| it.currency.code() == *code)
            .collect();
        let sum = |is_refund: bool, minor: fn(&Line) -> i64| {
            let lines = own.iter().filter(|it| it.is_refund == is_refund);
            own[0].shown(lines.map(|it| minor(it)).sum())
        };
        let mut end = format!(
            "<END>,{},{},{},{},{}",
            own.len(),
            sum(true, |it| it.minor),
            sum(false, |it| it.minor),
            sum(true, Line::net),
            sum(false, Line::net)
        );
        if codes.len() > 1 {
            end = format!("{end},{code}");
        }
        report.push(end);
    }
    report
}

fn text(report: &[String]) -> String {
    report.iter().map(|line| format!("{line}\n")).collect()
}

/// A way to damage a line.
#[derive(Debug, Clone)]
enum Damage {
    /// A field that matters becomes something else.
    Field(usize, &'static str),
    MoreFields,
    FewerFields,
    OpenQuote,
    Empty,
    OtherBytes,
    /// One more minor unit in the gross, the net or the interchange.
    Amount(usize),
    TooLong,
}

fn any_damage() -> impl Strategy<Value = Damage> {
    let field = prop_oneof![
        (Just(0), prop_oneof![Just("2026-13-01"), Just("x")]),
        (Just(1), Just("")),
        (Just(3), prop_oneof![Just("SAIL"), Just("")]),
        (Just(4), prop_oneof![Just("63\t33"), Just("")]),
        (Just(8), prop_oneof![Just("XXX"), Just("eur"), Just("")]),
        (
            9..=13_usize,
            prop_oneof![
                Just("-1"),
                Just("1,0"),
                Just("1e2"),
                Just(" 5"),
                Just("0.00001")
            ]
        )
            .prop_map(|(index, got)| (index, if got == "1,0" { "\"1,0\"" } else { got })),
        (
            15..=16_usize,
            prop_oneof![Just("x"), Just("+5"), Just("1234567890123456789")]
        ),
    ];
    prop_oneof![
        field.prop_map(|(index, got)| Damage::Field(index, got)),
        Just(Damage::MoreFields),
        Just(Damage::FewerFields),
        Just(Damage::OpenQuote),
        Just(Damage::Empty),
        Just(Damage::OtherBytes),
        (0..3_usize).prop_map(Damage::Amount),
        Just(Damage::TooLong),
    ]
}

fn damaged(line: &Line, number: usize, damage: &Damage) -> Vec<u8> {
    let mut fields = line.fields(number);
    match damage {
        Damage::Field(index, got) => fields[*index] = (*got).to_owned(),
        Damage::MoreFields => fields.push(String::new()),
        Damage::FewerFields => drop(fields.pop()),
        Damage::OpenQuote => fields[2] = "\"WEB".to_owned(),
        Damage::Empty => return Vec::new(),
        Damage::OtherBytes => {
            fields[1] = String::new();
            let line = fields.join(",").into_bytes();
            return line
                .into_iter()
                .flat_map(|byte| match byte {
                    b'E' => vec![0xff, 0xfe],
                    byte => vec![byte],
                })
                .collect();
        }
        Damage::Amount(which) => {
            let gross = if line.is_refund { 9 } else { 10 };
            let (index, minor) = match which {
                0 => (gross, line.minor),
                1 => (gross + 6, line.net()),
                _ => (11, line.fees().0),
            };
            fields[index] = line.shown(minor + 1);
        }
        Damage::TooLong => fields[7] = "x".repeat(70_000),
    }
    fields.join(",").into_bytes()
}

proptest! {
    #[test]
    fn what_the_bank_writes_is_read(lines in proptest::collection::vec(any_line(), 0..20)) {
        let mut report = report(&lines);
        if lines.is_empty() {
            report.push("<END>,0,0.00,0.00,0.00,0.00".to_owned());
        }
        let read = read(text(&report)).unwrap();
        prop_assert_eq!(read.lines.len(), lines.len());
        for (read, line) in read.lines.iter().zip(&lines) {
            let sign = if line.is_refund { -1 } else { 1 };
            prop_assert_eq!(&read.acceptor, &line.acceptor);
            prop_assert_eq!(read.gross_minor, sign * line.minor);
            prop_assert_eq!(read.net_minor, Some(sign * line.net()));
            prop_assert_eq!(read.currency, line.currency);
        }
    }

    #[test]
    fn a_damaged_line_is_named_and_no_other(
        lines in proptest::collection::vec(any_line(), 1..12),
        which in any::<prop::sample::Index>(),
        damage in any_damage(),
    ) {
        let which = which.index(lines.len());
        let report = report(&lines).into_iter().map(String::into_bytes);
        let mut report: Vec<_> = report.collect();
        report[which + 1] = damaged(&lines[which], which, &damage);
        let found = faults(report.join(&b'\n'));
        let number = u64::try_from(which + 2).unwrap();
        prop_assert_eq!((found.count, found.first[0].line), (1, number), "{}", found);
    }

    #[test]
    fn a_line_that_is_lost_or_comes_twice_is_noticed(
        lines in proptest::collection::vec(any_line(), 1..12),
        which in any::<prop::sample::Index>(),
        twice in any::<bool>(),
    ) {
        let mut report = report(&lines);
        let which = 1 + which.index(report.len() - 1);
        if twice {
            report.insert(which, report[which].clone());
        } else {
            report.remove(which);
        }
        prop_assert!(read(text(&report)).is_err());
    }

    #[test]
    fn of_a_cut_report_nothing_is_taken(
        lines in proptest::collection::vec(any_line(), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = text(&report(&lines));
        let cut = cut.index(whole.len());
        match read(&whole.as_bytes()[..cut]) {
            Err(_) => {}
            // The last zeros of the last sum say nothing, nor does the code of the only currency.
            Ok(report) => {
                prop_assert_eq!(report, read(&whole).unwrap());
                prop_assert!(whole.len() - cut <= 5, "{}", &whole[cut..]);
            }
        }
    }
}
