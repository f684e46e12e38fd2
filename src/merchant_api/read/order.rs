//! In which order a list comes.

use crate::grpc::violations::{Findings, length_of};
use crate::store::records::lists::ListOrder;

/// Reads an order by `field`; the last first when it is empty.
pub(crate) fn order_by(findings: &mut Findings, field: &str, text: &str) -> Option<ListOrder> {
    let direction = match text {
        "" => Some("desc"),
        _ => text
            .strip_prefix(field)
            .and_then(|rest| rest.strip_prefix(' ')),
    };
    match direction {
        Some("desc") => Some(ListOrder::NewestFirst),
        Some("asc") => Some(ListOrder::OldestFirst),
        _ => {
            let expected = format!("\"{field} desc\" or \"{field} asc\"");
            findings.add("order_by", &expected, length_of(text));
            None
        }
    }
}
