//! The cycles of a date: a bank that reports it in several files.

use super::given_report::ImportError;
use crate::payment::ids::HostId;
use crate::payment::moment::BusinessDate;
use crate::payment::settlement_import::{
    ReportCycle, SettlementImport, has_all_cycles, missing_cycles,
};
use crate::store::Store;
use crate::store::error::StoreError;

/// Which cycle of its date a report is, as an operator or the file says.
pub(super) fn cycle_of(
    (host_id, date, of_day): (HostId, BusinessDate, Option<i64>),
    given: Option<i64>,
    said: Option<i64>,
) -> Result<Option<ReportCycle>, ImportError> {
    let wrong = |expected: String, got: Option<i64>| ImportError::Cycle {
        host_id,
        date,
        expected,
        got: got.map_or("none".to_owned(), |got| got.to_string()),
    };
    match (of_day, said.or(given)) {
        (None, None) => Ok(None),
        (None, got) => Err(wrong(
            "no cycle, since its profile has none".to_owned(),
            got,
        )),
        (Some(_), Some(number)) if given.is_some_and(|given| given != number) => {
            Err(wrong(format!("the cycle {number}, as it says"), given))
        }
        (Some(of_day), Some(number)) if (1..=of_day).contains(&number) => {
            Ok(Some(ReportCycle { number, of_day }))
        }
        (Some(of_day), got) => Err(wrong(format!("a cycle of 1 to {of_day}"), got)),
    }
}

/// The cycles that have not come of the date of a report, and of which a later one has.
pub(super) async fn missing_beside(
    store: &Store,
    import: &SettlementImport,
) -> Result<Vec<i64>, StoreError> {
    if import.cycle.is_none() {
        return Ok(Vec::new());
    }
    let reports = store.reports_of_day(&import.host_id, import.business_date);
    Ok(missing_cycles(&reports.await?))
}

/// The report of the last cycle of a date, once all of its cycles are applied. One that is missing is named.
pub(super) async fn last_of_all(
    store: &Store,
    import: &SettlementImport,
    cycle: ReportCycle,
) -> Result<Option<SettlementImport>, StoreError> {
    let (host, date) = (&import.host_id, import.business_date);
    let mut reports = store.reports_of_day(host, date).await?;
    let missing = missing_cycles(&reports);
    if !missing.is_empty() {
        tracing::error!(
            host.id = %host, business_date = %date, cycles = ?missing, came = %cycle,
            "A cycle of a report is missing (CYCLE_MISSING); its day is not settled without it"
        );
    }
    let is_complete = has_all_cycles(&reports, cycle);
    Ok(reports.pop().filter(|_| is_complete))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_what_the_file_says_or_an_operator() {
        let host: HostId = "acquirer".parse().unwrap();
        let date: BusinessDate = "2026-11-29".parse().unwrap();
        for (of_day, given, said, expected) in [
            (None, None, None, Ok(None)),
            (Some(3), None, Some(2), Ok(Some(2))),
            (Some(3), Some(2), None, Ok(Some(2))),
            (Some(3), Some(3), Some(3), Ok(Some(3))),
            (
                None,
                Some(1),
                None,
                Err("no cycle, since its profile has none, got 1"),
            ),
            (Some(3), None, None, Err("a cycle of 1 to 3, got none")),
            (Some(3), Some(4), None, Err("a cycle of 1 to 3, got 4")),
            (Some(3), Some(0), None, Err("a cycle of 1 to 3, got 0")),
            (
                Some(3),
                Some(1),
                Some(2),
                Err("the cycle 2, as it says, got 1"),
            ),
        ] {
            let got = cycle_of((host, date, of_day), given, said);
            match (got, expected) {
                (Ok(cycle), Ok(expected)) => {
                    assert_eq!(cycle.map(|it| it.number), expected);
                    assert_eq!(
                        cycle.map(|it| it.of_day),
                        of_day.filter(|_| cycle.is_some())
                    );
                }
                (Err(error), Err(expected)) => {
                    let whole =
                        format!("the report of 2026-11-29 of host acquirer: expected {expected}");
                    assert_eq!(error.to_string(), whole);
                }
                (got, expected) => panic!("{got:?}, not {expected:?}"),
            }
        }
    }
}
