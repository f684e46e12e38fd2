//! Ids of payments, captures, refunds, batches, payouts and discrepancies.

use std::str::FromStr;

use crate::grpc::violations::{Findings, length_of};
use crate::merchant_api::show::discrepancy::import_of;
use crate::payment::ids::{BatchId, CaptureId, ImportId, PaymentId, PayoutId, RefundId};

/// Reads a payment id.
pub(crate) fn payment_id(findings: &mut Findings, text: &str) -> Option<PaymentId> {
    id(findings, "payment_id", "\"pay_\" and 26 characters", text)
}

/// Reads a capture id.
pub(crate) fn capture_id(findings: &mut Findings, text: &str) -> Option<CaptureId> {
    id(findings, "capture_id", "\"cap_\" and 26 characters", text)
}

/// Reads a capture id that may be left out: `Some(None)` where it is.
pub(crate) fn optional_capture_id(
    findings: &mut Findings,
    text: &str,
) -> Option<Option<CaptureId>> {
    if text.is_empty() {
        return Some(None);
    }
    capture_id(findings, text).map(Some)
}

/// Reads the id of a batch.
pub(crate) fn batch_id(findings: &mut Findings, text: &str) -> Option<BatchId> {
    id(findings, "batch_id", "\"bat_\" and 26 characters", text)
}

/// Reads the id of a payout.
pub(crate) fn payout_id(findings: &mut Findings, text: &str) -> Option<PayoutId> {
    id(findings, "payout_id", "\"out_\" and 26 characters", text)
}

/// Reads the id of a discrepancy. What an older version has found has another one than today.
pub(crate) fn discrepancy_id(findings: &mut Findings, text: &str) -> Option<String> {
    let expected = "the id of a discrepancy, 1 to 100 characters";
    if !findings.no_clear_card("discrepancy_id", text) {
        return None;
    }
    let is_id = (1..=100).contains(&text.len());
    let read = is_id
        .then(|| text.to_owned())
        .ok_or_else(|| length_of(text));
    findings.keep("discrepancy_id", expected, read)
}

/// Reads the id of a comparison with a report.
pub(crate) fn run_id(findings: &mut Findings, text: &str) -> Option<ImportId> {
    if !findings.no_clear_card("run_id", text) {
        return None;
    }
    let read = import_of(text).ok_or_else(|| length_of(text));
    findings.keep("run_id", "\"rec_\" and 26 characters", read)
}

/// Reads a refund id.
pub(crate) fn refund_id(findings: &mut Findings, text: &str) -> Option<RefundId> {
    id(findings, "refund_id", "\"ref_\" and 26 characters", text)
}

fn id<T: FromStr>(
    findings: &mut Findings,
    field: &'static str,
    expected: &str,
    text: &str,
) -> Option<T> {
    if !findings.no_clear_card(field, text) {
        return None;
    }
    let read = text.parse().map_err(|_| length_of(text));
    findings.keep(field, expected, read)
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
