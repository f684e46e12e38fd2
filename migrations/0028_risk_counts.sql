-- What was counted for limits: how often a card, a merchant or an address was tried in a window. Each node (one run of
-- `payswitch serve`) writes rows of its own and reads those of others, so that no two write one row.
CREATE TABLE risk_counts (
    limit_name TEXT   NOT NULL,
    subject    TEXT   NOT NULL, -- the merchant, where it is counted for each apart, a bar, and a keyed hash or an address
    begins_ms  BIGINT NOT NULL, -- the window
    node_id    TEXT   NOT NULL,
    counted    BIGINT NOT NULL,
    batch      BIGINT NOT NULL, -- the node's batch that it was written by last
    ends_ms    BIGINT NOT NULL, -- nobody asks for it after that
    PRIMARY KEY (limit_name, subject, begins_ms, node_id)
) /*SQLITE WITHOUT ROWID */;
CREATE INDEX risk_counts_batch ON risk_counts (node_id, batch);
CREATE INDEX risk_counts_end ON risk_counts (ends_ms);

-- The last batch of each node.
CREATE TABLE risk_nodes (
    node_id    TEXT   NOT NULL PRIMARY KEY,
    batch      BIGINT NOT NULL,
    written_ms BIGINT NOT NULL
) /*SQLITE WITHOUT ROWID */;
