//! AuthorizePayment for `payswitch load`: requests are encoded ahead, and of an answer only what is counted
//! is read, so that the client takes little of the machine that it shares with what it measures.

use bytes::{BufMut as _, Bytes};
use http::uri::PathAndQuery;
use prost::Message;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::ApiKey;
use crate::merchant_api::pb;

/// The call that is made.
const AUTHORIZE_PAYMENT: &str = "/payswitch.v1.PaymentService/AuthorizePayment";

/// A request to authorize a payment, encoded.
#[derive(Debug)]
pub struct EncodedRequest(Bytes);

impl EncodedRequest {
    /// Encodes it.
    #[must_use]
    pub fn new(request: &pb::AuthorizePaymentRequest) -> Self {
        Self(request.encode_to_vec().into())
    }
}

/// What is counted of an AuthorizePaymentResponse; the numbers are that message's.
#[derive(Clone, PartialEq, Message)]
pub struct Answer {
    /// The payment.
    #[prost(message, optional, tag = "1")]
    pub payment: Option<Ended>,
}

/// What is counted of a Payment; the numbers are that message's.
#[derive(Clone, PartialEq, Message)]
pub struct Ended {
    /// Its state, a [`pb::PaymentState`].
    #[prost(enumeration = "pb::PaymentState", tag = "5")]
    pub state: i32,
    /// Why it was declined.
    #[prost(message, optional, tag = "13")]
    pub decline: Option<pb::Decline>,
    /// Why it failed.
    #[prost(message, optional, tag = "14")]
    pub failure: Option<pb::Failure>,
    /// Why its outcome is not known.
    #[prost(message, optional, tag = "15")]
    pub pending: Option<pb::Pending>,
}

/// Makes the call.
///
/// # Errors
/// What the gateway or the connection says.
pub async fn authorize(
    service: &mut Grpc<InterceptedService<Channel, ApiKey>>,
    request: EncodedRequest,
) -> Result<Response<Answer>, Status> {
    service
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static(AUTHORIZE_PAYMENT);
    service.unary(Request::new(request), path, Wire).await
}

/// Puts an encoded request on the wire, and takes an [`Answer`] off it.
#[derive(Debug, Clone, Copy, Default)]
struct Wire;

impl Codec for Wire {
    type Encode = EncodedRequest;
    type Decode = Answer;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Wire {
    type Item = EncodedRequest;
    type Error = Status;

    fn encode(&mut self, request: EncodedRequest, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(request.0);
        Ok(())
    }
}

impl Decoder for Wire {
    type Item = Answer;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Answer>, Status> {
        Answer::decode(from)
            .map(Some)
            .map_err(|error| Status::internal(format!("expected a payment in the answer: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_read_from_a_whole_answer() {
        let decline = pb::Decline {
            reason: pb::DeclineReason::LostCard.into(),
            response_code: "41".into(),
            ..pb::Decline::default()
        };
        let failure = pb::Failure {
            reason: pb::FailureReason::HostBusy.into(),
            ..pb::Failure::default()
        };
        let pending = pb::Pending {
            reason: pb::PendingReason::NoAnswerInTime.into(),
            ..pb::Pending::default()
        };
        let payment = pb::Payment {
            payment_id: "pay_1".into(),
            state: pb::PaymentState::Declined.into(),
            decline: Some(decline.clone()),
            failure: Some(failure.clone()),
            pending: Some(pending.clone()),
            merchant_reference: "order-1042".into(),
            ..pb::Payment::default()
        };
        let whole = pb::AuthorizePaymentResponse {
            payment: Some(Box::new(payment)),
        };
        let read = Answer::decode(whole.encode_to_vec().as_slice()).unwrap();
        let expected = Ended {
            state: pb::PaymentState::Declined.into(),
            decline: Some(decline),
            failure: Some(failure),
            pending: Some(pending),
        };
        assert_eq!(read.payment, Some(expected));
    }
}
