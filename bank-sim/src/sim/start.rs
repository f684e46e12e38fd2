//! Starts a simulator: from a configuration to hosts that run.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use iso8583::Dialect;
use tokio::sync::watch;

use super::{RunningHost, RunningSim, SimError, Tasks, bind, run_host};
use crate::{
    acquirer::{Acquirer, Link, LinkSettings, LinkTarget},
    clock::{Clock, SystemClock},
    codec::WireCodec,
    config::{AcquirerConfig, ConfigError, IssuerCodec, IssuerConfig, LinkConfig, SimConfig},
    control::{self, Controlled},
    faults::Faults,
    host::{Host, Role},
    iso8583_rs_codec::Iso8583RsCodec,
    issuer::{Issuer, ZonePinKey, books_of},
    message_log::LoggedHost,
    net::Net,
    payouts::Payouts,
    settlement::{Settlement, SettlementSettings},
    tls,
};

/// Starts simulators.
#[derive(Debug, Clone, Copy)]
pub struct BankSim;

impl BankSim {
    /// Binds every listener, starts every host, and returns at once; the acquirer's links come up in
    /// the background, which [`RunningSim::wait_for_links`] awaits. Needs a tokio runtime.
    ///
    /// # Errors
    /// The setting that cannot be used, and its host.
    pub async fn start(config: SimConfig) -> Result<RunningSim, SimError> {
        Self::start_with(config, Arc::new(SystemClock), Net::SYSTEM).await
    }

    /// As [`BankSim::start`], with the caller's clock and network.
    ///
    /// # Errors
    /// The setting that cannot be used, and its host.
    pub async fn start_with(
        config: SimConfig,
        clock: Arc<dyn Clock>,
        net: Net,
    ) -> Result<RunningSim, SimError> {
        config.check()?;
        let mut sim = RunningSim {
            log: Arc::default(),
            faults: Arc::new(Faults::default()),
            payouts: Arc::new(Payouts::new(Arc::clone(&clock))),
            control: None,
            clock,
            net,
            hosts: BTreeMap::new(),
        };
        for issuer in &config.issuers {
            sim.add_issuer(issuer, &config).await?;
        }
        if let Some(acquirer) = &config.acquirer {
            sim.add_acquirer(acquirer, &config).await?;
        }
        if let Some(control) = &config.control {
            sim.open_control(control.listen).await?;
        }
        Ok(sim)
    }
}

impl RunningSim {
    async fn add_issuer(&mut self, config: &IssuerConfig, sim: &SimConfig) -> Result<(), SimError> {
        let name: Arc<str> = Arc::from(config.name.as_str());
        let zone_pin_key = ZonePinKey::from_hex(&config.zone_pin_key_hex.0).map_err(|source| {
            SimError::PinKey {
                host: config.name.clone(),
                source,
            }
        })?;
        let codec = match config.codec {
            IssuerCodec::Own => own_codec(&config.name, &config.dialect)?,
            IssuerCodec::Iso8583Rs => WireCodec::Iso8583Rs(
                Iso8583RsCodec::start(sim.codec_program.clone())
                    .await
                    .map_err(|source| SimError::Codec {
                        host: config.name.clone(),
                        source,
                    })?,
            ),
        };
        let books = books_of(config, zone_pin_key, sim.max_exchanges);
        let clock = Arc::clone(&self.clock);
        let host = Host {
            logged: logged(&name, &config.dialect)?,
            dialect_name: Arc::from(config.dialect.as_str()),
            codec,
            framing: config.framing,
            echo_idle: config.echo_idle_ms.map(Duration::from_millis),
            tls: tls::server_config(&config.tls).map_err(|source| SimError::Tls {
                host: config.name.clone(),
                source,
            })?,
            role: Role::Issuer(Box::new(Issuer::new(
                Arc::clone(&name),
                books,
                config.late_answer(),
                config.rules,
                clock,
            ))),
            lines: Arc::default(),
            counters: Arc::default(),
            log: Arc::clone(&self.log),
            faults: Arc::clone(&self.faults),
            until_reversed: Mutex::default(),
            clock: Arc::clone(&self.clock),
            name,
        };
        self.add_host(host, config.listen).await
    }

    async fn add_acquirer(
        &mut self,
        config: &AcquirerConfig,
        sim: &SimConfig,
    ) -> Result<(), SimError> {
        let name: Arc<str> = Arc::from(config.name.as_str());
        let settings = SettlementSettings {
            rules: config.rules,
            tells_date: config.settlement_date,
            capacity: sim.max_exchanges,
            institution_id: config.institution_id.clone(),
        };
        let today = self.clock.now_utc().date();
        let settlement = Arc::new(Settlement::new(settings, today));
        let mut links = Vec::with_capacity(config.links.len());
        for link in &config.links {
            let issuer = sim.issuers.iter().find(|issuer| issuer.name == link.issuer);
            links.push(Arc::new(Link::new(LinkSettings {
                host: Arc::clone(&name),
                issuer: Arc::from(link.issuer.as_str()),
                bins: link.bins.clone(),
                institution_id: config.institution_id.clone(),
                issuer_timeout: config.issuer_timeout(),
                echo_idle: config.echo_idle_ms.map(Duration::from_millis),
                echo_card_number: config.echo_card_number,
                settlement: Arc::clone(&settlement),
                target: self.link_target(config, link, issuer)?,
                clock: Arc::clone(&self.clock),
                net: self.net.clone(),
            })));
        }
        let acquirer = Acquirer::new(
            links,
            config.institution_id.clone(),
            sim.max_exchanges,
            settlement,
            Arc::clone(&self.clock),
        );
        let host = Host {
            logged: logged(&name, &config.dialect)?,
            dialect_name: Arc::from(config.dialect.as_str()),
            codec: own_codec(&config.name, &config.dialect)?,
            framing: config.framing,
            echo_idle: config.echo_idle_ms.map(Duration::from_millis),
            tls: tls::server_config(&config.tls).map_err(|source| SimError::Tls {
                host: config.name.clone(),
                source,
            })?,
            role: Role::Acquirer(acquirer),
            lines: Arc::default(),
            counters: Arc::default(),
            log: Arc::clone(&self.log),
            faults: Arc::clone(&self.faults),
            until_reversed: Mutex::default(),
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
            framing,
        }))
    }

    async fn open_control(&mut self, listen_on: SocketAddr) -> Result<(), SimError> {
        let listener = bind(&self.net, "control", listen_on).await?;
        let address = listener.local_addr().map_err(|source| SimError::Listen {
            host: "control".to_owned(),
            address: listen_on,
            source,
        })?;
        let controlled = Controlled {
            hosts: self
                .hosts
                .iter()
                .map(|(name, running)| (name.clone(), Arc::clone(&running.host)))
                .collect(),
            log: Arc::clone(&self.log),
            faults: Arc::clone(&self.faults),
            payouts: Arc::clone(&self.payouts),
        };
        let (stop, stopped) = watch::channel(false);
        let serving = control::serve(controlled, listener, stopped);
        let handles = vec![tokio::spawn(serving)];
        self.control = Some((address, Tasks { stop, handles }));
        tracing::info!(%address, "the control API listens");
        Ok(())
    }

    async fn add_host(&mut self, host: Host, listen_on: SocketAddr) -> Result<(), SimError> {
        let listener = bind(&self.net, &host.name, listen_on).await?;
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

fn own_codec(host: &str, dialect: &str) -> Result<WireCodec, ConfigError> {
    Ok(WireCodec::Own(builtin(host, dialect)?))
}

fn logged(name: &Arc<str>, dialect: &str) -> Result<Arc<LoggedHost>, ConfigError> {
    Ok(Arc::new(LoggedHost {
        name: Arc::clone(name),
        dialect: builtin(name, dialect)?,
    }))
}

fn builtin(host: &str, dialect: &str) -> Result<Arc<Dialect>, ConfigError> {
    let dialect = Dialect::builtin(dialect).ok_or_else(|| ConfigError::Invalid {
        host: host.to_owned(),
        setting: "dialect",
        expected: "the name of a built-in dialect",
        got: dialect.to_owned(),
    })?;
    Ok(Arc::new(dialect))
}
