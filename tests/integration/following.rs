//! Lines of a merchant's statement are followed, with `payswitch explain`, down to what the bank's report said of them and
//! to the bank's number of the payout.

use bank_sim::control::pb::MisbookItemRequest;
use payswitch::admin_api::pb::payout_admin_service_client::PayoutAdminServiceClient;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::commands::demo::stand::reporting_profile;
use payswitch::merchant_api::pb;
use pb::SettlementBatchState as BatchState;
use serde_json::Value;

use crate::database::Engine;
use crate::demo::as_operator;
use crate::faults::control;
use crate::harness::{Switch, authorize, eventually, on_both_engines};
use crate::operators::operator;
use crate::paying_out::{IBAN, Shop, notify, payouts_now, taken_by_bank};
use crate::refunding::{get_refund, refund_of, refunds_of, try_refund};
use crate::reporting::{agreed, import, only_batch, report_of};
use crate::sales::sale;
use crate::settling::{cut_over, cutover_of, open_date};
use crate::tools::output;

on_both_engines!(lines_of_a_statement_lead_to_the_banks_report);

/// The statement as the program writes it: kind, reference and net of each line.
pub(crate) fn statement(switch: &Switch) -> Vec<[String; 3]> {
    let file = switch.data().join("statement.csv");
    let shop = switch.merchant_id.to_string();
    let out = file.to_str().expect("a path in UTF-8");
    let period = ["--from", "2020-01-01", "--to", "2099-12-31"];
    let arguments = [
        &["statement", &shop],
        &period[..],
        &["--currency", "EUR", "--out", out],
    ];
    let run = output(&mut as_operator(switch, &arguments.concat()));
    assert!(run.status.success(), "{run:?}");
    let text = std::fs::read_to_string(file).expect("the statement");
    let lines = text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        [1, 2, 7].map(|column| fields[column].to_owned())
    });
    lines.collect()
}

/// The sentence of an explanation that says how one of the payment's captures or refunds is settled.
fn settled(switch: &Switch, subject: &str, label: &str) -> String {
    let run = output(&mut as_operator(switch, &["explain", subject, "--json"]));
    assert!(run.status.success(), "{run:?}");
    let text = String::from_utf8(run.stdout).expect("UTF-8");
    let explained: Value = serde_json::from_str(&text).expect("JSON");
    let stands = explained["explanation"]["stands"]
        .as_array()
        .expect("sentences");
    let mut sentences = stands.iter().filter_map(Value::as_str);
    let begins = format!("The {label} of ");
    let found = sentences.find(|sentence| sentence.starts_with(&begins));
    found
        .unwrap_or_else(|| panic!("{label} in {text}"))
        .to_owned()
}

async fn lines_of_a_statement_lead_to_the_banks_report(engine: Engine) {
    let switch = Switch::start_with(engine, Some(reporting_profile())).await;
    let (id, key) = (switch.merchant_id, switch.api_key.clone());
    let mut shop = Shop::with(&switch, id, key, IBAN).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let mut days = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut days).await;
    let first = authorize(&mut payments, sale("pm_test_visa", 10_000)).await;
    let second = authorize(&mut payments, sale("pm_test_visa", 4_000)).await;
    let refund = try_refund(&mut refunds, refund_of(&first, 1_000)).await;
    let refund = refund.expect("a refund").refund_id;
    eventually("the refund in its batch", async || {
        let refund = get_refund(&mut refunds, &refund).await;
        (!refund.batch_id.is_empty()).then_some(())
    })
    .await;
    assert!(settled(&switch, &second.payment_id, "sale").ends_with("of the day that is open."),);
    // The bank books a cent more for the second sale.
    let wrong = MisbookItemRequest {
        rrn: second.rrn().to_owned(),
        delta_minor: 1,
        ..Default::default()
    };
    let wrong = control(&switch.banks).await.misbook_item(wrong).await;
    wrong.expect("it is booked wrongly");
    let closed = cut_over(&mut days, cutover_of(&today)).await;
    closed.expect("a day");
    agreed(&mut days, &today).await;
    let report = report_of(&switch, &today).await;
    let imported = import(&mut days, &report, |_| {}).await;
    imported.expect("an answer");
    let batch = only_batch(&mut shop.settlement, BatchState::Disputed).await;
    let mut payouts = PayoutAdminServiceClient::new(operator(&switch).await);
    let made = eventually("a payout", async || {
        let made = payouts.make_payouts(payouts_now()).await.expect("payouts");
        let mut made = made.into_inner().decisions.into_iter();
        made.find(|it| !it.payout_id.is_empty())
    })
    .await;
    let files = std::fs::read_dir(switch.data().join("settlement")).expect("its folder");
    let mut files = files.map(|file| file.expect("a file").path());
    let order = files.find(|path| path.extension().is_some_and(|it| it == "xml"));
    let (taken, told) = taken_by_bank(&switch, &order.expect("an order")).await;
    notify(&mut payouts, &told).await;

    // Three lines, each by what the statement calls it.
    let lines = statement(&switch);
    let of_kind = |kind: &str, net: &str| {
        let found = lines.iter().find(|line| line[0] == kind && line[2] == net);
        found.unwrap_or_else(|| panic!("{kind} in {lines:?}"))[1].clone()
    };
    let place = format!(
        "is settled with acquirer under the date {today}, in batch {}: DISPUTED.",
        batch.batch_id
    );
    let paid = format!(
        "is {}: PAID, by the bank under {} (UTR).",
        made.payout_id, taken.transfers[0].utr
    );
    let has_it = "The bank's report report.csv has it, as ";
    for (subject, label, said) in [
        (
            of_kind("CAPTURE", "100.00"),
            "sale",
            &[
                "of 100.00 EUR",
                "It costs 1.00 EUR",
                "interchange 0.20 EUR, scheme fee 0.05 EUR",
            ][..],
        ),
        (
            of_kind("CAPTURE", "40.00"),
            "sale",
            &[
                "of 40.00 EUR",
                "It differs: AMOUNT_DIFFERS, ours 40.00 EUR, the bank's 40.01 EUR.",
            ],
        ),
        (of_kind("REFUND", "-10.00"), "refund", &["of 10.00 EUR"]),
    ] {
        let sentence = settled(&switch, &subject, label);
        for said in said.iter().copied().chain([place.as_str(), has_it, &paid]) {
            assert!(sentence.contains(said), "{said} in {sentence}");
        }
    }
}
