-- What is settled is told to its merchant, item by item, after its batch is funded; what an older version funded is not
-- told any more.
ALTER TABLE settlement_batches ADD COLUMN told_up_to TEXT;      -- the last capture, refund or chargeback whose event is written
ALTER TABLE settlement_batches ADD COLUMN told_at_ms BIGINT; -- when all of them were written
UPDATE settlement_batches SET told_at_ms = funded_at_ms WHERE funded_at_ms IS NOT NULL;
CREATE INDEX settlement_batches_untold ON settlement_batches (id) WHERE funded_at_ms IS NOT NULL AND told_at_ms IS NULL;

-- The payout that pays a batch; NULL before there is one, and after it came back, until another one pays it.
ALTER TABLE settlement_batches ADD COLUMN payout_id TEXT;
CREATE INDEX settlement_batches_unpaid ON settlement_batches (merchant_id, host_id, currency)
    WHERE funded_at_ms IS NOT NULL AND payout_id IS NULL;
CREATE INDEX settlement_batches_paid ON settlement_batches (payout_id) WHERE payout_id IS NOT NULL;
-- All that payouts pay, also those that came back.
CREATE TABLE payout_batches (
    payout_id TEXT NOT NULL,
    batch_id  TEXT NOT NULL,
    PRIMARY KEY (payout_id, batch_id)
) /*SQLITE WITHOUT ROWID */;
-- Of payouts that are there: the first one after a batch was funded that did not come back.
UPDATE settlement_batches SET payout_id = (SELECT payouts.id FROM journals JOIN payouts
    ON payouts.merchant_id = settlement_batches.merchant_id AND payouts.host_id = settlement_batches.host_id
    AND payouts.currency = settlement_batches.currency AND payouts.made_position > journals.position
    WHERE journals.id = settlement_batches.id || ':settled' AND payouts.state NOT IN ('RETURNED', 'FAILED')
    ORDER BY payouts.made_position LIMIT 1)
WHERE funded_at_ms IS NOT NULL;
INSERT INTO payout_batches (payout_id, batch_id)
SELECT payout_id, id FROM settlement_batches WHERE payout_id IS NOT NULL;
