//! The program as a whole: the demo's tour, its end, and what survives a kill and a SIGTERM.

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bank_sim::test_cards::TEST_CARDS;
use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::lookup_payment_request::Key;
use pb::{PaymentState as State, PendingReason};
use tokio::task::{JoinHandle, JoinSet};
use tonic::{Code, Status};

use crate::database::{Database, Engine};
use crate::demo::{Demo, PROGRAM, Process};
use crate::harness::{
    Payments, TempFolder, authorize, on_both_engines, paid, pay_with, run, until, within,
};
use crate::refused::Refused;

on_both_engines!(
    a_killed_gateway_forgets_nothing_it_has_told,
    sigterm_under_load_drains,
);

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
    ] {
        assert!(printed.contains(hop), "{hop} in\n{printed}");
    }
    assert!(folder.path().join("demo-data/payswitch.db").exists());
    assert!(folder.path().join("demo-data.key").exists());
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
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
        until("an open door", async || logged().contains("API is open")).await;
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

#[test]
fn an_interrupted_tour_drains() {
    run(async {
        for (also, code) in [(None, 0), (Some("--exit"), 1)] {
            let folder = TempFolder::new("interrupted");
            let database = database(Engine::Sqlite, &folder).await;
            let demo = Process::start(
                Command::new(PROGRAM)
                    .args(["demo", "--port", "0", "--data"])
                    .arg(folder.path().join("data"))
                    .args(also)
                    .stdout(Stdio::null()),
            );
            // Some of the tour's payments take seconds.
            until("payments under way", async || {
                // It comes after the tables.
                folder.path().join("data/api-key.pem").exists()
                    && database.number(UNFINISHED.into()).await > 0
            })
            .await;
            demo.send("INT");
            assert_eq!(demo.ended().await.code(), Some(code));
            assert_eq!(database.number(UNFINISHED.into()).await, 0);
            assert_eq!(
                database.number(QUEUED.into()).await,
                database.count("reversals").await
            );
        }
    });
}

/// A request, and what the caller heard.
type Heard = (pb::AuthorizePaymentRequest, Result<pb::Payment, Status>);

/// Payments on several connections, until the gateway is gone.
struct Load {
    workers: JoinSet<Vec<Heard>>,
    answered: Arc<AtomicUsize>,
}

impl Load {
    async fn start(demo: &Demo) -> Self {
        let mut workers = JoinSet::new();
        let answered = Arc::new(AtomicUsize::new(0));
        let tokens = ["pm_test_visa", "pm_test_mastercard", "pm_test_lost"];
        for number in 0..6 {
            let payments = demo.payments().await;
            let token = tokens[number % tokens.len()];
            workers.spawn(pay_on_and_on(payments, token, Arc::clone(&answered)));
        }
        Self { workers, answered }
    }

    async fn reach(&self, enough: usize) {
        until("enough payments", async || {
            self.answered.load(Ordering::Relaxed) >= enough
        })
        .await;
    }

    async fn heard(self) -> Vec<Heard> {
        self.workers.join_all().await.concat()
    }
}

async fn pay_on_and_on(
    mut payments: Payments,
    token: &'static str,
    answered: Arc<AtomicUsize>,
) -> Vec<Heard> {
    let mut heard = Vec::new();
    loop {
        let request = pay_with(token, 1250, "EUR");
        let answer = payments.authorize_payment(request.clone()).await;
        let failed = answer.is_err();
        heard.push((request, answer.map(|answer| paid(Ok(answer)))));
        if failed {
            return heard;
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// One call whose bank never answers, under way when the gateway ends.
fn wait_in_vain(mut payments: Payments) -> JoinHandle<Heard> {
    tokio::spawn(async move {
        let request = pay_with("pm_test_no_answer", 1250, "EUR");
        let answer = payments.authorize_payment(request.clone()).await;
        (request, answer.map(|answer| paid(Ok(answer))))
    })
}

async fn look_up(payments: &mut Payments, order: &str) -> Option<pb::Payment> {
    let request = pb::LookupPaymentRequest {
        key: Some(Key::MerchantReference(order.to_owned())),
        business_date: String::new(),
    };
    match payments.lookup_payment(request).await {
        Ok(found) => {
            let mut found = found.into_inner().payments;
            assert_eq!(found.len(), 1, "{found:?}");
            found.pop()
        }
        Err(status) => {
            assert_eq!(status.code(), Code::NotFound, "{status:?}");
            None
        }
    }
}

/// Where the demo of a test keeps its records.
async fn database(engine: Engine, folder: &TempFolder) -> Database {
    std::fs::create_dir(folder.path().join("data")).expect("a folder for the data");
    Database::fresh(engine, &folder.path().join("data")).await
}

const UNFINISHED: &str =
    "SELECT CAST(COUNT(*) AS BIGINT) FROM operations WHERE state IN ('CREATED', 'SENT')";
const QUEUED: &str =
    "SELECT CAST(COUNT(*) AS BIGINT) FROM operations WHERE state = 'REVERSAL_QUEUED'";
/// A gateway that shares its database waits a minute before it takes another one for dead.
const RECOVERED_WITHIN: Duration = Duration::from_secs(100);

async fn a_killed_gateway_forgets_nothing_it_has_told(engine: Engine) {
    let folder = TempFolder::new("killed");
    let database = database(engine, &folder).await;
    let url = database.url();
    let arguments = ["--no-tour", "--database-url", &url];
    let demo = Demo::start(&folder, &arguments).await;
    let api_key = demo.said("api_key").to_owned();
    let waiting = wait_in_vain(demo.payments().await);
    until("the payment that waits", async || {
        database.count("operations").await > 0
    })
    .await;
    let load = Load::start(&demo).await;
    load.reach(60).await;
    demo.kill().await;
    let mut heard = load.heard().await;
    heard.push(waiting.await.expect("the call that waited"));
    assert!(
        heard.iter().any(|(_, answer)| answer.is_err()),
        "none was cut off"
    );

    let demo = Demo::start(&folder, &arguments).await;
    assert_eq!(
        demo.said("api_key"),
        api_key,
        "the merchant's key goes on working"
    );
    within(
        RECOVERED_WITHIN,
        "an outcome for each payment",
        async || (database.number(UNFINISHED.into()).await == 0).then_some(()),
    )
    .await;
    let mut payments = demo.payments().await;
    for (request, answer) in heard {
        let found = look_up(&mut payments, &request.merchant_reference).await;
        match (answer, found) {
            (Ok(told), found) => {
                assert_eq!(found.as_ref(), Some(&told), "what was told is there");
                assert_eq!(authorize(&mut payments, request).await, told);
            }
            (Err(_), Some(found)) => {
                assert_definite(&found);
                assert_eq!(authorize(&mut payments, request).await, found);
            }
            // It never was recorded, so nothing was sent: the same request is a new one now.
            (Err(_), None) => {
                authorize(&mut payments, request).await;
            }
        }
    }
    let owed = database.count("reversals").await;
    assert!(owed >= 1, "the one that waited owes a reversal");
    assert_eq!(database.number(QUEUED.into()).await, owed);
}

/// It has an outcome, or says that it is pending and a reversal is owed.
fn assert_definite(payment: &pb::Payment) {
    match payment.state() {
        State::Authorized | State::Declined | State::Failed => assert!(payment.pending.is_none()),
        State::Authorizing => {
            let pending = payment.pending.as_ref().expect("why it is pending");
            assert_eq!(
                pending.reason(),
                PendingReason::GatewayStopped,
                "{payment:?}"
            );
            assert!(pending.reversal_owed);
        }
        _ => panic!("{payment:?}"),
    }
}

async fn sigterm_under_load_drains(engine: Engine) {
    let folder = TempFolder::new("drained");
    let database = database(engine, &folder).await;
    let url = database.url();
    let arguments = ["--no-tour", "--database-url", &url];
    let demo = Demo::start(&folder, &arguments).await;
    let load = Load::start(&demo).await;
    load.reach(60).await;
    let waiting = wait_in_vain(demo.payments().await);
    until("the payment that waits", async || {
        database.number(UNFINISHED.into()).await > 0 && database.count("operations").await > 60
    })
    .await;
    demo.terminate();
    let heard = load.heard().await;
    // Whoever comes while it drains is told so, or finds the door closed.
    for (_, answer) in &heard {
        if let Err(status) = answer {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            if !status.details().is_empty() {
                let expected = Refused {
                    retry: true,
                    ..Refused::not_sent(Code::Unavailable, "DRAINING")
                };
                assert_eq!(Refused::from(status), expected);
            }
        }
    }
    // The one whose bank does not answer is waited for, and its caller is told.
    let (waited, told) = waiting.await.expect("the call that waited");
    let told = told.expect("an answer");
    assert_eq!(told.state(), State::Authorizing);
    let status = demo.ended().await;
    assert_eq!(status.code(), Some(0), "{status}");
    assert_eq!(database.number(UNFINISHED.into()).await, 0);

    let demo = Demo::start(&folder, &arguments).await;
    let mut payments = demo.payments().await;
    let mut acknowledged = vec![(waited, told)];
    for (request, answer) in heard {
        match answer {
            Ok(told) => acknowledged.push((request, told)),
            // Refused while draining: not a trace of it.
            Err(_) => {
                let found = look_up(&mut payments, &request.merchant_reference).await;
                assert_eq!(found, None);
            }
        }
    }
    assert_eq!(
        usize::try_from(database.count("payments").await),
        Ok(acknowledged.len())
    );
    for (request, told) in acknowledged {
        let found = look_up(&mut payments, &request.merchant_reference).await;
        assert_eq!(found.as_ref(), Some(&told));
        assert_eq!(authorize(&mut payments, request).await, told);
    }
}
