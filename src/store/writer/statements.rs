//! The statements of the group-commit writer; `transaction` runs them in order.
//!
//! After an error `transaction` never commits. So a failed statement need not undo its own rows (OR
//! FAIL), and SQLite need not keep a copy of each page that it changes. (It still does where a foreign
//! key is checked.) No other transaction may use these statements if it goes on after an error.

use crate::store::database::many_rows::ManyRows;

pub(in crate::store) const REQUESTS: ManyRows = ManyRows {
    name: "requests",
    before: "INSERT /*SQLITE OR FAIL */INTO idempotency \
        (merchant_id, method, request_id, operation_id, body_hash) VALUES ",
    row: "(?, ?, ?, ?, ?)",
    after: " ON CONFLICT (merchant_id, method, request_id) DO NOTHING",
    returning: " RETURNING operation_id",
};

pub(in crate::store) const ENVELOPES: ManyRows = ManyRows {
    name: "envelopes",
    before: "INSERT /*SQLITE OR FAIL */INTO used_envelopes \
        (merchant_id, jti, operation_id, expires_at_ms) VALUES ",
    row: "(?, ?, ?, ?)",
    after: " ON CONFLICT (merchant_id, jti) DO NOTHING",
    returning: " RETURNING operation_id",
};

/// A new payment is on its way to be authorized, has nothing authorized, captured, refunded or disputed,
/// and version 1. (A bound text is copied five times on its way to the disk, so the values that all new
/// payments share are in the statement.)
pub(in crate::store) const NEW_PAYMENTS: ManyRows = ManyRows {
    name: "new payments",
    before: "INSERT /*SQLITE OR FAIL */INTO payments \
        (id, merchant_id, merchant_reference, customer_reference, amount_minor, currency, state, \
        host_id, stan, rrn, business_date, created_at_ms, updated_at_ms, detail, state_detail, \
        authorized_minor, captured_minor, refunded_minor, disputed_minor, version) VALUES ",
    row: "(?, ?, ?, ?, ?, ?, 'AUTHORIZING', ?, ?, ?, ?, ?, ?, ?, \
        '{\"state\":\"AUTHORIZING\",\"pending\":null}', 0, 0, 0, 0, 1)",
    after: "",
    returning: "",
};

/// A new operation is an authorization of which nothing was sent.
pub(in crate::store) const NEW_OPERATIONS: ManyRows = ManyRows {
    name: "new operations",
    before: "INSERT INTO operations \
        (id, payment_id, host_id, amount_minor, currency, stan, rrn, business_date, \
        transmitted_at_ms, deadline_ms, node_id, created_at_ms, updated_at_ms, kind, state, \
        state_detail, version) VALUES ",
    row: "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'AUTHORIZATION', 'CREATED', \
        '{\"state\":\"CREATED\"}', 1)",
    after: "",
    returning: "",
};

/// The casts are for PostgreSQL, which can't infer types through the list of values.
pub(in crate::store) const CHANGED_OPERATIONS: ManyRows = ManyRows {
    name: "changed operations",
    before: "WITH changed (id, version, state, bank_us, updated_at_ms, state_detail, answer) \
        AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS BIGINT), \
        CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT))",
    after: ") UPDATE /*SQLITE OR FAIL */operations SET version = changed.version, \
        state = changed.state, bank_us = changed.bank_us, updated_at_ms = changed.updated_at_ms, \
        state_detail = changed.state_detail, answer = changed.answer FROM changed \
        WHERE operations.id = changed.id AND operations.version = changed.version - 1",
    returning: " RETURNING operations.id",
};

pub(in crate::store) const CHANGED_PAYMENTS: ManyRows = ManyRows {
    name: "changed payments",
    before: "WITH changed (id, version, authorized_minor, captured_minor, refunded_minor, \
        disputed_minor, state, updated_at_ms, state_detail) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), \
        CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT))",
    after: ") UPDATE /*SQLITE OR FAIL */payments SET version = changed.version, \
        authorized_minor = changed.authorized_minor, captured_minor = changed.captured_minor, \
        refunded_minor = changed.refunded_minor, disputed_minor = changed.disputed_minor, \
        state = changed.state, updated_at_ms = changed.updated_at_ms, \
        state_detail = changed.state_detail \
        FROM changed \
        WHERE payments.id = changed.id AND payments.version = changed.version - 1",
    returning: "",
};

pub(in crate::store) const REVERSALS: ManyRows = ManyRows {
    name: "reversals",
    before: "INSERT INTO reversals (operation_id, reason, due_at_ms) VALUES ",
    row: "(?, ?, ?)",
    after: " ON CONFLICT (operation_id) DO NOTHING",
    returning: "",
};

pub(in crate::store) const FORGET_REQUEST: &str =
    "DELETE FROM idempotency WHERE merchant_id = $1 AND method = $2 AND request_id = $3";

pub(in crate::store) const REQUEST_OWNER: &str = "SELECT operation_id FROM idempotency \
    WHERE merchant_id = $1 AND method = $2 AND request_id = $3";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::operation::{OperationKind, OperationState};
    use crate::payment::state::PaymentState;
    use crate::store::database::engine::{Engine, for_engine};
    use crate::store::tables::text_buffer::TextBuffer;

    #[test]
    fn literals_are_those_of_the_domain() {
        let mut texts = TextBuffer::new();
        let state = PaymentState::Authorizing { pending: None };
        let detail = texts.json(&state).unwrap();
        for literal in [state.name(), &detail] {
            assert!(
                NEW_PAYMENTS.row.contains(&format!("'{literal}'")),
                "{literal}"
            );
        }
        let state = OperationState::Created;
        let detail = texts.json(&state).unwrap();
        for literal in [OperationKind::Authorization.name(), state.name(), &detail] {
            assert!(
                NEW_OPERATIONS.row.contains(&format!("'{literal}'")),
                "{literal}"
            );
        }
    }

    #[test]
    fn statements_do_not_undo_their_rows_on_sqlite() {
        for statement in [
            REQUESTS,
            ENVELOPES,
            NEW_PAYMENTS,
            CHANGED_OPERATIONS,
            CHANGED_PAYMENTS,
        ] {
            let text = [statement.before, statement.after].concat();
            let sqlite = for_engine(Engine::Sqlite, &text);
            assert_eq!(sqlite.matches(" OR FAIL ").count(), 1, "{}", statement.name);
            assert_eq!(for_engine(Engine::Postgres, &text), text);
        }
    }
}
