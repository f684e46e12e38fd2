//! What was counted for limits is looked up by operators, and released.

use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::risk_service_client::RiskServiceClient;
use payswitch::admin_api::pb::risk_subject::Subject;
use payswitch::config::risk::{CountedEvent, LimitConfig, LimitedSubject};
use payswitch::merchant_api::pb;
use pb::PaymentState as State;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::database::Engine;
use crate::harness::{Switch, authorize, on_both_engines, pay_with, run, until};
use crate::operators::{operator, set_own_role, trail};
use crate::refused::Refused;
use crate::risk::{
    DAY_S, assert_declined_here, attempts_of_a_card, is_declined_here, limit, limited,
};

on_both_engines!(what_was_counted_is_shown_and_released);

type Risk = RiskServiceClient<Channel>;

async fn risk_client(switch: &Switch) -> Risk {
    RiskServiceClient::new(operator(switch).await)
}

fn about(subject: Subject) -> Option<admin::RiskSubject> {
    Some(admin::RiskSubject {
        subject: Some(subject),
        at_merchant_id: String::new(),
    })
}

fn card_of(payment: &pb::Payment) -> Subject {
    Subject::PaymentId(payment.payment_id.clone())
}

/// Which limit has counted how much, of how much, and whether it blocks.
fn told(counts: Vec<admin::RiskCount>) -> Vec<(String, i64, u32, bool)> {
    let told = counts.into_iter().map(|it| {
        let until = it.blocked_until_time;
        if let Some(until) = until {
            let left_s = until.seconds - crate::harness::now().as_i64() / 1000;
            assert!((0..=2 * i64::from(DAY_S)).contains(&left_s), "{left_s}");
        }
        (it.limit, it.count, it.most, until.is_some())
    });
    told.collect()
}

async fn counts(risk: &mut Risk, subject: Subject) -> Vec<(String, i64, u32, bool)> {
    let subject = about(subject);
    let counted = risk.get_counts(admin::GetCountsRequest { subject }).await;
    told(counted.expect("the counts").into_inner().counts)
}

async fn release(
    risk: &mut Risk,
    request_id: &str,
    subject: Subject,
    limit: &str,
) -> Result<Vec<(String, i64, u32, bool)>, Status> {
    let request = admin::ReleaseCountsRequest {
        request_id: request_id.into(),
        reason: "the cardholder called".into(),
        subject: about(subject),
        limit: limit.into(),
    };
    let done = risk.release_counts(request).await?;
    Ok(told(done.into_inner().released))
}

async fn what_was_counted_is_shown_and_released(engine: Engine) {
    let attempts = CountedEvent::Attempts;
    let range = LimitConfig {
        by_merchant: true,
        ..limit("range", LimitedSubject::CardRange, attempts, 100)
    };
    let shop = limit("shop", LimitedSubject::Merchant, attempts, 50);
    let address = limit("address", LimitedSubject::Address, attempts, 60);
    let limits = [attempts_of_a_card(3), vec![range, shop, address]].concat();
    let mut switch = limited(engine, limits).await;
    let mut payments = switch.payments().await;
    let mut tried = Vec::new();
    for _ in 0..4 {
        tried.push(authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await);
    }
    assert_declined_here(&tried[3]);
    assert_eq!(switch.at_acquirer(), 3);

    let mut risk = risk_client(&switch).await;
    let listed = risk.list_limits(admin::ListLimitsRequest {}).await;
    let listed = listed.expect("the limits").into_inner().limits;
    let listed = listed
        .iter()
        .map(|it| (&*it.name, it.most, it.declined_count));
    let expected = [
        ("card-attempts", 3, 1),
        ("range", 100, 0),
        ("shop", 50, 0),
        ("address", 60, 0),
    ];
    assert!(listed.eq(expected));
    let count = |limit: &str, count, most, blocked| (limit.to_owned(), count, most, blocked);
    let all = [
        count("card-attempts", 3, 3, true),
        count("range", 3, 100, false),
    ];
    // By a payment that the bank has, and by the one that was declined here.
    for payment in [&tried[0], &tried[3]] {
        assert_eq!(counts(&mut risk, card_of(payment)).await, all);
    }
    let shop = Subject::MerchantId(switch.merchant_id.to_string());
    assert_eq!(
        counts(&mut risk, shop.clone()).await,
        [count("shop", 3, 50, false)]
    );
    let here = Subject::Address("127.0.0.1".into());
    assert_eq!(
        counts(&mut risk, here).await,
        [count("address", 3, 60, false)]
    );
    let nobody = Subject::PaymentId("pay_06e9x3w8k1z7h4n2m5q0r8t6va".into());
    for (request_id, subject, limit, code, reason) in [
        ("1", nobody, "", Code::NotFound, "PAYMENT_NOT_FOUND"),
        (
            "2",
            card_of(&tried[0]),
            "shop",
            Code::NotFound,
            "LIMIT_NOT_FOUND",
        ),
    ] {
        let refused = release(&mut risk, request_id, subject, limit).await;
        let refused = Refused::from(&refused.expect_err(reason));
        assert_eq!(refused, Refused::not_sent(code, reason));
    }

    // The card for its limit alone; asked again, it is not done again.
    let released = vec![count("card-attempts", 3, 3, true)];
    for _ in 0..2 {
        let done = release(&mut risk, "3", card_of(&tried[3]), "card-attempts").await;
        assert_eq!(done.expect("a release"), released);
        let again = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
        assert_eq!(again.state(), State::Authorized);
    }
    let left = [
        count("card-attempts", 2, 3, false),
        count("range", 5, 100, false),
    ];
    assert_eq!(counts(&mut risk, card_of(&tried[0])).await, left);
    // And so it is after a restart.
    switch.restart_gateway().await;
    let mut risk = risk_client(&switch).await;
    assert_eq!(counts(&mut risk, card_of(&tried[0])).await, left);
    let done = release(&mut risk, "4", card_of(&tried[0]), "").await;
    assert_eq!(done.expect("a release"), left);
    let none = [
        count("card-attempts", 0, 3, false),
        count("range", 0, 100, false),
    ];
    assert_eq!(counts(&mut risk, card_of(&tried[0])).await, none);
    assert_eq!(
        counts(&mut risk, shop.clone()).await,
        [count("shop", 5, 50, false)]
    );

    // Who may only read is refused, and that is on record.
    let channel = operator(&switch).await;
    set_own_role(channel.clone(), admin::OperatorRole::Viewer).await;
    counts(&mut risk, shop.clone()).await;
    let refused = release(&mut risk, "5", shop, "").await;
    let too_low = Refused::not_sent(Code::PermissionDenied, "ROLE_TOO_LOW");
    assert_eq!(Refused::from(&refused.expect_err("a viewer")), too_low);
    let rows = trail(channel).await;
    let mut rows: Vec<_> = rows
        .iter()
        .filter(|row| row.action == "RiskService.ReleaseCounts")
        .map(|row| (&*row.target, row.outcome(), &*row.outcome_reason))
        .collect();
    rows.reverse();
    let (first, last) = (&tried[0].payment_id, &tried[3].payment_id);
    let (done, refused) = (admin::AuditOutcome::Done, admin::AuditOutcome::Refused);
    let merchant = format!("merchant {}", switch.merchant_id);
    let card_for = |payment_id: &str, limit: &str| format!("card of {payment_id} for {limit}");
    assert_eq!(
        rows,
        [
            (
                "card of pay_06e9x3w8k1z7h4n2m5q0r8t6va",
                refused,
                "PAYMENT_NOT_FOUND"
            ),
            (&*card_for(first, "shop"), refused, "LIMIT_NOT_FOUND"),
            (&*card_for(last, "card-attempts"), done, ""),
            (&*format!("card of {first}"), done, ""),
            (&*merchant, refused, "ROLE_TOO_LOW"),
        ]
    );
}

/// The gateway that was asked tells the other one.
#[test]
fn a_release_holds_at_all_nodes() {
    run(async {
        let switch = limited(Engine::Postgres, attempts_of_a_card(3)).await;
        let second = switch.another_gateway().await;
        let through_second = switch.connect_to(&second, None).await;
        let mut through_second = crate::harness::with_key(through_second, &switch.api_key);
        let mut payments = switch.payments().await;
        let mut declined = None;
        for payments in [&mut payments, &mut through_second] {
            until("an attempt that is declined here", async || {
                let payment = authorize(payments, pay_with("pm_test_visa", 1250, "EUR")).await;
                let here = is_declined_here(&payment);
                declined = Some(payment);
                here
            })
            .await;
        }
        let declined = declined.expect("a payment");
        let before = switch.at_acquirer();
        // What a node has counted in the last half second, and has not told, would stay.
        let counted = "SELECT CAST(COALESCE(SUM(counted), 0) AS BIGINT) FROM risk_counts";
        until("all that was counted in the database", async || {
            u64::try_from(switch.database.number(counted.to_owned()).await) == Ok(before)
        })
        .await;
        let mut risk = risk_client(&switch).await;
        let released = release(&mut risk, "1", card_of(&declined), "").await;
        assert!(released.expect("a release")[0].3, "it was blocked");
        until("an attempt through the other node", async || {
            let payment =
                authorize(&mut through_second, pay_with("pm_test_visa", 1250, "EUR")).await;
            !is_declined_here(&payment)
        })
        .await;
        // What comes afterwards counts again, at both.
        for payments in [&mut payments, &mut through_second] {
            until("an attempt that is declined here", async || {
                let payment = authorize(payments, pay_with("pm_test_visa", 1250, "EUR")).await;
                is_declined_here(&payment)
            })
            .await;
        }
        assert!((3..=6).contains(&(switch.at_acquirer() - before)));
        assert!(second.stop().await);
    });
}
