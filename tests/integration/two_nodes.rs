//! Two gateways on one PostgreSQL: what is owed belongs to one of them, and the other takes it when that one is dead.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bank_sim::control::pb::ClearFaultsRequest;
use payswitch::grpc::client;
use payswitch::merchant_api::pb;
use pb::PaymentState as State;
use tonic::transport::Channel;

use crate::database::Engine;
use crate::demo::{PROGRAM, Process, text};
use crate::faults::{LOST, control, fault_of, inject, times};
use crate::harness::{
    Payments, Switch, TempFolder, authorize, eventually, pay_with, run, with_key, within,
};
use crate::unknown_outcomes::{found, operations_of, reversed};

/// Twelve seconds until a node is dead, and the time to send what it owed.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);
/// What the paused node has sent, and what the bank does not take from it.
const ACKNOWLEDGED: usize = 5;
const TAKEN: usize = 115;
/// Of these the bank hears no reversal, at first.
const UNHEARD_MINOR: i64 = 1350;

/// A second gateway on the database, banks and keys of a stand, in a process of its own.
pub(crate) struct SecondNode {
    process: Process,
    folder: TempFolder,
}

impl SecondNode {
    pub(crate) async fn start(switch: &Switch) -> Self {
        let folder = TempFolder::new("second-node");
        let data = switch.data();
        let hosts = folder.path().join("hosts");
        write_profile(switch, &hosts);
        let at = |name: &str| folder.path().join(name);
        let certs = data.join("certs");
        let mut command = Command::new(PROGRAM);
        command
            .args(["serve", "--ready-file", "ready.json"])
            .current_dir(folder.path())
            .env_remove("RUST_LOG")
            .env("PAYSWITCH_ENVIRONMENT", "test")
            .env("PAYSWITCH_STORE__URL", switch.database.url())
            .env("PAYSWITCH_HOSTS__PROFILES", &hosts)
            .env("PAYSWITCH_CARD__MASTER_KEY_FILE", with_suffix(data, ".key"))
            .env("PAYSWITCH_CARD__SEALING_KEYS", data.join("keys"))
            .env("PAYSWITCH_CARD__JWKS_PATH", at("jwks.json"))
            .env("PAYSWITCH_MERCHANT_API__LISTEN", "127.0.0.1:0")
            .env(
                "PAYSWITCH_MERCHANT_API__CERTIFICATE",
                certs.join("gateway.pem"),
            )
            .env(
                "PAYSWITCH_MERCHANT_API__PRIVATE_KEY",
                certs.join("gateway.key"),
            )
            .env(
                "PAYSWITCH_MERCHANT_API__CLIENT_CA",
                certs.join("gateway-ca.pem"),
            )
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(at("log.txt")).expect("a log"));
        let process = Process::start(&mut command);
        let node = Self { process, folder };
        eventually("a second node that is ready", async || {
            node.at("ready.json").exists().then_some(())
        })
        .await;
        node
    }

    /// A file of its own: `jwks.json`, `log.txt`, `ready.json`.
    pub(crate) fn at(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// A connection to its merchant API.
    pub(crate) async fn connect(&self, switch: &Switch) -> Channel {
        let ready: serde_json::Value =
            serde_json::from_str(&text(&self.at("ready.json"))).expect("JSON");
        let address = ready["merchant_api"].as_str().expect("an address");
        let ca = switch.pki.gateway_root.certificate_pem().as_bytes();
        let address = address.parse().expect("HOST:PORT");
        let channel = client::connect(address, "localhost", ca, None).await;
        channel.expect("a connection")
    }

    pub(crate) async fn payments(&self, switch: &Switch) -> Payments {
        with_key(self.connect(switch).await, &switch.api_key)
    }
}

/// The acquirer's profile in a folder of its own, with the certificates of the stand.
pub(crate) fn write_profile(switch: &Switch, hosts: &Path) {
    std::fs::create_dir(hosts).expect("a folder");
    let address = switch.banks.address("acquirer").expect("the acquirer");
    let profile = include_str!("../../hosts/acquirer.toml")
        .replace("certs/dev/", &format!("{}/certs/", switch.data().display()))
        .replace("127.0.0.1:7001", &address.to_string());
    assert!(profile.contains(&address.to_string()));
    std::fs::write(hosts.join("acquirer.toml"), profile).expect("a profile");
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> std::ffi::OsString {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path
}

/// It is paused in the middle of its queue, with messages in its hands, and wakes up after the other has taken the
/// rest: it sends nothing of it.
#[test]
fn a_paused_node_that_wakes_up_sends_nothing_that_was_taken() {
    run(async {
        let switch = Switch::start(Engine::Postgres).await;
        let mut payments = switch.payments().await;
        let second = SecondNode::start(&switch).await;
        let mut through_second = second.payments(&switch).await;
        // It knows the merchant from then on.
        authorize(&mut through_second, pay_with("pm_test_visa", 1250, "EUR")).await;
        let owing = async |count, amount_minor| {
            let waiting: Vec<_> = (0..count)
                .map(|_| {
                    let mut payments = through_second.clone();
                    let request = pay_with("pm_test_no_answer", amount_minor, "EUR");
                    tokio::spawn(async move { authorize(&mut payments, request).await })
                })
                .collect();
            let mut owed = Vec::new();
            for payment in waiting {
                owed.push(payment.await.expect("an answer"));
            }
            owed
        };
        let mut owed = owing(ACKNOWLEDGED, 1250).await;
        for payment in &owed {
            reversed(&mut payments, &payment.payment_id).await;
        }
        for mti in ["0420", "0421"] {
            inject(&switch, times(0, fault_of(mti, UNHEARD_MINOR, LOST))).await;
        }
        owed.extend(owing(TAKEN, UNHEARD_MINOR).await);
        let counters = || switch.banks.counters("acquirer").expect("the acquirer");
        let sent = || (counters().received("0420"), counters().received("0421"));
        eventually("messages in the hands of the second node", async || {
            (sent().0 >= 15).then_some(())
        })
        .await;
        second.process.send("STOP");
        let mut control = control(&switch.banks).await;
        let cleared = control.clear_faults(ClearFaultsRequest {}).await;
        cleared.expect("no fault any more");
        within(TAKEN_WITHIN, "all reversed", async || {
            for payment in &owed {
                if found(&mut payments, &payment.payment_id).await.state() != State::Reversed {
                    return None;
                }
            }
            Some(())
        })
        .await;
        // Some were in the hands of the paused node, and came as repeats.
        let all = sent();
        assert!(all.0 + all.1 >= u64::try_from(owed.len()).expect("a count"));
        second.process.send("CONT");
        let told = eventually("a payment through the node that woke up", async || {
            let request = pay_with("pm_test_no_answer", 1250, "EUR");
            let answer = through_second.authorize_payment(request).await.ok()?;
            let told = *answer.into_inner().payment?;
            told.pending
                .as_ref()
                .is_some_and(|it| it.reversal_owed)
                .then_some(told)
        })
        .await;
        reversed(&mut payments, &told.payment_id).await;
        assert_eq!(sent(), (all.0 + 1, all.1), "nothing of what was taken");
        let own = switch.store().node_id();
        let mut taken = Vec::new();
        for payment in &owed {
            let (_, reversals) = operations_of(&switch, payment).await;
            assert_eq!(reversals.len(), 1);
            taken.push(reversals[0].node_id == own);
        }
        assert_eq!(
            taken,
            [[false; ACKNOWLEDGED].as_slice(), &[true; TAKEN]].concat()
        );
        let books = switch.banks.books("issuer-a").expect("books");
        for payment in &owed {
            let seen: Vec<_> = books.by_rrn(payment.rrn()).collect();
            assert_eq!(seen[0].standing, bank_sim::issuer::Standing::Reversed);
        }
    });
}
