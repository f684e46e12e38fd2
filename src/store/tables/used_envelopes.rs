//! Sealed cards that were used, so that none works twice.

use super::text_buffer::Names;
use crate::payment::ids::MerchantId;
use crate::store::change::EnvelopeUse;
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;
use crate::store::tables::text_buffer::TextBuffer;

/// A sealed card that was not used before.
pub(in crate::store) const ENVELOPES: ManyRows = ManyRows {
    name: "envelopes",
    before: "INSERT /*SQLITE OR FAIL */INTO used_envelopes \
        (merchant_id, jti, operation_id, expires_at_ms) VALUES ",
    row: "(?, ?, ?, ?)",
    after: " ON CONFLICT (merchant_id, jti) DO NOTHING",
    returning: " RETURNING operation_id",
};

/// A row of [`ENVELOPES`]; its first two values are the key.
pub(in crate::store) fn envelope_row(
    texts: &mut TextBuffer,
    merchant_id: MerchantId,
    envelope: &EnvelopeUse,
    names: &Names,
) -> Vec<Value> {
    vec![
        texts.text(merchant_id).into(),
        envelope.jti.as_str().into(),
        (&names.operation_id).into(),
        envelope.expires_at.as_i64().into(),
    ]
}
