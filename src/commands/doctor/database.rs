//! The database: it is reached, it will do, its schema is the program's, and the clocks agree.

use super::finding::Findings;
use crate::card::custody::DataKeys;
use crate::card::key_files::mode_readable_by_others;
use crate::card::master_key::MasterKey;
use crate::clock::Clock;
use crate::config::store::StoreConfig;
use crate::random::Random;
use crate::store::error::StoreError;
use crate::store::inspection::{ClockDifference, Inspection, Nodes, Replication};
use crate::telemetry::with_causes;

const CHECK: &str = "database";
/// A larger difference to the server's clock is worth a look, in milliseconds.
const WARN_CLOCK_MS: i64 = 1_000;
/// With a larger one nodes judge deadlines of each other wrongly, in milliseconds.
const MOST_CLOCK_MS: i64 = 10_000;

/// Looks at the database. Gives whether a gateway uses it.
pub async fn check(
    config: &StoreConfig,
    master_key: Option<&MasterKey>,
    clock: &dyn Clock,
    findings: &mut Findings,
) -> bool {
    let mut inspection = match Inspection::open(config).await {
        Ok(inspection) => inspection,
        Err(error) => {
            findings.failed(
                CHECK,
                format!("{}: {}", config.shown_url(), with_causes(&error)),
                advice(&error),
            );
            return false;
        }
    };
    let looked = look(&mut inspection, config, (master_key, clock), findings).await;
    inspection.close().await;
    looked.unwrap_or_else(|error| {
        findings.failed(
            CHECK,
            format!("{}: {}", config.shown_url(), with_causes(&error)),
            advice(&error),
        );
        false
    })
}

async fn look(
    inspection: &mut Inspection,
    config: &StoreConfig,
    (master_key, clock): (Option<&MasterKey>, &dyn Clock),
    findings: &mut Findings,
) -> Result<bool, StoreError> {
    // First of all: through a pooler, no later answer is worth anything.
    inspection.check_server().await?;
    let version = inspection.version().await?;
    let url = config.shown_url();
    match inspection.journal()? {
        Some(mode) => findings.ok(CHECK, format!("{url}: {version}, journal: {mode}")),
        None => findings.ok(
            CHECK,
            format!("{url}: {version}, UTF8, sessions of its own"),
        ),
    }
    if let Some(file) = Inspection::file(config)?
        && let Some(mode) = mode_readable_by_others(&file)
    {
        findings.warning(
            "database file",
            format!("{} has mode {mode:04o}", file.display()),
            format!("chmod 0600 {}", file.display()),
        );
    }
    if let Some(difference) = inspection.clock_difference(clock).await? {
        judge_clock(difference, findings);
    }
    if let Some(replication) = inspection.replication().await? {
        judge_replication(replication, findings);
    }
    match inspection.check_schema().await {
        Ok(version) => findings.ok(
            "schema",
            format!("version {version}, which this program needs"),
        ),
        Err(error) => {
            findings.failed("schema", with_causes(&error), advice(&error));
            return Ok(inspection.is_held().unwrap_or(false));
        }
    }
    if let (Some(master_key), Some(key)) = (master_key, inspection.newest_data_key().await?) {
        check_data_key(master_key, &key, findings);
    }
    let in_use = match inspection.is_held() {
        Some(held) => {
            let found = if held {
                "one uses this database"
            } else {
                "none uses this database"
            };
            findings.ok("gateways", found);
            held
        }
        None => {
            let nodes = inspection.nodes(clock).await?;
            judge_nodes(nodes, findings);
            nodes.alive > 0
        }
    };
    Ok(in_use)
}

/// Whether the database belongs to this master key.
fn check_data_key(
    master_key: &MasterKey,
    (key_version, wrapped): &(i64, String),
    findings: &mut Findings,
) {
    const CHECK: &str = "data keys";
    let newest = std::iter::once((*key_version, wrapped.as_str()));
    let opened = DataKeys::new(master_key, &Random::SYSTEM).load(newest);
    match opened.map_err(|error| with_causes(&error)) {
        Ok(()) => findings.ok(
            CHECK,
            format!("the newest, {key_version}, opens under the master key"),
        ),
        Err(error) => findings.failed(
            CHECK,
            error,
            "put back the master key that this database was used with, or name that one's database in store.url",
        ),
    }
}

/// What to do about an error of the store.
fn advice(error: &StoreError) -> &'static str {
    match error {
        StoreError::Configuration { .. } => "change store.url, or the database, as expected",
        StoreError::Schema { found, needed, .. } if found > needed => {
            "run the version of payswitch that migrated it, or restore the backup from before"
        }
        StoreError::Schema { .. } => {
            "make a backup, stop every gateway, then: payswitch migrate --config FILE"
        }
        StoreError::MigrationChanged { .. } => {
            "run the payswitch that migrated it: this one is another build"
        }
        StoreError::File { .. } => {
            "check the path in store.url and the folder's owner; a new database: payswitch migrate --config FILE"
        }
        _ => {
            "check that the server runs and takes this user and password: psql STORE_URL -c 'SELECT 1'"
        }
    }
}

fn judge_clock(difference: ClockDifference, findings: &mut Findings) {
    const CHECK: &str = "clock of the database";
    let ClockDifference {
        ahead_ms,
        uncertain_ms,
    } = difference;
    let found = format!("{ahead_ms} ms ahead of this machine's, give or take {uncertain_ms} ms");
    let advice = "let NTP keep the clocks of all machines";
    // What is due to the way of the question is not held against the clocks.
    let certain_ms = ahead_ms.saturating_abs().saturating_sub(uncertain_ms);
    if certain_ms <= WARN_CLOCK_MS {
        findings.ok(CHECK, found);
    } else if certain_ms <= MOST_CLOCK_MS {
        findings.warning(CHECK, found, advice);
    } else {
        findings.failed(CHECK, found, advice);
    }
}

fn judge_replication(replication: Replication, findings: &mut Findings) {
    const CHECK: &str = "standbys of the database";
    let Replication {
        standbys,
        synchronous,
        is_standby,
    } = replication;
    if is_standby {
        findings.failed(
            CHECK,
            "this server is a standby, which takes no writes",
            "name the primary in store.url",
        );
    } else if standbys > 0 && !synchronous {
        findings.warning(
            CHECK,
            format!("{standbys}, none of them synchronous: a failover loses commits"),
            "set synchronous_standby_names on the server",
        );
    } else {
        let found = match standbys {
            0 => "none is connected".to_owned(),
            _ => format!("{standbys}, and commits wait for one"),
        };
        findings.ok(CHECK, found);
    }
}

fn judge_nodes(nodes: Nodes, findings: &mut Findings) {
    let Nodes { alive, silent } = nodes;
    let mut found = match alive {
        0 => "none uses this database".to_owned(),
        1 => "1 uses this database".to_owned(),
        _ => format!("{alive} use this database"),
    };
    if silent > 0 {
        found.push_str(&format!("; {silent} did not stop in order"));
    }
    findings.ok("gateways", found);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Standing;
    use crate::commands::doctor::finding::testing::only;

    #[test]
    fn clocks_that_differ_are_judged_by_what_is_certain_of_it() {
        for (ahead_ms, uncertain_ms, standing) in [
            (0, 1, Standing::Ok),
            (-1_001, 1, Standing::Ok),
            (1_002, 1, Standing::Warning),
            (-9_000, 5, Standing::Warning),
            (10_002, 1, Standing::Failed),
            (-90_000, 5, Standing::Failed),
        ] {
            let mut findings = Findings::default();
            let difference = ClockDifference {
                ahead_ms,
                uncertain_ms,
            };
            judge_clock(difference, &mut findings);
            let finding = only(&findings, standing);
            assert!(finding.found.contains(&ahead_ms.to_string()));
        }
    }

    #[test]
    fn standbys_that_may_lose_commits_are_a_warning() {
        for (standbys, synchronous, is_standby, standing) in [
            (0, false, false, Standing::Ok),
            (1, true, false, Standing::Ok),
            (1, false, false, Standing::Warning),
            (0, false, true, Standing::Failed),
        ] {
            let mut findings = Findings::default();
            let replication = Replication {
                standbys,
                synchronous,
                is_standby,
            };
            judge_replication(replication, &mut findings);
            only(&findings, standing);
        }
    }

    #[tokio::test]
    async fn a_database_that_is_not_there_says_how_it_is_made() {
        let config = StoreConfig {
            url: "sqlite:///nowhere/payswitch.db".into(),
            ..StoreConfig::default()
        };
        let mut findings = Findings::default();
        let in_use = check(&config, None, &crate::clock::SystemClock, &mut findings).await;
        assert!(!in_use);
        let finding = only(&findings, Standing::Failed);
        assert!(finding.advice.contains("payswitch migrate"), "{finding:?}");
    }
}
