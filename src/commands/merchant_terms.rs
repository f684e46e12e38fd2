//! `payswitch merchant terms`, `details`, `fees`, `payouts` and `account`: the terms of a merchant, through the operators' API.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::error::CommandError;
use super::operators_door::{OperatorsDoor, Why, moment, pages, short, told};
use super::output::{print_line, table};
use super::runtime::runtime;
use crate::admin_api::pb;
use crate::admin_api::pb::merchant_service_client::MerchantServiceClient;
use crate::settlement::fee_plan::FeePlan;
use crate::settlement::payout_plan::PayoutPlan;

/// The most changes of an account that are shown.
const MOST_CHANGES: usize = 20;

/// What `payswitch merchant terms` takes.
#[derive(Debug, Args)]
pub struct TermsArgs {
    /// The merchant.
    merchant: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: OperatorsDoor,
}

/// What `payswitch merchant fees` and `payswitch merchant payouts` take.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The merchant.
    merchant: String,
    /// The plan, as TOML (docs/settlement.md).
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    door: OperatorsDoor,
}

/// What `payswitch merchant details` takes.
#[derive(Debug, Args)]
pub struct DetailsArgs {
    /// The merchant.
    merchant: String,
    /// Its name in payment orders and on statements: 1 to 70 characters that every bank takes.
    #[arg(long, value_name = "NAME", required_unless_present = "time_zone")]
    legal_name: Option<String>,
    /// The IANA time zone of its clock, for instance Europe/Madrid: of DE 12 and DE 13, and of its statements.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    door: OperatorsDoor,
}

/// What `payswitch merchant account` takes.
#[derive(Debug, Args)]
pub struct AccountArgs {
    /// The merchant.
    merchant: String,
    /// The IBAN of the new account, without spaces.
    #[arg(long, conflicts_with_all = ["confirm", "cancel"])]
    iban: Option<String>,
    /// Another number of the new account, where it has no IBAN.
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["iban", "confirm", "cancel"])]
    other: Option<String>,
    /// Whose account it is, as its bank knows it.
    #[arg(long, conflicts_with_all = ["confirm", "cancel"])]
    name: Option<String>,
    /// The BIC of its bank. It may be left out, but a paying bank may refuse whole orders without it, above all to accounts in
    /// other countries.
    #[arg(long, default_value = "")]
    bic: String,
    /// Confirm a change that another operator asked for. Only an approver may.
    #[arg(long, value_name = "ID", conflicts_with = "cancel")]
    confirm: Option<String>,
    /// Cancel a change that is not used yet.
    #[arg(long, value_name = "ID")]
    cancel: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    door: OperatorsDoor,
}

type Client = MerchantServiceClient<Channel>;

/// Shows the terms of a merchant.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub fn show(arguments: TermsArgs) -> Result<ExitCode, CommandError> {
    runtime()?.block_on(async {
        let mut client = Client::new(arguments.door.connect().await?);
        let merchant_id = arguments.merchant;
        let request = pb::GetMerchantTermsRequest {
            merchant_id: merchant_id.clone(),
        };
        let found = client.get_merchant_terms(request).await.map_err(told)?;
        let terms = found.into_inner().merchant_terms.unwrap_or_default();
        let changes = pages(MOST_CHANGES, async |page_size, page_token| {
            let request = pb::ListPayoutAccountChangesRequest {
                merchant_id: merchant_id.clone(),
                page_size,
                page_token,
            };
            let page = client.list_payout_account_changes(request).await;
            let page = page.map_err(told)?.into_inner();
            Ok((page.account_changes, page.next_page_token))
        });
        let changes = changes.await?;
        match arguments.json {
            true => {
                let rows: Result<Vec<Value>, CommandError> =
                    changes.iter().map(change_json).collect();
                let mut shown = terms_json(&terms)?;
                if let Some(shown) = shown.as_object_mut() {
                    shown.insert("account_changes".into(), rows?.into());
                }
                print_line!("{shown:#}")?;
            }
            false => {
                show_terms(&terms)?;
                if !changes.is_empty() {
                    show_changes(&changes)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Sets what a merchant pays.
///
/// # Errors
/// When the file is no plan, or the gateway can't be reached, or refuses.
pub fn set_fees(arguments: PlanArgs) -> Result<ExitCode, CommandError> {
    let fee_plan_json = plan_json::<FeePlan>(&arguments.file)?;
    runtime()?.block_on(async {
        let mut client = Client::new(arguments.door.connect().await?);
        let request = pb::SetFeePlanRequest {
            request_id: arguments.why.request_id()?,
            reason: arguments.why.reason,
            merchant_id: arguments.merchant,
            fee_plan_json,
        };
        let set = client.set_fee_plan(request).await.map_err(told)?;
        show_set(set.into_inner().merchant_terms, arguments.json)
    })
}

/// Sets when a merchant is paid.
///
/// # Errors
/// When the file is no plan, or the gateway can't be reached, or refuses.
pub fn set_payouts(arguments: PlanArgs) -> Result<ExitCode, CommandError> {
    let payout_plan_json = plan_json::<PayoutPlan>(&arguments.file)?;
    runtime()?.block_on(async {
        let mut client = Client::new(arguments.door.connect().await?);
        let request = pb::SetPayoutPlanRequest {
            request_id: arguments.why.request_id()?,
            reason: arguments.why.reason,
            merchant_id: arguments.merchant,
            payout_plan_json,
        };
        let set = client.set_payout_plan(request).await.map_err(told)?;
        show_set(set.into_inner().merchant_terms, arguments.json)
    })
}

/// Sets a merchant's legal name, its time zone, or both.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub fn set_details(arguments: DetailsArgs) -> Result<ExitCode, CommandError> {
    runtime()?.block_on(async {
        let mut client = Client::new(arguments.door.connect().await?);
        let request = pb::SetMerchantDetailsRequest {
            request_id: arguments.why.request_id()?,
            reason: arguments.why.reason,
            merchant_id: arguments.merchant,
            legal_name: arguments.legal_name.unwrap_or_default(),
            time_zone: arguments.time_zone.unwrap_or_default(),
        };
        let set = client.set_merchant_details(request).await.map_err(told)?;
        show_set(set.into_inner().merchant_terms, arguments.json)
    })
}

/// Asks for another account, confirms it, or cancels it.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub fn change_account(arguments: AccountArgs) -> Result<ExitCode, CommandError> {
    runtime()?.block_on(async {
        let mut client = Client::new(arguments.door.connect().await?);
        let request_id = arguments.why.request_id()?;
        let (reason, merchant_id) = (arguments.why.reason, arguments.merchant);
        let change = match (arguments.confirm, arguments.cancel) {
            (Some(account_change_id), _) => {
                let request = pb::ConfirmPayoutAccountRequest {
                    request_id,
                    reason,
                    merchant_id,
                    account_change_id,
                };
                let confirmed = client.confirm_payout_account(request).await;
                confirmed.map_err(told)?.into_inner().account_change
            }
            (None, Some(account_change_id)) => {
                let request = pb::CancelPayoutAccountRequest {
                    request_id,
                    reason,
                    merchant_id,
                    account_change_id,
                };
                let cancelled = client.cancel_payout_account(request).await;
                cancelled.map_err(told)?.into_inner().account_change
            }
            (None, None) => {
                let request = pb::ProposePayoutAccountRequest {
                    request_id,
                    reason,
                    merchant_id,
                    name: arguments.name.unwrap_or_default(),
                    iban: arguments.iban.unwrap_or_default(),
                    other_number: arguments.other.unwrap_or_default(),
                    bic: arguments.bic,
                };
                let proposed = client.propose_payout_account(request).await;
                proposed.map_err(told)?.into_inner().account_change
            }
        };
        let change = change.unwrap_or_default();
        match arguments.json {
            true => print_line!("{:#}", change_json(&change)?)?,
            false => show_changes(&[change])?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// A plan from a TOML file, as JSON.
fn plan_json<P: DeserializeOwned + Serialize>(file: &Path) -> Result<String, CommandError> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{shown}: {error}"))?;
    let plan: P = toml::from_str(&text).map_err(|error| format!("{shown}: {error}"))?;
    Ok(serde_json::to_string(&plan)?)
}

fn show_set(terms: Option<pb::MerchantTerms>, as_json: bool) -> Result<ExitCode, CommandError> {
    let terms = terms.unwrap_or_default();
    match as_json {
        true => print_line!("{:#}", terms_json(&terms)?)?,
        false => show_terms(&terms)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn plan(text: &str) -> Result<Value, CommandError> {
    match text {
        "" => Ok(Value::Null),
        text => Ok(serde_json::from_str(text)?),
    }
}

fn terms_json(terms: &pb::MerchantTerms) -> Result<Value, CommandError> {
    Ok(json!({
        "merchant_id": terms.merchant_id,
        "version": terms.version,
        "legal_name": terms.legal_name,
        "time_zone": terms.time_zone,
        "fee_plan": plan(&terms.fee_plan_json)?,
        "payout_plan": plan(&terms.payout_plan_json)?,
        "account": terms.account.as_ref().map(account_json),
        "update_time": moment(terms.update_time)?,
    }))
}

fn account_json(account: &pb::PayoutAccount) -> Value {
    json!({ "name": account.name, "masked_number": account.masked_number, "bic": account.bic })
}

fn state(change: &pb::PayoutAccountChange) -> &'static str {
    short(change.state().as_str_name(), "PAYOUT_ACCOUNT_CHANGE_STATE_")
}

fn change_json(change: &pb::PayoutAccountChange) -> Result<Value, CommandError> {
    Ok(json!({
        "account_change_id": change.account_change_id,
        "merchant_id": change.merchant_id,
        "account": change.account.as_ref().map(account_json),
        "state": state(change),
        "asked_by": change.asked_by,
        "ask_time": moment(change.ask_time)?,
        "confirmed_by": change.confirmed_by,
        "confirm_time": moment(change.confirm_time)?,
        "effective_time": moment(change.effective_time)?,
    }))
}

fn show_terms(terms: &pb::MerchantTerms) -> Result<(), CommandError> {
    let account = terms.account.clone().unwrap_or_default();
    let or_none = |text: &str| match text {
        "" => "none".to_owned(),
        text => text.to_owned(),
    };
    let mut table = table(&[
        "merchant",
        "legal name",
        "time zone",
        "version",
        "fees",
        "payouts",
        "account",
        "holder",
    ]);
    table.add_row([
        terms.merchant_id.clone(),
        or_none(&terms.legal_name),
        terms.time_zone.clone(),
        terms.version.to_string(),
        or_none(&terms.fee_plan_json),
        or_none(&terms.payout_plan_json),
        or_none(&account.masked_number),
        account.name,
    ]);
    print_line!("{table}")
}

fn show_changes(changes: &[pb::PayoutAccountChange]) -> Result<(), CommandError> {
    let mut table = table(&[
        "change",
        "account",
        "holder",
        "state",
        "asked by",
        "confirmed by",
        "from",
    ]);
    for change in changes {
        let account = change.account.clone().unwrap_or_default();
        table.add_row([
            change.account_change_id.clone(),
            account.masked_number,
            account.name,
            state(change).to_owned(),
            change.asked_by.clone(),
            change.confirmed_by.clone(),
            moment(change.effective_time)?,
        ]);
    }
    print_line!("{table}")
}
