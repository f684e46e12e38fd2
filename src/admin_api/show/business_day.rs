//! The bank's days, and their totals.

use iso8583::hex;

use crate::admin_api::pb;
use crate::grpc::time::timestamp;
use crate::payment::settlement::{BatchTotals, ClosedBy, DayTotals};
use crate::payment::settlement_file::{
    FileAnswer, FileSum, FileVerdict, Rejection, SettlementFile, TakenSum,
};
use crate::payment::totals::{Totals, TotalsState};
use crate::settlement::days::SettledDay;

/// A day.
pub(in crate::admin_api) fn business_day(settled: &SettledDay) -> pb::BusinessDay {
    let day = &settled.day;
    let state = match (day.cut_at, day.batched_at) {
        (None, _) => pb::BusinessDayState::Open,
        (Some(_), None) => pb::BusinessDayState::Closing,
        (Some(_), Some(_)) if day.settled_at.is_some() => pb::BusinessDayState::Settled,
        (Some(_), Some(_)) => pb::BusinessDayState::Closed,
    };
    let closed_by = match day.closed_by {
        None => pb::ClosedBy::Unspecified,
        Some(ClosedBy::Clock) => pb::ClosedBy::Clock,
        Some(ClosedBy::Host) => pb::ClosedBy::Host,
        Some(ClosedBy::Operator) => pb::ClosedBy::Operator,
    };
    pb::BusinessDay {
        host_id: day.host_id.to_string(),
        business_date: day.date.to_string(),
        state: state.into(),
        open_time: Some(timestamp(day.opened_at)),
        close_time: settled.ends_at.map(timestamp),
        closed_by: closed_by.into(),
        last_position: day.last_position.unwrap_or(0),
        totals: settled.totals.iter().map(day_totals).collect(),
        files: settled.files.iter().map(file).collect(),
    }
}

/// A clearing file.
pub(in crate::admin_api) fn file(found: &SettlementFile) -> pb::SettlementFile {
    let sum = |sum: &FileSum| pb::FileSum {
        currency: sum.currency.code().to_owned(),
        item_count: sum.count,
        sum_minor: sum.sum_minor,
    };
    pb::SettlementFile {
        cycle: i32::try_from(found.cycle).unwrap_or(i32::MAX),
        name: found.name.clone(),
        sha256: hex::encode_lower(&found.sha256),
        byte_count: found.bytes,
        item_count: found.item_count,
        sums: found.sums.iter().map(sum).collect(),
        write_time: Some(timestamp(found.written_at)),
        answer: found.answer.as_ref().map(answer),
        awaits_answer: found.awaits_answer,
        accept_time: found.accepted_at.map(timestamp),
    }
}

fn answer(found: &FileAnswer) -> pb::FileAnswer {
    let sum = |sum: &TakenSum| pb::TakenSum {
        currency: sum.currency.code().to_owned(),
        transaction_code: sum.transaction_code.clone(),
        item_count: sum.count,
        sum_minor: sum.sum_minor,
    };
    let rejection = |it: &Rejection| {
        let record = it.record.as_ref();
        let rrn = record.and_then(|record| record.rrn);
        pb::FileRejection {
            record: record.map(|record| record.mti.clone()).unwrap_or_default(),
            rrn: rrn.map(|rrn| rrn.to_string()).unwrap_or_default(),
            field: it.field.clone(),
            value: it.value.clone(),
            error: it.error.clone(),
        }
    };
    let shown = pb::FileAnswer {
        agrees: found.agrees,
        sha256: hex::encode_lower(&found.sha256),
        answer_time: Some(timestamp(found.answered_at)),
        ..pb::FileAnswer::default()
    };
    match &found.verdict {
        FileVerdict::Accepted { taken } => pb::FileAnswer {
            state: pb::FileAnswerState::Accepted.into(),
            taken: taken.iter().map(sum).collect(),
            ..shown
        },
        FileVerdict::Rejected { rejections, count } => pb::FileAnswer {
            state: pb::FileAnswerState::Rejected.into(),
            rejections: rejections.iter().map(rejection).collect(),
            rejection_count: *count,
            ..shown
        },
    }
}

fn day_totals(found: &DayTotals) -> pb::DayTotals {
    pb::DayTotals {
        currency: found.currency.code().to_owned(),
        batch_count: found.batch_count,
        capture_count: found.totals.capture_count,
        captured_minor: found.totals.captured_minor,
        refund_count: found.totals.refund_count,
        refunded_minor: found.totals.refunded_minor,
    }
}

/// Totals as they are agreed with the host.
pub(in crate::admin_api) fn totals(found: &Totals) -> pb::Totals {
    let sums = |sums: &BatchTotals| pb::TotalsSums {
        capture_count: sums.capture_count,
        captured_minor: sums.captured_minor,
        refund_count: sums.refund_count,
        refunded_minor: sums.refunded_minor,
    };
    let state = match found.state {
        TotalsState::Due => pb::TotalsState::Due,
        TotalsState::Uploading => pb::TotalsState::Uploading,
        TotalsState::InBalance => pb::TotalsState::InBalance,
        TotalsState::OutOfBalance => pb::TotalsState::OutOfBalance,
        TotalsState::Stopped => pb::TotalsState::Stopped,
    };
    let text = |value: Option<String>| value.unwrap_or_default();
    pb::Totals {
        merchant_id: text(found.key.merchant_id.map(|merchant| merchant.to_string())),
        terminal_id: found.key.terminal_id.clone(),
        currency: found.key.currency.code().to_owned(),
        state: state.into(),
        ours: Some(sums(&found.ours)),
        theirs: found.theirs.as_ref().map(sums),
        sent: i32::try_from(found.sent).unwrap_or(i32::MAX),
        stan: text(found.stan.map(|stan| stan.to_string())),
        next_send_time: found.next_at.map(timestamp),
        response_code: text(found.response_code.map(|code| code.to_string())),
        uploaded: found.uploaded,
    }
}
