//! Amounts.

use crate::merchant_api::pb;
use crate::payment::money::Currency;

/// An amount as the API shows it.
pub(crate) fn money(amount_minor: i64, currency: Currency) -> pb::Money {
    pb::Money {
        amount_minor,
        currency: currency.code().to_owned(),
    }
}
