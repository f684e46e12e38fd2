//! A bank that keeps more than is agreed: named with both sums, and corrected by a person or by a rule.

use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::merchant_service_client::MerchantServiceClient;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::commands::demo::stand::{StandOptions, reporting_profile};
use payswitch::config::reconciliation::{CorrectedKind, CorrectionBearer, CorrectionRule};
use payswitch::merchant_api::pb::SettlementBatchState as BatchState;
use serde_json::Value;

use crate::correcting::{available, listed, reconcile};
use crate::database::Engine;
use crate::harness::{Switch, authorize, on_both_engines, unique};
use crate::operators::operator;
use crate::reporting::{agreed, import, only_batch, report_of};
use crate::sales::sale;
use crate::settling::{cut_over, cutover_of, open_date, settlement_of};

on_both_engines!(
    a_fee_that_is_too_high_is_corrected_by_a_person,
    a_fee_that_is_too_high_is_corrected_by_a_rule,
);

/// What the simulated bank keeps of cards of one brand; of others nothing is agreed.
const FEES: &str = "
[settlement.fees]

[[settlement.fees.interchange]]
brand = \"visa\"
ppm = 2_000

[[settlement.fees.scheme_fee]]
brand = \"visa\"
ppm = 500
";

/// The bank keeps a cent too much of a sale, and what is said of that. The merchant pays what the bank keeps, and 1 %.
async fn found(engine: Engine, change: impl FnOnce(&mut StandOptions)) -> (Switch, Value) {
    let switch = Switch::start_as(engine, |options| {
        options.acquirer_profile = Some(reporting_profile() + FEES);
        change(options);
    })
    .await;
    let mut terms = MerchantServiceClient::new(operator(&switch).await);
    let plan = admin::SetFeePlanRequest {
        request_id: format!("fees-{}", unique()),
        reason: "a test".into(),
        merchant_id: switch.merchant_id.to_string(),
        fee_plan_json: "{\"pricing\":\"plus_plus\",\"price\":[{\"ppm\":10000}]}".into(),
    };
    terms.set_fee_plan(plan).await.expect("a fee plan");
    let mut payments = switch.payments().await;
    let mut days = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut days).await;
    for (card, amount) in [
        ("pm_test_visa", 2_500),
        ("pm_test_visa", 9_000),
        ("pm_test_mastercard", 1_000),
    ] {
        authorize(&mut payments, sale(card, amount)).await;
    }
    cut_over(&mut days, cutover_of(&today))
        .await
        .expect("a day");
    agreed(&mut days, &today).await;
    let right = report_of(&switch, &today).await;
    let mut report = String::from_utf8(right).expect("a text");
    // Fees of 0.22, and all nets together; nothing is agreed of the third sale.
    for (is, becomes) in [
        (",0.18,0.04,0.00,EUR,,89.78,", ",0.19,0.04,0.00,EUR,,89.77,"),
        (",0.02,0.00,0.00,EUR,,9.98,", ",0.05,0.00,0.00,EUR,,9.95,"),
        (",124.70", ",124.66"),
    ] {
        assert_eq!(report.matches(is).count(), 1, "{is} in {report}");
        report = report.replace(is, becomes);
    }
    let answer = import(&mut days, report.as_bytes(), |_| {}).await;
    assert_eq!(answer.expect("an answer").faults, []);
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    only_batch(&mut settlement, BatchState::Disputed).await;
    let all = listed(&switch, "");
    let [found] = &all[..] else {
        panic!("one discrepancy, not {all:?}");
    };
    let found = found.clone();
    assert_eq!(found["kind"], "FEE_DIFFERS");
    assert_eq!(found["own_minor"], 22);
    assert_eq!(found["bank_minor"], 23);
    assert_eq!(
        found["rule"],
        "agreed-fees interchange[0]=18 scheme_fee[0]=4"
    );
    (switch, found)
}

/// 1 %, and what the bank has kept: 0.06, 0.23 and 0.05.
const AVAILABLE: i64 = 12_500 - 125 - 34;

async fn a_fee_that_is_too_high_is_corrected_by_a_person(engine: Engine) {
    let (switch, found) = found(engine, |_| {}).await;
    assert_eq!(available(&switch).await, AVAILABLE);
    let id = found["discrepancy_id"].as_str().expect("its name");
    let shown = reconcile(&switch, &["show", id]);
    for part in ["FEE_DIFFERS", "0.22", "0.23", "interchange[0]=18"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    // The merchant has paid the cent, and gets it back: the acquirer owes it.
    let why = ["--reason", "the bank has taken the fee of another card"];
    let bears = [&["correct", id, "--bears", "merchant"][..], &why].concat();
    assert!(reconcile(&switch, &bears).contains("CORRECTED"));
    assert_eq!(available(&switch).await, AVAILABLE + 1);
    let owed =
        "SELECT CAST(SUM(amount_minor) AS BIGINT) FROM ledger_lines WHERE account = 'RECEIVABLE'";
    assert_eq!(switch.database.number(owed.into()).await, 12_501);
    let reopen = [&["reopen", id][..], &why].concat();
    assert!(reconcile(&switch, &reopen).contains("OPEN"));
    assert_eq!(available(&switch).await, AVAILABLE);
}

async fn a_fee_that_is_too_high_is_corrected_by_a_rule(engine: Engine) {
    let (switch, found) = found(engine, |options| {
        options.corrections = vec![CorrectionRule {
            kind: CorrectedKind::FeeDiffers,
            currency: None,
            up_to_minor: 1,
            bears: CorrectionBearer::House,
            applies: true,
        }];
    })
    .await;
    assert_eq!(found["state"], "CORRECTED");
    // The house bears it: the merchant has paid what the bank has kept.
    assert_eq!(available(&switch).await, AVAILABLE);
}
