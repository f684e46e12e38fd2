//! What issuers take back: the bank's report says it, and it reaches the payment, the ledger, the merchant and the batch of
//! the day that is open.

use bank_sim::control::pb::DisputeItemRequest;
use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::merchant_service_client::MerchantServiceClient;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::commands::demo::stand::reporting_profile;
use payswitch::merchant_api::pb;
use pb::EventKind as Kind;
use pb::SettlementBatchState as BatchState;
use pb::settlement_note::Item;

use crate::capturing::minor;
use crate::database::Engine;
use crate::events::{all, events_of};
use crate::faults::control;
use crate::harness::{Payments, Switch, authorize, eventually, on_both_engines};
use crate::operators::operator;
use crate::reporting::{agreed, differences, import, report_of};
use crate::sales::sale;
use crate::settling::{batches, cut_over, cutover_of, notes, open_date, settled, settlement_of};
use crate::statements::{lines, reconcile, statement};

on_both_engines!(a_chargeback_of_a_report_is_taken_from_the_merchant_once);

/// The issuer takes back so much of a sale, or gives it back.
async fn dispute(switch: &Switch, payment: &pb::Payment, amount: i64, gives_back: bool) {
    let request = DisputeItemRequest {
        rrn: payment.rrn().to_owned(),
        amount,
        gives_back,
        ..Default::default()
    };
    let booked = control(&switch.banks).await.dispute_item(request).await;
    booked.expect("it is booked");
}

async fn disputed(payments: &mut Payments, payment: &pb::Payment) -> i64 {
    let request = pb::GetPaymentRequest {
        payment_id: payment.payment_id.clone(),
    };
    let found = payments.get_payment(request).await.expect("the payment");
    minor(
        &found
            .into_inner()
            .payment
            .expect("a payment")
            .disputed_amount,
    )
}

/// The money of a day comes as the last line of its report says: what was taken back is deducted with it.
fn the_bank_pays_its_report(switch: &Switch, report: &[u8], date: &str) {
    let report = String::from_utf8_lossy(report);
    let end = report.lines().last().expect("a last line");
    let sums: Vec<&str> = end.split(',').collect();
    let minor = |text: &str| text.replace('.', "").parse::<i64>().expect("an amount");
    let net = minor(sums[5]) - minor(sums[4]);
    let shown = |minor: i64| format!("{}.{:02}", minor / 100, minor % 100);
    let (amount, closing) = (shown(net), shown(100_000 + net));
    let entries = [(amount.as_str(), "CRDT", "NOTPROVIDED")];
    let text = statement(date, &closing, &entries);
    let file = switch.data().join("paid.xml");
    std::fs::write(&file, text).expect("a file");
    let file = file.to_str().expect("a path");
    let given = ["statement", "main", file, "--reason", "the bank's file"];
    assert_eq!(reconcile(switch, &given)["matched_count"], 1, "{end}");
    let line = &lines(switch)[0];
    let day = format!("acquirer/{date}/EUR");
    assert_eq!(line["matched_with"].as_str(), Some(day.as_str()));
}

async fn a_chargeback_of_a_report_is_taken_from_the_merchant_once(engine: Engine) {
    let switch = Switch::start_with(engine, Some(reporting_profile())).await;
    let mut payments = switch.payments().await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut client).await;
    let plan = admin::SetFeePlanRequest {
        request_id: "fees".into(),
        reason: "contract".into(),
        merchant_id: switch.merchant_id.to_string(),
        fee_plan_json:
            "{\"pricing\":\"blended\",\"chargeback_minor\":1500,\"price\":[{\"ppm\":0}]}".into(),
    };
    let mut terms = MerchantServiceClient::new(operator(&switch).await);
    terms.set_fee_plan(plan).await.expect("a fee plan");
    let sold = authorize(&mut payments, sale("pm_test_visa", 2_500)).await;
    let other = authorize(&mut payments, sale("pm_test_visa", 1_000)).await;
    dispute(&switch, &sold, 0, false).await;
    dispute(&switch, &other, 600, false).await;
    dispute(&switch, &other, 600, true).await;
    eventually("both sales in the batch", async || {
        let open = batches(&mut settlement).await;
        (open.first()?.payment_count == 2).then_some(())
    })
    .await;
    cut_over(&mut client, cutover_of(&today))
        .await
        .expect("a day");
    // The totals are of captures and refunds alone.
    let state = agreed(&mut client, &today).await;
    assert_eq!(state, admin::TotalsState::InBalance);
    let report = report_of(&switch, &today).await;
    for was_there in [false, true] {
        let answer = import(&mut client, &report, |_| {}).await;
        let answer = answer.expect("an answer");
        let done = answer.settlement_import.expect("it is applied");
        assert_eq!((done.line_count, done.matched_count), (5, 5));
        assert_eq!(answer.was_there, was_there);
        assert_eq!(differences(&mut client, &today).await, []);
        assert_eq!(disputed(&mut payments, &sold).await, 2_500);
        assert_eq!(disputed(&mut payments, &other).await, 0);
    }
    let first = batches(&mut settlement).await;
    let first = first.into_iter().find(|batch| batch.business_date == today);
    settled(&mut settlement, &first.expect("its batch").batch_id).await;
    the_bank_pays_its_report(&switch, &report, &today);
    let mut events = events_of(&switch, switch.gateway()).await;
    let told = all(&mut events, 100).await;
    let told: Vec<Kind> = told.iter().map(pb::Event::kind).collect();
    let count = |kind| told.iter().filter(|it| **it == kind).count();
    assert_eq!(count(Kind::Chargeback), 2, "{told:?}");
    assert_eq!(count(Kind::ChargebackReversed), 1, "{told:?}");

    // They are settled with the day that is open now.
    let open = eventually("the day of the chargebacks", async || {
        let found = batches(&mut settlement).await;
        found
            .into_iter()
            .find(|batch| batch.state() == BatchState::Open)
    })
    .await;
    assert_eq!(
        (open.chargeback_count, minor(&open.chargeback_total)),
        (3, 2_500)
    );
    assert_eq!(minor(&open.net_total), -2_500);
    let mut amounts: Vec<i64> = notes(&mut settlement, (&open.batch_id, 100))
        .await
        .iter()
        .map(|note| {
            assert!(matches!(note.item, Some(Item::ChargebackId(_))), "{note:?}");
            minor(&note.amount)
        })
        .collect();
    amounts.sort_unstable();
    assert_eq!(amounts, [-2_500, -600, 600]);

    // Each costs what the plan says, and what is given back costs nothing.
    let today = open.business_date.clone();
    cut_over(&mut client, cutover_of(&today))
        .await
        .expect("a day");
    let report = report_of(&switch, &today).await;
    let answer = import(&mut client, &report, |file| file.business_date = today).await;
    answer.expect("an answer");
    let funded = settled(&mut settlement, &open.batch_id).await;
    assert_eq!(minor(&funded.fee_total), 3_000);
    assert_eq!(minor(&funded.net_total), -5_500);
}
