//! What was done about payouts.

use crate::admin_api::pb;
use crate::settlement::payout::PayoutDecision;
use crate::settlement::payout_notices::{Notified, Problem, ProblemKind};
use crate::settlement::payouts::Decided;

/// The most problems that are shown.
const MOST_PROBLEMS: usize = 100;

/// What was done for a merchant.
pub(in crate::admin_api) fn decision(decided: &Decided) -> pb::PayoutDecision {
    use pb::PayoutDecisionKind as Kind;
    let (kind, amount_minor, reserve_minor) = match decided.decision {
        PayoutDecision::Pay {
            amount_minor,
            reserve_minor,
        } => (Kind::Pay, amount_minor, reserve_minor),
        PayoutDecision::BelowMinimum { payable_minor } => (Kind::BelowMinimum, payable_minor, 0),
        PayoutDecision::Negative { carried_minor } => (Kind::Negative, carried_minor, 0),
        PayoutDecision::NotToday => (Kind::NotToday, 0, 0),
        PayoutDecision::Held => (Kind::Held, 0, 0),
    };
    let payout = decided.payout_id;
    pb::PayoutDecision {
        merchant_id: decided.merchant_id.to_string(),
        currency: decided.currency.code().to_owned(),
        kind: kind.into(),
        amount_minor,
        reserve_minor,
        payout_id: payout.map_or_else(String::new, |payout| payout.to_string()),
        batch_ids: decided.batch_ids.iter().map(ToString::to_string).collect(),
    }
}

/// What came of a notification.
pub(in crate::admin_api) fn notified(found: &Notified) -> pb::NotifyPayoutsResponse {
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    pb::NotifyPayoutsResponse {
        paid_payout_ids: found.paid.iter().map(ToString::to_string).collect(),
        returned_payout_ids: found.returned.iter().map(ToString::to_string).collect(),
        known_count: count(found.known),
        problems: found
            .problems
            .iter()
            .take(MOST_PROBLEMS)
            .map(problem)
            .collect(),
        problem_count: count(found.problems.len()),
    }
}

fn problem(found: &Problem) -> pb::NotificationProblem {
    use pb::NotificationProblemKind as Kind;
    pb::NotificationProblem {
        kind: match found.kind {
            ProblemKind::UnknownReference => Kind::UnknownReference,
            ProblemKind::AmountDiffers => Kind::AmountDiffers,
            ProblemKind::OtherState => Kind::OtherState,
        }
        .into(),
        reference: found.reference.clone(),
        line: i64::try_from(found.line).unwrap_or(i64::MAX),
        text: found.text.clone(),
    }
}
