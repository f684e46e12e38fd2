//! ReversePayment: voids what is held, or refunds what was captured and releases the rest.

use tonic::{Request, Response, Status};

use super::perform::{Performer, answered, read_call};
use super::views::PaymentViews;
use crate::flows::reverse::{Reverse, ReversePayment};
use crate::grpc::violations::Findings;
use crate::merchant_api::pb;
use crate::merchant_api::read::id::payment_id;
use crate::merchant_api::show::operation::operation;
use crate::merchant_api::show::refund::refund;
use crate::merchant_api::show::refusal::not_readable;
use crate::operations::call::Concluded;
use crate::payment::ids::SubjectId;
use crate::payment::record::Operation;
use crate::store::error::StoreError;

/// Answers the call.
pub(super) async fn call(
    reverses: &Performer<Reverse>,
    views: &PaymentViews,
    request: Request<pb::ReversePaymentRequest>,
) -> Result<Response<pb::ReversePaymentResponse>, Status> {
    let (call, command) = read_call(request, command)?;
    let concluded = reverses.perform(call, command).await?;
    let bank_us = concluded.bank_us;
    let answer = answer(views, concluded).await;
    let answer = answer.map_err(|error| not_readable(&error))?;
    Ok(answered(answer, bank_us))
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
            let release = releases.into_iter().filter(beside).min_by_key(|it| it.id);
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

fn command(found: &mut Findings, request: pb::ReversePaymentRequest) -> Option<ReversePayment> {
    let payment_id = payment_id(found, &request.payment_id)?;
    Some(ReversePayment { payment_id })
}
