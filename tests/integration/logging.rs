//! What the gateway's log says of each payment.

use std::io::Write as _;

use payswitch::merchant_api::pb::PaymentState as State;
use serde_json::{Value, json};

use crate::demo::text;
use crate::gateway::{Gateway, Settings, User};
use crate::harness::{authorize, eventually, pay_with, run, with_key};

/// How much a pipe takes (pipe(7), "Pipe capacity").
const PIPE: usize = 65_536;

/// The lines of the log that are wanted. It is written beside the answers.
async fn lines_of(gateway: &Gateway, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    eventually("a line of the log", async || {
        let log = text(&gateway.log);
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let lines: Vec<Value> = lines.filter(|line| wanted(line)).collect();
        (!lines.is_empty()).then_some(lines)
    })
    .await
}

#[test]
fn the_start_and_each_operation_have_one_line() {
    run(async {
        let gateway = Gateway::start(User::Own, &["shop"], |_| {}).await;
        let started = lines_of(&gateway, |line| line["message"] == "payswitch has started").await;
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
            let of_payment = |line: &Value| line["payment.id"] == *paid.payment_id;
            let lines = lines_of(&gateway, of_payment).await;
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

/// Whoever takes the log may stand still, so that its pipe is full, or be gone.
#[test]
fn a_log_that_nobody_reads_holds_up_nothing() {
    run(async {
        let (unread, mut pipe) = std::io::pipe().expect("a pipe");
        pipe.write_all(&[b'\n'; PIPE]).expect("a full pipe");
        let settings = Settings {
            merchants: &["shop"],
            profile: include_str!("../../hosts/acquirer.toml"),
            log: Some(pipe.into()),
            ..Settings::default()
        };
        let gateway = Gateway::start_prepared(settings, |_| {}).await;
        let mut payments = with_key(gateway.connect().await, &gateway.api_keys[0]);
        let mut pay = async || {
            let paid = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
            assert_eq!(paid.state(), State::Authorized);
        };
        pay().await;
        drop(unread);
        pay().await;
        pay().await;
        gateway.process.send("TERM");
        let status = gateway.process.ended().await;
        assert!(status.success(), "{status}");
    });
}
