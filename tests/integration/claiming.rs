//! The clearing file claims what no message tells: written once, the same bytes after a crash, and the bank takes it.

use bank_sim::control::pb::{ClearingVerdict, TakeClearingFileRequest};
use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use pb::SettlementBatchState as BatchState;

use crate::answered_files::give;
use crate::capturing::{capture, of};
use crate::database::Engine;
use crate::faults::control;
use crate::harness::{Switch, authorize, eventually, on_both_engines, pay_with};
use crate::operators::operator;
use crate::refunding::{refund_of, refunds_of, try_refund};
use crate::reporting::only_batch;
use crate::settling::{Days, cut_over, cutover_of, open_date, settlement_of};
use crate::styles::dual_message;

on_both_engines!(a_clearing_file_claims_what_no_message_tells);

pub(crate) async fn file_of(days: &mut Days, business_date: &str) -> admin::SettlementFile {
    eventually("the clearing file", async || {
        let request = admin::ListBusinessDaysRequest {
            host_id: "acquirer".into(),
            ..Default::default()
        };
        let listed = days.list_business_days(request).await.expect("the days");
        let mut found = listed.into_inner().business_days.into_iter();
        let day = found.find(|day| day.business_date == business_date);
        day?.files.into_iter().next()
    })
    .await
}

/// A host that learns of captures and refunds by file: it is written once, a crash before its record makes the same bytes,
/// and the bank books what it claims.
async fn a_clearing_file_claims_what_no_message_tells(engine: Engine) {
    let mut switch = Switch::start_with(engine, Some(dual_message())).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut client).await;
    let held = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    capture(&mut payments, of(&held, 6_000)).await;
    let refund = try_refund(&mut refunds, refund_of(&held, 2_000)).await;
    refund.expect("a refund");
    let ended_day = cut_over(&mut client, cutover_of(&today)).await;
    assert_eq!(ended_day.expect("a day").totals.len(), 1);
    let file = file_of(&mut client, &today).await;
    assert_eq!(file.name, format!("acquirer-{today}-1.csv"));
    assert_eq!((file.item_count, file.sums[0].sum_minor), (2, 8_000));
    let settled = only_batch(&mut settlement, BatchState::Settled).await;
    assert!(settled.submit_time.is_some(), "it is submitted by its file");
    let folder = switch.data().join("settlement");
    let path = folder.join(&file.name);
    let bytes = std::fs::read(&path).expect("the file");
    assert_eq!(i64::try_from(bytes.len()), Ok(file.byte_count));
    let text = String::from_utf8(bytes.clone()).expect("a text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 2 + 1, "{text}");
    assert!(
        lines[1].contains(&format!(",SALE,{},", held.rrn())),
        "{text}"
    );
    assert!(
        lines[2].contains(&format!(",REFUND,{},", held.rrn())),
        "{text}"
    );
    assert_eq!(lines[3], format!("T,{today},,,,,,8000,EUR,2"));

    // A crash after the rename and before the record; one before the rename, which leaves a part under another name.
    for removes in [false, true] {
        switch.stop_gateway().await;
        let forget = "DELETE FROM settlement_files";
        switch.database.execute(forget).await;
        let reopen =
            "UPDATE business_days SET settled_at_ms = NULL WHERE batched_at_ms IS NOT NULL";
        switch.database.execute(reopen).await;
        if removes {
            std::fs::remove_file(&path).expect("the file is removed");
            let part = folder.join(format!(".{}.new", file.name));
            std::fs::write(part, &bytes[..10]).expect("a part of it");
        }
        switch.start_gateway().await;
        let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
        let again = file_of(&mut client, &today).await;
        let write_time = again.write_time;
        assert_eq!(
            again,
            admin::SettlementFile {
                write_time,
                ..file.clone()
            }
        );
        assert_eq!(std::fs::read(&path).expect("the file"), bytes);
        assert_eq!(std::fs::read_dir(&folder).expect("the folder").count(), 1);
    }

    let chunks = bytes.chunks(50).map(|chunk| TakeClearingFileRequest {
        chunk: chunk.to_vec(),
        ..Default::default()
    });
    let chunks = tokio_stream::iter(chunks.collect::<Vec<_>>());
    let taken = control(&switch.banks)
        .await
        .take_clearing_file(chunks)
        .await;
    let taken = taken.expect("an answer").into_inner();
    assert_eq!(taken.faults, []);
    assert_eq!(
        (taken.verdict(), taken.item_count),
        (ClearingVerdict::Accepted, 2)
    );

    // Nobody answers to a file of this kind with another one.
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let answered = give(&mut client, "1644^605", |_| {}).await;
    let reason = error_reason(&answered.expect_err("a CSV"));
    assert_eq!(reason.as_deref(), Some("ANSWERS_NOT_TAKEN"));
}
