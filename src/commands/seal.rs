//! `payswitch seal`: seals a card, ready to paste into a request.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use zeroize::Zeroizing;

use super::error::CommandError;
use crate::card::header::{Algorithm, MAX_CARD_LIFETIME_S};
use crate::card::pan::{Card, Cvv, Expiry, Holder, Pan};
use crate::card::seal::{self, CardClaims, Recipient};
use crate::card::test_methods::TestPaymentMethods;
use crate::clock::{Clock as _, SystemClock};
use crate::merchant_api::read::text::merchant_reference;
use crate::payment::ids::MerchantId;
use crate::payment::money::{Currency, MAX_AMOUNT_MINOR, Money};
use crate::random::Random;

/// The most that is read from standard input, in bytes: a card is far smaller.
const MAX_INPUT_BYTES: u64 = 4096;

/// What `payswitch seal` takes.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    payswitch seal --jwks demo-data/jwks.json --order order-1042 --amount-minor 1234 --card pm_test_visa\n  \
    echo '{\"pan\":\"4242424242424242\",\"expiry\":\"3012\",\"cvv\":\"123\"}' |\n      \
    payswitch seal --jwks demo-data/jwks.json --order order-1042 --amount-minor 1234\n  \
    payswitch seal ... --request | grpcurl -d @ ... payswitch.v1.PaymentService/AuthorizePayment\n\n\
    A sealed card works once, for this merchant, order, amount and currency only.\n\
    docs/sealing.md specifies it for clients in any language.")]
pub struct SealArgs {
    /// The public keys to seal to (RFC 7517): what GetSealingKeys answers, or the gateway's file.
    #[arg(long, value_name = "FILE")]
    jwks: PathBuf,
    /// The merchant that will present the card.
    #[arg(long, value_name = "ID", default_value = "demo-shop")]
    merchant: MerchantId,
    /// The merchant's reference of the order, `merchant_reference` in the request.
    #[arg(long, value_name = "REFERENCE", value_parser = merchant_reference)]
    order: String,
    /// The amount in minor units: 1234 is 12.34 EUR.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=MAX_AMOUNT_MINOR))]
    amount_minor: i64,
    /// The currency, ISO 4217.
    #[arg(long, value_name = "CODE", default_value = "EUR")]
    currency: Currency,
    /// A test card by its token, for instance pm_test_visa.
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["pan", "expiry", "cvv", "holder"])]
    card: Option<String>,
    /// The card number. Other users may see it in the process list: prefer standard input.
    #[arg(long, value_name = "DIGITS", requires = "expiry")]
    pan: Option<String>,
    /// The expiry date, YYMM.
    #[arg(long, value_name = "YYMM", requires = "pan")]
    expiry: Option<String>,
    /// The card verification value. Other users may see it, as the number.
    #[arg(long, value_name = "DIGITS", requires = "pan")]
    cvv: Option<String>,
    /// The cardholder's name.
    #[arg(long, value_name = "NAME", requires = "pan")]
    holder: Option<String>,
    /// How the content key is sealed.
    #[arg(long, value_enum, default_value_t = SealAlgorithm::EcdhEs)]
    alg: SealAlgorithm,
    /// For how many seconds the sealed card is good.
    #[arg(long, value_name = "SECONDS", default_value_t = MAX_CARD_LIFETIME_S,
        value_parser = clap::value_parser!(i64).range(1..=MAX_CARD_LIFETIME_S))]
    expires_in: i64,
    /// Print a whole AuthorizePaymentRequest as JSON instead of the sealed card alone.
    #[arg(long)]
    request: bool,
}

/// No field of it: the card may be among the arguments.
impl std::fmt::Debug for SealArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealArgs").finish_non_exhaustive()
    }
}

/// The algorithms that need nothing but the public keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SealAlgorithm {
    /// Key agreement on P-256: fast.
    #[value(name = "ECDH-ES")]
    EcdhEs,
    /// Encryption to an RSA key, for libraries without key agreement.
    #[value(name = "RSA-OAEP-256")]
    RsaOaep256,
}

impl From<SealAlgorithm> for Algorithm {
    fn from(algorithm: SealAlgorithm) -> Self {
        match algorithm {
            SealAlgorithm::EcdhEs => Self::EcdhEs,
            SealAlgorithm::RsaOaep256 => Self::RsaOaep256,
        }
    }
}

/// Why no card was sealed.
#[derive(Debug, thiserror::Error)]
enum SealCommandError {
    #[error("`{}` can't be read", path.display())]
    Jwks {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("standard input can't be read")]
    Input(#[source] std::io::Error),
    #[error("expected --card with a test payment method's token, for instance pm_test_visa")]
    UnknownTestCard,
    #[error(
        "expected a card on standard input as JSON, for instance \
         {{\"pan\":\"4242424242424242\",\"expiry\":\"3012\",\"cvv\":\"123\"}}: 12 to 19 digits with a valid \
         check digit, year and month, and 3 or 4 digits or no cvv"
    )]
    NotACard,
}

/// Seals the card and prints it.
///
/// # Errors
/// When the keys can't be read, the card is none, the amount is out of range, or standard output
/// can't be written.
pub fn run(arguments: SealArgs) -> Result<ExitCode, CommandError> {
    let jwks = std::fs::read_to_string(&arguments.jwks).map_err(|source| {
        let path = arguments.jwks.clone();
        SealCommandError::Jwks { path, source }
    })?;
    let recipient = Recipient::from_jwks(&jwks, arguments.alg.into(), &Random::SYSTEM)?;
    let amount = Money::new(arguments.amount_minor, arguments.currency)?;
    let jti = seal::new_jti(&SystemClock, &Random::SYSTEM)?;
    let card = card(&arguments)?;
    let claims = CardClaims {
        merchant: arguments.merchant.as_str(),
        order: &arguments.order,
        amount,
        jti: &jti,
        issued_at: SystemClock.now(),
        lifetime_s: arguments.expires_in,
    };
    let sealed = recipient.seal_card(&card, &claims)?;
    let answer = if arguments.request {
        let request = serde_json::json!({
            "request_id": seal::new_jti(&SystemClock, &Random::SYSTEM)?,
            "amount": { "amount_minor": arguments.amount_minor, "currency": arguments.currency },
            "merchant_reference": arguments.order,
            "sealed_card": sealed.as_str(),
        });
        request.to_string()
    } else {
        sealed.as_str().to_owned()
    };
    writeln!(std::io::stdout(), "{answer}")?;
    Ok(ExitCode::SUCCESS)
}

fn card(arguments: &SealArgs) -> Result<Card, CommandError> {
    if let Some(token) = &arguments.card {
        let card = TestPaymentMethods::new(true).card(token);
        return Ok(card.ok_or(SealCommandError::UnknownTestCard)?);
    }
    if let (Some(pan), Some(expiry)) = (&arguments.pan, &arguments.expiry) {
        warn("the card was given as arguments, which other users may see in the process list");
        return Ok(Card {
            pan: Pan::from_digits(pan)?,
            expiry: Expiry::from_yymm(expiry)?,
            cvv: arguments.cvv.as_deref().map(Cvv::from_digits).transpose()?,
            holder: arguments.holder.as_deref().map(Holder::new).transpose()?,
        });
    }
    if std::io::stdin().is_terminal() {
        warn("reading the card as JSON from standard input; end it with Ctrl-D");
    }
    let mut json = Zeroizing::new(Vec::with_capacity(8192));
    std::io::stdin()
        .take(MAX_INPUT_BYTES)
        .read_to_end(&mut json)
        .map_err(SealCommandError::Input)?;
    Ok(seal::card_from_json(json.trim_ascii()).ok_or(SealCommandError::NotACard)?)
}

#[expect(
    clippy::print_stderr,
    reason = "standard output is for the sealed card alone"
)]
fn warn(text: &str) {
    eprintln!("payswitch seal: {text}");
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: SealArgs,
    }

    /// What was wrong with the arguments; nothing when they were taken.
    fn refusal(order: &str, amount_minor: &str) -> String {
        let line = Line::try_parse_from([
            "seal",
            "--jwks=jwks.json",
            &format!("--order={order}"),
            &format!("--amount-minor={amount_minor}"),
        ]);
        line.map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn what_the_api_would_refuse_is_not_sealed() {
        let longest = "x".repeat(64);
        for (order, amount) in [("order-1042", "1"), (&longest, "999999999999")] {
            assert_eq!(refusal(order, amount), "");
        }
        let too_long = "x".repeat(65);
        for (order, amount, expected) in [
            ("order-1042", "0", "0 is not in 1..=999999999999"),
            ("order-1042", "-5", "-5 is not in 1..=999999999999"),
            ("order-1042", "1000000000000", "is not in 1..=999999999999"),
            (
                "",
                "1",
                "expected 1 to 64 printable ASCII characters, got nothing",
            ),
            (&too_long, "1", "got 65 characters"),
            ("caf\u{e9}", "1", "got the character U+00E9 at position 4"),
            ("4242424242424242", "1", "a card number in clear"),
        ] {
            let refusal = refusal(order, amount);
            assert!(
                refusal.contains(expected),
                "expected {expected:?} in {refusal:?}"
            );
        }
    }
}
