//! Real hosts with a real PKI.

use std::sync::Arc;

use bank_sim::{
    BankSim, RunningSim, SimConfig,
    clock::{Clock, FixedClock, SystemClock},
    config::standard::{StandardPki, StandardPorts},
    issuer::AccountSnapshot,
    net::Net,
};
use time::macros::datetime;

use crate::pki::HostPki;
use crate::switch::{LIMIT, Switch};

/// The standard layout on free ports.
pub(crate) struct Banks {
    pub(crate) sim: RunningSim,
    pub(crate) acquirer: HostPki,
    pub(crate) issuer_a: HostPki,
    pub(crate) issuer_b: HostPki,
}

impl Banks {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// As [`Banks::start_with`], at noon of 29 November 2026.
    pub(crate) async fn start_on_29_november(change: impl FnOnce(&mut SimConfig)) -> Self {
        let clock = Arc::new(FixedClock(datetime!(2026-11-29 12:00 UTC)));
        let banks = Self::launch_at(clock, change).await;
        assert!(banks.sim.wait_for_links(LIMIT).await, "the links came up");
        banks
    }

    /// Starts with changes to the standard configuration, and waits for the links.
    pub(crate) async fn start_with(change: impl FnOnce(&mut SimConfig)) -> Self {
        let banks = Self::launch(change).await;
        assert!(banks.sim.wait_for_links(LIMIT).await, "the links came up");
        banks
    }

    /// Starts with changes to the standard configuration.
    pub(crate) async fn launch(change: impl FnOnce(&mut SimConfig)) -> Self {
        Self::launch_at(Arc::new(SystemClock), change).await
    }

    async fn launch_at(clock: Arc<dyn Clock>, change: impl FnOnce(&mut SimConfig)) -> Self {
        let (acquirer, issuer_a, issuer_b) = (
            HostPki::new("acquirer"),
            HostPki::new("issuer-a"),
            HostPki::new("issuer-b"),
        );
        let pki = StandardPki {
            acquirer: acquirer.pems(),
            issuer_a: issuer_a.pems(),
            issuer_b: issuer_b.pems(),
        };
        let mut config = SimConfig::standard(StandardPorts::ANY, pki);
        config.codec_program = Some(env!("CARGO_BIN_EXE_bank-sim").into());
        change(&mut config);
        let sim = BankSim::start_with(config, clock, Net::SYSTEM)
            .await
            .unwrap();
        Self {
            sim,
            acquirer,
            issuer_a,
            issuer_b,
        }
    }

    /// A line to the acquirer, signed on.
    pub(crate) async fn switch(&self) -> Switch {
        self.line("acquirer").await
    }

    pub(crate) async fn unsigned_switch(&self) -> Switch {
        Switch::connect(&self.sim, "acquirer", &self.acquirer).await
    }

    /// A line straight to issuer-b, signed on: our codec at one end, `iso8583_rs` at the other.
    pub(crate) async fn at_issuer_b(&self) -> Switch {
        self.line("issuer-b").await
    }

    /// A signed-on line to any host.
    pub(crate) async fn line(&self, host: &str) -> Switch {
        let pki = match host {
            "acquirer" => &self.acquirer,
            "issuer-a" => &self.issuer_a,
            _ => &self.issuer_b,
        };
        let mut switch = Switch::connect(&self.sim, host, pki).await;
        assert_eq!(switch.network("001").await, "00");
        switch
    }

    /// What is held on a card's account.
    pub(crate) fn held(&self, issuer: &str, pan: &str, currency: &str) -> i64 {
        self.account(issuer, pan, currency).held_minor
    }

    pub(crate) fn balance(&self, issuer: &str, pan: &str, currency: &str) -> i64 {
        self.account(issuer, pan, currency).balance_minor
    }

    pub(crate) fn account(&self, issuer: &str, pan: &str, currency: &str) -> AccountSnapshot {
        let books = self.sim.books(issuer).unwrap();
        books.account(pan, currency).unwrap().clone()
    }
}
