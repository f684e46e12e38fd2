//! What the calls share to read a request. The wire format stops here: what passes has been checked field by
//! field, and a request that does not pass is told everything that is wrong with it at once.
//!
//! - [`text`]: a merchant's texts by their shape. [`money`]: amounts and currencies. [`id`]: ids of payments.
//! - [`payment_method`]: where the card comes from.
//! - [`list`]: pages of lists. [`page_token`]: where the next page begins. [`filter`]: filters of lists. `conditions`: what each
//!   list can be filtered by. [`order`]:
//!   their order. [`cursor`]: places among the events of the store.

mod conditions;
pub mod cursor;
pub(super) mod filter;
pub(super) mod id;
pub(super) mod list;
pub(super) mod money;
pub(super) mod order;
pub(super) mod page_token;
pub(super) mod payment_method;
pub(crate) mod text;
