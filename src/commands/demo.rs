//! `payswitch demo`: simulated banks and the gateway in one process on loopback.
//!
//! The only file that knows the simulated banks. The integration tests stand on [`Stand`] too.
//!
//! - [`tour`]: pays with each test card through the real gRPC edge.
//! - [`hops`]: shows one payment's messages at each hop, masked.

pub mod hops;
pub mod tour;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bank_sim::config::{HostPems, Pem, StandardPki, StandardPorts};
use bank_sim::tap::{Direction, TappedMessage};
use bank_sim::test_cards::{CardBehaviour, TEST_CARDS, TestCard};
use bank_sim::{BankSim, RunningSim, SimConfig};
use clap::Args;
use tokio::sync::broadcast::Receiver;
use zeroize::Zeroizing;

use crate::app::{self, Parts};
use crate::card::custody::{self, Existing, MasterKey};
use crate::card::header::Algorithm;
use crate::card::keys::SealingKeys;
use crate::card::seal::Recipient;
use crate::certs::{DevelopmentPki, HostPki, Identity};
use crate::clock::{Clock as _, SystemClock};
use crate::commands::serve::{wait_for_stop, without_password};
use crate::commands::{self, CommandError};
use crate::config::Config;
use crate::hosts::HostsOptions;
use crate::hosts::profile::{HostProfile, PemSource};
use crate::hosts::profile_file;
use crate::merchant_api::client::{self, ApiKey};
use crate::merchant_api::pb;
use crate::merchant_api::pb::payment_service_client::PaymentServiceClient;
use crate::merchant_api::tls;
use crate::payment::ids::MerchantId;
use crate::payment::merchant::Merchant;
use crate::payment::money::Money;
use crate::store::Store;
use crate::telemetry::{self, LogFormat};

use hops::Hop;
use tour::{Payments, Stop, Visited};

/// The profile that the demo's acquirer link starts from: the one that `serve` reads too.
const ACQUIRER_PROFILE: &str = include_str!("../../hosts/acquirer.toml");
/// The demo's merchant.
const MERCHANT: &str = "demo-shop";
/// The name in the gateway's certificate that clients check.
const SERVER_NAME: &str = "localhost";
/// How long the links between the banks may take to sign on.
const BANKS_WITHIN: Duration = Duration::from_secs(10);
/// How long the tour waits for the answer that comes late.
const LATE_WITHIN: Duration = Duration::from_secs(8);

/// What `payswitch demo` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch demo                                   the tour, then it waits for Ctrl-C\n  \
    payswitch demo --exit                            the tour alone; exit code 1 when it surprises\n  \
    payswitch demo --no-tour --port 0 --ready-file /tmp/ready.json\n\n\
    The folder holds no key in clear: a master key wraps them, and lies beside it in DIR.key.")]
pub struct DemoArgs {
    /// Where keys, certificates and the database are kept.
    #[arg(long, value_name = "DIR", default_value = "demo-data")]
    data: PathBuf,
    /// Begin with an empty folder.
    #[arg(long)]
    reset: bool,
    /// The merchant API's port on loopback; 0 takes a free one.
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// The database, instead of a SQLite file in the folder.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// End after the tour; exit code 1 when anything came out other than expected.
    #[arg(long, conflicts_with = "no_tour")]
    exit: bool,
    /// Don't pay with the test cards first.
    #[arg(long)]
    no_tour: bool,
    /// Written as JSON once everything is ready and the tour is over.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// One simulated bank speaks through a codec that wants a process of its own: this very program,
/// asked by a hidden argument. Gives the exit code then.
#[must_use]
pub fn run_codec_child_if_asked() -> Option<i32> {
    bank_sim::run_codec_child_if_asked()
}

/// Starts everything, shows it, and waits.
///
/// # Errors
/// When a part can't be started, or the tour can't be finished.
pub fn run(arguments: DemoArgs) -> Result<ExitCode, CommandError> {
    if arguments.reset {
        reset(&arguments.data)?;
    }
    std::fs::create_dir_all(&arguments.data)?;
    telemetry::start(LogFormat::Text, Some(&arguments.data.join("payswitch.log")))?;
    commands::runtime()?.block_on(show(arguments))
}

fn reset(data: &Path) -> io::Result<()> {
    for removed in [
        std::fs::remove_dir_all(data),
        std::fs::remove_file(master_key_path(data)),
    ] {
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// `demo-data` has its master key beside it, in `demo-data.key`: a copy of the folder opens nothing.
fn master_key_path(data: &Path) -> PathBuf {
    let mut path = data.as_os_str().to_owned();
    path.push(".key");
    path.into()
}

/// What a stand is made of.
#[derive(Debug, Clone)]
pub struct StandOptions {
    /// Where keys, certificates and the database are kept.
    pub data: PathBuf,
    /// The merchant API's port on loopback; 0 takes a free one.
    pub port: u16,
    /// The database, instead of a SQLite file in the folder.
    pub database_url: Option<String>,
    /// The program whose child process speaks `iso8583_rs`; this one when not named.
    pub codec_program: Option<PathBuf>,
}

/// Simulated banks and a gateway, all running.
pub struct Stand {
    /// The banks.
    pub banks: RunningSim,
    /// The gateway.
    pub gateway: app::Running,
    /// The API key of the demo's merchant.
    pub api_key: Zeroizing<String>,
    /// The demo's merchant.
    pub merchant_id: MerchantId,
    /// The keys and certificates.
    pub pki: DevelopmentPki,
    /// Where the gateway's root certificate is.
    pub ca_path: PathBuf,
    /// Where the keys to seal to are.
    pub jwks_path: PathBuf,
    /// The database.
    pub database_url: String,
}

impl Stand {
    /// Starts the banks, then the gateway, and waits until they have signed on to each other.
    ///
    /// # Errors
    /// When a part can't be started or does not sign on in time.
    pub async fn start(options: &StandOptions) -> Result<Self, CommandError> {
        std::fs::create_dir_all(&options.data)?;
        let data = std::path::absolute(&options.data)?;
        let master_key = master_key(&master_key_path(&data))?;
        let certs = data.join("certs");
        let pki = pki(&certs, &master_key)?;
        let mut banks_config = SimConfig::standard(StandardPorts::ANY, bank_pems(&pki));
        banks_config
            .codec_program
            .clone_from(&options.codec_program);
        let banks = BankSim::start(banks_config).await?;
        if !banks.wait_for_links(BANKS_WITHIN).await {
            return Err("the simulated acquirer could not sign on to its issuers".into());
        }
        let gateway = start_gateway(options, &banks, &pki).await?;
        let merchant_id: MerchantId = MERCHANT.parse()?;
        let api_key = merchant_key(&gateway.store, &master_key, &merchant_id, &data).await?;
        let config = config(&data, options);
        Ok(Self {
            banks,
            gateway,
            api_key,
            merchant_id,
            pki,
            ca_path: certs.join("gateway-ca.pem"),
            jwks_path: config.card.jwks_path,
            database_url: config.store.url,
        })
    }

    /// A client of the merchant API, with the merchant's API key.
    ///
    /// # Errors
    /// When the gateway can't be reached.
    pub async fn payments(&self) -> Result<Payments, CommandError> {
        let ca = self.pki.gateway_root.certificate_pem().as_bytes();
        let channel = client::connect(self.gateway.merchant_api, SERVER_NAME, ca, None).await?;
        let key = ApiKey::new(&self.api_key)?;
        Ok(PaymentServiceClient::new(key.on(channel)))
    }

    /// What the ready file says.
    #[must_use]
    pub fn ready(&self) -> serde_json::Value {
        serde_json::json!({
            "merchant_api": self.gateway.merchant_api.to_string(),
            "server_name": SERVER_NAME,
            "ca_path": self.ca_path,
            "api_key": self.api_key.as_str(),
            "merchant_id": self.merchant_id,
            "jwks_path": self.jwks_path,
            "database_url": without_password(&self.database_url),
            "acquirer": self.banks.address("acquirer").map(|address| address.to_string()),
            "pid": std::process::id(),
        })
    }

    /// Stops the gateway, then the banks. Whether the gateway drained in time.
    pub async fn stop(self) -> bool {
        let drained = self.gateway.stop().await;
        self.banks.shutdown().await;
        drained
    }
}

/// Starts a gateway before banks that run already, and waits until it has signed on: the stand's own
/// gateway, the same one again after it was stopped, or a second one on the same PostgreSQL.
///
/// # Errors
/// When a part can't be started or does not sign on in time.
pub async fn start_gateway(
    options: &StandOptions,
    banks: &RunningSim,
    pki: &DevelopmentPki,
) -> Result<app::Running, CommandError> {
    let acquirer = banks
        .address("acquirer")
        .ok_or("the simulated acquirer has no address")?;
    let data = std::path::absolute(&options.data)?;
    let master_key = Arc::new(master_key(&master_key_path(&data))?);
    let config = config(&data, options);
    let sealing_keys = SealingKeys::load_or_generate(
        &config.card.sealing_keys,
        config.card.rsa_sealing_key,
        &master_key,
    )?;
    Store::migrate(&config.store).await?;
    let parts = Parts {
        master_key,
        sealing_keys,
        profiles: vec![acquirer_profile(acquirer, &pki.acquirer)?],
        hosts_options: HostsOptions::default(),
        merchant_api_tls: tls::server_config(
            pki.gateway.certificate_pem().as_bytes(),
            &pki.gateway.key_pem(),
            Some(pki.gateway_root.certificate_pem().as_bytes()),
        )?,
    };
    let gateway = app::start(&config, parts).await?;
    if !gateway.wait_for_hosts().await {
        return Err("the gateway could not sign on to the simulated acquirer".into());
    }
    Ok(gateway)
}

fn master_key(path: &Path) -> Result<MasterKey, CommandError> {
    Ok(if path.exists() {
        MasterKey::read_file(path)?
    } else {
        MasterKey::create_file(path)?
    })
}

/// The PKI of an earlier run, or a new one: clients that know the root go on working.
fn pki(folder: &Path, master_key: &MasterKey) -> Result<DevelopmentPki, CommandError> {
    if folder.exists() {
        return Ok(DevelopmentPki::read_from(folder, master_key)?);
    }
    let pki = DevelopmentPki::generate(&MERCHANT.parse()?, SystemClock.now())?;
    pki.write_wrapped_to(folder, master_key)?;
    Ok(pki)
}

fn bank_pems(pki: &DevelopmentPki) -> StandardPki {
    let key = |identity: &Identity| Pem::text(String::from_utf8_lossy(&identity.key_pem()));
    let pems = |host: &HostPki| HostPems {
        ca: Pem::text(host.root.certificate_pem()),
        certificate: Pem::text(host.server.certificate_pem()),
        key: key(&host.server),
        client_certificate: Pem::text(host.client.certificate_pem()),
        client_key: key(&host.client),
    };
    StandardPki {
        acquirer: pems(&pki.acquirer),
        issuer_a: pems(&pki.issuer_a),
        issuer_b: pems(&pki.issuer_b),
    }
}

fn config(data: &Path, options: &StandOptions) -> Config {
    let mut config = Config::default();
    let file = format!("sqlite://{}", data.join("payswitch.db").display());
    config.store.url = options.database_url.clone().unwrap_or(file);
    config.card.sealing_keys = data.join("keys");
    config.card.jwks_path = data.join("jwks.json");
    config.card.test_payment_methods = true;
    config.merchant_api.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    config
}

fn acquirer_profile(address: SocketAddr, pki: &HostPki) -> Result<HostProfile, CommandError> {
    let file = Path::new("acquirer.toml");
    let mut profile = profile_file::parse(ACQUIRER_PROFILE, file, Path::new("."))?;
    let memory = |text: &[u8]| PemSource::Memory(Zeroizing::new(text.to_vec()));
    profile.address = address.to_string();
    profile.tls.ca = memory(pki.root.certificate_pem().as_bytes());
    profile.tls.client_certificate = memory(pki.client.certificate_pem().as_bytes());
    profile.tls.client_key = memory(&pki.client.key_pem());
    Ok(profile)
}

/// The API key of an earlier run, or a new one, together with its merchant.
async fn merchant_key(
    store: &Store,
    master_key: &MasterKey,
    merchant_id: &MerchantId,
    data: &Path,
) -> Result<Zeroizing<String>, CommandError> {
    let path = data.join("api-key.pem");
    if store.merchant(merchant_id).await?.is_none() {
        store.insert_merchant(&merchant(merchant_id)?).await?;
    }
    if path.exists() {
        let key = String::from_utf8(custody::read_private_key(&path, master_key)?.to_vec())?;
        let known = key.split('.').next().unwrap_or_default();
        if store.api_key(known).await?.is_some() {
            return Ok(Zeroizing::new(key));
        }
    }
    let key = app::issue_api_key(store, master_key, merchant_id, "demo").await?;
    custody::write_wrapped(&path, key.as_bytes(), master_key, Existing::Replace)?;
    Ok(key)
}

fn merchant(id: &MerchantId) -> Result<Merchant, CommandError> {
    Ok(Merchant {
        id: id.clone(),
        name: "Demo Shop".into(),
        city: "Berlin".into(),
        country: "DE".into(),
        country_numeric: 276,
        mcc: "5732".into(),
        terminal_id: "WEB00001".into(),
        acceptor_id: "DEMOSHOP0000001".into(),
        acquirer: "acquirer".parse()?,
        active: true,
    })
}

/// The stops of the tour: every test card, in three currencies, and one amount that provokes 05.
fn stops() -> Result<Vec<Stop>, CommandError> {
    let amount = |minor, currency: &str| -> Result<Money, CommandError> {
        Ok(Money::new(minor, currency.parse()?)?)
    };
    let stop = |card: &TestCard, what: &str, amount: Money, code: Option<&str>| Stop {
        what: what.to_owned(),
        pan: card.pan.to_owned(),
        expiry_yymm: card.expiry_yymm.to_owned(),
        cvv: card.cvv2.to_owned(),
        amount,
        state: match code {
            None => pb::PaymentState::Authorizing,
            Some("00") => pb::PaymentState::Authorized,
            Some(_) => pb::PaymentState::Declined,
        },
        response_code: code.unwrap_or_default().to_owned(),
    };
    let mut stops = Vec::new();
    for card in TEST_CARDS {
        let amount = match card.behaviour {
            CardBehaviour::OverLimit => amount(25_000, "EUR")?,
            _ => amount(1250, "EUR")?,
        };
        let code = card.response_code.map(|code| code.to_string());
        stops.push(stop(card, purpose(card.behaviour), amount, code.as_deref()));
    }
    let first = TEST_CARDS.first().ok_or("there are no test cards")?;
    stops.push(stop(
        first,
        "approve, no decimals",
        amount(1250, "JPY")?,
        Some("00"),
    ));
    stops.push(stop(
        first,
        "approve, three decimals",
        amount(1250, "KWD")?,
        Some("00"),
    ));
    stops.push(stop(
        first,
        "amount ending in 605",
        amount(10_605, "EUR")?,
        Some("05"),
    ));
    Ok(stops)
}

fn purpose(behaviour: CardBehaviour) -> &'static str {
    match behaviour {
        CardBehaviour::Approve => "approve",
        CardBehaviour::InsufficientFunds => "insufficient funds",
        CardBehaviour::Expired => "expired",
        CardBehaviour::Lost => "lost",
        CardBehaviour::Stolen => "stolen",
        CardBehaviour::Blocked => "blocked",
        CardBehaviour::WrongCvv => "wrong CVV",
        CardBehaviour::OverLimit => "over its limit",
        CardBehaviour::AnswerLate => "answer late",
        CardBehaviour::NoAnswer => "no answer",
        CardBehaviour::IssuerDown => "issuer down",
    }
}

#[expect(clippy::print_stdout, reason = "the demo is there to be read")]
async fn show(arguments: DemoArgs) -> Result<ExitCode, CommandError> {
    let options = StandOptions {
        data: arguments.data.clone(),
        port: arguments.port,
        database_url: arguments.database_url.clone(),
        codec_program: None,
    };
    println!("Starting an acquirer, two issuers and the gateway on loopback ...");
    let stand = Stand::start(&options).await?;
    for host in stand.banks.hosts() {
        println!("  {:<10} {:<22} {}", host.name, host.address, host.dialect);
    }
    println!(
        "  {:<10} {:<22} gRPC over TLS 1.3",
        "gateway", stand.gateway.merchant_api
    );
    let mut surprises = 0;
    if !arguments.no_tour {
        surprises = take_tour(&stand).await?;
    }
    if arguments.exit {
        let drained = stand.stop().await;
        println!(
            "\n{}",
            if surprises == 0 {
                "Everything came out as expected."
            } else {
                "Not as expected."
            }
        );
        let done = surprises == 0 && drained;
        return Ok(if done {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    print_how_to_go_on(&stand, &arguments.data);
    if let Some(path) = &arguments.ready_file {
        commands::write_whole(path, &stand.ready())?;
    }
    wait_for_stop().await?;
    println!("\nStopping: payments under way are finished first.");
    let drained = stand.stop().await;
    Ok(if drained {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[expect(clippy::print_stdout, reason = "the demo is there to be read")]
async fn take_tour(stand: &Stand) -> Result<usize, CommandError> {
    let jwks = std::fs::read_to_string(&stand.jwks_path)?;
    let recipient = Recipient::from_jwks(&jwks, Algorithm::EcdhEs)?;
    let mut tap = stand.banks.tap();
    println!("\nPaying with each test card: sealed here, sent over gRPC, answered by a bank ...");
    let payments = stand.payments().await?;
    let merchant = stand.merchant_id.as_str();
    let visits = stops()?.into_iter().map(|stop| {
        let mut payments = payments.clone();
        let recipient = &recipient;
        async move { tour::pay(&mut payments, recipient, merchant, stop).await }
    });
    let mut visited = Vec::new();
    for visit in futures_util::future::join_all(visits).await {
        visited.push(visit?);
    }
    println!("{}", tour::table(&visited));
    println!(
        "The slowest answer took {:.1} s; every one comes within 5 s, whatever the banks do.",
        tour::slowest(&visited).as_secs_f64()
    );
    print_hops(&visited, &mut tap);
    wait_for_late_answer(stand, &visited).await?;
    Ok(visited.iter().filter(|visit| !visit.as_expected()).count())
}

/// Shows the first payment of the tour at each hop: what the merchant sent, what each bank read and
/// answered.
#[expect(clippy::print_stdout, reason = "the demo is there to be read")]
fn print_hops(visited: &[Visited], tap: &mut Receiver<TappedMessage>) {
    let Some(first) = visited.first() else { return };
    println!("\nThe first payment at each hop (secrets are masked):\n");
    println!("merchant -> payswitch  AuthorizePayment, gRPC over TLS 1.3");
    println!(
        "  merchant_reference: {:?}",
        first.payment.merchant_reference
    );
    println!(
        "  amount: {}   sealed_card: \"eyJ…\" (a JWE; nobody on the way can read it)\n",
        first.stop.amount
    );
    let mut hops = Vec::new();
    while let Ok(message) = tap.try_recv() {
        if let Some(title) = hop_title(&message)
            && hops::has_rrn(&message.dialect, &message.bytes, &first.payment.rrn)
        {
            hops.push(Hop {
                title,
                dialect: message.dialect.to_string(),
                bytes: Zeroizing::new(message.bytes.to_vec()),
            });
        }
    }
    for hop in hops {
        println!("{}", hop.render());
    }
    println!(
        "payswitch -> merchant  {}\n",
        first.payment.state().as_str_name()
    );
}

/// Each message is seen at both of its ends; the host that was called is the one that is shown.
fn hop_title(message: &TappedMessage) -> Option<String> {
    let host = message.host.as_ref();
    let from_a_socket = message.peer.contains(':');
    let caller = match host {
        "acquirer" if from_a_socket => "payswitch",
        _ if host.starts_with("issuer") => "acquirer",
        _ => return None,
    };
    Some(match message.direction {
        Direction::Received => format!("{caller} -> {host}"),
        Direction::Sent => format!("{host} -> {caller}"),
    })
}

/// The answer that came too late is recorded, and changes nothing that the merchant was told.
#[expect(clippy::print_stdout, reason = "the demo is there to be read")]
async fn wait_for_late_answer(stand: &Stand, visited: &[Visited]) -> Result<(), CommandError> {
    let Some(late) = visited
        .iter()
        .find(|visit| visit.stop.what == "answer late")
    else {
        return Ok(());
    };
    let payment_id = late.payment.payment_id.parse()?;
    let waiting = async {
        loop {
            for operation in stand.gateway.store.operations_of(payment_id).await? {
                if let Some(response) = stand.gateway.store.late_response(operation.id).await? {
                    return Ok::<_, CommandError>(response);
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let response = tokio::time::timeout(LATE_WITHIN, waiting)
        .await
        .map_err(|_| "the late answer did not arrive")??;
    println!(
        "The late answer ({}) of {} has arrived and is recorded. What the merchant was told stands:\n\
         the payment is pending, and the reversal it owes is queued.",
        response.response_code, late.payment.payment_id
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the demo is there to be read")]
fn print_how_to_go_on(stand: &Stand, data: &Path) {
    let (address, ca) = (stand.gateway.merchant_api, stand.ca_path.display());
    let key = stand.api_key.as_str();
    println!("\nmerchant API   {address} (server name {SERVER_NAME})");
    println!("CA             {ca}");
    println!("keys to seal   {}", stand.jwks_path.display());
    println!("database       {}", without_password(&stand.database_url));
    println!("log            {}", data.join("payswitch.log").display());
    println!("\nTry it:\n");
    let grpcurl =
        format!("grpcurl -cacert {ca} -servername {SERVER_NAME} -H 'authorization: Bearer {key}'");
    println!("{grpcurl} {address} describe payswitch.v1.PaymentService\n");
    println!(
        "{grpcurl} -d '{{\"request_id\":\"try-1\",\"merchant_reference\":\"order-1\",\
         \"amount\":{{\"amount_minor\":1250,\"currency\":\"EUR\"}},\
         \"payment_method_token\":\"pm_test_visa\"}}' {address} \
         payswitch.v1.PaymentService/AuthorizePayment\n"
    );
    println!(
        "{grpcurl} -d '{{\"page_size\":5}}' {address} payswitch.v1.PaymentService/ListPayments\n"
    );
    println!("Ctrl-C stops it.");
}
