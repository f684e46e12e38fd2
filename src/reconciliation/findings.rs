//! Turns the matches of a report's lines with items into what is recorded: what each line says of its item, where each line
//! stands, and each difference.

use super::asked::{AllAsked, Asked, Standing};
use super::candidates::{
    Candidates, ReportOf, Said, bank_minor, is_of_chargeback, is_of_open_day, item_kind,
};
use super::kept_fees::other_fees;
use super::matching::{Match, Matching, Unmatched};
use super::rules::{Key, MatchRules};
use crate::payment::difference::{Difference, DifferenceKind, LikeItem};
use crate::payment::money::Currency;
use crate::payment::report_line::{AppliedLines, ItemReport, LineOutcome, LineState, ReportedItem};
use crate::settlement::chargebacks::{NewChargeback, to_take_back};
use crate::settlement::report::line::ReportLine;

/// By how many days the bank may settle an item under a later date than ours without being late.
const LATE_AFTER_DAYS: i64 = 1;

/// What is recorded of lines by the rules of the first stage, and the chargebacks among them that are no items yet. Lines
/// whose item these rules do not find stay open. `items` are those that
/// [`Store::items_of_rrns`](crate::store::Store::items_of_rrns) finds by their RRNs.
#[must_use]
pub fn as_they_come(
    of: ReportOf<'_>,
    rules: &MatchRules,
    lines: &[ReportLine],
    items: Vec<ReportedItem>,
) -> (AppliedLines, Vec<NewChargeback>) {
    let is_chargeback = |line: &ReportLine| is_of_chargeback(item_kind(line.kind));
    let found = match lines.iter().any(is_chargeback) {
        true => items.clone(),
        false => Vec::new(),
    };
    let nothing = AllAsked::default();
    let mut applied = applied(&Matching::of(of, rules, true, (lines, &nothing), items));
    applied.lines.sort_by_key(|line| line.number);
    let is_open = |(_, outcome): &(&ReportLine, &LineOutcome)| outcome.state == LineState::Open;
    let open = lines.iter().zip(&applied.lines).filter(is_open);
    let new = open.filter_map(|(line, _)| {
        let theirs: Vec<_> = of.merchants_of(line).collect();
        let is_theirs =
            |item: &&ReportedItem| theirs.is_empty() || theirs.contains(&item.merchant_id);
        to_take_back(line, found.iter().filter(is_theirs))
    });
    let new = new.collect();
    (applied, new)
}

/// What is recorded of lines that the first stage has left open, by the rules of the later stages. `items` are those that the
/// lines may be about: found by their RRNs, or open. `asked` are operations that are no items and that they may be about. All
/// of it is recorded in one transaction, because a line that is decided takes its item from the others.
#[must_use]
pub fn of_open_lines(
    of: ReportOf<'_>,
    rules: &MatchRules,
    (lines, asked): (&[ReportLine], &AllAsked),
    items: Vec<ReportedItem>,
) -> AppliedLines {
    applied(&Matching::of(of, rules, false, (lines, asked), items))
}

/// An item of the day that no line of the report is about.
#[must_use]
pub fn not_in_report(of: ReportOf<'_>, item: &ReportedItem) -> Difference {
    Difference {
        ours: Some(item.amount_minor.to_string()),
        ..of_item(of, item, DifferenceKind::NotInReport)
    }
}

/// What is recorded of all matches, and of each line without one.
fn applied(matching: &Matching<'_>) -> AppliedLines {
    let mut applied = AppliedLines::default();
    for matched in &matching.matches {
        add_match(matching, matched, &mut applied);
    }
    let about = matching.about();
    let lines = matching.lines.iter().zip(&matching.unmatched);
    for ((line, unmatched), asked) in lines.zip(&about) {
        let Some(unmatched) = unmatched else {
            continue;
        };
        if let Some(asked) = asked {
            let same = about.iter().flatten();
            let same = same.filter(|it| it.operation_id == asked.operation_id);
            let (outcome, difference) =
                of_asked(matching.candidates.of, line, asked, same.count() == 1);
            applied.lines.push(outcome);
            applied.differences.push(difference);
            continue;
        }
        let (state, item, rule) = outcome(matching, line, unmatched, &mut applied);
        applied.lines.push(LineOutcome {
            number: number(line),
            state,
            operation_id: item.and_then(|item| matching.operation(item)),
            rule,
        });
    }
    applied
}

/// The state of a line without a match, its item and rule where it has them; its difference is added.
fn outcome(
    matching: &Matching<'_>,
    line: &ReportLine,
    unmatched: &Unmatched,
    applied: &mut AppliedLines,
) -> (LineState, Option<usize>, Option<String>) {
    let candidates = &matching.candidates;
    let of = candidates.of;
    let shown = |items: &[usize]| -> Vec<LikeItem> {
        let items = items.iter().filter_map(|item| candidates.item(*item));
        let like = items.map(|item| LikeItem {
            subject_id: item.subject_id,
            rrn: item.own_rrn,
        });
        like.collect()
    };
    let (state, kind, item, like, rule) = match unmatched {
        Unmatched::Open => return (LineState::Open, None, None),
        Unmatched::OnceMore { rule, item } => (
            LineState::OnceMore,
            DifferenceKind::DuplicateLine,
            Some(*item),
            Vec::new(),
            rule,
        ),
        Unmatched::Ambiguous { rule, items, .. } => (
            LineState::Ambiguous,
            DifferenceKind::Ambiguous,
            None,
            shown(items),
            rule,
        ),
        Unmatched::Unknown { rule, items } => (
            LineState::Unknown,
            DifferenceKind::UnexpectedLine,
            None,
            shown(items),
            rule,
        ),
    };
    let rule = Some(rule.clone()).filter(|rule| !rule.is_empty());
    let known = item.and_then(|item| candidates.item(item));
    applied.differences.push(Difference {
        rule: rule.clone(),
        candidates: like,
        ..unexpected(of, line, known, kind)
    });
    (state, item, rule)
}

/// Adds what the lines of a match say of their items, and what they have otherwise.
fn add_match(matching: &Matching<'_>, matched: &Match, applied: &mut AppliedLines) {
    let candidates = &matching.candidates;
    let lines = matched
        .lines
        .iter()
        .filter_map(|line| matching.lines.get(*line));
    let lines: Vec<&ReportLine> = lines.collect();
    let Some(first) = lines.first() else {
        return;
    };
    let item = matched
        .items
        .first()
        .and_then(|item| matching.operation(*item));
    applied.lines.extend(lines.iter().map(|line| LineOutcome {
        number: number(line),
        state: LineState::Matched,
        operation_id: item,
        rule: Some(matched.rule.clone()),
    }));
    let is_single = matches!((&*matched.lines, &*matched.items), ([_], [_]));
    let is_first = |place: usize| matched.items.first() == Some(&place);
    for place in &matched.items {
        let Some(item) = candidates.item(*place) else {
            continue;
        };
        let is_same_currency = first.currency == item.currency;
        // The fees of all lines of the match are told of its first item alone.
        let fee = |of: fn(&ReportLine) -> Option<i64>| {
            let sum = lines
                .iter()
                .map(|line| of(line))
                .try_fold(0_i64, |sum, fee| sum.checked_add(fee?));
            let sum = sum.filter(|_| is_same_currency);
            sum.map(|sum| if is_first(*place) { sum } else { 0 })
        };
        let bank_minor = match is_single {
            true => bank_minor(first),
            false => item.amount_minor,
        };
        applied.items.push(ItemReport {
            operation_id: item.operation_id,
            line: number(first),
            acquirer_reference: first.acquirer_reference.clone(),
            interchange_minor: fee(|line| line.interchange_minor),
            scheme_fee_minor: fee(|line| line.scheme_fee_minor),
            commission_minor: fee(|line| line.commission_minor),
            bank_minor: is_same_currency.then_some(bank_minor),
            reject_code: first.reject_code.clone(),
            was_missed: item.business_date != candidates.of.business_date,
        });
        let mut found = otherwise(candidates, first, *place, item, is_single);
        if !is_single {
            let cut = lines.iter().filter(|line| !has_whole_rrn(line));
            let cut = cut.filter(|line| item_named(matching, matched, line) == Some(*place));
            found.extend(cut.map(|line| other_rrn(candidates.of, line, item)));
        }
        applied
            .differences
            .extend(found.into_iter().map(|found| Difference {
                rule: Some(matched.rule.clone()),
                ..found
            }));
    }
    applied
        .differences
        .extend(fees(candidates, &lines, &matched.items));
    let matched = i64::try_from(lines.len()).unwrap_or(i64::MAX);
    applied.matched = applied.matched.saturating_add(matched);
}

/// The difference where the bank keeps other fees than is agreed: one for the match as a whole, told of its first item.
fn fees(candidates: &Candidates<'_>, lines: &[&ReportLine], items: &[usize]) -> Option<Difference> {
    let of = candidates.of;
    let items = items.iter().filter_map(|item| candidates.item(*item));
    let items: Vec<&ReportedItem> = items.collect();
    let found = other_fees(of.fees?, lines, &items)?;
    let (ours, theirs) = (found.agreed_minor.to_string(), found.kept_minor.to_string());
    let kind = DifferenceKind::FeeDiffers;
    Some(Difference {
        rule: Some(found.rules),
        ..differing(of, lines.first()?, items.first()?, kind, ours, theirs)
    })
}

/// The first item of a match whose RRN a line of it has.
fn item_named(matching: &Matching<'_>, matched: &Match, line: &ReportLine) -> Option<usize> {
    let said = |item: &usize| matching.candidates.said(line, *item, Key::Rrn);
    let mut items = matched.items.iter().copied();
    items.find(|item| said(item) == Said::Same)
}

/// What a line has otherwise than its item.
fn otherwise(
    candidates: &Candidates<'_>,
    line: &ReportLine,
    place: usize,
    item: &ReportedItem,
    is_single: bool,
) -> Vec<Difference> {
    let of = candidates.of;
    let mut found = Vec::new();
    let mut differs = |kind, ours: String, theirs: String| {
        found.push(differing(of, line, item, kind, ours, theirs));
    };
    let (ours, theirs) = (item.amount_minor, bank_minor(line));
    if let Some(code) = &line.reject_code {
        differs(DifferenceKind::Rejected, ours.to_string(), code.clone());
    } else if line.currency != item.currency {
        let (ours, theirs) = (code(item.currency), code(line.currency));
        differs(DifferenceKind::CurrencyDiffers, ours, theirs);
    } else if is_single && theirs != ours {
        let kind = match ours.checked_neg() == Some(theirs) {
            true => DifferenceKind::SignDiffers,
            false => DifferenceKind::AmountDiffers,
        };
        differs(kind, ours.to_string(), theirs.to_string());
    }
    let rrn = candidates.said(line, place, Key::Rrn);
    let code = candidates.said(line, place, Key::ApprovalCode);
    if is_single && (rrn == Said::Otherwise || !has_whole_rrn(line)) {
        let theirs = line.rrn.clone().unwrap_or_default();
        let kind = DifferenceKind::ReferenceDiffers;
        differs(kind, item.found_by.to_string(), theirs);
    } else if is_single && code == Said::Otherwise {
        let ours = item.approval_codes.first().cloned().unwrap_or_default();
        let theirs = line.approval_code.clone().unwrap_or_default();
        differs(DifferenceKind::ReferenceDiffers, ours, theirs);
    }
    if let Some(over) = item.left_minor.filter(|left| *left < 0) {
        let before = item.amount_minor.saturating_add(over).max(0);
        let theirs = item.amount_minor.to_string();
        differs(DifferenceKind::AboveCaptured, before.to_string(), theirs);
    }
    // An operation that a report has ended became an item of the day that was open then: its date says nothing.
    if item.by_report {
        return found;
    }
    let date = of.business_date;
    let item_date = match is_of_open_day(item) {
        true => date,
        false => item.business_date,
    };
    // What comes between the bank's cutover and ours is of the next day at the bank: no delay, unless the line has our date.
    let is_named = line.business_date == item_date;
    let is_late = item_date < date && (is_named || item_date.days_until(date) > LATE_AFTER_DAYS);
    if is_late {
        let kind = DifferenceKind::LatePresentment;
        differs(kind, item_date.to_string(), date.to_string());
    }
    let is_of_third = !is_named && line.business_date != date;
    if is_of_third || (!is_late && (line.business_date, item_date) != (date, date)) {
        // Where the line has the item's date, it is the report that is of another date.
        let theirs = if is_named { date } else { line.business_date };
        let kind = DifferenceKind::DateDiffers;
        differs(kind, item_date.to_string(), theirs.to_string());
    }
    found
}

/// What a line has otherwise than its item, in minor units or as text.
fn differing(
    of: ReportOf<'_>,
    line: &ReportLine,
    item: &ReportedItem,
    kind: DifferenceKind,
    ours: String,
    theirs: String,
) -> Difference {
    Difference {
        ours: Some(ours),
        theirs: Some(theirs),
        line: Some(number(line)),
        rrn: line.rrn.clone(),
        ..of_item(of, item, kind)
    }
}

/// The difference where a line has another RRN than that by which the item is found.
fn other_rrn(of: ReportOf<'_>, line: &ReportLine, item: &ReportedItem) -> Difference {
    let (ours, theirs) = (item.found_by.to_string(), line.rrn.clone());
    let kind = DifferenceKind::ReferenceDiffers;
    differing(of, line, item, kind, ours, theirs.unwrap_or_default())
}

/// Whether a line has no RRN, or a whole one. A bank that cuts the leading zeros writes something else than the RRN; the item is
/// found by it all the same.
fn has_whole_rrn(line: &ReportLine) -> bool {
    let rrn = line.rrn.as_deref();
    rrn.is_none_or(|rrn| line.known_rrn().is_none_or(|known| known.as_str() == rrn))
}

fn code(currency: Currency) -> String {
    currency.code().to_owned()
}

fn number(line: &ReportLine) -> i64 {
    i64::try_from(line.number).unwrap_or(i64::MAX)
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
        rule: None,
        candidates: Vec::new(),
    }
}

/// A line about an operation that is no item. It was undone, and the bank has booked it all the same; or its outcome is not
/// known, and this line does not tell it: there are several such lines, or it has another amount than was asked for.
fn of_asked(
    of: ReportOf<'_>,
    line: &ReportLine,
    asked: &Asked,
    is_only: bool,
) -> (LineOutcome, Difference) {
    let ours = asked.amount.amount_minor();
    let (state, kind, ours) = match asked.standing {
        Standing::Undone => (LineState::Unknown, DifferenceKind::ReversalNotApplied, None),
        Standing::NotKnown { .. } if is_only && !asked.is_about(line) => (
            LineState::Unknown,
            DifferenceKind::AmountDiffers,
            Some(ours),
        ),
        Standing::NotKnown { .. } => (LineState::Ambiguous, DifferenceKind::Ambiguous, Some(ours)),
    };
    let theirs = match kind {
        DifferenceKind::ReversalNotApplied => line.gross_minor,
        _ => bank_minor(line),
    };
    let outcome = LineOutcome {
        number: number(line),
        state,
        operation_id: Some(asked.operation_id),
        rule: None,
    };
    let like = asked
        .subject_id
        .filter(|_| kind == DifferenceKind::Ambiguous);
    let difference = Difference {
        merchant_id: Some(asked.merchant_id),
        operation_id: Some(asked.operation_id),
        subject_id: asked.subject_id,
        ours: ours.map(|ours| ours.to_string()),
        theirs: Some(theirs.to_string()),
        candidates: Vec::from_iter(like.map(|subject_id| LikeItem {
            subject_id,
            rrn: asked.own_rrn,
        })),
        ..unexpected(of, line, None, kind)
    };
    (outcome, difference)
}

/// The difference of a line that is about no item, or about one that another line has settled.
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
    // Compared with an item, the amount is above 0 where the money goes the way of its kind.
    let theirs = match (&line.reject_code, item) {
        // The bank pays nothing for what it rejects.
        (Some(_), _) => 0,
        (None, Some(_)) => bank_minor(line),
        (None, None) => line.gross_minor,
    };
    Difference {
        kind,
        host_id: of.host_id,
        business_date: of.business_date,
        merchant_id: item.map(|item| item.merchant_id).or(merchant_id),
        currency: line.currency,
        operation_id: item.map(|item| item.operation_id),
        subject_id: item.map(|item| item.subject_id),
        rrn: line.rrn.clone(),
        ours: item.map(|item| item.amount_minor.to_string()),
        theirs: Some(theirs.to_string()),
        line: Some(number(line)),
        accepted_at: None,
        rule: None,
        candidates: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
