//! What becomes of an entry, its original and their payment by what was found out at the bank.

use crate::payment::adjustment::{with_effect, without_effect};
use crate::payment::amounts::Amounts;
use crate::payment::decline::Approval;
use crate::payment::event::PaymentEvent;
use crate::payment::operation::{OperationEvent, OperationState, ResolvedBy};
use crate::payment::operation_kind::OperationKind;
use crate::payment::planted::{Mistake, planted};
use crate::payment::record::Operation;
use crate::payment::state::PaymentState;
use crate::store::reads::owed::OwedEntry;
use crate::store::records::callers::AuditRecord;

use super::owed_step::Beside;

/// What an operator found out at the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwedResolution {
    /// The bank has undone the original: the payment is reversed. Of what a merchant asked for (a capture): it has no
    /// effect.
    Undone,
    /// The original stands: the payment is authorized. Of what a merchant asked for: the bank has done it.
    Stands,
    /// The bank has never seen the original: nothing is held, and the payment is reversed. Of what a merchant asked
    /// for: it has no effect.
    NeverHappened,
}

/// What an operator makes of an operation.
pub(crate) fn by_operator(took_effect: bool) -> OperationEvent {
    OperationEvent::Resolved {
        by: ResolvedBy::Operator,
        response_code: None,
        took_effect,
        decline: None,
    }
}

/// The same end where a report says it, and not an operator.
pub(super) fn as_reported(
    event: OperationEvent,
    beside: Beside,
    act: AuditRecord,
) -> (OperationEvent, Beside) {
    let reported = |event| match event {
        OperationEvent::Resolved {
            by: ResolvedBy::Operator,
            response_code,
            took_effect,
            decline,
        } => OperationEvent::Resolved {
            by: ResolvedBy::Report,
            response_code,
            took_effect,
            decline,
        },
        event => event,
    };
    let beside = Beside {
        original: beside.original.map(reported),
        act: Some(act),
        ..beside
    };
    (reported(event), beside)
}

/// What becomes of the payment of what a merchant asked for, where an operator says whether the bank has done it.
pub(crate) fn effect_of_asked_for(
    operation: &Operation,
    stands: bool,
) -> Option<(PaymentEvent, Amounts)> {
    match (stands, &operation.state) {
        (false, _) => without_effect(operation),
        (true, OperationState::Unknown { .. }) => with_effect(operation),
        // It counts since it was recorded, but for a void and a release.
        (true, _) => with_effect(operation)
            .filter(|_| matches!(operation.kind, OperationKind::Void | OperationKind::Release)),
    }
}

/// What becomes of an authorization or a sale whose reversal an operator ends, and of its payment. `approval` is that
/// of one that stands.
pub(crate) fn of_authorization(
    entry: &OwedEntry,
    resolution: OwedResolution,
    approval: Option<Approval>,
    hold_days: u16,
) -> Beside {
    let original = match resolution {
        OwedResolution::Undone => OperationEvent::ReversalConfirmed,
        OwedResolution::Stands => by_operator(true),
        OwedResolution::NeverHappened => by_operator(false),
    };
    let payment = match approval {
        Some(approval) if entry.original.kind == OperationKind::Sale => {
            PaymentEvent::Sold(approval)
        }
        Some(approval) => PaymentEvent::FoundToStand {
            approval,
            expires_at: entry.original.created_at.plus_days(hold_days),
        },
        None => PaymentEvent::ReversalConfirmed,
    };
    let is_open = matches!(entry.original.state, OperationState::Unknown { .. });
    Beside {
        original: Some(original).filter(|_| is_open),
        payment: if entry.payment.state.owes() {
            Some(payment)
        } else {
            // It stays reversed, and its card is needed no more.
            let is_reversed = entry.payment.state == PaymentState::Reversed;
            is_reversed.then_some(PaymentEvent::ReversalConfirmed)
        },
        change: match resolution {
            OwedResolution::Stands
                if entry.payment.state.owes() && !planted(Mistake::OperatorForgetsAmount) =>
            {
                Amounts {
                    authorized_minor: entry.original.amount.amount_minor(),
                    captured_minor: match entry.original.kind {
                        OperationKind::Sale => entry.original.amount.amount_minor(),
                        _ => 0,
                    },
                    ..Amounts::ZERO
                }
            }
            _ => Amounts::ZERO,
        },
        ..Beside::default()
    }
}

/// What becomes of a later operation (a capture) whose reversal an operator ends, and of its payment.
pub(crate) fn of_later_operation(original: &Operation, resolution: OwedResolution) -> Beside {
    if !matches!(original.state, OperationState::Unknown { .. }) {
        return Beside::default();
    }
    let stands = resolution == OwedResolution::Stands;
    let effect = if stands {
        with_effect(original)
    } else {
        without_effect(original)
    };
    let (payment, change) = effect.unzip();
    let original = match resolution {
        OwedResolution::Undone => OperationEvent::ReversalConfirmed,
        OwedResolution::Stands | OwedResolution::NeverHappened => by_operator(stands),
    };
    Beside {
        original: Some(original),
        payment,
        change: change.unwrap_or_default(),
        ..Beside::default()
    }
}
