//! Payouts. What happens to one is an event of its merchant, and a journal at the position of that event.

use sqlx::any::AnyRow;

use super::business_days::hold_positions;
use super::columns::Columns;
use super::journals::{NextPosition, next_position};
use crate::ledger::journal::Journal;
use crate::payment::event_kind::EventKind;
use crate::payment::ids::PayoutId;
use crate::payment::payout::PayoutState;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::merchant_money::{AccountText, Payout, PayoutEnd};

impl Store {
    /// Makes a payout out of what its merchant had up to `position`: nothing is written where something moved since, or the
    /// payout is there. What was due of earlier reserves is given back with it, and it pays the batches that no payout pays.
    /// Whether it is there now.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn make_payout(
        &self,
        payout: &Payout,
        journal: &Journal,
        position: i64,
    ) -> Result<bool, StoreError> {
        let id: Value = payout.id.to_string().into();
        let currency = payout.amount.currency();
        let reserve_until = payout.reserve_until.map(|date| date.to_string());
        let insert = Statement {
            text: "INSERT INTO payouts (id, merchant_id, host_id, currency, amount_minor, reserve_minor, \
                reserve_until, reserve_released_minor, state, made_on, arrival_date, account, destination, \
                made_position, created_at_ms, version) \
                SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT), \
                CAST($6 AS BIGINT), CAST($7 AS TEXT), CAST($8 AS BIGINT), 'CREATED', CAST($9 AS TEXT), \
                CAST($10 AS TEXT), CAST($11 AS TEXT), CAST($12 AS TEXT), positions.next, CAST($13 AS BIGINT), 1 \
                FROM positions WHERE positions.stream = 0 AND NOT EXISTS (SELECT 1 FROM ledger_lines \
                    WHERE ledger_lines.merchant_id = $2 AND ledger_lines.position > $14 \
                    AND ledger_lines.host_id = $3 AND ledger_lines.currency = $4 \
                    AND ledger_lines.account IN ('PAYABLE_AVAILABLE', 'RESERVE')) ON CONFLICT DO NOTHING",
            values: vec![
                id.clone(),
                payout.merchant_id.as_str().into(),
                payout.host_id.as_str().into(),
                currency.code().into(),
                payout.amount.amount_minor().into(),
                payout.reserve_minor.into(),
                reserve_until.into(),
                payout.reserve_released_minor.into(),
                payout.made_on.to_string().into(),
                payout.arrival_date.to_string().into(),
                payout.account.0.as_str().into(),
                payout.destination.as_str().into(),
                payout.created_at.as_i64().into(),
                position.into(),
            ],
            returning: false,
        };
        let release = Statement {
            text: "UPDATE payouts SET reserve_released_by = $1 WHERE merchant_id = $2 AND host_id = $3 \
                AND currency = $4 AND reserve_minor > 0 AND reserve_released_by IS NULL AND reserve_until <= $5 \
                AND id <> $1 AND EXISTS (SELECT 1 FROM payouts AS made JOIN positions \
                    ON positions.stream = 0 AND made.made_position = positions.next WHERE made.id = $1)",
            values: vec![
                id.clone(),
                payout.merchant_id.as_str().into(),
                payout.host_id.as_str().into(),
                currency.code().into(),
                payout.made_on.to_string().into(),
            ],
            returning: false,
        };
        // What is funded until now is in what is available, which has not moved since it was read.
        let pay = Statement {
            text: "UPDATE settlement_batches SET payout_id = $1 WHERE merchant_id = $2 AND host_id = $3 \
                AND currency = $4 AND funded_at_ms IS NOT NULL AND payout_id IS NULL \
                AND EXISTS (SELECT 1 FROM payouts AS made JOIN positions \
                    ON positions.stream = 0 AND made.made_position = positions.next WHERE made.id = $1)",
            values: vec![
                id.clone(),
                payout.merchant_id.as_str().into(),
                payout.host_id.as_str().into(),
                currency.code().into(),
            ],
            returning: false,
        };
        let paid = Statement {
            text: "INSERT INTO payout_batches (payout_id, batch_id) SELECT payout_id, id FROM settlement_batches \
                WHERE payout_id = $1 ON CONFLICT DO NOTHING",
            values: vec![id.clone()],
            returning: false,
        };
        let mut statements = vec![hold_positions(), insert, release, pay, paid];
        let at = payout.created_at;
        let event = (EventKind::PayoutMade, "", at);
        statements.extend(AT_NEXT_POSITION.statements(&id, event, Some(journal)));
        self.inner.housekeeping.run(statements).await?;
        // It may have run twice.
        Ok(self.payout_by_id(payout.id).await?.is_some())
    }

    /// Records what became of a payout. Nothing is written where it does not stand any more where it stood before. Whether
    /// it stands now where it is to; another node may have been first.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn end_payout(
        &self,
        payout_id: PayoutId,
        end: &PayoutEnd,
        journal: &Journal,
    ) -> Result<bool, StoreError> {
        let kind = match end.after {
            PayoutState::Paid => EventKind::PayoutPaid,
            PayoutState::Failed => EventKind::PayoutFailed,
            _ => EventKind::PayoutReturned,
        };
        let id: Value = payout_id.to_string().into();
        let ended = Statement {
            text: "UPDATE payouts SET state = $2, return_reason = $3, bank_reference = COALESCE(bank_reference, $4), \
                ended_at_ms = $5, ended_position = (SELECT next FROM positions WHERE stream = 0), \
                version = version + 1 WHERE id = $1 AND state = $6",
            values: vec![
                id.clone(),
                Value::Static(end.after.name()),
                end.reason.clone().into(),
                end.bank_reference.clone().into(),
                end.at.as_i64().into(),
                Value::Static(end.before.name()),
            ],
            returning: false,
        };
        // Where it came back, another one pays its batches.
        let unpaid = Statement {
            text: "UPDATE settlement_batches SET payout_id = NULL WHERE payout_id = $1 AND EXISTS (SELECT 1 \
                FROM payouts WHERE payouts.id = $1 AND payouts.state IN ('RETURNED', 'FAILED'))",
            values: vec![id.clone()],
            returning: false,
        };
        let mut statements = vec![hold_positions(), ended, unpaid];
        let event = (kind, "", end.at);
        statements.extend(AT_NEXT_POSITION.statements(&id, event, Some(journal)));
        self.inner.housekeeping.run(statements).await?;
        // It may have run twice.
        let now = self.payout_by_id(payout_id).await?;
        Ok(now.is_some_and(|now| now.state == end.after))
    }
}

/// The event and the journal of a payout that has just been made or ended.
const AT_NEXT_POSITION: NextPosition = next_position!(
    from: "payouts JOIN positions ON positions.stream = 0 \
        AND positions.next IN (payouts.made_position, payouts.ended_position) WHERE payouts.id = $1",
    id: "payouts.id",
    merchant: "payouts.merchant_id",
    date: "payouts.made_on"
);

/// A payout from its row.
pub(in crate::store) fn payout(row: &AnyRow) -> Result<Payout, StoreError> {
    let columns = Columns::of(row, "payouts", "id")?;
    let state = columns.text("state")?;
    let state = PayoutState::from_name(state)
        .ok_or_else(|| columns.corrupt("state", state, "expected the state of a payout"))?;
    Ok(Payout {
        id: columns.parsed("id")?,
        merchant_id: columns.parsed("merchant_id")?,
        host_id: columns.parsed("host_id")?,
        amount: columns.money()?,
        reserve_minor: columns.integer("reserve_minor")?,
        reserve_until: columns.optional_parsed("reserve_until")?,
        reserve_released_minor: columns.integer("reserve_released_minor")?,
        state,
        made_on: columns.parsed("made_on")?,
        arrival_date: columns.parsed("arrival_date")?,
        account: AccountText(columns.text("account")?.to_owned()),
        destination: columns.text("destination")?.to_owned(),
        order_id: columns.optional_parsed("order_id")?,
        bank_reference: columns.optional_text("bank_reference")?,
        return_reason: columns.optional_text("return_reason")?,
        created_at: columns.moment("created_at_ms")?,
        sent_at: columns.optional_moment("sent_at_ms")?,
        ended_at: columns.optional_moment("ended_at_ms")?,
    })
}
