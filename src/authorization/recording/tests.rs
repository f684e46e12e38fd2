use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::authorization::METHOD;
use crate::authorization::command::{AuthorizeCommand, PaymentMethod};
use crate::authorization::decision::tests::records;
use crate::authorization::under_way::UnderWay;
use crate::card::custody::MasterKey;
use crate::card::envelope::Opener;
use crate::card::keys::SealingKeys;
use crate::card::test_methods::TestPaymentMethods;
use crate::clock::{Clock, SystemClock};
use crate::config::store::StoreConfig;
use crate::hosts::tests::bank::{Bank, approval_of};
use crate::hosts::{Hosts, HostsOptions};
use crate::payment::decline::Approval;
use crate::payment::merchant::Merchant;
use crate::payment::state::PaymentState;
use crate::store::Store;
use crate::store::numbers::Numbers;
use crate::store::records::{AuthorizationIntent, IdempotencyKey, IntentOutcome};

use super::*;

/// A folder with a database in it, removed again.
struct Folder(PathBuf);

impl Folder {
    async fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("payswitch-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        Store::migrate(&folder.store()).await.unwrap();
        folder
    }

    fn store(&self) -> StoreConfig {
        StoreConfig {
            url: format!("sqlite://{}", self.0.join("test.db").display()),
            ..StoreConfig::default()
        }
    }

    /// The flow of a gateway that has no bank.
    async fn flow(&self) -> Authorizations {
        let store = Store::open(&self.store()).await.unwrap();
        let key = self.0.join("master.key");
        let master_key = if key.exists() {
            MasterKey::read_file(&key).unwrap()
        } else {
            MasterKey::create_file(&key).unwrap()
        };
        let keys = SealingKeys::load_or_generate(&self.0.join("keys"), false, &master_key).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (notices, _) = mpsc::channel(1);
        let options = HostsOptions::default();
        let hosts = Hosts::start(Vec::new(), options, Arc::clone(&clock), notices).unwrap();
        Authorizations {
            numbers: Numbers::new(store.clone(), 100),
            node_id: store.node_id(),
            store,
            hosts: Arc::new(hosts),
            opener: Arc::new(Opener::new(keys, &master_key).unwrap()),
            test_payment_methods: TestPaymentMethods::new(false),
            clock,
            under_way: TaskTracker::new(),
            most_under_way: 1,
            draining: AtomicBool::new(false),
            operations_under_way: UnderWay::default(),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It may be gone with the machine's temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A payment whose intent is recorded.
async fn intended(flow: &Authorizations) -> (Box<Payment>, Box<Operation>) {
    let (payment, operation) = records();
    let intent = AuthorizationIntent {
        payment: payment.clone(),
        operation: operation.clone(),
        idempotency: IdempotencyKey {
            merchant_id: payment.merchant_id,
            method: METHOD,
            request_id: "r-1".into(),
            body_hash: [7; 32],
        },
        envelope: None,
    };
    let recorded = flow.store.record_intent(&intent).await.unwrap();
    assert_eq!(recorded, IntentOutcome::Recorded);
    (payment, operation)
}

fn approved() -> Exchange {
    Exchange::Approved {
        approval: Approval {
            approval_code: "A1B2C3".into(),
            response_code: ResponseCode::APPROVED,
        },
        bank_us: 900,
    }
}

/// The store goes away while the bank decides; recovery tells what the bank said, and owes nothing.
#[tokio::test]
async fn what_the_store_does_not_take_is_recorded_when_it_does() {
    let not_sent = Exchange::NotSent(FailureReason::HostUnavailable);
    for (exchange, state) in [(approved(), "AUTHORIZED"), (not_sent, "FAILED")] {
        let folder = Folder::new(&format!("remembered-{state}")).await;
        let gone = folder.flow().await;
        let records = intended(&gone).await;
        let (merchant_id, payment_id) = (records.0.merchant_id, records.0.id);
        let outcome = gone.decided(records, exchange, 7).unwrap();
        gone.store.close().await;
        let told = gone.conclude(outcome.clone()).await;
        assert!(matches!(
            told,
            Err(AuthorizeError::OutcomeNotRecorded { .. })
        ));

        let mut back = folder.flow().await;
        back.operations_under_way = gone.operations_under_way;
        // What is remembered is not resolved as if nobody knew.
        assert_eq!(back.recover_all().await.unwrap(), 0, "{state}");
        assert_eq!(back.settle().await, 0, "{state}");
        let payment = back.store.payment(&merchant_id, payment_id).await.unwrap();
        assert_eq!(payment.as_ref(), Some(&*outcome.payment));
        assert_eq!(outcome.payment.state.name(), state);
        assert_eq!(back.store.owed_reversals(10).await.unwrap(), []);
        assert!(!back.operations_under_way.remembers(outcome.operation.id));
        back.store.close().await;
    }
}

/// Nobody knows what came of it, as after a crash.
#[tokio::test]
async fn what_nobody_remembers_is_not_known() {
    let folder = Folder::new("forgotten").await;
    let flow = folder.flow().await;
    let (payment, operation) = intended(&flow).await;
    assert_eq!(flow.recover_all().await.unwrap(), 1);
    let owed = flow.store.owed_reversals(10).await.unwrap();
    assert_eq!(
        owed.iter().map(|it| it.operation_id).collect::<Vec<_>>(),
        [operation.id]
    );
    let payment = flow.store.payment(&payment.merchant_id, payment.id).await;
    let state = payment.unwrap().unwrap().state;
    let pending = Some(UnknownReason::GatewayStopped);
    assert_eq!(state, PaymentState::Authorizing { pending });
    flow.store.close().await;
}

/// An intent that was never committed has no outcome, and its memory ends in time.
#[tokio::test]
async fn what_the_store_never_held_is_forgotten_in_time() {
    let folder = Folder::new("never-held").await;
    let flow = folder.flow().await;
    for (age_ms, left) in [(3_600_000, 0), (3_500_000, 1)] {
        let (mut payment, mut operation) = records();
        payment.created_at = flow.clock.now().plus_ms(-age_ms);
        operation.created_at = payment.created_at;
        let not_sent = Exchange::NotSent(FailureReason::DeadlineBeforeSend);
        let outcome = flow.decided((payment, operation), not_sent, 0).unwrap();
        flow.operations_under_way.remember(outcome);
        assert_eq!(flow.settle().await, 0, "no payment waits for it: {age_ms}");
        assert_eq!(flow.operations_under_way.unrecorded(), left, "{age_ms}");
    }
    flow.store.close().await;
}

/// Another node has resolved it before this one could record it: what the bank said is kept beside.
#[tokio::test]
async fn a_remembered_answer_that_comes_too_late_is_a_late_answer() {
    let folder = Folder::new("superseded").await;
    let flow = folder.flow().await;
    let records = intended(&flow).await;
    let outcome = flow.decided(records.clone(), approved(), 7).unwrap();
    let lost = Exchange::Unknown(UnknownReason::GatewayStopped);
    let other = flow.decided(records, lost, 0).unwrap();
    let recorded = flow.record(&other).await.unwrap();
    assert_eq!(recorded, OutcomeRecorded::Recorded);

    flow.operations_under_way.remember(outcome.clone());
    assert_eq!(flow.settle().await, 0);
    let payment = &other.payment;
    let stands = flow.store.payment(&payment.merchant_id, payment.id).await;
    assert_eq!(stands.unwrap().as_ref(), Some(&**payment));
    let told = flow.conclude(outcome.clone()).await.unwrap();
    assert_eq!(told, other.payment);
    let late = flow.store.late_response(outcome.operation.id).await;
    let late = late.unwrap().unwrap();
    assert_eq!(late.response_code, ResponseCode::APPROVED);
    assert_eq!(late.approval_code.as_deref(), Some("A1B2C3"));
    flow.store.close().await;
}

/// The line that it came for is gone, and so is the process; what is left is the key.
#[tokio::test]
async fn an_answer_to_what_a_stopped_process_sent_counts_by_its_whole_key() {
    let folder = Folder::new("whole-key").await;
    let bank = Bank::start().await;
    let (notices, noticed) = mpsc::channel(8);
    let mut flow = folder.flow().await;
    let clock = Arc::clone(&flow.clock);
    let options = HostsOptions::default();
    flow.hosts = Arc::new(Hosts::start(vec![bank.profile()], options, clock, notices).unwrap());
    let (payment, operation) = intended(&flow).await;
    assert_eq!(flow.recover_all().await.unwrap(), 1);
    let flow = Arc::new(flow);
    tokio::spawn(Arc::clone(&flow).keep_notices(noticed));
    let mut line = bank.accept_signed_on().await;
    for (amount_minor, terminal_id, approval_code) in [
        (1251, "WEB00001", "AMOUNT"),
        (1250, "WEB00002", "TERMIN"),
        (1250, "WEB00001", "A1B2C3"),
    ] {
        line.write(&approval_of(
            &operation,
            terminal_id,
            amount_minor,
            approval_code,
        ))
        .await;
    }
    let kept = async {
        loop {
            if let Some(late) = flow.store.late_response(operation.id).await.unwrap() {
                return late;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let late = tokio::time::timeout(Duration::from_secs(30), kept)
        .await
        .unwrap();
    // There is one late response for an operation: the first that was taken for it.
    assert_eq!(late.approval_code.as_deref(), Some("A1B2C3"));
    let quarantined = flow.store.list_quarantine(10, None).await.unwrap();
    assert_eq!(quarantined.len(), 3);
    let stands = flow.store.payment(&payment.merchant_id, payment.id).await;
    let pending = Some(UnknownReason::GatewayStopped);
    assert_eq!(
        stands.unwrap().unwrap().state,
        PaymentState::Authorizing { pending }
    );
    flow.store.close().await;
}

/// Those who gave up wait for nothing, and their payments still are work.
#[tokio::test]
async fn payments_under_way_are_bounded() {
    let folder = Folder::new("bounded").await;
    let flow = Arc::new(folder.flow().await);
    let command = || AuthorizeCommand {
        merchant: Arc::new(Merchant {
            id: "demo-shop".parse().unwrap(),
            name: "Demo Shop".into(),
            city: "Berlin".into(),
            country: "DE".into(),
            country_numeric: 276,
            mcc: "5732".into(),
            terminal_id: "WEB00001".into(),
            acceptor_id: "DEMOSHOP0000001".into(),
            acquirer: "acquirer".parse().unwrap(),
            active: true,
        }),
        request_id: "r-1".into(),
        body_hash: [7; 32],
        amount: records().0.amount,
        merchant_reference: "order-1".into(),
        customer_reference: None,
        description: None,
        terminal_id: None,
        payment_method: PaymentMethod::TestToken("pm_test_visa".into()),
        received_at: Instant::now(),
    };
    let other = flow.under_way.token();
    let refused = flow.authorize(command()).await.unwrap_err();
    assert!(matches!(refused, AuthorizeError::Overloaded));
    drop(other);
    let refused = flow.authorize(command()).await.unwrap_err();
    assert!(matches!(
        refused,
        AuthorizeError::UnknownPaymentMethod { .. }
    ));
    flow.store.close().await;
}

/// The oldest goes first.
#[test]
fn the_latest_outcomes_are_remembered() {
    let under_way = UnderWay::default();
    let (payment, operation) = records();
    let lost = Exchange::Unknown(UnknownReason::ConnectionLost);
    let one = decision::decide(payment, operation, lost, 0, SystemClock.now()).unwrap();
    let named = |number: i64| {
        let now = crate::payment::moment::UnixMillis::new(number);
        crate::payment::ids::OperationId::from_parts(now, [7; 10])
    };
    for number in 0..=16_384 {
        let mut outcome = one.clone();
        outcome.operation.id = named(number);
        under_way.remember(outcome);
    }
    assert!(!under_way.remembers(named(0)));
    assert!(under_way.remembers(named(1)));
    assert!(under_way.remembers(named(16_384)));
    assert_eq!(under_way.unrecorded(), 16_384);
    // What a flow works on is left to it.
    let _mark = under_way.mark(named(1));
    let first = under_way.next_after(None).unwrap();
    assert_eq!(first.operation.id, named(2));
    let next = under_way.next_after(Some(named(2))).unwrap();
    assert_eq!(next.operation.id, named(3));
    assert_eq!(under_way.next_after(Some(named(16_384))), None);
}
