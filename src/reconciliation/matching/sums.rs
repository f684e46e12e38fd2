//! Several lines that are one item or several, and several items that are one line.

use super::alike::Alike;
use crate::payment::report_line::ReportedItem;
use crate::random::{HashMap, HashSet};
use crate::reconciliation::candidates::{Candidates, bank_minor};
use crate::reconciliation::rules::{Key, MatchRule};
use crate::settlement::report::line::ReportLine;

/// The most other items of a payment that are tried together.
const MOST_OTHERS: usize = 8;

/// Lines and items with the same sum.
pub(super) struct Sum {
    /// Where the lines are.
    pub(super) lines: Vec<usize>,
    /// Where the items are.
    pub(super) items: Vec<usize>,
    /// Whether they belong together. If not, the one line may be several of these items.
    pub(super) is_certain: bool,
}

/// What sums are looked for in.
pub(super) struct Sums<'a> {
    pub(super) rule: &'a MatchRule,
    pub(super) candidates: &'a Candidates<'a>,
    /// The items that none of them may have.
    pub(super) contended: &'a HashSet<usize>,
    /// The lines that have no match, each with its place.
    pub(super) left: Vec<(usize, &'a ReportLine)>,
}

impl<'a> Sums<'a> {
    /// The lines that may be in a sum: what the bank does not settle is in none.
    fn settled(&self) -> impl Iterator<Item = (usize, &'a ReportLine)> {
        let left = self.left.iter().copied();
        left.filter(|(_, line)| line.reject_code.is_none())
    }

    /// Lines that are alike but for their amounts, which sum to that of the one item that they fit.
    pub(super) fn of_lines(&self) -> Vec<Sum> {
        self.of_groups(|theirs, ours| {
            let sum = added(theirs);
            let equal = |(_, minor): &&(usize, i64)| Some(*minor) == sum;
            let mut equal = ours.iter().filter(equal);
            match (equal.next(), equal.next()) {
                (Some((item, _)), None) => vec![*item],
                _ => Vec::new(),
            }
        })
    }

    /// Lines that are alike but for their amounts, which sum to all the items that they fit, and that no other line fits.
    /// What has the amount of one of the items is about that alone.
    pub(super) fn of_both(&self) -> Vec<Sum> {
        let mut fitted: HashMap<usize, usize> = HashMap::default();
        for (_, line) in &self.left {
            for item in self.fitting(line) {
                *fitted.entry(item).or_default() += 1;
            }
        }
        self.of_groups(|theirs, ours| {
            let (items, ours): (Vec<usize>, Vec<i64>) = ours.iter().copied().unzip();
            let are_many = (2..=self.rule.most).contains(&items.len());
            let are_apart = ours.iter().all(|minor| !theirs.contains(minor))
                && theirs.iter().all(|minor| *minor > 0)
                && items
                    .iter()
                    .all(|item| fitted.get(item) == Some(&theirs.len()));
            let sum = added(&ours);
            match are_many && are_apart && sum.is_some() && sum == added(theirs) {
                true => items,
                false => Vec::new(),
            }
        })
    }

    /// Lines that are alike but for their amounts, as many as may belong together, with what `fit` finds for their amounts
    /// among the items that they fit and those amounts.
    fn of_groups(&self, fit: impl Fn(&[i64], &[(usize, i64)]) -> Vec<usize>) -> Vec<Sum> {
        let mut groups: Vec<Vec<(usize, &ReportLine)>> = Vec::new();
        let mut known: HashMap<Alike<'_>, usize> = HashMap::default();
        for (place, line) in self.settled() {
            let alike = Alike::of(line).without_amount();
            let group = *known.entry(alike).or_insert(groups.len());
            match groups.get_mut(group) {
                Some(lines) => lines.push((place, line)),
                None => groups.push(vec![(place, line)]),
            }
        }
        groups.retain(|lines| (2..=self.rule.most).contains(&lines.len()));
        let mut taken: HashSet<usize> = HashSet::default();
        let mut found = Vec::new();
        for lines in groups {
            let Some((_, first)) = lines.first() else {
                continue;
            };
            let theirs: Vec<i64> = lines.iter().map(|(_, line)| bank_minor(line)).collect();
            let free = self.fitting(first).filter(|item| !taken.contains(item));
            let with_minor = |item| Some((item, self.candidates.item(item)?.amount_minor));
            let ours: Vec<(usize, i64)> = free.filter_map(with_minor).collect();
            let items = fit(&theirs, &ours);
            if items.is_empty() || items.iter().any(|item| self.contended.contains(item)) {
                continue;
            }
            taken.extend(&items);
            found.push(Sum {
                lines: lines.into_iter().map(|(place, _)| place).collect(),
                items,
                is_certain: true,
            });
        }
        found
    }

    /// An item that a line fits but for its amount, and others that make up the rest: of its payment, or else one of its
    /// merchant.
    pub(super) fn of_items(&self) -> Vec<Sum> {
        // What a line of its own is about is no part of another line.
        let named = self.left.iter();
        let named: HashSet<usize> = named
            .flat_map(|(_, line)| self.candidates.named_by(line))
            .collect();
        let mut found: Vec<(usize, Vec<Vec<usize>>)> = Vec::new();
        for (place, line) in self.settled() {
            let mut sets: Vec<Vec<usize>> = Vec::new();
            for item in self.fitting(line) {
                for mut set in self.that_sum_to_rest(line, item, &named) {
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
            for item in all_of(sets) {
                *wanted.entry(item).or_default() += 1;
            }
        }
        let is_free = |item: &usize| wanted.get(item) == Some(&1) && !self.contended.contains(item);
        let sums = found.into_iter().map(|(place, sets)| Sum {
            lines: vec![place],
            items: all_of(&sets),
            is_certain: matches!(&*sets, [items] if items.iter().all(is_free)),
        });
        sums.collect()
    }

    /// The items that a line fits but for its amount.
    fn fitting<'s>(&'s self, line: &'s ReportLine) -> impl Iterator<Item = usize> + 's {
        self.candidates.that_fit(self.rule, line, Some(Key::Amount))
    }

    /// The sets of other items that are what a line has beyond `item`.
    fn that_sum_to_rest(
        &self,
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
        let others = self.fitting(line).filter(|other| *other != item);
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
            if set.len() < self.rule.most && sum == rest {
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
}

/// The sum of amounts.
fn added(minor: &[i64]) -> Option<i64> {
    minor.iter().copied().try_fold(0, i64::checked_add)
}

/// The items of all sets, each once.
fn all_of(sets: &[Vec<usize>]) -> Vec<usize> {
    let mut items: Vec<usize> = sets.iter().flatten().copied().collect();
    items.sort_unstable();
    items.dedup();
    items
}
