//! In which order a list comes.

use crate::grpc::violations::{Findings, length_of};
use crate::store::records::ListOrder;

/// Reads an order; newest first when it is empty.
pub(crate) fn order_by(findings: &mut Findings, text: &str) -> Option<ListOrder> {
    match text {
        "" | "create_time desc" => Some(ListOrder::NewestFirst),
        "create_time asc" => Some(ListOrder::OldestFirst),
        other => {
            let expected = "\"create_time desc\" or \"create_time asc\"";
            findings.add("order_by", expected, length_of(other));
            None
        }
    }
}
