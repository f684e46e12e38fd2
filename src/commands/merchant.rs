//! `payswitch merchant`: adds merchants and their API keys, stops them, and sets their terms.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use comfy_table::Table;

use super::error::CommandError;
use super::merchant_terms::{self, AccountArgs, DetailsArgs, PlanArgs, TermsArgs};
use super::moment::second;
use super::output::{print_line, table};
use super::runtime::runtime;
use crate::app::issue;
use crate::card::master_key::{self, MasterKey};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::hosts::message::local_clock::is_time_zone;
use crate::payment::ids::{HostId, MerchantId};
use crate::payment::merchant::Merchant;
use crate::random::Random;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::callers::ApiKeyRecord;

/// What `payswitch merchant` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch merchant add demo-shop --name 'Demo Shop' --city Berlin --country DE \\\n      \
    --country-numeric 276 --mcc 5732 --terminal WEB00001 --acceptor DEMOSHOP0000001 \\\n      \
    --acquirer acquirer\n  \
    payswitch merchant key demo-shop --label 'shop backend'\n  \
    payswitch merchant keys demo-shop\n  \
    payswitch merchant deactivate demo-shop\n  \
    payswitch merchant list\n  \
    payswitch merchant terms demo-shop\n  \
    payswitch merchant details demo-shop --legal-name 'Demo Shop GmbH' --reason 'register of 2026-11-20'\n  \
    payswitch merchant fees demo-shop --file fees.toml --reason 'contract of 2026-11-01'\n  \
    payswitch merchant payouts demo-shop --file payouts.toml --reason 'contract of 2026-11-01'\n  \
    payswitch merchant account demo-shop --iban DE89370400440532013000 --name 'Demo Shop GmbH' \\\n      \
    --reason 'letter of 2026-11-20'\n  \
    payswitch merchant account demo-shop --confirm acc_06e... --reason 'checked by telephone'\n\n\
    terms, details, fees, payouts and account ask a running gateway, as an operator; the others need the configuration.")]
pub struct MerchantArgs {
    /// The configuration file; without it, the defaults and the environment.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a merchant.
    Add(AddArgs),
    /// Make an API key for a merchant and print it. It is shown once and kept nowhere in clear.
    Key {
        /// The merchant.
        merchant: MerchantId,
        /// What the key is for.
        #[arg(long, default_value = "", value_parser = printable::<0, 64>)]
        label: String,
    },
    /// List a merchant's API keys: their public parts, what they are for, and since when they are good.
    Keys {
        /// The merchant.
        merchant: MerchantId,
    },
    /// Revoke an API key.
    Revoke {
        /// The public part of the key: what stands before the dot, for instance sk_live_5f0c9d2e8a71b364.
        key_id: String,
    },
    /// Let a merchant take no new payments. What it has it can still look up.
    Deactivate {
        /// The merchant.
        merchant: MerchantId,
    },
    /// Let a merchant take payments again.
    Activate {
        /// The merchant.
        merchant: MerchantId,
    },
    /// List the merchants.
    List,
    /// Show what a merchant pays, when it is paid, how it is named, and the changes of its account.
    Terms(TermsArgs),
    /// Set a merchant's legal name and its time zone.
    Details(DetailsArgs),
    /// Set what a merchant pays.
    Fees(PlanArgs),
    /// Set when a merchant is paid.
    Payouts(PlanArgs),
    /// Ask for another account that a merchant's payouts go to, confirm that as another operator, or cancel it.
    Account(AccountArgs),
}

#[derive(Debug, Args)]
struct AddArgs {
    /// Its name in the API and in client certificates: a-z, 0-9, '-' and '_'.
    merchant: MerchantId,
    /// Its name for people, 1 to 22 characters (DE 43).
    #[arg(long, value_parser = printable::<1, 22>)]
    name: String,
    /// Its city, 1 to 13 characters (DE 43).
    #[arg(long, value_parser = printable::<1, 13>)]
    city: String,
    /// Its country, ISO 3166-1 alpha-2.
    #[arg(long, value_parser = country)]
    country: String,
    /// Its country, ISO 3166-1 numeric (DE 19).
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=999))]
    country_numeric: u16,
    /// Merchant category code, four digits (DE 18).
    #[arg(long, value_parser = mcc)]
    mcc: String,
    /// Terminal identification, eight characters (DE 41).
    #[arg(long, value_parser = printable::<8, 8>)]
    terminal: String,
    /// Card acceptor identification, 1 to 15 characters (DE 42).
    #[arg(long, value_parser = printable::<1, 15>)]
    acceptor: String,
    /// The host profile that its card payments go to.
    #[arg(long)]
    acquirer: HostId,
    /// The IANA time zone of its clock (DE 12 and DE 13), for instance Europe/Madrid.
    #[arg(long, default_value = "UTC", value_parser = time_zone)]
    time_zone: String,
}

fn printable<const MIN: usize, const MAX: usize>(text: &str) -> Result<String, String> {
    let fits = (MIN..=MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
        && text.trim() == text;
    fits.then(|| text.to_owned()).ok_or_else(|| {
        let length = if MIN == MAX {
            MIN.to_string()
        } else {
            format!("{MIN} to {MAX}")
        };
        format!("expected {length} printable ASCII characters without outer spaces")
    })
}

fn country(text: &str) -> Result<String, String> {
    let fits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    fits.then(|| text.to_owned())
        .ok_or_else(|| "expected two capital letters".to_owned())
}

fn mcc(text: &str) -> Result<String, String> {
    let fits = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.to_owned())
        .ok_or_else(|| "expected four digits".to_owned())
}

fn time_zone(text: &str) -> Result<String, String> {
    is_time_zone(text)
        .then(|| text.to_owned())
        .ok_or_else(|| "expected an IANA time zone, for instance Europe/Madrid".to_owned())
}

/// Does what was asked.
///
/// # Errors
/// When the configuration or the database can't be used, or the merchant is unknown or known already.
pub fn run(arguments: MerchantArgs) -> Result<ExitCode, CommandError> {
    match arguments.action {
        Action::Terms(arguments) => return merchant_terms::show(arguments),
        Action::Details(arguments) => return merchant_terms::set_details(arguments),
        Action::Fees(arguments) => return merchant_terms::set_fees(arguments),
        Action::Payouts(arguments) => return merchant_terms::set_payouts(arguments),
        Action::Account(arguments) => return merchant_terms::change_account(arguments),
        _ => {}
    }
    let config = Config::load(arguments.config.as_deref())?;
    runtime()?.block_on(async {
        let store = Store::open(&config.store, Arc::new(SystemClock), &Random::SYSTEM).await?;
        let done = act(&store, &config, arguments.action).await;
        store.close().await;
        done
    })
}

async fn act(store: &Store, config: &Config, action: Action) -> Result<ExitCode, CommandError> {
    match action {
        Action::Add(arguments) => {
            let merchant = Merchant {
                id: arguments.merchant,
                name: arguments.name,
                city: arguments.city,
                country: arguments.country,
                country_numeric: arguments.country_numeric,
                mcc: arguments.mcc,
                terminal_id: arguments.terminal,
                acceptor_id: arguments.acceptor,
                acquirer: arguments.acquirer,
                time_zone: arguments.time_zone,
                active: true,
            };
            store
                .insert_merchant(&merchant)
                .await
                .map_err(|error| match error {
                    StoreError::Conflict { .. } => {
                        format!("merchant {} is there already", merchant.id).into()
                    }
                    error => CommandError::from(error),
                })?;
            print_line!("added merchant {}", merchant.id)?;
            let profile = config
                .hosts
                .profiles
                .join(format!("{}.toml", merchant.acquirer));
            if !profile.exists() {
                print_line!(
                    "Its payments are refused (NO_ROUTE) until there is a host profile {}.",
                    profile.display()
                )?;
            }
        }
        Action::Key { merchant, label } => {
            let master_key =
                MasterKey::load(config.card.master_key_file.as_deref(), &Random::SYSTEM)?;
            try_master_key(&config.card.sealing_keys, &master_key)?;
            expect_merchant(store, &merchant).await?;
            let key =
                issue::issue_api_key(store, &master_key, config.environment, &merchant, &label)
                    .await?;
            print_line!("{}", key.as_str())?;
        }
        Action::Keys { merchant } => {
            expect_merchant(store, &merchant).await?;
            print_line!("{}", key_table(&store.api_keys_of(&merchant).await?)?)?;
        }
        Action::Revoke { key_id } => {
            store.revoke_api_key(&key_id, SystemClock.now()).await?;
            print_line!("revoked {key_id}")?;
        }
        Action::Deactivate { merchant } => {
            set_active(store, &merchant, false).await?;
            print_line!("{merchant} takes no new payments")?;
        }
        Action::Activate { merchant } => {
            set_active(store, &merchant, true).await?;
            print_line!("{merchant} may take payments")?;
        }
        Action::List => print_line!("{}", merchant_table(&store.list_merchants().await?))?,
        // These ask a gateway.
        Action::Terms(_)
        | Action::Details(_)
        | Action::Fees(_)
        | Action::Payouts(_)
        | Action::Account(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn expect_merchant(store: &Store, id: &MerchantId) -> Result<Merchant, CommandError> {
    let merchant = store.merchant(id).await?;
    merchant.ok_or_else(|| format!("there is no merchant {id}").into())
}

async fn set_active(store: &Store, id: &MerchantId, active: bool) -> Result<(), CommandError> {
    let merchant = Merchant {
        active,
        ..expect_merchant(store, id).await?
    };
    Ok(store.update_merchant(&merchant).await?)
}

/// Opens the sealing keys that are there: an API key made under a master key other than the gateway's
/// would never be let in, and nobody could tell why.
fn try_master_key(sealing_keys: &Path, master_key: &MasterKey) -> Result<(), CommandError> {
    let entries = match std::fs::read_dir(sealing_keys) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| format!("{}: {error}", sealing_keys.display()))?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_file() && path.extension().is_some_and(|ending| ending == "pem") {
            master_key::read_private_key(&path, master_key)?;
        }
    }
    Ok(())
}

fn key_table(keys: &[ApiKeyRecord]) -> Result<Table, CommandError> {
    let mut table = table(&["key", "label", "created", "revoked"]);
    for key in keys {
        table.add_row([
            key.key_id.as_str(),
            &key.label,
            &second(key.created_at)?,
            &key.revoked_at.map_or(Ok(String::new()), second)?,
        ]);
    }
    Ok(table)
}

fn merchant_table(merchants: &[Merchant]) -> Table {
    let mut table = table(&[
        "merchant", "name", "city", "MCC", "terminal", "acquirer", "active",
    ]);
    for merchant in merchants {
        table.add_row([
            merchant.id.as_str(),
            &merchant.name,
            &format!("{} {}", merchant.city, merchant.country),
            &merchant.mcc,
            &merchant.terminal_id,
            merchant.acquirer.as_str(),
            if merchant.active { "yes" } else { "no" },
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::key_files::Existing;

    #[test]
    fn a_time_zone_is_one_of_iana() {
        assert_eq!(time_zone("Europe/Madrid"), Ok("Europe/Madrid".into()));
        assert!(time_zone("Europe/Atlantis").is_err());
    }

    #[test]
    fn a_length_that_does_not_fit_is_told() {
        assert_eq!(printable::<8, 8>("WEB00001").unwrap(), "WEB00001");
        for text in ["WEB1", "WEB000001", " EB00001", "WEB\u{e9}001"] {
            let error = printable::<8, 8>(text).unwrap_err();
            assert!(error.starts_with("expected 8 printable"), "{error}");
        }
        let error = printable::<1, 22>("").unwrap_err();
        assert!(error.starts_with("expected 1 to 22 printable"), "{error}");
    }

    #[test]
    fn a_wrong_master_key_is_found_before_a_key_is_made() {
        let folder = std::env::temp_dir().join(format!("payswitch-try-{}", std::process::id()));
        let (ours, other) = (folder.join("ours.key"), folder.join("other.key"));
        let keys = folder.join("keys");
        std::fs::create_dir_all(&keys).unwrap();
        let ours = MasterKey::create_file(&ours, &Random::SYSTEM).unwrap();
        let other = MasterKey::create_file(&other, &Random::SYSTEM).unwrap();
        // With nothing to open, nothing can be told.
        try_master_key(&keys, &other).unwrap();
        try_master_key(&folder.join("absent"), &other).unwrap();
        master_key::write_wrapped(&keys.join("p256.pem"), b"key", &ours, Existing::Refuse).unwrap();
        try_master_key(&keys, &ours).unwrap();
        let error = try_master_key(&keys, &other).unwrap_err().to_string();
        assert!(error.contains("p256.pem"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
