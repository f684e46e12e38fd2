//! A card that is verified; the life of a payment that goes well: it is captured in two parts, and a part is refunded;
//! and one that is raised and voided.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Table};

use super::tour::{Connection, Payments, Visited, current, look_until, short};
use crate::clock::SystemClock;
use crate::commands::error::CommandError;
use crate::merchant_api::pb;
use crate::merchant_api::pb::payment_service_client::PaymentServiceClient;
use crate::merchant_api::pb::refund_service_client::RefundServiceClient;
use crate::merchant_api::pb::verify_card_request::PaymentMethod;
use crate::payment::money::Money;
use crate::random::Random;

/// A step of a life, and what it came to.
pub struct Step {
    what: &'static str,
    amount: Money,
    /// The payment, the increment's exchange, the capture, the refund or the verification.
    id: String,
    /// Or the code of the refusal.
    state: String,
    expected: &'static str,
}

impl Step {
    /// Whether it came out as expected.
    #[must_use]
    pub fn as_expected(&self) -> bool {
        self.state == self.expected
    }
}

/// The steps of all lives, a row for each.
#[must_use]
pub fn table(steps: &[Step]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    for step in steps {
        let amount = Cell::new(step.amount).set_alignment(CellAlignment::Right);
        let verdict = if step.as_expected() {
            "✓"
        } else {
            "✗ not as expected"
        };
        table.add_row([
            Cell::new(step.what),
            amount,
            Cell::new(&step.state),
            Cell::new(&step.id),
            Cell::new(verdict),
        ]);
    }
    table
}

/// Captures a part of an authorized payment, then the rest, and refunds a fifth of it.
///
/// # Errors
/// When a call is answered with an error.
pub async fn captured_and_refunded(
    connection: &Connection,
    authorized: &Visited,
) -> Result<Vec<Step>, CommandError> {
    let mut payments = PaymentServiceClient::new(connection.clone());
    let amount = authorized.stop.amount;
    let part = |percent: i64| Money::new(amount.amount_minor() / 100 * percent, amount.currency());
    let mut steps = vec![authorization(authorized)];
    for amount in [part(60)?, part(40)?] {
        steps.push(capture(&mut payments, authorized, amount).await?);
    }
    steps.push(refund(connection, authorized, part(20)?).await?);
    Ok(steps)
}

/// Verifies a card.
///
/// # Errors
/// When the call is answered with an error.
pub async fn verified(connection: &Connection) -> Result<Vec<Step>, CommandError> {
    let amount = Money::zero("EUR".parse()?);
    let token = "pm_test_visa".to_owned();
    let request = pb::VerifyCardRequest {
        request_id: request_id()?,
        currency: amount.currency().to_string(),
        merchant_reference: "signup-1".to_owned(),
        payment_method: Some(PaymentMethod::PaymentMethodToken(token)),
    };
    let mut payments = PaymentServiceClient::new(connection.clone());
    let answer = payments.verify_card(request).await?.into_inner();
    let verification = answer
        .verification
        .ok_or("the answer holds no verification")?;
    let state = verification.state().as_str_name();
    Ok(vec![Step {
        what: "verify",
        amount,
        state: short(state, "VERIFICATION_STATE_").to_owned(),
        id: verification.verification_id,
        expected: "VERIFIED",
    }])
}

/// Raises the hold of an authorized payment by a half, and voids the payment.
///
/// # Errors
/// When a call is answered with an error.
pub async fn voided(
    connection: &Connection,
    authorized: &Visited,
) -> Result<Vec<Step>, CommandError> {
    let mut payments = PaymentServiceClient::new(connection.clone());
    let payment_id = &authorized.payment.payment_id;
    let amount = authorized.stop.amount;
    let half = Money::new(amount.amount_minor() / 2, amount.currency())?;
    let increment = increment(&mut payments, payment_id, half).await?;
    let request = pb::VoidPaymentRequest {
        request_id: request_id()?,
        payment_id: payment_id.clone(),
    };
    payments.void_payment(request).await?;
    let state = look_until(async || {
        let state = current(&mut payments, payment_id).await?.state();
        Ok((state, state != pb::PaymentState::Voiding))
    })
    .await?;
    let void = Step {
        what: "void",
        amount: authorized.stop.amount,
        id: payment_id.clone(),
        state: short(state.as_str_name(), "PAYMENT_STATE_").to_owned(),
        expected: "VOIDED",
    };
    Ok(vec![authorization(authorized), increment, void])
}

fn authorization(authorized: &Visited) -> Step {
    let payment = &authorized.payment;
    Step {
        what: "authorize",
        amount: authorized.stop.amount,
        id: payment.payment_id.clone(),
        state: short(payment.state().as_str_name(), "PAYMENT_STATE_").to_owned(),
        expected: "AUTHORIZED",
    }
}

/// Holds so much more.
async fn increment(
    payments: &mut Payments,
    payment_id: &str,
    amount: Money,
) -> Result<Step, CommandError> {
    let request = pb::IncrementAuthorizationRequest {
        request_id: request_id()?,
        payment_id: payment_id.to_owned(),
        increment: Some(sent(amount)),
    };
    let answer = payments.increment_authorization(request).await?;
    let increment = answer.into_inner().increment;
    let increment = increment.ok_or("the answer holds no increment")?;
    let state = increment.state().as_str_name();
    Ok(Step {
        what: "increment",
        amount,
        state: short(state, "OPERATION_STATE_").to_owned(),
        id: increment.operation_id,
        expected: "APPROVED",
    })
}

/// Captures an amount, and waits until the bank has acknowledged it.
async fn capture(
    payments: &mut Payments,
    authorized: &Visited,
    amount: Money,
) -> Result<Step, CommandError> {
    let request = pb::CapturePaymentRequest {
        request_id: request_id()?,
        payment_id: authorized.payment.payment_id.clone(),
        amount: Some(sent(amount)),
        ..pb::CapturePaymentRequest::default()
    };
    let id = payments
        .capture_payment(request)
        .await?
        .into_inner()
        .capture_id;
    let state = look_until(async || {
        let capture_id = id.clone();
        let found = payments.get_capture(pb::GetCaptureRequest { capture_id });
        let capture = found.await?.into_inner().capture;
        let state = capture.ok_or("the answer holds no capture")?.state();
        let on_its_way = [pb::CaptureState::Recorded, pb::CaptureState::Sending];
        Ok((state, !on_its_way.contains(&state)))
    })
    .await?;
    Ok(Step {
        what: "capture",
        amount,
        id,
        state: short(state.as_str_name(), "CAPTURE_STATE_").to_owned(),
        expected: "CAPTURED",
    })
}

/// Refunds an amount of what was captured.
async fn refund(
    connection: &Connection,
    authorized: &Visited,
    amount: Money,
) -> Result<Step, CommandError> {
    let request = pb::CreateRefundRequest {
        request_id: request_id()?,
        payment_id: authorized.payment.payment_id.clone(),
        amount: Some(sent(amount)),
        ..pb::CreateRefundRequest::default()
    };
    let mut refunds = RefundServiceClient::new(connection.clone());
    let (id, state) = match refunds.create_refund(request).await {
        Ok(answer) => {
            let refund = answer.into_inner().refund;
            let refund = refund.ok_or("the answer holds no refund")?;
            let state = short(refund.state().as_str_name(), "REFUND_STATE_").to_owned();
            (refund.refund_id, state)
        }
        // That of a capture that the bank has not taken.
        Err(refusal) => (String::new(), format!("{:?}", refusal.code())),
    };
    Ok(Step {
        what: "refund",
        amount,
        id,
        state,
        expected: "REFUNDED",
    })
}

fn request_id() -> Result<String, CommandError> {
    let jti = crate::card::seal::new_jti(&SystemClock, &Random::SYSTEM)?;
    Ok(format!("life-{jti}"))
}

/// An amount as a request has it.
pub(super) fn sent(amount: Money) -> pb::Money {
    pb::Money {
        amount_minor: amount.amount_minor(),
        currency: amount.currency().to_string(),
    }
}
