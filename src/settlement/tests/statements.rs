//! Statements: one ends where the next one begins.

use super::{Scene, host, on_both, shop};
use crate::ledger::account::AccountKind;
use crate::payment::moment::BusinessDate;
use crate::payment::record::CardBrand;
use crate::payment::samples::{NOW, eur};
use crate::settlement::payouts::When;
use crate::settlement::statement::{LineKind, Period, Statement};
use crate::settlement::statements::{Format, statement_of, written};
use crate::store::merchant_money::Plan;
use crate::store::testing::TestDatabase;

on_both!(a_statement_ends_where_the_next_one_begins);

const DAY_MS: i64 = 86_400_000;

async fn a_statement_ends_where_the_next_one_begins(database: TestDatabase) {
    let plan = "{\"schedule\":\"daily\",\"reserve_ppm\":100000,\"reserve_days\":1}";
    let scene = Scene::payable(database, plan).await;
    let fees = "{\"pricing\":\"blended\",\"price\":[{\"ppm\":10000}]}";
    scene
        .store
        .set_plan(&shop(), Plan::Fees(fees), NOW)
        .await
        .unwrap();
    let folder = super::payouts::folder();
    let payouts = scene.payouts(folder.clone()).await;
    let sold = scene.sale(eur(10_000), CardBrand::Visa).await;
    scene.refund(&sold, 1_000).await;
    let ended = scene.end_day(1).await;
    scene.charging().look().await.unwrap();
    scene.fund(&ended).await;
    scene.clock.advance_ms(DAY_MS);
    payouts.pay(host(), When::AsPlanned).await.unwrap();

    let day = |days: i64| {
        let date = NOW.plus_ms(days * DAY_MS).utc().date();
        BusinessDate::new(date.year(), date.month().into(), date.day())
    };
    let of = async |first: i64, last: i64| {
        let period = Period::new(day(first), day(last)).unwrap();
        statement_of(&scene.store, &shop(), "EUR".parse().unwrap(), period)
            .await
            .unwrap()
    };
    let nets = |statement: &Statement| {
        let lines = statement.lines().iter();
        lines
            .map(|line| (line.kind, line.net_minor))
            .collect::<Vec<_>>()
    };
    let first = of(-1, 0).await;
    let expected = [
        (LineKind::Capture, 10_000),
        (LineKind::Refund, -1_000),
        (LineKind::Fee, -100),
    ];
    assert_eq!(
        (first.opening_minor(), nets(&first)),
        (0, expected.to_vec())
    );
    // What the merchant knows them by.
    let references = first.lines().iter().map(|line| line.reference.as_str());
    let named = references.zip(["cap_", "ref_", "bat_"]);
    for (reference, prefix) in named {
        assert!(reference.starts_with(prefix), "{reference}");
    }
    let descriptions = |statement: &Statement| {
        let lines = statement.lines().iter();
        lines
            .map(|line| line.description.clone())
            .collect::<Vec<_>>()
    };
    let expected = [
        format!("sale of {}", sold.id),
        format!("refund of {}", sold.id),
        "fees of the batch".to_owned(),
    ];
    assert_eq!(descriptions(&first), expected);
    let second = of(1, 1).await;
    let expected = [(LineKind::Reserve, -890), (LineKind::Payout, -8_010)];
    assert_eq!(
        (second.opening_minor(), nets(&second)),
        (8_900, expected.to_vec())
    );
    assert_eq!(first.closing_minor(), second.opening_minor());
    assert_eq!(
        second.closing_minor(),
        scene.eur(AccountKind::PayableAvailable).await
    );
    // What was held back is paid by itself, where nothing was sold meanwhile.
    scene.clock.advance_ms(DAY_MS);
    payouts.pay(host(), When::AsPlanned).await.unwrap();
    let third = of(2, 40).await;
    assert_eq!(third.opening_minor(), second.closing_minor());
    let expected = [(LineKind::ReserveRelease, 890), (LineKind::Payout, -890)];
    assert_eq!(nets(&third), expected);
    assert_eq!(of(-1, 1).await.lines().len(), 5);
    let pdf = written(second.clone(), Format::Pdf).await.unwrap();
    assert!(pdf.starts_with(b"%PDF-"));
    let csv = String::from_utf8(written(second, Format::Csv).await.unwrap()).unwrap();
    assert!(csv.contains("-80.10"), "{csv}");
    assert!(csv.contains(",OPENING_BALANCE,demo-shop,"), "{csv}");
    // A statement is made out to the legal name, and its days are those of the zone.
    let details = (Some("Demo Shop GmbH"), Some("Pacific/Kiritimati"));
    let shop = shop();
    let set = scene.store.set_merchant_details(&shop, details, NOW);
    set.await.unwrap();
    let later = of(0, 40).await;
    assert_eq!(later.merchant().name, "Demo Shop GmbH");
    let dates = |statement: &Statement| statement.lines().first().map(|line| line.date);
    assert!(dates(&later) > dates(&first), "{later:?}");
    let csv = String::from_utf8(written(later, Format::Csv).await.unwrap()).unwrap();
    assert!(
        csv.contains(",OPENING_BALANCE,demo-shop,Demo Shop GmbH,"),
        "{csv}"
    );
    std::fs::remove_dir_all(&folder).unwrap();
    scene.store.close().await;
}
