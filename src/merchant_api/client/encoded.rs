//! The calls of `payswitch load`: requests are encoded ahead, and of an answer only what is counted
//! is read, so that the client takes little of the machine that it shares with what it measures.

use std::marker::PhantomData;

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

/// AuthorizePayment.
pub const AUTHORIZE_PAYMENT: &str = "/payswitch.v1.PaymentService/AuthorizePayment";
/// CapturePayment.
pub const CAPTURE_PAYMENT: &str = "/payswitch.v1.PaymentService/CapturePayment";
/// VoidPayment.
pub const VOID_PAYMENT: &str = "/payswitch.v1.PaymentService/VoidPayment";
/// CreateRefund.
pub const CREATE_REFUND: &str = "/payswitch.v1.RefundService/CreateRefund";

/// A request, encoded.
#[derive(Debug, Clone)]
pub struct EncodedRequest(Bytes);

impl EncodedRequest {
    /// Encodes it.
    #[must_use]
    pub fn new(request: &impl Message) -> Self {
        Self(request.encode_to_vec().into())
    }
}

/// What is counted of an AuthorizePaymentResponse, a CapturePaymentResponse or a VoidPaymentResponse; the numbers are
/// those of these messages.
#[derive(Clone, PartialEq, Message)]
pub struct Answer {
    /// The payment.
    #[prost(message, optional, tag = "1")]
    pub payment: Option<Ended>,
}

/// What is counted of a Payment; the numbers are that message's.
#[derive(Clone, PartialEq, Message)]
pub struct Ended {
    /// Its id.
    #[prost(string, tag = "1")]
    pub payment_id: String,
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

/// What is counted of a CreateRefundResponse; the numbers are that message's.
#[derive(Clone, PartialEq, Message)]
pub struct RefundAnswer {
    /// The refund.
    #[prost(message, optional, tag = "1")]
    pub refund: Option<EndedRefund>,
}

/// What is counted of a Refund; the numbers are that message's.
#[derive(Clone, PartialEq, Message)]
pub struct EndedRefund {
    /// Its state, a [`pb::RefundState`].
    #[prost(enumeration = "pb::RefundState", tag = "5")]
    pub state: i32,
    /// Why it was declined.
    #[prost(message, optional, tag = "6")]
    pub decline: Option<pb::Decline>,
    /// Why it failed.
    #[prost(message, optional, tag = "7")]
    pub failure: Option<pb::Failure>,
    /// Why its outcome is not known.
    #[prost(message, optional, tag = "8")]
    pub pending: Option<pb::Pending>,
}

/// Makes a call.
///
/// # Errors
/// What the gateway or the connection says.
pub async fn call<A: Message + Default + 'static>(
    service: &mut Grpc<InterceptedService<Channel, ApiKey>>,
    path: &'static str,
    request: EncodedRequest,
) -> Result<Response<A>, Status> {
    service
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static(path);
    let wire = Wire(PhantomData);
    service.unary(Request::new(request), path, wire).await
}

/// Puts an encoded request on the wire, and takes an answer off it.
#[derive(Debug)]
struct Wire<A>(PhantomData<fn() -> A>);

impl<A: Message + Default + 'static> Codec for Wire<A> {
    type Encode = EncodedRequest;
    type Decode = A;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(PhantomData)
    }

    fn decoder(&mut self) -> Self {
        Self(PhantomData)
    }
}

impl<A> Encoder for Wire<A> {
    type Item = EncodedRequest;
    type Error = Status;

    fn encode(&mut self, request: EncodedRequest, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(request.0);
        Ok(())
    }
}

impl<A: Message + Default> Decoder for Wire<A> {
    type Item = A;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<A>, Status> {
        A::decode(from)
            .map(Some)
            .map_err(|error| Status::internal(format!("the answer can't be read: {error}")))
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
            payment_id: "pay_1".into(),
            state: pb::PaymentState::Declined.into(),
            decline: Some(decline.clone()),
            failure: Some(failure.clone()),
            pending: Some(pending.clone()),
        };
        assert_eq!(read.payment, Some(expected));

        let whole = pb::CreateRefundResponse {
            refund: Some(pb::Refund {
                refund_id: "ref_1".into(),
                state: pb::RefundState::Declined.into(),
                decline: Some(decline.clone()),
                failure: Some(failure.clone()),
                pending: Some(pending.clone()),
                ..pb::Refund::default()
            }),
        };
        let read = RefundAnswer::decode(whole.encode_to_vec().as_slice()).unwrap();
        let expected = EndedRefund {
            state: pb::RefundState::Declined.into(),
            decline: Some(decline),
            failure: Some(failure),
            pending: Some(pending),
        };
        assert_eq!(read.refund, Some(expected));
    }
}
