//! Keys are rotated while two gateways take payments on one PostgreSQL: no card that is sealed to a published key is
//! refused.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use payswitch::card::header::Algorithm;
use payswitch::card::key_files::Existing;
use payswitch::card::key_rotation::KNOWN_AFTER_MS;
use payswitch::card::keys::SealingKeys;
use payswitch::card::master_key::{self, MasterKey};
use payswitch::card::seal::Recipient;
use payswitch::card::sealing_key::{KeyState, SealingKey};
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::sealing_service_client::SealingServiceClient;
use payswitch::random::Random;
use pb::PaymentState as State;
use serde_json::Value;
use tokio::task::JoinHandle;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::database::Engine;
use crate::demo::{PROGRAM, text};
use crate::harness::{Payments, Switch, authorize, run, until, with_key};
use crate::sealing::card;
use crate::two_nodes::{SecondNode, with_suffix};

const VISA: &str = "4242424242424242";

/// A gateway as a merchant sees it.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) payments: Payments,
    sealing: SealingServiceClient<InterceptedService<Channel, ApiKey>>,
}

impl Node {
    pub(crate) fn new(channel: Channel, api_key: &str) -> Self {
        let key = ApiKey::new(api_key).expect("an API key for a header");
        Self {
            payments: with_key(channel.clone(), api_key),
            sealing: SealingServiceClient::new(key.on(channel)),
        }
    }

    pub(crate) async fn jwks(&self) -> String {
        let request = pb::GetSealingKeysRequest {};
        let keys = self.sealing.clone().get_sealing_keys(request).await;
        keys.expect("the keys").into_inner().jwks
    }
}

/// The keys of a JWK Set, by algorithm and name.
fn published(jwks: &str) -> Vec<(String, String)> {
    let jwks: Value = serde_json::from_str(jwks).expect("a JWK Set");
    let keys = jwks["keys"].as_array().expect("keys").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    keys.map(|key| (text(&key["alg"]), text(&key["kid"])))
        .collect()
}

fn kid_of(jwks: &str) -> String {
    let named = published(jwks);
    let mut agreeing = named.into_iter().filter(|(alg, _)| alg == "ECDH-ES");
    let (_, kid) = agreeing.next().expect("a P-256 key");
    assert_eq!(agreeing.next(), None, "one key is published: {jwks}");
    kid
}

/// Two gateways, and what a merchant and an operator do with them.
pub(crate) struct Pair {
    pub(crate) switch: Arc<Switch>,
    pub(crate) second: SecondNode,
    pub(crate) nodes: [Node; 2],
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let switch = Switch::start(Engine::Postgres).await;
        let second = SecondNode::start(&switch).await;
        let nodes = [
            Node::new(switch.connect(None).await, &switch.api_key),
            Node::new(second.connect(&switch).await, &switch.api_key),
        ];
        Self {
            switch: Arc::new(switch),
            second,
            nodes,
        }
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.switch.data().join("keys")
    }

    /// `payswitch` as whoever has the files of the gateways calls it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let data = self.switch.data();
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .current_dir(data)
            .env_remove("RUST_LOG")
            .env("PAYSWITCH_STORE__URL", self.switch.database.url())
            .env("PAYSWITCH_CARD__MASTER_KEY_FILE", with_suffix(data, ".key"))
            .env("PAYSWITCH_CARD__SEALING_KEYS", self.keys());
        command
    }

    fn sealing_keys(&self, arguments: &[&str]) -> Output {
        let arguments = [&["sealing-keys"], arguments].concat();
        self.command(&arguments).output().expect("the program")
    }

    /// The one key that a command answers with.
    pub(crate) fn made(&self, arguments: &[&str]) -> Value {
        let done = self.sealing_keys(&[arguments, &["--json"]].concat());
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{errors}");
        let answer: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        answer["sealing_keys"][0].clone()
    }

    fn refused(&self, arguments: &[&str], why: &str) {
        let done = self.sealing_keys(arguments);
        assert_eq!(done.status.code(), Some(1));
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(errors.contains(why), "{errors}");
    }

    pub(crate) fn master_key(&self) -> MasterKey {
        let path = with_suffix(self.switch.data(), ".key");
        MasterKey::read_file(Path::new(&path), &Random::SYSTEM).expect("the master key")
    }

    /// Whoever seals to the key in this file, published or not.
    fn recipient(&self, path: &Path) -> Recipient {
        let pkcs8 = master_key::read_private_key(path, &self.master_key()).expect("a key");
        let key = SealingKey::from_pkcs8(&pkcs8, KeyState::Active).expect("a sealing key");
        recipient(&SealingKeys::new([key]).jwks())
    }

    async fn both_publish(&self, kid: &str) {
        for node in &self.nodes {
            until("the new key at a node", async || {
                kid_of(&node.jwks().await) == kid
            })
            .await;
        }
        for file in [
            self.switch.data().join("jwks.json"),
            self.second.at("jwks.json"),
        ] {
            until("the new key in the file", async || {
                kid_of(&text(&file)) == kid
            })
            .await;
        }
    }

    /// Waits until both open what is sealed to a key that is not published.
    async fn both_learn(&self, recipient: &Recipient) {
        for node in &self.nodes {
            until("the upcoming key at a node", async || {
                let request = self
                    .switch
                    .pay_sealed_to(recipient, &card(VISA), 1250, "EUR");
                node.payments
                    .clone()
                    .authorize_payment(request)
                    .await
                    .is_ok()
            })
            .await;
        }
    }

    pub(crate) async fn both_take(&self, recipient: &Recipient) {
        for node in &self.nodes {
            let request = self
                .switch
                .pay_sealed_to(recipient, &card(VISA), 1250, "EUR");
            let payment = authorize(&mut node.payments.clone(), request).await;
            assert_eq!(payment.state(), State::Authorized, "{payment:?}");
        }
    }
}

pub(crate) fn recipient(jwks: &str) -> Recipient {
    Recipient::from_jwks(jwks, Algorithm::EcdhEs, &Random::SYSTEM).expect("a key to seal to")
}

/// Merchants who ask one gateway for the keys, and pay at the other one.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    paid: Arc<AtomicUsize>,
    payers: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(pair: &Pair) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let paid = Arc::new(AtomicUsize::new(0));
        let [first, second] = &pair.nodes;
        let ways = [(first, second), (second, first)];
        let payers = ways.into_iter().map(|(asked, paying)| {
            let (asked, mut payments) = (asked.clone(), paying.payments.clone());
            let (stop, paid) = (Arc::clone(&stop), Arc::clone(&paid));
            let switch = Arc::clone(&pair.switch);
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let recipient = recipient(&asked.jwks().await);
                    let request = switch.pay_sealed_to(&recipient, &card(VISA), 1250, "EUR");
                    let payment = authorize(&mut payments, request).await;
                    assert_eq!(payment.state(), State::Authorized, "{payment:?}");
                    paid.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        Self {
            payers: payers.collect(),
            stop,
            paid,
        }
    }

    /// Waits until so many more have paid: what was changed has been used.
    pub(crate) async fn go_on(&self, payments: usize) {
        let before = self.paid.load(Ordering::Relaxed);
        until("more payments", async || {
            assert!(
                !self.payers.iter().any(JoinHandle::is_finished),
                "a payer has failed"
            );
            self.paid.load(Ordering::Relaxed) >= before + payments
        })
        .await;
    }

    pub(crate) async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for payer in self.payers {
            payer.await.expect("no card was refused");
        }
    }
}

#[test]
fn a_sealing_key_is_rotated_while_two_nodes_take_payments() {
    run(async {
        let pair = Pair::start().await;
        let load = Load::start(&pair);
        let first = kid_of(&pair.switch.jwks);
        let first_path = pair.keys().join(format!("p256-{first}.pem"));
        let to_first = pair.recipient(&first_path);

        // As older versions said: a second key, put beside the first one. The newer one is published, both open.
        let (key, pkcs8) = SealingKey::generate_p256().expect("a key");
        let second = key.kid().to_owned();
        let second_path = pair.keys().join(format!("p256-{second}.pem"));
        master_key::write_wrapped(&second_path, &pkcs8, &pair.master_key(), Existing::Refuse)
            .expect("a key by hand");
        pair.both_publish(&second).await;
        pair.both_take(&to_first).await;
        let to_second = pair.recipient(&second_path);
        pair.both_take(&to_second).await;

        // With the commands: known to both before anybody is told.
        let added = pair.made(&["add"]);
        assert_eq!(added["state"], "UPCOMING");
        let third = added["kid"].as_str().expect("a kid").to_owned();
        pair.refused(&["activate", &third], "it can be activated from");
        let upcoming = pair.keys().join(format!("upcoming/p256-{third}.pem"));
        pair.both_learn(&pair.recipient(&upcoming)).await;
        load.go_on(20).await;
        for node in &pair.nodes {
            assert_eq!(kid_of(&node.jwks().await), second);
        }
        // As if the time were over.
        let file = File::open(&upcoming).expect("the key");
        let modified = file
            .metadata()
            .and_then(|it| it.modified())
            .expect("a time");
        let over = Duration::from_millis(KNOWN_AFTER_MS.unsigned_abs());
        file.set_modified(modified - over).expect("another time");
        assert_eq!(pair.made(&["activate", &third])["state"], "ACTIVE");
        pair.both_publish(&third).await;
        load.go_on(20).await;
        pair.both_take(&to_first).await;
        pair.both_take(&to_second).await;

        // What can't be read leaves the old in place.
        let broken = pair.keys().join("broken.pem");
        std::fs::write(&broken, "no key").expect("a file");
        until("a word of it in the log", async || {
            text(&pair.second.at("log.txt")).contains("could not be read again")
        })
        .await;
        load.go_on(20).await;
        std::fs::remove_file(&broken).expect("no such file");

        pair.refused(
            &["retire", &third],
            "add another, and activate that one first",
        );
        pair.refused(
            &["retire", &first],
            "cards that are sealed to it may come until",
        );
        pair.both_take(&to_first).await;
        load.end().await;
        let removed = pair.sealing_keys(&["retire", &first, "--anyway"]);
        assert!(removed.status.success(), "{removed:?}");
        for node in &pair.nodes {
            until("the old key is forgotten", async || {
                let request = pair
                    .switch
                    .pay_sealed_to(&to_first, &card(VISA), 1250, "EUR");
                let answer = node.payments.clone().authorize_payment(request).await;
                answer.is_err_and(|status| {
                    error_reason(&status).as_deref() == Some("SEALED_CARD_REFUSED")
                })
            })
            .await;
        }
        pair.both_take(&to_second).await;
        let listed = pair.sealing_keys(&["list", "--json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        let states: Vec<_> = listed["sealing_keys"]
            .as_array()
            .expect("keys")
            .iter()
            .map(|key| {
                (
                    key["alg"].as_str().expect("a text"),
                    key["state"].as_str().expect("a text"),
                )
            })
            .collect();
        assert_eq!(
            states,
            [
                ("ECDH-ES", "ACTIVE"),
                ("RSA-OAEP-256", "ACTIVE"),
                ("ECDH-ES", "RETIRING")
            ]
        );
    });
}
