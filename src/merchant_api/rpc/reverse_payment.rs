//! ReversePayment: voids what is held, or refunds what was captured and releases the rest.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::perform::{Performer, failure, not_readable};
use super::views::PaymentViews;
use crate::config::environment::Environment;
use crate::flows::reverse::{Reverse, ReversePayment};
use crate::grpc::body_hash::body_hash;
use crate::grpc::status;
use crate::grpc::text::REQUEST_ID;
use crate::grpc::violations::{Findings, InvalidRequest};
use crate::merchant_api::pb;
use crate::merchant_api::read::id::payment_id;
use crate::merchant_api::show::operation::operation;
use crate::merchant_api::show::refund::refund;
use crate::merchant_api::show::refusal::later_refusal;
use crate::merchant_api::transport::gate;
use crate::merchant_api::transport::trailers::BankTime;
use crate::operations::call::{Call, Concluded};
use crate::payment::ids::SubjectId;
use crate::payment::merchant::Merchant;
use crate::payment::record::Operation;
use crate::store::error::StoreError;

/// Answers the call.
pub(super) async fn call(
    reverses: &Performer<Reverse>,
    views: &PaymentViews,
    environment: Environment,
    request: Request<pb::ReversePaymentRequest>,
) -> Result<Response<pb::ReversePaymentResponse>, Status> {
    let received_at = gate::received_at(&request);
    let merchant = gate::caller(&request)?;
    let merchant_id = merchant.id;
    let (call, command) =
        read(request.into_inner(), merchant, received_at).map_err(status::of_invalid_request)?;
    let concluded = reverses.perform(call, command).await.map_err(|failed| {
        failure(&failed, environment, &merchant_id, |refusal, _, _| {
            later_refusal(refusal)
        })
    })?;
    let bank = Duration::from_micros(concluded.bank_us);
    let answer = answer(views, concluded).await;
    let mut response = Response::new(answer.map_err(|error| not_readable(&error))?);
    response.extensions_mut().insert(BankTime(bank));
    Ok(response)
}

/// What was done. A refund has beside it the release that was recorded in the same commit.
async fn answer(
    views: &PaymentViews,
    concluded: Concluded,
) -> Result<pb::ReversePaymentResponse, StoreError> {
    let Concluded {
        payment,
        operation: done,
        ..
    } = concluded;
    let refunded = match done.subject_id {
        Some(SubjectId::Refund(id)) => views.store.refund(&payment.merchant_id, id).await?,
        _ => None,
    };
    let (given_up, refunds) = match refunded {
        None => (Some(*done), Vec::new()),
        Some((found, _)) => {
            let releases = views
                .store
                .releases_of(std::slice::from_ref(&*payment))
                .await?;
            let beside = |release: &Operation| release.created_at == done.created_at;
            let release = releases.into_iter().find(beside);
            // As it was when this request was answered first.
            (release, vec![refund(found, &done)])
        }
    };
    Ok(pb::ReversePaymentResponse {
        payment: views.of(vec![*payment]).await?.pop(),
        void: given_up.map(|given_up| operation(given_up, None)),
        refunds,
    })
}

fn read(
    request: pb::ReversePaymentRequest,
    merchant: Arc<Merchant>,
    received_at: Instant,
) -> Result<(Call, ReversePayment), InvalidRequest> {
    let body_hash = body_hash(&request);
    let mut findings = Findings::default();
    let found = &mut findings;
    let request_id = REQUEST_ID.read(found, "request_id", request.request_id);
    let payment_id = payment_id(found, &request.payment_id);
    let read = (|| {
        let call = Call {
            merchant,
            request_id: request_id?,
            body_hash,
            received_at,
        };
        let command = ReversePayment {
            payment_id: payment_id?,
        };
        Some((call, command))
    })();
    findings.finish(read)
}
