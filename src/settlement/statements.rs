//! Statements of merchants, from the ledger: what is owed, pending and available together, moves line by line.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::statement::csv::to_csv;
use super::statement::pdf::{PdfError, to_pdf};
use super::statement::{InvalidStatement, LineKind, Period, Statement, StatementLine};
use crate::hosts::message::local_clock::time_zone;
use crate::ledger::template::AnyTemplate;
use crate::payment::ids::MerchantId;
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::money::Currency;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::reads::statements::Movement;

/// The most journals that are read at once.
const AT_ONCE: usize = 1_000;
/// The most lines of a statement.
pub const MOST_LINES: usize = 200_000;

/// How a statement is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For other programs.
    Csv,
    /// For people.
    Pdf,
}

/// Why there is no statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// There is no such merchant.
    #[error("there is no merchant {0}")]
    NoMerchant(MerchantId),
    /// The merchant's zone is none.
    #[error("the time zone of merchant {0} is not known")]
    Zone(MerchantId),
    /// The period is longer than one statement.
    #[error("expected a period of at most {MOST_LINES} lines, got more")]
    TooLong,
    /// A journal moves what is owed, and it is not known as what a statement shows that: a newer version has posted it.
    #[error("expected journals of templates that change what is owed, got {journal_id}")]
    Template {
        /// The journal.
        journal_id: String,
    },
    /// The lines don't add up.
    #[error(transparent)]
    Lines(#[from] InvalidStatement),
    /// The PDF.
    #[error(transparent)]
    Pdf(#[from] PdfError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The program stops.
    #[error("the statement was not written, because the program stops")]
    Stopping,
}

/// The statement of a merchant for a period of days in its own zone: opening balance and lines make the closing balance,
/// which is the opening balance of the day after.
///
/// # Errors
/// [`StatementError`].
pub async fn statement_of(
    store: &Store,
    merchant_id: &MerchantId,
    currency: Currency,
    period: Period,
) -> Result<Statement, StatementError> {
    let merchant = store.merchant(merchant_id).await?;
    let mut merchant = merchant.ok_or(StatementError::NoMerchant(*merchant_id))?;
    let terms = store.merchant_terms(merchant_id).await?;
    if let Some(terms) = terms.filter(|terms| !terms.legal_name.is_empty()) {
        // Its own name is the short one of messages.
        merchant.name = terms.legal_name;
    }
    let no_zone = |_| StatementError::Zone(*merchant_id);
    let zone = time_zone(&merchant.time_zone).ok_or(StatementError::Zone(*merchant_id))?;
    let (first, last) = (civil(period.first()), civil(period.last()));
    let after = last.checked_add(1.day()).map_err(no_zone)?;
    let begin = |date: Date| -> Result<UnixMillis, StatementError> {
        let moment = zone.to_timestamp(date.to_datetime(Time::midnight()));
        Ok(UnixMillis::new(moment.map_err(no_zone)?.as_millisecond()))
    };
    let (from, before) = (begin(first)?, begin(after)?);
    let opening_minor = store.owed_before(merchant_id, currency, from).await?;
    let (mut lines, mut balance_minor, mut position) = (Vec::new(), opening_minor, 0);
    loop {
        let movements = store.movements(merchant_id, currency, (from, before), AT_ONCE, position);
        let movements = movements.await?;
        let Some(newest) = movements.last() else {
            break;
        };
        position = newest.position;
        for movement in &movements {
            for line in lines_of(movement)? {
                balance_minor = balance_minor.saturating_add(line.net_minor);
                lines.push(StatementLine {
                    date: local_date(movement.at, &zone),
                    balance_minor,
                    ..line
                });
            }
        }
        if lines.len() > MOST_LINES {
            return Err(StatementError::TooLong);
        }
    }
    let closing_minor = store.owed_before(merchant_id, currency, before).await?;
    // What moved while this was read has not its line yet.
    let closing_minor = match store
        .movements(merchant_id, currency, (from, before), 1, position)
        .await?[..]
    {
        [] => closing_minor,
        _ => balance_minor,
    };
    let statement = Statement::new(
        merchant,
        period,
        currency,
        opening_minor,
        lines,
        closing_minor,
    );
    Ok(statement?)
}

/// A statement as a file.
///
/// # Errors
/// When the PDF can't be made, or the program stops.
pub async fn written(statement: Statement, format: Format) -> Result<Vec<u8>, StatementError> {
    let write = move || match format {
        Format::Csv => Ok(to_csv(&statement)),
        Format::Pdf => to_pdf(&statement),
    };
    // A PDF takes a while.
    let written = tokio::task::spawn_blocking(write).await;
    Ok(written.map_err(|_| StatementError::Stopping)??)
}

/// What a movement is on a statement; dates and balances come later. A payout that holds something back, or gives it
/// back, is two lines.
fn lines_of(movement: &Movement) -> Result<Vec<StatementLine>, StatementError> {
    let template = AnyTemplate::of_journal(&movement.journal_id);
    let kind = template.and_then(|template| Some((template, LineKind::of(template)?)));
    let (template, kind) = kind.ok_or_else(|| StatementError::Template {
        journal_id: movement.journal_id.clone(),
    })?;
    let source = movement.journal_id.rsplit_once(':');
    let source = source.map_or("", |(source, _)| source);
    let what = match template {
        AnyTemplate::Settled => "fees of the batch".to_owned(),
        // Whose it is, is said by the statement.
        AnyTemplate::CorrectionOfMerchant => AnyTemplate::Correction.name().to_owned(),
        _ => template.name().replace('_', " "),
    };
    let line = |kind, net_minor: i64, fees_minor: i64| StatementLine {
        date: BusinessDate::new(1970, 1, 1),
        kind,
        reference: match movement.subject_id {
            Some(subject) => subject.to_string(),
            None => source.to_owned(),
        },
        description: match movement.payment_id {
            Some(payment) => format!("{what} of {payment}"),
            None => what.clone(),
        },
        gross_minor: net_minor.saturating_add(fees_minor),
        fees_minor,
        net_minor,
        balance_minor: 0,
    };
    Ok(match (kind, movement.reserved_minor) {
        (LineKind::Payout, reserved @ (..=-1 | 1..)) => {
            let held = match reserved {
                1.. => LineKind::Reserve,
                _ => LineKind::ReserveRelease,
            };
            let paid = movement.owed_minor.saturating_add(reserved);
            vec![
                line(held, reserved.saturating_neg(), 0),
                line(LineKind::Payout, paid, 0),
            ]
        }
        _ => vec![line(kind, movement.owed_minor, movement.fee_minor)],
    })
}

fn civil(date: BusinessDate) -> Date {
    let date = date.date();
    let parts = (
        i16::try_from(date.year()),
        i8::try_from(u8::from(date.month())),
        i8::try_from(date.day()),
    );
    match parts {
        (Ok(year), Ok(month), Ok(day)) => Date::new(year, month, day).unwrap_or_default(),
        _ => Date::default(),
    }
}

fn local_date(moment: UnixMillis, zone: &TimeZone) -> BusinessDate {
    let moment = Timestamp::from_millisecond(moment.as_i64()).unwrap_or_default();
    let date = zone.to_datetime(moment).date();
    BusinessDate::new(
        date.year().into(),
        date.month().unsigned_abs(),
        date.day().unsigned_abs(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::account::AccountKind;
    use crate::ledger::template::{Posting, Template};
    use crate::payment::samples::NOW;

    fn movement(name: &str) -> Movement {
        Movement {
            position: 1,
            journal_id: format!("dis_1.5:{name}"),
            payment_id: None,
            subject_id: None,
            at: NOW,
            owed_minor: -6,
            reserved_minor: 0,
            fee_minor: 0,
        }
    }

    #[test]
    fn a_correction_is_shown_as_one_whoever_bears_it() {
        for template in [AnyTemplate::Correction, AnyTemplate::CorrectionOfMerchant] {
            let lines = lines_of(&movement(template.name())).unwrap();
            let shown = lines.iter().map(|line| {
                let texts = (line.reference.as_str(), line.description.as_str());
                (line.kind, texts, line.net_minor)
            });
            let expected = (LineKind::Correction, ("dis_1.5", "correction"), -6);
            assert_eq!(shown.collect::<Vec<_>>(), [expected], "{template:?}");
        }
    }

    #[test]
    fn a_template_has_a_kind_where_it_moves_what_is_owed_or_held_back() {
        let posting = Posting {
            source: "op_1".to_owned(),
            merchant_id: "demo-shop".parse().unwrap(),
            host_id: "acquirer".parse().unwrap(),
            at: NOW,
        };
        for template in Template::ALL {
            let journal = posting.movement(template, "EUR".parse().unwrap(), 5);
            let moves = journal.unwrap().lines().iter().any(|line| {
                use AccountKind as A;
                let kind = line.account.kind;
                matches!(kind, A::PayablePending | A::PayableAvailable | A::Reserve)
            });
            let kind = LineKind::of(AnyTemplate::Moves(template));
            assert_eq!(kind.is_some(), moves, "{template:?}");
        }
    }

    #[test]
    fn a_journal_of_a_newer_version_is_not_shown_as_anything_else() {
        for name in ["gift", "payout_credited", "exchange", ""] {
            let refused = lines_of(&movement(name));
            assert!(
                matches!(refused, Err(StatementError::Template { .. })),
                "{name}"
            );
        }
    }
}
