//! A bank that reports a day in several files: which of them are missing is named, and nothing else is guessed.

use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::commands::demo::stand::reporting_profile;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb::SettlementBatchState as BatchState;

use crate::correcting::listed;
use crate::database::Engine;
use crate::demo::as_operator;
use crate::harness::{Switch, authorize, on_both_engines};
use crate::operators::operator;
use crate::reporting::{agreed, import, only_batch, report_of};
use crate::sales::sale;
use crate::settling::{Days, batches, cut_over, cutover_of, open_date, settlement_of};
use crate::tools::printed_by;

on_both_engines!(cycles_come_in_any_order_and_a_missing_one_is_named);

/// The bank's report of a day in three files, whose lines say which one it is. A difference holds back what is settled.
fn profile() -> String {
    let one = reporting_profile().replace("out_of_balance = \"fund\"", "out_of_balance = \"stop\"");
    let several = one.replace(
        "reject_code = \"Reject Code\"",
        "reject_code = \"Reject Code\"\ncycle = \"Cycle\"\ncycles = 3",
    );
    several.replace("end = \"<END>\"\n", "")
}

/// The lines of a report with these amounts, as a cycle.
fn cycle(report: &str, number: u8, amounts: &[&str]) -> String {
    let mut lines = report.lines();
    let mut part = lines.next().expect("names").to_owned() + ",Cycle\n";
    for amount in amounts {
        let amount = format!(",{amount},");
        let line = report.lines().find(|line| line.contains(&amount));
        part += &format!("{},{number}\n", line.expect("a line"));
    }
    part
}

/// Takes in a cycle: what is missing before it, and what it has otherwise.
async fn given(days: &mut Days, part: &str) -> (Vec<i32>, usize) {
    let answer = import(days, part.as_bytes(), |_| {})
        .await
        .expect("an answer");
    assert_eq!(answer.faults, []);
    let taken = answer.settlement_import.expect("an import");
    assert_eq!(taken.state(), admin::SettlementImportState::Done);
    (answer.missing_cycles, taken.differences.len())
}

async fn cycles_come_in_any_order_and_a_missing_one_is_named(engine: Engine) {
    let switch = Switch::start_with(engine, Some(profile())).await;
    let mut payments = switch.payments().await;
    let mut days = SettlementAdminServiceClient::new(operator(&switch).await);
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let today = open_date(&mut days).await;
    for amount in [1_111, 2_222, 3_333, 4_444] {
        authorize(&mut payments, sale("pm_test_visa", amount)).await;
    }
    cut_over(&mut days, cutover_of(&today))
        .await
        .expect("a day");
    agreed(&mut days, &today).await;
    let report = report_of(&switch, &today).await;
    let report = String::from_utf8(report).expect("a text");
    let [first, second, third] = [
        cycle(&report, 1, &["11.11"]),
        cycle(&report, 2, &["22.22"]),
        cycle(&report, 3, &["33.33"]),
    ];

    // The last one comes before the second one: that is named, and nothing is said of what it may have.
    assert_eq!(given(&mut days, &first).await, (vec![], 0));
    assert_eq!(given(&mut days, &third).await, (vec![2], 0));
    assert_eq!(
        given(&mut days, &third).await,
        (vec![2], 0),
        "the same again"
    );
    assert_eq!(listed(&switch, "").len(), 0);
    let [batch] = &batches(&mut settlement).await[..] else {
        panic!("one batch");
    };
    assert_ne!(batch.state(), BatchState::Settled);
    let shown = || {
        let day = ["settle", "report", "acquirer", "--date", &today];
        printed_by(&mut as_operator(&switch, &day))
    };
    let told = shown();
    for part in ["CYCLE_MISSING 2", "1 of 3", "3 of 3", "no differences"] {
        assert!(told.contains(part), "{part} in {told}");
    }

    // The same cycle with other bytes takes the place of the first one only where that is said; and there is no fourth one.
    let whole = cycle(&report, 3, &["33.33", "44.44"]);
    let other = import(&mut days, whole.as_bytes(), |_| {}).await;
    let refused = other.expect_err("another file of the cycle");
    assert_eq!(error_reason(&refused).as_deref(), Some("REPORT_APPLIED"));
    let other = import(&mut days, second.as_bytes(), |file| file.cycle = 1).await;
    let refused = other.expect_err("another cycle than the file says");
    assert_eq!(
        error_reason(&refused).as_deref(),
        Some("REPORT_CYCLE_WRONG")
    );
    let fourth = cycle(&report, 4, &["44.44"]);
    let faulty = import(&mut days, fourth.as_bytes(), |_| {}).await;
    assert_eq!(faulty.expect("an answer").fault_count, 1);

    // With the second one all have come, and what none of them has is missing.
    assert_eq!(given(&mut days, &second).await, (vec![], 0));
    let missing = listed(&switch, "");
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert_eq!(missing[0]["kind"], "MISSING_AT_BANK");
    assert_eq!(missing[0]["own_minor"], 4_444);
    assert!(!shown().contains("CYCLE_MISSING"), "{}", shown());
    only_batch(&mut settlement, BatchState::Disputed).await;

    // The amended third one has it.
    let answer = import(&mut days, whole.as_bytes(), |file| file.amends = true).await;
    assert_eq!(answer.expect("an answer").missing_cycles, [0_i32; 0]);
    let left = listed(&switch, "");
    assert!(left.iter().all(|it| it["state"] == "ACCEPTED"), "{left:?}");
    only_batch(&mut settlement, BatchState::Settled).await;
}
