//! The generated side of `proto/payswitch/v1`: messages, the server's traits and the clients.
//!
//! Generated code is included here and in `admin_api/pb.rs`. The comments on its items are those of the
//! .proto files. These types stay in [`merchant_api`](crate::merchant_api) and in its clients.
#![expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    unused_qualifications,
    reason = "the code is generated, and marks itself so"
)]

use std::fmt;

tonic::include_proto!("payswitch.v1");

/// The compiled .proto files, imports and comments included: what reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/payswitch.v1.bin"));

/// Shows the name alone: what is inside is sealed, or would be if the caller had made no mistake.
macro_rules! opaque_debug {
    ($($message:ty),+ $(,)?) => {
        $(impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($message)).finish_non_exhaustive()
            }
        })+
    };
}

opaque_debug!(
    AuthorizePaymentRequest,
    authorize_payment_request::PaymentMethod,
    VerifyCardRequest,
    verify_card_request::PaymentMethod,
    CreateCardTokenRequest,
    CreateSealingSessionRequest,
    PaymentTokenRegistration,
    CreateWebhookEndpointResponse,
    RotateWebhookSecretResponse,
);

impl Payment {
    /// The bank's audit number (DE 11); empty until the payment is routed.
    #[must_use]
    pub fn stan(&self) -> &str {
        self.authorization.as_ref().map_or("", |sent| &sent.stan)
    }

    /// The bank's retrieval reference number (DE 37); empty until the payment is routed.
    #[must_use]
    pub fn rrn(&self) -> &str {
        self.authorization.as_ref().map_or("", |sent| &sent.rrn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_a_card() {
        let request = AuthorizePaymentRequest {
            merchant_reference: "4242424242424242".into(),
            payment_method: Some(authorize_payment_request::PaymentMethod::SealedCard(
                "4242424242424242".into(),
            )),
            ..Default::default()
        };
        let shown = format!("{request:?} {:?}", request.payment_method);
        assert!(!shown.contains("4242"), "{shown}");
    }
}
