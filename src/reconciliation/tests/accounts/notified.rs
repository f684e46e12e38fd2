//! What a bank notifies of a payout with another amount.

use super::*;
use crate::payment::account_finding::AccountFinding;
use crate::payment::payout::PayoutState;
use crate::settlement::payout_notices::{PayoutNotices, ProblemKind};
use crate::settlement::tests::payouts::booking;
use crate::store::merchant_money::Payout;

on_both!(
    a_return_of_another_amount_is_a_discrepancy_once,
    what_was_notified_ends_with_its_line_whatever_became_of_the_payout,
    what_is_on_no_account_with_statements_is_of_one_with_the_name_of_the_host,
);

/// The account that payouts are paid from.
const PAYS: &str = "12345678901";

/// A payout of 50.00 that the bank is ordered to pay.
async fn sent(scene: &Scene) -> Payout {
    let folder = folder();
    let payouts = scene.payouts(folder.clone()).await;
    scene.settle(1, 5_000).await;
    payouts.pay(host(), When::Now).await.unwrap();
    drop(std::fs::remove_dir_all(folder));
    scene.all_payouts().await.remove(0)
}

/// The same, paid.
async fn paid(scene: &Scene) -> Payout {
    let payout = sent(scene).await;
    let file = booking(&end_to_end_id(&payout.id.to_string()), "50.00", None);
    let notified = scene.notify_at(PAYS, Vec::new(), &file).await;
    assert_eq!(notified.paid, [payout.id]);
    payout
}

fn found(one: &Discrepancy) -> &AccountFinding {
    match &one.found {
        Found::OnAccount(found) => found,
        Found::InReport(_) => panic!("it is of an account"),
    }
}

async fn a_return_of_another_amount_is_a_discrepancy_once(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let (desk, decisions) = (Desk::of(&scene), decisions(&scene));
    let payout = paid(&scene).await;
    let reference = end_to_end_id(&payout.id.to_string());
    let notify = async |amount: &str| {
        let accounts = vec![(PAYS.parse().unwrap(), account())];
        let file = booking(&reference, amount, Some("AC04"));
        let notified = scene.notify_at(PAYS, accounts, &file).await;
        assert_eq!(notified.problems[0].kind, ProblemKind::AmountDiffers);
    };
    let ours = Some("5000".to_owned());
    for _ in 0..2 {
        notify("49.00").await;
        let open = [("AMOUNT_DIFFERS", "OPEN", ours.clone())];
        assert_eq!(shown(&decisions).await, open);
    }
    assert_eq!(scene.all_payouts().await[0].state, PayoutState::Paid);
    let notified = of_kind(&decisions, "AMOUNT_DIFFERS").await;
    let said = found(&notified);
    let number = 1;
    assert_eq!(
        said.of,
        OnAccount::Notified {
            payout: payout.id,
            number
        }
    );
    assert_eq!(said.theirs.as_deref(), Some("4900"));
    assert_eq!(said.candidates, [Candidate::Payout(payout.id)]);
    assert_eq!((said.host_id, said.at_stake_minor()), (Some(host()), -100));
    let matched = Step::Matched(day(1));
    let refused = decisions.step(&notified.id, &matched, ANNA).await;
    assert!(
        matches!(refused, Err(DiscrepancyError::NoMatch { .. })),
        "{refused:?}"
    );

    // On the statement it is a line, which has its own.
    let entries = [
        ("-50.00", &*reference, "payout"),
        ("49.00", &*reference, "came back"),
    ];
    take(&desk, 1, "2026-11-04", ("1.00", "0"), &entries).await;
    let decided = [
        ("AMOUNT_DIFFERS", "ACCEPTED", ours.clone()),
        ("AMOUNT_DIFFERS", "OPEN", ours.clone()),
    ];
    assert_eq!(shown(&decisions).await, decided);
    let all = all(&decisions).await;
    let line = all.iter().find(|one| one.id != notified.id).unwrap();
    let reason = format!("it is the line {}", line_of(line));
    assert_eq!(
        history(&scene, &notified.id).await,
        [("ACCEPTED", "payswitch".to_owned(), reason)]
    );
    // Told again, also by a notice that comes behind the statement, it is known.
    notify("49.00").await;
    let entries = [("48.00", &*reference, "came back")];
    take(&desk, 2, "2026-11-05", ("0", "48.00"), &entries).await;
    notify("48.00").await;
    let states = shown(&decisions).await.into_iter().map(|it| it.1);
    assert_eq!(states.collect::<Vec<_>>(), ["ACCEPTED", "OPEN", "OPEN"]);
    desk.close(scene).await;
}

async fn what_was_notified_ends_with_its_line_whatever_became_of_the_payout(
    database: TestDatabase,
) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let (desk, decisions) = (Desk::of(&scene), decisions(&scene));
    let payout = sent(&scene).await;
    let notices = PayoutNotices::new(scene.store.clone(), scene.clock(), Vec::new());
    let refused = notices.refuse(host(), payout.order_id.unwrap(), "AM04");
    assert_eq!(refused.await.unwrap(), [payout.id]);

    // The bank has refused it, and pays something of it all the same.
    let reference = end_to_end_id(&payout.id.to_string());
    let accounts = vec![(PAYS.parse().unwrap(), account())];
    let file = booking(&reference, "49.00", None);
    scene.notify_at(PAYS, accounts, &file).await;
    let ours = Some("-5000".to_owned());
    let open = [("AMOUNT_DIFFERS", "OPEN", ours.clone())];
    assert_eq!(shown(&decisions).await, open);

    // No line is that of a payout which has failed.
    let entries = [("-49.00", &*reference, "payout")];
    take(&desk, 1, "2026-11-04", ("50.00", "1.00"), &entries).await;
    let mut shown = shown(&decisions).await;
    shown.sort();
    assert_eq!(
        shown,
        [
            ("AMOUNT_DIFFERS", "ACCEPTED", ours),
            ("UNEXPECTED_LINE", "OPEN", None)
        ]
    );
    desk.close(scene).await;
}

async fn what_is_on_no_account_with_statements_is_of_one_with_the_name_of_the_host(
    database: TestDatabase,
) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let decisions = decisions(&scene);
    let payout = paid(&scene).await;
    let reference = end_to_end_id(&payout.id.to_string());
    let back = booking(&reference, "49.00", Some("AC04"));
    // Another currency is compared with nothing.
    let dollars = back.replace("EUR", "USD");
    scene.notify_at(PAYS, Vec::new(), &(back + &dollars)).await;
    let filter = DiscrepancyFilter {
        account: Some(host().as_str().parse().unwrap()),
        ..DiscrepancyFilter::default()
    };
    let listed = decisions.list(&filter, MAX_PAGE_SIZE, None).await.unwrap();
    let mut shown: Vec<_> = (listed.items.iter())
        .map(|one| (one.found.kind_name(), found(one).ours.clone()))
        .collect();
    shown.sort();
    assert_eq!(
        shown,
        [
            ("AMOUNT_DIFFERS", Some("5000".to_owned())),
            ("UNEXPECTED_LINE", None)
        ]
    );
    scene.store.close().await;
}
