//! Seals a card and pays with it, captures the payment and refunds half of it: a complete payswitch client in Rust.
//!
//! ```text
//! cargo run -- demo --ready-file /tmp/ready.json          # in another terminal
//! cargo run --example authorize -- --ready-file /tmp/ready.json --amount-minor 1234
//! ```
//!
//! A call whose outcome is not known is repeated unchanged: the same request_id and the same sealed
//! card, so that the card is charged once.
//!
//! Exit code 0 when the payment is DECLINED, or captured and refunded; 1 otherwise. docs/sealing.md
//! specifies the sealed card.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a command-line program"
)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use payswitch::card::header::Algorithm;
use payswitch::card::pan::{Card, Cvv, Expiry, Holder, Pan};
use payswitch::card::seal::{self, CardClaims, Recipient, SessionClaims, SessionKey};
use payswitch::clock::{Clock as _, SystemClock};
use payswitch::grpc::client;
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::authorize_payment_request::PaymentMethod;
use payswitch::merchant_api::pb::payment_service_client::PaymentServiceClient;
use payswitch::merchant_api::pb::refund_service_client::RefundServiceClient;
use payswitch::merchant_api::pb::sealing_service_client::SealingServiceClient;
use payswitch::payment::money::{Currency, Money};
use payswitch::random::Random;
use serde::Deserialize;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

/// For how long a sealed card is good, in seconds.
const CARD_LIFETIME_S: i64 = 300;
/// For how long a session key is good, in seconds.
const SESSION_LIFETIME_S: i64 = 3600;
/// How often a call is made at most.
const ATTEMPTS: u32 = 6;
/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after the first attempt; twice as long after each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// A connection that carries the merchant's API key.
type Connection = InterceptedService<Channel, ApiKey>;

/// Seals a card and pays with it, captures the payment and refunds half of it.
#[derive(Parser)]
struct Arguments {
    /// What `payswitch demo --ready-file` wrote.
    #[arg(long, value_name = "FILE")]
    ready_file: PathBuf,
    /// The card number.
    #[arg(long, default_value = "4242424242424242")]
    pan: String,
    /// The expiry date, YYMM.
    #[arg(long, default_value = "3012")]
    expiry: String,
    /// The card verification value.
    #[arg(long, default_value = "123")]
    cvv: String,
    /// The cardholder's name.
    #[arg(long)]
    holder: Option<String>,
    /// The amount in minor units.
    #[arg(long, default_value_t = 1234)]
    amount_minor: i64,
    /// The currency, ISO 4217.
    #[arg(long, default_value = "EUR")]
    currency: Currency,
    /// The merchant's reference of the order; a new one when left out.
    #[arg(long)]
    order: Option<String>,
    /// The id of the request; a new one when left out. Each run seals the card anew, so an id that was
    /// used before is refused.
    #[arg(long)]
    request_id: Option<String>,
    /// How the content key is sealed.
    #[arg(long, value_enum, default_value_t = Sealing::EcdhEs)]
    alg: Sealing,
    /// Set up a session key first, and seal the card under it.
    #[arg(long)]
    session: bool,
    /// Print the sealed card and stop; reads `merchant_id` and `jwks_path` only.
    #[arg(long)]
    seal_only: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sealing {
    #[value(name = "ECDH-ES")]
    EcdhEs,
    #[value(name = "RSA-OAEP-256")]
    RsaOaep256,
}

/// What a client has to know of a gateway.
#[derive(Deserialize)]
struct Ready {
    #[serde(default)]
    merchant_api: String,
    #[serde(default)]
    server_name: String,
    #[serde(default)]
    ca_path: PathBuf,
    #[serde(default)]
    api_key: String,
    merchant_id: String,
    jwks_path: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match pay(&Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            match error.downcast_ref::<Status>() {
                Some(status) => eprintln!("{}", explain(status)),
                None => eprintln!("{error}"),
            }
            ExitCode::FAILURE
        }
    }
}

async fn pay(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let ready: Ready = serde_json::from_slice(&read(&arguments.ready_file)?)?;
    let algorithm = match arguments.alg {
        Sealing::EcdhEs => Algorithm::EcdhEs,
        Sealing::RsaOaep256 => Algorithm::RsaOaep256,
    };
    let jwks = String::from_utf8(read(&ready.jwks_path)?)?;
    let gateway_key = Recipient::from_jwks(&jwks, algorithm, &Random::SYSTEM)?;
    let order = match &arguments.order {
        Some(order) => order.clone(),
        None => format!("order-{}", seal::new_jti(&SystemClock, &Random::SYSTEM)?),
    };
    if arguments.seal_only {
        println!(
            "{}",
            seal_card(&gateway_key, arguments, &ready.merchant_id, &order)?
        );
        return Ok(ExitCode::SUCCESS);
    }

    let ca = read(&ready.ca_path)?;
    let address = ready.merchant_api.parse()?;
    let channel = client::connect(address, &ready.server_name, &ca, None).await?;
    let api_key = ApiKey::new(&ready.api_key)?;
    let recipient = if arguments.session {
        open_session(&channel, &api_key, &gateway_key, &ready.merchant_id).await?
    } else {
        gateway_key
    };
    let request = pb::AuthorizePaymentRequest {
        request_id: match &arguments.request_id {
            Some(request_id) => request_id.clone(),
            None => seal::new_jti(&SystemClock, &Random::SYSTEM)?,
        },
        amount: Some(pb::Money {
            amount_minor: arguments.amount_minor,
            currency: arguments.currency.to_string(),
        }),
        merchant_reference: order.clone(),
        payment_method: Some(PaymentMethod::SealedCard(seal_card(
            &recipient,
            arguments,
            &ready.merchant_id,
            &order,
        )?)),
        ..Default::default()
    };
    // Printed before it is sent: whatever happens, it is known what was asked.
    line("request", &request.request_id);
    line("order", &order);
    let connection = api_key.on(channel);
    let mut payments = PaymentServiceClient::new(connection.clone());
    let answer = ask(request, async |request| {
        payments.authorize_payment(request).await
    });
    let payment = answer.await?.payment.ok_or("the answer holds no payment")?;
    show(&payment);
    match payment.state() {
        pb::PaymentState::Authorized => go_on(connection, *payment).await,
        pb::PaymentState::Declined => Ok(ExitCode::SUCCESS),
        _ => Ok(ExitCode::FAILURE),
    }
}

/// Captures all that is held, and refunds half of it. One `request_id` for each payment: run again, it would not
/// capture twice.
async fn go_on(connection: Connection, payment: pb::Payment) -> Result<ExitCode, Box<dyn Error>> {
    let mut payments = PaymentServiceClient::new(connection.clone());
    let request = pb::CapturePaymentRequest {
        request_id: format!("capture-{}", payment.payment_id),
        payment_id: payment.payment_id.clone(),
        ..Default::default()
    };
    let answer = ask(request, async |request| {
        payments.capture_payment(request).await
    });
    let capture = answer.await?.capture.ok_or("the answer holds no capture")?;
    let state = capture.state().as_str_name();
    let state = state.trim_start_matches("CAPTURE_STATE_");
    line("capture", &format!("{} {state}", capture.capture_id));

    let mut refunds = RefundServiceClient::new(connection);
    let request = pb::CreateRefundRequest {
        request_id: format!("refund-{}", payment.payment_id),
        payment_id: payment.payment_id,
        amount: payment.amount.map(|amount| pb::Money {
            amount_minor: (amount.amount_minor / 2).max(1),
            ..amount
        }),
        ..Default::default()
    };
    let answer = ask(request, async |request| {
        refunds.create_refund(request).await
    });
    let refund = answer.await?.refund.ok_or("the answer holds no refund")?;
    let state = refund.state().as_str_name();
    let state = state.trim_start_matches("REFUND_STATE_");
    line("refund", &format!("{} {state}", refund.refund_id));
    Ok(match refund.state() {
        pb::RefundState::Refunded => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{} can't be read: {error}", path.display()))
}

/// Makes a call, and makes it again with the same request where its outcome is not known. The gateway does once what
/// one `request_id` asks for, and answers each repetition alike. A refund is ABORTED while the bank has not
/// acknowledged its capture, and is worth repeating too.
async fn ask<Q: Clone, A>(
    request: Q,
    mut call: impl AsyncFnMut(Q) -> Result<Response<A>, Status>,
) -> Result<A, Status> {
    let mut wait = FIRST_WAIT;
    let mut attempt = 1;
    loop {
        let answer = call(request.clone());
        let status = match tokio::time::timeout(ATTEMPT_TIMEOUT, answer).await {
            Ok(Ok(answer)) => return Ok(answer.into_inner()),
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded("no answer in time"),
        };
        if attempt == ATTEMPTS || !is_worth_repeating(status.code()) {
            return Err(status);
        }
        eprintln!(
            "{:?}: {}; the same request again in {wait:?}",
            status.code(),
            status.message()
        );
        tokio::time::sleep(wait).await;
        wait *= 2;
        attempt += 1;
    }
}

fn is_worth_repeating(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::Aborted
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            // What tonic says of a connection that broke; the gateway itself never answers these.
            | Code::Unknown
            | Code::Cancelled
    )
}

/// Seals the card for one order and one amount.
fn seal_card(
    recipient: &Recipient,
    arguments: &Arguments,
    merchant_id: &str,
    order: &str,
) -> Result<String, Box<dyn Error>> {
    let cvv = (!arguments.cvv.is_empty()).then_some(arguments.cvv.as_str());
    let card = Card {
        pan: Pan::from_digits(&arguments.pan)?,
        expiry: Expiry::from_yymm(&arguments.expiry)?,
        cvv: cvv.map(Cvv::from_digits).transpose()?,
        holder: arguments.holder.as_deref().map(Holder::new).transpose()?,
    };
    let claims = CardClaims {
        merchant: merchant_id,
        order,
        amount: Money::new(arguments.amount_minor, arguments.currency)?,
        jti: &seal::new_jti(&SystemClock, &Random::SYSTEM)?,
        issued_at: SystemClock.now(),
        lifetime_s: CARD_LIFETIME_S,
    };
    Ok(recipient.seal_card(&card, &claims)?.as_str().to_owned())
}

/// Sets up a symmetric key of our own choice, under which many cards can then be sealed.
async fn open_session(
    channel: &Channel,
    api_key: &ApiKey,
    gateway_key: &Recipient,
    merchant_id: &str,
) -> Result<Recipient, Box<dyn Error>> {
    let session_key = SessionKey::generate(&Random::SYSTEM)?;
    let claims = SessionClaims {
        merchant: merchant_id,
        jti: &seal::new_jti(&SystemClock, &Random::SYSTEM)?,
        issued_at: SystemClock.now(),
        lifetime_s: SESSION_LIFETIME_S,
    };
    let request = pb::CreateSealingSessionRequest {
        sealed_session_key: gateway_key.seal_session_key(&session_key, &claims)?,
    };
    let answer = SealingServiceClient::new(api_key.clone().on(channel.clone()))
        .create_sealing_session(request)
        .await?;
    Ok(Recipient::session(
        answer.into_inner().kid,
        &session_key,
        &Random::SYSTEM,
    )?)
}

fn line(name: &str, value: &str) {
    println!("{name:14} {value}");
}

/// Prints what became of the payment, one line for each thing worth knowing.
fn show(payment: &pb::Payment) {
    line("payment", &payment.payment_id);
    line(
        "state",
        payment
            .state()
            .as_str_name()
            .trim_start_matches("PAYMENT_STATE_"),
    );
    if let Some(amount) = &payment.amount {
        let text = format!("{} minor units of {}", amount.amount_minor, amount.currency);
        line("amount", &text);
    }
    if let Some(card) = &payment.card {
        line("card", &format!("{}...{}", card.bin, card.last4));
    }
    let authorization = payment.authorization.clone().unwrap_or_default();
    if !authorization.approval_code.is_empty() {
        line("approval code", &authorization.approval_code);
    }
    if let Some(decline) = &payment.decline {
        let reason = decline
            .reason()
            .as_str_name()
            .trim_start_matches("DECLINE_REASON_");
        line(
            "declined",
            &format!("{reason} (DE 39 {})", decline.response_code),
        );
    }
    if payment.pending.is_some() {
        line(
            "pending",
            "the outcome is not known yet: do not charge again",
        );
    }
    line("STAN", &authorization.stan);
    line("RRN", &authorization.rrn);
}

/// The reason of an error, its metadata, and every field that is wrong.
fn explain(status: &Status) -> String {
    let mut lines = format!("{:?}: {}", status.code(), status.message());
    // Each detail has a message of its own in google.rpc.
    let details = status.get_error_details();
    if let Some(info) = details.error_info() {
        let outcome = info.metadata.get("outcome").map_or("", String::as_str);
        lines += &format!("\n{}, outcome {outcome}", info.reason);
    }
    for violation in details
        .bad_request()
        .into_iter()
        .flat_map(|bad| &bad.field_violations)
    {
        lines += &format!("\n{}: {}", violation.field, violation.description);
    }
    lines
}
