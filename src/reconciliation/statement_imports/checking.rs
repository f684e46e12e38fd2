//! The first reading of a file: all of it, so that nothing of it counts where anything is wrong, or it is about something else.

use std::io::Read;

use crate::payment::bank_statement::Balance;
use crate::payment::moment::BusinessDate;
use crate::reconciliation::accounts::{MOST_DAYS_AHEAD, StatementAccount};
use crate::reconciliation::statement::error::StatementError;
use crate::reconciliation::statement::format::read_statements;
use crate::reconciliation::statement::part::{
    StatementEnd, StatementHead, StatementPart, StatementPurpose,
};
use crate::settlement::position::Position;

/// The most statements of a file.
const MOST_STATEMENTS: usize = 10_000;
/// The most lines of a statement: which of them look the same is held while they are recorded.
const MOST_LINES: u64 = 500_000;

/// A statement of a file that was read to its end.
pub(super) struct Checked {
    pub(super) head: StatementHead,
    pub(super) end: StatementEnd,
}

/// The statements of a file of this account.
pub(super) fn check(
    account: &StatementAccount,
    file: impl Read,
    today: BusinessDate,
) -> Result<Vec<Checked>, StatementError> {
    let (mut found, mut head) = (Vec::new(), None);
    for part in read_statements(account.format, file, today) {
        match part? {
            StatementPart::Begin(begun) => {
                is_of(account, &begun)?;
                head = Some(begun);
            }
            StatementPart::Line(_) => {}
            StatementPart::End(end) => {
                if let Some(head) = head.take() {
                    bounded(&head, end, found.len())?;
                    dated(&head, end, today)?;
                    found.push(Checked { head, end });
                }
            }
        }
    }
    if found.is_empty() {
        return Err(StatementError::value(
            Position::BEGIN,
            "file",
            "a statement",
            "none",
        ));
    }
    Ok(found)
}

/// Whether a statement is of this account, and says what it has to say.
fn is_of(account: &StatementAccount, head: &StatementHead) -> Result<(), StatementError> {
    let wrong = |of: &str, expected: &str, got: &str| {
        Err(StatementError::value(head.position, of, expected, got))
    };
    let plain = |number: &str| number.replace(' ', "");
    if plain(head.account.as_str()) != plain(account.number.as_str()) {
        let (expected, got) = (account.number.masked(), head.account.masked());
        return wrong("account", &expected, &got);
    }
    if head.currency != account.currency {
        return wrong("currency", account.currency.code(), head.currency.code());
    }
    let new = "a statement that adds lines";
    match head.purpose {
        StatementPurpose::New => Ok(()),
        StatementPurpose::Deletion => wrong("group", new, "one that takes some back"),
        StatementPurpose::Correction => wrong("group", new, "one that corrects some"),
        StatementPurpose::Test => wrong("group", new, "a test"),
    }
}

fn bounded(head: &StatementHead, end: StatementEnd, before: usize) -> Result<(), StatementError> {
    let (of, most) = if end.lines > MOST_LINES {
        ("lines", MOST_LINES)
    } else if before >= MOST_STATEMENTS {
        ("statements", u64::try_from(MOST_STATEMENTS).unwrap_or(0))
    } else {
        return Ok(());
    };
    let expected = format!("at most {most}");
    Err(StatementError::value(head.position, of, expected, "more"))
}

/// Whether a statement is of a time that may be over, and ends no earlier than it begins.
fn dated(
    head: &StatementHead,
    end: StatementEnd,
    today: BusinessDate,
) -> Result<(), StatementError> {
    let date = |balance: Option<Balance>| balance.and_then(|balance| balance.date);
    let (opening, closing) = (date(head.opening), date(end.closing));
    let latest = today.days_after(MOST_DAYS_AHEAD);
    for (of, date) in [("opening date", opening), ("closing date", closing)] {
        if let Some(got) = date.filter(|date| *date > latest) {
            let expected = format!("{latest} at the latest, {MOST_DAYS_AHEAD} days after today");
            return Err(StatementError::value(head.position, of, expected, got));
        }
    }
    match opening.zip(closing) {
        Some((opening, closing)) if closing < opening => {
            let expected = format!("{opening}, its opening date, or later");
            Err(StatementError::value(
                head.position,
                "closing date",
                expected,
                closing,
            ))
        }
        _ => Ok(()),
    }
}
