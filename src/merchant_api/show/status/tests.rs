use super::*;
use crate::merchant_api::read::violations::Violation;
use crate::merchant_api::testing::error_row;

#[test]
fn every_shared_error_has_its_status() {
    let down = RecordsUnavailable {
        reason: "disk on fire".into(),
    };
    let violation = |field| Violation {
        field,
        description: "expected this, got that".into(),
    };
    let invalid = InvalidRequest::Violations(vec![violation("a"), violation("b.c")]);
    for (status, expected) in [
        (
            of_invalid_request(invalid),
            "InvalidArgument INVALID_REQUEST NOT_SENT fields a,b.c",
        ),
        (
            of_invalid_request(InvalidRequest::ClearCard(vec!["sealed_card"])),
            "InvalidArgument CLEAR_CARD_REFUSED NOT_SENT fields sealed_card",
        ),
        (
            of_unavailable(&down),
            "Unavailable STORE_UNAVAILABLE NOT_SENT retry 1000 ms",
        ),
        (
            not_answered_in_time(),
            "Unavailable NO_ANSWER_IN_TIME UNKNOWN retry 1000 ms",
        ),
        (
            caller_deadline_exceeded(),
            "DeadlineExceeded CALLER_DEADLINE_EXCEEDED UNKNOWN retry 1000 ms",
        ),
        (
            body_too_slow(),
            "DeadlineExceeded BODY_TOO_SLOW NOT_SENT retry 1000 ms",
        ),
        (
            overloaded(),
            "ResourceExhausted OVERLOADED NOT_SENT retry 250 ms",
        ),
        (
            store_unavailable(),
            "Unavailable STORE_UNAVAILABLE NOT_SENT retry 1000 ms",
        ),
        (
            sealed_card_refused(SealedCardFault::Expired, Environment::Live),
            "InvalidArgument SEALED_CARD_REFUSED NOT_SENT",
        ),
        (payment_not_found(), "NotFound PAYMENT_NOT_FOUND NOT_SENT"),
        (
            request_not_readable("failed to decode"),
            "InvalidArgument REQUEST_NOT_READABLE NOT_SENT",
        ),
        (
            not_supported("compressed"),
            "Unimplemented ENCODING_NOT_SUPPORTED NOT_SENT",
        ),
        (not_supported(""), "Unimplemented NOT_IMPLEMENTED NOT_SENT"),
        (
            not_built("CapturePayment"),
            "Unimplemented NOT_IMPLEMENTED NOT_SENT",
        ),
    ] {
        assert_eq!(error_row(&status), expected);
        assert!(!format!("{status:?}").contains("fire"), "{status:?}");
    }
    assert!(
        not_built("CapturePayment")
            .message()
            .contains("CapturePayment")
    );
}

/// A payment whose answer was lost may have been sent. Its repetition meets any of these, and must not
/// make its merchant pay again under a new request_id.
#[test]
fn what_a_repetition_can_meet_asks_to_keep_the_request_id() {
    for status in [body_too_slow(), overloaded(), store_unavailable()] {
        let text = status.message();
        assert!(text.contains("this call sent nothing to a bank"), "{text}");
        assert!(text.contains("request_id"), "{text}");
    }
}

#[test]
fn only_a_test_environment_tells_the_fault_of_a_sealed_card() {
    use SealedCardFault as F;
    let told = |fault, environment| {
        let status = sealed_card_refused(fault, environment);
        let info = status.get_details_error_info().unwrap();
        (
            status.message().to_owned(),
            info.metadata.get("fault").cloned(),
        )
    };
    for fault in [F::NotAnEnvelope, F::Key, F::Content, F::Order, F::Used] {
        let one_text = ("the sealed card was refused".to_owned(), None);
        assert_eq!(told(fault, Environment::Live), one_text);
        let (text, name) = told(fault, Environment::Test);
        assert!(
            text.contains(&fault.to_string()) && text.contains("docs/sealing.md"),
            "{text}"
        );
        assert_eq!(name.as_deref(), Some(fault.name()));
    }
}
