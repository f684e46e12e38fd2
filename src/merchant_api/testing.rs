//! What several tests of the API need.

use std::sync::Arc;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::read::violations::InvalidRequest;
use super::show::status::ERROR_DOMAIN;
use crate::payment::amounts::Amounts;
use crate::payment::ids::PaymentId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::money::Money;
use crate::payment::record::{CardBrand, CardSummary, Operation, Payment};
use crate::payment::reference::SequenceNumber;
use crate::payment::samples;
use crate::payment::state::PaymentState;

pub(super) fn merchant(id: &str) -> Arc<Merchant> {
    Arc::new(Merchant {
        id: id.parse().unwrap(),
        ..samples::merchant()
    })
}

/// A payment of 1.250 KWD by demo-shop, the 42nd message of its date, in this state.
pub(super) fn payment(state: PaymentState) -> Payment {
    let created_at = UnixMillis::new(1_763_757_000_123);
    let number_date = NumberDate::of(created_at);
    let number = SequenceNumber::new(41).unwrap();
    let operation = Operation {
        payment_id: PaymentId::from_parts(created_at, [9; 10]),
        amount: Money::new(1250, "KWD".parse().unwrap()).unwrap(),
        rrn: number.rrn(number_date),
        transmitted_at: created_at,
        number_date,
        created_at,
        ..samples::operation()
    };
    Payment {
        merchant_reference: "order-1042".into(),
        description: Some("Two tickets".into()),
        amounts: Amounts {
            authorized_minor: 1250,
            captured_minor: 250,
            refunded_minor: 50,
            disputed_minor: 5,
            ..Amounts::ZERO
        },
        state,
        card: CardSummary {
            brand: CardBrand::Visa,
            bin: "424242".into(),
            last_four: "4242".into(),
        },
        updated_at: created_at.plus_ms(1000),
        version: 3,
        ..samples::payment_of(&operation)
    }
}

/// The fields that a request was refused for, in order.
pub(super) fn violated_fields(invalid: InvalidRequest) -> Vec<&'static str> {
    match invalid {
        InvalidRequest::Violations(violations) => violations
            .into_iter()
            .map(|violation| violation.field)
            .collect(),
        InvalidRequest::ClearCard(fields) => panic!("a clear card in {fields:?}"),
    }
}

/// What merchants read of errors.
const ERRORS_MD: &str = include_str!("../../docs/errors.md");

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

/// Code, reason, outcome and the other details of a status, in one line. docs/errors.md must list it.
pub(super) fn error_row(status: &Status) -> String {
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
