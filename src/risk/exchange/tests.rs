//! Two nodes that count together, and release together.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::card::fingerprint::Fingerprints;
use crate::card::master_key::MasterKey;
use crate::card::pan::Pan;
use crate::clock::ManualClock;
use crate::config::environment::Environment;
use crate::config::risk::{
    CountedEvent, LimitConfig, LimitedOperation, LimitedSubject, RiskConfig,
};
use crate::payment::moment::UnixMillis;
use crate::payment::operation_kind::OperationKind;
use crate::random::Random;
use crate::risk::limits::Tried;
use crate::store::testing::TestDatabase;

const MOST: u32 = 10;

struct Node {
    limits: Arc<Limits>,
    exchange: CountExchange,
    clock: Arc<ManualClock>,
}

impl Node {
    fn new(store: Store) -> Self {
        let limit = LimitConfig {
            name: "shop".to_owned(),
            of: LimitedSubject::Merchant,
            by_merchant: false,
            counts: CountedEvent::Attempts,
            operations: vec![LimitedOperation::AuthorizePayment],
            most: MOST,
            window_seconds: 60,
            most_of: Default::default(),
        };
        let config = RiskConfig {
            limits: Some(vec![limit]),
        };
        let key = MasterKey::from_base64(&STANDARD.encode([7; 32]), &Random::SYSTEM).unwrap();
        let fingerprints = Fingerprints::new(&key).unwrap();
        let limits = Limits::new(&config, Environment::Test, fingerprints).unwrap();
        let limits = Arc::new(limits);
        let clock = Arc::new(ManualClock::at(UnixMillis::new(1_000_000_000_000)));
        Self {
            exchange: CountExchange::new(Arc::clone(&limits), store, clock.clone()),
            limits,
            clock,
        }
    }

    /// How many of many attempts pass here.
    fn passed(&self) -> usize {
        let pan = Pan::from_digits("4242424242424242").unwrap();
        let tried = || Tried {
            pan: &pan,
            merchant_id: "shop".parse().unwrap(),
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            kind: OperationKind::Authorization,
        };
        let attempts = (0..100).filter(|_| {
            let taken = self.limits.take(tried(), self.clock.now());
            taken.is_ok_and(|attempt| attempt.map(|it| it.recorded()).is_some())
        });
        attempts.count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_releases_at_once_let_no_more_attempts_pass_than_one() {
    let database = TestDatabase::postgres().await;
    let nodes = [database.open().await, database.open().await].map(Node::new);
    let [one, other] = &nodes;
    let most = usize::try_from(MOST).unwrap();
    assert_eq!(one.passed(), most);
    one.exchange.exchange().await.unwrap();
    other.exchange.exchange().await.unwrap();
    assert_eq!(other.passed(), 0);

    let shop = Subject::Merchant("shop".parse().unwrap());
    let released = tokio::join!(
        one.exchange.release(&shop, None),
        other.exchange.release(&shop, None),
    );
    released.0.unwrap();
    released.1.unwrap();
    for _ in 0..2 {
        one.exchange.exchange().await.unwrap();
        other.exchange.exchange().await.unwrap();
    }
    assert_eq!(one.passed(), most);
    for _ in 0..2 {
        one.exchange.exchange().await.unwrap();
        other.exchange.exchange().await.unwrap();
    }
    assert_eq!([one.passed(), other.passed()], [0, 0]);
}
