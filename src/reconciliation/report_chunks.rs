//! The lines of a report as they come, some at a time. While some are being written, the next ones are compared with their
//! items: what those that are being written settle counts as settled. The lines that are written together are the same
//! ones each time, so that what comes of them is too.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::findings::as_they_come;
use super::given_report::ImportError;
use super::report_items::{ReportItems, of};
use super::rules::MatchRules;
use crate::clock::Clock;
use crate::fault_points::FaultPoint;
use crate::payment::ids::OperationId;
use crate::payment::report_line::{AppliedLines, KeptLine};
use crate::payment::settlement_import::{ImportState, SettlementImport};
use crate::random::HashSet;
use crate::settlement::agreed_fees::AgreedFees;
use crate::settlement::chargebacks::{Chargebacks, NewChargeback, Recorded};
use crate::settlement::host_files::HostFiles;
use crate::settlement::report::line::ReportLine;
use crate::store::Store;

/// How often other nodes may be first with the same lines.
const ATTEMPTS: u32 = 5;

/// Applies lines as they come.
pub(super) struct ReportChunks {
    pub(super) store: Store,
    pub(super) items: Arc<ReportItems>,
    /// By which lines find their items.
    pub(super) rules: Arc<MatchRules>,
    /// What hosts are agreed to keep.
    pub(super) files: Arc<HostFiles>,
    pub(super) chargebacks: Chargebacks,
    pub(super) clock: Arc<dyn Clock>,
}

/// Lines that come after the first `position` ones, and are not written.
struct Chunk {
    position: i64,
    lines: Arc<[ReportLine]>,
    /// None where that can be told only once the lines before them are written, or where their chargebacks come first.
    compared: Option<Compared>,
}

/// What lines come to.
struct Compared {
    kept: Vec<KeptLine>,
    applied: AppliedLines,
    chargebacks: Vec<NewChargeback>,
}

impl Chunk {
    fn end(&self) -> i64 {
        self.position.saturating_add(count(self.lines.len()))
    }
}

impl ReportChunks {
    /// Applies the lines that come and are not applied yet.
    pub(super) async fn apply(
        &self,
        import: &mut SettlementImport,
        mut read: mpsc::Receiver<Vec<ReportLine>>,
    ) -> Result<(), ImportError> {
        let mut position = 0;
        let mut waiting: Option<Chunk> = None;
        loop {
            let (is_written, next) = tokio::join!(
                self.write(import, waiting.as_ref()),
                self.next(import, (&mut read, position), waiting.as_ref()),
            );
            let is_written = is_written?;
            if let Some(chunk) = &waiting {
                if is_written {
                    FaultPoint::ReportLines.pass();
                    let compared = chunk.compared.as_ref();
                    let matched = compared.map_or(0, |compared| compared.applied.matched);
                    import.applied_to = chunk.end();
                    import.matched = import.matched.saturating_add(matched);
                } else {
                    self.apply_alone(import, chunk).await?;
                }
            }
            let Some(mut next) = next? else {
                return Ok(());
            };
            // It was compared with what they would have settled, or not at all.
            if waiting.is_some() && !is_written {
                let none = HashSet::default();
                let compared = self.compared(import, &next.lines, none).await?;
                next.compared = Some(compared).filter(|compared| compared.chargebacks.is_empty());
            }
            position = next.end();
            waiting = Some(next);
        }
    }

    /// Writes lines that were compared, if any. Whether it was this that has written them.
    async fn write(
        &self,
        import: &SettlementImport,
        chunk: Option<&Chunk>,
    ) -> Result<bool, ImportError> {
        let Some(compared) = chunk.and_then(|chunk| chunk.compared.as_ref()) else {
            return Ok(false);
        };
        let now = self.clock.now();
        let (kept, applied) = (&compared.kept, &compared.applied);
        Ok(self.store.apply_lines(import, kept, applied, now).await?)
    }

    /// The next lines that are not applied yet, compared as if those `before` were written.
    async fn next(
        &self,
        import: &SettlementImport,
        (read, mut position): (&mut mpsc::Receiver<Vec<ReportLine>>, i64),
        before: Option<&Chunk>,
    ) -> Result<Option<Chunk>, ImportError> {
        while let Some(mut lines) = read.recv().await {
            let skipped = import.applied_to.saturating_sub(position);
            let skipped = usize::try_from(skipped).unwrap_or(0).min(lines.len());
            lines.drain(..skipped);
            position = position.saturating_add(count(skipped));
            if lines.is_empty() {
                continue;
            }
            let lines: Arc<[ReportLine]> = lines.into();
            let settled = match before.map(|before| before.compared.as_ref()) {
                None => Some(HashSet::default()),
                Some(Some(before)) => {
                    let items = before.applied.items.iter();
                    Some(items.map(|item| item.operation_id).collect())
                }
                Some(None) => None,
            };
            let compared = match settled {
                Some(settled) => Some(self.compared(import, &lines, settled).await?),
                None => None,
            };
            return Ok(Some(Chunk {
                position,
                lines,
                compared: compared.filter(|compared| compared.chargebacks.is_empty()),
            }));
        }
        Ok(None)
    }

    /// Applies those of these lines that are not applied yet: what another node may have done, and lines that bring
    /// chargebacks.
    async fn apply_alone(
        &self,
        import: &mut SettlementImport,
        chunk: &Chunk,
    ) -> Result<(), ImportError> {
        for _ in 0..ATTEMPTS {
            let skipped = import.applied_to.saturating_sub(chunk.position);
            let skipped = usize::try_from(skipped).unwrap_or(0);
            let Some(left) = chunk.lines.get(skipped..).filter(|left| !left.is_empty()) else {
                return Ok(());
            };
            let compared = self.with_chargebacks(import, &left.into()).await?;
            let (kept, applied, now) = (&compared.kept, &compared.applied, self.clock.now());
            if self.store.apply_lines(import, kept, applied, now).await? {
                FaultPoint::ReportLines.pass();
                import.applied_to = chunk.end();
                import.matched = import.matched.saturating_add(applied.matched);
                return Ok(());
            }
            let recorded = self.store.import(import.id).await?;
            let gone = || ImportError::Interrupted("its record is gone".to_owned());
            *import = recorded.ok_or_else(gone)?;
            if import.state == ImportState::Amended {
                break;
            }
        }
        let amended = "another report came in its place, or another node applies it";
        Err(ImportError::Interrupted(amended.to_owned()))
    }

    /// What these lines come to, once their chargebacks are recorded.
    async fn with_chargebacks(
        &self,
        import: &SettlementImport,
        lines: &Arc<[ReportLine]>,
    ) -> Result<Compared, ImportError> {
        let mut was_known = false;
        loop {
            let compared = self.compared(import, lines, HashSet::default()).await?;
            let recorded = self.chargebacks.record(import, &compared.chargebacks);
            match recorded.await? {
                Recorded::Now => {}
                // Another node has recorded them meanwhile, and may have applied the lines too.
                Recorded::Before if !was_known => was_known = true,
                Recorded::Before | Recorded::Nothing => return Ok(compared),
            }
        }
    }

    /// What these lines come to, where these operations have settled items whatever is recorded of them. Others have the
    /// thread meanwhile.
    async fn compared(
        &self,
        import: &SettlementImport,
        lines: &Arc<[ReportLine]>,
        settled: HashSet<OperationId>,
    ) -> Result<Compared, ImportError> {
        let comparing = Comparing {
            items: Arc::clone(&self.items),
            rules: Arc::clone(&self.rules),
            fees: self.files.fees(import.host_id).map(Arc::clone),
            import: import.clone(),
            lines: Arc::clone(lines),
        };
        let comparing = comparing.run(settled);
        let compared = tokio::spawn(comparing).await;
        compared.map_err(|error| ImportError::Interrupted(error.to_string()))?
    }
}

/// Lines, and what they are compared with.
struct Comparing {
    items: Arc<ReportItems>,
    rules: Arc<MatchRules>,
    fees: Option<Arc<AgreedFees>>,
    import: SettlementImport,
    lines: Arc<[ReportLine]>,
}

impl Comparing {
    async fn run(self, settled: HashSet<OperationId>) -> Result<Compared, ImportError> {
        let (import, fees) = (&self.import, self.fees.as_deref());
        let mut found = self.items.of_lines(import, &self.lines).await?;
        self.items.add_brands(fees, &mut found).await?;
        for item in &mut found {
            if settled.contains(&item.operation_id) {
                item.settled_by = Some(import.id);
            }
        }
        let merchants = self.items.merchants_of(import, &self.lines).await?;
        let comparing = spawn_blocking(move || {
            let of = of(&self.import, &merchants, self.fees.as_deref());
            let lines = of.without_cards(&self.lines);
            let (applied, chargebacks) = as_they_come(of, &self.rules, &lines, found);
            let kept = lines.iter().map(kept).collect::<Result<_, _>>()?;
            Ok(Compared {
                kept,
                applied,
                chargebacks,
            })
        });
        let compared = comparing.await;
        compared.map_err(|error| ImportError::Interrupted(error.to_string()))?
    }
}

/// A line as it is kept.
fn kept(line: &ReportLine) -> Result<KeptLine, ImportError> {
    let said = serde_json::to_string(line);
    Ok(KeptLine {
        number: i64::try_from(line.number).unwrap_or(i64::MAX),
        acceptor: line.acceptor.clone(),
        currency: line.currency,
        said: said.map_err(|error| ImportError::Interrupted(error.to_string()))?,
    })
}

fn count(lines: usize) -> i64 {
    i64::try_from(lines).unwrap_or(i64::MAX)
}
