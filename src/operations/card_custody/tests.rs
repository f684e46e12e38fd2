//! Custody with a real store, and a clock that is moved.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::card::pan::{Expiry, Pan};
use crate::clock::{ManualClock, SystemClock};
use crate::operations::testing::Folder;
use crate::payment::ids::OperationId;
use crate::payment::record::{Operation, Payment};
use crate::payment::samples::{self, NOW};
use crate::store::change::{Change, PaymentChange, RequestClaim};

const DAY_MS: i64 = 86_400_000;
const TIMES: CustodyTimes = CustodyTimes {
    late_days: 3,
    refund_days: 180,
};

fn master_key(byte: u8) -> MasterKey {
    MasterKey::from_base64(&STANDARD.encode([byte; 32]), &Random::SYSTEM).unwrap()
}

/// The custody of a node with its own clock.
pub(crate) async fn open(store: &Store, clock: Arc<dyn Clock>) -> CardCustody {
    let (store, master_key) = (store.clone(), master_key(1));
    CardCustody::open(store, &master_key, clock, &Random::SYSTEM, TIMES, 7)
        .await
        .unwrap()
}

struct Stand {
    _folder: Folder,
    store: Store,
    clock: Arc<ManualClock>,
    custody: CardCustody,
}

impl Stand {
    async fn new(name: &str) -> Self {
        let folder = Folder::new(name).await;
        let config = folder.store();
        let opened = Store::open(&config, Arc::new(SystemClock), &Random::SYSTEM);
        let store = opened.await.unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let custody = open(&store, Arc::<ManualClock>::clone(&clock)).await;
        Self {
            _folder: folder,
            store,
            clock,
            custody,
        }
    }

    fn days_pass(&self, days: i64) {
        self.clock.advance_ms(days * DAY_MS);
    }

    /// A payment that was recorded with its card.
    async fn paid(&self) -> Payment {
        let now = self.clock.now();
        let names = Random::SYSTEM.bytes().unwrap();
        let operation = Operation {
            id: OperationId::from_parts(now, names),
            payment_id: PaymentId::from_parts(now, names),
            ..samples::operation()
        };
        let payment = samples::payment_of(&operation);
        let claim = RequestClaim {
            merchant_id: payment.merchant_id,
            method: "AuthorizePayment",
            request_id: payment.id.to_string(),
            body_hash: [7; 32],
        };
        let card = self.seal(&payment).await;
        let intent = Change {
            claim: Some(&claim),
            payment: Some(PaymentChange::New {
                payment: &payment,
                card: Some(&card),
            }),
            new_operation: Some(&Operation {
                stan: u32::from_be_bytes([0, 0, names[0], names[1] | 1])
                    .try_into()
                    .unwrap(),
                ..operation
            }),
            ..Change::default()
        };
        self.store.commit(&intent).await.unwrap();
        payment
    }

    async fn seal(&self, payment: &Payment) -> NewCard {
        let card = Card {
            pan: Pan::from_digits("4242424242424242").unwrap(),
            expiry: Expiry::from_yymm("3012").unwrap(),
            cvv: None,
            holder: None,
        };
        self.custody
            .seal(&card, &payment.merchant_id, payment.id)
            .await
            .unwrap()
            .0
    }

    async fn kept(&self, payment: &Payment) -> Option<String> {
        let card = self
            .custody
            .card_of(&payment.merchant_id, payment.id, None)
            .await;
        card.unwrap().map(|card| card.pan.digits().to_owned())
    }

    /// The versions of the keys, newest first, each with the cards that it sealed when they were counted.
    async fn keys(&self) -> Vec<(i64, Option<i64>)> {
        let keys = self.custody.keys(10, None).await.unwrap();
        keys.iter()
            .map(|key| (key.key_version, key.entries))
            .collect()
    }
}

#[tokio::test]
async fn a_key_seals_for_a_day_and_is_destroyed_once_its_cards_have_ended() {
    let stand = Stand::new("custody-days").await;
    assert_eq!(stand.keys().await, [(1, None)]);
    let payment = stand.paid().await;
    assert_eq!(
        stand.kept(&payment).await.as_deref(),
        Some("4242424242424242")
    );
    stand.custody.look_after_keys().await.unwrap();
    assert_eq!(stand.keys().await, [(1, None)], "the same day");

    stand.days_pass(1);
    // Not read for a day: the next payment has the new day's key.
    let next = stand.seal(&payment).await;
    assert_eq!(next.entry.as_ref().unwrap().key_version, 2);
    stand.custody.look_after_keys().await.unwrap();
    assert_eq!(
        stand.keys().await,
        [(2, None), (1, None)],
        "cards may still come"
    );
    assert_eq!(
        stand.custody.destroy_expired().await.unwrap(),
        Vec::<i64>::new()
    );
    stand.clock.advance_ms(SETTLED_MS);
    stand.custody.look_after_keys().await.unwrap();
    assert_eq!(stand.keys().await, [(2, None), (1, Some(1))]);
    assert_eq!(
        stand.custody.destroy_expired().await.unwrap(),
        Vec::<i64>::new()
    );

    // Another node with the same master key opens the card; one with another does not start.
    let second = open(&stand.store, Arc::<ManualClock>::clone(&stand.clock)).await;
    assert!(
        second
            .card_of(&payment.merchant_id, payment.id, None)
            .await
            .unwrap()
            .is_some()
    );
    let clock = Arc::<ManualClock>::clone(&stand.clock);
    let other = master_key(2);
    let other = CardCustody::open(
        stand.store.clone(),
        &other,
        clock,
        &Random::SYSTEM,
        TIMES,
        7,
    );
    let refused = other.await.unwrap_err();
    assert!(matches!(
        refused,
        CardCustodyError::Custody(CustodyError::KeyNotOurs { .. })
    ));

    // Its end is not known, so it is kept as long as its key, and no longer.
    stand.days_pass(189);
    stand.custody.look_after_keys().await.unwrap();
    assert!(stand.kept(&payment).await.is_some());
    stand.days_pass(1);
    let destroyed = stand.custody.destroy_expired().await.unwrap();
    assert_eq!(destroyed, [1]);
    assert_eq!(stand.kept(&payment).await, None);
    let gone = second
        .card_of(&payment.merchant_id, payment.id, None)
        .await
        .unwrap();
    assert!(gone.is_none());
    stand.store.close().await;
}

#[tokio::test]
async fn a_rotated_key_without_cards_is_destroyed() {
    let stand = Stand::new("custody-rotated").await;
    let payment = stand.paid().await;
    let made = stand.custody.rotate().await.unwrap().unwrap();
    assert_eq!(made.key_version, 2);
    assert_eq!(made.expires_at, NOW.plus_ms(191 * DAY_MS));
    let rotated = stand.custody.rotate().await.unwrap().unwrap();
    assert_eq!(rotated.key_version, 3);
    stand.clock.advance_ms(SETTLED_MS);
    stand.custody.look_after_keys().await.unwrap();
    let counted = [(3, None), (2, Some(0)), (1, Some(1))];
    assert_eq!(stand.keys().await, counted);
    assert_eq!(stand.custody.destroy_expired().await.unwrap(), [2]);
    assert_eq!(stand.keys().await, [(3, None), (1, Some(1))]);
    assert!(stand.kept(&payment).await.is_some());
    assert_eq!(stand.seal(&payment).await.entry.unwrap().key_version, 3);
    stand.store.close().await;
}

/// Every key is read again and again, so there is an end to them.
#[tokio::test]
async fn no_key_is_made_beside_too_many() {
    let stand = Stand::new("custody-many").await;
    let most = i64::try_from(MAX_KEYS).unwrap();
    let first = stand.custody.keys(1, None).await.unwrap().remove(0);
    let others = (2..most).map(|key_version| CustodyKey {
        key_version,
        wrapped: stand.custody.keys.make(key_version).unwrap(),
        ..first.clone()
    });
    let others: Vec<_> = others.collect();
    let insert = |key| stand.store.insert_custody_key(key);
    for inserted in futures_util::future::join_all(others.iter().map(insert)).await {
        inserted.unwrap();
    }
    let last = stand.custody.rotate().await.unwrap().unwrap();
    assert_eq!(last.key_version, most);
    assert_eq!(stand.custody.rotate().await.unwrap(), None);
    // The next day has its key all the same.
    stand.days_pass(1);
    stand.custody.look_after_keys().await.unwrap();
    assert_eq!(stand.keys().await[0], (most + 1, None));
    stand.store.close().await;
}
