//! A machine with all flows, before hosts that take captures, voids and refunds in each way, and whose answers are
//! written down before.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::banks::{Answer, Answers, Script, profiles};
use crate::app::flow_table::flow_table;
use crate::card::envelope::Opener;
use crate::card::keys::SealingKeys;
use crate::card::master_key::MasterKey;
use crate::card::test_methods::TestPaymentMethods;
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::flows::authorization::{Authorization, Authorize};
use crate::flows::capture::{Capture, CapturePayment};
use crate::flows::increment::{Increment, IncrementAuthorization};
use crate::flows::refund::Refund;
use crate::flows::reverse::{Reverse, ReversePayment};
use crate::flows::verification::{Verification, VerifyCard};
use crate::flows::void::{Void, VoidPayment};
use crate::hosts::Hosts;
use crate::hosts::notice::HostNotice;
use crate::hosts::tests::bank::Bank;
use crate::metrics::Metrics;
use crate::net::Net;
use crate::operations::call::{Call, Concluded, OperationError};
use crate::operations::card_custody::{self, CardCustody};
use crate::operations::giving_back::CreateRefund;
use crate::operations::later::{LaterRefusal, Why};
use crate::operations::machine::{Operations, OperationsParts};
use crate::operations::new_card::{CardRefusal, NewCards, PaymentMethod};
use crate::payment::ids::{HostId, OperationId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::record::{Operation, Payment};
use crate::payment::samples::{self, eur};
use crate::random::Random;
use crate::store::Store;
use crate::store::numbers::Numbers;
use crate::store::testing::{TestDatabase, unique};

/// What a request names that makes its payment.
pub(super) fn no_payment() -> PaymentId {
    PaymentId::from_parts(UnixMillis::new(0), [0; 10])
}

/// What merchants ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Pay {
        is_sale: bool,
    },
    Verify,
    Capture(Option<i64>),
    /// The last one: what it leaves is released.
    LastCapture(Option<i64>),
    Increment(i64),
    Refund(Option<i64>),
    Void,
    /// Gives back what is held, or what was captured.
    Reverse,
}

/// What became of a request: what was told, or why nothing is done; none where the same or another one is in the way.
pub(super) type Told = Result<Concluded, Option<Why>>;

/// The parts that all lives share.
pub(super) struct Stage {
    /// The nodes; on SQLite there is one.
    pub(super) stores: Vec<Store>,
    hosts: Arc<Hosts>,
    custody: Arc<CardCustody>,
    cards: Arc<NewCards>,
    authorization: Arc<Authorization>,
    script: Arc<Script>,
    _database: TestDatabase,
}

impl Stage {
    pub(super) async fn new(database: TestDatabase, nodes: usize) -> Self {
        let mut stores = Vec::new();
        for _ in 0..nodes {
            stores.push(database.open().await);
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let custody = card_custody::tests::open(&stores[0], Arc::clone(&clock)).await;
        let (notices, _) = mpsc::channel(1);
        let profiles = profiles(&Bank::start().await.profile());
        let (net, random) = (Net::SYSTEM, Random::SYSTEM);
        let mut hosts = Hosts::start(profiles, None, net, clock, random.clone(), notices).unwrap();
        let script = Arc::new(Script::default());
        let said = Arc::clone(&script);
        hosts.script = Some(Box::new(move |outgoing| said.answer(outgoing)));
        let hosts = Arc::new(hosts);
        let master_key = format!("{}=", "A".repeat(43));
        let master_key = MasterKey::from_base64(&master_key, &random).unwrap();
        let opener = Opener::new(SealingKeys::new([]), &master_key, &random).unwrap();
        let cards = Arc::new(NewCards {
            opener: Arc::new(opener),
            test_payment_methods: TestPaymentMethods::new(true),
            hosts: Arc::clone(&hosts),
        });
        let authorization = Authorization {
            cards: Arc::clone(&cards),
        };
        Self {
            stores,
            hosts,
            custody: Arc::new(custody),
            cards,
            authorization: Arc::new(authorization),
            script,
            _database: database,
        }
    }

    /// A merchant of a host, whose messages are answered so in turn, and its machines, one on each node, with a clock
    /// of their own.
    pub(super) async fn merchant(&self, acquirer: HostId, answers: &[Answer]) -> Shop<'_> {
        let merchant = Merchant {
            id: format!("shop-{}", unique()).parse().unwrap(),
            acquirer,
            ..samples::merchant()
        };
        self.stores[0].insert_merchant(&merchant).await.unwrap();
        let answers = Answers {
            next: answers.to_vec(),
            ..Answers::default()
        };
        self.script.0.lock().unwrap().insert(merchant.id, answers);
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let flows = flow_table();
        let machine = |store: &Store| {
            Arc::new(Operations::new(OperationsParts {
                store: store.clone(),
                numbers: Numbers::new(store.clone(), 100),
                hosts: Arc::clone(&self.hosts),
                custody: Arc::clone(&self.custody),
                flows: flows.clone(),
                limits: None,
                clock: Arc::<ManualClock>::clone(&clock),
                random: Random::SYSTEM,
                limit: 64,
                metrics: Arc::new(Metrics::new([])),
            }))
        };
        Shop {
            machines: self.stores.iter().map(machine).collect(),
            stage: self,
            clock,
            merchant: Arc::new(merchant),
        }
    }
}

/// A merchant before the machines.
pub(super) struct Shop<'a> {
    stage: &'a Stage,
    pub(super) machines: Vec<Arc<Operations>>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) merchant: Arc<Merchant>,
}

impl Shop<'_> {
    pub(super) fn store(&self) -> &Store {
        &self.stage.stores[0]
    }

    /// What was answered to an operation's messages.
    pub(super) fn given(&self, operation_id: OperationId) -> Vec<Answer> {
        let script = self.stage.script.0.lock().unwrap();
        let given = script[&self.merchant.id].given.get(&operation_id);
        given.cloned().unwrap_or_default()
    }

    pub(super) async fn payment(&self, id: PaymentId) -> Payment {
        let payment = self.store().payment(&self.merchant.id, id);
        payment.await.unwrap().unwrap()
    }

    /// An answer comes after its time.
    pub(super) async fn hears_late(&self, operation: &Operation, answer: Answer) {
        let (notices, noticed) = mpsc::channel(1);
        let late = HostNotice::LateResponse {
            host_id: operation.host_id,
            operation_id: operation.id,
            response_code: answer.response_code(),
            approval_code: "LATE01".into(),
            exchange: answer.exchange(),
            at: operation.deadline.plus_ms(1),
        };
        notices.send(late).await.unwrap();
        drop(notices);
        Arc::clone(&self.machines[0]).keep_notices(noticed).await;
    }

    /// Further messages are answered so in turn.
    pub(super) fn answers(&self, answers: &[Answer]) {
        let mut script = self.stage.script.0.lock().unwrap();
        let of_merchant = script.get_mut(&self.merchant.id).unwrap();
        (of_merchant.next, of_merchant.asked) = (answers.to_vec(), 0);
    }

    /// Asks one of the machines; again, as a merchant does, where the database took longer than a call waits.
    pub(super) async fn ask(
        &self,
        node: usize,
        payment_id: PaymentId,
        request_id: &str,
        request: Request,
    ) -> Told {
        let mut is_repeated = false;
        loop {
            match self.ask_once(node, payment_id, request_id, request).await {
                None => is_repeated = true,
                Some(Err(None)) if is_repeated => {}
                Some(told) => return told,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// None where no answer is recorded in time.
    async fn ask_once(
        &self,
        node: usize,
        payment_id: PaymentId,
        request_id: &str,
        request: Request,
    ) -> Option<Told> {
        let machine = &self.machines[node % self.machines.len()];
        let call = Call {
            merchant: Arc::clone(&self.merchant),
            request_id: request_id.to_owned(),
            body_hash: [7; 32],
            received_at: Instant::now(),
            address: Ipv4Addr::LOCALHOST.into(),
        };
        let merchant_reference = None;
        match request {
            Request::Pay { is_sale } => {
                let command = Authorize {
                    amount: eur(1000),
                    merchant_reference: "order-1".into(),
                    customer_reference: None,
                    description: None,
                    terminal_id: None,
                    payment_method: PaymentMethod::TestToken("pm_test_visa".into()),
                    is_sale,
                    accepts_partial: true,
                };
                told(
                    machine
                        .perform(&self.stage.authorization, call, command)
                        .await,
                )
            }
            Request::Verify => {
                let command = VerifyCard {
                    currency: "EUR".parse().unwrap(),
                    merchant_reference: "order-1".into(),
                    payment_method: PaymentMethod::TestToken("pm_test_visa".into()),
                };
                let cards = Arc::clone(&self.stage.cards);
                let flow = Arc::new(Verification { cards });
                told(machine.perform(&flow, call, command).await)
            }
            Request::Capture(minor) | Request::LastCapture(minor) => {
                let command = CapturePayment {
                    payment_id,
                    amount: minor.map(eur),
                    is_final: matches!(request, Request::LastCapture(_)),
                    merchant_reference,
                };
                told(machine.perform(&Arc::new(Capture), call, command).await)
            }
            Request::Increment(minor) => {
                let command = IncrementAuthorization {
                    payment_id,
                    amount: eur(minor),
                };
                told(machine.perform(&Arc::new(Increment), call, command).await)
            }
            Request::Reverse => {
                let command = ReversePayment { payment_id };
                told(machine.perform(&Arc::new(Reverse), call, command).await)
            }
            Request::Refund(minor) => {
                let command = CreateRefund {
                    payment_id,
                    amount: minor.map(eur),
                    capture_id: None,
                    merchant_reference,
                };
                told(machine.perform(&Arc::new(Refund), call, command).await)
            }
            Request::Void => {
                let command = VoidPayment { payment_id };
                told(machine.perform(&Arc::new(Void), call, command).await)
            }
        }
    }
}

fn told<R: Refused>(result: Result<Concluded, OperationError<R>>) -> Option<Told> {
    match result {
        Ok(concluded) => Some(Ok(concluded)),
        Err(OperationError::Refused(refusal)) => Some(Err(Some(refusal.why()))),
        Err(OperationError::RequestInProgress { .. } | OperationError::PaymentBusy { .. }) => {
            Some(Err(None))
        }
        Err(OperationError::OutcomeNotRecorded { .. }) => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// What refuses a request.
trait Refused: std::fmt::Debug {
    fn why(self) -> Why;
}

impl Refused for LaterRefusal {
    fn why(self) -> Why {
        self.why
    }
}

/// Cards are never refused here.
impl Refused for CardRefusal {
    fn why(self) -> Why {
        panic!("{self:?}")
    }
}
