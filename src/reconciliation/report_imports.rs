//! Takes in the reports of banks: the whole file is read and checked first; then it is applied, some lines at a time. What
//! a crash interrupts goes on when the gateway starts, or when the same file comes again, on whichever node.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::Stream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;

use super::discrepancies::Discrepancies;
use super::findings::{not_in_report, of_open_lines};
use super::given_report::{GivenReport, ImportError, Imported};
use super::report_chunks::ReportChunks;
use super::report_cycles::{cycle_of, last_of_all, missing_beside};
use super::report_items::{ReportItems, of};
use super::report_reading::{check, hand_out};
use super::reported_ends::ReportedEnds;
use super::rules::MatchRules;
use crate::clock::Clock;
use crate::config::reconciliation::CorrectionRule;
use crate::fault_points::FaultPoint;
use crate::hosts::Hosts;
use crate::operations::machine::Operations;
use crate::payment::ids::{HostId, ImportId, MerchantId};
use crate::payment::settlement_import::{ImportState, ReportCycle, SettlementImport};
use crate::random::Random;
use crate::settlement::chargebacks::Chargebacks;
use crate::settlement::funding::report_rule;
use crate::settlement::host_files::HostFiles;
use crate::settlement::report::file_format::ReportFormat;
use crate::settlement::report::line::ReportLine;
use crate::settlement::spool::Spool;
use crate::store::Store;
use crate::store::records::settlement::ItemPlace;

/// The open lines of one acceptor that are looked at together.
const OPEN_AT_ONCE: usize = 20_000;
/// The open items of its merchant that they are compared with.
const ITEMS_AT_ONCE: usize = 50_000;
/// The items that a report does not have which are recorded in one transaction.
const MISSING_AT_ONCE: usize = 256;
/// How many days before the report an item may be that it brings late.
const LATE_DAYS: u16 = 30;
/// How often other imports may be first with the same items.
const ATTEMPTS: u32 = 5;

/// Takes in reports.
pub struct ReportImports {
    store: Store,
    hosts: Arc<Hosts>,
    files: Arc<HostFiles>,
    clock: Arc<dyn Clock>,
    random: Random,
    chunks: ReportChunks,
    items: Arc<ReportItems>,
    folder: PathBuf,
    rules: Arc<MatchRules>,
    /// The same for lines and items of which not all are looked at.
    careful: Arc<MatchRules>,
    discrepancies: Arc<Discrepancies>,
    corrections: Vec<CorrectionRule>,
    room: Semaphore,
}

/// Reports that are taken in at once.
const AT_ONCE: usize = 2;

/// What takes in reports is made of.
pub struct ReportParts {
    /// The records.
    pub store: Store,
    /// Whose reports it takes in.
    pub hosts: Arc<Hosts>,
    /// What their reports look like.
    pub files: Arc<HostFiles>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Names imports.
    pub random: Random,
    /// Where files lie meanwhile.
    pub folder: PathBuf,
    /// Ends what a report has as booked and nobody knew the outcome of.
    pub operations: Arc<Operations>,
    /// What is done about what reports have otherwise.
    pub discrepancies: Arc<Discrepancies>,
    /// What of that is corrected by rules.
    pub corrections: Vec<CorrectionRule>,
}

impl ReportImports {
    /// Takes in reports, of these parts.
    #[must_use]
    pub fn new(parts: ReportParts) -> Self {
        let ReportParts {
            store,
            hosts,
            files,
            clock,
            random,
            folder,
            operations,
            discrepancies,
            corrections,
        } = parts;
        let chargebacks = Chargebacks::new(store.clone(), Arc::clone(&clock), random.clone());
        let ends = ReportedEnds {
            operations,
            clock: Arc::clone(&clock),
            random: random.clone(),
        };
        let items = Arc::new(ReportItems {
            store: store.clone(),
            ends,
        });
        let rules = Arc::new(MatchRules::standard());
        let chunks = ReportChunks {
            store: store.clone(),
            items: Arc::clone(&items),
            rules: Arc::clone(&rules),
            files: Arc::clone(&files),
            chargebacks,
            clock: Arc::clone(&clock),
        };
        Self {
            store,
            hosts,
            files,
            clock,
            random,
            chunks,
            items,
            folder,
            rules,
            careful: Arc::new(MatchRules::standard().careful()),
            discrepancies,
            corrections,
            room: Semaphore::new(AT_ONCE),
        }
    }

    /// Takes in a report that comes in `chunks`. The same file again changes nothing, and goes on with what was
    /// interrupted; one that was replaced can't come back.
    ///
    /// # Errors
    /// [`ImportError`].
    pub async fn take_in<E: std::fmt::Display>(
        &self,
        given: GivenReport,
        chunks: impl Stream<Item = Result<Vec<u8>, E>> + Unpin,
    ) -> Result<Imported, ImportError> {
        let _room = self.room.try_acquire().map_err(|_| ImportError::Busy)?;
        let host_id = given.host_id;
        let format = self.format(host_id)?;
        let now = self.clock.now();
        let random = self.random.bytes_for_name();
        let random = random.map_err(|error| ImportError::Interrupted(error.to_string()))?;
        let id = ImportId::from_parts(now, random);
        let spool = Spool::write(&self.folder, id, chunks).await?;
        FaultPoint::ReportKept.pass();
        let sha256 = spool.sha256();
        if given.sha256.is_some_and(|said| said != sha256) {
            return Err(ImportError::OtherFile);
        }
        let before = self
            .store
            .import_of_file(&host_id, &sha256, given.business_date, given.cycle);
        if let Some(before) = before.await? {
            // To take the place of what stands it would have to be applied once more, under the name of the same file.
            if before.state == ImportState::Amended && given.amends {
                let date = before.business_date;
                return Err(ImportError::Replaced { host_id, date });
            }
            let was_there = matches!(before.state, ImportState::Done | ImportState::Amended);
            let import = self.apply(before, format, &spool).await?;
            // What was interrupted has left its own file.
            drop(Spool::left(&self.folder, import.id));
            return self.imported(import, was_there).await;
        }
        let spool = Arc::new(spool);
        let checked = check(Arc::clone(&format), Arc::clone(&spool)).await?;
        let date = given.business_date.or(checked.first_date);
        let date = date.ok_or(ImportError::NoDate)?;
        let day = self.store.business_day(&host_id, date).await?;
        match day.filter(|day| day.cut_at.is_some()) {
            None => return Err(ImportError::NotClosed { host_id, date }),
            Some(day) if day.is_closing() => return Err(ImportError::Closing { host_id, date }),
            Some(_) => {}
        }
        let of_day = (host_id, date, format.cycles());
        let import = SettlementImport {
            id,
            host_id,
            name: given.name,
            sha256,
            business_date: date,
            cycle: cycle_of(of_day, given.cycle, checked.cycle)?,
            lines: checked.lines,
            nets: Some(checked.nets),
            state: ImportState::Received,
            applied_to: 0,
            matched: 0,
            clears: false,
            operator: given.operator,
            at: now,
        };
        if !self.store.insert_import(&import, given.amends).await? {
            return Err(match given.amends {
                true => ImportError::Funded { host_id, date },
                false => ImportError::AnotherReport { host_id, date },
            });
        }
        let mut spool = Arc::into_inner(spool)
            .ok_or_else(|| ImportError::Interrupted("the file is being read".to_owned()))?;
        // From here on a crash leaves the file, and what starts next goes on with it.
        FaultPoint::ReportRecorded.pass();
        spool.keep(true);
        let recorded = self.recorded(&import).await?;
        let applied = self.apply(recorded, format, &spool).await?;
        spool.keep(false);
        self.imported(applied, false).await
    }

    /// Goes on with what an earlier run of this gateway has left. What fails is logged: the same file given again goes on
    /// with it too.
    pub async fn go_on(self: Arc<Self>) {
        self.store.tell_discrepancies().await;
        let left = match Spool::left_in(&self.folder).await {
            Ok(left) => left,
            Err(error) => {
                tracing::error!(%error, folder = %self.folder.display(), "Reports that are left can't be read");
                return;
            }
        };
        for (id, mut spool) in left {
            match self.go_on_with(id, &spool).await {
                Ok(()) => {}
                Err(error) => {
                    spool.keep(true);
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, import.id = %id, file = %spool.path().display(), "A report could not be applied");
                }
            }
        }
    }

    async fn go_on_with(&self, id: ImportId, spool: &Spool) -> Result<(), ImportError> {
        let Some(import) = self.store.import(id).await? else {
            // It was never recorded: nothing of it is applied.
            return Ok(());
        };
        let format = self.format(import.host_id)?;
        let import = self.apply(import, format, spool).await?;
        tracing::info!(import.id = %id, state = import.state.name(), "A report that was interrupted is applied");
        Ok(())
    }

    fn format(&self, host_id: HostId) -> Result<Arc<ReportFormat>, ImportError> {
        if let Some(format) = self.files.report(host_id) {
            return Ok(Arc::clone(format));
        }
        Err(match self.hosts.ids().any(|known| known == host_id) {
            true => ImportError::NoReports(host_id),
            false => ImportError::NoHost(host_id),
        })
    }

    async fn imported(
        &self,
        import: SettlementImport,
        was_there: bool,
    ) -> Result<Imported, ImportError> {
        Ok(Imported {
            differences: self.store.difference_counts(&import).await?,
            missing_cycles: missing_beside(&self.store, &import).await?,
            import,
            was_there,
        })
    }

    async fn recorded(&self, import: &SettlementImport) -> Result<SettlementImport, ImportError> {
        let recorded = self.store.import(import.id).await?;
        recorded.ok_or_else(|| ImportError::Interrupted("its record is gone".to_owned()))
    }

    /// Applies what is not applied yet.
    async fn apply(
        &self,
        mut import: SettlementImport,
        format: Arc<ReportFormat>,
        spool: &Spool,
    ) -> Result<SettlementImport, ImportError> {
        if import.state == ImportState::Amended {
            return Ok(import);
        }
        if import.state == ImportState::Done {
            self.follow_up(&import).await?;
            return Ok(import);
        }
        while import.clears {
            let now = self.clock.now();
            self.store.clear_amended(&import, now).await?;
            import = self.recorded(&import).await?;
        }
        let file = spool.open();
        let file = file.map_err(|error| ImportError::Interrupted(error.to_string()))?;
        let (chunks, read) = mpsc::channel(2);
        let at_once = self.store.report_lines_at_once();
        let reading = spawn_blocking(move || hand_out(&format, file, at_once, &chunks));
        self.chunks.apply(&mut import, read).await?;
        let reading = reading.await;
        reading.map_err(|error| ImportError::Interrupted(error.to_string()))??;
        self.decide_open_lines(&import).await?;
        // What the other files of the date have is not missing.
        if import.cycle.is_none() {
            self.add_what_is_missing(&import).await?;
        }
        self.store.count_matched(&import).await?;
        FaultPoint::ReportApplied.pass();
        let rule = report_rule(&self.hosts, &self.files, import.host_id);
        let finished = self.store.finish_import(&import, rule);
        let is_first = finished.await?;
        let import = self.recorded(&import).await?;
        if is_first {
            FaultPoint::ReportDone.pass();
            tracing::info!(
                import.id = %import.id, host.id = %import.host_id, business_date = %import.business_date,
                lines = import.lines, matched = import.matched, "A report is applied"
            );
            for differing in self.store.difference_counts(&import).await? {
                tracing::error!(
                    import.id = %import.id, host.id = %import.host_id, business_date = %import.business_date,
                    kind = differing.kind.name(), count = differing.count, "A report has something otherwise"
                );
            }
        }
        if import.state == ImportState::Done {
            self.follow_up(&import).await?;
        }
        Ok(import)
    }

    /// Tells merchants what was found, and corrects what rules correct. Where a crash comes first, the report is still there,
    /// and what starts next does it.
    async fn follow_up(&self, import: &SettlementImport) -> Result<(), ImportError> {
        let last = match import.cycle {
            Some(cycle) => self.finish_cycles(import, cycle).await?,
            None => None,
        };
        self.store.tell_discrepancies().await;
        for id in std::iter::once(import.id).chain(last) {
            let rules = &self.corrections;
            self.discrepancies.correct_by_rules(rules, id).await?;
        }
        Ok(())
    }

    /// Where all cycles of a date are applied, adds what none of them has, and lets its batches be funded: under the report of
    /// the last cycle, so that two nodes do the same. Gives that, where it is another one.
    async fn finish_cycles(
        &self,
        import: &SettlementImport,
        cycle: ReportCycle,
    ) -> Result<Option<ImportId>, ImportError> {
        let Some(last) = last_of_all(&self.store, import, cycle).await? else {
            return Ok(None);
        };
        let now = self.clock.now();
        self.store.follow_missed_of_day(&last, now).await?;
        self.add_what_is_missing(&last).await?;
        let rule = report_rule(&self.hosts, &self.files, import.host_id);
        self.store.finish_cycles(&last, rule).await?;
        Ok(Some(last.id).filter(|id| *id != import.id))
    }

    /// Decides what the lines are that were open when they came, one acceptor after the other.
    async fn decide_open_lines(&self, import: &SettlementImport) -> Result<(), ImportError> {
        let (mut before, mut rounds) = (Vec::new(), 0);
        loop {
            let said = self.store.open_lines(import.id, OPEN_AT_ONCE).await?;
            let lines = said.iter().map(|said| serde_json::from_str(said));
            let lines: Vec<ReportLine> = lines
                .collect::<Result<_, _>>()
                .map_err(|error| ImportError::Interrupted(error.to_string()))?;
            // Every line is decided, unless another file came in the place of this one. Where another import has settled an
            // item meanwhile, its line is looked at once more.
            rounds = if said == before { rounds + 1 } else { 0 };
            if lines.is_empty() || rounds > ATTEMPTS {
                return Ok(());
            }
            before.clone_from(&said);
            let merchants = self.items.merchants_of(import, &lines).await?;
            let ids: Vec<MerchantId> = merchants.iter().map(|(_, merchant)| *merchant).collect();
            let (mut items, asked) = self.items.with_asked(import, &lines, &merchants).await?;
            let date = import.business_date;
            let days = (date.days_before(LATE_DAYS), date);
            let open = self
                .store
                .open_items(&import.host_id, &ids, days, ITEMS_AT_ONCE);
            let open = open.await?;
            // What lies beyond may fit as well.
            let is_cut = said.len() >= OPEN_AT_ONCE || open.len() >= ITEMS_AT_ONCE;
            items.extend(open);
            let fees = self.files.fees(import.host_id).map(Arc::clone);
            self.items.add_brands(fees.as_deref(), &mut items).await?;
            let rules = if is_cut { &self.careful } else { &self.rules };
            let (rules, whose) = (Arc::clone(rules), import.clone());
            // Many lines and many items take a while.
            let decided = spawn_blocking(move || {
                let of = of(&whose, &merchants, fees.as_deref());
                of_open_lines(of, &rules, (&lines, &asked), items)
            });
            let decided = decided.await;
            let decided = decided.map_err(|error| ImportError::Interrupted(error.to_string()))?;
            let now = self.clock.now();
            self.store.decide_lines(import, &decided, now).await?;
            FaultPoint::ReportLines.pass();
        }
    }

    /// The items of the day that the report does not have.
    async fn add_what_is_missing(&self, import: &SettlementImport) -> Result<(), ImportError> {
        let of = of(import, &[], None);
        let mut after = ItemPlace::default();
        loop {
            let (host, date) = (&import.host_id, import.business_date);
            let items = self
                .store
                .unsettled_items_of_day(host, date, MISSING_AT_ONCE, &after);
            let items = items.await?;
            let Some(last) = items.last() else {
                return Ok(());
            };
            after = ItemPlace::of(last);
            let missing: Vec<_> = items.iter().map(|item| not_in_report(of, item)).collect();
            let now = self.clock.now();
            self.store.add_differences(import, &missing, now).await?;
        }
    }
}
