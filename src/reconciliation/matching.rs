//! The lines of a report and the items that they are about: stage by stage, by rules.
//!
//! A line is matched where exactly one item fits it and no other line fits that item. Lines that are alike are counted: of
//! two that are the same, each takes an item. Everything else that fits is ambiguous, and stays for a person.
//!
//! - `alike`: what lines have that are the same. `sums`: several lines that are one item or several, and several items that are one line.

mod alike;
mod sums;

use self::alike::Alike;
use self::sums::Sums;
use super::asked::{AllAsked, Asked};
use super::candidates::{Candidates, ReportOf, bank_minor, is_of_chargeback, item_kind};
use super::rules::{HowMany, MatchRule, MatchRules, With};
use crate::payment::ids::OperationId;
use crate::payment::report_line::ReportedItem;
use crate::random::{HashMap, HashSet};
use crate::settlement::report::line::ReportLine;

/// The most items that are shown as what a line may be.
const MOST_CANDIDATES: usize = 10;
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
    /// Nothing is decided yet: later stages may find its item.
    Open,
    /// A further line about an item that another line has settled.
    OnceMore { rule: String, item: usize },
    /// Several items fit it, or the item that does fits other lines too. Where the rule does not decide (`decides`), an item that
    /// fits is only similar.
    Ambiguous {
        rule: String,
        decides: bool,
        items: Vec<usize>,
    },
    /// It is about no item of ours. These items are similar to it.
    Unknown { rule: String, items: Vec<usize> },
}

/// Lines that are compared with items.
pub(super) struct Matching<'a> {
    pub(super) candidates: Candidates<'a>,
    pub(super) lines: &'a [ReportLine],
    pub(super) matches: Vec<Match>,
    /// For each line what it is, unless it has a match.
    pub(super) unmatched: Vec<Option<Unmatched>>,
    asked: &'a AllAsked,
    /// The items of lines that are ambiguous. No later stage takes one of them, since the result would depend on the order in
    /// which lines are decided.
    contended: HashSet<usize>,
}

impl<'a> Matching<'a> {
    /// Tries the rules of the first stage, or those of all later stages, after which each line is decided.
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
            true => matching.reopen_ambiguous(),
            false => matching.decide_the_rest(),
        }
        matching
    }

    fn stage(&mut self, rules: &[MatchRule]) {
        for rule in rules {
            let sums = match (rule.lines, rule.items) {
                (HowMany::Many, HowMany::Many) => self.sums(rule).of_both(),
                (HowMany::Many, HowMany::One) => self.sums(rule).of_lines(),
                (HowMany::One, HowMany::Many) => self.sums(rule).of_items(),
                (HowMany::One, HowMany::One) => Vec::new(),
            };
            for sum in sums {
                match *sum.lines {
                    [line] if !sum.is_certain => self.mark_ambiguous(rule, line, sum.items),
                    _ => self.take(rule, sum.lines, sum.items),
                }
            }
        }
        let single: Vec<&MatchRule> = rules.iter().filter(|it| it.is_one_to_one()).collect();
        self.mark_repeated(&single);
        self.one_to_one(&single);
    }

    fn sums<'s>(&'s self, rule: &'s MatchRule) -> Sums<'s> {
        let left = self.left().into_iter();
        Sums {
            rule,
            candidates: &self.candidates,
            contended: &self.contended,
            left: left
                .filter_map(|place| Some((place, self.line(place)?)))
                .collect(),
        }
    }

    /// The lines that have no match and may still get one. A line that a deciding rule has found ambiguous gets none: weaker
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

    fn set(&mut self, line: usize, what: Option<Unmatched>) {
        if let Some(place) = self.unmatched.get_mut(line) {
            *place = what;
        }
    }

    fn take(&mut self, rule: &MatchRule, lines: Vec<usize>, items: Vec<usize>) {
        for line in &lines {
            self.set(*line, None);
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

    /// Marks a line ambiguous, with the items that fit it. The first rule that finds some counts.
    fn mark_ambiguous(&mut self, rule: &MatchRule, line: usize, mut items: Vec<usize>) {
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
        self.set(line, Some(ambiguous));
    }

    /// Marks lines about items that are settled already.
    fn mark_repeated(&mut self, rules: &[&MatchRule]) {
        for rule in rules.iter().filter(|rule| rule.with == With::Settled) {
            for place in self.left() {
                let Some(line) = self.line(place) else {
                    continue;
                };
                // An open item that fits comes first: a later stage takes it.
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
                    self.set(place, Some(Unmatched::OnceMore { rule, item }));
                }
            }
        }
    }

    /// Matches each line and item that fit each other and nothing else.
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
                // A rule that does not decide only shows items: more than are shown need not be found.
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
                    self.mark_ambiguous(rule, place, open);
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
        let alike = Alike::of(line).without_code();
        let are_same = others
            .iter()
            .all(|other| Alike::of(other).without_code() == alike);
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

    /// Opens the lines again that are ambiguous after the first stage, which sees a part of the file at a time: which lines are
    /// near each other decides nothing. Lines of chargebacks stay: no later stage finds more of them.
    fn reopen_ambiguous(&mut self) {
        for (line, unmatched) in self.lines.iter().zip(&mut self.unmatched) {
            let is_ambiguous = matches!(unmatched, Some(Unmatched::Ambiguous { .. }));
            if is_ambiguous && !is_of_chargeback(item_kind(line.kind)) {
                *unmatched = Some(Unmatched::Open);
            }
        }
    }

    /// Decides each line that is left.
    fn decide_the_rest(&mut self) {
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
            self.set(place, Some(what));
        }
    }

    /// For each line that no item fits: the operation without an item that it is about, if any.
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
