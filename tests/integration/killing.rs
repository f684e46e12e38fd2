//! The gateway is killed again and again under load, at each point at which a crash can part two things, while one
//! call in ten gets no answer in time. Then its payments are compared with the banks' books, seen from outside.
//!
//! `scripts/kill` runs it for longer, and with other seeds.
#![expect(clippy::print_stdout, reason = "a campaign says what it has hit")]

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bank_sim::control::pb as banks;
use bank_sim::control::pb::control_service_client::ControlServiceClient;
use bank_sim::control::pb::fault::What;
use payswitch::fault_points::FaultPoint;
use payswitch::grpc::client;
use payswitch::merchant_api::pb;
use pb::PaymentState as State;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::capturing::{minor, of};
use crate::database::{Database, Engine};
use crate::demo::{PROGRAM, Process, text};
use crate::harness::{Payments, TempFolder, eventually, pay_with, with_key, within};
use crate::tools::output;
use crate::voiding::void_of;

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
/// A worker waits so long before it repeats a request that was refused.
const REPEAT_AFTER: Duration = Duration::from_millis(50);
const MASTER_KEY: &str = "cGF5c3dpdGNoIG1hc3RlciBrZXkgb2YgdGhlIHRlc3Q=";
const TOKENS: [&str; 4] = [
    "pm_test_visa",
    "pm_test_visa_2",
    "pm_test_mastercard",
    "pm_test_mastercard_2",
];
const CURRENCIES: [&str; 3] = ["EUR", "JPY", "KWD"];

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

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let end = u64::try_from(all.len()).expect("a count");
        all[usize::try_from(self.below(end)).expect("an index")]
    }
}

async fn campaign(engine: Engine, mut random: Random, kills: usize) {
    let folder = TempFolder::new("killing");
    let seed = random.0;
    let scene = Scene::set(engine, &folder).await;
    let mut control = scene.control().await;
    one_call_in_ten_times_out(&mut control).await;
    let (address, known) = watch::channel(None);
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let random = Random(random.below(u64::MAX));
        workers.spawn(pay_on_and_on(scene.shop(), known.clone(), random));
    }
    let mut hits: BTreeMap<&str, usize> = FaultPoint::NAMES.map(|(name, _)| (name, 0)).into();
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
            _ => 200,
        };
        let told = format!("{point}:{}", 1 + random.below(most));
        let mut gateway = scene.gateway(Some(&told)).await;
        address.send_replace(gateway.address);
        let ended = tokio::time::timeout(COME_WITHIN, gateway.process.exit()).await;
        address.send_replace(None);
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

    let gateway = scene.gateway(None).await;
    address.send_replace(gateway.address);
    let cleared = control.clear_faults(banks::ClearFaultsRequest {}).await;
    cleared.expect("the faults are gone");
    drop(address);
    let mut told = Vec::new();
    while let Some(worker) = workers.join_next().await {
        told.extend(worker.expect("a worker ends well"));
    }
    let mut payments = scene
        .shop()
        .payments(gateway.address)
        .await
        .expect("the gateway");
    let all = within(SETTLED_WITHIN, "an end of every payment", async || {
        let all = every_payment(&mut payments).await;
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
    compare(&mut control, &all).await;
    scene.database.assert_books_are_whole().await;
    assert_eq!(scene.json(&["ledger", "verify"])["findings"], json!([]));
}

fn is_final(payment: &pb::Payment) -> bool {
    use State::{Authorized, Captured, Declined, Failed, PartiallyCaptured, Reversed, Voided};
    let captured = |capture: &pb::Capture| capture.state() == pb::CaptureState::Captured;
    payment.pending.is_none()
        && payment.captures.iter().all(captured)
        && matches!(
            payment.state(),
            Authorized | PartiallyCaptured | Captured | Voided | Declined | Failed | Reversed
        )
}

/// What the gateway says is authorized is what the issuers hold, card by card and to the last unit; and no request
/// had its effect twice.
async fn compare(control: &mut ControlServiceClient<Channel>, payments: &[pb::Payment]) {
    let mut authorized: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut captured: BTreeMap<String, i64> = BTreeMap::new();
    let mut ended: BTreeMap<&str, usize> = BTreeMap::new();
    for payment in payments {
        *ended.entry(payment.state().as_str_name()).or_default() += 1;
        let amount = payment.authorized_amount.as_ref().expect("an amount");
        let taken = payment.captured_amount.as_ref().expect("an amount");
        let sum: i64 = payment.captures.iter().map(|it| minor(&it.amount)).sum();
        assert_eq!(taken.amount_minor, sum, "{payment:?}");
        *captured.entry(taken.currency.clone()).or_default() += sum;
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
    println!("{ended:?}");
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
        *debited.entry(total.currency.clone()).or_default() += total.debited;
    }
    captured.retain(|_, sum| *sum != 0);
    debited.retain(|_, sum| *sum != 0);
    assert_eq!(
        captured, debited,
        "what was captured, and what the issuers debited"
    );
    for total in totals {
        assert_eq!(total.effects_more_than_once, 0, "{total:?}");
        assert!(total.exchanges > 0);
    }
}

/// Every fortieth request of each kind: lost, answered in vain, answered late, answered after its reversal.
async fn one_call_in_ten_times_out(control: &mut ControlServiceClient<Channel>) {
    let kinds = [
        What::DropRequest(banks::DropRequest {}),
        What::DropResponse(banks::DropResponse { after_effect: true }),
        What::DelayMs(6_000),
        What::AnswerAfterReversal(banks::AnswerAfterReversal {}),
    ];
    for what in kinds {
        let fault = Some(banks::Fault {
            host: "acquirer".to_owned(),
            mti: "0100".to_owned(),
            every_nth: 40,
            what: Some(what),
            ..banks::Fault::default()
        });
        let added = control
            .inject_fault(banks::InjectFaultRequest { fault })
            .await;
        added.expect("a fault");
    }
    // What is owed is acknowledged only when it comes again.
    for mti in ["0220", "0420"] {
        let fault = Some(banks::Fault {
            host: "acquirer".to_owned(),
            mti: mti.to_owned(),
            every_nth: 20,
            what: Some(What::DropResponse(banks::DropResponse {
                after_effect: true,
            })),
            ..banks::Fault::default()
        });
        let added = control
            .inject_fault(banks::InjectFaultRequest { fault })
            .await;
        added.expect("a fault");
    }
}

/// What a worker asks for until it is answered.
#[derive(Clone)]
enum Asked {
    Pay(pb::AuthorizePaymentRequest),
    Capture(pb::CapturePaymentRequest),
    Void(pb::VoidPaymentRequest),
}

impl Asked {
    async fn of(self, client: &mut Payments) -> Option<pb::Payment> {
        match self {
            Self::Pay(request) => {
                let answer = client.authorize_payment(request).await.ok()?;
                answer.into_inner().payment.map(|payment| *payment)
            }
            Self::Capture(request) => {
                client
                    .capture_payment(request)
                    .await
                    .ok()?
                    .into_inner()
                    .payment
            }
            Self::Void(request) => {
                client
                    .void_payment(request)
                    .await
                    .ok()?
                    .into_inner()
                    .payment
            }
        }
    }

    /// What comes after a payment was authorized: in one of four cases nothing, in one a void, else captures.
    fn after(payment: &pb::Payment, random: &mut Random) -> Option<Self> {
        let whole = minor(&payment.capturable_amount);
        match (payment.state(), random.below(8)) {
            (State::Authorized, 0) => Some(Self::Void(void_of(payment))),
            (State::Authorized, 1..=3) => Some(Self::Capture(of(payment, None))),
            (State::Authorized | State::PartiallyCaptured, 4 | 5) => {
                let part = 1 + random.below(u64::try_from(whole).expect("an amount"));
                let part = i64::try_from(part).expect("an amount");
                Some(Self::Capture(of(payment, part)))
            }
            _ => None,
        }
    }
}

/// Pays until the address is given no more, each request until it is answered. Gives the payments.
async fn pay_on_and_on(
    shop: Shop,
    mut address: watch::Receiver<Option<std::net::SocketAddr>>,
    mut random: Random,
) -> Vec<String> {
    let mut told = Vec::new();
    let mut payments: Option<(std::net::SocketAddr, Payments)> = None;
    let mut asked: Option<Asked> = None;
    loop {
        let is_last = address.has_changed().is_err();
        let Some(current) = *address.borrow_and_update() else {
            if address.changed().await.is_err() {
                return told;
            }
            continue;
        };
        if payments.as_ref().is_none_or(|(known, _)| *known != current) {
            payments = shop.payments(Some(current)).await.map(|new| (current, new));
        }
        let Some((_, client)) = &mut payments else {
            tokio::time::sleep(REPEAT_AFTER).await;
            continue;
        };
        let request = asked.get_or_insert_with(|| {
            let amount = i64::try_from(1 + random.below(50_000)).expect("an amount");
            Asked::Pay(pay_with(
                random.one_of(&TOKENS),
                amount,
                random.one_of(&CURRENCIES),
            ))
        });
        match request.clone().of(client).await {
            Some(payment) => {
                asked = Asked::after(&payment, &mut random);
                told.push(payment.payment_id);
                if is_last {
                    return told;
                }
            }
            // Killed, or busy with this very request.
            None => tokio::time::sleep(REPEAT_AFTER).await,
        }
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

/// How the merchant reaches the gateway.
#[derive(Clone)]
struct Shop {
    ca: Vec<u8>,
    api_key: String,
}

impl Shop {
    async fn payments(&self, address: Option<std::net::SocketAddr>) -> Option<Payments> {
        let channel = client::connect(address?, "localhost", &self.ca, None).await;
        Some(with_key(channel.ok()?, &self.api_key))
    }
}

/// A gateway that runs, until it is killed.
struct Gateway {
    process: Process,
    /// None for one that was killed before it was ready.
    address: Option<std::net::SocketAddr>,
}

/// Banks in a process of their own, and all that a gateway needs.
struct Scene {
    folder: PathBuf,
    database: Database,
    api_key: String,
    control: String,
    _banks: Process,
}

impl Scene {
    async fn set(engine: Engine, folder: &TempFolder) -> Self {
        let path = folder.path().to_owned();
        let database = Database::fresh(engine, &path).await;
        let at = |name: &str| path.join(name);
        let replaced = |text: &str, pairs: &[(&str, &str)]| {
            pairs.iter().fold(text.to_owned(), |text, (from, to)| {
                assert!(text.contains(from), "{from}");
                text.replace(from, to)
            })
        };
        std::fs::create_dir(at("hosts")).expect("a folder");
        succeed(&mut program(&path, &database, &["certs"]));
        let config = include_str!("../../bank-sim/bank-sim.toml");
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
        let profile = include_str!("../../hosts/acquirer.toml");
        let profile = replaced(profile, &[("127.0.0.1:7001", acquirer)]);
        std::fs::write(at("hosts/acquirer.toml"), profile).expect("a profile");
        let succeed = |arguments: &[&str]| succeed(&mut program(&path, &database, arguments));
        succeed(&["migrate"]);
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
            folder: path,
            database,
            _banks: banks,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn shop(&self) -> Shop {
        Shop {
            ca: std::fs::read(self.at("certs/dev/gateway-ca.pem")).expect("the root"),
            api_key: self.api_key.clone(),
        }
    }

    async fn control(&self) -> ControlServiceClient<Channel> {
        let address = format!("http://{}", self.control);
        ControlServiceClient::connect(address)
            .await
            .expect("the control API")
    }

    /// Starts a gateway that ends at a fault point, and waits until it is ready or has ended.
    async fn gateway(&self, fault_point: Option<&str>) -> Gateway {
        // One that was killed has left it.
        let _ = std::fs::remove_file(self.at("ready.json"));
        let mut command = program(
            &self.folder,
            &self.database,
            &["serve", "--ready-file", "ready.json"],
        );
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.at("gateway.log"));
        command.stdout(Stdio::null()).stderr(log.expect("a log"));
        if let Some(fault_point) = fault_point {
            command.env("FAULT_POINT", fault_point);
        }
        let mut process = Process::start(&mut command);
        let address = eventually("a gateway that is ready, or has ended", async || {
            if process.has_ended() {
                return Some(None);
            }
            let ready = std::fs::read_to_string(self.at("ready.json")).ok()?;
            let ready: Value = serde_json::from_str(&ready).ok()?;
            let address = ready["merchant_api"].as_str().expect("an address");
            Some(Some(address.parse().expect("HOST:PORT")))
        })
        .await;
        Gateway { process, address }
    }

    /// Whether the operators' API lists nothing that is owed.
    fn owes_nothing(&self) -> bool {
        let listed = self.json(&["owed", "list"]);
        listed["owed"].as_array().expect("a list").is_empty()
    }

    /// What a command of the operators prints.
    fn json(&self, command: &[&str]) -> Value {
        let arguments = [command, &["--json", "--ready-file", "ready.json"]].concat();
        let printed = succeed(&mut program(&self.folder, &self.database, &arguments));
        serde_json::from_str(&printed).expect("JSON")
    }
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
