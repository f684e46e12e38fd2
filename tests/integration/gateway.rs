//! `payswitch serve` in a process of its own, as an operator starts it, before simulated banks in this process.
//!
//! It is `$PAYSWITCH_BIN`, by default the program that was built. A binary from before the key `environment` is
//! given the configuration and the profile that it reads.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bank_sim::config::Pem;
use bank_sim::config::standard::{HostPems, StandardPki, StandardPorts};
use bank_sim::{BankSim, RunningSim, SimConfig};
use payswitch::grpc::client;
use serde_json::Value;
use tonic::transport::Channel;

use crate::demo::{PROGRAM, Process};
use crate::harness::{TempFolder, eventually};
use crate::tools::output;

const MASTER_KEY: &str = "cGF5c3dpdGNoIG1hc3RlciBrZXkgb2YgdGhlIHRlc3Q=";

/// A user that is not root.
pub(crate) const NOBODY: u32 = 65_534;

/// The program that is asked for.
pub(crate) fn asked_for() -> Option<PathBuf> {
    std::env::var_os("PAYSWITCH_BIN").map(PathBuf::from)
}

/// Who runs it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    /// Whoever runs the test.
    Own,
    /// [`NOBODY`], who may have core files of any size. Only root can arrange that.
    Nobody,
}

/// The program, to be run in a folder.
pub(crate) fn command(program: &Path, user: User, folder: &Path) -> Command {
    let mut command = match user {
        User::Own => Command::new(program),
        User::Nobody => {
            let change_user = format!(
                "ulimit -c unlimited; exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups \"$0\" \"$@\""
            );
            let mut command = Command::new("sh");
            command.args(["-c", &change_user]).arg(program);
            command
        }
    };
    command
        .current_dir(folder)
        .env("PAYSWITCH_MASTER_KEY", MASTER_KEY)
        .env_remove("PAYSWITCH_BIN")
        .env_remove("RUST_LOG");
    command
}

/// What a gateway starts with.
#[derive(Default)]
pub(crate) struct Settings<'a> {
    pub(crate) merchants: &'a [&'a str],
    /// The profile of its host.
    pub(crate) profile: &'a str,
    /// What `payswitch certs` is told beside.
    pub(crate) certs: &'a [&'a str],
    /// The configuration, from within `[merchant_api]`.
    pub(crate) config: &'a str,
    /// Whether there is an operator, `demo-operator`.
    pub(crate) operator: bool,
    /// Where its log goes, in place of the file.
    pub(crate) log: Option<Stdio>,
}

/// A gateway that runs, and its banks.
pub(crate) struct Gateway {
    /// The ready file.
    pub(crate) ready: Value,
    /// One for each merchant, in their order.
    pub(crate) api_keys: Vec<String>,
    /// Lines of JSON.
    pub(crate) log: PathBuf,
    pub(crate) process: Process,
    pub(crate) folder: TempFolder,
    ca: Vec<u8>,
    _banks: Option<RunningSim>,
}

impl Gateway {
    /// Starts it with these merchants, before banks that `change` may make unlike the standard ones.
    pub(crate) async fn start(
        user: User,
        merchants: &[&str],
        change: impl FnOnce(&mut SimConfig),
    ) -> Self {
        let template = include_str!("../../hosts/acquirer.toml");
        let started = Self::start_before(user, merchants, template, async |certificates| {
            let banks = banks(certificates, change).await;
            (banks.address("acquirer").expect("an address"), banks)
        });
        let (mut gateway, banks) = started.await;
        gateway._banks = Some(banks);
        gateway
    }

    /// Starts it with one host of this profile, whose address is that of a bank that is made once the
    /// certificates are there.
    pub(crate) async fn start_before<B>(
        user: User,
        merchants: &[&str],
        profile: &str,
        bank: impl AsyncFnOnce(&Path) -> (SocketAddr, B),
    ) -> (Self, B) {
        let as_usual = Settings {
            merchants,
            profile,
            ..Settings::default()
        };
        Self::start_with(user, as_usual, bank).await
    }

    /// Starts it with the standard banks, once `prepare` has looked at the certificates.
    pub(crate) async fn start_prepared(
        settings: Settings<'_>,
        prepare: impl FnOnce(&Path),
    ) -> Self {
        let started = Self::start_with(User::Own, settings, async |certificates| {
            prepare(certificates);
            let banks = banks(certificates, |_| {}).await;
            (banks.address("acquirer").expect("an address"), banks)
        });
        let (mut gateway, banks) = started.await;
        gateway._banks = Some(banks);
        gateway
    }

    async fn start_with<B>(
        user: User,
        settings: Settings<'_>,
        bank: impl AsyncFnOnce(&Path) -> (SocketAddr, B),
    ) -> (Self, B) {
        let Settings {
            merchants,
            profile,
            certs,
            config: further,
            operator,
            log: log_to,
        } = settings;
        let folder = TempFolder::new("gateway");
        let at = |name: &str| folder.path().join(name);
        let mut program = asked_for().unwrap_or_else(|| PROGRAM.into());
        if user == User::Nobody {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root may; run as root");
            // The folder of the build may be closed to others.
            std::fs::copy(&program, at("payswitch")).expect("a copy of the program");
            program = at("payswitch");
        }
        let command = |arguments: &[&str]| {
            let mut command = command(&program, user, folder.path());
            command.args(arguments);
            command
        };
        let succeed = |arguments: &[&str]| {
            let output = output(&mut command(arguments));
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{arguments:?}: {errors}");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        succeed(&[&["certs"], certs].concat());
        let (address, bank) = bank(&at("certs/dev")).await;
        std::fs::create_dir(at("hosts")).expect("a folder");
        let write = |older: bool| {
            let (profile, environment, card) = if older {
                let profile = include_str!("older/acquirer.toml");
                (profile, "", "[card]\ntest_payment_methods = true\n")
            } else {
                (profile, "environment = \"test\"\n", "")
            };
            let profile = profile.replace("127.0.0.1:7001", &address.to_string());
            std::fs::write(at("hosts/acquirer.toml"), profile).expect("a profile");
            let config =
                format!("{environment}{card}[merchant_api]\nlisten = \"127.0.0.1:0\"\n{further}");
            std::fs::write(at("payswitch.toml"), config).expect("a configuration");
        };
        write(false);
        let tried = output(&mut command(&["migrate", "--config", "payswitch.toml"]));
        if String::from_utf8_lossy(&tried.stderr).contains("environment") {
            write(true);
            succeed(&["migrate", "--config", "payswitch.toml"]);
        }
        if operator {
            let add = ["operator", "first", "demo-operator", "--reason", "a test"];
            succeed(&[&add[..], &["--config", "payswitch.toml"]].concat());
        }
        let keys = merchants.iter().map(|merchant| {
            let merchant_command = ["merchant", "--config", "payswitch.toml"];
            let mut add = merchant_command.to_vec();
            add.extend(["add", merchant, "--name", "Shop", "--city", "Berlin"]);
            add.extend([
                "--country",
                "DE",
                "--country-numeric",
                "276",
                "--mcc",
                "5732",
            ]);
            add.extend(["--terminal", "WEB00001", "--acceptor", "SHOP00000000001"]);
            add.extend(["--acquirer", "acquirer"]);
            succeed(&add);
            let mut key = merchant_command.to_vec();
            key.extend(["key", merchant]);
            succeed(&key)
        });
        let api_keys = keys.collect();
        let log = at("log.txt");
        let process = Process::start(
            command(&[
                "serve",
                "--config",
                "payswitch.toml",
                "--log",
                "json",
                "--ready-file",
                "ready.json",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log_to.unwrap_or_else(|| File::create(&log).expect("a log").into())),
        );
        let ready = eventually("a gateway that is ready", async || {
            serde_json::from_str(&std::fs::read_to_string(at("ready.json")).ok()?).ok()
        })
        .await;
        let gateway = Self {
            ready,
            api_keys,
            log,
            _banks: None,
            process,
            ca: std::fs::read(at("certs/dev/gateway-ca.pem")).expect("the root"),
            folder,
        };
        (gateway, bank)
    }

    pub(crate) async fn connect(&self) -> Channel {
        let address = self.ready["merchant_api"].as_str().expect("HOST:PORT");
        let address = address.parse().expect("HOST:PORT");
        client::connect(address, "localhost", &self.ca, None)
            .await
            .expect("a connection")
    }
}

async fn banks(certificates: &Path, change: impl FnOnce(&mut SimConfig)) -> RunningSim {
    let pems = |host: &str| {
        let pem = |name: &str| Pem::file(certificates.join(format!("{host}{name}")));
        HostPems {
            ca: pem("-ca.pem"),
            certificate: pem(".pem"),
            key: pem(".key"),
            client_certificate: pem("-client.pem"),
            client_key: pem("-client.key"),
        }
    };
    let pki = StandardPki {
        acquirer: pems("acquirer"),
        issuer_a: pems("issuer-a"),
        issuer_b: pems("issuer-b"),
    };
    let mut config = SimConfig::standard(StandardPorts::ANY, pki);
    config.codec_program = Some(PROGRAM.into());
    change(&mut config);
    let banks = BankSim::start(config).await.expect("the banks start");
    assert!(banks.wait_for_links(Duration::from_secs(10)).await);
    banks
}
