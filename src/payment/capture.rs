//! A capture: all or part of an authorized amount is taken.

use super::ids::{CaptureId, OperationId, PaymentId};
use super::moment::UnixMillis;
use super::money::Money;
use super::operation::OperationState;
use super::operation_kind::OperationKind;
use super::record::Operation;

/// The most captures of a payment, those that were refused included: a refund looks at all of them.
pub const MOST_CAPTURES: usize = 1_000;

/// One capture of one payment. Where it stands is said by its operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Its name in the API.
    pub id: CaptureId,
    /// The payment that is captured.
    pub payment_id: PaymentId,
    /// The operation that takes the amount.
    pub operation_id: OperationId,
    /// What is taken; more than zero.
    pub amount: Money,
    /// What was or is being refunded of it, in minor units: 0 to the amount.
    pub refunded_minor: i64,
    /// Whether it is the last one: what it leaves of the hold is released.
    pub is_final: bool,
    /// Whether its payment, a sale, is voided.
    pub is_voided: bool,
    /// The merchant's own reference of it, up to 64 printable characters.
    pub merchant_reference: Option<String>,
    /// When it was recorded.
    pub created_at: UnixMillis,
}

/// The amount of the capture that a sale carries out, in minor units, where its bank approved less than was asked for.
#[must_use]
pub fn approved_part(operation: &Operation) -> Option<i64> {
    match &operation.state {
        OperationState::Approved { approval, .. } if operation.kind == OperationKind::Sale => {
            approval.partial_minor
        }
        _ => None,
    }
}
