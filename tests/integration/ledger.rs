//! The ledger from outside: what a merchant is owed after captures, and what operators find in it.

use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::ledger_service_client::LedgerServiceClient;
use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::balance_service_client::BalanceServiceClient;
use pb::{BalanceEntryKind as Kind, CaptureState};
use tonic::Request;

use crate::capturing::{capture, ended, of};
use crate::database::Engine;
use crate::faults::{fault, inject, with_code};
use crate::harness::{Switch, authorize, on_both_engines, pay_with};
use crate::operators::operator;
use crate::refunding::{refund_of, refunds_of, try_refund};

on_both_engines!(
    a_merchant_is_owed_what_was_captured,
    a_line_that_was_changed_by_hand_is_found,
);

fn as_caller<T>(api_key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {api_key}").parse().expect("a header");
    request.metadata_mut().insert("authorization", bearer);
    request
}

/// What is pending, by currency.
async fn pending(switch: &Switch, api_key: &str) -> Vec<(i64, String)> {
    let mut client = BalanceServiceClient::new(switch.connect(None).await);
    let request = as_caller(api_key, pb::GetBalancesRequest::default());
    let answer = client.get_balances(request).await.expect("balances");
    let balances = answer.into_inner().balances;
    let pending = balances.into_iter().map(|balance| {
        let pending = balance.pending.expect("an amount");
        (pending.amount_minor, pending.currency)
    });
    pending.collect()
}

/// Kind, amount and subject of each entry, oldest first, read in pages of two.
pub(crate) async fn entries(
    switch: &Switch,
    api_key: &str,
    filter: &str,
) -> Vec<(Kind, i64, String)> {
    let mut client = BalanceServiceClient::new(switch.connect(None).await);
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListBalanceEntriesRequest {
            page_size: 2,
            page_token,
            filter: filter.into(),
            order_by: "create_time asc".into(),
        };
        let request = as_caller(api_key, request);
        let answer = client.list_balance_entries(request).await.expect("entries");
        let answer = answer.into_inner();
        for entry in answer.entries {
            let minor = entry.amount.as_ref().expect("an amount").amount_minor;
            all.push((entry.kind(), minor, entry.subject_id));
        }
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

async fn a_merchant_is_owed_what_was_captured(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let key = &switch.api_key;
    let euros = |minor| vec![(minor, "EUR".to_owned())];
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    assert_eq!(pending(&switch, key).await, []);
    let mut day = String::new();
    for (captured, owed) in [(6_000, 6_000), (1_000, 7_000)] {
        let (_, told) = capture(&mut payments, of(&payment, captured)).await;
        assert_eq!(pending(&switch, key).await, euros(owed));
        let ended = ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
        day = ended.business_date;
    }

    // The bank refuses a capture that counted already: what it was owed for is taken back.
    inject(&switch, fault("0220", with_code("57"))).await;
    let (_, refused) = capture(&mut payments, of(&payment, 500)).await;
    ended(&mut payments, &refused.capture_id, CaptureState::Rejected).await;
    assert_eq!(pending(&switch, key).await, euros(7_000));
    let mut refunds = refunds_of(&switch).await;
    let refund = try_refund(&mut refunds, refund_of(&payment, 2_000)).await;
    assert_eq!(refund.expect("a refund").state(), pb::RefundState::Refunded);
    assert_eq!(pending(&switch, key).await, euros(5_000));

    let id = payment.payment_id.clone();
    let minor = [6_000, 1_000, 500, -500];
    let expected: Vec<_> = minor.map(|minor| (Kind::Capture, minor, id.clone())).into();
    assert_eq!(entries(&switch, key, "kind=CAPTURE").await, expected);
    let refunded = [(Kind::Refund, -2_000, id)];
    assert_eq!(entries(&switch, key, "kind=REFUND").await, refunded);
    assert_eq!(
        entries(&switch, key, "").await,
        [expected.clone(), refunded.into()].concat()
    );
    // What was refused is settled with no day.
    let of_day = format!("kind=CAPTURE AND business_date={day}");
    let settled = entries(&switch, key, &of_day).await;
    assert_eq!(settled, expected[..2]);
    let (_, other) = switch.add_merchant("other-shop", |_| {}).await;
    assert_eq!(pending(&switch, &other).await, []);
    assert_eq!(entries(&switch, &other, "").await, []);
}

async fn a_line_that_was_changed_by_hand_is_found(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    capture(&mut payments, of(&payment, 6_000)).await;
    let mut ledger = LedgerServiceClient::new(operator(&switch).await);
    let verify = async |ledger: &mut LedgerServiceClient<_>| {
        let answer = ledger.verify_ledger(admin::VerifyLedgerRequest::default());
        answer.await.expect("a verification").into_inner()
    };
    let verified = verify(&mut ledger).await;
    assert_eq!(verified.findings, []);
    assert_eq!(verified.journals, 1);
    let request = admin::ListJournalsRequest {
        payment_id: payment.payment_id,
        ..Default::default()
    };
    let listed = ledger.list_journals(request).await.expect("journals");
    let journals = listed.into_inner().journals;
    let [journal] = journals.as_slice() else {
        panic!("one journal, not {journals:?}")
    };
    let lines = journal.lines.iter();
    let lines: Vec<_> = lines
        .map(|it| (it.account.as_str(), it.amount_minor))
        .collect();
    assert_eq!(lines, [("RECEIVABLE", 6_000), ("PAYABLE_PENDING", -6_000)]);

    let position = journal.position;
    let change = format!(
        "UPDATE ledger_lines SET amount_minor = 60000 WHERE position = {position} AND n = 0 \
         RETURNING amount_minor"
    );
    assert_eq!(switch.database.number(change).await, 60_000);
    let findings = verify(&mut ledger).await.findings;
    let [altered, differs] = findings.as_slice() else {
        panic!("the journal and the payment, not {findings:?}")
    };
    assert_eq!(altered.kind(), admin::LedgerFindingKind::JournalAltered);
    let positions = (altered.first_position, altered.last_position);
    assert_eq!(positions, (position, position));
    assert!(altered.text.contains(&journal.journal_id), "{altered:?}");
    assert_eq!(differs.kind(), admin::LedgerFindingKind::PaymentDiffers);
    assert!(differs.text.contains(&journal.payment_id), "{differs:?}");
}
