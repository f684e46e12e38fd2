//! How the program ends: an interrupted tour, a kill, a SIGTERM under load.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use payswitch::merchant_api::pb;
use pb::{PaymentState as State, PendingReason};
use tokio::task::{JoinHandle, JoinSet};
use tonic::{Code, Status};

use crate::database::{Database, Engine};
use crate::demo::{Demo, PROGRAM, Process};
use crate::harness::{
    Payments, TempFolder, assert_stands, authorize, look_up, on_both_engines, paid, pay_with, run,
    until, within,
};
use crate::refused::Refused;

on_both_engines!(
    a_killed_gateway_forgets_nothing_it_has_told,
    sigterm_under_load_drains,
);

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
                database.number(UNKNOWN.into()).await,
                database.reversals().await
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

/// Where the demo of a test keeps its records.
async fn database(engine: Engine, folder: &TempFolder) -> Database {
    std::fs::create_dir(folder.path().join("data")).expect("a folder for the data");
    Database::fresh(engine, &folder.path().join("data")).await
}

const UNFINISHED: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM operations WHERE open = 1";
const UNKNOWN: &str =
    "SELECT CAST(COUNT(*) AS BIGINT) FROM operations WHERE state IN ('UNKNOWN', 'REVERSED')";
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
                assert_stands(&found.expect("what was told is there"), &told);
                assert_eq!(authorize(&mut payments, request).await, told);
            }
            (Err(_), Some(found)) => {
                assert_definite(&found);
                assert_stands(&found, &authorize(&mut payments, request).await);
            }
            // It never was recorded, so nothing was sent: the same request is a new one now.
            (Err(_), None) => {
                authorize(&mut payments, request).await;
            }
        }
    }
    let owed = database.reversals().await;
    assert!(owed >= 1, "the one that waited owes a reversal");
    assert_eq!(database.number(UNKNOWN.into()).await, owed);
}

/// It has an outcome, or says that it is pending and a reversal is owed.
fn assert_definite(payment: &pb::Payment) {
    match payment.state() {
        State::Authorized | State::Declined | State::Failed => assert!(payment.pending.is_none()),
        State::Reversed => {}
        State::Authorizing | State::Reversing => {
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
        assert_stands(&found.expect("what was told is there"), &told);
        assert_eq!(authorize(&mut payments, request).await, told);
    }
}
