use super::*;
use crate::merchant_api::violations::Violation;
use crate::payment::ids::PaymentId;
use crate::payment::moment::UnixMillis;

/// What merchants read of errors.
const ERRORS_MD: &str = include_str!("../../../../docs/errors.md");

/// A code as it is written outside Rust: `INVALID_ARGUMENT`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_uppercase());
    }
    name
}

/// Code, reason, outcome and the other details of a status, in one line. The documentation has them.
fn line(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.domain, ERROR_DOMAIN);
    let row = format!(
        "| `{}` | {} | {} |",
        info.reason,
        code_name(status.code()),
        info.metadata["outcome"]
    );
    assert!(ERRORS_MD.contains(&row), "{row}");
    let mut line = format!(
        "{:?} {} {}",
        status.code(),
        info.reason,
        info.metadata["outcome"]
    );
    if let Some(retry) = details.retry_info() {
        line += &format!(" retry {} ms", retry.retry_delay.unwrap().as_millis());
    }
    if let Some(bad) = details.bad_request() {
        let fields = bad
            .field_violations
            .iter()
            .map(|violation| &*violation.field);
        line += &format!(" fields {}", fields.collect::<Vec<_>>().join(","));
    }
    if let Some(precondition) = details.precondition_failure() {
        let kinds = precondition
            .violations
            .iter()
            .map(|violation| &*violation.r#type);
        line += &format!(" precondition {}", kinds.collect::<Vec<_>>().join(","));
    }
    line
}

#[test]
fn every_error_of_an_authorization_has_its_status() {
    use AuthorizeError as E;
    let payment_id = PaymentId::from_parts(UnixMillis::new(1), [1; 10]);
    let request_id = "4242424242424242".to_owned();
    for (failed, expected) in [
        (
            E::SealedCardRefused,
            "InvalidArgument SEALED_CARD_REFUSED NOT_SENT",
        ),
        (
            E::UnknownPaymentMethod {
                token: request_id.clone(),
            },
            "InvalidArgument UNKNOWN_PAYMENT_METHOD NOT_SENT fields payment_method_token",
        ),
        (
            E::RequestIdReused {
                request_id: request_id.clone(),
            },
            "FailedPrecondition REQUEST_ID_REUSED NOT_SENT precondition REQUEST_ID_REUSED",
        ),
        (
            E::StillRunning { request_id },
            "Aborted REQUEST_IN_PROGRESS UNKNOWN retry 500 ms",
        ),
        (
            E::MerchantInactive {
                merchant_id: "demo-shop".into(),
            },
            "PermissionDenied MERCHANT_INACTIVE NOT_SENT",
        ),
        (
            E::NoRoute {
                merchant_id: "demo-shop".parse().unwrap(),
                host_id: "acquirer".parse().unwrap(),
            },
            "FailedPrecondition NO_ROUTE NOT_SENT precondition NO_ROUTE",
        ),
        (
            E::Overloaded,
            "ResourceExhausted OVERLOADED NOT_SENT retry 250 ms",
        ),
        (E::Draining, "Unavailable DRAINING NOT_SENT retry 1000 ms"),
        (
            E::NotRecorded {
                source: "disk full at /var/lib".into(),
            },
            "Unavailable STORE_UNAVAILABLE NOT_SENT retry 1000 ms",
        ),
        (
            E::OutcomeNotRecorded { payment_id },
            "Unavailable OUTCOME_NOT_RECORDED UNKNOWN retry 1000 ms",
        ),
    ] {
        let status = of_authorize_error(&failed);
        assert_eq!(line(&status), expected);
        // What the request held and what the machine said stay here.
        let told = format!("{status:?}");
        assert!(
            !told.contains("4242") && !told.contains("/var/lib"),
            "{told}"
        );
    }
}

#[test]
fn every_other_error_has_its_status() {
    let down = || RecordsUnavailable {
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
            of_refused(&Refused::NoCredentials),
            "Unauthenticated CREDENTIALS_MISSING NOT_SENT",
        ),
        (
            of_refused(&Refused::BadKey),
            "Unauthenticated API_KEY_REFUSED NOT_SENT",
        ),
        (
            of_refused(&Refused::BadCertificate),
            "Unauthenticated CLIENT_CERTIFICATE_REFUSED NOT_SENT",
        ),
        (
            of_refused(&Refused::Disagree),
            "Unauthenticated CREDENTIALS_DISAGREE NOT_SENT",
        ),
        (
            of_refused(&Refused::Unavailable(down())),
            "Unavailable STORE_UNAVAILABLE NOT_SENT retry 1000 ms",
        ),
        (
            of_unavailable(&down()),
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
        assert_eq!(line(&status), expected);
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
    use AuthorizeError as E;
    let down = RecordsUnavailable {
        reason: "disk on fire".into(),
    };
    for status in [
        overloaded(),
        of_refused(&Refused::Unavailable(down)),
        of_authorize_error(&E::Overloaded),
        of_authorize_error(&E::Draining),
        of_authorize_error(&E::NotRecorded {
            source: "disk full".into(),
        }),
        of_authorize_error(&E::MerchantInactive {
            merchant_id: "demo-shop".into(),
        }),
        of_authorize_error(&E::NoRoute {
            merchant_id: "demo-shop".parse().unwrap(),
            host_id: "acquirer".parse().unwrap(),
        }),
    ] {
        let text = status.message();
        assert!(line(&status).contains(" NOT_SENT"), "{text}");
        assert!(text.contains("this call sent nothing to a bank"), "{text}");
        assert!(text.contains("request_id"), "{text}");
    }
}
