//! `payswitch statement`: the statement of a merchant, as CSV or PDF.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;

use super::error::CommandError;
use super::operators_door::{OperatorsDoor, told};
use super::output::{print_line, write_file};
use super::runtime::runtime;
use crate::admin_api::pb;
use crate::admin_api::pb::statement_service_client::StatementServiceClient;

/// Between two turns of the sign that the gateway is working.
const TICK: Duration = Duration::from_millis(100);

/// What `payswitch statement` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch statement demo-shop --from 2026-11-01 --to 2026-11-30 --currency EUR --out november.pdf\n  \
    payswitch statement demo-shop --from 2026-11-01 --to 2026-11-30 --currency EUR --out november.csv\n\n\
    The days are those of the merchant's time zone. Opening balance and lines make the closing balance, which is the\n\
    opening balance of the day after.\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage.")]
pub struct StatementArgs {
    /// The merchant.
    merchant: String,
    /// The first day.
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: String,
    /// The last day.
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: String,
    /// The currency (ISO 4217).
    #[arg(long, value_name = "CODE")]
    currency: String,
    /// The file to write: .csv or .pdf.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: OperatorsDoor,
}

/// Does what was asked.
///
/// # Errors
/// When the gateway can't be reached, or refuses, or the file can't be written.
pub fn run(arguments: StatementArgs) -> Result<ExitCode, CommandError> {
    let out = arguments.out;
    let ending = out.extension().and_then(|ending| ending.to_str());
    let format = match ending {
        Some("csv") => pb::StatementFormat::Csv,
        Some("pdf") => pb::StatementFormat::Pdf,
        _ => {
            return Err(format!(
                "--out: expected FILE.csv or FILE.pdf, got {}",
                out.display()
            )
            .into());
        }
    };
    runtime()?.block_on(async {
        let mut client = StatementServiceClient::new(arguments.door.connect().await?);
        let request = pb::WriteStatementRequest {
            merchant_id: arguments.merchant,
            currency: arguments.currency,
            first_date: arguments.from,
            last_date: arguments.to,
            format: format.into(),
        };
        let parts = client.write_statement(request).await.map_err(told)?;
        let (mut parts, mut file) = (parts.into_inner(), Vec::new());
        // It shows nothing where standard error is no terminal.
        let progress = ProgressBar::new_spinner();
        progress.set_message("the statement is being written");
        progress.enable_steady_tick(TICK);
        while let Some(part) = parts.message().await.map_err(told)? {
            file.extend(part.data);
            progress.set_message(format!("{} bytes have come", file.len()));
        }
        progress.finish_and_clear();
        // An answer that breaks off leaves no statement.
        write_file(&out, &file)?;
        match arguments.json {
            true => print_line!(
                "{:#}",
                json!({ "file": out.display().to_string(), "bytes": file.len() })
            )?,
            false => print_line!("{} ({} bytes)", out.display(), file.len())?,
        }
        Ok(ExitCode::SUCCESS)
    })
}
