//! The simulated banks: started, asked for their books, and their cards as stops of the tour.
//!
//! The only file that makes them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use bank_sim::config::Pem;
use bank_sim::config::standard::{HostPems, StandardPki, StandardPorts};
use bank_sim::control::pb as pb_banks;
use bank_sim::control::pb::control_service_client::ControlServiceClient;
use bank_sim::control::pb::{GetTotalsRequest, ListAccountsRequest, ListMessagesRequest};
use bank_sim::message_log::{Direction, LoggedMessage, MessageQuery};
use bank_sim::payouts::OrderAnswer;
use bank_sim::settlement::ClearingAnswer;
use bank_sim::test_cards::{CardBehaviour, TEST_CARDS, TestCard};
use bank_sim::{BankSim, RunningSim, SimConfig};
use iso8583::mti::Class;
use time::format_description::well_known::Iso8601;
use tonic::transport::Channel;

use super::tour::Stop;
use crate::certs::{DevelopmentPki, HostPki, Identity};
use crate::commands::error::CommandError;
use crate::merchant_api::pb;
use crate::payment::money::Money;

/// How many messages of a payment are shown.
const HOPS: usize = 100;
/// How many messages are asked for at once: the most that the control API gives.
const MESSAGE_PAGE: i32 = 1000;
/// How long the links between the banks may take to sign on.
const BANKS_WITHIN: Duration = Duration::from_secs(10);

/// One simulated bank speaks through a codec that wants a process of its own: this very program,
/// asked by a hidden argument. Gives the exit code then.
#[must_use]
pub fn run_codec_child_if_asked() -> Option<i32> {
    bank_sim::run_codec_child_if_asked()
}

/// An account behind a simulated card, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// What is on it.
    pub balance_minor: i64,
    /// What is held of that.
    pub held_minor: i64,
}

/// What issuers have done in one currency, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// What was taken.
    pub debited_minor: i64,
    /// What was given.
    pub credited_minor: i64,
}

/// A message at the acquirer: what tells of money in it. Elements that it does not have are empty, or 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The message type, four digits.
    pub mti: String,
    /// DE 11.
    pub stan: String,
    /// DE 37.
    pub rrn: String,
    /// DE 4, in minor units.
    pub amount_minor: i64,
    /// DE 39.
    pub response_code: String,
    /// DE 49, three digits.
    pub currency_numeric: String,
}

/// What the acquirer says to a clearing file.
pub struct Claims(ClearingAnswer);

impl Claims {
    /// Whether it has taken so many items, and an issuer has posted each of them to its card.
    #[must_use]
    pub fn is_all_of(&self, count: u64) -> bool {
        matches!(self.0, ClearingAnswer::Accepted { items, posted } if (items, posted) == (count, count))
    }
}

impl fmt::Display for Claims {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            ClearingAnswer::Accepted { items, posted } => write!(
                out,
                "ACCEPTED by the bank with {items} items, {posted} of them posted to cards"
            ),
            ClearingAnswer::Duplicate => out.write_str("the bank has it already"),
            ClearingAnswer::Refused {
                fault_count,
                faults,
            } => {
                let first = faults.first().map_or("", |fault| &fault.problem);
                write!(
                    out,
                    "REFUSED by the bank, {fault_count} faults, the first: {first}"
                )
            }
        }
    }
}

/// The banks, running.
pub struct Banks(RunningSim);

impl Deref for Banks {
    type Target = RunningSim;

    fn deref(&self) -> &RunningSim {
        &self.0
    }
}

impl Banks {
    /// Starts them, and waits until they have signed on to each other.
    ///
    /// # Errors
    /// When one can't be started or does not sign on in time.
    pub async fn start(
        pki: &DevelopmentPki,
        codec_program: Option<PathBuf>,
    ) -> Result<Self, CommandError> {
        let mut config = SimConfig::standard(StandardPorts::ANY, pems(pki));
        config.codec_program = codec_program;
        let banks = BankSim::start(config).await?;
        if !banks.wait_for_links(BANKS_WITHIN).await {
            return Err("the simulated acquirer could not sign on to its issuers".into());
        }
        Ok(Self(banks))
    }

    /// Makes the payments of an order, and says so: a file of the bank.
    ///
    /// # Errors
    /// When the order is refused.
    pub fn pay(&self, order: &[u8]) -> Result<Vec<u8>, CommandError> {
        match self.submit_payment_order(order) {
            OrderAnswer::Accepted { message_id, .. } => {
                let notice = self.account_notification(&message_id);
                Ok(notice.ok_or("the bank says nothing of the order")?)
            }
            OrderAnswer::Refused { code, reason } => {
                Err(format!("the bank refuses the order: {code}, {reason}").into())
            }
        }
    }

    /// The acquirer's settlement report of a date: a file of the bank.
    ///
    /// # Errors
    /// When there is no such date, or the report can't be written.
    pub fn report(&self, acquirer: &str, date: &str) -> Result<Vec<u8>, CommandError> {
        let date = time::Date::parse(date, &Iso8601::DATE)?;
        Ok(self.settlement_report(acquirer, date)?)
    }

    /// Hands the acquirer a clearing file: what it says to it.
    ///
    /// # Errors
    /// When it has no room for it.
    pub fn take_claims(&self, file: &[u8]) -> Result<Claims, CommandError> {
        Ok(Claims(self.take_clearing_file("acquirer", file)?))
    }

    /// The messages of a payment at each hop, in the order in which they passed: a heading, and its elements with
    /// everything secret masked.
    #[must_use]
    pub fn hops_of(&self, rrn: &str) -> Vec<String> {
        self.shown(None, rrn, |_| true)
    }

    fn shown(
        &self,
        host: Option<&str>,
        rrn: &str,
        is_meant: impl Fn(&LoggedMessage) -> bool,
    ) -> Vec<String> {
        let query = MessageQuery {
            after_position: 0,
            limit: HOPS,
            host,
            rrn: Some(rrn),
        };
        let (messages, _) = self.0.messages(&query);
        let shown = |message: &LoggedMessage| {
            format!(
                "{}  MTI {}  in {}\n{}",
                title(message),
                message.mti,
                message.dialect_name(),
                message.render()
            )
        };
        let meant = messages.iter().filter(|message| is_meant(message));
        meant.map(shown).collect()
    }

    /// The messages of a payment's reversals at the acquirer, in the order in which they passed.
    #[must_use]
    pub fn reversal_of(&self, rrn: &str) -> Vec<String> {
        self.shown(Some("acquirer"), rrn, |message| {
            message.mti.class() == Class::Reversal
        })
    }

    async fn control(&self) -> Result<ControlServiceClient<Channel>, CommandError> {
        let address = self.0.control_address();
        let address = address.ok_or("the simulated banks have no control API")?;
        Ok(ControlServiceClient::connect(format!("http://{address}")).await?)
    }

    /// The accounts of the issuers, as their control API says, by masked card and currency.
    ///
    /// # Errors
    /// When the banks can't be asked.
    pub async fn accounts(&self) -> Result<BTreeMap<(String, String), Account>, CommandError> {
        let request = ListAccountsRequest::default();
        let listed = self.control().await?.list_accounts(request).await?;
        let accounts = listed.into_inner().accounts.into_iter();
        Ok(accounts
            .map(|account| {
                let card = account.card_masked.replace('*', "");
                let (bin, last4) = card.split_at_checked(6).unwrap_or_default();
                let key = (format!("{bin}…{last4}"), account.currency);
                let (balance_minor, held_minor) = (account.balance, account.held);
                (
                    key,
                    Account {
                        balance_minor,
                        held_minor,
                    },
                )
            })
            .collect())
    }

    /// What all issuers have debited and credited since they were started, by currency, as their control API says.
    ///
    /// # Errors
    /// When the banks can't be asked.
    pub async fn totals(&self) -> Result<BTreeMap<String, Totals>, CommandError> {
        let mut control = self.control().await?;
        let totals = control.get_totals(GetTotalsRequest {}).await?;
        let mut sums: BTreeMap<String, Totals> = BTreeMap::new();
        for of_issuer in totals.into_inner().totals {
            let sum = sums.entry(of_issuer.currency).or_default();
            sum.debited_minor += of_issuer.debited;
            sum.credited_minor += of_issuer.credited;
        }
        Ok(sums)
    }

    /// All messages at the acquirer since it was started, as its control API says, oldest first.
    ///
    /// # Errors
    /// When the banks can't be asked.
    pub async fn acquirer_messages(&self) -> Result<Vec<Message>, CommandError> {
        let mut control = self.control().await?;
        let mut messages = Vec::new();
        let mut after_position = 0;
        loop {
            let request = ListMessagesRequest {
                page_size: MESSAGE_PAGE,
                after_position,
                host: "acquirer".to_owned(),
                rrn: String::new(),
            };
            let page = control.list_messages(request).await?.into_inner();
            if page.messages.is_empty() {
                return Ok(messages);
            }
            after_position = page.next_position;
            let of = |message: &pb_banks::Message, de: i32| {
                message.elements.get(&de).cloned().unwrap_or_default()
            };
            messages.extend(page.messages.into_iter().map(|message| Message {
                amount_minor: of(&message, 4).parse().unwrap_or_default(),
                response_code: of(&message, 39),
                currency_numeric: of(&message, 49),
                mti: message.mti,
                stan: message.stan,
                rrn: message.rrn,
            }));
        }
    }

    /// Stops them.
    pub async fn shutdown(self) {
        self.0.shutdown().await;
    }
}

fn pems(pki: &DevelopmentPki) -> StandardPki {
    let key = |identity: &Identity| Pem::text(String::from_utf8_lossy(&identity.key_pem()));
    let pems = |host: &HostPki| HostPems {
        ca: Pem::text(host.root.certificate_pem()),
        certificate: Pem::text(host.server.certificate_pem()),
        key: key(&host.server),
        client_certificate: Pem::text(host.client.certificate_pem()),
        client_key: key(&host.client),
    };
    StandardPki {
        acquirer: pems(&pki.acquirer),
        issuer_a: pems(&pki.issuer_a),
        issuer_b: pems(&pki.issuer_b),
    }
}

/// The stops of the tour: every test card, in three currencies, and one amount that provokes 05.
///
/// # Errors
/// Never with the tables as they are; a card or a currency that can't be used is one.
pub fn stops() -> Result<Vec<Stop>, CommandError> {
    let amount = |minor, currency: &str| -> Result<Money, CommandError> {
        Ok(Money::new(minor, currency.parse()?)?)
    };
    let stop = |card: &TestCard, what: &str, amount: Money, code: Option<&str>| Stop {
        what: what.to_owned(),
        pan: card.pan.to_owned(),
        expiry_yymm: card.expiry_yymm.to_owned(),
        cvv: card.cvv2.to_owned(),
        amount,
        state: match code {
            None => pb::PaymentState::Authorizing,
            Some("00") => pb::PaymentState::Authorized,
            Some(_) => pb::PaymentState::Declined,
        },
        response_code: code.unwrap_or_default().to_owned(),
    };
    let mut stops = Vec::new();
    for card in TEST_CARDS {
        let amount = match card.behaviour {
            CardBehaviour::OverLimit => amount(25_000, "EUR")?,
            _ => amount(1250, "EUR")?,
        };
        let code = card.response_code.map(|code| code.to_string());
        stops.push(stop(card, purpose(card.behaviour), amount, code.as_deref()));
    }
    let first = TEST_CARDS.first().ok_or("there are no test cards")?;
    stops.push(stop(
        first,
        "approve, no decimals",
        amount(1250, "JPY")?,
        Some("00"),
    ));
    stops.push(stop(
        first,
        "approve, three decimals",
        amount(1250, "KWD")?,
        Some("00"),
    ));
    stops.push(stop(
        first,
        "amount ending in 605",
        amount(10_605, "EUR")?,
        Some("05"),
    ));
    Ok(stops)
}

/// Two payments that go on: one is captured and refunded, the other one is voided. Their cards are of two issuers.
///
/// # Errors
/// Never with the tables as they are.
pub fn lives() -> Result<[Stop; 2], CommandError> {
    let life = |first_digit: &str, amount_minor| -> Result<Stop, CommandError> {
        let is_meant = |stop: &Stop| stop.pan.starts_with(first_digit) && stop.what == "approve";
        let stop = stops()?.into_iter().find(is_meant);
        let stop = stop.ok_or("there is no test card of that issuer")?;
        let amount = Money::new(amount_minor, "EUR".parse()?)?;
        Ok(Stop { amount, ..stop })
    };
    Ok([life("4", 10_000)?, life("5", 3_000)?])
}

fn purpose(behaviour: CardBehaviour) -> &'static str {
    match behaviour {
        CardBehaviour::Approve => "approve",
        CardBehaviour::InsufficientFunds => "insufficient funds",
        CardBehaviour::Expired => "expired",
        CardBehaviour::Lost => "lost",
        CardBehaviour::Stolen => "stolen",
        CardBehaviour::Blocked => "blocked",
        CardBehaviour::WrongCvv => "wrong CVV",
        CardBehaviour::OverLimit => "over its limit",
        CardBehaviour::ApprovesPart => "approve a part",
        CardBehaviour::AnswerLate => "answer late",
        CardBehaviour::NoAnswer => "no answer",
        CardBehaviour::IssuerDown => "issuer down",
    }
}

/// Each message is logged at the host that was called.
fn title(message: &LoggedMessage) -> String {
    let host = &message.host;
    let caller = if host.starts_with("issuer") {
        "acquirer"
    } else {
        "payswitch"
    };
    match message.direction {
        Direction::Received => format!("{caller} -> {host}"),
        Direction::Sent => format!("{host} -> {caller}"),
    }
}
