//! Increments that a killed gateway leaves end as docs/iso8583.md says: reversed where their outcome is not known, and
//! approved where that was recorded.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use bank_sim::control::pb as banks;
use payswitch::merchant_api::pb;
use pb::{OperationKind, OperationState, PaymentState as State};

use crate::capturing::minor;
use crate::database::Engine;
use crate::demo::text;
use crate::harness::{TempFolder, authorize, on_both_engines, pay_with, within};
use crate::incrementing::{increment_of, try_increment};
use crate::killing::scene::Scene;
use crate::releasing::operations;
use crate::unknown_outcomes::found;

on_both_engines!(an_increment_that_a_crash_leaves_ends);

/// A host that does not know an original is believed 15 s after the original's deadline, and on PostgreSQL it takes 12
/// s until a node is found dead.
const ENDED_WITHIN: Duration = Duration::from_secs(60);

async fn an_increment_that_a_crash_leaves_ends(engine: Engine) {
    let folder = TempFolder::new("killing-increments");
    let scene = Scene::set(engine, &folder).await;
    let mut left = Vec::new();
    // The first of each is the authorization's. `send` comes first: later gateways also send the reversals that were left
    // before, and these would count.
    for (point, is_known) in [
        ("send:2", false),
        ("intent:2", false),
        ("answer:2", false),
        ("outcome:2", true),
    ] {
        let mut gateway = scene.gateway("gateway", Some(point)).await;
        let address = gateway.address.expect("a gateway that is ready");
        let clients = scene.shop().clients(address).await;
        let mut payments = clients.expect("the gateway").payments;
        let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
        let request = increment_of(&payment, 2_500);
        let told = try_increment(&mut payments, request.clone()).await;
        told.expect_err("the gateway is killed");
        let status = gateway.process.exit().await;
        let log = || text(&scene.at("gateway.log"));
        assert_eq!(status.signal(), Some(9), "{point}: {status}\n{}", log());
        left.push((payment, request, is_known));
    }
    let gateway = scene.gateway("gateway", None).await;
    let address = gateway.address.expect("the gateway");
    let clients = scene.shop().clients(address).await;
    let mut payments = clients.expect("the gateway").payments;
    for (payment, request, is_known) in left {
        let (state, authorized) = match is_known {
            true => (OperationState::Approved, 12_500),
            false => (OperationState::Reversed, 10_000),
        };
        let increment = within(ENDED_WITHIN, "the end of an increment", async || {
            let all = operations(&mut payments, &payment).await;
            let of_it = |it: &&pb::Operation| it.kind() == OperationKind::Increment;
            let increment = all.iter().find(of_it).expect("the increment");
            (increment.state() == state).then(|| increment.clone())
        })
        .await;
        let after = found(&mut payments, &payment.payment_id).await;
        assert_eq!(after.state(), State::Authorized);
        assert_eq!(minor(&after.authorized_amount), authorized);
        assert_eq!(minor(&after.capturable_amount), authorized);
        // The merchant asks again, and is told what was recorded first.
        let told = try_increment(&mut payments, request).await;
        let told = told.expect("the answer");
        let of_it = told.increment.as_ref().expect("the increment");
        assert_eq!(of_it.operation_id, increment.operation_id);
        assert_eq!(told.pending.is_some(), !is_known);
    }
    let mut control = scene.control().await;
    within(ENDED_WITHIN, "what the bank holds", async || {
        let accounts = control.list_accounts(banks::ListAccountsRequest::default());
        let accounts = accounts.await.expect("the accounts").into_inner().accounts;
        let held: i64 = accounts.iter().map(|account| account.held).sum();
        (held == 42_500).then_some(())
    })
    .await;
    assert!(scene.owes_nothing());
    scene.database.assert_books_are_whole().await;
}
