//! One payment explained: everything that is recorded of it, in order, by whatever names it, and no card number.

use bank_sim::control::pb as banks;
use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::explain_service_client::ExplainServiceClient;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use pb::{CaptureState, RefundState};
use serde_json::Value;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::capturing::{capture, ended, of};
use crate::database::Engine;
use crate::demo::as_operator;
use crate::faults::{UNANSWERED, control, fault_of, inject};
use crate::harness::{Switch, authorize, on_both_engines, pay_with};
use crate::operators::operator;
use crate::refunding::{refund_of, refunds_of, try_refund};
use crate::tools::output;

on_both_engines!(a_payment_is_explained_by_whatever_names_it);

async fn explain(
    client: &mut ExplainServiceClient<Channel>,
    subject: &str,
    merchant_id: &str,
    method: &str,
) -> Result<admin::ExplainPaymentResponse, Status> {
    let request = admin::ExplainPaymentRequest {
        subject: subject.into(),
        merchant_id: merchant_id.into(),
        method: method.into(),
    };
    Ok(client.explain_payment(request).await?.into_inner())
}

/// `payswitch explain` as the operator of the switch: its exit code and what it printed.
fn printed(switch: &Switch, arguments: &[&str]) -> (Option<i32>, String) {
    let arguments = [&["explain"], arguments].concat();
    let output = output(&mut as_operator(switch, &arguments));
    let both = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8(both).expect("UTF-8"),
    )
}

/// What `payswitch explain` says was sent for this amount is in the acquirer's own record of messages, and the issuer has
/// debited as much, or credited it where the amount is below zero.
pub(crate) async fn is_at_the_bank(switch: &Switch, subject: &str, amount_minor: i64) {
    let (code, text) = printed(switch, &[subject, "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let explained: Value = serde_json::from_str(&text).expect("JSON");
    let amount = format!("{:012}", amount_minor.abs());
    let element = |entry: &Value, number: &str| {
        let elements = entry["elements"].as_array().expect("elements");
        let found = elements.iter().find(|it| it["number"] == number);
        found.map(|it| it["value_masked"].as_str().expect("a text").to_owned())
    };
    let entries = explained["explanation"]["entries"].as_array();
    let sent = entries.expect("entries").iter().filter(|entry| {
        entry["kind"] == "MESSAGE" && element(entry, "4").as_ref() == Some(&amount)
    });
    let sent: Vec<_> = sent.collect();
    assert_eq!(sent.len(), 1, "one message of {amount}: {text}");
    let [rrn, stan] = ["37", "11"].map(|number| element(sent[0], number).expect("a number"));
    let request = banks::ListMessagesRequest {
        rrn,
        ..Default::default()
    };
    let messages = control(&switch.banks).await.list_messages(request).await;
    let mut messages = messages.expect("messages").into_inner().messages;
    messages.retain(|it| it.elements.get(&4) == Some(&amount));
    let received = messages.iter().filter(|it| {
        it.host == "acquirer" && it.direction() == banks::Direction::Received && it.stan == stan
    });
    assert_eq!(received.count(), 1, "{subject}: {messages:?}");
    let effects = messages.iter().map(banks::Message::effect);
    let moved = effects.filter(|it| *it != banks::Effect::None);
    let expected = match amount_minor {
        1.. => banks::Effect::Debited,
        _ => banks::Effect::Credited,
    };
    assert_eq!(moved.collect::<Vec<_>>(), [expected], "{subject}");
}

async fn a_payment_is_explained_by_whatever_names_it(engine: Engine) {
    let switch = Switch::start(engine).await;
    let (mut payments, mut refunds) = (switch.payments().await, refunds_of(&switch).await);
    let request = pb::AuthorizePaymentRequest {
        request_id: "first".into(),
        merchant_reference: "order-17".into(),
        ..pay_with("pm_test_visa", 10_000, "EUR")
    };
    let payment = authorize(&mut payments, request).await;
    let mut captures = Vec::new();
    for amount_minor in [6_000, 4_000] {
        let request = of(&payment, amount_minor);
        let request_id = request.request_id.clone();
        let (_, told) = capture(&mut payments, request).await;
        ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
        captures.push((told.capture_id, request_id));
    }
    let refunded = try_refund(&mut refunds, refund_of(&payment, 2_000)).await;
    let refunded = refunded.expect("a refund");
    inject(&switch, fault_of("0200", 1_500, UNANSWERED)).await;
    let lost = try_refund(&mut refunds, refund_of(&payment, 1_500)).await;
    let lost = lost.expect("a refund");
    assert_eq!(lost.state(), RefundState::Sending);

    let channel = operator(&switch).await;
    let mut client = ExplainServiceClient::new(channel);
    let explained = explain(&mut client, &payment.payment_id, "", "").await;
    let explanation = explained.expect("an explanation").explanation;
    let explanation = explanation.expect("one payment");
    let named = explanation.payment.as_ref().expect("a payment");
    assert_eq!(
        (&*named.merchant_reference, &*named.state),
        ("order-17", "CAPTURED")
    );
    assert_eq!(named.card_masked, "424242…4242");
    assert_eq!(
        explanation.stands[0],
        "CAPTURED: 100.00 EUR authorized, 100.00 EUR captured, 35.00 EUR refunded (15.00 EUR of it pending)."
    );
    let next = &explanation.next[0];
    let expected =
        "Not known: what became of refund 2 of 15.00 EUR, for this reason: no answer in time.";
    assert!(next.starts_with(expected), "{next}");

    // Every operation, with what it began with, what was sent and what came of it, in order.
    use admin::ExplanationKind as Kind;
    let entries = &explanation.entries;
    assert!(entries.is_sorted_by_key(|entry| entry.time.map(|time| (time.seconds, time.nanos))));
    let of_kinds = |kinds: &[Kind]| {
        let entries = entries.iter().filter(|entry| kinds.contains(&entry.kind()));
        let first_words = |entry: &admin::ExplanationEntry| {
            let end = entry.text.find([',', ':']).unwrap_or(entry.text.len());
            entry.text[..end].to_owned()
        };
        entries.map(first_words).collect::<Vec<_>>()
    };
    assert_eq!(
        of_kinds(&[Kind::Operation, Kind::Answer, Kind::End]),
        [
            "authorization of 100.00 EUR to acquirer",
            "authorization approved",
            "capture 1 of 60.00 EUR to acquirer",
            "capture 1 acknowledged",
            "capture 2 of 40.00 EUR to acquirer",
            "capture 2 acknowledged",
            "refund 1 of 20.00 EUR to acquirer",
            "refund 1 approved",
            "refund 2 of 15.00 EUR to acquirer",
            "refund 2",
        ]
    );
    let requests = of_kinds(&[Kind::Request]);
    assert_eq!(
        requests,
        [
            "AuthorizePayment",
            "CapturePayment",
            "CapturePayment",
            "CreateRefund",
            "CreateRefund"
        ]
    );
    let answered = requests.iter().map(|rpc| format!("{rpc} answered"));
    assert!(of_kinds(&[Kind::Told]).into_iter().eq(answered));
    assert_eq!(of_kinds(&[Kind::Journal]), ["capture", "capture", "refund"]);
    assert_eq!(of_kinds(&[Kind::Message]).len(), 5);
    let events = entries.iter().filter(|entry| entry.kind() == Kind::Payment);
    let positions: Vec<i64> = events.map(|entry| entry.position).collect();
    assert!(
        positions.len() >= 7 && positions.is_sorted() && positions[0] > 0,
        "{positions:?}"
    );
    let value = |kind: Kind, text: &str, number: &str| {
        let mut of_kind = entries.iter().filter(|entry| entry.kind() == kind);
        let entry = of_kind
            .find(|entry| entry.text.starts_with(text))
            .expect("the entry");
        let mut elements = entry.elements.iter();
        let element = elements.find(|element| element.number == number);
        element.map(|element| element.value_masked.clone())
    };
    for (text, number, expected) in [
        ("authorization", "2", Some("***")),
        ("authorization", "4", Some("000000010000")),
        ("capture 2", "4", Some("000000004000")),
        ("capture 2", "2", Some("***")),
        ("refund 2", "37", Some(&*lost.rrn)),
    ] {
        assert_eq!(
            value(Kind::Message, text, number).as_deref(),
            expected,
            "{text} DE {number}"
        );
    }
    assert_eq!(value(Kind::Answer, "refund 1", "39").as_deref(), Some("00"));

    // Whatever names it finds it.
    let operation_id = entries.last().expect("an entry").operation_id.clone();
    let merchant = switch.merchant_id.as_str();
    let reference = ("order-17", merchant, "");
    let by_name = [
        (&*operation_id, "", ""),
        (&*captures[0].0, "", ""),
        (&*refunded.refund_id, "", ""),
        (payment.rrn(), "", ""),
        (&*lost.rrn, merchant, ""),
        reference,
        ("first", merchant, ""),
        ("first", merchant, "AuthorizePayment"),
        (&*captures[1].1, merchant, "CapturePayment"),
    ];
    for (subject, merchant_id, method) in by_name {
        let found = explain(&mut client, subject, merchant_id, method).await;
        let found = found.unwrap_or_else(|status| panic!("{subject}: {status:?}"));
        let found = found.explanation.expect("one payment");
        assert_eq!(found.entries, explanation.entries, "{subject}");
    }
    for (subject, merchant_id, method, code, reason) in [
        (
            "order-18",
            merchant,
            "",
            Code::NotFound,
            "PAYMENT_NOT_FOUND",
        ),
        (
            "first",
            merchant,
            "CapturePayment",
            Code::NotFound,
            "PAYMENT_NOT_FOUND",
        ),
        (
            "order-17",
            "other-shop",
            "",
            Code::NotFound,
            "PAYMENT_NOT_FOUND",
        ),
        // No index finds a reference without its merchant.
        ("order-17", "", "", Code::InvalidArgument, "INVALID_REQUEST"),
        (
            "first",
            merchant,
            "Capture",
            Code::InvalidArgument,
            "INVALID_REQUEST",
        ),
        (
            "4242424242424242",
            merchant,
            "",
            Code::InvalidArgument,
            "CLEAR_CARD_REFUSED",
        ),
    ] {
        let refused = explain(&mut client, subject, merchant_id, method).await;
        let refused = refused.expect_err(subject);
        let got = (refused.code(), error_reason(&refused));
        assert_eq!(
            got,
            (code, Some(reason.to_owned())),
            "{subject} {merchant_id} {method}"
        );
    }

    // The command shows the same.
    let (code, text) = printed(&switch, &[payment.rrn(), "--messages"]);
    assert_eq!(code, Some(0), "{text}");
    for entry in entries {
        assert!(text.contains(&entry.text), "{} in\n{text}", entry.text);
    }
    let (code, as_json) = printed(&switch, &["order-17", "--merchant", merchant, "--json"]);
    assert_eq!(code, Some(0), "{as_json}");
    let json: Value = serde_json::from_str(&as_json).expect("JSON");
    let json = &json["explanation"];
    assert_eq!(json["stands"], Value::from(explanation.stands.clone()));
    assert_eq!(json["next"], Value::from(explanation.next.clone()));
    let rows = json["entries"].as_array().expect("entries").iter();
    let texts: Vec<_> = rows
        .map(|row| row["text"].as_str().expect("a text"))
        .collect();
    assert!(
        texts
            .iter()
            .copied()
            .eq(entries.iter().map(|entry| entry.text.as_str()))
    );
    for shown in [&text, &as_json, &format!("{explanation:?}")] {
        // The PAN between the six and the four digits that may be seen, and the expiry as a number of its own: the
        // time of a message reads the same on 30 November at 12 o'clock.
        for secret in ["4242424242424242", "4242424", "24242424"] {
            assert!(!shown.contains(secret), "{secret} in\n{shown}");
        }
        let mut numbers = shown.split(|it: char| !it.is_ascii_digit());
        assert!(!numbers.any(|it| it == "3012"), "the expiry in\n{shown}");
    }

    // Another payment of the same order.
    let again = pb::AuthorizePaymentRequest {
        merchant_reference: "order-17".into(),
        ..pay_with("pm_test_visa", 500, "EUR")
    };
    let again = authorize(&mut payments, again).await;
    let several = explain(&mut client, "order-17", merchant, "")
        .await
        .expect("both");
    let both: Vec<_> = several.candidates.iter().map(|it| &it.payment_id).collect();
    assert_eq!(
        (several.explanation, both),
        (None, vec![&again.payment_id, &payment.payment_id])
    );
    let (code, listed) = printed(&switch, &["order-17", "--merchant", merchant]);
    assert_eq!(code, Some(3), "{listed}");
    assert!(
        listed.contains(&payment.payment_id) && listed.contains(&again.payment_id),
        "{listed}"
    );
    let (code, errors) = printed(&switch, &["order-18", "--merchant", merchant]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(
        errors.contains("order-18") && errors.contains("PAYMENT_NOT_FOUND"),
        "{errors}"
    );
}
