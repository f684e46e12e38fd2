//! A host that wants its reversals otherwise needs a profile and no code: hosts/examples/nps.toml, before a simulated
//! bank that checks each element.

use std::process::Stdio;

use bank_sim::config::{
    ControlConfig, HostRules, IssuerCodec, IssuerConfig, ListenerTls, Pem, ZonePinKeyHex,
};
use bank_sim::control::pb::Fault;
use bank_sim::issuer::Standing;
use bank_sim::message_log::MessageQuery;
use bank_sim::{BankSim, SimConfig};
use iso8583::{Framing, Prefix};
use payswitch::grpc::client;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb;
use pb::refund_service_client::RefundServiceClient;
use pb::{CaptureState, PaymentAction, PaymentState as State, RefundState};
use serde_json::Value;

use crate::capturing::{actions, capture, ended, of, try_capture};
use crate::database::{Database, Engine};
use crate::demo::Process;
use crate::faults::{fault_of, inject_into, with_code};
use crate::harness::{TempFolder, authorize, eventually, pay_with, run, with_key};
use crate::killing::{program, succeed};
use crate::refunding::{get_refund, refund_of, try_refund};
use crate::unknown_outcomes::{found, reversed};
use crate::voiding::{became, try_void, void_of};

#[test]
fn the_nps_profile_is_understood_by_a_bank_that_checks_each_element_of_a_reversal() {
    run(async {
        let folder = TempFolder::new("nps");
        let path = folder.path();
        let database = Database::fresh(Engine::Sqlite, path).await;
        let pay = |arguments: &[&str]| succeed(&mut program(path, &database, arguments));
        pay(&["certs"]);
        let pem = |name: &str| Pem::file(path.join("certs/dev").join(name));
        let bank = BankSim::start(SimConfig {
            acquirer: None,
            issuers: vec![IssuerConfig {
                name: "issuer-a".to_owned(),
                listen: "127.0.0.1:0".parse().expect("an address"),
                codec: IssuerCodec::Own,
                dialect: "iso1987-ascii-hex".to_owned(),
                framing: Framing::new(Prefix::Binary2),
                late_answer_ms: 6_000,
                zone_pin_key_hex: ZonePinKeyHex::default(),
                echo_idle_ms: None,
                tls: ListenerTls {
                    certificate: pem("issuer-a.pem"),
                    key: pem("issuer-a.key"),
                    client_ca: pem("issuer-a-ca.pem"),
                },
                rules: HostRules::Nps,
                cards: Vec::new(),
            }],
            codec_program: None,
            control: Some(ControlConfig {
                listen: "127.0.0.1:0".parse().expect("an address"),
            }),
            max_exchanges: 1_000,
        })
        .await
        .expect("a bank");
        let address = bank.address("issuer-a").expect("an address").to_string();
        let profile = [
            ("switch.example:7001", address.as_str()),
            ("\"switch.example\"", "\"issuer-a.bank.test\""),
            ("certs/switch/ca.pem", "certs/dev/issuer-a-ca.pem"),
            ("certs/switch/member.pem", "certs/dev/issuer-a-client.pem"),
            ("certs/switch/member.key", "certs/dev/issuer-a-client.key"),
        ]
        .iter()
        .fold(
            include_str!("../../hosts/examples/nps.toml").to_owned(),
            |text, (from, to)| {
                assert!(text.contains(from), "{from}");
                text.replace(from, to)
            },
        );
        std::fs::create_dir(path.join("hosts")).expect("a folder");
        std::fs::write(path.join("hosts/nps.toml"), profile).expect("a profile");
        pay(&["migrate"]);
        pay(&[
            "merchant",
            "add",
            "shop",
            "--name",
            "Shop",
            "--city",
            "Kathmandu",
            "--country",
            "NP",
            "--country-numeric",
            "524",
            "--mcc",
            "5732",
            "--terminal",
            "WEB00001",
            "--acceptor",
            "SHOP00000000001",
            "--acquirer",
            "nps",
        ]);
        let api_key = pay(&["merchant", "key", "shop"]);
        let mut command = program(path, &database, &["serve", "--ready-file", "ready.json"]);
        let _gateway = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        let ready: Value = eventually("a gateway that is ready", async || {
            serde_json::from_str(&std::fs::read_to_string(path.join("ready.json")).ok()?).ok()
        })
        .await;
        let address = ready["merchant_api"].as_str().expect("an address");
        let ca = std::fs::read(path.join("certs/dev/gateway-ca.pem")).expect("the root");
        let channel = client::connect(address.parse().expect("HOST:PORT"), "localhost", &ca, None);
        let channel = channel.await.expect("a connection");
        let mut payments = with_key(channel.clone(), &api_key);

        let approved = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
        assert_eq!(approved.state(), State::Authorized, "{approved:?}");
        let told = authorize(&mut payments, pay_with("pm_test_no_answer", 1250, "EUR")).await;
        assert!(told.pending.is_some(), "{told:?}");
        reversed(&mut payments, &told.payment_id).await;

        let books = bank.books("issuer-a").expect("books");
        let seen: Vec<_> = books.by_rrn(told.rrn()).collect();
        assert_eq!((seen.len(), seen[0].standing), (1, Standing::Reversed));
        let (messages, _) = bank.messages(&MessageQuery {
            after_position: 0,
            limit: 100,
            host: None,
            rrn: Some(told.rrn()),
        });
        let element = |index: usize, de: u8| {
            let elements = messages[index].elements();
            let found = elements.into_iter().find(|element| element.de == de);
            found.map(|element| element.value_masked)
        };
        let passed: Vec<String> = messages.iter().map(|it| it.mti.to_string()).collect();
        assert_eq!(passed, ["0100", "0420", "0430"]);
        for same in [11, 12, 13, 37] {
            assert_eq!(element(1, same), element(0, same), "DE {same}");
        }
        assert_eq!(element(1, 39).as_deref(), Some("68"));
        assert_eq!(element(2, 39).as_deref(), Some("00"));
        assert_eq!(element(2, 44), None);

        // A void, a capture, of which there is one, and a refund.
        let voided = authorize(&mut payments, pay_with("pm_test_visa", 1_000, "EUR")).await;
        try_void(&mut payments, void_of(&voided))
            .await
            .expect("a void");
        became(&mut payments, &voided.payment_id, State::Voided).await;
        let (_, captured) = capture(&mut payments, of(&approved, 1_000)).await;
        ended(&mut payments, &captured.capture_id, CaptureState::Captured).await;
        let second = try_capture(&mut payments, of(&approved, None)).await;
        let second = second.expect_err("there is one");
        assert_eq!(
            error_reason(&second).as_deref(),
            Some("NOT_SUPPORTED_BY_HOST")
        );
        // Of two at the same instant one leaves.
        let raced = authorize(&mut payments, pay_with("pm_test_visa", 1_000, "EUR")).await;
        let (mut one, mut other) = (payments.clone(), payments.clone());
        let (one, other) = tokio::join!(
            try_capture(&mut one, of(&raced, 300)),
            try_capture(&mut other, of(&raced, 400)),
        );
        let refused = [one, other].into_iter().filter_map(Result::err);
        let refused: Vec<_> = refused.map(|status| error_reason(&status)).collect();
        assert_eq!(refused, [Some("NOT_SUPPORTED_BY_HOST".to_owned())]);
        // The host would answer another one as it answered the first, which it refused.
        for (mti, amount_minor) in [("0120", 500), ("0420", 700)] {
            let fault = Fault {
                host: "issuer-a".into(),
                ..fault_of(mti, amount_minor, with_code("57"))
            };
            inject_into(&bank, fault).await;
        }
        let uncaptured = authorize(&mut payments, pay_with("pm_test_visa", 500, "EUR")).await;
        use PaymentAction::{Capture, Increment, Reverse, Void};
        assert_eq!(actions(&uncaptured), [Capture, Void, Increment, Reverse]);
        let (_, refused) = capture(&mut payments, of(&uncaptured, None)).await;
        ended(&mut payments, &refused.capture_id, CaptureState::Rejected).await;
        let shown = found(&mut payments, &uncaptured.payment_id).await;
        assert_eq!(actions(&shown), [Void, Increment, Reverse]);
        let again = try_capture(&mut payments, of(&uncaptured, None)).await;
        let again = again.expect_err("it was refused");
        assert_eq!(
            error_reason(&again).as_deref(),
            Some("NOT_SUPPORTED_BY_HOST")
        );
        let unvoided = authorize(&mut payments, pay_with("pm_test_visa", 700, "EUR")).await;
        try_void(&mut payments, void_of(&unvoided))
            .await
            .expect("a void");
        let shown = became(&mut payments, &unvoided.payment_id, State::Authorized).await;
        assert_eq!(actions(&shown), [Capture, Increment]);
        let again = try_void(&mut payments, void_of(&unvoided)).await;
        let again = again.expect_err("it was refused");
        assert_eq!(
            error_reason(&again).as_deref(),
            Some("NOT_SUPPORTED_BY_HOST")
        );
        let key = ApiKey::new(&api_key).expect("an API key for a header");
        let mut refunds = RefundServiceClient::new(key.on(channel));
        let refund = try_refund(&mut refunds, refund_of(&approved, 400)).await;
        let refund = refund.expect("a refund");
        eventually("the acknowledgement", async || {
            let refund = get_refund(&mut refunds, &refund.refund_id).await;
            (refund.state() == RefundState::Refunded).then_some(())
        })
        .await;
        let books = bank.books("issuer-a").expect("books");
        let seen = |rrn: &str| {
            let seen = books
                .by_rrn(rrn)
                .map(|seen| (seen.standing, seen.posted_minor));
            seen.collect::<Vec<_>>()
        };
        assert_eq!(seen(voided.rrn()), [(Standing::Reversed, 0)]);
        let remaining_minor = 250;
        let held = Standing::Held { remaining_minor };
        assert_eq!(
            seen(approved.rrn()),
            [(held, 1_000), (Standing::Posted, 1_000)]
        );
        assert_eq!(seen(&refund.rrn), [(Standing::Posted, -400)]);
    });
}
