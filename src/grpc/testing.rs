//! What several tests of the doors need.

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::status::ERROR_DOMAIN;
use super::violations::InvalidRequest;

/// The fields that a request was refused for, in order.
pub(crate) fn violated_fields(invalid: InvalidRequest) -> Vec<&'static str> {
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
pub(crate) fn error_row(status: &Status) -> String {
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
