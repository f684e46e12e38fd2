//! Sealing keys are rotated at the operators' door, and what is done in their folder is on record too.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use admin::SealingKeyState as KeyState;
use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::key_service_client::KeyServiceClient;
use payswitch::card::header::Algorithm;
use payswitch::card::key_rotation::KNOWN_AFTER_MS;
use payswitch::card::seal::Recipient;
use payswitch::merchant_api::pb;
use payswitch::random::Random;
use pb::PaymentState as State;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::database::Engine;
use crate::demo::{PROGRAM, text};
use crate::harness::{Switch, authorize, on_both_engines, until};
use crate::operators::{operator, set_own_role, trail};
use crate::refused::Refused;
use crate::sealing::card;
use crate::tools::output;
use crate::two_nodes::with_suffix;

on_both_engines!(
    sealing_keys_are_rotated_at_the_door,
    what_is_done_in_the_folder_is_on_record,
);

type Keys = KeyServiceClient<Channel>;

const VISA: &str = "4242424242424242";

async fn listed(keys: &mut Keys) -> Vec<admin::SealingKey> {
    let listed = keys.list_sealing_keys(admin::ListSealingKeysRequest {});
    listed.await.expect("the keys").into_inner().sealing_keys
}

async fn named(keys: &mut Keys, kid: &str) -> admin::SealingKey {
    let listed = listed(keys).await;
    let found = listed.into_iter().find(|key| key.kid == kid);
    found.expect("the key")
}

async fn add(keys: &mut Keys) -> Result<admin::SealingKey, Status> {
    let request = admin::AddSealingKeyRequest {
        request_id: "add".into(),
        reason: "the yearly rotation".into(),
        rsa: false,
    };
    let added = keys.add_sealing_key(request).await?;
    Ok(added.into_inner().sealing_key.expect("the key"))
}

async fn activate(
    keys: &mut Keys,
    request_id: &str,
    kid: &str,
) -> Result<admin::SealingKey, Status> {
    let request = admin::ActivateSealingKeyRequest {
        request_id: request_id.into(),
        reason: "the yearly rotation".into(),
        kid: kid.into(),
    };
    let done = keys.activate_sealing_key(request).await?;
    Ok(done.into_inner().sealing_key.expect("the key"))
}

async fn retire(
    keys: &mut Keys,
    request_id: &str,
    kid: &str,
    anyway: bool,
) -> Result<admin::SealingKey, Status> {
    let request = admin::RetireSealingKeyRequest {
        request_id: request_id.into(),
        reason: "the yearly rotation".into(),
        kid: kid.into(),
        anyway,
    };
    let done = keys.retire_sealing_key(request).await?;
    Ok(done.into_inner().sealing_key.expect("the key"))
}

fn seconds(time: Option<prost_types::Timestamp>) -> i64 {
    time.expect("a time").seconds
}

fn refused(answer: Result<admin::SealingKey, Status>, code: Code, reason: &str) {
    let refused = Refused::from(&answer.expect_err(reason));
    assert_eq!(refused, Refused::not_sent(code, reason));
}

/// As if the time had passed after which every gateway knows the key.
fn let_it_be_known(path: &PathBuf) {
    let file = File::open(path).expect("the key");
    let modified = file.metadata().and_then(|it| it.modified());
    let over = Duration::from_millis(KNOWN_AFTER_MS.unsigned_abs());
    let before = modified.expect("a time") - over;
    file.set_modified(before).expect("another time");
}

/// What the audit trail has of keys, oldest first: who, what, on what, and what came of it.
async fn on_record(channel: Channel) -> Vec<[String; 4]> {
    let rows = trail(channel).await.into_iter().rev();
    let of_keys = rows
        .filter(|row| row.action.starts_with("KeyService.") || row.action == "sealing key changed");
    let told = of_keys.map(|row| {
        let outcome = match row.outcome() {
            admin::AuditOutcome::Done => "DONE".to_owned(),
            _ => row.outcome_reason,
        };
        [row.operator, row.action, row.target, outcome]
    });
    told.collect()
}

fn row(operator: &str, action: &str, target: &str, outcome: &str) -> [String; 4] {
    [operator, action, target, outcome].map(str::to_owned)
}

async fn sealing_keys_are_rotated_at_the_door(engine: Engine) {
    let switch = Switch::start(engine).await;
    let channel = operator(&switch).await;
    let mut keys = Keys::new(channel.clone());
    let mut payments = switch.payments().await;
    let before = listed(&mut keys).await;
    let states = before
        .iter()
        .map(|key| (&*key.algorithm, key.state(), key.last_use_time));
    let active = KeyState::Active;
    assert!(states.eq([("ECDH-ES", active, None), ("RSA-OAEP-256", active, None)]));
    let old = before[0].kid.clone();
    let to_old = switch.recipient(Algorithm::EcdhEs);
    let paid = authorize(&mut payments, switch.pay_sealed(&card(VISA), 1250, "EUR")).await;
    assert_eq!(paid.state(), State::Authorized);
    let used = named(&mut keys, &old).await.last_use_time;
    assert!(used.is_some());

    let jwks = switch.data().join("jwks.json");
    let published = text(&jwks);
    let added = add(&mut keys).await.expect("a key");
    assert_eq!(add(&mut keys).await.expect("the same"), added);
    assert_eq!(added.state(), KeyState::Upcoming);
    assert!(added.on_this_gateway && seconds(added.next_time) > seconds(added.since_time));
    assert_eq!(listed(&mut keys).await.len(), 3);
    assert_eq!(text(&jwks), published);
    let new = added.kid.clone();
    let missing = "A".repeat(43);
    refused(
        activate(&mut keys, "1", &new).await,
        Code::FailedPrecondition,
        "SEALING_KEY_TOO_NEW",
    );
    refused(
        activate(&mut keys, "2", &missing).await,
        Code::NotFound,
        "SEALING_KEY_NOT_FOUND",
    );
    let_it_be_known(&switch.data().join(format!("keys/upcoming/p256-{new}.pem")));
    let done = activate(&mut keys, "3", &new).await.expect("an active key");
    assert_eq!((done.state(), done.next_time), (KeyState::Active, None));
    // It is published at once, and the one before opens still.
    assert!(text(&jwks).contains(&new) && !text(&jwks).contains(&old));
    let to_new = Recipient::from_jwks(&text(&jwks), Algorithm::EcdhEs, &Random::SYSTEM);
    for recipient in [&to_old, &to_new.expect("the new key")] {
        let request = switch.pay_sealed_to(recipient, &card(VISA), 1250, "EUR");
        let paid = authorize(&mut payments, request).await;
        assert_eq!(paid.state(), State::Authorized);
    }
    assert_eq!(named(&mut keys, &old).await.state(), KeyState::Retiring);
    let failed = Code::FailedPrecondition;
    refused(
        retire(&mut keys, "4", &old, false).await,
        failed,
        "SEALING_KEY_STILL_USED",
    );
    refused(
        retire(&mut keys, "5", &new, true).await,
        failed,
        "SEALING_KEY_STATE",
    );
    let retired = retire(&mut keys, "6", &old, true)
        .await
        .expect("a retired key");
    assert_eq!(retired.state(), KeyState::Retired);
    assert!(!retired.on_this_gateway && seconds(retired.last_use_time) >= seconds(used));
    assert_eq!(named(&mut keys, &old).await, retired);
    let request = switch.pay_sealed_to(&to_old, &card(VISA), 1250, "EUR");
    let gone = payments.authorize_payment(request).await;
    gone.expect_err("sealed to a key that is gone");
    let status = keys.get_master_key_status(admin::GetMasterKeyStatusRequest {});
    let status = status.await.expect("the status").into_inner();
    assert_eq!(status.rotation(), admin::MasterKeyRotation::None);

    // Who may only read is refused, and an operator may not have cards refused.
    set_own_role(channel.clone(), admin::OperatorRole::Viewer).await;
    assert_eq!(listed(&mut keys).await.len(), 3);
    let denied = Code::PermissionDenied;
    refused(activate(&mut keys, "7", &new).await, denied, "ROLE_TOO_LOW");
    let (by, at) = ("demo-operator", |call: &str| {
        format!("KeyService.{call}SealingKey")
    });
    assert_eq!(
        on_record(channel).await,
        [
            row(by, &at("Add"), "ECDH-ES", "DONE"),
            row(by, &at("Activate"), &new, "SEALING_KEY_TOO_NEW"),
            row(by, &at("Activate"), &missing, "SEALING_KEY_NOT_FOUND"),
            row(by, &at("Activate"), &new, "DONE"),
            row(by, &at("Retire"), &old, "SEALING_KEY_STILL_USED"),
            row(
                by,
                &at("Retire"),
                &format!("{new} ANYWAY"),
                "SEALING_KEY_STATE"
            ),
            row(by, &at("Retire"), &format!("{old} ANYWAY"), "DONE"),
            row(by, &at("Activate"), &new, "ROLE_TOO_LOW"),
        ]
    );
}

/// `payswitch sealing-keys` as whoever has the files calls it; the key that it tells of.
fn in_folder(switch: &Switch, arguments: &[&str]) -> String {
    let data = switch.data();
    let mut command = Command::new(PROGRAM);
    command
        .args(["sealing-keys", "--json"])
        .args(arguments)
        .current_dir(data)
        .env_remove("RUST_LOG")
        .env("PAYSWITCH_CARD__MASTER_KEY_FILE", with_suffix(data, ".key"))
        .env("PAYSWITCH_CARD__SEALING_KEYS", data.join("keys"));
    let done = output(&mut command);
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{errors}");
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let kid = answer["sealing_keys"][0]["kid"].as_str();
    kid.unwrap_or_default().to_owned()
}

async fn what_is_done_in_the_folder_is_on_record(engine: Engine) {
    let mut switch = Switch::start(engine).await;
    let channel = operator(&switch).await;
    let mut keys = Keys::new(channel.clone());
    let old = listed(&mut keys).await[0].kid.clone();
    let by = "command-line";
    let changed = |kid: &str, state: &str| {
        row(
            by,
            "sealing key changed",
            &format!("{kid} as {state}"),
            "DONE",
        )
    };
    let new = in_folder(&switch, &["add"]);
    let mut expected = vec![changed(&new, "UPCOMING")];
    until("the new key on record", async || {
        on_record(channel.clone()).await == expected
    })
    .await;
    let_it_be_known(&switch.data().join(format!("keys/upcoming/p256-{new}.pem")));
    in_folder(&switch, &["activate", &new]);
    // Both in one look, in the order of their names.
    let mut both = [(&new, "ACTIVE"), (&old, "RETIRING")];
    both.sort();
    expected.extend(both.map(|(kid, state)| changed(kid, state)));
    until("the change on record", async || {
        let mut rows = on_record(channel.clone()).await;
        if let Some(last_two) = rows.get_mut(1..3) {
            last_two.sort_by(|one, other| one[2].cmp(&other[2]));
        }
        rows == expected
    })
    .await;
    // A gateway that starts anew records nothing twice, and what was done while it was stopped, where it is alone.
    switch.stop_gateway().await;
    in_folder(&switch, &["retire", &old, "--anyway"]);
    switch.start_gateway().await;
    let channel = operator(&switch).await;
    if engine == Engine::Sqlite {
        expected.push(changed(&old, "RETIRED"));
    }
    let mut keys = Keys::new(channel.clone());
    let state = match engine {
        Engine::Sqlite => KeyState::Retired,
        Engine::Postgres => KeyState::Retiring,
    };
    until("the key as it was recorded last", async || {
        let old = named(&mut keys, &old).await;
        old.state() == state && !old.on_this_gateway
    })
    .await;
    assert_eq!(on_record(channel).await.len(), expected.len());
}
