//! The lines of a report and the items that they are about: stage by stage, by rules.
//!
//! A line is matched where exactly one item fits it and no other line fits that item. Lines that are alike are counted: of
//! two that are the same, each takes an item. Everything else that fits is ambiguous, and stays for a person.

use super::asked::{AllAsked, Asked};
use super::candidates::{Candidates, ReportOf, bank_minor, is_taken_back, item_kind};
use super::rules::{HowMany, Key, MatchRule, MatchRules, With};
use crate::payment::ids::OperationId;
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::payment::settlement_import::ReportedItem;
use crate::random::{HashMap, HashSet};
use crate::settlement::report::format::ReportKind;
use crate::settlement::report::line::ReportLine;

/// The most items that are shown as what a line may be.
const MOST_CANDIDATES: usize = 10;
/// The most other items of a payment that are tried together.
const MOST_OTHERS: usize = 8;
/// The most items that a line may fit before it is ambiguous anyway.
const MOST_FITS: usize = 200;

/// Lines and items that belong together: one of each, several lines and an item, or a line and several items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    /// The rule's name.
    pub(super) rule: String,
    /// Where the lines are.
    pub(super) lines: Vec<usize>,
    /// Where the items are.
    pub(super) items: Vec<usize>,
}

/// What a line is that is not matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unmatched {
    /// Nothing yet: later stages may find it.
    Open,
    /// One more for this item, which is settled.
    OnceMore { rule: String, item: usize },
    /// It fits these items, or fits what other lines fit too. Unless the rule decides, one item alone is only like it.
    Ambiguous {
        rule: String,
        decides: bool,
        items: Vec<usize>,
    },
    /// Nothing of ours. These items are like it in some things.
    Unknown { rule: String, items: Vec<usize> },
}

/// Lines that are compared with items.
pub(super) struct Matching<'a> {
    pub(super) candidates: Candidates<'a>,
    pub(super) lines: &'a [ReportLine],
    pub(super) matches: Vec<Match>,
    /// Of each line, what it is where it has no match.
    pub(super) unmatched: Vec<Option<Unmatched>>,
    asked: &'a AllAsked,
    /// The items of lines that are ambiguous. No later stage takes one of them: what is decided would hang on which lines
    /// were decided before.
    contended: HashSet<usize>,
}

/// What lines have that are the same.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
struct Alike<'a> {
    kind: ReportKind,
    acceptor: &'a str,
    rrn: Option<&'a str>,
    approval_code: Option<&'a str>,
    currency: Currency,
    /// None for lines that are alike but for their amounts.
    gross_minor: Option<i64>,
    date: BusinessDate,
}

impl<'a> Alike<'a> {
    fn of(line: &'a ReportLine, with_amount: bool) -> Self {
        Self {
            kind: line.kind,
            acceptor: line.acceptor.trim_end(),
            rrn: line.rrn.as_deref(),
            approval_code: line.approval_code.as_deref(),
            currency: line.currency,
            gross_minor: with_amount.then_some(line.gross_minor),
            date: line.business_date,
        }
    }
}

impl Alike<'_> {
    fn without_code(self) -> Self {
        Self {
            approval_code: None,
            ..self
        }
    }
}

impl<'a> Matching<'a> {
    /// Tries the rules of the first stage, or those of all later ones, which say of every line what it is.
    pub(super) fn of(
        of: ReportOf<'a>,
        rules: &MatchRules,
        first: bool,
        (lines, asked): (&'a [ReportLine], &'a AllAsked),
        items: Vec<ReportedItem>,
    ) -> Self {
        let named = lines.iter().filter_map(|line| {
            let named = asked.about(of, line)?;
            Some((line.number, named.is_about(line)))
        });
        let mut matching = Self {
            candidates: Candidates::of(of, items, named.collect()),
            lines,
            asked,
            matches: Vec::new(),
            unmatched: lines.iter().map(|_| Some(Unmatched::Open)).collect(),
            contended: HashSet::default(),
        };
        for stage in rules.stages(first) {
            matching.stage(stage);
        }
        match first {
            true => matching.set_aside(),
            false => matching.close(),
        }
        matching
    }

    fn stage(&mut self, rules: &[MatchRule]) {
        for rule in rules {
            match (rule.lines, rule.items) {
                (HowMany::Many, _) => self.several_lines(rule),
                (_, HowMany::Many) => self.several_items(rule),
                _ => {}
            }
        }
        let single: Vec<&MatchRule> = rules.iter().filter(|it| it.is_one_to_one()).collect();
        self.once_more(&single);
        self.one_to_one(&single);
    }

    /// The lines that have no match, and may still get one: what fits several by a rule that decides stays so, for weaker
    /// rules would only guess.
    fn left(&self) -> Vec<usize> {
        let is_left = |place: &usize| {
            let unmatched = self.unmatched.get(*place);
            matches!(
                unmatched,
                Some(Some(
                    Unmatched::Open | Unmatched::Ambiguous { decides: false, .. }
                ))
            )
        };
        (0..self.lines.len()).filter(is_left).collect()
    }

    fn line(&self, place: usize) -> Option<&'a ReportLine> {
        self.lines.get(place)
    }

    fn says(&mut self, line: usize, what: Option<Unmatched>) {
        if let Some(place) = self.unmatched.get_mut(line) {
            *place = what;
        }
    }

    fn take(&mut self, rule: &MatchRule, lines: Vec<usize>, items: Vec<usize>) {
        for line in &lines {
            self.says(*line, None);
        }
        for item in &items {
            self.candidates.settle(*item);
        }
        self.matches.push(Match {
            rule: rule.name.clone(),
            lines,
            items,
        });
    }

    /// What fits, and is not taken: the first rule that finds something says so.
    fn keep_in_mind(&mut self, rule: &MatchRule, line: usize, mut items: Vec<usize>) {
        if self.unmatched.get(line) != Some(&Some(Unmatched::Open)) {
            return;
        }
        if rule.decides {
            self.contended.extend(&items);
        }
        items.truncate(MOST_CANDIDATES);
        let ambiguous = Unmatched::Ambiguous {
            rule: rule.name.clone(),
            decides: rule.decides,
            items,
        };
        self.says(line, Some(ambiguous));
    }

    /// Lines for items that are settled.
    fn once_more(&mut self, rules: &[&MatchRule]) {
        for rule in rules.iter().filter(|rule| rule.with == With::Settled) {
            for place in self.left() {
                let Some(line) = self.line(place) else {
                    continue;
                };
                // One that is open is meant first: a later stage has it.
                if self.candidates.has_open_that_fits(rule, line) {
                    continue;
                }
                let items = self.candidates.that_fit(rule, line, None);
                let minor = bank_minor(line);
                let nearest = items.min_by_key(|item| {
                    let ours = self.candidates.item(*item);
                    ours.is_none_or(|ours| ours.amount_minor != minor)
                });
                if let Some(item) = nearest {
                    let rule = rule.name.clone();
                    self.says(place, Some(Unmatched::OnceMore { rule, item }));
                }
            }
        }
    }

    /// A line and an item that fit each other and nothing else.
    fn one_to_one(&mut self, rules: &[&MatchRule]) {
        let mut fits: Vec<(usize, Vec<(usize, &MatchRule)>)> = Vec::new();
        let mut claims: HashMap<usize, Vec<usize>> = HashMap::default();
        for place in self.left() {
            let Some(line) = self.line(place) else {
                continue;
            };
            let mut items: Vec<(usize, &MatchRule)> = Vec::new();
            for rule in rules.iter().filter(|rule| rule.with == With::Open) {
                let fit = self.candidates.that_fit(rule, line, None);
                // Where nothing is taken, one more than are shown is as ambiguous as all of them.
                let most = if rule.decides {
                    MOST_FITS
                } else {
                    MOST_CANDIDATES + 1
                };
                for item in fit.take(most) {
                    if !items.iter().any(|(known, _)| *known == item) {
                        items.push((item, rule));
                        claims.entry(item).or_default().push(place);
                    }
                }
            }
            if !items.is_empty() {
                fits.push((place, items));
            }
        }
        for (place, items) in fits {
            let taken = self.to_take(place, &items, &claims);
            if let Some((item, rule)) = taken {
                self.take(rule, vec![place], vec![item]);
            } else if let Some((_, rule)) = items.first() {
                let is_open = |(item, _): &(usize, &MatchRule)| {
                    self.candidates.is_open(*item).then_some(*item)
                };
                let open: Vec<usize> = items.iter().filter_map(is_open).collect();
                if !open.is_empty() {
                    self.keep_in_mind(rule, place, open);
                }
            }
        }
    }

    /// The item that a line takes: the only one, or the first of some that are alike, where only lines want them that are
    /// alike too.
    fn to_take<'r>(
        &self,
        place: usize,
        items: &[(usize, &'r MatchRule)],
        claims: &HashMap<usize, Vec<usize>>,
    ) -> Option<(usize, &'r MatchRule)> {
        let line = self.line(place)?;
        let (first, _) = items.first()?;
        if items.iter().any(|(item, rule)| {
            let is_free = rule.decides && !self.contended.contains(item);
            !is_free || !self.are_alike(*first, *item)
        }) {
            return None;
        }
        let claims = items.iter().filter_map(|(item, _)| claims.get(item));
        let others = claims.flatten().filter_map(|other| self.line(*other));
        let others: Vec<&ReportLine> = others.collect();
        // One of two lines that are the same may have no approval code.
        let alike = Alike::of(line, true).without_code();
        let are_same = others
            .iter()
            .all(|other| Alike::of(other, true).without_code() == alike);
        let codes = others.iter().filter_map(|it| it.approval_code.as_deref());
        if !are_same || codes.collect::<HashSet<_>>().len() > 1 {
            return None;
        }
        let mut open = items
            .iter()
            .filter(|(item, _)| self.candidates.is_open(*item));
        open.next().copied()
    }

    /// Whether two items are parts of one payment that nothing but their order tells apart.
    fn are_alike(&self, one: usize, other: usize) -> bool {
        let part = |place| {
            let item: &ReportedItem = self.candidates.item(place)?;
            let amount = (item.kind, item.currency, item.amount_minor);
            Some((item.payment_id, item.business_date, amount))
        };
        one == other || part(one) == part(other)
    }

    /// Lines that are alike but for their amounts, which sum to that of the one item that they fit.
    fn several_lines(&mut self, rule: &MatchRule) {
        let mut groups: Vec<(Alike<'a>, Vec<usize>)> = Vec::new();
        let mut known: HashMap<Alike<'a>, usize> = HashMap::default();
        for place in self.left() {
            // What the bank does not settle is no part of a sum.
            let line = self.line(place).filter(|line| line.reject_code.is_none());
            let Some(line) = line else {
                continue;
            };
            let alike = Alike::of(line, false);
            let group = *known.entry(alike).or_insert(groups.len());
            match groups.get_mut(group) {
                Some((_, places)) => places.push(place),
                None => groups.push((alike, vec![place])),
            }
        }
        for (_, places) in groups {
            if !(2..=rule.most).contains(&places.len()) {
                continue;
            }
            let lines = places.iter().filter_map(|place| self.line(*place));
            let sum = lines.map(bank_minor).try_fold(0_i64, i64::checked_add);
            let Some(line) = places.first().and_then(|place| self.line(*place)) else {
                continue;
            };
            let items = self.candidates.that_fit(rule, line, Some(Key::Amount));
            let has_sum = |item: &usize| {
                let item = self.candidates.item(*item);
                item.is_some_and(|item| Some(item.amount_minor) == sum)
            };
            let items: Vec<usize> = items.filter(has_sum).collect();
            match *items {
                [item] if !self.contended.contains(&item) => self.take(rule, places, vec![item]),
                _ => {}
            }
        }
    }

    /// An item that a line fits but for its amount, and others that make up the rest: of its payment, or else one of its
    /// merchant.
    fn several_items(&mut self, rule: &MatchRule) {
        let left = self.left();
        // What a line of its own is about is no part of another line.
        let mut named: HashSet<usize> = HashSet::default();
        for place in &left {
            let line = self.line(*place);
            let items = line.map(|line| self.candidates.named_by(line));
            named.extend(items.into_iter().flatten());
        }
        let mut found: Vec<(usize, Vec<Vec<usize>>)> = Vec::new();
        for place in left {
            let line = self.line(place).filter(|line| line.reject_code.is_none());
            let Some(line) = line else {
                continue;
            };
            let mut sets: Vec<Vec<usize>> = Vec::new();
            for item in self.candidates.that_fit(rule, line, Some(Key::Amount)) {
                for others in self.that_sum_to_rest(rule, line, item, &named) {
                    let mut set = others;
                    set.push(item);
                    set.sort_unstable();
                    if !sets.contains(&set) {
                        sets.push(set);
                    }
                }
            }
            if !sets.is_empty() {
                found.push((place, sets));
            }
        }
        // How many lines each item would be a part of.
        let mut wanted: HashMap<usize, usize> = HashMap::default();
        for (_, sets) in &found {
            let mut items: Vec<usize> = sets.iter().flatten().copied().collect();
            items.sort_unstable();
            items.dedup();
            for item in items {
                *wanted.entry(item).or_default() += 1;
            }
        }
        for (place, mut sets) in found {
            let is_free =
                |item: &usize| wanted.get(item) == Some(&1) && !self.contended.contains(item);
            match (sets.pop(), sets.is_empty()) {
                (Some(items), true) if items.iter().all(is_free) => {
                    self.take(rule, vec![place], items);
                }
                (Some(last), _) => {
                    let mut items: Vec<usize> = sets.into_iter().flatten().chain(last).collect();
                    items.sort_unstable();
                    items.dedup();
                    self.keep_in_mind(rule, place, items);
                }
                (None, _) => {}
            }
        }
    }

    /// The sets of other items that are what a line has beyond `item`.
    fn that_sum_to_rest(
        &self,
        rule: &MatchRule,
        line: &ReportLine,
        item: usize,
        named: &HashSet<usize>,
    ) -> Vec<Vec<usize>> {
        let Some(of) = self.candidates.item(item) else {
            return Vec::new();
        };
        let rest = bank_minor(line).saturating_sub(of.amount_minor);
        if rest <= 0 {
            return Vec::new();
        }
        let goes_with = |other: &ReportedItem| {
            (
                other.kind,
                other.currency,
                other.business_date,
                other.merchant_id,
            ) == (of.kind, of.currency, of.business_date, of.merchant_id)
        };
        // Of the payment: the line names them all with its RRN, or each has its own.
        let by_rrn = self.candidates.that_fit(rule, line, Some(Key::Amount));
        let others = by_rrn.filter(|other| *other != item);
        let others: Vec<usize> = others.take(MOST_OTHERS + 1).collect();
        if others.len() > MOST_OTHERS {
            return Vec::new();
        }
        let mut sets = Vec::new();
        let count = u32::try_from(others.len()).unwrap_or(0);
        for chosen in 1..(1_u32 << count) {
            let set: Vec<usize> = (others.iter().enumerate())
                .filter(|(index, _)| chosen >> index & 1 == 1)
                .map(|(_, other)| *other)
                .collect();
            let amounts = set.iter().filter_map(|other| self.candidates.item(*other));
            let sum: i64 = amounts
                .map(|other| other.amount_minor)
                .fold(0, i64::saturating_add);
            if set.len() < rule.most && sum == rest {
                sets.push(set);
            }
        }
        if sets.is_empty() {
            let alone = self.candidates.open_with_amount(rest).filter(|other| {
                let is_free = *other != item && !named.contains(other);
                is_free && self.candidates.item(*other).is_some_and(goes_with)
            });
            sets.extend(alone.map(|other| vec![other]));
        }
        sets
    }

    /// Opens what is ambiguous so far: which lines come near each other in the file decides nothing. Of what is taken back no
    /// later stage says more.
    fn set_aside(&mut self) {
        for (line, unmatched) in self.lines.iter().zip(&mut self.unmatched) {
            let is_ambiguous = matches!(unmatched, Some(Unmatched::Ambiguous { .. }));
            if is_ambiguous && !is_taken_back(item_kind(line.kind)) {
                *unmatched = Some(Unmatched::Open);
            }
        }
    }

    /// Says of every line that is left what it is.
    fn close(&mut self) {
        for place in 0..self.lines.len() {
            let what = match self.unmatched.get(place) {
                Some(Some(Unmatched::Open)) => Unmatched::Unknown {
                    rule: String::new(),
                    items: Vec::new(),
                },
                Some(Some(Unmatched::Ambiguous {
                    rule,
                    decides,
                    items,
                })) => {
                    let is_open = |item: &&usize| self.candidates.is_open(**item);
                    let open: Vec<usize> = items.iter().filter(is_open).copied().collect();
                    let (rule, decides) = (rule.clone(), *decides);
                    match open.len() > usize::from(!decides) {
                        true => Unmatched::Ambiguous {
                            rule,
                            decides,
                            items: open,
                        },
                        false => Unmatched::Unknown { rule, items: open },
                    }
                }
                _ => continue,
            };
            self.says(place, Some(what));
        }
    }

    /// What each line is about that no item fits.
    pub(super) fn about(&self) -> Vec<Option<&'a Asked>> {
        let lines = self.lines.iter().zip(&self.unmatched);
        let about = lines.map(|(line, unmatched)| match unmatched {
            Some(Unmatched::Unknown { .. }) => self.asked.about(self.candidates.of, line),
            _ => None,
        });
        about.collect()
    }

    /// The operation of the item at a place.
    pub(super) fn operation(&self, place: usize) -> Option<OperationId> {
        self.candidates.item(place).map(|item| item.operation_id)
    }
}
