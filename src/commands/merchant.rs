//! `payswitch merchant`: adds merchants and their API keys.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;

use super::CommandError;
use crate::app;
use crate::card::custody::MasterKey;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::payment::ids::{HostId, MerchantId};
use crate::payment::merchant::Merchant;
use crate::store::Store;

/// What `payswitch merchant` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch merchant add demo-shop --name 'Demo Shop' --city Berlin --country DE \\\n      \
    --country-numeric 276 --mcc 5732 --terminal WEB00001 --acceptor DEMOSHOP0000001 \\\n      \
    --acquirer acquirer\n  \
    payswitch merchant key demo-shop --label 'shop backend'\n  \
    payswitch merchant list")]
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
        #[arg(long, default_value = "")]
        label: String,
    },
    /// Revoke an API key.
    Revoke {
        /// The public part of the key: `pk_` and what stands before the dot.
        key_id: String,
    },
    /// List the merchants.
    List,
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
}

fn printable<const MIN: usize, const MAX: usize>(text: &str) -> Result<String, String> {
    let fits = (MIN..=MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
        && text.trim() == text;
    fits.then(|| text.to_owned()).ok_or_else(|| {
        format!("expected {MIN} to {MAX} printable ASCII characters without outer spaces")
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

/// Does what was asked.
///
/// # Errors
/// When the configuration or the database can't be used, or the merchant is unknown or known already.
pub fn run(arguments: MerchantArgs) -> Result<ExitCode, CommandError> {
    let config = Config::load(arguments.config.as_deref())?;
    super::runtime()?.block_on(async {
        let store = Store::open(&config.store).await?;
        let done = act(&store, &config, arguments.action).await;
        store.close().await;
        done
    })
}

#[expect(
    clippy::print_stdout,
    reason = "the answer is what this command is for"
)]
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
                active: true,
            };
            store.insert_merchant(&merchant).await?;
            println!("added merchant {}", merchant.id);
        }
        Action::Key { merchant, label } => {
            let master_key = MasterKey::load(config.card.master_key_file.as_deref())?;
            let key = app::issue_api_key(store, &master_key, &merchant, &label).await?;
            println!("{}", key.as_str());
        }
        Action::Revoke { key_id } => {
            store.revoke_api_key(&key_id, SystemClock.now()).await?;
            println!("revoked {key_id}");
        }
        Action::List => println!("{}", table(&store.list_merchants().await?)),
    }
    Ok(ExitCode::SUCCESS)
}

fn table(merchants: &[Merchant]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
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
