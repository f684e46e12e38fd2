//! Pays with each test card through the real gRPC edge, and shows what came of it.

use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Color, Table};
use tokio::time::Instant;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::card::pan::{Card, Cvv, Expiry, Pan};
use crate::card::seal::{self, CardClaims, Recipient};
use crate::clock::{Clock as _, SystemClock};
use crate::commands::error::CommandError;
use crate::merchant_api::client::ApiKey;
use crate::merchant_api::pb;
use crate::merchant_api::pb::authorize_payment_request::PaymentMethod;
use crate::merchant_api::pb::payment_service_client::PaymentServiceClient;
use crate::merchant_api::transport::trailers::{BANK_US, OWN_US};
use crate::payment::money::Money;
use crate::random::Random;

/// How long a sealed card of the tour is good for, in seconds.
const SEALED_FOR_S: i64 = 120;

/// How long what follows a call by itself may take: an acknowledgement, a reversal.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A connection that carries the merchant's API key.
pub type Connection = InterceptedService<Channel, ApiKey>;

/// The payments of a merchant.
pub type Payments = PaymentServiceClient<Connection>;

/// A card to pay with, and what should come of it.
#[derive(Debug, Clone)]
pub struct Stop {
    /// What the card is for.
    pub what: String,
    /// A public test number.
    pub pan: String,
    /// `YYMM`.
    pub expiry_yymm: String,
    /// Three or four digits.
    pub cvv: String,
    /// How much.
    pub amount: Money,
    /// The state that should come of it.
    pub state: pb::PaymentState,
    /// DE 39 as it should come; empty when no bank's answer is expected in time.
    pub response_code: String,
}

/// What came of one stop.
pub struct Visited {
    /// The stop.
    pub stop: Stop,
    /// The payment as the merchant was told.
    pub payment: pb::Payment,
    bank_us: Option<u64>,
    own_us: Option<u64>,
    took: Duration,
}

impl Visited {
    /// Whether it came out as expected.
    #[must_use]
    pub fn as_expected(&self) -> bool {
        self.payment.state() == self.stop.state
            && response_code(&self.payment) == self.stop.response_code
    }
}

fn response_code(payment: &pb::Payment) -> &str {
    let authorization = payment.authorization.as_ref();
    authorization.map_or("", |authorization| &authorization.response_code)
}

/// Seals the card and authorizes it.
///
/// # Errors
/// When the card can't be sealed, or the call is answered with an error.
pub async fn pay(
    payments: &mut Payments,
    recipient: &Recipient,
    merchant_id: &str,
    stop: Stop,
) -> Result<Visited, CommandError> {
    let card = Card {
        pan: Pan::from_digits(&stop.pan)?,
        expiry: Expiry::from_yymm(&stop.expiry_yymm)?,
        cvv: Some(Cvv::from_digits(&stop.cvv)?),
        holder: None,
    };
    let jti = seal::new_jti(&SystemClock, &Random::SYSTEM)?;
    let order = format!("tour-{}", jti.get(..20).unwrap_or(&jti));
    let claims = CardClaims {
        merchant: merchant_id,
        order: &order,
        amount: stop.amount,
        jti: &jti,
        issued_at: SystemClock.now(),
        lifetime_s: SEALED_FOR_S,
    };
    let sealed = recipient.seal_card(&card, &claims)?;
    let request = pb::AuthorizePaymentRequest {
        request_id: format!("tour-{jti}"),
        amount: Some(pb::Money {
            amount_minor: stop.amount.amount_minor(),
            currency: stop.amount.currency().to_string(),
        }),
        merchant_reference: order,
        payment_method: Some(PaymentMethod::SealedCard(sealed.as_str().to_owned())),
        ..pb::AuthorizePaymentRequest::default()
    };
    let started = Instant::now();
    let response = payments.authorize_payment(request).await?;
    let took = started.elapsed();
    let trailer = |name: &str| response.metadata().get(name)?.to_str().ok()?.parse().ok();
    let (bank_us, own_us) = (trailer(BANK_US.as_str()), trailer(OWN_US.as_str()));
    let payment = response
        .into_inner()
        .payment
        .ok_or("the answer holds no payment")?;
    Ok(Visited {
        stop,
        payment: *payment,
        bank_us,
        own_us,
        took,
    })
}

/// What happened, a row for each card.
#[must_use]
pub fn table(visited: &[Visited]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header([
        "card", "for", "payment", "amount", "state", "reason", "DE 39", "RRN", "bank ms", "own ms",
        "",
    ]);
    for visit in visited {
        let payment = &visit.payment;
        let color = match payment.state() {
            pb::PaymentState::Authorized => Color::Green,
            pb::PaymentState::Authorizing => Color::Yellow,
            _ => Color::Red,
        };
        let card = payment.card.as_ref();
        let masked = card.map_or(String::new(), |card| format!("{}…{}", card.bin, card.last4));
        let verdict = if visit.as_expected() {
            "✓"
        } else {
            "✗ not as expected"
        };
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(masked),
            Cell::new(&visit.stop.what),
            Cell::new(&payment.payment_id),
            right(visit.stop.amount.to_string()),
            Cell::new(short(payment.state().as_str_name(), "PAYMENT_STATE_")).fg(color),
            Cell::new(reason(payment)),
            Cell::new(response_code(payment)),
            Cell::new(payment.rrn()),
            right(millis(visit.bank_us.filter(|us| *us > 0))),
            right(millis(visit.own_us)),
            Cell::new(verdict),
        ]);
    }
    table
}

/// The payment as the gateway shows it now.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn current(
    payments: &mut Payments,
    payment_id: &str,
) -> Result<pb::Payment, CommandError> {
    let request = pb::GetPaymentRequest {
        payment_id: payment_id.to_owned(),
    };
    let found = payments.get_payment(request).await?.into_inner().payment;
    found.ok_or_else(|| "the answer holds no payment".into())
}

/// Looks until `look` says that it has seen what it looks for, half a minute at most. Gives what it saw last.
///
/// # Errors
/// Those of `look`.
pub async fn look_until<T>(
    mut look: impl AsyncFnMut() -> Result<(T, bool), CommandError>,
) -> Result<T, CommandError> {
    let give_up_at = Instant::now() + SETTLED_WITHIN;
    loop {
        let (seen, is_it) = look().await?;
        if is_it || Instant::now() >= give_up_at {
            return Ok(seen);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The name of a state without what all names of its kind begin with.
#[must_use]
pub fn short<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

fn reason(payment: &pb::Payment) -> String {
    if let Some(decline) = &payment.decline {
        return short(decline.reason().as_str_name(), "DECLINE_REASON_").to_lowercase();
    }
    if let Some(failure) = &payment.failure {
        return short(failure.reason().as_str_name(), "FAILURE_REASON_").to_lowercase();
    }
    match &payment.pending {
        Some(pending) => {
            let reason = short(pending.reason().as_str_name(), "PENDING_REASON_").to_lowercase();
            if pending.reversal_owed {
                format!("{reason}, reversal owed")
            } else {
                reason
            }
        }
        None => String::new(),
    }
}

fn millis(us: Option<u64>) -> String {
    us.map_or("-".into(), |us| {
        // Two decimals are what a person can use.
        format!("{}.{:02}", us / 1000, us % 1000 / 10)
    })
}

/// The slowest answer of the tour: every one must come within five seconds.
#[must_use]
pub fn slowest(visited: &[Visited]) -> Duration {
    visited
        .iter()
        .map(|visit| visit.took)
        .max()
        .unwrap_or_default()
}
