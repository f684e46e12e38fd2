//! The data keys of cards in custody, while payments run; and by what a merchant knows a card again.

use futures_util::future::join_all;
use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::custody_service_client::CustodyServiceClient;
use payswitch::merchant_api::pb;
use pb::PaymentState as State;

use crate::database::Engine;
use crate::harness::{Switch, authorize, on_both_engines, pay_with};
use crate::operators::operator;

on_both_engines!(
    keys_are_made_and_destroyed_while_payments_run,
    a_merchant_knows_a_card_again,
);

/// No payment fails, and each card is sealed under the newest key.
async fn keys_are_made_and_destroyed_while_payments_run(engine: Engine) {
    const ROUNDS: i64 = 4;
    const PAYERS: usize = 8;
    let switch = Switch::start(engine).await;
    let payments = switch.payments().await;
    let operator = operator(&switch).await;
    for round in 1..=ROUNDS {
        let paying = (0..PAYERS).map(|_| {
            let mut payments = payments.clone();
            async move {
                for _ in 0..5 {
                    let request = pay_with("pm_test_visa", 1250, "EUR");
                    let payment = authorize(&mut payments, request).await;
                    assert_eq!(payment.state(), State::Authorized, "{payment:?}");
                }
            }
        });
        let changing = async {
            let mut custody = CustodyServiceClient::new(operator.clone());
            let request = admin::RotateDataKeyRequest {
                request_id: format!("rotate-{round}"),
                reason: "a backup was lost".into(),
            };
            let made = custody.rotate_data_key(request).await.expect("a new key");
            let made = made.into_inner().data_key.expect("the key");
            assert_eq!(made.key_version, round + 1);
            let request = admin::DestroyExpiredDataKeysRequest {
                request_id: format!("destroy-{round}"),
                reason: "the monthly run".into(),
            };
            let destroyed = custody.destroy_expired_data_keys(request).await;
            // Cards may still come under the ones that were replaced just now.
            assert_eq!(
                destroyed.expect("an answer").into_inner().destroyed_count,
                0
            );
        };
        tokio::join!(join_all(paying), changing);
        let last = authorize(&mut payments.clone(), pay_with("pm_test_visa", 1250, "EUR")).await;
        let key = format!(
            "SELECT custody_key FROM payments WHERE id = '{}' AND custody IS NOT NULL",
            last.payment_id
        );
        assert_eq!(switch.database.number(key).await, round + 1);
    }
    let sealed = "SELECT CAST(COUNT(custody) AS BIGINT) FROM payments".to_owned();
    let paid = ROUNDS * (i64::try_from(PAYERS).expect("a few") * 5 + 1);
    assert_eq!(switch.database.number(sealed).await, paid);
    assert_eq!(switch.database.count("custody_keys").await, ROUNDS + 1);
}

/// A fingerprint is the same for a card at a merchant, and for nothing else. It is told with the answer, and later.
async fn a_merchant_knows_a_card_again(engine: Engine) {
    let switch = Switch::start(engine).await;
    let (_, other_key) = switch.add_merchant("other-shop", |_| {}).await;
    let mut payments = switch.payments().await;
    let mut others = switch.payments_of(&other_key).await;
    let fingerprint = |payment: &pb::Payment| payment.card.clone().expect("a card").fingerprint;
    let first = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    let known = fingerprint(&first);
    assert_eq!(known.len(), 64);
    // A decline, in another currency, of the same card.
    let again = authorize(&mut payments, pay_with("pm_test_visa", 1651, "USD")).await;
    assert_eq!(again.state(), State::Declined);
    assert_eq!(fingerprint(&again), known);
    let elsewhere = authorize(&mut others, pay_with("pm_test_visa", 1250, "EUR")).await;
    let another = authorize(&mut payments, pay_with("pm_test_mastercard", 1250, "EUR")).await;
    assert_ne!(fingerprint(&elsewhere), known);
    assert_ne!(fingerprint(&another), known);
    let request = pb::GetPaymentRequest {
        payment_id: first.payment_id,
    };
    let read = payments.get_payment(request).await.expect("the payment");
    let read = read.into_inner().payment.expect("the payment");
    assert_eq!(fingerprint(&read), known);
    // What the installation knows it by is the same at both, and is told nobody.
    let velocity = "SELECT CAST(COUNT(DISTINCT velocity) AS BIGINT) FROM payments".to_owned();
    assert_eq!(switch.database.number(velocity).await, 2);
}
