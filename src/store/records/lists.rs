//! Lists: what they show, in which order, and where they go on.

use std::fmt;
use std::str::FromStr;

use crate::payment::ids::{PaymentId, RefundId};
use crate::payment::moment::UnixMillis;
use crate::payment::money::Currency;

/// The most items on one page of any list, and the most payments that one reference finds.
pub const MAX_PAGE_SIZE: usize = 1000;

/// Which payments a list shows. Empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Names of states as [`crate::payment::state::PaymentState::name`] gives them.
    pub states: Vec<&'static str>,
    /// Made at this moment or later.
    pub created_from: Option<UnixMillis>,
    /// Made before this moment.
    pub created_before: Option<UnixMillis>,
    /// With exactly this order reference.
    pub merchant_reference: Option<String>,
    /// With exactly this customer reference.
    pub customer_reference: Option<String>,
    /// In this currency.
    pub currency: Option<Currency>,
}

/// In which order a list comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ListOrder {
    /// By the time they were made, newest first.
    #[default]
    NewestFirst,
    /// By the time they were made, oldest first.
    OldestFirst,
}

/// Where a list of payments goes on: after the payment it names. As text it is
/// `MILLISECONDS.PAYMENT`.
pub type PaymentCursor = Cursor<PaymentId>;

/// Where a list of refunds goes on.
pub type RefundCursor = Cursor<RefundId>;

/// Where a list goes on: after the item it names. As text it is `MILLISECONDS.ITEM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<Id> {
    /// When the last item shown was made.
    pub created_at: UnixMillis,
    /// The last item shown.
    pub id: Id,
}

/// Which refunds a list shows. Empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefundFilter {
    /// Of this payment.
    pub payment_id: Option<PaymentId>,
    /// With exactly this reference.
    pub merchant_reference: Option<String>,
    /// Made at this moment or later.
    pub created_from: Option<UnixMillis>,
    /// Made before this moment.
    pub created_before: Option<UnixMillis>,
}

/// A text that is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a cursor that an earlier page gave, got {got:?}")]
pub struct InvalidCursor {
    /// The text as it came, cut to 60 characters.
    pub got: String,
}

impl<Id: fmt::Display> fmt::Display for Cursor<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.created_at.as_i64(), self.id)
    }
}

impl<Id: FromStr + fmt::Display> FromStr for Cursor<Id> {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('.').and_then(|(millis, id)| {
            let millis: i64 = millis.parse().ok()?;
            Some(Self {
                created_at: UnixMillis::new(millis),
                id: id.parse().ok()?,
            })
        });
        // Only the one text that `Display` writes is taken ("+1." would read as a number too).
        parsed
            .filter(|cursor| cursor.to_string() == text)
            .ok_or_else(|| InvalidCursor {
                got: text.chars().take(60).collect(),
            })
    }
}

/// A part of a list. A page looks at a bounded number of rows: with a filter it may hold few items or none, and have a
/// next one all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Behind which place the next page begins; `None` at the end.
    pub next: Option<C>,
}
