//! `payswitch settle report`: what the bank's report has said of a day.

use serde_json::json;
use tonic::transport::Channel;

use super::report::{import_json, kind, state};
use crate::admin_api::pb;
use crate::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use crate::commands::error::CommandError;
use crate::commands::operators_door::{moment, told};
use crate::commands::output::{amount, print_line, table};

/// Shows it.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub(super) async fn show(
    client: &mut SettlementAdminServiceClient<Channel>,
    host_id: String,
    business_date: String,
    as_json: bool,
) -> Result<(), CommandError> {
    let request = pb::GetDayReportRequest {
        host_id: host_id.clone(),
        business_date: business_date.clone(),
    };
    let found = client.get_day_report(request).await.map_err(told)?;
    let found = found.into_inner();
    if as_json {
        let fees = found.fees.iter().map(|it| {
            json!({
                "currency": it.currency,
                "item_count": it.item_count,
                "rejected_count": it.rejected_count,
                "interchange_minor": it.interchange_minor,
                "scheme_fee_minor": it.scheme_fee_minor,
                "commission_minor": it.commission_minor,
            })
        });
        let import = found.settlement_import.as_ref().map(import_json);
        let shown = json!({
            "settlement_import": import.transpose()?,
            "fees": fees.collect::<Vec<_>>(),
        });
        return print_line!("{shown:#}");
    }
    let Some(import) = &found.settlement_import else {
        return print_line!("There is no report of {business_date} of {host_id}");
    };
    let mut imports = table(&[
        "report",
        "file",
        "state",
        "lines",
        "applied",
        "with an item",
        "given by",
        "at",
    ]);
    imports.add_row([
        import.import_id.clone(),
        import.name.clone(),
        state(import).to_owned(),
        import.line_count.to_string(),
        import.applied_line_count.to_string(),
        import.matched_count.to_string(),
        import.operator.clone(),
        moment(import.create_time)?,
    ]);
    print_line!("{imports}")?;
    let mut fees = table(&[
        "currency",
        "items",
        "rejected",
        "interchange",
        "scheme fees",
        "commission",
    ]);
    for it in &found.fees {
        let money = |minor| amount(minor, &it.currency);
        fees.add_row([
            it.currency.clone(),
            it.item_count.to_string(),
            it.rejected_count.to_string(),
            money(it.interchange_minor),
            money(it.scheme_fee_minor),
            money(it.commission_minor),
        ]);
    }
    print_line!("{fees}")?;
    let mut differences = table(&["difference", "count"]);
    for it in &import.differences {
        differences.add_row([kind(it.kind), &it.count.to_string()]);
    }
    if import.differences.is_empty() {
        return print_line!("no differences");
    }
    print_line!("{differences}")
}
