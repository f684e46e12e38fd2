//! A refund: all or part of a captured amount is given back.

use super::amounts::Amounts;
use super::ids::{CaptureId, MerchantId, OperationId, PaymentId, RefundId};
use super::moment::UnixMillis;
use super::money::Money;
use super::operation_kind::OperationKind;
use super::record::Operation;

/// One refund of one capture. Where it stands is said by its operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// Its name in the API.
    pub id: RefundId,
    /// Whose it is.
    pub merchant_id: MerchantId,
    /// The payment that is refunded.
    pub payment_id: PaymentId,
    /// The operation that gives the amount back.
    pub operation_id: OperationId,
    /// The capture that it is given back of.
    pub capture_id: CaptureId,
    /// What is given back; more than zero.
    pub amount: Money,
    /// The merchant's own reference of it, up to 64 printable characters.
    pub merchant_reference: Option<String>,
    /// When it was recorded.
    pub created_at: UnixMillis,
}

/// What a change of a payment adds to what is refunded of one of its captures, in minor units, and the operation of
/// that capture; none where the change is no refund's. A refund's original is the operation of its capture.
#[must_use]
pub fn refunded_of_capture(operation: &Operation, change: &Amounts) -> Option<(OperationId, i64)> {
    let is_refund = operation.kind == OperationKind::Refund && change.refunded_minor != 0;
    let capture = operation.original_id.filter(|_| is_refund)?;
    Some((capture, change.refunded_minor))
}
