//! `payswitch seal --check`: whether a sealed card is good, and if not, why.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use super::arguments::{SealArgs, SealCommandError};
use crate::card::envelope::{Binding, ClearParts, Opener, SealedCard, check_clear_parts};
use crate::card::fault::SealedCardFault;
use crate::card::header::Algorithm;
use crate::card::jwe::MAX_ENVELOPE_BYTES;
use crate::card::keys::SealingKeys;
use crate::card::master_key::MasterKey;
use crate::card::seal;
use crate::clock::{Clock as _, SystemClock};
use crate::commands::error::CommandError;
use crate::payment::money::Money;
use crate::random::Random;

/// Line ends and spaces that may stand around the sealed card.
const MOST_BLANKS: u64 = 64;

pub(super) fn run(
    arguments: &SealArgs,
    jwks: &str,
    amount: Money,
) -> Result<ExitCode, CommandError> {
    let mut text = String::new();
    let longest = u64::try_from(MAX_ENVELOPE_BYTES)? + MOST_BLANKS;
    std::io::stdin()
        .take(longest)
        .read_to_string(&mut text)
        .map_err(SealCommandError::Input)?;
    let sealed = SealedCard::from(text.trim().to_owned());
    let binding = Binding {
        merchant_id: &arguments.merchant,
        merchant_reference: &arguments.order,
        amount,
    };
    let now = SystemClock.now();
    let clear = check_clear_parts(&sealed, &binding, now).map_err(bad)?;
    check_key(&clear, jwks)?;
    let content = match &arguments.keys {
        None => "not opened: only a gateway holds the private key (--keys)".to_owned(),
        Some(folder) => {
            let master_key =
                MasterKey::load(arguments.master_key_file.as_deref(), &Random::SYSTEM)?;
            let keys = SealingKeys::load(folder, &master_key)?;
            let opened =
                Opener::new(keys, &master_key, &Random::SYSTEM)?.open(&sealed, &binding, now);
            format!("{:?}", opened.map_err(bad)?.card)
        }
    };
    let left_s = (clear.expires_at.as_i64() - now.as_i64()).div_euclid(1000);
    writeln!(
        std::io::stdout(),
        "good for {}, order {}, {amount}; expires in {left_s} s\nsealed to {} ({})\ncontent {content}\n\
         whether its `jti` was used before, only the gateway that takes it knows",
        arguments.merchant,
        arguments.order,
        clear.kid,
        clear.algorithm.name(),
    )?;
    Ok(ExitCode::SUCCESS)
}

fn bad(fault: SealedCardFault) -> SealCommandError {
    SealCommandError::Bad { fault }
}

/// A session's name is not in the key set.
fn check_key(clear: &ClearParts, jwks: &str) -> Result<(), CommandError> {
    let keys = seal::keys_of(jwks)?;
    let is_known = clear.algorithm == Algorithm::Direct
        || keys
            .iter()
            .any(|(kid, algorithm)| *kid == clear.kid && *algorithm == clear.algorithm);
    if is_known {
        Ok(())
    } else {
        Err(bad(SealedCardFault::Key).into())
    }
}
