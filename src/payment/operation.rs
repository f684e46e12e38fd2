//! The states of one exchange with a host, and the one function that moves between them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::decline::{Approval, Decline, FailureReason, ResponseCode, UnknownReason};

/// How an operation whose outcome was not known came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolvedBy {
    /// By a response that came late.
    LateResponse,
    /// By an operator, who found out at the bank.
    Operator,
    /// By the bank's report, which has it as booked.
    Report,
}

/// Why a message that is repeated until the host acknowledges it is not sent any more, until an operator looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuspendReason {
    /// The message needs the card, and none is kept.
    NoCard,
    /// The message can't be built.
    NotBuildable,
    /// The host refused it.
    Refused,
    /// The host did not acknowledge as many messages as its profile allows.
    AttemptsUsedUp,
    /// The host approved the original, and says that it does not know it.
    Contradicted,
    /// The host's answer is over another amount than the message.
    AmountDiffers,
    /// The host's answer leaves in doubt whether it did what the message says.
    InDoubt,
}

impl fmt::Display for SuspendReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCard => "no card is kept",
            Self::NotBuildable => "the message can't be built",
            Self::Refused => "the host refused it",
            Self::AttemptsUsedUp => "the host did not acknowledge it",
            Self::Contradicted => {
                "the host approved the original, and says that it does not know it"
            }
            Self::AmountDiffers => "the host's answer is over another amount",
            Self::InDoubt => "the host's answer leaves in doubt what it did",
        })
    }
}

/// What a host said of a message that is repeated until the host acknowledges it. The response code alone does not
/// tell: each host has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acknowledged {
    /// It has done what the message says.
    Done,
    /// It has taken the message, now or before. Whether it did what the message says, it did not say.
    Taken,
    /// It does not know the original, so there was nothing to do.
    OriginalUnknown,
}

/// Who has to look at an operation that has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// Nobody: it has ended.
    No,
    /// Recovery, once nobody waits for the answer.
    Request,
    /// The sender of what is owed, or an operator.
    Owed,
}

/// Where one exchange with a host stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OperationState {
    /// The intent is recorded; a byte may reach the host from now on.
    Created,
    /// A message that is repeated until the host acknowledges it, and was not sent yet.
    Queued,
    /// It counts, and no message of it is sent: it travels in a file, or the host knows by itself.
    Recorded,
    /// The message was written to a socket, or is about to be.
    Sent,
    /// The host approved, or acknowledged.
    Approved {
        /// What it answered.
        approval: Approval,
        /// What it said of a message that is repeated until acknowledged; none of a request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        acknowledged: Option<Acknowledged>,
    },
    /// The host declined, or payswitch itself did, and sent nothing.
    Declined {
        /// What was answered.
        decline: Decline,
    },
    /// The host never processed it: certainly not sent.
    Rejected {
        /// Why.
        reason: FailureReason,
    },
    /// It may have been processed.
    Unknown {
        /// Why that isn't known.
        reason: UnknownReason,
    },
    /// A message that is not repeated any more, although the host did not acknowledge it.
    Suspended {
        /// Why.
        reason: SuspendReason,
        /// DE 39, where the host refused it.
        response_code: Option<ResponseCode>,
    },
    /// A queued message that is not owed any more. It was never sent.
    Cancelled,
    /// The host confirmed the reversal.
    Reversed,
    /// The outcome became known after all, without a reversal.
    Resolved {
        /// How.
        by: ResolvedBy,
        /// DE 39 of what became known, where a response said it.
        response_code: Option<ResponseCode>,
        /// Whether the host has done it, whatever its code for that is.
        #[serde(default)]
        took_effect: bool,
        /// Where the bank said late that it had declined: its reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decline: Option<Decline>,
    },
}

/// What can happen to an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationEvent {
    /// The message was written to a socket, or is about to be.
    Sent,
    /// The host approved in time.
    Approved(Approval),
    /// The host acknowledged a message that is repeated until it does.
    Acknowledged(Approval, Acknowledged),
    /// The host declined in time.
    Declined(Decline),
    /// Certainly no byte was sent.
    NotSent(FailureReason),
    /// No answer, or none that was understood.
    OutcomeUnknown(UnknownReason),
    /// The message is not repeated any more.
    Suspended {
        /// Why.
        reason: SuspendReason,
        /// DE 39, where the host refused it.
        response_code: Option<ResponseCode>,
    },
    /// A suspended message is sent again.
    Retried,
    /// A queued message is not owed any more.
    Cancelled,
    /// The host confirmed the reversal.
    ReversalConfirmed,
    /// The outcome became known after all.
    Resolved {
        /// How.
        by: ResolvedBy,
        /// DE 39 of what became known, where a response said it.
        response_code: Option<ResponseCode>,
        /// Whether the host has done it.
        took_effect: bool,
        /// The bank's reason, where it said late that it had declined.
        decline: Option<Decline>,
    },
}

/// An event that has no place in a state. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an operation in state {state} can't take the event {event}")]
pub struct IllegalTransition {
    /// The state's name.
    pub state: &'static str,
    /// The event's name.
    pub event: &'static str,
}

impl OperationState {
    /// What the host approved it with.
    #[must_use]
    pub const fn approval(&self) -> Option<&Approval> {
        match self {
            Self::Approved { approval, .. } => Some(approval),
            _ => None,
        }
    }

    /// The name that the store uses.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Sent => "SENT",
            Self::Approved { .. } => "APPROVED",
            Self::Declined { .. } => "DECLINED",
            Self::Rejected { .. } => "REJECTED",
            Self::Unknown { .. } => "UNKNOWN",
            Self::Queued => "QUEUED",
            Self::Recorded => "RECORDED",
            Self::Suspended { .. } => "SUSPENDED",
            Self::Cancelled => "CANCELLED",
            Self::Reversed => "REVERSED",
            Self::Resolved { .. } => "RESOLVED",
        }
    }
}

impl OperationState {
    /// Who has to look at it. A request is never recorded as sent: its end follows in the same change.
    #[must_use]
    pub fn open(&self) -> Open {
        match self {
            Self::Created => Open::Request,
            Self::Queued | Self::Sent | Self::Suspended { .. } => Open::Owed,
            _ => Open::No,
        }
    }

    /// Whether its host has done it, as far as it is known.
    #[must_use]
    pub fn counts(&self) -> bool {
        matches!(
            self,
            Self::Approved { .. }
                | Self::Recorded
                | Self::Resolved {
                    took_effect: true,
                    ..
                }
        )
    }

    /// Whether somebody waits for the answer, so that recovery has to look at it once nobody does.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open() == Open::Request
    }
}

impl OperationEvent {
    /// A name for errors and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sent => "Sent",
            Self::Approved(_) => "Approved",
            Self::Acknowledged(..) => "Acknowledged",
            Self::Declined(_) => "Declined",
            Self::NotSent(_) => "NotSent",
            Self::OutcomeUnknown(_) => "OutcomeUnknown",
            Self::Suspended { .. } => "Suspended",
            Self::Retried => "Retried",
            Self::Cancelled => "Cancelled",
            Self::ReversalConfirmed => "ReversalConfirmed",
            Self::Resolved { .. } => "Resolved",
        }
    }
}

/// The state after `event`.
///
/// A queued message is cancelled only before it is sent. A suspended one may still be acknowledged late, and so may one
/// that an operator has sent again.
///
/// # Errors
/// When the event has no place in the state; the caller saves nothing then.
pub fn apply(
    state: &OperationState,
    event: OperationEvent,
) -> Result<OperationState, IllegalTransition> {
    use OperationEvent as E;
    use OperationState as S;
    let next = match (state, event) {
        (S::Created, E::Sent) => S::Sent,
        // "Not sent" is claimed only from CREATED: once SENT is recorded a byte did leave.
        (S::Created, E::NotSent(reason)) => S::Rejected { reason },
        (S::Created | S::Sent, E::OutcomeUnknown(reason)) => S::Unknown { reason },
        (S::Sent, E::Approved(approval)) => S::Approved {
            approval,
            acknowledged: None,
        },
        (S::Queued | S::Sent | S::Suspended { .. }, E::Acknowledged(approval, acknowledged)) => {
            S::Approved {
                approval,
                acknowledged: Some(acknowledged),
            }
        }
        (S::Queued | S::Sent, E::Declined(decline)) => S::Declined { decline },
        (
            S::Unknown { .. } | S::Queued | S::Sent | S::Suspended { .. },
            E::Resolved {
                by,
                response_code,
                took_effect,
                decline,
            },
        ) => S::Resolved {
            by,
            response_code,
            took_effect,
            decline,
        },
        (S::Unknown { .. }, E::ReversalConfirmed) => S::Reversed,
        (S::Queued | S::Sent, E::Sent) => S::Sent,
        (
            S::Queued | S::Sent,
            E::Suspended {
                reason,
                response_code,
            },
        ) => S::Suspended {
            reason,
            response_code,
        },
        (S::Suspended { .. }, E::Retried) => S::Queued,
        (S::Queued, E::Cancelled) => S::Cancelled,
        (state, event) => {
            return Err(IllegalTransition {
                state: state.name(),
                event: event.name(),
            });
        }
    };
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::super::decline::{DeclineAdvice, DeclineReason};
    use super::super::samples::approval;
    use super::*;

    fn decline() -> Decline {
        Decline {
            reason: DeclineReason::DoNotHonour,
            response_code: "05".parse().unwrap(),
            advice: DeclineAdvice::UseAnotherCard,
        }
    }

    /// One column an event, in the order of `events`.
    #[test]
    fn every_state_meets_every_event() {
        use OperationState as S;
        let reason = UnknownReason::NoAnswerInTime;
        let refused = (SuspendReason::Refused, "30".parse().ok());
        let approved = S::Approved {
            approval: approval(),
            acknowledged: None,
        };
        let rejected = S::Rejected {
            reason: FailureReason::HostBusy,
        };
        let suspended = S::Suspended {
            reason: refused.0,
            response_code: refused.1,
        };
        let resolved = S::Resolved {
            by: ResolvedBy::LateResponse,
            response_code: Some(ResponseCode::APPROVED),
            took_effect: true,
            decline: None,
        };
        // Sent Approved Acknowledged Declined NotSent Unknown Suspended Retried Cancelled RevConfirmed Resolved
        let table = [
            (S::Created, "SENT . . . REJECTED UNKNOWN . . . . ."),
            (
                S::Queued,
                "SENT . APPROVED DECLINED . . SUSPENDED . CANCELLED . RESOLVED",
            ),
            (
                S::Sent,
                "SENT APPROVED APPROVED DECLINED . UNKNOWN SUSPENDED . . . RESOLVED",
            ),
            (S::Recorded, ". . . . . . . . . . ."),
            (approved, ". . . . . . . . . . ."),
            (S::Declined { decline: decline() }, ". . . . . . . . . . ."),
            (rejected, ". . . . . . . . . . ."),
            (S::Unknown { reason }, ". . . . . . . . . REVERSED RESOLVED"),
            (suspended, ". . APPROVED . . . . QUEUED . . RESOLVED"),
            (S::Cancelled, ". . . . . . . . . . ."),
            (S::Reversed, ". . . . . . . . . . ."),
            (resolved, ". . . . . . . . . . ."),
        ];
        for (state, row) in table {
            let events = [
                OperationEvent::Sent,
                OperationEvent::Approved(approval()),
                OperationEvent::Acknowledged(approval(), Acknowledged::Taken),
                OperationEvent::Declined(decline()),
                OperationEvent::NotSent(FailureReason::HostBusy),
                OperationEvent::OutcomeUnknown(reason),
                OperationEvent::Suspended {
                    reason: refused.0,
                    response_code: refused.1,
                },
                OperationEvent::Retried,
                OperationEvent::Cancelled,
                OperationEvent::ReversalConfirmed,
                OperationEvent::Resolved {
                    by: ResolvedBy::LateResponse,
                    response_code: Some(ResponseCode::APPROVED),
                    took_effect: true,
                    decline: None,
                },
            ];
            let expected: Vec<&str> = row.split(' ').collect();
            assert_eq!(expected.len(), events.len());
            for (event, expected) in events.into_iter().zip(expected) {
                let name = event.name();
                let got = apply(&state, event);
                let shown = got.as_ref().map_or(".", |next| next.name());
                assert_eq!(shown, expected, "{} x {name}", state.name());
            }
        }
    }

    #[test]
    fn a_state_reads_back_from_json_under_its_own_name() {
        let state = OperationState::Suspended {
            reason: SuspendReason::NoCard,
            response_code: None,
        };
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(
            json,
            r#"{"state":"SUSPENDED","reason":"no_card","response_code":null}"#
        );
        assert_eq!(
            serde_json::from_str::<OperationState>(&json).unwrap(),
            state
        );
    }
}
