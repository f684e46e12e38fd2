-- What a gateway of schema version 2 had written: a merchant with its key, payments with every outcome and one
-- without, a late response, a quarantined response, reserved numbers, a node and a client connection.

INSERT INTO merchants
    (id, name, city, country, country_numeric, mcc, terminal_id, acceptor_id, acquirer, active)
VALUES
    ('shop', 'Bücher & Töne', 'Köln', 'DE', 276, '5942', 'T0000001', 'M00000000000001', 'acquirer', 1);

INSERT INTO api_keys
    (key_id, merchant_id, secret_hmac_hex, label, created_at_ms, revoked_at_ms)
VALUES
    ('pk_1', 'shop', 'abababababababababababababababababababababababababababababababab', 'till', 1763757000000, NULL);

INSERT INTO nodes
    (id, started_at_ms, seen_at_ms, stopped_at_ms)
VALUES
    ('node_01m8h4seweexgv80q2pa9hdf8a', 1795871783822, 1795871783822, 1795871783851);

INSERT INTO client_connections
    (id, node_id, peer_address, peer_port, identity, connected_at_ms, disconnected_at_ms, note)
VALUES
    ('con_01kam1r1a0e008000000000010', 'node_01m8h4seweexgv80q2pa9hdf8a', '192.0.2.1', 4000, 'merchant shop', 1763757000000, 1795871783851, 'the gateway process that held it stopped');

INSERT INTO sequences
    (host_id, business_date, next_number)
VALUES
    ('acquirer', '2025-11-21', 2000);

INSERT INTO payments
    (id, merchant_id, merchant_reference, customer_reference, amount_minor, currency, authorized_minor, captured_minor, refunded_minor, disputed_minor, state, host_id, stan, rrn, business_date, created_at_ms, updated_at_ms, version, state_detail, detail)
VALUES
    ('pay_01kam1r1a0e008000000000002', 'shop', 'order-3', NULL, 1250, 'EUR', 1250, 0, 0, 0, 'AUTHORIZED', 'acquirer', 2, '532500000001', '2025-11-21', 1763757000000, 1763757000120, 2, '{"state":"AUTHORIZED","approval":{"approval_code":"A1B2C3","response_code":"00"},"expires_at":1764361800120}', '{"card":{"brand":"visa","bin":"411111","last_four":"1111"},"description":"Drei Bücher, \"neu\"","terminal_id":"T0000001"}'),
    ('pay_01kam1r1a1e008000000000008', 'shop', 'order-9', 'anna', 1250, 'EUR', 0, 0, 0, 0, 'DECLINED', 'acquirer', 8, '532500000007', '2025-11-21', 1763757000001, 1763757000121, 2, '{"state":"DECLINED","decline":{"reason":"insufficient_funds","response_code":"51","advice":"use_another_card"}}', '{"card":{"brand":"visa","bin":"411111","last_four":"1111"},"description":"Drei Bücher, \"neu\"","terminal_id":"T0000001"}'),
    ('pay_01kam1r1a2e00800000000000e', 'shop', 'order-15', NULL, 1250, 'EUR', 0, 0, 0, 0, 'AUTHORIZING', 'acquirer', 14, '532500000013', '2025-11-21', 1763757000002, 1763757000122, 2, '{"state":"AUTHORIZING","pending":"no_answer_in_time"}', '{"card":{"brand":"visa","bin":"411111","last_four":"1111"},"description":null,"terminal_id":"T0000001"}'),
    ('pay_01kam1r1a3e00800000000000m', 'shop', 'order-21', NULL, 1250, 'EUR', 0, 0, 0, 0, 'AUTHORIZING', 'acquirer', 20, '532500000019', '2025-11-21', 1763757000003, 1763757000123, 2, '{"state":"AUTHORIZING","pending":"no_answer_in_time"}', '{"card":{"brand":"visa","bin":"411111","last_four":"1111"},"description":"Drei Bücher, \"neu\"","terminal_id":"T0000001"}'),
    ('pay_01kam1r1a4e00800000000000t', 'shop', 'order-27', NULL, 1250, 'EUR', 0, 0, 0, 0, 'AUTHORIZING', 'acquirer', 26, '532500000025', '2025-11-21', 1763757000004, 1763757000004, 1, '{"state":"AUTHORIZING","pending":null}', '{"card":{"brand":"visa","bin":"411111","last_four":"1111"},"description":"Drei Bücher, \"neu\"","terminal_id":"T0000001"}');

INSERT INTO operations
    (id, payment_id, kind, state, host_id, amount_minor, currency, stan, rrn, business_date, transmitted_at_ms, deadline_ms, node_id, bank_us, created_at_ms, updated_at_ms, version, state_detail, answer)
VALUES
    ('op_01kam1r1a0e008000000000004', 'pay_01kam1r1a0e008000000000002', 'AUTHORIZATION', 'APPROVED', 'acquirer', 1250, 'EUR', 2, '532500000001', '2025-11-21', 1763757000000, 1763757004000, 'node_01kam1r1a0e40r2081040g2081', 118250, 1763757000000, 1763757000120, 2, '{"state":"APPROVED","approval":{"approval_code":"A1B2C3","response_code":"00"}}', '{"authorized_minor":1250,"captured_minor":0,"refunded_minor":0,"disputed_minor":0,"state":{"state":"AUTHORIZED","approval":{"approval_code":"A1B2C3","response_code":"00"},"expires_at":1764361800120},"updated_at":1763757000120,"version":2}'),
    ('op_01kam1r1a1e00800000000000a', 'pay_01kam1r1a1e008000000000008', 'AUTHORIZATION', 'DECLINED', 'acquirer', 1250, 'EUR', 8, '532500000007', '2025-11-21', 1763757000001, 1763757004001, 'node_01kam1r1a1e40r2081040g2081', 118250, 1763757000001, 1763757000121, 2, '{"state":"DECLINED","decline":{"reason":"insufficient_funds","response_code":"51","advice":"use_another_card"}}', '{"authorized_minor":0,"captured_minor":0,"refunded_minor":0,"disputed_minor":0,"state":{"state":"DECLINED","decline":{"reason":"insufficient_funds","response_code":"51","advice":"use_another_card"}},"updated_at":1763757000121,"version":2}'),
    ('op_01kam1r1a2e00800000000000g', 'pay_01kam1r1a2e00800000000000e', 'AUTHORIZATION', 'REVERSAL_QUEUED', 'acquirer', 1250, 'EUR', 14, '532500000013', '2025-11-21', 1763757000002, 1763757004002, 'node_01kam1r1a2e40r2081040g2081', NULL, 1763757000002, 1763757000122, 2, '{"state":"REVERSAL_QUEUED","reason":"no_answer_in_time"}', '{"authorized_minor":0,"captured_minor":0,"refunded_minor":0,"disputed_minor":0,"state":{"state":"AUTHORIZING","pending":"no_answer_in_time"},"updated_at":1763757000122,"version":2}'),
    ('op_01kam1r1a3e00800000000000p', 'pay_01kam1r1a3e00800000000000m', 'AUTHORIZATION', 'REVERSAL_QUEUED', 'acquirer', 1250, 'EUR', 20, '532500000019', '2025-11-21', 1763757000003, 1763757004003, 'node_01kam1r1a3e40r2081040g2081', NULL, 1763757000003, 1763757000123, 2, '{"state":"REVERSAL_QUEUED","reason":"no_answer_in_time"}', '{"authorized_minor":0,"captured_minor":0,"refunded_minor":0,"disputed_minor":0,"state":{"state":"AUTHORIZING","pending":"no_answer_in_time"},"updated_at":1763757000123,"version":2}'),
    ('op_01kam1r1a4e00800000000000w', 'pay_01kam1r1a4e00800000000000t', 'AUTHORIZATION', 'CREATED', 'acquirer', 1250, 'EUR', 26, '532500000025', '2025-11-21', 1763757000004, 1763757004004, 'node_01kam1r1a4e40r2081040g2081', NULL, 1763757000004, 1763757000004, 1, '{"state":"CREATED"}', NULL);

INSERT INTO idempotency
    (merchant_id, method, request_id, operation_id, body_hash)
VALUES
    ('shop', 'AuthorizePayment', 'request-0', 'op_01kam1r1a0e008000000000004', '0707070707070707070707070707070707070707070707070707070707070707'),
    ('shop', 'AuthorizePayment', 'request-1', 'op_01kam1r1a1e00800000000000a', '0707070707070707070707070707070707070707070707070707070707070707'),
    ('shop', 'AuthorizePayment', 'request-2', 'op_01kam1r1a2e00800000000000g', '0707070707070707070707070707070707070707070707070707070707070707'),
    ('shop', 'AuthorizePayment', 'request-3', 'op_01kam1r1a3e00800000000000p', '0707070707070707070707070707070707070707070707070707070707070707'),
    ('shop', 'AuthorizePayment', 'request-4', 'op_01kam1r1a4e00800000000000w', '0707070707070707070707070707070707070707070707070707070707070707');

INSERT INTO used_envelopes
    (merchant_id, jti, operation_id, expires_at_ms)
VALUES
    ('shop', 'jti-12', 'op_01kam1r1a1e00800000000000a', 1763757300001),
    ('shop', 'jti-18', 'op_01kam1r1a2e00800000000000g', 1763757300002),
    ('shop', 'jti-24', 'op_01kam1r1a3e00800000000000p', 1763757300003),
    ('shop', 'jti-30', 'op_01kam1r1a4e00800000000000w', 1763757300004),
    ('shop', 'jti-6', 'op_01kam1r1a0e008000000000004', 1763757300000);

INSERT INTO reversals
    (operation_id, reason, due_at_ms)
VALUES
    ('op_01kam1r1a2e00800000000000g', 'no_answer_in_time', 1763757000122),
    ('op_01kam1r1a3e00800000000000p', 'no_answer_in_time', 1763757000123);

INSERT INTO late_responses
    (operation_id, host_id, response_code, approval_code, received_at_ms)
VALUES
    ('op_01kam1r1a2e00800000000000g', 'acquirer', '05', NULL, 1763757060000);

INSERT INTO quarantine
    (id, host_id, reason, mti, stan, rrn, response_code, message, received_at_ms)
VALUES
    ('qua_01kam1r1a0e00800000000000z', 'acquirer', 'no match', '0110', 17, NULL, NULL, '0110 of nobody', 1763757000000);
