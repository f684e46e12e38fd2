//! A payment as the API shows it, in each of its states.

use std::collections::BTreeMap;

use super::capture::capture;
use super::money::money;
use super::outcome::{decline, failure, pending, pending_reversal};
use super::release::release;
use super::settlement::{Settled, note};
use crate::grpc::time::timestamp;
use crate::merchant_api::pb;
use crate::operations::later::{is_repeat, numbers_of, numbers_of_authorization};
use crate::payment::capture::Capture;
use crate::payment::decline::Approval;
use crate::payment::ids::{OperationId, PaymentId};
use crate::payment::moment::UnixMillis;
use crate::payment::operation::Open;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Authorization, CardBrand, CardSummary, Operation, Payment};
use crate::payment::settlement::ItemSettlement;
use crate::payment::state::PaymentState;
use crate::random::HashMap;
use crate::store::records::settlement::{NotedBatch, SettlementItem};

/// The most captures that a payment shows.
pub(crate) const MOST_CAPTURES: usize = 100;

/// What is known of payments beside their own records.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// What is owed of them.
    pub(crate) owed: Vec<Operation>,
    /// What releases a part of their holds.
    pub(crate) releases: Vec<Operation>,
    /// Their captures, newest first.
    pub(crate) captures: Vec<(Capture, Operation)>,
    /// Where the money of these stands.
    pub(crate) settlement: HashMap<OperationId, ItemSettlement>,
    /// Those that are settled, with their batches.
    pub(crate) notes: HashMap<OperationId, (NotedBatch, SettlementItem)>,
    /// The operations of those whose host takes only one operation of some kind.
    pub(crate) operations: Vec<Operation>,
}

/// How the host of a payment takes operations of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Only one for each original.
    pub(crate) only_one: bool,
    /// Without a message.
    pub(crate) is_recorded: bool,
    /// One whose outcome is not known is reversed.
    pub(crate) is_reversed: bool,
}

/// Payments as the API shows them, with how far their reversals have come, and their captures.
pub(crate) fn payments(
    found: Vec<Payment>,
    beside: Beside,
    now: UnixMillis,
    taken: impl Fn(&Authorization, OperationKind) -> Option<Taken>,
) -> Vec<pb::Payment> {
    let Beside {
        owed,
        releases,
        captures,
        settlement,
        notes,
        operations,
    } = beside;
    let mut earlier: BTreeMap<PaymentId, Vec<Operation>> = BTreeMap::new();
    for operation in operations {
        let of_payment = earlier.entry(operation.payment_id).or_default();
        of_payment.push(operation);
    }
    let mut captures_of: BTreeMap<PaymentId, Vec<(Capture, Operation)>> = BTreeMap::new();
    for found in captures {
        let of_payment = captures_of.entry(found.0.payment_id).or_default();
        of_payment.push(found);
    }
    let shown = |found: Payment| {
        let (id, first) = (found.id, found.authorization.operation_id);
        let earlier = earlier.remove(&id).unwrap_or_default();
        let captures = captures_of.remove(&id).unwrap_or_default();
        let left = |(capture, operation): &(Capture, Operation)| {
            let is_taken = operation.state.counts() || operation.state.open() == Open::Owed;
            let left_minor = capture.amount.amount_minor() - capture.refunded_minor;
            (is_taken && left_minor > 0).then_some(left_minor)
        };
        let left: Vec<i64> = captures.iter().filter_map(left).collect();
        // What can be refunded beside it is of captures that are not shown.
        let has_several =
            left.len() > 1 || left.iter().sum::<i64>() < found.amounts.refundable_minor();
        let captures = captures.into_iter().map(|(made, operation)| {
            let taken = taken(&found.authorization, operation.kind);
            let is_reversed = taken.is_some_and(|it| it.is_reversed);
            let mut shown = capture(made, &operation, is_reversed);
            if let Some(settlement) = settlement.get(&operation.id) {
                shown.settle(settlement);
            }
            if let Some((batch, item)) = notes.get(&operation.id) {
                shown.note(note(batch, item.clone()));
            }
            shown
        });
        let captures = captures.collect();
        let mut shown = payment(found, &earlier, now, &taken);
        shown.captures = captures;
        let mut forbid = |action: pb::PaymentAction| {
            let forbidden = i32::from(action);
            shown.allowed_actions.retain(|action| *action != forbidden);
        };
        // Each is refunded by itself.
        if has_several {
            forbid(pb::PaymentAction::Reverse);
        }
        if settlement.get(&first).is_some_and(|it| it.is_closed()) {
            forbid(pb::PaymentAction::Void);
        }
        shown.release = release(releases.iter().filter(|release| release.payment_id == id));
        let reversal = owed.iter().rfind(|owed| owed.payment_id == id);
        if let (Some(pending), Some(reversal)) = (&mut shown.pending, reversal) {
            pending.reversal = Some(pending_reversal(reversal));
        }
        shown
    };
    found.into_iter().map(shown).collect()
}

/// A payment as the API shows it at `now`, as its own record knows it. `taken` says which operations its host takes;
/// `earlier` are those that it knows, where it takes one only.
pub(crate) fn payment(
    payment: Payment,
    earlier: &[Operation],
    now: UnixMillis,
    taken: impl Fn(&Authorization, OperationKind) -> Option<Taken>,
) -> pb::Payment {
    let allowed_actions = actions(&payment, earlier, now, taken);
    let (currency, amounts) = (payment.amount.currency(), payment.amounts);
    let capturable = capturable_minor(&payment, now);
    let sent = payment.authorization;
    let shown = |amount_minor| Some(money(amount_minor, currency));
    let mut shown_payment = pb::Payment {
        payment_id: payment.id.to_string(),
        merchant_reference: payment.merchant_reference,
        customer_reference: payment.customer_reference.unwrap_or_default(),
        description: payment.description.unwrap_or_default(),
        amount: shown(payment.amount.amount_minor()),
        authorized_amount: shown(amounts.confirmed_minor()),
        captured_amount: shown(amounts.captured_minor),
        pending_capture_amount: shown(amounts.captured_pending_minor),
        capturable_amount: shown(capturable),
        refunded_amount: shown(amounts.refunded_minor),
        pending_refund_amount: shown(amounts.refunded_pending_minor),
        refundable_amount: shown(amounts.refundable_minor()),
        disputed_amount: shown(amounts.disputed_minor),
        capture_mode: match sent.kind {
            OperationKind::Sale => pb::CaptureMode::Automatic,
            _ => pb::CaptureMode::Manual,
        }
        .into(),
        allowed_actions,
        authorization: Some(pb::Authorization {
            operation_id: sent.operation_id.to_string(),
            host_id: sent.host_id.to_string(),
            mti: sent.mti.to_string(),
            stan: sent.stan.to_string(),
            rrn: sent.rrn.to_string(),
            transmission_time: Some(timestamp(sent.transmitted_at)),
            terminal_id: sent.terminal_id,
            ..pb::Authorization::default()
        }),
        card: Some(card(payment.card, payment.fingerprint)),
        create_time: Some(timestamp(payment.created_at)),
        update_time: Some(timestamp(payment.updated_at)),
        version: payment.version,
        ..pb::Payment::default()
    };
    show_state(payment.state, &mut shown_payment);
    shown_payment
}

/// What can be asked for now.
fn actions(
    payment: &Payment,
    earlier: &[Operation],
    now: UnixMillis,
    taken: impl Fn(&Authorization, OperationKind) -> Option<Taken>,
) -> Vec<i32> {
    let amounts = &payment.amounts;
    let is_held = matches!(payment.state, PaymentState::Authorized { .. });
    let is_captured = matches!(
        payment.state,
        PaymentState::PartiallyCaptured { .. } | PaymentState::Captured { .. }
    );
    // Nothing is captured, and nothing on its way.
    let is_untouched =
        is_held && amounts.captured_minor == 0 && amounts.authorized_pending_minor == 0;
    let possible = [
        (
            pb::PaymentAction::Capture,
            OperationKind::Capture,
            capturable_minor(payment, now) > 0,
        ),
        (
            pb::PaymentAction::Void,
            OperationKind::Void,
            match payment.authorization.kind {
                OperationKind::Sale => is_captured && amounts.refunded_minor == 0,
                _ => is_untouched,
            },
        ),
        (
            pb::PaymentAction::Increment,
            OperationKind::Increment,
            is_held && amounts.captured_minor == 0 && capturable_minor(payment, now) > 0,
        ),
        (
            pb::PaymentAction::Refund,
            OperationKind::Refund,
            is_captured && amounts.refundable_minor() > 0,
        ),
    ];
    let is_taken = |kind| {
        let taken = taken(&payment.authorization, kind);
        taken.is_some_and(|it| !it.only_one || !is_used_up(payment, earlier, kind))
    };
    let capturable = capturable_minor(payment, now);
    let release = taken(&payment.authorization, OperationKind::Release);
    let releases = is_taken(OperationKind::Release)
        && !(payment.is_incremented() && release.is_some_and(|it| it.is_recorded))
        && amounts.authorized_pending_minor == 0;
    let reverses = match is_captured {
        false => is_untouched && is_taken(OperationKind::Void),
        true => {
            let refundable = amounts.refundable_minor();
            amounts.captured_pending_minor == 0
                && capturable + refundable > 0
                && (refundable == 0 || is_taken(OperationKind::Refund))
                && (capturable == 0 || releases)
        }
    };
    possible
        .into_iter()
        .filter(|(_, kind, possible)| *possible && is_taken(*kind))
        .map(|(action, ..)| action.into())
        .chain(reverses.then_some(pb::PaymentAction::Reverse.into()))
        .collect()
}

/// Whether the host would take another operation of this kind for a repeat of an earlier one, whatever it completes.
fn is_used_up(payment: &Payment, earlier: &[Operation], kind: OperationKind) -> bool {
    let original = numbers_of_authorization(payment);
    if kind != OperationKind::Refund {
        return is_repeat(earlier, kind, original);
    }
    let captures = [OperationKind::Capture, OperationKind::Sale];
    earlier
        .iter()
        .filter(|earlier| captures.contains(&earlier.kind) && earlier.state.counts())
        .all(|capture| is_repeat(earlier, kind, numbers_of(capture, payment)))
}

/// What can still be captured, in minor units: nothing where the state allows no capture, or the hold has ended.
fn capturable_minor(payment: &Payment, now: UnixMillis) -> i64 {
    match payment.state.hold_ends_at() {
        Some(ends_at) if ends_at > now => payment.amounts.capturable_minor(),
        _ => 0,
    }
}

/// Each state, and what is known in it.
fn show_state(state: PaymentState, shown: &mut pb::Payment) {
    use PaymentState as S;
    use pb::PaymentState as P;
    let shown_state = match state {
        S::Created => P::Created,
        S::RequiresAction { .. } => P::RequiresAction,
        S::Authorizing { pending: reason } => {
            shown.pending = Some(pending(reason, Some(pb::PendingReversalState::Owed)));
            P::Authorizing
        }
        S::Authorized {
            approval,
            expires_at,
        } => {
            show_approval(approval, Some(expires_at), shown);
            P::Authorized
        }
        S::Declined { decline: why } => {
            if let Some(authorization) = &mut shown.authorization {
                authorization.response_code = why.response_code.to_string();
            }
            shown.decline = Some(decline(why));
            P::Declined
        }
        S::Failed { reason } => {
            shown.failure = Some(failure(reason));
            P::Failed
        }
        S::PartiallyCaptured {
            approval,
            expires_at,
        } => {
            show_approval(approval, Some(expires_at), shown);
            P::PartiallyCaptured
        }
        S::Captured { approval, .. } => {
            show_approval(approval, None, shown);
            P::Captured
        }
        S::Voiding {
            approval,
            expires_at,
        } => {
            show_approval(approval, expires_at, shown);
            P::Voiding
        }
        S::Voided => P::Voided,
        S::Expired => P::Expired,
        S::Reversing { pending: reason } => {
            let sending = pb::PendingReversalState::Sending;
            shown.pending = Some(pending(Some(reason), Some(sending)));
            P::Reversing
        }
        S::Reversed => P::Reversed,
    };
    shown.state = shown_state.into();
}

fn show_approval(approval: Approval, expires_at: Option<UnixMillis>, shown: &mut pb::Payment) {
    if let Some(authorization) = &mut shown.authorization {
        authorization.approval_code = approval.approval_code;
        authorization.response_code = approval.response_code.to_string();
        authorization.partial = approval.partial_minor.is_some();
        authorization.expire_time = expires_at.map(timestamp);
    }
}

fn card(card: CardSummary, fingerprint: Option<String>) -> pb::Card {
    let brand = match card.brand {
        CardBrand::Visa => pb::CardBrand::Visa,
        CardBrand::Mastercard => pb::CardBrand::Mastercard,
        CardBrand::AmericanExpress => pb::CardBrand::AmericanExpress,
        CardBrand::Discover => pb::CardBrand::Discover,
        CardBrand::Jcb => pb::CardBrand::Jcb,
        CardBrand::DinersClub => pb::CardBrand::DinersClub,
        CardBrand::UnionPay => pb::CardBrand::UnionPay,
        CardBrand::Other => pb::CardBrand::Other,
    };
    pb::Card {
        brand: brand.into(),
        bin: card.bin,
        last4: card.last_four,
        fingerprint: fingerprint.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
