//! `payswitch settle answer`: what a host answers to a clearing file.

use std::path::Path;
use std::process::ExitCode;

use iso8583::hex;
use pb::take_clearing_answer_request::Part;
use ring::digest::{SHA256, digest};
use serde_json::json;
use tonic::transport::Channel;

use super::files::{answered, rows};
use crate::admin_api::pb;
use crate::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use crate::commands::error::CommandError;
use crate::commands::operators_door::{Why, told};
use crate::commands::output::{amount, print_line};

/// The bytes of a chunk.
const CHUNK_BYTES: usize = 64 * 1024;

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
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let name = path.file_name().unwrap_or_default();
    let first = pb::AnswerFile {
        request_id: why.request_id()?,
        reason: why.reason,
        host_id,
        name: name.to_string_lossy().into_owned(),
        sha256: hex::encode_lower(digest(&SHA256, &bytes).as_ref()),
    };
    let chunks = bytes.chunks(CHUNK_BYTES);
    let chunks = chunks.map(|chunk| Part::Chunk(chunk.to_vec()));
    let parts = std::iter::once(Part::File(first)).chain(chunks);
    let parts = parts.map(|part| pb::TakeClearingAnswerRequest { part: Some(part) });
    let parts = futures_util::stream::iter(parts.collect::<Vec<_>>());
    let taken = client.take_clearing_answer(parts).await.map_err(told)?;
    let taken = taken.into_inner();
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
