//! `payswitch demo`: simulated banks and the gateway in one process on loopback.
//!
//! - [`folder`]: what is kept from one run to the next: master key, certificates, API key.
//! - [`claim`]: a bank that learns by file takes a clearing file.
//! - [`day`]: the end of the bank's day.
//! - [`books`]: how payments without an answer end, and whether everybody's books agree.
//! - [`life`]: captures, refunds and voids.
//! - [`payout`]: fees, a payout, a statement.
//! - [`own_files`]: what in that folder is the demo's: it removes and adds to nothing else.
//! - [`stand`]: starts the banks and the gateway; the integration tests stand on it too.
//! - [`tour`]: pays with each test card through the real gRPC edge.
//! - [`wrongs`]: a bank whose report is wrong, and what is found of that.

pub mod banks;
pub mod books;
pub mod claim;
pub mod day;
pub mod folder;
pub mod life;
pub mod own_files;
pub mod payout;
pub mod stand;
pub mod tour;
pub mod wrongs;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::card::header::Algorithm;
use crate::card::seal::Recipient;
use crate::commands::error::CommandError;
use crate::commands::output::print_line;
use crate::commands::ready_file::ReadyFile;
use crate::commands::runtime::runtime;
use crate::commands::serve::StopSignal;
use crate::config::reconciliation::{CorrectedKind, CorrectionBearer, CorrectionRule};
use crate::config::store::shown_url;
use crate::merchant_api::pb::payment_service_client::PaymentServiceClient;
use crate::random::Random;
use crate::telemetry::{self, LogFormat};

use banks::{lives, stops};
use folder::ready_file_path;
use stand::{SERVER_NAME, Stand, StandOptions, reporting_profile};
use tour::Visited;

/// How long the tour waits for the answer that comes late.
const LATE_WITHIN: Duration = Duration::from_secs(8);

/// What `payswitch demo` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch demo                                   the tour, then it waits for Ctrl-C\n  \
    payswitch demo --exit                            the tour alone; exit code 1 when it surprises, or books differ\n  \
    payswitch demo --no-tour --port 0 --ready-file /tmp/ready.json\n\n\
    The folder holds no key in clear: a master key wraps them, and lies beside it in DIR.key.")]
pub struct DemoArgs {
    /// Where keys, certificates and the database are kept: an empty folder, or one of the demo's.
    #[arg(long, value_name = "DIR", default_value = "demo-data")]
    data: PathBuf,
    /// Begin with an empty folder. One that holds anything but what the demo wrote is left alone.
    #[arg(long)]
    reset: bool,
    /// The merchant API's port on loopback; 0 takes a free one.
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// The operators' API's port on loopback; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    admin_port: u16,
    /// The database, instead of a SQLite file in the folder.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// End after the tour; exit code 1 when anything came out other than expected.
    #[arg(long, conflicts_with = "no_tour")]
    exit: bool,
    /// Don't pay with the test cards first.
    #[arg(long)]
    no_tour: bool,
    /// Written as JSON once everything is ready and the tour is over, and removed when it stops; DIR.ready.json
    /// when not given.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// Starts everything, shows it, and waits.
///
/// # Errors
/// When a part can't be started, or the tour can't be finished.
pub fn run(arguments: DemoArgs) -> Result<ExitCode, CommandError> {
    if arguments.reset {
        own_files::remove(&arguments.data, arguments.ready_file.as_deref())?;
    }
    own_files::make(&arguments.data, arguments.ready_file.as_deref())?;
    let _log = telemetry::start(LogFormat::Text, Some(&arguments.data.join("payswitch.log")))?;
    runtime()?.block_on(show(arguments))
}

async fn show(arguments: DemoArgs) -> Result<ExitCode, CommandError> {
    let options = StandOptions {
        data: arguments.data.clone(),
        port: arguments.port,
        admin_port: arguments.admin_port,
        database_url: arguments.database_url.clone(),
        codec_program: None,
        acquirer_profile: Some(reporting_profile()),
        with_file_host: true,
        limits: Vec::new(),
        corrections: vec![CorrectionRule {
            kind: CorrectedKind::AmountDiffers,
            currency: None,
            up_to_minor: 1,
            bears: CorrectionBearer::House,
            applies: true,
        }],
    };
    let mut stop = StopSignal::listen()?;
    let ready_file = arguments.ready_file.clone();
    let ready_file = ready_file.unwrap_or_else(|| ready_file_path(&arguments.data));
    let mut ready_file = ReadyFile::at(ready_file)?;
    print_line!("Starting an acquirer, two issuers and the gateway on loopback ...")?;
    let stand = Stand::start(&options).await?;
    let shown = show_around(&stand, &arguments, &mut stop, &mut ready_file).await;
    drop(ready_file);
    // Whatever became of the showing, payments in progress are finished.
    let drained = Box::pin(stand.stop()).await;
    let as_expected = match shown? {
        Some(surprises) if arguments.exit => {
            let as_expected = surprises == 0;
            print_line!(
                "\n{}",
                if as_expected {
                    "Everything came out as expected."
                } else {
                    "Not as expected."
                }
            )?;
            as_expected
        }
        Some(_) => true,
        None => !arguments.exit,
    };
    Ok(if as_expected && drained {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Shows the stand, and waits for a signal unless it is to end after the tour. Gives how many payments
/// came out other than expected; `None` when a signal ended the tour.
async fn show_around(
    stand: &Stand,
    arguments: &DemoArgs,
    stop: &mut StopSignal,
    ready_file: &mut ReadyFile,
) -> Result<Option<usize>, CommandError> {
    for host in stand.banks.hosts() {
        print_line!("  {:<10} {:<22} {}", host.name, host.address, host.dialect)?;
    }
    print_line!(
        "  {:<10} {:<22} gRPC over TLS 1.3",
        "gateway",
        stand.gateway.merchant_api
    )?;
    let tour = if arguments.no_tour {
        Some(Tour::default())
    } else {
        tokio::select! {
            tour = take_tour(stand, &arguments.data) => Some(tour?),
            () = stop.received() => None,
        }
    };
    let surprises = tour.as_ref().map(|tour| tour.surprises);
    if let Some(tour) = &tour {
        if !arguments.exit {
            print_how_to_go_on(stand, &arguments.data, tour.held_payment_id.as_deref())?;
        }
        // Last, so that whoever waits for it finds everything printed.
        ready_file.write(&stand.ready())?;
        if arguments.exit {
            return Ok(surprises);
        }
        stop.received().await;
    }
    print_line!("\nStopping: payments in progress are finished first.")?;
    Ok(surprises)
}

/// What came of the tour.
#[derive(Default)]
struct Tour {
    /// How many payments, steps or sums came out other than expected.
    surprises: usize,
    /// A payment that can be captured.
    held_payment_id: Option<String>,
}

async fn take_tour(stand: &Stand, data: &Path) -> Result<Tour, CommandError> {
    let jwks = std::fs::read_to_string(&stand.jwks_path)?;
    let recipient = Recipient::from_jwks(&jwks, Algorithm::EcdhEs, &Random::SYSTEM)?;
    print_line!(
        "\nPaying with each test card: sealed here, sent over gRPC, answered by a bank ..."
    )?;
    let connection = stand.connect().await?;
    let mut payments = PaymentServiceClient::new(connection.clone());
    let opening = books::open(stand, &connection).await?;
    let merchant = stand.merchant_id.as_str();
    let pay = |stop| {
        let mut payments = payments.clone();
        let recipient = &recipient;
        async move { tour::pay(&mut payments, recipient, merchant, stop).await }
    };
    let mut visited = Vec::new();
    for visit in futures_util::future::join_all(stops()?.into_iter().map(pay)).await {
        visited.push(visit?);
    }
    print_line!("{}", tour::table(&visited))?;
    print_line!(
        "The slowest answer took {:.1} s; every one comes within 5 s, whatever the banks do.",
        tour::slowest(&visited).as_secs_f64()
    )?;
    print_hops(stand, &visited)?;
    print_line!(
        "A card that is verified; a payment that is captured in two parts and refunded in part; and one that is \
         raised and voided:\n"
    )?;
    let [to_capture, to_void] = lives()?;
    let (to_capture, to_void) = (pay(to_capture).await?, pay(to_void).await?);
    let mut steps = life::verified(&connection).await?;
    steps.extend(life::captured_and_refunded(&connection, &to_capture).await?);
    steps.extend(life::voided(&connection, &to_void).await?);
    print_line!("{}\n", life::table(&steps))?;
    wait_for_late_answer(stand, &visited).await?;
    let left = books::show_reversals(stand, &mut payments, &visited).await?;
    let all = visited.iter().chain([&to_capture, &to_void]);
    let ids: Vec<&str> = all.map(|visit| visit.payment.payment_id.as_str()).collect();
    let differing = books::compare(stand, &connection, &opening, &ids).await?;
    payout::agree_terms(stand).await?;
    let not_agreed = day::end(stand, data, &connection).await?;
    let not_paid = payout::pay_out(stand, data, &connection).await?;
    let not_claimed = claim::by_file(stand, data).await?;
    let not_found = wrongs::find(stand, data, &connection).await?;
    let surprises = visited.iter().filter(|visit| !visit.as_expected()).count()
        + steps.iter().filter(|step| !step.as_expected()).count();
    Ok(Tour {
        surprises: surprises + left + differing + not_agreed + not_paid + not_claimed + not_found,
        held_payment_id: visited
            .first()
            .map(|visit| visit.payment.payment_id.clone()),
    })
}

/// Shows the first payment of the tour at each hop: what the merchant sent, what each bank read and
/// answered.
fn print_hops(stand: &Stand, visited: &[Visited]) -> Result<(), CommandError> {
    let Some(first) = visited.first() else {
        return Ok(());
    };
    print_line!("\nThe first payment at each hop (secrets are masked):\n")?;
    print_line!("merchant -> payswitch  AuthorizePayment, gRPC over TLS 1.3")?;
    print_line!(
        "  merchant_reference: {:?}",
        first.payment.merchant_reference
    )?;
    print_line!(
        "  amount: {}   sealed_card: \"eyJ…\" (a JWE; nobody on the way can read it)\n",
        first.stop.amount
    )?;
    for hop in stand.banks.hops_of(first.payment.rrn()) {
        print_line!("{hop}")?;
    }
    print_line!(
        "payswitch -> merchant  {}\n",
        first.payment.state().as_str_name()
    )
}

/// The answer that came too late is recorded, and changes nothing that the merchant was told.
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
    print_line!(
        "The late answer ({}) of {} has arrived and is recorded.\n\
         It changes nothing: the payment's reversal undoes what the bank did.",
        response.response_code,
        late.payment.payment_id
    )?;
    Ok(())
}

/// `held_payment_id`: a payment that can be captured.
fn print_how_to_go_on(
    stand: &Stand,
    data: &Path,
    held_payment_id: Option<&str>,
) -> Result<(), CommandError> {
    let (address, ca) = (stand.gateway.merchant_api, stand.ca_path.display());
    let key = stand.api_key.as_str();
    print_line!("\nmerchant API   {address} (server name {SERVER_NAME})")?;
    if let Some(admin_api) = stand.gateway.admin_api {
        print_line!("operators' API {admin_api}: payswitch explain pay_…, hosts list, audit list")?;
    }
    print_line!("CA             {ca}")?;
    print_line!("keys to seal   {}", stand.jwks_path.display())?;
    print_line!("database       {}", shown_url(&stand.database_url))?;
    print_line!("log            {}", data.join("payswitch.log").display())?;
    print_line!("\nTry it:\n")?;
    let grpcurl =
        format!("grpcurl -cacert {ca} -servername {SERVER_NAME} -H 'authorization: Bearer {key}'");
    print_line!("{grpcurl} {address} describe payswitch.v1.PaymentService\n")?;
    print_line!(
        "{grpcurl} -d '{{\"request_id\":\"try-1\",\"merchant_reference\":\"order-1\",\
         \"amount\":{{\"amount_minor\":1250,\"currency\":\"EUR\"}},\
         \"payment_method_token\":\"pm_test_visa\"}}' {address} \
         payswitch.v1.PaymentService/AuthorizePayment\n"
    )?;
    print_line!(
        "{grpcurl} -d '{{\"page_size\":5}}' {address} payswitch.v1.PaymentService/ListPayments\n"
    )?;
    let payment_id = held_payment_id.unwrap_or("PAYMENT_ID");
    if held_payment_id.is_none() {
        print_line!(
            "With the payment_id of the payment that you have made in place of PAYMENT_ID:\n"
        )?;
    }
    for (what, call) in [
        ("capture", "PaymentService/CapturePayment"),
        ("refund", "RefundService/CreateRefund"),
    ] {
        print_line!(
            "{grpcurl} -d '{{\"request_id\":\"{what}-{payment_id}\",\"payment_id\":\"{payment_id}\",\
             \"amount\":{{\"amount_minor\":250,\"currency\":\"EUR\"}}}}' {address} payswitch.v1.{call}\n"
        )?;
    }
    print_line!("Ctrl-C stops it.")
}
