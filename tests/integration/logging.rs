//! What the gateway's log says of each payment.

use payswitch::merchant_api::pb::PaymentState as State;
use serde_json::{Value, json};

use crate::demo::text;
use crate::gateway::{Gateway, User};
use crate::harness::{authorize, pay_with, run, with_key};

#[test]
fn the_start_and_each_operation_have_one_line() {
    run(async {
        let gateway = Gateway::start(User::Own, &["shop"], |_| {}).await;
        let log = text(&gateway.log);
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let started = |line: &Value| line["message"] == "payswitch has started";
        let started: Vec<Value> = lines.filter(started).collect();
        let [line] = &*started else {
            panic!("one line: {started:#?}");
        };
        assert_eq!(line["merchant_api"], gateway.ready["merchant_api"]);
        assert_eq!(line["hosts"], "acquirer");
        assert_eq!(line["version"], env!("CARGO_PKG_VERSION"));
        let mut payments = with_key(gateway.connect().await, &gateway.api_keys[0]);
        for (token, payment_state, state, code) in [
            ("pm_test_visa", State::Authorized, "APPROVED", "00"),
            ("pm_test_lost", State::Declined, "DECLINED", "41"),
        ] {
            let paid = authorize(&mut payments, pay_with(token, 1250, "EUR")).await;
            assert_eq!(paid.state(), payment_state, "{token}");
            let authorization = paid.authorization.expect("an authorization");
            let log = text(&gateway.log);
            let lines = log
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            let lines: Vec<Value> = lines
                .filter(|line: &Value| line["payment.id"] == *paid.payment_id)
                .collect();
            let [line] = &*lines else {
                panic!("one line of {}: {lines:#?}", paid.payment_id);
            };
            let name = payment_state.as_str_name();
            let payment_state = name.trim_start_matches("PAYMENT_STATE_");
            for (field, expected) in [
                ("level", json!("INFO")),
                ("message", json!("An operation is recorded")),
                ("merchant.id", json!("shop")),
                ("operation.id", json!(authorization.operation_id)),
                ("host.id", json!("acquirer")),
                ("stan", json!(authorization.stan)),
                ("rrn", json!(authorization.rrn)),
                ("kind", json!("AUTHORIZATION")),
                ("state", json!(state)),
                ("payment.state", json!(payment_state)),
                ("amount_minor", json!(1250)),
                ("currency", json!("EUR")),
                ("response_code", json!(code)),
            ] {
                assert_eq!(line[field], expected, "{field} of {line}");
            }
        }
    });
}
