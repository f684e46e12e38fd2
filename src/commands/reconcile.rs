//! `payswitch reconcile`: shows what banks have otherwise, why, and what is done about it; takes in statements of bank
//! accounts.

mod client;
mod sheet;
mod show;
mod statements;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use self::client::Client;
use self::show::{show_all, show_lines, show_list};
use super::error::CommandError;
use super::operators_door::{OperatorsDoor, Why, pages, told};
use super::output::{print_line, write_file};
use super::runtime::runtime;
use crate::admin_api::pb;
use crate::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use pb::resolve_discrepancy_request::Step;

/// What `payswitch reconcile` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch reconcile list\n  \
    payswitch reconcile list --host acquirer --date 2026-11-27 --all --json\n  \
    payswitch reconcile show dis_06e9x3w8k1z7h4n2m5q0r8t6va\n  \
    payswitch reconcile correct dis_06e9x3w8k1z7h4n2m5q0r8t6va --bears house --reason 'rounded by the bank, ticket 12'\n  \
    payswitch reconcile match dis_06e9x3w8k1z7h4n2m5q0r8t6va cap_06e9x3w8k1z7h4n2m5q0r8t6vb --reason 'same receipt'\n  \
    payswitch reconcile split dis_06e9x3w8k1z7h4n2m5q0r8t6va cap_06e9x3w8k1z7h4n2m5q0r8t6vb cap_06e9x3w8k1z7h4n2m5q0r8t6vc \\\n    \
    --reason 'paid together'\n  \
    payswitch reconcile lines imp_06e9x3w8k1z7h4n2m5q0r8t6va --limit 20\n  \
    payswitch reconcile sheet acquirer --date 2026-11-27 --out sheet.pdf\n  \
    payswitch reconcile statement main camt053.xml --reason 'the statement of Friday'\n  \
    payswitch reconcile statement-lines main --open\n  \
    payswitch reconcile list --account main\n  \
    payswitch reconcile match dis_06e9x3w8k1z7h4n2m5q0r8t6va acquirer/2026-11-27/EUR --reason 'told by telephone'\n  \
    payswitch reconcile match-line bln_06e9x3w8k1z7h4n2m5q0r8t6va acquirer/2026-11-27/EUR --reason 'told by telephone'\n\n\
    A discrepancy is what a bank's report (payswitch settle import) or the statements of a bank account have otherwise. It\n\
    ends ACCEPTED, or CORRECTED by a journal. What is about more than reconciliation.alone_minor of the configuration is PROPOSED first, and takes\n\
    another operator, who is an approver: payswitch reconcile approve. Reopening one undoes its correction.\n\n\
    The accounts of statements are those of [reconciliation.accounts] in the gateway's configuration. Of a file with a\n\
    fault nothing counts. The same file again adds nothing, and looks once more at the lines that are not matched.\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage.")]
pub struct ReconcileArgs {
    #[command(flatten)]
    door: OperatorsDoor,
    /// Print JSON: discrepancies and lines of reports on a line each.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the discrepancies that are not decided, oldest first.
    List {
        /// Only of this host: the name of its profile.
        #[arg(
            long,
            value_name = "HOST",
            default_value = "",
            hide_default_value = true
        )]
        host: String,
        /// Only of this business date.
        #[arg(
            long,
            value_name = "YYYY-MM-DD",
            default_value = "",
            hide_default_value = true
        )]
        date: String,
        /// Only of this bank account: its name in the configuration.
        #[arg(
            long,
            value_name = "ACCOUNT",
            default_value = "",
            hide_default_value = true
        )]
        account: String,
        /// Only of this kind, such as AMOUNT_DIFFERS.
        #[arg(
            long,
            value_name = "KIND",
            default_value = "",
            hide_default_value = true
        )]
        kind: String,
        /// Those that are decided too.
        #[arg(long)]
        all: bool,
        /// The most discrepancies.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Show one with its evidence and what was done about it.
    Show {
        /// The discrepancy.
        discrepancy: String,
    },
    /// Show the lines of a report as they came, and what they are about.
    Lines {
        /// The report: payswitch settle report prints its id (imp_...).
        import: String,
        /// The most lines.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Write the sheet of a day as HTML or PDF: what the bank's report had otherwise and what was done, for a person to
    /// sign.
    Sheet {
        /// The host: the name of its profile.
        host: String,
        /// The date of the day.
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: String,
        /// The file to write: .html or .pdf.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Give it to an operator, who must be active.
    Assign {
        /// The discrepancy.
        discrepancy: String,
        /// The operator.
        operator: String,
        #[command(flatten)]
        why: Why,
    },
    /// Note that the bank was asked.
    Ask {
        /// The discrepancy.
        discrepancy: String,
        #[command(flatten)]
        why: Why,
    },
    /// Accept it as it is.
    Accept {
        /// The discrepancy.
        discrepancy: String,
        #[command(flatten)]
        why: Why,
    },
    /// Correct it with a journal: what the acquirer owes is what the bank says.
    Correct {
        /// The discrepancy.
        discrepancy: String,
        /// Who takes the difference, gain or loss.
        #[arg(long, value_name = "WHO")]
        bears: Bears,
        #[command(flatten)]
        why: Why,
    },
    /// Agree with what another operator has proposed. Only an approver may.
    Approve {
        /// The discrepancy.
        discrepancy: String,
        #[command(flatten)]
        why: Why,
    },
    /// Say which capture or refund its line is about; of a bank statement's line, which payout or day of a host it is.
    Match {
        /// The discrepancy.
        discrepancy: String,
        /// The capture or refund; a payout, or a host, date and currency, such as acquirer/2026-11-27/EUR.
        subject: String,
        #[command(flatten)]
        why: Why,
    },
    /// Say which captures or refunds its line is about together.
    Split {
        /// The discrepancy.
        discrepancy: String,
        /// The captures or refunds, two or more, which make up the amount of the line.
        #[arg(required = true, num_args = 2..)]
        subjects: Vec<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Open it again, and undo what has corrected it. Only an approver may.
    Reopen {
        /// The discrepancy.
        discrepancy: String,
        #[command(flatten)]
        why: Why,
    },
    /// Take in a file of statements of a bank account.
    Statement {
        /// The account: its name in the configuration.
        account: String,
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        why: Why,
    },
    /// Show the lines of a bank account's statements, as they came.
    StatementLines {
        /// The account: its name in the configuration.
        account: String,
        /// Only those that count and are not matched.
        #[arg(long)]
        open: bool,
        /// The most lines.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Say which payout or day of a host a line of a statement is.
    MatchLine {
        /// The line.
        line: String,
        /// A payout, or a host, date and currency, such as acquirer/2026-11-27/EUR.
        with: String,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Bears {
    /// The merchant: its available balance changes.
    Merchant,
    /// Whoever operates payswitch: the suspense account changes.
    House,
}

/// The most discrepancies that somebody signs together.
const MOST_ON_A_SHEET: usize = 2_000;

/// Does what was asked.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub fn run(arguments: ReconcileArgs) -> Result<ExitCode, CommandError> {
    runtime()?.block_on(async {
        let mut client = Client::new(arguments.door.connect().await?);
        let as_json = arguments.json;
        let (discrepancy, step, why) = match arguments.action {
            Action::List {
                host,
                date,
                account,
                kind,
                all,
                limit,
            } => {
                let asked = pb::ListDiscrepanciesRequest {
                    host_id: host,
                    business_date: date,
                    account,
                    kind,
                    all,
                    ..pb::ListDiscrepanciesRequest::default()
                };
                show_list(&list(&mut client, &asked, limit).await?, as_json)?;
                return Ok(ExitCode::SUCCESS);
            }
            Action::Show { discrepancy } => {
                let request = pb::GetDiscrepancyRequest {
                    discrepancy_id: discrepancy,
                };
                let found = client.get_discrepancy(request).await.map_err(told)?;
                show_all(found.into_inner().discrepancy, as_json)?;
                return Ok(ExitCode::SUCCESS);
            }
            Action::Lines { import, limit } => {
                show_lines(&lines(&mut client, &import, limit).await?, as_json)?;
                return Ok(ExitCode::SUCCESS);
            }
            Action::Sheet { host, date, out } => {
                let format = sheet::Format::of(&out)?;
                let door = &arguments.door;
                let written = write_sheet(door, &mut client, (host, date), (format, &out));
                let written = written.await?;
                match as_json {
                    true => print_line!("{:#}", written.json(&out))?,
                    false => {
                        print_line!("{} discrepancies: {}", written.discrepancies, out.display())?
                    }
                }
                return Ok(ExitCode::SUCCESS);
            }
            Action::Assign {
                discrepancy,
                operator,
                why,
            } => (discrepancy, Step::Assign(operator), why),
            Action::Ask { discrepancy, why } => (discrepancy, Step::AskBank(true), why),
            Action::Accept { discrepancy, why } => (discrepancy, Step::Accept(true), why),
            Action::Correct {
                discrepancy,
                bears,
                why,
            } => {
                let bearer = match bears {
                    Bears::Merchant => pb::CorrectionBearer::Merchant,
                    Bears::House => pb::CorrectionBearer::House,
                };
                (discrepancy, Step::Correct(bearer.into()), why)
            }
            Action::Approve { discrepancy, why } => (discrepancy, Step::Approve(true), why),
            Action::Match {
                discrepancy,
                subject,
                why,
            } => (discrepancy, Step::Match(subject), why),
            Action::Split {
                discrepancy,
                subjects,
                why,
            } => {
                let parts = pb::DiscrepancyParts {
                    subject_ids: subjects,
                };
                (discrepancy, Step::Split(parts), why)
            }
            Action::Reopen { discrepancy, why } => (discrepancy, Step::Reopen(true), why),
            Action::Statement { account, file, why } => {
                return statements::take_in(&mut client, account, &file, why, as_json).await;
            }
            Action::StatementLines {
                account,
                open,
                limit,
            } => return statements::list(&mut client, &account, (open, limit), as_json).await,
            Action::MatchLine { line, with, why } => {
                return statements::match_line(&mut client, line, with, why, as_json).await;
            }
        };
        let request = pb::ResolveDiscrepancyRequest {
            request_id: why.request_id()?,
            reason: why.reason,
            discrepancy_id: discrepancy,
            step: Some(step),
        };
        let resolved = client.resolve_discrepancy(request).await.map_err(told)?;
        show_all(resolved.into_inner().discrepancy, as_json)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// A sheet that was written.
struct Written {
    discrepancies: usize,
    bytes: usize,
}

impl Written {
    fn json(&self, out: &Path) -> Value {
        json!({
            "file": out.display().to_string(),
            "bytes": self.bytes,
            "discrepancy_count": self.discrepancies,
        })
    }
}

/// Writes the sheet of a day.
async fn write_sheet(
    door: &OperatorsDoor,
    client: &mut Client,
    (host_id, business_date): (String, String),
    (format, out): (sheet::Format, &Path),
) -> Result<Written, CommandError> {
    let mut days = SettlementAdminServiceClient::new(door.connect().await?);
    let request = pb::GetDayReportRequest {
        host_id: host_id.clone(),
        business_date: business_date.clone(),
    };
    let report = days.get_day_report(request).await.map_err(told)?;
    let import = report.into_inner().settlement_import;
    let import = import.ok_or_else(|| format!("no report of {business_date} was taken in"))?;
    let asked = pb::ListDiscrepanciesRequest {
        host_id,
        business_date,
        all: true,
        ..pb::ListDiscrepanciesRequest::default()
    };
    let mut found = list(client, &asked, MOST_ON_A_SHEET + 1).await?;
    if found.len() > MOST_ON_A_SHEET {
        let expected = format!("expected at most {MOST_ON_A_SHEET} discrepancies on a sheet");
        return Err(format!("{expected}; the list as JSON has them all").into());
    }
    for one in &mut found {
        let request = pb::GetDiscrepancyRequest {
            discrepancy_id: one.discrepancy_id.clone(),
        };
        let whole = client.get_discrepancy(request).await.map_err(told)?;
        if let Some(whole) = whole.into_inner().discrepancy {
            *one = whole;
        }
    }
    let sheet = sheet::written(format, &import, &found)?;
    write_file(out, &sheet)?;
    Ok(Written {
        discrepancies: found.len(),
        bytes: sheet.len(),
    })
}

async fn list(
    client: &mut Client,
    asked: &pb::ListDiscrepanciesRequest,
    limit: usize,
) -> Result<Vec<pb::Discrepancy>, CommandError> {
    pages(limit, async |page_size, page_token| {
        let request = pb::ListDiscrepanciesRequest {
            page_size,
            page_token,
            ..asked.clone()
        };
        let page = client.list_discrepancies(request).await.map_err(told)?;
        let page = page.into_inner();
        Ok((page.discrepancies, page.next_page_token))
    })
    .await
}

async fn lines(
    client: &mut Client,
    import: &str,
    limit: usize,
) -> Result<Vec<pb::ReportLine>, CommandError> {
    pages(limit, async |page_size, page_token| {
        let request = pb::ListReportLinesRequest {
            import_id: import.to_owned(),
            page_size,
            page_token,
        };
        let page = client.list_report_lines(request).await.map_err(told)?;
        let page = page.into_inner();
        Ok((page.lines, page.next_page_token))
    })
    .await
}
