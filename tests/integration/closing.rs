//! Days that are closed and settled at once.

use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::commands::demo::stand::reporting_profile;
use payswitch::grpc::client::error_reason;
use tonic::Status;

use crate::database::Engine;
use crate::harness::{Switch, authorize, eventually, on_both_engines, unique};
use crate::operators::operator;
use crate::reporting::{agreed, import, report_of};
use crate::sales::sale;
use crate::settling::{batch, batches, cut_over, cutover_of, open_date, settlement_of};

on_both_engines!(a_day_that_is_closed_and_settled_at_once_is_settled_or_closing);

/// The days that are closed, and the callers that settle each of them meanwhile.
const DAYS: usize = 5;
const CALLERS: usize = 4;

/// Whether a call is answered; otherwise it is told that the day is open or closing, and nothing else.
fn is_answered(call: Result<(), Status>) -> bool {
    let Err(refused) = call else {
        return true;
    };
    let reason = error_reason(&refused);
    let is_early = matches!(reason.as_deref(), Some("DAY_NOT_CLOSED" | "DAY_CLOSING"));
    assert!(is_early, "{refused:?}");
    false
}

async fn a_day_that_is_closed_and_settled_at_once_is_settled_or_closing(engine: Engine) {
    let switch = Switch::start_with(engine, Some(reporting_profile())).await;
    let mut payments = switch.payments().await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let days = SettlementAdminServiceClient::new(operator(&switch).await);
    for _ in 0..DAYS {
        let today = open_date(&mut days.clone()).await;
        authorize(&mut payments, sale("pm_test_visa", 1_111)).await;
        let open = eventually("the open batch", async || {
            let all = batches(&mut settlement).await;
            all.into_iter().find(|batch| batch.business_date == today)
        })
        .await;
        let mut callers = Vec::new();
        for _ in 0..CALLERS {
            let (mut days, date) = (days.clone(), today.clone());
            callers.push(tokio::spawn(async move {
                loop {
                    let submit = admin::SubmitTotalsRequest {
                        request_id: format!("closing-{}", unique()),
                        reason: "at once".into(),
                        host_id: "acquirer".into(),
                        business_date: date.clone(),
                        ..Default::default()
                    };
                    let report = admin::GetDayReportRequest {
                        host_id: "acquirer".into(),
                        business_date: date.clone(),
                    };
                    let is_settled = is_answered(days.submit_totals(submit).await.map(drop));
                    is_answered(days.get_day_report(report).await.map(drop));
                    if is_settled {
                        return;
                    }
                }
            }));
        }
        cut_over(&mut days.clone(), cutover_of(&today))
            .await
            .expect("a day");
        for caller in callers {
            caller.await.expect("a caller is answered");
        }
        // For the merchant the batch is the same one all the time.
        let closed = batch(&mut settlement, &open.batch_id).await;
        assert_eq!(closed.business_date, today);
        // The day that is closed takes its report.
        agreed(&mut days.clone(), &today).await;
        let report = report_of(&switch, &today).await;
        let given = import(&mut days.clone(), &report, |_| {}).await;
        let given = given.expect("an answer").settlement_import;
        assert_eq!(given.expect("an import").matched_count, 1);
    }
}
