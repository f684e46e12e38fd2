//! What the lines of a report may be about, looked up.

use super::asked::AllAsked;
use super::candidates::ReportOf;
use super::given_report::ImportError;
use super::reported_ends::ReportedEnds;
use crate::payment::ids::MerchantId;
use crate::payment::reference::Rrn;
use crate::payment::report_line::ReportedItem;
use crate::payment::settlement_import::SettlementImport;
use crate::settlement::agreed_fees::AgreedFees;
use crate::settlement::report::line::ReportLine;
use crate::store::Store;
use crate::store::error::StoreError;

/// How often something may end meanwhile that is looked up.
const ATTEMPTS: u32 = 5;

/// Looks it up.
pub(super) struct ReportItems {
    pub(super) store: Store,
    pub(super) ends: ReportedEnds,
}

impl ReportItems {
    /// The items that the RRNs of lines name.
    pub(super) async fn of_lines(
        &self,
        import: &SettlementImport,
        lines: &[ReportLine],
    ) -> Result<Vec<ReportedItem>, StoreError> {
        self.store
            .items_of_rrns(&import.host_id, &rrns_of(lines))
            .await
    }

    /// Looks up the brands of the cards of items, where what a bank may keep hangs on them.
    pub(super) async fn add_brands(
        &self,
        fees: Option<&AgreedFees>,
        items: &mut [ReportedItem],
    ) -> Result<(), StoreError> {
        if !fees.is_some_and(AgreedFees::needs_brands) {
            return Ok(());
        }
        let mut payments: Vec<_> = items.iter().map(|item| item.payment_id).collect();
        payments.sort_unstable();
        payments.dedup();
        let brands = self.store.card_brands(&payments).await?;
        for item in items {
            item.brand = brands.get(&item.payment_id).copied();
        }
        Ok(())
    }

    pub(super) async fn merchants_of(
        &self,
        import: &SettlementImport,
        lines: &[ReportLine],
    ) -> Result<Vec<(String, MerchantId)>, StoreError> {
        let mut acceptors: Vec<_> = lines.iter().map(|line| line.acceptor.clone()).collect();
        acceptors.sort_unstable();
        acceptors.dedup();
        let host = &import.host_id;
        self.store.merchants_of_acceptors(host, acceptors).await
    }

    /// The items that the RRNs of open lines name, and what is named that is no item, once that is ended which the lines
    /// say was booked.
    pub(super) async fn with_asked(
        &self,
        import: &SettlementImport,
        lines: &[ReportLine],
        merchants: &[(String, MerchantId)],
    ) -> Result<(Vec<ReportedItem>, AllAsked), ImportError> {
        let rrns = rrns_of(lines);
        let mut looks = 0;
        loop {
            let items = self.of_lines(import, lines).await?;
            let payments = self.store.payments_of_rrns(&rrns).await?;
            let asked = AllAsked::of(import.host_id, &payments);
            let mut has_ended = false;
            if looks < ATTEMPTS {
                for booked in asked.booked(of(import, merchants, None), lines, &items) {
                    // What was corrected would count twice.
                    if !self.store.is_corrected(booked.about).await? {
                        has_ended |= self.ends.end(import, &booked).await?;
                    }
                }
            }
            if !has_ended {
                return Ok((items, asked));
            }
            looks += 1;
        }
    }
}

/// Whose report it is, and of which date.
pub(super) fn of<'a>(
    import: &SettlementImport,
    merchants: &'a [(String, MerchantId)],
    fees: Option<&'a AgreedFees>,
) -> ReportOf<'a> {
    ReportOf {
        host_id: import.host_id,
        business_date: import.business_date,
        merchants,
        fees,
    }
}

/// The RRNs that lines name.
fn rrns_of(lines: &[ReportLine]) -> Vec<Rrn> {
    let mut rrns: Vec<Rrn> = lines.iter().filter_map(ReportLine::known_rrn).collect();
    rrns.sort_unstable();
    rrns.dedup();
    rrns
}
