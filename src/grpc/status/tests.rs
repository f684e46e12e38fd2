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
    let expected = "
InvalidArgument INVALID_REQUEST NOT_SENT fields a,b.c
InvalidArgument CLEAR_CARD_REFUSED NOT_SENT fields sealed_card
Unavailable STORE_UNAVAILABLE NOT_SENT retry 1000 ms
Unavailable NO_ANSWER_IN_TIME UNKNOWN retry 1000 ms
DeadlineExceeded CALLER_DEADLINE_EXCEEDED UNKNOWN retry 1000 ms
DeadlineExceeded BODY_TOO_SLOW NOT_SENT retry 1000 ms
ResourceExhausted OVERLOADED NOT_SENT retry 250 ms
Unavailable STORE_UNAVAILABLE NOT_SENT retry 1000 ms
InvalidArgument REQUEST_NOT_READABLE NOT_SENT
Unimplemented ENCODING_NOT_SUPPORTED NOT_SENT
Unimplemented NOT_IMPLEMENTED NOT_SENT";
    let statuses = [
        of_invalid_request(invalid),
        of_invalid_request(InvalidRequest::ClearCard(vec!["sealed_card"])),
        of_unavailable(&down),
        not_answered_in_time(),
        caller_deadline_exceeded(),
        body_too_slow(),
        overloaded(),
        store_unavailable(),
        request_not_readable("failed to decode"),
        not_supported("compressed"),
        not_supported(""),
    ];
    let rows: Vec<_> = statuses.iter().map(error_row).collect();
    assert_eq!(rows.join("\n"), expected.trim());
    for status in statuses {
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
