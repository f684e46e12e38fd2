//! Payouts: made once, ordered once, and ended once by what the bank says.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio::sync::mpsc;

use super::{Scene, date, host, on_both, shop};
use crate::clock::Clock;
use crate::hosts::Hosts;
use crate::hosts::tests::bank::Bank;
use crate::ledger::account::{AccountKind, FeeKind};
use crate::net::Net;
use crate::payment::ids::{BankAccountName, OrderId};
use crate::payment::moment::BusinessDate;
use crate::payment::payout::PayoutState;
use crate::payment::record::CardBrand;
use crate::payment::samples::{NOW, eur};
use crate::random::Random;
use crate::settlement::bank_account::AccountNumber;
use crate::settlement::pain001::end_to_end_id;
use crate::settlement::payout::PayoutDecision;
use crate::settlement::payout_account::PayoutAccount;
use crate::settlement::payout_notices::{NoticeError, Notified, PayoutNotices, ProblemKind};
use crate::settlement::payouts::{PayoutParts, Payouts, PayoutsError, When};
use crate::store::merchant_money::{AccountChange, AccountChangeState, Payout, PayoutFilter, Plan};
use crate::store::records::lists::ListOrder;
use crate::store::testing::{TestDatabase, unique};

const DAY_MS: i64 = 86_400_000;

on_both!(
    what_is_available_is_paid_out_once,
    an_order_is_the_same_bytes_however_often_it_is_written,
    the_bank_says_what_became_of_a_payout,
    nothing_is_lost_between_captures_and_payouts,
);

impl Scene {
    /// A merchant that is paid every day.
    pub(crate) async fn payable(database: TestDatabase, plan: &str) -> Self {
        let scene = Self::new(database).await;
        let store = &scene.store;
        store
            .set_plan(&shop(), Plan::Payouts(plan), NOW)
            .await
            .unwrap();
        let account = PayoutAccount::new("Demo Shop", "DE89370400440532013000", "", "");
        let change = AccountChange {
            id: crate::payment::ids::AccountChangeId::from_parts(NOW, super::random()),
            merchant_id: shop(),
            account: account.unwrap().to_text(),
            state: AccountChangeState::Pending,
            asked_by: "anna".into(),
            asked_at: NOW,
            confirmed_by: None,
            confirmed_at: None,
            effective_at: None,
        };
        assert!(store.insert_account_change(&change).await.unwrap());
        let confirmed = store.confirm_account_change(change.id, "bert", NOW, NOW);
        confirmed.await.unwrap();
        scene
    }

    pub(crate) async fn payouts(&self, folder: PathBuf) -> Payouts {
        let mut profile = Bank::start().await.profile();
        profile.host_id = host();
        let (notices, _noticed) = mpsc::channel(1);
        let hosts = Hosts::start(
            vec![profile],
            None,
            Net::SYSTEM,
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            Random::SYSTEM,
            notices,
        );
        let debtor = PayoutAccount::new("Payswitch Ltd", "", "12345678901", "COBADEFF");
        Payouts::new(PayoutParts {
            store: self.store.clone(),
            hosts: Arc::new(hosts.unwrap()),
            clock: self.clock(),
            random: Random::SYSTEM,
            folder,
            debtor: Some(debtor.unwrap()),
        })
    }

    /// Sells, and funds the day of a number.
    pub(crate) async fn settle(&self, number: u8, minor: i64) {
        self.sale(eur(minor), CardBrand::Visa).await;
        let ended = self.end_day(number).await;
        self.charging().look().await.unwrap();
        assert_eq!(self.fund(&ended).await, 1);
    }

    pub(crate) async fn all_payouts(&self) -> Vec<Payout> {
        let (shop, filter) = (shop(), PayoutFilter::default());
        let listed = self
            .store
            .list_payouts(&shop, &filter, ListOrder::OldestFirst, 100, None);
        listed.await.unwrap().items
    }

    /// The dates of the batches that a payout pays.
    async fn paid_by(&self, payout: &Payout) -> Vec<BusinessDate> {
        let paid = self.store.batches_paid_by(&[payout.id]).await.unwrap();
        let mut dates = Vec::new();
        for id in paid.get(&payout.id).into_iter().flatten() {
            let batch = self.store.settlement_batch(&shop(), *id).await.unwrap();
            dates.push(batch.unwrap().key.business_date);
        }
        dates.sort_unstable();
        dates
    }

    async fn notify(&self, bookings: &str) -> Notified {
        self.notify_on("12345678901", bookings).await
    }

    async fn notify_on(&self, account: &str, bookings: &str) -> Notified {
        self.notify_at(account, Vec::new(), bookings).await
    }

    /// What the bank notifies of an account, where these have statements.
    pub(crate) async fn notify_at(
        &self,
        account: &str,
        accounts: Vec<(AccountNumber, BankAccountName)>,
        bookings: &str,
    ) -> Notified {
        let file = format!(
            "<?xml version=\"1.0\"?><Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.054.001.08\">\
             <BkToCstmrDbtCdtNtfctn><Ntfctn><Acct><Id><Othr><Id>{account}</Id></Othr></Id></Acct>{bookings}\
             </Ntfctn></BkToCstmrDbtCdtNtfctn></Document>"
        );
        let bookings = PayoutNotices::read(file.into_bytes()).await.unwrap();
        let notices = PayoutNotices::new(self.store.clone(), self.clock(), accounts);
        notices.notify(host(), &bookings).await.unwrap()
    }

    pub(super) async fn eur(&self, kind: AccountKind) -> i64 {
        let balances = self.store.balances(&shop()).await.unwrap();
        let of_kind = balances.iter().filter(|it| it.kind == kind);
        of_kind.map(|it| -it.amount_minor).sum()
    }
}

pub(crate) fn folder() -> PathBuf {
    std::env::temp_dir().join(format!(
        "payswitch-payouts-{}-{}",
        std::process::id(),
        unique()
    ))
}

pub(crate) fn booking(reference: &str, amount: &str, reason: Option<&str>) -> String {
    let direction = if reason.is_some() { "CRDT" } else { "DBIT" };
    let reason = reason.map_or_else(String::new, |code| {
        format!("<RtrInf><Rsn><Cd>{code}</Cd></Rsn></RtrInf>")
    });
    format!(
        "<Ntry><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>\
         <AcctSvcrRef>UTR7</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>{reference}</EndToEndId></Refs>\
         {reason}</TxDtls></NtryDtls></Ntry>"
    )
}

async fn what_is_available_is_paid_out_once(database: TestDatabase) {
    let plan =
        "{\"schedule\":\"daily\",\"reserve_ppm\":100000,\"reserve_days\":2,\"minimum_minor\":500}";
    let scene = Scene::payable(database, plan).await;
    let folder = folder();
    scene.settle(1, 10_000).await;
    let (one, two) = (
        scene.payouts(folder.clone()).await,
        scene.payouts(folder.clone()).await,
    );
    let (first, second) = tokio::join!(
        one.pay(host(), When::AsPlanned),
        two.pay(host(), When::AsPlanned)
    );
    let made = [first.unwrap(), second.unwrap()].concat();
    let made = made.iter().filter(|decided| decided.payout_id.is_some());
    assert_eq!(made.count(), 1, "one of two nodes makes it");
    assert_eq!(one.pay(host(), When::AsPlanned).await.unwrap(), []);
    one.send_orders().await.unwrap();
    two.send_orders().await.unwrap();
    let payouts = scene.all_payouts().await;
    let [payout] = &payouts[..] else {
        panic!("{payouts:?}");
    };
    assert_eq!((payout.amount, payout.reserve_minor), (eur(9_000), 1_000));
    assert_eq!(
        (payout.state, &*payout.destination),
        (PayoutState::Sent, "DE** **** 3000")
    );
    assert_eq!(scene.paid_by(payout).await, [date(1)]);
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(scene.eur(AccountKind::PayableAvailable).await, 0);
    assert_eq!(scene.eur(AccountKind::Reserve).await, 1_000);
    assert_eq!(scene.eur(AccountKind::InTransit).await, 9_000);

    // The next day there is too little; later the reserve is given back too.
    scene.clock.advance_ms(DAY_MS);
    scene.settle(2, 100).await;
    let little = one.pay(host(), When::AsPlanned).await.unwrap();
    assert_eq!(
        little[0].decision,
        PayoutDecision::BelowMinimum { payable_minor: 90 }
    );
    scene.clock.advance_ms(DAY_MS);
    scene.settle(3, 1_000).await;
    one.pay(host(), When::AsPlanned).await.unwrap();
    let payouts = scene.all_payouts().await;
    assert_eq!(
        (payouts[1].amount, payouts[1].reserve_minor),
        (eur(1_990), 110)
    );
    assert_eq!(payouts[1].reserve_released_minor, 1_000);
    assert_eq!(scene.paid_by(&payouts[1]).await, [date(2), date(3)]);
    assert_eq!(scene.eur(AccountKind::Reserve).await, 110);
    let paid = scene
        .store
        .payout(&"other".parse().unwrap(), payout.id)
        .await;
    assert_eq!(paid, Ok(None), "it is nobody else's");
    std::fs::remove_dir_all(&folder).unwrap();
    scene.store.close().await;
}

async fn an_order_is_the_same_bytes_however_often_it_is_written(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let (shop, legal_name) = (shop(), (Some("Demo Shop GmbH"), None));
    let set = scene.store.set_merchant_details(&shop, legal_name, NOW);
    set.await.unwrap();
    scene.settle(1, 10_000).await;
    let (no_folder, one, two) = (folder(), folder(), folder());
    std::fs::write(&no_folder, "a file").unwrap();
    let broken = scene.payouts(no_folder.clone()).await;
    let failed = broken.pay(host(), When::AsPlanned).await;
    assert!(matches!(failed, Err(PayoutsError::File(_))), "{failed:?}");
    let payout = scene.all_payouts().await.remove(0);
    assert_eq!(payout.state, PayoutState::Created);
    let order = scene.store.unsent_orders().await.unwrap().remove(0);
    assert_eq!(payout.order_id, Some(order.id));
    // A payout is made out to the legal name that its merchant had when it was made.
    let renamed = (Some("Another Shop GmbH"), None);
    let set = scene.store.set_merchant_details(&shop, renamed, NOW);
    set.await.unwrap();

    // Another payout comes meanwhile: it is in an order of its own.
    scene.clock.advance_ms(1);
    scene.settle(2, 700).await;
    let (first, second) = (
        scene.payouts(one.clone()).await,
        scene.payouts(two.clone()).await,
    );
    first.pay(host(), When::Now).await.unwrap();
    second.send(&order).await.unwrap();
    let bytes = |folder: &PathBuf| std::fs::read(folder.join(&order.file_name)).unwrap();
    assert_eq!(bytes(&one), bytes(&two));
    let text = String::from_utf8(bytes(&one)).unwrap();
    assert_eq!(text.matches("<EndToEndId>").count(), 1);
    assert_eq!(text.matches("<Nm>Demo Shop GmbH</Nm>").count(), 1, "{text}");
    assert!(
        text.contains(&end_to_end_id(&payout.id.to_string())),
        "{text}"
    );
    let payouts = scene.all_payouts().await;
    assert!(
        payouts
            .iter()
            .all(|payout| payout.state == PayoutState::Sent)
    );
    assert_ne!(payouts[0].order_id, payouts[1].order_id);
    assert_eq!(scene.store.unsent_orders().await, Ok(vec![]));
    std::fs::remove_file(no_folder).unwrap();
    for folder in [one, two] {
        std::fs::remove_dir_all(folder).unwrap();
    }
    scene.store.close().await;
}

async fn the_bank_says_what_became_of_a_payout(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let folder = folder();
    let payouts = scene.payouts(folder.clone()).await;
    scene.settle(1, 10_000).await;
    payouts.pay(host(), When::AsPlanned).await.unwrap();
    scene.clock.advance_ms(1);
    scene.settle(2, 2_000).await;
    payouts.pay(host(), When::Now).await.unwrap();
    let ids: Vec<_> = scene
        .all_payouts()
        .await
        .iter()
        .map(|payout| payout.id)
        .collect();
    let reference = |place: usize| end_to_end_id(&ids[place].to_string());

    let wrong = [
        booking("out-nobody", "100.00", None),
        booking(&reference(0), "100.01", None),
    ];
    let notified = scene.notify(&wrong.concat()).await;
    let kinds: Vec<_> = notified
        .problems
        .iter()
        .map(|problem| problem.kind)
        .collect();
    assert_eq!(
        kinds,
        [ProblemKind::UnknownReference, ProblemKind::AmountDiffers]
    );
    let elsewhere = booking(&reference(0), "100.00", None);
    let notified = scene.notify_on("98765432100", &elsewhere).await;
    assert_eq!(notified.problems[0].kind, ProblemKind::UnknownReference);
    assert_eq!(scene.eur(AccountKind::InTransit).await, 12_000);

    let file = [
        booking(&reference(0), "100.00", None),
        booking(&reference(1), "20.00", Some("AC04")),
    ]
    .concat();
    let notified = scene.notify(&file).await;
    assert_eq!(
        (&notified.paid[..], &notified.returned[..]),
        (&ids[..1], &ids[1..])
    );
    let known = Notified {
        known: 2,
        ..Notified::default()
    };
    assert_eq!(
        scene.notify(&file).await,
        known,
        "the same file again changes nothing"
    );
    let ended = scene.all_payouts().await;
    assert_eq!(ended[0].state, PayoutState::Paid);
    assert_eq!(ended[0].bank_reference.as_deref(), Some("UTR7"));
    assert_eq!(ended[1].state, PayoutState::Returned);
    assert_eq!(ended[1].return_reason.as_deref(), Some("AC04"));
    assert_eq!(scene.eur(AccountKind::PayableAvailable).await, 2_000);
    assert_eq!(scene.eur(AccountKind::InTransit).await, 0);
    // Days later it comes back after all.
    let back = booking(&reference(0), "100.00", Some("AC04"));
    let notified = scene.notify(&back).await;
    assert_eq!(&notified.returned[..], &ids[..1]);
    for again in [&back, &file] {
        assert_eq!(scene.notify(again).await.problems, []);
    }
    let ended = scene.all_payouts().await;
    assert_eq!(ended[0].state, PayoutState::Returned);
    assert_eq!(ended[0].bank_reference.as_deref(), Some("UTR7"));
    assert_eq!(scene.eur(AccountKind::PayableAvailable).await, 12_000);
    assert_eq!(scene.eur(AccountKind::Receivable).await, -12_000);
    // An order is refused whole, or not at all.
    let notices = PayoutNotices::new(scene.store.clone(), scene.clock(), Vec::new());
    let refuse = |order| notices.refuse(host(), order, "AM04");
    let taken = refuse(ended[0].order_id.unwrap()).await;
    assert!(
        matches!(taken, Err(NoticeError::OtherState(_))),
        "{taken:?}"
    );
    let nobodys = OrderId::from_parts(NOW, super::random());
    let unknown = refuse(nobodys).await;
    assert!(
        matches!(unknown, Err(NoticeError::NoOrder(_))),
        "{unknown:?}"
    );
    scene.clock.advance_ms(1);
    payouts.pay(host(), When::Now).await.unwrap();
    let last = scene.all_payouts().await.remove(2);
    // It pays what the ones that came back have not.
    assert_eq!(scene.paid_by(&last).await, [date(1), date(2)]);
    assert_eq!(scene.paid_by(&ended[0]).await, [date(1)]);
    for _ in 0..2 {
        let failed = refuse(last.order_id.unwrap()).await;
        assert_eq!(failed.unwrap(), [last.id]);
    }
    let late = booking(&end_to_end_id(&last.id.to_string()), "120.00", None);
    assert_eq!(
        scene.notify(&late).await.problems[0].kind,
        ProblemKind::OtherState
    );
    let failed = scene.all_payouts().await.remove(2);
    assert_eq!(failed.state, PayoutState::Failed);
    assert_eq!(failed.return_reason.as_deref(), Some("AM04"));
    assert_eq!(scene.eur(AccountKind::PayableAvailable).await, 12_000);
    assert_eq!(scene.eur(AccountKind::InTransit).await, 0);
    let events = scene
        .store
        .events_of(&shop(), None, 0, 100)
        .await
        .unwrap()
        .items;
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.name()).collect();
    let kinds: Vec<&str> = kinds
        .into_iter()
        .filter(|kind| kind.starts_with("PAYOUT"))
        .collect();
    assert_eq!(
        kinds,
        [
            "PAYOUT_MADE",
            "PAYOUT_MADE",
            "PAYOUT_PAID",
            "PAYOUT_RETURNED",
            "PAYOUT_RETURNED",
            "PAYOUT_MADE",
            "PAYOUT_FAILED"
        ]
    );
    std::fs::remove_dir_all(&folder).unwrap();
    scene.store.close().await;
}

/// Payouts, fees and open balances are what was captured less what was refunded and charged back.
async fn nothing_is_lost_between_captures_and_payouts(database: TestDatabase) {
    let plan =
        "{\"schedule\":\"daily\",\"reserve_ppm\":77777,\"reserve_days\":2,\"minimum_minor\":300}";
    let scene = Scene::payable(database, plan).await;
    let fees = "{\"pricing\":\"plus_plus\",\"tax_ppm\":190000,\"refunds\":\"give_back\",\
        \"price\":[{\"ppm\":12345,\"fixed_minor\":7}],\"interchange\":[{\"ppm\":3000}]}";
    scene
        .store
        .set_plan(&shop(), Plan::Fees(fees), NOW)
        .await
        .unwrap();
    let folder = folder();
    let payouts = scene.payouts(folder.clone()).await;
    let mut runner = TestRunner::deterministic();
    let days = proptest::collection::vec((1..50_000_i64, 0..5_i64), 1..5);
    let (mut captured, mut refunded, mut charged_back) = (0, 0, 0);
    for number in 1..=6 {
        for (minor, quarters) in days.new_tree(&mut runner).unwrap().current() {
            let payment = scene.sale(eur(minor), CardBrand::Visa).await;
            captured += minor;
            if minor * quarters / 4 > 0 {
                scene.refund(&payment, minor * quarters / 4).await;
                refunded += minor * quarters / 4;
            }
            if minor % 5 == 0 {
                scene.charge_back(&payment, minor).await;
                charged_back += minor;
            }
        }
        let ended = scene.end_day(number).await;
        scene.charging().look().await.unwrap();
        scene.fund(&ended).await;
        payouts.pay(host(), When::AsPlanned).await.unwrap();
        for payout in scene.all_payouts().await {
            if payout.state == PayoutState::Sent {
                let reference = end_to_end_id(&payout.id.to_string());
                let minor = payout.amount.amount_minor();
                let amount = format!("{}.{:02}", minor / 100, minor % 100);
                let reason = (number % 3 == 0).then_some("AC04");
                scene.notify(&booking(&reference, &amount, reason)).await;
            }
        }
        scene.clock.advance_ms(DAY_MS);
    }
    let all = scene.all_payouts().await;
    let paid = all
        .iter()
        .filter(|payout| payout.state == PayoutState::Paid);
    let paid: i64 = paid.map(|payout| payout.amount.amount_minor()).sum();
    assert!(
        paid > 0
            && all
                .iter()
                .any(|payout| payout.state == PayoutState::Returned)
    );
    let mut open = 0;
    for kind in [
        AccountKind::PayablePending,
        AccountKind::PayableAvailable,
        AccountKind::Reserve,
        AccountKind::InTransit,
        AccountKind::Fee(FeeKind::Interchange),
        AccountKind::Fee(FeeKind::Scheme),
        AccountKind::Fee(FeeKind::Markup),
        AccountKind::Fee(FeeKind::Tax),
    ] {
        open += scene.eur(kind).await;
    }
    assert!(charged_back > 0);
    let left = captured - refunded - charged_back;
    assert_eq!(paid + open, left);
    assert_eq!(-scene.eur(AccountKind::Receivable).await, left - paid);
    std::fs::remove_dir_all(&folder).unwrap();
    scene.store.close().await;
}
