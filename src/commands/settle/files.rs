//! `payswitch settle files`: the clearing files of a day.

use serde_json::{Value, json};

use crate::admin_api::pb;
use crate::commands::error::CommandError;
use crate::commands::operators_door::moment;
use crate::commands::output::{amount, print_line, table};

/// Files as JSON.
pub(super) fn rows(files: &[pb::SettlementFile]) -> Result<Vec<Value>, CommandError> {
    let row = |file: &pb::SettlementFile| -> Result<Value, CommandError> {
        let sums = file.sums.iter().map(|sum| {
            json!({
                "currency": sum.currency,
                "item_count": sum.item_count,
                "sum_minor": sum.sum_minor,
            })
        });
        Ok(json!({
            "cycle": file.cycle,
            "name": file.name,
            "sha256": file.sha256,
            "byte_count": file.byte_count,
            "item_count": file.item_count,
            "sums": sums.collect::<Vec<_>>(),
            "write_time": moment(file.write_time)?,
        }))
    };
    files.iter().map(row).collect()
}

/// Shows files.
pub(super) fn show(files: &[pb::SettlementFile], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        return print_line!("{:#}", json!({ "files": rows(files)? }));
    }
    let mut table = table(&[
        "cycle", "file", "written", "bytes", "items", "sums", "sha256",
    ]);
    for file in files {
        let sums = file.sums.iter();
        let sums = sums.map(|sum| {
            let money = amount(sum.sum_minor, &sum.currency);
            format!("{money} {}", sum.currency)
        });
        table.add_row([
            file.cycle.to_string(),
            file.name.clone(),
            moment(file.write_time)?,
            file.byte_count.to_string(),
            file.item_count.to_string(),
            sums.collect::<Vec<_>>().join(", "),
            file.sha256.clone(),
        ]);
    }
    print_line!("{table}")
}
