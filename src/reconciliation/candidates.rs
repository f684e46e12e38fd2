//! The items that lines may be about, found by what both say.

use std::borrow::Cow;

use super::rules::{Key, MatchRule, With};
use crate::card::clear_card::{contains_card_number, without_card_numbers};
use crate::payment::ids::{HostId, MerchantId, OperationId};
use crate::payment::moment::BusinessDate;
use crate::payment::reference::Rrn;
use crate::payment::report_line::ReportedItem;
use crate::payment::settlement::ItemKind;
use crate::random::{HashMap, HashSet};
use crate::settlement::agreed_fees::AgreedFees;
use crate::settlement::report::format::ReportKind;
use crate::settlement::report::line::ReportLine;

/// Whose report it is, and of which date.
#[derive(Debug, Clone, Copy)]
pub struct ReportOf<'a> {
    /// The host.
    pub host_id: HostId,
    /// The date.
    pub business_date: BusinessDate,
    /// The host's merchants of each acceptor that the lines name.
    pub merchants: &'a [(String, MerchantId)],
    /// What the host is agreed to keep; none where nothing is agreed.
    pub fees: Option<&'a AgreedFees>,
}

impl<'a> ReportOf<'a> {
    /// The merchants whose acceptor a line names.
    pub(super) fn merchants_of(
        self,
        line: &ReportLine,
    ) -> impl Iterator<Item = MerchantId> + use<'a, '_> {
        let acceptor = line.acceptor.trim_end();
        let named = self
            .merchants
            .iter()
            .filter(move |(known, _)| known == acceptor);
        named.map(|(_, merchant)| *merchant)
    }

    /// Lines without a card number in the place of an acceptor. An acceptor that a merchant has may look like one, and stays.
    pub(super) fn without_cards(self, lines: &[ReportLine]) -> Cow<'_, [ReportLine]> {
        let is_card = |line: &ReportLine| {
            contains_card_number(&line.acceptor) && self.merchants_of(line).next().is_none()
        };
        if !lines.iter().any(is_card) {
            return Cow::Borrowed(lines);
        }
        let mut lines = lines.to_vec();
        for line in &mut lines {
            if is_card(line) {
                line.acceptor = without_card_numbers(&line.acceptor).into_owned();
            }
        }
        Cow::Owned(lines)
    }
}

/// What a line and an item say of the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Same,
    Otherwise,
    /// One of the two does not say it.
    Nothing,
}

impl Said {
    pub(super) const fn of(is_same: bool) -> Self {
        match is_same {
            true => Self::Same,
            false => Self::Otherwise,
        }
    }
}

/// What an item is looked up by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Lookup {
    Rrn(Rrn),
    Approval(String),
    Acquirer(String),
    Merchant(String),
    Amount(i64),
}

/// An item that lines may be about.
struct Candidate {
    item: ReportedItem,
    /// The RRNs by which the bank may know it.
    rrns: Vec<Rrn>,
    is_settled: bool,
}

/// The items that lines may be about, each at a place.
pub(super) struct Candidates<'a> {
    pub(super) of: ReportOf<'a>,
    all: Vec<Candidate>,
    by: HashMap<Lookup, Vec<usize>>,
    /// The RRNs of the items' own messages: a line with one of them means that item, and no other of its payment.
    own: HashSet<(Rrn, ItemKind)>,
    /// The numbers of the lines whose RRN names an operation without an item, and whether that has the line's amount.
    named: HashMap<u64, bool>,
}

impl<'a> Candidates<'a> {
    pub(super) fn of(
        of: ReportOf<'a>,
        items: Vec<ReportedItem>,
        named: HashMap<u64, bool>,
    ) -> Self {
        let mut candidates = Self {
            of,
            all: Vec::with_capacity(items.len()),
            by: HashMap::default(),
            own: HashSet::default(),
            named,
        };
        let mut places: HashMap<OperationId, usize> = HashMap::default();
        for item in items {
            let all = &mut candidates.all;
            let place = *places.entry(item.operation_id).or_insert(all.len());
            // The RRN is that operation's own also where the operation is no item.
            if let Some(kind) = item.found_kind {
                candidates.own.insert((item.found_by, kind));
            }
            if place == all.len() {
                candidates.own.insert((item.own_rrn, item.kind));
                all.push(Candidate {
                    is_settled: item.settled_by.is_some(),
                    rrns: vec![item.own_rrn],
                    item: item.clone(),
                });
                candidates.add_lookup(Lookup::Rrn(item.own_rrn), place);
                for code in item.approval_codes.iter().filter(|code| is_telling(code)) {
                    candidates.add_lookup(Lookup::Approval(code.clone()), place);
                }
                if let Some(reference) = &item.acquirer_reference {
                    candidates.add_lookup(Lookup::Acquirer(reference.clone()), place);
                }
                if let Some(reference) = &item.merchant_reference {
                    candidates.add_lookup(Lookup::Merchant(reference.clone()), place);
                }
                candidates.add_lookup(Lookup::Amount(item.amount_minor), place);
            }
            let candidate = candidates.all.get_mut(place);
            let rrns = candidate.map(|candidate| &mut candidate.rrns);
            if let Some(rrns) = rrns.filter(|rrns| !rrns.contains(&item.found_by)) {
                rrns.push(item.found_by);
                candidates.add_lookup(Lookup::Rrn(item.found_by), place);
            }
        }
        candidates
    }

    /// Has the item at a place found by this.
    fn add_lookup(&mut self, by: Lookup, place: usize) {
        let places = self.by.entry(by).or_default();
        if places.last() != Some(&place) {
            places.push(place);
        }
    }

    pub(super) fn item(&self, place: usize) -> Option<&ReportedItem> {
        self.all.get(place).map(|candidate| &candidate.item)
    }

    pub(super) fn is_open(&self, place: usize) -> bool {
        self.all.get(place).is_some_and(|it| !it.is_settled)
    }

    pub(super) fn settle(&mut self, place: usize) {
        if let Some(candidate) = self.all.get_mut(place) {
            candidate.is_settled = true;
        }
    }

    /// The places of the items that fit a line by a rule, leaving out what it says of `without`.
    pub(super) fn that_fit<'s>(
        &'s self,
        rule: &'s MatchRule,
        line: &'s ReportLine,
        without: Option<Key>,
    ) -> impl Iterator<Item = usize> + 's {
        self.with_that_fit(rule.with, rule, line, without)
    }

    /// The same, of items that are open or settled as `with` says, whatever the rule says of that.
    fn with_that_fit<'s>(
        &'s self,
        with: With,
        rule: &'s MatchRule,
        line: &'s ReportLine,
        without: Option<Key>,
    ) -> impl Iterator<Item = usize> + 's {
        // Of what the rule compares, the key that the fewest items share is looked up.
        let references = [
            Key::Rrn,
            Key::AcquirerReference,
            Key::ApprovalCode,
            Key::MerchantReference,
        ];
        let key = references.into_iter().find(|key| rule.wants(*key));
        let found = match key.unwrap_or(Key::Amount) {
            Key::Rrn => line.known_rrn().map(Lookup::Rrn),
            Key::ApprovalCode => line.approval_code.clone().map(Lookup::Approval),
            Key::AcquirerReference => line.acquirer_reference.clone().map(Lookup::Acquirer),
            Key::MerchantReference => line.merchant_reference.clone().map(Lookup::Merchant),
            _ => Some(Lookup::Amount(bank_minor(line))),
        };
        let places = found.and_then(|found| self.by.get(&found));
        let fits = move |place: &usize| {
            let is_wanted = self.is_open(*place) == (with == With::Open);
            is_wanted && self.fits(rule, line, *place, without)
        };
        places.into_iter().flatten().copied().filter(fits)
    }

    /// Whether an open item fits a line as a settled one does by this rule.
    pub(super) fn has_open_that_fits(&self, rule: &MatchRule, line: &ReportLine) -> bool {
        let mut open = self.with_that_fit(With::Open, rule, line, None);
        open.next().is_some()
    }

    /// The places of the open items with this amount.
    pub(super) fn open_with_amount(&self, amount_minor: i64) -> impl Iterator<Item = usize> + '_ {
        let places = self.by.get(&Lookup::Amount(amount_minor));
        let places = places.into_iter().flatten().copied();
        places.filter(|place| self.is_open(*place))
    }

    /// The places of the open items that a line names: by its RRN, or by its approval code and amount.
    pub(super) fn named_by(&self, line: &ReportLine) -> impl Iterator<Item = usize> + '_ {
        let by_rrn = line.known_rrn().map(Lookup::Rrn);
        let by_code = line.approval_code.clone().map(Lookup::Approval);
        let places = |by: Option<Lookup>| by.and_then(|by| self.by.get(&by)).into_iter().flatten();
        let minor = bank_minor(line);
        let has_amount = move |place: &&usize| {
            let item = self.item(**place);
            item.is_some_and(|item| item.amount_minor == minor)
        };
        let named = places(by_rrn).chain(places(by_code).filter(has_amount));
        named.copied().filter(|place| self.is_open(*place))
    }

    fn fits(
        &self,
        rule: &MatchRule,
        line: &ReportLine,
        place: usize,
        without: Option<Key>,
    ) -> bool {
        let Some(candidate) = self.all.get(place) else {
            return false;
        };
        let item = &candidate.item;
        let mut merchants = self.of.merchants_of(line).peekable();
        let is_theirs = match merchants.peek() {
            // An RRN is of one payment, whoever the acceptor is.
            None => rule.wants(Key::Rrn),
            Some(_) => merchants.any(|merchant| merchant == item.merchant_id),
        };
        let kind = item_kind(line.kind);
        if !is_theirs || kind != item.kind {
            return false;
        }
        // A line whose RRN names an operation without an item is about no item by anything else, nor by another amount.
        let is_of_another = match self.named.get(&line.number) {
            Some(true) => !rule.wants(Key::Rrn) || item.amount_minor != bank_minor(line),
            Some(false) => !rule.wants(Key::Rrn),
            None => false,
        };
        if is_of_another {
            return false;
        }
        // An issuer may charge back several times: another amount is another chargeback.
        if is_of_chargeback(kind) && rule.stage > 1 {
            return false;
        }
        let keys = [
            Key::Rrn,
            Key::WrittenRrn,
            Key::ApprovalCode,
            Key::AcquirerReference,
            Key::MerchantReference,
            Key::Amount,
            Key::Currency,
            Key::Date,
        ];
        let is_said =
            |key: &Key| Some(*key) != without && (*key != Key::WrittenRrn || rule.wants(*key));
        keys.into_iter().filter(is_said).all(|key| {
            let said = match key {
                Key::Amount if rule.tolerance_minor > 0 => {
                    let apart = item.amount_minor.abs_diff(bank_minor(line));
                    Said::of(apart <= rule.tolerance_minor)
                }
                _ => self.said(line, place, key),
            };
            match (rule.wants(key), rule.allows(key)) {
                (true, _) => said == Said::Same,
                (_, true) if key == Key::Date && rule.days > 0 => {
                    let apart = item.business_date.days_until(line.business_date);
                    apart.unsigned_abs() <= u64::from(rule.days)
                }
                (_, true) => true,
                _ => said != Said::Otherwise,
            }
        })
    }

    /// What a line and an item say of the same thing.
    pub(super) fn said(&self, line: &ReportLine, place: usize, key: Key) -> Said {
        let Some(candidate) = self.all.get(place) else {
            return Said::Nothing;
        };
        let item = &candidate.item;
        let both = |theirs: &Option<String>, ours: &Option<String>| match (theirs, ours) {
            (Some(theirs), Some(ours)) => Said::of(theirs.trim() == ours.trim()),
            _ => Said::Nothing,
        };
        match key {
            Key::Rrn => match (&line.rrn, line.known_rrn()) {
                (None, _) => Said::Nothing,
                (Some(_), None) => Said::Otherwise,
                (Some(_), Some(rrn)) => {
                    let is_of_another = rrn != item.own_rrn && self.own.contains(&(rrn, item.kind));
                    Said::of(candidate.rrns.contains(&rrn) && !is_of_another)
                }
            },
            // A chargeback is found in the first stage or not at all.
            Key::WrittenRrn if is_of_chargeback(item.kind) => self.said(line, place, Key::Rrn),
            Key::WrittenRrn => line.rrn.as_deref().map_or(Said::Nothing, |rrn| {
                Said::of(candidate.rrns.iter().any(|ours| ours.as_str() == rrn))
            }),
            Key::ApprovalCode => match &line.approval_code {
                Some(code) if !item.approval_codes.is_empty() && is_telling(code) => {
                    let code = code.trim();
                    Said::of(item.approval_codes.iter().any(|ours| ours.trim() == code))
                }
                _ => Said::Nothing,
            },
            Key::AcquirerReference => both(&line.acquirer_reference, &item.acquirer_reference),
            Key::MerchantReference => both(&line.merchant_reference, &item.merchant_reference),
            Key::Amount => Said::of(bank_minor(line) == item.amount_minor),
            Key::Currency => Said::of(line.currency == item.currency),
            Key::Date if is_of_open_day(item) => Said::Same,
            Key::Date => {
                let date = self.of.business_date;
                Said::of((line.business_date, item.business_date) == (date, date))
            }
        }
    }
}

/// Whether an approval code can tell one payment from others: a host that gives none may write zeros.
fn is_telling(code: &str) -> bool {
    code.bytes().any(|byte| !matches!(byte, b'0' | b' '))
}

pub(super) const fn item_kind(kind: ReportKind) -> ItemKind {
    match kind {
        ReportKind::Capture => ItemKind::Capture,
        ReportKind::Refund => ItemKind::Refund,
        ReportKind::Chargeback => ItemKind::Chargeback,
        ReportKind::ChargebackReversal => ItemKind::ChargebackReversal,
    }
}

/// Whether an item is a chargeback, or one that was given back.
pub(super) const fn is_of_chargeback(kind: ItemKind) -> bool {
    matches!(kind, ItemKind::Chargeback | ItemKind::ChargebackReversal)
}

/// Whether an item is of the day that was open when a report told it.
pub(super) const fn is_of_open_day(item: &ReportedItem) -> bool {
    item.by_report || is_of_chargeback(item.kind)
}

/// The amount of a line as an item has it: above 0 where the money goes the way of its kind.
pub(super) const fn bank_minor(line: &ReportLine) -> i64 {
    match line.kind {
        ReportKind::Refund | ReportKind::Chargeback => line.gross_minor.saturating_neg(),
        ReportKind::Capture | ReportKind::ChargebackReversal => line.gross_minor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An acceptor of fifteen digits may have the check digit of a card.
    #[test]
    fn an_acceptor_is_masked_where_no_merchant_has_it() {
        let line = |acceptor: &str| -> ReportLine {
            serde_json::from_value(serde_json::json!({
                "number": 2,
                "business_date": "2026-11-29",
                "acceptor": acceptor,
                "kind": ReportKind::Capture,
                "rrn": "633300000001",
                "currency": "EUR",
                "gross_minor": 14987
            }))
            .unwrap()
        };
        let merchants = [("378282246310005".to_owned(), "shop".parse().unwrap())];
        let of = ReportOf {
            host_id: "acquirer".parse().unwrap(),
            business_date: "2026-11-29".parse().unwrap(),
            merchants: &merchants,
            fees: None,
        };
        let lines = [line("371449635398431"), line("378282246310005"), line("S1")];
        let kept = of.without_cards(&lines);
        let acceptors: Vec<_> = kept.iter().map(|line| &*line.acceptor).collect();
        assert_eq!(acceptors, ["***********8431", "378282246310005", "S1"]);
    }
}
