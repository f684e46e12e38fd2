//! `bank-sim cutover`: ends the day of banks that run.

use std::error::Error;

use bank_sim::control::pb;

use crate::ask::{Asked, ask, print};

/// The arguments of `cutover`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    bank-sim cutover\n  \
    bank-sim cutover acquirer --date 2026-12-01")]
pub(crate) struct Cutover {
    /// The acquirer; the only one unless it is named.
    #[arg(default_value = "", hide_default_value = true)]
    host: String,
    /// The date to move on to; the following day unless it is given.
    #[arg(
        long,
        value_name = "YYYY-MM-DD",
        default_value = "",
        hide_default_value = true
    )]
    date: String,
    #[command(flatten)]
    asked: Asked,
}

pub(crate) fn cutover(arguments: &Cutover) -> Result<(), Box<dyn Error>> {
    let request = pb::CutoverRequest {
        host: arguments.host.clone(),
        next_date: arguments.date.clone(),
    };
    let answer = ask(&arguments.asked, async |mut client| {
        client.cutover(request).await
    })?;
    let date = &answer.business_date;
    let mut rows: Vec<_> = answer
        .lines
        .iter()
        .map(|line| {
            let said = match line.outcome() {
                pb::LineOutcome::Answered => line.response_code.as_str(),
                pb::LineOutcome::Ended => "line ended",
                pb::LineOutcome::Silent | pb::LineOutcome::Unspecified => "no answer",
            };
            [date.clone(), line.peer.clone(), said.to_owned()]
        })
        .collect();
    if rows.is_empty() {
        rows.push([date.clone(), String::new(), "no line".to_owned()]);
    }
    print(
        &arguments.asked,
        (["business_date", "line", "answer"], rows),
    )
}
