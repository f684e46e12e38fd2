//! WriteStatement: the statement of a merchant, as a file in parts.

use std::pin::Pin;

use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::admin_api::read::{currency, date, merchant_id};
use crate::admin_api::show::errors::Refusal;
use crate::admin_api::{gate, pb};
use crate::grpc::status::of_invalid_request;
use crate::grpc::violations::Findings;
use crate::settlement::statement::Period;
use crate::settlement::statement::pdf::PdfError;
use crate::settlement::statements::{Format, StatementError, statement_of, written};
use crate::store::Store;
use crate::store::records::callers::OperatorRole;

/// The bytes of a part.
const PART_BYTES: usize = 64 * 1024;

/// The file, part by part.
pub(super) type Parts =
    Pin<Box<dyn Stream<Item = Result<pb::WriteStatementResponse, Status>> + Send>>;

/// Answers the call.
pub(super) async fn call(
    store: &Store,
    request: &Request<pb::WriteStatementRequest>,
) -> Result<Response<Parts>, Status> {
    gate::caller(request, OperatorRole::Viewer)?;
    let request = request.get_ref();
    let mut findings = Findings::default();
    let merchant = merchant_id(&mut findings, &request.merchant_id);
    let currency = currency(&mut findings, &request.currency);
    let first = date(&mut findings, "first_date", &request.first_date);
    let last = date(&mut findings, "last_date", &request.last_date);
    let period = first.zip(last).and_then(|(first, last)| {
        let period = Period::new(first, last);
        findings.keep("last_date", "a day not before first_date", period)
    });
    let format = match request.format() {
        pb::StatementFormat::Csv => Some(Format::Csv),
        pb::StatementFormat::Pdf => Some(Format::Pdf),
        pb::StatementFormat::Unspecified => {
            findings.add("format", "csv or pdf", "none");
            None
        }
    };
    let read = merchant.zip(currency).zip(period).zip(format);
    let (((merchant, currency), period), format) =
        findings.finish(read).map_err(of_invalid_request)?;
    let file = async {
        let statement = statement_of(store, &merchant, currency, period).await?;
        written(statement, format).await
    };
    let file = Box::pin(file).await;
    let file = file.map_err(|error| match error {
        StatementError::NoMerchant(_) => Refusal::MerchantNotFound.status(),
        StatementError::TooLong | StatementError::Pdf(PdfError::TooManyLines { .. }) => {
            Refusal::StatementTooLong.status()
        }
        error => Refusal::not_done(&error).status(),
    })?;
    let parts: Vec<Result<pb::WriteStatementResponse, Status>> = file
        .chunks(PART_BYTES)
        .map(|part| {
            Ok(pb::WriteStatementResponse {
                data: part.to_vec(),
            })
        })
        .collect();
    Ok(Response::new(Box::pin(tokio_stream::iter(parts))))
}
