//! The bank's settlement report: taken in as a whole or not at all, compared with what is settled, to the cent.

use bank_sim::control::pb::control_service_client::ControlServiceClient;
use bank_sim::control::pb::{MisbookItemRequest, WriteSettlementReportRequest};
use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::import_report_request::Part;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::commands::demo::stand::reporting_profile;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use pb::settlement_note::Item;
use pb::{CaptureState, SettlementBatchState as BatchState, SettlementState};
use tonic::Status;
use tonic::transport::Channel;

use crate::capturing::{capture, ended, minor, of};
use crate::database::Engine;
use crate::demo::as_operator;
use crate::faults::control;
use crate::harness::{Switch, authorize, eventually, on_both_engines, pay_with, unique};
use crate::operators::operator;
use crate::refunding::{get_refund, refund_of, refunds_of, try_refund};
use crate::sales::sale;
use crate::settling::{
    Days, Settlement, batches, cut_over, cutover_of, notes, open_date, settlement_of,
};

on_both_engines!(
    a_report_settles_what_it_confirms,
    a_wrong_booking_is_one_difference_with_both_amounts,
    a_report_that_a_crash_interrupts_goes_on_at_the_start,
    differences_hold_batches_until_a_report_is_amended_or_they_are_accepted,
);

/// The bank's own report of a date.
pub(crate) async fn report_of(switch: &Switch, business_date: &str) -> Vec<u8> {
    report_from(control(&switch.banks).await, business_date).await
}

/// The same, of banks that stand alone.
pub(crate) async fn report_from(
    mut control: ControlServiceClient<Channel>,
    business_date: &str,
) -> Vec<u8> {
    let request = WriteSettlementReportRequest {
        business_date: business_date.into(),
        ..Default::default()
    };
    let written = control.write_settlement_report(request).await;
    let mut written = written.expect("a report").into_inner();
    let mut report = Vec::new();
    while let Some(part) = written.message().await.expect("its next bytes") {
        report.extend(part.chunk);
    }
    report
}

pub(crate) async fn import(
    days: &mut Days,
    report: &[u8],
    change: impl FnOnce(&mut admin::ReportFile),
) -> Result<admin::ImportReportResponse, Status> {
    let mut file = admin::ReportFile {
        request_id: format!("import-{}", unique()),
        reason: "the bank's report".into(),
        host_id: "acquirer".into(),
        name: "report.csv".into(),
        ..Default::default()
    };
    change(&mut file);
    // A small one comes in several parts, too.
    let chunk_length = (report.len() / 1_000).max(100);
    let chunks = report.chunks(chunk_length);
    let chunks = chunks.map(|chunk| Part::Chunk(chunk.to_vec()));
    let parts = std::iter::once(Part::File(file)).chain(chunks);
    let parts = parts.map(|part| admin::ImportReportRequest { part: Some(part) });
    let parts = tokio_stream::iter(parts.collect::<Vec<_>>());
    days.import_report(parts)
        .await
        .map(tonic::Response::into_inner)
}

/// Gives a report to the program, as an operator does: its exit code and what it says.
async fn import_by_program(switch: &Switch, report: &[u8]) -> (Option<i32>, String) {
    let given = switch.data().join("given.csv");
    std::fs::write(&given, report).expect("a file for the program");
    let given = given.to_str().expect("a path in UTF-8");
    let arguments = ["settle", "import", "acquirer", given];
    let mut command = as_operator(switch, &arguments);
    command.args(["--reason", "the bank's report"]);
    let run = tokio::process::Command::from(command).output().await;
    let run = run.expect("the program runs");
    let told = [run.stdout, run.stderr].concat();
    (
        run.status.code(),
        String::from_utf8_lossy(&told).into_owned(),
    )
}

/// What the program shows of the report of a date.
async fn report_by_program(switch: &Switch, business_date: &str) -> String {
    let arguments = ["settle", "report", "acquirer", "--date", business_date];
    by_program(switch, &arguments).await
}

/// What the program shows an operator.
async fn by_program(switch: &Switch, arguments: &[&str]) -> String {
    let command = as_operator(switch, arguments);
    let run = tokio::process::Command::from(command).output().await;
    let run = run.expect("the program runs");
    assert!(run.status.success(), "{run:?}");
    String::from_utf8(run.stdout).expect("UTF-8")
}

pub(crate) async fn differences(days: &mut Days, business_date: &str) -> Vec<admin::Difference> {
    let request = admin::ListDifferencesRequest {
        host_id: "acquirer".into(),
        business_date: business_date.into(),
        ..Default::default()
    };
    let listed = days.list_differences(request).await;
    listed.expect("the differences").into_inner().differences
}

/// Waits until the bank has answered the totals of a day.
pub(crate) async fn agreed(days: &mut Days, business_date: &str) -> admin::TotalsState {
    eventually("totals that are agreed", async || {
        let request = admin::ListTotalsRequest {
            host_id: "acquirer".into(),
            business_date: business_date.into(),
            ..Default::default()
        };
        let listed = days.list_totals(request).await.expect("the totals");
        let state = listed.into_inner().totals.first()?.state();
        (state != admin::TotalsState::Due).then_some(state)
    })
    .await
}

/// The only batch, once it has this state.
pub(crate) async fn only_batch(
    settlement: &mut Settlement,
    state: BatchState,
) -> pb::SettlementBatch {
    eventually("the batch's state", async || {
        let [batch] = &batches(settlement).await[..] else {
            return None;
        };
        (batch.state() == state).then(|| batch.clone())
    })
    .await
}

async fn a_report_settles_what_it_confirms(engine: Engine) {
    let switch = Switch::start_with(engine, Some(reporting_profile())).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut client).await;
    // A capture in three parts, which the bank knows by one RRN, two of them equal; a sale, and a refund of a part of it.
    let held = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    for part in [6_000, 1_500, 1_500] {
        let (_, told) = capture(&mut payments, of(&held, part)).await;
        ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
    }
    let sold = authorize(&mut payments, sale("pm_test_visa", 2_500)).await;
    let refund = try_refund(&mut refunds, refund_of(&sold, 400)).await;
    let refund = refund.expect("a refund").refund_id;
    eventually("the refund in its batch", async || {
        let refund = get_refund(&mut refunds, &refund).await;
        (!refund.batch_id.is_empty()).then_some(())
    })
    .await;
    let refused = import(&mut client, b"", |file| {
        file.business_date.clone_from(&today)
    })
    .await;
    let refused = refused.expect("it has faults");
    assert_eq!((refused.fault_count, refused.faults[0].line), (1, 1));
    cut_over(&mut client, cutover_of(&today))
        .await
        .expect("a day");
    assert_eq!(
        agreed(&mut client, &today).await,
        admin::TotalsState::InBalance
    );
    let report = report_of(&switch, &today).await;

    // One wrong line: it is named, and nothing has changed.
    let text = String::from_utf8(report.clone()).expect("a text");
    assert_eq!(text.lines().count(), 1 + 5 + 1, "{text}");
    let damaged = text.replacen(",25.00,", ",2x5.00,", 1);
    let wrong = text.lines().position(|line| line.contains(",25.00,"));
    let answer = import(&mut client, damaged.as_bytes(), |_| {}).await;
    let answer = answer.expect("an answer");
    assert_eq!((answer.settlement_import, answer.fault_count), (None, 1));
    let fault = &answer.faults[0];
    assert_eq!(usize::try_from(fault.line).ok(), wrong.map(|line| line + 1));
    assert_eq!(
        (fault.column.as_str(), fault.got.as_str()),
        ("Gross Credit", "2x5.00")
    );
    let (code, told) = import_by_program(&switch, damaged.as_bytes()).await;
    let named = format!("line {}: Gross Credit: expected an amount", fault.line);
    assert!(told.contains(&named), "{told}");
    assert!(told.contains("nothing of the report is applied"), "{told}");
    assert_eq!(code, Some(1));
    // Not all of it.
    let cut = import(&mut client, &report, |file| file.sha256 = "00".repeat(32)).await;
    let reason = error_reason(&cut.expect_err("another file"));
    assert_eq!(reason.as_deref(), Some("FILE_INCOMPLETE"));
    assert_eq!(differences(&mut client, &today).await, []);
    let waiting = only_batch(&mut settlement, BatchState::Submitted).await;
    let before = notes(&mut settlement, (&waiting.batch_id, 100)).await;
    // A merchant without a plan has no fees of payswitch's own.
    let is_none = |fee: &Option<pb::Money>| fee.as_ref().is_none_or(|fee| fee.amount_minor == 0);
    assert!(before.iter().all(|note| is_none(&note.interchange)));

    // The report itself: everything is confirmed, and the money is available.
    let answer = import(&mut client, &report, |_| {})
        .await
        .expect("an answer");
    let done = answer.settlement_import.expect("it is applied");
    assert_eq!((done.line_count, done.matched_count), (5, 5));
    assert_eq!(done.applied_line_count, 5);
    assert_eq!(done.state(), admin::SettlementImportState::Done);
    assert_eq!((answer.was_there, &done.differences[..]), (false, &[][..]));
    let settled = only_batch(&mut settlement, BatchState::Settled).await;
    assert!(settled.settle_time.is_some());
    let notes = notes(&mut settlement, (&settled.batch_id, 100)).await;
    for note in &notes {
        assert_eq!(note.state(), SettlementState::Settled);
        // 0.20 % and 0.05 %, and nothing of refunds.
        let (interchange, scheme_fee) = match note.item {
            Some(Item::RefundId(_)) => (0, 0),
            _ => match minor(&note.amount) {
                6_000 => (12, 3),
                // Half to even: 0.75 and 1.25 of a cent.
                1_500 => (3, 1),
                _ => (5, 1),
            },
        };
        assert_eq!(minor(&note.interchange), interchange, "{note:?}");
        assert_eq!(minor(&note.scheme_fee), scheme_fee, "{note:?}");
        assert_eq!(minor(&note.commission), 0);
    }
    assert_eq!(notes.len(), 5);
    let refund = get_refund(&mut refunds, &refund).await;
    assert_eq!(refund.acquirer_reference.len(), 23, "{refund:?}");

    // What it has said is shown.
    let asked = admin::GetDayReportRequest {
        host_id: "acquirer".into(),
        business_date: today.clone(),
    };
    let said = client.get_day_report(asked).await.expect("the report");
    let said = said.into_inner();
    assert_eq!(said.settlement_import.as_ref(), Some(&done));
    let [fees] = &said.fees[..] else {
        panic!("{said:?}");
    };
    assert_eq!((fees.item_count, fees.rejected_count), (5, 0));
    assert_eq!((fees.interchange_minor, fees.scheme_fee_minor), (23, 6));
    let shown = report_by_program(&switch, &today).await;
    for part in [
        done.import_id.as_str(),
        "DONE",
        "0.23",
        "0.06",
        "no differences",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }

    let listed = client.list_settlement_imports(admin::ListSettlementImportsRequest::default());
    let listed = listed.await.expect("the reports").into_inner();
    let expected = admin::ListSettlementImportsResponse {
        settlement_imports: vec![done.clone()],
        next_page_token: String::new(),
    };
    assert_eq!(listed, expected);
    let shown = by_program(&switch, &["settle", "imports"]).await;
    for part in [done.import_id.as_str(), "DONE", "report.csv"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }

    // The same file again; and another one of the date.
    let (code, told) = import_by_program(&switch, &report).await;
    let confirmed = "was before DONE: 5 lines, 5 of them with an item";
    assert!(told.contains(confirmed), "{told}");
    assert_eq!(code, Some(0));
    let again = import(&mut client, &report, |_| {})
        .await
        .expect("an answer");
    let expected = admin::ImportReportResponse {
        settlement_import: Some(done),
        was_there: true,
        ..Default::default()
    };
    assert_eq!(again, expected);
    let other = text.replace('\n', "\r\n");
    for (amends, expected) in [(false, "REPORT_APPLIED"), (true, "BATCHES_FUNDED")] {
        let refused = import(&mut client, other.as_bytes(), |file| file.amends = amends).await;
        match refused {
            Err(status) => assert_eq!(error_reason(&status).as_deref(), Some(expected)),
            Ok(answer) => panic!("{answer:?}"),
        }
    }
}

async fn a_wrong_booking_is_one_difference_with_both_amounts(engine: Engine) {
    let switch = Switch::start_with(engine, Some(reporting_profile())).await;
    let mut payments = switch.payments().await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut client).await;
    let mut sold = Vec::new();
    for amount in [2_500, 700, 1_100] {
        sold.push(authorize(&mut payments, sale("pm_test_visa", amount)).await);
    }
    assert_eq!(misbook(&switch, &sold[1], 10).await, 710);
    eventually("the items", async || {
        let [open] = &batches(&mut settlement).await[..] else {
            return None;
        };
        (open.payment_count == 3).then_some(())
    })
    .await;
    cut_over(&mut client, cutover_of(&today))
        .await
        .expect("a day");
    let agreed = agreed(&mut client, &today).await;
    assert_eq!(agreed, admin::TotalsState::OutOfBalance);
    let report = report_of(&switch, &today).await;
    let answer = import(&mut client, &report, |_| {})
        .await
        .expect("an answer");
    let done = answer.settlement_import.expect("it is applied");
    assert_eq!((done.line_count, done.matched_count), (3, 3));
    let [found] = &differences(&mut client, &today).await[..] else {
        panic!("one difference");
    };
    assert_eq!(found.kind(), admin::DifferenceKind::AmountDiffers);
    assert_eq!((found.ours.as_str(), found.theirs.as_str()), ("700", "710"));
    assert_eq!(found.rrn, sold[1].rrn());
    assert_eq!(found.merchant_id, switch.merchant_id.to_string());
    // The profile funds what is out of balance.
    let disputed = only_batch(&mut settlement, BatchState::Disputed).await;
    assert_eq!(minor(&disputed.captured_total), 4_300);
}

/// The bank books so much more for a payment. What it has now.
pub(crate) async fn misbook(switch: &Switch, payment: &pb::Payment, delta_minor: i64) -> i64 {
    let request = MisbookItemRequest {
        rrn: payment.rrn().to_owned(),
        delta_minor,
        ..Default::default()
    };
    let misbooked = control(&switch.banks).await.misbook_item(request).await;
    misbooked.expect("it is booked wrongly").into_inner().amount
}

/// A gateway that dies once a report is recorded leaves the file; the next one applies it.
async fn a_report_that_a_crash_interrupts_goes_on_at_the_start(engine: Engine) {
    const ID: &str = "imp_06e9x3w8k1z7h4n2m5q0r8t6va";
    let mut switch = Switch::start_with(engine, Some(reporting_profile())).await;
    let mut payments = switch.payments().await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut client).await;
    authorize(&mut payments, sale("pm_test_visa", 2_500)).await;
    cut_over(&mut client, cutover_of(&today))
        .await
        .expect("a day");
    assert_eq!(
        agreed(&mut client, &today).await,
        admin::TotalsState::InBalance
    );
    let report = report_of(&switch, &today).await;
    switch.stop_gateway().await;
    let folder = switch.data().join("settlement").join("imports");
    std::fs::create_dir_all(&folder).expect("a folder");
    let left = folder.join(ID);
    std::fs::write(&left, &report).expect("the file");
    std::fs::write(folder.join(ID.replace("06e9", "06e8")), b"never recorded").expect("a file");
    let recorded = "INSERT INTO settlement_imports (id, host_id, kind, name, sha256, business_date, lines, state, \
        applied_to, matched, clears, operator, at_ms) SELECT 'imp_06e9x3w8k1z7h4n2m5q0r8t6va', host_id, 'REPORT', \
        'report.csv', '00', business_date, 1, 'RECEIVED', 0, 0, 0, 'alice', 0 FROM business_days \
        WHERE batched_at_ms IS NOT NULL";
    switch.database.execute(recorded).await;
    let hash = "UPDATE settlement_imports SET \
        sha256 = '0000000000000000000000000000000000000000000000000000000000000000'";
    switch.database.execute(hash).await;
    switch.start_gateway().await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    only_batch(&mut settlement, BatchState::Settled).await;
    eventually("an empty folder", async || {
        let left = std::fs::read_dir(&folder).expect("the folder").count();
        (left == 0).then_some(())
    })
    .await;
    let done = switch
        .database
        .text("SELECT state FROM settlement_imports")
        .await;
    assert_eq!(done, "DONE");
}

/// Where the profile stops what is out of balance, no money is available before the bank has corrected its report, or an
/// approver takes it as it is.
async fn differences_hold_batches_until_a_report_is_amended_or_they_are_accepted(engine: Engine) {
    let (funds, stops) = ("out_of_balance = \"fund\"", "out_of_balance = \"stop\"");
    let profile = reporting_profile();
    assert!(profile.contains(funds));
    let switch = Switch::start_with(engine, Some(profile.replace(funds, stops))).await;
    let mut payments = switch.payments().await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    for is_amended in [true, false] {
        let today = open_date(&mut client).await;
        let sold = authorize(&mut payments, sale("pm_test_visa", 2_500)).await;
        cut_over(&mut client, cutover_of(&today))
            .await
            .expect("a day");
        assert_eq!(
            agreed(&mut client, &today).await,
            admin::TotalsState::InBalance
        );
        misbook(&switch, &sold, 5).await;
        let wrong = report_of(&switch, &today).await;
        import(&mut client, &wrong, |_| {})
            .await
            .expect("an answer");
        let batch = async |settlement: &mut Settlement| {
            let mut batches = batches(settlement).await.into_iter();
            let batch = batches.find(|batch| batch.business_date == today);
            batch.expect("the batch of the day").state()
        };
        assert_eq!(batch(&mut settlement).await, BatchState::Disputed);
        let expected = if is_amended {
            misbook(&switch, &sold, -5).await;
            let right = report_of(&switch, &today).await;
            let refused = import(&mut client, &right, |_| {}).await;
            let reason = error_reason(&refused.expect_err("another one is applied"));
            assert_eq!(reason.as_deref(), Some("REPORT_APPLIED"));
            let amended = import(&mut client, &right, |file| file.amends = true).await;
            let amended = amended.expect("an answer").settlement_import;
            assert_eq!(amended.expect("it is applied").differences, []);
            assert_eq!(differences(&mut client, &today).await, []);
            // What was replaced is known, and does not come back.
            let known = import(&mut client, &wrong, |_| {}).await;
            let known = known.expect("an answer");
            let state = known.settlement_import.as_ref().map(|it| it.state());
            let amended = Some(admin::SettlementImportState::Amended);
            assert_eq!((known.was_there, state), (true, amended));
            let refused = import(&mut client, &wrong, |file| file.amends = true).await;
            let reason = error_reason(&refused.expect_err("it was replaced"));
            assert_eq!(reason.as_deref(), Some("REPORT_REPLACED"));
            BatchState::Settled
        } else {
            let request = admin::SubmitTotalsRequest {
                request_id: format!("accept-{}", unique()),
                reason: "the bank pays the five cents back".into(),
                host_id: "acquirer".into(),
                business_date: today.clone(),
                accept: true,
            };
            let accepted = client.submit_totals(request).await;
            let accepted = accepted.expect("it is accepted").into_inner();
            assert_eq!((accepted.totals_count, accepted.difference_count), (0, 1));
            let found = differences(&mut client, &today).await;
            assert!(found[0].accept_time.is_some(), "{found:?}");
            BatchState::Disputed
        };
        eventually("a day that is settled", async || {
            let request = admin::ListBusinessDaysRequest {
                host_id: "acquirer".into(),
                ..Default::default()
            };
            let listed = client.list_business_days(request).await.expect("the days");
            let mut days = listed.into_inner().business_days.into_iter();
            let day = days.find(|day| day.business_date == today)?;
            (day.state() == admin::BusinessDayState::Settled).then_some(())
        })
        .await;
        assert_eq!(batch(&mut settlement).await, expected);
    }
}
