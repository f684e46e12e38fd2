//! What `payswitch seal` takes, and why it may not succeed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::card::fault::SealedCardFault;
use crate::card::header::{Algorithm, MAX_CARD_LIFETIME_S};
use crate::merchant_api::read::text::merchant_reference;
use crate::payment::ids::MerchantId;
use crate::payment::money::{Currency, MAX_AMOUNT_MINOR};

/// What `payswitch seal` takes.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    payswitch seal --jwks demo-data/jwks.json --order order-1042 --amount-minor 1234 --card pm_test_visa\n  \
    echo '{\"pan\":\"4242424242424242\",\"expiry\":\"3012\",\"cvv\":\"123\"}' |\n      \
    payswitch seal --jwks demo-data/jwks.json --order order-1042 --amount-minor 1234\n  \
    payswitch seal --check --jwks demo-data/jwks.json --order order-1042 --amount-minor 1234 < sealed.txt\n  \
    payswitch seal ... --request | grpcurl -d @ ... payswitch.v1.PaymentService/AuthorizePayment\n\n\
    A sealed card works once, for this merchant, order, amount and currency only.\n\
    docs/sealing.md specifies it for clients in any language.")]
pub struct SealArgs {
    /// The public keys to seal to (RFC 7517): what GetSealingKeys answers, or the gateway's file.
    #[arg(long, value_name = "FILE")]
    pub(super) jwks: PathBuf,
    /// The merchant that will present the card.
    #[arg(long, value_name = "ID", default_value = "demo-shop")]
    pub(super) merchant: MerchantId,
    /// The merchant's reference of the order, `merchant_reference` in the request.
    #[arg(long, value_name = "REFERENCE", value_parser = merchant_reference)]
    pub(super) order: String,
    /// The amount in minor units: 1234 is 12.34 EUR.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=MAX_AMOUNT_MINOR))]
    pub(super) amount_minor: i64,
    /// The currency, ISO 4217.
    #[arg(long, value_name = "CODE", default_value = "EUR")]
    pub(super) currency: Currency,
    /// A test card by its token, for instance pm_test_visa.
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["pan", "expiry", "cvv", "holder"])]
    pub(super) card: Option<String>,
    /// The card number. Other users may see it in the process list: prefer standard input.
    #[arg(long, value_name = "DIGITS", requires = "expiry")]
    pub(super) pan: Option<String>,
    /// The expiry date, YYMM.
    #[arg(long, value_name = "YYMM", requires = "pan")]
    pub(super) expiry: Option<String>,
    /// The card verification value. Other users may see it, as the number.
    #[arg(long, value_name = "DIGITS", requires = "pan")]
    pub(super) cvv: Option<String>,
    /// The cardholder's name.
    #[arg(long, value_name = "NAME", requires = "pan")]
    pub(super) holder: Option<String>,
    /// How the content key is sealed.
    #[arg(long, value_enum, default_value_t = SealAlgorithm::EcdhEs)]
    pub(super) alg: SealAlgorithm,
    /// For how many seconds the sealed card is good.
    #[arg(long, value_name = "SECONDS", default_value_t = MAX_CARD_LIFETIME_S,
        value_parser = clap::value_parser!(i64).range(1..=MAX_CARD_LIFETIME_S))]
    pub(super) expires_in: i64,
    /// Print a whole AuthorizePaymentRequest as JSON instead of the sealed card alone.
    #[arg(long)]
    pub(super) request: bool,
    /// Check a sealed card from standard input instead: is it good for this merchant, order and amount now,
    /// and if not, why?
    #[arg(long, conflicts_with_all = ["request", "card", "pan", "alg", "expires_in"])]
    pub(super) check: bool,
    /// With --check: the folder of the gateway's private sealing keys, to open the card as well.
    #[arg(long, value_name = "FOLDER", requires = "check")]
    pub(super) keys: Option<PathBuf>,
    /// With --keys: the file of the master key that they are wrapped under; PAYSWITCH_MASTER_KEY takes its place.
    #[arg(long, value_name = "FILE", requires = "keys")]
    pub(super) master_key_file: Option<PathBuf>,
}

/// No field of it: the card may be among the arguments.
impl std::fmt::Debug for SealArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealArgs").finish_non_exhaustive()
    }
}

/// The algorithms that need nothing but the public keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SealAlgorithm {
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
pub(super) enum SealCommandError {
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
    #[error("the sealed card is bad ({name}): {fault}", name = fault.name())]
    Bad { fault: SealedCardFault },
}
