//! The lines of a report compared with the items of its day.
//!
//! A bank may know several captures by one RRN, that of their authorization. Then the amount says which is which. A
//! chargeback that is no item yet is first recorded as one, and then compared as every other line.

use super::format::ReportKind;
use super::line::ReportLine;
use crate::payment::ids::{HostId, MerchantId, OperationId};
use crate::payment::moment::BusinessDate;
use crate::payment::money::Money;
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

impl<'a> ReportOf<'a> {
    /// The merchants whose acceptor a line names.
    fn merchants_of(self, line: &ReportLine) -> impl Iterator<Item = MerchantId> + use<'a, '_> {
        let acceptor = line.acceptor.trim_end();
        let named = self
            .merchants
            .iter()
            .filter(move |(known, _)| known == acceptor);
        named.map(|(_, merchant)| *merchant)
    }
}

/// A chargeback, or one that is given back, that a line has and that is no item yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChargeback {
    /// The number of the line.
    pub line: u64,
    /// Chargeback, or chargeback reversal.
    pub kind: ItemKind,
    /// The item that it takes back: a capture, or a chargeback.
    pub original: ReportedItem,
    /// How much, above 0.
    pub amount: Money,
}

/// An item that lines may be about.
struct Candidate {
    item: ReportedItem,
    is_settled: bool,
}

/// The items that lines may be about.
struct Candidates<'a> {
    of: ReportOf<'a>,
    all: Vec<Candidate>,
    /// Where those of an RRN are.
    by_rrn: HashMap<Rrn, Vec<usize>>,
}

impl<'a> Candidates<'a> {
    fn of(of: ReportOf<'a>, items: Vec<ReportedItem>) -> Self {
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
        Self { of, all, by_rrn }
    }

    /// The places of the items that a line may be about.
    fn of_line(&self, line: &ReportLine) -> Vec<usize> {
        self.of_kind(line, item_kind(line.kind))
    }

    /// The places of the items of a kind with the RRN of a line: those with it as their own, or else those of the payment.
    /// Where the line names the acceptor of other merchants, the item is another's.
    fn of_kind(&self, line: &ReportLine, kind: ItemKind) -> Vec<usize> {
        let Some(rrn) = line.rrn else {
            return Vec::new();
        };
        let places = self.by_rrn.get(&rrn).into_iter().flatten().copied();
        let merchants: Vec<MerchantId> = self.of.merchants_of(line).collect();
        let is_theirs = |item: &ReportedItem| {
            item.kind == kind && (merchants.is_empty() || merchants.contains(&item.merchant_id))
        };
        let of_kind: Vec<usize> = places
            .filter(|place| self.item(*place).is_some_and(is_theirs))
            .collect();
        let is_own = |place: &usize| self.item(*place).is_some_and(|item| item.own_rrn == rrn);
        let own: Vec<usize> = of_kind.iter().copied().filter(is_own).collect();
        if own.is_empty() { of_kind } else { own }
    }

    fn item(&self, place: usize) -> Option<&ReportedItem> {
        self.all.get(place).map(|candidate| &candidate.item)
    }

    /// What a line takes back that is no item yet: of the captures, or the chargebacks, that it may mean, the one that is
    /// most like it. None of other lines, and where there is none in its currency.
    fn to_take_back(&self, line: &ReportLine) -> Option<NewChargeback> {
        let kind = item_kind(line.kind);
        let of = match kind {
            ItemKind::Chargeback => ItemKind::Capture,
            ItemKind::ChargebackReversal => ItemKind::Chargeback,
            ItemKind::Capture | ItemKind::Refund => return None,
        };
        let minor = bank_minor(line);
        if line.reject_code.is_some() || minor <= 0 {
            return None;
        }
        let places = self.of_kind(line, of);
        let items = places.into_iter().filter_map(|place| self.item(place));
        let original = items
            .filter(|item| item.currency == line.currency)
            .min_by_key(|item| (item.amount_minor != minor, item.amount_minor < minor))?;
        Some(NewChargeback {
            line: line.number,
            kind,
            original: original.clone(),
            amount: Money::new(minor, line.currency).ok()?,
        })
    }

    /// Takes the best of these places that no line has settled yet; with `exact`, only one without a difference.
    fn take(&mut self, line: &ReportLine, places: &[usize], exact: bool) -> Option<usize> {
        let of = self.of;
        // An issuer takes back as often as it wants: another amount is another chargeback. It is of the day that was open
        // when it was recorded.
        let takes_back = is_taken_back(item_kind(line.kind));
        let distance = |item: &ReportedItem| {
            (
                item.currency != line.currency,
                item.amount_minor != bank_minor(line),
                item.business_date != of.business_date && !takes_back,
            )
        };
        let free = places.iter().copied().filter_map(|place| {
            let candidate = self.all.get(place)?;
            (!candidate.is_settled).then(|| (distance(&candidate.item), place))
        });
        let (far, place) = free.min()?;
        if (exact || takes_back) && far != (false, false, false) {
            return None;
        }
        self.all.get_mut(place)?.is_settled = true;
        Some(place)
    }
}

/// What `lines` come to, and the chargebacks of them that are no items yet, which are differences as long as they are not.
/// `items` are those that [`Store::items_of_rrns`](crate::store::Store::items_of_rrns) finds by their RRNs.
#[must_use]
pub fn compare(
    of: ReportOf<'_>,
    lines: &[ReportLine],
    items: Vec<ReportedItem>,
) -> (AppliedLines, Vec<NewChargeback>) {
    let mut candidates = Candidates::of(of, items);
    let places: Vec<Vec<usize>> = lines.iter().map(|line| candidates.of_line(line)).collect();
    // First what is the same on both sides, so that a line with another amount does not take the item of a later one.
    let mut taken: Vec<Option<usize>> = Vec::with_capacity(lines.len());
    for (line, places) in lines.iter().zip(&places) {
        taken.push(candidates.take(line, places, true));
    }
    let mut applied = AppliedLines {
        lines: i64::try_from(lines.len()).unwrap_or(i64::MAX),
        ..AppliedLines::default()
    };
    let mut new = Vec::new();
    for ((line, places), taken) in lines.iter().zip(&places).zip(taken) {
        let place = taken.or_else(|| candidates.take(line, places, false));
        let known = places
            .first()
            .filter(|_| !is_taken_back(item_kind(line.kind)));
        match (place.and_then(|place| candidates.item(place)), known) {
            (Some(item), _) => settle(of, line, item, &mut applied),
            (None, Some(settled)) => {
                let item = candidates.item(*settled);
                let difference = unexpected(of, line, item, DifferenceKind::DuplicateLine);
                applied.differences.push(difference);
            }
            (None, None) => {
                let difference = unexpected(of, line, None, DifferenceKind::UnexpectedLine);
                applied.differences.push(difference);
                new.extend(candidates.to_take_back(line));
            }
        }
    }
    (applied, new)
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
    if let Some(over) = item.left_minor.filter(|left| *left < 0) {
        let before = item.amount_minor.saturating_add(over).max(0);
        let theirs = item.amount_minor.to_string();
        differs(DifferenceKind::AboveCaptured, before.to_string(), theirs);
    }
    let item_date = match is_taken_back(item.kind) {
        true => of.business_date,
        false => item.business_date,
    };
    let is_of_date = (line.business_date, item_date) == (of.business_date, of.business_date);
    if !is_of_date {
        // Where both agree, it stands in the report of another date.
        let theirs = match line.business_date == item_date {
            true => of.business_date,
            false => line.business_date,
        };
        let ours = item_date.to_string();
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
    let mut merchants = of.merchants_of(line);
    let merchant_id = match (merchants.next(), merchants.next()) {
        (Some(merchant), None) => Some(merchant),
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

const fn item_kind(kind: ReportKind) -> ItemKind {
    match kind {
        ReportKind::Capture => ItemKind::Capture,
        ReportKind::Refund => ItemKind::Refund,
        ReportKind::Chargeback => ItemKind::Chargeback,
        ReportKind::ChargebackReversal => ItemKind::ChargebackReversal,
    }
}

const fn is_taken_back(kind: ItemKind) -> bool {
    matches!(kind, ItemKind::Chargeback | ItemKind::ChargebackReversal)
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
