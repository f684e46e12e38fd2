//! A running simulator: the handle to its hosts, which stops them and starts them again.

mod settlement;
pub mod start;

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use thiserror::Error;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::{
    acquirer::Link,
    clock::Clock,
    config::ConfigError,
    counters::HostCounters,
    faults::Faults,
    host::{Host, Role},
    iso8583_rs_codec::CodecError,
    issuer::{BooksSnapshot, PinKeyError},
    listener::listen,
    message_log::{LoggedMessage, MessageLog, MessageQuery},
    net::{Listener, Net},
    payouts::Payouts,
    settlement::SettlementError,
    tls::TlsError,
};

/// How long a host may take to stop before its tasks are aborted.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// A simulator that cannot be started, or a handle that leads nowhere.
#[derive(Debug, Error)]
pub enum SimError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Certificates or keys of a host cannot be used.
    #[error("host `{host}`: its TLS settings cannot be used")]
    Tls {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: TlsError,
    },
    /// The PIN key of an issuer cannot be used.
    #[error("host `{host}`: its PIN key cannot be used")]
    PinKey {
        /// The host.
        host: String,
        /// Why; never shows the key.
        #[source]
        source: PinKeyError,
    },
    /// A host cannot listen at its address: another program does, most likely.
    #[error("host `{host}`: failed to listen on {address}")]
    Listen {
        /// The host.
        host: String,
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The child process of an issuer's codec cannot be started.
    #[error("host `{host}`: its codec cannot be started")]
    Codec {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: CodecError,
    },
    /// There is no host of that name.
    #[error("no host is called `{name}`; there are {known}")]
    UnknownHost {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The settlement books of an acquirer refuse something.
    #[error("host `{host}`")]
    Settlement {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: SettlementError,
    },
    /// The host holds accounts and settles nothing.
    #[error("`{name}` is an issuer; expected an acquirer")]
    NoAcquirer {
        /// The host.
        name: String,
    },
}

/// A handle to every host of a simulator. Dropping it stops them all without waiting.
pub struct RunningSim {
    log: Arc<MessageLog>,
    faults: Arc<Faults>,
    payouts: Arc<Payouts>,
    /// Where the control API listens, and its task.
    control: Option<(SocketAddr, Tasks)>,
    clock: Arc<dyn Clock>,
    net: Net,
    hosts: BTreeMap<String, RunningHost>,
}

struct RunningHost {
    host: Arc<Host>,
    /// The address it was bound to at first, and is bound to again.
    address: SocketAddr,
    tasks: Mutex<Option<HostTasks>>,
}

/// Lines are stopped before links. In the other order the host would answer 91 on its lines for a moment,
/// which a killed process does not do.
struct HostTasks {
    lines: Tasks,
    links: Tasks,
}

/// Tasks that are stopped together.
struct Tasks {
    stop: watch::Sender<bool>,
    handles: Vec<JoinHandle<()>>,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl fmt::Debug for RunningSim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.hosts
                    .iter()
                    .map(|(name, running)| (name, running.address)),
            )
            .finish()
    }
}

impl RunningSim {
    /// The address at which a host listens, with its real port; the same after a stop and a start.
    #[must_use]
    pub fn address(&self, host: &str) -> Option<SocketAddr> {
        self.hosts.get(host).map(|running| running.address)
    }

    /// The hosts by name, and how to reach them.
    pub fn hosts(&self) -> impl Iterator<Item = HostSummary<'_>> {
        self.hosts.iter().map(|(name, running)| HostSummary {
            name,
            address: running.address,
            dialect: &running.host.dialect_name,
            framing: running.host.framing,
        })
    }

    /// An issuer's books at this moment; `None` for a host without accounts.
    #[must_use]
    pub fn books(&self, issuer: &str) -> Option<BooksSnapshot> {
        match &self.hosts.get(issuer)?.host.role {
            Role::Issuer(issuer) => Some(issuer.snapshot()),
            Role::Acquirer(_) => None,
        }
    }

    /// The messages that a host has received and sent on the lines that others opened to it, counted.
    #[must_use]
    pub fn counters(&self, host: &str) -> Option<HostCounters> {
        self.hosts
            .get(host)
            .map(|running| running.host.counters.snapshot())
    }

    /// The messages that the acquirer has sent and received on its link to an issuer, counted.
    #[must_use]
    pub fn link_counters(&self, issuer: &str) -> Option<HostCounters> {
        self.links()
            .find(|link| link.issuer() == issuer)
            .map(|link| link.counters())
    }

    /// Where the control API listens; `None` when the configuration has none.
    #[must_use]
    pub fn control_address(&self) -> Option<SocketAddr> {
        self.control.as_ref().map(|(address, _)| *address)
    }

    /// The messages that a query means, oldest first, and the position to go on after. The newest
    /// [`MAX_LOGGED_MESSAGES`](crate::message_log::MAX_LOGGED_MESSAGES) are kept.
    #[must_use]
    pub fn messages(&self, query: &MessageQuery<'_>) -> (Vec<LoggedMessage>, u64) {
        self.log.list(query)
    }

    /// Tells from now on the position of the newest message.
    #[must_use]
    pub fn follow_messages(&self) -> watch::Receiver<u64> {
        self.log.follow()
    }

    /// Waits until every link of the acquirer that leads somewhere is signed on, and says whether
    /// that happened within the limit.
    pub async fn wait_for_links(&self, limit: Duration) -> bool {
        let all_ready = async {
            for link in self.links().filter(|link| link.has_target()) {
                // The sender lives as long as the link.
                let _ = link.readiness().wait_for(|ready| *ready).await;
            }
        };
        timeout(limit, all_ready).await.is_ok()
    }

    /// Waits until the acquirer's link to one issuer is signed on, and says whether that happened
    /// within the limit; `false` at once when there is no such link.
    pub async fn wait_for_link(&self, issuer: &str, limit: Duration) -> bool {
        self.wait_for_link_to_be(issuer, true, limit).await
    }

    /// Waits until the acquirer has noticed that its link to an issuer is down, so that it answers
    /// 91 at once, and says whether that happened within the limit.
    pub async fn wait_for_link_down(&self, issuer: &str, limit: Duration) -> bool {
        self.wait_for_link_to_be(issuer, false, limit).await
    }

    async fn wait_for_link_to_be(&self, issuer: &str, wanted: bool, limit: Duration) -> bool {
        let Some(link) = self.links().find(|link| link.issuer() == issuer) else {
            return false;
        };
        let mut readiness = link.readiness();
        timeout(limit, readiness.wait_for(|ready| *ready == wanted))
            .await
            .is_ok()
    }

    /// Kills a host: its listener is closed and its connections are dropped. Its books stay, as a
    /// bank's would. Stopping a stopped host does nothing.
    ///
    /// # Errors
    /// [`SimError::UnknownHost`].
    pub async fn stop_host(&self, host: &str) -> Result<(), SimError> {
        let running = self.running(host)?;
        let tasks = running
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(tasks) = tasks {
            tasks.stop().await;
            tracing::info!(host.id = host, "a host was stopped");
        }
        Ok(())
    }

    /// Starts a stopped host again, on the port that it had. Starting a running host does nothing.
    ///
    /// # Errors
    /// [`SimError::UnknownHost`], or [`SimError::Listen`] when the port has been taken since.
    pub async fn start_host(&self, host: &str) -> Result<(), SimError> {
        let running = self.running(host)?;
        if running
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
        {
            return Ok(());
        }
        let listener = bind(&self.net, host, running.address).await?;
        let tasks = run_host(&running.host, listener);
        *running.tasks.lock().unwrap_or_else(PoisonError::into_inner) = Some(tasks);
        tracing::info!(host.id = host, "a host was started again");
        Ok(())
    }

    /// Stops every host; takes at most a few seconds whatever the peers do. The control API goes on until the
    /// handle is dropped.
    pub async fn shutdown(&self) {
        for running in self.hosts.values() {
            let tasks = running
                .tasks
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(tasks) = tasks {
                tasks.stop().await;
            }
        }
    }

    fn running(&self, host: &str) -> Result<&RunningHost, SimError> {
        self.hosts.get(host).ok_or_else(|| SimError::UnknownHost {
            name: host.to_owned(),
            known: self.hosts.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    fn links(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.hosts
            .values()
            .flat_map(|running| match &running.host.role {
                Role::Acquirer(acquirer) => acquirer.links(),
                Role::Issuer(_) => &[],
            })
    }
}

/// How to reach a host.
#[derive(Debug, Clone, Copy)]
pub struct HostSummary<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it listens.
    pub address: SocketAddr,
    /// The name of its dialect.
    pub dialect: &'a str,
    /// How messages are framed.
    pub framing: iso8583::Framing,
}

async fn bind(net: &Net, host: &str, address: SocketAddr) -> Result<Listener, SimError> {
    net.listen(address)
        .await
        .map_err(|source| SimError::Listen {
            host: host.to_owned(),
            address,
            source,
        })
}

fn run_host(host: &Arc<Host>, listener: Listener) -> HostTasks {
    let links = match &host.role {
        Role::Acquirer(acquirer) => acquirer.links(),
        Role::Issuer(_) => &[],
    };
    let (stop_lines, lines_stopped) = watch::channel(false);
    let (stop_links, links_stopped) = watch::channel(false);
    let listening = listen(Arc::clone(host), listener, lines_stopped);
    HostTasks {
        lines: Tasks {
            stop: stop_lines,
            handles: vec![tokio::spawn(listening)],
        },
        links: Tasks {
            stop: stop_links,
            handles: links
                .iter()
                .map(|link| {
                    let (link, stopped) = (Arc::clone(link), links_stopped.clone());
                    tokio::spawn(async move { link.run(stopped).await })
                })
                .collect(),
        },
    }
}

impl HostTasks {
    async fn stop(self) {
        self.lines.stop().await;
        self.links.stop().await;
    }
}

impl Tasks {
    async fn stop(mut self) {
        self.stop.send_replace(true);
        for handle in &mut self.handles {
            if timeout(STOP_LIMIT, &mut *handle).await.is_err() {
                handle.abort();
            }
        }
    }
}
