//! What the writer knows: a change of the records, whole or not at all.
//!
//! A change says what was intended or what became known, in typed parts. It holds no rule of a payment: what
//! may happen was decided in `payment/` before.

use crate::payment::adjustment::Adjustment;
use crate::payment::capture::Capture;
use crate::payment::custody::CustodyEntry;
use crate::payment::ids::MerchantId;
use crate::payment::moment::UnixMillis;
use crate::payment::record::{Operation, Payment};
use crate::payment::refund::Refund;
use crate::store::records::callers::AuditRecord;

/// A change, borrowed from whoever asks for it. Every part is written in one transaction, or none is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change<'a> {
    /// The merchant's request, which `new_operation` carries out.
    pub claim: Option<&'a RequestClaim>,
    /// The sealed card that `new_operation` uses.
    pub envelope: Option<&'a EnvelopeUse>,
    /// The payment.
    pub payment: Option<PaymentChange<'a>>,
    /// Whether the payment's adjustment is refused where something else has changed the payment since it was read: what
    /// was decided rests on more than its state and its amounts.
    pub unmoved: bool,
    /// A new operation of the payment.
    pub new_operation: Option<&'a Operation>,
    /// New operations of the payment that are owed to its host from now on: each completes or undoes one that is
    /// recorded by now.
    pub owes: &'a [Operation],
    /// Whether the payment and `new_operation`, as they are after this change, are the answer to the request:
    /// nobody waits for the operation's end.
    pub answered: bool,
    /// A capture that `new_operation` carries out.
    pub new_capture: Option<&'a Capture>,
    /// A refund that `new_operation` carries out.
    pub new_refund: Option<&'a Refund>,
    /// A recorded operation of the payment that goes on.
    pub step: Option<OperationStep<'a>>,
    /// The operation that the change is about, where none is new or goes on: what happens to the payment happens by
    /// itself, or because of a request that begins no operation.
    pub about: Option<&'a Operation>,
    /// A recorded operation of the payment that is repeated until its host acknowledges it, and goes on. Beside
    /// a step its original is the operation of the step.
    pub owed_step: Option<&'a Operation>,
    /// What the audit trail says of it, where nobody calls who would record that.
    pub act: Option<&'a AuditRecord>,
}

/// A merchant's request, which is carried out once however often it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestClaim {
    /// Whose request it is.
    pub merchant_id: MerchantId,
    /// The RPC's name.
    pub method: &'static str,
    /// The merchant's own name for the request.
    pub request_id: String,
    /// SHA-256 of what the request says.
    pub body_hash: [u8; 32],
}

/// The use of a sealed card, which works once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeUse {
    /// The envelope's own identifier; unique for each merchant.
    pub jti: String,
    /// When it expires; the use is remembered until an hour after that.
    pub expires_at: UnixMillis,
}

/// What is kept of the card of a new payment, and never shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCard {
    /// The card, sealed for later messages; none where no message follows.
    pub entry: Option<CustodyEntry>,
    /// By which the installation knows the card again, and then the cards whose numbers differ in their last four digits
    /// only: 32 hex digits each.
    pub velocity: String,
}

/// What happens to the payment.
#[derive(Debug, Clone, Copy)]
pub enum PaymentChange<'a> {
    /// It is recorded for the first time.
    New {
        /// The payment.
        payment: &'a Payment,
        /// What is kept of its card.
        card: Option<&'a NewCard>,
    },
    /// It is adjusted, whatever else has changed it meanwhile, as long as its state and its limits allow.
    Adjusted {
        /// The payment after the adjustment, if nothing else has changed it.
        expected: &'a Payment,
        /// The adjustment.
        adjustment: &'a Adjustment,
    },
}

impl<'a> PaymentChange<'a> {
    /// The adjustment of a payment, where there is one: the payment after it, and the adjustment.
    #[must_use]
    pub fn adjusted(adjusted: Option<&'a (Payment, Adjustment)>) -> Option<Self> {
        adjusted.map(|(expected, adjustment)| Self::Adjusted {
            expected,
            adjustment,
        })
    }
}

/// A recorded operation that goes on.
#[derive(Debug, Clone, Copy)]
pub struct OperationStep<'a> {
    /// The operation after the step. Its version is one more than the recorded one, and that is the fence:
    /// of two steps from one version only the first is written.
    pub operation: &'a Operation,
    /// Whether the payment and the operation, as they are after this change, are the answer to the request
    /// that began the operation.
    pub answers: bool,
}

/// What became of a change. Where it is not committed, nothing of it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is durable.
    Committed {
        /// The payment as it is now, where something else had changed it too.
        payment: Option<Box<Payment>>,
    },
    /// The request is there already.
    RequestTaken,
    /// The sealed card was used before.
    EnvelopeUsed,
    /// An operation is not at the version that its step goes on from, or not there.
    OperationMoved,
    /// The payment's state or a limit of its amounts forbids the adjustment, or there is no such payment.
    PaymentRefused,
    /// The sale that is voided belongs to one of the bank's days that is closed.
    DayClosed,
}
