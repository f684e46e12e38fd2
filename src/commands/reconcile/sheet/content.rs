//! What stands on the sheet of a day, however it is written.

use crate::admin_api::pb;
use crate::commands::error::CommandError;
use crate::commands::operators_door::moment;
use crate::commands::output::amount;
use crate::commands::reconcile::show::{has_amounts, is_code, side};

/// The sheet of a day.
pub(super) struct Sheet {
    pub(super) title: String,
    /// How many discrepancies there are, and how many of them are open.
    pub(super) summary: String,
    /// The SHA-256 of the bank's file.
    pub(super) sha256: String,
    /// What is known of the report, by names.
    pub(super) facts: Vec<(&'static str, String)>,
    /// The discrepancies by kind and currency.
    pub(super) sums: Vec<Sum>,
    /// Each discrepancy.
    pub(super) rows: Vec<Row>,
}

/// What one kind of discrepancy comes to in one currency.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) kind: String,
    pub(super) currency: String,
    count: i64,
    open: i64,
    has_amounts: bool,
    ours: Total,
    theirs: Total,
    /// The largest of its currency: amounts of two currencies can't be compared.
    most_minor: i64,
}

/// What amounts come to, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Total {
    /// With their signs.
    minor: i64,
    /// Without them: what goes both ways would look like little, or nothing.
    unsigned_minor: i64,
}

impl Total {
    /// Of one amount as a discrepancy has it; nothing of what is no amount.
    fn of(text: &str) -> Self {
        let minor = text.parse::<i64>().unwrap_or(0);
        Self {
            minor,
            unsigned_minor: minor.saturating_abs(),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            minor: self.minor.saturating_add(other.minor),
            unsigned_minor: self.unsigned_minor.saturating_add(other.unsigned_minor),
        }
    }

    /// As people write it. Where amounts go both ways, both sums: else what is turned round would be hidden.
    fn shown(self, currency: &str) -> String {
        let sum = format!("{} {currency}", amount(self.minor, currency));
        if self.minor.saturating_abs() == self.unsigned_minor {
            return sum;
        }
        let unsigned = amount(self.unsigned_minor, currency);
        format!("{sum} ({unsigned} without signs)")
    }
}

impl Sum {
    pub(super) fn counts(&self) -> String {
        format!("{} in all, {} open", self.count, self.open)
    }

    /// Our amount and the bank's: as people write it, and how long its bar is where the longest one has this length. None of
    /// a kind that is about dates or references.
    pub(super) fn bars(&self, longest: i32) -> Option<[(String, i32); 2]> {
        let amounts = [self.ours, self.theirs].map(|total| {
            let most = i128::from(self.most_minor.max(1));
            let length = i128::from(total.unsigned_minor) * i128::from(longest) / most;
            let text = total.shown(&self.currency);
            (text, i32::try_from(length).unwrap_or(longest))
        });
        self.has_amounts.then_some(amounts)
    }
}

/// The names of a row's columns.
pub(super) const COLUMNS: [&str; 7] = [
    "Discrepancy",
    "Kind",
    "Ours",
    "The bank's",
    "Line",
    "State",
    "What was done",
];

/// Those of them whose values stand on the right.
pub(super) const AMOUNTS: [&str; 3] = ["Ours", "The bank's", "Line"];

/// A discrepancy.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) ours: String,
    pub(super) theirs: String,
    pub(super) line: String,
    pub(super) state: String,
    /// A text for each step: when, what, by whom and why.
    pub(super) done: Vec<String>,
}

/// Under the lines that are signed.
pub(super) const SIGNED: [&str; 2] = ["Prepared by, date", "Approved by, date"];

impl Sheet {
    /// The sheet of this report, with everything that it had otherwise.
    ///
    /// # Errors
    /// When a time can't be shown.
    pub(super) fn of(
        import: &pb::SettlementImport,
        found: &[pb::Discrepancy],
    ) -> Result<Self, CommandError> {
        let open = found.iter().filter(|one| is_open(one)).count();
        let rows = found.iter().map(row);
        Ok(Self {
            title: format!(
                "Reconciliation: {} of {}",
                import.host_id, import.business_date
            ),
            summary: format!("{} discrepancies, {open} not decided", found.len()),
            sha256: import.sha256.clone(),
            facts: vec![
                ("The bank's file", import.name.clone()),
                ("its SHA-256", import.sha256.clone()),
                ("taken in by", import.operator.clone()),
                ("at", moment(import.create_time)?),
                ("lines", import.line_count.to_string()),
                ("lines with an item", import.matched_count.to_string()),
                ("discrepancies", found.len().to_string()),
                ("not decided", open.to_string()),
            ],
            sums: sums(found),
            rows: rows.collect::<Result<_, _>>()?,
        })
    }
}

fn is_open(one: &pb::Discrepancy) -> bool {
    !matches!(one.state.as_str(), "ACCEPTED" | "CORRECTED")
}

fn sums(found: &[pb::Discrepancy]) -> Vec<Sum> {
    let mut sums: Vec<Sum> = Vec::new();
    for one in found {
        let (ours, theirs) = match (has_amounts(one), is_code(one)) {
            (false, _) => (Total::default(), Total::default()),
            (true, true) => (Total::of(&one.ours), Total::default()),
            (true, false) => (Total::of(&one.ours), Total::of(&one.theirs)),
        };
        let open = i64::from(is_open(one));
        let same = |sum: &&mut Sum| (&sum.kind, &sum.currency) == (&one.kind, &one.currency);
        if let Some(sum) = sums.iter_mut().find(same) {
            sum.count += 1;
            sum.open += open;
            sum.ours = sum.ours.and(ours);
            sum.theirs = sum.theirs.and(theirs);
        } else {
            sums.push(Sum {
                kind: one.kind.clone(),
                currency: one.currency.clone(),
                count: 1,
                open,
                has_amounts: has_amounts(one),
                ours,
                theirs,
                most_minor: 0,
            });
        }
    }
    sums.sort_by(|a, b| (&a.kind, &a.currency).cmp(&(&b.kind, &b.currency)));
    let largest = |sum: &Sum| {
        let of = sum.ours.unsigned_minor.max(sum.theirs.unsigned_minor);
        (sum.currency.clone(), of)
    };
    let largest: Vec<_> = sums.iter().map(largest).collect();
    for sum in &mut sums {
        let own = largest
            .iter()
            .filter(|(currency, _)| *currency == sum.currency);
        sum.most_minor = own.map(|(_, minor)| *minor).max().unwrap_or(0);
    }
    sums
}

fn row(one: &pb::Discrepancy) -> Result<Row, CommandError> {
    let mut done = Vec::new();
    for step in &one.history {
        let (time, state) = (moment(step.time)?, &step.state);
        done.push(format!("{time} {state} by {}: {}", step.actor, step.reason));
    }
    if !one.correction_id.is_empty() {
        done.push(format!("journal {}", one.correction_id));
    }
    let shown = |value: &str, is_amount: bool| match is_amount && !value.is_empty() {
        true => format!("{} {}", side(one, value), one.currency),
        false => value.to_owned(),
    };
    let has_amounts = has_amounts(one);
    Ok(Row {
        id: one.discrepancy_id.clone(),
        kind: match one.account.as_str() {
            "" => one.kind.clone(),
            account => format!("{} on {account}", one.kind),
        },
        ours: shown(&one.ours, has_amounts),
        theirs: shown(&one.theirs, has_amounts && !is_code(one)),
        line: match one.line {
            0 => String::new(),
            line => line.to_string(),
        },
        state: one.state.clone(),
        done,
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{differs, import, missing};
    use super::*;

    #[test]
    fn a_sheet_has_each_discrepancy_with_what_was_done() {
        let sheet = Sheet::of(&import(), &[differs(), missing()]).unwrap();
        let [first, second] = &sheet.rows[..] else {
            panic!("two rows");
        };
        assert_eq!((&*first.ours, &*first.theirs), ("25.00 EUR", "25.01 EUR"));
        assert_eq!((&*first.line, &*first.state), ("7", "CORRECTED"));
        assert_eq!(
            first.done,
            [
                "1970-01-01T00:00:00Z CORRECTED by alice: <i>a & b</i>",
                "journal dis_1-1"
            ]
        );
        assert_eq!((&*second.ours, &*second.theirs), ("700 JPY", ""));
        assert_eq!(second.done.len(), 0);
        let open = sheet.facts.iter().find(|(name, _)| *name == "not decided");
        assert_eq!(open.unwrap().1, "1");
    }

    /// What is on an account is on the sheet of its day too, and says so.
    #[test]
    fn a_discrepancy_of_an_account_names_it() {
        let missing = pb::Discrepancy {
            account: "main".into(),
            missing: "acquirer/2026-11-27/EUR".into(),
            ..missing()
        };
        let sheet = Sheet::of(&import(), &[missing]).unwrap();
        assert_eq!(sheet.rows[0].kind, "MISSING_AT_BANK on main");
    }

    /// What the bank says of an outcome is its code, and no amount, whatever it looks like.
    #[test]
    fn a_code_is_no_amount() {
        let rejected = pb::Discrepancy {
            kind: "OUTCOME_DIFFERS".into(),
            theirs: "05".into(),
            ..differs()
        };
        let sheet = Sheet::of(&import(), &[rejected]).unwrap();
        assert_eq!(sheet.rows[0].theirs, "05");
        assert_eq!(
            sheet.sums[0].bars(100).unwrap()[1],
            ("0.00 EUR".to_owned(), 0)
        );
    }

    #[test]
    fn a_sign_that_is_turned_round_is_seen() {
        let signs = |ours: &str, theirs: &str| pb::Discrepancy {
            kind: "SIGN_DIFFERS".into(),
            ours: ours.into(),
            theirs: theirs.into(),
            ..differs()
        };
        let shown = |found: &[pb::Discrepancy]| {
            let sheet = Sheet::of(&import(), found).unwrap();
            sheet.sums[0].bars(100).unwrap()
        };
        let one = signs("1500", "-1500");
        let expected = [("15.00 EUR", 100), ("-15.00 EUR", 100)];
        assert_eq!(
            shown(std::slice::from_ref(&one)),
            expected.map(|(text, length)| (text.to_owned(), length))
        );
        // One of each: neither side comes to much, and both are long.
        let expected = [
            ("5.00 EUR (25.00 without signs)", 100),
            ("-5.00 EUR (25.00 without signs)", 100),
        ];
        assert_eq!(
            shown(&[one, signs("-1000", "1000")]),
            expected.map(|(text, length)| (text.to_owned(), length))
        );
    }

    #[test]
    fn bars_are_as_long_as_amounts_of_their_currency() {
        let twice = pb::Discrepancy {
            kind: "UNKNOWN_TO_PAYSWITCH".into(),
            ours: String::new(),
            theirs: "-5001".into(),
            ..differs()
        };
        let late = pb::Discrepancy {
            kind: "DATE_DIFFERS".into(),
            ours: "2026-11-26".into(),
            theirs: "2026-11-27".into(),
            ..differs()
        };
        let found = [differs(), missing(), differs(), twice, late];
        let sheet = Sheet::of(&import(), &found).unwrap();
        let bars: Vec<_> = sheet.sums.iter().map(|sum| sum.bars(1_000)).collect();
        let expected = [
            Some([("50.00 EUR", 999), ("50.02 EUR", 1_000)]),
            None,
            Some([("700 JPY", 1_000), ("0 JPY", 0)]),
            Some([("0.00 EUR", 0), ("-50.01 EUR", 999)]),
        ];
        let owned = expected.map(|bars| Some(bars?.map(|(text, it)| (text.to_owned(), it))));
        assert_eq!(bars, owned);
        assert_eq!(sheet.sums[0].counts(), "2 in all, 0 open");
    }
}
