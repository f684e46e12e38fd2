//! The gateway is killed again and again under load, at each point at which a crash can part two things, while one
//! call in ten gets no answer in time. Then its payments are compared with its ledger and the banks' books, seen from
//! outside. On PostgreSQL a second gateway takes payments all the time, and takes over what the killed one leaves.
//! Beside what the test itself asks for, `payswitch load --mix` runs lives at each gateway.
//!
//! `scripts/kill` runs it for longer, and with other seeds.
#![expect(clippy::print_stdout, reason = "a campaign says what it has hit")]

pub(crate) mod scene;
mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use bank_sim::control::pb as banks;
use bank_sim::control::pb::control_service_client::ControlServiceClient;
use bank_sim::control::pb::fault::What;
use payswitch::merchant_api::pb;
use pb::PaymentState as State;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::capturing::minor;
use crate::database::Engine;
use crate::demo::text;
use crate::faults::{LOST, UNANSWERED, fault, times};
use crate::harness::{Payments, TempFolder, now, within};
use crate::settling::{Settlement, batches, notes};
use scene::Scene;
pub(crate) use scene::{program, succeed};
use workers::{Random, load_on_and_on, pay_on_and_on};

/// The fault points that this campaign hits: those of payments, and the one behind the bank's answer to totals.
/// `killing_days.rs` hits the others.
pub(crate) const POINTS: [&str; 7] = [
    "intent",
    "send",
    "answer",
    "outcome",
    "queue",
    "acknowledgement",
    "totals",
];

/// How often each point is hit at least, unless `KILL_COUNT` says otherwise.
const KILLS: usize = 1;
/// What is random is the same in each run, unless `KILL_SEED` says otherwise.
const SEED: u64 = 13;
/// Payments at once.
const WORKERS: usize = 24;
/// A gateway that has not come to its point by then is killed wherever it is.
const COME_WITHIN: Duration = Duration::from_secs(40);
/// After the last fault everything that is owed is acknowledged within this: a host that does not know an original
/// is believed 15 s after the original's deadline.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);
/// An operator looks into the banks' books for a refund whose outcome has not been known for so long: no answer comes
/// any more.
const LOOKED_UP_AFTER_S: i64 = 15;

#[test]
fn no_kill_parts_the_gateway_from_the_banks_books_on_sqlite() {
    run(Engine::Sqlite);
}

#[test]
fn no_kill_parts_the_gateway_from_the_banks_books_on_postgres() {
    run(Engine::Postgres);
}

fn run(engine: Engine) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>());
    let number = |name: &str| number(name).map(|number| number.expect("a number"));
    let seed = number("KILL_SEED").unwrap_or(SEED);
    let kills = number("KILL_COUNT").map_or(KILLS, |kills| kills.try_into().expect("a count"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(Box::pin(campaign(engine, Random(seed), kills)));
}

async fn campaign(engine: Engine, mut random: Random, kills: usize) {
    let folder = TempFolder::new("killing");
    let seed = random.0;
    let scene = Scene::set(engine, &folder).await;
    let mut control = scene.control().await;
    one_call_in_ten_times_out(&mut control).await;
    // On PostgreSQL one lives through it all, and takes over.
    let survivor = match engine {
        Engine::Postgres => Some(scene.gateway("survivor", None).await),
        Engine::Sqlite => None,
    };
    let surviving: Vec<SocketAddr> = survivor.iter().filter_map(|it| it.address).collect();
    let with = |address: Option<SocketAddr>| {
        let all = surviving.iter().copied().chain(address);
        all.collect::<Vec<_>>()
    };
    let (addresses, known) = watch::channel(surviving.clone());
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let random = Random(random.below(u64::MAX));
        workers.spawn(pay_on_and_on(scene.shop(), known.clone(), random));
    }
    let mut loads = JoinSet::new();
    for at in std::iter::once(None).chain(surviving.iter().copied().map(Some)) {
        loads.spawn(load_on_and_on(scene.lives(at), known.clone()));
    }
    let mut hits = BTreeMap::from(POINTS.map(|point| (point, 0)));
    let mut elsewhere = 0;
    while let Some(fewest) = hits.values().min().filter(|fewest| **fewest < kills) {
        let least: Vec<&str> = hits
            .iter()
            .filter(|(_, count)| *count == fewest)
            .map(|(name, _)| *name)
            .collect();
        let point = random.one_of(&least);
        // What follows a time-out comes less often.
        let most = match point {
            "queue" | "acknowledgement" => 8,
            // A day has a few: one for each currency.
            "totals" => 2,
            _ => 200,
        };
        let told = format!("{point}:{}", 1 + random.below(most));
        let mut gateway = scene.gateway("gateway", Some(&told)).await;
        addresses.send_replace(with(gateway.address));
        let exit = tokio::time::timeout(COME_WITHIN, gateway.process.exit());
        // Of two gateways either may send the totals of a day: days are ended until this one has.
        let cutting = async {
            loop {
                scene.cut_over().await;
                if point != "totals" {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        };
        let ended = tokio::select! {
            ended = exit => ended,
            () = cutting => continue,
        };
        addresses.send_replace(with(None));
        match ended {
            Ok(status) => {
                let log = || text(&scene.at("gateway.log"));
                assert_eq!(status.signal(), Some(9), "{told}: {status}\n{}", log());
                *hits.entry(point).or_default() += 1;
            }
            Err(_) => elsewhere += 1,
        }
        assert!(
            elsewhere <= 2 + kills,
            "{hits:?}: too many points were not reached"
        );
    }
    println!("{engine:?}, seed {seed}: killed at {hits:?}, and {elsewhere} times elsewhere");

    let gateway = scene.gateway("gateway", None).await;
    addresses.send_replace(with(gateway.address));
    let cleared = control.clear_faults(banks::ClearFaultsRequest {}).await;
    cleared.expect("the faults are gone");
    drop(addresses);
    let mut told = Vec::new();
    while let Some(worker) = workers.join_next().await {
        told.extend(worker.expect("a worker ends well"));
    }
    for load in loads.join_all().await {
        println!("payswitch load --mix: {load:?}");
        assert!(load.values().all(|answered| *answered > 0), "{load:?}");
    }
    let address = gateway.address.expect("the gateway");
    let mut clients = scene.shop().clients(address).await.expect("the gateway");
    let all = within(SETTLED_WITHIN, "an end of every payment", async || {
        let all = every_payment(&mut clients.payments).await;
        for payment in &all {
            look_up_refunds(&scene, &mut clients.payments, &mut control, payment).await;
        }
        all.iter().all(is_final).then_some(all)
    })
    .await;
    for id in &told {
        assert!(
            all.iter().any(|payment| payment.payment_id == *id),
            "{id} is gone"
        );
    }
    within(SETTLED_WITHIN, "nothing that is owed", async || {
        scene.owes_nothing().then_some(())
    })
    .await;
    let owed = compare(&mut control, &all).await;
    assert_eq!(clients.owed().await, owed, "what the merchant is owed");
    let settled = settled(&mut clients.settlement).await;
    assert_eq!(settled, owed, "what is settled, in all days");
    scene.database.assert_books_are_whole().await;
    assert_eq!(scene.json(&["ledger", "verify"])["findings"], json!([]));
}

fn is_final(payment: &pb::Payment) -> bool {
    use State::{Authorized, Captured, Declined, Failed, PartiallyCaptured, Reversed, Voided};
    let captured = |capture: &pb::Capture| capture.state() == pb::CaptureState::Captured;
    payment.pending.is_none()
        && minor(&payment.pending_refund_amount) == 0
        && payment.captures.iter().all(captured)
        && matches!(
            payment.state(),
            Authorized | PartiallyCaptured | Captured | Voided | Declined | Failed | Reversed
        )
}

/// What an operator does with a refund without an outcome: says what is in the banks' books.
async fn look_up_refunds(
    scene: &Scene,
    payments: &mut Payments,
    control: &mut ControlServiceClient<Channel>,
    payment: &pb::Payment,
) {
    if minor(&payment.pending_refund_amount) == 0 {
        return;
    }
    let request = pb::ListOperationsRequest {
        payment_id: payment.payment_id.clone(),
        ..Default::default()
    };
    let listed = payments.list_operations(request).await.expect("operations");
    let is_waiting = |it: &pb::Operation| {
        let since = it.update_time.as_ref().expect("a time").seconds;
        it.kind() == pb::OperationKind::Refund
            && it.state() == pb::OperationState::Unknown
            && since + LOOKED_UP_AFTER_S < now().as_i64() / 1000
    };
    for refund in listed
        .into_inner()
        .operations
        .into_iter()
        .filter(is_waiting)
    {
        let request = banks::ListMessagesRequest {
            rrn: refund.rrn,
            ..Default::default()
        };
        let messages = control.list_messages(request).await.expect("messages");
        let mut messages = messages.into_inner().messages.into_iter();
        let found = match messages.any(|it| it.effect() == banks::Effect::Credited) {
            true => "stands",
            false => "never-happened",
        };
        let why = ["--reason", "the banks' books"];
        let resolve = ["owed", "resolve", &refund.operation_id, "--as", found];
        scene.json(&[&resolve[..], &why].concat());
    }
}

/// What the gateway says is authorized is what the issuers hold, card by card and to the last unit; and no request
/// had its effect twice. Gives what was captured and not refunded, by currency.
async fn compare(
    control: &mut ControlServiceClient<Channel>,
    payments: &[pb::Payment],
) -> BTreeMap<String, i64> {
    let mut authorized: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut captured: BTreeMap<String, i64> = BTreeMap::new();
    let mut ended: BTreeMap<&str, usize> = BTreeMap::new();
    let mut refunds = 0;
    for payment in payments {
        *ended.entry(payment.state().as_str_name()).or_default() += 1;
        let amount = payment.authorized_amount.as_ref().expect("an amount");
        let taken = payment.captured_amount.as_ref().expect("an amount");
        let sum: i64 = payment.captures.iter().map(|it| minor(&it.amount)).sum();
        assert_eq!(taken.amount_minor, sum, "{payment:?}");
        let refunded = minor(&payment.refunded_amount);
        *captured.entry(taken.currency.clone()).or_default() += sum - refunded;
        refunds += usize::from(refunded > 0);
        if matches!(
            payment.state(),
            State::Authorized | State::PartiallyCaptured
        ) {
            let card = payment.card.as_ref().expect("a card");
            let card = format!("{}…{}", card.bin, card.last4);
            *authorized
                .entry((card, amount.currency.clone()))
                .or_default() += amount.amount_minor - taken.amount_minor;
        } else if !matches!(payment.state(), State::Captured | State::Voided) {
            assert_eq!(amount.amount_minor, 0, "{payment:?}");
        }
    }
    println!("{ended:?}, {refunds} of them refunded");
    assert!(refunds > 0, "none was refunded");
    let accounts = control
        .list_accounts(banks::ListAccountsRequest::default())
        .await;
    let accounts = accounts.expect("the accounts").into_inner().accounts;
    let held: BTreeMap<_, _> = accounts
        .into_iter()
        .filter(|account| account.held != 0)
        .map(|account| {
            let (bin, last4) = (&account.card_masked[..6], &account.card_masked[12..]);
            ((format!("{bin}…{last4}"), account.currency), account.held)
        })
        .collect();
    assert_eq!(
        authorized, held,
        "what the gateway authorized, and what the issuers hold"
    );
    for state in [
        State::Authorized,
        State::Reversed,
        State::Captured,
        State::PartiallyCaptured,
        State::Voided,
    ] {
        assert!(ended.contains_key(state.as_str_name()), "{state:?}");
    }
    let totals = control.get_totals(banks::GetTotalsRequest {}).await;
    let totals = totals.expect("the totals").into_inner().totals;
    let mut debited: BTreeMap<String, i64> = BTreeMap::new();
    for total in &totals {
        *debited.entry(total.currency.clone()).or_default() += total.debited - total.credited;
    }
    captured.retain(|_, sum| *sum != 0);
    debited.retain(|_, sum| *sum != 0);
    assert_eq!(
        captured, debited,
        "what was captured and not refunded, and what the issuers debited and did not credit"
    );
    for total in totals {
        assert_eq!(total.effects_more_than_once, 0, "{total:?}");
        assert!(total.exchanges > 0);
    }
    captured
}

/// What the batches of all days come to, by currency. Each is what its items are, and no item is in two.
async fn settled(settlement: &mut Settlement) -> BTreeMap<String, i64> {
    let mut settled: BTreeMap<String, i64> = BTreeMap::new();
    let (mut items, mut days) = (BTreeSet::new(), BTreeSet::new());
    for batch in batches(settlement).await {
        let notes = notes(settlement, (&batch.batch_id, 100)).await;
        let count = batch.payment_count + batch.refund_count;
        assert_eq!(i64::try_from(notes.len()), Ok(count), "{batch:?}");
        let mut net_minor = 0;
        for note in notes {
            net_minor += minor(&note.net);
            assert!(items.insert(format!("{:?}", note.item)), "{note:?} twice");
        }
        let net = batch.net_total.expect("a net");
        assert_eq!(net.amount_minor, net_minor);
        *settled.entry(net.currency).or_default() += net_minor;
        days.insert(batch.business_date);
    }
    println!("{} items are settled with {} days", items.len(), days.len());
    assert!(days.len() > 1, "{days:?}");
    settled.retain(|_, sum| *sum != 0);
    settled
}

/// Every fortieth authorization, and every fortieth refund, in each of these ways: lost, answered in vain, answered
/// late; an authorization also after its reversal. What is owed is acknowledged in vain every twentieth time.
async fn one_call_in_ten_times_out(control: &mut ControlServiceClient<Channel>) {
    let (late, after) = (What::DelayMs(6_000), banks::AnswerAfterReversal {});
    for (mti, every_nth, what) in [
        ("0100", 40, LOST),
        ("0100", 40, UNANSWERED),
        ("0100", 40, late.clone()),
        ("0100", 40, What::AnswerAfterReversal(after)),
        ("0200", 40, LOST),
        ("0200", 40, UNANSWERED),
        ("0200", 40, late),
        ("0220", 20, UNANSWERED),
        ("0420", 20, UNANSWERED),
    ] {
        let fault = Some(banks::Fault {
            every_nth,
            ..times(0, fault(mti, what))
        });
        let added = control
            .inject_fault(banks::InjectFaultRequest { fault })
            .await;
        added.expect("a fault");
    }
}

async fn every_payment(payments: &mut Payments) -> Vec<pb::Payment> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListPaymentsRequest {
            page_size: 100,
            page_token,
            ..pb::ListPaymentsRequest::default()
        };
        let page = payments
            .list_payments(request)
            .await
            .expect("a page")
            .into_inner();
        all.extend(page.payments);
        if page.next_page_token.is_empty() {
            return all;
        }
        page_token = page.next_page_token;
    }
}
