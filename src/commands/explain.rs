//! `payswitch explain`: everything that is recorded of one payment, in the order in which things happened.

use std::process::ExitCode;

use clap::Args;
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table};
use prost_types::Timestamp;
use serde_json::{Value, json};

use super::error::CommandError;
use super::moment::millisecond;
use super::operators_door::{OperatorsDoor, moment, short, told};
use super::output::{print_line, table};
use super::runtime::runtime;
use crate::admin_api::pb;
use crate::admin_api::pb::explain_service_client::ExplainServiceClient;
use crate::payment::moment::{UnixMillis, span};
use crate::payment::money::Money;

/// Exit code where several payments fit.
const SEVERAL: u8 = 3;

/// What `payswitch explain` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch explain pay_06e9x3w8k1z7h4n2m5q0r8t6va\n  \
    payswitch explain 633200000012 --messages\n  \
    payswitch explain order-17 --merchant demo-shop\n  \
    payswitch explain refund-4 --merchant demo-shop --method CreateRefund --json\n\n\
    Card numbers are masked as everywhere; what a message held of the card is not shown at all. The elements of a message\n\
    that was sent once are not kept: they are shown as the host's profile would build them now.\n\n\
    Exit codes: 0 explained, 1 failed or no such payment, 2 wrong usage, 3 several payments fit: they are listed.")]
pub struct ExplainArgs {
    /// An id of the payment, or of an operation, capture, refund or verification of it; an RRN; or, with --merchant,
    /// the merchant's reference or the request_id of one of its requests.
    subject: String,
    /// The merchant.
    #[arg(
        long,
        value_name = "MERCHANT",
        default_value = "",
        hide_default_value = true
    )]
    merchant: String,
    /// The RPC whose request_id it is, such as CapturePayment.
    #[arg(
        long,
        value_name = "RPC",
        default_value = "",
        hide_default_value = true
    )]
    method: String,
    /// Show what is known of each message, too.
    #[arg(long)]
    messages: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: OperatorsDoor,
}

/// Does what was asked.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub fn run(arguments: ExplainArgs) -> Result<ExitCode, CommandError> {
    let response = runtime()?.block_on(async {
        let mut client = ExplainServiceClient::new(arguments.door.connect().await?);
        let request = pb::ExplainPaymentRequest {
            subject: arguments.subject,
            merchant_id: arguments.merchant,
            method: arguments.method,
        };
        let answer = client.explain_payment(request).await.map_err(told)?;
        Ok::<_, CommandError>(answer.into_inner())
    })?;
    match &response.explanation {
        Some(explanation) if arguments.json => {
            print_line!("{:#}", json!({ "explanation": as_json(explanation)? }))?;
        }
        Some(explanation) => show(explanation, arguments.messages)?,
        None => {
            list(&response.candidates, arguments.json)?;
            return Ok(ExitCode::from(SEVERAL));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn at(time: Option<Timestamp>) -> UnixMillis {
    let time = time.unwrap_or_default();
    let millis = time.seconds.saturating_mul(1000);
    UnixMillis::new(millis.saturating_add(i64::from(time.nanos) / 1_000_000))
}

fn amount(payment: &pb::ExplainedPayment) -> Result<Money, CommandError> {
    Ok(Money::new(payment.amount_minor, payment.currency.parse()?)?)
}

fn kind(entry: &pb::ExplanationEntry) -> &'static str {
    short(entry.kind().as_str_name(), "EXPLANATION_KIND_")
}

fn list(candidates: &[pb::ExplainedPayment], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        let rows: Result<Vec<Value>, _> = candidates.iter().map(payment_as_json).collect();
        return print_line!("{:#}", json!({ "candidates": rows? }));
    }
    print_line!("Several payments fit. Explain one of them by its id:\n")?;
    let mut shown = table(&[
        "payment",
        "merchant",
        "reference",
        "amount",
        "card",
        "state",
        "made",
        "found by",
    ]);
    for payment in candidates {
        shown.add_row([
            payment.payment_id.as_str(),
            &payment.merchant_id,
            &payment.merchant_reference,
            &amount(payment)?.to_string(),
            &payment.card_masked,
            &payment.state,
            &moment(payment.create_time)?,
            &payment.found_by,
        ]);
    }
    print_line!("{shown}")
}

fn show(explanation: &pb::PaymentExplanation, with_messages: bool) -> Result<(), CommandError> {
    let now = at(explanation.time);
    if let Some(payment) = &explanation.payment {
        let made = at(payment.create_time);
        print_line!(
            "{} of {}, reference {}\n{} on card {}, made {}, {} ago; found by {}\n",
            payment.payment_id,
            payment.merchant_id,
            payment.merchant_reference,
            amount(payment)?,
            payment.card_masked,
            made.to_second(),
            span(now.as_i64() - made.as_i64()),
            payment.found_by,
        )?;
    }
    for (heading, sentences) in [
        ("Where it stands", &explanation.stands),
        ("What comes next", &explanation.next),
    ] {
        print_line!("{heading}")?;
        for sentence in sentences {
            print_line!("  {sentence}")?;
        }
        print_line!("")?;
    }
    if explanation.entries_left_out > 0 {
        print_line!(
            "{} entries before these are left out.",
            explanation.entries_left_out
        )?;
    }
    // Without the blanks that fill the last column.
    for line in timeline(&explanation.entries, with_messages)?.lines() {
        print_line!("{}", line.trim_end())?;
    }
    Ok(())
}

/// A line for each entry, and one for each day before its first.
fn timeline(entries: &[pb::ExplanationEntry], with_messages: bool) -> Result<Table, CommandError> {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    let first = entries
        .first()
        .map_or(UnixMillis::new(0), |entry| at(entry.time));
    let mut day = String::new();
    for entry in entries {
        let time = at(entry.time);
        let written = millisecond(time)?;
        let (date, clock) = written.split_once('T').unwrap_or_default();
        if date != day {
            date.clone_into(&mut day);
            table.add_row([&format!("{date} UTC"), "", "", ""]);
        }
        let after = format!("+{}", span(time.as_i64() - first.as_i64()));
        let kind_name = kind(entry).to_lowercase().replace('_', " ");
        let kind_cell = Cell::new(kind_name);
        use pb::ExplanationKind as Kind;
        let kind_cell = match entry.kind() {
            Kind::Payment => kind_cell.fg(Color::Green),
            Kind::End | Kind::LateResponse | Kind::Quarantine => kind_cell.fg(Color::Yellow),
            Kind::Operator => kind_cell.fg(Color::Magenta),
            _ => kind_cell,
        };
        let text = match entry.position {
            0 => entry.text.clone(),
            position => format!("{} [{position}]", entry.text),
        };
        table.add_row([
            Cell::new(clock.trim_end_matches('Z')),
            Cell::new(after).set_alignment(CellAlignment::Right),
            kind_cell,
            Cell::new(text),
        ]);
        for element in entry.elements.iter().filter(|_| with_messages) {
            let pb::ExplanationElement {
                number,
                name,
                value_masked,
            } = element;
            let text = format!("  {number:<6} {name:<42} {value_masked}");
            table.add_row(["", "", "", &text]);
        }
    }
    Ok(table)
}

fn payment_as_json(payment: &pb::ExplainedPayment) -> Result<Value, CommandError> {
    Ok(json!({
        "payment_id": payment.payment_id,
        "merchant_id": payment.merchant_id,
        "merchant_reference": payment.merchant_reference,
        "state": payment.state,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "card_masked": payment.card_masked,
        "create_time": millisecond(at(payment.create_time))?,
        "found_by": payment.found_by,
    }))
}

fn as_json(explanation: &pb::PaymentExplanation) -> Result<Value, CommandError> {
    let payment = explanation
        .payment
        .as_ref()
        .map(payment_as_json)
        .transpose()?;
    let mut entries = Vec::with_capacity(explanation.entries.len());
    for entry in &explanation.entries {
        let element = |it: &pb::ExplanationElement| json!({ "number": it.number, "name": it.name, "value_masked": it.value_masked });
        let elements: Vec<Value> = entry.elements.iter().map(element).collect();
        entries.push(json!({
            "time": millisecond(at(entry.time))?,
            "kind": kind(entry),
            "text": entry.text,
            "operation_id": entry.operation_id,
            "position": entry.position,
            "elements": elements,
        }));
    }
    Ok(json!({
        "payment": payment,
        "stands": explanation.stands,
        "next": explanation.next,
        "entries": entries,
        "entries_left_out": explanation.entries_left_out,
        "time": millisecond(at(explanation.time))?,
    }))
}
