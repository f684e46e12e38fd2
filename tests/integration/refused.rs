//! What an error says, so that a test can hold all of it to a table; and that nothing came of it.

use std::collections::BTreeMap;

use payswitch::merchant_api::pb;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::harness::{Payments, Switch, authorize, pay_with};

/// An error as a client can branch on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: Code,
    /// ErrorInfo.reason.
    pub(crate) reason: String,
    /// ErrorInfo.metadata["outcome"].
    pub(crate) outcome: String,
    /// The fields that BadRequest names, in its order.
    pub(crate) fields: Vec<String>,
    /// The subjects of PreconditionFailure.
    pub(crate) preconditions: Vec<String>,
    /// Whether RetryInfo says when to try again.
    pub(crate) retry: bool,
}

impl Refused {
    /// An error that says that nothing was sent, and nothing else.
    pub(crate) fn not_sent(code: Code, reason: &str) -> Self {
        Self {
            code,
            reason: reason.to_owned(),
            outcome: "NOT_SENT".to_owned(),
            fields: Vec::new(),
            preconditions: Vec::new(),
            retry: false,
        }
    }

    /// INVALID_ARGUMENT, with these fields.
    pub(crate) fn invalid(reason: &str, fields: &[&str]) -> Self {
        Self {
            fields: fields.iter().map(|&field| field.to_owned()).collect(),
            ..Self::not_sent(Code::InvalidArgument, reason)
        }
    }
}

impl From<&Status> for Refused {
    fn from(status: &Status) -> Self {
        let details = status
            .check_error_details()
            .expect("details that can be decoded");
        let info = details
            .error_info()
            .unwrap_or_else(|| panic!("an ErrorInfo in {status:?}"));
        assert_eq!(info.domain, "payswitch", "{status:?}");
        assert!(!status.message().is_empty(), "{status:?}");
        let violations = details.bad_request().map(|bad| &bad.field_violations);
        let failures = details.precondition_failure().map(|all| &all.violations);
        for violation in violations.into_iter().flatten() {
            let text = &violation.description;
            assert!(text.contains("expected") && text.contains("got"), "{text}");
        }
        Self {
            code: status.code(),
            reason: info.reason.clone(),
            outcome: info.metadata.get("outcome").cloned().unwrap_or_default(),
            fields: violations
                .into_iter()
                .flatten()
                .map(|violation| violation.field.clone())
                .collect(),
            preconditions: failures
                .into_iter()
                .flatten()
                .map(|failure| failure.subject.clone())
                .collect(),
            retry: details
                .retry_info()
                .is_some_and(|retry| retry.retry_delay.is_some()),
        }
    }
}

/// All of an error as it travels, so that "the same" is the same to the byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) details: Vec<u8>,
}

impl From<&Status> for Shown {
    fn from(status: &Status) -> Self {
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            details: status.details().to_vec(),
        }
    }
}

/// The bank has seen nothing, and nothing was kept; then one good payment leaves exactly one of each.
pub(crate) async fn assert_nothing_came_of_it(switch: &Switch) {
    for (table, rows) in switch.database.rows_of_payments().await {
        assert_eq!(rows, 0, "{table}");
    }
    let good = pay_with("pm_test_visa", 1250, "EUR");
    authorize(&mut switch.payments().await, good).await;
    // What had been sent before would have arrived before.
    assert_eq!(switch.at_acquirer(), 1);
    assert_eq!(switch.database.count("payments").await, 1);
}

/// Authorizes, and is refused.
pub(crate) async fn refusal(
    payments: &mut Payments,
    request: pb::AuthorizePaymentRequest,
) -> Status {
    payments
        .authorize_payment(request)
        .await
        .expect_err("a refusal")
}

/// Holds refusals of envelopes to one text for each fault that the test environment tells.
#[derive(Default)]
pub(crate) struct Envelopes {
    by_fault: BTreeMap<String, String>,
}

impl Envelopes {
    pub(crate) fn assert_refused(&mut self, status: &Status, what: &str) {
        let expected = Refused::not_sent(Code::InvalidArgument, "SEALED_CARD_REFUSED");
        assert_eq!(Refused::from(status), expected, "{what}");
        let info = status.get_details_error_info().expect("an ErrorInfo");
        let fault = info.metadata.get("fault").expect("its fault").clone();
        let text = status.message().to_owned();
        assert!(text.contains("docs/sealing.md"), "{what}: {text}");
        let first = self.by_fault.entry(fault).or_insert_with(|| text.clone());
        assert_eq!(*first, text, "{what} can be told from the others");
    }

    /// The faults so far, by name.
    pub(crate) fn faults(&self) -> Vec<&str> {
        self.by_fault.keys().map(String::as_str).collect()
    }
}
