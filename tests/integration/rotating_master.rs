//! The master key is rotated, and killed after each of its steps: everything opens at each moment, on gateways that run
//! and on one that starts in the middle, and what merchants and banks know stays what it is.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::custody_service_client::CustodyServiceClient;
use payswitch::card::custody::DataKeys;
use payswitch::card::keys::SealingKeys;
use payswitch::card::master_key::{self, MasterKey};
use payswitch::merchant_api::pb;
use payswitch::random::Random;
use pb::PaymentState as State;
use serde_json::Value;

use crate::database::Engine;
use crate::demo::{PROGRAM, text};
use crate::harness::{Payments, Switch, authorize, pay_with, run};
use crate::operators::operator;
use crate::rotating_keys::{Load, Node, Pair, recipient};
use crate::two_nodes::{SecondNode, with_suffix, write_profile};

/// Where the program is killed.
pub(crate) const POINT: &str = "master_rotation";
/// So many runs are killed after one step each; later ones go further and further.
const SINGLE_STEPS: u32 = 6;
/// More runs are not needed.
const RUNS: u32 = 30;

fn master_path(switch: &Switch) -> PathBuf {
    with_suffix(switch.data(), ".key").into()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    with_suffix(path, ending).into()
}

/// `payswitch master`, with all files that gateways of this switch read.
fn master(switch: &Switch, hosts: &Path, arguments: &[&str]) -> Command {
    let data = switch.data();
    let mut command = Command::new(PROGRAM);
    command
        .arg("master")
        .args(arguments)
        .current_dir(data)
        .env_remove("RUST_LOG")
        .env("PAYSWITCH_STORE__URL", switch.database.url())
        .env("PAYSWITCH_HOSTS__PROFILES", hosts)
        .env("PAYSWITCH_CARD__MASTER_KEY_FILE", master_path(switch))
        .env("PAYSWITCH_CARD__SEALING_KEYS", data.join("keys"))
        .env(
            "PAYSWITCH_MERCHANT_API__PRIVATE_KEY",
            data.join("certs/gateway.key"),
        );
    command
}

/// A rotation from wherever it is; each wait takes ten seconds.
fn rotate(switch: &Switch, hosts: &Path) -> Command {
    let also = switch.data().join("api-key.pem");
    let mut command = master(
        switch,
        hosts,
        &[
            "rotate",
            "--reason",
            "the yearly one",
            "--known-after",
            "10",
        ],
    );
    command.arg("--also").arg(also);
    command
}

fn output(mut command: Command) -> Output {
    command.output().expect("the program starts")
}

fn status(switch: &Switch, hosts: &Path) -> Value {
    let done = output(master(switch, hosts, &["status", "--json"]));
    serde_json::from_slice(&done.stdout).expect("JSON")
}

fn rotation(switch: &Switch, hosts: &Path) -> String {
    let answer = status(switch, hosts);
    answer["rotation"].as_str().expect("a text").to_owned()
}

/// The data keys open under this master key, all or none.
async fn data_keys_open(switch: &Switch, master_key: &MasterKey) -> bool {
    let keys = switch
        .store()
        .custody_keys(100, None)
        .await
        .expect("the data keys");
    assert!(!keys.is_empty());
    let one_by_one = keys.iter().map(|key| {
        let data_keys = DataKeys::new(master_key, &Random::SYSTEM);
        let wrapped = [(key.key_version, key.wrapped.as_str())];
        data_keys.load(wrapped.into_iter()).is_ok()
    });
    let open: Vec<_> = one_by_one.collect();
    assert!(open.iter().all(|it| *it == open[0]), "{open:?}");
    open[0]
}

async fn capture(payments: &mut Payments, payment: &pb::Payment) {
    let request = pb::CapturePaymentRequest {
        request_id: format!("capture-{}", payment.payment_id),
        payment_id: payment.payment_id.clone(),
        ..Default::default()
    };
    let captured = payments.capture_payment(request).await.expect("a capture");
    let payment = captured.into_inner().payment.expect("a payment");
    assert_eq!(payment.state(), State::Captured, "{payment:?}");
}

fn fingerprint(payment: &pb::Payment) -> String {
    payment.card.clone().expect("a card").fingerprint
}

#[test]
fn the_master_key_is_rotated_while_two_nodes_take_payments_and_it_is_killed() {
    run(async {
        let pair = Pair::start().await;
        let switch = &pair.switch;
        let hosts = pair.second.at("hosts");
        let path = master_path(switch);
        // As an older version has made it: one line.
        let before = text(&path);
        assert_eq!(before.lines().count(), 1);
        let old = MasterKey::from_base64(before.trim_end(), &Random::SYSTEM).expect("a key");
        let mut payments = pair.nodes[0].payments.clone();
        let known = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
        pair.made(&["add"]);
        let mut custody = CustodyServiceClient::new(operator(switch).await);
        let request = admin::RotateDataKeyRequest {
            request_id: "another".into(),
            reason: "one more to wrap".into(),
        };
        custody.rotate_data_key(request).await.expect("a data key");
        assert!(data_keys_open(switch, &old).await);
        assert_eq!(rotation(switch, &hosts), "NONE");

        let load = Load::start(&pair);
        let mut stages = Vec::new();
        let mut third = None;
        for number in 1.. {
            assert!(number <= RUNS, "{stages:?}");
            let steps = number.saturating_sub(SINGLE_STEPS).max(1);
            let mut command = rotate(switch, &hosts);
            command.env("FAULT_POINT", format!("{POINT}:{steps}"));
            let done = tokio::task::spawn_blocking(move || output(command));
            let done = done.await.expect("the program ends");
            load.go_on(4).await;
            stages.push(rotation(switch, &hosts));
            if done.status.success() {
                break;
            }
            let errors = String::from_utf8_lossy(&done.stderr);
            assert_eq!(done.status.signal(), Some(9), "{errors}");
            if number == SINGLE_STEPS {
                // Some is wrapped under the one, some under the other.
                third = Some(SecondNode::start(switch).await);
            }
        }
        assert_eq!(stages[0], "PREPARED", "{stages:?}");
        assert_eq!(stages[1], "REPLACED", "{stages:?}");
        assert_eq!(stages.last().map(String::as_str), Some("NONE"));
        assert!(stages.len() > 8, "{stages:?}");
        load.go_on(20).await;

        // Nothing is left under the one before, and no file of it.
        for ending in [".next", ".previous"] {
            assert!(!beside(&path, ending).exists());
        }
        let new = MasterKey::read_file(&path, &Random::SYSTEM).expect("the new one");
        assert!(!text(&path).contains(before.trim_end()));
        assert!(data_keys_open(switch, &new).await && !data_keys_open(switch, &old).await);
        assert_eq!(
            SealingKeys::load(&pair.keys(), &new)
                .expect("keys")
                .iter()
                .count(),
            3
        );
        SealingKeys::load(&pair.keys(), &old).expect_err("no key of the old one");
        for file in [
            "certs/gateway.key",
            "certs/acquirer-client.key",
            "api-key.pem",
        ] {
            let file = switch.data().join(file);
            master_key::read_private_key(&file, &new).expect("wrapped under the new one");
            master_key::read_private_key(&file, &old).expect_err("not under the old one");
        }
        let rotations =
            "SELECT CAST(COUNT(*) AS BIGINT) FROM audit WHERE action = 'master rotated'";
        assert_eq!(switch.database.number(rotations.into()).await, 1);

        // What merchants know stays: on the nodes that have seen it, and on those that start in the middle and after it.
        let third = third.expect("a node that started in the middle");
        let fourth = SecondNode::start(switch).await;
        let mut nodes = pair.nodes.to_vec();
        for started in [&third, &fourth] {
            nodes.push(Node::new(started.connect(switch).await, &switch.api_key));
        }
        for node in &nodes {
            let recipient = recipient(&node.jwks().await);
            let request = switch.pay_sealed_to(
                &recipient,
                &crate::sealing::card("4242424242424242"),
                1250,
                "EUR",
            );
            let payment = authorize(&mut node.payments.clone(), request).await;
            assert_eq!(payment.state(), State::Authorized);
            assert_eq!(fingerprint(&payment), fingerprint(&known));
            // Its card comes out of custody at whichever node was started last.
            capture(&mut nodes[3].payments.clone(), &payment).await;
        }
        capture(&mut nodes[3].payments.clone(), &known).await;
        load.end().await;
    });
}

/// SQLite belongs to one process: the gateway is stopped meanwhile, and finds everything afterwards.
#[test]
fn the_master_key_is_rotated_while_the_gateway_is_stopped() {
    run(async {
        let mut switch = Switch::start(Engine::Sqlite).await;
        let mut payments = switch.payments().await;
        let known = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
        let hosts = switch.data().join("hosts");
        write_profile(&switch, &hosts);
        let refused = output(rotate(&switch, &hosts));
        assert_eq!(refused.status.code(), Some(1), "the gateway runs");
        assert_eq!(rotation(&switch, &hosts), "NONE");
        switch.stop_gateway().await;
        // Once more, it says that it has finished, and when; another rotation has to be asked for.
        let mut keys = vec![text(&master_path(&switch))];
        let mut finished = Vec::new();
        for arguments in [&[][..], &[], &["--again"]] {
            let mut command = rotate(&switch, &hosts);
            command.args(arguments);
            let done = output(command);
            let errors = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{errors}");
            let at = status(&switch, &hosts)["finished"].clone();
            let at = at.as_str().expect("a time").to_owned();
            let told = String::from_utf8(done.stdout).expect("a text");
            let told_last = told.lines().last().expect("how it stands");
            assert!(told_last.contains(&at), "{told}");
            finished.push(at);
            keys.push(text(&master_path(&switch)));
        }
        assert_eq!(finished[0], finished[1]);
        assert_eq!(keys[1], keys[2]);
        assert!(keys[0] != keys[1] && keys[2] != keys[3]);
        switch.start_gateway().await;
        let mut payments = switch.payments().await;
        let again = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
        assert_eq!(fingerprint(&again), fingerprint(&known));
        capture(&mut payments, &known).await;
    });
}
