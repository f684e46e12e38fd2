//! Why a later operation of a recorded payment is refused: what all flows of such operations share.

use crate::payment::amounts::Amounts;
use crate::payment::ids::HostId;
use crate::payment::money::{Currency, Money};
use crate::payment::operation::OperationKind;
use crate::payment::record::Payment;

use super::flow::{Found, Way};

/// A later operation that is refused. Nothing was recorded or sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}; the payment is {state}")]
pub struct LaterRefusal {
    /// Why.
    pub why: Why,
    /// The payment's state.
    pub state: &'static str,
    /// The payment's amounts.
    pub amounts: Box<Amounts>,
    /// The currency of the payment.
    pub currency: Currency,
}

/// Why a later operation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The payment's state allows no such operation.
    #[error("the payment's state allows no {}", .0.name().to_lowercase())]
    State(OperationKind),
    /// More than can be captured.
    #[error("no more than {left_minor} minor units can be captured")]
    ExceedsCapturable {
        /// What can be captured, in minor units.
        left_minor: i64,
    },
    /// More than can be refunded.
    #[error("no more than {left_minor} minor units can be refunded of one capture")]
    ExceedsRefundable {
        /// What can be refunded of one capture, in minor units.
        left_minor: i64,
    },
    /// The payment's host takes only one such operation of a payment.
    #[error("host {host_id} takes only one {} of a payment", .kind.name().to_lowercase())]
    OnlyOne {
        /// The host.
        host_id: HostId,
        /// The operation.
        kind: OperationKind,
    },
    /// The payment has no such capture.
    #[error("the payment has no such capture")]
    NoCapture,
    /// An earlier operation of the payment is on its way to the bank.
    #[error("an earlier operation of the payment is on its way to the bank")]
    InProgress,
    /// The amount is in another currency than the payment.
    #[error("the amount is in {got}, which is not the payment's currency")]
    Currency {
        /// The amount's currency.
        got: Currency,
    },
    /// The hold has ended.
    #[error("the hold has ended")]
    HoldExpired,
    /// The payment's host takes no such operations.
    #[error("host {host_id} takes no {}", .kind.name().to_lowercase())]
    NotSupported {
        /// The host.
        host_id: HostId,
        /// The operation.
        kind: OperationKind,
    },
}

impl LaterRefusal {
    /// The refusal of an operation of `payment`.
    #[must_use]
    pub fn of(payment: &Payment, why: Why) -> Self {
        Self {
            why,
            state: payment.state.name(),
            amounts: Box::new(payment.amounts),
            currency: payment.amount.currency(),
        }
    }
}

/// How an operation of `kind` travels to the payment's host.
///
/// # Errors
/// When the host takes none.
pub fn way_of(found: &Found, kind: OperationKind) -> Result<Way, LaterRefusal> {
    let host_id = found.payment.authorization.host_id;
    found
        .way
        .ok_or_else(|| LaterRefusal::of(&found.payment, Why::NotSupported { host_id, kind }))
}

/// The amount that was asked for, or else `left_minor`, in the payment's currency.
///
/// # Errors
/// When the currency is another one, or nothing is left.
pub fn amount_of(
    payment: &Payment,
    asked: Option<Money>,
    left_minor: i64,
    too_much: Why,
) -> Result<Money, LaterRefusal> {
    let currency = payment.amount.currency();
    let refused = |why| LaterRefusal::of(payment, why);
    match asked {
        Some(asked) if asked.currency() != currency => Err(refused(Why::Currency {
            got: asked.currency(),
        })),
        Some(asked) if asked.amount_minor() > left_minor => Err(refused(too_much)),
        Some(asked) => Ok(asked),
        None if left_minor <= 0 => Err(refused(too_much)),
        None => Money::new(left_minor, currency).map_err(|_| refused(too_much)),
    }
}
