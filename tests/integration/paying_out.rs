//! Merchants are paid: what is settled less fees, by an order that a bank takes, and as the bank says it became.

use std::path::{Path, PathBuf};

use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::merchant_service_client::MerchantServiceClient;
use payswitch::admin_api::pb::payout_admin_service_client::PayoutAdminServiceClient;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb;
use payswitch::payment::ids::MerchantId;
use payswitch::payment::merchant::Merchant;
use pb::balance_service_client::BalanceServiceClient;
use tonic::transport::Channel;

use bank_sim::control::pb as banks;

use crate::capturing::minor;
use crate::database::Engine;
use crate::faults::control;
use crate::harness::{Switch, authorize, eventually, now, on_both_engines, unique};
use crate::operators::operator;
use crate::sales::sale;
use crate::settling::{Settlement, batches, cut_over, cutover_of, notes, open_date, settlement_of};

on_both_engines!(what_is_settled_is_paid_out_and_may_come_back);

/// Of a published example, and one whose account the simulated bank has closed.
pub(crate) const IBAN: &str = "DE89370400440532013000";
pub(crate) const CLOSED_IBAN: &str = "DE94370400440532010000";

/// A merchant that is paid.
pub(crate) struct Shop {
    pub(crate) id: MerchantId,
    pub(crate) key: String,
    pub(crate) settlement: Settlement,
}

impl Shop {
    /// A merchant that pays one percent, is paid each day, and has an account.
    pub(crate) async fn with(switch: &Switch, id: MerchantId, key: String, iban: &str) -> Self {
        let mut client = MerchantServiceClient::new(operator(switch).await);
        let (reason, merchant_id) = ("contract".to_owned(), id.to_string());
        let fees = admin::SetFeePlanRequest {
            request_id: format!("fees-{}", unique()),
            reason: reason.clone(),
            merchant_id: merchant_id.clone(),
            fee_plan_json: "{\"pricing\":\"blended\",\"price\":[{\"ppm\":10000}]}".into(),
        };
        let wrong = admin::SetFeePlanRequest {
            request_id: format!("fees-{}", unique()),
            fee_plan_json: "{\"pricing\":\"blended\",\"price\":[{\"ppm\":1000001}]}".into(),
            ..fees.clone()
        };
        let refused = client.set_fee_plan(wrong).await.expect_err("no plan");
        let told = format!("{refused:?}");
        assert!(
            told.contains("price[0].ppm: expected 0 to 1000000, got 1000001"),
            "{told}"
        );
        client.set_fee_plan(fees).await.expect("a fee plan");
        let payouts = admin::SetPayoutPlanRequest {
            request_id: format!("payouts-{}", unique()),
            reason: reason.clone(),
            merchant_id: merchant_id.clone(),
            payout_plan_json: "{\"schedule\":{\"monthly\":31}}".into(),
        };
        client
            .set_payout_plan(payouts)
            .await
            .expect("a payout plan");
        let propose = admin::ProposePayoutAccountRequest {
            request_id: format!("account-{}", unique()),
            reason: reason.clone(),
            merchant_id: merchant_id.clone(),
            name: "Shop Ltd".into(),
            iban: iban.into(),
            // The simulated bank wants the creditor's bank named.
            bic: "COBADEFFXXX".into(),
            ..Default::default()
        };
        let change = client
            .propose_payout_account(propose)
            .await
            .expect("a change");
        let change = change.into_inner().account_change.expect("a change");
        let confirm = admin::ConfirmPayoutAccountRequest {
            request_id: format!("confirm-{}", unique()),
            reason,
            merchant_id: merchant_id.clone(),
            account_change_id: change.account_change_id.clone(),
        };
        let own = client.confirm_payout_account(confirm).await;
        let own = own.expect_err("the one who asked");
        assert_eq!(error_reason(&own).as_deref(), Some("FOUR_EYES"));
        // The test has the certificate of one operator.
        let change = change.account_change_id.parse().expect("its id");
        let confirmed = switch
            .store()
            .confirm_account_change(change, "bert", now(), now());
        confirmed.await.expect("another operator");
        let request = admin::GetMerchantTermsRequest { merchant_id };
        let terms = client.get_merchant_terms(request).await.expect("its terms");
        let terms = terms.into_inner().merchant_terms.expect("its terms");
        let account = terms.account.expect("an account").masked_number;
        assert_eq!(account, format!("DE** **** {}", &iban[18..]));
        let settlement = settlement_of(switch, &key).await;
        Self {
            id,
            key,
            settlement,
        }
    }

    pub(crate) async fn payout(&mut self, payout_id: &str) -> pb::Payout {
        let request = pb::GetPayoutRequest {
            payout_id: payout_id.into(),
        };
        let found = self
            .settlement
            .get_payout(request)
            .await
            .expect("the payout");
        found.into_inner().payout.expect("a payout")
    }

    /// What is pending, available and in transit.
    pub(crate) async fn balance(&self, switch: &Switch) -> [i64; 3] {
        let key = ApiKey::new(&self.key).expect("an API key");
        let mut client = BalanceServiceClient::new(key.on(switch.connect(None).await));
        let found = client.get_balances(pb::GetBalancesRequest::default()).await;
        let balances = found.expect("its balances").into_inner().balances;
        let [balance] = &balances[..] else {
            panic!("{balances:?}");
        };
        [&balance.pending, &balance.available, &balance.in_transit].map(minor)
    }
}

pub(crate) async fn notify(
    client: &mut PayoutAdminServiceClient<Channel>,
    file: &[u8],
) -> admin::NotifyPayoutsResponse {
    let first = admin::NotifyPayoutsRequest {
        request_id: format!("notify-{}", unique()),
        reason: "the bank's file".into(),
        host_id: "acquirer".into(),
        data: Vec::new(),
    };
    // More than one part, and each as large as it may be.
    let comment = format!("<!--{}-->", " ".repeat(50_000));
    let file = [file, comment.as_bytes(), comment.as_bytes()].concat();
    let parts = file
        .chunks(64 * 1024)
        .map(|chunk| admin::NotifyPayoutsRequest {
            data: chunk.to_vec(),
            ..Default::default()
        });
    let messages: Vec<_> = std::iter::once(first).chain(parts).collect();
    let notified = client.notify_payouts(tokio_stream::iter(messages)).await;
    notified.expect("what came of it").into_inner()
}

/// Totals are agreed with the bank by acceptor.
pub(crate) fn other_acceptor(merchant: &mut Merchant) {
    merchant.acceptor_id = "OTHERSHOP000001".into();
    merchant.terminal_id = "WEB00002".into();
}

/// All that is available is to be paid now.
pub(crate) fn payouts_now() -> admin::MakePayoutsRequest {
    admin::MakePayoutsRequest {
        request_id: format!("payouts-{}", unique()),
        reason: "agreed by telephone".into(),
        host_id: "acquirer".into(),
        now: true,
    }
}

/// The only order that was written for the bank.
pub(crate) fn order_for_bank(switch: &Switch) -> PathBuf {
    let folder = switch.data().join("settlement");
    let files: Vec<_> = std::fs::read_dir(folder).expect("its folder").collect();
    let [Ok(file)] = &files[..] else {
        panic!("one file, not {files:?}");
    };
    file.path()
}

/// The bank takes an order: its answer, and the notification of what became of it.
pub(crate) async fn taken_by_bank(
    switch: &Switch,
    order: &Path,
) -> (banks::SubmitPaymentOrderResponse, Vec<u8>) {
    let xml = std::fs::read(order).expect("the order");
    let mut bank = control(&switch.banks).await;
    let request = banks::SubmitPaymentOrderRequest { xml };
    let taken = bank.submit_payment_order(request).await.expect("an answer");
    let taken = taken.into_inner();
    assert_eq!(taken.verdict(), banks::OrderVerdict::Accepted, "{taken:?}");
    let request = banks::GetAccountNotificationRequest {
        message_id: taken.message_id.clone(),
    };
    let told = bank.get_account_notification(request).await;
    (taken, told.expect("a notification").into_inner().xml)
}

/// Gives a merchant a legal name and a time zone.
async fn name(switch: &Switch, merchant: &MerchantId) {
    let mut client = MerchantServiceClient::new(operator(switch).await);
    let mut set = async |legal_name: &str, time_zone: &str| {
        let request = admin::SetMerchantDetailsRequest {
            request_id: format!("details-{}", unique()),
            reason: "the register".into(),
            merchant_id: merchant.to_string(),
            legal_name: legal_name.into(),
            time_zone: time_zone.into(),
        };
        client.set_merchant_details(request).await
    };
    for (legal_name, time_zone) in [("", ""), ("Caf\u{e9} GmbH", ""), ("", "Europe/Atlantis")] {
        let refused = set(legal_name, time_zone).await.expect_err("no details");
        let reason = error_reason(&refused);
        assert_eq!(reason.as_deref(), Some("INVALID_REQUEST"), "{refused:?}");
    }
    let named = set("Paid Shop GmbH", "Europe/Berlin")
        .await
        .expect("details");
    let terms = named.into_inner().merchant_terms.expect("its terms");
    assert_eq!(
        (&*terms.legal_name, &*terms.time_zone),
        ("Paid Shop GmbH", "Europe/Berlin")
    );
}

async fn what_is_settled_is_paid_out_and_may_come_back(engine: Engine) {
    let switch = Switch::start(engine).await;
    let (id, key) = (switch.merchant_id, switch.api_key.clone());
    let mut paid = Shop::with(&switch, id, key, IBAN).await;
    name(&switch, &paid.id).await;
    let (id, key) = switch.add_merchant("other-shop", other_acceptor).await;
    let mut returned = Shop::with(&switch, id, key, CLOSED_IBAN).await;
    let mut days = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut days).await;
    for shop in [&paid, &returned] {
        let mut payments = switch.payments_of(&shop.key).await;
        authorize(&mut payments, sale("pm_test_visa", 10_000)).await;
    }
    let closed = cut_over(&mut days, cutover_of(&today)).await;
    closed.expect("a day");
    let mut settled = Vec::new();
    for shop in [&mut paid, &mut returned] {
        let batch = eventually("a settled batch", async || {
            let mut all = batches(&mut shop.settlement).await;
            all.retain(|batch| batch.state() == pb::SettlementBatchState::Settled);
            all.pop()
        })
        .await;
        assert_eq!(
            (minor(&batch.fee_total), minor(&batch.net_total)),
            (100, 9_900)
        );
        let notes = notes(&mut shop.settlement, (&batch.batch_id, 10)).await;
        let of_note = [&notes[0].fee, &notes[0].markup, &notes[0].net].map(minor);
        assert_eq!(of_note, [100, 100, 9_900]);
        assert_eq!(shop.balance(&switch).await, [0, 9_900, 0]);
        settled.push(batch.batch_id);
    }

    let mut client = PayoutAdminServiceClient::new(operator(&switch).await);
    let request = payouts_now();
    let made = client.make_payouts(request.clone()).await.expect("payouts");
    let made = made.into_inner().decisions;
    let again = client.make_payouts(request).await.expect("the same answer");
    assert_eq!(again.into_inner().decisions, made);
    let payout_of = |shop: &Shop| {
        let of_shop = made.iter().find(|it| it.merchant_id == shop.id.as_str());
        let decision = of_shop.expect("a decision");
        assert_eq!(decision.amount_minor, 9_900);
        assert_eq!(decision.batch_ids.len(), 1);
        assert!(settled.contains(&decision.batch_ids[0]));
        decision.payout_id.clone()
    };
    let (first, second) = (payout_of(&paid), payout_of(&returned));
    assert_eq!(paid.payout(&first).await.state(), pb::PayoutState::Sent);
    assert_eq!(paid.balance(&switch).await, [0, 0, 9_900]);

    let order = order_for_bank(&switch);
    let text = std::fs::read_to_string(&order).expect("the order");
    for creditor in ["<Nm>Paid Shop GmbH</Nm>", "<Nm>Shop Ltd</Nm>"] {
        assert!(text.contains(creditor), "{creditor} in {text}");
    }
    let (taken, told) = taken_by_bank(&switch, &order).await;
    let mut damaged = told.clone();
    damaged.truncate(told.len() - 20);
    let request = admin::NotifyPayoutsRequest {
        request_id: format!("notify-{}", unique()),
        reason: "the bank's file".into(),
        host_id: "acquirer".into(),
        data: damaged,
    };
    let refused = client.notify_payouts(tokio_stream::iter([request])).await;
    let refused = format!("{:?}", refused.expect_err("it is damaged"));
    assert!(refused.contains("line "), "{refused}");
    assert_eq!(paid.payout(&first).await.state(), pb::PayoutState::Sent);

    let notified = notify(&mut client, &told).await;
    let expected = admin::NotifyPayoutsResponse {
        paid_payout_ids: vec![first.clone()],
        returned_payout_ids: vec![second.clone()],
        ..Default::default()
    };
    assert_eq!(notified, expected);
    let again = notify(&mut client, &told).await;
    assert_eq!((again.known_count, again.problem_count), (2, 0));
    let of_bank = |payout: &str| {
        let reference = payout.replace('_', "-");
        let transfer = taken
            .transfers
            .iter()
            .find(|it| it.end_to_end_id == reference);
        transfer.expect("the transfer").utr.clone()
    };
    let ended = paid.payout(&first).await;
    assert_eq!(ended.state(), pb::PayoutState::Paid);
    assert_eq!(ended.bank_reference, of_bank(&first));
    assert_eq!(ended.batch_ids, settled[..1]);
    let note = notes(&mut paid.settlement, (&settled[0], 10))
        .await
        .remove(0);
    assert_eq!(
        (note.payout_id, note.bank_reference),
        (first.clone(), of_bank(&first))
    );
    assert_eq!(ended.destination, "DE** **** 3000");
    assert_eq!(paid.balance(&switch).await, [0, 0, 0]);
    let ended = returned.payout(&second).await;
    assert_eq!(ended.state(), pb::PayoutState::Returned);
    assert_eq!(ended.return_reason, "AC04");
    assert_eq!(ended.batch_ids, settled[1..]);
    // No payout pays its batch now.
    let note = notes(&mut returned.settlement, (&settled[1], 10))
        .await
        .remove(0);
    assert_eq!((&*note.payout_id, &*note.bank_reference), ("", ""));
    assert_eq!(returned.balance(&switch).await, [0, 9_900, 0]);
    let request = pb::GetPayoutRequest { payout_id: first };
    let other = returned.settlement.get_payout(request).await;
    let other = other.expect_err("it is not its own");
    assert_eq!(error_reason(&other).as_deref(), Some("PAYOUT_NOT_FOUND"));
    let listed = returned
        .settlement
        .list_payouts(pb::ListPayoutsRequest::default());
    let listed = listed.await.expect("its payouts").into_inner().payouts;
    assert_eq!(listed, [ended]);
}
