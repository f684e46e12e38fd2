//! Finding payments again: by id, in lists, by the merchant's reference and by the bank's.

use futures_util::future::join_all;
use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::lookup_payment_request::Key;
use payswitch::payment::moment::{NumberDate, UnixMillis};
use pb::PaymentState as State;
use time::format_description::well_known::Rfc3339;
use tonic::{Code, Status};

use crate::database::Engine;
use crate::harness::{Payments, Switch, authorize, on_both_engines, pay_with, run};
use crate::refused::Refused;

on_both_engines!(
    a_payment_is_found_as_it_was_told,
    every_page_together_is_the_whole,
    filters_choose,
    look_ups_find_every_attempt,
    the_operations_of_a_payment_are_listed,
);

async fn list(
    payments: &mut Payments,
    request: pb::ListPaymentsRequest,
) -> Result<pb::ListPaymentsResponse, Status> {
    let answer = payments.list_payments(request).await;
    answer.map(tonic::Response::into_inner)
}

/// Every page of a list, one after the other.
async fn pages(
    payments: &mut Payments,
    mut request: pb::ListPaymentsRequest,
) -> Vec<Vec<pb::Payment>> {
    let mut pages = Vec::new();
    loop {
        let page = list(payments, request.clone()).await.expect("a page");
        pages.push(page.payments);
        if page.next_page_token.is_empty() {
            return pages;
        }
        assert!(pages.len() < 1000, "the pages come to an end");
        request.page_token = page.next_page_token;
    }
}

/// The date of its message: the first of a payment is made when the payment is.
fn date_of(payment: &pb::Payment) -> String {
    let at = payment.create_time.expect("a time");
    NumberDate::of(UnixMillis::new(at.seconds * 1000)).to_string()
}

async fn a_payment_is_found_as_it_was_told(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    for token in ["pm_test_visa", "pm_test_lost", "pm_test_issuer_down"] {
        let told = authorize(&mut payments, pay_with(token, 1250, "KWD")).await;
        let get = pb::GetPaymentRequest {
            payment_id: told.payment_id.clone(),
        };
        let found = payments
            .get_payment(get)
            .await
            .expect("the payment")
            .into_inner();
        assert_eq!(found.payment, Some(told.clone()));
        let listed = list(&mut payments, pb::ListPaymentsRequest::default()).await;
        assert_eq!(listed.expect("a list").payments.first(), Some(&told));
    }
    assert_eq!(switch.at_acquirer(), 3);
}

async fn every_page_together_is_the_whole(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    // At once, so that many share a millisecond.
    let calls = (0..60).map(|_| {
        let mut payments = payments.clone();
        async move { authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await }
    });
    let mut told = join_all(calls).await;
    let created = |payment: &pb::Payment| {
        let at = payment.create_time.expect("a time");
        (at.seconds, at.nanos, payment.payment_id.clone())
    };
    told.sort_by_key(created);
    let oldest_first = told.clone();
    told.reverse();
    for (page_size, order_by, expected, sizes) in [
        (
            7,
            "",
            &told,
            [7; 8].iter().chain(&[4]).copied().collect::<Vec<_>>(),
        ),
        (20, "create_time desc", &told, vec![20, 20, 20]),
        (0, "create_time asc", &oldest_first, vec![50, 10]),
        (1, "create_time asc", &oldest_first, vec![1; 60]),
        (100, "create_time asc", &oldest_first, vec![60]),
    ] {
        let request = pb::ListPaymentsRequest {
            page_size,
            order_by: order_by.to_owned(),
            ..Default::default()
        };
        let pages = pages(&mut payments, request).await;
        assert_eq!(
            pages.iter().map(Vec::len).collect::<Vec<_>>(),
            sizes,
            "{order_by}"
        );
        assert_eq!(pages.concat(), *expected, "{page_size} {order_by}");
    }
    // What comes while one reads shifts no page.
    let first = pb::ListPaymentsRequest {
        page_size: 30,
        ..Default::default()
    };
    let page = list(&mut payments, first.clone()).await.expect("a page");
    authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    let next = pb::ListPaymentsRequest {
        page_token: page.next_page_token,
        ..first
    };
    let rest = list(&mut payments, next).await.expect("a page");
    assert_eq!([page.payments, rest.payments].concat(), told);
}

async fn filters_choose(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut told = Vec::new();
    for (token, currency, order, customer) in [
        ("pm_test_visa", "EUR", "order 10/42", "crm-77"),
        ("pm_test_lost", "EUR", "order 10/42", "crm-77"),
        ("pm_test_visa", "JPY", "order-2", "crm-78"),
        ("pm_test_mastercard", "KWD", "order-3", ""),
    ] {
        let request = pb::AuthorizePaymentRequest {
            merchant_reference: order.to_owned(),
            customer_reference: customer.to_owned(),
            ..pay_with(token, 1250, currency)
        };
        told.push(authorize(&mut payments, request).await);
    }
    let third = told[2].create_time.expect("a time");
    let third = UnixMillis::new(third.seconds * 1000 + i64::from(third.nanos) / 1_000_000);
    let third = third.utc().format(&Rfc3339).expect("a time");
    for (filter, expected) in [
        ("state=REVERSED".into(), vec![]),
        ("currency=EUR AND state=AUTHORIZED".into(), vec![0]),
        (r#"merchant_reference="order 10/42""#.into(), vec![0, 1]),
        ("customer_reference=crm-77".into(), vec![0, 1]),
        (format!("create_time>=\"{third}\""), vec![2, 3]),
        (format!("create_time<\"{third}\""), vec![0, 1]),
    ] {
        let request = pb::ListPaymentsRequest {
            filter: filter.clone(),
            order_by: "create_time asc".into(),
            page_size: 1,
            ..Default::default()
        };
        let found = pages(&mut payments, request).await.concat();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|index: usize| told[index].clone())
            .collect();
        assert_eq!(found, expected, "{filter}");
    }
}

#[test]
fn lists_that_are_refused() {
    run(async {
        let switch = Switch::start(Engine::Sqlite).await;
        let mut payments = switch.payments().await;
        for _ in 0..3 {
            authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
        }
        let with = |page_size: i32, filter: &str, page_token: &str| pb::ListPaymentsRequest {
            page_size,
            page_token: page_token.to_owned(),
            filter: filter.to_owned(),
            ..Default::default()
        };
        let first = list(&mut payments, with(1, "", "")).await;
        let token = first.expect("a page").next_page_token;
        for (request, fields) in [
            (
                with(-1, "1=1; DROP TABLE payments", "x"),
                &["page_size", "filter", "page_token"][..],
            ),
            // A token is of its own list alone.
            (with(1, "state=AUTHORIZED", &token), &["page_token"]),
        ] {
            let status = list(&mut payments, request).await.expect_err("a refusal");
            let expected = Refused::invalid("INVALID_REQUEST", fields);
            assert_eq!(Refused::from(&status), expected);
        }
        // The same token goes on where it says, however often, and with another page size.
        for page_size in [1, 2, 2] {
            let page = list(&mut payments, with(page_size, "", &token)).await;
            let found = i32::try_from(page.expect("a page").payments.len());
            assert_eq!(found, Ok(page_size));
        }
    });
}

async fn look_ups_find_every_attempt(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut told = Vec::new();
    for token in ["pm_test_lost", "pm_test_insufficient_funds", "pm_test_visa"] {
        let request = pb::AuthorizePaymentRequest {
            request_id: format!("r-{token}"),
            merchant_reference: "order-1042".into(),
            ..pay_with(token, 1250, "EUR")
        };
        told.push(authorize(&mut payments, request).await);
    }
    authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    told.reverse();
    let mut look_up = async |key: Option<Key>, business_date: &str, host_id: &str| {
        let request = pb::LookupPaymentRequest {
            key,
            business_date: business_date.to_owned(),
            host_id: host_id.to_owned(),
        };
        let answer = payments.lookup_payment(request).await;
        answer.map(|answer| answer.into_inner().payments)
    };
    let order = Key::MerchantReference("order-1042".into());
    let found = look_up(Some(order.clone()), "", "")
        .await
        .expect("every attempt");
    assert_eq!(found, told, "newest first");
    for payment in &told {
        let rrn = Key::Rrn(payment.rrn().to_owned());
        for (date, host) in [("", ""), (&*date_of(payment), "acquirer")] {
            let found = look_up(Some(rrn.clone()), date, host).await;
            assert_eq!(found.expect("one payment"), std::slice::from_ref(payment));
        }
        for (date, host) in [("2001-01-01", ""), ("", "other")] {
            let status = look_up(Some(rrn.clone()), date, host).await;
            assert_eq!(
                Refused::from(&status.expect_err("another's number")),
                Refused::not_sent(Code::NotFound, "PAYMENT_NOT_FOUND")
            );
        }
    }
    let by_request = |text: &str| Some(Key::RequestId(text.to_owned()));
    let found = look_up(by_request("r-pm_test_visa"), "", "").await;
    assert_eq!(found.expect("one payment"), told[..1]);
    for (key, code, reason) in [
        (by_request("r-none"), Code::NotFound, "PAYMENT_NOT_FOUND"),
        (
            Some(Key::ApprovalCode("A1B2C3".into())),
            Code::Unimplemented,
            "NOT_IMPLEMENTED",
        ),
    ] {
        let status = look_up(key, "", "").await.expect_err("nothing");
        assert_eq!(Refused::from(&status), Refused::not_sent(code, reason));
    }
    assert_eq!(told[0].state(), State::Authorized);
}

async fn the_operations_of_a_payment_are_listed(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    for (token, state, attempts) in [
        ("pm_test_visa", pb::OperationState::Approved, 1),
        ("pm_test_lost", pb::OperationState::Declined, 1),
    ] {
        let payment = authorize(&mut payments, pay_with(token, 1250, "EUR")).await;
        let request = |page_token: &str, page_size| pb::ListOperationsRequest {
            payment_id: payment.payment_id.clone(),
            page_size,
            page_token: page_token.to_owned(),
        };
        let page = payments.list_operations(request("", 1)).await;
        let page = page.expect("a page").into_inner();
        assert_eq!(page.next_page_token, "", "there is one operation");
        let [operation] = &*page.operations else {
            panic!("{page:?}");
        };
        let sent = payment.authorization.as_ref().expect("it is routed");
        assert_eq!(
            (operation.kind(), operation.state(), operation.attempts),
            (pb::OperationKind::Authorization, state, attempts)
        );
        assert_eq!(operation.amount, payment.amount);
        assert_eq!(
            [
                &operation.host_id,
                &operation.stan,
                &operation.rrn,
                &operation.response_code,
                &operation.approval_code
            ],
            [
                &sent.host_id,
                &sent.stan,
                &sent.rrn,
                &sent.response_code,
                &sent.approval_code
            ]
        );
        let wrong = payments.list_operations(request("x", 101)).await;
        let expected = Refused::invalid("INVALID_REQUEST", &["page_size", "page_token"]);
        assert_eq!(Refused::from(&wrong.expect_err("a refusal")), expected);
    }
}
