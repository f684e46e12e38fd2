//! Every state with every event.

use super::*;
use crate::payment::decline::{DeclineAdvice, DeclineReason};
use crate::payment::samples::approval;

fn states() -> Vec<PaymentState> {
    use PaymentState as S;
    let at = UnixMillis::new(9);
    vec![
        S::Created,
        S::RequiresAction { expires_at: at },
        S::Authorizing { pending: None },
        S::Authorizing {
            pending: Some(UnknownReason::NoAnswerInTime),
        },
        S::Authorizing { pending: CANCELLED },
        S::Authorized {
            approval: approval(),
            expires_at: at,
        },
        S::Declined { decline: decline() },
        S::Failed {
            reason: FailureReason::HostBusy,
        },
        S::PartiallyCaptured {
            approval: approval(),
            expires_at: at,
        },
        S::Captured {
            approval: approval(),
            expires_at: Some(at),
        },
        S::Captured {
            approval: approval(),
            expires_at: None,
        },
        S::Voiding {
            approval: approval(),
            expires_at: Some(at),
        },
        S::Voiding {
            approval: approval(),
            expires_at: None,
        },
        S::Voided,
        S::Expired,
        S::Reversing {
            pending: UnknownReason::NoAnswerInTime,
        },
        S::Reversed,
    ]
}

fn decline() -> Decline {
    Decline {
        reason: DeclineReason::InsufficientFunds,
        response_code: "51".parse().unwrap(),
        advice: DeclineAdvice::RetryLater,
    }
}

fn events() -> Vec<PaymentEvent> {
    use PaymentEvent as E;
    let at = UnixMillis::new(9);
    vec![
        E::ActionRequired { expires_at: at },
        E::AuthorizationStarted,
        E::Approved {
            approval: approval(),
            expires_at: at,
        },
        E::Declined(decline()),
        E::NotSent(FailureReason::HostBusy),
        E::OutcomeUnknown(UnknownReason::NoAnswerInTime),
        E::CaptureStarted,
        E::Captured,
        E::CaptureRefused,
        E::VoidStarted,
        E::VoidConfirmed,
        E::VoidRefused,
        E::HoldExpired,
        E::DeclinedLate(decline()),
        E::FoundToStand {
            approval: approval(),
            expires_at: at,
        },
        E::ReversalStarted,
        E::ReversalConfirmed,
        E::ReversalOwedAgain,
        E::RefundStarted,
        E::Refunded,
        E::RefundRefused,
        E::Sold(approval()),
        E::VoidUnknown,
        E::SaleVoidStarted,
        E::SaleVoided,
        E::IncrementStarted,
        E::Incremented,
        E::IncrementRefused,
        E::Released,
        E::IncrementUnknown,
        E::ReleaseStarted,
    ]
}

/// One row a state, in the order of `states()`; one column an event, in the order of `events()`.
/// `.` is illegal; otherwise the letter of the state that follows.
const TABLE: [&str; 17] = [
    // ActReq Start Appr Decl NotS Unkn CStart Capt CRef VStart VConf VRef HExp Late Stand RStart RConf RAgain Ref*3
    // Sold VUnk SVStart SVoid Inc*3 Rel IncUnk RelS
    "r a . . . . . . . . . . . . . . . . . . . . . . . . . . . . .", // Created
    ". a . . . . . . . . . . E . . . . . . . . . . . . . . . . . .", // RequiresAction
    ". . A D F p . . . . . . . . . . . . . . . C . . . . . . . . .", // Authorizing
    ". . . . . . . . . . . . . D A R X . . . . C . . . . . . . . .", // Authorizing, pending
    ". . . . F p . . . . . . . D A R X . . . . C . . . . . . . . .", // Authorizing, cancelled
    ". . . . . . A P P v V . E . . . . . . . . . . . . A P P A A .", // Authorized
    ". . . . . . . . . . . . . . . . . . . . . . . . . . . . . . .", // Declined
    ". . . . . . . . . . . . . . . . . . . . . . . . . . . . . . .", // Failed
    ". . . . . . P P P . . . C . . . . . P P P . . . . . P P P P P", // PartiallyCaptured
    ". . . . . . . . P . . . . . . . . . C C C . . . . . . . C . .", // Captured
    ". . . . . . . . C . . . . . . . . . C C C . . v V . . . C . .", // Captured, no hold or one that has ended
    ". . . . . . . . . . V A . . . . . . . . . . v . . . . . v . .", // Voiding
    ". . . . . . . . . . V C . . . . . . . . . . v . . . . . v . .", // Voiding a sale
    ". . . . . . . . . . . . . . . . . . . . . . . . . . . . V . .", // Voided
    ". . . . . . . . . . . . . . . . . . . . . . . . . . . . E . .", // Expired
    ". . . . . . . . . . . . . . A . X . . . . C . . . . . . . . .", // Reversing
    ". . . . . . . . . . . . . . . . X X . . . . . . . . . . . . .", // Reversed
];

fn letter(state: &PaymentState) -> &'static str {
    match state {
        PaymentState::Created => "c",
        PaymentState::RequiresAction { .. } => "r",
        PaymentState::Authorizing { pending: None } => "a",
        PaymentState::Authorizing { pending: Some(_) } => "p",
        PaymentState::Authorized { .. } => "A",
        PaymentState::Declined { .. } => "D",
        PaymentState::Failed { .. } => "F",
        PaymentState::PartiallyCaptured { .. } => "P",
        PaymentState::Captured { .. } => "C",
        PaymentState::Voiding { .. } => "v",
        PaymentState::Voided => "V",
        PaymentState::Expired => "E",
        PaymentState::Reversing { .. } => "R",
        PaymentState::Reversed => "X",
    }
}

#[test]
fn every_state_meets_every_event() {
    for (state, row) in states().iter().zip(TABLE) {
        let expected: Vec<&str> = row.split(' ').collect();
        assert_eq!(expected.len(), events().len());
        for (event, expected) in events().into_iter().zip(expected) {
            let name = event.name();
            let allowed = event.allowed_states().contains(&state.name());
            let got = apply(state, event, &amounts(400, 0));
            let shown = got.as_ref().map_or(".", letter);
            assert_eq!(shown, expected, "{} x {name}", state.name());
            assert!(got.is_err() || allowed, "{} x {name}", state.name());
        }
    }
}

fn amounts(captured_minor: i64, captured_pending_minor: i64) -> Amounts {
    Amounts {
        authorized_minor: 1000,
        captured_minor,
        captured_pending_minor,
        ..Amounts::ZERO
    }
}

/// Whether a capture counts or is refused, the amounts after it say what the payment is.
#[test]
fn a_payment_is_captured_as_far_as_its_hold_is() {
    let released = |released_minor, captured| Amounts {
        released_minor,
        ..captured
    };
    for (amounts, expected, after_the_hold) in [
        (released(600, amounts(400, 0)), "CAPTURED", "CAPTURED"),
        (
            released(300, amounts(700, 300)),
            "PARTIALLY_CAPTURED",
            "CAPTURED",
        ),
        (released(600, amounts(0, 0)), "AUTHORIZED", "EXPIRED"),
        (amounts(0, 0), "AUTHORIZED", "EXPIRED"),
        (amounts(600, 600), "AUTHORIZED", "CAPTURED"),
        (amounts(400, 0), "PARTIALLY_CAPTURED", "CAPTURED"),
        (amounts(1000, 600), "PARTIALLY_CAPTURED", "CAPTURED"),
        (amounts(1000, 0), "CAPTURED", "CAPTURED"),
    ] {
        for state in states() {
            for event in [PaymentEvent::Captured, PaymentEvent::CaptureRefused] {
                if let Ok(next) = apply(&state, event, &amounts) {
                    let expected = match state.expires_at() {
                        Some(_) => expected,
                        None => after_the_hold,
                    };
                    assert_eq!(next.name(), expected, "{} {amounts:?}", state.name());
                }
            }
        }
    }
}

#[test]
fn a_sale_is_voided_whole_or_not_at_all() {
    let sold = PaymentState::Captured {
        approval: approval(),
        expires_at: None,
    };
    for event in [PaymentEvent::SaleVoidStarted, PaymentEvent::SaleVoided] {
        for (refunded_pending_minor, is_taken) in [(0, false), (1, false)] {
            let amounts = Amounts {
                refunded_minor: 1,
                refunded_pending_minor,
                ..amounts(1000, 0)
            };
            let voided = apply(&sold, event.clone(), &amounts);
            assert_eq!(voided.is_ok(), is_taken, "{}", event.name());
        }
    }
}

#[test]
fn nothing_ends_a_payment_while_a_capture_or_an_increment_is_pending() {
    let increment = Amounts {
        authorized_pending_minor: 1,
        ..amounts(0, 0)
    };
    let ending = [
        PaymentEvent::VoidStarted,
        PaymentEvent::HoldExpired,
        PaymentEvent::ReversalStarted,
        PaymentEvent::VoidConfirmed,
    ];
    for state in states() {
        for event in &ending {
            for amounts in [amounts(600, 600), increment] {
                let ended = apply(&state, event.clone(), &amounts);
                assert!(ended.is_err(), "{} x {}", state.name(), event.name());
            }
        }
    }
}

#[test]
fn no_event_is_allowed_in_a_state_that_never_takes_it() {
    for (column, event) in events().into_iter().enumerate() {
        for name in event.allowed_states() {
            let taken = states().iter().zip(TABLE).any(|(state, row)| {
                state.name() == *name && row.split(' ').nth(column) != Some(".")
            });
            assert!(taken, "{} in {name}", event.name());
        }
    }
}

#[test]
fn a_state_reads_back_from_json_under_its_own_name() {
    for state in states() {
        let json = serde_json::to_string(&state).unwrap();
        assert!(
            json.contains(&format!("\"state\":\"{}\"", state.name())),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<PaymentState>(&json).unwrap(), state);
    }
}
