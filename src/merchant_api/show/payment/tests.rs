use super::*;
use crate::merchant_api::testing;
use crate::payment::amounts::Amounts;
use crate::payment::decline::{
    Decline, DeclineAdvice, DeclineReason, FailureReason, UnknownReason,
};
use crate::payment::operation::OperationState;
use crate::payment::samples::{self, approval};

const NOW: UnixMillis = UnixMillis::new(1_763_757_100_000);

const OFTEN: Taken = Taken {
    only_one: false,
    is_recorded: false,
    is_reversed: true,
};

fn why() -> Decline {
    Decline {
        reason: DeclineReason::InsufficientFunds,
        response_code: "51".parse().unwrap(),
        advice: DeclineAdvice::RetryLater,
    }
}

#[test]
fn a_payment_is_shown_whole() {
    let shown = payment(testing::payment(PaymentState::Created), &[], NOW, |_, _| {
        Some(OFTEN)
    });
    let money = |amount_minor| {
        Some(pb::Money {
            amount_minor,
            currency: "KWD".into(),
        })
    };
    assert!(shown.payment_id.starts_with("pay_"));
    assert_eq!(shown.merchant_reference, "order-1042");
    assert_eq!(shown.customer_reference, "");
    assert_eq!(shown.description, "Two tickets");
    assert_eq!(
        (shown.version, shown.capture_mode()),
        (3, pb::CaptureMode::Manual)
    );
    assert_eq!(shown.allowed_actions, Vec::<i32>::new());
    assert_eq!(
        [
            shown.amount,
            shown.authorized_amount,
            shown.captured_amount,
            shown.pending_capture_amount,
            shown.capturable_amount,
            shown.refunded_amount,
            shown.pending_refund_amount,
            shown.refundable_amount,
            shown.disputed_amount,
        ],
        [1250, 1250, 250, 0, 0, 50, 0, 195, 5].map(money)
    );
    let card = shown.card.unwrap();
    assert_eq!(card.brand(), pb::CardBrand::Visa);
    assert_eq!((&*card.bin, &*card.last4), ("424242", "4242"));
    let sent = shown.authorization.unwrap();
    assert_eq!(
        [
            &*sent.host_id,
            &*sent.mti,
            &*sent.stan,
            &*sent.rrn,
            &*sent.terminal_id
        ],
        ["acquirer", "0100", "000042", "532500000041", "WEB00001"]
    );
    // It is routed, and nothing is known of an answer.
    assert_eq!((&*sent.response_code, sent.expire_time), ("", None));
    let create_time = shown.create_time.unwrap();
    assert_eq!(
        (create_time.seconds, create_time.nanos),
        (1_763_757_000, 123_000_000)
    );
    assert_eq!(shown.update_time.unwrap().seconds, 1_763_757_001);
}

/// Each state by its own name, with exactly what is known in it.
#[test]
fn every_state_shows_what_is_known_in_it() {
    use PaymentState as S;
    let expires_at = UnixMillis::new(1_764_000_000_000);
    let unknown = |reason| S::Authorizing {
        pending: Some(reason),
    };
    let table = [
        (S::Created, "-"),
        (S::RequiresAction { expires_at }, "-"),
        (S::Authorizing { pending: None }, "pending IN_PROGRESS"),
        (
            unknown(UnknownReason::NoAnswerInTime),
            "pending NO_ANSWER_IN_TIME, reversal owed",
        ),
        (
            unknown(UnknownReason::ConnectionLost),
            "pending CONNECTION_LOST, reversal owed",
        ),
        (
            unknown(UnknownReason::AnswerNotUnderstood),
            "pending ANSWER_NOT_UNDERSTOOD, reversal owed",
        ),
        (
            unknown(UnknownReason::GatewayStopped),
            "pending GATEWAY_STOPPED, reversal owed",
        ),
        (
            S::Authorized {
                approval: approval(),
                expires_at,
            },
            "capturable 1000; CAPTURE; approval A1B2C3 00 until 1764000000",
        ),
        (
            S::Declined { decline: why() },
            "decline INSUFFICIENT_FUNDS 51 ISSUER RETRY_LATER",
        ),
        (
            S::Failed {
                reason: FailureReason::HostBusy,
            },
            "failure HOST_BUSY",
        ),
        (
            S::PartiallyCaptured {
                approval: approval(),
                expires_at,
            },
            "capturable 1000; CAPTURE; approval A1B2C3 00 until 1764000000",
        ),
        (
            S::Captured {
                approval: approval(),
                expires_at: Some(expires_at),
            },
            "approval A1B2C3 00",
        ),
        (
            S::Voiding {
                approval: approval(),
                expires_at: Some(expires_at),
            },
            "approval A1B2C3 00 until 1764000000",
        ),
        (S::Voided, "-"),
        (S::Expired, "-"),
        (
            S::Reversing {
                pending: UnknownReason::ConnectionLost,
            },
            "pending CONNECTION_LOST, reversal owed",
        ),
        (S::Reversed, "-"),
    ];
    for (state, expected) in table {
        let name = format!("PAYMENT_STATE_{}", state.name());
        let taken = |_: &_, kind| (kind == OperationKind::Capture).then_some(OFTEN);
        let shown = payment(testing::payment(state), &[], NOW, taken);
        assert_eq!(shown.state().as_str_name(), name);
        assert_eq!(known(&shown), expected, "{name}");
    }
}

/// Nothing that would be refused: after the hold's end, and where the host would take it for a repeat.
#[test]
fn what_would_be_refused_is_not_offered() {
    use OperationKind as K;
    let (expires_at, approval) = (NOW.plus_ms(1), approval());
    let held = PaymentState::Authorized {
        approval: approval.clone(),
        expires_at,
    };
    let captured = PaymentState::PartiallyCaptured {
        approval: approval.clone(),
        expires_at,
    };
    let once = Taken {
        only_one: true,
        ..OFTEN
    };
    let declined = OperationState::Declined { decline: why() };
    let approved = OperationState::Approved {
        approval,
        acknowledged: None,
    };
    let unsent = OperationState::Rejected {
        reason: FailureReason::HostBusy,
    };
    // The payment, the kinds and states of its operations, when it is shown, and what is offered.
    let (refund, capture) = ((K::Refund, &approved), (K::Capture, &approved));
    for (state, earlier, at, expected) in [
        (&held, vec![], NOW, "CAPTURE VOID REVERSE"),
        (&held, vec![], expires_at, "VOID REVERSE"),
        (
            &held,
            vec![(K::Capture, &unsent)],
            NOW,
            "CAPTURE VOID REVERSE",
        ),
        (&held, vec![(K::Capture, &declined)], NOW, "VOID REVERSE"),
        (&held, vec![(K::Void, &declined)], NOW, "CAPTURE"),
        (&captured, vec![capture], NOW, "REFUND REVERSE"),
        (&captured, vec![capture, refund], NOW, ""),
    ] {
        let mut found = testing::payment(state.clone());
        if *state == held {
            found.amounts.captured_minor = 0;
            found.amounts.refunded_minor = 0;
        }
        let (stan, rrn) = (found.authorization.stan, found.authorization.rrn);
        let operation = |(kind, state): (K, &OperationState)| Operation {
            kind,
            state: state.clone(),
            stan,
            rrn,
            ..samples::operation()
        };
        let earlier: Vec<Operation> = earlier.into_iter().map(operation).collect();
        let taken = |_: &_, kind| (kind != K::Increment).then_some(once);
        let shown = payment(found, &earlier, at, taken);
        let actions = shown.allowed_actions();
        let actions: Vec<_> = actions
            .map(|action| action.as_str_name().replace("PAYMENT_ACTION_", ""))
            .collect();
        assert_eq!(actions.join(" "), expected, "{earlier:?}");
    }
}

/// By what is left of the captures that are shown, of 240 that can be refunded; and whether an increment is on its way.
#[test]
fn a_payment_is_reversed_where_at_most_one_capture_is_refunded_and_nothing_is_on_its_way() {
    let state = |is_captured| {
        let expires_at = NOW.plus_ms(1);
        match is_captured {
            true => PaymentState::PartiallyCaptured {
                approval: approval(),
                expires_at,
            },
            false => PaymentState::Authorized {
                approval: approval(),
                expires_at,
            },
        }
    };
    for (lefts, pending_minor, is_offered) in [
        (&[][..], 0, true),
        (&[], 5, false),
        (&[250][..], 0, true),
        (&[250], 5, false),
        (&[250, 0], 0, true),
        (&[200, 50], 0, false),
        // More than are shown.
        (&[200], 0, false),
    ] {
        let mut found = testing::payment(state(!lefts.is_empty()));
        found.amounts = Amounts {
            authorized_minor: 1250 + pending_minor,
            authorized_pending_minor: pending_minor,
            captured_minor: if lefts.is_empty() { 0 } else { 250 },
            ..Amounts::ZERO
        };
        let capture = |left: &i64| {
            let operation = Operation {
                kind: OperationKind::Capture,
                payment_id: found.id,
                state: OperationState::Recorded,
                ..samples::operation()
            };
            let mut capture = samples::capture_of(&operation);
            capture.refunded_minor = capture.amount.amount_minor() - left;
            (capture, operation)
        };
        let beside = Beside {
            captures: lefts.iter().map(capture).collect(),
            ..Beside::default()
        };
        let shown = payments(vec![found], beside, NOW, |_, _| Some(OFTEN));
        let mut actions = shown[0].allowed_actions();
        let got = actions.any(|action| action == pb::PaymentAction::Reverse);
        assert_eq!(got, is_offered, "{lefts:?} {pending_minor}");
    }
}

fn known(shown: &pb::Payment) -> String {
    let mut known = Vec::new();
    if let Some(pending) = &shown.pending {
        let owed = match &pending.reversal {
            Some(reversal) if pending.reversal_owed => {
                let expected = match shown.state() {
                    pb::PaymentState::Reversing => pb::PendingReversalState::Sending,
                    _ => pb::PendingReversalState::Owed,
                };
                assert_eq!(reversal.state(), expected);
                ", reversal owed"
            }
            other => {
                assert_eq!((other, pending.reversal_owed), (&None, false));
                ""
            }
        };
        let reason = pending
            .reason()
            .as_str_name()
            .replace("PENDING_REASON_", "");
        known.push(format!("pending {reason}{owed}"));
    }
    let captures = shown.capturable_amount.as_ref().unwrap().amount_minor;
    if captures > 0 {
        known.push(format!("capturable {captures}"));
    }
    for action in shown.allowed_actions() {
        known.push(action.as_str_name().replace("PAYMENT_ACTION_", ""));
    }
    let authorization = shown.authorization.as_ref().unwrap();
    if !authorization.approval_code.is_empty() {
        let until = authorization
            .expire_time
            .map(|time| format!(" until {}", time.seconds))
            .unwrap_or_default();
        known.push(format!(
            "approval {} {}{until}",
            authorization.approval_code, authorization.response_code
        ));
    }
    if let Some(decline) = &shown.decline {
        known.push(format!(
            "decline {} {} {} {}",
            decline
                .reason()
                .as_str_name()
                .replace("DECLINE_REASON_", ""),
            authorization.response_code,
            decline
                .source()
                .as_str_name()
                .replace("DECLINE_SOURCE_", ""),
            decline
                .advice()
                .as_str_name()
                .replace("DECLINE_ADVICE_", ""),
        ));
    }
    if let Some(failure) = &shown.failure {
        let reason = failure
            .reason()
            .as_str_name()
            .replace("FAILURE_REASON_", "");
        known.push(format!("failure {reason}"));
    }
    if known.is_empty() {
        "-".into()
    } else {
        known.join("; ")
    }
}
