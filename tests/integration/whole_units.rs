//! Amounts without decimals, and with three, are the same number in the bank's own books, report, file and payment: an
//! amount that is divided on its way out and multiplied on its way in is right here and wrong there.

use payswitch::admin_api::pb::payout_admin_service_client::PayoutAdminServiceClient;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::commands::demo::stand::reporting_profile;
use payswitch::merchant_api::pb;

use crate::claiming::file_of;
use crate::database::Engine;
use crate::harness::{Switch, authorize, eventually, on_both_engines, pay_with};
use crate::operators::operator;
use crate::paying_out::{IBAN, Shop, notify, payouts_now, taken_by_bank};
use crate::reporting::{agreed, differences, import, report_of};
use crate::sales::sale;
use crate::settling::{batches, cut_over, cutover_of, open_date, settlement_of};
use crate::styles::dual_message;

on_both_engines!(
    a_yen_is_one_in_the_banks_books_report_and_payment,
    a_yen_is_one_in_a_clearing_file,
);

/// What is paid, in minor units: 14,987 yen, and 14.987 dinars.
const MINOR: i64 = 14_987;
const CURRENCIES: [&str; 2] = ["JPY", "KWD"];

/// The amounts that the acquirer has booked, as its own books say, by numeric currency.
fn booked(switch: &Switch) -> Vec<(u16, i64)> {
    let items = switch.banks.settlement_items("acquirer", None);
    let items = items.expect("the acquirer's books").into_iter();
    let mut amounts: Vec<_> = items
        .map(|item| (item.currency_numeric, item.amount_minor))
        .collect();
    amounts.sort_unstable();
    amounts
}

async fn a_yen_is_one_in_the_banks_books_report_and_payment(engine: Engine) {
    let switch = Switch::start_with(engine, Some(reporting_profile())).await;
    let (id, key) = (switch.merchant_id, switch.api_key.clone());
    let mut shop = Shop::with(&switch, id, key, IBAN).await;
    let mut payments = switch.payments().await;
    let mut days = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut days).await;
    for currency in CURRENCIES {
        let mut request = sale("pm_test_visa", MINOR);
        request.amount.as_mut().expect("an amount").currency = currency.into();
        authorize(&mut payments, request).await;
    }
    let closed = cut_over(&mut days, cutover_of(&today)).await;
    closed.expect("a day");
    agreed(&mut days, &today).await;
    assert_eq!(booked(&switch), [(392, MINOR), (414, MINOR)]);
    let report = report_of(&switch, &today).await;
    let text = String::from_utf8(report.clone()).expect("a text");
    for amount in [",14987,", ",14.987,"] {
        assert!(text.contains(amount), "{amount} in {text}");
    }
    import(&mut days, &report, |_| {}).await.expect("an answer");
    assert_eq!(differences(&mut days, &today).await, []);
    eventually("both batches are settled", async || {
        let batches = batches(&mut shop.settlement).await;
        let settled = batches
            .iter()
            .filter(|it| it.state() == pb::SettlementBatchState::Settled);
        (settled.count() == 2).then_some(())
    })
    .await;
    let mut payouts = PayoutAdminServiceClient::new(operator(&switch).await);
    let made = payouts.make_payouts(payouts_now()).await.expect("payouts");
    let made = made.into_inner().decisions;
    let files = std::fs::read_dir(switch.data().join("settlement")).expect("its folder");
    let mut files = files.map(|file| file.expect("a file").path());
    let order = files.find(|path| path.extension().is_some_and(|it| it == "xml"));
    let (taken, told) = taken_by_bank(&switch, &order.expect("an order")).await;
    let notified = notify(&mut payouts, &told).await;
    assert_eq!(notified.paid_payout_ids.len(), 2, "{notified:?}");
    for decision in made {
        let reference = decision.payout_id.replace('_', "-");
        let transfer = taken
            .transfers
            .iter()
            .find(|it| it.end_to_end_id == reference);
        let transfer = transfer.expect("a transfer of the bank's");
        // Less one percent, which is rounded.
        let owed = shop.payout(&decision.payout_id).await.amount;
        let owed = owed.expect("an amount").amount_minor;
        assert_eq!((transfer.amount, owed), (MINOR - 150, MINOR - 150));
    }
}

async fn a_yen_is_one_in_a_clearing_file(engine: Engine) {
    let switch = Switch::start_with(engine, Some(dual_message())).await;
    let mut payments = switch.payments().await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut days = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut days).await;
    for currency in CURRENCIES {
        let held = authorize(&mut payments, pay_with("pm_test_visa", MINOR, currency)).await;
        let request = pb::CapturePaymentRequest {
            request_id: format!("capture-{currency}"),
            payment_id: held.payment_id,
            ..Default::default()
        };
        payments.capture_payment(request).await.expect("a capture");
    }
    let closed = cut_over(&mut days, cutover_of(&today)).await;
    closed.expect("a day");
    let file = file_of(&mut days, &today).await;
    assert!(
        file.sums.iter().all(|sum| sum.sum_minor == MINOR),
        "{file:?}"
    );
    let bytes = std::fs::read(switch.data().join("settlement").join(&file.name));
    let taken = switch.banks.take_claims(&bytes.expect("the file"));
    assert!(taken.expect("an answer").is_all_of(2));
    assert_eq!(booked(&switch), [(392, MINOR), (414, MINOR)]);
    for batch in batches(&mut settlement).await {
        let captured = batch.captured_total.expect("an amount").amount_minor;
        assert_eq!(captured, MINOR);
    }
}
