//! Ids of payments.

use super::violations::{Findings, InvalidRequest, length_of};
use crate::payment::ids::PaymentId;

/// Reads a payment id.
pub(crate) fn payment_id(text: &str) -> Result<PaymentId, InvalidRequest> {
    let mut findings = Findings::default();
    let read = if findings.no_clear_card("payment_id", text) {
        let read = text.parse().map_err(|_| length_of(text));
        findings.keep("payment_id", "\"pay_\" and 26 characters", read)
    } else {
        None
    };
    findings.finish(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merchant_api::testing::violated_fields;
    use crate::payment::moment::UnixMillis;

    #[test]
    fn payment_ids_are_read() {
        let id = PaymentId::from_parts(UnixMillis::new(1_763_757_000_000), [9; 10]);
        assert_eq!(payment_id(&id.to_string()), Ok(id));
        for text in ["", "pay_1", "op_06e9x3w8k1z7h4n2m5q0r8t6va"] {
            let found = violated_fields(payment_id(text).unwrap_err());
            assert_eq!(found, ["payment_id"]);
        }
    }
}
