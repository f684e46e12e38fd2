//! Reads a report from the disk: once to its end, so that nothing of it counts where anything is wrong; then some lines at a
//! time.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::given_report::ImportError;
use crate::payment::moment::BusinessDate;
use crate::payment::settlement_import::ReportNet;
use crate::settlement::report::file_format::ReportFormat;
use crate::settlement::report::line::ReportLine;
use crate::settlement::spool::Spool;

/// What the first reading of a report finds.
pub(super) struct Checked {
    pub(super) lines: i64,
    /// What they come to, in each currency.
    pub(super) nets: Vec<ReportNet>,
    pub(super) first_date: Option<BusinessDate>,
    /// Which cycle of its date it is, where it says that.
    pub(super) cycle: Option<i64>,
}

/// Reads a report to its end, so that nothing of it counts where anything is wrong.
pub(super) async fn check(
    format: Arc<ReportFormat>,
    spool: Arc<Spool>,
) -> Result<Checked, ImportError> {
    let checking = spawn_blocking(move || {
        let file = spool.open();
        let file = file.map_err(|error| ImportError::Interrupted(error.to_string()))?;
        let mut checked = Checked {
            lines: 0,
            nets: Vec::new(),
            first_date: None,
            cycle: None,
        };
        let mut failed = None;
        for line in format.read(file)? {
            match line {
                Ok(line) => {
                    checked.lines = checked.lines.saturating_add(1);
                    add(&mut checked.nets, &line);
                    checked.first_date = checked.first_date.or(Some(line.business_date));
                    checked.cycle = checked.cycle.or(line.cycle);
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(checked),
        }
    });
    let checked = checking.await;
    checked.map_err(|error| ImportError::Interrupted(error.to_string()))?
}

/// Adds what a line pays to the net of its currency.
fn add(nets: &mut Vec<ReportNet>, line: &ReportLine) {
    let minor = line.pays_minor();
    match nets.iter_mut().find(|net| net.currency == line.currency) {
        Some(net) => net.minor = net.minor.saturating_add(minor),
        None => nets.push(ReportNet {
            currency: line.currency,
            minor,
        }),
    }
}

/// Reads a report that was checked, and hands its lines out, `at_once` together. Nobody may want them any more.
pub(super) fn hand_out(
    format: &ReportFormat,
    file: std::fs::File,
    at_once: usize,
    chunks: &mpsc::Sender<Vec<ReportLine>>,
) -> Result<(), ImportError> {
    let mut lines = format.read(file)?;
    loop {
        let chunk: Result<Vec<_>, _> = lines.by_ref().take(at_once).collect();
        let chunk = chunk?;
        if chunk.is_empty() || chunks.blocking_send(chunk).is_err() {
            return Ok(());
        }
    }
}
