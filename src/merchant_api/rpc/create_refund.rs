//! CreateRefund: gives back all or part of what was captured.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::perform::{Performer, failure, not_readable};
use crate::config::environment::Environment;
use crate::flows::refund::Refund;
use crate::grpc::body_hash::body_hash;
use crate::grpc::status;
use crate::grpc::text::REQUEST_ID;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::read::id::{optional_capture_id, payment_id};
use crate::merchant_api::read::money::optional_amount;
use crate::merchant_api::read::text::REFERENCE;
use crate::merchant_api::show::refund::refund;
use crate::merchant_api::show::refusal::later_refusal;
use crate::merchant_api::transport::gate;
use crate::merchant_api::transport::trailers::BankTime;
use crate::operations::call::Call;
use crate::operations::giving_back::CreateRefund;
use crate::payment::ids::SubjectId;
use crate::payment::merchant::Merchant;
use crate::store::Store;

/// Answers the call.
pub(super) async fn call(
    refunds: &Performer<Refund>,
    store: &Store,
    environment: Environment,
    request: Request<pb::CreateRefundRequest>,
) -> Result<Response<pb::CreateRefundResponse>, Status> {
    let received_at = gate::received_at(&request);
    let merchant = gate::caller(&request)?;
    let merchant_id = merchant.id;
    let (call, command) =
        read(request.into_inner(), merchant, received_at).map_err(status::of_invalid_request)?;
    let concluded = refunds.perform(call, command).await.map_err(|failed| {
        failure(&failed, environment, &merchant_id, |refusal, _, _| {
            later_refusal(refusal)
        })
    })?;
    let operation = concluded.operation;
    let found = match operation.subject_id {
        Some(SubjectId::Refund(id)) => store.refund(&merchant_id, id).await,
        _ => Ok(None),
    };
    let found = found.map_err(|error| not_readable(&error))?;
    // As it was when this request was answered first.
    let shown = found.map(|(found, _)| refund(found, &operation));
    let mut response = Response::new(pb::CreateRefundResponse { refund: shown });
    let bank = Duration::from_micros(concluded.bank_us);
    response.extensions_mut().insert(BankTime(bank));
    Ok(response)
}

fn read(
    request: pb::CreateRefundRequest,
    merchant: Arc<Merchant>,
    received_at: Instant,
) -> Result<(Call, CreateRefund), InvalidRequest> {
    let body_hash = body_hash(&request);
    let mut findings = Findings::default();
    let found = &mut findings;
    let request_id = REQUEST_ID.read(found, "request_id", request.request_id);
    let payment_id = payment_id(found, &request.payment_id);
    let amount = optional_amount(found, request.amount);
    let capture_id = optional_capture_id(found, &request.capture_id);
    let merchant_reference =
        REFERENCE.read_optional(found, "merchant_reference", request.merchant_reference);
    let read = (|| {
        let call = Call {
            merchant,
            request_id: request_id?,
            body_hash,
            received_at,
        };
        let command = CreateRefund {
            payment_id: payment_id?,
            amount: amount?,
            capture_id: capture_id?,
            merchant_reference: merchant_reference?,
        };
        Some((call, command))
    })();
    findings.finish(read)
}
