//! `payswitch reconcile`: shows what banks have otherwise, why, and what is done about it; takes in statements of bank
//! accounts.

mod statements;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::error::CommandError;
use super::operators_door::{OperatorsDoor, Why, moment, pages, told};
use super::output::{amount, print_line, table};
use super::runtime::runtime;
use crate::admin_api::pb;
use crate::admin_api::pb::reconciliation_admin_service_client::ReconciliationAdminServiceClient;
use pb::resolve_discrepancy_request::Step;

/// What `payswitch reconcile` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch reconcile list\n  \
    payswitch reconcile list --host acquirer --date 2026-11-27 --all --json\n  \
    payswitch reconcile show dis_06e9x3w8k1z7h4n2m5q0r8t6va\n  \
    payswitch reconcile correct dis_06e9x3w8k1z7h4n2m5q0r8t6va --bears house --reason 'rounded by the bank, ticket 12'\n  \
    payswitch reconcile match dis_06e9x3w8k1z7h4n2m5q0r8t6va cap_06e9x3w8k1z7h4n2m5q0r8t6vb --reason 'same receipt'\n  \
    payswitch reconcile lines imp_06e9x3w8k1z7h4n2m5q0r8t6va --limit 20\n  \
    payswitch reconcile statement main camt053.xml --reason 'the statement of Friday'\n  \
    payswitch reconcile statement-lines main --open\n  \
    payswitch reconcile match-line bln_06e9x3w8k1z7h4n2m5q0r8t6va acquirer/2026-11-27/EUR --reason 'told by telephone'\n\n\
    A discrepancy is what a bank's report (payswitch settle import) has otherwise. It ends ACCEPTED, or CORRECTED by a\n\
    journal. What is about more than reconciliation.alone_minor of the configuration is PROPOSED first, and takes\n\
    another operator, who is an approver: payswitch reconcile approve. Reopening one undoes its correction.\n\n\
    The accounts of statements are those of [reconciliation.accounts] in the gateway's configuration. Of a file with a\n\
    fault nothing counts. The same file again adds nothing, and looks once more at the lines that are not matched.\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage.")]
pub struct ReconcileArgs {
    #[command(flatten)]
    door: OperatorsDoor,
    /// Print JSON, a line for each thing.
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
        /// The import: payswitch settle import prints it.
        import: String,
        /// The most lines.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Give it to an operator.
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
        /// Who gets what the acquirer owes more, or bears what it owes less.
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
    /// Say which capture or refund its line is about.
    Match {
        /// The discrepancy.
        discrepancy: String,
        /// The capture or refund.
        subject: String,
        #[command(flatten)]
        why: Why,
    },
    /// Open it again, and undo what has corrected it.
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

type Client = ReconciliationAdminServiceClient<Channel>;

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
                kind,
                all,
                limit,
            } => {
                let asked = pb::ListDiscrepanciesRequest {
                    host_id: host,
                    business_date: date,
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

/// What one side has: an amount as people write it, or what it is.
fn side(found: &pb::Discrepancy, value: &str) -> String {
    value
        .parse()
        .map_or_else(|_| value.to_owned(), |minor| amount(minor, &found.currency))
}

fn show_list(found: &[pb::Discrepancy], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        for one in found {
            print_line!("{}", as_value(one)?)?;
        }
        return Ok(());
    }
    let mut table = table(&[
        "discrepancy",
        "date",
        "merchant",
        "kind",
        "ours",
        "the bank's",
        "currency",
        "line",
        "state",
        "owner",
        "due",
    ]);
    for one in found {
        let line = match one.line {
            0 => String::new(),
            line => line.to_string(),
        };
        table.add_row([
            one.discrepancy_id.clone(),
            one.business_date.clone(),
            one.merchant_id.clone(),
            one.kind.clone(),
            side(one, &one.ours),
            side(one, &one.theirs),
            one.currency.clone(),
            line,
            one.state.clone(),
            one.owner.clone(),
            moment(one.due_time)?,
        ]);
    }
    print_line!("{table}")?;
    Ok(())
}

fn show_all(found: Option<pb::Discrepancy>, as_json: bool) -> Result<(), CommandError> {
    let Some(one) = found else {
        return Err("the gateway did not say what became of it".into());
    };
    if as_json {
        return Ok(print_line!("{}", as_value(&one)?)?);
    }
    show_list(std::slice::from_ref(&one), false)?;
    for (what, value) in [
        ("of", &one.subject_id),
        ("with the RRN", &one.item_rrn),
        ("found by the rule", &one.rule),
        ("proposal", &one.proposal),
        ("corrected by the journal", &one.correction_id),
        ("file", &one.file),
    ] {
        if !value.is_empty() {
            print_line!("{what:<26}{value}")?;
        }
    }
    for like in &one.candidates {
        print_line!("{:<26}{like}", "may be")?;
    }
    for (name, value) in &one.line_fields {
        print_line!("  the line says {name:<22}{value}")?;
    }
    for done in &one.history {
        print_line!(
            "{} {:<11} {}: {}",
            moment(done.time)?,
            done.state,
            done.actor,
            done.reason
        )?;
    }
    Ok(())
}

fn as_value(one: &pb::Discrepancy) -> Result<Value, CommandError> {
    let has_amounts = !matches!(
        one.kind.as_str(),
        "CURRENCY_DIFFERS" | "DATE_DIFFERS" | "LATE_PRESENTMENT" | "REFERENCE_DIFFERS"
    );
    let minor = |value: &str| value.parse::<i64>().ok().filter(|_| has_amounts);
    let history: Result<Vec<Value>, CommandError> = (one.history.iter())
        .map(|done| {
            Ok(json!({
                "time": moment(done.time)?, "state": done.state, "actor": done.actor, "reason": done.reason,
            }))
        })
        .collect();
    let text = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    let like = one
        .candidates
        .iter()
        .filter_map(|like| like.split_once(':'));
    let (subjects, rrns): (Vec<&str>, Vec<&str>) = like.unzip();
    Ok(json!({
        "discrepancy_id": one.discrepancy_id,
        "import_id": one.import_id,
        "host_id": one.host_id,
        "business_date": one.business_date,
        "merchant_id": one.merchant_id,
        "kind": one.kind,
        "state": one.state,
        "currency": one.currency,
        "subject_id": one.subject_id,
        "rrn": text(&one.item_rrn),
        "line_rrn": text(&one.rrn),
        "ours": one.ours,
        "theirs": one.theirs,
        "own_minor": minor(&one.ours),
        "bank_minor": minor(&one.theirs).filter(|_| one.kind != "OUTCOME_DIFFERS"),
        "line": Some(one.line).filter(|line| *line > 0),
        "file": one.file,
        "line_fields": one.line_fields,
        "rule": one.rule,
        "candidates": rrns,
        "candidate_ids": subjects,
        "owner": one.owner,
        "proposal": one.proposal,
        "correction_id": one.correction_id,
        "create_time": moment(one.create_time)?,
        "due_time": moment(one.due_time)?,
        "history": history?,
    }))
}

fn show_lines(found: &[pb::ReportLine], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        for one in found {
            let shown = json!({
                "line": one.line, "state": one.state, "rule": one.rule, "subject_id": one.subject_id,
                "rrn": Some(&one.item_rrn).filter(|rrn| !rrn.is_empty()), "fields": one.fields,
            });
            print_line!("{shown}")?;
        }
        return Ok(());
    }
    let mut table = table(&[
        "line", "state", "rule", "about", "its RRN", "RRN", "amount", "currency",
    ]);
    for one in found {
        let field = |name: &str| one.fields.get(name).cloned().unwrap_or_default();
        let currency = field("currency");
        let minor = field("gross_minor").parse().unwrap_or(0);
        table.add_row([
            one.line.to_string(),
            one.state.clone(),
            one.rule.clone(),
            one.subject_id.clone(),
            one.item_rrn.clone(),
            field("rrn"),
            amount(minor, &currency),
            currency,
        ]);
    }
    print_line!("{table}")?;
    Ok(())
}
