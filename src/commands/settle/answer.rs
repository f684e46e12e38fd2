//! `payswitch settle answer`: what a host answers to a clearing file.

use std::path::Path;
use std::process::ExitCode;

use pb::take_clearing_answer_request::Part;
use serde_json::json;
use tonic::transport::Channel;

use super::files::{answered, rows};
use crate::admin_api::pb;
use crate::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use crate::commands::error::CommandError;
use crate::commands::operators_door::Why;
use crate::commands::output::{amount, print_line};
use crate::commands::sent_file::SentFile;

/// Sends an answer, and shows what it says. It has failed where the host has not taken what its file claims.
///
/// # Errors
/// When the file can't be read, or the gateway can't be reached, or refuses.
pub(super) async fn take(
    client: &mut SettlementAdminServiceClient<Channel>,
    host_id: String,
    path: &Path,
    why: Why,
    as_json: bool,
) -> Result<ExitCode, CommandError> {
    let file = SentFile::at(path);
    let first = pb::AnswerFile {
        request_id: why.request_id()?,
        reason: why.reason,
        host_id,
        name: file.name(),
        sha256: file.sha256()?,
    };
    let first = pb::TakeClearingAnswerRequest {
        part: Some(Part::File(first)),
    };
    let chunk = |bytes| pb::TakeClearingAnswerRequest {
        part: Some(Part::Chunk(bytes)),
    };
    let call = async |parts| client.take_clearing_answer(parts).await;
    let taken = file.send(first, chunk, call).await?;
    let file = taken.settlement_file.unwrap_or_default();
    let answer = file.answer.clone().unwrap_or_default();
    let date = &taken.business_date;
    if as_json {
        let file = rows(std::slice::from_ref(&file))?.pop();
        print_line!(
            "{:#}",
            json!({
                "business_date": date,
                "was_there": taken.was_there,
                "settlement_file": file,
            })
        )?;
    } else {
        let before = if taken.was_there { "was before" } else { "is" };
        print_line!("{} of {date} {before} {}", file.name, answered(&file))?;
        if !answer.agrees {
            for it in &answer.taken {
                print_line!(
                    "taken of {}: {} items, {} {}",
                    it.transaction_code,
                    it.item_count,
                    amount(it.sum_minor, &it.currency),
                    it.currency
                )?;
            }
        }
        for it in &answer.rejections {
            let rrn = match it.rrn.as_str() {
                "" => String::new(),
                rrn => format!("RRN {rrn}: "),
            };
            print_line!("{rrn}{} {:?}: {}", it.field, it.value, it.error)?;
        }
    }
    Ok(match answer.agrees {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
