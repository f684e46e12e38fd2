use super::*;
use crate::grpc::testing::error_row;
use crate::grpc::violations::Violation;

#[test]
fn every_shared_error_has_its_status() {
    let down = "disk on fire";
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
            request_not_readable("failed to decode"),
            "InvalidArgument REQUEST_NOT_READABLE NOT_SENT",
        ),
        (
            not_supported("compressed"),
            "Unimplemented ENCODING_NOT_SUPPORTED NOT_SENT",
        ),
        (not_supported(""), "Unimplemented NOT_IMPLEMENTED NOT_SENT"),
    ] {
        assert_eq!(error_row(&status), expected);
        assert!(!format!("{status:?}").contains("fire"), "{status:?}");
    }
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
fn what_tonic_refuses_gets_a_reason() {
    for (status, reason) in [
        (Status::internal("failed to decode"), "REQUEST_NOT_READABLE"),
        (Status::out_of_range("too large"), "REQUEST_NOT_READABLE"),
        (Status::unimplemented(""), "NOT_IMPLEMENTED"),
        (
            Status::unimplemented("Content is compressed with `gzip` which isn't supported"),
            "ENCODING_NOT_SUPPORTED",
        ),
    ] {
        let mut answer: Response<Body> = status.into_http();
        let accepted = http::HeaderValue::from_static("identity");
        answer.headers_mut().insert(ACCEPT_ENCODING, accepted);
        let answer = with_reason(answer);
        let status = Status::from_header_map(answer.headers()).unwrap();
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, reason);
        assert_eq!(info.metadata["outcome"], "NOT_SENT");
        let accepted = answer.headers().contains_key(ACCEPT_ENCODING);
        assert_eq!(accepted, status.code() == Code::Unimplemented);
    }
}
