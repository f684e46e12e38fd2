//! The schema: migrations carried in the program, and the check that a database has exactly them.
//!
//! sqlx's own migrator takes an advisory lock on PostgreSQL, so it is not used. Here each migration's
//! transaction first inserts the row that says "applied": of two processes the second waits for the first
//! and finds the row.

use std::time::Duration;

use iso8583::hex;
use ring::digest::{SHA256, digest};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use tokio::time::{Instant, sleep};

use super::Database;
use super::connection::NativeConnection;
use super::engine::{Engine, for_engine};
use super::fault::{Fault, fault, reading_error};
use super::server;
use crate::clock::Clock;
use crate::config::store::StoreConfig;
use crate::store::error::StoreError;

struct Migration {
    version: i64,
    name: &'static str,
    text: &'static str,
}

/// All migrations, in order. One that was released never changes.
const MIGRATIONS: [Migration; 35] = [
    Migration {
        version: 1,
        name: "payments",
        text: include_str!("../../../migrations/0001_payments.sql"),
    },
    Migration {
        version: 2,
        name: "keyed_tables",
        text: include_str!("../../../migrations/0002_keyed_tables.sql"),
    },
    Migration {
        version: 3,
        name: "operations",
        text: include_str!("../../../migrations/0003_operations.sql"),
    },
    Migration {
        version: 4,
        name: "custody",
        text: include_str!("../../../migrations/0004_custody.sql"),
    },
    Migration {
        version: 5,
        name: "owed",
        text: include_str!("../../../migrations/0005_owed.sql"),
    },
    Migration {
        version: 6,
        name: "reasons",
        text: include_str!("../../../migrations/0006_reasons.sql"),
    },
    Migration {
        version: 7,
        name: "ledger",
        text: include_str!("../../../migrations/0007_ledger.sql"),
    },
    Migration {
        version: 8,
        name: "ledger_seals",
        text: include_str!("../../../migrations/0008_ledger_seals.sql"),
    },
    Migration {
        version: 9,
        name: "captures",
        text: include_str!("../../../migrations/0009_captures.sql"),
    },
    Migration {
        version: 10,
        name: "holds",
        text: include_str!("../../../migrations/0010_holds.sql"),
    },
    Migration {
        version: 11,
        name: "partial_approvals",
        text: include_str!("../../../migrations/0011_partial_approvals.sql"),
    },
    Migration {
        version: 12,
        name: "event_lists",
        text: include_str!("../../../migrations/0012_event_lists.sql"),
    },
    Migration {
        version: 13,
        name: "releases",
        text: include_str!("../../../migrations/0013_releases.sql"),
    },
    Migration {
        version: 14,
        name: "explanations",
        text: include_str!("../../../migrations/0014_explanations.sql"),
    },
    Migration {
        version: 15,
        name: "restorations",
        text: include_str!("../../../migrations/0015_restorations.sql"),
    },
    Migration {
        version: 16,
        name: "unknown_outcomes",
        text: include_str!("../../../migrations/0016_unknown_outcomes.sql"),
    },
    Migration {
        version: 17,
        name: "business_days",
        text: include_str!("../../../migrations/0017_business_days.sql"),
    },
    Migration {
        version: 18,
        name: "late_amounts",
        text: include_str!("../../../migrations/0018_late_amounts.sql"),
    },
    Migration {
        version: 19,
        name: "totals",
        text: include_str!("../../../migrations/0019_totals.sql"),
    },
    Migration {
        version: 20,
        name: "reports",
        text: include_str!("../../../migrations/0020_reports.sql"),
    },
    Migration {
        version: 21,
        name: "merchant_money",
        text: include_str!("../../../migrations/0021_merchant_money.sql"),
    },
    Migration {
        version: 22,
        name: "chargebacks",
        text: include_str!("../../../migrations/0022_chargebacks.sql"),
    },
    Migration {
        version: 23,
        name: "clearing_answers",
        text: include_str!("../../../migrations/0023_clearing_answers.sql"),
    },
    Migration {
        version: 24,
        name: "report_lines",
        text: include_str!("../../../migrations/0024_report_lines.sql"),
    },
    Migration {
        version: 25,
        name: "bank_statements",
        text: include_str!("../../../migrations/0025_bank_statements.sql"),
    },
    Migration {
        version: 26,
        name: "legal_names",
        text: include_str!("../../../migrations/0026_legal_names.sql"),
    },
    Migration {
        version: 27,
        name: "told_discrepancies",
        text: include_str!("../../../migrations/0027_told_discrepancies.sql"),
    },
    Migration {
        version: 28,
        name: "risk_counts",
        text: include_str!("../../../migrations/0028_risk_counts.sql"),
    },
    Migration {
        version: 29,
        name: "settled_items",
        text: include_str!("../../../migrations/0029_settled_items.sql"),
    },
    Migration {
        version: 30,
        name: "sealing_keys",
        text: include_str!("../../../migrations/0030_sealing_keys.sql"),
    },
    Migration {
        version: 31,
        name: "list_indexes",
        text: include_str!("../../../migrations/0031_list_indexes.sql"),
    },
    Migration {
        version: 32,
        name: "settled_lines",
        text: include_str!("../../../migrations/0032_settled_lines.sql"),
    },
    Migration {
        version: 33,
        name: "account_discrepancies",
        text: include_str!("../../../migrations/0033_account_discrepancies.sql"),
    },
    Migration {
        version: 34,
        name: "report_cycles",
        text: include_str!("../../../migrations/0034_report_cycles.sql"),
    },
    Migration {
        version: 35,
        name: "report_nets",
        text: include_str!("../../../migrations/0035_report_nets.sql"),
    },
];

/// The schema that this program needs.
pub(in crate::store) const NEEDED: i64 = 35;

/// `checksum` is the SHA-256 of a migration's text, so that a changed one is noticed.
const MIGRATIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (\
    version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, \
    applied_at_ms BIGINT NOT NULL)";

/// What `migrate` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationReport {
    /// The migrations that were applied now, in order; empty when all were there.
    pub applied: Vec<&'static str>,
    /// The schema's version now.
    pub version: i64,
}

/// How long a migration watches nodes that have not stopped in order, before it takes them for dead: longer
/// than any version of this program takes between two heartbeats.
pub(in crate::store) const WATCH_NODES_FOR: Duration = Duration::from_secs(12);
/// Between two looks at them.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A migration copies whole tables: nobody waits for it, it takes its time, and it is planned as such copies are.
const FOR_WHOLE_TABLES: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 60000; \
    SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on; ";

/// Applies what is missing, each migration in a transaction of its own. On PostgreSQL it first watches other
/// nodes for `watch_nodes_for`, if there are any.
///
/// # Errors
/// When the database can't be reached, is newer than this program, holds a migration with another text, or
/// a gateway uses it.
pub(in crate::store) async fn migrate(
    config: &StoreConfig,
    watch_nodes_for: Duration,
    clock: &dyn Clock,
) -> Result<MigrationReport, StoreError> {
    let database = Database::of(config)?;
    database.create_file()?;
    let _held = database.lock().await?;
    server::check(&database).await?;
    let mut connection = database.connect_writer().await?;
    let engine = database.engine;
    create_migrations_table(engine, &mut connection).await?;
    let found = version(engine, &mut connection).await?;
    // A SQLite file has been locked above, and a database without a schema has no nodes.
    if engine == Engine::Postgres && (1..NEEDED).contains(&found) {
        refuse_while_in_use(&mut connection, watch_nodes_for).await?;
    }
    let mut applied = Vec::new();
    for migration in &MIGRATIONS {
        if apply(engine, &mut connection, migration, clock).await? {
            applied.push(migration.name);
        }
    }
    check(engine, &mut connection).await?;
    // The answer stands whatever closing says.
    let _ = connection.close().await;
    Ok(MigrationReport {
        applied,
        version: NEEDED,
    })
}

/// Two processes that create the table at once: PostgreSQL lets one fail, which then finds it there.
async fn create_migrations_table(
    engine: Engine,
    connection: &mut NativeConnection,
) -> Result<(), StoreError> {
    if connection.set(MIGRATIONS_TABLE).await.is_err() {
        let second = connection.set(MIGRATIONS_TABLE).await;
        second.map_err(|error| reading_error(engine, &error))?;
    }
    Ok(())
}

async fn version(engine: Engine, connection: &mut NativeConnection) -> Result<i64, StoreError> {
    let versions = versions(engine, connection).await?;
    Ok(versions.last().map_or(0, |(version, _)| *version))
}

/// The migrations that were applied, in order, with their checksums.
async fn versions(
    engine: Engine,
    connection: &mut NativeConnection,
) -> Result<Vec<(i64, String)>, StoreError> {
    let text = "SELECT version, checksum FROM schema_migrations ORDER BY version";
    let rows = connection.fetch(text, &[]).await;
    let rows = rows.map_err(|error| match fault(engine, &error) {
        // Any refusal of this statement means that the table is not there.
        Fault::Refused(_) => StoreError::Schema {
            found: 0,
            needed: NEEDED,
            advice: "run `payswitch migrate`",
        },
        _ => reading_error(engine, &error),
    })?;
    let version = |row: &AnyRow| Ok((row.try_get(0)?, row.try_get(1)?));
    let versions = rows.iter().map(version).collect::<Result<_, _>>();
    versions.map_err(|error| reading_error(engine, &error))
}

/// Refuses a PostgreSQL database that a gateway uses. A SQLite file's own lock says so.
pub(in crate::store) async fn expect_no_gateway(config: &StoreConfig) -> Result<(), StoreError> {
    let database = Database::of(config)?;
    if database.engine == Engine::Postgres {
        let mut connection = database.connect_writer().await?;
        check(database.engine, &mut connection).await?;
        refuse_while_in_use(&mut connection, WATCH_NODES_FOR).await?;
        let _ = connection.close().await;
    }
    Ok(())
}

/// Refuses when a node that has not stopped in order shows a heartbeat. `seen_at_ms` is what all versions
/// of the program write with each heartbeat; only its change counts.
async fn refuse_while_in_use(
    connection: &mut NativeConnection,
    watch_for: Duration,
) -> Result<(), StoreError> {
    let before = nodes(connection).await?;
    if before.is_empty() {
        return Ok(());
    }
    tracing::info!(
        nodes = before.len(),
        seconds = watch_for.as_secs(),
        "Watching gateways that did not stop in order, before the database is changed"
    );
    let give_up_at = Instant::now() + watch_for;
    while Instant::now() < give_up_at {
        sleep(LOOK_EVERY).await;
        let now = nodes(connection).await?;
        let living = now.iter().filter(|node| !before.contains(node)).count();
        if living > 0 {
            return Err(StoreError::InUse { nodes: living });
        }
    }
    Ok(())
}

/// The nodes that have not stopped in order, and when they were last seen.
pub(in crate::store) async fn nodes(
    connection: &mut NativeConnection,
) -> Result<Vec<(String, i64)>, StoreError> {
    let in_engine = |error: sqlx::Error| reading_error(Engine::Postgres, &error);
    let text = "SELECT id, seen_at_ms FROM nodes WHERE stopped_at_ms IS NULL";
    let rows = connection.fetch(text, &[]).await.map_err(in_engine)?;
    let node = |row: &AnyRow| Ok((row.try_get(0)?, row.try_get(1)?));
    let nodes = rows.iter().map(node).collect::<Result<_, _>>();
    nodes.map_err(in_engine)
}

/// True when it was applied now, false when it was there already.
async fn apply(
    engine: Engine,
    connection: &mut NativeConnection,
    migration: &Migration,
    clock: &dyn Clock,
) -> Result<bool, StoreError> {
    let in_engine = |error: sqlx::Error| reading_error(engine, &error);
    let mut transaction = connection.begin().await.map_err(in_engine)?;
    let marked = transaction
        .execute(
            "INSERT INTO schema_migrations (version, name, checksum, applied_at_ms) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (version) DO NOTHING",
            &[&[
                migration.version.into(),
                migration.name.into(),
                checksum(migration).into(),
                clock.now().as_i64().into(),
            ]],
        )
        .await
        .map_err(in_engine)?;
    if marked == 0 {
        transaction.rollback().await.map_err(in_engine)?;
        return Ok(false);
    }
    let mut script = for_engine(engine, migration.text);
    if engine == Engine::Postgres {
        script.insert_str(0, FOR_WHOLE_TABLES);
    }
    transaction.script(script).await.map_err(in_engine)?;
    transaction.commit().await.map_err(in_engine)?;
    tracing::info!(migration.version, migration.name, "applied a migration");
    Ok(true)
}

/// Refuses a database whose schema is not exactly the one this program needs.
pub(in crate::store) async fn check(
    engine: Engine,
    connection: &mut NativeConnection,
) -> Result<(), StoreError> {
    let mut found = 0;
    for (version, recorded) in versions(engine, connection).await? {
        found = found.max(version);
        let carried = MIGRATIONS
            .iter()
            .find(|migration| migration.version == version)
            .map(checksum);
        if let Some(carried) = carried.filter(|carried| *carried != recorded) {
            return Err(StoreError::MigrationChanged {
                version,
                found: recorded,
                carried,
            });
        }
    }
    let advice = match found.cmp(&NEEDED) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Less => "run `payswitch migrate`",
        std::cmp::Ordering::Greater => "it was migrated by a newer payswitch; run that one",
    };
    Err(StoreError::Schema {
        found,
        needed: NEEDED,
        advice,
    })
}

/// Version, name and text of the migrations up to a version.
#[cfg(test)]
pub(in crate::store) fn up_to(
    version: i64,
) -> impl Iterator<Item = (i64, &'static str, &'static str)> {
    let all = MIGRATIONS.iter().map(|it| (it.version, it.name, it.text));
    all.take_while(move |(it, _, _)| *it <= version)
}

fn checksum(migration: &Migration) -> String {
    hex::encode_lower(digest(&SHA256, migration.text.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_are_looked_up_by_key_lie_in_its_order_on_sqlite() {
        let keyed = for_engine(Engine::Sqlite, MIGRATIONS[1].text);
        assert_eq!(keyed.matches(") WITHOUT ROWID ;").count(), 2);
    }
}
