//! By what a line is known when it comes again.

use ring::digest::{Context, SHA256};

use crate::payment::bank_statement::StatementKind;
use crate::payment::moment::BusinessDate;
use crate::reconciliation::statement::part::StatementLine;

/// What makes a line another line: where the bank names it, how it is named, and otherwise all that is said of it.
pub(super) fn line_key(kind: StatementKind, line: &StatementLine) -> [u8; 32] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let date = |date: Option<BusinessDate>| date.map_or_else(String::new, |date| date.to_string());
    let mut fields = vec![
        kind.name().to_owned(),
        line.state.name().to_owned(),
        line.currency.code().to_owned(),
        line.amount_minor.to_string(),
        date(line.booking_date),
        text(&line.bank_reference),
        text(&line.own_reference),
        line.reverses.to_string(),
    ];
    if line.bank_reference.is_none() {
        fields.extend([date(line.value_date), text(&line.text)]);
    }
    let mut hash = Context::new(&SHA256);
    for field in fields {
        let length = u64::try_from(field.len()).unwrap_or(u64::MAX);
        hash.update(&length.to_be_bytes());
        hash.update(field.as_bytes());
    }
    let mut key = [0; 32];
    for (byte, of_digest) in key.iter_mut().zip(hash.finish().as_ref()) {
        *byte = *of_digest;
    }
    key
}
