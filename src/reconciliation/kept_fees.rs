//! What a bank keeps of matched lines, beside what it is agreed to keep of their items.

use std::collections::BTreeMap;

use crate::payment::money::Currency;
use crate::payment::record::CardBrand;
use crate::payment::report_line::ReportedItem;
use crate::payment::settlement::ItemKind;
use crate::reconciliation::candidates::bank_minor;
use crate::settlement::agreed_fees::{AgreedFees, AgreedPart, FeePart};
use crate::settlement::report::line::ReportLine;

/// By how many minor units a part may be otherwise than of the amount of a line that is not that of its items: the line may be
/// of several, each rounded by itself.
const OF_ANOTHER_AMOUNT: u64 = 1;

/// Fees that are otherwise, in minor units from the merchant: the sums of the parts that something is agreed of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OtherFees {
    pub(super) agreed_minor: i64,
    pub(super) kept_minor: i64,
    /// The rules that say what is agreed, with what is agreed of each part.
    pub(super) rules: String,
}

/// What is otherwise of the fees of lines that are about these items, all of them together; none where they are as agreed, or
/// can't be compared: a bank keeps nothing of what it rejects, and fees of another currency are no minor units of ours.
pub(super) fn other_fees(
    fees: &AgreedFees,
    lines: &[&ReportLine],
    items: &[&ReportedItem],
) -> Option<OtherFees> {
    let currency = items.first()?.currency;
    let is_settled = |line: &&ReportLine| line.reject_code.is_none() && line.currency == currency;
    if !lines.iter().all(is_settled) {
        return None;
    }
    let of_items = items.iter().map(|item| Subject {
        kind: item.kind,
        brand: item.brand.unwrap_or(CardBrand::Other),
        minor: item.amount_minor,
    });
    let of_items: Vec<Subject> = of_items.collect();
    let agreed = Agreed::of(fees, currency, &of_items)?;
    let kept = Kept::of(lines, &agreed);
    if agreed.is_kept(fees, &kept, 0) {
        return None;
    }
    // A bank that has another amount or direction, or cuts items otherwise, takes the fees of that: that is no error of its
    // own.
    let first = of_items.first()?;
    let is_alike = |it: &Subject| (it.kind, it.brand) == (first.kind, first.brand);
    if of_items.iter().all(is_alike) {
        let of_lines: Vec<Subject> = lines.iter().map(|line| first.in_line(line)).collect();
        let as_the_bank_has_it = Agreed::of(fees, currency, &of_lines)?;
        let beside_minor = match total(&of_lines) == total(&of_items) {
            true => 0,
            false => OF_ANOTHER_AMOUNT,
        };
        let kept = Kept::of(lines, &as_the_bank_has_it);
        if as_the_bank_has_it.is_kept(fees, &kept, beside_minor) {
            return None;
        }
    }
    let rules = agreed.parts.iter().map(ToString::to_string);
    Some(OtherFees {
        agreed_minor: agreed.sum(),
        kept_minor: kept.sum(),
        rules: format!("agreed-fees {}", rules.collect::<Vec<_>>().join(" ")),
    })
}

/// What something is kept of.
#[derive(Clone, Copy)]
struct Subject {
    kind: ItemKind,
    brand: CardBrand,
    minor: i64,
}

impl Subject {
    /// The same as a line has it.
    fn in_line(self, line: &ReportLine) -> Self {
        let minor = bank_minor(line);
        let kind = match (self.kind, minor < 0) {
            (ItemKind::Capture, true) => ItemKind::Refund,
            (ItemKind::Refund, true) => ItemKind::Capture,
            (kind, _) => kind,
        };
        Self {
            kind,
            brand: self.brand,
            minor: minor.saturating_abs(),
        }
    }
}

/// What is agreed, of each part that a rule is for all of what it is agreed of.
struct Agreed {
    parts: Vec<AgreedPart>,
}

impl Agreed {
    /// None where nothing is agreed.
    fn of(fees: &AgreedFees, currency: Currency, subjects: &[Subject]) -> Option<Self> {
        let each = subjects
            .iter()
            .map(|it| fees.of(it.kind, it.brand, currency, it.minor));
        let parts = each.reduce(|parts, others| both(parts, &others))?;
        (!parts.is_empty()).then_some(Self { parts })
    }

    fn sum(&self) -> i64 {
        sum(self.parts.iter().map(|agreed| agreed.minor))
    }

    /// Whether just that is kept. Of the parts that lines do not tell, only the sum is known.
    fn is_kept(&self, fees: &AgreedFees, kept: &Kept, beside_minor: u64) -> bool {
        let (told, untold): (Vec<&AgreedPart>, Vec<&AgreedPart>) =
            (self.parts.iter()).partition(|agreed| !kept.untold.contains(&agreed.part));
        let is_told = told.iter().all(|agreed| {
            let kept_minor = kept.parts.get(&agreed.part).copied();
            fees.allows(agreed.minor, kept_minor.unwrap_or(0), beside_minor)
        });
        let agreed_minor = sum(untold.iter().map(|agreed| agreed.minor));
        let parts = untold.iter();
        let parts = parts.filter_map(|agreed| kept.parts.get(&agreed.part).copied());
        let kept_minor = sum(parts).saturating_add(kept.rest_minor);
        is_told && (untold.is_empty() || fees.allows(agreed_minor, kept_minor, beside_minor))
    }
}

/// The parts that both have, added up.
fn both(parts: Vec<AgreedPart>, others: &[AgreedPart]) -> Vec<AgreedPart> {
    let added = parts.into_iter().filter_map(|agreed| {
        let other = others.iter().find(|other| other.part == agreed.part)?;
        Some(AgreedPart {
            minor: agreed.minor.saturating_add(other.minor),
            ..agreed
        })
    });
    added.collect()
}

/// What lines together say that is kept, of the parts that something is agreed of.
struct Kept {
    parts: BTreeMap<FeePart, i64>,
    /// The parts that a line does not tell.
    untold: Vec<FeePart>,
    /// What their lines keep beside all that they tell, by their net.
    rest_minor: i64,
}

impl Kept {
    fn of(lines: &[&ReportLine], agreed: &Agreed) -> Self {
        let mut kept = Self {
            parts: BTreeMap::new(),
            untold: Vec::new(),
            rest_minor: 0,
        };
        for line in lines {
            let mut tells_all = true;
            for agreed in &agreed.parts {
                let Some(minor) = told(line, agreed.part) else {
                    tells_all = false;
                    kept.untold.push(agreed.part);
                    continue;
                };
                let part = kept.parts.entry(agreed.part).or_default();
                *part = part.saturating_add(minor);
            }
            if let (false, Some(net)) = (tells_all, line.net_minor) {
                let all = FeePart::ALL.into_iter().filter_map(|part| told(line, part));
                let rest = line
                    .gross_minor
                    .saturating_sub(net)
                    .saturating_sub(sum(all));
                kept.rest_minor = kept.rest_minor.saturating_add(rest);
            }
        }
        kept
    }

    fn sum(&self) -> i64 {
        sum(self.parts.values().copied()).saturating_add(self.rest_minor)
    }
}

const fn told(line: &ReportLine, part: FeePart) -> Option<i64> {
    match part {
        FeePart::Interchange => line.interchange_minor,
        FeePart::SchemeFee => line.scheme_fee_minor,
        FeePart::Commission => line.commission_minor,
    }
}

fn total(subjects: &[Subject]) -> i64 {
    sum(subjects.iter().map(|it| it.minor))
}

fn sum(minor: impl Iterator<Item = i64>) -> i64 {
    minor.fold(0, i64::saturating_add)
}
