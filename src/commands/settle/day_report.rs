//! `payswitch settle report`: what the bank's report has said of a day.

use std::collections::BTreeMap;

use serde_json::json;
use tonic::transport::Channel;

use super::report::{import_json, kind, show_missing_cycles, state};
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
        let all = found.settlement_imports.iter().map(import_json);
        let shown = json!({
            "settlement_import": import.transpose()?,
            "settlement_imports": all.collect::<Result<Vec<_>, _>>()?,
            "missing_cycles": found.missing_cycles,
            "fees": fees.collect::<Vec<_>>(),
        });
        return print_line!("{shown:#}");
    }
    if found.settlement_import.is_none() {
        return print_line!("There is no report of {business_date} of {host_id}");
    }
    let mut imports = table(&[
        "report",
        "cycle",
        "file",
        "state",
        "lines",
        "applied",
        "with an item",
        "given by",
        "at",
    ]);
    for import in &found.settlement_imports {
        imports.add_row([
            import.import_id.clone(),
            match import.cycle {
                0 => String::new(),
                cycle => format!("{cycle} of {}", import.cycle_count),
            },
            import.name.clone(),
            state(import).to_owned(),
            import.line_count.to_string(),
            import.applied_line_count.to_string(),
            import.matched_count.to_string(),
            import.operator.clone(),
            moment(import.create_time)?,
        ]);
    }
    print_line!("{imports}")?;
    show_missing_cycles(&found.missing_cycles)?;
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
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    let all = found.settlement_imports.iter();
    for it in all.flat_map(|import| &import.differences) {
        let count = counts.entry(kind(it.kind)).or_default();
        *count = count.saturating_add(it.count);
    }
    let mut differences = table(&["difference", "count"]);
    for (kind, count) in &counts {
        differences.add_row([*kind, &count.to_string()]);
    }
    if counts.is_empty() {
        return print_line!("no differences");
    }
    print_line!("{differences}")
}
