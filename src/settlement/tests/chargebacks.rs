//! What issuers take back.

use super::*;
use crate::ledger::account::AccountKind;
use crate::payment::report_line::ReportedItem;
use crate::payment::samples::eur;
use crate::payment::settlement::{ChargedBack, ItemKind};
use crate::payment::settlement_import::{ImportState, SettlementImport};
use crate::random::Random;
use crate::settlement::chargebacks::NewChargeback;
use crate::settlement::chargebacks::{Chargebacks, Recorded};

on_both!(a_line_takes_back_once_and_what_is_left_out_is_known);

/// The import of a report.
fn import() -> SettlementImport {
    SettlementImport {
        id: crate::payment::ids::ImportId::from_parts(NOW, random()),
        host_id: host(),
        name: "report.csv".into(),
        sha256: [0; 32],
        business_date: date(1),
        cycle: None,
        lines: 1,
        nets: None,
        state: ImportState::Applying,
        applied_to: 0,
        matched: 0,
        clears: false,
        operator: "alice".into(),
        at: NOW,
    }
}

impl Scene {
    pub(super) fn chargebacks(&self) -> Chargebacks {
        Chargebacks::new(self.store.clone(), self.clock(), Random::SYSTEM)
    }

    /// The items of a payment of one kind.
    async fn items(&self, payment: &Payment, kind: ItemKind) -> Vec<ReportedItem> {
        let rrns = [payment.authorization.rrn];
        let mut items = self.store.items_of_rrns(&host(), &rrns).await.unwrap();
        items.retain(|item| item.kind == kind);
        // A chargeback has the RRN of what it takes back: an item is found by both.
        items.sort_unstable_by_key(|item| item.operation_id);
        items.dedup_by_key(|item| item.operation_id);
        items
    }

    /// A line that takes so much of a payment back.
    pub(super) async fn taken_back(
        &self,
        payment: &Payment,
        line: u64,
        minor: i64,
    ) -> NewChargeback {
        let captures = self.items(payment, ItemKind::Capture).await;
        NewChargeback {
            line,
            kind: ItemKind::Chargeback,
            original: captures.first().unwrap().clone(),
            amount: Money::new(minor, payment.amount.currency()).unwrap(),
        }
    }

    /// Records a chargeback of a report of its own.
    pub(crate) async fn charge_back(&self, payment: &Payment, minor: i64) {
        let line = self.taken_back(payment, 2, minor).await;
        let recorded = self.chargebacks().record(&import(), &[line]).await;
        assert_eq!(recorded.unwrap(), Recorded::Now);
    }

    async fn disputed(&self, payment: &Payment) -> (i64, i64) {
        let found = self
            .store
            .payment(&shop(), payment.id)
            .await
            .unwrap()
            .unwrap();
        (found.amounts.disputed_minor, found.version)
    }

    async fn booked(&self, kind: AccountKind) -> i64 {
        let balances = self.store.balances(&shop()).await.unwrap();
        let of_kind = balances.iter().filter(|it| it.kind == kind);
        of_kind.map(|it| it.amount_minor).sum()
    }
}

async fn a_line_takes_back_once_and_what_is_left_out_is_known(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let payment = scene.sale(eur(1_000), CardBrand::Visa).await;
    let first = scene.end_day(1).await;
    scene.charging().look().await.unwrap();
    assert_eq!(scene.fund(&first).await, 1);
    let report = import();
    // Two nodes apply the same lines at once.
    let lines = [
        scene.taken_back(&payment, 2, 400).await,
        scene.taken_back(&payment, 3, 800).await,
    ];
    let (one, other) = (scene.chargebacks(), scene.chargebacks());
    let (one, other) = tokio::join!(one.record(&report, &lines), other.record(&report, &lines));
    let recorded = [one.unwrap(), other.unwrap()];
    assert!(recorded.contains(&Recorded::Now), "{recorded:?}");
    let again = scene.chargebacks().record(&report, &lines).await;
    assert_eq!(again.unwrap(), Recorded::Before);
    assert_eq!(scene.disputed(&payment).await, (1_200, payment.version + 2));
    let taken = scene.items(&payment, ItemKind::Chargeback).await;
    let mut shown: Vec<_> = taken
        .iter()
        .map(|item| (item.amount_minor, item.business_date, item.left_minor))
        .collect();
    shown.sort_unstable();
    // More than was captured: it is never refused.
    let left = Some(-200);
    assert_eq!(shown, [(400, date(2), left), (800, date(2), left)]);
    assert_eq!(scene.booked(AccountKind::Chargebacks).await, -1_200);
    // Some of it is given back, and no more than was taken.
    let given_back = |line, minor| NewChargeback {
        line,
        kind: ItemKind::ChargebackReversal,
        original: taken[0].clone(),
        amount: eur(minor),
    };
    let lines = [given_back(4, 1_300), given_back(5, 500)];
    let recorded = scene.chargebacks().record(&report, &lines).await;
    assert_eq!(recorded.unwrap(), Recorded::Now);
    assert_eq!(scene.disputed(&payment).await.0, 700);
    let recorded = scene.chargebacks().record(&report, &lines).await;
    assert_eq!(recorded.unwrap(), Recorded::Before);

    // The batch of the day has them, and no totals are agreed of them.
    let second = scene.end_day(2).await;
    let batches = scene.store.batches_of_day(&second).await.unwrap();
    let [batch] = &batches[..] else {
        panic!("one batch: {batches:?}");
    };
    let expected = ChargedBack {
        count: 3,
        minor: 700,
    };
    assert_eq!((batch.charged_back, batch.net_minor()), (expected, -700));
    scene.charging().look().await.unwrap();
    assert_eq!(scene.fund(&second).await, 1);
    for (kind, expected) in [
        (AccountKind::Chargebacks, 0),
        (AccountKind::PayableAvailable, -300),
        (AccountKind::Receivable, 300),
    ] {
        assert_eq!(scene.booked(kind).await, expected, "{kind:?}");
    }
    scene.store.close().await;
}
