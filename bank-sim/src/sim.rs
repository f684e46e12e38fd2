//! A running simulator: starts hosts from a configuration, and is the handle to them.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use iso8583::Dialect;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::{broadcast, watch},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    acquirer::{Acquirer, Link, LinkSettings, LinkTarget},
    clock::{Clock, SystemClock},
    config::{AcquirerConfig, ConfigError, IssuerCodec, IssuerConfig, LinkConfig, SimConfig},
    counters::{Counters, HostCounters},
    host::{Host, Role, listen},
    iso8583_rs_codec::{CodecError, Iso8583RsCodec},
    issuer::{BooksSnapshot, Issuer, PinKeyError, ZonePinKey, with_test_cards},
    tap::{Tap, TappedMessage},
    tls::{self, TlsError},
    wire::WireCodec,
};

/// How long a host may take to stop before its tasks are aborted.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// The dialect of an issuer that speaks through `iso8583_rs`.
const ISO8583_RS_DIALECT: &str = "iso1987-ascii-binary";

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
}

/// Starts simulators.
#[derive(Debug, Clone, Copy)]
pub struct BankSim;

impl BankSim {
    /// Binds every listener, starts every host, and returns at once; the acquirer's links come up in
    /// the background, which [`RunningSim::wait_for_links`] awaits. Needs a tokio runtime.
    ///
    /// # Errors
    /// What cannot be used, and of which host.
    pub async fn start(config: SimConfig) -> Result<RunningSim, SimError> {
        Self::start_at(config, Arc::new(SystemClock)).await
    }

    /// As [`BankSim::start`], with a clock of the caller's.
    ///
    /// # Errors
    /// What cannot be used, and of which host.
    pub async fn start_at(
        config: SimConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<RunningSim, SimError> {
        config.check()?;
        let tap = Tap::new(Arc::clone(&clock));
        let mut sim = RunningSim {
            tap,
            clock,
            hosts: BTreeMap::new(),
        };
        for issuer in &config.issuers {
            sim.add_issuer(issuer, config.codec_program.clone()).await?;
        }
        if let Some(acquirer) = &config.acquirer {
            sim.add_acquirer(acquirer, &config.issuers).await?;
        }
        Ok(sim)
    }
}

/// A handle to every host of a simulator. Dropping it stops them all without waiting.
pub struct RunningSim {
    tap: Tap,
    clock: Arc<dyn Clock>,
    hosts: BTreeMap<String, RunningHost>,
}

struct RunningHost {
    host: Arc<Host>,
    /// The address it was bound to at first, and is bound to again.
    address: SocketAddr,
    tasks: Mutex<Option<HostTasks>>,
}

struct HostTasks {
    stop: watch::Sender<bool>,
    handles: Vec<JoinHandle<()>>,
}

impl Drop for HostTasks {
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

    /// The hosts by name, with what one must know to talk to them.
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

    /// What a host has received and sent on the lines that others opened to it.
    #[must_use]
    pub fn counters(&self, host: &str) -> Option<HostCounters> {
        self.hosts
            .get(host)
            .map(|running| running.host.counters.snapshot())
    }

    /// What the acquirer has sent and received on its link to an issuer.
    #[must_use]
    pub fn link_counters(&self, issuer: &str) -> Option<HostCounters> {
        self.links()
            .find(|link| link.issuer() == issuer)
            .map(|link| link.counters())
    }

    /// Every message on every line from now on, in clear. Without a listener nothing is copied.
    #[must_use]
    pub fn tap(&self) -> broadcast::Receiver<TappedMessage> {
        self.tap.subscribe()
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
        let listener = bind(host, running.address).await?;
        let tasks = run_host(&running.host, listener);
        *running.tasks.lock().unwrap_or_else(PoisonError::into_inner) = Some(tasks);
        tracing::info!(host.id = host, "a host was started again");
        Ok(())
    }

    /// Stops every host; takes at most a few seconds whatever the peers do.
    pub async fn shutdown(self) {
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

    async fn add_issuer(
        &mut self,
        config: &IssuerConfig,
        codec_program: Option<std::path::PathBuf>,
    ) -> Result<(), SimError> {
        let name: Arc<str> = Arc::from(config.name.as_str());
        let zone_pin_key = ZonePinKey::from_hex(&config.zone_pin_key_hex.0).map_err(|source| {
            SimError::PinKey {
                host: config.name.clone(),
                source,
            }
        })?;
        let codec = match config.codec {
            IssuerCodec::Own => own_codec(&config.name, &config.dialect)?,
            IssuerCodec::Iso8583Rs => {
                WireCodec::Iso8583Rs(Iso8583RsCodec::start(codec_program).await.map_err(
                    |source| SimError::Codec {
                        host: config.name.clone(),
                        source,
                    },
                )?)
            }
        };
        let books = with_test_cards(&config.name, zone_pin_key);
        let clock = Arc::clone(&self.clock);
        let host = Host {
            dialect_name: Arc::from(config.dialect.as_str()),
            codec,
            framing: config.framing,
            echo_idle: config.echo_idle_ms.map(Duration::from_millis),
            tls: tls::server_config(&config.tls).map_err(|source| SimError::Tls {
                host: config.name.clone(),
                source,
            })?,
            role: Role::Issuer(Issuer::new(
                Arc::clone(&name),
                books,
                config.late_answer(),
                clock,
            )),
            counters: Arc::default(),
            tap: self.tap.clone(),
            clock: Arc::clone(&self.clock),
            name,
        };
        self.add_host(host, config.listen).await
    }

    async fn add_acquirer(
        &mut self,
        config: &AcquirerConfig,
        issuers: &[IssuerConfig],
    ) -> Result<(), SimError> {
        let name: Arc<str> = Arc::from(config.name.as_str());
        let mut links = Vec::with_capacity(config.links.len());
        for link in &config.links {
            let issuer = issuers.iter().find(|issuer| issuer.name == link.issuer);
            links.push(Arc::new(Link::new(LinkSettings {
                host: Arc::clone(&name),
                issuer: Arc::from(link.issuer.as_str()),
                bins: link.bins.clone(),
                institution_id: config.institution_id.clone(),
                issuer_timeout: config.issuer_timeout(),
                echo_idle: config.echo_idle_ms.map(Duration::from_millis),
                target: self.link_target(config, link, issuer)?,
                tap: self.tap.clone(),
                clock: Arc::clone(&self.clock),
            })));
        }
        let acquirer = Acquirer::new(
            links,
            config.institution_id.clone(),
            Arc::clone(&self.clock),
        );
        let host = Host {
            dialect_name: Arc::from(config.dialect.as_str()),
            codec: own_codec(&config.name, &config.dialect)?,
            framing: config.framing,
            echo_idle: config.echo_idle_ms.map(Duration::from_millis),
            tls: tls::server_config(&config.tls).map_err(|source| SimError::Tls {
                host: config.name.clone(),
                source,
            })?,
            role: Role::Acquirer(acquirer),
            counters: Arc::<Counters>::default(),
            tap: self.tap.clone(),
            clock: Arc::clone(&self.clock),
            name,
        };
        self.add_host(host, config.listen).await
    }

    /// Where a link leads; `None` when its issuer is nowhere.
    fn link_target(
        &self,
        acquirer: &AcquirerConfig,
        link: &LinkConfig,
        issuer: Option<&IssuerConfig>,
    ) -> Result<Option<LinkTarget>, SimError> {
        let here = issuer.and_then(|issuer| self.address(&issuer.name));
        let Some(address) = link.address.or(here) else {
            return Ok(None);
        };
        let invalid = |setting, expected| ConfigError::Invalid {
            host: acquirer.name.clone(),
            setting,
            expected,
            got: format!("none on the link to {}", link.issuer),
        };
        let dialect = link
            .dialect
            .as_ref()
            .or(issuer.map(|issuer| &issuer.dialect));
        let dialect = dialect.ok_or_else(|| invalid("dialect", "a built-in dialect's name"))?;
        let framing = link.framing.or(issuer.map(|issuer| issuer.framing));
        let framing = framing.ok_or_else(|| invalid("framing", "a framing"))?;
        let tls = link
            .tls
            .as_ref()
            .ok_or_else(|| invalid("tls", "TLS settings"))?;
        let (tls, server_name) = tls::client_config(tls).map_err(|source| SimError::Tls {
            host: acquirer.name.clone(),
            source,
        })?;
        Ok(Some(LinkTarget {
            address,
            server_name,
            tls,
            codec: own_codec(&acquirer.name, dialect)?,
            dialect_name: Arc::from(dialect.as_str()),
            framing,
        }))
    }

    async fn add_host(&mut self, host: Host, listen_on: SocketAddr) -> Result<(), SimError> {
        let listener = bind(&host.name, listen_on).await?;
        let address = listener.local_addr().map_err(|source| SimError::Listen {
            host: host.name.to_string(),
            address: listen_on,
            source,
        })?;
        let host = Arc::new(host);
        let tasks = run_host(&host, listener);
        let name = host.name.to_string();
        tracing::info!(host.id = %name, %address, dialect = %host.dialect_name, "a host listens");
        self.hosts.insert(
            name,
            RunningHost {
                host,
                address,
                tasks: Mutex::new(Some(tasks)),
            },
        );
        Ok(())
    }
}

/// What one must know to talk to a host.
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

impl SimConfig {
    /// Finds what the types allow and the simulator does not.
    fn check(&self) -> Result<(), ConfigError> {
        let mut names: Vec<&str> = self
            .issuers
            .iter()
            .map(|issuer| issuer.name.as_str())
            .collect();
        names.extend(self.acquirer.iter().map(|acquirer| acquirer.name.as_str()));
        names.sort_unstable();
        if let Some([twice, _]) = names.array_windows::<2>().find(|[one, other]| one == other) {
            return Err(ConfigError::Invalid {
                host: (*twice).to_owned(),
                setting: "name",
                expected: "a name that no other host has",
                got: (*twice).to_owned(),
            });
        }
        for issuer in &self.issuers {
            if issuer.codec == IssuerCodec::Iso8583Rs && issuer.dialect != ISO8583_RS_DIALECT {
                return Err(ConfigError::Invalid {
                    host: issuer.name.clone(),
                    setting: "dialect",
                    expected: ISO8583_RS_DIALECT,
                    got: issuer.dialect.clone(),
                });
            }
        }
        let Some(acquirer) = &self.acquirer else {
            return Ok(());
        };
        let is_digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let invalid = |setting, expected, got: &str| ConfigError::Invalid {
            host: acquirer.name.clone(),
            setting,
            expected,
            got: got.to_owned(),
        };
        if !is_digits(&acquirer.institution_id) || acquirer.institution_id.len() > 11 {
            return Err(invalid(
                "institution_id",
                "1 to 11 digits",
                &acquirer.institution_id,
            ));
        }
        let mut bins: Vec<&str> = acquirer
            .links
            .iter()
            .flat_map(|link| &link.bins)
            .map(String::as_str)
            .collect();
        bins.sort_unstable();
        if let Some(bin) = bins.iter().find(|bin| !is_digits(bin)) {
            return Err(invalid("bins", "digits", bin));
        }
        match bins.array_windows::<2>().find(|[one, other]| one == other) {
            Some([twice, _]) => Err(invalid("bins", "BINs that are listed once", twice)),
            None => Ok(()),
        }
    }
}

fn own_codec(host: &str, dialect: &str) -> Result<WireCodec, ConfigError> {
    let dialect = Dialect::builtin(dialect).ok_or_else(|| ConfigError::Invalid {
        host: host.to_owned(),
        setting: "dialect",
        expected: "the name of a built-in dialect",
        got: dialect.to_owned(),
    })?;
    Ok(WireCodec::Own(Arc::new(dialect)))
}

async fn bind(host: &str, address: SocketAddr) -> Result<TcpListener, SimError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| SimError::Listen {
            host: host.to_owned(),
            address,
            source,
        })
}

fn run_host(host: &Arc<Host>, listener: TcpListener) -> HostTasks {
    let (stop, stopped) = watch::channel(false);
    let mut handles = vec![tokio::spawn(listen(
        Arc::clone(host),
        listener,
        stopped.clone(),
    ))];
    if let Role::Acquirer(acquirer) = &host.role {
        for link in acquirer.links() {
            let link = Arc::clone(link);
            let stopped = stopped.clone();
            handles.push(tokio::spawn(async move { link.run(stopped).await }));
        }
    }
    HostTasks { stop, handles }
}

impl HostTasks {
    async fn stop(mut self) {
        self.stop.send_replace(true);
        for handle in &mut self.handles {
            if timeout(STOP_LIMIT, &mut *handle).await.is_err() {
                handle.abort();
            }
        }
    }
}
