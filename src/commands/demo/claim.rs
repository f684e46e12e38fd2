//! A second bank, which learns of captures and refunds by file: its day is ended, and it takes the clearing file.

use std::path::Path;

use super::day::{Days, FOLDER, batches_of, cut_over, is_settled, request_id};
use super::life::sent;
use super::stand::{FILE_HOST, Stand};
use super::tour::{Connection, look_until};
use crate::admin_api::pb as admin;
use crate::commands::error::CommandError;
use crate::commands::output::{amount, print_line};
use crate::merchant_api::pb;
use crate::merchant_api::pb::authorize_payment_request::PaymentMethod;
use crate::merchant_api::pb::payment_service_client::PaymentServiceClient;
use crate::merchant_api::pb::refund_service_client::RefundServiceClient;
use crate::payment::money::Money;

/// What is held, taken of that, and given back of that, in minor units.
const HELD_MINOR: i64 = 5_000;
const CAPTURED_MINOR: i64 = 4_000;
const REFUNDED_MINOR: i64 = 1_500;

/// Captures and refunds a payment at the second bank, ends its day, and hands it the clearing file of that. Gives how much of
/// it came out other than expected.
///
/// # Errors
/// When the gateway or the bank can't be asked, or the file can't be read.
pub async fn by_file(stand: &Stand, data: &Path) -> Result<usize, CommandError> {
    let Some(key) = &stand.file_merchant_key else {
        return Ok(0);
    };
    let connection = stand.connect_with(key).await?;
    pay(&connection).await?;
    let mut days = Days::new(stand.connect_operator().await?);
    let date = cut_over(&mut days, FILE_HOST).await?;
    let file = look_until(async || {
        let file = file_of(&mut days, &date).await?;
        let is_written = file.is_some();
        Ok((file, is_written))
    })
    .await?;
    let file = file.ok_or("there is no clearing file")?;
    let path = data.join(FOLDER).join(&file.name);
    let taken = stand.banks.take_claims(&std::fs::read(&path)?)?;
    let batches = look_until(async || {
        let batches = batches_of(&connection, &date).await?;
        let settled = batches.iter().all(is_settled);
        Ok((batches, settled))
    })
    .await?;
    let sum = |sum: &admin::FileSum| {
        let shown = amount(sum.sum_minor, &sum.currency);
        format!("{shown} {}", sum.currency)
    };
    let sums: Vec<String> = file.sums.iter().map(sum).collect();
    print_line!(
        "\nA second bank, {FILE_HOST}, learns of captures and refunds by file. The clearing file of {date}: {} items, {}; \
         {taken} ({})",
        file.item_count,
        sums.join(" and "),
        path.display()
    )?;
    let is_whole = u64::try_from(file.item_count).is_ok_and(|items| taken.is_all_of(items));
    let left = batches.iter().filter(|batch| !is_settled(batch)).count();
    Ok(left + usize::from(!is_whole))
}

/// Authorizes a payment, captures a part of it, and refunds a part of that.
async fn pay(connection: &Connection) -> Result<(), CommandError> {
    let amount =
        |minor| -> Result<pb::Money, CommandError> { Ok(sent(Money::new(minor, "EUR".parse()?)?)) };
    let mut payments = PaymentServiceClient::new(connection.clone());
    let token = "pm_test_visa".to_owned();
    let request = pb::AuthorizePaymentRequest {
        request_id: request_id()?,
        merchant_reference: "claimed-1".to_owned(),
        amount: Some(amount(HELD_MINOR)?),
        payment_method: Some(PaymentMethod::PaymentMethodToken(token)),
        ..pb::AuthorizePaymentRequest::default()
    };
    let authorized = payments.authorize_payment(request).await?.into_inner();
    let payment = authorized.payment.ok_or("the answer holds no payment")?;
    let request = pb::CapturePaymentRequest {
        request_id: request_id()?,
        payment_id: payment.payment_id.clone(),
        amount: Some(amount(CAPTURED_MINOR)?),
        ..pb::CapturePaymentRequest::default()
    };
    payments.capture_payment(request).await?;
    let request = pb::CreateRefundRequest {
        request_id: request_id()?,
        payment_id: payment.payment_id,
        amount: Some(amount(REFUNDED_MINOR)?),
        ..pb::CreateRefundRequest::default()
    };
    RefundServiceClient::new(connection.clone())
        .create_refund(request)
        .await?;
    Ok(())
}

/// The clearing file of a date, once it is written.
async fn file_of(
    days: &mut Days,
    date: &str,
) -> Result<Option<admin::SettlementFile>, CommandError> {
    let request = admin::ListBusinessDaysRequest {
        host_id: FILE_HOST.to_owned(),
        ..admin::ListBusinessDaysRequest::default()
    };
    let listed = days.list_business_days(request).await?.into_inner();
    let mut days = listed.business_days.into_iter();
    let day = days.find(|day| day.business_date == date);
    Ok(day.and_then(|day| day.files.into_iter().next()))
}
