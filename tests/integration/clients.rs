//! Clients that others wrote pay: grpcurl and `buf curl` by hand, and the examples in three languages, whose payments
//! are captured and refunded in part.

use std::process::Command;

use bank_sim::control::pb::control_service_client::ControlServiceClient;
use bank_sim::control::pb::{GetTotalsRequest, Totals};
use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::lookup_payment_request::Key;
use pb::{CaptureState, PaymentState as State};
use serde_json::Value;

use crate::capturing::ended;
use crate::demo::{Demo, PROGRAM, text};
use crate::harness::{TempFolder, run, unique};
use crate::tools::{output, printed_by, project, search_path, tool};

/// The lines that the demo prints for pasting.
fn lines_to_paste(demo: &Demo) -> Vec<String> {
    let printed = text(&demo.printed);
    let lines = printed.lines().filter(|line| line.starts_with("grpcurl "));
    lines.map(str::to_owned).collect()
}

/// Pastes a line into a shell.
fn paste(line: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).env("PATH", search_path());
    shell
}

fn grpcurl(demo: &Demo) -> Command {
    let mut command = tool("grpcurl");
    command
        .args(["-cacert", demo.said("ca_path")])
        .args(["-servername", demo.said("server_name")])
        .args([
            "-H",
            &format!("authorization: Bearer {}", demo.said("api_key")),
        ]);
    command
}

#[test]
fn grpcurl_lists_describes_and_pays() {
    run(async {
        let folder = TempFolder::new("grpcurl");
        let demo = Demo::start(&folder, &["--no-tour"]).await;
        let address = demo.said("merchant_api");
        let version = output(tool("grpcurl").arg("-version"));
        let version = String::from_utf8_lossy(&version.stderr).into_owned();
        assert!(version.contains("1.8.6"), "{version}");

        let services = printed_by(grpcurl(&demo).args([address, "list"]));
        for service in [
            "payswitch.v1.PaymentService",
            "payswitch.v1.SealingService",
            "grpc.health.v1.Health",
        ] {
            assert!(services.lines().any(|line| line == service), "{services}");
        }
        let method = "payswitch.v1.PaymentService.AuthorizePayment";
        let described = printed_by(grpcurl(&demo).args([address, "describe", method]));
        assert!(
            described.contains("// Asks the issuer to hold an amount on a card."),
            "{described}"
        );
        let message = "payswitch.v1.AuthorizePaymentRequest";
        let described = printed_by(grpcurl(&demo).args([address, "describe", message]));
        assert!(
            described.contains("// The amount to hold. Mandatory."),
            "{described}"
        );
        let health = printed_by(grpcurl(&demo).args([address, "grpc.health.v1.Health/Check"]));
        assert!(
            health.contains("SERVING") && !health.contains("NOT_SERVING"),
            "{health}"
        );

        let lines = lines_to_paste(&demo);
        assert_eq!(lines.len(), 5, "{lines:?}");
        let described = printed_by(&mut paste(&lines[0]));
        assert!(described.contains("rpc AuthorizePayment"), "{described}");
        let paid: Value = serde_json::from_str(&printed_by(&mut paste(&lines[1]))).expect("JSON");
        assert_eq!(
            paid["payment"]["state"], "PAYMENT_STATE_AUTHORIZED",
            "{paid}"
        );
        // Pasted again it is the same request, so it is the same payment.
        let again: Value = serde_json::from_str(&printed_by(&mut paste(&lines[1]))).expect("JSON");
        assert_eq!(again, paid);
        let listed: Value = serde_json::from_str(&printed_by(&mut paste(&lines[2]))).expect("JSON");
        assert_eq!(listed["payments"][0], paid["payment"], "{listed}");

        // The id of a payment that can be captured is pasted in.
        let payment_id = paid["payment"]["paymentId"].as_str().expect("its id");
        let pasted = |line: &str| {
            let printed = printed_by(&mut paste(&line.replace("PAYMENT_ID", payment_id)));
            serde_json::from_str::<Value>(&printed).expect("JSON")
        };
        let captured = pasted(&lines[3]);
        assert_eq!(captured["capture"]["amount"]["amountMinor"], "250");
        let mut payments = demo.payments().await;
        let capture_id = captured["captureId"].as_str().expect("its id");
        ended(&mut payments, capture_id, CaptureState::Captured).await;
        let refunded = pasted(&lines[4]);
        assert_eq!(refunded["refund"]["state"], "REFUND_STATE_REFUNDED");

        // What is wrong is said in words that a person can read.
        let wrong = output(
            grpcurl(&demo)
                .args(["-d", r#"{"request_id":"try 1"}"#, address])
                .arg("payswitch.v1.PaymentService/AuthorizePayment"),
        );
        let said = String::from_utf8_lossy(&wrong.stderr);
        assert!(!wrong.status.success());
        for expected in [
            "InvalidArgument",
            "google.rpc.ErrorInfo",
            "INVALID_REQUEST",
            "google.rpc.BadRequest",
            "merchant_reference",
        ] {
            assert!(said.contains(expected), "{expected} in {said}");
        }
    });
}

#[test]
fn buf_curl_pays() {
    run(async {
        let folder = TempFolder::new("buf");
        let demo = Demo::start(&folder, &["--no-tour"]).await;
        let url = format!("https://{}", demo.said("merchant_api"));
        let buf_curl = || {
            let mut command = tool("buf");
            command
                .args(["curl", "--protocol", "grpc"])
                .args(["--cacert", demo.said("ca_path")])
                .args(["--servername", demo.said("server_name")])
                .args([
                    "--header",
                    &format!("authorization: Bearer {}", demo.said("api_key")),
                ]);
            command
        };
        let services = printed_by(buf_curl().args(["--list-services", &url]));
        assert!(
            services.contains("payswitch.v1.PaymentService"),
            "{services}"
        );
        let request = serde_json::json!({
            "requestId": "buf-1",
            "merchantReference": "order-of-buf",
            "amount": { "amountMinor": 1250, "currency": "KWD" },
            "paymentMethodToken": "pm_test_mastercard",
        });
        let method = format!("{url}/payswitch.v1.PaymentService/AuthorizePayment");
        let paid = printed_by(buf_curl().args(["--data", &request.to_string(), &method]));
        let paid: Value = serde_json::from_str(&paid).expect("JSON");
        assert_eq!(
            paid["payment"]["state"], "PAYMENT_STATE_AUTHORIZED",
            "{paid}"
        );
        assert_eq!(paid["payment"]["authorizedAmount"]["amountMinor"], "1250");
    });
}

#[test]
fn the_protos_are_clean() {
    printed_by(tool("buf").arg("lint"));
}

/// An example's arguments, and the state that should come of them.
const VISITS: [(&[&str], State); 7] = [
    (&[], State::Authorized),
    (&["--alg", "RSA-OAEP-256"], State::Authorized),
    (&["--session"], State::Authorized),
    (&["--session", "--alg", "RSA-OAEP-256"], State::Authorized),
    (
        &[
            "--pan",
            "5555555555554444",
            "--amount-minor",
            "1250",
            "--currency",
            "JPY",
            "--holder",
            "A. N. Other",
        ],
        State::Authorized,
    ),
    (&["--pan", "4000000000009987"], State::Declined),
    (&["--cvv", "999"], State::Declined),
];

/// What the issuers have debited and credited, in all currencies.
async fn totals(demo: &Demo) -> (i64, i64) {
    let address = format!("http://{}", demo.said("bank_sim"));
    let mut banks = ControlServiceClient::connect(address)
        .await
        .expect("the banks");
    let totals = banks.get_totals(GetTotalsRequest {}).await;
    let totals = totals.expect("totals").into_inner().totals;
    let sum = |of: fn(&Totals) -> i64| totals.iter().map(of).sum();
    (sum(|of| of.debited), sum(|of| of.credited))
}

/// Runs an example with each set of arguments, finds its payments again, and looks into the banks' books.
fn pays(example: impl Fn() -> Command) {
    run(async {
        let folder = TempFolder::new("example");
        let demo = Demo::start(&folder, &["--no-tour"]).await;
        let mut payments = demo.payments().await;
        let (mut debited, mut credited) = (0, 0);
        for (arguments, state) in VISITS {
            let order = format!("order-{}", unique());
            let printed = printed_by(
                example()
                    .arg("--ready-file")
                    .arg(&demo.ready_file)
                    .args(["--order", &order])
                    .args(arguments),
            );
            let request = pb::LookupPaymentRequest {
                key: Some(Key::MerchantReference(order)),
                ..Default::default()
            };
            let found = payments.lookup_payment(request).await.expect("its payment");
            let found = found.into_inner().payments;
            assert_eq!(found.len(), 1, "{arguments:?}");
            let payment = &found[0];
            let ended = match state {
                State::Authorized => State::Captured,
                state => state,
            };
            assert_eq!(payment.state(), ended, "{arguments:?}: {printed}");
            assert!(printed.contains(&payment.payment_id), "{printed}");
            for capture in &payment.captures {
                assert!(printed.contains(&capture.capture_id), "{printed}");
                assert_eq!(capture.state(), CaptureState::Captured);
                let amount = capture.amount.as_ref().expect("an amount").amount_minor;
                debited += amount;
                credited += amount / 2;
            }
            assert_eq!(totals(&demo).await, (debited, credited), "{printed}");
            let name = state.as_str_name().trim_start_matches("PAYMENT_STATE_");
            assert!(printed.contains(name), "{printed}");
        }
        // Four payments of 12.34 EUR, and one of 1250 JPY.
        assert_eq!((debited, credited), (4 * 1234 + 1250, 4 * 617 + 625));
        // A sealed card is good for its own order alone, and the example says that it was refused.
        let refused = output(
            example()
                .arg("--ready-file")
                .arg(&demo.ready_file)
                .args(["--order", "o\u{e4}"]),
        );
        assert_eq!(refused.status.code(), Some(1));
        // It decodes the details of the error.
        let said = String::from_utf8_lossy(&refused.stderr);
        for expected in [
            "INVALID_REQUEST, outcome NOT_SENT",
            "merchant_reference: expected",
        ] {
            assert!(said.contains(expected), "{expected} in {said}");
        }
    });
}

#[test]
fn the_python_example_pays() {
    pays(|| {
        let mut python = tool("python3");
        python.arg("examples/python/pay.py");
        python
    });
}

#[test]
fn the_node_example_pays() {
    let packages = project().join("examples/node/node_modules/jose");
    assert!(
        packages.exists(),
        "`scripts/test --tools` installs the Node example's packages"
    );
    pays(|| {
        let mut node = tool("node");
        node.arg("examples/node/pay.mjs");
        node
    });
}

#[test]
fn the_rust_example_pays() {
    let tests = std::env::current_exe().expect("the program of the tests");
    let built = tests
        .ancestors()
        .nth(2)
        .expect("the folder of what is built");
    let example = built.join("examples/authorize");
    assert!(
        example.exists(),
        "`scripts/test` builds the example with the tests"
    );
    pays(|| {
        let mut command = Command::new(&example);
        command.current_dir(project());
        command
    });
}

/// What docs/errors.md shows is what the examples run.
#[test]
fn the_decoders_of_errors_in_the_documentation_are_those_of_the_examples() {
    let read = |path: &str| std::fs::read_to_string(project().join(path)).expect("a file");
    let page = read("docs/errors.md");
    let mut shown = 0;
    for (language, example) in [
        ("python", "examples/python/pay.py"),
        ("js", "examples/node/pay.mjs"),
        ("rust", "examples/authorize.rs"),
    ] {
        let code = read(example);
        let fence = format!("```{language}\n");
        for block in page.split(&fence).skip(1) {
            let block = block.split("```").next().expect("the block's text");
            assert!(
                code.contains(block),
                "{example} runs another text than\n{block}"
            );
            shown += 1;
        }
    }
    assert_eq!(shown, 3);
}

#[test]
fn a_sealed_card_is_checked_by_hand() {
    run(async {
        let folder = TempFolder::new("check");
        let demo = Demo::start(&folder, &["--no-tour"]).await;
        let seal = |order: &str, arguments: &[&str], sealed: &str| {
            let input = folder.path().join("sealed.txt");
            std::fs::write(&input, sealed).expect("a file");
            let mut shell = Command::new(PROGRAM);
            shell
                .args(["seal", "--jwks", demo.said("jwks_path")])
                .args(["--order", order, "--amount-minor", "1250"])
                .args(arguments)
                .env_remove("PAYSWITCH_MASTER_KEY")
                .stdin(std::fs::File::open(&input).expect("what was written"));
            let output = output(&mut shell);
            let printed = [output.stdout, output.stderr].concat();
            (
                output.status.success(),
                String::from_utf8_lossy(&printed).into_owned(),
            )
        };
        let (_, sealed) = seal("order-1", &["--card", "pm_test_visa"], "");
        let keys = demo.data.join("keys");
        let keys = keys.to_str().expect("a path");
        let master_key = format!("{}.key", demo.data.display());
        let open = ["--check", "--keys", keys, "--master-key-file", &master_key];
        let changed = format!("{}AAAA", &sealed[..sealed.trim().len() - 4]);
        for (order, arguments, sealed, good, expected) in [
            (
                "order-1",
                &["--check"][..],
                &sealed,
                true,
                "content not opened",
            ),
            ("order-1", &open, &sealed, true, "424242"),
            ("order-2", &["--check"], &sealed, false, "(ORDER)"),
            (
                "order-1",
                &["--check"],
                &"card".to_owned(),
                false,
                "(NOT_AN_ENVELOPE)",
            ),
            ("order-1", &open, &changed, false, "(CONTENT)"),
        ] {
            let (is_good, said) = seal(order, arguments, sealed);
            assert_eq!(is_good, good, "{said}");
            assert!(said.contains(expected), "{expected} in {said}");
            assert!(!said.contains("4242424242424242"), "{said}");
        }
    });
}
