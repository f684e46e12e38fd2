//! The lines of a report compared with the items of its day.
//!
//! A bank may know several captures by one RRN, that of their authorization. Then the amount says which is which.

use super::format::ReportKind;
use super::line::ReportLine;
use crate::payment::ids::{HostId, MerchantId, OperationId};
use crate::payment::moment::BusinessDate;
use crate::payment::reference::Rrn;
use crate::payment::settlement::ItemKind;
use crate::payment::settlement_import::{
    AppliedLines, Difference, DifferenceKind, ItemReport, ReportedItem,
};
use crate::random::HashMap;

/// Whose report it is, and of which date.
#[derive(Debug, Clone, Copy)]
pub struct ReportOf<'a> {
    /// The host.
    pub host_id: HostId,
    /// The date.
    pub business_date: BusinessDate,
    /// The host's merchants of each acceptor that the lines name.
    pub merchants: &'a [(String, MerchantId)],
}

/// An item that lines may be about.
struct Candidate {
    item: ReportedItem,
    is_settled: bool,
}

/// The items that lines may be about.
struct Candidates {
    all: Vec<Candidate>,
    /// Where those of an RRN are.
    by_rrn: HashMap<Rrn, Vec<usize>>,
}

impl Candidates {
    fn of(items: Vec<ReportedItem>) -> Self {
        let mut all: Vec<Candidate> = Vec::with_capacity(items.len());
        let mut places: HashMap<OperationId, usize> = HashMap::default();
        let mut by_rrn: HashMap<Rrn, Vec<usize>> = HashMap::default();
        for item in items {
            let place = *places.entry(item.operation_id).or_insert(all.len());
            by_rrn.entry(item.found_by).or_default().push(place);
            if place == all.len() {
                let is_settled = item.settled_by.is_some();
                all.push(Candidate { item, is_settled });
            }
        }
        Self { all, by_rrn }
    }

    /// The places of the items that a line may be about: those with its own RRN, or else those of the payment.
    fn of_line(&self, line: &ReportLine) -> Vec<usize> {
        let (Some(kind), Some(rrn)) = (item_kind(line.kind), line.rrn) else {
            return Vec::new();
        };
        let places = self.by_rrn.get(&rrn).into_iter().flatten().copied();
        let of_kind: Vec<usize> = places
            .filter(|place| self.item(*place).is_some_and(|item| item.kind == kind))
            .collect();
        let is_own = |place: &usize| self.item(*place).is_some_and(|item| item.own_rrn == rrn);
        let own: Vec<usize> = of_kind.iter().copied().filter(is_own).collect();
        if own.is_empty() { of_kind } else { own }
    }

    fn item(&self, place: usize) -> Option<&ReportedItem> {
        self.all.get(place).map(|candidate| &candidate.item)
    }

    /// Takes the best of these places that no line has settled yet; with `exact`, only one without a difference.
    fn take(
        &mut self,
        line: &ReportLine,
        of: ReportOf<'_>,
        places: &[usize],
        exact: bool,
    ) -> Option<usize> {
        let distance = |item: &ReportedItem| {
            (
                item.currency != line.currency,
                item.amount_minor != bank_minor(line),
                item.business_date != of.business_date,
            )
        };
        let free = places.iter().copied().filter_map(|place| {
            let candidate = self.all.get(place)?;
            (!candidate.is_settled).then(|| (distance(&candidate.item), place))
        });
        let (far, place) = free.min()?;
        if exact && far != (false, false, false) {
            return None;
        }
        self.all.get_mut(place)?.is_settled = true;
        Some(place)
    }
}

/// What `lines` come to. `items` are those that [`Store::items_of_rrns`](crate::store::Store::items_of_rrns) finds by
/// their RRNs.
#[must_use]
pub fn compare(of: ReportOf<'_>, lines: &[ReportLine], items: Vec<ReportedItem>) -> AppliedLines {
    let mut candidates = Candidates::of(items);
    let places: Vec<Vec<usize>> = lines.iter().map(|line| candidates.of_line(line)).collect();
    // First what is the same on both sides, so that a line with another amount does not take the item of a later one.
    let mut taken: Vec<Option<usize>> = Vec::with_capacity(lines.len());
    for (line, places) in lines.iter().zip(&places) {
        taken.push(candidates.take(line, of, places, true));
    }
    let mut applied = AppliedLines {
        lines: i64::try_from(lines.len()).unwrap_or(i64::MAX),
        ..AppliedLines::default()
    };
    for ((line, places), taken) in lines.iter().zip(&places).zip(taken) {
        let place = taken.or_else(|| candidates.take(line, of, places, false));
        match (
            place.and_then(|place| candidates.item(place)),
            places.first(),
        ) {
            (Some(item), _) => settle(of, line, item, &mut applied),
            (None, Some(settled)) => {
                let item = candidates.item(*settled);
                let difference = unexpected(of, line, item, DifferenceKind::DuplicateLine);
                applied.differences.push(difference);
            }
            (None, None) => {
                let difference = unexpected(of, line, None, DifferenceKind::UnexpectedLine);
                applied.differences.push(difference);
            }
        }
    }
    applied
}

/// An item of the day that no line of the report is about.
#[must_use]
pub fn not_in_report(of: ReportOf<'_>, item: &ReportedItem) -> Difference {
    Difference {
        ours: Some(item.amount_minor.to_string()),
        rrn: None,
        ..of_item(of, item, DifferenceKind::NotInReport)
    }
}

fn settle(of: ReportOf<'_>, line: &ReportLine, item: &ReportedItem, applied: &mut AppliedLines) {
    let is_same_currency = line.currency == item.currency;
    let fee = |minor: Option<i64>| minor.filter(|_| is_same_currency);
    applied.matched += 1;
    applied.items.push(ItemReport {
        operation_id: item.operation_id,
        acquirer_reference: line.acquirer_reference.clone(),
        interchange_minor: fee(line.interchange_minor),
        scheme_fee_minor: fee(line.scheme_fee_minor),
        commission_minor: fee(line.commission_minor),
        bank_minor: fee(Some(bank_minor(line))),
        reject_code: line.reject_code.clone(),
    });
    let mut differs = |kind, ours: String, theirs: String| {
        applied.differences.push(Difference {
            ours: Some(ours),
            theirs: Some(theirs),
            line: i64::try_from(line.number).ok(),
            rrn: line.rrn.map(|rrn| rrn.to_string()),
            ..of_item(of, item, kind)
        });
    };
    if let Some(code) = &line.reject_code {
        let ours = item.amount_minor.to_string();
        differs(DifferenceKind::Rejected, ours, code.clone());
    } else if !is_same_currency {
        let (ours, theirs) = (item.currency.code(), line.currency.code());
        differs(
            DifferenceKind::CurrencyDiffers,
            ours.to_owned(),
            theirs.to_owned(),
        );
    } else if bank_minor(line) != item.amount_minor {
        let (ours, theirs) = (item.amount_minor, bank_minor(line));
        differs(
            DifferenceKind::AmountDiffers,
            ours.to_string(),
            theirs.to_string(),
        );
    }
    let is_of_date =
        (line.business_date, item.business_date) == (of.business_date, of.business_date);
    if !is_of_date {
        // Where both agree, it stands in the report of another date.
        let theirs = match line.business_date == item.business_date {
            true => of.business_date,
            false => line.business_date,
        };
        let ours = item.business_date.to_string();
        differs(DifferenceKind::DateDiffers, ours, theirs.to_string());
    }
}

fn of_item(of: ReportOf<'_>, item: &ReportedItem, kind: DifferenceKind) -> Difference {
    Difference {
        kind,
        host_id: of.host_id,
        business_date: item.business_date,
        merchant_id: Some(item.merchant_id),
        currency: item.currency,
        operation_id: Some(item.operation_id),
        subject_id: Some(item.subject_id),
        rrn: None,
        ours: None,
        theirs: None,
        line: None,
        accepted_at: None,
    }
}

/// A line that settles nothing of ours; or once more an item that is settled.
fn unexpected(
    of: ReportOf<'_>,
    line: &ReportLine,
    item: Option<&ReportedItem>,
    kind: DifferenceKind,
) -> Difference {
    let acceptor = line.acceptor.trim_end();
    let mut merchants = of.merchants.iter().filter(|(known, _)| known == acceptor);
    let merchant_id = match (merchants.next(), merchants.next()) {
        (Some((_, merchant)), None) => Some(*merchant),
        _ => None,
    };
    // Beside an item the amount has the item's sign.
    let theirs = item.map_or(line.gross_minor, |_| bank_minor(line));
    Difference {
        kind,
        host_id: of.host_id,
        business_date: of.business_date,
        merchant_id: item.map(|item| item.merchant_id).or(merchant_id),
        currency: line.currency,
        operation_id: item.map(|item| item.operation_id),
        subject_id: item.map(|item| item.subject_id),
        rrn: line.rrn.map(|rrn| rrn.to_string()),
        ours: item.map(|item| item.amount_minor.to_string()),
        theirs: Some(theirs.to_string()),
        line: i64::try_from(line.number).ok(),
        accepted_at: None,
    }
}

const fn item_kind(kind: ReportKind) -> Option<ItemKind> {
    match kind {
        ReportKind::Capture => Some(ItemKind::Capture),
        ReportKind::Refund => Some(ItemKind::Refund),
        ReportKind::Chargeback | ReportKind::ChargebackReversal => None,
    }
}

/// The amount of a line as an item has it: above 0 where the money goes the way of its kind.
const fn bank_minor(line: &ReportLine) -> i64 {
    match line.kind {
        ReportKind::Refund | ReportKind::Chargeback => line.gross_minor.saturating_neg(),
        ReportKind::Capture | ReportKind::ChargebackReversal => line.gross_minor,
    }
}

#[cfg(test)]
mod tests;
