//! A merchant's money after the bank's day: it is paid out less its fees, the bank makes the payout, and a statement says
//! what moved.

use std::path::{Path, PathBuf};

use super::day::{FOLDER, HOST, request_id, shown};
use super::stand::Stand;
use super::tour::{Connection, short};
use crate::admin_api::pb as admin;
use crate::admin_api::pb::merchant_service_client::MerchantServiceClient;
use crate::admin_api::pb::payout_admin_service_client::PayoutAdminServiceClient;
use crate::admin_api::pb::statement_service_client::StatementServiceClient;
use crate::clock::{Clock as _, SystemClock};
use crate::commands::error::CommandError;
use crate::commands::output::print_line;
use crate::merchant_api::pb;
use crate::merchant_api::pb::settlement_service_client::SettlementServiceClient;
use crate::payment::moment::NumberDate;

const REASON: &str = "the demo";
/// What the demo's merchant pays: 1.4 % and 25 cents a capture.
const FEES: &str = r#"{"pricing":"blended","price":[{"ppm":14000,"fixed_minor":25}]}"#;
const PAYOUTS: &str = r#"{"schedule":"daily"}"#;
/// Of a published example.
const IBAN: &str = "DE89370400440532013000";
const BIC: &str = "COBADEFFXXX";

/// Gives the merchant its plans and an account, unless it has them.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn agree_terms(stand: &Stand) -> Result<(), CommandError> {
    let mut client = MerchantServiceClient::new(stand.connect_operator().await?);
    let merchant_id = stand.merchant_id.to_string();
    let request = admin::GetMerchantTermsRequest {
        merchant_id: merchant_id.clone(),
    };
    let terms = client.get_merchant_terms(request).await?.into_inner();
    if terms.merchant_terms.is_some_and(|it| it.account.is_some()) {
        return Ok(());
    }
    let fees = admin::SetFeePlanRequest {
        request_id: request_id()?,
        reason: REASON.to_owned(),
        merchant_id: merchant_id.clone(),
        fee_plan_json: FEES.to_owned(),
    };
    client.set_fee_plan(fees).await?;
    let payouts = admin::SetPayoutPlanRequest {
        request_id: request_id()?,
        reason: REASON.to_owned(),
        merchant_id: merchant_id.clone(),
        payout_plan_json: PAYOUTS.to_owned(),
    };
    client.set_payout_plan(payouts).await?;
    let account = admin::ProposePayoutAccountRequest {
        request_id: request_id()?,
        reason: REASON.to_owned(),
        merchant_id,
        name: "Demo Shop".to_owned(),
        iban: IBAN.to_owned(),
        bic: BIC.to_owned(),
        ..admin::ProposePayoutAccountRequest::default()
    };
    let proposed = client.propose_payout_account(account).await?.into_inner();
    let change = proposed.account_change.ok_or("there is no change")?;
    // Another operator must confirm it; the demo has the certificate of one.
    let (id, now) = (change.account_change_id.parse()?, SystemClock.now());
    let store = &stand.gateway.store;
    store
        .confirm_account_change(id, "second-operator", now, now)
        .await?;
    Ok(())
}

/// Pays what is available, has the bank make the payout and say so, and writes the merchant's statement. Gives how much of
/// it came out other than expected.
///
/// # Errors
/// When the gateway can't be asked, or a file can't be read or written.
pub async fn pay_out(
    stand: &Stand,
    data: &Path,
    connection: &Connection,
) -> Result<usize, CommandError> {
    let mut payouts = PayoutAdminServiceClient::new(stand.connect_operator().await?);
    let request = admin::MakePayoutsRequest {
        request_id: request_id()?,
        reason: REASON.to_owned(),
        host_id: HOST.to_owned(),
        now: true,
    };
    let made = payouts.make_payouts(request).await?.into_inner();
    let mut surprises = 0;
    for decision in made.decisions.iter().filter(|it| !it.payout_id.is_empty()) {
        let order = order_of(&data.join(FOLDER), &decision.payout_id)?;
        let data = stand.banks.pay(&std::fs::read(&order)?)?;
        let notification = admin::NotifyPayoutsRequest {
            request_id: request_id()?,
            reason: REASON.to_owned(),
            host_id: HOST.to_owned(),
            data,
        };
        payouts
            .notify_payouts(tokio_stream::iter([notification]))
            .await?;
        let mut settlement = SettlementServiceClient::new(connection.clone());
        let request = pb::GetPayoutRequest {
            payout_id: decision.payout_id.clone(),
        };
        let payout = settlement.get_payout(request).await?.into_inner();
        let payout = payout.payout.ok_or("there is no payout")?;
        print_line!(
            "paid out: {} to {}, {} by the bank under {} ({})",
            shown(payout.amount.as_ref()),
            payout.destination,
            short(payout.state().as_str_name(), "PAYOUT_STATE_"),
            payout.bank_reference,
            order.display()
        )?;
        surprises += usize::from(payout.state() != pb::PayoutState::Paid);
    }
    let statement = statement(stand, data).await?;
    print_line!("the merchant's statement: {}", statement.display())?;
    Ok(surprises)
}

/// The file of the order that a payout is in.
fn order_of(folder: &Path, payout_id: &str) -> Result<PathBuf, CommandError> {
    let reference = payout_id.replace('_', "-");
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let is_order = path.extension().is_some_and(|it| it == "xml");
        if is_order && std::fs::read_to_string(&path)?.contains(&reference) {
            return Ok(path);
        }
    }
    Err(format!("no order has the payout {payout_id}").into())
}

/// Today's statement, as PDF.
async fn statement(stand: &Stand, data: &Path) -> Result<PathBuf, CommandError> {
    let mut client = StatementServiceClient::new(stand.connect_operator().await?);
    let today = NumberDate::of(SystemClock.now()).to_string();
    let request = admin::WriteStatementRequest {
        merchant_id: stand.merchant_id.to_string(),
        currency: "EUR".to_owned(),
        first_date: today.clone(),
        last_date: today.clone(),
        format: admin::StatementFormat::Pdf.into(),
    };
    let mut parts = client.write_statement(request).await?.into_inner();
    let mut file = Vec::new();
    while let Some(part) = parts.message().await? {
        file.extend(part.data);
    }
    let path = data.join(FOLDER).join(format!("statement-{today}.pdf"));
    std::fs::write(&path, file)?;
    Ok(path)
}
