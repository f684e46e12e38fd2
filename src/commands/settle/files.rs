//! `payswitch settle files`: the clearing files of a day, and what the host has answered to them.

use serde_json::{Value, json};

use crate::admin_api::pb;
use crate::commands::error::CommandError;
use crate::commands::operators_door::{moment, short};
use crate::commands::output::{amount, print_line, table};

/// What the host has answered to a file, in a word or two; empty where no answer is awaited.
pub(super) fn answered(file: &pb::SettlementFile) -> String {
    let said = match &file.answer {
        None if file.awaits_answer => "AWAITED",
        None => "",
        Some(answer) => short(answer.state().as_str_name(), "FILE_ANSWER_STATE_"),
    };
    let is_accepted = |answer: &pb::FileAnswer| answer.state() == pb::FileAnswerState::Accepted;
    let differs = file.answer.as_ref();
    let differs = differs.is_some_and(|answer| is_accepted(answer) && !answer.agrees);
    let differs = if differs { ", others" } else { "" };
    let counts = match file.accept_time {
        Some(_) => ", counts as it is",
        None => "",
    };
    format!("{said}{differs}{counts}")
}

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
        let answer = file
            .answer
            .as_ref()
            .map(|answer| -> Result<Value, CommandError> {
                let taken = answer.taken.iter().map(|sum| {
                    json!({
                        "currency": sum.currency,
                        "transaction_code": sum.transaction_code,
                        "item_count": sum.item_count,
                        "sum_minor": sum.sum_minor,
                    })
                });
                let rejections = answer.rejections.iter().map(|it| {
                    json!({
                        "record": it.record,
                        "rrn": it.rrn,
                        "field": it.field,
                        "value": it.value,
                        "error": it.error,
                    })
                });
                Ok(json!({
                    "state": short(answer.state().as_str_name(), "FILE_ANSWER_STATE_"),
                    "agrees": answer.agrees,
                    "sha256": answer.sha256,
                    "answer_time": moment(answer.answer_time)?,
                    "taken": taken.collect::<Vec<_>>(),
                    "rejections": rejections.collect::<Vec<_>>(),
                    "rejection_count": answer.rejection_count,
                }))
            });
        Ok(json!({
            "cycle": file.cycle,
            "name": file.name,
            "sha256": file.sha256,
            "byte_count": file.byte_count,
            "item_count": file.item_count,
            "sums": sums.collect::<Vec<_>>(),
            "write_time": moment(file.write_time)?,
            "answer": answer.transpose()?,
            "awaits_answer": file.awaits_answer,
            "accept_time": moment(file.accept_time)?,
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
        "cycle", "file", "written", "bytes", "items", "sums", "answer", "sha256",
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
            answered(file),
            file.sha256.clone(),
        ]);
    }
    print_line!("{table}")
}
