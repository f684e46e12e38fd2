//! `payswitch seal`: seals a card, ready to paste into a request; `--check` says what is wrong with a sealed one.

pub mod arguments;
mod check;

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use zeroize::Zeroizing;

use self::arguments::{SealArgs, SealCommandError};
use super::error::CommandError;
use crate::card::pan::{Card, Cvv, Expiry, Holder, Pan};
use crate::card::seal::{self, CardClaims, Recipient};
use crate::card::test_methods::TestPaymentMethods;
use crate::clock::{Clock as _, SystemClock};
use crate::payment::money::Money;
use crate::random::Random;

/// The most that is read from standard input, in bytes: a card is far smaller.
const MAX_INPUT_BYTES: u64 = 4096;

/// Seals the card and prints it.
///
/// # Errors
/// When the keys can't be read, the card is none or, with `--check`, bad, the amount is out of range, or standard
/// output can't be written.
pub fn run(arguments: SealArgs) -> Result<ExitCode, CommandError> {
    let jwks = std::fs::read_to_string(&arguments.jwks).map_err(|source| {
        let path = arguments.jwks.clone();
        SealCommandError::Jwks { path, source }
    })?;
    let amount = Money::new(arguments.amount_minor, arguments.currency)?;
    if arguments.check {
        return check::run(&arguments, &jwks, amount);
    }
    let recipient = Recipient::from_jwks(&jwks, arguments.alg.into(), &Random::SYSTEM)?;
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
