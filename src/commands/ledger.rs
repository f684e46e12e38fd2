//! `payswitch ledger`: shows balances and journals, and checks the ledger against its seals.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::error::{CommandError, FAILED};
use super::operators_door::{OperatorsDoor, moment, pages, short, told};
use super::output::{amount, print_line, table};
use super::runtime::runtime;
use crate::admin_api::pb;
use crate::admin_api::pb::ledger_service_client::LedgerServiceClient;

/// What `payswitch ledger` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch ledger balance --merchant demo-shop\n  \
    payswitch ledger journal pay_06e9x3w8k1z7h4n2m5q0r8t6va\n  \
    payswitch ledger verify\n\n\
    A debit is positive, a credit negative: what a merchant is owed is negative.\n\n\
    Exit codes: 0 done, 1 failed, or the balances don't sum to zero, or something is not as it was sealed, 2 wrong usage.")]
pub struct LedgerArgs {
    #[command(flatten)]
    door: OperatorsDoor,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what is booked on the accounts of merchants, and that it sums to zero.
    Balance {
        /// Only of this merchant.
        #[arg(
            long,
            value_name = "MERCHANT",
            default_value = "",
            hide_default_value = true
        )]
        merchant: String,
    },
    /// Show journals with their lines, oldest first.
    Journal {
        /// Only of this payment.
        #[arg(default_value = "", hide_default_value = true)]
        payment: String,
        /// The most journals to show.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Find what was altered, removed, inserted or cut off the end, and say how much is not sealed yet.
    Verify,
}

/// Does what was asked.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub fn run(arguments: LedgerArgs) -> Result<ExitCode, CommandError> {
    runtime()?.block_on(async {
        let client = LedgerServiceClient::new(arguments.door.connect().await?);
        let as_json = arguments.json;
        match arguments.action {
            Action::Balance { merchant } => return show_balances(client, merchant, as_json).await,
            Action::Journal { payment, limit } => {
                show_journals(client, payment, limit, as_json).await?;
            }
            Action::Verify => return verify(client, as_json).await,
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn show_balances(
    mut client: LedgerServiceClient<Channel>,
    merchant_id: String,
    as_json: bool,
) -> Result<ExitCode, CommandError> {
    let balances = pages(usize::MAX, async |page_size, page_token| {
        let request = pb::ListAccountBalancesRequest {
            page_size,
            page_token,
            merchant_id: merchant_id.clone(),
        };
        let page = client.list_account_balances(request).await.map_err(told)?;
        let page = page.into_inner();
        Ok((page.balances, page.next_page_token))
    });
    let balances = balances.await?;
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for balance in &balances {
        let sum = sums.entry(&balance.currency).or_default();
        *sum = sum.saturating_add(balance.amount_minor);
    }
    let open = not_zero(&balances);
    let exit = if open.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    };
    if as_json {
        let row = |it: &pb::AccountBalance| {
            json!({
                "merchant_id": it.merchant_id,
                "host_id": it.host_id,
                "account": it.account,
                "currency": it.currency,
                "amount_minor": it.amount_minor,
            })
        };
        let rows: Vec<Value> = balances.iter().map(row).collect();
        let document = json!({
            "balances": rows,
            "sums_minor": sums,
            "sum_to_zero": open.is_empty(),
        });
        print_line!("{document:#}")?;
        return Ok(exit);
    }
    let mut shown = table(&["merchant", "host", "account", "amount", "currency"]);
    for it in &balances {
        shown.add_row([
            it.merchant_id.as_str(),
            &it.host_id,
            &it.account,
            &amount(it.amount_minor, &it.currency),
            &it.currency,
        ]);
    }
    for (currency, sum) in sums {
        let all = match sum {
            0 => "all",
            _ => "all: not zero",
        };
        shown.add_row(["", "", all, &amount(sum, currency), currency]);
    }
    print_line!("{shown}")?;
    for ((merchant, currency), sum) in &open {
        print_line!(
            "The accounts of {merchant} don't sum to zero, but to {} {currency}: run payswitch ledger verify",
            amount(*sum, currency)
        )?;
    }
    Ok(exit)
}

/// The sums that are not zero, each of the accounts of a merchant in one currency: no journal has lines of two merchants.
fn not_zero(balances: &[pb::AccountBalance]) -> BTreeMap<(&str, &str), i64> {
    let mut sums: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for it in balances {
        let sum = sums.entry((&it.merchant_id, &it.currency)).or_default();
        *sum = sum.saturating_add(it.amount_minor);
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

async fn show_journals(
    mut client: LedgerServiceClient<Channel>,
    payment_id: String,
    limit: usize,
    as_json: bool,
) -> Result<(), CommandError> {
    let journals = pages(limit, async |page_size, page_token| {
        let request = pb::ListJournalsRequest {
            page_size,
            page_token,
            payment_id: payment_id.clone(),
        };
        let page = client
            .list_journals(request)
            .await
            .map_err(told)?
            .into_inner();
        Ok((page.journals, page.next_page_token))
    });
    let journals = journals.await?;
    if as_json {
        let mut rows: Vec<Value> = Vec::new();
        for it in &journals {
            let line = |line: &pb::JournalLine| {
                json!({
                    "account": line.account,
                    "merchant_id": line.merchant_id,
                    "host_id": line.host_id,
                    "currency": line.currency,
                    "amount_minor": line.amount_minor,
                })
            };
            rows.push(json!({
                "journal_id": it.journal_id,
                "position": it.position,
                "payment_id": it.payment_id,
                "business_date": it.business_date,
                "create_time": moment(it.create_time)?,
                "content_sha256": it.content_sha256,
                "lines": it.lines.iter().map(line).collect::<Vec<_>>(),
            }));
        }
        return print_line!("{:#}", json!({ "journals": rows }));
    }
    let mut shown = table(&[
        "position", "journal", "time", "account", "amount", "currency",
    ]);
    for it in &journals {
        let (mut position, mut id) = (it.position.to_string(), it.journal_id.as_str());
        let mut time = moment(it.create_time)?;
        for line in &it.lines {
            let amount = amount(line.amount_minor, &line.currency);
            shown.add_row([
                &*position,
                id,
                &time,
                &line.account,
                &amount,
                &line.currency,
            ]);
            // A journal is named once.
            (position, id, time) = (String::new(), "", String::new());
        }
    }
    print_line!("{shown}")
}

async fn verify(
    mut client: LedgerServiceClient<Channel>,
    as_json: bool,
) -> Result<ExitCode, CommandError> {
    let mut findings = Vec::new();
    let (mut further, mut seals, mut journals) = (0_i64, 0_i64, 0_i64);
    let mut page_token = String::new();
    let end = loop {
        let part = client.verify_ledger(pb::VerifyLedgerRequest { page_token });
        let part = part.await.map_err(told)?.into_inner();
        findings.extend(part.findings);
        further = further.saturating_add(part.further_findings);
        seals = seals.saturating_add(part.seals);
        journals = journals.saturating_add(part.journals);
        page_token = part.next_page_token;
        if page_token.is_empty() {
            break part.end.unwrap_or_default();
        }
        if !as_json {
            print_line!("{seals} seals and {journals} journals so far")?;
        }
    };
    if as_json {
        let mut rows: Vec<Value> = Vec::new();
        for it in &findings {
            rows.push(json!({
                "kind": kind(it),
                "seal": it.seal,
                "seal_time": moment(it.seal_time)?,
                "first_position": it.first_position,
                "last_position": it.last_position,
                "text": it.text,
            }));
        }
        print_line!(
            "{:#}",
            json!({
                "findings": rows,
                "further_findings": further,
                "seals": seals,
                "journals": journals,
                "sealed_position": end.sealed_position,
                "seal_time": moment(end.seal_time)?,
                "unsealed_positions": end.unsealed_positions,
                "unsealed_journals": end.unsealed_journals,
                "seals_in_file": end.has_seal_file.then_some(end.seals_in_file),
                "public_key": end.public_key,
            })
        )?;
    } else {
        show_verified(&findings, &end, (seals, journals))?;
    }
    let as_sealed = findings.is_empty();
    Ok(if as_sealed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

fn kind(finding: &pb::LedgerFinding) -> &'static str {
    short(finding.kind().as_str_name(), "LEDGER_FINDING_KIND_")
}

fn positions(finding: &pb::LedgerFinding) -> String {
    let (first, last) = (finding.first_position, finding.last_position);
    if first == last {
        first.to_string()
    } else {
        format!("{first} to {last}")
    }
}

fn show_verified(
    findings: &[pb::LedgerFinding],
    end: &pb::LedgerEnd,
    (seals, journals): (i64, i64),
) -> Result<(), CommandError> {
    if findings.is_empty() {
        print_line!("{seals} seals and {journals} journals: all is as it was sealed")?;
    } else {
        let mut shown = table(&["found", "seal", "sealed", "positions", "what"]);
        for it in findings {
            let seal = Some(it.seal).filter(|seal| *seal > 0);
            shown.add_row([
                kind(it),
                &seal.map(|seal| seal.to_string()).unwrap_or_default(),
                &moment(it.seal_time)?,
                &positions(it),
                &it.text,
            ]);
        }
        print_line!("{shown}")?;
        print_line!("{seals} seals and {journals} journals were looked at")?;
    }
    print_line!(
        "Not sealed yet: {} events with {} journals, after position {}{}",
        end.unsealed_positions,
        end.unsealed_journals,
        end.sealed_position,
        match moment(end.seal_time)? {
            time if time.is_empty() => String::new(),
            time => format!(", sealed {time}"),
        }
    )?;
    if end.has_seal_file {
        print_line!(
            "The file outside the database has {} seals",
            end.seals_in_file
        )?;
    } else {
        print_line!("There is no file of seals outside the database (ledger.seal_file)")?;
    }
    print_line!("The seals are signed by the Ed25519 key {}", end.public_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_that_do_not_balance_are_told_for_each_merchant_and_currency() {
        let balance = |merchant_id: &str, currency: &str, amount_minor| pb::AccountBalance {
            merchant_id: merchant_id.to_owned(),
            currency: currency.to_owned(),
            amount_minor,
            ..pb::AccountBalance::default()
        };
        let mut balances = vec![
            balance("a", "EUR", 1_250),
            balance("a", "EUR", -1_250),
            balance("a", "USD", 700),
            balance("b", "USD", -700),
        ];
        // What is missing in one place is no balance for another.
        let expected = [(("a", "USD"), 700), (("b", "USD"), -700)];
        assert_eq!(not_zero(&balances), BTreeMap::from(expected));
        balances.truncate(2);
        assert!(not_zero(&balances).is_empty());
    }
}
