//! The links against a scripted bank: real sockets, real TLS.

mod answers;
pub(crate) mod bank;
mod circuit;
pub(super) mod known;
mod owed;
mod profiles;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::clock::ManualClock;
use crate::net::Net;
use crate::payment::decline::ResponseCode;
use crate::random::Random;

use super::Hosts;
use super::exchange::Exchange;
use super::line::tls::KeyLoader;
use super::message::contents::{CardFields, Outgoing};
use super::notice::{HostNotice, Quarantined};
use super::profile::HostProfile;
use super::status::LineStatus;
use bank::{Bank, BankLine};

pub(super) const CARD: CardFields<'static> = CardFields {
    pan: "4111111111111111",
    expiry_yymm: "2712",
    cvv: Some("123"),
};

/// No test takes this long but one that fails.
pub(super) const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// What becomes of a message, where a test says it in the place of the lines.
pub(crate) type Script = Box<dyn Fn(&Outgoing<'_>) -> Exchange + Send + Sync>;

/// Hosts that were started for a test.
pub(super) struct Started {
    pub(super) hosts: Arc<Hosts>,
    pub(super) notices: mpsc::Receiver<HostNotice>,
}

impl Started {
    pub(super) fn new(profile: HostProfile) -> Self {
        Self::with(profile, None)
    }

    pub(super) fn with(profile: HostProfile, key_loader: Option<Arc<KeyLoader>>) -> Self {
        let (sender, notices) = mpsc::channel(64);
        let clock = Arc::new(ManualClock::at(known::NOW));
        let hosts = Hosts::start(
            vec![profile],
            key_loader,
            Net::SYSTEM,
            clock,
            Random::SYSTEM,
            sender,
        )
        .unwrap();
        Self {
            hosts: Arc::new(hosts),
            notices,
        }
    }

    /// A bank, hosts with one line to it, and that line, signed on. `change` changes the profile.
    pub(super) async fn signed_on(change: impl FnOnce(&mut HostProfile)) -> (Self, Bank, BankLine) {
        let bank = Bank::start().await;
        let mut profile = bank.profile();
        change(&mut profile);
        let started = Self::new(profile);
        let line = bank.accept_signed_on().await;
        assert!(started.hosts.ready(TEST_TIMEOUT).await);
        (started, bank, line)
    }

    /// Sends the authorization of sequence number `number`.
    pub(super) fn pay(&self, number: u64) -> JoinHandle<Exchange> {
        self.pay_until(number, Instant::now() + TEST_TIMEOUT)
    }

    pub(super) fn pay_until(&self, number: u64, deadline: Instant) -> JoinHandle<Exchange> {
        let hosts = Arc::clone(&self.hosts);
        tokio::spawn(async move {
            let (operation, merchant) = (known::numbered(number), known::merchant());
            hosts
                .send(known::outgoing(&operation, &merchant), deadline)
                .await
        })
    }

    /// The next notice.
    pub(super) async fn notice(&mut self) -> HostNotice {
        let notice = tokio::time::timeout(TEST_TIMEOUT, self.notices.recv()).await;
        notice.expect("a notice in time").expect("a sender")
    }

    pub(super) async fn quarantined(&mut self) -> Quarantined {
        match self.notice().await {
            HostNotice::Quarantined(quarantined) => *quarantined,
            other => panic!("expected a message in the quarantine, got {other:?}"),
        }
    }

    /// The first status of the first line that `is` what the test waits for.
    pub(super) async fn line_status(&self, is: impl Fn(&LineStatus) -> bool) -> LineStatus {
        let mut status = self.hosts.watch();
        let seen = tokio::time::timeout(
            TEST_TIMEOUT,
            status.wait_for(|hosts| is(&hosts[0].lines[0])),
        )
        .await
        .expect("a status in time")
        .unwrap();
        seen[0].lines[0].clone()
    }

    pub(super) async fn fault(&self) -> String {
        let status = self.line_status(|line| line.last_fault.is_some()).await;
        status.last_fault.unwrap()
    }
}

pub(super) async fn end_of(payment: JoinHandle<Exchange>) -> Exchange {
    tokio::time::timeout(TEST_TIMEOUT, payment)
        .await
        .expect("an end in time")
        .unwrap()
}

pub(super) fn is_approved(exchange: &Exchange) -> bool {
    matches!(exchange, Exchange::Approved { approval, bank_us, .. }
        if approval.approval_code == "A1B2C3"
            && approval.response_code == ResponseCode::APPROVED
            && *bank_us > 0)
}
