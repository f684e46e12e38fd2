//! Where the card of a request comes from.

use super::text::is_shaped_like_jwe;
use crate::grpc::text::Shape;
use crate::grpc::violations::Findings;
use crate::merchant_api::pb::authorize_payment_request::PaymentMethod as PbPaymentMethod;
use crate::operations::new_card::PaymentMethod;

const PAYMENT_METHOD_TOKEN: Shape = Shape {
    min: 1,
    max: 64,
    allows: |c| c.is_ascii_alphanumeric() || c == '_',
    expected: "1 to 64 characters of A-Z a-z 0-9 _",
};

/// Reads where the card comes from.
pub(crate) fn payment_method(
    findings: &mut Findings,
    method: Option<PbPaymentMethod>,
) -> Option<PaymentMethod> {
    match method {
        None => {
            findings.add(
                "payment_method",
                "either sealed_card or payment_method_token",
                "neither",
            );
            None
        }
        Some(PbPaymentMethod::SealedCard(jwe)) => {
            // Only something else than an envelope can hold a card number in clear.
            (is_shaped_like_jwe(&jwe) || findings.no_clear_card("sealed_card", &jwe))
                .then_some(PaymentMethod::SealedCard(jwe.into()))
        }
        Some(PbPaymentMethod::PaymentMethodToken(token)) => PAYMENT_METHOD_TOKEN
            .read(findings, "payment_method_token", token)
            .map(PaymentMethod::TestToken),
    }
}
