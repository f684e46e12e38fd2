//! A payment as the API shows it, in each of its states.

use super::money::money;
use super::outcome::{decline, failure, pending};
use super::time::timestamp;
use crate::merchant_api::pb;
use crate::payment::decline::Approval;
use crate::payment::moment::UnixMillis;
use crate::payment::record::{CardBrand, CardSummary, Payment};
use crate::payment::state::PaymentState;

/// A payment as the API shows it.
pub(crate) fn payment(payment: Payment) -> pb::Payment {
    let currency = payment.amount.currency();
    let shown = |amount_minor| Some(money(amount_minor, currency));
    let mut shown_payment = pb::Payment {
        payment_id: payment.id.to_string(),
        merchant_reference: payment.merchant_reference,
        customer_reference: payment.customer_reference.unwrap_or_default(),
        description: payment.description.unwrap_or_default(),
        settlement_state: pb::SettlementState::Unsettled.into(),
        amount: shown(payment.amount.amount_minor()),
        authorized_amount: shown(payment.authorized_minor),
        captured_amount: shown(payment.captured_minor),
        refunded_amount: shown(payment.refunded_minor),
        disputed_amount: shown(payment.disputed_minor),
        card: Some(card(payment.card)),
        host_id: payment.host_id.to_string(),
        stan: payment.stan.to_string(),
        rrn: payment.rrn.to_string(),
        business_date: payment.business_date.to_string(),
        terminal_id: payment.terminal_id,
        create_time: Some(timestamp(payment.created_at)),
        update_time: Some(timestamp(payment.updated_at)),
        ..Default::default()
    };
    show_state(payment.state, &mut shown_payment);
    shown_payment
}

/// Each state, and what is known in it.
fn show_state(state: PaymentState, shown: &mut pb::Payment) {
    use PaymentState as S;
    use pb::PaymentState as P;
    let shown_state = match state {
        S::Created => P::Created,
        S::RequiresAction { .. } => P::RequiresAction,
        S::Authorizing { pending: reason } => {
            shown.pending = Some(pending(reason));
            P::Authorizing
        }
        S::Authorized {
            approval,
            expires_at,
        } => {
            shown.authorization = Some(authorization(approval, Some(expires_at)));
            P::Authorized
        }
        S::Declined { decline: why } => {
            shown.decline = Some(decline(why));
            P::Declined
        }
        S::Failed { reason } => {
            shown.failure = Some(failure(reason));
            P::Failed
        }
        S::PartiallyCaptured {
            approval,
            expires_at,
        } => {
            shown.authorization = Some(authorization(approval, Some(expires_at)));
            P::PartiallyCaptured
        }
        S::Captured { approval } => {
            shown.authorization = Some(authorization(approval, None));
            P::Captured
        }
        S::Voiding {
            approval,
            expires_at,
        } => {
            shown.authorization = Some(authorization(approval, Some(expires_at)));
            P::Voiding
        }
        S::Voided => P::Voided,
        S::Expired => P::Expired,
        S::Reversing => P::Reversing,
        S::Reversed => P::Reversed,
    };
    shown.state = shown_state.into();
}

fn authorization(approval: Approval, expires_at: Option<UnixMillis>) -> pb::Authorization {
    pb::Authorization {
        approval_code: approval.approval_code,
        response_code: approval.response_code.to_string(),
        expire_time: expires_at.map(timestamp),
    }
}

fn card(card: CardSummary) -> pb::Card {
    let brand = match card.brand {
        CardBrand::Visa => pb::CardBrand::Visa,
        CardBrand::Mastercard => pb::CardBrand::Mastercard,
        CardBrand::AmericanExpress => pb::CardBrand::AmericanExpress,
        CardBrand::Discover => pb::CardBrand::Discover,
        CardBrand::Jcb => pb::CardBrand::Jcb,
        CardBrand::DinersClub => pb::CardBrand::DinersClub,
        CardBrand::UnionPay => pb::CardBrand::UnionPay,
        CardBrand::Other => pb::CardBrand::Other,
    };
    pb::Card {
        brand: brand.into(),
        bin: card.bin,
        last4: card.last_four,
    }
}

#[cfg(test)]
mod tests;
