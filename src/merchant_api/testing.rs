//! What several tests of the API need.

use std::sync::Arc;

use crate::payment::amounts::Amounts;
use crate::payment::ids::PaymentId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::money::Money;
use crate::payment::record::{CardBrand, CardSummary, Operation, Payment};
use crate::payment::reference::SequenceNumber;
use crate::payment::samples;
use crate::payment::state::PaymentState;

pub(super) fn merchant(id: &str) -> Arc<Merchant> {
    Arc::new(Merchant {
        id: id.parse().unwrap(),
        ..samples::merchant()
    })
}

/// A payment of 1.250 KWD by demo-shop, the 42nd message of its date, in this state.
pub(super) fn payment(state: PaymentState) -> Payment {
    let created_at = UnixMillis::new(1_763_757_000_123);
    let number_date = NumberDate::of(created_at);
    let number = SequenceNumber::new(41).unwrap();
    let operation = Operation {
        payment_id: PaymentId::from_parts(created_at, [9; 10]),
        amount: Money::new(1250, "KWD".parse().unwrap()).unwrap(),
        rrn: number.rrn(number_date),
        transmitted_at: created_at,
        number_date,
        created_at,
        ..samples::operation()
    };
    Payment {
        merchant_reference: "order-1042".into(),
        description: Some("Two tickets".into()),
        amounts: Amounts {
            authorized_minor: 1250,
            captured_minor: 250,
            refunded_minor: 50,
            disputed_minor: 5,
            ..Amounts::ZERO
        },
        state,
        card: CardSummary {
            brand: CardBrand::Visa,
            bin: "424242".into(),
            last_four: "4242".into(),
        },
        updated_at: created_at.plus_ms(1000),
        version: 3,
        ..samples::payment_of(&operation)
    }
}
