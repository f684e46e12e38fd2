-- Lists with a reference, or of one payment, go along an index in their order.
DROP INDEX payments_merchant_reference;
CREATE INDEX payments_merchant_reference ON payments (merchant_id, merchant_reference, created_at_ms, id);
DROP INDEX payments_customer_reference;
CREATE INDEX payments_customer_reference ON payments (merchant_id, customer_reference, created_at_ms, id)
    WHERE customer_reference IS NOT NULL;
DROP INDEX operations_payment;
CREATE INDEX operations_payment ON operations (payment_id, id);
DROP INDEX refunds_payment;
CREATE INDEX refunds_payment ON refunds (payment_id, created_at_ms, id);
CREATE INDEX refunds_merchant_reference ON refunds (merchant_id, merchant_reference, created_at_ms, id)
    WHERE merchant_reference IS NOT NULL;
