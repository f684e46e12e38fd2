//! The program as a whole: the demo's tour, what it leaves, and a gateway whose banks are away.

use std::process::{Command, Output};

use bank_sim::test_cards::TEST_CARDS;
use payswitch::merchant_api::pb;
use payswitch::net::Net;
use pb::PaymentState as State;

use crate::demo::{Demo, PROGRAM, Process};
use crate::harness::{TempFolder, authorize, pay_with, run, until};

fn output(command: &mut Command) -> Output {
    command.output().expect("the program starts")
}

#[test]
fn the_tour_comes_out_as_expected() {
    let folder = TempFolder::new("tour");
    let output = output(
        Command::new(PROGRAM)
            .args(["demo", "--exit", "--port", "0"])
            .current_dir(folder.path()),
    );
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}");
    assert!(
        printed.contains("Everything came out as expected."),
        "{printed}"
    );
    assert!(!printed.contains('✗'), "{printed}");
    for card in TEST_CARDS {
        let masked = format!("{}…{}", &card.pan[..6], &card.pan[card.pan.len() - 4..]);
        let code = card
            .response_code
            .map_or(String::new(), |code| code.to_string());
        let shown = printed.lines().any(|line| {
            line.trim_start().starts_with(&masked) && line.contains(&code) && line.contains('✓')
        });
        assert!(shown, "{masked} {code} in\n{printed}");
        assert!(!printed.contains(card.pan), "{} in clear", card.pan);
    }
    for what in ["no decimals", "three decimals", "amount ending in 605"] {
        let row = printed.lines().find(|line| line.contains(what));
        assert!(row.is_some_and(|row| row.contains('✓')), "{what}");
    }
    // One payment at each hop.
    for hop in [
        "merchant -> payswitch",
        "payswitch -> acquirer",
        "acquirer -> issuer-a",
        "issuer-a -> acquirer",
        "acquirer -> payswitch",
        "payswitch -> merchant",
        // The reversals of those without an answer.
        "(no answer) is PAYMENT_STATE_REVERSED",
        "(answer late) is PAYMENT_STATE_REVERSED",
        "payswitch -> acquirer  MTI 0420",
        "acquirer -> payswitch  MTI 0430",
    ] {
        assert!(printed.contains(hop), "{hop} in\n{printed}");
    }
    // A life, and what merchant, ledger, acquirer and issuers say of everything.
    for row in [
        "capture 60.00 EUR CAPTURED",
        "capture 40.00 EUR CAPTURED",
        "refund 20.00 EUR REFUNDED",
        "void 30.00 EUR VOIDED",
        "EUR held 87.50 - 87.50 87.50 ✓",
        "EUR captured 100.00 - 100.00 100.00 ✓",
        "EUR refunded 20.00 - 20.00 20.00 ✓",
        "EUR captured less refunded 80.00 80.00 80.00 80.00 ✓",
        "EUR settled with the bank's day 80.00 80.00 80.00 80.00 ✓",
        "JPY held 1250 - 1250 1250 ✓",
        "KWD held 1.250 - 1.250 1.250 ✓",
    ] {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown = printed.lines().any(|line| words(line).starts_with(row));
        assert!(shown, "{row} in\n{printed}");
    }
    // The clearing file that the second bank takes.
    let claim = printed.lines().find(|line| line.contains("clearing file"));
    for said in [
        ": 2 items, 55.00 EUR",
        "ACCEPTED by the bank with 2 items, 2 of them posted",
        "demo-data/settlement/file-acquirer-",
    ] {
        assert!(
            claim.is_some_and(|it| it.contains(said)),
            "{said} in\n{printed}"
        );
    }
    assert!(folder.path().join("demo-data/payswitch.db").exists());
    assert!(folder.path().join("demo-data.key").exists());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let any = "127.0.0.1:0".parse().expect("an address");
    let taken = Net::SYSTEM.listen(any).await.expect("a port");
    let address = taken.local_addr().expect("an address");
    let folder = TempFolder::new("taken");
    let output = output(
        Command::new(PROGRAM)
            .args(["demo", "--no-tour", "--port", &address.port().to_string()])
            .current_dir(folder.path()),
    );
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(errors.contains(&address.to_string()), "{errors}");
    assert!(errors.contains("ss -ltnp"), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
}

#[test]
fn the_ready_file_says_how_to_go_on() {
    run(async {
        let folder = TempFolder::new("ready");
        let demo = Demo::start(&folder, &["--no-tour"]).await;
        for field in [
            "merchant_api",
            "server_name",
            "ca_path",
            "api_key",
            "merchant_id",
            "jwks_path",
            "database_url",
            "bank_sim",
        ] {
            assert!(!demo.said(field).is_empty(), "{field}");
        }
        assert_eq!(demo.ready["pid"], demo.pid());
        let mut payments = demo.payments().await;
        let payment = authorize(&mut payments, pay_with("pm_test_visa", 1, "EUR")).await;
        assert_eq!(payment.state(), State::Authorized);
        // One that runs holds its database: a second one says so, and leaves it alone.
        let second = output(
            Command::new(PROGRAM)
                .args(["demo", "--no-tour", "--port", "0", "--data"])
                .arg(&demo.data),
        );
        assert_eq!(second.status.code(), Some(1));
        let errors = String::from_utf8_lossy(&second.stderr);
        assert!(errors.contains("payswitch.db"), "{errors}");
    });
}

/// What a demo left is removed by the next one with `--reset`, but not while it runs, and not when
/// something else lies there too.
#[test]
fn a_reset_begins_anew_and_removes_nothing_else() {
    run(async {
        let folder = TempFolder::new("reset");
        let demo = Demo::start(&folder, &["--no-tour"]).await;
        let first_key = demo.said("api_key").to_owned();
        let data = demo.data.clone();
        let reset = || {
            let arguments = ["demo", "--no-tour", "--reset", "--port", "0", "--data"];
            let tried = output(Command::new(PROGRAM).args(arguments).arg(&data));
            assert_eq!(tried.status.code(), Some(1));
            String::from_utf8_lossy(&tried.stderr).into_owned()
        };
        let refused = reset();
        assert!(refused.contains("a gateway that runs"), "{refused}");
        drop(demo);
        let mine = data.join("precious.txt");
        std::fs::write(&mine, "mine").expect("a file");
        let refused = reset();
        assert!(refused.contains("precious.txt"), "{refused}");
        assert!(data.join("payswitch.db").exists() && mine.exists());
        std::fs::remove_file(&mine).expect("a file");
        let demo = Demo::start(&folder, &["--no-tour", "--reset"]).await;
        assert_ne!(demo.said("api_key"), first_key);
    });
}

/// No bank listens where the profile says. The gateway opens all the same, and a SIGTERM drains it.
#[test]
fn a_gateway_whose_banks_are_away_is_not_ready_and_stops_in_order() {
    run(async {
        let folder = TempFolder::new("alone");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("hosts")).expect("a folder");
        let profile = include_str!("../../hosts/acquirer.toml");
        std::fs::write(at("hosts/acquirer.toml"), profile).expect("a profile");
        std::fs::write(at("ready.json"), "of an earlier run").expect("a file");
        let key = "cGF5c3dpdGNoIG1hc3RlciBrZXkgb2YgdGhlIHRlc3Q=";
        let program = |arguments: &[&str]| {
            let mut command = Command::new(PROGRAM);
            command
                .args(arguments)
                .current_dir(folder.path())
                .env_remove("RUST_LOG")
                .env("PAYSWITCH_MASTER_KEY", key)
                .env("PAYSWITCH_MERCHANT_API__LISTEN", "127.0.0.1:0");
            command
        };
        for arguments in [&["certs"][..], &["migrate"]] {
            let output = output(&mut program(arguments));
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{arguments:?}: {errors}");
        }
        let log = at("log.txt");
        let gateway = Process::start(
            program(&["serve", "--ready-file", "ready.json"])
                .stderr(std::fs::File::create(&log).expect("a log")),
        );
        let logged = || std::fs::read_to_string(&log).expect("the log");
        until("an open door", async || {
            logged().contains("payswitch has started")
        })
        .await;
        assert!(!at("ready.json").exists());
        gateway.send("TERM");
        assert_eq!(gateway.ended().await.code(), Some(0), "{}", logged());
        assert!(!at("ready.json").exists());
        assert!(
            !logged().contains('\u{1b}'),
            "colours in a file: {}",
            logged()
        );
    });
}
