//! What the gateway counts, read as Prometheus reads it: by others' programs, with the client certificate of an operator.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use payswitch::certs::Identity;
use payswitch::config::risk::LimitConfig;
use payswitch::merchant_api::pb::PaymentState as State;

use crate::database::Engine;
use crate::harness::{Switch, TempFolder, authorize, on_both_engines, pay_with};
use crate::tools::{output, printed_by, tool};

on_both_engines!(what_happens_is_counted,);

/// Prints each sample of a text in the OpenMetrics format, which it is strict about.
const PEER: &str = r"
import sys
from prometheus_client.openmetrics.parser import text_fd_to_metric_families
for family in text_fd_to_metric_families(open(sys.argv[1])):
    for sample in family.samples:
        labels = ','.join(f'{name}={value}' for name, value in sorted(sample.labels.items()))
        print(f'{sample.name}{{{labels}}} {sample.value:g}')
";

/// The page, as curl gets it with a client certificate or without.
fn curl(switch: &Switch, folder: &TempFolder, identity: Option<&Identity>) -> Command {
    let address = switch.gateway().admin_api.expect("a door for operators");
    let path = |name: &str| folder.path().join(name);
    let ca = switch.pki.operators_root.certificate_pem();
    std::fs::write(path("ca.pem"), ca).expect("a file");
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--http2", "--max-time", "30"])
        .args(["--write-out", "%{http_code}", "--output"])
        .arg(path("page"))
        .arg("--cacert")
        .arg(path("ca.pem"))
        .arg(format!("https://localhost:{}/metrics", address.port()))
        .arg("--connect-to")
        .arg(format!("::{address}"));
    if let Some(identity) = identity {
        std::fs::write(path("operator.pem"), identity.certificate_pem()).expect("a file");
        std::fs::write(path("operator.key"), identity.key_pem()).expect("a file");
        curl.arg("--cert")
            .arg(path("operator.pem"))
            .arg("--key")
            .arg(path("operator.key"));
    }
    curl
}

/// The samples of the page, as another's parser reads them.
pub(crate) fn samples(switch: &Switch) -> BTreeMap<String, f64> {
    let folder = TempFolder::new("metrics");
    let code = printed_by(&mut curl(switch, &folder, Some(&switch.pki.operator)));
    assert_eq!(code, "200");
    let page = folder.path().join("page");
    let read = printed_by(tool("python3").args(["-c", PEER]).arg(page));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a sample");
        (name.to_owned(), value.parse().expect("a number"))
    };
    read.lines().map(sample).collect()
}

/// The figures that a text names.
fn named(text: &str) -> BTreeSet<&str> {
    let is_of_a_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    text.split(|letter| !is_of_a_name(letter))
        .filter(|word| word.starts_with("payswitch_"))
        .map(|word| word.trim_end_matches("_bucket"))
        .collect()
}

#[test]
fn alarms_and_panels_are_on_figures_that_are_described() {
    let described = named(include_str!("../../docs/operations.md"));
    for text in [
        include_str!("../../docs/prometheus/alerts.yml"),
        include_str!("../../docs/prometheus/dashboard.json"),
    ] {
        let used = named(text);
        assert!(used.len() > 5, "{used:?}");
        let unknown: Vec<_> = used.difference(&described).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

async fn what_happens_is_counted(engine: Engine) {
    let mut limits = LimitConfig::usual();
    limits[0].most = 3;
    let switch = Switch::start_limited(engine, None, limits).await;
    let mut payments = switch.payments().await;
    let before = samples(&switch);
    assert_eq!(
        before.get("payswitch_events_total{kind=PAYMENT_AUTHORIZED}"),
        Some(&0.0)
    );
    for (token, state) in [
        ("pm_test_visa", State::Authorized),
        ("pm_test_visa", State::Authorized),
        ("pm_test_lost", State::Declined),
        ("pm_test_visa", State::Authorized),
        // More than a limit allows.
        ("pm_test_visa", State::Declined),
    ] {
        let paid = authorize(&mut payments, pay_with(token, 1250, "EUR")).await;
        assert_eq!(paid.state(), state, "{token}");
    }
    payments
        .authorize_payment(pay_with("pm_test_nothing", 1250, "EUR"))
        .await
        .expect_err("there is no such token");

    let now = samples(&switch);
    let authorize = "PaymentService/AuthorizePayment";
    for (name, expected) in [
        (
            "payswitch_events_total{kind=PAYMENT_AUTHORIZED}".to_owned(),
            3.0,
        ),
        (
            "payswitch_events_total{kind=PAYMENT_DECLINED}".to_owned(),
            2.0,
        ),
        (
            "payswitch_risk_declines_total{limit=card-attempts}".to_owned(),
            1.0,
        ),
        (
            "payswitch_risk_declines_total{limit=card-declines}".to_owned(),
            0.0,
        ),
        (
            format!("payswitch_calls_total{{code=OK,method={authorize}}}"),
            5.0,
        ),
        (
            format!("payswitch_calls_total{{code=INVALID_ARGUMENT,method={authorize}}}"),
            1.0,
        ),
        (
            format!("payswitch_call_own_seconds_count{{method={authorize}}}"),
            5.0,
        ),
        (
            format!("payswitch_call_bank_seconds_count{{method={authorize}}}"),
            4.0,
        ),
    ] {
        assert_eq!(now.get(&name), Some(&expected), "{name} in {now:#?}");
    }
    let up = now.get("payswitch_host_lines_signed_on{host=acquirer}");
    let lines = now.get("payswitch_host_lines{host=acquirer}");
    assert!(up >= Some(&1.0) && up <= lines, "{now:#?}");
    assert!(now.contains_key("payswitch_store_waiting{}"), "{now:#?}");
    let ends = now.get("payswitch_certificate_not_after_seconds{of=host acquirer}");
    // After the year 2026 began.
    assert!(ends.is_some_and(|end| *end > 1_767_225_600.0), "{now:#?}");
    for name in named(include_str!("../../docs/operations.md")) {
        // There is none while nothing is owed, and none of files where everything is in memory.
        let shown = now.keys().any(|sample| sample.starts_with(name));
        let not_here = ["payswitch_owed", "payswitch_reloads", "payswitch_crl"];
        let not_here = not_here.iter().any(|other| name.starts_with(other));
        assert!(shown || not_here, "{name}");
    }

    // Who has no certificate is not let in, and who brings what is for another door reads nothing.
    let folder = TempFolder::new("metrics");
    let stranger = output(&mut curl(&switch, &folder, None));
    assert!(!stranger.status.success(), "{stranger:?}");
    let mut with_a_key = curl(&switch, &folder, Some(&switch.pki.operator));
    with_a_key.args(["--header", "authorization: Bearer sk_test_x"]);
    assert_eq!(printed_by(&mut with_a_key), "401");
    let page = std::fs::read_to_string(folder.path().join("page")).expect("what it says");
    assert!(page.contains("API keys are for the merchant API"), "{page}");
}
