//! What an operation makes beside itself: a capture, or a refund.

use crate::payment::capture::Capture;
use crate::payment::ids::{CaptureId, MerchantId, OperationId, PaymentId, RefundId, SubjectId};
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::payment::refund::Refund;

use super::plan::NewResource;

/// What an operation makes beside itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// A capture.
    Capture(Capture),
    /// A refund.
    Refund(Refund),
}

impl Resource {
    /// What an operation makes of this amount.
    pub(crate) fn new(
        new: &NewResource,
        (payment_id, operation_id, merchant_id): (PaymentId, OperationId, MerchantId),
        amount: Money,
        (now, random): (UnixMillis, [u8; 10]),
    ) -> Self {
        match new {
            NewResource::Capture {
                is_final,
                merchant_reference,
            } => Self::Capture(Capture {
                id: CaptureId::from_parts(now, random),
                payment_id,
                operation_id,
                amount,
                refunded_minor: 0,
                is_final: *is_final,
                is_voided: false,
                merchant_reference: merchant_reference.clone(),
                created_at: now,
            }),
            NewResource::Refund {
                capture_id,
                merchant_reference,
            } => Self::Refund(Refund {
                id: RefundId::from_parts(now, random),
                merchant_id,
                payment_id,
                operation_id,
                capture_id: *capture_id,
                amount,
                merchant_reference: merchant_reference.clone(),
                created_at: now,
            }),
        }
    }

    /// Its name.
    pub(crate) fn subject_id(&self) -> SubjectId {
        match self {
            Self::Capture(capture) => SubjectId::Capture(capture.id),
            Self::Refund(refund) => SubjectId::Refund(refund.id),
        }
    }
}
