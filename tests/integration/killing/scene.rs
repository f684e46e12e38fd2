//! Banks in a process of their own, and gateways that are killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use bank_sim::control::pb::control_service_client::ControlServiceClient;
use payswitch::grpc::client;
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb;
use payswitch::net::Net;
use pb::balance_service_client::BalanceServiceClient;
use pb::event_service_client::EventServiceClient;
use pb::refund_service_client::RefundServiceClient;
use pb::settlement_service_client::SettlementServiceClient;
use serde_json::Value;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::database::{Database, Engine};
use crate::demo::{PROGRAM, Process};
use crate::events::Events;
use crate::harness::{Payments, TempFolder, eventually, with_key};
use crate::refunding::Refunds;
use crate::settling::Settlement;
use crate::tools::output;

const MASTER_KEY: &str = "cGF5c3dpdGNoIG1hc3RlciBrZXkgb2YgdGhlIHRlc3Q=";

/// Lives of `payswitch load --mix` beside the workers, and how long one such load takes.
const LIVES_PER_S: &str = "20";
const LIVES_FOR: &str = "5s";

/// The account that merchants are paid from.
const IBAN: &str = "DE75512108001245126199";

/// How the merchant reaches a gateway.
#[derive(Clone)]
pub(crate) struct Shop {
    ca: Vec<u8>,
    api_key: String,
}

/// The merchant's clients of one gateway.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) payments: Payments,
    pub(crate) refunds: Refunds,
    pub(crate) events: Events,
    balances: BalanceServiceClient<InterceptedService<Channel, ApiKey>>,
    pub(crate) settlement: Settlement,
}

impl Shop {
    pub(crate) async fn clients(&self, address: SocketAddr) -> Option<Clients> {
        let channel = client::connect(address, "localhost", &self.ca, None).await;
        let channel = channel.ok()?;
        let key = ApiKey::new(&self.api_key).expect("an API key");
        let balances = BalanceServiceClient::new(key.clone().on(channel.clone()));
        let events = EventServiceClient::new(key.clone().on(channel.clone()));
        let settlement = SettlementServiceClient::new(key.clone().on(channel.clone()));
        Some(Clients {
            events,
            settlement,
            payments: with_key(channel.clone(), &self.api_key),
            refunds: RefundServiceClient::new(key.on(channel)),
            balances,
        })
    }
}

impl Clients {
    /// What the merchant is owed, by currency: what is pending, and what is available.
    pub(crate) async fn owed(&mut self) -> BTreeMap<String, i64> {
        let request = pb::GetBalancesRequest::default();
        let answer = self.balances.get_balances(request).await.expect("balances");
        let mut owed = BTreeMap::new();
        for balance in answer.into_inner().balances {
            for part in [balance.pending, balance.available].into_iter().flatten() {
                *owed.entry(part.currency).or_default() += part.amount_minor;
            }
        }
        owed.retain(|_, minor| *minor != 0);
        owed
    }
}

/// A gateway that runs, until it is killed.
pub(crate) struct Gateway {
    pub(crate) process: Process,
    /// None for one that was killed before it was ready.
    pub(crate) address: Option<SocketAddr>,
}

/// Banks in a process of their own, and all that a gateway needs.
pub(crate) struct Scene {
    folder: PathBuf,
    pub(crate) database: Database,
    api_key: String,
    control: String,
    /// Where the gateway that is killed listens, each time it is started.
    listen: SocketAddr,
    _banks: Process,
}

impl Scene {
    pub(crate) async fn set(engine: Engine, folder: &TempFolder) -> Self {
        Self::set_with(engine, folder, include_str!("../../../hosts/acquirer.toml")).await
    }

    /// The same, where the gateway has another profile of the acquirer.
    pub(crate) async fn set_with(engine: Engine, folder: &TempFolder, profile: &str) -> Self {
        let path = folder.path().to_owned();
        let database = Database::migrated(engine, &path).await;
        let at = |name: &str| path.join(name);
        let replaced = |text: &str, pairs: &[(&str, &str)]| {
            pairs.iter().fold(text.to_owned(), |text, (from, to)| {
                assert!(text.contains(from), "{from}");
                text.replace(from, to)
            })
        };
        std::fs::create_dir(at("hosts")).expect("a folder");
        succeed(&mut program(&path, &database, &["certs"]));
        let config = include_str!("../../../bank-sim/bank-sim.toml");
        let ports = [":7000", ":7001", ":7002", ":7003"].map(|port| (port, ":0"));
        std::fs::write(at("bank-sim.toml"), replaced(config, &ports)).expect("a configuration");
        let bank_sim = Path::new(PROGRAM).with_file_name("bank-sim");
        assert!(
            bank_sim.exists(),
            "{} is not there: cargo build --workspace --bin bank-sim",
            bank_sim.display()
        );
        let mut command = Command::new(bank_sim);
        command
            .args([
                "serve",
                "--config",
                "bank-sim.toml",
                "--ready-file",
                "banks.json",
            ])
            .current_dir(&path)
            .stdout(Stdio::null())
            .stderr(File::create(at("banks.log")).expect("a log"));
        let banks = Process::start(&mut command);
        let ready: Value = eventually("banks that are ready", async || {
            serde_json::from_str(&std::fs::read_to_string(at("banks.json")).ok()?).ok()
        })
        .await;
        let acquirer = ready["hosts"]["acquirer"]["address"]
            .as_str()
            .expect("an address");
        let profile = replaced(profile, &[("127.0.0.1:7001", acquirer)]);
        std::fs::write(at("hosts/acquirer.toml"), profile).expect("a profile");
        let succeed = |arguments: &[&str]| succeed(&mut program(&path, &database, arguments));
        succeed(&["operator", "first", "demo-operator"]);
        succeed(&[
            "merchant",
            "add",
            "shop",
            "--name",
            "Shop",
            "--city",
            "Berlin",
            "--country",
            "DE",
            "--country-numeric",
            "276",
            "--mcc",
            "5732",
            "--terminal",
            "WEB00001",
            "--acceptor",
            "SHOP00000000001",
            "--acquirer",
            "acquirer",
        ]);
        Self {
            api_key: succeed(&["merchant", "key", "shop"]),
            control: ready["control"].as_str().expect("an address").to_owned(),
            listen: free_address().await,
            folder: path,
            database,
            _banks: banks,
        }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn shop(&self) -> Shop {
        Shop {
            ca: std::fs::read(self.at("certs/dev/gateway-ca.pem")).expect("the root"),
            api_key: self.api_key.clone(),
        }
    }

    pub(crate) async fn control(&self) -> ControlServiceClient<Channel> {
        let address = format!("http://{}", self.control);
        ControlServiceClient::connect(address)
            .await
            .expect("the control API")
    }

    /// Starts a gateway that ends at a fault point, and waits until it is ready or has ended.
    pub(crate) async fn gateway(&self, name: &str, fault_point: Option<&str>) -> Gateway {
        let (ready_file, log) = (format!("{name}.json"), format!("{name}.log"));
        // One that was killed has left it.
        let _ = std::fs::remove_file(self.at(&ready_file));
        let serve = ["serve", "--ready-file", &ready_file];
        let mut command = program(&self.folder, &self.database, &serve);
        for (key, value) in [("NAME", "Acquirer"), ("IBAN", IBAN), ("BIC", "SOLADEST600")] {
            command.env(format!("PAYSWITCH_SETTLEMENT__PAYOUTS__{key}"), value);
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.at(&log));
        command.stdout(Stdio::null()).stderr(log.expect("a log"));
        if name == "gateway" {
            command.env("PAYSWITCH_MERCHANT_API__LISTEN", self.listen.to_string());
        }
        if let Some(fault_point) = fault_point {
            command.env("FAULT_POINT", fault_point);
        }
        let mut process = Process::start(&mut command);
        let address = eventually("a gateway that is ready, or has ended", async || {
            if process.has_ended() {
                return Some(None);
            }
            let ready = std::fs::read_to_string(self.at(&ready_file)).ok()?;
            let ready: Value = serde_json::from_str(&ready).ok()?;
            let address = ready["merchant_api"].as_str().expect("an address");
            Some(Some(address.parse().expect("HOST:PORT")))
        })
        .await;
        Gateway { process, address }
    }

    /// `payswitch load --mix` at the gateway that is killed, through it all; or at this one.
    pub(crate) fn lives(&self, at: Option<SocketAddr>) -> tokio::process::Command {
        let at = at.unwrap_or(self.listen).to_string();
        let mut command = program(&self.folder, &self.database, &["load", "--mix", "--json"]);
        command
            .args([
                "--address",
                &at,
                "--server-name",
                "localhost",
                "--merchant",
                "shop",
            ])
            .args(["--ca", "certs/dev/gateway-ca.pem", "--warm-up", "0"])
            .args(["--rate", LIVES_PER_S, "--duration", LIVES_FOR])
            .env("PAYSWITCH_API_KEY", &self.api_key)
            .stderr(Stdio::null());
        command.into()
    }

    /// What a command of the operators prints at the gateway that is killed, or why it has failed.
    pub(crate) async fn ask(&self, command: &[&str]) -> Result<Value, String> {
        let arguments = [command, &["--json", "--ready-file", "gateway.json"]].concat();
        let mut command: tokio::process::Command =
            program(&self.folder, &self.database, &arguments).into();
        let asked = command.output().await.expect("a command that starts");
        match asked.status.success() {
            true => Ok(serde_json::from_slice(&asked.stdout).expect("JSON")),
            false => Err(String::from_utf8_lossy(&asked.stderr).into_owned()),
        }
    }

    /// Ends the bank's day at the gateway that is killed, if it lives long enough.
    pub(crate) async fn cut_over(&self) {
        let open = "SELECT COALESCE(MAX(business_date), '2000-01-01') FROM business_days";
        let open = self.database.text(open).await;
        let cutover = ["settle", "cutover", "acquirer", "--date", &open];
        let why = ["--reason", "a campaign"];
        // It may have died meanwhile.
        drop(self.ask(&[&cutover[..], &why].concat()).await);
    }

    /// Whether the operators' API lists nothing that is owed.
    pub(crate) fn owes_nothing(&self) -> bool {
        let listed = self.json(&["owed", "list"]);
        listed["owed"].as_array().expect("a list").is_empty()
    }

    /// What a command of the operators prints.
    pub(crate) fn json(&self, command: &[&str]) -> Value {
        let arguments = [command, &["--json", "--ready-file", "gateway.json"]].concat();
        let printed = succeed(&mut program(&self.folder, &self.database, &arguments));
        serde_json::from_str(&printed).expect("JSON")
    }
}

/// An address that stays free while nobody listens there: no connection that others open gets its port.
async fn free_address() -> SocketAddr {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 8_000).expect("a port");
    for _ in 0..1_000 {
        let next = TRIED.fetch_add(1, Ordering::Relaxed);
        // Those of connections begin at 32,768.
        let address = SocketAddr::from(([127, 0, 0, 1], 20_000 + first + next));
        if Net::SYSTEM.listen(address).await.is_ok() {
            return address;
        }
    }
    panic!("no port is free");
}

pub(crate) fn program(folder: &Path, database: &Database, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .env_remove("KILL_SEED")
        .env_remove("KILL_COUNT")
        .env("PAYSWITCH_MASTER_KEY", MASTER_KEY)
        .env("PAYSWITCH_ENVIRONMENT", "test")
        .env("PAYSWITCH_STORE__URL", database.url())
        .env("PAYSWITCH_LEDGER__SEAL_FILE", "ledger.seals")
        .env("PAYSWITCH_MERCHANT_API__LISTEN", "127.0.0.1:0")
        .env("PAYSWITCH_ADMIN_API__LISTEN", "127.0.0.1:0");
    command
}

pub(crate) fn succeed(command: &mut Command) -> String {
    let output = output(command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
