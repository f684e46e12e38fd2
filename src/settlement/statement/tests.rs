use proptest::prelude::*;

use super::samples::{line, merchant, period, with_balances};
use super::*;

fn made(lines: Vec<StatementLine>, closing_minor: i64) -> Result<Statement, InvalidStatement> {
    let currency = "EUR".parse().unwrap();
    Statement::new(merchant(), period(), currency, 100, lines, closing_minor)
}

#[test]
fn what_makes_no_statement_is_refused_with_its_line() {
    type Change = fn(&mut StatementLine);
    let cases: [(Change, &str); 8] = [
        (
            |line| line.date = "2026-12-01".parse().unwrap(),
            "line 2: expected a date within 2026-11-01 to 2026-11-30, got 2026-12-01",
        ),
        (
            |line| line.reference = "x".repeat(65),
            "line 2, reference: expected at most 64 characters without control characters, \
             got \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" of 65 characters",
        ),
        (
            |line| line.description = "a\nb".to_owned(),
            "line 2, description: expected at most 200 characters without control characters, \
             got \"a\\nb\" of 3 characters",
        ),
        (
            |line| line.gross_minor += 1,
            "line 2: expected a net amount of 51 minor units, got 50",
        ),
        (
            |line| line.fees_minor += 1,
            "line 2: expected a net amount of 49 minor units, got 50",
        ),
        (
            |line| (line.gross_minor, line.fees_minor) = (i64::MAX, i64::MIN),
            "line 2: expected a net amount of 18446744073709551615 minor units, got 50",
        ),
        (
            |line| (line.gross_minor, line.net_minor) = (i64::MAX, i64::MAX),
            "line 2: expected a balance of 9223372036854775957 minor units, got 200",
        ),
        (
            |line| line.balance_minor += 1,
            "line 2: expected a balance of 200 minor units, got 201",
        ),
    ];
    for (change, message) in cases {
        let capture = || line(LineKind::Capture, 50, 0);
        let (mut lines, closing) = with_balances(100, vec![capture(), capture()]);
        assert!(made(lines.clone(), closing).is_ok());
        change(&mut lines[1]);
        assert_eq!(made(lines, closing).unwrap_err().to_string(), message);
    }
    let closing = made(Vec::new(), 101).unwrap_err().to_string();
    assert_eq!(
        closing,
        "expected a closing balance of 100 minor units, got 101"
    );
}

#[test]
fn a_period_has_a_day_at_least() {
    let (first, last) = (period().first(), period().last());
    assert!(Period::new(first, first).is_ok());
    assert_eq!(
        Period::new(last, first),
        Err(InvalidPeriod {
            first: last,
            last: first
        })
    );
}

proptest! {
    #[test]
    fn lines_that_add_up_make_a_statement_and_a_changed_amount_makes_none(
        amounts in prop::collection::vec((-1_000_000_i64..1_000_000, -1000_i64..1000), 1..20),
        which in any::<prop::sample::Index>(),
        column in 0..4,
        by in prop_oneof![-3_i64..=-1, 1_i64..=3],
    ) {
        let lines = amounts.iter().map(|&(gross, fees)| line(LineKind::Correction, gross, fees));
        let (lines, closing) = with_balances(100, lines.collect());
        prop_assert!(made(lines.clone(), closing).is_ok());
        prop_assert!(made(lines.clone(), closing + by).is_err());
        let mut changed = lines;
        let line = &mut changed[which.index(amounts.len())];
        let amount = match column {
            0 => &mut line.gross_minor,
            1 => &mut line.fees_minor,
            2 => &mut line.net_minor,
            _ => &mut line.balance_minor,
        };
        *amount += by;
        prop_assert!(made(changed, closing).is_err());
    }
}
