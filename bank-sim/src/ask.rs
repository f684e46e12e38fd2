//! `bank-sim accounts|messages|totals|fault`: asks the control API of banks that run.

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use bank_sim::control::pb::{self, control_service_client::ControlServiceClient, fault::What};
use clap::Subcommand;
use serde_json::{Map, Value};
use tonic::transport::Channel;

/// Where the banks of `bank-sim.toml` are asked.
const DEFAULT_CONTROL: &str = "127.0.0.1:7000";

/// How many bytes one answer may have: a notification comes in one.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;

/// Which banks to ask, and how to print what they say.
#[derive(Debug, clap::Args)]
pub(crate) struct Asked {
    /// Where their control API is.
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_CONTROL, global = true)]
    control: String,
    /// A ready file that says where it is: of `bank-sim serve` ("control") or `payswitch demo` ("bank_sim").
    #[arg(long, value_name = "FILE", conflicts_with = "control", global = true)]
    ready_file: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

/// The arguments of `accounts`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    bank-sim accounts --host issuer-a\n  \
    bank-sim accounts --ready-file demo-data.ready.json --held")]
pub(crate) struct Accounts {
    /// Only of this issuer.
    #[arg(long, default_value = "")]
    host: String,
    /// Only those on which something is held.
    #[arg(long)]
    held: bool,
    #[command(flatten)]
    asked: Asked,
}

/// The arguments of `messages`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    bank-sim messages --rrn 633200000001 --elements\n  \
    bank-sim messages --host issuer-a --after 1200")]
pub(crate) struct Messages {
    /// Only of this host.
    #[arg(long, default_value = "")]
    host: String,
    /// Only with this RRN.
    #[arg(long, default_value = "")]
    rrn: String,
    /// Only those after this position.
    #[arg(long, default_value_t = 0)]
    after: i64,
    /// How many at most: 1 to 1000.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=1000))]
    limit: i32,
    /// Print the elements of each message too, secrets masked.
    #[arg(long)]
    elements: bool,
    #[command(flatten)]
    asked: Asked,
}

/// The arguments of `totals`.
#[derive(Debug, clap::Args)]
pub(crate) struct Totals {
    #[command(flatten)]
    asked: Asked,
}

/// The arguments of `fault`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    bank-sim fault drop-response --mti 0100 --every-nth 10\n  \
    bank-sim fault drop-request --host issuer-a --mti 0420 --times 3\n  \
    bank-sim fault change 39 96 --card-last4 4242\n  \
    bank-sim fault clear")]
pub(crate) struct FaultArguments {
    #[command(subcommand)]
    what: FaultCommand,
    /// Only at this host.
    #[arg(long, default_value = "", global = true)]
    host: String,
    /// Only for this message type, as it comes in.
    #[arg(long, default_value = "", global = true)]
    mti: String,
    /// Only for cards that end in these four digits.
    #[arg(long, default_value = "", global = true)]
    card_last4: String,
    /// Only for this amount, in minor units.
    #[arg(long, global = true)]
    amount: Option<i64>,
    /// Only every so many of the messages that fit.
    #[arg(long, default_value_t = 1, global = true)]
    every_nth: i32,
    /// How often; 0 is without end.
    #[arg(long, default_value_t = 0, global = true)]
    times: i32,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Clone, Subcommand)]
enum FaultCommand {
    /// Passes requests over, without any effect.
    DropRequest,
    /// Keeps answers back; the requests have their effect.
    DropResponse,
    /// Answers so many milliseconds late.
    Delay { ms: i32 },
    /// Sends answers so many more times.
    Duplicate { more: i32 },
    /// Changes an element of answers; leaves it out without a value.
    Change {
        de: i32,
        #[arg(default_value = "")]
        value: String,
    },
    /// Closes the connection instead of answering.
    Close,
    /// Answers requests only after their reversals have come.
    AnswerAfterReversal,
    /// Removes all faults.
    Clear,
}

/// A table: its columns, and its rows.
pub(crate) type Table<const N: usize> = ([&'static str; N], Vec<[String; N]>);

pub(crate) fn accounts(arguments: &Accounts) -> Result<(), Box<dyn Error>> {
    let request = pb::ListAccountsRequest {
        host: arguments.host.clone(),
    };
    let answer = ask(&arguments.asked, async |mut client| {
        client.list_accounts(request).await
    })?;
    let accounts = answer.accounts.into_iter();
    let rows = accounts
        .filter(|account| !arguments.held || account.held != 0)
        .map(|account| {
            [
                account.host,
                account.account_id,
                account.card_masked,
                account.currency,
                account.balance.to_string(),
                account.held.to_string(),
                account.available.to_string(),
            ]
        });
    let columns = [
        "host",
        "account_id",
        "card",
        "currency",
        "balance",
        "held",
        "available",
    ];
    print(&arguments.asked, (columns, rows.collect()))
}

pub(crate) fn messages(arguments: &Messages) -> Result<(), Box<dyn Error>> {
    let request = pb::ListMessagesRequest {
        page_size: arguments.limit,
        after_position: arguments.after,
        host: arguments.host.clone(),
        rrn: arguments.rrn.clone(),
    };
    let answer = ask(&arguments.asked, async |mut client| {
        client.list_messages(request).await
    })?;
    let short = |name: &str| {
        name.split('_')
            .next_back()
            .unwrap_or_default()
            .to_lowercase()
    };
    let rows = answer.messages.into_iter().map(|message| {
        let elements = message.elements.iter().filter(|_| arguments.elements);
        let elements = elements.map(|(de, value)| format!("{de}={value}"));
        [
            message.position.to_string(),
            message.host.clone(),
            short(message.direction().as_str_name()),
            message.mti.clone(),
            message.stan.clone(),
            message.rrn.clone(),
            if message.repeat { "repeat" } else { "" }.to_owned(),
            short(message.effect().as_str_name()),
            elements.collect::<Vec<_>>().join(" "),
        ]
    });
    let columns = [
        "position",
        "host",
        "direction",
        "mti",
        "stan",
        "rrn",
        "repeat",
        "effect",
        "elements",
    ];
    print(&arguments.asked, (columns, rows.collect()))
}

pub(crate) fn totals(arguments: &Totals) -> Result<(), Box<dyn Error>> {
    let answer = ask(&arguments.asked, async |mut client| {
        client.get_totals(pb::GetTotalsRequest {}).await
    })?;
    let rows = answer.totals.into_iter().map(|totals| {
        [
            totals.host,
            totals.currency,
            totals.held.to_string(),
            totals.debited.to_string(),
            totals.credited.to_string(),
            totals.reversed.to_string(),
            totals.exchanges.to_string(),
            totals.effects_more_than_once.to_string(),
            totals.effects_more_than_once_rrns.join(" "),
        ]
    });
    let columns = [
        "host",
        "currency",
        "held",
        "debited",
        "credited",
        "reversed",
        "exchanges",
        "effects_more_than_once",
        "rrns",
    ];
    print(&arguments.asked, (columns, rows.collect()))
}

pub(crate) fn fault(arguments: &FaultArguments) -> Result<(), Box<dyn Error>> {
    let what = match arguments.what.clone() {
        FaultCommand::DropRequest => What::DropRequest(pb::DropRequest {}),
        FaultCommand::DropResponse => What::DropResponse(pb::DropResponse { after_effect: true }),
        FaultCommand::Delay { ms } => What::DelayMs(ms),
        FaultCommand::Duplicate { more } => What::Duplicate(more),
        FaultCommand::Change { de, value } => What::Change(pb::Change { de, value }),
        FaultCommand::Close => What::Close(pb::Close {}),
        FaultCommand::AnswerAfterReversal => What::AnswerAfterReversal(pb::AnswerAfterReversal {}),
        FaultCommand::Clear => {
            let cleared = ask(&arguments.asked, async |mut client| {
                client.clear_faults(pb::ClearFaultsRequest {}).await
            })?;
            let rows = vec![[cleared.cleared_count.to_string()]];
            return print(&arguments.asked, (["cleared"], rows));
        }
    };
    let fault = pb::Fault {
        host: arguments.host.clone(),
        mti: arguments.mti.clone(),
        card_last4: arguments.card_last4.clone(),
        amount: arguments.amount,
        every_nth: arguments.every_nth,
        times: arguments.times,
        what: Some(what),
    };
    let added = ask(&arguments.asked, async |mut client| {
        let fault = Some(fault);
        client.inject_fault(pb::InjectFaultRequest { fault }).await
    })?;
    let rows = vec![[added.fault_count.to_string()]];
    print(&arguments.asked, (["faults"], rows))
}

/// Makes one call of the control API.
pub(crate) fn ask<T>(
    asked: &Asked,
    call: impl AsyncFnOnce(ControlServiceClient<Channel>) -> Result<tonic::Response<T>, tonic::Status>,
) -> Result<T, Box<dyn Error>> {
    let address = match &asked.ready_file {
        None => asked.control.clone(),
        Some(path) => {
            let ready: Value = serde_json::from_slice(&fs::read(path)?)?;
            let said = ready.get("control").or(ready.get("bank_sim"));
            let said = said.and_then(Value::as_str);
            said.ok_or_else(|| format!("`{}` names no control API", path.display()))?
                .to_owned()
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = ControlServiceClient::connect(format!("http://{address}"))
            .await
            .map_err(|error| {
                format!("the control API at {address} can't be reached ({error}); --control or --ready-file names another")
            })?
            .max_decoding_message_size(MAX_ANSWER_BYTES);
        match call(client).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(status.message().into()),
        }
    })
}

/// Prints a table, or JSON if that was asked for.
pub(crate) fn print<const N: usize>(
    asked: &Asked,
    (columns, rows): Table<N>,
) -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    if asked.json {
        let object = |row: [String; N]| {
            let pairs = columns.iter().zip(row);
            Value::Object(
                pairs
                    .map(|(column, cell)| ((*column).to_owned(), Value::String(cell)))
                    .collect::<Map<_, _>>(),
            )
        };
        let rows: Vec<Value> = rows.into_iter().map(object).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        return Ok(());
    }
    let mut widths = columns.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in std::iter::once(columns.map(str::to_owned)).chain(rows) {
        let cells = row.iter().zip(widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        writeln!(out, "{}", line.join("  ").trim_end())?;
    }
    Ok(())
}
