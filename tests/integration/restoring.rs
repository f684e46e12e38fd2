//! The database is restored from a backup: nothing is paid again by itself, and no number is used twice.

use std::collections::BTreeSet;

use bank_sim::control::pb as banks;
use payswitch::card::header::Algorithm;
use payswitch::card::seal::Recipient;
use payswitch::merchant_api::pb;
use payswitch::random::Random;
use pb::PaymentState as State;
use serde_json::Value;

use crate::database::Engine;
use crate::demo::text;
use crate::harness::{Payments, TempFolder, authorize, eventually, now, on_both_engines, pay_with};
use crate::killing::program;
use crate::killing::scene::{Gateway, Scene};
use crate::refused::{Envelopes, refusal};
use crate::sealing::{Claims, card, with_sealed};
use crate::tools::output;

on_both_engines!(a_restored_database_pays_nothing_again);

const RESTORED: [&str; 3] = ["restored", "--reason", "the disk broke"];

async fn start(scene: &Scene) -> (Gateway, Payments) {
    let gateway = scene.gateway("gateway", None).await;
    let address = gateway
        .address
        .unwrap_or_else(|| panic!("it is ready: {}", text(&scene.at("gateway.log"))));
    let clients = scene.shop().clients(address).await;
    (gateway, clients.expect("a connection").payments)
}

async fn stop(gateway: Gateway, code: i32) {
    gateway.process.send("TERM");
    assert_eq!(gateway.process.ended().await.code(), Some(code));
}

/// A request with a card that is sealed so many milliseconds from now.
fn sealed(scene: &Scene, later_ms: i64) -> pb::AuthorizePaymentRequest {
    let jwks = text(&scene.at("jwks.json"));
    let recipient = Recipient::from_jwks(&jwks, Algorithm::EcdhEs, &Random::SYSTEM);
    let request = pay_with("", 1250, "EUR");
    let claims = Claims {
        issued_at: now().plus_ms(later_ms),
        ..Claims::of("shop", &request)
    };
    let sealed = claims.seal(&recipient.expect("a key"), &card("4242424242424242"));
    with_sealed(request, sealed)
}

async fn pay(payments: &mut Payments, request: pb::AuthorizePaymentRequest) -> pb::Payment {
    let payment = authorize(payments, request).await;
    assert_eq!(payment.state(), State::Authorized, "{payment:?}");
    payment
}

/// What `payswitch restored` says with these flags, and its exit code.
fn restored(scene: &Scene, flags: &[&str]) -> (Value, Option<i32>) {
    let arguments = [&RESTORED[..], &["--json"], flags].concat();
    let output = output(&mut program(&scene.at(""), &scene.database, &arguments));
    let errors = String::from_utf8_lossy(&output.stderr);
    let said = serde_json::from_slice(&output.stdout);
    (
        said.unwrap_or_else(|_| panic!("JSON, not {errors}")),
        output.status.code(),
    )
}

async fn a_restored_database_pays_nothing_again(engine: Engine) {
    let folder = TempFolder::new("restoring");
    let mut scene = Scene::set(engine, &folder).await;
    let (gateway, mut payments) = start(&scene).await;
    let before = sealed(&scene, 0);
    let told = pay(&mut payments, before.clone()).await;
    stop(gateway, 0).await;
    let backup = scene.database.copy().await;

    let (gateway, mut payments) = start(&scene).await;
    let mut lost = Vec::new();
    for _ in 0..10 {
        let request = sealed(&scene, 0);
        let payment = pay(&mut payments, request.clone()).await;
        lost.push((request, payment));
    }
    stop(gateway, 0).await;

    scene.database = backup;
    let refused = output(&mut program(&scene.at(""), &scene.database, &["serve"]));
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{errors}");
    for part in ["expected seal", "got epoch 1", "payswitch restored"] {
        assert!(errors.contains(part), "{part} in {errors}");
    }
    let (shown, code) = restored(&scene, &[]);
    assert_eq!(
        (&shown["needed"], &shown["done"], code),
        (&true.into(), &false.into(), Some(1))
    );
    let (done, code) = restored(&scene, &["--yes"]);
    assert_eq!(
        (&done["done"], &done["epoch"], code),
        (&true.into(), &2.into(), Some(0))
    );
    let position = |of: &str| done[of]["position"].as_i64().expect("a position");
    // Each lost payment was one event.
    assert_eq!(position("outside") - position("database"), 10);
    let left_out = done["left_out"].as_array().expect("a list");
    for (_, payment) in &lost {
        let rrn = &payment.authorization.as_ref().expect("it is routed").rrn;
        let told = left_out.iter().any(|it| {
            let end = |name: &str| it[name].as_str().expect("an RRN").to_owned();
            it["host_id"] == "acquirer" && (end("first_rrn")..=end("last_rrn")).contains(rrn)
        });
        assert!(told, "{rrn} in {left_out:?}");
    }
    let (again, code) = restored(&scene, &["--yes"]);
    assert_eq!(
        (&again["needed"], &again["done"], code),
        (&false.into(), &false.into(), Some(0))
    );

    let (gateway, mut payments) = start(&scene).await;
    assert_eq!(authorize(&mut payments, before).await, told);
    let mut envelopes = Envelopes::default();
    for (request, _) in lost {
        let status = refusal(&mut payments, request).await;
        envelopes.assert_refused(&status, "a payment that was lost");
    }
    assert_eq!(envelopes.faults(), ["RESTORED"]);
    // As a clock seals that is as far ahead as is allowed; others wait for a minute.
    eventually("a second after that in which the epoch began", async || {
        let paid = payments.authorize_payment(sealed(&scene, 60_000)).await;
        paid.ok().map(drop)
    })
    .await;
    for _ in 1..10 {
        pay(&mut payments, sealed(&scene, 60_000)).await;
    }
    assert_eq!(
        scene.json(&["ledger", "verify"])["findings"],
        Value::Array(Vec::new())
    );
    let audited = scene.json(&["audit", "list"]).to_string();
    assert!(audited.contains("the disk broke"), "{audited}");
    // What can't be sealed at the end would not be missed after the next restore: the exit code says so.
    let seals = scene.at("ledger.seals");
    std::fs::remove_file(&seals).expect("the file of the seals");
    std::fs::create_dir(&seals).expect("a folder in its place");
    stop(gateway, 1).await;

    let request = banks::ListMessagesRequest {
        page_size: 1000,
        host: "acquirer".into(),
        ..Default::default()
    };
    let listed = scene.control().await.list_messages(request).await;
    let messages = listed.expect("messages").into_inner().messages;
    let received = messages
        .iter()
        .filter(|it| it.mti == "0100" && it.direction() == banks::Direction::Received);
    // DE 7 begins with the month and the day.
    let numbers: Vec<_> = received
        .map(|it| {
            (
                it.elements[&7][..4].to_owned(),
                it.stan.clone(),
                it.rrn.clone(),
            )
        })
        .collect();
    assert_eq!(numbers.len(), 21);
    let stans: BTreeSet<_> = numbers.iter().map(|(date, stan, _)| (date, stan)).collect();
    let rrns: BTreeSet<_> = numbers.iter().map(|(_, _, rrn)| rrn).collect();
    assert_eq!((stans.len(), rrns.len()), (21, 21));
}
