//! The operation that a message is about: everything that a message may say.

use std::fmt;

use crate::payment::merchant::Merchant;
use crate::payment::operation::OperationState;
use crate::payment::record::{Operation, Payment};

/// The card, opened: clear text that lives until the request is encoded, and nowhere else.
#[derive(Clone, Copy)]
pub struct CardFields<'a> {
    /// Primary account number, digits only: DE 2.
    pub pan: &'a str,
    /// Expiry date as YYMM: DE 14.
    pub expiry_yymm: &'a str,
    /// Card verification value, three or four digits, where the customer gave one.
    pub cvv: Option<&'a str>,
}

/// Shows that there is a card, and nothing of it.
impl fmt::Debug for CardFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardFields")
            .field("pan", &"***")
            .field("expiry_yymm", &"***")
            .field("cvv", &self.cvv.map(|_| "***"))
            .finish()
    }
}

/// The operation that another one completes or undoes.
#[derive(Debug, Clone, Copy)]
pub struct Original<'a> {
    /// Its record, with the elements that it sent and those of its answer that were kept.
    pub operation: &'a Operation,
    /// DE 38 of its approval, late ones included; none where there was no approval.
    pub approval_code: Option<&'a str>,
}

impl<'a> Original<'a> {
    /// The original as it is recorded, with the approval code that its payment has where it is the authorization: that
    /// of a late approval stands only there.
    #[must_use]
    pub fn in_payment(operation: &'a Operation, payment: &'a Payment) -> Self {
        let of_itself = Self::of(operation);
        let is_authorization = payment.authorization.operation_id == operation.id;
        let approval = payment.state.approval().filter(|_| is_authorization);
        let late = approval.map(|approval| approval.approval_code.as_str());
        Self {
            approval_code: of_itself
                .approval_code
                .or(late.filter(|code| !code.is_empty())),
            ..of_itself
        }
    }

    /// The original as it is recorded, with the approval code of an approval in time.
    #[must_use]
    pub fn of(operation: &'a Operation) -> Self {
        let approval_code = match &operation.state {
            OperationState::Approved { approval, .. } => Some(approval.approval_code.as_str()),
            _ => None,
        };
        Self {
            operation,
            approval_code: approval_code.filter(|code| !code.is_empty()),
        }
    }
}

/// One message that is to be sent to a host.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The operation that it is about: its host, kind, amount and numbers.
    pub operation: &'a Operation,
    /// The merchant of the payment.
    pub merchant: &'a Merchant,
    /// The card, where the message has one.
    pub card: Option<CardFields<'a>>,
    /// The operation that this one completes or undoes.
    pub original: Option<Original<'a>>,
    /// Whether the same message was sent before.
    pub repeat: bool,
}

impl<'a> Outgoing<'a> {
    /// The first message of an operation, without an original.
    #[must_use]
    pub fn first(
        operation: &'a Operation,
        merchant: &'a Merchant,
        card: Option<CardFields<'a>>,
    ) -> Self {
        Self {
            operation,
            merchant,
            card,
            original: None,
            repeat: false,
        }
    }
}
