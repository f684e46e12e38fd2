-- Everything that names one payment is found from it: what happened to it, the requests that began its operations,
-- messages that matched nothing, and what operators did with what it owes.
CREATE INDEX events_payment ON events (payment_id, position);
CREATE INDEX idempotency_operation ON idempotency (operation_id);
CREATE INDEX quarantine_rrn ON quarantine (rrn) WHERE rrn IS NOT NULL;
CREATE INDEX audit_target ON audit (target);
