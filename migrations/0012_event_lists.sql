-- A merchant's events are listed by their positions.
ALTER TABLE events ADD COLUMN merchant_id TEXT;
UPDATE events SET merchant_id = (SELECT merchant_id FROM payments WHERE payments.id = events.payment_id);
CREATE INDEX events_merchant ON events (merchant_id, position);
-- Which of a refund's changes an event told is not known of older ones.
UPDATE events SET kind = 'REFUND_MADE' WHERE kind = 'REFUND_UPDATED';

-- Which store this is: cursors name it, so that one of another store is recognised.
CREATE TABLE stores (
    id    TEXT   NOT NULL PRIMARY KEY, -- 32 hexadecimal digits
    epoch BIGINT NOT NULL              -- one more each time the store is restored
);
INSERT INTO stores (id, epoch) VALUES (/*SQLITE lower(hex(randomblob(16))) *//*POSTGRES replace(CAST(gen_random_uuid() AS TEXT), '-', '') */, 1);
