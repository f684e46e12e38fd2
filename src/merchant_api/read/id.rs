//! Ids of payments.

use crate::grpc::violations::{Findings, length_of};
use crate::payment::ids::PaymentId;

/// Reads a payment id.
pub(crate) fn payment_id(findings: &mut Findings, text: &str) -> Option<PaymentId> {
    if !findings.no_clear_card("payment_id", text) {
        return None;
    }
    let read = text.parse().map_err(|_| length_of(text));
    findings.keep("payment_id", "\"pay_\" and 26 characters", read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::testing::violated_fields;
    use crate::grpc::violations::InvalidRequest;
    use crate::payment::moment::UnixMillis;

    #[test]
    fn payment_ids_are_read() {
        let read = |text: &str| {
            let mut findings = Findings::default();
            let read = payment_id(&mut findings, text);
            findings.finish(read)
        };
        let id = PaymentId::from_parts(UnixMillis::new(1_763_757_000_000), [9; 10]);
        assert_eq!(read(&id.to_string()), Ok(id));
        for text in ["", "pay_1", "op_06e9x3w8k1z7h4n2m5q0r8t6va"] {
            assert_eq!(violated_fields(read(text).unwrap_err()), ["payment_id"]);
        }
        assert_eq!(
            read("4242424242424242"),
            Err(InvalidRequest::ClearCard(vec!["payment_id"]))
        );
    }
}
