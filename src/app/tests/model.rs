//! The model: what a payment must be, by what its operations heard of its bank. It knows no flow, and no order in which
//! things happened.

use std::collections::BTreeMap;
use std::fmt;

use super::banks::Answer;
use crate::operations::resolution::OwedResolution;
use crate::payment::amounts::Amounts;
use crate::payment::ids::OperationId;
use crate::payment::operation::{OperationState, ResolvedBy};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::Operation;

/// What came to an operation from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Answer(Answer),
    /// After nobody waited for it any more.
    Late(Answer),
    Operator(OwedResolution),
    /// An operator has sent it again.
    Retried,
}

/// Whether an operation's amount counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Counts,
    Pending,
    Gone,
}

/// All operations of a payment, and what each has heard.
pub(super) struct Model<'a> {
    pub(super) operations: Vec<&'a Operation>,
    pub(super) heard: BTreeMap<OperationId, Vec<Heard>>,
    /// Whether the hold has ended by itself.
    pub(super) has_expired: bool,
}

/// An operation on each line: where it stands, and what it has heard.
impl fmt::Display for Model<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}: {:?}", self.state(), self.amounts())?;
        for it in &self.operations {
            let (kind, minor) = (it.kind.name(), it.amount.amount_minor());
            let heard = self.heard.get(&it.id);
            writeln!(f, "{} {kind} {minor} {:?} {heard:?}", it.id, it.state)?;
        }
        Ok(())
    }
}

pub(super) fn standing(operation: &Operation) -> Standing {
    use OperationState as S;
    match &operation.state {
        S::Approved { .. } | S::Recorded => Standing::Counts,
        S::Resolved { took_effect, .. } if *took_effect => Standing::Counts,
        S::Created | S::Unknown { .. } => Standing::Pending,
        // A void is not done before its bank says so; any other message that is repeated counts at once.
        S::Queued | S::Sent | S::Suspended { .. } => match operation.kind {
            OperationKind::Void => Standing::Pending,
            _ => Standing::Counts,
        },
        _ => Standing::Gone,
    }
}

impl Model<'_> {
    pub(super) fn amounts(&self) -> Amounts {
        let mut amounts = Amounts::ZERO;
        for operation in &self.operations {
            let minor = operation.approved_amount().amount_minor();
            // No capture takes it again, whatever its bank says.
            if operation.kind == OperationKind::Release {
                amounts.released_minor += minor;
                continue;
            }
            let (all, pending) = match standing(operation) {
                Standing::Gone => continue,
                Standing::Counts => (minor, 0),
                Standing::Pending => (minor, minor),
            };
            match operation.kind {
                OperationKind::Authorization => amounts.authorized_minor += all - pending,
                OperationKind::Increment => {
                    amounts.authorized_minor += all;
                    amounts.authorized_pending_minor += pending;
                }
                OperationKind::Sale => {
                    amounts.authorized_minor += all - pending;
                    amounts.captured_minor += all - pending;
                }
                OperationKind::Capture => {
                    amounts.captured_minor += all;
                    amounts.captured_pending_minor += pending;
                    // With its approval it is a release of its own.
                    if pending > 0 {
                        amounts.released_minor += operation.releases_minor;
                    }
                }
                // Of a sale; a hold has nothing captured.
                OperationKind::Void if operation.subject_id.is_some() => {
                    amounts.captured_minor -= all - pending;
                }
                OperationKind::Refund => {
                    amounts.refunded_minor += all;
                    amounts.refunded_pending_minor += pending;
                }
                _ => {}
            }
        }
        amounts
    }

    pub(super) fn state(&self) -> &'static str {
        use OperationState as S;
        let first = self.operations.iter().find(|it| it.original_id.is_none());
        let first = first.unwrap();
        let of_kind = |kind| self.operations.iter().filter(move |it| it.kind == kind);
        match (standing(first), &first.state) {
            (Standing::Gone, S::Declined { .. }) => return "DECLINED",
            (Standing::Gone, S::Rejected { .. }) => return "FAILED",
            (Standing::Gone, S::Resolved { by, .. }) if *by == ResolvedBy::LateResponse => {
                return "DECLINED";
            }
            (Standing::Gone, _) => return "REVERSED",
            (Standing::Pending, _) => {
                let was_sent = of_kind(OperationKind::Reversal).any(|it| it.version > 1);
                return if was_sent { "REVERSING" } else { "AUTHORIZING" };
            }
            (Standing::Counts, _) => {}
        }
        let amounts = self.amounts();
        let captured = amounts.captured_minor - amounts.captured_pending_minor;
        let voided = |wanted| of_kind(OperationKind::Void).any(|it| standing(it) == wanted);
        match captured {
            _ if voided(Standing::Counts) => "VOIDED",
            _ if voided(Standing::Pending) => "VOIDING",
            0 if self.has_expired => "EXPIRED",
            0 => "AUTHORIZED",
            _ if self.has_expired
                || captured + amounts.released_minor == amounts.authorized_minor =>
            {
                "CAPTURED"
            }
            _ => "PARTIALLY_CAPTURED",
        }
    }

    /// Whether an operation is in its state because of what it, or the reversal of it, has heard.
    pub(super) fn explains(&self, operation: &Operation) -> bool {
        use Answer as A;
        use OperationState as S;
        let heard = |id| self.heard.get(&id).into_iter().flatten().copied();
        let own = || heard(operation.id);
        let about = self.operations.iter();
        let about = about.filter(|it| it.original_id == Some(operation.id));
        let mut reversals = about.filter(|it| it.kind == OperationKind::Reversal);
        let answered =
            |all: &[A]| own().any(|it| matches!(it, Heard::Answer(got) if all.contains(&got)));
        // The answer to a message that is repeated counts whenever it comes.
        let has = |all: &[A]| {
            answered(all) || own().any(|it| matches!(it, Heard::Late(got) if all.contains(&got)))
        };
        let late = |all: &[A]| own().any(|it| matches!(it, Heard::Late(got) if all.contains(&got)));
        // Of an answer and something else at the same moment one may be lost: the message is sent again.
        let may_be_lost = own().any(|it| !matches!(it, Heard::Answer(_)));
        let refuses = [A::Declined, A::FormatError];
        match &operation.state {
            S::Created => false,
            S::Recorded => own().next().is_none(),
            S::Queued | S::Sent => {
                may_be_lost || !answered(&[A::Approved, A::Taken, A::Declined, A::FormatError])
            }
            S::Suspended { .. } => {
                may_be_lost
                    || !answered(&[A::Approved, A::Taken])
                        && answered(&[A::Declined, A::FormatError, A::OriginalUnknown])
            }
            S::Approved { .. } => has(&[A::Approved, A::Partly, A::Taken, A::OriginalUnknown]),
            S::Declined { .. } => has(&[A::Declined, A::FormatError, A::OriginalUnknown]),
            S::Rejected { .. } => answered(&[A::NotSent]),
            S::Unknown { .. } => {
                !answered(&[A::Approved, A::Partly, A::Declined, A::FormatError])
                    && (reversals.next().is_some() || !late(&[A::Approved]) && !late(&refuses))
            }
            S::Cancelled => own().next().is_none(),
            S::Reversed => reversals.any(|it| match it.state {
                S::Approved { .. } => true,
                S::Resolved { .. } => {
                    heard(it.id).any(|it| it == Heard::Operator(OwedResolution::Undone))
                }
                _ => false,
            }),
            S::Resolved {
                by: ResolvedBy::LateResponse,
                took_effect,
                ..
            } => late(if *took_effect {
                &[A::Approved]
            } else {
                &refuses
            }),
            S::Resolved {
                by: ResolvedBy::Operator | ResolvedBy::Report,
                ..
            } => {
                let said = |id| heard(id).any(|it| matches!(it, Heard::Operator(_)));
                said(operation.id) || reversals.any(|it| said(it.id))
            }
        }
    }
}
