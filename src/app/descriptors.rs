//! How many file descriptors a gateway needs. The limit is raised to that before it opens anything; a gateway that may
//! not have so many does not start. So clients can't take those of the lines to the banks and of the store: the doors
//! have a bound of their own.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::admin_api;
use crate::config::Config;
use crate::hosts::profile::HostProfile;
use crate::store::database::read_kinds::most_readers;

/// Descriptors of the doors' own sockets, the runtime, the log, and the files that are open at once.
const OTHERS: u64 = 128;
/// What one connection to the store takes: on SQLite the database, its log and its shared memory.
const OF_A_STORE_CONNECTION: u64 = 3;
/// Connections to the store besides those for reading: the writer's, the one for housekeeping, the one that cancels
/// statements, and two that look at the server when the store is opened.
const OTHER_STORE_CONNECTIONS: u64 = 5;

/// The process may not have as many descriptors as it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a limit of at least {needed} file descriptors, for merchant_api.connections, the operators' door, the lines \
     to the banks and the store; got a hard limit of {hard}: set LimitNOFILE={needed} in the unit of the service or \
     `ulimit -Hn {needed}` as root, or lower merchant_api.connections"
)]
pub struct TooFewDescriptors {
    /// How many the gateway needs.
    pub needed: u64,
    /// How many it may have at the most.
    pub hard: u64,
}

/// The limits of this process; none where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many it may have now.
    pub soft: Option<u64>,
    /// How far it may raise that.
    pub hard: Option<u64>,
}

impl Limits {
    /// Those of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        let limit = getrlimit(Resource::Nofile);
        Self {
            soft: limit.current,
            hard: limit.maximum,
        }
    }

    /// The limits under which `needed` descriptors can be had.
    ///
    /// # Errors
    /// When the hard limit is lower.
    pub fn raised_to(self, needed: u64) -> Result<Self, TooFewDescriptors> {
        match self.hard {
            Some(hard) if hard < needed => Err(TooFewDescriptors { needed, hard }),
            _ => Ok(Self {
                soft: self.soft.map(|soft| soft.max(needed)),
                ..self
            }),
        }
    }
}

/// Why the limit could not be raised.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorsError {
    /// The hard limit is too low.
    #[error(transparent)]
    TooFew(#[from] TooFewDescriptors),
    /// The operating system refuses.
    #[error("the limit of file descriptors could not be raised to {needed}")]
    Refused {
        /// How many the gateway needs.
        needed: u64,
        /// What the system says.
        #[source]
        source: Errno,
    },
}

/// How many descriptors a gateway with this configuration and these hosts has open at the most.
#[must_use]
pub fn needed(config: &Config, profiles: &[HostProfile]) -> u64 {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let operators = match &config.admin_api {
        Some(_) => admin_api::server::CONNECTIONS,
        None => 0,
    };
    let lines: u64 = profiles.iter().map(|profile| count(profile.lines)).sum();
    let store = most_readers(config.store.read_connections) + OTHER_STORE_CONNECTIONS;
    [
        count(config.merchant_api.connections),
        count(operators),
        lines,
        store * OF_A_STORE_CONNECTION,
        OTHERS,
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}

/// Raises the limit of this process to what is needed, where it is lower.
///
/// # Errors
/// When it may not have so many.
pub fn raise_to(needed: u64) -> Result<(), DescriptorsError> {
    let limits = Limits::of_this_process();
    let raised = limits.raised_to(needed)?;
    if raised == limits {
        return Ok(());
    }
    let limit = Rlimit {
        current: raised.soft,
        maximum: raised.hard,
    };
    setrlimit(Resource::Nofile, limit)
        .map_err(|source| DescriptorsError::Refused { needed, source })?;
    tracing::info!(
        before = limits.soft,
        now = raised.soft,
        "The limit of file descriptors is raised"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::admin_api::AdminApiConfig;

    #[test]
    fn the_limit_is_raised_as_far_as_needed_or_refused() {
        let limits = |soft, hard| Limits { soft, hard };
        for (before, needed, after) in [
            (
                limits(Some(1024), Some(4096)),
                4096,
                Ok(limits(Some(4096), Some(4096))),
            ),
            (limits(Some(8192), None), 4096, Ok(limits(Some(8192), None))),
            (limits(None, None), 4096, Ok(limits(None, None))),
            (
                limits(Some(1024), Some(4095)),
                4096,
                Err(TooFewDescriptors {
                    needed: 4096,
                    hard: 4095,
                }),
            ),
        ] {
            assert_eq!(before.raised_to(needed), after, "{before:?}");
        }
    }

    #[test]
    fn everything_that_holds_one_counts() {
        let mut config = Config::default();
        let before = needed(&config, &[]);
        assert!(before > 4096, "{before}");
        config.merchant_api.connections += 1000;
        assert_eq!(needed(&config, &[]), before + 1000);
        config.admin_api = Some(AdminApiConfig::default());
        let operators = u64::try_from(admin_api::server::CONNECTIONS).unwrap();
        assert_eq!(needed(&config, &[]), before + 1000 + operators);
        config.store.read_connections += 1;
        assert_eq!(needed(&config, &[]), before + 1000 + operators + 9);
    }
}
